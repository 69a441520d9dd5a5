//! A Proxmox-like cluster: guests cloned from templates, changed by tasks.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use jiff::Timestamp;
use thiserror::Error;

use crate::domain::{
    Clean, NodeName, Vmid,
    cluster::{ClusterView, TemplateView},
    hindsight::Hindsight,
};

/// What a site answered instead of doing what was asked. Every variant names what was tried.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SiteError {
    /// Nothing was sent (no route, refused), or only a question got lost. No effect happened.
    #[error("{what}: cannot reach {site}: {why}; check that it is up, and its address")]
    Unreachable { what: String, site: String, why: Clean },
    /// Somebody answered who could not prove to be the site: wrong fingerprint, unknown authority. Nothing was sent.
    #[error("{what}: {site} is not trusted: {why}")]
    Untrusted { what: String, site: String, why: Clean },
    /// Sent, and no whole answer came back: the effect may have happened. Reconcile, never repeat blindly.
    #[error("{what}: the answer was lost: {why}")]
    Lost { what: String, why: Clean },
    /// 401.
    #[error("{what}: {site} does not accept the token: {words}; check its id, secret and expiry")]
    Unauthorized { what: String, site: String, words: Clean },
    /// A password login was refused, or cannot be made by a program.
    #[error("{what}: refused: {words}; {next}")]
    LoginRefused { what: String, words: Clean, next: String },
    /// 403, in Proxmox's words, which name path and privilege.
    #[error("{what}: {words}; grant the privilege on that path to the token and its user")]
    Forbidden { what: String, words: Clean },
    /// 400 with the refused parameters.
    #[error("{what}: refused parameters: {}", Errors(.errors))]
    Invalid { what: String, errors: BTreeMap<String, Clean> },
    /// A lock was not had in time. Nothing happened; worth repeating.
    #[error("{what}: {words}")]
    Locked { what: String, words: Clean },
    #[error("{what}: the cluster has no quorum: {words}")]
    NoQuorum { what: String, words: Clean },
    /// The guest, task or volume is not there.
    #[error("{what}: {words}")]
    Missing { what: String, words: Clean },
    /// Any other refusal, in the site's words.
    #[error("{what}: {words}")]
    Refused { what: String, status: u16, words: Clean },
    /// The answer was not what the API promises (a proxy's error page, cut JSON).
    #[error("{what}: the answer cannot be read: {why}")]
    Malformed { what: String, why: Clean },
}

struct Errors<'a>(&'a BTreeMap<String, Clean>);

impl fmt::Display for Errors<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (name, text)) in self.0.iter().enumerate() {
            write!(f, "{}{name}: {text}", if n == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl SiteError {
    /// The same request may simply be sent again later: nothing has happened.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Locked { .. } | Self::Unreachable { .. } | Self::NoQuorum { .. })
    }

    /// Whether the effect may have happened although no answer said so.
    pub fn effect_unknown(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Malformed { .. })
    }

    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}

/// Identifies a task on a Proxmox site.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Upid(pub Clean);

impl Upid {
    /// The node that runs it: the second field.
    pub fn node(&self) -> Option<NodeName> {
        self.0.as_str().split(':').nth(1).map(NodeName::new)
    }

    /// What kind of task it is (`qmclone`): the sixth field.
    pub fn kind(&self) -> Option<&str> {
        self.0.as_str().split(':').nth(5)
    }

    /// Who began it, `name@realm` or `name@realm!token`: the eighth field.
    pub fn user(&self) -> Option<&str> {
        self.0.as_str().split(':').nth(7)
    }
}

/// A clone to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneRequest {
    pub template: Vmid,
    /// Where the template lies.
    pub node: NodeName,
    pub vmid: Vmid,
    /// Where the machine shall lie, when elsewhere.
    pub target: Option<NodeName>,
    pub name: String,
    /// Carries the mark.
    pub description: String,
    pub full: bool,
    pub storage: Option<String>,
    pub format: Option<String>,
    pub pool: Option<String>,
}

/// Settings to write, by Proxmox's own keys; `sshkeys` is given plain, one key a line.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ConfigChange {
    pub set: BTreeMap<String, String>,
    /// Keys to remove.
    pub unset: Vec<String>,
    /// Sent as `digest`: the write fails if someone else wrote since it was read.
    pub digest: Option<String>,
}

impl fmt::Debug for ConfigChange {
    /// Shows keys only: a value may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigChange")
            .field("set", &self.set.keys().collect::<Vec<_>>())
            .field("unset", &self.unset)
            .finish_non_exhaustive()
    }
}

/// A guest's configuration as read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuestConfig {
    /// By Proxmox's keys, values as text.
    pub values: BTreeMap<String, Clean>,
    pub digest: Option<String>,
    /// The description with its line breaks: the mark is found line by line.
    pub description: String,
}

