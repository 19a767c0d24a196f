//! The lab as tests see it: hosts to take, to clean, and to look into.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

/// The registry's name on the hosts.
pub const REGISTRY: &str = "registry.example.com";

/// One test at a time on each host: they use the same ports and names.
static HOSTS: [Mutex<()>; 8] = [const { Mutex::new(()) }; 8];

/// A lab made by `cargo xtask lab`.
pub struct Lab {
    /// Its state folder.
    pub folder: PathBuf,
    record: Value,
}

impl Lab {
    /// Returns the lab that `DFAB_LAB` names, if it does.
    pub fn of_environment() -> Option<Lab> {
        let folder = PathBuf::from(std::env::var_os("DFAB_LAB")?);
        let text =
            fs::read_to_string(folder.join("lab.json")).expect("DFAB_LAB names the state folder of a lab");
        Some(Lab { folder, record: serde_json::from_str(&text).expect("a lab's record is JSON") })
    }

    /// Returns the number of hosts.
    pub fn host_count(&self) -> usize {
        self.record["hosts"].as_array().expect("a lab has hosts").len()
    }

    /// Returns the number of one host of each engine generation that the lab has, the oldest first.
    pub fn generations(&self) -> Vec<usize> {
        let engine = |number: usize| &self.record["hosts"][number - 1]["engine"];
        (1..=self.host_count())
            .filter(|number| (1..*number).all(|earlier| engine(earlier) != engine(*number)))
            .collect()
    }

    /// As [`Lab::generations`] with `DFAB_ALL_GENERATIONS`, else one of them: for what is slow, and differs little between them.
    pub fn some_generations(&self, choose: fn(&[usize]) -> Option<&usize>) -> Vec<usize> {
        let all = self.generations();
        if crate::thoroughly() { all } else { choose(&all).copied().into_iter().collect() }
    }

    /// Returns the path of the SSH client configuration.
    pub fn ssh_config(&self) -> PathBuf {
        self.folder.join("ssh_config")
    }

    /// Returns the path of the key that may log in.
    pub fn client_key(&self) -> PathBuf {
        self.folder.join("id_ed25519")
    }

    /// Returns the path of the hosts' keys.
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// Returns the address of a host without taking it.
    pub fn address(&self, number: usize) -> String {
        self.machine(number)["address"].as_str().expect("a machine has an address").to_owned()
    }

    /// Takes `hostNUMBER` for the calling test, and removes what earlier tests left on it.
    ///
    /// Several hosts must be taken in ascending order, so that two tests never wait for each other.
    pub fn take(&self, number: usize) -> Host<'_> {
        // A test that failed while it held the host does not matter to the next one: it cleans up first.
        let guard = HOSTS[number].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let machine = self.machine(number);
        let host = Host {
            name: format!("host{number}"),
            address: self.address(number),
            engine: self.record["hosts"][number - 1]["engine"]
                .as_str()
                .expect("a host has an engine")
                .to_owned(),
            folder: machine["folder"].as_str().expect("a machine has a folder").into(),
            pid: machine["init"]["pid"].as_i64().expect("a machine has a process"),
            lab: self,
            link: format!("{}-{number}", self.record["id"].as_str().expect("a lab has an ID")),
            _guard: guard,
        };
        host.clean();
        host
    }

    /// Takes the host without Docker for the calling test, where the lab has one (`lab up --bare`), and removes what
    /// earlier tests have installed on it.
    pub fn bare(&self) -> Option<Bare> {
        static TAKEN: Mutex<()> = Mutex::new(());
        let machine = self.record.get("bare").filter(|machine| !machine.is_null())?;
        let guard = TAKEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let bare =
            Bare { pid: machine["init"]["pid"].as_i64().expect("a machine has a process"), _guard: guard };
        bare.clean();
        Some(bare)
    }

    fn machine(&self, number: usize) -> &Value {
        &self.record["hosts"][number - 1]["machine"]
    }
}

/// The Debian host without Docker and socat, which one test has for itself. Its name in the lab's SSH configuration is
/// `bare`.
pub struct Bare {
    pid: i64,
    _guard: MutexGuard<'static, ()>,
}

