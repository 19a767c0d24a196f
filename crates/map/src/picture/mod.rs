//! Pictures of a map, for people: what runs where, which volumes and networks there are, and who
//! needs whom.
//!
//! [`Diagram`] says what is shown; [`Diagram::dot`], [`Diagram::mermaid`] and [`Diagram::svg`] draw it.
//! The SVG is laid out here and stands alone; the other two leave the layout to Graphviz and Mermaid.

mod diagram;
mod dot;
mod layout;
mod mermaid;
mod page;
mod svg;

pub use diagram::{Diagram, Edge, EdgeKind, Host, Node, NodeKind};

#[cfg(test)]
mod tests;
