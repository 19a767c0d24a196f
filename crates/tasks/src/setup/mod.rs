//! Setting a host up: Docker, the group that may use it, socat (clients-tasks §8.3).
//!
//! Three parts: [`Facts`] are what a host tells about itself, in one command. [`docker`] and `socat`
//! decide from them which steps are left to do and why; they are functions of their arguments, so that a
//! dry run shows the very steps that would be run. [`run`] asks, decides, does the steps, and asks once
//! more: a host that is set up has no step left.

mod docker;
mod facts;
mod run;
mod socat;
mod step;
#[cfg(test)]
mod tests;

pub use docker::{DockerOptions, Source, docker};
pub use facts::{Facts, Family, PROBE};
pub use run::{Error, Event, Finished, Host, inspect, run};
pub use socat::{BuildOptions, SOCAT, build, copy, package};
pub use step::{Action, Plan, Refusal, Step};
