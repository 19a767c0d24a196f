//! `dfab`: deploys container maps to Docker engines, local or behind SSH.
//!
//! Reading order: [`cli`] (from words to calls), [`registry`] (the tasks as data), [`project`] and
//! [`settings`] (what is configured), [`run`] (what calls share), [`tasks`] (what they do),
//! [`console`] and [`report`] (what comes out), [`exit`] (how it ends).

mod archive;
mod beforehand;
mod cli;
mod complete;
mod console;
mod course;
mod credentials;
mod each_host;
mod endpoint;
mod engines;
mod exit;
mod failure;
mod link;
mod list;
mod machine;
mod man;
mod prepare;
mod program;
mod program_backend;
mod project;
mod project_step;
mod project_task;
mod prompt;
mod registry;
mod remote;
mod report;
mod run;
mod settings;
mod ssh;
mod tasks;
mod temporary;
mod text;
mod tls;

use std::process::ExitCode;

/// The allocator of the C library (musl's even more than glibc's) slows down with the many small pieces
/// that a large map is made of.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    ExitCode::from(program::main(&arguments))
}
