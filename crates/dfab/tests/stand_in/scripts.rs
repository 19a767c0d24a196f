//! `actions.single_cmd` and the folder for its results (clients-tasks §9.5).

use crate::bench::Bench;

/// What it leaves would be lost.
#[test]
fn a_command_does_not_run_where_its_results_cannot_be_kept() {
    let bench = Bench::new();
    let line = "actions.single_cmd m new true --download-result run.sh/results";
    let (code, printed) = bench.run(&line.split(' ').collect::<Vec<_>>());
    assert_eq!(code, 2, "{printed}");
    assert!(
        printed.contains("run.sh/results` cannot be made") && printed.contains("Not a directory"),
        "{printed}"
    );
    assert_eq!(*bench.requests.lock().unwrap(), [""; 0]);
}
