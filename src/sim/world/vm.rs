//! Guests: their configuration, what is pending, and the machine that runs.

use std::collections::BTreeMap;

use super::Ms;
use crate::sim::guest::Inside;

/// A guest of the cluster.
#[derive(Clone, Debug)]
pub struct Vm {
    /// Its number.
    pub vmid: u32,
    /// The node its configuration lies on.
    pub node: String,
    /// The configuration as in the file (no lock, no digest).
    pub config: BTreeMap<String, String>,
    /// Changes that wait for a stop: `None` deletes.
    pub pending: BTreeMap<String, Option<String>>,
    /// The lock written in the configuration (`clone`, `backup`, …).
    pub lock: Option<String>,
    /// Snapshots, oldest first.
    pub snapshots: Vec<Snapshot>,
    /// The machine when it runs.
    pub run: Option<Run>,
    /// What lives on the disks: made at the first boot.
    pub inside: Option<Inside>,
    /// The system its disks were made from.
    pub image: String,
    /// Counts clones and rebuilds, so that a new machine with an old number is another machine.
    pub birth: u64,
}

/// A snapshot.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Unix seconds.
    pub time: i64,
    /// The one before it.
    pub parent: Option<String>,
    /// The configuration then.
    pub config: BTreeMap<String, String>,
    /// With memory?
    pub vmstate: bool,
}

/// A machine that runs.
#[derive(Clone, Debug)]
pub struct Run {
    /// Process id of QEMU.
    pub pid: u32,
    /// Counts starts of this guest, so that an old boot's end is not taken for this one's.
    pub id: u64,
    /// When it was started.
    pub since: Ms,
    /// Milliseconds it had run already when the world began.
    pub age: Ms,
    /// When the operating system was up; the agent answers from then on.
    pub up: Option<Ms>,
    /// The configuration it was started with.
    pub config: BTreeMap<String, String>,
    /// QEMU or the guest hangs: the agent is silent and a shutdown fails.
    pub hung: bool,
    /// The agent never comes up in this run.
    pub silent: bool,
    /// Paused?
    pub paused: bool,
}

impl Vm {
    /// Is it a template?
    pub fn template(&self) -> bool {
        self.config.get("template").is_some_and(|value| value == "1")
    }

    /// Its name, or `VM <id>`.
    pub fn name(&self) -> String {
        self.config.get("name").cloned().unwrap_or_else(|| format!("VM {}", self.vmid))
    }

    /// The configuration in force: of the running machine, else of the file.
    pub fn effective(&self) -> &BTreeMap<String, String> {
        self.run.as_ref().map_or(&self.config, |run| &run.config)
    }

    /// Processors.
    pub fn cpus(config: &BTreeMap<String, String>) -> u64 {
        let number = |key: &str| config.get(key).and_then(|text| text.parse().ok()).unwrap_or(1u64);
        number("cores") * number("sockets")
    }

    /// Bytes of memory.
    pub fn memory(config: &BTreeMap<String, String>) -> u64 {
        let text = config.get("memory").map_or("512", String::as_str);
        let text = text.strip_prefix("current=").unwrap_or(text);
        text.parse::<u64>().unwrap_or(512) << 20
    }

    /// Drives: key and property string, without unused ones.
    pub fn drives(config: &BTreeMap<String, String>) -> Vec<(String, String)> {
        config.iter().filter(|(key, _)| is_drive(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Is the guest agent switched on? `None` when the key is absent.
    pub fn agent(config: &BTreeMap<String, String>) -> Option<bool> {
        config.get("agent").map(|text| {
            let first = text.split(',').next().unwrap_or("");
            matches!(first.strip_prefix("enabled=").unwrap_or(first), "1" | "yes" | "on" | "true")
        })
    }

    /// The size of the boot disk, 0 without one.
    pub fn disk_size(config: &BTreeMap<String, String>) -> u64 {
        let named = config
            .get("boot")
            .and_then(|boot| boot.strip_prefix("order="))
            .and_then(|order| order.split(';').find(|key| is_drive(key) && config.contains_key(*key)));
        let drives = Self::drives(config);
        let drive = match named {
            Some(key) => config.get(key),
            None => drives.iter().map(|(_, value)| value).find(|value| !value.contains("media=cdrom")),
        };
        drive.and_then(|value| property(value, "size")).and_then(|size| super::storage::parse_size(&size)).unwrap_or(0)
    }
}

/// Is this the key of a drive?
pub fn is_drive(key: &str) -> bool {
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    stem.len() < key.len() && matches!(stem, "ide" | "sata" | "scsi" | "virtio" | "efidisk" | "tpmstate")
}

/// One property of a property string.
pub fn property(text: &str, name: &str) -> Option<String> {
    text.split(',').find_map(|part| {
        let (key, value) = part.split_once('=')?;
        (key == name).then(|| value.to_owned())
    })
}

/// The volume id of a drive's property string.
pub fn volid(drive: &str) -> &str {
    let first = drive.split(',').next().unwrap_or("");
    first.strip_prefix("file=").or_else(|| first.strip_prefix("volume=")).unwrap_or(first)
}

/// Replaces or appends one property.
pub fn with_property(text: &str, name: &str, value: &str) -> String {
    let mut parts: Vec<String> = text
        .split(',')
        .filter(|part| part.split_once('=').is_none_or(|(key, _)| key != name))
        .map(str::to_owned)
        .collect();
    parts.push(format!("{name}={value}"));
    parts.join(",")
}
