//! backend: one folder per outside system; none knows another.

pub mod docker;
pub mod gce;
pub mod nobody;
pub mod pager;
pub mod proxmox;
pub mod ssh;
