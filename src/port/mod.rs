//! Traits for what the core needs from outside. Implemented in `backend/` and `store/`; used by
//! `deploy/`, `monitor/` and `service/`. No common trait is forced on unlike systems.

pub mod agent;
pub mod clock;
pub mod cloud;
pub mod cluster;
pub mod containers;
pub mod copy;
pub mod dns;
pub mod inspect;
pub mod keys;
pub mod mend;
pub mod pager;
pub mod reach;
pub mod shell;
pub mod store;

pub use agent::GuestAgent;
pub use clock::Clock;
pub use cloud::{Cloud, CloudError};
pub use cluster::{Cluster, SiteError};
pub use containers::{Containers, EngineError};
pub use dns::Dns;
pub use inspect::Inspect;
pub use keys::KeyRing;
pub use mend::Mend;
pub use pager::Pager;
pub use shell::RemoteShell;
pub use store::{Store, StoreError};
