//! Instances of a cloud: what one look shows, what is asked for, and how what is ours is known there.
//!
//! Labels of a cloud take lowercase letters, digits, `-` and `_`. They say the same as a container's, so the same
//! rule judges them (`label::owner`); they carry the thing's own name, so a copy proves nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Clean, LabName, NodeName, RunId, SeatName, StoreId,
    label::{Label, NAME, OURS, Owner, owner},
};

/// One look at a project: everything that carries our labels, whichever store's it is.
#[derive(Debug, Clone, PartialEq)]
pub struct CloudView {
    pub at: Timestamp,
    pub instances: Vec<InstanceView>,
    pub disks: Vec<DiskView>,
    pub rules: Vec<RuleView>,
    /// Zones that could not be listed: what is not seen may be there.
    pub unseen: BTreeSet<String>,
}

/// An instance as it is listed.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceView {
    /// The cloud's own id: never used twice.
    pub id: String,
    pub name: String,
    pub zone: NodeName,
    pub state: InstanceState,
    /// The state in the cloud's own word.
    pub status: Clean,
    pub machine_type: String,
    pub labels: BTreeMap<String, String>,
    pub metadata: BTreeMap<String, String>,
    /// Where it is reached from outside.
    pub address: Option<IpAddr>,
    pub created: Option<Timestamp>,
    /// Its newest start.
    pub started: Option<Timestamp>,
    /// Its newest stop.
    pub stopped: Option<Timestamp>,
    /// From when to when it stood still before its newest start, as far as the cloud tells, the earliest first.
    pub rests: Vec<(Timestamp, Timestamp)>,
    /// When the server ends it by itself.
    pub ends: Option<Timestamp>,
    pub spot: bool,
    /// A spot machine was told so, after its newest start: it is about to be taken away, or has been.
    pub preempted: Option<Timestamp>,
    pub disk_gb: u64,
    /// The disk stays when the instance goes.
    pub keeps_disk: bool,
}

/// Whether an instance runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceState {
    /// On its way to running.
    Coming,
    Running,
    /// On its way to being stopped, or gone.
    Going,
    /// Its processors cost nothing; its disk does.
    Stopped,
    Unknown,
}

/// What a cloud remembers of one instance, also once it is gone: when it stood still, the earliest first, when it was
/// last taken away, and when it was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    pub rests: Vec<(Timestamp, Timestamp)>,
    pub preempted: Option<Timestamp>,
    pub gone: Option<Timestamp>,
}

/// A disk as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskView {
    pub name: String,
    pub zone: NodeName,
    pub gb: u64,
    pub labels: BTreeMap<String, String>,
    /// Some instance has it.
    pub attached: bool,
}

/// A firewall rule of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleView {
    pub name: String,
    pub description: String,
    pub ranges: Vec<String>,
    pub ports: Vec<u16>,
}

impl RuleView {
    /// Whether it lets in these networks and no others, in whatever order.
    pub fn admits(&self, ranges: &[String]) -> bool {
        let set = |ranges: &[String]| ranges.iter().cloned().collect::<BTreeSet<String>>();
        set(&self.ranges) == set(ranges)
    }
}

/// An instance as it is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceSpec {
    pub name: String,
    pub machine_type: String,
    pub disk_gb: u64,
    /// The disk stays when the instance goes.
    pub keep_disk: bool,
    pub spot: bool,
    pub labels: BTreeMap<String, String>,
    /// What firewall rules aim at.
    pub tag: String,
    pub metadata: BTreeMap<String, String>,
    /// What it acts as; nobody where absent.
    pub service_account: Option<ServiceAccount>,
    /// The server itself deletes it after this long.
    pub max_life: Duration,
}

/// An account that programs on an instance act as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// `default` is the project's own.
    pub email: String,
    /// What its tokens are good for at most.
    pub scope: String,
}

/// A firewall rule as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSpec {
    pub name: String,
    /// Says whose it is.
    pub description: String,
    pub tag: String,
    pub ranges: Vec<String>,
    pub ports: Vec<u16>,
}

impl CloudView {
    /// Says that some zones could not be looked at, where that is so.
    pub fn blind(&self) -> Option<String> {
        let zones: Vec<&str> = self.unseen.iter().map(String::as_str).collect();
        (!zones.is_empty()).then(|| format!("{} cannot be listed now", zones.join(" and ")))
    }

    /// The instances that are this lab's, by their labels.
    pub fn own<'a>(&'a self, store: &'a StoreId, lab: &'a LabName) -> impl Iterator<Item = &'a InstanceView> {
        self.instances.iter().filter(move |it| is_own(store, lab, &it.name, &it.labels))
    }
}

/// Several instances of one lab's, told; one is as it should be.
pub fn doubled(lab: &LabName, own: &[&InstanceView]) -> Option<String> {
    let zones: Vec<&str> = own.iter().map(|it| it.zone.as_str()).collect();
    (own.len() > 1).then(|| {
        format!(
            "it has {} instances, in {}, and each costs money; `homeroom destroy {lab} --yes` removes them all",
            own.len(),
            zones.join(" and ")
        )
    })
}

