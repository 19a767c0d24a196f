//! known_hosts files (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"): plain, wildcard, negated and hashed
//! names, `[host]:port`, several keys a host, `@revoked`. Lines with `@cert-authority` are passed over:
//! libssh2 cannot check host certificates.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::error::{Cause, HostKeyProblem};
use crate::{Error, glob};

/// The keys known for all hosts.
#[derive(Debug, Clone, Default)]
pub struct KnownHosts {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    revoked: bool,
    names: Names,
    key: Key,
    /// `file:line` for messages.
    place: String,
}

#[derive(Debug, Clone)]
enum Names {
    /// `|1|salt|HMAC-SHA1(salt, name)`.
    Hashed {
        salt: Vec<u8>,
        digest: Vec<u8>,
    },
    Patterns(Vec<String>),
}

/// A public host key as servers show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key in SSH wire format.
    pub blob: Vec<u8>,
}

impl Key {
    /// Returns the algorithm that the key itself names, for example `ssh-ed25519`.
    pub fn algorithm(&self) -> String {
        let length = self.blob.first_chunk().map_or(0, |length| u32::from_be_bytes(*length) as usize);
        let name = self.blob.get(4..4 + length.min(64)).unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    }

    /// Returns the fingerprint as `ssh-keygen -l` prints it: `SHA256:` and unpadded base64.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&self.blob)))
    }
}

/// What the files say about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is the host's.
    Known,
    /// The host is in no file.
    Unknown,
    /// It is not to be trusted.
    Refused(HostKeyProblem),
}

impl KnownHosts {
    /// Reads files; those that do not exist are passed over.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when one exists and cannot be read.
    pub fn read(files: &[PathBuf]) -> Result<Self, Error> {
        let mut known = Self::default();
        for file in files {
            match std::fs::read(file) {
                Ok(bytes) => known.add(&String::from_utf8_lossy(&bytes), file),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(Error::File {
                        operation: "read",
                        path: file.clone(),
                        source: Cause::from(error),
                    });
                }
            }
        }
        Ok(known)
    }

    /// Adds the lines of one file. Lines that cannot be understood are passed over, as OpenSSH does.
    pub fn add(&mut self, text: &str, file: &Path) {
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", file.display(), number + 1);
            self.entries.extend(entry(line, place));
        }
    }

    /// Returns what the files say about `key` as the key of `host` at `port`.
    ///
    /// A key that they do not hold for this port may also be the one that they hold for the host without a port, as
    /// for ssh (OpenSSH 9.2, `check_host_key`). Another one there is that of another server, and says nothing; but a
    /// key that is revoked there is not accepted, where ssh takes it for a new one.
    pub fn check(&self, host: &str, port: u16, key: &Key) -> Verdict {
        match self.check_name(&lookup_name(host, port), key) {
            Verdict::Unknown if port != 22 => match self.check_name(&lookup_name(host, 22), key) {
                Verdict::Refused(HostKeyProblem::Changed { .. }) => Verdict::Unknown,
                verdict => verdict,
            },
            verdict => verdict,
        }
    }

    fn check_name(&self, name: &str, key: &Key) -> Verdict {
        let mut expected = None;
        let mut known = false;
        for entry in self.entries.iter().filter(|entry| entry.names.match_name(name)) {
            let same = entry.key == *key;
            if entry.revoked {
                if same {
                    // Checked for all lines: a revoked key stays revoked wherever else it stands.
                    return Verdict::Refused(HostKeyProblem::Revoked {
                        algorithm: key.algorithm(),
                        fingerprint: key.fingerprint(),
                        known_at: entry.place.clone(),
                    });
                }
            } else if same {
                known = true;
            } else {
                // The message names the key of the same type, if there is one.
                let better = expected.is_none_or(|old: &Entry| old.key.algorithm() != key.algorithm());
                if better {
                    expected = Some(entry);
                }
            }
        }
        match expected {
            _ if known => Verdict::Known,
            None => Verdict::Unknown,
            Some(entry) => Verdict::Refused(HostKeyProblem::Changed {
                algorithm: key.algorithm(),
                fingerprint: key.fingerprint(),
                expected_algorithm: entry.key.algorithm(),
                expected: entry.key.fingerprint(),
                known_at: entry.place.clone(),
            }),
        }
    }

    /// Returns the host key algorithms to ask for, those of known keys first, so that a server with
    /// several keys shows the one that is known; where none is for this port, those of the host without a port.
    pub fn algorithms(&self, host: &str, port: u16) -> Vec<&'static str> {
        let held = |name: &str| -> Vec<String> {
            let entries = self.entries.iter().filter(|entry| !entry.revoked && entry.names.match_name(name));
            entries.map(|entry| entry.key.algorithm()).collect()
        };
        let mut held_here = held(&lookup_name(host, port));
        if held_here.is_empty() {
            held_here = held(&lookup_name(host, 22));
        }
        let (mut first, rest): (Vec<&(&str, &str)>, Vec<_>) =
            ALGORITHMS.iter().partition(|entry| held_here.iter().any(|held| held == entry.1));
        first.extend(rest);
        first.into_iter().map(|entry: &(&str, &str)| entry.0).collect()
    }
}

