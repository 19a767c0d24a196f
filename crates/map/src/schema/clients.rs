//! The schema of a client (map-model §4).

use serde_json::{Value, json};

use super::forms::{
    anything_of, boolean, described, mapping_of, null_or, object, port, seconds, text, whole_number, word,
};
use crate::load::keys;

pub(super) fn schema() -> Value {
    object(&keys::CLIENT, &[], property)
}

fn property(key: &str) -> Value {
    let addresses = || mapping_of(".+", word());
    let (schema, description) = match key {
        "base_url" => (text(), "Docker endpoint: a URL or a socket path."),
        "version" => (version(), "Engine API version, or `auto`."),
        "timeout" => (seconds(), "Request timeout in seconds."),
        "tls" => (anything_of([boolean(), object(&keys::TLS, &[], |_| json!({}))]), "TLS on the connection."),
        "interfaces" => (addresses(), "Interface alias to IPv4 address."),
        "interfaces_ipv6" => (addresses(), "Interface alias to IPv6 address."),
        "auth_configs" => (logins(), "Registry logins by registry host."),
        "domainname" => (text(), "Domain name of new containers."),
        "stop_timeout" => (whole_number(), "Default stop timeout in seconds."),
        "wait_timeout" => (seconds(), "Seconds to wait for a container to end."),
        "features" => (switches(&keys::FEATURES), "Overrides of what the API version decides."),
        "constraints" => (switches(&keys::CONSTRAINTS), "Overrides of what the host's information decides."),
        "fabric_host" => (text(), "SSH host: `[user@]host[:port]`."),
        "tunnel_remote_port" => (port(), "Remote TCP port of the Docker service."),
        "tunnel_local_port" => (port(), "First local port to offer."),
        "cmd_prefix" => (text(), "Text before every `docker` command line."),
        "default_bin" => (text(), "`docker` program."),
        "use_sudo" => (boolean(), "Run `docker` through sudo."),
        "debug" => (boolean(), "Echo commands and output."),
        _ => return json!({}),
    };
    described(null_or(schema), description)
}

fn version() -> Value {
    anything_of([
        json!({ "type": "number" }),
        json!({ "type": "string", "pattern": "^(auto|[0-9]+\\.[0-9]+)$" }),
    ])
}

fn logins() -> Value {
    mapping_of(".+", object(&keys::AUTH, &["username"], |_| null_or(text())))
}

fn switches(names: &[&str]) -> Value {
    object(names, &[], |name| match name {
        "host_config" => json!({ "enum": [true, false, "merge"] }),
        _ => boolean(),
    })
}