/// What making, seeing and removing a workshop takes, as permissions on its project. What is mostly granted on a single
/// thing, such as acting as a service account, is not asked for here: its step tells.
const TAKES: [&str; 25] = [
    "compute.disks.create",
    "compute.disks.delete",
    "compute.disks.setLabels",
    "compute.firewalls.create",
    "compute.firewalls.delete",
    "compute.firewalls.update",
    "compute.globalOperations.get",
    "compute.globalOperations.list",
    "compute.instances.create",
    "compute.instances.delete",
    "compute.instances.getGuestAttributes",
    "compute.instances.getSerialPortOutput",
    "compute.instances.setDiskAutoDelete",
    "compute.instances.setLabels",
    "compute.instances.setMetadata",
    "compute.instances.setServiceAccount",
    "compute.instances.setTags",
    "compute.instances.start",
    "compute.machineTypes.get",
    "compute.networks.updatePolicy",
    "compute.subnetworks.use",
    "compute.subnetworks.useExternalIp",
    "compute.zoneOperations.get",
    "compute.zoneOperations.list",
    "compute.zones.get",
];
/// What its name in DNS takes besides.
const NAME_TAKES: [&str; 6] = [
    "dns.changes.create",
    "dns.changes.get",
    "dns.managedZones.list",
    "dns.resourceRecordSets.create",
    "dns.resourceRecordSets.delete",
    "dns.resourceRecordSets.list",
];

/// The permissions that a workshop takes on its project, with a name in DNS or without.
pub fn permissions(named: bool) -> Vec<&'static str> {
    let of_name = if named { NAME_TAKES.as_slice() } else { &[] };
    TAKES.iter().chain(of_name).copied().collect()
}

/// Those of them that are not held.
pub fn lacking(named: bool, held: &BTreeSet<String>) -> Vec<&'static str> {
    permissions(named).into_iter().filter(|it| !held.contains(*it)).collect()
}

/// The labels of something of a lab's.
pub fn labels(store: &StoreId, lab: &LabName, run: RunId, name: &str) -> BTreeMap<String, String> {
    let (seat, name) = (SeatName::host(), name.to_owned());
    let label = Label { store: store.clone(), lab: lab.clone(), seat, run, name, made_of: String::new() };
    let said = label.to_labels().into_iter().filter(|(_, value)| !value.is_empty());
    said.map(|(key, value)| (key.replace('.', "-"), value)).collect()
}

/// The same labels on something else of it.
pub fn carried_by(name: &str, labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let of_it = |(key, value): (&String, &String)| {
        (key.clone(), if *key == NAME.replace('.', "-") { name } else { value.as_str() }.to_owned())
    };
    labels.iter().map(of_it).collect()
}

/// Whose something with these labels is.
pub fn whose(store: &StoreId, name: &str, labels: &BTreeMap<String, String>) -> Owner {
    let spelt = labels.iter().filter(|(key, _)| key.starts_with(OURS));
    owner(store, name, &spelt.map(|(key, value)| (key.replacen('-', ".", 1), value.clone())).collect())
}

/// Whether something with these labels is this lab's.
pub fn is_own(store: &StoreId, lab: &LabName, name: &str, labels: &BTreeMap<String, String>) -> bool {
    matches!(whose(store, name, labels), Owner::Ours(label) if &label.lab == lab)
}

/// What stands in the description of a firewall rule, or beside a DNS record, of a lab's.
pub fn mark(store: &StoreId, lab: &LabName) -> String {
    format!("homeroom/1 store={store} lab={lab}")
}

/// The store and lab of such a mark.
pub fn read_mark(text: &str) -> Option<(StoreId, LabName)> {
    let rest = text.trim_matches('"').strip_prefix("homeroom/1 store=")?;
    let (store, lab) = rest.split_once(" lab=")?;
    Some((StoreId::parse(store)?, LabName::new(lab).ok()?))
}

/// A UUID of what is asked for: the same words make the same one, so that a repeated request is known as such.
pub fn request_id(words: &[&str]) -> String {
    let digest = Sha256::digest(words.join("\n").as_bytes());
    let mut bytes = [0_u8; 16];
    bytes.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    // Version 8, as RFC 9562 leaves it to whoever makes it.
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ids() -> (StoreId, LabName) {
        (StoreId::from_bytes([7; 8]), LabName::new("rust-intro").unwrap())
    }

    #[test]
    fn labels_of_a_cloud_prove_what_a_container_s_do() {
        let (store, lab) = ids();
        let labels = labels(&store, &lab, RunId(3), "rust-intro-host");
        let shaped = |text: &String| text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        assert!(labels.iter().all(|(key, value)| shaped(key) && shaped(value) && !value.is_empty()), "{labels:?}");
        assert!(is_own(&store, &lab, "rust-intro-host", &labels));
        assert!(!is_own(&store, &lab, "a-copy", &labels));
        assert!(matches!(whose(&StoreId::from_bytes([8; 8]), "rust-intro-host", &labels), Owner::OtherStore(_)));
    }

    #[test]
    fn marks_are_read_back_also_in_the_quotes_of_a_txt_record() {
        let (store, lab) = ids();
        let mark = mark(&store, &lab);
        assert_eq!(read_mark(&mark), Some((store.clone(), lab.clone())));
        assert_eq!(read_mark(&format!("\"{mark}\"")), Some((store, lab)));
        assert_eq!(read_mark("somebody's rule"), None);
    }

    #[test]
    fn the_same_words_make_the_same_request() {
        let one = request_id(&["insert", "europe-west3-a"]);
        assert_eq!(one, request_id(&["insert", "europe-west3-a"]));
        assert_ne!(one, request_id(&["insert", "europe-west3-b"]));
        assert_eq!((one.len(), one.as_bytes()[14]), (36, b'8'));
    }
}
