//! Storages and the volumes on them: names as Proxmox gives them, what each kind can do.

use std::collections::BTreeMap;

use super::volumes::Volumes;
use super::{LockKey, Ms, PipeKey};

/// The kinds of storage the world knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory with image files; linked clones by qcow2 overlay.
    Dir,
    /// The same on a network file system.
    Nfs,
    /// Thick LVM: raw volumes, no copy-on-write.
    Lvm,
    /// Thin LVM.
    LvmThin,
    /// Ceph block devices.
    Rbd,
    /// ZFS datasets.
    ZfsPool,
}

impl Kind {
    /// The word used in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dir => "dir",
            Self::Nfs => "nfs",
            Self::Lvm => "lvm",
            Self::LvmThin => "lvmthin",
            Self::Rbd => "rbd",
            Self::ZfsPool => "zfspool",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Dir, Self::Nfs, Self::Lvm, Self::LvmThin, Self::Rbd, Self::ZfsPool]
            .into_iter()
            .find(|kind| kind.word() == word)
    }

    /// True where images are files in a folder per guest.
    pub fn files(self) -> bool {
        matches!(self, Self::Dir | Self::Nfs)
    }

    /// True where a base volume can be cloned without copying.
    pub fn linked(self) -> bool {
        self != Self::Lvm
    }

    /// The image formats it takes, the default first.
    pub fn formats(self) -> &'static [&'static str] {
        if self.files() { &["raw", "qcow2", "vmdk"] } else { &["raw"] }
    }
}

/// A disk image.
#[derive(Clone, Debug)]
pub struct Volume {
    /// The guest it belongs to.
    pub vmid: u32,
    /// Bytes as the guest sees them.
    pub size: u64,
    /// Bytes actually written.
    pub used: u64,
    /// raw, qcow2 or vmdk.
    pub format: String,
    /// The base it is an overlay of.
    pub base: Option<String>,
    /// The node it lies on, when the storage is not shared.
    pub node: Option<String>,
    /// Unix seconds of its making.
    pub ctime: i64,
}

/// A storage of the cluster.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: Kind,
    /// Where it is mounted, for those that keep files.
    pub mount: String,
    /// One for all nodes?
    pub shared: bool,
    /// What it may hold (`images`, `iso`, …).
    pub content: Vec<String>,
    /// Bytes in all.
    pub total: u64,
    /// Bytes in use by what the world does not know in detail.
    pub other: u64,
    /// Copy bandwidth in bytes per millisecond.
    pub bandwidth: f64,
    /// How long the storage lock is held to allocate a disk.
    pub allocate: Ms,
    /// Images by the part of the volume id after the colon.
    pub volumes: Volumes,
    /// Other files (isos, import images): name to size.
    pub files: BTreeMap<String, u64>,
}

impl Storage {
    /// The lock of this storage as seen from a node.
    pub fn lock(&self, node: &str) -> LockKey {
        LockKey::Storage { storage: self.id.clone(), node: (!self.shared).then(|| node.to_owned()) }
    }

    /// The pipe its copies go through, as seen from a node.
    pub fn pipe(&self, node: &str) -> PipeKey {
        PipeKey::Storage(self.id.clone(), (!self.shared).then(|| node.to_owned()))
    }

    /// Bytes in use on a node.
    pub fn used(&self, node: &str) -> u64 {
        let images: u64 = self
            .volumes
            .values()
            .filter(|volume| volume.node.as_deref().is_none_or(|at| at == node))
            .map(|volume| volume.used)
            .sum();
        self.other + images
    }

    /// Where the image files of a guest lie.
    pub fn path(&self, name: &str) -> String {
        if !self.kind.files() {
            return format!("/dev/{}/{name}", self.id);
        }
        // an overlay's id names its base first: base/…/101/vm-101-disk-0.qcow2
        let mut parts: Vec<&str> = name.rsplitn(3, '/').take(2).collect();
        parts.reverse();
        format!("{}/images/{}", self.mount, parts.join("/"))
    }

    /// The first unused name `vm-<vmid>-disk-<n>` on this storage.
    pub fn new_disk(&self, vmid: u32, format: &str) -> String {
        let own: Vec<&str> = self.volumes.of(vmid).map(|name| leaf_stem(leaf(name))).collect();
        let free = (0..).map(|n| format!("vm-{vmid}-disk-{n}")).find(|stem| !own.contains(&stem.as_str()));
        self.name(vmid, &free.unwrap_or_default(), format)
    }

    /// The volume's name for a stem such as `vm-101-cloudinit`.
    pub fn name(&self, vmid: u32, stem: &str, format: &str) -> String {
        if self.kind.files() { format!("{vmid}/{stem}.{format}") } else { stem.to_owned() }
    }

    /// The name of a linked clone of `base`.
    pub fn overlay(&self, base: &str, vmid: u32) -> String {
        let format = if self.kind.files() { "qcow2" } else { "raw" };
        let disk = self.new_disk(vmid, format);
        if self.kind == Kind::LvmThin { disk } else { format!("{base}/{disk}") }
    }

    /// Clones standing on a base volume.
    pub fn clones_of(&self, base: &str) -> usize {
        self.volumes.values().filter(|volume| volume.base.as_deref() == Some(base)).count()
    }
}

/// The last part of a volume name.
pub fn leaf(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn leaf_stem(leaf: &str) -> &str {
    leaf.split('.').next().unwrap_or(leaf)
}

/// Splits `storage:name`.
pub fn split_volid(volid: &str) -> Option<(&str, &str)> {
    volid.split_once(':').filter(|(storage, name)| !storage.is_empty() && !name.is_empty())
}

/// Bytes as Proxmox writes disk sizes: the largest unit that divides them.
pub fn size_text(bytes: u64) -> String {
    for (unit, shift) in [("T", 40u32), ("G", 30), ("M", 20), ("K", 10)] {
        if bytes >= 1 << shift && bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

/// Reads a disk size such as `8G`, `512M`, `1.5G`, or bytes.
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, shift) = match text.chars().last()? {
        'K' => (&text[..text.len() - 1], 10),
        'M' => (&text[..text.len() - 1], 20),
        'G' => (&text[..text.len() - 1], 30),
        'T' => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let value: f64 = number.parse().ok()?;
    (value >= 0.0).then(|| (value * (1u64 << shift) as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_back_as_they_were_written() {
        assert_eq!(size_text(8 << 30), "8G");
        assert_eq!(size_text(1536 << 20), "1536M");
        assert_eq!(parse_size("1.5G"), Some(1536 << 20));
        assert_eq!(parse_size("big"), None);
    }
}
