//! Tests of the `dfab` binary over all crates, most of them in the lab.

mod actions;
#[path = "../../crates/client/tests/common/certificates.rs"]
mod certificates;
mod cleanup;
mod completion;
mod contract;
mod doctor;
mod errors;
mod every_property;
mod every_task;
mod exclusions;
mod followers;
mod generations;
mod guides;
mod host_utilities;
mod image_transfer;
mod images;
mod interruption;
mod ipv6;
mod jump;
mod killed_anywhere;
mod limits;
mod login;
mod one_run_per_example;
mod parity;
mod project_tasks;
mod registry;
mod requests;
mod rows;
mod session;
mod setup;
mod several_hosts;
mod tasks;
mod tls;
mod transport;
mod tunnel;

/// The modules above must be all files of this folder: a forgotten one would never run.
#[test]
fn no_file_is_forgotten() {
    let declared = include_str!("main.rs");
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/suite")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs").expect("only Rust files lie here");
        assert!(
            module == "main" || declared.contains(&format!("\nmod {module};\n")),
            "`mod {module};` is missing"
        );
    }
}
