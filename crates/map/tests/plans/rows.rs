//! Which rows of the engine's specification are shown, and where: its comparisons (§4), its tables of decisions (§5),
//! its options (§8), its worked examples (§11), and the defects of the source (§10.1).
//!
//! A scenario says `-- rows 5.4/running` before the command that shows the row, and names a defect in its title. What
//! takes more than a plan is shown by a test elsewhere. A row that nothing shows fails the test, and so does one that
//! nobody knows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use dfab_map::plan::{ExecCheck, PlanOptions};

/// Section, and names of its rows.
const ROWS: &[(&str, &str)] = &[
    ("4.1", "absent reset"),
    ("4.2", "differs equal persistent reference-not-found update_persistent"),
    (
        "4.3",
        "attaches attaches-without-path binds-alias binds-instance binds-path cleaned-path equal extra missing neither no-host-path read-only relative-path shares unknown-alias uses-attached uses-container uses-container-volumes",
    ),
    ("4.4", "alias equal extra missing null"),
    ("4.5", "differs equal foreign-key list missing not-configured null removed"),
    ("4.6", "differs equal not-configured null split"),
    ("4.7", "differs equal not-configured split"),
    (
        "4.8",
        "additional-exposed additional-published all-addresses differs equal interface ipv6 missing no-host-port protocol stopped unknown-interface",
    ),
    (
        "4.9",
        "aliases bridge configured-networks container-mode container-reference default-network default-network-absent disconnected endpoint-lost equal from-container from-host host ipv4 ipv6 left link-local links modes-equal none preset stopped-disconnected stopped-equal stopped-left to-container to-host unset",
    ),
    (
        "4.10",
        "blkio_weight both-none cpu_period cpu_quota cpu_shares cpuset_cpus cpuset_mems create_options equal kernel_memory lifted mem_limit mem_reservation memswap_limit no-container_update oom_kill_disable pids_limit skip_limit_reset swap-default units unsupported",
    ),
    ("4.11", "count equal missing-count name no-container_update none removed"),
    ("4.12", "full full-differs initial no-processes none partial quotes user"),
    (
        "4.13",
        "arguments attachable driver enable_ipv6 equal extra-options internal ipam labels not-configured option removed",
    ),
    ("4.14", "arguments driver equal extra-option labels null option"),
    (
        "5.1",
        "container-absent container-present container-running image-absent image-present network-absent network-present volume-absent volume-present",
    ),
    ("5.2", "container-absent container-present container-running else restarting"),
    ("5.3", "absent exec-commands initial present running selected-only"),
    ("5.4", "absent dependents initial present restarting running"),
    (
        "5.5",
        "absent container-persistent container-present image network-absent network-connected running volume-present",
    ),
    (
        "5.6",
        "container-absent container-present container-restarting container-running image-absent image-present network-absent network-present nonrecoverable persistent-ended volume-absent volume-made-anew volume-present",
    ),
    (
        "5.7",
        "absent network network-connected network-named present restarting running-persistent running-removable volume-absent volume-present",
    ),
    (
        "5.8",
        "container-absent container-equal disconnected exec image-absent image-present image-pull_before_update left limits limits-persistent-ended limits-then-start mismatch network-absent network-empty network-equal network-reset not-running not-running-initial order persistent-ended reset-present reset-restarting reset-running volume-absent volume-equal volume-forced volume-reset",
    ),
    (
        "5.9",
        "absent dependency-absent dependency-ended dependency-image dependency-initial dependency-network-absent dependency-network-present dependency-nonrecoverable dependency-persistent dependency-running dependency-volume-absent dependency-volume-present exists exists-on-client owner-absent owner-initial owner-present owner-running remove-present remove-restarting remove-running",
    ),
    ("5.10", "absent present running signal"),
    ("5.11", "absent all missing-only"),
    (
        "8.1",
        "check_exec_commands check_exec_commands-default force_update force_update-default force_update-network force_update-volume nonrecoverable_exit_codes nonrecoverable_exit_codes-default prepare_local prepare_local-default pull_all_images pull_all_images-default pull_before_update pull_before_update-default pull_insecure_registry pull_insecure_registry-default remove_attached remove_attached-default remove_created_after remove_created_after-default remove_existing_before remove_existing_before-default remove_persistent remove_persistent-default restart_exec_commands restart_exec_commands-default skip_limit_reset skip_limit_reset-default update_persistent update_persistent-default",
    ),
    ("8.2", "defaults"),
    (
        "8.3",
        "core_image default_client_name default_network_names default_network_names-absent hostname_replace map_defaults preset-networks",
    ),
    ("8.4", "create create-others refused remove-force remove-v restart-timeout script signal stop-timeout"),
    ("11.1", "create-server create-two pull_images stop stop-instances stop-two"),
    ("11.2", "arguments calls"),
    ("11.3", "result"),
    ("11.4", "arguments calls"),
    (
        "11.5",
        "exited-0 exited-nonrecoverable force_update image-absent image-with-signal memory-added memory-removed memory-removed-skip networks never-started persistent-image restart-policy update_persistent",
    ),
    ("11.6", "script start-failure timeout"),
];

