//! Workshops: one machine that carries a container per seat.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{LabName, SiteName};

/// What a workshop should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkshopDefinition {
    pub name: LabName,
    pub site: SiteName,
    /// 1–50.
    pub seats: u32,
    /// The container image of a seat.
    pub image: String,
    /// Ends by itself after this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_after: Option<Duration>,
}
