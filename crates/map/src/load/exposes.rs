//! `exposes`: container ports (map-model §2.9).

use super::context::Context;
use super::elements::{Element, Fields, Form, Named, tuples};
use crate::model::{Port, PortProtocol, PublishedPort};
use crate::value::Late;
use crate::yaml::Node;

pub(super) const FORMS: &str = "accepted are `80`, `80/udp`, `{80: 8080}`, `{80: [8080, interface]}`, \
    `{80: [8080, interface, true]}` for IPv6, or a list of these";

const FIELDS: Fields = Fields {
    what: "an exposed port",
    names: &["exposed_port", "host_port", "interface", "ipv6"],
    marks: &["exposed_port"],
    numbers: true,
};

pub(super) fn read(context: &mut Context, node: &Node) -> Vec<Port> {
    tuples(context, "exposes", node, &FIELDS, element)
}

fn element(context: &mut Context, element: &Element<'_>) -> Option<Port> {
    let node = &*element.node;
    match &element.form {
        Form::Named(named) => {
            let exposed_port = named.required(context, node, "exposed_port")?;
            let (number, protocol) = exposed(context, exposed_port)?;
            port(context, number, protocol, fields(*named))
        }
        Form::Entry(value) | Form::ListEntry(_, value) => {
            if let Some(entries) = value.mapping() {
                let (number, protocol) = exposed(context, element.key())?;
                let named = Named::open(context, entries, "the host side of a port", &FIELDS.names[1..]);
                return port(context, number, protocol, fields(named));
            }
            if value.list().is_some_and(|list| !(2..=3).contains(&list.len())) {
                let message = format!(
                    "the host side of a port is `port` or `[port, interface]`, found {}",
                    value.describe()
                );
                context.invalid(value, message);
                return None;
            }
            positional(context, element)
        }
        Form::Bare(_) | Form::Parts(_) => positional(context, element),
    }
}

fn positional(context: &mut Context, element: &Element<'_>) -> Option<Port> {
    let parts = element.parts(context, 1..=4)?;
    let (number, protocol) = exposed(context, parts[0])?;
    let at = |index: usize| parts.get(index).copied().filter(|part| !part.is_null());
    port(context, number, protocol, [at(1), at(2), at(3)])
}

fn fields(named: Named<'_>) -> [Option<&Node>; 3] {
    ["host_port", "interface", "ipv6"].map(|name| named.get(name))
}

/// Puts a port together from host port, interface and IPv6 flag.
fn port(
    context: &mut Context,
    exposed_port: u16,
    protocol: PortProtocol,
    [host, interface, ipv6]: [Option<&Node>; 3],
) -> Option<Port> {
    let Some(host) = host else {
        if let Some(extra) = interface.or(ipv6) {
            let message = "an interface without a host port publishes nothing";
            context.invalid_hint(extra, message, "give the host port: `[80, 8080, interface]`");
            return None;
        }
        return Some(Port { exposed_port, protocol, published: None });
    };
    let host_port = match host.lazy() {
        Some(lazy) => Late::Lazy(Box::new(lazy)),
        None => Late::Known(port_number(context, host)?),
    };
    let interface = match interface {
        Some(node) => Some(context.late_text(node, "the alias of an interface")?),
        None => None,
    };
    let ipv6 = match ipv6 {
        Some(node) => match node.lazy() {
            Some(lazy) => Late::Lazy(Box::new(lazy)),
            None => Late::Known(context.boolean(node)?),
        },
        None => Late::Known(false),
    };
    Some(Port { exposed_port, protocol, published: Some(PublishedPort { host_port, interface, ipv6 }) })
}

/// Reads `80` or `80/udp`.
fn exposed(context: &mut Context, node: &Node) -> Option<(u16, PortProtocol)> {
    let text = context.text(node, "a port such as `80` or `80/udp`")?;
    let (number, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
    let protocol = match protocol {
        "tcp" => PortProtocol::Tcp,
        "udp" => PortProtocol::Udp,
        "sctp" => PortProtocol::Sctp,
        other => {
            context.invalid(node, format!("unknown protocol `{other}`; known are `tcp`, `udp`, `sctp`"));
            return None;
        }
    };
    if number.contains(':') {
        let hint =
            "host and container port are a pair: `{80: 8080}` publishes port 80 of the container at 8080";
        context.invalid_hint(node, format!("`{text}` is no port"), hint);
        return None;
    }
    Some((number_of(context, node, number)?, protocol))
}

fn port_number(context: &mut Context, node: &Node) -> Option<u16> {
    let text = context.text(node, "a port number")?;
    number_of(context, node, &text)
}

/// Reads a port number from 1 to 65535.
pub(super) fn number_of(context: &mut Context, node: &Node, text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse().ok().filter(|port| digits && *port != 0) {
        Some(port) => Some(port),
        None if digits => {
            context.invalid_hint(node, format!("port `{text}` is out of range"), "ports go from 1 to 65535");
            None
        }
        None => {
            context.invalid(node, format!("`{}` is no port", crate::yaml::shortened(text)));
            None
        }
    }
}
