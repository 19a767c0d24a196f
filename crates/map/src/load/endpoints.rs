//! `networks` of a configuration: its endpoints (map-model §2.10).

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::context::Context;
use super::elements::{Element, Fields, Form, Named, late_texts, tuples};
use super::links;
use crate::model::Endpoint;
use crate::names::NetworkName;
use crate::value::Late;
use crate::yaml::Node;

pub(super) const FORMS: &str = "accepted are `network`, `{network: alias}`, `{network: [alias, alias]}`, \
    `{network: {aliases: …, links: …, ipv4_address: …, ipv6_address: …, link_local_ips: …}}`, or a list of these";

const FIELDS: Fields = Fields {
    what: "a network endpoint",
    names: &["network_name", "aliases", "links", "ipv4_address", "ipv6_address", "link_local_ips"],
    marks: &["network_name"],
    numbers: false,
};

pub(super) fn read(context: &mut Context, node: &Node) -> Vec<Endpoint> {
    tuples(context, "networks", node, &FIELDS, element)
}

fn element(context: &mut Context, element: &Element<'_>) -> Option<Endpoint> {
    match &element.form {
        Form::Bare(node) => Some(endpoint(network(context, node)?)),
        Form::Named(named) => {
            let node = named.required(context, &element.node, "network_name")?;
            let name = network(context, node)?;
            settings(context, name, fields(*named))
        }
        Form::Entry(value) => {
            let name = network(context, &element.node)?;
            aliases_or_settings(context, name, value)
        }
        Form::ListEntry(key, value) => {
            let name = network(context, key)?;
            // Inside a list, a nested list holds the positions without the name (K5).
            match value.list() {
                Some(parts) if parts.len() > 5 => too_many(context, element),
                Some(parts) => settings(context, name, positions(parts)),
                None => aliases_or_settings(context, name, value),
            }
        }
        Form::Parts(parts) => match parts {
            [] => {
                context.invalid(&element.node, "the element is empty");
                None
            }
            [name] => Some(endpoint(network(context, name)?)),
            [name, value] => {
                let name = network(context, name)?;
                aliases_or_settings(context, name, value)
            }
            [name, rest @ ..] if rest.len() <= 5 => {
                let name = network(context, name)?;
                settings(context, name, positions(rest))
            }
            _ => too_many(context, element),
        },
    }
}

fn too_many(context: &mut Context, element: &Element<'_>) -> Option<Endpoint> {
    let hint = "the positions are name, aliases, links, IPv4 address, IPv6 address, link-local addresses";
    context.invalid_hint(&element.node, "too many parts for a network endpoint", hint);
    None
}

fn endpoint(network_name: NetworkName) -> Endpoint {
    Endpoint {
        network_name,
        aliases: Vec::new(),
        links: Vec::new(),
        ipv4_address: None,
        ipv6_address: None,
        link_local_ips: Vec::new(),
    }
}

/// Reads the value of a network: nothing, aliases, or a mapping of settings.
fn aliases_or_settings(context: &mut Context, name: NetworkName, value: &Node) -> Option<Endpoint> {
    if let Some(entries) = value.mapping() {
        let named = Named::open(context, entries, FIELDS.what, &FIELDS.names[1..]);
        return settings(context, name, fields(named));
    }
    if value.is_number() {
        context.expected(value, "aliases or a mapping of settings");
        return None;
    }
    let aliases = aliases(context, value)?;
    Some(Endpoint { aliases, ..endpoint(name) })
}

type Settings<'a> = [Option<&'a Node>; 5];

fn fields(named: Named<'_>) -> Settings<'_> {
    ["aliases", "links", "ipv4_address", "ipv6_address", "link_local_ips"].map(|name| named.get(name))
}

fn positions(parts: &[Node]) -> Settings<'_> {
    std::array::from_fn(|at| parts.get(at).filter(|part| !part.is_null()))
}

fn settings(
    context: &mut Context,
    name: NetworkName,
    [alias, link, ip4, ip6, local]: Settings<'_>,
) -> Option<Endpoint> {
    let mut endpoint = endpoint(name);
    if let Some(node) = alias {
        endpoint.aliases = context.within("aliases", |context| aliases(context, node))?;
    }
    if let Some(node) = link {
        let property = format!("networks.{}.links", endpoint.network_name);
        endpoint.links = context.within("links", |context| links::read(context, &property, node));
    }
    if let Some(node) = ip4 {
        endpoint.ipv4_address = context.within("ipv4_address", |context| address::<Ipv4Addr>(context, node));
    }
    if let Some(node) = ip6 {
        endpoint.ipv6_address = context.within("ipv6_address", |context| address::<Ipv6Addr>(context, node));
    }
    if let Some(node) = local {
        endpoint.link_local_ips = context.within("link_local_ips", |context| {
            let nodes = node
                .list()
                .map_or_else(|| vec![Cow::Borrowed(node)], |list| list.iter().map(Cow::Borrowed).collect());
            nodes.iter().filter_map(|node| address::<IpAddr>(context, node)).collect()
        });
    }
    Some(endpoint)
}

/// Reads one alias or a list of them; an empty text is none.
fn aliases(context: &mut Context, node: &Node) -> Option<Vec<Late<String>>> {
    if node.text() == Some("") {
        return Some(Vec::new());
    }
    if let Some(nested) =
        node.list().into_iter().flatten().find(|item| item.list().is_some() || item.mapping().is_some())
    {
        let hint = "a list here holds aliases only; give links and addresses as a mapping: `{network: {aliases: …, links: …}}`";
        context.invalid_hint(nested, format!("expected an alias, found {}", nested.describe()), hint);
        return None;
    }
    Some(late_texts(context, node, "a network alias"))
}

fn network(context: &mut Context, node: &Node) -> Option<NetworkName> {
    context.name(node, "the name of a network", NetworkName::new)
}

/// Reads an address, kept as it is written.
fn address<T: std::str::FromStr + AddressKind>(context: &mut Context, node: &Node) -> Option<Late<String>> {
    let address = context.late_text(node, T::NAME)?;
    match &address {
        Late::Known(text) if text.parse::<T>().is_err() => {
            context.invalid_hint(node, format!("`{text}` is not {}", T::NAME), "");
            None
        }
        _ => Some(address),
    }
}

/// What an address type is called in messages.
trait AddressKind {
    const NAME: &'static str;
}

impl AddressKind for Ipv4Addr {
    const NAME: &'static str = "an IPv4 address";
}

impl AddressKind for Ipv6Addr {
    const NAME: &'static str = "an IPv6 address";
}

impl AddressKind for IpAddr {
    const NAME: &'static str = "an IP address";
}
