//! A cloud of instances, such as a Compute Engine project: instances, the disks and firewall rules beside them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::{
    Clean, NodeName,
    cloud::{CloudView, InstanceSpec, InstanceView, Past, RuleSpec},
};

/// What a cloud answered instead of doing what was asked. Every variant names what was tried.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CloudError {
    /// Nothing was sent, or only a question got lost. No effect happened.
    #[error("{what}: no answer: {why}")]
    Unreachable { what: String, why: Clean },
    /// Sent, and no whole answer came back: the effect may have happened. The same request may be sent again.
    #[error("{what}: the answer was lost: {why}")]
    Lost { what: String, why: Clean },
    /// The cloud itself has trouble, or something it needs is not ready yet. The same request may be sent again.
    #[error("{what}: not now: {words}")]
    Busy { what: String, words: Clean },
    /// Too many requests; they are fewer after a while.
    #[error("{what}: asked too often: {words}")]
    Throttled { what: String, words: Clean },
    /// It is not there.
    #[error("{what}: {words}")]
    Missing { what: String, words: Clean },
    /// The name is taken.
    #[error("{what}: {words}")]
    Taken { what: String, words: Clean },
    /// Somebody else changed it in between: read again, then try again.
    #[error("{what}: it was changed in between: {words}")]
    Raced { what: String, words: Clean },
    /// It was taken on and came to nothing, for no fault of whoever asked: ask anew, with another request id.
    #[error("{what}: it came to nothing: {words}")]
    Failed { what: String, words: Clean },
    /// The zone has nothing left. `elsewhere`: zones that have, where the cloud says so.
    #[error("{what}: {zone} has nothing left: {words}")]
    Exhausted { what: String, zone: String, elsewhere: Vec<String>, words: Clean },
    /// A quota of the project's is used up. `which` names it with its limit.
    #[error(
        "{what}: {words}; ask for more of {which} at https://console.cloud.google.com/iam-admin/quotas, or remove what is not needed"
    )]
    Quota { what: String, which: String, words: Clean },
    /// The project never switched the API on.
    #[error(
        "{what}: {service} is not switched on; `gcloud services enable {service}`, then wait a few minutes: {words}"
    )]
    Disabled { what: String, service: String, words: Clean },
    /// The credentials lack a permission; `needs` names it, where the cloud does.
    #[error("{what}: not allowed: {words}{}", advice(.needs))]
    Forbidden { what: String, needs: Option<String>, words: Clean },
    /// No credentials, or none that count.
    #[error(
        "{what}: no valid credentials: {words}; `gcloud auth application-default login`, or run where a service account is attached"
    )]
    Unauthenticated { what: String, words: Clean },
    /// Any other refusal, in the cloud's words.
    #[error("{what}: {words}")]
    Refused { what: String, words: Clean },
}

fn advice(needs: &Option<String>) -> String {
    needs.as_ref().map(|needs| format!("; ask for a role with {needs}")).unwrap_or_default()
}

impl CloudError {
    /// Look again, then try again: nothing has happened, or the same request may be repeated.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Lost { .. }
                | Self::Busy { .. }
                | Self::Throttled { .. }
                | Self::Raced { .. }
                | Self::Failed { .. }
        )
    }

    /// Whether whoever was asked has looked at the request and said no. A login that counts for nothing, or a name
    /// that is taken, by whichever request, is no such word.
    pub fn refuses(&self) -> bool {
        !self.is_passing() && !matches!(self, Self::Unauthenticated { .. } | Self::Taken { .. })
    }

    /// Whether it is no word about the request itself: one like it that is still under way may be let through.
    pub fn may_lift(&self) -> bool {
        matches!(self, Self::Forbidden { .. } | Self::Disabled { .. } | Self::Quota { .. })
    }

    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}

/// A call under way at the cloud's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationId {
    /// Absent for what belongs to no zone.
    pub zone: Option<NodeName>,
    pub name: String,
}

