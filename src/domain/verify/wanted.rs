//! What a machine's configuration should say, by Proxmox's own keys.
//!
//! Settings the definition leaves open are as the template lent them, where that is known; otherwise they are absent
//! here, and left alone. A password is never here: Proxmox shows only a mask of it, so it cannot be compared.

use std::{collections::BTreeMap, net::IpAddr};

use super::{
    compare::{memory_mib, same},
    value::{boot_disk, is_on, properties},
};
use crate::domain::{
    class::{Firmware, IpSource, Nic, SeatSpec},
    lent::{Lent, OPEN, is_card},
    mark::{HEAD as MARK_HEAD, Mark, TAG},
};

/// Whose configuration is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub spec: &'a SeatSpec,
    /// The machine's name.
    pub name: &'a str,
    /// The public half of the lab's key, one line.
    pub lab_key: Option<&'a str>,
    /// Written as the description where that does not say so already; `None` leaves it alone.
    pub mark: Option<&'a Mark>,
    /// The guest agent is needed: switched on where it is not.
    pub agent: bool,
    /// What it was lent, where that is to stand for what the definition leaves open; `None` asks for the definition
    /// alone.
    pub lent: Option<&'a Lent>,
}

/// Every key the machine should have, given what it has (`current`): cards keep the model and the MAC they had, because
/// a card written without its MAC gets a new one.
pub fn config_wanted(wanted: &Wanted<'_>, current: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let Wanted { spec, name, lab_key, mark, agent, lent } = *wanted;
    let (machine, cloud) = (&spec.machine, &spec.cloud_init);
    let mut out = BTreeMap::new();
    let mut set = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            out.insert(key.to_owned(), value);
        }
    };
    let flag = |on: bool| if on { "1" } else { "0" }.to_owned();
    set("name", Some(name.to_owned()));
    set("description", mark.filter(|mark| !is_marked(current, mark)).map(Mark::text));
    set("tags", Some(tags(machine.tags.as_deref().unwrap_or_default())));
    set("cores", machine.cores.map(|n| n.to_string()));
    set("sockets", machine.sockets.map(|n| n.to_string()));
    set("cpu", machine.cpu.clone());
    set("memory", machine.memory.map(|size| size.in_mib().to_string()));
    set("balloon", balloon(spec, lent, current));
    set("onboot", machine.onboot.map(flag));
    set("protection", machine.protection.map(flag));
    set("bios", machine.firmware.map(|f| if f == Firmware::Uefi { "ovmf" } else { "seabios" }.to_owned()));
    set("efidisk0", efi_disk(spec, current));
    if agent {
        let known = current.get("agent").filter(|value| is_on(Some(value)));
        set("agent", Some(known.cloned().unwrap_or_else(|| "1".to_owned())));
    }
    set("ciuser", cloud.user.clone());
    set("nameserver", cloud.nameserver.clone());
    set("searchdomain", cloud.search.clone());
    set("sshkeys", ssh_keys(&cloud.ssh_keys, lab_key));
    set("ipconfig0", ipconfig(spec));
    for (n, nic) in machine.nic.iter().enumerate() {
        let key = format!("net{n}");
        let known = lent.and_then(|lent| lent.card(&key)).or(current.get(&key).map(String::as_str));
        set(&key, Some(card(nic, known)));
    }
    if let Some(lent) = lent {
        for key in OPEN {
            if !out.contains_key(key)
                && let Some(value) = lent.value(key)
            {
                out.insert(key.to_owned(), value.to_owned());
            }
        }
        if machine.nic.is_empty() {
            out.extend(lent.cards().map(|(key, value)| (key.to_owned(), value.to_owned())));
        }
    }
    out
}

/// Keys the machine has and should not: network cards beyond the definition's, and what neither the definition nor the
/// template gave it.
pub fn config_unwanted(wanted: &Wanted<'_>, current: &BTreeMap<String, String>) -> Vec<String> {
    let cards = wanted.spec.machine.nic.len();
    let set = config_wanted(wanted, current);
    let beyond = |key: &str| {
        cards > 0 && key.strip_prefix("net").and_then(|n| n.parse::<usize>().ok()).is_some_and(|n| n >= cards)
    };
    let own = |key: &str, value: &str| {
        let Some(lent) = wanted.lent.filter(|_| !set.contains_key(key)) else { return false };
        match is_card(key) {
            true => lent.knows_cards(),
            // Said or not, what Proxmox takes anyway is the same.
            false => OPEN.contains(&key) && lent.knows(key) && !same(key, value, None),
        }
    };
    current.iter().filter(|(key, value)| beyond(key) || own(key, value)).map(|(key, _)| key.clone()).collect()
}

