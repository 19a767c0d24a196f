//! Tests against a real sshd on this machine. They run when `DFAB_LIVE` is set, and otherwise say that
//! they were skipped. Each starts its own sshd on a free port of 127.0.0.1.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod commands;
mod dropbear;
mod example;
mod families;
mod faults;
mod files;
mod ladder;
mod login;
mod proxies;
mod sshd;
mod streams;
