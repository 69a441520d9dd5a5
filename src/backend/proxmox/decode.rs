//! Proxmox's data read into the domain's words. Pure, and tolerant: numbers may be strings, flags may be
//! `1`, `"1"` or `true`, fields may be missing, and what is unknown is passed over.

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{
    domain::{
        Clean, NodeName, Vmid,
        cluster::{ClusterView, DiskView, GuestView, NodeView, Power, StorageView, TemplateView},
        size::Size,
    },
    port::cluster::{GuestConfig, GuestStatus, PendingItem, TaskRow, TaskState, Upid},
};

use super::encode::unpercent;

/// Longest configuration value kept: a list of SSH keys may be long, and is compared.
const LONG: usize = 64 << 10;

/// The fields of one JSON object.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    pub fn of(value: &'a Value) -> Result<Self, String> {
        value.as_object().map(Self).ok_or_else(|| format!("expected an object, got {}", kind(value)))
    }

    pub fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name)
    }

    /// A scalar as text, not cleaned yet; empty counts as missing.
    pub fn raw(self, name: &str) -> Option<String> {
        scalar(self.0.get(name)?).filter(|text| !text.is_empty())
    }

    pub fn text(self, name: &str) -> Option<Clean> {
        self.raw(name).map(Clean::new)
    }

    pub fn number(self, name: &str) -> Option<u64> {
        number(self.0.get(name)?)
    }

    pub fn share(self, name: &str) -> f64 {
        let value = match self.0.get(name) {
            Some(Value::Number(n)) => n.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            _ => None,
        };
        value.filter(|v| v.is_finite()).unwrap_or(0.0)
    }

    pub fn flag(self, name: &str) -> bool {
        match self.0.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(value) => number(value).is_some_and(|n| n != 0) || value.as_str() == Some("true"),
            None => false,
        }
    }

    fn vmid(self) -> Option<Vmid> {
        self.number("vmid").and_then(|id| Vmid::new(id).ok())
    }

    fn node(self) -> Option<NodeName> {
        self.raw("node").map(NodeName::new)
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a flag",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn number(value: &Value) -> Option<u64> {
    let float = match value {
        Value::Number(n) => return n.as_u64().or_else(|| n.as_f64().filter(|f| *f >= 0.0).map(|f| f as u64)),
        Value::String(text) => match text.trim().parse() {
            Ok(n) => return Some(n),
            Err(_) => text.trim().parse::<f64>().ok()?,
        },
        _ => return None,
    };
    (float.is_finite() && float >= 0.0).then_some(float as u64)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(flag) => Some(u8::from(*flag).to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The objects of a list; anything else in it is passed over.
pub(super) fn rows(data: &Value) -> Result<Vec<Fields<'_>>, String> {
    let list = data.as_array().ok_or_else(|| format!("expected a list, got {}", kind(data)))?;
    Ok(list.iter().filter_map(|row| Fields::of(row).ok()).collect())
}

/// Cleans line by line, so that the line breaks stay. How long it may be is bounded by the answer's size.
pub(super) fn lines(text: &str) -> String {
    text.split('\n').map(|line| Clean::bounded(line, usize::MAX).as_str().to_owned()).collect::<Vec<_>>().join("\n")
}

pub(super) fn version(data: &Value) -> Result<Clean, String> {
    Fields::of(data)?.text("version").ok_or_else(|| "it names no version".to_owned())
}

pub(super) fn upid(data: &Value) -> Result<Upid, String> {
    match data.as_str() {
        Some(text) if text.starts_with("UPID:") => Ok(Upid(Clean::new(text))),
        _ => Err(format!("expected a task's id, got {}", kind(data))),
    }
}

/// One look, from `/cluster/resources` and, where the token may read it, `/cluster/status`.
pub(super) fn cluster_view(
    at: Timestamp,
    version: Clean,
    resources: &Value,
    status: Option<&Value>,
) -> Result<ClusterView, String> {
    let mut view = ClusterView {
        at,
        version,
        quorate: status.map(quorate).transpose()?,
        nodes: Vec::new(),
        storages: Vec::new(),
        guests: Vec::new(),
    };
    for row in rows(resources)? {
        match row.raw("type").as_deref() {
            Some("node") => view.nodes.extend(node(row)),
            Some("storage") => view.storages.extend(storage(row)),
            Some("qemu") => view.guests.extend(guest(row, false)),
            Some("lxc") => view.guests.extend(guest(row, true)),
            _ => {}
        }
    }
    // Proxmox lists in the order of a hash table.
    view.nodes.sort_by(|a, b| a.node.cmp(&b.node));
    view.storages.sort_by(|a, b| (&a.storage, &a.node).cmp(&(&b.storage, &b.node)));
    view.guests.sort_by_key(|g| g.vmid);
    Ok(view)
}

/// A node that stands alone has no cluster row, and needs no quorum.
fn quorate(status: &Value) -> Result<bool, String> {
    let rows = rows(status)?;
    let cluster = rows.into_iter().find(|row| row.raw("type").as_deref() == Some("cluster"));
    Ok(cluster.is_none_or(|row| row.flag("quorate")))
}

fn cpus(count: Option<u64>) -> u32 {
    count.and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

fn node(row: Fields<'_>) -> Option<NodeView> {
    Some(NodeView {
        node: row.node()?,
        online: row.raw("status").as_deref() == Some("online"),
        cpu: row.share("cpu"),
        cpus: cpus(row.number("maxcpu")),
        memory_used: row.number("mem").unwrap_or(0),
        memory: row.number("maxmem").unwrap_or(0),
        uptime: row.number("uptime").unwrap_or(0),
    })
}

fn storage(row: Fields<'_>) -> Option<StorageView> {
    Some(StorageView {
        storage: row.text("storage")?,
        node: row.node()?,
        available: row.raw("status").as_deref() == Some("available"),
        shared: row.flag("shared"),
        kind: row.text("plugintype").unwrap_or_default(),
        images: row.raw("content").is_some_and(|content| content.split(',').any(|c| c.trim() == "images")),
        used: row.number("disk").unwrap_or(0),
        total: row.number("maxdisk").unwrap_or(0),
    })
}

fn guest(row: Fields<'_>, container: bool) -> Option<GuestView> {
    Some(GuestView {
        vmid: row.vmid()?,
        node: row.node()?,
        name: row.text("name"),
        power: match row.raw("status").as_deref() {
            Some("running") => Power::Running,
            Some("stopped") => Power::Stopped,
            _ => Power::Unknown,
        },
        template: row.flag("template"),
        lock: row.text("lock"),
        tags: row.raw("tags").map(|tags| split_tags(&tags)).unwrap_or_default(),
        pool: row.text("pool"),
        uptime: row.number("uptime").unwrap_or(0),
        cpus: cpus(row.number("maxcpu")),
        cpu: row.share("cpu"),
        memory_used: row.number("mem").unwrap_or(0),
        memory: row.number("maxmem").unwrap_or(0),
        disk: row.number("maxdisk").unwrap_or(0),
        container,
    })
}

fn split_tags(tags: &str) -> Vec<Clean> {
    tags.split([';', ',', ' ']).filter(|tag| !tag.is_empty()).map(Clean::new).collect()
}

/// `/cluster/status`: each node's address.
pub(super) fn node_addresses(data: &Value) -> Result<Vec<(NodeName, Option<IpAddr>)>, String> {
    let nodes = rows(data)?.into_iter().filter(|row| row.raw("type").as_deref() == Some("node"));
    Ok(nodes
        .filter_map(|row| {
            let ip = row.raw("ip").and_then(|ip| ip.parse().ok());
            Some((NodeName::new(row.raw("name")?), ip))
        })
        .collect())
}

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
    for (key, raw) in fields.0.iter().filter(|(key, _)| *key != "digest") {
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

pub(super) fn has_feature(data: &Value) -> Result<bool, String> {
    Ok(Fields::of(data)?.flag("hasFeature"))
}

pub(super) fn active_tasks(data: &Value) -> Result<Vec<TaskRow>, String> {
    let running = rows(data)?.into_iter().filter(|row| row.number("endtime").is_none());
    Ok(running
        .filter_map(|row| {
            Some(TaskRow {
                upid: Upid(row.text("upid")?),
                kind: row.text("type")?,
                id: row.text("id").unwrap_or_default(),
                user: row.text("user").unwrap_or_default(),
                started_at: Timestamp::from_second(i64::try_from(row.number("starttime")?).ok()?).ok()?,
            })
        })
        .collect())
}

pub(super) fn task(data: &Value) -> Result<TaskState, String> {
    let fields = Fields::of(data)?;
    if fields.raw("status").ok_or("it does not say how the task stands")? == "running" {
        return Ok(TaskState::Running);
    }
    let end = fields.text("exitstatus").unwrap_or_else(|| Clean::new("ended without a word"));
    let warnings = end.as_str().strip_prefix("WARNINGS: ").and_then(|n| n.trim().parse().ok());
    Ok(match (end.as_str(), warnings) {
        ("OK", _) => TaskState::Ok { warnings: 0 },
        (_, Some(warnings)) => TaskState::Ok { warnings },
        // The log has no last word, or is gone: nobody knows how it went.
        ("unexpected status" | "unknown" | "ended without a word", _) => TaskState::Died(end),
        (words, _) if words.starts_with("unable to open file") => TaskState::Died(end),
        _ => TaskState::Failed(end),
    })
}

pub(super) fn task_log(data: &Value) -> Result<Vec<Clean>, String> {
    let mut rows = rows(data)?;
    rows.sort_by_key(|row| row.number("n"));
    let lines: Vec<Clean> = rows.into_iter().map(|row| row.text("t").unwrap_or_default()).collect();
    // What stands for an empty log.
    Ok(if lines.iter().map(Clean::as_str).eq(["no content"]) { Vec::new() } else { lines })
}

pub(super) fn pools(data: &Value) -> Result<Vec<Clean>, String> {
    Ok(rows(data)?.into_iter().filter_map(|row| row.text("poolid")).collect())
}

/// The VMIDs in the pool of `GET /pools?poolid=…`.
pub(super) fn pool_members(data: &Value) -> Result<Vec<Vmid>, String> {
    let pools = rows(data)?;
    let members = pools.into_iter().filter_map(|pool| rows(pool.get("members")?).ok()).flatten();
    Ok(members.filter_map(Fields::vmid).collect())
}

/// The volumes of one guest, should the storage list others too.
pub(super) fn volumes(vmid: Vmid, data: &Value) -> Result<Vec<Clean>, String> {
    let own = |row: &Fields<'_>| row.number("vmid").is_none_or(|id| id == u64::from(vmid.get()));
    Ok(rows(data)?.into_iter().filter(own).filter_map(|row| row.text("volid")).collect())
}
