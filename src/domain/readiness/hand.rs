//! In whose hand a lab is: its newest run, and whether a living process carries it out.

use serde::{Deserialize, Serialize};

use crate::domain::{
    MachineState, Progress, StepName,
    event::RunState,
    progress::{RunProgress, SeatProgress},
};

/// A lab's newest run, and whether somebody carries it out.
#[derive(Debug, Clone, Copy)]
pub struct Hand<'a> {
    progress: &'a Progress,
    alive: bool,
}

/// How a run ended that did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cut {
    /// Its process died, or it was stopped on request: it can go on.
    Interrupted,
    /// It was given up.
    Cancelled,
}

impl Cut {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted",
            Self::Cancelled => "cancelled",
        }
    }
}

impl<'a> Hand<'a> {
    /// `alive`: a process holds the lab at this moment.
    pub fn of(progress: &'a Progress, alive: bool) -> Self {
        Self { progress, alive }
    }

    /// What is planned for a lab that nobody works on.
    pub fn nobodys(progress: &'a Progress) -> Self {
        Self::of(progress, false)
    }

    /// The run under way.
    pub fn at_work(self) -> Option<&'a RunProgress> {
        self.progress.run.as_ref().filter(|run| self.alive && run.state == RunState::Running)
    }

    /// The newest run, if it was kept from its end.
    pub(super) fn cut(self) -> Option<Cut> {
        match self.progress.run.as_ref()?.state {
            RunState::Running if !self.alive => Some(Cut::Interrupted),
            RunState::Interrupted => Some(Cut::Interrupted),
            RunState::Cancelled => Some(Cut::Cancelled),
            RunState::Running | RunState::Done | RunState::Failed => None,
        }
    }

    /// Whether a seat of the newest run waits for what it was begun to do.
    pub(super) fn left_something(self) -> bool {
        let of_run = |row: &&SeatProgress| self.progress.run.as_ref().is_some_and(|run| run.id == row.run);
        self.progress.seats.iter().filter(of_run).any(is_in_hand)
    }

    /// Whether somebody works on this seat, or is about to.
    pub fn holds(self, row: &SeatProgress) -> bool {
        match &self.progress.run {
            Some(run) => self.alive && run.state == RunState::Running && run.id == row.run,
            None => self.alive,
        }
    }

    /// How the run ended that had this seat in hand. A run of which nothing is known any more was interrupted: a later
    /// one has worked on other seats since.
    pub(super) fn cut_of(self, row: &SeatProgress) -> Cut {
        let newest = self.progress.run.as_ref().is_some_and(|run| run.id == row.run);
        self.cut().filter(|_| newest).unwrap_or(Cut::Interrupted)
    }

    /// What was being done to this seat, as a noun.
    pub(super) fn what(self, row: &SeatProgress) -> &'static str {
        if is_being_removed(row) {
            return "removal";
        }
        match self.progress.run.as_ref().filter(|run| run.id == row.run) {
            Some(run) => run.kind.noun(),
            None => "run",
        }
    }
}

/// Whether the journal says that a run has the seat in hand, whether or not that run lives.
pub(in crate::domain) fn is_in_hand(row: &SeatProgress) -> bool {
    matches!(row.state, MachineState::Planned | MachineState::Working)
}

/// Whether the run that touched the seat last removes its machine, and makes no other.
pub(super) fn is_being_removed(row: &SeatProgress) -> bool {
    let of_run = |wanted: StepName| row.step(wanted).is_some_and(|step| step.run == row.run);
    of_run(StepName::Destroy) && !of_run(StepName::Clone) && !of_run(StepName::Create)
}
