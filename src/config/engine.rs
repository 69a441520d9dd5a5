//! `[engine]`: how hard homeroom works a cluster, and how long it waits.

use std::time::Duration;

use super::{ConfigError, duration, reader::Node};
use crate::domain::retry::Retry;

/// The engine's tunables. Waits for the modelled world go through the clock; `proof_max_age` is wall time.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineSettings {
    /// Clones at a time on one storage that several nodes share.
    pub clones_per_shared_storage: u32,
    /// Clones at a time on one node's own storage.
    pub clones_per_local_storage: u32,
    /// Full copies at a time on any one storage, and no more than the clones it is given.
    pub copies_per_storage: u32,
    /// Guests that boot at a time on one node; 0: as many as its CPUs bear.
    pub boots_per_node: u32,
    /// After a lock time-out: at once, then longer.
    pub retry: Retry,
    /// Between a clone's end and the first change of its configuration.
    pub settle_after_clone: Duration,
    /// A task that makes no progress for so long has failed.
    pub task_stall: Duration,
    /// Between two looks at a node's task list while tasks are in hand.
    pub task_poll: Duration,
    /// Between two looks at the cluster when nothing is being done.
    pub poll_idle: Duration,
    /// Between two looks at the cluster while a run is in hand.
    pub poll_run: Duration,
    /// A seat proven longer ago than this is stale.
    pub proof_max_age: Duration,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            clones_per_shared_storage: 2,
            clones_per_local_storage: 5,
            copies_per_storage: 2,
            boots_per_node: 0,
            retry: Retry::locked(),
            settle_after_clone: Duration::from_secs(2),
            task_stall: Duration::from_secs(5 * 60),
            task_poll: Duration::from_secs(1),
            poll_idle: Duration::from_secs(10),
            poll_run: Duration::from_secs(2),
            proof_max_age: Duration::from_secs(12 * 3600),
        }
    }
}

pub(super) const KEYS: &[&str] = &[
    "clones_per_shared_storage",
    "clones_per_local_storage",
    "copies_per_storage",
    "boots_per_node",
    "retry_waits",
    "retry_jitter",
    "settle_after_clone",
    "task_stall",
    "task_poll",
    "poll_idle",
    "poll_run",
    "proof_max_age",
];

pub(super) fn read(node: &Node<'_>) -> Result<EngineSettings, ConfigError> {
    let table = node.table()?;
    let default = EngineSettings::default();
    let count = |key: &str, default| table.or(key, default, |n| n.integer(1..=64));
    let time = |key: &str, default, least, most| {
        let (least, most) = (Duration::from_millis(least), Duration::from_secs(most));
        table.or(key, default, |n| duration::read(&n, least, most))
    };
    let waits = |n: Node<'_>| {
        let waits = n.list()?;
        if waits.len() > 20 {
            return Err(n.complain(format!("{} has {} waits; 20 are allowed", n.path(), waits.len())));
        }
        waits.iter().map(|wait| duration::read(wait, Duration::ZERO, Duration::from_secs(600))).collect()
    };
    Ok(EngineSettings {
        clones_per_shared_storage: count("clones_per_shared_storage", default.clones_per_shared_storage)?,
        clones_per_local_storage: count("clones_per_local_storage", default.clones_per_local_storage)?,
        copies_per_storage: count("copies_per_storage", default.copies_per_storage)?,
        boots_per_node: table.or("boots_per_node", default.boots_per_node, |n| n.integer(0..=64))?,
        retry: Retry {
            waits: table.or("retry_waits", default.retry.waits, waits)?,
            jitter: time("retry_jitter", default.retry.jitter, 0, 60)?,
        },
        settle_after_clone: time("settle_after_clone", default.settle_after_clone, 0, 600)?,
        task_stall: time("task_stall", default.task_stall, 10_000, 86_400)?,
        task_poll: time("task_poll", default.task_poll, 200, 60)?,
        poll_idle: time("poll_idle", default.poll_idle, 1000, 3600)?,
        poll_run: time("poll_run", default.poll_run, 500, 600)?,
        proof_max_age: time("proof_max_age", default.proof_max_age, 60_000, 30 * 86_400)?,
    })
}
