//! Addresses: which of a guest's addresses counts.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr},
};

/// Neither loopback, link-local, multicast nor unspecified.
pub fn is_usable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !(v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4.is_multicast()),
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast()),
    }
}

/// Whether `ip` lies in `network` (`10.1.0.0/24`). A network that cannot be read holds nothing.
pub fn is_in(ip: IpAddr, network: &str) -> bool {
    let Some((base, bits)) = network.split_once('/') else { return network.parse() == Ok(ip) };
    let (Ok(base), Ok(bits)) = (base.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    match (base, ip) {
        (IpAddr::V4(base), IpAddr::V4(ip)) if bits <= 32 => {
            let shift = 32 - bits;
            u64::from(u32::from(base)) >> shift == u64::from(u32::from(ip)) >> shift
        }
        (IpAddr::V6(base), IpAddr::V6(ip)) if bits <= 128 => {
            let keep = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            u128::from(base) & keep == u128::from(ip) & keep
        }
        _ => false,
    }
}

/// The MAC of a card's property string (`virtio=BC:24:11:AA:BB:CC,bridge=vmbr0`), lower case.
pub fn mac_of(net: &str) -> Option<String> {
    net.split(',').find_map(|part| {
        let value = part.split_once('=').map_or(part, |(_, value)| value);
        let is_mac =
            value.len() == 17 && value.split(':').filter(|byte| u8::from_str_radix(byte, 16).is_ok()).count() == 6;
        is_mac.then(|| value.to_ascii_lowercase())
    })
}

/// The ports somebody listens on, in the words of Linux' `/proc/net/tcp` and `tcp6`.
pub fn listened_on(table: &str) -> BTreeSet<u16> {
    /// TCP_LISTEN
    const LISTENS: &str = "0A";
    let row = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (local, _, state) = (words.next()?, words.next()?, words.next()?);
        let (_, port) = local.rsplit_once(':')?;
        (state == LISTENS).then(|| u16::from_str_radix(port, 16).ok()).flatten()
    };
    table.lines().filter_map(row).collect()
}

/// The host of an authority as a browser sends it (`lab.example:8080`, `[fd00::1]`, `10.0.0.5`), as it stands in a
/// link; `None` for what is none.
pub fn host_of(authority: &str) -> Option<String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (inner, port) = rest.split_once(']')?;
            let port = if port.is_empty() { None } else { Some(port.strip_prefix(':')?) };
            return port
                .is_none_or(is_port)
                .then(|| inner.parse::<Ipv6Addr>().ok())
                .flatten()
                .map(|ip| format!("[{ip}]"));
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    (is_host(host) && port.is_none_or(is_port)).then(|| host.to_ascii_lowercase())
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A host's name with or without dots, or an address of IPv4.
pub fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_table_of_connections_tells_who_listens() {
        let table = "  sl  local_address rem_address   st\n   0: 0700007F:1F90 00000000:0000 0A 0\n   \
                     1: 0100007F:1F91 0100007F:9C40 01 0\n";
        assert_eq!(listened_on(table), BTreeSet::from([8080]));
        assert!(listened_on("nonsense\n0: x y").is_empty());
    }

    #[test]
    fn a_host_is_read_from_an_authority_and_nothing_else_is() {
        for (said, host) in [
            ("Lab.example:8080", "lab.example"),
            ("vm", "vm"),
            ("10.0.0.5:80", "10.0.0.5"),
            ("[FD00::1]:8080", "[fd00::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(host_of(said).as_deref(), Some(host), "{said}");
        }
        for said in ["", ":80", "a b", "a/b", "x@y", "a:b", "a:99999", "[::1", "[x]", "[::1]x", "-a", "a..b", "<b>"] {
            assert_eq!(host_of(said), None, "{said}");
        }
    }

    #[test]
    fn loopback_and_link_local_do_not_count() {
        for (ip, usable) in [
            ("127.0.0.1", false),
            ("169.254.3.4", false),
            ("fe80::1", false),
            ("::1", false),
            ("10.1.2.3", true),
            ("fd00::5", true),
        ] {
            assert_eq!(is_usable(ip.parse().unwrap()), usable, "{ip}");
        }
    }

    #[test]
    fn an_address_lies_in_its_network_only() {
        let ip: IpAddr = "10.1.0.77".parse().unwrap();
        assert!(is_in(ip, "10.1.0.0/24") && is_in(ip, "0.0.0.0/0") && is_in(ip, "10.1.0.77"));
        assert!(
            !is_in(ip, "10.1.1.0/24")
                && !is_in(ip, "10.1.0.0/33")
                && !is_in(ip, "nonsense/8")
                && !is_in(ip, "fd00::/8")
        );
        assert!(is_in("fd00::5".parse().unwrap(), "fd00::/8"));
    }

    #[test]
    fn the_mac_is_found_wherever_the_model_is() {
        assert_eq!(mac_of("virtio=BC:24:11:5B:79:DA,bridge=vmbr0").as_deref(), Some("bc:24:11:5b:79:da"));
        assert_eq!(mac_of("model=e1000,macaddr=BC:24:11:5B:79:DA").as_deref(), Some("bc:24:11:5b:79:da"));
        assert_eq!(mac_of("virtio,bridge=vmbr0"), None);
    }
}
