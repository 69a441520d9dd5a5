//! Steps: the journalled actions a machine or a container goes through, by name, in order.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One journalled action. The order here is the order on every screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepName {
    /// A VMID and a node are set aside.
    Reserve,
    Clone,
    Configure,
    Resize,
    /// The images of a workshop are on its engine.
    Image,
    /// A workshop's own network.
    Network,
    /// A seat's containers are made.
    Create,
    Start,
    /// The guest's address was seen.
    Address,
    /// The guest agent answered in a row.
    Agent,
    /// A command ran inside the guest.
    Exec,
    /// What was configured is what is there.
    Verify,
    /// A key login worked.
    Ssh,
    /// Docker answers on a workshop's instance, and its startup script is through.
    Engine,
    /// What leads from outside to a workshop's seats.
    Proxy,
    /// A seat's programs answered, or a workshop's proxy did.
    Health,
    /// The workshop's name leads to its instance.
    Dns,
    /// Shut down before a change or a removal.
    Stop,
    /// Removed from the site.
    Destroy,
}

impl StepName {
    /// The chain of a class machine from nothing to ready.
    pub const CLASS: [StepName; 10] = [
        Self::Reserve,
        Self::Clone,
        Self::Configure,
        Self::Resize,
        Self::Start,
        Self::Address,
        Self::Agent,
        Self::Exec,
        Self::Verify,
        Self::Ssh,
    ];

    /// The chain of a workshop's host, of which there is one.
    pub const HOST: [StepName; 4] = [Self::Image, Self::Network, Self::Proxy, Self::Health];

    /// The chain of a workshop's seat.
    pub const SEAT: [StepName; 3] = [Self::Create, Self::Start, Self::Health];

    /// The chain of a workshop's instance in a cloud; `dns` only where a name is to be published.
    pub const INSTANCE: [StepName; 9] = [
        Self::Network,
        Self::Create,
        Self::Start,
        Self::Address,
        Self::Ssh,
        Self::Engine,
        Self::Proxy,
        Self::Health,
        Self::Dns,
    ];

    /// The chain of a seat on such an instance, which makes its containers by itself.
    pub const INSTANCE_SEAT: [StepName; 2] = [Self::Start, Self::Health];

    /// The proofs that a `check` of a class repeats.
    pub const ROLL_CALL: [StepName; 5] = [Self::Address, Self::Agent, Self::Exec, Self::Verify, Self::Ssh];

    /// Its name in JSON, logs and screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Clone => "clone",
            Self::Configure => "configure",
            Self::Resize => "resize",
            Self::Image => "image",
            Self::Network => "network",
            Self::Create => "create",
            Self::Start => "start",
            Self::Address => "address",
            Self::Agent => "agent",
            Self::Exec => "exec",
            Self::Verify => "verify",
            Self::Ssh => "ssh",
            Self::Engine => "engine",
            Self::Proxy => "proxy",
            Self::Health => "health",
            Self::Dns => "dns",
            Self::Stop => "stop",
            Self::Destroy => "destroy",
        }
    }

    /// Whether it is a proof: one of the roll call's, or a workshop's health.
    pub fn is_proof(self) -> bool {
        self == Self::Health || Self::ROLL_CALL.contains(&self)
    }

    /// Whether it is part of a chain that ends in ready; a shutdown or removal is not.
    pub fn leads_to_ready(self) -> bool {
        !matches!(self, Self::Stop | Self::Destroy)
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    #[default]
    Waiting,
    Running,
    Ok,
    Failed,
    Skipped,
}

impl StepState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}
