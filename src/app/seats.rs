//! Seats as the screens show them: what the events say, corrected by what was seen of the site since.

use std::time::Duration;

use jiff::Timestamp;

use super::sites::Site;
use crate::domain::{Clean, MachineState, Role, SeatName, progress::SeatProgress, readiness::current_state};

/// One seat of a lab.
#[derive(Debug)]
pub struct SeatRow<'a> {
    pub seat: SeatName,
    pub role: Role,
    /// Absent while it stands in the definition only.
    pub progress: Option<&'a SeatProgress>,
    pub state: MachineState,
    pub reason: Option<Clean>,
}

impl<'a> SeatRow<'a> {
    /// A seat nobody has made yet.
    pub fn planned(seat: SeatName, role: Role) -> Self {
        Self { seat, role, progress: None, state: MachineState::Planned, reason: None }
    }

    /// A seat with a history, held against the latest look at its site. `alive`: a run works on its lab.
    pub fn known(
        progress: &'a SeatProgress,
        site: Option<&Site>,
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
            known => known,
        };
        Self { seat: progress.seat.clone(), role: progress.role, progress: Some(progress), state, reason }
    }

    /// Whether a `/` filter (lower-case) finds it.
    pub fn matches(&self, text: &str) -> bool {
        let progress = self.progress;
        self.seat.as_str().contains(text)
            || self.state.as_str().contains(text)
            || self.reason.as_ref().is_some_and(|reason| reason.as_str().to_lowercase().contains(text))
            || progress.is_some_and(|p| p.node.as_ref().is_some_and(|node| node.as_str().contains(text)))
            || progress.is_some_and(|p| p.vmid.is_some_and(|vmid| vmid.to_string().contains(text)))
            || progress.is_some_and(|p| p.ip.is_some_and(|ip| ip.to_string().contains(text)))
    }
}
