//! Random maps: what a configuration has is drawn from what all engine generations and any machine
//! can do. All maps have the same names, so that one map after another on one engine is an
//! update of every kind at once.

use serde_json::{Map, Value, json};

use super::random::Random;

const CONFIGS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Returns the text of a map. JSON is YAML.
pub fn map(seed: u64) -> String {
    let mut random = Random::new(seed);
    let subnet = random.once_in(2).then(|| 1 + random.below(3));
    let mut volumes = Map::new();
    for config in CONFIGS {
        for kind in ["data", "log"] {
            let mut volume = json!({ "default_path": format!("/{kind}-{config}") });
            if random.once_in(4) {
                volume["create_options"] = json!({ "labels": { "kind": kind } });
            }
            volumes.insert(format!("{kind}-{config}"), volume);
        }
    }
    volumes.insert("site".to_owned(), json!("/site"));
    let mut map = json!({
        "name": "conv",
        "default_tag": "latest",
        "host_root": "/tmp",
        "host": { "site": random.pick(&["conv-site", "conv-other"]) },
        "volumes": volumes,
        "networks": networks(&mut random, subnet),
        "containers": {},
    });
    if random.once_in(4) {
        map["default_domain"] = json!(random.pick(&["example.com", "example.org"]));
    }
    if random.once_in(4) {
        map["set_hostname"] = json!(false);
    }
    let mut earlier: Vec<Earlier> = Vec::new();
    for (number, name) in CONFIGS.into_iter().enumerate() {
        if random.once_in(7) && number > 0 {
            continue;
        }
        let (container, made) = container(&mut random, number, name, &earlier, subnet);
        map["containers"][name] = container;
        earlier.push(made);
    }
    serde_json::to_string_pretty(&map).unwrap()
}

/// A configuration that later ones can depend on.
struct Earlier {
    name: &'static str,
    instance: Option<&'static str>,
    attaches: Vec<String>,
    own_network: bool,
    on_bridge: bool,
}

impl Earlier {
    fn reference(&self) -> String {
        self.instance.map_or_else(|| self.name.to_owned(), |instance| format!("{}.{instance}", self.name))
    }
}

fn networks(random: &mut Random, subnet: Option<usize>) -> Value {
    let mut front = json!({ "driver": "bridge" });
    if random.once_in(3) {
        front["driver_options"] =
            json!({ "com.docker.network.bridge.enable_icc": random.pick(&["true", "false"]) });
    }
    if let Some(subnet) = subnet {
        front["create_options"] =
            json!({ "ipam": { "Config": [{ "Subnet": format!("10.77.{subnet}.0/24") }] } });
    }
    let mut back = json!({ "internal": random.once_in(2) });
    if random.once_in(3) {
        back["create_options"] = json!({ "labels": { "tier": random.pick(&["back", "data"]) } });
    }
    json!({ "front": front, "back": back })
}

fn container(
    random: &mut Random,
    number: usize,
    name: &'static str,
    earlier: &[Earlier],
    subnet: Option<usize>,
) -> (Value, Earlier) {
    let command = random.pick(&["sleep 100000 & wait", "sleep 200000 & wait"]);
    let mut create = json!({
        "command": ["sh", "-c", format!("trap 'exit 0' TERM INT USR1; {command}")],
    });
    let mut host = json!({});
    let mut own = json!({ "image": random.pick(&["busybox", "conv-image"]) });
    let instances: &[&'static str] = match random.below(5) {
        0 => &["one", "two"],
        1 => &["one"],
        _ => &[],
    };
    if !instances.is_empty() {
        own["instances"] = json!(instances);
    }
    let mut made = Earlier {
        name,
        instance: instances.first().copied(),
        attaches: Vec::new(),
        own_network: true,
        on_bridge: false,
    };

    volumes(random, name, earlier, &mut own, &mut made);
    networking(random, number, earlier, subnet, &mut own, &mut create, &mut made);
    let own_network = made.own_network;
    process(random, &mut own, &mut create, &mut made);
    limits(random, &mut host);
    settings(random, own_network, &mut create, &mut host);
    own["create_options"] = create;
    own["host_config"] = host;
    (own, made)
}

