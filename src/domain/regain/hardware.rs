//! The hardware of regained machines, as far as it differs from their template's. Pure.
//!
//! Where disks lie and in which format is left open: nothing moves a disk that stands, and saying so would make
//! every new clone a full one.

use std::collections::BTreeMap;

use super::{Regained, common::settle};
use crate::domain::{
    SeatName,
    class::{Firmware, MachineSpec, Nic},
    mark::TAG,
    size::Size,
    verify::{boot_disk, is_on, memory_mib, properties},
};

type Config = BTreeMap<String, String>;

/// What is said for all machines, and what single ones have for themselves.
pub(super) fn hardware(
    machines: &[Regained],
    template: Option<&Config>,
) -> (MachineSpec, BTreeMap<SeatName, MachineSpec>) {
    let (mut all, mut own) = (MachineSpec::default(), BTreeMap::<SeatName, MachineSpec>::new());
    macro_rules! take {
        ($field:ident, $read:expr) => {
            let settled = settle(machines, template.and_then($read), $read);
            all.$field = settled.all.map(Into::into).unwrap_or_default();
            for (seat, value) in settled.own {
                own.entry(seat).or_default().$field = value.into();
            }
        };
    }
    take!(cores, |config| number(config, "cores"));
    take!(sockets, |config| number(config, "sockets"));
    take!(cpu, cpu);
    take!(memory, |config| Some(Size::mib(memory_mib(config.get("memory").map_or("512", String::as_str))?)));
    take!(disk, |config| boot_disk(config)?.size.map(Size));
    take!(firmware, |config| Some(firmware(config)));
    take!(onboot, |config| Some(is_on(config.get("onboot").map(String::as_str))));
    take!(protection, |config| Some(is_on(config.get("protection").map(String::as_str))));
    take!(nic, cards);
    // Our own tag is put beside whatever is said here, and the template's are not kept.
    let settled = settle(machines, Some(Vec::new()), |config| Some(tags(config)));
    all.tags = settled.all;
    for (seat, tags) in settled.own {
        own.entry(seat).or_default().tags = Some(tags);
    }
    (all, own)
}

/// Cores or sockets: one where nothing is said.
fn number(config: &Config, key: &str) -> Option<u32> {
    config.get(key).map_or(Some(1), |text| text.parse().ok())
}

fn cpu(config: &Config) -> Option<String> {
    let text = config.get("cpu").map_or("kvm64", |text| text.trim_start_matches("cputype="));
    text.chars().all(|c| c.is_ascii_graphic()).then(|| text.to_owned())
}

fn firmware(config: &Config) -> Firmware {
    if config.get("bios").is_some_and(|bios| bios == "ovmf") { Firmware::Uefi } else { Firmware::Bios }
}

fn tags(config: &Config) -> Vec<String> {
    let text = config.get("tags").map(String::as_str).unwrap_or_default();
    let own = text.split([';', ',', ' ']).filter(|tag| !tag.is_empty() && *tag != TAG);
    let mut tags: Vec<String> = own.map(str::to_owned).collect();
    tags.sort();
    tags.dedup();
    tags
}

/// The cards in their order. `None` where a definition cannot say what is there: a gap, no bridge, several VLANs on
/// one card, none at all.
fn cards(config: &Config) -> Option<Vec<Nic>> {
    let is_card = |key: &&String| key.strip_prefix("net").is_some_and(|n| n.parse::<u8>().is_ok());
    let count = config.keys().filter(is_card).count();
    let card = |n: usize| {
        let card = config.get(&format!("net{n}"))?;
        let of = |wanted: &str| properties(card).find(|(key, _)| *key == wanted).map(|(_, value)| value);
        let vlan = of("tag").map(str::parse).transpose().ok()?;
        of("trunks").is_none().then_some(Nic { bridge: of("bridge")?.to_owned(), vlan })
    };
    let cards: Vec<Nic> = (0..count).map(card).collect::<Option<_>>()?;
    (!cards.is_empty()).then_some(cards)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Vmid;

    fn config(pairs: &[(&str, &str)]) -> Config {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn machine(n: u32, pairs: &[(&str, &str)]) -> Regained {
        Regained { seat: SeatName::student(n), vmid: Vmid::new(u64::from(9100 + n)).unwrap(), config: config(pairs) }
    }

    #[test]
    fn only_what_differs_from_the_template_is_said() {
        let template = config(&[
            ("cores", "2"),
            ("memory", "2048"),
            ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0"),
            ("scsi0", "fast:base-9000-disk-0,size=8G"),
            ("tags", "golden"),
        ]);
        let usual = [
            ("cores", "2"),
            ("memory", "4096"),
            ("net0", "virtio=BC:24:11:00:00:02,bridge=vmbr0"),
            ("scsi0", "fast:base-9000-disk-0/vm-9101-disk-0,size=8G"),
            ("tags", "cs;homeroom"),
        ];
        let other = [
            ("cores", "4"),
            ("memory", "4096"),
            ("net0", "virtio=BC:24:11:00:00:03,bridge=vmbr1,tag=7"),
            ("scsi0", "fast:base-9000-disk-0/vm-9103-disk-0,size=16G"),
            ("protection", "1"),
            ("tags", "homeroom"),
        ];
        let (all, own) = hardware(&[machine(1, &usual), machine(2, &usual), machine(3, &other)], Some(&template));
        let wanted =
            MachineSpec { memory: Some(Size::gib(4)), tags: Some(vec!["cs".to_owned()]), ..MachineSpec::default() };
        assert_eq!(all, wanted);
        let third = MachineSpec {
            cores: Some(4),
            disk: Some(Size::gib(16)),
            protection: Some(true),
            nic: vec![Nic { bridge: "vmbr1".to_owned(), vlan: Some(7) }],
            tags: Some(Vec::new()),
            ..MachineSpec::default()
        };
        assert_eq!(own, [(SeatName::student(3), third)].into());
    }

    #[test]
    fn cards_a_definition_cannot_say_are_left_open() {
        assert_eq!(cards(&config(&[("net1", "virtio,bridge=vmbr0")])), None, "a gap");
        assert_eq!(cards(&config(&[("net0", "virtio,bridge=vmbr0,trunks=1;2")])), None);
        assert_eq!(cards(&config(&[])), None);
    }
}
