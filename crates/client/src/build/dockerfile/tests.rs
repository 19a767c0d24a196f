//! Texts of clients-tasks §10.1, byte for byte.

use super::*;
use dfab_map::value::Tables;

fn options(base: Option<&str>, maintainer: Option<&str>, initial: &[&str]) -> DockerFileOptions {
    DockerFileOptions {
        base_image: base.map(str::to_owned),
        maintainer: maintainer.map(str::to_owned),
        initial: initial.iter().map(|&line| line.to_owned()).collect(),
        properties: Properties::default(),
    }
}

/// §10.1.1
#[test]
fn construction() {
    for (options, expected) in [
        (DockerFileOptions::default(), "FROM tianon/true:latest\n\n"),
        (options(None, None, &[]), "\n"),
        (options(Some(""), None, &[]), "\n"),
        (
            options(Some("ubuntu"), Some("ME, me@example.com"), &["RUN a\nRUN b"]),
            "FROM ubuntu\n\nMAINTAINER ME, me@example.com\n\nRUN a\nRUN b\n",
        ),
        (options(Some("ubuntu"), None, &["# x", "USER y"]), "FROM ubuntu\n\n# x\nUSER y\n"),
    ] {
        assert_eq!(DockerFile::with(options).text(), expected);
    }
}

/// What a call writes after the construction.
fn written(write: impl FnOnce(&mut DockerFile) -> Result<(), Error>) -> String {
    let mut file = DockerFile::with(options(None, None, &[]));
    write(&mut file).unwrap();
    file.text().strip_prefix('\n').unwrap().to_owned()
}

const NONE: [&str; 0] = [];

/// §10.1.2
#[test]
fn immediate_commands() {
    type Call = fn(&mut DockerFile) -> Result<(), Error>;
    let calls: [(Call, &str); 18] = [
        (|file| file.prefix("ENV", ["A", "1"]).map(drop), "ENV A 1\n"),
        (|file| file.prefix("#", NONE).map(drop), "#\n"),
        (|file| file.prefix_all("ENV", &[&["A", "1"], &["B 2"]]).map(drop), "ENV A 1\nENV B 2\n"),
        (|file| file.prefix_all::<&str>("ENV", &[]).map(drop), ""),
        (|file| file.run(["apt-get", "update"]).map(drop), "RUN apt-get update\n"),
        (|file| file.run(["a \\\n b"]).map(drop), "RUN a \\\n b\n"),
        (|file| file.run(["<<EOF\na\nb\nEOF"]).map(drop), "RUN <<EOF\na\nb\nEOF\n"),
        (|file| file.run(["cat <<-\"EOF\" >x\na\nEOF"]).map(drop), "RUN cat <<-\"EOF\" >x\na\nEOF\n"),
        (
            |file| file.run_all(&[&["a"], &[""], &["b", "c"], &[], &["d"]]).map(drop),
            "RUN a\n\nRUN b c\n\nRUN d\n",
        ),
        (|file| file.run_join(&["x", "y", "z"]).map(drop), "RUN x && y && z\n"),
        (|file| file.comment("base").map(drop), "# base\n"),
        (|file| file.comment("").map(drop), "#\n"),
        (|file| file.blank().map(drop), "\n"),
        (|file| file.write("raw").map(drop), "raw"),
        (|file| file.write_line("line").map(drop), "line\n"),
        (|file| file.write_lines(["a", "b\nc"]).map(drop), "a\nb\nc\n"),
        (|file| file.add_volume("/a").map(drop), ""),
        (|file| file.blank()?.comment("x")?.blank().map(drop), "\n# x\n\n"),
    ];
    for (call, expected) in calls {
        assert_eq!(written(call), expected);
    }
}

