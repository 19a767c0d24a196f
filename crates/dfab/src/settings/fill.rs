//! What the variables say where the call does not: which hosts a run works on, and how it goes on (clients-tasks §1.7,
//! §11.2).

use super::read::Read;
use crate::cli::Options;
use crate::failure::{Failure, Result};
use crate::project::{Origin, Project, Variables};

/// Fills options that were not given, and the default hosts of the project, from the variables.
///
/// # Errors
///
/// A configuration failure naming the variable whose value does not fit, and one for hosts that are named twice.
pub fn fill(options: &mut Options, project: &mut Project, variables: &Variables) -> Result<()> {
    let read = Read(variables);
    for (option, name) in [
        (&mut options.parallel, "parallel"),
        (&mut options.warn_only, "warn_only"),
        (&mut options.skip_bad_hosts, "skip_bad_hosts"),
        (&mut options.skip_unknown_tasks, "skip_unknown_tasks"),
    ] {
        *option |= read.flag(name)?.unwrap_or(false);
    }
    let pool_size = read.number("pool_size")?;
    options.pool_size = options.pool_size.or(pool_size);
    let excluded = read.names("exclude_hosts")?;
    if options.exclude_hosts.is_empty() {
        options.exclude_hosts = excluded;
    }
    default_hosts(project, variables, read.names("hosts")?, read.names("roles")?)?;
    // What a fabfile sets by hand where it names no hosts.
    let single = read.text("host_string")?.filter(|host| !host.is_empty());
    if project.hosts.is_empty() && project.default_roles.is_empty() {
        project.hosts.extend(single);
    }
    Ok(())
}

/// Hosts and roles that were named together count together: those of `--set`, else those of the project file, else
/// those of the settings file.
fn default_hosts(
    project: &mut Project,
    variables: &Variables,
    hosts: Vec<String>,
    roles: Vec<String>,
) -> Result<()> {
    let lists = [("hosts", hosts), ("roles", roles)];
    for (name, list) in &lists {
        // Whoever writes this means some hosts; where the shell left nothing of them, others would be the wrong ones.
        if list.is_empty() && variables.origin(name) == Some(Origin::Call) {
            return Err(Failure::usage(format!("`--set {name}` names none"))
                .hint("leave it out, or write `--set 'hosts=[web1, web2]'`"));
        }
    }
    let of = |origin: Origin| {
        lists
            .clone()
            .map(|(name, list)| if variables.origin(name) == Some(origin) { list } else { Vec::new() })
    };
    let set = of(Origin::Call);
    if set.iter().any(|list| !list.is_empty()) {
        [project.hosts, project.default_roles] = set;
        return Ok(());
    }
    let [hosts, roles] = of(Origin::Project);
    if !hosts.is_empty() && !project.hosts.is_empty() {
        return Err(Failure::configuration(
            "the project file names hosts twice: under `hosts:` and under `env:`",
        )
        .hint("leave one of them out"));
    }
    project.hosts.extend(hosts);
    project.default_roles = roles;
    if project.hosts.is_empty() && project.default_roles.is_empty() {
        [project.hosts, project.default_roles] = of(Origin::Settings);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills from a settings file, `env:`, `hosts:` and `--set`, and shows what came of it.
    fn filled(settings: &str, env: &[(&str, &str)], hosts: &str, set: &[&str]) -> String {
        let mut variables = Variables::for_tests("/");
        variables.read_settings(settings);
        for (name, text) in env {
            variables.insert(name, dfab_map::value::Value::String((*text).to_owned()));
        }
        for set in set {
            variables.set(set).unwrap();
        }
        let hosts = hosts.split_whitespace().map(str::to_owned).collect();
        let mut project = Project { hosts, ..Project::default() };
        let mut options = Options::default();
        match fill(&mut options, &mut project, &variables) {
            Err(failure) => failure.message,
            Ok(()) => {
                let lists = [project.hosts, project.default_roles, options.exclude_hosts];
                lists.map(|list| list.join(" ")).join(" / ")
            }
        }
    }

    #[test]
    fn hosts_come_from_the_call_then_the_project_file_then_the_settings_file() {
        let home = "hosts = a, b\nroles = web\nexclude_hosts = b\n";
        for (env, hosts, set, expected) in [
            (&[][..], "", &[][..], "a b / web / b"),
            (&[], "p", &[], "p /  / b"),
            (&[("hosts", "c;d")], "", &[], "c d /  / b"),
            (&[("roles", "db")], "p", &[], "p / db / b"),
            (&[("hosts", "")], "", &[], " / web / b"),
            (&[("hosts", ""), ("roles", ""), ("host_string", "x")], "", &[], "x /  / b"),
            (&[("host_string", "x")], "p", &[], "p /  / b"),
            (&[("hosts", "c")], "p", &["hosts=[x, y]"], "x y /  / b"),
            (&[], "p", &["roles=db", "exclude_hosts="], " / db / "),
            (
                &[("hosts", "c")],
                "p",
                &[],
                "the project file names hosts twice: under `hosts:` and under `env:`",
            ),
            (&[], "p", &["hosts="], "`--set hosts` names none"),
            (&[], "p", &["roles=[]"], "`--set roles` names none"),
            (&[], "p", &["hosts"], "the deployment variable `hosts` is no text, and no list of texts"),
            (
                &[],
                "p",
                &["exclude_hosts=[{a: b}]"],
                "the deployment variable `exclude_hosts` is no list of texts",
            ),
        ] {
            assert_eq!(filled(home, env, hosts, set), expected, "{env:?} {hosts} {set:?}");
        }
    }

    #[test]
    fn switches_that_are_not_given_come_from_the_variables() {
        let options = |settings: &str, mut options: Options| {
            let mut variables = Variables::for_tests("/");
            variables.read_settings(settings);
            fill(&mut options, &mut Project::default(), &variables).map(|()| options)
        };
        let home =
            "parallel = True\npool_size = 5\nwarn_only = yes\nskip_bad_hosts = 1\nskip_unknown_tasks = no";
        let given = options(home, Options::default()).unwrap();
        let expected = Options {
            parallel: true,
            pool_size: Some(5),
            warn_only: true,
            skip_bad_hosts: true,
            ..Options::default()
        };
        assert_eq!(given, expected);
        let given = Options { pool_size: Some(0), exclude_hosts: vec!["a".to_owned()], ..Options::default() };
        let kept = options("pool_size = 5\nexclude_hosts = b", given.clone()).unwrap();
        assert_eq!(kept, given);
        for (settings, expected) in [
            ("pool_size = many", "the deployment variable `pool_size` is no whole number in its range"),
            ("warn_only = maybe", "the deployment variable `warn_only` is no truth value"),
        ] {
            assert_eq!(options(settings, Options::default()).unwrap_err().message, expected);
        }
    }
}
