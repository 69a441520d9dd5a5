//! Seats as the screens show them: what the events say, corrected by what was seen of the site since.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{fuzzy, sites::Site};
use crate::domain::{
    Clean, MachineState, NodeName, Role, SeatName, StepState,
    progress::SeatProgress,
    readiness::{current_state, seen_on},
};

/// One seat of a lab.
#[derive(Debug)]
pub struct SeatRow<'a> {
    pub seat: SeatName,
    pub role: Role,
    /// Absent while it stands in the definition only.
    pub progress: Option<&'a SeatProgress>,
    pub state: MachineState,
    pub reason: Option<Clean>,
    /// Where its machine was seen last, or is to be.
    pub node: Option<&'a NodeName>,
    /// The run that had it in hand ended without a word about it; a deploy goes on. Its state is `Failed`.
    pub interrupted: bool,
    /// It has its part in a run and nobody works on it yet: places are taken.
    pub queued: bool,
    /// Its container was seen not to run.
    pub down: bool,
}

/// Between two steps of a seat there is a moment without any; only what lasts is called waiting.
const BETWEEN_STEPS: SignedDuration = SignedDuration::from_millis(1_500);

impl<'a> SeatRow<'a> {
    /// A seat nobody has made yet.
    pub fn planned(seat: SeatName, role: Role) -> Self {
        Self {
            seat,
            role,
            progress: None,
            state: MachineState::Planned,
            reason: None,
            node: None,
            interrupted: false,
            queued: false,
            down: false,
        }
    }

    /// A seat with a history, held against the latest look at its site. `alive`: a run works on its lab.
    pub fn known(
        progress: &'a SeatProgress,
        site: Option<&'a Site>,
        alive: bool,
        now: Timestamp,
        max_age: Duration,
    ) -> Self {
        let look = site.and_then(|site| site.look(progress));
        let (state, reason) = match current_state(progress, look, alive, now, max_age) {
            // What nobody has been able to look at for a while is not called ready.
            (MachineState::Ready, _) if site.is_some_and(|site| site.is_lost(now)) => {
                (MachineState::Unknown, Some(Clean::from("its site does not answer")))
            }
            (MachineState::Ready, _) if site.is_none() => {
                (MachineState::Unknown, Some(Clean::from("its site is not in the configuration")))
            }
            (MachineState::Ready, _) if site.is_some_and(|site| site.view.is_none()) => {
                (MachineState::Unknown, Some(Clean::from("its site has not been seen yet")))
            }
            known => known,
        };
        Self { node: seen_on(progress, look, state), ..Self::standing_so(progress, (state, reason), alive, now) }
    }

    /// A seat with a history that stands like this. `alive`: a run works on its lab.
    pub fn standing_so(
        progress: &'a SeatProgress,
        (state, reason): (MachineState, Option<Clean>),
        alive: bool,
        now: Timestamp,
    ) -> Self {
        let in_hand = matches!(progress.state, MachineState::Planned | MachineState::Working);
        let interrupted = in_hand && !alive && state == MachineState::Failed;
        let idle = !progress.steps.iter().any(|step| step.state == StepState::Running || step.again.is_some());
        let lately = |at| now.duration_since(at) < BETWEEN_STEPS;
        let queued = in_hand
            && alive
            && idle
            && (progress.state == MachineState::Planned || !progress.last_change().is_some_and(lately));
        let reason = if interrupted {
            let at = progress.current().map(|step| format!(" at {}", step.step)).unwrap_or_default();
            Some(Clean::from(format!("interrupted{at}; a deploy goes on from there")))
        } else {
            reason
        };
        Self {
            seat: progress.seat.clone(),
            role: progress.role,
            progress: Some(progress),
            state,
            reason,
            node: progress.node.as_ref(),
            interrupted,
            queued,
            down: false,
        }
    }

    /// How it stands, in a word.
    pub fn word(&self) -> &'static str {
        if self.interrupted { "interrupted" } else { self.state.as_str() }
    }

    /// Its reason where there is little room: of what was tried only the step, then what came back.
    pub fn cause(&self) -> Option<String> {
        let reason = self.reason.as_ref()?.as_str();
        let failed = self.progress.into_iter().flat_map(|row| &row.steps).find(|step| step.state == StepState::Failed);
        let shorter = failed.and_then(|step| {
            let (tried, cause) = reason.split_once(": ")?;
            (tried.split(' ').next() == Some(step.step.as_str())).then(|| format!("{}: {cause}", step.step))
        });
        Some(shorter.unwrap_or_else(|| reason.to_owned()))
    }

    /// Whether something of it stands, or may: a machine with a number, or containers.
    pub fn is_made(&self) -> bool {
        let Some(progress) = self.progress else { return false };
        match self.role {
            Role::Host | Role::Seat => progress.state != MachineState::Planned && self.state != MachineState::Gone,
            Role::Teacher | Role::Student => progress.vmid.is_some(),
        }
    }

    /// Whether a shell can be opened on it: its address is known, or it is a container.
    pub fn can_be_entered(&self) -> bool {
        match self.role {
            Role::Host | Role::Seat => self.is_made() && !self.down,
            Role::Teacher | Role::Student => self.progress.is_some_and(|p| p.ip.is_some()),
        }
    }

    /// Whether a `/` filter finds it.
    pub fn matches(&self, text: &str) -> bool {
        let told = self.progress.map(|progress| {
            let node = self.node.map(ToString::to_string);
            let (vmid, ip) = (progress.vmid.map(|vmid| vmid.to_string()), progress.ip.map(|ip| ip.to_string()));
            [node, vmid, ip].map(Option::unwrap_or_default)
        });
        let [node, vmid, ip] = told.unwrap_or_default();
        let reason = self.reason.as_ref().map_or("", |reason| reason.as_str());
        fuzzy::narrows(text, &[self.seat.as_str()], &[self.word(), reason, &node, &vmid, &ip])
    }
}