/// Numbers of §10.1 that are not used.
const UNUSED: [u32; 4] = [46, 62, 63, 65];

/// The last number of §10.1.
const LAST_DEFECT: u32 = 69;

/// Defects of what there is not here, and why.
const NOT_HERE: &[(&str, &str)] =
    &[("D-32", "volumes are never emulated by containers: engines since API 1.40 have them")];

/// What is shown by a test outside of the scenarios: row or defect, file under `crates`, test.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("4.3/relative-path", "map/src/load/tests/forms.rs", "every_form_has_its_meaning"),
    ("8.2/defaults", "map/tests/plans/rows.rs", "the_defaults_are_those_of_the_table"),
    ("8.3/map_defaults", "map/src/merge/tests.rs", "defaults_fill_what_the_map_leaves_open"),
    ("11.6/start-failure", "client/tests/apply.rs", "a_script_that_cannot_start_leaves_no_container"),
    ("11.6/timeout", "client/tests/apply.rs", "a_script_yields_its_code_and_log_and_its_container_goes"),
    ("D-01", "client/tests/apply.rs", "a_helper_prepares_the_volume_after_the_engine_has_copied_content"),
    ("D-02", "client/tests/apply.rs", "a_helper_that_fails_is_an_error_with_what_it_said"),
    ("D-12", "client/tests/apply.rs", "a_container_that_ignores_its_stop_signal_is_killed"),
    ("D-36", "client/tests/observe.rs", "a_container_that_vanishes_after_the_list_is_absent"),
    ("D-47", "client/tests/api.rs", "a_wait_that_runs_out_of_time_is_an_answer"),
    ("D-49", "client/tests/api.rs", "commands_are_started_detached"),
    ("D-52", "client/tests/api.rs", "an_image_is_pulled_with_and_without_a_login"),
    ("D-52", "map/src/image.rs", "the_registry_is_the_first_component_that_looks_like_a_host"),
    ("D-57", "client/tests/apply.rs", "a_script_yields_its_code_and_log_and_its_container_goes"),
    ("D-58", "client/tests/apply.rs", "a_script_joins_all_networks_before_it_starts"),
    ("D-59", "client/tests/apply.rs", "a_host_that_is_down_does_not_stop_the_others"),
    ("D-60", "tasks/src/actions/tests.rs", "what_was_done_before_a_plan_fails_is_told"),
    ("D-66", "dfab/src/cli/arguments.rs", "truth_values_are_read_as_the_specification_says"),
    ("D-69", "map/src/load/tests/forms.rs", "every_form_has_its_meaning"),
];

