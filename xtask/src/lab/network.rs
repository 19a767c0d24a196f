//! The lab's bridge and its range of addresses.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::machine::ip;
use super::state::Lab;
use crate::run::{Runs as _, tool};

/// Returns a /24 range, as its first three numbers, that no route or address of this machine touches.
pub fn free_subnet() -> Result<String> {
    let taken = ip(&["-4", "route", "show", "table", "all"])?;
    let taken: Vec<(u32, u32)> = taken.lines().filter_map(destination).collect();
    for third in 0..=255_u32 {
        let range = (10 << 24 | 199 << 16 | third << 8, 24);
        if !taken.iter().any(|other| overlap(*other, range)) {
            return Ok(format!("10.199.{third}"));
        }
    }
    bail!("no free range of addresses in 10.199.0.0/16; `ip route` shows who has them")
}

/// Reads the destination of a line of `ip route`: an address, and how many of its bits count.
fn destination(line: &str) -> Option<(u32, u32)> {
    let mut words = line.split_ascii_whitespace();
    let mut word = words.next()?;
    if ["local", "broadcast", "unreachable", "blackhole", "prohibit", "throw", "anycast", "multicast"]
        .contains(&word)
    {
        word = words.next()?;
    }
    let (address, bits) = word.split_once('/').unwrap_or((word, "32"));
    let address: std::net::Ipv4Addr = address.parse().ok()?;
    Some((u32::from(address), bits.parse().ok()?))
}

fn overlap((a, a_bits): (u32, u32), (b, b_bits): (u32, u32)) -> bool {
    let bits = a_bits.min(b_bits);
    // A default route covers all and takes nothing.
    bits != 0 && (a ^ b) >> (32 - bits) == 0
}

/// Makes the bridge and lets traffic between the hosts pass.
pub fn create(lab: &mut Lab) -> Result<()> {
    let bridge = lab.id.clone();
    ip(&["link", "add", &bridge, "type", "bridge"]).context(
        "cannot make a bridge: the kernel needs bridge support, the caller the right CAP_NET_ADMIN",
    )?;
    ip(&["address", "add", &format!("{}.1/24", lab.subnet), "dev", &bridge])?;
    ip(&["link", "set", &bridge, "up"])?;
    // Where Docker runs on this machine, its FORWARD policy would drop what crosses our bridge.
    rule("-I", &bridge).read().context("cannot let the hosts' traffic pass")?;
    lab.save()
}

/// Removes the bridge, the hosts' links on it and the rule. Parts that are gone are fine.
pub fn remove(lab_id: &str) -> Result<()> {
    while rule("-C", lab_id).succeeds() {
        rule("-D", lab_id).read()?;
    }
    // The links end with their peers, which the kernel removes a moment after the machines.
    let links = ip(&["-brief", "link", "show"])?;
    let names = links.lines().filter_map(|line| line.split(['@', ' ']).next());
    for name in names.filter(|name| name.starts_with(lab_id)) {
        let removed = ip(&["link", "delete", name]);
        if removed.is_err() && ip(&["link", "show", name]).is_ok() {
            removed?;
        }
    }
    Ok(())
}

fn rule(operation: &str, bridge: &str) -> Command {
    let mut command = tool("iptables");
    command.args(["--wait", operation, "FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT"]);
    command
}

#[cfg(test)]
mod tests {
    use super::{destination, overlap};

    #[test]
    fn ranges_that_share_an_address_overlap() {
        let range = destination("10.199.0.0/24 dev x").unwrap();
        for (line, expected) in [
            ("10.199.0.0/16 via 10.0.0.1", true),
            ("10.0.0.0/8 dev tun0", true),
            ("local 10.199.0.7 dev eth0 table local", true),
            ("10.199.1.0/24 dev eth0", false),
            ("192.0.2.0/24 dev eth0", false),
            ("0.0.0.0/0 via 192.0.2.1", false),
        ] {
            assert_eq!(overlap(destination(line).unwrap(), range), expected, "{line}");
        }
        assert_eq!(destination("default via 192.0.2.1 dev eth0"), None);
    }
}
