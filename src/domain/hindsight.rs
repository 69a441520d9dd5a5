//! What a site remembers of a node or a machine: an hour of load, and its latest tasks. Plain data for screens.

use jiff::Timestamp;

use super::Clean;

/// How it was over a minute or so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    pub at: Timestamp,
    /// Busy share of its CPUs, 0–1.
    pub cpu: f64,
    /// Share of its memory in use, 0–1.
    pub memory: f64,
    /// Bytes a second that came in, and that went out.
    pub net_in: f64,
    pub net_out: f64,
}

/// A task in a site's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// `qmclone`, `qmstart`, …
    pub kind: Clean,
    /// The guest or volume it worked on.
    pub id: Clean,
    pub user: Clean,
    pub started_at: Timestamp,
    /// Absent while it goes on.
    pub ended_at: Option<Timestamp>,
    /// How it ended, in the site's words; `OK` when well.
    pub end: Option<Clean>,
}

impl Task {
    /// Whether it ended badly.
    pub fn failed(&self) -> bool {
        let well = |end: &Clean| end.as_str() == "OK" || end.as_str().starts_with("WARNINGS");
        self.ended_at.is_some() && !self.end.as_ref().is_some_and(well)
    }
}

/// All of it, at one look.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hindsight {
    /// Rising in time; gaps where nothing was measured.
    pub samples: Vec<Sample>,
    /// The newest first.
    pub tasks: Vec<Task>,
}
