//! `[machine]` and `[machines.SEAT]`: the hardware of a seat.

use crate::{
    config::{
        ConfigError,
        reader::{Node, Table},
    },
    domain::{
        class::{Firmware, MachineSpec, Nic},
        mark::TAG,
        size::Size,
    },
};

pub(super) const KEYS: &[&str] = &[
    "cores",
    "sockets",
    "cpu",
    "memory",
    "disk",
    "storage",
    "format",
    "firmware",
    "secure_boot",
    "onboot",
    "protection",
    "tags",
    "nic",
];
pub(super) const OVERRIDE_KEYS: &[&str] = &[
    "cores",
    "sockets",
    "cpu",
    "memory",
    "disk",
    "storage",
    "format",
    "firmware",
    "secure_boot",
    "onboot",
    "protection",
    "tags",
    "nic",
    "cloud_init",
];
pub(super) const NIC_KEYS: &[&str] = &["bridge", "vlan"];

pub(super) fn read(table: &Table<'_>) -> Result<MachineSpec, ConfigError> {
    let firmware = table.optional("firmware", |n| n.choice(&[("bios", Firmware::Bios), ("uefi", Firmware::Uefi)]))?;
    let secure_boot = table.optional("secure_boot", |n| match (n.boolean()?, firmware) {
        (true, Some(Firmware::Bios)) => Err(n.complain(format!("{} needs firmware = \"uefi\"", n.path()))),
        (on, _) => Ok(on),
    })?;
    let formats = [("raw", "raw"), ("qcow2", "qcow2"), ("vmdk", "vmdk")];
    Ok(MachineSpec {
        cores: table.optional("cores", |n| n.integer(1..=1024))?,
        sockets: table.optional("sockets", |n| n.integer(1..=16))?,
        cpu: table
            .optional("cpu", |n| n.word(|c| c.is_ascii_graphic(), "a CPU type without spaces, such as \"host\""))?,
        memory: table.optional("memory", |n| size(&n, Size::mib(16)))?,
        disk: table.optional("disk", |n| size(&n, Size::mib(1)))?,
        storage: table.optional("storage", |n| n.word(id, "a storage's name: letters, digits, -, _ and ."))?,
        format: table.optional("format", |n| n.choice(&formats).map(str::to_owned))?,
        firmware,
        secure_boot,
        onboot: table.optional("onboot", |n| n.boolean())?,
        protection: table.optional("protection", |n| n.boolean())?,
        tags: table.optional("tags", |n| n.list()?.iter().map(tag).collect())?,
        nic: table.or("nic", Vec::new(), |n| n.list()?.iter().map(nic).collect())?,
    })
}

fn id(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// A size with its unit, of whole MiB, not below `least`.
pub(super) fn size(node: &Node<'_>, least: Size) -> Result<Size, ConfigError> {
    let bare = || node.is_integer() || node.string().is_ok_and(|s| s.trim().parse::<u64>().is_ok());
    if bare() {
        return Err(node.refuse("a size with its unit, such as \"4G\" or \"512M\""));
    }
    let size: Size = node.parsed()?;
    if size < least {
        return Err(node.refuse(format!("at least {least}")));
    }
    if !size.bytes().is_multiple_of(1 << 20) {
        return Err(node.refuse("a whole number of MiB"));
    }
    Ok(size)
}

fn tag(node: &Node<'_>) -> Result<String, ConfigError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '.');
    const RULE: &str = "a tag: letters, digits, _, -, + and ., beginning with a letter, a digit or _";
    let tag = node.word(allowed, RULE)?;
    if tag.starts_with(['-', '+', '.']) {
        return Err(node.refuse(RULE));
    }
    if tag.eq_ignore_ascii_case(TAG) {
        return Err(node.complain(format!("{} holds {TAG:?}, which every machine gets anyway; remove it", node.path())));
    }
    Ok(tag)
}

fn nic(node: &Node<'_>) -> Result<Nic, ConfigError> {
    if !node.is_table() {
        return Err(node.refuse("a table such as { bridge = \"vmbr1\", vlan = 101 }"));
    }
    let table = node.table()?;
    Ok(Nic {
        bridge: table.need("bridge", "\"vmbr1\"")?.word(id, "a bridge's name: letters, digits, -, _ and .")?,
        vlan: table.optional("vlan", |n| n.integer(1..=4094))?,
    })
}
