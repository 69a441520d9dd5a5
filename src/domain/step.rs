//! Steps: the journalled actions a machine goes through, by name, in order.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One journalled action of a class machine. The order here is the order on every screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepName {
    /// A VMID and a node are set aside.
    Reserve,
    Clone,
    Configure,
    Resize,
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

    /// The proofs that a `check` repeats.
    pub const ROLL_CALL: [StepName; 5] = [Self::Address, Self::Agent, Self::Exec, Self::Verify, Self::Ssh];

    /// Its name in JSON, logs and screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Clone => "clone",
            Self::Configure => "configure",
            Self::Resize => "resize",
            Self::Start => "start",
            Self::Address => "address",
            Self::Agent => "agent",
            Self::Exec => "exec",
            Self::Verify => "verify",
            Self::Ssh => "ssh",
            Self::Stop => "stop",
            Self::Destroy => "destroy",
        }
    }

    /// Whether it is one of the roll call's proofs.
    pub fn is_proof(self) -> bool {
        Self::ROLL_CALL.contains(&self)
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
