//! One machine: what the journal says of it, held against a look at its site.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{
    Cut, Hand, Look, Stand,
    hand::{is_being_removed, is_in_hand},
};
use crate::domain::{Clean, MachineState, StepName, StepState, cluster::Power, progress::SeatProgress};

/// How old a guest's power and uptime may be within one look: Proxmox broadcasts every 10 s and caches twice.
const BROADCAST: Duration = Duration::from_secs(15);
/// The same, for a machine whose roll call already outlived most of it.
const AFTER_ROLL_CALL: Duration = Duration::from_secs(5);
/// Clocks of nodes and of this host differ; an uptime shorter by less than this is no restart.
const CLOCKS: Duration = Duration::from_secs(30);

/// How a machine stands now, and why. `look` is `None` while nobody has seen the site; `hand`: which run has its lab,
/// and whether it lives.
pub fn current_state(
    row: &SeatProgress,
    look: Option<Look<'_>>,
    hand: Hand<'_>,
    now: Timestamp,
    max_age: Duration,
) -> Stand {
    let stored = match is_in_hand(row) && !hand.holds(row) {
        true => without_run(row, hand),
        false => Stand::new(row.state, row.reason.clone()),
    };
    if matches!(stored.state, MachineState::Planned | MachineState::Working) {
        return stored;
    }
    // A look from before the last thing that happened to the seat says nothing about it.
    let look = look.filter(|look| row.last_change() < Some(look.at));
    if let Some((state, reason)) = look.and_then(|look| contradiction(row, stored.state, look)) {
        // What failed stays failed with its own reason, unless the machine is out of sight.
        let hidden = matches!(state, MachineState::Unknown | MachineState::Gone);
        // What was to be removed and is gone is what was asked for.
        let removed = state == MachineState::Gone && stored.cut.is_some() && is_being_removed(row);
        if stored.state == MachineState::Failed && (removed || !(hidden && was_made(row))) {
            return stored;
        }
        return Stand::so(state, reason);
    }
    match stored.state {
        MachineState::Ready => match row.proven_at {
            Some(proven) if elapsed(proven, now) > max_age => {
                let (age, limit) = (hours(elapsed(proven, now)), hours(max_age));
                Stand::so(MachineState::Stale, format!("proven {age} ago, a proof counts for {limit}"))
            }
            _ => Stand::new(MachineState::Ready, look.and_then(|look| renamed(row, look)).map(Clean::new)),
        },
        // It was off, and runs again: whoever started it, its roll call is due. What was broadcast before
        // it went off still says that it runs.
        MachineState::Stopped
            if look.is_some_and(|look| {
                let settled = row.last_change().is_none_or(|at| elapsed(at, look.at) > BROADCAST);
                settled && look.guest.is_some_and(|guest| guest.power == Power::Running)
            }) =>
        {
            Stand::so(MachineState::Stale, "started again, not proven since")
        }
        _ => stored,
    }
}

/// A machine that a run had in hand when it ended, with or without a word.
fn without_run(row: &SeatProgress, hand: Hand<'_>) -> Stand {
    let (what, cut) = (hand.what(row), hand.cut_of(row));
    let at = row.current().map(|step| format!(" at {}", step.step)).unwrap_or_default();
    let told = format!("{what} {}{at}", cut.as_str());
    let failed = |next: &str| {
        let next = match cut {
            Cut::Interrupted => format!("{next} goes on from there"),
            Cut::Cancelled => format!("the next {next} plans anew"),
        };
        Stand { cut: Some(cut), ..Stand::so(MachineState::Failed, format!("{told}; {next}")) }
    };
    if row.state == MachineState::Working && is_being_removed(row) {
        failed("destroy")
    } else if row.proven_at.is_some() {
        Stand::so(MachineState::Stale, told)
    } else if row.state == MachineState::Working || was_made(row) {
        failed("deploy")
    } else {
        Stand::new(row.state, row.reason.clone())
    }
}

