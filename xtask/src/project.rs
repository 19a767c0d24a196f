//! Where this repository lies, and building its programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::run::Runs;

/// Returns the root of the workspace.
pub fn root() -> &'static Path {
    // The manifest of this package lies in `xtask/`, one folder below the root.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("`xtask` lies in the workspace's root")
}

/// Returns a `cargo` command in the workspace's root.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Builds the `dfab` binary and returns its path. `release` chooses the profile that users install.
pub fn build_dfab(release: bool) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--package", "dfab", "--bin", "dfab"]);
    if release {
        build.arg("--release");
    }
    build.run()?;
    Ok(target_folder()?.join(if release { "release" } else { "debug" }).join("dfab"))
}

/// Returns cargo's target folder, which the user's configuration may have moved.
pub fn target_folder() -> Result<PathBuf> {
    let metadata = cargo().args(["metadata", "--format-version=1", "--no-deps", "--offline"]).read()?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    Ok(PathBuf::from(metadata["target_directory"].as_str().unwrap_or("target")))
}