/// §10.1.2: the source wrote broken Dockerfiles.
#[test]
fn line_breaks_that_would_make_a_second_instruction_are_refused() {
    for text in ["a\nb", "a \\\nb\nc", "a\n", "1 << 2\nb"] {
        let mut file = DockerFile::new("b");
        let error = file.run([text]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`RUN {text}` has a line break")), "{error}");
        assert_eq!(file.text(), "FROM b\n\n");
    }
}

/// §10.1.3: paths with blanks are in JSON form, and their names in the context are as they are (D-46).
#[test]
fn files() {
    let tables = Tables {
        environment: [("NAME".to_owned(), "value".to_owned())].into_iter().collect(),
        homes: [(String::new(), "/home/me".to_owned())].into_iter().collect(),
        ..Tables::default()
    };
    let add = |source: &str, target: Option<&str>, context: Option<&str>| AddFile {
        source: source.to_owned(),
        target: target.map(str::to_owned),
        context: context.map(str::to_owned),
        ..AddFile::default()
    };
    let nginx = Some("/etc/nginx/nginx.conf");
    let verbatim = AddFile { verbatim: true, ..add("/src/my file.txt", None, None) };
    let expanded =
        AddFile { expand: Some(&tables), remove_final: true, ..add("~/x", Some("/new/x"), Some("/another")) };
    let variable = AddFile { expand: Some(&tables), ..add("$NAME/${NAME}.txt", None, None) };
    for (file, line, context, source) in [
        (
            add("/src/my file.txt", None, None),
            r#"["my file.txt", "my file.txt"]"#,
            "my file.txt",
            "/src/my file.txt",
        ),
        (verbatim, "my file.txt my file.txt", "my file.txt", "/src/my file.txt"),
        (
            add("conf/nginx.conf", nginx, None),
            "/etc/nginx/nginx.conf /etc/nginx/nginx.conf",
            "/etc/nginx/nginx.conf",
            "conf/nginx.conf",
        ),
        (
            add("conf/nginx.conf", nginx, Some("ng x")),
            r#"["ng x", "/etc/nginx/nginx.conf"]"#,
            "ng x",
            "conf/nginx.conf",
        ),
        (add("dir/sub/", None, None), "sub sub", "sub", "dir/sub/"),
        (expanded, "/another /new/x", "/another", "/home/me/x"),
        (variable, "value.txt value.txt", "value.txt", "value/value.txt"),
        (add("a", Some("/$x[1]\\"), None), r"/\$x[[]1][\\\\] /\$x[1]\\", r"/$x[1]\", "a"),
        (add("a", Some("--x"), None), r#"["--x", "--x"]"#, "--x", "a"),
    ] {
        let mut docker_file = DockerFile::new("b");
        assert_eq!(docker_file.add_file(&file).unwrap(), context);
        assert_eq!(docker_file.text(), format!("FROM b\n\nADD {line}\n"));
        assert_eq!(docker_file.files(), [(PathBuf::from(source), context.to_owned())]);
        docker_file.finalize().unwrap();
        assert_eq!(docker_file.text().contains("RUN rm -Rf /new/x\n\n"), file.remove_final);
    }
}

#[test]
fn files_that_cannot_be_added() {
    let add = |source: &str, context: Option<&str>| AddFile {
        source: source.to_owned(),
        context: context.map(str::to_owned),
        ..AddFile::default()
    };
    let tables = Tables::default();
    let unknown = AddFile { expand: Some(&tables), ..add("$NOPE/x", None) };
    for (file, expected) in [
        (add("/", None), "`/` has no file name, and no target is given"),
        (add("", None), "`` has no file name, and no target is given"),
        (add("..", None), "`..` has no file name, and no target is given"),
        (
            add("x", Some("a/../../etc/x")),
            "`a/../../etc/x` leads out of the build context: it has an element `..`",
        ),
        (unknown, "the path `$NOPE/x` cannot be expanded: environment variable `NOPE` is not set"),
    ] {
        let mut docker_file = DockerFile::new("b");
        assert_eq!(docker_file.add_file(&file).unwrap_err().to_string(), expected);
        assert_eq!((docker_file.text(), docker_file.files().len()), ("FROM b\n\n", 0));
    }
}

/// §10.1.4: each property alone.
#[test]
fn finalisation() {
    type Set = fn(&mut Properties);
    let text = |text: &str| Some(text.to_owned());
    let _ = text;
    let sets: [(Set, &str); 24] = [
        (|_| {}, ""),
        (|p| p.volumes = Some(vec!["/a".into(), "/ä b".into()]), "VOLUME [\"/a\", \"/ä b\"]\n"),
        (|p| p.volumes = Some(vec![]), "VOLUME []\n"),
        (|p| p.command_user = Some("u".into()), "USER u\n"),
        (|p| p.command_user = Some("0".into()), "USER 0\n"),
        (|p| p.command_user = Some(String::new()), ""),
        (|p| p.command_workdir = Some("/w".into()), "WORKDIR /w\n"),
        (|p| p.shell = Some("[\"/bin/ash\", \"-c\"]".into()), "SHELL [\"/bin/ash\", \"-c\"]\n"),
        (|p| p.shell = Some(["/bin/ash", "-c"].into()), "SHELL [\"/bin/ash\", \"-c\"]\n"),
        (|p| p.entrypoint = Some(["/bin/ep"].into()), "ENTRYPOINT [\"/bin/ep\"]\n"),
        (|p| p.entrypoint = Some("".into()), "ENTRYPOINT []\n"),
        (|p| p.command = Some("ls -l".into()), "CMD [\"ls\", \"-l\"]\n"),
        (|p| (p.command, p.command_shell) = (Some("ls -l".into()), true), "CMD ls -l\n"),
        (|p| p.expose = Some(vec!["80".into()]), "EXPOSE 80\n"),
        (|p| p.expose = Some(vec!["80 81".into()]), "EXPOSE 80 81\n"),
        (|p| p.expose = Some(vec!["80".into(), "81".into()]), "EXPOSE 80 81\n"),
        (|p| p.expose = Some(vec!["80/udp".into()]), "EXPOSE 80/udp\n"),
        (|p| p.expose = Some(vec!["0".into()]), "EXPOSE 0\n"),
        (|p| p.expose = Some(vec![]), ""),
        (|p| p.labels = Some([("a", "b")].into()), "LABEL \"a\"=\"b\"\n"),
        (|p| p.labels = Some(Labels::Pairs(vec![])), ""),
        (|p| p.stop_signal = Some("SIGQUIT".into()), "STOPSIGNAL SIGQUIT\n"),
        (|p| p.health_check = Some("NONE".into()), "HEALTHCHECK NONE\n"),
        (
            |p| p.health_check = Some("CMD curl -f http://localhost/".into()),
            "HEALTHCHECK CMD curl -f http://localhost/\n",
        ),
    ];
    for (set, expected) in sets {
        let mut file = DockerFile::new("b");
        set(file.properties().unwrap());
        file.finalize().unwrap();
        assert_eq!(file.text(), format!("FROM b\n\n{expected}"));
    }
}

#[test]
fn a_finalized_file_refuses_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Dockerfile");
    let mut file = DockerFile::new("b");
    file.run(["a"]).unwrap();
    file.save(&path).unwrap();
    file.finalize().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "FROM b\n\nRUN a\n");
    let refused = [
        file.write("x").map(drop),
        file.write_lines(NONE).map(drop),
        file.prefix_all::<&str>("RUN", &[]).map(drop),
        file.add_volume("/a").map(drop),
        file.properties().map(drop),
        file.add_file(&AddFile::new("x")).map(drop),
        file.add_archive("x.tar", false).map(drop),
    ];
    for result in refused {
        assert_eq!(result.unwrap_err().to_string(), "File cannot be changed after it has been finalized.");
    }
    assert_eq!(file.text(), "FROM b\n\nRUN a\n");
}

#[test]
fn a_bad_command_text_leaves_the_file_open() {
    let mut file = DockerFile::new("b");
    file.properties().unwrap().command = Some("a 'b".into());
    assert!(matches!(file.finalize(), Err(Error::CommandText(_))));
    file.properties().unwrap().command = Some("a b".into());
    file.finalize().unwrap();
    assert_eq!(file.text(), "FROM b\n\nCMD [\"a\", \"b\"]\n");
}

/// §10.1.5
#[test]
fn the_complete_example() {
    let mut file = DockerFile::with(options(Some("ubuntu:16.04"), Some("ME"), &[]));
    file.comment("base").unwrap();
    file.run(["apt-get", "update"]).unwrap();
    file.run_join(&["x", "y", "z"]).unwrap();
    file.prefix_all("ENV", &[&["A", "1"], &["B 2"]]).unwrap();
    let tables =
        Tables { homes: [(String::new(), "/home/me".to_owned())].into_iter().collect(), ..Tables::default() };
    file.add_file(&AddFile {
        target: Some("/new/x".into()),
        context: Some("/another".into()),
        expand: Some(&tables),
        remove_final: true,
        ..AddFile::new("~/x")
    })
    .unwrap();
    file.properties().unwrap().volumes = Some(vec!["/a".into()]);
    file.add_volume("/c").unwrap();
    let properties = file.properties().unwrap();
    properties.entrypoint = Some(["/bin/ep"].into());
    properties.command = Some(["x", "1"].into());
    properties.command_user = Some("u".into());
    properties.command_workdir = Some("/w".into());
    properties.expose = Some(vec!["80".into(), "443/tcp".into()]);
    properties.labels = Some([("a", "b")].into());
    properties.stop_signal = Some("SIGQUIT".into());
    file.finalize().unwrap();
    let expected = r#"FROM ubuntu:16.04

MAINTAINER ME

# base
RUN apt-get update
RUN x && y && z
ENV A 1
ENV B 2
ADD /another /new/x
RUN rm -Rf /new/x

VOLUME ["/a", "/c"]
USER u
WORKDIR /w
ENTRYPOINT ["/bin/ep"]
CMD ["x", "1"]
EXPOSE 80 443/tcp
LABEL "a"="b"
STOPSIGNAL SIGQUIT
"#;
    assert_eq!(file.text(), expected);
}
