//! A private sshd on a loopback address with its own keys and configuration, and small servers behind it.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dfab_tunnel::ConnectOptions;
use dfab_tunnel::options::KeyFile;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

/// For what happens soon on an idle machine. Tests wait for things, and never for this long unless they
/// fail.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is so.
pub async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "still not so: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether live tests run; says so when not.
pub fn enabled(test: &str) -> bool {
    if std::env::var_os("DFAB_LIVE").is_none() {
        eprintln!("{test}: skipped, DFAB_LIVE is not set");
        return false;
    }
    if !Path::new("/usr/sbin/sshd").exists() {
        eprintln!("{test}: SKIPPED, /usr/sbin/sshd is missing (Debian package openssh-server)");
        return false;
    }
    true
}

/// A running sshd. Ends with the value.
pub struct Sshd {
    folder: TempDir,
    address: String,
    pub port: u16,
    child: Child,
}

impl Sshd {
    /// Starts one with these lines before its defaults; the first value of a keyword counts.
    pub fn start(lines: &str) -> Self {
        Self::start_with(lines, "ed25519")
    }

    pub fn start_with(lines: &str, host_key_kind: &str) -> Self {
        Self::start_at(("127.0.0.1", free_port()), lines, host_key_kind)
    }

    /// Starts one that listens on this address only.
    pub fn start_at((address, port): (&str, u16), lines: &str, host_key_kind: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("dfab-sshd").tempdir().unwrap();
        // Scratch users look for their keys here.
        set_mode(folder.path(), 0o755);
        keygen(&folder.path().join("host_key"), host_key_kind, "");
        keygen(&folder.path().join("user_key"), "ed25519", "");
        std::fs::copy(folder.path().join("user_key.pub"), folder.path().join("authorized_keys")).unwrap();
        let at = folder.path().display();
        // Bash, run by sshd, reads `~/.bashrc` unless it is told that it stands below another shell. What
        // the person who runs these tests has in there takes its time (pyenv waits up to a minute for a
        // lock that a killed login left behind), and is not what is tested. The first `SetEnv` counts.
        let lines = match lines.contains("SetEnv ") {
            true => lines.replacen("SetEnv ", "SetEnv SHLVL=9 ", 1),
            false => format!("{lines}\nSetEnv SHLVL=9"),
        };
        let config = format!(
            "{lines}\nListenAddress {address}\nPort {port}\nHostKey {at}/host_key\nPidFile none\n\
             AuthorizedKeysFile {at}/authorized_keys\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel VERBOSE\n\
             MaxStartups 200\n"
        );
        std::fs::write(folder.path().join("sshd_config"), config).unwrap();
        let mut sshd = Self { child: spawn(folder.path()), folder, address: address.to_owned(), port };
        sshd.wait_until_up();
        sshd
    }

    fn wait_until_up(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((self.address.as_str(), self.port)).is_err() {
            assert!(Instant::now() < deadline, "sshd does not start:\n{}", self.log());
            assert!(self.child.try_wait().unwrap().is_none(), "sshd ended:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts it again after it was killed, with the same keys and port.
    pub fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.child = spawn(self.folder.path());
        self.wait_until_up();
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes known_hosts with the server's key under its address and returns the file's path.
    pub fn known_hosts(&self) -> PathBuf {
        self.known_hosts_as(&self.address)
    }

    fn known_hosts_as(&self, host: &str) -> PathBuf {
        let path = self.path("known_hosts");
        let key = std::fs::read_to_string(self.path("host_key.pub")).unwrap();
        std::fs::write(&path, format!("[{host}]:{} {key}", self.port)).unwrap();
        path
    }

    /// Options that log in.
    pub fn options(&self) -> ConnectOptions {
        self.options_for(&self.address)
    }

    /// Options that log in where this name or address leads to the server.
    pub fn options_for(&self, host: &str) -> ConnectOptions {
        let mut options = ConnectOptions::new(host, whoami());
        options.port = self.port;
        options.label = "lab".into();
        options.auth.keys = vec![KeyFile::named(self.path("user_key"))];
        options.host_keys.files = vec![self.known_hosts_as(host)];
        options
    }

    /// Processes that sshd forked for connections, with their own children.
    pub fn descendants(&self) -> Vec<u32> {
        let mut found = vec![self.pid()];
        let mut at = 0;
        while at < found.len() {
            let children = format!("/proc/{0}/task/{0}/children", found[at]);
            let text = std::fs::read_to_string(children).unwrap_or_default();
            found.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
            at += 1;
        }
        found.split_off(1)
    }

    /// Sends a signal to what sshd forked, and to sshd itself.
    pub fn signal_all(&self, signal: &str) {
        for pid in self.descendants().into_iter().chain([self.pid()]) {
            let _ = Command::new("kill").arg(signal).arg(pid.to_string()).stderr(Stdio::null()).status();
        }
    }
}

fn spawn(folder: &Path) -> Child {
    if whoami() == "root" {
        std::fs::create_dir_all("/run/sshd").unwrap();
    }
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    Command::new("/usr/sbin/sshd")
        .args(["-D", "-e", "-f"])
        .arg(folder.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.signal_all("-CONT");
        self.signal_all("-KILL");
        let _ = self.child.wait();
    }
}

pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A login on this machine that lasts as long as the value. Needs root.
pub struct User {
    pub name: String,
}

impl User {
    pub const PASSWORD: &str = "correct horse";

    pub fn create(tag: &str) -> Option<Self> {
        Self::with_home(tag, Path::new("/nonexistent"))
    }

    /// One with this home directory, which is not made.
    pub fn with_home(tag: &str, home: &Path) -> Option<Self> {
        static USERS: AtomicU32 = AtomicU32::new(0);
        if whoami() != "root" || !Path::new("/usr/sbin/useradd").exists() {
            eprintln!("SKIPPED: a scratch user needs root and useradd");
            return None;
        }
        let name = format!("dfab{tag}{}", std::process::id());
        // Users of lab hosts that run meanwhile have the first numbers. Nor is the number of a user taken again that was
        // removed while its last processes were ending.
        let first = format!("UID_MIN={}", 20_000 + 50 * USERS.fetch_add(1, Ordering::Relaxed));
        let mut command = Command::new("/usr/sbin/useradd");
        command.args(["-M", "-K", &first, "-K", "UID_MAX=59999", "-s", "/bin/sh", "-d"]).arg(home).arg(&name);
        let made = command.status().unwrap();
        assert!(made.success());
        let user = Self { name };
        let mut child = Command::new("/usr/sbin/chpasswd").stdin(Stdio::piped()).spawn().unwrap();
        let line = format!("{}:{}\n", user.name, Self::PASSWORD);
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), line.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        Some(user)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // Also while its last processes are ending; accounts were left behind on busy machines.
        let _ = Command::new("/usr/sbin/userdel").args(["-f", &self.name]).stderr(Stdio::null()).status();
    }
}

pub fn keygen(path: &Path, kind: &str, passphrase: &str) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success());
}

