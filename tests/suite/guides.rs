//! Every command of README and `docs/` that stands in a block marked `console lab` is run on the lab's hosts, so that the
//! guides cannot rot.
//!
//! In such a block a line after `$ ` is a command; `# exit N` behind it is the exit code that it must have, 0 without.
//! The lines below must stand in its output, in any order; `...` in a line leaves something out. A block marked
//! `yaml lab` is added to the project file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dfab_tests::{Host, Lab, Project, lab_or_skip};

/// A command of a guide.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    command: String,
    code: i32,
    output: Vec<String>,
}

/// What a guide makes its reader do.
#[derive(Debug, Default, PartialEq, Eq)]
struct Guide {
    project: String,
    steps: Vec<Step>,
}

fn read(text: &str) -> Guide {
    let mut guide = Guide::default();
    let mut kind = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), kind) {
            (Some(mark), None) => kind = Some(mark),
            (Some(_), Some(_)) => kind = None,
            (None, Some("yaml lab")) => guide.project.push_str(&format!("{line}\n")),
            (None, Some("console lab")) => match line.strip_prefix("$ ") {
                Some(command) => guide.steps.push(step(command)),
                None => {
                    let step = guide.steps.last_mut().expect("a command comes before its output");
                    step.output.push(line.to_owned());
                }
            },
            _ => {}
        }
    }
    guide
}

fn step(command: &str) -> Step {
    let (command, code) = match command.split_once("  # exit ") {
        Some((command, code)) => (command, code.trim().parse().expect("an exit code is a number")),
        None => (command, 0),
    };
    Step { command: command.trim().to_owned(), code, output: Vec::new() }
}

/// Tells whether a line of a guide stands in the output: its parts between `...`, in order, in one line.
fn stands_in(expected: &str, output: &str) -> bool {
    output.lines().any(|line| {
        let mut rest = line;
        expected.split("...").map(str::trim).filter(|part| !part.is_empty()).all(|part| {
            match rest.find(part) {
                Some(at) => {
                    rest = &rest[at + part.len()..];
                    true
                }
                None => false,
            }
        })
    })
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = vec![root.join("README.md")];
    for folder in [root.join("docs"), root.join("docs/guides")] {
        let entries =
            fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("readable").path());
        found.extend(entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    found.sort();
    found
}

/// The hosts of the guides in `~/.ssh/config`, as a reader has them.
fn configure(project: &Project, lab: &Lab, hosts: &[Host<'_>]) {
    let ssh = project.path().join(".ssh");
    fs::create_dir(&ssh).expect("the home is new");
    let own: String = (1..)
        .zip(hosts)
        .map(|(number, host)| format!("Host web{number}\n    HostName {}\n\n", host.address))
        .collect();
    let common = fs::read_to_string(lab.ssh_config()).expect("the lab has a configuration");
    fs::write(ssh.join("config"), own + &common).expect("the file can be written");
    fs::write(project.path().join(".fabricrc"), "use_ssh_config = true\n").expect("the file can be written");
    let bin = project.path().join("bin");
    fs::create_dir(&bin).expect("the home is new");
    std::os::unix::fs::symlink(dfab_tests::call::binary(), bin.join("dfab")).expect("a link can be made");
}

#[test]
fn commands_of_the_guides_do_what_they_say() {
    let lab = lab_or_skip!();
    if lab.host_count() < 2 {
        return dfab_tests::skipped("guides (a lab of two hosts)");
    }
    for document in documents() {
        let guide = read(&fs::read_to_string(&document).expect("a document can be read"));
        if guide.steps.is_empty() {
            continue;
        }
        let hosts: Vec<Host<'_>> = (1..=2).map(|number| lab.take(number)).collect();
        hosts.iter().for_each(Host::install_site);
        let project = Project::example();
        configure(&project, &lab, &hosts);
        let file = project.path().join("dfab.yaml");
        let text = fs::read_to_string(&file).expect("the example has a project file") + &guide.project;
        fs::write(&file, text).expect("the file can be written");
        for step in &guide.steps {
            let output = Command::new("sh")
                .args(["-c", &format!("{} 2>&1", step.command)])
                .current_dir(project.path())
                .env_clear()
                .env("HOME", project.path())
                .env("PATH", format!("{}:/usr/bin:/bin", project.path().join("bin").display()))
                .env("COLUMNS", "100")
                .stdin(std::process::Stdio::null())
                .output()
                .expect("a shell starts");
            let text = String::from_utf8_lossy(&output.stdout);
            let place = format!("{}: $ {}", document.display(), step.command);
            assert_eq!(output.status.code(), Some(step.code), "{place}\n{text}");
            for line in step.output.iter().filter(|line| !line.is_empty()) {
                assert!(stands_in(line, &text), "{place}\nlacks `{line}`:\n{text}");
            }
        }
    }
}

#[test]
fn commands_and_their_output_are_read() {
    let text = "x\n```console lab\n$ a b  # exit 2\none ... two\n$ c\n```\n```sh\n$ d\n```\n```yaml lab\nt: 1\n```\n";
    let expected = Guide {
        project: "t: 1\n".to_owned(),
        steps: vec![
            Step { command: "a b".to_owned(), code: 2, output: vec!["one ... two".to_owned()] },
            Step { command: "c".to_owned(), code: 0, output: Vec::new() },
        ],
    };
    assert_eq!(read(text), expected);
    assert!(stands_in("one ... two", "x\none and two\n") && !stands_in("one ... two", "two\none\n"));
}
