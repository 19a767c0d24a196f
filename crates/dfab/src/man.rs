//! Manual pages, from the same commands and the same table of tasks as `--help`: one for the program, one for each task.
//!
//! `cargo xtask dist` calls `dfab __man` for their names and `dfab __man NAME` for each; nobody else should.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use crate::cli::parse;
use crate::failure::{Failure, Result};
use crate::registry::{self, Task};

/// The first word of xtask's calls; no task can have this name.
pub const COMMAND: &str = "__man";

/// Returns the names of all pages, one a line, or the page of this name.
///
/// # Errors
///
/// A usage failure for a page that there is not.
pub fn answer(name: Option<&str>) -> Result<String> {
    match name {
        None => Ok(std::iter::once("dfab".to_owned())
            .chain(registry::tasks().map(page_name))
            .map(|name| name + "\n")
            .collect()),
        Some("dfab") => Ok(program()),
        Some(name) => {
            let task = name.strip_prefix("dfab-").and_then(registry::find_full);
            task.map(of_task).ok_or_else(|| Failure::usage(format!("there is no manual page `{name}`")))
        }
    }
}

fn page_name(task: &Task) -> String {
    format!("dfab-{}", task.full_name())
}

/// What the program reads beside its options.
const ENVIRONMENT: [(&str, &str); 7] = [
    ("DOCKER_HOST", "The engine where neither a host nor docker_base_url is set."),
    ("DFAB_PASSWORD", "Password for logins, locked keys and sudo."),
    ("SSH_AUTH_SOCK", "The SSH agent."),
    ("NO_COLOR", "No colours, unless --color always is given."),
    ("COLUMNS", "Width of tables and of the plan, instead of the terminal's."),
    ("HOME", "Where ~ in paths points."),
    ("USER", "The login name where none is given."),
];

const FILES: [(&str, &str); 4] = [
    ("dfab.yaml", "The project file, here or in the nearest parent directory."),
    ("~/.fabricrc", "Settings for all projects: NAME = VALUE lines."),
    (
        "~/.ssh/known_hosts",
        "Keys of hosts. A host that is not in it is refused, unless --accept-new is given.",
    ),
    ("~/.ssh/config", "Read where the project's env says use_ssh_config: true, or with --ssh-config-path."),
];

const EXIT: [(&str, &str); 5] = [
    ("0", "Done, or nothing to do."),
    ("1", "An engine or a host refused or broke; what was done and what was not is reported."),
    ("2", "The call, the project file or a map is wrong; nothing was contacted."),
    ("10", "Only with --dry-run --detailed-exitcode: something would change."),
    ("130", "Interrupted; steps under way were finished or are named."),
];

fn program() -> String {
    let man = Man::new(parse::command(None)).source(source());
    let mut page = written(|page| {
        man.render_title(page)?;
        man.render_name_section(page)?;
        man.render_synopsis_section(page)
    });
    let mut tasks = Roff::default();
    tasks.control("SH", ["TASKS"]);
    for task in registry::tasks() {
        tasks.control("TP", []).text([bold(task.full_name())]).text([roman(task.about)]);
    }
    page.push_str(&tasks.render());
    page.push_str(&written(|page| man.render_options_section(page)));
    let mut rest = Roff::default();
    for (title, entries) in [("ENVIRONMENT", &ENVIRONMENT[..]), ("FILES", &FILES), ("EXIT STATUS", &EXIT)] {
        rest.control("SH", [title]);
        for (name, text) in entries {
            rest.control("TP", []).text([bold(*name)]).text([roman(*text)]);
        }
    }
    rest.control("SH", ["SEE ALSO"]).text([
        roman("Each task has a page: "),
        italic("dfab-actions.update"),
        roman("(1) is the main one. docker(1), ssh(1)"),
    ]);
    tidy(page + &rest.render())
}

fn of_task(task: &Task) -> String {
    let name = page_name(task);
    let full: Command = parse::command(Some(task)).name(name.clone()).display_name(name.clone());
    let help = full.get_about().map(ToString::to_string).unwrap_or_default();
    let command = full.about(task.about.trim_end_matches('.').to_owned()).long_about(help);
    let man = Man::new(command).title(name.to_uppercase()).source(source());
    let page = written(|page| {
        man.render_title(page)?;
        man.render_name_section(page)?;
        man.render_synopsis_section(page)?;
        man.render_description_section(page)?;
        man.render_options_section(page)
    });
    let mut rest = Roff::default();
    rest.control("SH", ["SEE ALSO"])
        .text([italic("dfab"), roman("(1) has the options of every call: hosts, SSH, --dry-run, output.")]);
    // clap's heading tells the task's own options from the general ones, which a page of a task does not have.
    tidy(page.replacen(".SH TASK\n", ".SH OPTIONS\n", 1) + &rest.render())
}

/// Each part of a page begins with the same definition of a quote; once is enough.
fn tidy(page: String) -> String {
    const QUOTE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";
    format!("{QUOTE}{}", page.replace(QUOTE, ""))
}

fn source() -> &'static str {
    concat!("dfab ", env!("CARGO_PKG_VERSION"))
}

fn written(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut page = Vec::new();
    write(&mut page).expect("a vector takes everything");
    String::from_utf8(page).expect("roff is made from text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_page() {
        let names = answer(None).unwrap();
        assert!(names.starts_with("dfab\ndfab-actions."), "{names}");
        for name in names.lines() {
            let page = answer(Some(name)).unwrap();
            assert!(page.contains(".SH SYNOPSIS"), "{name}: {page}");
            assert!(page.contains("dfab"), "{name}");
        }
        assert!(answer(Some("dfab-nothing")).is_err());
    }

    #[test]
    fn a_page_of_a_task_has_its_own_options_and_refers_to_the_rest() {
        let page = answer(Some("dfab-actions.update")).unwrap();
        assert!(
            page.contains(".TH DFAB\\-ACTIONS.UPDATE 1") || page.contains(".TH DFAB-ACTIONS.UPDATE 1"),
            "{page}"
        );
        assert_eq!(page.matches(".ds Aq '").count(), 1, "{page}");
        assert!(page.contains("\n.SH OPTIONS\n"), "{page}");
        assert!(page.contains("force\\-update"), "{page}");
        assert!(!page.contains("known\\-hosts"), "{page}");
    }
}
