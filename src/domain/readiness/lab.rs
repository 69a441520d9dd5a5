//! A lab as a whole: what the states of its machines come to, and the word for it.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{Cut, Hand, Stand};
use crate::domain::{MachineState, Role, SeatName, event::RunKind, progress::SeatProgress};

/// How a lab stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabState {
    /// No machine of it exists.
    Absent,
    Deploying,
    /// Every seat of the definition is proven, and so is whatever else stands.
    Ready,
    /// Some seats are ready, or wait for a roll call.
    Partial,
    /// No seat is ready and at least one failed.
    Failed,
    /// Its machines are there and off.
    Stopped,
    Destroying,
}

impl LabState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Deploying => "deploying",
            Self::Ready => "ready",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Destroying => "destroying",
        }
    }
}

impl fmt::Display for LabState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a lab stands as a whole. `defined`: the seats it should have; `stands`: how each seat stands that the journal
/// knows.
pub fn lab_state<'a>(
    defined: &[(SeatName, Role)],
    hand: Hand<'_>,
    stands: impl IntoIterator<Item = (&'a SeatProgress, &'a Stand)>,
) -> LabState {
    match hand.at_work().map(|run| run.kind) {
        Some(RunKind::Deploy | RunKind::Rebuild) => return LabState::Deploying,
        Some(RunKind::Destroy | RunKind::Rollback) => return LabState::Destroying,
        _ => {}
    }
    let made = |row: &SeatProgress| row.vmid.is_some() || matches!(row.role, Role::Host | Role::Seat);
    let states: BTreeMap<&SeatName, MachineState> =
        stands.into_iter().filter(|(row, _)| made(row)).map(|(row, stand)| (&row.seat, stand.state)).collect();
    let count = |wanted: MachineState| states.values().filter(|state| **state == wanted).count();
    if states.is_empty() || count(MachineState::Gone) == states.len() {
        return LabState::Absent;
    }
    // Those that stand beside the definition are counted with the others wherever machines are counted.
    let proven = count(MachineState::Ready) + count(MachineState::Gone) == states.len();
    if proven && defined.iter().all(|(seat, _)| states.get(seat) == Some(&MachineState::Ready)) {
        LabState::Ready
    } else if count(MachineState::Stopped) == states.len() {
        LabState::Stopped
    } else if count(MachineState::Ready) == 0 && count(MachineState::Failed) > 0 {
        LabState::Failed
    } else {
        LabState::Partial
    }
}

/// What a lab is at, with what a bare state does not tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Is(LabState),
    /// A run is under way that is neither a deploy nor a destroy.
    At(RunKind),
    /// Its newest run did not come to its end, and nobody carries it out.
    Cut(Cut),
    /// No machine of it is seen to be ready, because nobody can see them.
    Unseen,
    /// All of its machines were made, and are there no more; nobody here removed them.
    Gone,
}

impl Phase {
    pub const ABSENT: Self = Self::Is(LabState::Absent);

    /// `state` is what the lab comes to, by `lab_state`; `stands` are the same.
    pub fn of<'a>(state: LabState, hand: Hand<'_>, stands: impl IntoIterator<Item = &'a Stand>) -> Self {
        match hand.at_work().map(|run| run.kind) {
            None => {}
            Some(RunKind::Deploy | RunKind::Destroy) => return Self::Is(state),
            Some(kind) => return Self::At(kind),
        }
        // What is proven is proven, however the run went.
        if state == LabState::Ready {
            return Self::Is(state);
        }
        let (mut cut, mut ready, mut unknown, mut gone) = (None, false, false, false);
        for stand in stands {
            gone |= stand.state == MachineState::Gone;
            cut = cut.or(stand.cut);
            ready |= stand.state == MachineState::Ready;
            unknown |= stand.state == MachineState::Unknown;
        }
        match cut.or(hand.cut().filter(|_| hand.left_something())) {
            Some(cut) => Self::Cut(cut),
            None if state == LabState::Partial && unknown && !ready => Self::Unseen,
            None if state == LabState::Absent && gone => Self::Gone,
            None => Self::Is(state),
        }
    }

    /// Whether a run works on it at this moment.
    pub fn is_worked_on(self) -> bool {
        matches!(self, Self::Is(LabState::Deploying | LabState::Destroying) | Self::At(_))
    }

    /// In a word, the same on every screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Is(LabState::Absent) => "defined",
            Self::Is(state) => state.as_str(),
            Self::At(kind) => kind.doing(),
            Self::Cut(cut) => cut.as_str(),
            Self::Unseen => MachineState::Unknown.as_str(),
            Self::Gone => MachineState::Gone.as_str(),
        }
    }
}
