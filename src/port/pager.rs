//! Whoever is called when an unattended screen turns red.

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::{Clean, alert::Alert};

/// Why nobody could be told. Never holds an address that is a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{by} was not told: {why}")]
pub struct PagerError {
    /// `the command notify-send`, `the webhook`.
    pub by: Clean,
    pub why: Clean,
}

#[async_trait]
pub trait Pager: Send + Sync {
    /// Tells of a call or its end, in its own time: up to half a minute.
    async fn tell(&self, alert: &Alert) -> Result<(), PagerError>;
}
