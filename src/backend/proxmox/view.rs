//! One look at the whole cluster, from two answers. Pure.

use std::fmt;

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use super::{fields::rows, scalar::Scalar};
use crate::domain::{
    Clean, NodeName, Vmid,
    cluster::{ClusterView, GuestView, NodeView, Power, StorageView},
    shared::Shared,
};

/// What `/cluster/resources` lists, sorted. Read row by row: as a tree of values ten thousand guests are thirty times
/// as large as what is kept of them.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Rows {
    nodes: Vec<NodeView>,
    storages: Vec<StorageView>,
    guests: Shared<GuestView>,
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

/// A node that stands alone has no cluster row, and needs no quorum.
fn quorate(status: &Value) -> Result<bool, String> {
    let rows = rows(status)?;
    let cluster = rows.into_iter().find(|row| row.raw("type").as_deref() == Some("cluster"));
    Ok(cluster.is_none_or(|row| row.flag("quorate")))
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Listing)
    }
}

struct Listing;

impl<'de> Visitor<'de> for Listing {
    type Value = Rows;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of nodes, storages and guests")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Rows, A::Error> {
        let (mut read, mut guests) = (Rows::default(), Vec::new());
        while let Some(Element(row)) = list.next_element()? {
            let kind = row.get(Key::Type);
            if kind.is("node") {
                read.nodes.extend(node(&row));
            } else if kind.is("storage") {
                read.storages.extend(storage(&row));
            } else if kind.is("qemu") {
                guests.extend(guest(&row, false));
            } else if kind.is("lxc") {
                guests.extend(guest(&row, true));
            }
        }
        // Proxmox lists in the order of a hash table.
        read.nodes.sort_by(|a, b| a.node.cmp(&b.node));
        read.storages.sort_by(|a, b| (&a.storage, &a.node).cmp(&(&b.storage, &b.node)));
        guests.sort_by_key(|g: &GuestView| g.vmid);
        guests.shrink_to_fit();
        Ok(Rows { guests: guests.into(), ..read })
    }
}

/// What is read of a row. The rest is passed over unread.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Key {
    Type,
    Node,
    Vmid,
    Name,
    Status,
    Template,
    Lock,
    Tags,
    Pool,
    Uptime,
    Cpu,
    Maxcpu,
    Mem,
    Maxmem,
    Disk,
    Maxdisk,
    Storage,
    Shared,
    Plugintype,
    Content,
    #[serde(other)]
    Other,
}

/// A row's values, by their keys.
#[derive(Default)]
struct Row<'a>([Scalar<'a>; Key::Other as usize]);

/// Anything in the list; what is no object is a row without values.
struct Element<'a>(Row<'a>);

impl<'de> Deserialize<'de> for Element<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyElement).map(Self)
    }
}

struct AnyElement;

impl<'de> Visitor<'de> for AnyElement {
    type Value = Row<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut row = Row::default();
        while let Some(key) = map.next_key::<Key>()? {
            match row.0.get_mut(key as usize) {
                Some(value) => *value = map.next_value()?,
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(row)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Row::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Row::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Row::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Row::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Row::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Row::default())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Row::default())
    }
}

impl Row<'_> {
    fn get(&self, key: Key) -> &Scalar<'_> {
        self.0.get(key as usize).unwrap_or(&Scalar::Nothing)
    }

    fn text(&self, key: Key) -> Option<Clean> {
        self.get(key).text().map(Clean::new)
    }

    fn number(&self, key: Key) -> u64 {
        self.get(key).number().unwrap_or(0)
    }

    fn node(&self) -> Option<NodeName> {
        self.get(Key::Node).text().map(NodeName::new)
    }

    fn vmid(&self) -> Option<Vmid> {
        Vmid::new(self.get(Key::Vmid).number()?).ok()
    }

    fn cpus(&self) -> u32 {
        u32::try_from(self.number(Key::Maxcpu)).unwrap_or(0)
    }
}

fn node(row: &Row<'_>) -> Option<NodeView> {
    Some(NodeView {
        node: row.node()?,
        online: row.get(Key::Status).is("online"),
        cpu: row.get(Key::Cpu).share(),
        cpus: row.cpus(),
        memory_used: row.number(Key::Mem),
        memory: row.number(Key::Maxmem),
        uptime: row.number(Key::Uptime),
    })
}

fn storage(row: &Row<'_>) -> Option<StorageView> {
    let content = row.get(Key::Content).text();
    Some(StorageView {
        storage: row.text(Key::Storage)?,
        node: row.node()?,
        available: row.get(Key::Status).is("available"),
        shared: row.get(Key::Shared).flag(),
        kind: row.text(Key::Plugintype).unwrap_or_default(),
        images: content.is_some_and(|content| content.split(',').any(|c| c.trim() == "images")),
        used: row.number(Key::Disk),
        total: row.number(Key::Maxdisk),
    })
}

fn guest(row: &Row<'_>, container: bool) -> Option<GuestView> {
    let status = row.get(Key::Status);
    Some(GuestView {
        vmid: row.vmid()?,
        node: row.node()?,
        name: row.text(Key::Name),
        power: if status.is("running") {
            Power::Running
        } else if status.is("stopped") {
            Power::Stopped
        } else {
            Power::Unknown
        },
        template: row.get(Key::Template).flag(),
        lock: row.text(Key::Lock),
        tags: row.get(Key::Tags).text().map(|tags| split_tags(&tags)).unwrap_or_default(),
        pool: row.text(Key::Pool),
        uptime: row.number(Key::Uptime),
        cpus: row.cpus(),
        cpu: row.get(Key::Cpu).share(),
        memory_used: row.number(Key::Mem),
        memory: row.number(Key::Maxmem),
        disk: row.number(Key::Maxdisk),
        container,
    })
}

fn split_tags(tags: &str) -> Vec<Clean> {
    let mut tags: Vec<_> = tags.split([';', ',', ' ']).filter(|tag| !tag.is_empty()).map(Clean::new).collect();
    // A list that grows takes room for four, and there are as many lists as guests.
    tags.shrink_to_fit();
    tags
}