/// Settings and cards that `before` asked for and `now` leaves open, of a machine of which nobody knows what it had of
/// them: they stay as they are.
pub fn left_standing(
    before: &SeatSpec,
    now: &SeatSpec,
    lent: &Lent,
    current: &BTreeMap<String, String>,
) -> Vec<String> {
    let asked = |spec| {
        let wanted = Wanted { spec, name: "", lab_key: None, mark: None, agent: false, lent: None };
        config_wanted(&wanted, current)
    };
    let (before, now) = (asked(before), asked(now));
    let known = |key: &str| if is_card(key) { lent.knows_cards() } else { lent.knows(key) };
    let left = |key: &&String| {
        let open = OPEN.contains(&key.as_str()) || is_card(key);
        open && !now.contains_key(*key) && !known(key) && current.contains_key(*key)
    };
    before.keys().filter(left).cloned().collect()
}

/// Only what has to be written: the wanted keys whose value differs from what is there.
pub fn keep_only_changes(
    wanted: BTreeMap<String, String>,
    current: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    wanted.into_iter().filter(|(key, value)| !super::compare::same(key, value, current.get(key))).collect()
}

/// Whether the description carries the mark, of whatever run: an admin's note beside it stays.
fn is_marked(current: &BTreeMap<String, String>, mark: &Mark) -> bool {
    // Line breaks may have become spaces on the way here.
    let text = current.get("description").map(String::as_str).unwrap_or_default();
    let found = text.find(MARK_HEAD).and_then(|at| Mark::parse(&text[at..]));
    found.is_some_and(|found| Mark { run: mark.run, ..found } == *mark)
}

/// Our tag and the lab's own, as Proxmox stores them: lower case, sorted, once each.
fn tags(own: &[String]) -> String {
    let mut tags: Vec<String> = own.iter().map(|tag| tag.to_lowercase()).chain([TAG.to_owned()]).collect();
    tags.sort();
    tags.dedup();
    tags.join(";")
}

/// Proxmox refuses a balloon larger than the memory, which a template with more memory lends.
fn balloon(spec: &SeatSpec, lent: Option<&Lent>, current: &BTreeMap<String, String>) -> Option<String> {
    let memory = spec.machine.memory?.in_mib();
    let lent = lent.filter(|lent| lent.knows("balloon"));
    let balloon = lent.map_or_else(|| current.get("balloon").map(String::as_str), |lent| lent.value("balloon"));
    (memory_mib(balloon?)? > memory).then(|| memory.to_string())
}

/// UEFI needs a small disk for its variables; one that is there stays.
fn efi_disk(spec: &SeatSpec, current: &BTreeMap<String, String>) -> Option<String> {
    if spec.machine.firmware != Some(Firmware::Uefi) || current.contains_key("efidisk0") {
        return None;
    }
    let storage = boot_disk(current)?.storage;
    let keys = u8::from(spec.machine.secure_boot.unwrap_or(false));
    Some(format!("{storage}:1,efitype=4m,pre-enrolled-keys={keys}"))
}

