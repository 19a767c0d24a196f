//! The rows of clients-tasks §5.5–5.6 as recorded command lines, and the table of properties.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dfab_client::error::Cause;
use dfab_client::streams::{LogOptions, Moment};
use dfab_client::transfer::{BuildLimits, BuildOptions};
use dfab_map::image::{ImageName, ImageVersion};
use dfab_map::property::{OnChange, Property};
use dfab_map::spec::{ContainerSpec, EndpointSpec, NetworkSpec, Properties, VolumeSpec};
use dfab_tunnel::Secret;
use serde_json::{Value, json};

use super::*;

const NEW: Generation = (28, 2);
const OLD: Generation = (20, 10);

/// A specification of image `image:1` with these properties.
fn spec(properties: &[(Property, Value)]) -> ContainerSpec {
    ContainerSpec {
        name: "c".to_owned(),
        image: ImageName { repository: "image".to_owned(), version: ImageVersion::Tag("1".to_owned()) },
        properties: properties.iter().cloned().collect(),
        first_endpoint: None,
        own_labels: BTreeMap::new(),
    }
}

/// The words that a shell makes of a line, `docker` left out.
fn line(text: &str) -> Vec<String> {
    let mut words = shell_words::split(text).unwrap();
    assert_eq!(words.remove(0), "docker");
    words
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// The flags that properties make, without name, image and our own label.
fn flags(generation: Generation, properties: &[(Property, Value)]) -> Vec<String> {
    let mut words = create(&spec(properties), generation).unwrap().words;
    assert_eq!(words.remove(0), "create");
    assert_eq!(words.remove(0), "--name=c");
    words
}

/// Properties, and the flags that they make: the rows of clients-tasks §5.5.
fn create_table() -> Vec<(Vec<(Property, Value)>, &'static str)> {
    use Property::*;
    let rows: &[(&[(Property, Value)], &str)] = &[
        (&[(Command, json!(["sh", "-c", "echo x"]))], r#"image:1 sh -c "echo x""#),
        (&[], "image:1"),
        (&[(Shares, json!(["a", "b"]))], r#"--volume="a" --volume="b" image:1"#),
        (
            &[(Shares, json!(["a", "b"])), (Binds, json!(["ax:a:ro", "bx:b:rw"]))],
            r#"--volume="ax:a:ro" --volume="bx:b:rw" --label=dfab.cli=shares image:1"#,
        ),
        // D-22: binds without a volume of their path, and volumes beside them, are not lost.
        (
            &[(Shares, json!(["/b", "/c"])), (Binds, json!(["x:/a:ro", "y:/b"]))],
            "--volume=x:/a:ro --volume=y:/b --volume=/c --label=dfab.cli=shares image:1",
        ),
        (&[(User, json!("2000"))], r#"--user="2000" image:1"#),
        (&[(Hostname, json!("the-hostname"))], r#"--hostname="the-hostname" image:1"#),
        (&[(Domainname, json!("the-domain"))], r#"--domainname="the-domain" image:1"#),
        (&[(StopTimeout, json!(10))], r#"--stop-timeout="10" image:1"#),
        (&[(StopSignal, json!("SIGTERM"))], r#"--stop-signal="SIGTERM" image:1"#),
        (&[(NetworkMode, json!("container:main.app"))], "--net=container:main.app image:1"),
        (
            &[
                (ExposedPorts, json!(["80/tcp", "88/udp", "89/tcp"])),
                (
                    PortBindings,
                    json!({
                        "80/tcp": [{"HostPort": "8080"}],
                        "88/udp": [{"HostPort": "8888/udp"}],
                        "89": [{"HostIp": "x-ip4", "HostPort": "8989"}],
                    }),
                ),
            ],
            "--expose=80 --publish=8080:80/tcp --expose=88/udp --publish=8888:88/udp \
             --expose=89 --publish=x-ip4:8989:89 image:1",
        ),
        (&[(ExposedPorts, json!(["8080/tcp", "8081/tcp"]))], "--expose=8080 --expose=8081 image:1"),
        // D-22: a port that is published only; IPv6 in brackets; a single value; any host port.
        (
            &[(
                PortBindings,
                json!({
                    "80/tcp": [{"HostIp": "::1", "HostPort": "8080"}, {"HostIp": "", "HostPort": ""}],
                    "81/tcp": 8081,
                    "82/tcp": null,
                    "83/tcp": [{"HostIp": "10.0.0.1", "HostPort": ""}],
                }),
            )],
            "--publish=[::1]:8080:80/tcp --publish=80/tcp --publish=8081:81/tcp --publish=82/tcp \
             --publish=10.0.0.1::83/tcp image:1",
        ),
        (&[(RestartPolicy, json!({"Name": "always"}))], "--restart=always image:1"),
        (
            &[(RestartPolicy, json!({"Name": "on-failure", "MaximumRetryCount": 3}))],
            "--restart=on-failure:3 image:1",
        ),
        (&[(RestartPolicy, json!({"Name": ""}))], "image:1"),
        (
            &[(
                Healthcheck,
                json!({"Test": ["CMD", "curl", "http://localhost/"], "Interval": 1, "Timeout": 2,
                       "Retries": 3, "StartPeriod": 4}),
            )],
            r#"--health-cmd="curl http://localhost/" --health-interval=1ns --health-timeout=2ns
               --health-start-period=4ns --health-retries=3 --label=dfab.cli=healthcheck image:1"#,
        ),
        (
            &[(Healthcheck, json!({"Test": ["CMD-SHELL", "curl -f http://x/ || exit 1"]}))],
            r#"--health-cmd="curl -f http://x/ || exit 1" image:1"#,
        ),
        (&[(Healthcheck, json!({"Test": ["NONE"]}))], "--no-healthcheck image:1"),
        (&[(Healthcheck, json!({"Interval": 5}))], "--health-interval=5ns image:1"),
        (&[(Environment, json!(["A=1"]))], "--env-file=/dev/stdin image:1"),
        (&[(Environment, json!({"A": 1}))], "--env-file=/dev/stdin image:1"),
        (&[(Links, json!(["db:database", "x:y"]))], "--link=db:database --link=x:y image:1"),
        (
            &[
                (MemLimit, json!("512m")),
                (MemswapLimit, json!("1g")),
                (MemReservation, json!("256m")),
                (CpuShares, json!(512)),
                (CpusetCpus, json!("0-1")),
            ],
            r#"--memory="512m" --memory-reservation="256m" --memory-swap="1g" --cpu-shares="512"
               --cpuset-cpus="0-1" image:1"#,
        ),
        (
            &[(Privileged, json!(true)), (ReadOnly, json!(false)), (Tty, Value::Null)],
            "--privileged=true --read-only=false image:1",
        ),
        (&[(ExtraHosts, json!({"h1": "10.0.0.1"}))], "--add-host=h1:10.0.0.1 image:1"),
        (&[(ExtraHosts, json!(["h1:10.0.0.1"]))], r#"--add-host="h1:10.0.0.1" image:1"#),
        (&[(VolumesFrom, json!(["c1", "c2:ro"]))], r#"--volumes-from="c1" --volumes-from="c2:ro" image:1"#),
        // D-23 and the rest of the corrected flags.
        (&[(Labels, json!({"k": "v w"}))], r#"--label="k=v w" image:1"#),
        (
            &[(
                Devices,
                json!([{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"},
                       {"PathOnHost": "/dev/c"}]),
            )],
            r#"--device="/dev/a:/dev/b:r" --device=/dev/c image:1"#,
        ),
        (
            &[(Ulimits, json!([{"Name": "nofile", "Soft": 10, "Hard": 20}, {"Name": "core", "Soft": -1}]))],
            r#"--ulimit="nofile=10:20" --ulimit=core=-1:-1 image:1"#,
        ),
        (
            &[(LogConfig, json!({"Type": "json-file", "Config": {"max-size": "1m"}}))],
            r#"--log-driver=json-file --log-opt="max-size=1m" image:1"#,
        ),
        (&[(WorkingDir, json!("/srv"))], r#"--workdir="/srv" image:1"#),
        (&[(StdinOpen, json!(true))], "--interactive=true image:1"),
        (
            &[(Entrypoint, json!(["a", "-b", "c d"])), (Command, json!(["-e"]))],
            "--entrypoint=a --label=dfab.cli=entrypoint=3 image:1 -b 'c d' -e",
        ),
        (&[(Entrypoint, json!(["a"])), (Command, json!(["b"]))], "--entrypoint=a image:1 b"),
        (&[(PidMode, json!("host")), (IpcMode, json!("private"))], "--pid=host --ipc=private image:1"),
        (&[(Sysctls, json!({"net.ipv4.ip_forward": "1"}))], "--sysctl=net.ipv4.ip_forward=1 image:1"),
        (&[(Tmpfs, json!({"/run": "", "/tmp": "size=1m"}))], "--tmpfs=/run --tmpfs=/tmp:size=1m image:1"),
        (&[(NanoCpus, json!(1_500_000_000))], "--cpus=1.5 image:1"),
        (&[(NanoCpus, json!(2_000_000_000))], "--cpus=2 image:1"),
        (&[(NanoCpus, json!(1))], "--cpus=0.000000001 image:1"),
        (&[(DeviceRequests, json!([{"Count": -1, "Capabilities": [["gpu"]]}]))], "--gpus=count=all image:1"),
        (
            &[(
                DeviceRequests,
                json!([{"Driver": "nvidia", "DeviceIDs": ["0", "1"], "Capabilities": [["gpu", "utility"]],
                        "Options": {"a": "b"}}]),
            )],
            r#"'--gpus=driver=nvidia,"device=0,1",capabilities=utility,options=a=b' image:1"#,
        ),
        (
            &[(
                Mounts,
                json!([
                    {"Type": "bind", "Source": "/a,b", "Target": "/c", "ReadOnly": true,
                     "BindOptions": {"Propagation": "rslave", "NonRecursive": true}},
                    {"Type": "volume", "Source": "v", "Target": "/v", "ReadOnly": false,
                     "VolumeOptions": {"NoCopy": true, "Labels": {"l": "1"},
                                       "DriverConfig": {"Name": "local", "Options": {"o": "x\"y"}}}},
                    {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1024, "Mode": 511}},
                ]),
            )],
            r#"'--mount=type=bind,"source=/a,b",target=/c,readonly,bind-propagation=rslave,bind-recursive=disabled'
               '--mount=type=volume,source=v,target=/v,volume-nocopy=true,volume-label=l=1,volume-driver=local,"volume-opt=o=x""y"'
               --mount=type=tmpfs,target=/t,tmpfs-size=1024,tmpfs-mode=777 image:1"#,
        ),
        // Rows without a form of their own.
        (
            &[(CapAdd, json!(["NET_ADMIN"])), (CapDrop, json!(["ALL"]))],
            "--cap-add=NET_ADMIN --cap-drop=ALL image:1",
        ),
        (&[(Dns, json!(["192.0.2.1"]))], "--dns=192.0.2.1 image:1"),
        (&[(SecurityOpt, json!(["no-new-privileges"]))], "--security-opt=no-new-privileges image:1"),
        (&[(PidsLimit, json!(100))], "--pids-limit=100 image:1"),
        (&[(ShmSize, json!(1024))], "--shm-size=1024 image:1"),
        (&[(Runtime, json!("runc")), (Tty, json!(true))], "--tty=true --runtime=runc image:1"),
        (&[(GroupAdd, json!(["adm"]))], "--group-add=adm image:1"),
        (
            &[(MacAddress, json!("92:d0:c6:0a:29:33"))],
            "--mac-address=92:d0:c6:0a:29:33 --label=dfab.mac_address=92:d0:c6:0a:29:33 image:1",
        ),
        (&[(NetworkDisabled, json!(true))], "--net=none --label=dfab.cli=network_disabled image:1"),
    ];
    rows.iter().map(|(properties, expected)| (properties.to_vec(), *expected)).collect()
}

#[test]
fn create_rows() {
    for (properties, expected) in create_table() {
        assert_eq!(flags(NEW, &properties), shell_words::split(expected).unwrap(), "{properties:?}");
    }
}

#[test]
fn create_with_a_first_endpoint() {
    let endpoint = EndpointSpec {
        network: "main.app".to_owned(),
        aliases: ["aa", "ab"].map(str::to_owned).into(),
        links: ["aa:ac".to_owned()].into(),
        ipv4_address: Some("x-ip4".to_owned()),
        ipv6_address: Some("x-ip6".to_owned()),
        link_local_ips: ["x-ll-ip".to_owned()].into(),
    };
    let endpoint_flags = "--network-alias=aa --network-alias=ab --link=aa:ac --ip=x-ip4 --ip6=x-ip6 \
                          --link-local-ip=x-ll-ip";
    let of = |properties: &[(Property, Value)]| {
        let spec = ContainerSpec { first_endpoint: Some(endpoint.clone()), ..spec(properties) };
        create(&spec, NEW).unwrap().words
    };
    let expected = |net: &str| line(&format!("docker create --name=c {net} image:1"));
    assert_eq!(of(&[]), expected(&format!("--net=main.app {endpoint_flags}")));
    // The mode names the endpoint's own network: its settings stay.
    let same = [(Property::NetworkMode, json!("main.app"))];
    assert_eq!(of(&same), expected(&format!("--net=main.app {endpoint_flags}")));
    // Another mode wins over the endpoint, and "disabled" over all.
    assert_eq!(
        of(&[(Property::NetworkMode, json!("container:main.app"))]),
        expected("--net=container:main.app")
    );
    let disabled = [(Property::NetworkDisabled, json!(true)), (Property::NetworkMode, json!("host"))];
    assert_eq!(of(&disabled), expected("--net=none --label=dfab.cli=network_disabled"));
}

#[test]
fn own_labels_follow_those_of_the_map() {
    let mut spec = spec(&[(Property::Labels, json!({"a": "1"}))]);
    spec.own_labels.insert("dfab.map".to_owned(), "m".to_owned());
    assert_eq!(
        create(&spec, NEW).unwrap().words[1..],
        strings(&["--name=c", "--label=a=1", "--label=dfab.map=m", "image:1"])
    );
}

/// A value of the right shape for each property, so that the walk over the table meets them all.
fn sample(property: Property) -> Value {
    use dfab_map::property::Shape;
    match property {
        Property::Healthcheck => json!({"Test": ["CMD-SHELL", "true"]}),
        Property::Mounts => json!([{"Type": "tmpfs", "Target": "/t"}]),
        Property::PortBindings => json!({"80/tcp": [{"HostPort": "80"}]}),
        Property::RestartPolicy => json!({"Name": "always"}),
        Property::Devices => json!([{"PathOnHost": "/dev/null"}]),
        Property::DeviceRequests => json!([{"Count": 1, "Capabilities": [["gpu"]]}]),
        Property::Ulimits => json!([{"Name": "core", "Soft": 1, "Hard": 1}]),
        Property::LogConfig => json!({"Type": "none"}),
        Property::BlkioWeightDevice => json!([{"Path": "/dev/null", "Weight": 100}]),
        Property::DeviceReadBps
        | Property::DeviceReadIops
        | Property::DeviceWriteBps
        | Property::DeviceWriteIops => json!([{"Path": "/dev/null", "Rate": 1024}]),
        Property::Binds => json!(["/a:/b"]),
        Property::Environment => json!(["A=b"]),
        Property::ExposedPorts => json!(["80/tcp"]),
        Property::ExtraHosts => json!(["a:1.2.3.4"]),
        _ => match property.shape() {
            Shape::Text => json!("text"),
            Shape::Integer | Shape::Bytes => json!(7),
            Shape::Boolean => json!(true),
            Shape::Words | Shape::Set => json!(["word"]),
            Shape::Labels => json!({"key": "value"}),
            Shape::Environment => json!(["A=b"]),
            Shape::Json => panic!("no sample for {property}"),
        },
    }
}

#[test]
fn every_property_reaches_the_command_line() {
    for &property in Property::ALL {
        let plain = create(&spec(&[]), NEW).unwrap().words;
        let with = create(&spec(&[(property, sample(property))]), NEW).unwrap().words;
        assert!(with.len() > plain.len(), "{property} adds nothing");
        let null = create(&spec(&[(property, Value::Null)]), NEW).unwrap().words;
        assert_eq!(null, plain, "{property} is null");
    }
}

#[test]
fn every_property_that_changes_in_place_reaches_docker_update() {
    for &property in Property::ALL {
        let properties = Properties::from([(property, sample(property))]);
        let built = update("c1", &properties, NEW);
        if property.on_change() == OnChange::Update {
            let words = built.unwrap().words;
            assert_eq!(
                (words.len(), words[0].as_str(), words[2].as_str()),
                (3, "update", "c1"),
                "{property}"
            );
        } else {
            assert!(matches!(built, Err(Cause::Unsupported(_))), "{property}");
        }
    }
}

#[test]
fn what_the_program_cannot_express_is_an_error_that_says_so() {
    use Property::*;
    let rows: &[(Generation, Property, Value, &str)] = &[
        (
            NEW,
            SecurityOpt,
            json!(["seccomp={\"defaultAction\":\"x\"}"]),
            "a seccomp profile given by its content",
        ),
        (
            OLD,
            Healthcheck,
            json!({"StartInterval": 5}),
            "`start_interval` of a health check before docker 25.0",
        ),
        (
            (26, 1),
            DeviceWriteIops,
            json!([{"Path": "/dev/sda", "Rate": 7}]),
            "`device_write_iops` with docker 23.0 to 27.1, which drops --device-write-iops",
        ),
        (NEW, Healthcheck, json!({"Test": ["odd", "x"]}), "the health check test `odd x`"),
        (
            OLD,
            Mounts,
            json!([{"Type": "volume", "VolumeOptions": {"Subpath": "a"}}]),
            "`Subpath` of a mount before docker 26.0",
        ),
        (
            NEW,
            Mounts,
            json!([{"Type": "bind", "BindOptions": {"CreateMountpoint": true}}]),
            "`CreateMountpoint` of a mount",
        ),
        (NEW, DeviceRequests, json!([{"Capabilities": [["tpu"]]}]), "a device request other than"),
        (NEW, Shares, json!(["/a:b"]), "an anonymous volume at `/a:b`"),
        (NEW, Tmpfs, json!({"/a:b": ""}), "a tmpfs at `/a:b`"),
    ];
    for (generation, property, value, message) in rows {
        match create(&spec(&[(*property, value.clone())]), *generation) {
            Err(Cause::Unsupported(text)) => assert!(text.contains(message), "{text}"),
            other => panic!("{property} {value}: {other:?}"),
        }
    }
}

#[test]
fn names_that_would_be_options_are_refused() {
    for name in ["-f", "--all", ""] {
        assert!(matches!(start(name), Err(Cause::Input(_))), "{name:?}");
        assert!(matches!(remove_network(name), Err(Cause::Input(_))), "{name:?}");
        assert!(matches!(pull(name, None), Err(Cause::Input(_))), "{name:?}");
        assert!(matches!(
            create(&ContainerSpec { name: name.to_owned(), ..spec(&[]) }, NEW),
            Err(Cause::Input(_))
        ));
    }
}

#[test]
fn an_unset_variable_is_not_taken_from_the_host() {
    let command = create(&spec(&[(Property::Environment, json!(["A=1", "HOME"]))]), NEW).unwrap();
    assert_eq!(command.before, strings(&["env", "-u", "HOME"]));
    assert_eq!(
        command.words,
        strings(&["create", "--name=c", "--env-file=/dev/stdin", "--env=HOME", "image:1"])
    );
}

#[test]
fn values_of_variables_are_no_words() {
    let variables = json!(["A=1", "KEY=a\nb", "B= x=y ", "IFS= \n"]);
    let command = create(&spec(&[(Property::Environment, variables)]), NEW).unwrap();
    let words = ["create", "--name=c", "--env-file=/dev/stdin", "--env=KEY", "--env=IFS= \n", "image:1"];
    assert_eq!(command.words, strings(&words));
    assert_eq!(command.input.as_ref().map(Secret::reveal), Some("A=1\nB= x=y \n"));
    let exported = command.exported.iter().map(|(name, value)| (name.as_str(), value.reveal()));
    assert_eq!(exported.collect::<Vec<_>>(), [("KEY", "a\nb")]);
    assert!(!format!("{command:?}").contains("x=y"), "{command:?}");
}

#[test]
fn absent_images_are_not_pulled_by_the_way() {
    let command = without_pull(create(&spec(&[]), NEW).unwrap());
    assert_eq!(command.words, strings(&["create", "--pull=never", "--name=c", "image:1"]));
}

/// Command lines, and what they look like: the rows of clients-tasks §5.6.
fn method_table() -> Vec<(Built, &'static str)> {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let limits = Properties::from([(Property::MemLimit, json!("1g"))]);
    let endpoint = EndpointSpec {
        network: "n1".to_owned(),
        aliases: BTreeSet::from(["a1".to_owned(), "a2".to_owned()]),
        links: BTreeSet::from(["db:d".to_owned()]),
        ipv4_address: Some("10.0.0.2".to_owned()),
        ipv6_address: None,
        link_local_ips: BTreeSet::from(["169.254.1.1".to_owned()]),
    };
    let network = NetworkSpec {
        name: "n1".to_owned(),
        driver: "overlay".to_owned(),
        options: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        internal: true,
        enable_ipv6: Some(true),
        attachable: Some(true),
        ipam: json!({"Driver": "default", "Options": {"o": "p"}, "Config": [
            {"Subnet": "10.1.0.0/16", "IPRange": "10.1.2.0/24", "Gateway": "10.1.0.1",
             "AuxiliaryAddresses": {"x": "10.1.0.9"}}]}),
        labels: BTreeMap::from([("l".to_owned(), "1".to_owned())]),
        own_labels: BTreeMap::from([("dfab.map".to_owned(), "m".to_owned())]),
    };
    let volume = VolumeSpec {
        name: "v1".to_owned(),
        driver: "local".to_owned(),
        driver_opts: BTreeMap::from([("type".to_owned(), "nfs".to_owned())]),
        labels: BTreeMap::from([("l".to_owned(), "1".to_owned())]),
        own_labels: BTreeMap::new(),
    };
    let build_options = BuildOptions {
        tag: "img:1".to_owned(),
        rm: true,
        nocache: true,
        buildargs: [("TOKEN", "hunter2 'x'\n"), ("a", "b"), ("https_proxy", "http://p:3128")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        dockerfile: Some("D".to_owned()),
        forcerm: true,
        labels: [("l".to_owned(), "1".to_owned())].into(),
        cache_from: vec!["x:1".to_owned()],
        target: Some("stage".to_owned()),
        network_mode: Some("host".to_owned()),
        extra_hosts: vec!["h1:10.0.0.1".to_owned(), "h2:::1".to_owned()],
        platform: Some("linux/arm64".to_owned()),
        limits: BuildLimits {
            memory: Some(1 << 20),
            memory_swap: Some(-1),
            cpu_shares: Some(5),
            cpuset_cpus: Some("0-1".to_owned()),
        },
        pull: true,
        ..BuildOptions::default()
    };
    let secret = Secret::new("hunter2");
    let words = strings(&["ls", "-l"]);
    let exec = |user: Option<&str>| {
        exec("c1", &words, &ExecOptions { user: user.map(str::to_owned), ..ExecOptions::default() })
    };
    let conditions = TableOptions {
        all: true,
        limit: Some(3),
        filters: vec![("status".to_owned(), "exited".to_owned()), ("label".to_owned(), "a=b".to_owned())],
    };
    let followed = LogOptions {
        tail: Some(10),
        since: Some(Moment(Duration::from_secs(7))),
        timestamps: true,
        ..LogOptions::default()
    };
    vec![
        (start("c1"), "docker start c1"),
        (restart("c1", seconds(5)), r#"docker restart --time="5" c1"#),
        (stop("c1", seconds(5)), r#"docker stop --time="5" c1"#),
        (stop("c1", Some(Duration::from_millis(1))), "docker stop --time=1 c1"),
        (stop("c1", None), "docker stop c1"),
        (kill("c1", None), "docker kill c1"),
        (kill("c1", Some("SIGHUP")), r#"docker kill --signal="SIGHUP" c1"#),
        (wait("c1", None), "docker wait c1"),
        (wait("c1", seconds(10)), "timeout -s INT 10 docker wait c1"),
        (wait("c1", seconds(0)), "timeout -s INT 1 docker wait c1"),
        (remove("c1", true, true), "docker rm --force=true --volumes=true c1"),
        (remove("c1", false, false), "docker rm c1"),
        (update("c1", &limits, NEW), r#"docker update --memory="1g" c1"#),
        (rename("c1", "c2"), "docker rename c1 c2"),
        (pause("c1", true), "docker pause c1"),
        (pause("c1", false), "docker unpause c1"),
        (inspect_containers(&["c1", "c2"]), "docker inspect --type=container c1 c2"),
        (logs("c1", Some(10), true), r#"docker logs --timestamps=true --tail="10" c1"#),
        (top("c1", &[]), "docker top c1"),
        (top("c1", &["aux"]), "docker top c1 aux"),
        (exec(None), "docker exec --detach c1 ls -l"),
        (exec(Some("root")), r#"docker exec --detach --user="root" c1 ls -l"#),
        (
            super::exec(
                "c1",
                &words,
                &ExecOptions {
                    tty: true,
                    privileged: true,
                    environment: [("A", "hunter2"), ("B", "two\nlines")]
                        .map(|(name, value)| (name.to_owned(), value.to_owned()))
                        .into(),
                    ..ExecOptions::default()
                },
            ),
            "docker exec --detach --tty=true --privileged=true --env-file=/dev/stdin --env=B c1 ls -l",
        ),
        (remove_link("web", "db"), "docker rm --link=true web/db"),
        (
            Ok(container_table(&conditions)),
            "docker ps --no-trunc=true --format='{{json .}}' --last=3 --filter=status=exited --filter=label=a=b --all=true",
        ),
        (
            log_stream("c1", followed, true),
            "docker logs --follow=true --timestamps=true --since=7.000000000 --tail=10 c1",
        ),
        (image_details(true, Some("ubuntu")), "docker images --no-trunc=true --quiet=true --all=true ubuntu"),
        (
            Ok(list_networks(&["n1", "n2"], &["4f"])),
            "docker network ls --no-trunc=true --quiet=true --filter=name=n1 --filter=name=n2 --filter=id=4f",
        ),
        (Ok(list_volumes()), "docker volume ls --quiet=true"),
        (pull_all_tags("repo", None), "docker pull --all-tags=true repo"),
        (commit("c1", Some("repo:tag"), Some("x")), r#"docker commit --message="x" c1 repo:tag"#),
        (copy_from("c1", "/a b"), "docker cp 'c1:/a b' -"),
        (copy_to("c1", "/a"), "docker cp - c1:/a"),
        (export("c1"), "docker export c1"),
        (Ok(list_images()), "docker images --no-trunc=true --digests=true --format='{{json .}}'"),
        (inspect_images(&["i"]), "docker inspect --type=image i"),
        (history("i"), "docker history --no-trunc=true --human=false --format='{{json .}}' i"),
        (pull("repo:tag", None), "docker pull repo:tag"),
        (push("repo:tag", None), "docker push repo:tag"),
        (tag("id1", "repo:t"), "docker tag id1 repo:t"),
        (remove_image("img", true, false), "docker rmi --force=true img"),
        (remove_image("img", false, true), "docker rmi --no-prune=true img"),
        (login(Some("reg"), "u", &secret), r#"docker login --username="u" --password-stdin reg"#),
        (login(None, "u", &secret), "docker login --username=u --password-stdin"),
        (logout(Some("reg")), "docker logout reg"),
        (save(&["a:1", "b:2"]), "docker save a:1 b:2"),
        (Ok(load()), "docker load"),
        (import(Some("i:1"), &["CMD x"], None), "docker import --change='CMD x' - i:1"),
        (
            build(&build_options),
            "docker build --tag=img:1 --file=D --build-arg=TOKEN --build-arg=a=b \
             --build-arg=https_proxy=http://p:3128 --label=l=1 --cache-from=x:1 --target=stage --network=host \
             --add-host=h1:10.0.0.1 --add-host=h2:::1 --platform=linux/arm64 --memory=1048576 --memory-swap=-1 \
             --cpu-shares=5 --cpuset-cpus=0-1 --rm=true --force-rm=true --no-cache=true --pull=true -",
        ),
        (
            build(&BuildOptions { tag: "i".to_owned(), timeout: seconds(60), ..BuildOptions::default() }),
            "timeout -s INT 60 docker build --tag=i --rm=false -",
        ),
        (Ok(version()), r#"docker version --format="{{json .}}""#),
        (Ok(info()), r#"docker info --format="{{json .}}""#),
        (
            create_network(&network),
            r#"docker network create --driver="overlay" --opt="a=b" --internal=true --ipv6=true --attachable=true
               --ipam-driver=default --ipam-opt=o=p --subnet=10.1.0.0/16 --ip-range=10.1.2.0/24 --gateway=10.1.0.1
               --aux-address=x=10.1.0.9 --label="l=1" --label=dfab.map=m n1"#,
        ),
        (remove_network("n1"), "docker network rm n1"),
        (
            connect_network("c1", &endpoint),
            r#"docker network connect --alias="a1" --alias="a2" --link="db:d" --ip="10.0.0.2"
               --link-local-ip="169.254.1.1" n1 c1"#,
        ),
        (disconnect_network("c1", "n1", true), "docker network disconnect --force=true n1 c1"),
        (inspect_network("n1"), "docker network inspect n1"),
        (
            create_volume(&volume),
            r#"docker volume create --driver="local" --opt="type=nfs" --label="l=1" v1"#,
        ),
        (remove_volume("v1"), "docker volume rm v1"),
        (inspect_volume("v1"), "docker volume inspect v1"),
    ]
}

#[test]
fn rows_of_the_other_methods() {
    let secret = Secret::new("hunter2");
    for (built, expected) in method_table() {
        let command = built.unwrap();
        let found: Vec<String> =
            command.before.iter().cloned().chain(["docker".to_owned()]).chain(command.words).collect();
        assert_eq!(found, shell_words::split(expected).unwrap());
    }
    assert_eq!(login(None, "u", &secret).unwrap().input, Some(secret));
}

/// What clients-tasks §5.5 and §5.6 name, row by row: keyword or method, and the flags or sub-command that stand for it
/// here. `-` is a row that has none, with the reason beside it.
const SPECIFICATION: &[(&str, &str)] = &[
    // §5.5
    ("image, command", "image:1"),
    ("environment", "--env-file --env"),
    ("network_disabled, network_mode", "--net"),
    ("networking_config", "--net --network-alias --link --ip --ip6 --link-local-ip"),
    ("binds, volumes", "--volume"),
    ("ports", "--expose"),
    ("port_bindings", "--publish"),
    ("links", "--link"),
    ("restart_policy", "--restart"),
    (
        "healthcheck",
        "--health-cmd --health-interval --health-timeout --health-retries --health-start-period --no-healthcheck",
    ),
    ("host_config", "-"), // maps give its keys as properties
    ("labels", "--label"),
    ("devices", "--device"),
    ("ulimits", "--ulimit"),
    ("log_config", "--log-driver --log-opt"),
    ("working_dir", "--workdir"),
    ("stdin_open", "--interactive"),
    ("detach", "-"), // `docker create` starts nothing
    ("entrypoint", "--entrypoint"),
    ("extra_hosts", "--add-host"),
    ("volumes_from, cap_add, cap_drop, dns", "--volumes-from --cap-add --cap-drop --dns"),
    ("tmpfs, security_opt, user, hostname", "--tmpfs --security-opt --user --hostname"),
    ("domainname, name, privileged, read_only", "--domainname --name --privileged --read-only"),
    ("tty, stop_signal, stop_timeout", "--tty --stop-signal --stop-timeout"),
    ("mem_limit, memswap_limit, mem_reservation", "--memory --memory-swap --memory-reservation"),
    ("cpu_shares, cpuset_cpus, pids_limit", "--cpu-shares --cpuset-cpus --pids-limit"),
    ("ipc_mode, pid_mode, sysctls, shm_size", "--ipc --pid --sysctl --shm-size"),
    ("mac_address, runtime, group_add", "--mac-address --runtime --group-add"),
    // §5.6
    ("start", "start"),
    ("restart", "restart --time"),
    ("stop", "stop --time"),
    ("kill", "kill --signal"),
    ("wait", "timeout wait"),
    ("remove_container", "rm --force --volumes --link"),
    ("update_container", "update"),
    ("containers", "ps --no-trunc --format --all --filter --last"),
    ("inspect_container", "inspect --type"),
    ("logs", "logs --timestamps --tail --follow --since"),
    ("top", "top"),
    ("exec_create", "exec --detach --user --tty --privileged"),
    ("exec_start", "-"), // `docker exec` starts by itself
    ("images", "images --all ubuntu"),
    ("pull, push", "pull --all-tags push"),
    ("tag", "tag"), // `force` ended with API 1.23
    ("remove_image", "rmi --force --no-prune"),
    ("login", "login --username --password-stdin"), // `email` ended with Docker 17.06
    (
        "build",
        "build --tag --rm --no-cache --build-arg --file --force-rm --label --cache-from --network timeout",
    ),
    ("version, info", "version info"),
    (
        "create_network",
        "network create --driver --opt --internal --label --subnet --gateway --ip-range --aux-address --ipam-driver --ipv6",
    ),
    ("remove_network", "rm"),
    ("connect_container_to_network", "connect --alias --link --ip --link-local-ip"),
    ("disconnect_container_from_network", "disconnect --force"),
    ("networks", "ls --filter"),
    ("inspect_network, inspect_volume", "inspect"),
    ("create_volume", "volume create --driver --opt --label"),
    ("remove_volume, volumes", "rm ls"),
    ("commit, rename and other names", "commit --message rename history pause unpause logout"),
    ("run_cmd", "-"), // `dfab_tasks` runs commands on hosts; no `docker` is in them
    ("load_image, save_image, get_image", "load save"),
    ("copy_resource, get_archive", "cp"),
    ("import_image, export", "import export"),
];

#[test]
fn every_row_of_the_specification_stands_in_the_tables() {
    let mut words: BTreeSet<String> = BTreeSet::from(["--name".to_owned()]);
    let lines = create_table().into_iter().map(|(_, line)| line);
    let lines: Vec<&str> = lines.chain(method_table().into_iter().map(|(_, line)| line)).collect();
    // The first endpoint has a test of its own.
    for line in lines.into_iter().chain(["--network-alias=a --link=a:b --ip=a --ip6=a --link-local-ip=a"]) {
        let split = shell_words::split(line).unwrap();
        words.extend(split.iter().map(|word| word.split('=').next().unwrap_or_default().to_owned()));
    }
    let missing: Vec<String> = SPECIFICATION
        .iter()
        .flat_map(|(row, needed)| needed.split(' ').map(move |word| (row, word)))
        .filter(|(_, word)| *word != "-" && !words.contains(*word))
        .map(|(row, word)| format!("{row}: {word}"))
        .collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn lists_take_two_commands() {
    let pair = |command: Command| (command.words, command.then.unwrap()[..2].to_vec());
    let expected = |first: &str, second: &str| (line(first), strings(&second.split(' ').collect::<Vec<_>>()));
    assert_eq!(
        pair(list_containers()),
        expected("docker ps --all=true --no-trunc=true --quiet=true", "inspect --type=container")
    );
    assert_eq!(
        pair(list_networks(&[], &[])),
        expected("docker network ls --no-trunc=true --quiet=true", "network inspect")
    );
    assert_eq!(pair(list_volumes()), expected("docker volume ls --quiet=true", "volume inspect"));
}

#[test]
fn logins_need_a_user_and_a_password_of_one_line() {
    assert!(matches!(login(None, "", &Secret::new("x")), Err(Cause::Input(_))));
    assert!(matches!(login(None, "u", &Secret::new("x\ny")), Err(Cause::Input(_))));
    assert!(matches!(login(None, "<token>", &Secret::new("x")), Err(Cause::Unsupported(_))));
}

#[test]
fn secrets_are_not_shown() {
    let command = login(Some("reg"), "u", &Secret::new("hunter2")).unwrap();
    assert!(!format!("{command:?}").contains("hunter2"));
}
