#![doc = include_str!("../README.md")]
//!
//! # Where to start reading
//!
//! [`actions::run`]: it selects nothing and decides nothing by itself, but leads from what is desired
//! (`dfab-map`) over what is there (`dfab-client`) to the applied plan.

pub mod actions;
pub mod container;
pub mod host;
pub mod information;
pub mod outcome;
pub mod roles;
pub mod setup;

pub use actions::{ActionOptions, Engines, Happening};
pub use outcome::{Outcome, Stage};
