//! Machines: what a seat's VM is called, what it is for and how it stands.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{LabName, SeatName};

/// What a machine is for in its lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Teacher,
    Student,
    /// The one machine of a workshop.
    Host,
    /// A container of a workshop.
    Seat,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Teacher => "teacher",
            Self::Student => "student",
            Self::Host => "host",
            Self::Seat => "seat",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a machine stands. Green is only `Ready`, and only while nothing says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineState {
    /// In the definition, not yet made.
    #[default]
    Planned,
    /// A step is under way.
    Working,
    /// Every proof was seen, and nothing has said otherwise since.
    Ready,
    /// It was ready; something happened since, or the proof is too old.
    Stale,
    Failed,
    Stopped,
    /// Its node does not answer; nothing is known.
    Unknown,
    /// It was ours and is no longer on the site.
    Gone,
}

impl MachineState {
    pub const ALL: [Self; 8] = [
        Self::Planned,
        Self::Working,
        Self::Ready,
        Self::Stale,
        Self::Failed,
        Self::Stopped,
        Self::Unknown,
        Self::Gone,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Working => "working",
            Self::Ready => "ready",
            Self::Stale => "stale",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
            Self::Gone => "gone",
        }
    }
}

impl fmt::Display for MachineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The name of a seat's VM: `cs101-student-01`. Unique per site because lab names are unique in a
/// store and seats in a lab; a valid DNS label because both parts are.
pub fn machine_name(lab: &LabName, seat: &SeatName) -> String {
    format!("{lab}-{seat}")
}
