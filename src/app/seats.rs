//! Seats as the screens show them: what the events say, corrected by what was seen of the site since.

use jiff::{SignedDuration, Timestamp};

use super::{fuzzy, sites::Site, state::Settings};
use crate::domain::{
    Clean, MachineState, NodeName, Role, SeatName, StepName, StepState,
    progress::SeatProgress,
    readiness::{Cut, Hand, Stand, ago, current_state, seen_on},
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
    /// The run that had it in hand did not come to its end. Its state is `Failed`.
    pub cut: Option<Cut>,
    /// It has its part in a run and nobody works on it yet: places are taken.
    pub queued: bool,
    /// Its container was seen not to run.
    pub down: bool,
}

/// Between two steps of a seat there is a moment without any; only what lasts is called waiting.
const BETWEEN_STEPS: SignedDuration = SignedDuration::from_millis(1_500);

/// A reason without what was tried, but for the step that failed.
pub fn cause(row: &SeatProgress, reason: &str) -> String {
    let failed = row.steps.iter().find(|step| step.state == StepState::Failed);
    let shorter = failed.and_then(|step| {
        let (tried, cause) = reason.split_once(": ")?;
        (tried.split(' ').next() == Some(step.step.as_str())).then(|| format!("{}: {cause}", step.step))
    });
    shorter.unwrap_or_else(|| reason.to_owned())
}

/// Whether it was ready once, or was shut down by us.
fn has_worked(row: &SeatProgress) -> bool {
    row.proven_at.is_some() || row.step(StepName::Stop).is_some_and(|step| step.state == StepState::Ok)
}

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
            cut: None,
            queued: false,
            down: false,
        }
    }

    /// A seat with a history, held against the latest look at its site. `hand`: which run has its lab.
    pub fn known(
        progress: &'a SeatProgress,
        site: Option<&'a Site>,
        hand: Hand<'_>,
        now: Timestamp,
        settings: &Settings,
    ) -> Self {
        let silent = site.and_then(|site| site.silent_for(now, settings.idle));
        // What nobody has been able to look at for a while says nothing any more.
        let look = site.filter(|_| silent.is_none()).and_then(|site| site.look(progress));
        let stand = current_state(progress, look, hand, now, settings.proof_max_age);
        let stand = match (site, silent) {
            (Some(_), Some(age)) => stand.unseen(format!("not seen for {}: its site does not answer", ago(age))),
            (Some(site), None) if site.view.is_none() => stand.unseen("its site has not been seen yet"),
            (Some(_), None) => stand,
            (None, _) => stand.unseen("its site is not in the configuration"),
        };
        let node = seen_on(progress, site.and_then(|site| site.look(progress)), stand.state);
        Self { node, ..Self::standing_so(progress, stand, hand, now) }
    }

    /// A seat with a history that stands like this. `hand`: which run has its lab.
    pub fn standing_so(progress: &'a SeatProgress, stand: Stand, hand: Hand<'_>, now: Timestamp) -> Self {
        let Stand { state, reason, cut } = stand;
        let in_hand = matches!(progress.state, MachineState::Planned | MachineState::Working) && hand.holds(progress);
        let idle = !progress.steps.iter().any(|step| step.state == StepState::Running || step.again.is_some());
        let lately = |at| now.duration_since(at) < BETWEEN_STEPS;
        let queued =
            in_hand && idle && (progress.state == MachineState::Planned || !progress.last_change().is_some_and(lately));
        Self {
            seat: progress.seat.clone(),
            role: progress.role,
            progress: Some(progress),
            state,
            reason,
            node: progress.node.as_ref(),
            cut,
            queued,
            down: false,
        }
    }

    /// How it stands.
    pub fn stand(&self) -> Stand {
        Stand { state: self.state, reason: self.reason.clone(), cut: self.cut }
    }

    /// The same in a word.
    pub fn word(&self) -> &'static str {
        self.stand().word()
    }

    /// Off, and neither shut down as asked nor told of since: a look alone shows it. Or it was never ready: that a roll
    /// call found it off is no more than it failed before.
    pub fn went_off(&self) -> bool {
        let by_itself = |known: &SeatProgress| known.state != self.state || !has_worked(known);
        self.state == MachineState::Stopped && self.progress.is_some_and(by_itself)
    }

    /// Its reason where there is little room: of what was tried only the step, then what came back.
    pub fn cause(&self) -> Option<String> {
        let reason = self.reason.as_ref()?.as_str();
        Some(self.progress.map_or_else(|| reason.to_owned(), |row| cause(row, reason)))
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
