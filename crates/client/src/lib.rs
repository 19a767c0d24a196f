//! Observing Docker engines and applying plans.

pub mod api;
pub mod apply;
pub mod backend;
pub mod connector;
pub mod contract;
pub mod engine_json;
pub mod error;
pub mod information;
pub mod local;
pub mod maintenance;
pub mod memory;
pub mod observe;
pub mod transfer;

pub use api::{ApiBackend, ApiOptions};
pub use apply::apply;
pub use backend::Backend;
pub use connector::Connector;
pub use error::Error;
pub use information::Information;
pub use local::LocalConnector;
pub use memory::MemoryBackend;
pub use observe::observe;