impl GuestConfig {
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(Clean::as_str)
    }

    /// Keys and values as plain text, for the rules of the domain.
    pub fn plain(&self) -> BTreeMap<String, String> {
        self.values.iter().map(|(key, value)| (key.clone(), value.to_string())).collect()
    }
}

/// One entry of a guest's pending changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingItem {
    pub key: String,
    pub value: Option<Clean>,
    /// Set and not yet in force.
    pub pending: Option<Clean>,
    pub delete: bool,
}

/// What to do to a guest's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerAction {
    Start,
    /// Pull the plug.
    Stop,
    /// Ask the guest; `timeout` in modelled seconds, then (if `force`) pull the plug.
    Shutdown {
        timeout: u64,
        force: bool,
    },
}

/// A guest's power as its node sees it now, not as it was last broadcast.
#[derive(Debug, Clone, PartialEq)]
pub struct GuestStatus {
    pub running: bool,
    pub uptime: u64,
    pub lock: Option<Clean>,
}

/// A task in a node's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    pub upid: Upid,
    /// `qmclone`, `qmstart`, …
    pub kind: Clean,
    /// The guest or volume it works on: for `qmclone` the source.
    pub id: Clean,
    pub user: Clean,
    pub started_at: Timestamp,
}

/// How a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    Running,
    /// Ended well; with warnings, their number.
    Ok {
        warnings: u32,
    },
    /// Ended badly, in the task's own words.
    Failed(Clean),
    /// The worker was killed: whether the effect happened must be looked up.
    Died(Clean),
}

/// A Proxmox-like cluster. Every call is one request (tried on the site's other addresses only while
/// nothing was sent); none waits for a task.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// As whom the site knows us, `name@realm` or `name@realm!token`: the tasks we begin carry it. Asks nothing.
    fn user(&self) -> &str;
    /// Nodes, storages and guests: two calls whatever the size of the cluster.
    async fn view(&self) -> Result<ClusterView, SiteError>;
    async fn template(&self, node: &NodeName, vmid: Vmid) -> Result<TemplateView, SiteError>;
    async fn config(&self, node: &NodeName, vmid: Vmid) -> Result<GuestConfig, SiteError>;
    async fn pending(&self, node: &NodeName, vmid: Vmid) -> Result<Vec<PendingItem>, SiteError>;
    async fn status(&self, node: &NodeName, vmid: Vmid) -> Result<GuestStatus, SiteError>;
    async fn clone_guest(&self, request: &CloneRequest) -> Result<Upid, SiteError>;
    /// Applied before the answer on a stopped guest.
    async fn configure(&self, node: &NodeName, vmid: Vmid, change: &ConfigChange) -> Result<(), SiteError>;
    /// Grows a disk to `bytes`.
    async fn resize(&self, node: &NodeName, vmid: Vmid, disk: &str, bytes: u64) -> Result<Upid, SiteError>;
    async fn power(&self, node: &NodeName, vmid: Vmid, action: PowerAction) -> Result<Upid, SiteError>;
    /// Removes the guest and its own disks (`purge`); never `destroy-unreferenced-disks`.
    async fn remove(&self, node: &NodeName, vmid: Vmid) -> Result<Upid, SiteError>;
    /// All tasks running on a node.
    async fn active_tasks(&self, node: &NodeName) -> Result<Vec<TaskRow>, SiteError>;
    /// Tasks of a kind on a node that began at `since` or later and have ended, as far back as the node remembers.
    async fn ended_tasks(&self, node: &NodeName, kind: &str, since: Timestamp) -> Result<Vec<TaskRow>, SiteError>;
    async fn task(&self, upid: &Upid) -> Result<TaskState, SiteError>;
    /// The task's log lines from `start` (0-based), in order.
    async fn task_log(&self, upid: &Upid, start: u64) -> Result<Vec<Clean>, SiteError>;
    /// Puts guests into a pool in one call; with `moves` also those that are in another.
    async fn add_to_pool(&self, pool: &str, vmids: &[Vmid], moves: bool) -> Result<(), SiteError>;
    async fn create_pool(&self, pool: &str) -> Result<(), SiteError>;
    async fn pools(&self) -> Result<Vec<Clean>, SiteError>;
    /// Volumes on a storage that belong to a guest, to check that a removal left nothing.
    async fn volumes(&self, node: &NodeName, storage: &str, vmid: Vmid) -> Result<Vec<Clean>, SiteError>;
    /// The last hour of a node, or of one machine on it, and its latest tasks. For somebody who looks at it.
    async fn hindsight(&self, node: &NodeName, vmid: Option<Vmid>) -> Result<Hindsight, SiteError>;
    /// The addresses of the nodes as the cluster knows them.
    async fn node_addresses(&self) -> Result<Vec<(NodeName, Option<std::net::IpAddr>)>, SiteError>;
}
