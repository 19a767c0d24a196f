#![doc = include_str!("../README.md")]
//!
//! # Where to start reading
//!
//! [`backend::Backend`] is the contract. [`observe`](fn@observe) and [`apply`](fn@apply) use it;
//! [`api`] and [`memory`] implement it. An [`Error`] says what was tried on which host, its
//! [`error::Cause`] why it failed; a connector's own explanation is the cause's source.
//!
//! # Limits
//!
//! * Engine API 1.40 (Docker 19.03) or later; a newer engine is spoken to in 1.51.
//! * TLS is a connector around another one ([`tls::TlsConnector`]); keys with a passphrase are refused.
//! * Dropping the future of [`apply`](fn@apply) leaves steps where they are. Planning again from what
//!   is found then completes them.

pub mod api;
pub mod apply;
pub mod backend;
pub mod build;
pub mod connector;
pub mod contract;
pub mod engine_json;
pub mod error;
pub mod information;
pub mod local;
pub mod maintenance;
pub mod memory;
pub mod observe;
pub mod registry;
pub mod shortcuts;
pub mod streams;
pub mod tls;
pub mod transfer;

pub use api::{ApiBackend, ApiOptions};
pub use apply::apply;
pub use backend::Backend;
pub use connector::Connector;
pub use error::Error;
pub use information::Information;
pub use local::LocalConnector;
pub use memory::MemoryBackend;
pub use observe::{observe, observe_more};
pub use tls::TlsConnector;
