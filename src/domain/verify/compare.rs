//! Whether what was configured is what is there: in the site's configuration and inside the guest.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{
    config_wanted,
    keys::{self, key_set},
    value::{has_cloud_init, properties, property},
    wanted::{Wanted, config_unwanted},
};
use crate::domain::{address::is_in, lent::is_card, plan::FieldChange, size::Size};

/// A setting that is written and not in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    pub key: String,
    /// The value waiting; `None` where the key waits to be removed.
    pub value: Option<String>,
}

/// What the guest says of itself; absent where it was not asked or could not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuestReport {
    pub cpus: Option<u32>,
    /// Bytes, as its kernel counts them.
    pub memory: Option<u64>,
    pub hostname: Option<String>,
    pub ip: Option<IpAddr>,
}

/// Every mismatch with the definition, a sentence each; empty when all is as configured. `left`: settings that somebody
/// else changed, which were told before and are left as they are.
pub fn verify(
    wanted: &Wanted<'_>,
    config: &BTreeMap<String, String>,
    pending: &[Pending],
    guest: &GuestReport,
    left: &BTreeSet<String>,
) -> Vec<String> {
    let wanted = &Wanted { lent: None, ..*wanted };
    let mut out = Vec::new();
    let changes = config_changes(&config_wanted(wanted, config), &config_unwanted(wanted, config), config);
    for change in changes.iter().filter(|change| !left.contains(&change.field)) {
        out.push(format!("{} is {}, not {}", change.field, change.from, change.to));
    }
    for item in pending.iter().filter(|item| !left.contains(&item.key)) {
        out.push(match &item.value {
            Some(_) if item.key == "cipassword" => "the password waits for a restart".to_owned(),
            Some(value) => format!("{} = {value} is written but waits for a restart", item.key),
            None => format!("the removal of {} waits for a restart", item.key),
        });
    }
    out.extend(guest_mismatches(wanted, config, guest));
    out
}

fn guest_mismatches(wanted: &Wanted<'_>, config: &BTreeMap<String, String>, guest: &GuestReport) -> Vec<String> {
    let mut out = Vec::new();
    let number = |key: &str| config.get(key).and_then(|value| value.parse::<u32>().ok());
    let cpus = number("vcpus").unwrap_or(number("cores").unwrap_or(1) * number("sockets").unwrap_or(1));
    if let Some(seen) = guest.cpus.filter(|seen| *seen != cpus) {
        out.push(format!("the guest sees {seen} CPUs, {cpus} are configured"));
    }
    if let (Some(seen), Some((low, high, configured))) = (guest.memory, memory_bounds(config))
        && !(low..=high).contains(&seen)
    {
        let (seen, configured) = (Size(seen).human(), Size(configured).human());
        out.push(format!("the guest sees {seen} of memory, {configured} are configured"));
    }
    // Without a cloud-init drive nobody tells the guest its name.
    if let Some(seen) = guest.hostname.as_deref().filter(|_| has_cloud_init(config)) {
        let label = |name: &str| name.split('.').next().unwrap_or_default().to_ascii_lowercase();
        if label(seen) != label(wanted.name) {
            out.push(format!("the guest calls itself {seen}, not {}, which it takes at a restart", wanted.name));
        }
    }
    if let (Some(address), Some(seen)) = (&wanted.spec.address, guest.ip)
        && address.ip != seen
    {
        out.push(format!("the guest has the address {seen}, {} is configured", address.ip));
    }
    out
}

/// Least and most a guest may count, and what is configured, in bytes. A kernel keeps some for itself (and
/// a crash kernel up to 192 MiB); a balloon may take the guest down to its own size.
fn memory_bounds(config: &BTreeMap<String, String>) -> Option<(u64, u64, u64)> {
    let mib = |key: &str| config.get(key).and_then(|v| memory_mib(v));
    let configured = Size::mib(mib("memory")?).bytes();
    let floor = mib("balloon").filter(|n| *n > 0).map_or(configured, |n| Size::mib(n).bytes().min(configured));
    let low = (floor / 100 * 85).saturating_sub(Size::mib(192).bytes());
    Some((low, configured / 100 * 102, configured))
}

/// The memory a configuration's value gives, in MiB.
pub fn memory_mib(value: &str) -> Option<u64> {
    property(value, "current").or_else(|| property(value, ""))?.parse().ok()
}

/// What differs, field by field, with values as people read them.
pub fn config_changes(
    wanted: &BTreeMap<String, String>,
    unwanted: &[String],
    current: &BTreeMap<String, String>,
) -> Vec<FieldChange> {
    let differ = wanted.iter().filter(|(key, value)| !same(key, value, current.get(*key))).map(|(key, value)| {
        let from = current.get(key).map(String::as_str);
        if key == "sshkeys" {
            let from = from.unwrap_or_default();
            return FieldChange::new(key, keys::shown(from, value), keys::shown(value, from));
        }
        FieldChange::new(key, shown(key, from.or_else(|| default_of(key))), shown(key, Some(value)))
    });
    let gone = unwanted.iter().map(|key| {
        let from = current.get(key).map(String::as_str);
        FieldChange::new(key, shown(key, from), shown(key, default_of(key)))
    });
    let mut changes: Vec<FieldChange> = differ.chain(gone).collect();
    changes.sort_by(|a, b| a.field.cmp(&b.field));
    changes
}

