//! A host that is named by its IPv6 address, wherever a host may be named, and an engine at one.

use std::fs;
use std::net::Ipv6Addr;
use std::process::{Command, Stdio};

use dfab_tests::{Host, Lab, Outcome, Project, lab_or_skip};

/// IPv6 between this machine and a host of the lab, which has only IPv4 by itself. A kernel without IPv6 fails the test.
struct Network<'a> {
    host: &'a Host<'a>,
    /// The host's address.
    address: String,
    /// The lab's bridge, and this machine's address on it.
    bridge: (String, String),
}

impl<'a> Network<'a> {
    fn make(host: &'a Host<'a>) -> Self {
        // 10.199.N.M -> fd19:9000:N::M, so that labs side by side have ranges of their own.
        let numbers: Vec<u8> =
            host.address.split('.').map(|number| number.parse().expect("an IPv4 address")).collect();
        // As OpenSSH and doctor write it, which leave out a zero at `N`.
        let address =
            |last: u8| Ipv6Addr::new(0xfd19, 0x9000, numbers[2].into(), 0, 0, 0, 0, last.into()).to_string();
        let bridge = host.link.rsplit_once('-').expect("links are named after their lab").0.to_owned();
        let network = Self { host, address: address(numbers[3]), bridge: (bridge, address(1)) };
        network.set("replace", Stdio::inherit());
        network
    }

    /// Runs `ip address OPERATION` for both ends.
    fn set(&self, operation: &str, errors: Stdio) {
        let line = |device: &str, address: &str| {
            // Duplicates cannot be: `nodad`, so that the address serves at once.
            let operation = if operation == "replace" { "replace nodad" } else { operation };
            format!(
                "file=/proc/sys/net/ipv6/conf/{device}/disable_ipv6
                 [ \"$(cat $file)\" = 0 ] || echo 0 >$file
                 ip -6 address {operation} {address}/64 dev {device}"
            )
        };
        let (bridge, ours) = &self.bridge;
        let status = Command::new("sh").args(["-c", &line(bridge, ours)]).stderr(errors).status();
        if !std::thread::panicking() {
            assert!(status.expect("`sh` starts").success(), "this machine gives `{bridge}` no IPv6 address");
            self.host.run(&line("eth0", &self.address));
        }
    }
}

impl Drop for Network<'_> {
    fn drop(&mut self) {
        self.set("delete", Stdio::null());
    }
}

/// Runs a call that knows the host's keys by IPv6 only.
fn call(project: &Project, words: &[&str]) -> Outcome {
    project.dfab(&[&["--ssh-config-path", "ssh_config"], words].concat()).run()
}

/// A project whose SSH configuration names the lab's key and user, and no host.
fn project(lab: &Lab) -> Project {
    let project = Project::new(&[]);
    let text = format!(
        "Host *\n User deploy\n IdentityFile {}\n IdentitiesOnly yes\n UserKnownHostsFile {}\n",
        lab.client_key().display(),
        project.path().join("known").display()
    );
    fs::write(project.path().join("ssh_config"), text).expect("a file can be written");
    project
}

