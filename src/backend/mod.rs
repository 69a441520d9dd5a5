//! backend: one folder per outside system; none knows another.

pub mod docker;
pub mod proxmox;
pub mod ssh;
