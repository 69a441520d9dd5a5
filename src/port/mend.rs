//! Repairs that only root on a node can make. Asked for once it is proven that nobody else works there.

use async_trait::async_trait;

use super::agent::AgentError;
use crate::domain::{NodeName, Vmid};

#[async_trait]
pub trait Mend: Send + Sync {
    /// Whether a program on the node still works on a disk of the guest: a copy outlives its task's worker.
    async fn is_copying(&self, node: &NodeName, vmid: Vmid) -> Result<bool, AgentError>;

    /// Removes a guest although its configuration is locked, with the disks the configuration names, in one
    /// request: the lock is never seen lifted from a half-made machine.
    async fn remove_locked(&self, node: &NodeName, vmid: Vmid) -> Result<(), AgentError>;
}
