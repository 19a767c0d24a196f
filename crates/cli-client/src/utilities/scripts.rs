//! Shell text of the utilities.
//!
//! Steps are separate, or write their status to a file, so that no failure hides in a pipe (D-56). Owners and
//! modes of what is copied are the host's affair: the program, and what works on its files, run under sudo
//! where it does.

use dfab_tunnel::quote;

use super::Compressor;
use super::destination::Plan;
use crate::command::Command;
use crate::options::{CliOptions, Sudo};
use crate::script::{TOKEN_PREFIX, program, prologue, root};

/// Starts a script. A password is given to sudo once, for other standard inputs are taken.
fn start(options: &CliOptions, token: &str) -> String {
    let mut script = prologue(token);
    script.push_str("exec </dev/null\n");
    if let Sudo::WithPassword(password) = &options.sudo {
        let password = quote::shell(password.reveal());
        script.push_str(&format!("printf '%s\\n' {password} | sudo -S -p '' -v || quit 1\n"));
    }
    script
}

/// The words before a program that has to have the same rights as `docker`.
fn before(options: &CliOptions) -> &'static str {
    if options.sudo == Sudo::No { "" } else { "sudo -n " }
}

fn docker(options: &CliOptions, words: &[String]) -> String {
    let command = Command { words: words.to_vec(), ..crate::command::version() };
    format!("{}{}", before(options), program(&command, options, "", words))
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// A command whose output is compressed on its way.
pub(super) fn compressed(
    command: &Command,
    compressor: Compressor,
    options: &CliOptions,
    token: &str,
) -> String {
    let program = docker(options, &command.words);
    start(options, token) + &piped_through(compressor, &program) + "}\n"
}

/// Ends a script with `source | compressor`, and the status of the one that failed.
fn piped_through(compressor: Compressor, source: &str) -> String {
    let compressor = match compressor {
        Compressor::Gzip => "gzip -1",
        Compressor::Zstd => "zstd -1 -q -c",
    };
    format!(
        "{{ {source}; echo $? >\"$d/s\"; }} | {compressor}\ng=$?\nread -r s <\"$d/s\"\n[ \"$s\" = 0 ] || quit \"$s\"\nquit \"$g\"\n"
    )
}

/// Ends a script before something is written through a link below `$t`. It may have come from the container with
/// an earlier resource, and lead anywhere on the host; who copies is often root.
const LEADS_OUT: &str = "leads_out() { echo \"\\`$1\\` is a link, and the container may have made it: nothing is copied \
                         through it; remove it, or copy elsewhere\" >&2; quit 1; }\n";

/// Shell text that checks every element of a path below `$t`.
fn without_links(path: &str, before: &str) -> String {
    let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
    let check = |end| {
        let element = quote::shell(&path[..end]);
        format!("f=\"$t/\"{element}\n{before}[ ! -h \"$f\" ] || leads_out \"$f\"\n")
    };
    ends.filter(|end| *end > 0).map(check).collect()
}

/// Copies all resources into the folder `$t`, and sets owner and mode.
fn copies(plan: &Plan, options: &CliOptions) -> String {
    let before = before(options);
    let mut script = LEADS_OUT.to_owned();
    for copy in &plan.copies {
        let program = docker(options, &copy.command.words);
        let parent = copy.file.rsplit_once('/').map_or("", |(parent, _)| parent);
        let [to_folder, to_parent] = [copy.folder.as_str(), parent].map(|path| without_links(path, before));
        let [folder, file, parent] = [copy.folder.as_str(), &copy.file, parent].map(quote::shell);
        // To a path that is not there: a folder's contents come there, or the file.
        script.push_str(&format!(
            "{program} \"$d/r\" || quit 1\n\
             if {before}[ -d \"$d/r\" ] && {before}[ ! -h \"$d/r\" ]; then\n\
             {to_folder}{before}mkdir -p \"$t/\"{folder} && {before}cp -a --remove-destination \"$d/r/.\" \"$t/\"{folder}/ || quit 1\n\
             else\n\
             {to_parent}f=\"$t/\"{file}\n\
             {before}[ ! -h \"$f\" ] || {before}[ ! -d \"$f\" ] || leads_out \"$f\"\n\
             {before}mkdir -p \"$t/\"{parent} && {before}cp -a --remove-destination \"$d/r\" \"$t/\"{file} || quit 1\n\
             fi\n{before}rm -rf \"$d/r\" || quit 1\n"
        ));
    }
    if let Some(mode) = &plan.mode {
        script.push_str(&format!("{before}chmod -R {} \"$t\" || quit 1\n", quote::shell(mode)));
    }
    if let Some(owner) = &plan.owner {
        script.push_str(&format!("root chown -R {owner} \"$t\" || quit 1\n"));
    }
    script
}

/// Ends with the resources in a folder of the host.
pub(super) fn copy_resources(plan: &Plan, folder: &str, options: &CliOptions, token: &str) -> String {
    let start = start(options, token) + &root(options);
    // The folder is the user's, with their mask; what is in `$d` stays private.
    let folder = quote::shell(folder);
    format!("{start}t={folder}\numask \"$u\"\n{}quit 0\n}}\n", copies(plan, options))
}

/// Puts the resources into a folder in `$d`.
fn isolated(plan: &Plan, options: &CliOptions, token: &str) -> String {
    let start = start(options, token) + &root(options);
    let before = before(options);
    // Also a later `rm` has to have the rights of who has written there.
    let trap = match options.sudo {
        Sudo::No => String::new(),
        Sudo::Yes | Sudo::WithPassword(_) => "trap 'sudo -n rm -rf \"$d\"' 0\n".to_owned(),
    };
    format!(
        "{start}{trap}t=$d/copy\n{before}mkdir \"$t\" || quit 1\n{before}chmod 755 \"$t\" || quit 1\n{}",
        copies(plan, options)
    )
}

/// Ends with a compressed archive of the resources on standard output.
pub(super) fn isolate_and_get(plan: &Plan, options: &CliOptions, token: &str) -> String {
    let before = before(options);
    isolated(plan, options, token)
        + &piped_through(Compressor::Gzip, &format!("{before}tar -C \"$t\" -cf - ."))
        + "}\n"
}

/// Ends with an image of the resources.
pub(super) fn isolate_to_image(plan: &Plan, image: &str, options: &CliOptions, token: &str) -> String {
    let before = before(options);
    let import = docker(options, &words(&["import", "-", image]));
    // `$d/a` first: an image of half an archive must not come to be.
    format!(
        "{}{before}tar -C \"$t\" -cf \"$d/a\" . || quit 1\n{before}cat \"$d/a\" | {import} >\"$d/o\" || quit 1\nquit 0\n}}\n",
        isolated(plan, options, token)
    )
}

/// Ends with an image of one layer. The container has a name of its own from the beginning, so that it is
/// found and removed whenever the script ends.
pub(super) fn flatten_image(
    image: &str,
    destination: &str,
    no_op: &[String],
    options: &CliOptions,
    token: &str,
) -> String {
    let name = format!("dfab.{}", token.strip_prefix(TOKEN_PREFIX).unwrap_or(token));
    let entrypoint = format!("--entrypoint={}", no_op[0]);
    let mut create = words(&["create", "--name", &name, "--network=none", &entrypoint, image]);
    create.extend_from_slice(&no_op[1..]);
    let [create, start_it, wait, export, import, remove] = [
        create,
        words(&["start", &name]),
        words(&["wait", &name]),
        words(&["export", &name]),
        words(&["import", "-", destination]),
        words(&["rm", "--force=true", "--volumes=true", &name]),
    ]
    .map(|words| docker(options, &words));
    // An engine may still be making the container while its client is killed.
    let clean = format!(
        "clean() {{ [ -z \"$made\" ] || {remove} >/dev/null 2>&1 || {{ sleep 1; {remove} >/dev/null 2>&1; }}; rm -rf \"$d\"; }}\n"
    );
    format!(
        "{}made=\n{clean}trap clean 0\nmade=1\n{create} >\"$d/o\" || quit 1\n{start_it} >\"$d/o\" || quit 1\n\
         w=$({wait}) || quit 1\n[ \"$w\" = 0 ] || echo \"warning: the command that should do nothing ended with status $w\"\n\
         {export} >\"$d/a\" || quit 1\n{import} <\"$d/a\" >\"$d/o\" || quit 1\n{remove} >\"$d/o\" || quit 1\nmade=\nquit 0\n}}\n",
        start(options, token)
    )
}

#[cfg(test)]
mod tests;
