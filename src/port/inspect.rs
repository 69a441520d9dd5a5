//! Looking a site over, for `doctor`: what is needed beyond ordinary work. Everything here only reads.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;

use super::SiteError;
use crate::domain::{Clean, NodeName, Vmid};

/// What a server shows of itself before anything is sent to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 in pairs of hex digits with colons, as Proxmox prints it.
    pub fingerprint: String,
    pub verdict: Verdict,
}

/// Whether a certificate is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Trusted(TrustedBy),
    /// Nobody said yet whether to believe it; why the authorities do not.
    Unknown(Clean),
    /// Others are trusted here, with these fingerprints.
    Changed {
        trusted: Vec<String>,
        by: TrustedBy,
    },
}

/// On whose word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustedBy {
    /// `fingerprints` in the configuration.
    Configuration,
    /// What `doctor` was told to trust.
    Doctor,
    /// `ca_file`, or the system's roots.
    Authority,
}

/// Who homeroom is to the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `name@realm`
    pub user: String,
    /// The API token's name.
    pub token: Option<String>,
}

/// A network interface of a node that guests can be plugged into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    pub name: Clean,
    /// Passes VLAN tags on as they are.
    pub vlan_aware: bool,
    /// Reaches beyond its node.
    pub has_ports: bool,
    /// A virtual network of the cluster's own rather than a node's bridge.
    pub is_vnet: bool,
}

/// A role and its privileges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleRow {
    pub name: Clean,
    pub privileges: BTreeSet<String>,
}

#[async_trait]
pub trait Inspect: Send + Sync {
    /// The addresses the site is reached at, as configured.
    fn endpoints(&self) -> Vec<String>;
    fn caller(&self) -> Caller;
    /// Shakes hands with one address and sends nothing; the error says why there was no handshake.
    async fn certificate(&self, endpoint: &str) -> Result<Certificate, Clean>;
    /// Asks one address for the version.
    async fn version_at(&self, endpoint: &str) -> Result<Clean, SiteError>;
    /// A node's time of day.
    async fn time(&self, node: &NodeName) -> Result<Timestamp, SiteError>;
    /// What the caller may do on exactly this path.
    async fn privileges(&self, path: &str) -> Result<BTreeSet<String>, SiteError>;
    /// Whether no guest has this number, seen or not.
    async fn is_free(&self, vmid: Vmid) -> Result<bool, SiteError>;
    async fn roles(&self) -> Result<Vec<RoleRow>, SiteError>;
    async fn bridges(&self, node: &NodeName) -> Result<Vec<Bridge>, SiteError>;
}