/// Plain OpenSSH lines; the backend encodes them as Proxmox wants.
fn ssh_keys(own: &[String], lab_key: Option<&str>) -> Option<String> {
    let mut lines: Vec<&str> = Vec::new();
    for line in own.iter().map(String::as_str).chain(lab_key).map(str::trim).filter(|line| !line.is_empty()) {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn ipconfig(spec: &SeatSpec) -> Option<String> {
    if let Some(address) = &spec.address {
        let (ip, gw) = if matches!(address.ip, IpAddr::V6(_)) { ("ip6", "gw6") } else { ("ip", "gw") };
        let gateway = address.gateway.map(|gateway| format!(",{gw}={gateway}")).unwrap_or_default();
        return Some(format!("{ip}={}/{}{gateway}", address.ip, address.prefix));
    }
    matches!(spec.cloud_init.ip, Some(IpSource::Dhcp)).then(|| "ip=dhcp".to_owned())
}

/// A card on the wanted bridge and VLAN, otherwise as it is.
fn card(nic: &Nic, current: Option<&str>) -> String {
    const MODELS: [&str; 5] = ["virtio", "e1000", "e1000e", "rtl8139", "vmxnet3"];
    let mut parts = Vec::new();
    let mut rest = Vec::new();
    for (key, value) in current.map(properties).into_iter().flatten() {
        match key {
            model if MODELS.contains(&model) => parts.push(format!("{model}={value}")),
            "" if MODELS.contains(&value) => parts.push(value.to_owned()),
            "bridge" | "tag" | "trunks" => {}
            _ => rest.push(format!("{key}={value}")),
        }
    }
    if parts.is_empty() {
        // Some models are written `model=…,macaddr=…`; those come along with the rest.
        if !rest.iter().any(|part| part.starts_with("model=")) {
            parts.push("virtio".to_owned());
        }
    }
    parts.push(format!("bridge={}", nic.bridge));
    parts.extend(nic.vlan.map(|vlan| format!("tag={vlan}")));
    parts.extend(rest);
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Role, RunId, SeatName, StoreId, Vmid,
        class::{CloudInit, MachineSpec, StaticAddress},
        size::Size,
    };

    fn spec(machine: MachineSpec, cloud_init: CloudInit) -> SeatSpec {
        SeatSpec { seat: SeatName::new("ada").unwrap(), role: Role::Student, machine, cloud_init, address: None }
    }

    fn want(spec: &SeatSpec, current: &[(&str, &str)]) -> BTreeMap<String, String> {
        let current = current.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let wanted = Wanted {
            spec,
            name: "cs101-ada",
            lab_key: Some("ssh-ed25519 LAB lab"),
            mark: None,
            agent: false,
            lent: None,
        };
        config_wanted(&wanted, &current)
    }

    #[test]
    fn what_the_definition_leaves_open_stays_as_the_template_has_it() {
        let config = want(&spec(MachineSpec::default(), CloudInit::default()), &[("cores", "8")]);
        let keys: Vec<_> = config.keys().map(String::as_str).collect();
        assert_eq!(keys, ["name", "sshkeys", "tags"]);
        assert_eq!(config["tags"], "homeroom");
    }

    #[test]
    fn settings_go_out_under_proxmox_own_keys() {
        let machine = MachineSpec {
            cores: Some(4),
            sockets: Some(1),
            cpu: Some("host".into()),
            memory: Some(Size::gib(8)),
            onboot: Some(false),
            protection: Some(true),
            tags: Some(vec!["Zoo".into(), "cs".into()]),
            ..MachineSpec::default()
        };
        let cloud_init = CloudInit {
            user: Some("student".into()),
            ssh_keys: vec!["ssh-rsa OWN me".into()],
            ip: Some(IpSource::Dhcp),
            nameserver: Some("10.1.0.1".into()),
            search: Some("lab.example".into()),
            password: None,
        };
        let config = want(&spec(machine, cloud_init), &[]);
        let expected = [
            ("ciuser", "student"),
            ("cores", "4"),
            ("cpu", "host"),
            ("ipconfig0", "ip=dhcp"),
            ("memory", "8192"),
            ("name", "cs101-ada"),
            ("nameserver", "10.1.0.1"),
            ("onboot", "0"),
            ("protection", "1"),
            ("searchdomain", "lab.example"),
            ("sockets", "1"),
            ("sshkeys", "ssh-rsa OWN me\nssh-ed25519 LAB lab"),
            ("tags", "cs;homeroom;zoo"),
        ];
        assert_eq!(config.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_static_address_carries_prefix_and_gateway() {
        let mut spec = spec(MachineSpec::default(), CloudInit::default());
        let address = |ip: &str, gateway: &str, prefix| {
            Some(StaticAddress { ip: ip.parse().unwrap(), prefix, gateway: gateway.parse().ok() })
        };
        spec.address = address("10.1.0.20", "10.1.0.1", 24);
        assert_eq!(want(&spec, &[])["ipconfig0"], "ip=10.1.0.20/24,gw=10.1.0.1");
        spec.address = address("fd00::20", "fd00::1", 64);
        assert_eq!(want(&spec, &[])["ipconfig0"], "ip6=fd00::20/64,gw6=fd00::1");
    }

    #[test]
    fn a_card_keeps_its_mac_and_model_and_loses_cards_beyond_the_definition() {
        let nic = vec![Nic { bridge: "vmbr1".into(), vlan: Some(101) }];
        let spec = spec(MachineSpec { nic, ..MachineSpec::default() }, CloudInit::default());
        let current =
            [("net0", "e1000=BC:24:11:00:00:01,bridge=vmbr0,tag=7,firewall=1"), ("net1", "virtio=x,bridge=y")];
        assert_eq!(want(&spec, &current)["net0"], "e1000=BC:24:11:00:00:01,bridge=vmbr1,tag=101,firewall=1");
        assert_eq!(want(&spec, &[])["net0"], "virtio,bridge=vmbr1,tag=101");
        let current = current.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(config_unwanted(&asks(&spec, None), &current), ["net1"]);
    }

    fn asks<'a>(spec: &'a SeatSpec, lent: Option<&'a Lent>) -> Wanted<'a> {
        Wanted { spec, name: "x", lab_key: None, mark: None, agent: false, lent }
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn what_is_left_open_is_as_it_was_lent_and_what_was_not_lent_goes() {
        let lent = Lent::of(&map(&[("cores", "2"), ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0")]));
        let current = map(&[
            ("cores", "4"),
            ("memory", "512"),
            ("net0", "e1000=BC:24:11:00:00:02,bridge=vmbr9"),
            ("net1", "virtio=BC:24:11:00:00:03,bridge=vmbr1"),
            ("onboot", "0"),
            ("protection", "1"),
            ("vga", "std"),
        ]);
        let open = spec(MachineSpec::default(), CloudInit::default());
        let wanted = config_wanted(&asks(&open, Some(&lent)), &current);
        assert_eq!((&*wanted["cores"], &*wanted["net0"]), ("2", "virtio=BC:24:11:00:00:01,bridge=vmbr0"));
        assert_eq!(config_unwanted(&asks(&open, Some(&lent)), &current), ["net1", "protection"]);
        // A card the definition asks for keeps what it was, on the bridge asked for.
        let nic = vec![Nic { bridge: "vmbr1".into(), vlan: None }];
        let asked = spec(MachineSpec { nic, ..MachineSpec::default() }, CloudInit::default());
        let wanted = config_wanted(&asks(&asked, Some(&lent)), &current);
        assert_eq!(wanted["net0"], "virtio=BC:24:11:00:00:01,bridge=vmbr1");
        // Of what nobody knows nothing is made up.
        let nobody = Lent::default();
        assert_eq!(config_unwanted(&asks(&open, Some(&nobody)), &current), Vec::<String>::new());
        let before = spec(MachineSpec { cores: Some(4), ..MachineSpec::default() }, CloudInit::default());
        assert_eq!(left_standing(&before, &open, &nobody, &current), ["cores"]);
        assert_eq!(left_standing(&before, &open, &lent, &current), Vec::<String>::new());
    }

    #[test]
    fn less_memory_than_the_templates_balloon_lowers_the_balloon_too() {
        let spec = spec(MachineSpec { memory: Some(Size::gib(1)), ..MachineSpec::default() }, CloudInit::default());
        assert_eq!(want(&spec, &[("balloon", "2048")])["balloon"], "1024");
        assert!(!want(&spec, &[("balloon", "0")]).contains_key("balloon"));
    }

    #[test]
    fn uefi_brings_its_variables_disk_along_once() {
        let machine = MachineSpec { firmware: Some(Firmware::Uefi), secure_boot: Some(true), ..MachineSpec::default() };
        let spec = spec(machine, CloudInit::default());
        let disk = ("scsi0", "fast:vm-9101-disk-0,size=8G");
        let config = want(&spec, &[disk]);
        assert_eq!(
            (config["bios"].as_str(), config["efidisk0"].as_str()),
            ("ovmf", "fast:1,efitype=4m,pre-enrolled-keys=1")
        );
        assert!(!want(&spec, &[disk, ("efidisk0", "fast:vm-9101-disk-1")]).contains_key("efidisk0"));
    }

    #[test]
    fn the_mark_is_written_only_when_given_and_the_agent_only_when_it_is_off() {
        let spec = spec(MachineSpec::default(), CloudInit::default());
        let mark = Mark {
            store: StoreId::from_bytes([1; 8]),
            lab: "cs101".parse().unwrap(),
            seat: "ada".parse().unwrap(),
            run: RunId(3),
            vmid: Vmid::new(9101).unwrap(),
        };
        let wanted = Wanted { spec: &spec, name: "x", lab_key: None, mark: Some(&mark), agent: true, lent: None };
        let config = config_wanted(&wanted, &BTreeMap::new());
        assert_eq!((config["description"].clone(), config["agent"].as_str()), (mark.text(), "1"));
        let noted = format!("ask mara before touching {}", Mark { run: RunId(1), ..mark.clone() }.text());
        let on = BTreeMap::from([
            ("agent".to_owned(), "enabled=1,type=virtio".to_owned()),
            ("description".to_owned(), noted),
        ]);
        assert!(!config_wanted(&wanted, &on).contains_key("description"), "a note beside the mark must stay");
        assert!(!keep_only_changes(config_wanted(&wanted, &on), &on).contains_key("agent"));
    }
}
