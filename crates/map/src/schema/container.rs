//! The schema of a configuration (map-model §2).

use serde_json::{Value, json};

use super::forms::{
    Entry, Tuple, access, anything_of, boolean, container_path, described, host_path, name, names, null_or,
    object, options, parts, plain_list, port, reference, seconds, text, user, whole_number, word,
};
use super::{ALIAS, CONFIGURATION};
use crate::load::keys;

/// The rule of instance names, which names of used volumes follow too.
const INSTANCE: &str = "[A-Za-z0-9_][A-Za-z0-9_.-]*";
const PORT_KEY: &str = "[0-9]+(/(tcp|udp|sctp))?";

pub(super) fn schema() -> Value {
    null_or(object(&keys::CONTAINER, &[], property))
}

fn property(key: &str) -> Value {
    let (schema, description) = match key {
        "abstract" => (null_or(boolean()), "A template only."),
        "extends" => (names(CONFIGURATION), "Parents, in order."),
        "image" => (null_or(image()), "Image reference; unset is the configuration's name."),
        "instances" => (unique(names(INSTANCE)), "One container per name."),
        "clients" => (names(".+"), "Clients that this configuration runs on."),
        "shares" => (plain_list(container_path()), "Container paths that become anonymous volumes."),
        "binds" => (binds(), "Volumes from the host."),
        "attaches" => (attaches(), "Volumes owned by this configuration."),
        "uses" => (uses(), "Volumes of other configurations."),
        "links" => (links(), "Legacy links."),
        "exposes" => (exposes(), "Container ports, published or not."),
        "networks" => (networks(), "Networks to join."),
        "network_mode" => (network_mode(), "Network mode, or the configuration whose network is shared."),
        "exec_commands" => (exec_commands(), "Commands to run after start."),
        "healthcheck" => (healthcheck(), "Health check; nothing disables it."),
        "user" => (user(), "User of the process, and owner of attached volumes."),
        "permissions" => (null_or(text()), "`chmod` mode of attached volumes."),
        "stop_timeout" => (null_or(whole_number()), "Seconds before a stop becomes a kill."),
        "stop_signal" => (null_or(signal()), "Signal that stops the container."),
        "start_delay" => (null_or(seconds()), "Seconds to wait after each start."),
        "persistent" => (null_or(boolean()), "The container exists to keep data."),
        "create_options" => (layers(), "Extra create arguments, keyed as in the Docker SDK for Python."),
        "host_config" => (layers(), "Extra host-config arguments, keyed as in the Docker SDK for Python."),
        "start_options" => (layers(), "The same as `host_config`."),
        _ => return json!({}),
    };
    described(schema, description)
}

fn image() -> Value {
    anything_of([
        json!({ "type": "number" }),
        json!({ "type": "string", "pattern": "^/?[^/:\\s][^\\s]*[^/:\\s]$|^[^/:\\s]$" }),
    ])
}

fn unique(mut list: Value) -> Value {
    list["uniqueItems"] = json!(true);
    list
}

/// Options, or several layers of them as `map.show` writes them.
fn layers() -> Value {
    let layer = anything_of([json!({ "type": "object" }), json!({ "type": "string" })]);
    let mixed = json!({ "type": "array", "items": layer, "minItems": 2, "contains": { "type": "object" } });
    anything_of([options(), mixed])
}

fn alias() -> Value {
    json!({ "type": "string", "pattern": format!("^{ALIAS}$") })
}

