//! Who may log in to regained machines, and their addresses. Pure.

use std::{collections::BTreeMap, net::IpAddr};

use super::{Regained, common::settle};
use crate::domain::{
    SeatName,
    class::{CloudInit, IpSource, Password},
    verify::{properties, static_address},
};

type Config = BTreeMap<String, String>;

/// What is said for all machines, and what single ones have for themselves. Passwords cannot be read; where they were
/// `made` here, they can be made again.
pub(super) fn cloud_init(machines: &[Regained], made: bool) -> (CloudInit, BTreeMap<SeatName, CloudInit>) {
    let text = |key: &'static str| move |config: &Config| config.get(key).cloned();
    let user = settle(machines, None, text("ciuser"));
    let nameserver = settle(machines, None, text("nameserver"));
    let search = settle(machines, None, text("searchdomain"));
    let password =
        settle(machines, None, |config| (made && config.contains_key("cipassword")).then_some(Password::Generate));
    let (ip, addresses) = addresses(machines);
    let shared = shared_keys(machines);
    let mut own = BTreeMap::<SeatName, CloudInit>::new();
    for (seat, value) in user.own {
        own.entry(seat).or_default().user = Some(value);
    }
    for (seat, value) in password.own {
        own.entry(seat).or_default().password = Some(value);
    }
    for (seat, value) in nameserver.own {
        own.entry(seat).or_default().nameserver = Some(value);
    }
    for (seat, value) in search.own {
        own.entry(seat).or_default().search = Some(value);
    }
    for (seat, value) in addresses {
        own.entry(seat).or_default().ip = Some(value);
    }
    for machine in machines {
        let keys = keys(&machine.config);
        if keys.len() > shared.len() {
            own.entry(machine.seat.clone()).or_default().ssh_keys = keys;
        }
    }
    let (nameserver, search) = (nameserver.all, search.all);
    (CloudInit { user: user.all, password: password.all, ssh_keys: shared, ip, nameserver, search }, own)
}

/// A machine's keys but for the lab's own, which is no part of a definition.
fn keys(config: &Config) -> Vec<String> {
    let text = config.get("sshkeys").cloned().unwrap_or_default();
    // Line breaks may have become spaces on the way here.
    let text =
        [" ssh-", " ecdsa-", " sk-"].iter().fold(text, |text, kind| text.replace(kind, &kind.replace(' ', "\n")));
    let own = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains(" homeroom "));
    own.map(str::to_owned).collect()
}

/// The keys that every machine has.
fn shared_keys(machines: &[Regained]) -> Vec<String> {
    let all: Vec<Vec<String>> = machines.iter().map(|machine| keys(&machine.config)).collect();
    let (first, rest) = all.split_first().map(|(first, rest)| (first.as_slice(), rest)).unwrap_or_default();
    first.iter().filter(|key| rest.iter().all(|keys| keys.contains(key))).cloned().collect()
}

/// The range that the machines' fixed addresses span, or that they have theirs by DHCP; and those that do neither.
fn addresses(machines: &[Regained]) -> (Option<IpSource>, BTreeMap<SeatName, IpSource>) {
    let single: Vec<Option<IpSource>> = machines.iter().map(|machine| source(&machine.config)).collect();
    if let Some(range) = range(&single) {
        return (Some(range), BTreeMap::new());
    }
    let settled = settle(machines, None, source);
    if settled.all == Some(IpSource::Dhcp) {
        return (settled.all, settled.own);
    }
    // Addresses of several networks are no range that a new seat could have one of.
    let own = machines.iter().zip(single).filter_map(|(machine, source)| Some((machine.seat.clone(), source?)));
    (None, own.collect())
}

/// Where one machine's address comes from.
fn source(config: &Config) -> Option<IpSource> {
    let text = config.get("ipconfig0")?;
    if text == "ip=dhcp" {
        return Some(IpSource::Dhcp);
    }
    let ip = static_address(text)?;
    let field = |key: &str| properties(text).find(|(name, _)| *name == key).map(|(_, value)| value);
    let prefix = field("ip").or_else(|| field("ip6"))?.split('/').nth(1)?.parse().ok()?;
    let gateway = field("gw").or_else(|| field("gw6")).and_then(|gateway| gateway.parse().ok());
    Some(IpSource::Range { first: ip, last: ip, prefix, gateway })
}

/// The one range of them all: of one network, each its own address.
fn range(single: &[Option<IpSource>]) -> Option<IpSource> {
    let mut found: Option<(IpAddr, IpAddr, u8, Option<IpAddr>)> = None;
    for source in single {
        let Some(IpSource::Range { first: ip, prefix, gateway, .. }) = source else { return None };
        found = match found {
            None => Some((*ip, *ip, *prefix, *gateway)),
            Some((first, last, known, way)) if (known, way) == (*prefix, *gateway) => {
                Some((first.min(*ip), last.max(*ip), known, way))
            }
            Some(_) => return None,
        };
    }
    found.map(|(first, last, prefix, gateway)| IpSource::Range { first, last, prefix, gateway })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Vmid;

    fn machine(n: u32, pairs: &[(&str, &str)]) -> Regained {
        let config = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Regained { seat: SeatName::student(n), vmid: Vmid::new(u64::from(9100 + n)).unwrap(), config }
    }

    #[test]
    fn a_seat_with_another_user_key_or_network_keeps_them() {
        let usual = |ip: &'static str| [("ciuser", "student"), ("sshkeys", "ssh-rsa A mara"), ("ipconfig0", ip)];
        let odd = [
            ("ciuser", "root"),
            ("sshkeys", "ssh-rsa A mara\nssh-rsa B lin"),
            ("ipconfig0", "ip=10.2.0.9/24,gw=10.2.0.1"),
        ];
        let (all, own) =
            cloud_init(&[machine(1, &usual("ip=dhcp")), machine(2, &usual("ip=dhcp")), machine(3, &odd)], false);
        assert_eq!((all.user.as_deref(), all.ip), (Some("student"), Some(IpSource::Dhcp)));
        assert_eq!(all.ssh_keys, ["ssh-rsa A mara"]);
        let third = &own[&SeatName::student(3)];
        assert_eq!((own.len(), third.user.as_deref(), third.ssh_keys.len()), (1, Some("root"), 2));
        assert!(matches!(&third.ip, Some(IpSource::Range { first, last, .. }) if first == last));
        // Two networks: no range for all.
        let (all, own) =
            cloud_init(&[machine(1, &usual("ip=10.1.0.9/24")), machine(2, &usual("ip=10.1.0.10/25"))], false);
        assert!(all.ip.is_none() && own.len() == 2);
    }
}
