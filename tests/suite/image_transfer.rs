//! `docker.save_image` and `docker.load_image`: from one engine to another, with one checksum.

use std::fs;
use std::process::Command;

use dfab_tests::{Project, lab_or_skip};

fn sha256(project: &Project, file: &str) -> String {
    let output =
        Command::new("sha256sum").arg(project.path().join(file)).output().expect("`sha256sum` starts");
    String::from_utf8_lossy(&output.stdout).split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn an_image_goes_from_one_engine_to_another_and_half_of_one_is_refused() {
    let lab = lab_or_skip!();
    let project = Project::new(&[]);
    let image = "transfer-test:1";
    let from = lab.take(1);
    let content = "c=$(docker create busybox true); head -c 20000000 /dev/urandom >/tmp/content; docker cp /tmp/content $c:/content";
    from.run(&format!("{content}; docker commit $c {image}; docker rm $c; rm /tmp/content"));
    let id = from.run(&format!("docker inspect --format '{{{{.Id}}}}' {image}"));
    for (number, file) in [(1, "image.tar"), (lab.host_count(), "image.tar.gz")] {
        let saved =
            project.dfab_in(&lab, &["-H", "host1", "docker.save_image", image, file]).run().expect_code(0);
        let sum = sha256(&project, file);
        assert!(saved.stdout.contains(&format!("sha256 {sum}")), "{saved}");
        let is_gzip = fs::read(project.path().join(file)).expect("it was saved").starts_with(&[0x1f, 0x8b]);
        assert_eq!(is_gzip, file.ends_with(".gz"), "{file}");

        let other = (number != 1).then(|| lab.take(number));
        let host = other.as_ref().unwrap_or(&from);
        host.run(&format!("docker rmi {image} 2>/dev/null || true"));
        let load = |file: &str| project.dfab_in(&lab, &["-H", &host.name, "docker.load_image", file]).run();
        let loaded = load(file).expect_code(0);
        assert!(loaded.stdout.contains(&format!("sha256 {sum}")), "{loaded}");
        assert_eq!(
            host.run(&format!("docker inspect --format '{{{{.Id}}}}' {image}")),
            id,
            "{}",
            host.engine
        );

        host.run(&format!("docker rmi {image}"));
        let half = fs::read(project.path().join(file)).expect("it was saved");
        fs::write(project.path().join("half"), &half[..half.len() / 2]).expect("a file can be written");
        load("half").expect_code(1).expect_error(&["of `half` were sent", "run the task again"]);
        if number == 1 {
            from.run(&format!("docker images -q {image} | grep . && exit 1 || true"));
            load(file).expect_code(0);
        }
    }
    let names = fs::read_dir(project.path()).expect("the folder is there");
    let mut names: Vec<_> = names.filter_map(|name| name.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    assert_eq!(names, ["half", "image.tar", "image.tar.gz"], "nothing else is left");
    // An image that is not there leaves no file.
    let absent = ["-H", "host1", "docker.save_image", "no-such-image:1", "absent.tar"];
    project.dfab_in(&lab, &absent).run().expect_code(1).expect_error(&["no-such-image"]);
    assert!(!project.path().join("absent.tar").exists());
}
