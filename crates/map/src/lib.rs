//! Container maps: the model, and a planner that says why.

pub mod canonical;
pub mod check;
pub mod compare;
pub mod deps;
pub mod desired;
pub mod diagnostic;
pub mod digest;
pub mod extend;
#[cfg(test)]
mod fixtures;
pub mod graph;
pub mod image;
pub mod item;
#[cfg(test)]
mod laws;
pub mod load;
pub mod merge;
pub mod model;
pub mod names;
pub mod observed;
pub mod picture;
mod place;
pub mod plan;
pub mod position;
pub mod property;
pub mod resolve;
pub mod schema;
pub mod select;
pub mod show;
pub mod spec;
pub mod value;
pub mod volumes;
pub mod yaml;