impl Bare {
    /// Runs a shell script on the host as root and returns its output without the last line break.
    ///
    /// # Panics
    ///
    /// When the script fails.
    pub fn run(&self, script: &str) -> String {
        let output = enter(self.pid, script).stdin(Stdio::null()).output().expect("`nsenter` starts");
        assert!(
            output.status.success(),
            "on bare, `{script}` failed ({}):\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn clean(&self) {
        self.run(
            "if command -v docker >/dev/null; then
                 docker ps -aq 2>/dev/null | xargs -r docker rm -f -v >/dev/null
                 docker images -q 2>/dev/null | xargs -r docker rmi -f >/dev/null
                 service docker stop >/dev/null 2>&1 || true
                 n=0
                 while grep -qsx dockerd /proc/[0-9]*/comm && [ $n -lt 200 ]; do n=$((n+1)); sleep 0.1; done
             fi
             cp /etc/docker/daemon.json /etc/default/docker /tmp/
             # One by one: apt refuses all where it does not know one.
             for package in docker.io containerd runc socat gcc make curl; do
                 ! command -v ${package%.io} >/dev/null ||
                     DEBIAN_FRONTEND=noninteractive apt-get -y -qq remove $package >/dev/null
             done
             mkdir -p /etc/docker && cp /tmp/daemon.json /etc/docker/ && cp /tmp/docker /etc/default/docker
             gpasswd -d deploy docker >/dev/null 2>&1 || true
             # The package is removed, not purged, and makes its group at its first installation only.
             [ ! -e /var/lib/dpkg/info/docker.io.list ] || getent group docker >/dev/null || groupadd --system docker
             rm -rf /usr/local/bin/* /var/run/docker.sock /tmp/* /var/lib/apt/lists/*
             echo 'deploy ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/lab",
        );
    }
}

/// Returns a command that runs a shell script in the namespaces of a machine.
fn enter(pid: i64, script: &str) -> Command {
    let mut command = Command::new("nsenter");
    command
        .args(["--target", &pid.to_string(), "--mount", "--uts", "--ipc", "--net", "--pid", "--wd=/", "--"])
        .args([
            "env",
            "-i",
            "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "sh",
            "-c",
            script,
        ]);
    command
}

/// A Docker host that one test has for itself.
pub struct Host<'a> {
    /// Its name, such as `host1`; also its name in the lab's SSH configuration.
    pub name: String,
    /// Its IPv4 address.
    pub address: String,
    /// Its engine's generation, such as `20.10`.
    pub engine: String,
    /// Its lab.
    pub lab: &'a Lab,
    /// Its network link as seen from this machine.
    pub link: String,
    folder: PathBuf,
    pid: i64,
    _guard: MutexGuard<'static, ()>,
}

impl Host<'_> {
    /// Runs a shell script on the host as root and returns its output without the last line break.
    ///
    /// # Panics
    ///
    /// When the script fails.
    pub fn run(&self, script: &str) -> String {
        let output = self.command(script).stdin(Stdio::null()).output().expect("`nsenter` starts");
        assert!(
            output.status.success(),
            "on {}, `{script}` failed ({}):\n{}",
            self.name,
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn command(&self, script: &str) -> Command {
        enter(self.pid, script)
    }

    /// Listens on a free port of the host's own loopback address.
    ///
    /// # Panics
    ///
    /// When the host's network cannot be entered.
    pub fn listen(&self) -> TcpListener {
        let network = fs::File::open(format!("/proc/{}/ns/net", self.pid)).expect("the host runs");
        // A socket stays in the network in which its thread was when it was made, and the thread ends with it.
        let bound = std::thread::spawn(move || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
            TcpListener::bind(("127.0.0.1", 0))
        });
        bound.join().expect("binding does not panic").expect("root may enter a network")
    }

    /// Removes containers, volumes, own networks and all images but busybox.
    pub fn clean(&self) {
        self.run(
            "[ ! -e /run/docker.sock.away ] || mv /run/docker.sock.away /run/docker.sock
             docker ps -aq | xargs -r docker rm -f -v
             docker volume ls -q | xargs -r docker volume rm -f
             docker network ls -q --filter type=custom | xargs -r docker network rm
             docker images --format '{{.Repository}}:{{.Tag}}' | grep -v '^busybox:' | xargs -r docker rmi -f
             docker images -q --filter dangling=true | xargs -r docker rmi -f
             rm -rf /tmp/* /tmp/.[!.]* /var/lib/site /home/deploy/.docker",
        );
    }

    /// Puts the example's files to `/var/lib/site`.
    pub fn install_site(&self) {
        let site = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/example_map/site");
        let tar = Command::new("tar")
            .arg("-C")
            .arg(&site)
            .args(["--owner=0", "--group=0", "-cf", "-", "."])
            .output();
        let tar = tar.expect("`tar` starts").stdout;
        let mut child = self
            .command(
                "mkdir -p /var/lib/site && tar -C /var/lib/site -xf - && chmod -R u=rwX,go=rX /var/lib/site &&
                 install -d -o 2000 -g 2000 /var/lib/site/data/app /var/lib/site/data/app1 /var/lib/site/data/app2",
            )
            .stdin(Stdio::piped())
            .spawn()
            .expect("`nsenter` starts");
        child.stdin.take().expect("it is a pipe").write_all(&tar).expect("the host takes the files");
        assert!(
            child.wait().expect("`nsenter` ends").success(),
            "the example's files could not be installed"
        );
    }

    /// Takes a version of the example's application in as `registry.example.com/app:latest`.
    pub fn import_app(&self, version: &str) -> String {
        let file = self.lab.folder.join(format!("../cache/images/app-{version}.tar"));
        let tar = fs::File::open(&file).expect("the lab keeps its images");
        let script = format!("docker import --change 'CMD [\"/bin/app\"]' - {REGISTRY}/app:latest");
        let output = self.command(&script).stdin(Stdio::from(tar)).output().expect("`nsenter` starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Returns a field of a container, written as a Go template, or `None` when there is no such container.
    pub fn container(&self, name: &str, template: &str) -> Option<String> {
        let script =
            format!("docker inspect --type=container --format '{template}' {name} 2>/dev/null || true");
        Some(self.run(&script)).filter(|text| !text.is_empty())
    }

    /// Returns the ID of a container that exists.
    pub fn container_id(&self, name: &str) -> String {
        self.container(name, "{{.Id}}").unwrap_or_else(|| panic!("`{name}` does not exist on {}", self.name))
    }

    /// Returns the names of all containers, sorted.
    pub fn containers(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.run("docker ps -a --format '{{.Names}}'").lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Returns all that a run could have left behind: processes of `deploy`'s sessions, socat, temporary files, and
    /// containers that are not of a map.
    pub fn leftovers(&self) -> Vec<String> {
        let text = self.run(
            "pgrep -a socat || true
             pgrep -a -f '[s]shd: (deploy|guest)' || true
             pgrep -a -f '[d]ial-stdio' || true
             find /tmp /home/deploy /home/guest -mindepth 1 ! -name '.bash*' ! -name .profile
             docker ps -a --format 'container {{.Names}} {{.Command}}' | grep -v '^container [a-z0-9]*_map\\.' || true",
        );
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until nothing is left behind: sshd needs a moment to see that a client is gone.
    ///
    /// # Panics
    ///
    /// When something is still there after thirty seconds.
    pub fn expect_no_leftovers(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let left = self.leftovers();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left on {}:\n{}", self.name, left.join("\n"));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Marks the end of what sshd has logged; [`Logins::lines`] tells what came later.
    pub fn logins(&self) -> Logins {
        Logins {
            log: self.folder.join("sshd.log"),
            seen: fs::metadata(self.folder.join("sshd.log")).unwrap().len(),
        }
    }

    /// Returns what `GET /` answers on port 80, trying for ten seconds.
    pub fn ask(&self) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match self.ask_once() {
                Ok(answer) if answer.starts_with("HTTP/1.1 200") => {
                    return answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim_end().to_owned();
                }
                answer => assert!(
                    Instant::now() < deadline,
                    "the web server on {} does not answer: {answer:?}\n{}",
                    self.name,
                    self.run(
                        "docker ps -a; for c in $(docker ps -aq); do docker logs --tail 5 $c 2>&1; done"
                    )
                ),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn ask_once(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect((self.address.as_str(), 80))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET / HTTP/1.0\r\nHost: example\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Returns the `DOCKER_HOST` by which a program on this machine reaches the engine without SSH.
    pub fn docker_host(&self) -> String {
        format!("unix:///proc/{}/root/run/docker.sock", self.pid)
    }
}

/// A point in sshd's log.
pub struct Logins {
    log: PathBuf,
    seen: u64,
}

impl Logins {
    /// Returns the lines that sshd wrote since.
    pub fn lines(&self) -> Vec<String> {
        let text = fs::read(&self.log).expect("sshd has a log");
        let new = &text[usize::try_from(self.seen).expect("logs are small")..];
        String::from_utf8_lossy(new).lines().map(str::to_owned).collect()
    }

    /// Returns how many connections were opened since, whether or not a login followed.
    pub fn connections(&self) -> usize {
        self.lines().iter().filter(|line| line.starts_with("Connection from ")).count()
    }

    /// Returns how many logins succeeded since.
    pub fn accepted(&self) -> usize {
        // `Accepted key …` only says that a key would do.
        self.lines().iter().filter(|line| line.starts_with("Accepted ") && line.contains(" for ")).count()
    }
}