#[test]
fn a_host_is_named_by_its_ipv6_address_everywhere() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let network = Network::make(&host);
    let address = &network.address;
    let project = project(&lab);
    let known = || fs::read_to_string(project.path().join("known")).unwrap_or_default();
    let (with_port, login) = (format!("[{address}]:2222"), format!("deploy@[{address}]:2222"));

    // Keys are unknown, refused, accepted, and known by the name that OpenSSH gives them.
    let refused = call(&project, &["-H", &login, "docker.version"]).expect_code(1);
    refused.expect_error(&[&format!("`{login}` is not known"), &format!("ssh-keyscan -p 2222 {address}")]);
    call(&project, &["-H", &login, "--accept-new", "docker.version"]).expect_code(0);
    assert!(known().starts_with(&format!("{with_port} ssh-ed25519 ")), "{}", known());
    call(&project, &["-H", &login, "docker.version"]).expect_code(0);
    call(&project, &["-H", address, "--accept-new", "docker.version"]).expect_code(0);
    let lines = known();
    assert!(lines.lines().nth(1).is_some_and(|line| line.starts_with(&format!("{address} "))), "{lines}");

    // All places where hosts are named.
    let file = format!(
        "hosts: ['{address}']\nroles: {{six: ['deploy@[{address}]']}}\nmaps: {{six_map: map.yaml}}\n\
         clients: {{there: {{fabric_host: '{with_port}'}}}}\n"
    );
    fs::write(project.path().join("dfab.yaml"), file).unwrap();
    fs::write(
        project.path().join("map.yaml"),
        "name: six_map\nclients: [there]\napp: {image: busybox, create_options: {command: sleep 600}}\n",
    )
    .unwrap();
    let bracketed = format!("[{address}]");
    for words in [
        &["docker.version"][..],
        &["-R", "six", "docker.version"],
        &["-H", &bracketed, "docker.version"],
        &["actions.startup", "six_map", "app"],
        // A host in front of itself: the way there is one of IPv6 addresses only.
        &["-g", &with_port, "docker.version"],
    ] {
        let logins = host.logins();
        let outcome = call(&project, words).expect_code(0);
        let lines = logins.lines();
        let hops = if words[0] == "-g" { 2 } else { 1 };
        assert_eq!(logins.accepted(), hops, "{words:?}: {lines:?}\n{outcome}");
        let came = |line: &&String| line.starts_with("Connection from fd19:9000:");
        assert_eq!(lines.iter().filter(came).count(), hops, "{words:?}: {lines:?}");
    }
    host.run("docker rm -f six_map.app");

    let doctor = call(&project, &["--output=json", "doctor"]).expect_code(0).json();
    let evidence = |name: &str| {
        let mut rows = doctor["rows"].as_array().unwrap().iter();
        rows.find(|row| row["check"] == name).unwrap()["evidence"].as_str().unwrap().to_owned()
    };
    assert_eq!(evidence("dns"), format!("{address} is an address"));
    assert_eq!(evidence("tcp"), format!("[{address}]:22"));

    // Nobody listens there; and what is no port is not passed over.
    let dead = format!("[{address}]:2");
    let outcome = call(&project, &["-H", &dead, "docker.version"]).expect_code(1);
    outcome.expect_error(&[
        &format!("cannot connect to `{dead}` on port 2"),
        &format!("{address}: Connection refused"),
    ]);
    let outcome = call(&project, &["-H", &format!("[{address}]22"), "docker.version"]).expect_code(2);
    outcome.expect_error(&["only `:` and a port may follow the bracket"]);
    host.expect_no_leftovers();
}

/// An engine's second door, at `[::1]:2375` on its host; shut with this value.
struct Door<'a>(&'a Host<'a>);

impl<'a> Door<'a> {
    fn open(host: &'a Host<'a>) -> Self {
        // A caller that has nothing more to say may wait long for an answer, which socat would not by itself.
        host.run(
            "setsid socat -t 600 TCP6-LISTEN:2375,bind=[::1],fork,reuseaddr UNIX-CONNECT:/var/run/docker.sock \
             >/dev/null 2>&1 </dev/null & echo $! >/run/door.pid
             while ! ss -ltn | grep -q '::1.:2375'; do kill -0 $(cat /run/door.pid); sleep 0.1; done",
        );
        Self(host)
    }
}

impl Drop for Door<'_> {
    fn drop(&mut self) {
        // Also when the test has failed: the next one looks for what was left behind.
        let shut = std::panic::AssertUnwindSafe(|| self.0.run("kill $(cat /run/door.pid)"));
        drop(std::panic::catch_unwind(shut));
    }
}

/// An engine that listens at an IPv6 address behind a host, for `dfab` and, by a local port, for the `docker` program.
#[test]
fn an_engine_at_an_ipv6_address_is_forwarded_to() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let door = Door::open(&host);
    let port = crate::tunnel::free_ports(1);
    let file = format!(
        "env:\n  docker_base_url: tcp://[::1]:2375\n  docker_tunnel_local_port: {port}\ntasks:\n  both:\n    \
         - docker.version\n    - local: /usr/bin/docker -H tcp://127.0.0.1:{port} run --rm busybox echo 'by the port'\n"
    );
    let project = Project::new(&[("dfab.yaml", &file)]);
    let outcome = project.dfab_in(&lab, &["-H", "host1", "both"]).run().expect_code(0);
    assert!(outcome.stdout.contains("[localhost] out: by the port"), "{outcome}");

    drop(door);
    let outcome = project.dfab_in(&lab, &["-H", "host1", "docker.version"]).run().expect_code(1);
    outcome.expect_error(&["cannot reach `[::1]:2375` from `host1`"]);
    host.expect_no_leftovers();
}
