//! `docker.save_image` and `docker.load_image`: from one engine to another, with one checksum.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use dfab_tests::{Host, Project, lab_or_skip};

fn sha256(project: &Project, file: &str) -> String {
    let output =
        Command::new("sha256sum").arg(project.path().join(file)).output().expect("`sha256sum` starts");
    String::from_utf8_lossy(&output.stdout).split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn an_image_goes_from_one_engine_to_another_and_half_of_one_is_refused() {
    let lab = lab_or_skip!();
    let project = Project::new(&[]);
    let image = "transfer-test:1";
    let from = lab.take(1);
    let content = "c=$(docker create busybox true); head -c 20000000 /dev/urandom >/tmp/content; docker cp /tmp/content $c:/content";
    from.run(&format!("{content}; docker commit $c {image}; docker rm $c; rm /tmp/content"));
    let id = from.run(&format!("docker inspect --format '{{{{.Id}}}}' {image}"));
    let newest = lab.generations().into_iter().last().unwrap_or(1);
    for (number, file) in [(1, "image.tar"), (newest, "image.tar.gz")] {
        let saved =
            project.dfab_in(&lab, &["-H", "host1", "docker.save_image", image, file]).run().expect_code(0);
        let sum = sha256(&project, file);
        assert!(saved.stdout.contains(&format!("sha256 {sum}")), "{saved}");
        let is_gzip = fs::read(project.path().join(file)).expect("it was saved").starts_with(&[0x1f, 0x8b]);
        assert_eq!(is_gzip, file.ends_with(".gz"), "{file}");

        let other = (number != 1).then(|| lab.take(number));
        let host = other.as_ref().unwrap_or(&from);
        host.run(&format!("docker rmi {image} 2>/dev/null || true"));
        let load = |file: &str| project.dfab_in(&lab, &["-H", &host.name, "docker.load_image", file]).run();
        let loaded = load(file).expect_code(0);
        assert!(loaded.stdout.contains(&format!("sha256 {sum}")), "{loaded}");
        assert_eq!(
            host.run(&format!("docker inspect --format '{{{{.Id}}}}' {image}")),
            id,
            "{}",
            host.engine
        );

        host.run(&format!("docker rmi {image}"));
        let half = fs::read(project.path().join(file)).expect("it was saved");
        fs::write(project.path().join("half"), &half[..half.len() / 2]).expect("a file can be written");
        load("half").expect_code(1).expect_error(&["of `half` were sent", "run the task again"]);
        if number == 1 {
            from.run(&format!("docker images -q {image} | grep . && exit 1 || true"));
            load(file).expect_code(0);
        }
    }
    let names = fs::read_dir(project.path()).expect("the folder is there");
    let mut names: Vec<_> = names.filter_map(|name| name.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    assert_eq!(names, ["half", "image.tar", "image.tar.gz"], "nothing else is left");
    // An image that is not there leaves no file.
    let absent = ["-H", "host1", "docker.save_image", "no-such-image:1", "absent.tar"];
    project.dfab_in(&lab, &absent).run().expect_code(1).expect_error(&["no-such-image"]);
    assert!(!project.path().join("absent.tar").exists());
}

/// Opens a port of this machine that leads to a host's sshd, with so many bytes a second each way.
fn slow_port(host: &Host<'_>, bytes_per_second: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let sshd = (host.address.clone(), 22);
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let Ok(far) = TcpStream::connect(&sshd) else { return };
            let pairs = [(near.try_clone(), far.try_clone()), (Ok(far), Ok(near))];
            for (from, to) in pairs {
                let (from, to) = (from.expect("a socket has copies"), to.expect("a socket has copies"));
                std::thread::spawn(move || carry(from, to, bytes_per_second));
            }
        }
    });
    port
}

fn carry(mut from: TcpStream, mut to: TcpStream, bytes_per_second: usize) {
    let mut block = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut block) {
        if to.write_all(&block[..length]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_secs_f64(length as f64 / bytes_per_second as f64));
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// An image of 8 MB that compresses well goes over 2 MB a second in much less than it would as it is; how it is
/// stored does not matter to that, and it arrives as it was.
#[test]
fn on_a_slow_link_an_image_travels_compressed() {
    let lab = lab_or_skip!();
    let image = "slow-test:1";
    let generations = lab.generations();
    let (Some(first), Some(last)) = (generations.first(), generations.last()) else { return };
    for number in [*first, *last] {
        let host = lab.take(number);
        let content = "c=$(docker create busybox true); seq 1200000 | head -c 8000000 >/tmp/content; docker cp /tmp/content $c:/content";
        host.run(&format!("{content}; docker commit $c {image}; docker rm $c; rm /tmp/content"));
        let id = host.run(&format!("docker inspect --format '{{{{.Id}}}}' {image}"));
        let port = slow_port(&host, 2 << 20);
        let project = Project::new(&[]);
        let keys = fs::read_to_string(lab.known_hosts()).expect("the lab has host keys");
        let key = keys.lines().find_map(|line| line.strip_prefix(&format!("{} ", host.address)));
        let file = |name: &str| project.path().join(name).display().to_string();
        fs::write(file("known"), format!("[127.0.0.1]:{port} {}\n", key.expect("its key is known"))).unwrap();
        let config = format!(
            "Host slow\n  HostName 127.0.0.1\n  Port {port}\n  User deploy\n  IdentityFile {}\n  IdentitiesOnly yes\n  \
             UserKnownHostsFile {}\n  StrictHostKeyChecking yes\n",
            lab.client_key().display(),
            file("known")
        );
        fs::write(file("config"), config).unwrap();
        let dfab = |words: &[&str]| {
            let start = ["--ssh-config-path", "config", "-H", "slow"];
            project.dfab(&[&start, words].concat()).run().expect_code(0)
        };
        for stored in ["a.tar", "a.tar.gz", "a.tar.zst"] {
            let saved = dfab(&["docker.save_image", image, stored]);
            assert!(saved.stdout.contains(&format!("sha256 {}", sha256(&project, stored))), "{saved}");
            // Where the host has no zstd it is gzip.
            let sent = ["sent as zstd", "sent as gzip"].iter().any(|sent| saved.stdout.contains(sent));
            assert!(sent, "{} {stored}: {saved}", host.engine);
            host.run(&format!("docker rmi {image}"));
            let loaded = dfab(&["docker.load_image", stored, "--timeout", "300"]);
            assert_eq!(host.run(&format!("docker inspect --format '{{{{.Id}}}}' {image}")), id, "{stored}");
            // An engine that does not read zstd gets gzip; what it reads is not packed once more.
            let old = host.engine == "20.10";
            let expected = match (stored, old) {
                ("a.tar", true) | ("a.tar.zst", true) => Some("sent as gzip"),
                ("a.tar", false) => Some("sent as zstd"),
                _ => None,
            };
            match expected {
                Some(expected) => {
                    assert!(loaded.stdout.contains(expected), "{} {stored}: {loaded}", host.engine)
                }
                None => assert!(!loaded.stdout.contains("sent"), "{} {stored}: {loaded}", host.engine),
            }
        }
    }
}
