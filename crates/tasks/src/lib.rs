//! The tasks of dfab as functions: actions on container maps, and information about engines.
//!
//! A task gets everything it needs as values: maps, clients, backends. It knows neither which kind of
//! backend it works with, nor how the command line, the project file or the terminal look; it prints
//! nothing and tells what happens by events.
//!
//! Start with [`actions::run`]: it selects nothing and decides nothing by itself, but leads from
//! what is desired (`dfab-map`) over what is there (`dfab-client`) to the applied plan.

pub mod actions;
pub mod information;
pub mod outcome;

pub use actions::{ActionOptions, Engines, Happening};
pub use outcome::{Outcome, Stage};