/// What a look says against a machine that was once made.
fn contradiction(row: &SeatProgress, state: MachineState, look: Look<'_>) -> Option<(MachineState, String)> {
    let node = look.node(row).map_or_else(|| "its node".to_owned(), ToString::to_string);
    if !look.node_online {
        let since = look.offline_since.map(|at| format!(" since {}", at.strftime("%H:%M UTC"))).unwrap_or_default();
        return Some((MachineState::Unknown, format!("{node} offline{since}")));
    }
    let vmid = row.vmid?;
    let Some(guest) = look.guest else {
        return Some((MachineState::Gone, format!("no longer on the site (VMID {vmid} on {node})")));
    };
    if guest.lock.as_ref().is_some_and(|lock| lock.as_str() == "destroyed") {
        let words = match row.removal.as_ref().filter(|removal| removal.vmid == vmid) {
            Some(_) => format!("its removal was begun and is not through (VMID {vmid} on {node})"),
            None => format!("half removed by somebody else, its disks are gone (VMID {vmid} on {node})"),
        };
        return Some((MachineState::Failed, words));
    }
    if let Some(name) = look.other_name(row).filter(|_| look.ours != Some(true)) {
        match look.ours {
            Some(_) => return Some((MachineState::Gone, format!("VMID {vmid} is another machine now ({name})"))),
            None if guest.is_tagged() => {}
            None => {
                let words = format!("VMID {vmid} is called {name} now, without our tag: renamed, or another machine");
                return Some((MachineState::Unknown, words));
            }
        }
    }
    let proven = row.proven_at?;
    // The broadcast may still show the time before the machine was started.
    let fresh = |slack: Duration| elapsed(proven, look.at) <= slack;
    let lag =
        if row.step(StepName::Agent).is_some_and(|s| s.state == StepState::Ok) { AFTER_ROLL_CALL } else { BROADCAST };
    match guest.power {
        // What was shut down as asked says so itself.
        Power::Stopped if !fresh(lag) && state != MachineState::Stopped => {
            return Some((MachineState::Stopped, format!("stopped since its roll call at {}", clock(proven))));
        }
        Power::Unknown if !fresh(BROADCAST + BROADCAST) => {
            return Some((MachineState::Stale, format!("{node} sends no data about it")));
        }
        _ => {}
    }
    if state != MachineState::Ready {
        return None;
    }
    if row.node.as_ref().is_some_and(|home| *home != guest.node) {
        let home = row.node.as_ref().map(ToString::to_string).unwrap_or_default();
        return Some((MachineState::Stale, format!("moved from {home} to {node} since its roll call")));
    }
    let up = Duration::from_secs(guest.uptime);
    if guest.power == Power::Running && up + CLOCKS + BROADCAST < elapsed(proven, look.at) {
        return Some((MachineState::Stale, format!("restarted since its roll call at {}", clock(proven))));
    }
    None
}

/// That a machine of ours was given another name, and what gives it back.
fn renamed(row: &SeatProgress, look: Look<'_>) -> Option<String> {
    let name = look.other_name(row)?;
    Some(format!("renamed by someone else: it is called {name} on the site; deploy --fix-drift names it back"))
}

/// Whether the machine stood on the site at some time.
pub(in crate::domain) fn was_made(row: &SeatProgress) -> bool {
    let made = |step: StepName| row.step(step).is_some_and(|step| step.state == StepState::Ok);
    row.proven_at.is_some() || made(StepName::Clone) || made(StepName::Create) || made(StepName::Network)
}

/// Whether its settings were written at some time.
pub(in crate::domain) fn was_configured(row: &SeatProgress) -> bool {
    row.proven_at.is_some() || row.step(StepName::Configure).is_some_and(|step| step.state == StepState::Ok)
}

/// Time from `from` to `to`, nothing if it lies the other way round.
fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from).max(SignedDuration::ZERO)).unwrap_or_default()
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M UTC").to_string()
}

/// `13 h`, `45 min`.
fn hours(age: Duration) -> String {
    match age.as_secs() {
        s if s >= 3600 && (s % 3600 == 0 || s >= 10 * 3600) => format!("{} h", s / 3600),
        s if s >= 3600 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        s if s >= 60 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}