fn binds() -> Value {
    let path = || json!({ "type": "string", "pattern": "^\\.?/|^[A-Za-z_$~]" });
    let of_path = anything_of([host_path(), parts(vec![host_path()]), parts(vec![host_path(), access()])]);
    let of_alias = anything_of([access(), parts(vec![access()])]);
    Tuple {
        bare: alias(),
        entries: vec![Entry::new("\\.?/.*", of_path.clone()), Entry::new(ALIAS, of_alias.clone())],
        marks: &["name", "path"],
        parts: vec![
            vec![name(ALIAS)],
            vec![name(ALIAS), of_alias],
            vec![path(), of_path],
            vec![path(), host_path(), access()],
        ],
        named: vec![
            object(
                &["name", "readonly"],
                &["name"],
                |key| if key == "name" { name(ALIAS) } else { access() },
            ),
            object(&["path", "host_path", "readonly"], &["path", "host_path"], |key| match key {
                "path" => path(),
                "host_path" => host_path(),
                _ => access(),
            }),
        ],
    }
    .schema()
}

fn attaches() -> Value {
    let path = || anything_of([container_path(), json!({ "enum": [null, false, ""] })]);
    Tuple {
        bare: alias(),
        entries: vec![Entry::new(ALIAS, path())],
        marks: &["name", "path"],
        parts: vec![vec![name(ALIAS)], vec![name(ALIAS), path()]],
        named: vec![object(&["name", "path", "readonly"], &["name"], |key| match key {
            "name" => name(ALIAS),
            "path" => path(),
            _ => json!({ "enum": [false, "rw", null] }),
        })],
    }
    .schema()
}

fn uses() -> Value {
    let used = || name(INSTANCE);
    let path = || json!({ "type": "string", "pattern": "^/|^[A-Za-z_$~]" });
    let value = || {
        anything_of([
            access(),
            path(),
            parts(vec![access()]),
            parts(vec![path()]),
            parts(vec![path(), access()]),
        ])
    };
    Tuple {
        bare: json!({ "type": "string", "pattern": format!("^{INSTANCE}$") }),
        entries: vec![Entry::new(INSTANCE, value())],
        marks: &["name", "path"],
        parts: vec![vec![used()], vec![used(), value()], vec![used(), path(), access()]],
        named: vec![object(&["name", "path", "readonly"], &["name"], |key| match key {
            "name" => used(),
            "path" => null_or(path()),
            _ => access(),
        })],
    }
    .schema()
}

fn links() -> Value {
    let alias = || null_or(text());
    Tuple {
        bare: reference(),
        entries: vec![Entry::new(
            "(?!__all__$)[A-Za-z0-9][A-Za-z0-9_-]*(\\.[A-Za-z0-9_][A-Za-z0-9_.-]*)?",
            alias(),
        )],
        marks: &["container"],
        parts: vec![vec![reference()], vec![reference(), alias()]],
        named: vec![object(&["container", "alias"], &["container"], |key| match key {
            "container" => reference(),
            _ => alias(),
        })],
    }
    .schema()
}

fn exposes() -> Value {
    let exposed = || {
        anything_of([
            json!({ "type": "integer", "minimum": 1, "maximum": 65535 }),
            json!({ "type": "string", "pattern": format!("^{PORT_KEY}$") }),
        ])
    };
    let flag = || {
        anything_of([boolean(), json!({ "type": "string", "$comment": "late" }), json!({ "type": "null" })])
    };
    let host = || null_or(port());
    let fields = |key: &str| match key {
        "exposed_port" => exposed(),
        "host_port" => host(),
        "interface" => null_or(text()),
        _ => flag(),
    };
    let side = || vec![parts(vec![port(), null_or(text())]), parts(vec![port(), null_or(text()), flag()])];
    let value = || {
        let named = object(&["host_port", "interface", "ipv6"], &[], fields);
        anything_of([vec![host(), named], side()].concat())
    };
    Tuple {
        bare: exposed(),
        entries: vec![Entry::new(PORT_KEY, value())],
        marks: &["exposed_port"],
        parts: vec![
            vec![exposed()],
            vec![exposed(), anything_of([vec![host()], side()].concat())],
            vec![exposed(), port(), null_or(text())],
            vec![exposed(), port(), null_or(text()), flag()],
        ],
        named: vec![object(&["exposed_port", "host_port", "interface", "ipv6"], &["exposed_port"], fields)],
    }
    .schema()
}

