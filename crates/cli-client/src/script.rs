//! Shell scripts that run commands and frame their results.
//!
//! Scripts are POSIX `sh` and arrive on the shell's standard input, so that no command line, and no
//! process list, shows more than `sh`. A script is one compound command: a connection that breaks
//! while it is being sent leaves a syntax error, not half a script.
//!
//! A batch runs several commands and prints, for each as it ends, one header line
//! `INDEX STATUS LENGTH LENGTH` and then exactly that many bytes of standard output and of standard
//! error. Lengths are counted on the host before anything is sent, so no output, however hostile,
//! can be mistaken for a header. What login scripts print comes before a line with a token that
//! the caller makes up.

use dfab_client::registry::TOKEN_USER;
use dfab_tunnel::{Secret, quote};

use crate::command::{Command, Login};
use crate::options::{CliOptions, Sudo};

/// The exit status of a script that could not make its private directory.
pub(crate) const NO_DIRECTORY: i32 = 125;

/// What tokens begin with; the rest is the name of the script's directory.
pub(crate) const TOKEN_PREFIX: &str = "dfab-";

/// What every script begins with. Results and credentials are kept in a directory that only the
/// user can read, and that is gone when the script ends, however it ends.
///
/// A session that is closed, or a call that is given up, sends `TERM` to the whole process group at any
/// moment, and more than one signal may come. So the directory's name is known and the traps are set
/// before it is made: a trap waits for `mkdir` to end, and then finds what it has made. `mktemp` makes
/// names up, and takes them along when it is killed. `quit` ignores further signals before the shell
/// gives up its trap on exit, and so does `rm`, which inherits that.
///
/// Messages are read by [`crate::failure`], so they have to be in one language.
pub(crate) fn prologue(token: &str) -> String {
    let name = token.strip_prefix(TOKEN_PREFIX).unwrap_or(token);
    format!(
        r#"{{
set -f
u=$(umask)
umask 077
LC_ALL=C
export LC_ALL
d=${{TMPDIR:-/tmp}}/dfab.{name}
quit() {{ trap '' 1 2 13 15; exit "$1"; }}
trap 'rm -rf "$d"' 0
trap 'quit 129' 1
trap 'quit 130' 2
trap 'quit 141' 13
trap 'quit 143' 15
mkdir "$d" || {{ trap - 0; exit {NO_DIRECTORY}; }}
printf '\n%s\n' {token}
"#
    )
}

/// Frames results as they come: the commands print `INDEX STATUS` when they end.
const EPILOGUE: &str = r#"wait
} | while read -r i s; do
printf '%s %s %s %s\n' "$i" "$s" "$(($(wc -c <"$d/$i.o")))" "$(($(wc -c <"$d/$i.e")))"
cat "$d/$i.o" "$d/$i.e"
rm -rf "$d/$i.o" "$d/$i.e"
done
echo end
quit 0
}
"#;

/// Returns a script that runs all commands and frames their results.
///
/// Long commands run beside all others; short ones in `options.processes` rows.
pub(crate) fn batch(commands: &[&Command], options: &CliOptions, token: &str) -> String {
    let mut rows = vec![String::new(); options.processes.max(1)];
    let mut alone = Vec::new();
    let mut next = 0;
    for (index, command) in commands.iter().enumerate() {
        let body = body(command, options, index);
        let step =
            format!("(\n{body}\n) >\"$d/{index}.o\" 2>\"$d/{index}.e\" </dev/null\necho \"{index} $?\"\n");
        if command.is_long {
            alone.push(step);
        } else {
            let row = next % rows.len();
            rows[row].push_str(&step);
            next += 1;
        }
    }
    let mut script = prologue(token) + "{\n";
    for row in rows.into_iter().filter(|row| !row.is_empty()).chain(alone) {
        script.push_str(&format!("{{\n{row}}} &\n"));
    }
    script + EPILOGUE
}

/// Returns a script that runs one command whose output is passed on as it comes. The script's exit
/// status is the command's.
pub(crate) fn live(command: &Command, options: &CliOptions, token: &str) -> String {
    let body = body(command, options, 0);
    format!("{}(\n{body}\n) </dev/null\nquit $?\n}}\n", prologue(token))
}

