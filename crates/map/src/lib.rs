//! Container maps: the model, and a planner that says why.

pub mod desired;
pub mod diagnostic;
pub mod graph;
pub mod image;
pub mod item;
pub mod model;
pub mod names;
pub mod observed;
pub mod plan;
pub mod position;
pub mod property;
pub mod resolve;
pub mod spec;
pub mod value;
pub mod yaml;
