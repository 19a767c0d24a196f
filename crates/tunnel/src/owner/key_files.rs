//! What can be told of a key file without using it: its public half, and whether it asks for a passphrase.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::known_hosts::Key;

/// Returns the path of a file that belongs to this one: its name with a suffix.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Returns the public key of a key file in wire format: the one beside it, else the file itself, which may be the
/// public half of a key that only an agent holds (ssh_config(5), `IdentityFile`).
pub(super) fn public_blob(path: &Path) -> Option<Vec<u8>> {
    let beside = std::fs::read_to_string(beside(path, ".pub"));
    public_key(&beside.or_else(|_| std::fs::read_to_string(path)).ok()?)
}

/// Reads a public key: a type, and the key in base64, which names the same type.
pub(super) fn public_key(text: &str) -> Option<Vec<u8>> {
    let mut words = text.split_ascii_whitespace();
    let (kind, encoded) = (words.next()?, words.next()?);
    let key = Key { blob: STANDARD.decode(encoded).ok()? };
    (key.algorithm() == kind).then_some(key.blob)
}

/// Whether a private key is encrypted: an OpenSSH key whose cipher is not `none`, PKCS#8 with
/// `ENCRYPTED` in its name, or PEM with a `Proc-Type` that says so.
pub(super) fn is_locked(text: &str) -> bool {
    let Some(body) = text.trim_start().strip_prefix("-----BEGIN OPENSSH PRIVATE KEY-----") else {
        return text.contains("ENCRYPTED");
    };
    let encoded: String = body.chars().take_while(|&c| c != '-').filter(|c| !c.is_whitespace()).collect();
    let head = &encoded.as_bytes()[..encoded.len().min(64)];
    match STANDARD.decode(head) {
        // "openssh-key-v1\0", then the cipher's name with its length.
        Ok(bytes) => bytes.get(15..23) != Some(b"\0\0\0\x04none"),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated(args: &[&str], passphrase: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let status = std::process::Command::new("ssh-keygen")
            .args(["-q", "-N", passphrase, "-f"])
            .arg(&path)
            .args(args)
            .status()
            .ok()?;
        assert!(status.success());
        Some(std::fs::read_to_string(path).unwrap())
    }

    #[test]
    fn locked_keys_are_recognised() {
        let kinds: [&[&str]; 3] =
            [&["-t", "ed25519"], &["-t", "ecdsa", "-m", "PEM"], &["-t", "ecdsa", "-m", "PKCS8"]];
        for kind in kinds {
            let (Some(open), Some(locked)) = (generated(kind, ""), generated(kind, "secret")) else {
                eprintln!("skipped: no ssh-keygen");
                return;
            };
            assert!(!is_locked(&open), "{kind:?}");
            assert!(is_locked(&locked), "{kind:?}");
        }
        assert!(!is_locked("nonsense"));
        assert!(!is_locked("-----BEGIN OPENSSH PRIVATE KEY-----\n*\n"));
    }
}
