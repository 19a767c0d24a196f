//! The `dfab` command.

fn main() {}
