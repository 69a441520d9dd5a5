//! Reading single values of a Proxmox configuration: property strings, disks, booleans.

use std::{collections::BTreeMap, net::IpAddr};

use crate::domain::size::Size;

/// The disk a guest boots from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootDisk {
    /// `scsi0`, `virtio0`, …
    pub slot: String,
    pub storage: String,
    /// Bytes, where the configuration says it.
    pub size: Option<u64>,
}

/// `a=1,b=2,c` as pairs; a word without `=` has an empty key.
pub fn properties(value: &str) -> impl Iterator<Item = (&str, &str)> {
    value.split(',').map(str::trim).filter(|p| !p.is_empty()).map(|p| p.split_once('=').unwrap_or(("", p)))
}

/// One property of a property string.
pub(super) fn property<'a>(value: &'a str, key: &str) -> Option<&'a str> {
    properties(value).find(|(k, _)| *k == key).map(|(_, v)| v)
}

/// Whether a boolean option is on: `1`, `enabled=1,…`.
pub fn is_on(value: Option<&str>) -> bool {
    let Some(value) = value else { return false };
    let word = property(value, "enabled").or_else(|| property(value, "")).unwrap_or("0");
    matches!(word, "1" | "on" | "yes" | "true")
}

fn is_disk_slot(key: &str) -> bool {
    ["scsi", "virtio", "sata", "ide"]
        .iter()
        .any(|bus| key.strip_prefix(bus).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())))
}

/// The disk the guest boots from: the first of the boot order, else the first there is.
pub fn boot_disk(config: &BTreeMap<String, String>) -> Option<BootDisk> {
    let disk = |slot: &str| {
        let value = config.get(slot).filter(|_| is_disk_slot(slot))?;
        let volume = property(value, "file").or_else(|| property(value, ""))?;
        let (storage, name) = volume.split_once(':')?;
        let removable = property(value, "media") == Some("cdrom") || name.contains("cloudinit");
        (!removable).then(|| BootDisk {
            slot: slot.to_owned(),
            storage: storage.to_owned(),
            size: property(value, "size").and_then(|size| size.parse::<Size>().ok()).map(Size::bytes),
        })
    };
    let order = config.get("boot").and_then(|boot| property(boot, "order")).unwrap_or_default();
    order
        .split(';')
        .find_map(disk)
        .or_else(|| config.get("bootdisk").and_then(|slot| disk(slot)))
        .or_else(|| ["scsi0", "virtio0", "sata0", "ide0"].into_iter().find_map(disk))
}

/// Whether a cloud-init drive is attached: without one, user, keys and address never reach the guest.
pub fn has_cloud_init(config: &BTreeMap<String, String>) -> bool {
    config.iter().any(|(key, value)| {
        is_disk_slot(key) && value.split(',').next().is_some_and(|volume| volume.contains("cloudinit"))
    })
}

/// The fixed address in an `ipconfig` value; `None` for dhcp.
pub fn static_address(ipconfig: &str) -> Option<IpAddr> {
    let address = |key| property(ipconfig, key)?.split('/').next()?.parse().ok();
    address("ip").or_else(|| address("ip6"))
}

/// Undoes percent-encoding, as Proxmox returns `sshkeys`; what is not valid stays as it is.
pub(super) fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match pair.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn the_boot_disk_is_the_first_disk_of_the_boot_order() {
        let config = config(&[
            ("boot", "order=ide2;virtio1;scsi0"),
            ("ide2", "fast:vm-9101-cloudinit,media=cdrom"),
            ("scsi0", "local:9101/vm-9101-disk-0.qcow2,size=8G"),
            ("virtio1", "fast:base-9000-disk-0/vm-9101-disk-1,iothread=1,size=32G"),
        ]);
        let disk = boot_disk(&config).unwrap();
        assert_eq!((disk.slot.as_str(), disk.storage.as_str(), disk.size), ("virtio1", "fast", Some(32 << 30)));
        assert!(has_cloud_init(&config));
    }

    #[test]
    fn without_a_boot_order_the_first_disk_counts() {
        let disk = boot_disk(&config(&[("scsi0", "fast:vm-1-disk-0"), ("scsihw", "virtio-scsi-pci")])).unwrap();
        assert_eq!((disk.slot.as_str(), disk.size), ("scsi0", None));
        assert_eq!(boot_disk(&config(&[("scsihw", "virtio-scsi-pci")])), None);
    }

    #[test]
    fn booleans_are_read_in_every_form_proxmox_writes() {
        assert!(is_on(Some("1")) && is_on(Some("enabled=1,fstrim_cloned_disks=1")) && is_on(Some("1,type=virtio")));
        assert!(!is_on(Some("0")) && !is_on(Some("enabled=0")) && !is_on(None));
    }

    #[test]
    fn a_static_address_is_told_from_dhcp() {
        assert_eq!(static_address("ip=10.1.0.20/24,gw=10.1.0.1"), "10.1.0.20".parse().ok());
        assert_eq!(static_address("ip=dhcp,ip6=auto"), None);
    }

    #[test]
    fn percent_encoding_is_undone() {
        assert_eq!(percent_decoded("ssh-ed25519%20AAAA%2Bb%0A"), "ssh-ed25519 AAAA+b\n");
        assert_eq!(percent_decoded("50%"), "50%");
    }
}
