//! Who holds which lock and who waits for it: config flocks, storage locks, the user
//! configuration, and the three workers of a node's daemon. Pure bookkeeping: patience and
//! what happens when it ends belong to the jobs.

use std::collections::{BTreeMap, VecDeque};

use super::JobId;

/// Something only one (or a few) may hold at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockKey {
    /// The flock on `/var/lock/qemu-server/lock-<vmid>.conf` of a node.
    Config(u32),
    /// The lock of a storage: cluster-wide when shared, else one per node.
    Storage { storage: String, node: Option<String> },
    /// The cluster-wide lock on users, pools and access lists.
    UserCfg,
    /// One of the daemon's blocking workers on a node.
    Worker(String),
}

impl LockKey {
    /// What Proxmox says when the lock could not be had in time.
    pub fn timeout_text(&self) -> String {
        match self {
            Self::Config(vmid) => {
                format!("can't lock file '/var/lock/qemu-server/lock-{vmid}.conf' - got timeout")
            }
            Self::Storage { storage, node: Some(_) } => {
                format!("can't lock file '/var/lock/pve-manager/pve-storage-{storage}' - got timeout")
            }
            Self::Storage { storage, node: None } => {
                format!("cfs-lock 'storage-{storage}' error: got lock request timeout")
            }
            Self::UserCfg => "cfs-lock 'file-user_cfg' error: got lock request timeout".into(),
            Self::Worker(_) => "Connection timed out".into(),
        }
    }

    /// The line a task logs when it has to wait.
    pub fn waiting_text(&self) -> Option<String> {
        match self {
            Self::Config(_) | Self::Storage { node: Some(_), .. } => Some("trying to acquire lock...".into()),
            Self::Storage { storage, node: None } => {
                Some(format!("trying to acquire cfs lock 'storage-{storage}' ..."))
            }
            Self::UserCfg => Some("trying to acquire cfs lock 'file-user_cfg' ...".into()),
            Self::Worker(_) => None,
        }
    }

    /// How many may hold it exclusively at once.
    fn places(&self) -> usize {
        match self {
            Self::Worker(_) => 3,
            _ => 1,
        }
    }
}

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Beside other shared holders.
    Shared,
    /// Alone.
    Exclusive,
}

#[derive(Debug, Default)]
struct Slot {
    holders: Vec<(JobId, Mode)>,
    queue: VecDeque<(JobId, Mode)>,
}

impl Slot {
    fn admits(&self, places: usize, mode: Mode) -> bool {
        match mode {
            Mode::Shared => self.holders.iter().all(|(_, held)| *held == Mode::Shared),
            Mode::Exclusive => self.holders.len() < places && (places > 1 || self.holders.is_empty()),
        }
    }
}

/// Every lock of the cluster.
#[derive(Debug, Default)]
pub struct Locks {
    slots: BTreeMap<LockKey, Slot>,
}

impl Locks {
    /// Takes the lock, or queues for it. True when it was had at once.
    pub fn take(&mut self, key: &LockKey, mode: Mode, job: JobId) -> bool {
        let slot = self.slots.entry(key.clone()).or_default();
        if slot.admits(key.places(), mode) {
            slot.holders.push((job, mode));
            return true;
        }
        slot.queue.push_back((job, mode));
        false
    }

    /// Gives the lock back (or leaves its queue). Returns the jobs that now hold it.
    pub fn leave(&mut self, key: &LockKey, job: JobId) -> Vec<JobId> {
        let Some(slot) = self.slots.get_mut(key) else {
            return Vec::new();
        };
        if let Some(at) = slot.holders.iter().position(|(held, _)| *held == job) {
            slot.holders.remove(at);
        } else {
            slot.queue.retain(|(waiting, _)| *waiting != job);
        }
        let mut granted = Vec::new();
        let mut left = VecDeque::new();
        while let Some((waiting, mode)) = slot.queue.pop_front() {
            if slot.admits(key.places(), mode) {
                slot.holders.push((waiting, mode));
                granted.push(waiting);
            } else {
                left.push_back((waiting, mode));
            }
        }
        slot.queue = left;
        if slot.holders.is_empty() && slot.queue.is_empty() {
            self.slots.remove(key);
        }
        granted
    }

    /// True when nobody holds the lock.
    pub fn free(&self, key: &LockKey) -> bool {
        self.slots.get(key).is_none_or(|slot| slot.holders.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_holders_stand_beside_each_other_and_an_exclusive_one_waits() {
        let mut locks = Locks::default();
        let key = LockKey::Config(9000);
        assert!(locks.take(&key, Mode::Shared, 1));
        assert!(locks.take(&key, Mode::Shared, 2));
        assert!(!locks.take(&key, Mode::Exclusive, 3));
        assert!(locks.leave(&key, 1).is_empty());
        assert_eq!(locks.leave(&key, 2), vec![3]);
        assert!(!locks.free(&key));
    }

    #[test]
    fn a_daemon_has_three_workers() {
        let mut locks = Locks::default();
        let key = LockKey::Worker("pve1".into());
        for job in 1..=3 {
            assert!(locks.take(&key, Mode::Exclusive, job));
        }
        assert!(!locks.take(&key, Mode::Exclusive, 4));
        assert_eq!(locks.leave(&key, 2), vec![4]);
    }
}