/// Whether a zone has a type of machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    Has,
    NoSuchType,
    NoSuchZone,
}

/// How an operation ended: well, or with its error.
pub type Ended = Result<(), CloudError>;

/// What a serial port has printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Serial {
    pub lines: Vec<Clean>,
    /// Where the next question begins.
    pub next: u64,
}

/// Everything that changes something takes a request id, a UUID: one that was sent before is not carried out again.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// The project's id.
    fn project(&self) -> &str;
    /// Everything with our labels in the whole project.
    async fn view(&self) -> Result<CloudView, CloudError>;
    async fn instance(&self, zone: &NodeName, name: &str) -> Result<InstanceView, CloudError>;
    /// What the cloud remembers of an instance, by its own id: of one that is gone as well, as far back as it goes.
    async fn past(&self, zone: &NodeName, id: &str) -> Result<Past, CloudError>;
    /// Which of these permissions the credentials have on the project as a whole. One that is granted on a single thing,
    /// or under a condition, is not among them.
    async fn held(&self, permissions: &[&str]) -> Result<BTreeSet<String>, CloudError>;
    /// Whether machines of a type are to be had in a zone.
    async fn offers(&self, zone: &NodeName, machine_type: &str) -> Result<Offer, CloudError>;
    async fn insert(&self, zone: &NodeName, spec: &InstanceSpec, request: &str) -> Result<OperationId, CloudError>;
    /// What came of a request id that may have been sent: the operation it began; `None` where the cloud has never
    /// seen it, or not yet.
    async fn begun(&self, zone: &NodeName, request: &str) -> Result<Option<OperationId>, CloudError>;
    /// Starts one that is stopped.
    async fn start(&self, zone: &NodeName, name: &str, request: &str) -> Result<OperationId, CloudError>;
    async fn remove(&self, zone: &NodeName, name: &str, request: &str) -> Result<OperationId, CloudError>;
    async fn remove_disk(&self, zone: &NodeName, name: &str, request: &str) -> Result<OperationId, CloudError>;
    /// Whether an instance's disk stays when the instance goes.
    async fn keep_disk(
        &self,
        zone: &NodeName,
        name: &str,
        keep: bool,
        request: &str,
    ) -> Result<OperationId, CloudError>;
    /// Sets some labels and keeps the others; back when they are set.
    async fn relabel(&self, zone: &NodeName, name: &str, labels: &BTreeMap<String, String>) -> Result<(), CloudError>;
    /// The same as [`Cloud::begun`], of what belongs to no zone.
    async fn begun_rule(&self, request: &str) -> Result<Option<OperationId>, CloudError>;
    async fn insert_rule(&self, rule: &RuleSpec, request: &str) -> Result<OperationId, CloudError>;
    async fn update_rule(&self, rule: &RuleSpec, request: &str) -> Result<OperationId, CloudError>;
    async fn remove_rule(&self, name: &str, request: &str) -> Result<OperationId, CloudError>;
    /// Waits up to two minutes: how the operation ended, `None` while it has not. An error says nothing about its end:
    /// it could not be asked for. One that the cloud knows nothing of any more is [`CloudError::Lost`].
    async fn wait(&self, operation: &OperationId) -> Result<Option<Ended>, CloudError>;
    /// What the guest has told under a namespace, by key.
    async fn attributes(
        &self,
        zone: &NodeName,
        name: &str,
        namespace: &str,
    ) -> Result<BTreeMap<String, Clean>, CloudError>;
    /// What the serial port printed from a position on; a negative one counts from the end.
    async fn serial(&self, zone: &NodeName, name: &str, from: i64) -> Result<Serial, CloudError>;
    /// Asks an address for `/PATH` by HTTP: the status of its answer. An error says why there was none.
    async fn ask(&self, address: IpAddr, port: u16, path: &str, within: Duration) -> Result<u16, Clean>;
}
