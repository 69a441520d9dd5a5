//! Seats as the screens show them: what the events say, corrected by what was seen of the site since.

use jiff::{SignedDuration, Timestamp};

use super::sites::Site;
use crate::domain::{
    Clean, MachineState, Role, SeatName,
    cluster::{ClusterView, GuestView, Power},
    progress::SeatProgress,
};

/// Proxmox refreshes what it knows of a guest every ten seconds: a look no younger than this says nothing yet.
const SETTLED: SignedDuration = SignedDuration::from_secs(20);

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

    /// A seat with a history.
    pub fn known(progress: &'a SeatProgress, site: Option<&Site>) -> Self {
        let (state, reason) = site
            .and_then(|site| contradiction(progress, site))
            .unwrap_or_else(|| (progress.state, progress.reason.clone()));
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

/// What a look at the site says against a ready seat, if it does.
fn contradiction(seat: &SeatProgress, site: &Site) -> Option<(MachineState, Option<Clean>)> {
    let node = seat.node.as_ref()?;
    if matches!(seat.state, MachineState::Ready | MachineState::Stale) && site.is_offline(node) {
        return Some((MachineState::Unknown, Some(Clean::from(format!("{node} is offline; nothing is known")))));
    }
    let (MachineState::Ready, Some(view), Some(proven)) = (seat.state, site.view.as_deref(), seat.proven_at) else {
        return None;
    };
    let stale = |why: String| Some((MachineState::Stale, Some(Clean::from(why))));
    match guest(seat, view) {
        _ if view.at < later(proven) => None,
        None => stale("no longer listed by the site since it was proven".into()),
        Some(guest) if guest.power == Power::Stopped => stale("stopped since it was proven".into()),
        Some(guest) if &guest.node != node => stale(format!("moved to {} since it was proven", guest.node)),
        Some(guest) if guest.power == Power::Running && started(guest, view.at) > later(proven) => {
            stale("started anew since it was proven".into())
        }
        Some(_) => None,
    }
}

fn later(at: Timestamp) -> Timestamp {
    at.checked_add(SETTLED).unwrap_or(at)
}

/// When a running guest was started, as far as its uptime tells.
fn started(guest: &GuestView, seen: Timestamp) -> Timestamp {
    let uptime = SignedDuration::from_secs(i64::try_from(guest.uptime).unwrap_or(i64::MAX));
    seen.checked_sub(uptime).unwrap_or(Timestamp::MIN)
}

/// The seat's guest in a look.
pub fn guest<'a>(seat: &SeatProgress, view: &'a ClusterView) -> Option<&'a GuestView> {
    view.guest(seat.vmid?)
}
