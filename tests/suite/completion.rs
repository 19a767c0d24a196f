//! Completion as it is used: keys are pressed in a real shell, and the line is looked at.

use std::fs;
use std::path::Path;

use dfab_tests::{Project, Terminal};

const PROJECT: &str = "\
hosts: [deploy@web1]
roles: {app: [app1, app2]}
maps: {shop: {web_server: {image: nginx, instances: [blue, green]}, database: {image: postgres}}}
tasks: {release: {description: Release it., steps: [docker.version]}}
";

/// What is typed up to the Tab key, and what the line is then.
const CASES: [(&str, &str); 11] = [
    ("dfab rel", "dfab release "),
    ("dfab actions.upd", "dfab actions.update "),
    ("dfab actions.update sh", "dfab actions.update shop "),
    ("dfab actions.update shop we", "dfab actions.update shop web_server "),
    ("dfab actions.update shop web_server gr", "dfab actions.update shop web_server green "),
    ("dfab -R a", "dfab -R app "),
    ("dfab -H deploy@w", "dfab -H deploy@web1 "),
    ("dfab --output=js", "dfab --output=json "),
    ("dfab actions.update --remove-or", "dfab actions.update --remove-orphans "),
    ("dfab actions.update:shop,da", "dfab actions.update:shop,database"),
    ("dfab -f some_f", "dfab -f some_file.yaml "),
];

/// A shell that prints `ready> ` when it takes keys, and with Ctrl-X writes its line to the file `line`.
struct Shell {
    name: &'static str,
    setup: &'static str,
    start: &'static str,
}

const SHELLS: [Shell; 3] = [
    Shell {
        name: "bash",
        setup: "source ./script\nPS1='ready> '\nbind -x '\"\\C-x\": printf %s \"$READLINE_LINE\" > line.new; mv line.new line'\n",
        start: "bash --rcfile setup -i",
    },
    Shell {
        name: "zsh",
        setup: "autoload -Uz compinit\ncompinit -u -D\nsource ./script\nPS1='ready> '\n\
                note() { print -rn -- \"$BUFFER\" > line.new; mv line.new line }\nzle -N note\nbindkey '^X' note\n",
        start: "env ZDOTDIR=. zsh -d -i",
    },
    Shell {
        name: "fish",
        setup: "source ./script\nfunction fish_prompt; echo -n 'ready> '; end\n\
                function note; echo -n (commandline) > line.new; mv line.new line; end\nbind \\cx note\n",
        start: "fish --private --init-command 'source ./setup'",
    },
];

/// Types into an empty line, and returns the line.
fn types(terminal: &mut Terminal, keys: &str, folder: &Path) -> String {
    let _ = fs::remove_file(folder.join("line"));
    terminal.press(&format!("\u{15}{keys}\t\u{18}"));
    terminal.wait_until("the line that was noted", |_| folder.join("line").exists());
    fs::read_to_string(folder.join("line")).expect("it was just there")
}

/// `dfab` is called as users do, by its plain name.
fn path(folder: &Path) -> String {
    format!("{}:/usr/bin:/bin", folder.join("bin").display())
}

#[test]
fn shells_complete_names_of_the_project() {
    let project = Project::new(&[("dfab.yaml", PROJECT), ("some_file.yaml", "")]);
    let folder = project.path();
    fs::create_dir(folder.join("bin")).unwrap();
    std::os::unix::fs::symlink(dfab_tests::call::binary(), folder.join("bin/dfab")).unwrap();
    for shell in &SHELLS {
        if !Path::new("/usr/bin").join(shell.name).exists() && !Path::new("/bin").join(shell.name).exists() {
            dfab_tests::skipped(&format!("completion ({} is not installed)", shell.name));
            continue;
        }
        let script = project.dfab(&["--completions", shell.name]).run().expect_code(0).stdout;
        fs::write(folder.join("script"), script).unwrap();
        fs::write(folder.join("setup"), shell.setup).unwrap();
        fs::write(folder.join(".zshrc"), shell.setup).unwrap();
        let mut terminal = Terminal::start(shell.start, folder, 120, &[("PATH", &path(folder))]);
        terminal.wait_for("ready>");
        for (keys, line) in CASES {
            // Fish ends every word with a blank that ends with a letter.
            let line = if shell.name == "fish" { format!("{} ", line.trim_end()) } else { line.to_owned() };
            assert_eq!(types(&mut terminal, keys, folder), line, "{}: {keys}", shell.name);
        }
    }
}
