//! Scripts, run by a real `sh`.

use super::*;
use crate::command::{self, Kind};
use crate::fake::{Fake, Reply};
use crate::frame::Finished;
use crate::host::Host;
use crate::options::TlsFlags;
use dfab_map::image::ImageName;
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, Properties};
use dfab_tunnel::Secret;
use std::sync::Arc;
use std::time::Duration;

fn command(words: &[&str]) -> Command {
    let words = words.iter().map(|&word| word.to_owned()).collect();
    Command { words, kind: Kind::Action, ..command::version() }
}

/// Runs commands with `binary` in place of `docker` and returns the results in order.
async fn run(fake: &Fake, options: CliOptions, commands: &[Command]) -> Vec<Finished> {
    let host = Host::new(Arc::new(fake.shell()), options);
    let mut results = vec![None; commands.len()];
    let commands: Vec<&Command> = commands.iter().collect();
    host.batch(&commands, |index, finished| results[index] = Some(finished)).await.unwrap();
    fake.assert_tidy();
    results.into_iter().map(|result| result.expect("every command has a result")).collect()
}

fn program(binary: &str) -> CliOptions {
    CliOptions { binary: binary.to_owned(), ..CliOptions::default() }
}

#[tokio::test]
async fn arguments_arrive_unharmed() {
    let fake = Fake::new(&[]);
    let words = [
        "plain",
        "",
        "a b",
        "it's",
        "\"quoted\"",
        "$HOME",
        "`id`",
        "$(id)",
        "\\",
        "\\n",
        "a\nb",
        "\n",
        "-n",
        "--",
        "-",
        "*",
        "?",
        "[a]",
        "~",
        "!",
        "#",
        ";",
        "&",
        "|",
        "<x",
        ">y",
        "(",
        "{a,b}",
        "ä€𝄞",
        "\u{1}\u{7f}",
        "\t",
        "'",
        "''",
        "%s%n",
        "A=1",
        "$1",
        "$@",
        "\r\n",
    ];
    let commands: Vec<Command> = [command(&words), command(&["second"])].into();
    run(&fake, CliOptions::default(), &commands).await;
    let mut expected = vec![words.map(str::to_owned).to_vec(), vec!["second".to_owned()]];
    expected.sort();
    assert_eq!(fake.calls(), expected);
}

#[tokio::test]
async fn results_are_what_was_written_byte_for_byte() {
    let hostile: Vec<u8> =
        [b"0 0 0 0\nend\n1 0 5 5\n".as_slice(), b"\0\xff\xfe\r\n\n", &[b'x'; 100_000]].concat();
    let fake = Fake::new(&[
        Reply { args: "a", stdout: &hostile, stderr: "end\n0 0 0 0\n", status: 3, ..Reply::default() },
        Reply { args: "b", ..Reply::default() },
        Reply { args: "c", stdout: b"no line break", status: 255, ..Reply::default() },
    ]);
    let results =
        run(&fake, CliOptions::default(), &[command(&["a"]), command(&["b"]), command(&["c"])]).await;
    let finished = |status: i32, stdout: &[u8], stderr: &[u8]| Finished {
        status,
        stdout: stdout.to_vec(),
        stderr: stderr.to_vec(),
    };
    assert_eq!(results[0], finished(3, &hostile, b"end\n0 0 0 0\n"));
    assert_eq!(results[1], finished(0, b"", b""));
    assert_eq!(results[2], finished(255, b"no line break", b""));
}

#[tokio::test]
async fn a_missing_program_is_the_status_of_that_command_alone() {
    let fake = Fake::new(&[]);
    let results = run(&fake, program("/nowhere/docker"), &[command(&["a"]), command(&["b"])]).await;
    assert_eq!([results[0].status, results[1].status], [127, 127]);
}

#[tokio::test]
async fn short_commands_take_turns_and_long_ones_do_not_wait() {
    // Each call notes how many run at the same time.
    let script =
        "touch \"$here/tmp/run.$$\"; ls \"$here/tmp\" | grep -c run; sleep 0.2; rm \"$here/tmp/run.$$\"\n";
    let fake = Fake::new(&[Reply { args: "x", script, ..Reply::default() }]);
    let options = CliOptions { processes: 2, ..CliOptions::default() };
    let results = run(&fake, options.clone(), &vec![command(&["x"]); 6]).await;
    let most = |results: &[Finished]| {
        results
            .iter()
            .map(|result| String::from_utf8_lossy(&result.stdout).trim().parse::<u32>().unwrap())
            .max()
    };
    assert_eq!(most(&results), Some(2));
    let results = run(&fake, options, &vec![command(&["x"]).long(); 6]).await;
    assert!(most(&results) > Some(2), "{results:?}");
}