fn networks() -> Value {
    let aliases =
        || anything_of([json!({ "type": ["string", "null"] }), json!({ "type": "array", "items": text() })]);
    let addresses =
        || anything_of([json!({ "type": ["string", "null"] }), json!({ "type": "array", "items": word() })]);
    let address = || json!({ "type": ["string", "null"] });
    let fields = |key: &str| match key {
        "network_name" => name(ALIAS),
        "aliases" => aliases(),
        "links" => links(),
        "ipv4_address" | "ipv6_address" => address(),
        _ => addresses(),
    };
    let settings =
        || object(&["aliases", "links", "ipv4_address", "ipv6_address", "link_local_ips"], &[], fields);
    let value = || anything_of([aliases(), settings()]);
    let positions = [aliases(), links(), address(), address(), addresses()];
    let without_name = (1..=5).map(|count| parts(positions[..count].to_vec()));
    let with_name = (2..=5).map(|count| [vec![name(ALIAS)], positions[..count].to_vec()].concat());
    Tuple {
        bare: alias(),
        entries: vec![Entry {
            key: ALIAS,
            value: value(),
            item_value: anything_of(
                [vec![json!({ "type": ["string", "null"] }), settings()], without_name.collect()].concat(),
            ),
        }],
        marks: &["network_name"],
        parts: [vec![vec![name(ALIAS)], vec![name(ALIAS), value()]], with_name.collect()].concat(),
        named: vec![object(
            &["network_name", "aliases", "links", "ipv4_address", "ipv6_address", "link_local_ips"],
            &["network_name"],
            fields,
        )],
    }
    .schema()
}

fn network_mode() -> Value {
    anything_of([
        json!({ "enum": [null, false, ""] }),
        json!({ "type": "string", "pattern": "^container:.|^/.|^[A-Za-z0-9]" , "not": { "const": "container:" } }),
        parts(vec![text(), null_or(text())]),
        object(&["config_name", "instance_name"], &["config_name"], |_| text()),
    ])
}

fn exec_commands() -> Value {
    let command = || anything_of([word(), json!({ "type": "array", "items": text(), "minItems": 1 })]);
    let user = || null_or(text());
    let policy = || json!({ "enum": ["restart", "initial", null] });
    Tuple {
        bare: word(),
        entries: vec![Entry::new(".+", user())],
        marks: &["cmd"],
        parts: vec![vec![command()], vec![command(), user()], vec![command(), user(), policy()]],
        named: vec![object(&["cmd", "user", "policy"], &["cmd"], |key| match key {
            "cmd" => command(),
            "user" => user(),
            _ => policy(),
        })],
    }
    .schema()
}

fn healthcheck() -> Value {
    let test =
        || anything_of([json!({ "type": ["string", "null"] }), json!({ "type": "array", "items": text() })]);
    let time = || {
        anything_of([
            json!({ "type": "null" }),
            json!({ "type": "integer", "minimum": 0 }),
            json!({ "type": "string", "pattern": "^([0-9]+ *(ns|us|ms|s|m|h)?)?$" }),
        ])
    };
    let fields = |key: &str| match key {
        "test" => test(),
        "retries" => null_or(whole_number()),
        _ => time(),
    };
    let parts = [test(), time(), time(), null_or(whole_number()), time()];
    anything_of([
        json!({ "type": ["string", "null"] }),
        json!({ "type": "array", "prefixItems": parts, "items": false, "minItems": 1 }),
        object(&["test", "interval", "timeout", "retries", "start_period"], &["test"], fields),
    ])
}

fn signal() -> Value {
    anything_of([
        json!({ "type": "integer", "minimum": 1, "maximum": 64 }),
        json!({ "type": "string", "pattern": "^[A-Za-z0-9+-]+$" }),
    ])
}
