//! The project: `dfab.yaml`, the maps and clients it names, deployment variables, hosts and roles
//! (cli §2). Everything here is read before any host is contacted.

mod file;
mod hosts;
mod maps;
mod steps;
mod value;
mod variables;

pub use file::Project;
pub use hosts::{Host, HostLists, hosts_of};
pub use maps::{load_clients, load_map, map_node, unknown_map};
pub use steps::{ProjectTask, Step, StepKind, interpolate};
pub use variables::{Origin, Variables, settings_text};
