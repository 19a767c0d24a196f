//! Exit codes (cli §6). They are interface: scripts act on them.

use crate::failure::Kind;

/// Done, or nothing to do.
pub const DONE: u8 = 0;
/// The run failed: an engine or a host refused or broke.
pub const FAILED: u8 = 1;
/// The call, the project file or a map is wrong; nothing was contacted.
pub const WRONG_CALL: u8 = 2;
/// Only with `--dry-run --detailed-exitcode`: something would change.
pub const WOULD_CHANGE: u8 = 10;
/// Interrupted by Ctrl-C (128 + SIGINT, as shells count).
pub const INTERRUPTED: u8 = 130;

/// Returns the exit code of a failure.
pub fn code(kind: Kind) -> u8 {
    match kind {
        Kind::Usage | Kind::Configuration => WRONG_CALL,
        Kind::Connection | Kind::Engine | Kind::Task | Kind::Internal => FAILED,
        Kind::Interrupted => INTERRUPTED,
    }
}
