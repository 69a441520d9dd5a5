//! backend: one folder per outside system; none knows another.

pub mod proxmox;
pub mod ssh;
