//! Addresses of a host's network interfaces (clients-tasks §7.7).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dfab_client::shortcuts::quoted;
use serde_json::Value;

use super::{Commands, Error, run};

/// Returns the IPv4 address of an interface; `None` when it has none.
///
/// # Errors
///
/// [`Error::Interface`], and when no command can be run.
pub async fn get_ip4_address(host: &dyn Commands, interface: &str) -> Result<Option<Ipv4Addr>, Error> {
    let addresses = addresses(host, interface).await?;
    Ok(addresses.into_iter().find_map(|address| match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }))
}

/// Returns the IPv6 address of an interface; `None` when it has none. A link-local one counts only where there is
/// no other.
///
/// # Errors
///
/// As [`get_ip4_address`].
pub async fn get_ip6_address(host: &dyn Commands, interface: &str) -> Result<Option<Ipv6Addr>, Error> {
    let addresses = addresses(host, interface).await?;
    let addresses = addresses.into_iter().filter_map(|address| match address {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    });
    // The sort is stable: the first in output order comes first.
    let mut addresses: Vec<Ipv6Addr> = addresses.collect();
    addresses.sort_by_key(Ipv6Addr::is_unicast_link_local);
    Ok(addresses.first().copied())
}

/// Writes an address as eight groups of four lower-case digits.
pub fn expanded(address: Ipv6Addr) -> String {
    address.segments().map(|segment| format!("{segment:04x}")).join(":")
}

/// Asks `ip` for JSON, an older one or BusyBox's for lines, and `ifconfig` where there is no `ip`.
fn question(interface: &str) -> String {
    let interface = quoted(interface);
    format!(
        "PATH=$PATH:/usr/sbin:/sbin; if command -v ip >/dev/null 2>&1; then \
         ip -j addr show dev {interface} 2>/dev/null || ip -o addr show dev {interface}; else ifconfig {interface}; fi"
    )
}

async fn addresses(host: &dyn Commands, interface: &str) -> Result<Vec<IpAddr>, Error> {
    let finished = run(host, &question(interface), false).await?;
    if finished.failed.is_some() || finished.stdout.trim().is_empty() {
        return Err(Error::Interface(interface.to_owned()));
    }
    Ok(parse(&finished.stdout))
}

/// Reads all addresses in output order: `ip -j addr`, `ip -o addr`, and both forms of `ifconfig`.
fn parse(output: &str) -> Vec<IpAddr> {
    if let Ok(links) = serde_json::from_str::<Value>(output) {
        let links = links.as_array().into_iter().flatten();
        let entries = links.filter_map(|link| link.get("addr_info")?.as_array()).flatten();
        return entries.filter_map(|entry| entry.get("local")?.as_str()?.parse().ok()).collect();
    }
    let mut found = Vec::new();
    let mut words = output.split_whitespace();
    while let Some(word) = words.next() {
        if word != "inet" && word != "inet6" {
            continue;
        }
        // `inet 192.0.2.1/24`, `inet addr:192.0.2.1`, `inet6 addr: fe80::1/64`, `inet6 fe80::1%eth0`
        let word = words.next().unwrap_or_default();
        let word = word.strip_prefix("addr:").unwrap_or(word);
        let word = if word.is_empty() { words.next().unwrap_or_default() } else { word };
        let address = word.split(['/', '%']).next().unwrap_or_default();
        found.extend(address.parse::<IpAddr>().ok());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Answer, FakeHost};
    use super::*;

    const JSON: &str = r#"[{},{"ifname":"eth0","addr_info":[
        {"family":"inet","local":"192.0.2.10","prefixlen":24,"scope":"global"},
        {"family":"inet","local":"192.0.2.11","prefixlen":24,"scope":"global"},
        {"family":"inet6","local":"fe80::1","prefixlen":64,"scope":"link"},
        {"family":"inet6","local":"2001:db8::10","prefixlen":64,"scope":"global"}]}]"#;
    const LINES: &str = "\
2: eth0    inet 192.0.2.10/24 brd 192.0.2.255 scope global eth0\\       valid_lft forever preferred_lft forever
2: eth0    inet6 fe80::1/64 scope link \\       valid_lft forever preferred_lft forever
2: eth0    inet6 2001:db8::10/64 scope global \\       valid_lft forever preferred_lft forever
";
    /// The fragments of clients-tasks §7.7.
    const OLD_IFCONFIG: &str = "docker0   Link encap:Ethernet  HWaddr 56:84:7a:fe:97:99
          inet addr:172.17.42.1  Bcast:0.0.0.0  Mask:255.255.0.0
          inet6 addr: fe80::5484:7aff:fefe:9799/64 Scope:Link
";
    const NEW_IFCONFIG: &str = "docker0: flags=4163<UP,BROADCAST>  mtu 1500
        inet 172.17.0.1  netmask 255.255.0.0  broadcast 172.17.255.255
        inet6 fe80::42:acff:fe11:2  prefixlen 64  scopeid 0x20<link>
";

    #[tokio::test]
    async fn the_first_address_of_a_family_in_every_programs_words() {
        for (output, v4, v6) in [
            (JSON, Some("192.0.2.10"), Some("2001:db8::10")),
            (LINES, Some("192.0.2.10"), Some("2001:db8::10")),
            (OLD_IFCONFIG, Some("172.17.42.1"), Some("fe80::5484:7aff:fefe:9799")),
            (NEW_IFCONFIG, Some("172.17.0.1"), Some("fe80::42:acff:fe11:2")),
            ("lo inet6 ::1/128 scope host", None, Some("::1")),
            ("[{\"ifname\":\"down\",\"addr_info\":[]}]", None, None),
            ("docker0: flags=4099<UP> mtu 1500", None, None),
        ] {
            let question: &'static str = question("docker0").leak();
            let host = FakeHost::new([(question, Answer::Ok(output))]);
            let found = get_ip4_address(&host, "docker0").await.unwrap();
            assert_eq!(found.map(|address| address.to_string()).as_deref(), v4, "{output}");
            let found = get_ip6_address(&host, "docker0").await.unwrap();
            assert_eq!(found.map(|address| address.to_string()).as_deref(), v6, "{output}");
        }
    }

    #[tokio::test]
    async fn an_interface_that_is_not_there_is_an_error() {
        for answer in
            [Answer::Ok(""), Answer::Failed("ended with status 1", "Device \"x y\" does not exist.")]
        {
            let host = FakeHost::new([(&*question("x y").leak(), answer)]);
            let error = get_ip4_address(&host, "x y").await.unwrap_err();
            assert_eq!(error.to_string(), "Network interface x y not found.");
        }
    }

    /// The table of clients-tasks §7.7.
    #[test]
    fn addresses_are_expanded_to_eight_groups() {
        for (address, expected) in [
            ("2001:db8::1", "2001:0db8:0000:0000:0000:0000:0000:0001"),
            ("fe80::42:acff:fe11:2", "fe80:0000:0000:0000:0042:acff:fe11:0002"),
            ("2001:db8:0:0:0:0:0:1", "2001:0db8:0000:0000:0000:0000:0000:0001"),
            ("1::2:3", "0001:0000:0000:0000:0000:0000:0002:0003"),
            ("::1", "0000:0000:0000:0000:0000:0000:0000:0001"),
            ("fe80::", "fe80:0000:0000:0000:0000:0000:0000:0000"),
        ] {
            assert_eq!(expanded(address.parse().unwrap()), expected);
        }
    }
}