#[tokio::test]
async fn a_quick_command_does_not_wait_for_a_slow_one() {
    let fake = Fake::new(&[
        Reply { args: "slow", script: "sleep 1\n", ..Reply::default() },
        Reply { args: "quick", ..Reply::default() },
    ]);
    let host = Host::new(Arc::new(fake.shell()), CliOptions::default());
    let (slow, quick) = (command(&["slow"]).long(), command(&["quick"]));
    let start = std::time::Instant::now();
    let mut times = [None; 2];
    host.batch(&[&slow, &quick], |index, _| times[index] = Some(start.elapsed())).await.unwrap();
    let [slow, quick] = times.map(|time| time.expect("both have ended"));
    assert!(slow.as_millis() >= 1000 && quick.as_millis() < 900, "{slow:?} {quick:?}");
}

#[tokio::test]
async fn a_short_command_that_hangs_is_given_up_and_a_long_one_is_not() {
    let fake = Fake::new(&[
        Reply { args: "hangs", script: "sleep 30\n", ..Reply::default() },
        Reply { args: "slow", script: "sleep 3\n", stdout: b"done", ..Reply::default() },
    ]);
    let options = CliOptions { limit: Some(Duration::from_secs(2)), ..CliOptions::default() };
    let batches = crate::batch::Batches::new(Arc::new(Host::new(Arc::new(fake.shell()), options)));
    let (hangs, slow) =
        tokio::join!(batches.run(command(&["hangs"])), batches.run(command(&["slow"]).long()));
    assert_eq!(slow.unwrap().stdout, b"done");
    let error = hangs.unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.starts_with("timed out after 2 s waiting for the `docker` program to "), "{error}: {why}");
}

#[tokio::test]
async fn the_second_command_gets_what_the_first_one_prints() {
    let fake = Fake::new(&[
        Reply { args: "ls", stdout: b"a\nb*\n", ..Reply::default() },
        Reply { args: "inspect --x a b*", stdout: b"[1]", ..Reply::default() },
        Reply { args: "none", ..Reply::default() },
        Reply { args: "broken", stdout: b"a", stderr: "no engine", status: 1, ..Reply::default() },
    ]);
    let then =
        |first: &str| Command { then: Some(vec!["inspect".into(), "--x".into()]), ..command(&[first]) };
    let results = run(&fake, CliOptions::default(), &[then("ls"), then("none"), then("broken")]).await;
    assert_eq!(results[0].stdout, b"[1]");
    assert_eq!((results[1].status, results[1].stdout.len()), (0, 0));
    assert_eq!((results[2].status, results[2].stderr.as_slice()), (1, b"no engine".as_slice()));
    assert_eq!(fake.calls().len(), 4);
}

#[tokio::test]
async fn merged_output_is_in_the_order_of_writing() {
    let script = "echo 1; echo 2 >&2; echo 3\n";
    let fake = Fake::new(&[Reply { args: "logs", script, ..Reply::default() }]);
    let results = run(&fake, CliOptions::default(), &[Command { merged: true, ..command(&["logs"]) }]).await;
    assert_eq!(
        (results[0].stdout.as_slice(), results[0].stderr.as_slice()),
        (b"1\n2\n3\n".as_slice(), b"".as_slice())
    );
}

#[tokio::test]
async fn secrets_go_to_standard_input_only() {
    let password = "hunter2 'quoted' $HOME `id` \\ €";
    let fake = Fake::new(&[Reply {
        args: "login --username=u --password-stdin reg",
        reads_input: true,
        ..Reply::default()
    }]);
    let login = command::login(Some("reg"), "u", &Secret::new(password)).unwrap();
    let results = run(&fake, CliOptions::default(), std::slice::from_ref(&login)).await;
    assert_eq!(results[0].status, 0, "{results:?}");
    assert_eq!(fake.input(0), password);
    assert!(fake.calls().iter().flatten().all(|word| !word.contains("hunter2")));
}

/// A value that a shell could take for anything.
const ODD: &str = " hunter2 'quoted' \"x\" $HOME `id` $(id) \\ \\n %s ä€ # = !\t";