/// Whether a running machine has to stop for a change to take effect. Of cloud-init's keys, which guests read when
/// they start, only those may wait for some later start that no proof and no roster goes by. Of a card, Proxmox changes
/// everything while the guest runs; but one that is swapped, or leads elsewhere, is another network to the guest.
pub fn needs_stop(change: &FieldChange) -> bool {
    if is_card(&change.field) {
        return card_set(&change.from).symmetric_difference(&card_set(&change.to)).any(|(key, _)| !is_live(key));
    }
    !matches!(
        change.field.as_str(),
        "name" | "description" | "tags" | "onboot" | "protection" | "sshkeys" | "nameserver" | "searchdomain" | "disk"
    )
}

/// Whether a card's property changes nothing about which network the guest is in.
fn is_live(property: &str) -> bool {
    matches!(property, "firewall" | "link_down" | "rate")
}

/// What Proxmox takes where a key is absent.
fn default_of(key: &str) -> Option<&'static str> {
    match key {
        "cores" | "sockets" => Some("1"),
        "memory" => Some("512"),
        "onboot" | "protection" | "agent" => Some("0"),
        "cpu" => Some("kvm64"),
        "bios" => Some("seabios"),
        _ => None,
    }
}

/// Whether two values of a key mean the same.
pub(super) fn same(key: &str, wanted: &str, current: Option<&String>) -> bool {
    let Some(current) = current.map(String::as_str).or_else(|| default_of(key)) else { return false };
    match key {
        "tags" => tag_set(wanted) == tag_set(current),
        "sshkeys" => key_set(wanted) == key_set(current),
        "memory" | "balloon" => memory_mib(wanted) == memory_mib(current),
        "cpu" => same_cpu(wanted, current),
        "onboot" | "protection" => super::is_on(Some(wanted)) == super::is_on(Some(current)),
        "agent" => super::is_on(Some(wanted)) == super::is_on(Some(current)),
        "nameserver" => words(wanted) == words(current),
        _ if key.starts_with("net") => card_set(wanted) == card_set(current),
        _ if key.starts_with("ipconfig") => {
            properties(wanted).collect::<BTreeSet<_>>() == properties(current).collect::<BTreeSet<_>>()
        }
        // The volume gets its name from Proxmox: that there is one is all that can be asked.
        "efidisk0" => true,
        _ => wanted.trim() == current.trim(),
    }
}

fn words(value: &str) -> Vec<&str> {
    value.split([' ', ',', ';']).filter(|word| !word.is_empty()).collect()
}

fn tag_set(value: &str) -> BTreeSet<String> {
    words(value).into_iter().map(str::to_lowercase).collect()
}

/// `host` and `cputype=host,flags=+aes` are the same type; flags count only if they were asked for.
fn same_cpu(wanted: &str, current: &str) -> bool {
    let bare = |value: &str| value.trim().trim_start_matches("cputype=").to_owned();
    let (wanted, current) = (bare(wanted), bare(current));
    if wanted.contains(',') { wanted == current } else { current.split(',').next() == Some(wanted.as_str()) }
}

/// A card's properties; MACs in one case.
fn card_set(value: &str) -> BTreeSet<(String, String)> {
    // Off is what they are where nothing is said.
    properties(value)
        .filter(|(k, v)| !(is_live(k) && *v == "0"))
        .map(|(k, v)| (k.to_owned(), if v.contains(':') { v.to_lowercase() } else { v.to_owned() }))
        .collect()
}

/// A value as people read it: memory with its unit, switches in words.
fn shown(key: &str, value: Option<&str>) -> String {
    let Some(value) = value else { return "none".to_owned() };
    match key {
        "memory" | "balloon" => memory_mib(value).map_or_else(|| value.to_owned(), |mib| Size::mib(mib).human()),
        "onboot" | "protection" | "agent" => if super::is_on(Some(value)) { "on" } else { "off" }.to_owned(),
        _ => value.to_owned(),
    }
}

