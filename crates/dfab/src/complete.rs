//! Completion scripts for shells.

use clap_complete::Shell;

/// Returns the completion script for a shell.
pub fn script(shell: Shell) -> String {
    let mut command = crate::cli::parse::command(None);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "dfab", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
