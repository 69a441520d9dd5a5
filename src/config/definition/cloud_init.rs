//! `[cloud_init]`: who may log in to a seat, and its network.

use std::{collections::HashMap, net::IpAddr};

use super::{Context, ssh_keys};
use crate::{
    config::{
        ConfigError,
        proxmox::login,
        reader::{Node, Table},
        secret::read_source,
    },
    domain::class::{ClassDefinition, CloudInit, IpSource, Password},
};

pub(super) const KEYS: &[&str] = &["user", "password", "ssh_keys", "ip", "nameserver", "search"];

pub(super) fn read(node: &Node<'_>, context: &Context<'_>) -> Result<CloudInit, ConfigError> {
    let table = node.table()?;
    Ok(CloudInit {
        user: table.optional("user", |n| login(&n))?,
        password: table.optional("password", |n| password(&n.hushed(), context))?,
        ssh_keys: table.or("ssh_keys", Vec::new(), |n| ssh_keys::read(&n.hushed(), context))?,
        ip: table.optional("ip", |n| ip(&n))?,
        nameserver: table.optional("nameserver", |n| nameserver(&n))?,
        search: table.optional("search", |n| {
            let shaped = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ' ');
            n.word(shaped, "a domain, such as \"lab.example\"")
        })?,
    })
}

fn password(node: &Node<'_>, context: &Context<'_>) -> Result<Password, ConfigError> {
    if node.is_string() {
        return match node.string()? {
            "generate" => Ok(Password::Generate),
            _ => Err(node.complain(format!(
                "{} may not be written out, because definitions are kept and shown; use \"generate\", \
                 {{ env = \"NAME\" }}, {{ file = \"PATH\" }} or {{ command = \"COMMAND\" }}",
                node.path()
            ))),
        };
    }
    if !node.is_table() {
        return Err(node.refuse("\"generate\", { env = \"NAME\" }, { file = \"PATH\" } or { command = \"COMMAND\" }"));
    }
    read_source(node, &context.folders, context.folder)
}

fn nameserver(node: &Node<'_>) -> Result<String, ConfigError> {
    let text = node.text()?;
    let servers: Vec<&str> = text.split([' ', ',']).filter(|part| !part.is_empty()).collect();
    if servers.iter().any(|server| server.parse::<IpAddr>().is_err()) {
        return Err(node.refuse("an address, or several with spaces between, such as \"10.1.0.1\""));
    }
    Ok(servers.join(" "))
}

/// `10.1.0.0/24`, as written.
pub(in crate::config) fn network(node: &Node<'_>) -> Result<String, ConfigError> {
    let text = node.text()?;
    let parts =
        text.split_once('/').and_then(|(ip, prefix)| Some((ip.parse::<IpAddr>().ok()?, prefix.parse::<u8>().ok()?)));
    match parts {
        Some((ip, prefix)) if prefix <= bits(ip) => Ok(text.to_owned()),
        _ => Err(node.refuse("a network, such as \"10.1.0.0/24\"")),
    }
}

fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// As a number, to count with.
fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => ip.into(),
    }
}

/// First and last address of the network `ip` lies in.
fn span(ip: IpAddr, prefix: u8) -> (u128, u128) {
    let all = if ip.is_ipv4() { u128::from(u32::MAX) } else { u128::MAX };
    let host = if prefix == 0 { all } else { all & !(all << (u32::from(bits(ip)) - u32::from(prefix))) };
    let first = number(ip) & !host;
    (first, first | host)
}