/// Whether an address lies in one of the networks, if any are given; else a sentence. A network that
/// cannot be read contains nothing.
pub fn address_allowed(ip: IpAddr, networks: &[String]) -> Result<(), String> {
    if networks.is_empty() || networks.iter().any(|network| is_in(ip, network)) {
        Ok(())
    } else {
        Err(format!("the address {ip} lies outside {}", networks.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Role, SeatName,
        class::{CloudInit, MachineSpec, SeatSpec, StaticAddress},
    };

    fn spec() -> SeatSpec {
        let machine = MachineSpec { cores: Some(2), memory: Some(Size::gib(4)), ..MachineSpec::default() };
        SeatSpec {
            seat: SeatName::new("ada").unwrap(),
            role: Role::Student,
            machine,
            cloud_init: CloudInit::default(),
            address: None,
        }
    }

    fn wanted(spec: &SeatSpec) -> Wanted<'_> {
        let lab_key = Some("ssh-ed25519 AAAAlab homeroom");
        Wanted { spec, name: "cs101-ada", lab_key, mark: None, agent: true, lent: None }
    }

    fn config() -> BTreeMap<String, String> {
        [
            ("agent", "1"),
            ("cores", "2"),
            ("ide2", "fast:vm-9101-cloudinit,media=cdrom"),
            ("memory", "4096"),
            ("name", "cs101-ada"),
            ("sshkeys", "ssh-ed25519%20AAAAlab%20homeroom%0A"),
            ("tags", "homeroom"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into()
    }

    fn report() -> GuestReport {
        GuestReport {
            cpus: Some(2),
            memory: Some(Size::mib(3915).bytes()),
            hostname: Some("cs101-ada.lab.example".into()),
            ip: "10.1.0.20".parse().ok(),
        }
    }

    #[test]
    fn a_machine_as_configured_has_no_mismatch() {
        assert_eq!(verify(&wanted(&spec()), &config(), &[], &report(), &BTreeSet::new()), Vec::<String>::new());
    }

    #[test]
    fn every_mismatch_is_a_sentence() {
        let mut spec = spec();
        let address = StaticAddress { ip: "10.1.0.21".parse().unwrap(), prefix: 24, gateway: None };
        spec.address = Some(address);
        let mut config = config();
        config.insert("cores".into(), "1".into());
        config.insert("ipconfig0".into(), "ip=10.1.0.21/24".into());
        let pending = [Pending { key: "memory".into(), value: Some("8192".into()) }];
        let mut report = report();
        report.memory = Some(Size::gib(2).bytes());
        report.hostname = Some("ubuntu".into());
        assert_eq!(
            verify(&wanted(&spec), &config, &pending, &report, &BTreeSet::new()),
            [
                "cores is 1, not 2",
                "memory = 8192 is written but waits for a restart",
                "the guest sees 2 CPUs, 1 are configured",
                "the guest sees 2 GiB of memory, 4 GiB are configured",
                "the guest calls itself ubuntu, not cs101-ada, which it takes at a restart",
                "the guest has the address 10.1.0.20, 10.1.0.21 is configured",
            ]
        );
    }

    #[test]
    fn a_guest_without_cloud_init_may_have_any_name() {
        let mut config = config();
        config.remove("ide2");
        let report = GuestReport { hostname: Some("golden".into()), ..GuestReport::default() };
        assert!(verify(&wanted(&spec()), &config, &[], &report, &BTreeSet::new()).is_empty());
    }

    #[test]
    fn values_that_mean_the_same_are_the_same() {
        let same = |key, a: &str, b: &str| same(key, a, Some(&b.to_owned()));
        assert!(same("tags", "cs;homeroom", "homeroom,cs"));
        assert!(same("cpu", "host", "cputype=host,flags=+aes"));
        assert!(same("memory", "4096", "current=4096"));
        assert!(same("ipconfig0", "ip=dhcp,ip6=auto", "ip6=auto,ip=dhcp"));
        assert!(same("net0", "virtio=bc:24:11:00:00:01,bridge=a", "bridge=a,virtio=BC:24:11:00:00:01"));
        assert!(same("sshkeys", "ssh-rsa A one\nssh-rsa B two", "ssh-rsa B x ssh-rsa A y"));
        assert!(!same("tags", "homeroom", "homeroom;lent"));
        assert!(!same("cores", "2", "4"));
        assert!(super::same("cores", "1", None) && !super::same("ciuser", "ada", None));
    }

    #[test]
    fn changes_read_as_people_would_say_them() {
        let changes = config_changes(&config_wanted(&wanted(&spec()), &BTreeMap::new()), &[], &BTreeMap::new());
        let lines: Vec<_> = changes.iter().map(|c| format!("{} {} -> {}", c.field, c.from, c.to)).collect();
        let expected = [
            "agent off -> on",
            "cores 1 -> 2",
            "memory 512 MiB -> 4 GiB",
            "name none -> cs101-ada",
            "sshkeys none -> homeroom SHA256:ZNTjpQmBb9lo…",
            "tags none -> homeroom",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn an_address_lies_in_one_of_the_networks_or_is_refused_by_name() {
        let ip = "10.1.0.20".parse().unwrap();
        assert!(address_allowed(ip, &[]).is_ok());
        assert!(address_allowed(ip, &["192.168.0.0/16".into(), "10.1.0.0/24".into()]).is_ok());
        assert!(address_allowed(ip, &["0.0.0.0/0".into()]).is_ok());
        assert_eq!(
            address_allowed(ip, &["10.2.0.0/24".into()]),
            Err("the address 10.1.0.20 lies outside 10.2.0.0/24".to_owned())
        );
        assert!(address_allowed(ip, &["fd00::/8".into(), "nonsense".into()]).is_err());
    }
}
