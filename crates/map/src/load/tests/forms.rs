//! `forms.txt`, row by row.
//!
//! A row is `form => normal form`; several forms of one meaning stand before it, separated by ` | `.
//! `error: text` is a refusal whose report holds the text, `warning: text` after a `;` a warning. Headers
//! name the section of map-model and the property.

use super::*;

/// One row.
pub(crate) struct Case {
    /// Section and property: `§2.5 binds`.
    pub(crate) section: &'static str,
    /// What is written.
    pub(crate) form: &'static str,
    /// What it means.
    pub(crate) expected: &'static str,
}

impl Case {
    /// Returns the property of the section: `binds`, `volumes.logs`, `client.version`.
    pub(crate) fn property(&self) -> &'static str {
        self.section.split_whitespace().nth(1).expect("a header names section and property")
    }

    /// Tells whether the form is refused.
    pub(crate) fn is_refused(&self) -> bool {
        self.expected.starts_with("error:")
    }

    /// Returns the document that holds the form.
    pub(crate) fn document(&self) -> String {
        let form = self.form;
        match self.property().split_once('.') {
            None if form == "(absent)" => "name: m\nc: {}\n".to_owned(),
            None => format!("name: m\nc:\n  {}: {form}\n", self.property()),
            Some(("client", "-")) => format!("c: {form}\n"),
            Some(("client", key)) => format!("c:\n  {key}: {form}\n"),
            Some(("map", key)) => format!("name: m\n{key}: {form}\n"),
            Some((root, key)) => format!("name: m\n{root}:\n  {key}: {form}\n"),
        }
    }

    fn outcome(&self) -> Result<(String, Vec<Finding>), Findings> {
        if let Some(key) = self.property().strip_prefix("client.") {
            let loaded = load_clients(&self.document())?;
            return Ok((client(&loaded.value["c"], key), loaded.warnings));
        }
        let loaded = load(&self.document())?;
        let map = &loaded.value;
        let printed = match self.property().split_once('.') {
            None => notation::property(&map.containers["c"], self.property()),
            Some(("volumes", name)) => notation::volume(&map.volumes[name]),
            Some(("networks", name)) => notation::network(&map.networks[name]),
            Some(("host", name)) => notation::host_path(&map.host[name]),
            Some(("groups", name)) => {
                map.groups[name].iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            }
            Some(("map", key)) => root_property(map, key),
            Some((root, _)) => panic!("the tests cannot print `{root}`"),
        };
        Ok((printed, loaded.warnings))
    }
}

fn root_property(map: &Map, key: &str) -> String {
    let text =
        |text: &Option<crate::value::Late<String>>| text.as_ref().map_or("unset".to_owned(), notation::late);
    let flag = |flag: Option<bool>| flag.map_or("unset".to_owned(), |flag| flag.to_string());
    match key {
        "repository" => text(&map.repository),
        "default_tag" => text(&map.default_tag),
        "default_domain" => text(&map.default_domain),
        "host_root" => text(&map.host_root),
        "set_hostname" => flag(map.set_hostname),
        "use_attached_parent_name" => flag(map.use_attached_parent_name),
        "clients" => map.clients.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        "host" => text(&map.host_root),
        _ => map.containers.keys().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn client(client: &crate::model::ClientConfig, key: &str) -> String {
    let addresses = |addresses: &indexmap::IndexMap<String, crate::value::Late<String>>| {
        let one = |(alias, address): (&String, &_)| format!("{alias}: {}", notation::late(address));
        addresses.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    match key {
        "base_url" => format!("{:?}", client.base_url),
        "version" => format!("{:?}", client.version),
        "timeout" => format!("{:?}", client.timeout),
        "wait_timeout" => format!("{:?}", client.wait_timeout),
        "stop_timeout" => format!("{:?}", client.stop_timeout),
        "tls" => format!("{:?}", client.tls),
        "interfaces" => addresses(&client.interfaces),
        "interfaces_ipv6" => addresses(&client.interfaces_ipv6),
        "auth_configs" => format!("{:?}", client.auth_configs),
        "domainname" => format!("{:?}", client.domainname),
        "features" => format!("{:?}", client.features),
        "constraints" => format!("{:?}", client.constraints),
        "fabric_host" => format!("{:?}", client.fabric_host),
        "tunnel_remote_port" => format!("{:?}", client.tunnel_remote_port),
        "use_sudo" => format!("{:?}", client.use_sudo),
        _ => "loaded".to_owned(),
    }
}

/// All rows.
pub(crate) fn cases() -> Vec<Case> {
    let mut section = "";
    let mut cases = Vec::new();
    for line in include_str!("forms.txt").lines().filter(|line| !line.trim().is_empty()) {
        if let Some(header) = line.strip_prefix("# ") {
            section = header;
        } else if !line.starts_with("//") {
            let (forms, expected) = line.split_once("=>").unwrap_or_else(|| panic!("no `=>` in: {line}"));
            let case = |form: &'static str| Case { section, form: form.trim(), expected: expected.trim() };
            cases.extend(forms.split(" | ").map(case));
        }
    }
    cases
}

/// Among the rows: §2.11, where the source makes a value of an error object (engine D-69), and container paths
/// that are none (engine §4.3).
#[test]
fn every_form_has_its_meaning() {
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(cases.len() > 250, "only {} rows were read", cases.len());
    for case in &cases {
        let found = match case.outcome() {
            Ok((printed, warnings)) => {
                let warnings: String =
                    warnings.iter().map(|warning| format!("; warning: {}", warning.message)).collect();
                format!("{printed}{warnings}")
            }
            Err(findings) => {
                let text = shown(&findings);
                let wanted = case.expected.strip_prefix("error:").map(str::trim);
                match wanted.filter(|wanted| text.contains(wanted)) {
                    Some(wanted) => format!("error: {wanted}"),
                    None => format!("error: {}", findings.to_string().replace('\n', " / ")),
                }
            }
        };
        if found != case.expected {
            wrong.push(format!(
                "{}: {}\n  expected {}\n  found    {found}",
                case.section, case.form, case.expected
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