/// Signature algorithms that libssh2 speaks, in order of preference, and the type of their keys.
/// Certificates are left out: libssh2 would accept them unchecked.
const ALGORITHMS: [(&str, &str); 6] = [
    ("ssh-ed25519", "ssh-ed25519"),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"),
    ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"),
    ("ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "ssh-rsa"),
    ("rsa-sha2-256", "ssh-rsa"),
];

/// Returns the line that makes `key` known, without its line end.
pub fn line(host: &str, port: u16, key: &Key) -> String {
    format!("{} {} {}", lookup_name(host, port), key.algorithm(), STANDARD.encode(&key.blob))
}

/// Adds a line to a file and makes the file (mode 0600) and its folder (0700) when they are missing.
///
/// # Errors
///
/// [`Error::File`].
pub fn learn(file: &Path, line: &str) -> Result<(), Error> {
    use std::io::{Read as _, Seek as _, Write as _};
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

    let write = || -> std::io::Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.create(true).append(true).read(true).mode(0o600).open(file)?;
        // A last line without its end would swallow ours.
        let mut text = String::new();
        let mut last = [b'\n'];
        if file.metadata()?.len() > 0 {
            file.seek(std::io::SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        if last != [b'\n'] {
            text.push('\n');
        }
        text.push_str(line);
        text.push('\n');
        file.write_all(text.as_bytes())
    };
    write().map_err(|error| Error::File { operation: "write", path: file.to_owned(), source: error.into() })
}

/// The name that files hold: the host in lower case, with a port that is not 22 as `[host]:port`.
fn lookup_name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

fn entry(line: &str, place: String) -> Option<Entry> {
    let mut words = line.split_ascii_whitespace();
    let mut first = words.next().filter(|word| !word.starts_with('#'))?;
    let mut revoked = false;
    if first.starts_with('@') {
        if first != "@revoked" {
            return None;
        }
        revoked = true;
        first = words.next()?;
    }
    let _algorithm = words.next()?;
    let blob = STANDARD.decode(words.next()?).ok()?;
    let names = match first.strip_prefix("|1|") {
        Some(hashed) => {
            let (salt, digest) = hashed.split_once('|')?;
            Names::Hashed { salt: STANDARD.decode(salt).ok()?, digest: STANDARD.decode(digest).ok()? }
        }
        None => Names::Patterns(first.split(',').map(str::to_ascii_lowercase).collect()),
    };
    Some(Entry { revoked, names, key: Key { blob }, place })
}

impl Names {
    fn match_name(&self, name: &str) -> bool {
        match self {
            Self::Hashed { salt, digest } => {
                let mut mac = Hmac::<Sha1>::new_from_slice(salt).expect("HMAC takes keys of any length");
                mac.update(name.as_bytes());
                mac.verify_slice(digest).is_ok()
            }
            Self::Patterns(patterns) => glob::list_matches(patterns.iter().map(String::as_str), name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Two throw-away keys and the hashed form of `web1`, made with ssh-keygen.
    const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP8BAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAABAw==";

    fn key(text: &str) -> Key {
        Key { blob: STANDARD.decode(text.split_once(' ').unwrap().1).unwrap() }
    }

    fn known(text: &str) -> KnownHosts {
        let mut known = KnownHosts::default();
        known.add(text, Path::new("kh"));
        known
    }

    fn hashed(name: &str) -> String {
        let salt = [7_u8; 20];
        let mut mac = Hmac::<Sha1>::new_from_slice(&salt).unwrap();
        mac.update(name.as_bytes());
        format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(mac.finalize().into_bytes()))
    }

    #[test]
    fn lines_decide_as_openssh_does() {
        let cases = [
            (format!("web1 {ED}"), "web1", 22, "known"),
            (format!("WEB1 {ED} comment"), "web1", 22, "known"),
            (format!("web1 {ED}"), "web2", 22, "unknown"),
            (format!("web1 {ED}"), "web1", 2222, "known"),
            (format!("{} {ED}", hashed("web1")), "web1", 2222, "known"),
            (format!("web1 {OTHER}"), "web1", 2222, "unknown"),
            (format!("web1 {RSA}"), "web1", 2222, "unknown"),
            (format!("[web1]:2222 {OTHER}\nweb1 {ED}"), "web1", 2222, "changed kh:1"),
            (format!("web1 {OTHER}\n[web1]:2222 {ED}"), "web1", 2222, "known"),
            (format!("[web1]:2222 {ED}"), "web1", 22, "unknown"),
            (format!("[web1]:2222 {ED}"), "web1", 2223, "unknown"),
            (format!("@revoked web1 {ED}"), "web1", 2222, "revoked kh:1"),
            (format!("[web1]:2222 {ED}"), "web1", 2222, "known"),
            (format!("[::1]:2222 {ED}"), "::1", 2222, "known"),
            (format!("a,web1,10.0.0.1 {ED}"), "10.0.0.1", 22, "known"),
            (format!("*.example.com,!bad.example.com {ED}"), "x.example.com", 22, "known"),
            (format!("*.example.com,!bad.example.com {ED}"), "bad.example.com", 22, "unknown"),
            (format!("{} {ED}", hashed("web1")), "web1", 22, "known"),
            (format!("{} {ED}", hashed("web1")), "web2", 22, "unknown"),
            (format!("{} {ED}", hashed("[web1]:2222")), "web1", 2222, "known"),
            (format!("web1 {OTHER}"), "web1", 22, "changed kh:1"),
            (format!("# web1 {ED}\n\nweb1 {OTHER}"), "web1", 22, "changed kh:3"),
            (format!("web1 {OTHER}\nweb1 {ED}"), "web1", 22, "known"),
            (format!("web1 {RSA}\nweb1 {OTHER}"), "web1", 22, "changed kh:2"),
            (format!("web1 {RSA}"), "web1", 22, "changed kh:1"),
            (format!("web1 {ED}\n@revoked * {ED}"), "web1", 22, "revoked kh:2"),
            (format!("@revoked web1 {OTHER}\nweb1 {ED}"), "web1", 22, "known"),
            (format!("@cert-authority * {ED}"), "web1", 22, "unknown"),
            ("web1 ssh-ed25519 not*base64\nnonsense".into(), "web1", 22, "unknown"),
        ];
        for (text, host, port, expected) in cases {
            let verdict = match known(&text).check(host, port, &key(ED)) {
                Verdict::Known => "known".to_owned(),
                Verdict::Unknown => "unknown".to_owned(),
                Verdict::Refused(HostKeyProblem::Changed { known_at, .. }) => format!("changed {known_at}"),
                Verdict::Refused(HostKeyProblem::Revoked { known_at, .. }) => format!("revoked {known_at}"),
                Verdict::Refused(problem) => problem.to_string(),
            };
            assert_eq!(verdict, expected, "{text} for {host} port {port}");
        }
    }

    #[test]
    fn algorithms_of_known_keys_are_asked_for_first() {
        let known = known(&format!("web1 {RSA}\nweb2 {ED}\n@revoked web1 {ED}\n[web1]:2222 {ED}"));
        assert_eq!(known.algorithms("web1", 22)[..3], ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]);
        assert_eq!(known.algorithms("web1", 2222)[0], "ssh-ed25519");
        assert_eq!(known.algorithms("web1", 2223)[..2], ["rsa-sha2-512", "rsa-sha2-256"]);
        assert_eq!(known.algorithms("web3", 22)[0], "ssh-ed25519");
        assert_eq!(known.algorithms("web3", 22).len(), ALGORITHMS.len());
    }

    #[test]
    fn a_learnt_key_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/known_hosts");
        learn(&file, &line("Web1", 2222, &key(ED))).unwrap();
        std::fs::write(&file, std::fs::read_to_string(&file).unwrap().trim_end()).unwrap();
        learn(&file, &line("web2", 22, &key(OTHER))).unwrap();
        let known = KnownHosts::read(&[file, folder.path().join("missing")]).unwrap();
        assert_eq!(known.check("web1", 2222, &key(ED)), Verdict::Known);
        assert_eq!(known.check("web2", 22, &key(OTHER)), Verdict::Known);
    }

    #[test]
    fn fingerprints_are_those_of_ssh_keygen() {
        // ssh-keygen -lf of the ED line above.
        assert_eq!(key(ED).algorithm(), "ssh-ed25519");
        assert!(key(ED).fingerprint().starts_with("SHA256:"));
        assert_eq!(key(ED).fingerprint().len(), "SHA256:".len() + 43);
    }
}
