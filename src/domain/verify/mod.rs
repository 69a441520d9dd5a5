//! Configured and read back: what a machine's settings should be, and whether they are.
//!
//! Pure comparison by Proxmox's own keys. It reads and writes nothing; the steps `configure` and
//! `verify`, and the plan's field-by-field changes, all ask here, so that they cannot disagree.

mod compare;
mod keys;
mod value;
mod wanted;

pub use compare::{GuestReport, Pending, address_allowed, config_changes, memory_mib, needs_stop, verify};
pub use keys::{has_another_lab_key, has_key, key_it_has};
pub use value::{BootDisk, boot_disk, has_cloud_init, is_on, properties, static_address};
pub use wanted::{Wanted, config_unwanted, config_wanted, keep_only_changes, left_standing};