fn volumes(random: &mut Random, name: &str, earlier: &[Earlier], own: &mut Value, made: &mut Earlier) {
    for kind in ["data", "log"] {
        if random.once_in(3) {
            made.attaches.push(format!("{kind}-{name}"));
        }
    }
    if !made.attaches.is_empty() {
        own["attaches"] = json!(made.attaches);
    }
    if random.once_in(2) {
        own["user"] = random.pick(&[&json!(2000), &json!(0), &json!("65534:0")]).clone();
        if random.once_in(2) {
            own["permissions"] = json!("0750");
        }
    }
    let mut uses = Vec::new();
    for other in earlier {
        match other.attaches.first() {
            Some(volume) if random.once_in(3) => {
                uses.push(json!({ volume.clone(): random.pick(&["ro", "rw"]) }))
            }
            _ if random.once_in(8) => uses.push(json!(other.reference())),
            _ => {}
        }
    }
    if !uses.is_empty() {
        own["uses"] = json!(uses);
    }
    if random.once_in(4) {
        own["binds"] = json!({ "site": random.pick(&["ro", "rw"]) });
    }
    if random.once_in(5) {
        own["shares"] = json!([random.pick(&["/shared", "/other"])]);
    }
}

fn networking(
    random: &mut Random,
    number: usize,
    earlier: &[Earlier],
    subnet: Option<usize>,
    own: &mut Value,
    create: &mut Value,
    made: &mut Earlier,
) {
    let single = made.instance.is_none();
    match random.below(10) {
        0 => {
            made.own_network = false;
            own["network_mode"] = json!("host");
        }
        1 => {
            made.own_network = false;
            own["network_mode"] = json!("none");
        }
        2 if earlier.iter().any(|other| other.own_network) => {
            made.own_network = false;
            let others: Vec<&Earlier> = earlier.iter().filter(|other| other.own_network).collect();
            own["network_mode"] = json!(others[random.below(others.len())].reference());
        }
        3..=5 => {
            made.on_bridge = true;
            let links: Vec<Value> = earlier
                .iter()
                .filter(|other| other.on_bridge && random.once_in(2))
                .map(|other| json!({ other.reference(): format!("to-{}", other.name) }))
                .collect();
            if !links.is_empty() {
                own["links"] = json!(links);
            }
        }
        _ => {
            let mut endpoint = json!({});
            if random.once_in(2) {
                endpoint["aliases"] = json!([random.pick(&["alias", "other"])]);
            }
            if let (Some(subnet), true, true) = (subnet, single, random.once_in(2)) {
                endpoint["ipv4_address"] = json!(format!("10.77.{subnet}.{}", 100 + number));
            }
            let mut endpoints = vec![json!({ "front": endpoint })];
            if random.once_in(2) {
                endpoints.insert(random.below(2), json!("back"));
            }
            own["networks"] = json!(endpoints);
        }
    }
    if !made.own_network {
        return;
    }
    if single && random.once_in(3) {
        // Two choices for each, and one that is another's after a change: only what is gone may hold it.
        let host_port = 18100 + (number + random.below(2)) * 2 + number;
        own["exposes"] = json!([[80, host_port], "53/udp"]);
    }
    if random.once_in(8) {
        create["hostname"] = json!(random.pick(&["first", "second"]));
    }
    if random.once_in(8) {
        create["mac_address"] = json!(format!("02:42:0a:00:00:{:02x}", 16 + number + random.below(2) * 8));
        if !single {
            create.as_object_mut().unwrap().remove("mac_address");
        }
    }
}

