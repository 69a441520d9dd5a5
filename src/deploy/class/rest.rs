//! What is left of a machine whose removal did not come to its end, and whether it is ours to finish.
//!
//! Proxmox frees the disks first, then replaces the whole configuration by `lock: destroyed`, and unlinks it last. A
//! worker that dies on the way leaves either a machine with its mark and without its disks, or a number without any
//! mark. What proves such a rest ours is the journal (the removal was meant for this number before it was asked for)
//! together with our own task for it. Nothing is changed here.

use jiff::SignedDuration;

use crate::{
    domain::{Clean, NodeName, Vmid, progress::Removal},
    port::{
        Cluster, SiteError,
        cluster::{GuestConfig, TaskRow, TaskState},
    },
};

/// Clocks of nodes and of this host differ by less than this.
const CLOCKS: SignedDuration = SignedDuration::from_mins(60);
/// Whose tasks those are that we began over a node's SSH.
const ROOT: &str = "root@pam";

/// What a machine's settings and the node's tasks say of its removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    /// It is whole.
    Whole,
    /// Ours, and half removed; how that is known.
    Ours(Clean),
    /// Half removed, and why nothing proves it ours.
    Unproven(Clean),
    /// It went while it was looked at.
    Gone,
}

/// Whether a machine whose settings were just read is half removed, and whether by us. `removal` is what the journal
/// says of the seat that the machine belongs, or belonged, to; `marked`: the settings carry that seat's mark.
pub async fn rest(
    cluster: &dyn Cluster,
    removal: Option<&Removal>,
    node: &NodeName,
    vmid: Vmid,
    config: &GuestConfig,
    marked: bool,
) -> Result<Rest, SiteError> {
    let removal = removal.filter(|removal| removal.vmid == vmid);
    match (config.get("lock"), removal) {
        (Some("destroyed"), _) if marked => Ok(Rest::Ours(Clean::new("it carries our mark"))),
        (Some("destroyed"), Some(removal)) => hollow(cluster, removal, node, vmid).await,
        (Some("destroyed"), None) => {
            Ok(Rest::Unproven(Clean::new("this store has no removal of it by us in its journal")))
        }
        (None, Some(removal)) if marked => diskless(cluster, removal, node, vmid, config).await,
        _ => Ok(Rest::Whole),
    }
}

/// A number with nothing but the lock.
async fn hollow(cluster: &dyn Cluster, removal: &Removal, node: &NodeName, vmid: Vmid) -> Result<Rest, SiteError> {
    let Some(task) = newest(cluster, removal, node, vmid).await? else {
        return Ok(match &removal.upid {
            Some(upid) => Rest::Ours(Clean::new(format!("{upid} was our task, and {node} has forgotten it"))),
            None => Rest::Unproven(Clean::new(format!("no task of ours on {node} is known to have removed it"))),
        });
    };
    let upid = &task.upid.0;
    if !is_ours(cluster, removal, &task) {
        let whose = task.upid.user().unwrap_or("somebody else");
        return Ok(Rest::Unproven(Clean::new(format!("{whose} removed it last, by task {upid}"))));
    }
    let words = match cluster.task(&task.upid).await {
        Ok(TaskState::Ok { .. }) => {
            return match cluster.config(node, vmid).await {
                Err(SiteError::Missing { .. }) => Ok(Rest::Gone),
                Err(error) => Err(error),
                Ok(_) => {
                    let words = format!("our removal of it ended well ({upid}): this is another machine's rest");
                    Ok(Rest::Unproven(Clean::new(words)))
                }
            };
        }
        Ok(TaskState::Running) => format!("our task {upid} removes it"),
        Ok(TaskState::Failed(words) | TaskState::Died(words)) => format!("our task {upid} ended with {words:?}"),
        Err(SiteError::Missing { .. } | SiteError::Invalid { .. }) => format!("{upid} was our task, and has ended"),
        Err(error) => return Err(error),
    };
    Ok(Rest::Ours(Clean::new(words)))
}

/// A machine with its mark: half removed once our removal's worker died with one of its disks freed.
async fn diskless(
    cluster: &dyn Cluster,
    removal: &Removal,
    node: &NodeName,
    vmid: Vmid,
    config: &GuestConfig,
) -> Result<Rest, SiteError> {
    let Some(task) = newest(cluster, removal, node, vmid).await? else { return Ok(Rest::Whole) };
    if !is_ours(cluster, removal, &task) || !matches!(cluster.task(&task.upid).await, Ok(TaskState::Died(_))) {
        return Ok(Rest::Whole);
    }
    for disk in disks(config, vmid) {
        let Some((storage, _)) = disk.split_once(':') else { continue };
        let there = cluster.volumes(node, storage, vmid).await?;
        if !there.iter().any(|volume| volume.as_str() == disk) {
            let words = format!("our task {} died when it had freed {disk}", task.upid.0);
            return Ok(Rest::Ours(Clean::new(words)));
        }
    }
    Ok(Rest::Whole)
}

/// The volumes of a machine's own, as its settings name them; what it was given to read is left out.
fn disks(config: &GuestConfig, vmid: Vmid) -> Vec<String> {
    let own = format!("vm-{vmid}-");
    let slot = |key: &str| {
        let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
        stem.len() < key.len() && matches!(stem, "ide" | "sata" | "scsi" | "virtio" | "efidisk" | "tpmstate")
    };
    let of = |text: &str| {
        let volume = text.split(',').next().unwrap_or_default();
        volume.strip_prefix("file=").unwrap_or(volume).to_owned()
    };
    let volumes = config.values.iter().filter(|(key, _)| slot(key)).map(|(_, value)| of(value.as_str()));
    // Proxmox makes a cloud-init drive anew at every start.
    volumes.filter(|volume| volume.contains(&own) && !volume.contains("cloudinit")).collect()
}

/// The latest removal of this number on its node, as far as the node remembers.
async fn newest(
    cluster: &dyn Cluster,
    removal: &Removal,
    node: &NodeName,
    vmid: Vmid,
) -> Result<Option<TaskRow>, SiteError> {
    let id = vmid.to_string();
    let of_it = |task: &TaskRow| task.kind.as_str() == "qmdestroy" && task.id.as_str() == id;
    if let Some(running) = cluster.active_tasks(node).await?.into_iter().find(of_it) {
        return Ok(Some(running));
    }
    let ended = cluster.ended_tasks(node, "qmdestroy", removal.since - CLOCKS).await?;
    // Listed with the newest first, which counts where two began in one second.
    Ok(ended.into_iter().filter(of_it).min_by_key(|task| std::cmp::Reverse(task.started_at)))
}

fn is_ours(cluster: &dyn Cluster, removal: &Removal, task: &TaskRow) -> bool {
    let user = task.upid.user();
    removal.upid.as_ref() == Some(&task.upid.0)
        || user == Some(cluster.user())
        || (removal.on_node && user == Some(ROOT))
}
