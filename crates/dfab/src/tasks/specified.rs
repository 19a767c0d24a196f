//! Every task of clients-tasks §8 and §9 with its arguments, as data: what is there is held against it.

use crate::list::{self, Format};
use crate::project::Project;
use crate::registry::{self, Place};

/// Name, words in order, and keywords; each with its default where the specification gives one. A word after `*` may be
/// any number of words.
const TASKS: &[(&str, &str, &str)] = &[
    ("docker.version", "", ""),
    ("docker.list_images", "list_all=false full_ids=false", ""),
    ("docker.list_containers", "list_all=true short_image=true full_ids=false full_cmd=false", ""),
    ("docker.list_networks", "full_ids=false", ""),
    ("docker.list_volumes", "", ""),
    ("docker.cleanup_containers", "include_initial=false exclude raise_on_error list_only=false", ""),
    ("docker.cleanup_images", "remove_old=false keep_tags force=false raise_on_error list_only=false", ""),
    ("docker.remove_all_containers", "stop_timeout=10 raise_on_error list_only=false", ""),
    ("docker.save_image", "image filename", ""),
    ("docker.load_image", "filename timeout=120", ""),
    ("docker.reset_socat", "use_sudo=false", ""),
    ("docker.get_ip", "interface_name=docker0", ""),
    ("docker.get_ipv6", "interface_name=docker0 expand=false", ""),
    ("docker.install_docker_ubuntu", "skip_group_assignment=false", ""),
    ("docker.install_docker_debian", "skip_group_assignment=false", ""),
    ("docker.install_docker_centos", "skip_group_assignment=false", ""),
    ("docker.build_socat_ubuntu", "", ""),
    ("docker.build_socat_centos", "", ""),
    ("docker.fetch_socat", "local", ""),
    ("docker.install_socat", "src", ""),
    ("docker.login", "", ""),
    ("docker.pull", "", ""),
    ("docker.push", "", ""),
    ("docker.top", "*containers", ""),
    ("docker.logs", "*containers", "follow=false tail=all since until timestamps=false"),
    ("docker.restart", "*containers", "timeout=10"),
    ("actions.create", "*target", "map_name instances prepare_local=true"),
    ("actions.start", "*target", "map_name instances nonrecoverable_exit_codes=-127,-1"),
    ("actions.stop", "*target", "timeout"),
    ("actions.remove", "*target", "remove_persistent=true remove_attached=false"),
    ("actions.restart", "*target", "restart_exec_commands=false timeout"),
    ("actions.startup", "*target", "prepare_local=true"),
    ("actions.shutdown", "*target", "remove_persistent=true remove_attached=false timeout"),
    (
        "actions.update",
        "*target",
        "force_update update_persistent=false check_exec_commands=full skip_limit_reset=false \
         pull_before_update=false pull_insecure_registry=false prepare_local=true",
    ),
    ("actions.kill", "*target", "signal=SIGKILL"),
    ("actions.pull_images", "*target", "pull_all_images=true pull_insecure_registry=false"),
    (
        "actions.perform",
        "action *target",
        "signal timeout force_update entrypoint download_result upload_dir",
    ),
    (
        "actions.script",
        "*target",
        "entrypoint command_format=-c_{script_path} container_script_dir=/tmp/script_run wait_timeout timestamps \
         tail=all remove_existing_before=false remove_created_after=true fail_nonzero=false upload_dir=false",
    ),
    (
        "actions.single_cmd",
        "*target",
        "entrypoint container_script_dir=/tmp/script_run wait_timeout timestamps tail=all \
         remove_existing_before=false remove_created_after=true fail_nonzero=false download_result",
    ),
];

/// Other names that must lead to a task (clients-tasks §8.2, issue 7), plain ones included.
const NAMES: &[(&str, &str)] = &[
    ("check_version", "docker.version"),
    ("install_docker", "docker.install_docker"),
    ("build_socat", "docker.build_socat"),
    ("reset_socat", "docker.reset_socat"),
    ("get_ip", "docker.get_ip"),
    ("get_ipv6", "docker.get_ipv6"),
    ("list_images", "docker.list_images"),
    ("update", "actions.update"),
];

/// What is missing in a task, or other than specified.
fn differences(name: &str, words: &str, keywords: &str) -> Vec<String> {
    let Some(task) = registry::find_full(name) else { return vec![format!("{name} is missing")] };
    let mut found = Vec::new();
    let places: Vec<_> = task.parameters().filter(|parameter| parameter.place != Place::Keyword).collect();
    for (position, word) in words.split_whitespace().enumerate() {
        let (rest, word) = word.strip_prefix('*').map_or((false, word), |word| (true, word));
        let (argument, default) = word.split_once('=').unwrap_or((word, ""));
        match places.get(position) {
            Some(parameter) if parameter.name == argument => {
                if rest != (parameter.place == Place::Rest) {
                    found.push(format!("{name}: {argument} takes another number of words"));
                }
                if !default.is_empty() && parameter.default != default {
                    found.push(format!("{name}: {argument} is {} by default", parameter.default));
                }
            }
            other => found.push(format!(
                "{name}: word {} is {:?}, not {argument}",
                position + 1,
                other.map(|parameter| parameter.name)
            )),
        }
    }
    for keyword in keywords.split_whitespace() {
        let (argument, default) = keyword.split_once('=').unwrap_or((keyword, ""));
        let plain = |text: &str| text.replace(", ", ",").replace(' ', "_");
        match task.parameters().find(|parameter| parameter.name == argument) {
            None => found.push(format!("{name}: {argument} is missing")),
            Some(parameter) if !default.is_empty() && plain(parameter.default) != default => {
                found.push(format!("{name}: {argument} is {} by default", parameter.default));
            }
            Some(_) => {}
        }
    }
    found
}

#[test]
fn every_task_has_the_arguments_and_defaults_of_the_specification() {
    let found: Vec<String> =
        TASKS.iter().flat_map(|(name, words, keywords)| differences(name, words, keywords)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert_eq!(differences("docker.nothing", "", ""), ["docker.nothing is missing"]);
    assert_eq!(
        differences("docker.get_ip", "interface_name=eth0", "x"),
        ["docker.get_ip: interface_name is docker0 by default", "docker.get_ip: x is missing"]
    );
}

#[test]
fn every_task_is_listed_and_found_by_its_other_names() {
    let listing = list::listing(&Project::default(), Format::Short, 200);
    for (name, _, _) in TASKS {
        assert!(listing.lines().any(|line| line == *name), "{name} is not listed");
    }
    for (given, expected) in NAMES {
        let found = registry::find(given).map(|task| task.full_name());
        assert_eq!(found.as_deref(), Some(*expected), "{given}");
    }
}
