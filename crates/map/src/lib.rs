#![doc = include_str!("../README.md")]
//!
//! # Modules, in reading order
//!
//! * [`model`]: the map in normal form. [`names`], [`value`] and [`position`] are what it is made of.
//! * [`yaml`] reads text into nodes, [`load`] turns nodes into the model, [`diagnostic`] says what is wrong,
//!   [`show`] writes the model back, [`schema`] describes the files to editors.
//! * [`extend`] resolves inheritance, [`merge`] combines maps, [`check`] looks at cross-references, [`select`]
//!   finds items by name, [`deps`] orders them, [`picture`] draws them.
//! * [`resolve`] looks late values up when they are needed.
//! * [`desired`] and [`observed`] are the two sides, in the canonical form of [`spec`] and [`property`];
//!   [`compare`] finds the differences, [`plan`] says what to do about them, and why.

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
mod interner;
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
