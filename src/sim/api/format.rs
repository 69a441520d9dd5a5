//! The formats of parameters, with Proxmox's words for what does not fit.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::check;
use super::schema::{self, Param};

/// Checks a value against a named format.
///
/// # Errors
/// The words, without `invalid format - `.
pub fn format(name: &str, value: &str, param: &str) -> Result<(), String> {
    if let Some(keys) = name.starts_with('@').then(|| schema::get().format(name)).flatten() {
        return properties(keys, value, param);
    }
    if let Some(single) = name.strip_suffix("-list") {
        let mut parts = value.split([',', ';', ' ', '\0']).filter(|part| !part.is_empty());
        return parts.try_for_each(|part| format(single, part, param));
    }
    let good = match name {
        "pve-vmid" => value.parse::<u64>().is_ok_and(|id| (100..=999_999_999).contains(&id)),
        "pve-node" => label(value),
        "dns-name" => value.split('.').all(label),
        "pve-configid" => {
            value.len() > 1
                && value.starts_with(|c: char| c.is_ascii_alphabetic())
                && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        }
        "pve-storage-id" => {
            value.len() > 1
                && value.starts_with(|c: char| c.is_ascii_alphabetic())
                && value.ends_with(|c: char| c.is_ascii_alphanumeric())
                && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        }
        "pve-poolid" => {
            !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
        }
        "pve-tag" => {
            let mut chars = value.chars();
            chars.next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
                && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '.'))
        }
        "urlencoded" => value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.!~*'()%".contains(c)),
        "ip" | "address" => value.parse::<IpAddr>().is_ok(),
        "ipv4" => value.parse::<std::net::Ipv4Addr>().is_ok(),
        "mac-addr" => mac(value),
        "pve-userid" => value.split_once('@').is_some_and(|(user, realm)| !user.is_empty() && !realm.is_empty()),
        "pve-volume-id" => value.split_once(':').is_some_and(|(s, n)| !s.is_empty() && !n.is_empty()),
        "disk-size" => super::super::world::storage::parse_size(value).is_some(),
        "pve-qm-ipconfig" => return ipconfig(value, param),
        _ => true,
    };
    if good { Ok(()) } else { Err(words(name, value)) }
}

fn words(name: &str, value: &str) -> String {
    match name {
        "pve-vmid" => "value does not look like a valid VM ID".into(),
        "pve-node" => "value does not look like a valid node name".into(),
        "dns-name" => "value does not look like a valid DNS name".into(),
        "pve-configid" => format!("invalid configuration ID '{value}'"),
        "pve-storage-id" => format!("storage ID '{value}' contains illegal characters"),
        "pve-poolid" => format!("value '{value}' does not look like a valid pool name"),
        "pve-tag" => "invalid characters in tag".into(),
        "urlencoded" => format!("invalid urlencoded string: {value}"),
        "ip" | "address" => "value does not look like a valid IP address".into(),
        "ipv4" => "value does not look like a valid IPv4 address".into(),
        "mac-addr" => "value does not look like a valid unicast MAC address".into(),
        "pve-userid" => format!("value '{value}' does not look like a valid user name"),
        "pve-volume-id" => format!("unable to parse volume ID '{value}'"),
        "disk-size" => "value does not look like a valid disk size".into(),
        _ => "value is not valid".into(),
    }
}

fn label(text: &str) -> bool {
    !text.is_empty()
        && text.len() < 64
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn mac(text: &str) -> bool {
    let bytes: Vec<&str> = text.split(':').collect();
    bytes.len() == 6
        && bytes.iter().all(|part| part.len() == 2 && u8::from_str_radix(part, 16).is_ok())
        && u8::from_str_radix(bytes[0], 16).is_ok_and(|first| first & 1 == 0)
}

fn ipconfig(value: &str, param: &str) -> Result<(), String> {
    for part in value.split(',') {
        let wrong = |key: &str, why: &str| Err(format!("format error\n{param}.{key}: {why}\n"));
        let Some((key, text)) = part.split_once('=') else {
            return Err("format error\nvalue without key, but schema does not define a default key\n".into());
        };
        match key {
            "ip" if text == "dhcp" => {}
            "ip" if !cidr(text, false) => {
                return wrong("ip", "invalid format - value does not look like a valid IPv4 network configuration\n");
            }
            "ip6" if matches!(text, "dhcp" | "auto") => {}
            "ip6" if !cidr(text, true) => {
                return wrong("ip6", "invalid format - value does not look like a valid IPv6 network configuration\n");
            }
            "gw" if text.parse::<std::net::Ipv4Addr>().is_err() => {
                return wrong("gw", "invalid format - value does not look like a valid IPv4 address\n");
            }
            "gw6" if text.parse::<std::net::Ipv6Addr>().is_err() => {
                return wrong("gw6", "invalid format - value does not look like a valid IPv6 address\n");
            }
            "ip" | "ip6" | "gw" | "gw6" => {}
            other => return wrong(other, check::UNKNOWN),
        }
    }
    Ok(())
}

fn cidr(text: &str, six: bool) -> bool {
    text.split_once('/').is_some_and(|(address, prefix)| {
        let bits = if six { 128 } else { 32 };
        address.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6() == six)
            && prefix.parse::<u8>().is_ok_and(|prefix| prefix <= bits)
    })
}

/// Checks a property string such as `virtio=…,bridge=vmbr0`.
fn properties(keys: &BTreeMap<String, Param>, value: &str, param: &str) -> Result<(), String> {
    let default = keys.iter().find(|(_, spec)| spec.default_key == Some(1)).map(|(key, _)| key.as_str());
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    let mut errors = Vec::new();
    for part in value.split(',').filter(|part| !part.is_empty()) {
        let (key, text) = match part.split_once('=') {
            Some((key, text)) => (key, text),
            None => match default {
                Some(key) => (key, part),
                None => {
                    return Err("format error\nvalue without key, but schema does not define a default key\n".into());
                }
            },
        };
        let Some((real, spec)) = keys.get_key_value(key) else {
            errors.push(format!("{param}.{key}: {}", check::UNKNOWN));
            continue;
        };
        let name = spec.alias.as_deref().unwrap_or(real);
        if let Some(target) = &spec.key_alias {
            seen.insert(target, key.to_owned());
        }
        if seen.insert(name, text.to_owned()).is_some() {
            return Err(format!("format error\nduplicate key in comma-separated list property: {name}\n"));
        }
    }
    for (key, text) in &seen {
        if let Some(spec) = keys.get(*key)
            && let Err(why) = check::inner(spec, text, key)
        {
            errors.push(format!("{param}.{key}: {why}"));
        }
    }
    for (key, spec) in keys {
        if !spec.is_optional() && spec.alias.is_none() && !seen.contains_key(key.as_str()) {
            errors.push(format!("{param}.{key}: {}", check::MISSING));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(format!("format error\n{}\n", errors.join("\n"))) }
}
