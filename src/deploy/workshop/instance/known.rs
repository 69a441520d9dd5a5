//! What the journal knows of an instance, and what the end of a wait for the cloud means.

use std::net::IpAddr;

use crate::{
    deploy::step::StepError,
    domain::{Clean, NodeName},
    port::CloudError,
};

/// What the journal knows of the instance.
pub struct Known {
    pub zone: Option<NodeName>,
    /// A request nobody knows the end of.
    pub request: Option<String>,
    /// The same of the firewall rule.
    pub rule: Option<String>,
    pub address: Option<IpAddr>,
    pub host_keys: Vec<String>,
    /// What its proxy shows.
    pub proxy: Option<String>,
}

impl Known {
    /// Whether something may still come of a request.
    pub fn is_open(&self) -> bool {
        self.request.is_some() || self.rule.is_some()
    }
}

/// Why a wait came to nothing.
pub enum Wait {
    /// The cloud could not be asked: what comes of it is not known.
    Cloud(CloudError),
    /// It is over: so it ended, or so it was refused.
    Ended(CloudError),
    Step(StepError),
}

impl Wait {
    /// What a request was answered with. The refusal of one that was sent before is the end of both only where it will
    /// never be said otherwise.
    pub fn refused(error: CloudError, is_first: bool) -> Self {
        if error.refuses() && (is_first || !error.may_lift()) { Self::Ended(error) } else { Self::Cloud(error) }
    }
}

impl From<Wait> for StepError {
    fn from(wait: Wait) -> Self {
        match wait {
            Wait::Cloud(error) | Wait::Ended(error) => error.into(),
            Wait::Step(error) => error,
        }
    }
}

impl From<CloudError> for StepError {
    fn from(error: CloudError) -> Self {
        let words = Clean::new(error.to_string());
        match error {
            CloudError::Taken { .. } => Self::Conflict(words),
            error if error.is_passing() => Self::Unreachable(words),
            _ => Self::Fatal(words),
        }
    }
}
