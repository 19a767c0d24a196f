//! Tests over all crates and the real lab.
