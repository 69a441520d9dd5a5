//! What one guest's answers say: configuration, pending changes, status, and what a template is made of. Pure.

use serde_json::Value;

use super::{
    encode::unpercent,
    fields::{Fields, lines, rows, scalar},
};
use crate::{
    domain::{
        Clean, NodeName, Vmid,
        cluster::{DiskView, TemplateView},
        size::Size,
    },
    port::cluster::{GuestConfig, GuestStatus, PendingItem},
};

/// Longest configuration value kept: a list of SSH keys may be long, and is compared.
const LONG: usize = 64 << 10;

/// A configuration value; SSH keys are stored percent-encoded and given plain.
fn value(key: &str, text: &str) -> Clean {
    if key == "sshkeys" { Clean::bounded(unpercent(text), LONG) } else { Clean::bounded(text, LONG) }
}

pub(super) fn config(data: &Value) -> Result<GuestConfig, String> {
    let fields = Fields::of(data)?;
    let mut config = GuestConfig { digest: fields.raw("digest"), ..GuestConfig::default() };
    if let Some(text) = fields.raw("description") {
        config.description = lines(&text);
    }
    for (key, raw) in fields.iter().filter(|(key, _)| *key != "digest") {
        if let Some(text) = scalar(raw) {
            config.values.insert(Clean::new(key).as_str().to_owned(), value(key, &text));
        }
    }
    Ok(config)
}

pub(super) fn pending(data: &Value) -> Result<Vec<PendingItem>, String> {
    let items = rows(data)?.into_iter().filter_map(|row| {
        let key = row.text("key").filter(|key| key.as_str() != "digest")?.as_str().to_owned();
        let field = |name| row.get(name).and_then(scalar).map(|text| value(&key, &text));
        Some(PendingItem {
            value: field("value"),
            pending: field("pending"),
            delete: row.number("delete").is_some_and(|n| n != 0) || row.flag("delete"),
            key,
        })
    });
    Ok(items.collect())
}

pub(super) fn status(data: &Value) -> Result<GuestStatus, String> {
    let fields = Fields::of(data)?;
    Ok(GuestStatus {
        running: fields.raw("status").ok_or("it says neither running nor stopped")? == "running",
        uptime: fields.number("uptime").unwrap_or(0),
        lock: fields.text("lock"),
    })
}

/// A template from its configuration; `linked` is Proxmox's own word on cloning it.
pub(super) fn template(vmid: Vmid, node: &NodeName, config: &GuestConfig, linked: bool) -> TemplateView {
    let number = |key: &str, default| config.get(key).and_then(|v| v.parse().ok()).unwrap_or(default);
    let drives: Vec<(&str, &str)> = config
        .values
        .iter()
        .filter(|(key, _)| slot(key).is_some())
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let mut disks: Vec<DiskView> = drives.iter().filter_map(|(key, value)| disk(key, value)).collect();
    let boot = boot_order(config);
    disks.sort_by_key(|disk| {
        let place = boot.iter().position(|device| *device == disk.slot.as_str());
        (place.unwrap_or(usize::MAX), slot(disk.slot.as_str()))
    });
    TemplateView {
        vmid,
        node: node.clone(),
        name: config.get("name").map_or_else(|| Clean::new(format!("VM {vmid}")), Clean::new),
        cores: number("cores", 1),
        sockets: number("sockets", 1),
        memory_mib: config.get("memory").and_then(|m| option(m, "current").parse().ok()).unwrap_or(512),
        disks,
        agent: config.get("agent").is_some_and(|agent| matches!(option(agent, "enabled"), "1" | "on" | "yes" | "true")),
        cloud_init: drives.iter().any(|(_, value)| is_cloud_init(value)),
        linked,
        enrolled: config.get("efidisk0").map(|efi| option(efi, "pre-enrolled-keys") == "1"),
    }
}

/// The value of `key` in a property string, where it may stand first without its key.
fn option<'a>(text: &'a str, key: &str) -> &'a str {
    let mut parts = text.split(',');
    let first = parts.next().unwrap_or_default();
    if !first.contains('=') {
        return first.trim();
    }
    let named = |part: &'a str| part.trim().strip_prefix(key)?.strip_prefix('=');
    text.split(',').find_map(named).unwrap_or_default()
}

/// Where a guest disk may be plugged: kind, in the order Proxmox looks for a boot disk, and number.
fn slot(key: &str) -> Option<(usize, u32)> {
    ["scsi", "virtio", "sata", "ide"].iter().enumerate().find_map(|(rank, kind)| {
        let number = key.strip_prefix(kind)?;
        number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse().ok()).flatten().map(|n| (rank, n))
    })
}

fn is_cloud_init(drive: &str) -> bool {
    let volume = drive.split(',').next().unwrap_or_default();
    let name = volume.rsplit(['/', ':']).next().unwrap_or_default();
    name.split('.').next().is_some_and(|stem| stem == "cloudinit" || stem.ends_with("-cloudinit"))
}

/// `fast:9000/base-9000-disk-0.qcow2,size=32G`; `None` for CD drives and what lies on no storage.
fn disk(slot: &str, drive: &str) -> Option<DiskView> {
    let mut parts = drive.split(',');
    let (storage, volume) = parts.next()?.split_once(':')?;
    let options: Vec<(&str, &str)> = parts.filter_map(|part| part.trim().split_once('=')).collect();
    let named = |key: &str| options.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
    if named("media") == Some("cdrom") || is_cloud_init(drive) {
        return None;
    }
    let ending = volume.rsplit_once('.').map(|(_, ending)| ending);
    // A volume without a file name's ending is a block device.
    let format = named("format").or(ending.filter(|e| matches!(*e, "raw" | "qcow2" | "vmdk"))).unwrap_or("raw");
    Some(DiskView {
        slot: Clean::new(slot),
        storage: Clean::new(storage),
        format: Some(Clean::new(format)),
        size: named("size").and_then(|size| size.parse::<Size>().ok()).map_or(0, Size::bytes),
    })
}

fn boot_order(config: &GuestConfig) -> Vec<&str> {
    let order = config.get("boot").and_then(|boot| boot.split(',').find_map(|part| part.trim().strip_prefix("order=")));
    match order {
        Some(order) => order.split(';').collect(),
        None => config.get("bootdisk").into_iter().collect(),
    }
}
