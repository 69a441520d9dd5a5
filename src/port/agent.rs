//! The guest agent: what can be asked inside a machine before its network is known.

use std::{net::IpAddr, time::Duration};

use async_trait::async_trait;
use thiserror::Error;

use super::{SiteError, shell::ShellError};
use crate::domain::{Clean, NodeName, Vmid};

/// Why the agent gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AgentError {
    /// Not up yet, or gone: ask again later.
    #[error("the guest agent does not answer: {0}")]
    Silent(Clean),
    /// The VM has no agent switched on: waiting is useless.
    #[error("no guest agent is configured; set agent=1 on the template and install qemu-guest-agent in it")]
    NotConfigured,
    #[error("the machine is not running")]
    NotRunning,
    /// The agent answered with an error of its own.
    #[error("the guest agent refused: {0}")]
    Refused(Clean),
    /// The way to the agent failed (API or node SSH).
    #[error(transparent)]
    Site(#[from] SiteError),
    /// `qm` on the node failed for a reason that is not the guest's: what was tried, and what came back.
    #[error("node SSH: {0}")]
    Node(Clean),
    /// The node did not let us in, or broke off.
    #[error("node SSH: {0}")]
    Shell(#[from] ShellError),
}

impl AgentError {
    /// Asking again later may be answered.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Silent(_) | Self::Node(_) => true,
            Self::Site(error) => error.is_retryable() || error.effect_unknown(),
            Self::Shell(error) => error.is_passing(),
            Self::NotConfigured | Self::NotRunning | Self::Refused(_) => false,
        }
    }
}

/// One network card as the guest sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    pub name: Clean,
    /// Lower case, colons.
    pub mac: Option<String>,
    pub addresses: Vec<IpAddr>,
}

/// What a command inside the guest came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// `None` when a signal ended it or it ran out of time.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// It ran out of time and may still be running.
    pub timed_out: bool,
}

#[async_trait]
pub trait GuestAgent: Send + Sync {
    async fn ping(&self, node: &NodeName, vmid: Vmid) -> Result<(), AgentError>;
    async fn interfaces(&self, node: &NodeName, vmid: Vmid) -> Result<Vec<Interface>, AgentError>;
    /// Runs a command (program, then arguments) and waits for its end, `within` of modelled time.
    async fn exec(
        &self,
        node: &NodeName,
        vmid: Vmid,
        command: &[String],
        within: Duration,
    ) -> Result<ExecOutput, AgentError>;
}
