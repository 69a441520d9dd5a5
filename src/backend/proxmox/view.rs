//! One look at the whole cluster, from two answers. Pure.

use jiff::Timestamp;
use serde_json::Value;

use super::fields::{Fields, rows};
use crate::domain::{
    Clean,
    cluster::{ClusterView, GuestView, NodeView, Power, StorageView},
};

/// What `/cluster/resources` lists, sorted.
#[derive(Debug, Default)]
pub(super) struct Rows {
    nodes: Vec<NodeView>,
    storages: Vec<StorageView>,
    guests: Vec<GuestView>,
}

/// One look, from `/cluster/resources` and, where the token may read it, `/cluster/status`.
pub(super) fn cluster_view(
    at: Timestamp,
    version: Clean,
    rows: &Rows,
    status: Option<&Value>,
) -> Result<ClusterView, String> {
    let Rows { nodes, storages, guests } = rows;
    let (nodes, storages, guests) = (nodes.clone(), storages.clone(), guests.clone());
    Ok(ClusterView { at, version, quorate: status.map(quorate).transpose()?, nodes, storages, guests })
}

/// Reads `/cluster/resources`.
pub(super) fn listing(resources: &Value) -> Result<Rows, String> {
    let mut view = Rows::default();
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
