//! Files and values nobody would write: reading them ends in data or in words, never in a panic.

use std::{collections::BTreeMap, path::Path};

use homeroom::{
    config::{self, Folders},
    domain::{Clean, mark::Mark, verify},
    sim::{Scenario, world::vm},
};
use proptest::prelude::*;

const CLASS: &str = include_str!("../../assets/definitions/cs101.toml");
const WORLD: &str = include_str!("../../assets/scenarios/default.toml");
const CONFIG: &str = "[sites.campus]\nkind = \"proxmox\"\nenvironment = \"prod\"\napi = [\"https://pve1:8006\"]\n\
     token = { id = \"a@pve!b\", secret = { env = \"S\" } }\nvmids = \"9100-9999\"\nguest_via = \"jump:h\"\n\
     nodes.pve1 = { ssh = \"10.0.0.11\" }\nmemory_overcommit = 1.0\n[store]\nshared = false\n";
const DAMAGE: [&str; 10] = ["=", "[", "]]", "\"", "-1", "99999999999999999999", "\n", "[[x]]\n", "nan", "{}"];
const WORDS: [&str; 19] = [
    "virtio",
    "ip",
    "ip6",
    "gw",
    "bridge",
    "tag",
    "size",
    "media",
    "file",
    "order",
    "enabled",
    "dhcp",
    "cdrom",
    "fast:vm-101-disk-0",
    "10.0.0.5/24",
    "99999999999G",
    "scsi0;net0",
    ":",
    "fe80::1%eth0/64",
];

/// A text with one piece of it replaced by something else.
fn damaged(text: &'static str) -> impl Strategy<Value = String> {
    let other = prop_oneof!["\\PC{0,8}", prop::sample::select(&DAMAGE[..]).prop_map(str::to_owned)];
    (any::<prop::sample::Index>(), 0usize..12, other).prop_map(move |(at, length, other)| {
        let from = text.floor_char_boundary(at.index(text.len()));
        let to = text.floor_char_boundary((from + length).min(text.len()));
        format!("{}{other}{}", &text[..from], &text[to.max(from)..])
    })
}

/// Property strings as Proxmox writes them, and near misses.
fn property() -> impl Strategy<Value = String> {
    let word = || prop_oneof![prop::sample::select(&WORDS[..]).prop_map(str::to_owned), "\\PC{0,6}"];
    prop::collection::vec((word(), prop::option::of(word())), 0..5).prop_map(|pairs| {
        let parts = pairs.into_iter().map(|(key, value)| match value {
            Some(value) => format!("{key}={value}"),
            None => key,
        });
        parts.collect::<Vec<_>>().join(",")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn any_scenario_is_read_or_refused_in_words(text in damaged(WORLD)) {
        if let Err(why) = Scenario::parse(&text, "w.toml") {
            prop_assert!(!why.to_string().is_empty());
        }
    }

    #[test]
    fn any_definition_is_read_or_refused_in_words(text in damaged(CLASS)) {
        if let Err(why) = config::definition::parse(&text, "c.toml", Path::new("/"), None) {
            prop_assert!(!why.to_string().is_empty());
        }
    }

    #[test]
    fn any_configuration_is_read_or_refused_in_words(text in damaged(CONFIG)) {
        let folders = Folders::under(Path::new("/nowhere"));
        if let Err(why) = config::parse(&text, Path::new("/nowhere/config.toml"), &folders, &|_| None) {
            prop_assert!(!why.to_string().is_empty());
        }
    }

    #[test]
    fn any_guest_configuration_can_be_looked_at(
        net in property(), ip in property(), disk in property(), boot in property(),
    ) {
        let keys = ["net0", "ipconfig0", "scsi0", "boot", "bootdisk", "agent", "tags", "sshkeys", "ide2", "memory"];
        let values = [&net, &ip, &disk, &boot, &disk, &boot, &net, &ip, &disk, &net];
        let config: BTreeMap<String, String> =
            keys.iter().zip(values).map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let _ = verify::boot_disk(&config);
        let _ = verify::has_cloud_init(&config);
        let _ = verify::static_address(&ip);
        let _ = verify::is_on(Some(&boot));
        let _ = Mark::parse(&disk);
        let _ = vm::Vm::drives(&config);
        let _ = vm::Vm::disk_size(&config);
        let _ = vm::Vm::memory(&config);
        let _ = vm::volid(&disk);
    }

    #[test]
    fn a_property_that_is_set_is_found_again(
        text in "[a-z]{1,5}:[a-z0-9]{1,6}(,[a-z]{1,5}=[a-z0-9]{1,6}){0,3}", value in "[a-z0-9.]{1,8}",
    ) {
        let set = vm::with_property(&text, "size", &value);
        prop_assert_eq!(vm::property(&set, "size"), Some(value));
    }

    #[test]
    fn text_from_outside_is_clean_once_and_for_all(text in any::<String>()) {
        let clean = Clean::new(&text);
        prop_assert!(!clean.as_str().chars().any(char::is_control), "{:?}", clean);
        let again = Clean::new(clean.as_str());
        prop_assert_eq!(again.as_str(), clean.as_str());
    }
}
