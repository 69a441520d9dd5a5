//! Limits: how much of a kind may happen at once, by storage, by node.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Tuning;
use crate::domain::NodeName;

/// What is being rationed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LimitKey {
    /// Clones and removals on a storage all nodes share.
    SharedStorage(String),
    /// The same on a storage of one node.
    LocalStorage(NodeName, String),
    /// Machines starting on a node.
    Boots(NodeName),
    /// Questions to guest agents through a node.
    Asks(NodeName),
}

/// The permits of one run.
#[derive(Debug)]
pub struct Limits {
    tuning: Tuning,
    permits: Mutex<HashMap<LimitKey, Arc<Semaphore>>>,
}

impl Limits {
    pub fn new(tuning: Tuning) -> Self {
        Self { tuning, permits: Mutex::default() }
    }

    /// Waits for one permit of each key. Keys are taken in their order, so that two steps that need
    /// the same two never wait for each other.
    pub async fn acquire(&self, keys: &[LimitKey]) -> Vec<OwnedSemaphorePermit> {
        let mut keys = keys.to_vec();
        keys.sort();
        let mut held = Vec::with_capacity(keys.len());
        for key in keys {
            // A run's semaphores are never closed.
            if let Ok(permit) = self.semaphore(key).acquire_owned().await {
                held.push(permit);
            }
        }
        held
    }

    fn semaphore(&self, key: LimitKey) -> Arc<Semaphore> {
        let size = self.size(&key);
        let mut permits = self.permits.lock().unwrap_or_else(PoisonError::into_inner);
        permits.entry(key).or_insert_with(|| Arc::new(Semaphore::new(size))).clone()
    }

    fn size(&self, key: &LimitKey) -> usize {
        let size = match key {
            LimitKey::SharedStorage(_) => self.tuning.clones_per_shared_storage,
            LimitKey::LocalStorage(..) => self.tuning.clones_per_local_storage,
            LimitKey::Boots(_) => self.tuning.boots_per_node,
            LimitKey::Asks(_) => self.tuning.asks_per_node,
        };
        size.max(1)
    }
}