fn process(random: &mut Random, own: &mut Value, create: &mut Value, made: &mut Earlier) {
    if random.once_in(2) {
        let mut environment = json!({ "LANG": random.pick(&["C", "C.UTF-8"]) });
        if random.once_in(2) {
            environment["MORE"] = json!(random.below(3));
        }
        create["environment"] = environment;
    }
    if random.once_in(3) {
        let mut labels = json!({ "app": random.pick(&["one", "two"]) });
        if random.once_in(2) {
            labels["more"] = json!("");
        }
        create["labels"] = labels;
    }
    if random.once_in(6) {
        create["working_dir"] = json!(random.pick(&["/tmp", "/"]));
    }
    if random.once_in(8) {
        create["tty"] = json!(true);
    }
    if random.once_in(8) {
        create["stdin_open"] = json!(true);
    }
    if random.once_in(5) {
        own["stop_signal"] = json!(random.pick(&["SIGUSR1", "SIGINT", "SIGTERM"]));
    }
    if random.once_in(3) {
        own["stop_timeout"] = json!(1 + random.below(3));
    }
    if random.once_in(6) {
        own["healthcheck"] = match random.below(3) {
            0 => json!("NONE"),
            retries => json!({ "test": ["CMD", "true"], "interval": "30s", "retries": retries }),
        };
    }
    if random.once_in(4) {
        let policy = random.pick(&["restart", "initial"]);
        own["exec_commands"] = json!([[["sleep", random.pick(&["300000", "400000"])], "root", policy]]);
    }
    if random.once_in(10) {
        own["persistent"] = json!(true);
        // An update leaves a persistent container stopped (O-04), and nothing can join or link it then.
        (made.own_network, made.on_bridge) = (false, false);
    }
}

fn limits(random: &mut Random, host: &mut Value) {
    if random.once_in(3) {
        host["mem_limit"] = json!(random.pick(&["32m", "64m"]));
        if random.once_in(2) {
            host["mem_reservation"] = json!("16m");
        }
        if random.once_in(2) {
            host["memswap_limit"] = json!(random.pick(&["128m", "192m"]));
        }
    }
    if random.once_in(3) {
        host["cpu_shares"] = json!(random.pick(&[&256, &512]));
    }
    match random.below(6) {
        0 => {
            host["cpu_period"] = json!(100_000);
            host["cpu_quota"] = json!(random.pick(&[&50_000, &80_000]));
        }
        1 => host["nano_cpus"] = json!(random.pick(&[&500_000_000, &700_000_000])),
        _ => {}
    }
    if random.once_in(5) {
        host["pids_limit"] = json!(random.pick(&[&50, &80]));
    }
    if random.once_in(3) {
        host["restart_policy"] = random
            .pick(&[
                &json!({ "Name": "always" }),
                &json!({ "Name": "on-failure", "MaximumRetryCount": 3 }),
                &json!({ "Name": "unless-stopped" }),
            ])
            .clone();
    }
}

fn settings(random: &mut Random, own_network: bool, create: &mut Value, host: &mut Value) {
    let choices: [(&str, Value); 14] = [
        ("cap_add", json!([random.pick(&["NET_ADMIN", "CAP_SYS_TIME"])])),
        ("cap_drop", json!(["MKNOD"])),
        ("group_add", json!([random.pick(&["44", "45"])])),
        ("init", json!(true)),
        ("ipc_mode", json!(random.pick(&["private", "shareable"]))),
        ("log_config", json!({ "type": "json-file", "config": { "max-size": random.pick(&["1m", "2m"]) } })),
        ("oom_score_adj", json!(random.pick(&[&100, &200]))),
        ("pid_mode", json!("host")),
        ("read_only", json!(true)),
        ("security_opt", json!(["no-new-privileges"])),
        ("shm_size", json!(random.pick(&["32m", "48m"]))),
        ("tmpfs", json!({ "/run": random.pick(&["", "size=1m"]) })),
        ("ulimits", json!([{ "name": "nofile", "soft": 1024, "hard": random.pick(&[&2048, &4096]) }])),
        (
            "devices",
            json!([{ "PathOnHost": "/dev/null", "PathInContainer": random.pick(&["/dev/xnull", "/dev/ynull"]), "CgroupPermissions": "rwm" }]),
        ),
    ];
    for (name, value) in choices {
        if random.once_in(9) {
            host[name] = value;
        }
    }
    if own_network {
        let choices: [(&str, Value); 5] = [
            ("dns", json!([random.pick(&["192.0.2.53", "192.0.2.54"])])),
            ("dns_search", json!(["example.org"])),
            ("dns_opt", json!(["ndots:2"])),
            ("extra_hosts", json!({ "gw": random.pick(&["192.0.2.1", "192.0.2.2"]) })),
            ("sysctls", json!({ "net.ipv4.ip_forward": random.pick(&["0", "1"]) })),
        ];
        for (name, value) in choices {
            if random.once_in(9) {
                host[name] = value;
            }
        }
        if random.once_in(9) {
            create["domainname"] = json!(random.pick(&["one.example", "two.example"]));
        }
    }
}
