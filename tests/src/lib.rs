//! What the tests over all crates have in common: the lab's hosts, and calling `dfab` as a user does.
//!
//! Live tests run when `DFAB_LAB` names the state folder of a lab (`cargo xtask lab up --hosts 4`), which
//! `cargo xtask integration` sets; otherwise each says that it was skipped. They look at a host from inside its
//! namespaces, never through `dfab`, so that they find what `dfab` left there and did not tell.

#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed step is a failed test"
)]

pub mod call;
pub mod engine;
pub mod fault;
pub mod lab;
pub mod proxy;
pub mod registry;
pub mod terminal;

pub use call::{Dfab, Outcome, Project, Running};
pub use fault::Fault;
pub use lab::{Bare, Host, Lab, Logins};
pub use proxy::{Ending, Proxy};
pub use registry::SlowRegistry;
pub use terminal::Terminal;

/// Returns the lab, or says that the calling test is skipped and returns from it.
#[macro_export]
macro_rules! lab_or_skip {
    () => {
        match $crate::Lab::of_environment() {
            Some(lab) => lab,
            None => return $crate::skipped(module_path!()),
        }
    };
}

/// Whether `DFAB_ALL_GENERATIONS` asks for all that is slow: on every engine generation, and in every direction.
pub fn thoroughly() -> bool {
    std::env::var_os("DFAB_ALL_GENERATIONS").is_some()
}

/// Says what a live test could not show, or what it measured.
pub fn note(text: &str) {
    eprintln!("note: {text}");
}

/// Says that a live test was skipped.
pub fn skipped(subject: &str) {
    eprintln!("skipped: a test of `{subject}` needs a lab; `cargo xtask integration` makes one (DFAB_LAB)");
}