#[tokio::test]
async fn values_of_variables_arrive_unharmed_and_on_no_command_line() {
    let key = format!("-----BEGIN-----\n{ODD}\n\n-----END-----\n");
    let variables =
        serde_json::json!([format!("A={ODD}"), "PATH=/none", format!("TLS_KEY={key}"), "SECOND=\n", "B="]);
    let spec = ContainerSpec {
        name: "c".into(),
        image: ImageName::expand("image", None, None).unwrap(),
        properties: Properties::from([(Property::Environment, variables)]),
        first_endpoint: None,
        own_labels: Default::default(),
    };
    let create = command::create(&spec, (28, 0)).unwrap();
    for sudo in [Sudo::No, Sudo::Yes, Sudo::WithPassword(Secret::new("se cret"))] {
        let fake = Fake::new(&[
            Reply {
                args: "create --name=c --env-file=/dev/stdin --env=TLS_KEY --env=SECOND image:latest",
                script: "cat /dev/stdin\nprintf '%s|' \"$TLS_KEY\" \"$SECOND\"\n",
                ..Reply::default()
            },
            Reply { args: "next", script: "printf '%s' \"${TLS_KEY-unset}\"\n", ..Reply::default() },
        ]);
        fake.program("sudo", SUDO);
        if sudo == Sudo::Yes {
            std::fs::write(fake.path("nopasswd"), "").unwrap();
        }
        let options = CliOptions { sudo: sudo.clone(), processes: 1, ..CliOptions::default() };
        let results = run(&fake, options, &[create.clone(), command(&["next"])]).await;
        let expected = format!("A={ODD}\nPATH=/none\nB=\n{key}|\n|");
        assert_eq!(String::from_utf8_lossy(&results[0].stdout), expected, "{sudo:?} {results:?}");
        assert_eq!(results[1].stdout, b"unset", "{sudo:?}: of one command only");
        let called = fake.calls().concat().join(" ");
        let by_sudo = std::fs::read_to_string(fake.path("sudo.log")).unwrap_or_default();
        assert!(!format!("{called} {by_sudo}").contains("hunter2"), "{called} {by_sudo}");
    }
}

