//! Observing Docker engines and applying plans.

pub mod backend;
pub mod connector;
pub mod error;

pub use backend::Backend;
pub use connector::Connector;
pub use error::Error;