/// `dhcp`, `FIRST-LAST/PREFIX[,gw=GATEWAY]` or `ADDRESS/PREFIX[,gw=GATEWAY]`.
fn ip(node: &Node<'_>) -> Result<IpSource, ConfigError> {
    let text = node.text()?;
    if text == "dhcp" {
        return Ok(IpSource::Dhcp);
    }
    let range =
        split(text).ok_or_else(|| node.refuse("\"dhcp\" or a range such as \"10.1.0.20-10.1.0.60/24,gw=10.1.0.1\""))?;
    let IpSource::Range { first, last, prefix, gateway } = range else { return Ok(range) };
    let (lowest, highest) = span(first, prefix);
    if first.is_ipv4() != last.is_ipv4() || number(last) < number(first) || number(last) > highest {
        return Err(node.complain(format!(
            "{}: {first}-{last} is no range within one /{prefix} network, lowest address first",
            node.path()
        )));
    }
    // A point-to-point network has neither.
    if prefix + 1 < bits(first) && (number(first) == lowest || first.is_ipv4() && number(last) == highest) {
        return Err(node.complain(format!(
            "{}: {first}-{last} holds the network's own address or its broadcast address; leave those out",
            node.path()
        )));
    }
    if let Some(gw) = gateway {
        if gw.is_ipv4() != first.is_ipv4() || !(lowest..=highest).contains(&number(gw)) {
            return Err(
                node.complain(format!("{}: the gateway {gw} is not in the network of {first}/{prefix}", node.path()))
            );
        }
        if (number(first)..=number(last)).contains(&number(gw)) {
            return Err(
                node.complain(format!("{}: the gateway {gw} is one of the addresses given to seats", node.path()))
            );
        }
    }
    Ok(IpSource::Range { first, last, prefix, gateway })
}

fn split(text: &str) -> Option<IpSource> {
    let (range, gateway) = match text.split_once(',') {
        Some((range, gw)) => (range, Some(gw.trim().strip_prefix("gw=")?.parse().ok()?)),
        None => (text, None),
    };
    let (range, prefix) = range.trim().split_once('/')?;
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (IpAddr, IpAddr) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let prefix = prefix.parse().ok().filter(|prefix| *prefix > 0 && *prefix <= bits(first))?;
    Some(IpSource::Range { first, last, prefix, gateway })
}

/// An address range as it is written.
pub(super) fn print_ip(ip: &IpSource) -> String {
    match ip {
        IpSource::Dhcp => "dhcp".to_owned(),
        IpSource::Range { first, last, prefix, gateway } => {
            let last = if first == last { String::new() } else { format!("-{last}") };
            let gateway = gateway.map_or(String::new(), |gw| format!(",gw={gw}"));
            format!("{first}{last}/{prefix}{gateway}")
        }
    }
}

/// Every seat gets an address, and no two the same.
pub(super) fn check_addresses(root: &Table<'_>, class: &ClassDefinition) -> Result<(), ConfigError> {
    let seats = class.resolve();
    if let Some(IpSource::Range { first, last, .. }) = &class.cloud_init.ip {
        let room = number(*last) - number(*first) + 1;
        if room < seats.len() as u128 {
            let node = root.get("cloud_init").unwrap_or_else(|| root.node().clone());
            return Err(node.complain(format!(
                "cloud_init.ip holds {room} addresses for {} machines; widen {first}-{last}",
                seats.len()
            )));
        }
    }
    let mut taken = HashMap::new();
    for spec in &seats {
        let Some(address) = &spec.address else { continue };
        if let Some(other) = taken.insert(address.ip, &spec.seat) {
            let node = root.get("machines").unwrap_or_else(|| root.node().clone());
            return Err(node.complain(format!(
                "{other} and {} would both have the address {}; give one another ip",
                spec.seat, address.ip
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn the_ends_of_a_network_are_known() {
        let v4 = |a, b, c, d| number(IpAddr::V4(Ipv4Addr::new(a, b, c, d)));
        assert_eq!(span("10.1.2.3".parse().expect("v4"), 24), (v4(10, 1, 2, 0), v4(10, 1, 2, 255)));
        assert_eq!(span("10.1.2.3".parse().expect("v4"), 32), (v4(10, 1, 2, 3), v4(10, 1, 2, 3)));
        assert_eq!(span(IpAddr::V6(Ipv6Addr::LOCALHOST), 128), (1, 1));
        assert_eq!(span(IpAddr::V6(Ipv6Addr::LOCALHOST), 64), (0, u128::from(u64::MAX)));
    }
}