#[tokio::test]
async fn a_login_for_one_command_is_in_a_folder_of_its_own() {
    // The program sees its configuration, and who may read it.
    let script = "cat \"$2/config.json\"; ls -ld \"$2/config.json\" | cut -c1-10; cat \"$2/other\"; cp \"$2/config.json\" \"$here/seen\"\n";
    let pattern = r#"#!/bin/sh
here=${0%/*}
case "$1" in --config) SCRIPT ;; esac
"#;
    let fake = Fake::new(&[]);
    fake.program("docker", &pattern.replace("SCRIPT", &script.replace('\n', "")));
    std::fs::create_dir(fake.path("home")).unwrap();
    std::fs::write(fake.path("home/config.json"), "{\"user\": \"own\"}").unwrap();
    std::fs::write(fake.path("home/other"), "kept").unwrap();
    // base64 of `u:p:w`, and the user name that stands for an identity token.
    for (username, password, entry) in
        [("u", "p:w", r#"{"auth":"dTpwOnc="}"#), ("<token>", "t0", r#"{"identitytoken":"t0"}"#)]
    {
        let login =
            Login { registry: "reg:5000".into(), username: username.into(), password: Secret::new(password) };
        let command = Command { login: Some(login), ..command(&["pull", "reg:5000/x"]) };
        let shell = fake.shell().with_variable("DOCKER_CONFIG", fake.path("home").to_str().unwrap());
        let host = Host::new(Arc::new(shell), CliOptions::default());
        let finished = host.live(&command, |_| {}).await.unwrap();
        let expected = format!("{{\"auths\":{{\"reg:5000\":{entry}}}}}-rw-------\nkept");
        assert_eq!(String::from_utf8_lossy(&finished.stdout), expected);
    }
    assert_eq!(std::fs::read_to_string(fake.path("home/config.json")).unwrap(), "{\"user\": \"own\"}");
    fake.assert_tidy();
}

/// A stand-in for sudo: wants `secret` as a password where it is told to read one.
const SUDO: &str = r#"#!/bin/sh
here=${0%/*}
printf '%s ' "$@" >>"$here/sudo.log"; echo >>"$here/sudo.log"
while :; do case "$1" in
  -S) read -r given; if [ "$given" = "se cret" ]; then touch "$here/ticket"; else echo "Sorry, try again." >&2; exit 1; fi; shift ;;
  -p) shift 2 ;;
  --preserve-env=*) kept=${1#*=}; shift ;;
  -n) [ -f "$here/ticket" ] || [ -f "$here/nopasswd" ] || { echo "sudo: a password is required" >&2; exit 1; }; shift ;;
  -v) exit 0 ;;
  *) break ;;
esac; done
for name in TLS_KEY SECOND; do case ",$kept," in *,$name,*) ;; *) unset $name ;; esac; done
exec "$@"
"#;

#[tokio::test]
async fn sudo_without_a_password() {
    let fake = Fake::new(&[Reply { args: "ps", stdout: b"ok", ..Reply::default() }]);
    fake.program("sudo", SUDO);
    let options = CliOptions { sudo: Sudo::Yes, ..CliOptions::default() };
    let results = run(&fake, options.clone(), &[command(&["ps"])]).await;
    assert_eq!(
        (results[0].status, results[0].stderr.as_slice()),
        (1, b"sudo: a password is required\n".as_slice())
    );
    std::fs::write(fake.path("nopasswd"), "").unwrap();
    let results = run(&fake, options, &[command(&["ps"])]).await;
    assert_eq!(results[0].stdout, b"ok");
}

#[tokio::test]
async fn sudo_with_a_password() {
    let login = command::login(None, "u", &Secret::new("registry")).unwrap();
    let fake = Fake::new(&[
        Reply { args: "ps", stdout: b"ok", ..Reply::default() },
        Reply { args: "login --username=u --password-stdin", reads_input: true, ..Reply::default() },
    ]);
    fake.program("sudo", SUDO);
    let options = |password: &str| CliOptions {
        sudo: Sudo::WithPassword(Secret::new(password)),
        ..CliOptions::default()
    };
    let wrong = run(&fake, options("wrong"), &[command(&["ps"])]).await;
    assert_eq!((wrong[0].status, wrong[0].stderr.as_slice()), (1, b"Sorry, try again.\n".as_slice()));
    let right = run(&fake, options("se cret"), &[command(&["ps"]), login]).await;
    assert_eq!((right[0].stdout.as_slice(), right[1].status), (b"ok".as_slice(), 0));
    // The registry's password is the program's, and sudo's own never reaches the program.
    assert_eq!(fake.input(1), "registry");
    assert!(!std::fs::read_to_string(fake.path("sudo.log")).unwrap().contains("cret"));
}

#[tokio::test]
async fn sudo_with_a_password_leaves_the_stream_to_the_program() {
    let fake = Fake::new(&[Reply { args: "load", reads_input: true, ..Reply::default() }]);
    fake.program("sudo", SUDO);
    let options = CliOptions { sudo: Sudo::WithPassword(Secret::new("se cret")), ..CliOptions::default() };
    let host = Host::new(Arc::new(fake.shell()), options);
    let data = "first line\nsecond\n".repeat(10_000);
    let finished =
        host.piped(&command::load(), &mut data.as_bytes(), &mut tokio::io::sink()).await.unwrap().unwrap();
    assert_eq!(finished.status, 0, "{}", String::from_utf8_lossy(&finished.stderr));
    assert_eq!(fake.input(0), data);
}

#[tokio::test]
async fn streams_are_passed_on_without_the_greeting() {
    let data: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
    let fake = Fake::new(&[Reply { args: "save i", stdout: &data, ..Reply::default() }]);
    let host = Host::new(Arc::new(fake.shell()), CliOptions::default());
    let mut saved = Vec::new();
    let save = command::save(&["i"]).unwrap();
    let finished = host.piped(&save, &mut tokio::io::empty(), &mut saved).await.unwrap().unwrap();
    assert_eq!((finished.status, saved == data), (0, true));
}

#[tokio::test]
async fn build_arguments_arrive_before_the_context_and_on_no_command_line() {
    let value = format!("-----BEGIN-----\n{ODD}\n-----END-----\n");
    let options = dfab_client::transfer::BuildOptions {
        tag: "i".into(),
        buildargs: [("TLS_KEY".to_owned(), value.clone()), ("SECOND".to_owned(), String::new())].into(),
        ..Default::default()
    };
    let build = command::build(&options).unwrap();
    let context = "context\n\0".repeat(20_000);
    for sudo in [Sudo::No, Sudo::Yes, Sudo::WithPassword(Secret::new("se cret"))] {
        let fake = Fake::new(&[Reply {
            args: "build --tag=i --build-arg=SECOND --build-arg=TLS_KEY --rm=false -",
            script: "printf '%s|%s' \"$TLS_KEY\" \"${SECOND-unset}\" >\"$here/seen\"; echo log; echo error >&2\n",
            reads_input: true,
            ..Reply::default()
        }]);
        fake.program("sudo", SUDO);
        if sudo == Sudo::Yes {
            std::fs::write(fake.path("nopasswd"), "").unwrap();
        }
        let options = CliOptions { sudo: sudo.clone(), ..CliOptions::default() };
        assert!(!piped(&build, &options, "token").contains("hunter2"));
        let host = Host::new(Arc::new(fake.shell()), options);
        let mut log = Vec::new();
        let finished = host.piped(&build, &mut context.as_bytes(), &mut log).await.unwrap().unwrap();
        assert_eq!(finished.status, 0, "{sudo:?}: {}", String::from_utf8_lossy(&finished.stderr));
        assert_eq!(std::fs::read_to_string(fake.path("seen")).unwrap(), format!("{value}|"), "{sudo:?}");
        assert!(fake.input(0) == context, "{sudo:?}");
        // Builders log to either output.
        assert_eq!(log, b"log\nerror\n");
        let by_sudo = std::fs::read_to_string(fake.path("sudo.log")).unwrap_or_default();
        assert!(!format!("{:?} {by_sudo}", fake.calls()).contains("hunter2"));
    }
}

/// A source that gives a beginning, and fails.
struct Broken(bool);

impl tokio::io::AsyncRead for Broken {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        if std::mem::replace(&mut self.0, false) {
            buffer.put_slice(b"a part");
            return std::task::Poll::Ready(Ok(()));
        }
        std::task::Poll::Ready(Err(std::io::Error::other("a file is gone")))
    }
}

/// The program's complaint about a part would hide the reason.
#[tokio::test]
async fn a_source_that_fails_is_the_failure() {
    let fake = Fake::new(&[Reply {
        args: "load",
        reads_input: true,
        stderr: "unexpected EOF",
        status: 1,
        ..Reply::default()
    }]);
    let host = Host::new(Arc::new(fake.shell()), CliOptions::default());
    let result = host.piped(&command::load(), &mut Broken(true), &mut tokio::io::sink()).await;
    assert_eq!(result.unwrap().unwrap_err().to_string(), "a file is gone");
}

#[tokio::test]
async fn a_failed_stream_says_why() {
    let fake = Fake::new(&[Reply {
        args: "save i",
        stdout: b"half",
        stderr: "no such image",
        status: 1,
        ..Reply::default()
    }]);
    let host = Host::new(Arc::new(fake.shell()), CliOptions::default());
    let mut saved = Vec::new();
    let save = command::save(&["i"]).unwrap();
    let finished = host.piped(&save, &mut tokio::io::empty(), &mut saved).await.unwrap().unwrap();
    assert_eq!((finished.status, finished.stderr.as_slice()), (1, b"no such image".as_slice()));
}

#[tokio::test]
async fn an_interrupted_script_leaves_nothing_behind() {
    let fake = Fake::new(&[Reply { args: "slow", script: "sleep 1\n", ..Reply::default() }]);
    let host = Host::new(Arc::new(fake.shell()), CliOptions::default());
    let slow = command(&["slow"]).long();
    let commands = [&slow];
    let batch = host.batch(&commands, |_, _| {});
    assert!(tokio::time::timeout(Duration::from_millis(300), batch).await.is_err());
    assert_eq!(fake.calls().len(), 1);
    fake.assert_tidy();
}

/// Runs a script in a process group of its own, as sshd does, and returns the group.
fn in_a_group(fake: &Fake, script: &str) -> (tokio::process::Child, rustix::process::Pid) {
    let path = format!("{}:{}", fake.path("").display(), std::env::var("PATH").unwrap());
    let mut child = tokio::process::Command::new("sh")
        .env("PATH", path)
        .env("TMPDIR", fake.path("tmp"))
        .process_group(0)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let group = rustix::process::Pid::from_raw(child.id().unwrap() as i32).unwrap();
    // A script fits into a pipe.
    let mut stdin = child.stdin.take().unwrap().into_owned_fd().map(std::fs::File::from).unwrap();
    std::io::Write::write_all(&mut stdin, script.as_bytes()).unwrap();
    (child, group)
}

/// Scripts that were ended between making their directory and trapping signals left it behind: sshd
/// sends a given-up channel's signal to the whole group, `mktemp` included.
#[tokio::test]
async fn a_signal_while_the_directory_is_made_leaves_nothing_behind() {
    for program in ["mkdir", "mktemp"] {
        for signal in ["HUP", "INT", "PIPE", "TERM"] {
            let fake = Fake::new(&[]);
            // Makes what the real one makes, and is hit by the signal with all others.
            let text = format!("#!/bin/sh\n/bin/{program} \"$@\" >\"${{0%/*}}/made\"\nkill -{signal} 0\n");
            fake.program(program, &text);
            let script = batch(&[&command(&["ps"])], &CliOptions::default(), "dfab-0123456789abcdef");
            let (child, _) = in_a_group(&fake, &script);
            child.wait_with_output().await.unwrap();
            fake.assert_tidy();
        }
    }
}

#[tokio::test]
async fn a_script_that_is_ended_at_any_moment_leaves_nothing_behind() {
    let fake = Fake::new(&[Reply { args: "ps", stdout: b"ok", ..Reply::default() }]);
    let ps = command(&["ps"]);
    for number in 0..120_u64 {
        let token = format!("dfab-{number:016x}");
        let (options, is_batch) = (CliOptions::default(), number % 3 != 0);
        let script =
            if is_batch { batch(&[&ps, &ps], &options, &token) } else { live(&ps, &options, &token) };
        let (mut child, group) = in_a_group(&fake, &script);
        // Nobody reads any more, and two signals come: at every moment of the script's 10 ms or so.
        tokio::time::sleep(Duration::from_micros(number * 150)).await;
        drop((child.stdout.take(), child.stderr.take()));
        for signal in [rustix::process::Signal::TERM, rustix::process::Signal::HUP] {
            // A script that has ended cannot be told anything.
            let _ = rustix::process::kill_process_group(group, signal);
        }
        child.wait().await.unwrap();
    }
    fake.assert_tidy();
}

#[tokio::test]
async fn a_directory_of_somebody_else_is_left_alone() {
    let fake = Fake::new(&[Reply { args: "ps", ..Reply::default() }]);
    let others = fake.path("tmp/dfab.0123456789abcdef");
    std::fs::create_dir(&others).unwrap();
    std::fs::write(others.join("theirs"), "").unwrap();
    let script = batch(&[&command(&["ps"])], &CliOptions::default(), "dfab-0123456789abcdef");
    let (child, _) = in_a_group(&fake, &script);
    assert_eq!(child.wait_with_output().await.unwrap().status.code(), Some(NO_DIRECTORY));
    assert!(others.join("theirs").exists() && fake.calls().is_empty());
}

#[tokio::test]
async fn a_script_that_is_cut_off_does_nothing() {
    let fake = Fake::new(&[Reply { args: "rm", ..Reply::default() }]);
    let script = batch(&[&command(&["rm"])], &CliOptions::default(), "token");
    let shell = fake.shell();
    for length in [script.len() / 4, script.len() / 2, script.len() - 3] {
        let running = crate::shell::Shell::start(&shell, "exec sh").await.unwrap();
        let mut stdin = running.stdin;
        tokio::io::AsyncWriteExt::write_all(&mut stdin, &script.as_bytes()[..length]).await.unwrap();
        drop(stdin);
        running.exit.await.unwrap();
    }
    assert_eq!(fake.calls(), Vec::<Vec<String>>::new());
    fake.assert_tidy();
}

#[test]
fn a_script_reads_as_expected() {
    let options = CliOptions {
        prefix: vec!["nice".into()],
        base_url: Some("tcp://1.2.3.4:2375".into()),
        tls: TlsFlags { enabled: true, ..TlsFlags::default() },
        processes: 1,
        ..CliOptions::default()
    };
    let script = batch(&[&command(&["stop", "it's"])], &options, "token");
    let expected = "printf '\\n%s\\n' token\n{\n{\n(\nnice docker -H tcp://1.2.3.4:2375 --tls stop 'it'\\''s'\n) \
                    >\"$d/0.o\" 2>\"$d/0.e\" </dev/null\necho \"0 $?\"\n} &\nwait\n";
    assert!(script.contains(expected), "{script}");
}