/// Returns a command line that runs one command whose standard input and output are the channel's.
///
/// Secrets come first on standard input, see [`before_input`], for this text is on the command line of a shell.
pub(crate) fn piped(command: &Command, options: &CliOptions, token: &str) -> String {
    let mut script = String::new();
    if matches!(options.sudo, Sudo::WithPassword(_)) {
        // `read` takes byte by byte from a pipe, so that what follows the line is left.
        script.push_str("IFS= read -r p; printf '%s\\n' \"$p\" | sudo -S -p '' -v || exit 1; p=; ");
    }
    let variables = exports(command);
    if !variables.is_empty() {
        // Byte by byte too: `head` may read more than it was asked for.
        let length = variables.len();
        script.push_str(&format!("e=$(dd bs=1 count={length} 2>/dev/null); eval \"$e\"; e=; "));
    }
    let sudo = match options.sudo {
        Sudo::No => String::new(),
        Sudo::Yes | Sudo::WithPassword(_) => format!("sudo -n {}", kept(command)),
    };
    let merged = if command.merged { " 2>&1" } else { "" };
    script.push_str(&format!(
        "printf '\\n%s\\n' {token}; exec {sudo}{}{merged}",
        program(command, options, "", &command.words)
    ));
    format!("exec sh -c {}", quote::shell(&script))
}

/// What [`piped`] reads before the command does: a line with sudo's password, then the variables.
pub(crate) fn before_input(command: &Command, options: &CliOptions) -> Secret {
    let password = match &options.sudo {
        Sudo::WithPassword(password) => format!("{}\n", password.reveal()),
        Sudo::No | Sudo::Yes => String::new(),
    };
    Secret::new(password + &exports(command))
}

/// Shell text that sets the variables of a command.
fn exports(command: &Command) -> String {
    let export = |(name, value): &(String, Secret)| {
        format!("{name}={}\nexport {name}\n", quote::shell(value.reveal()))
    };
    command.exported.iter().map(export).collect()
}

/// Returns a command line that runs one command until it ends, or until its standard input does. Both
/// outputs begin with a line `token`.
///
/// The program is ended by a watcher that reads the input: nothing else tells it that nobody listens
/// any more. With sudo, the watcher runs under it too, for only then may it send the signal.
pub(crate) fn followed(command: &Command, options: &CliOptions, token: &str) -> String {
    let program = program(command, options, "", &command.words);
    let watched = format!(
        "exec 3<&0; {program} </dev/null 3<&- & p=$!; {{ cat <&3; kill \"$p\"; }} >/dev/null 2>&1 & w=$!; \
         exec 3<&-; wait \"$p\"; s=$?; kill \"$w\" 2>/dev/null; exit \"$s\""
    );
    let sudo = if options.sudo == Sudo::No { "" } else { "sudo -n " };
    let mut script = String::new();
    if matches!(options.sudo, Sudo::WithPassword(_)) {
        script.push_str("IFS= read -r p; printf '%s\\n' \"$p\" | sudo -S -p '' -v || exit 1; p=; ");
    }
    script.push_str(&format!(
        "LC_ALL=C; export LC_ALL; printf '\\n%s\\n' {token}; printf '\\n%s\\n' {token} >&2; exec {sudo}sh -c {}",
        quote::shell(&watched)
    ));
    format!("exec sh -c {}", quote::shell(&script))
}

/// Returns a script that sets owner and mode of a volume's folder on the host (engine §6.11), as root
/// if need be through sudo.
pub(crate) fn prepare(
    inspect: &Command,
    owner: Option<&str>,
    mode: Option<&str>,
    options: &CliOptions,
    token: &str,
) -> String {
    let mut script = format!(
        "{}(\n{}m=$({}) || exit 1\ncase $m in\n/*) ;;\n*) echo \"the volume has no folder on this host\" >&2; exit 1 ;;\nesac\n",
        prologue(token),
        root(options),
        body(inspect, options, 0)
    );
    for (program, argument) in [("chown", owner), ("chmod", mode)] {
        if let Some(argument) = argument {
            script.push_str(&format!("root {program} -R -- {} \"$m\" || exit 1\n", quote::shell(argument)));
        }
    }
    script + ") </dev/null\nquit $?\n}\n"
}

/// A function `root` that runs its words as root, if need be through sudo.
pub(crate) fn root(options: &CliOptions) -> String {
    let root = match &options.sudo {
        Sudo::WithPassword(password) => {
            format!("printf '%s\\n' {} | sudo -S -p '' \"$@\"", quote::shell(password.reveal()))
        }
        Sudo::No | Sudo::Yes => "sudo -n \"$@\"".to_owned(),
    };
    format!("root() {{ if [ \"$(id -u)\" = 0 ]; then \"$@\"; else {root}; fi; }}\n")
}

