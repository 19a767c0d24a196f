//! The dfab backend over the `docker` command line, local or over SSH.

pub mod command;