/// What the scenarios say that they show, with the places of the words.
fn claims() -> (BTreeMap<String, String>, BTreeSet<String>) {
    let (mut rows, mut defects) = (BTreeMap::new(), BTreeSet::new());
    for path in super::files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let place = || format!("{}:{}", path.file_name().unwrap_or_default().to_string_lossy(), at + 1);
            if let Some(title) = line.strip_prefix("== ") {
                let words = title.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
                defects.extend(words.filter(|word| word.starts_with("D-")).map(str::to_owned));
            }
            let Some(words) = line.strip_prefix("-- rows ") else { continue };
            let next = lines.get(at + 1).copied().unwrap_or_default();
            let shows =
                ["-- plan ", "-- calls ", "-- made ", "-- wrong "].iter().any(|verb| next.starts_with(verb));
            assert!(shows, "{}: nothing is printed after it", place());
            rows.extend(words.split_whitespace().map(|word| (word.to_owned(), place())));
        }
    }
    (rows, defects)
}

#[test]
fn every_row_is_shown() {
    let known: BTreeSet<String> = ROWS
        .iter()
        .flat_map(|(section, names)| names.split_whitespace().map(move |name| format!("{section}/{name}")))
        .collect();
    let elsewhere: BTreeSet<String> = ELSEWHERE.iter().map(|(row, ..)| (*row).to_owned()).collect();
    let (rows, defects) = claims();
    let unknown =
        rows.iter().filter(|(row, _)| !known.contains(*row)).map(|(row, at)| format!("{at}: no row {row}"));
    let unshown = known.iter().filter(|row| !rows.contains_key(*row) && !elsewhere.contains(*row));
    let unshown = unshown.map(|row| format!("nothing shows row {row}"));
    let numbers =
        (1..=LAST_DEFECT).filter(|number| !UNUSED.contains(number)).map(|number| format!("D-{number:02}"));
    let is_shown = |defect: &String| {
        defects.contains(defect)
            || elsewhere.contains(defect)
            || NOT_HERE.iter().any(|(known, why)| known == defect && !why.is_empty())
    };
    let undone =
        numbers.filter(|defect| !is_shown(defect)).map(|defect| format!("nothing shows defect {defect}"));
    let wrong: Vec<String> = unknown.chain(unshown).chain(undone).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A test that is named here exists, and says itself which defect it is about.
#[test]
fn what_is_shown_elsewhere_is_there() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut wrong = Vec::new();
    for (row, file, test) in ELSEWHERE {
        let text = std::fs::read_to_string(crates.join(file)).unwrap_or_default();
        if !text.contains(&format!("fn {test}(")) || row.starts_with("D-") && !text.contains(row) {
            wrong.push(format!("{row}: {file} has no test {test} that names it"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Engine §8.1 and §8.2: what holds where neither the call nor the session says anything.
#[test]
fn the_defaults_are_those_of_the_table() {
    let PlanOptions {
        nonrecoverable_exit_codes,
        force_update,
        update_persistent,
        check_exec_commands,
        skip_limit_reset,
        pull_before_update,
        pull_all_images,
        pull_insecure_registry,
        restart_exec_commands,
        remove_persistent,
        remove_attached,
        remove_networks,
        remove_orphans,
        remove_existing_before,
        remove_created_after,
        prepare_local,
        wait_healthy,
        wait_healthy_timeout,
        pulled,
        signal,
        timeout,
        remove_volumes,
        force,
        create,
        script,
    } = PlanOptions::default();
    assert_eq!(nonrecoverable_exit_codes, [-127, -1]);
    assert_eq!(check_exec_commands, ExecCheck::Full);
    let on = [pull_all_images, remove_persistent, remove_created_after, prepare_local];
    assert!(on.into_iter().all(|flag| flag), "{on:?}");
    let off = [
        update_persistent,
        skip_limit_reset,
        pull_before_update,
        pull_insecure_registry,
        restart_exec_commands,
        remove_attached,
        remove_networks,
        remove_orphans,
        remove_existing_before,
        wait_healthy,
        remove_volumes,
        force,
    ];
    assert!(!off.into_iter().any(|flag| flag), "{off:?}");
    assert!(force_update.is_empty() && pulled.is_empty() && create.is_empty());
    assert_eq!((signal, timeout, wait_healthy_timeout), (None, None, None::<Duration>));
    assert_eq!(script.container_script_dir, "/tmp/script_run");
    assert_eq!((script.tail, script.timestamps, script.wait_timeout), (None, false, None));
}