pub fn whoami() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// A Unix socket that sends back what it gets, after a greeting line.
pub struct Echo {
    pub path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Echo {
    pub fn start(path: PathBuf, greeting: &str) -> Self {
        let listener = UnixListener::bind(&path).unwrap();
        let greeting = greeting.to_owned();
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let greeting = greeting.clone();
                tokio::spawn(async move {
                    let _ = stream.write_all(greeting.as_bytes()).await;
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                    let _ = to.shutdown().await;
                });
            }
        });
        Self { path, task }
    }

    pub fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A Unix socket that takes everything ("sink"), or sends `length` bytes of [`pattern`] after the
/// first byte it gets ("source").
pub struct Bulk {
    pub path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Bulk {
    pub fn start(path: PathBuf, length: u64) -> Self {
        let listener = UnixListener::bind(&path).unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut first = [0];
                    if stream.read_exact(&mut first).await.is_err() {
                        return;
                    }
                    match first[0] {
                        b'<' => {
                            let mut sent = 0;
                            let mut block = vec![0; 64 * 1024];
                            while sent < length {
                                let size = block.len().min((length - sent) as usize);
                                pattern(sent, &mut block[..size]);
                                if stream.write_all(&block[..size]).await.is_err() {
                                    return;
                                }
                                sent += size as u64;
                            }
                        }
                        _ => {
                            let mut block = vec![0; 64 * 1024];
                            let mut expected = vec![0; 64 * 1024];
                            let mut taken = 0;
                            let mut good = true;
                            loop {
                                match stream.read(&mut block).await {
                                    Ok(0) | Err(_) => break,
                                    Ok(size) => {
                                        pattern(taken, &mut expected[..size]);
                                        good &= block[..size] == expected[..size];
                                        taken += size as u64;
                                    }
                                }
                            }
                            let _ = stream.write_all(format!("{taken} {good}").as_bytes()).await;
                        }
                    }
                });
            }
        });
        Self { path, task }
    }

    pub fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

impl Drop for Bulk {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Options that log in through a proxy which puts a round-trip time between.
pub async fn delayed(sshd: &Sshd, round_trip: Duration) -> ConnectOptions {
    let port = delaying_proxy(sshd.port, round_trip).await;
    let mut options = sshd.options();
    let known = sshd.path("delayed_hosts");
    let key = std::fs::read_to_string(sshd.path("host_key.pub")).unwrap();
    std::fs::write(&known, format!("[127.0.0.1]:{port} {key}")).unwrap();
    options.host_keys.files = vec![known];
    options.port = port;
    options
}

/// Starts a proxy that puts a round-trip time before a port, and returns its own.
pub async fn delaying_proxy(server: u16, round_trip: Duration) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (from, _) = listener.accept().await.unwrap();
            let to = tokio::net::TcpStream::connect(("127.0.0.1", server)).await.unwrap();
            delay(from, to, round_trip / 2);
        }
    });
    port
}

/// Half a round trip each way, in order, at any speed.
fn delay(from: tokio::net::TcpStream, to: tokio::net::TcpStream, half: Duration) {
    from.set_nodelay(true).unwrap();
    to.set_nodelay(true).unwrap();
    let (from_read, from_write) = from.into_split();
    let (to_read, to_write) = to.into_split();
    let one_way = |mut read: tokio::net::tcp::OwnedReadHalf, mut write: tokio::net::tcp::OwnedWriteHalf| {
        // Holds what is under way; a test's worth of it.
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
        tokio::spawn(async move {
            let mut block = vec![0; 256 * 1024];
            while let Ok(size @ 1..) = read.read(&mut block).await {
                if sender.send((Instant::now() + half, block[..size].to_vec())).is_err() {
                    return;
                }
            }
        });
        tokio::spawn(async move {
            while let Some((due, data)) = receiver.recv().await {
                tokio::time::sleep_until(due.into()).await;
                if write.write_all(&data).await.is_err() {
                    return;
                }
            }
        });
    };
    one_way(from_read, to_write);
    one_way(to_read, from_write);
}

/// Fills a block with bytes that depend on their position, so that lost, doubled or swapped blocks
/// show.
pub fn pattern(offset: u64, block: &mut [u8]) {
    for (index, byte) in block.iter_mut().enumerate() {
        let position = offset + index as u64;
        *byte = (position ^ (position >> 8) ^ (position >> 16)) as u8;
    }
}