/// The text that runs one command, its results going to standard output and standard error.
fn body(command: &Command, options: &CliOptions, index: usize) -> String {
    let mut text = String::new();
    if command.merged {
        text.push_str("exec 2>&1\n");
    }
    text.push_str(&exports(command));
    let mut extra = String::new();
    if let Some(login) = &command.login {
        text.push_str(&private_configuration(login, options, index));
        extra.push_str(r#" --config "$c""#);
        if options.base_url.is_none() {
            extra.push_str(r#" ${n:+--context "$n"}"#);
        }
    }
    let kept = kept(command);
    let run = |words: &[String]| as_user(&program(command, options, &extra, words), &kept, options);
    let first = match (&command.input, &options.sudo) {
        (None, _) => run(&command.words),
        // sudo might read its password from a cache, and leave ours to the command: it has to be
        // asked before, and apart.
        (Some(input), Sudo::WithPassword(password)) => format!(
            "printf '%s\\n' {} | sudo -S -p '' -v && printf '%s' {} | sudo -n {kept}{}",
            quote::shell(password.reveal()),
            quote::shell(input.reveal()),
            program(command, options, &extra, &command.words),
        ),
        (Some(input), _) => format!("printf '%s' {} | {}", quote::shell(input.reveal()), run(&command.words)),
    };
    match &command.then {
        None => text.push_str(&first),
        Some(second) => {
            let second = format!("{} \"$@\"", program(command, options, &extra, second));
            let second = as_user(&second, &kept, options);
            text.push_str(&format!("x=$({first}) && {{\nset -- $x\n[ $# -eq 0 ] || {second}\n}}"));
        }
    }
    text
}

/// The words that call the program, quoted; `extra` is shell text among its global options.
pub(crate) fn program(command: &Command, options: &CliOptions, extra: &str, words: &[String]) -> String {
    let before = quote::command(options.prefix.iter().chain(&command.before).chain([&options.binary]));
    let after = quote::command(options.global_words().iter().chain(words));
    format!("{before}{extra} {after}")
}

/// The option that makes sudo leave variables in the environment, which it empties otherwise.
fn kept(command: &Command) -> String {
    let names: Vec<&str> = command.exported.iter().map(|(name, _)| name.as_str()).collect();
    if names.is_empty() { String::new() } else { format!("--preserve-env={} ", names.join(",")) }
}

/// Puts sudo in front, where it is asked for, with further options for it.
fn as_user(program: &str, kept: &str, options: &CliOptions) -> String {
    match &options.sudo {
        Sudo::No => program.to_owned(),
        Sudo::Yes => format!("sudo -n {kept}{program}"),
        Sudo::WithPassword(password) => {
            format!("printf '%s\\n' {} | sudo -S -p '' {kept}{program}", quote::shell(password.reveal()))
        }
    }
}

/// A configuration folder for one command, with the credentials and whatever else the user has in
/// theirs: certificates and contexts stay where the program looks for them. `$c` is the folder, `$n`
/// the context in use.
fn private_configuration(login: &Login, options: &CliOptions, index: usize) -> String {
    use base64::Engine as _;
    let entry = if login.username == TOKEN_USER {
        serde_json::json!({ "identitytoken": login.password.reveal() })
    } else {
        let pair = format!("{}:{}", login.username, login.password.reveal());
        serde_json::json!({ "auth": base64::engine::general_purpose::STANDARD.encode(pair) })
    };
    let auths = serde_json::json!({ "auths": { login.registry.clone(): entry } });
    let context = quote::command([options.binary.as_str(), "context", "inspect", "--format", "{{.Name}}"]);
    format!(
        "c=\"$d/{index}.c\"\nmkdir \"$c\" || exit 1\nprintf '%s' {} >\"$c/config.json\"\nn=\nset +f\n\
         for f in \"${{DOCKER_CONFIG:-$HOME/.docker}}\"/*; do\ncase \"$f\" in\n*/config.json) ;;\n\
         *) [ -e \"$f\" ] && ln -s \"$f\" \"$c/\" ;;\nesac\ndone\nset -f\n\
         [ -d \"$c/contexts\" ] && n=$({context} 2>/dev/null)\n[ \"$n\" = default ] && n=\n",
        quote::shell(&auths.to_string()),
    )
}

#[cfg(test)]
mod tests;
