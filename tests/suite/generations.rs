//! The lab has what the tests count on. When this fails, look at `xtask`, not at `dfab`.

use dfab_tests::lab_or_skip;

#[test]
fn each_host_runs_the_engine_it_is_recorded_with() {
    let lab = lab_or_skip!();
    for number in 1..=lab.host_count() {
        let host = lab.take(number);
        let version = host.run("docker version --format '{{.Server.Version}}'");
        assert!(version.starts_with(&host.engine), "{} has {version}, not {}", host.name, host.engine);
        assert_eq!(host.run("docker run --rm busybox:latest echo works"), "works");
        assert_eq!(host.leftovers(), [""; 0]);
    }
}
