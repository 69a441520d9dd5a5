//! What was seen of a cluster, at one instant: nodes, storages, guests. Plain data for planning and screens.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Clean, NodeName, Vmid, class::TemplateRef, mark::TAG, shared::Shared};

/// One look at a whole cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterView {
    /// When the answer came in.
    pub at: Timestamp,
    /// Proxmox's version, such as `9.2.11`; its first number decides privileges and messages.
    pub version: Clean,
    /// Whether the cluster may change anything; `None` where the token may not ask.
    pub quorate: Option<bool>,
    pub nodes: Vec<NodeView>,
    /// One row per node and storage, as Proxmox lists them.
    pub storages: Vec<StorageView>,
    /// By VMID. Shared, for they are many: whoever keeps a look keeps no copy of them.
    pub guests: Shared<GuestView>,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeView {
    pub node: NodeName,
    pub online: bool,
    /// Busy share of all CPUs, 0–1.
    pub cpu: f64,
    pub cpus: u32,
    pub memory_used: u64,
    pub memory: u64,
    /// Seconds since the node started.
    pub uptime: u64,
}

/// A storage as one node sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StorageView {
    pub storage: Clean,
    pub node: NodeName,
    pub available: bool,
    pub shared: bool,
    /// `dir`, `rbd`, `lvm`, …
    pub kind: Clean,
    /// May hold VM disks.
    pub images: bool,
    pub used: u64,
    pub total: u64,
}

/// What Proxmox last knew of a guest's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Power {
    Running,
    Stopped,
    /// New, or on a node that does not report.
    Unknown,
}

/// A VM or container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuestView {
    pub vmid: Vmid,
    pub node: NodeName,
    /// Absent for some ten seconds after a clone.
    pub name: Option<Clean>,
    pub power: Power,
    pub template: bool,
    /// `clone`, `backup`, …: what holds the guest's configuration.
    pub lock: Option<Clean>,
    pub tags: Vec<Clean>,
    pub pool: Option<Clean>,
    pub uptime: u64,
    pub cpus: u32,
    /// Busy share of its CPUs, 0–1.
    pub cpu: f64,
    pub memory_used: u64,
    pub memory: u64,
    pub disk: u64,
    /// An LXC container rather than a VM.
    pub container: bool,
}

impl ClusterView {
    pub fn node(&self, node: &NodeName) -> Option<&NodeView> {
        self.nodes.iter().find(|n| &n.node == node)
    }

    pub fn guest(&self, vmid: Vmid) -> Option<&GuestView> {
        self.guests.iter().find(|g| g.vmid == vmid)
    }

    /// The templates a reference stands for, by VMID.
    pub fn templates<'a>(&'a self, wanted: &'a TemplateRef) -> impl Iterator<Item = &'a GuestView> {
        self.guests.iter().filter(move |g| {
            g.template
                && match wanted {
                    TemplateRef::Name(name) => g.name.as_ref().is_some_and(|n| n.as_str() == name),
                    TemplateRef::Vmid(vmid) => g.vmid == *vmid,
                }
        })
    }
}

impl GuestView {
    /// Carries our tag: likely ours, to be proven by its mark.
    pub fn is_tagged(&self) -> bool {
        self.tags.iter().any(|tag| tag.as_str() == TAG)
    }
}

/// What matters of a template before it is cloned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplateView {
    pub vmid: Vmid,
    pub node: NodeName,
    pub name: Clean,
    pub cores: u32,
    pub sockets: u32,
    pub memory_mib: u64,
    /// Its disks but for the cloud-init drive, the boot disk first.
    pub disks: Vec<DiskView>,
    pub agent: bool,
    pub cloud_init: bool,
    /// A linked clone is possible (Proxmox's own word).
    pub linked: bool,
    /// Whether Secure Boot's keys are enrolled in its UEFI variables; `None` where it has no disk for them.
    pub enrolled: Option<bool>,
}

/// One disk of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskView {
    /// `scsi0`, `virtio0`, …
    pub slot: Clean,
    pub storage: Clean,
    pub format: Option<Clean>,
    pub size: u64,
}
