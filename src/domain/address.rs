//! Addresses: which of a guest's addresses counts.

use std::net::IpAddr;

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
