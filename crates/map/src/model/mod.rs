//! The container map in normal form (map-model §1–§4): plain structs, equal when they mean the same.
//!
//! Nothing here reads YAML, looks anything up, or knows an engine. [`crate::load`] makes these
//! values from text; they can as well be built in code.

mod build;
mod client;
mod container;
mod key;
mod map;

pub use client::{Auth, ClientConfig, Clients, Tls};
pub use container::{
    Attach, Bind, CommandLine, Container, Endpoint, ExecCommand, ExecPolicy, HealthCheck, HealthTest, Layer,
    Link, NetworkMode, Options, Port, PortProtocol, PublishedPort, Reference, Setting, Signal, Use, User,
};
pub use key::Keyed;
pub use map::{HostPath, Map, Network, Volume};
