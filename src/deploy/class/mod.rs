//! The catalogue of steps for a class, and how a plan becomes a graph of them.
//!
//! One file per step. A seat's steps share a `Seat`; all seats share a `Site`.

mod address;
mod agent;
mod boots;
mod clone;
mod configure;
mod dead;
mod destroy;
mod exec;
mod graph;
mod identities;
mod pool;
mod power;
mod questions;
mod report;
mod reserve;
mod resize;
mod seat;
mod signs;
mod site;
mod ssh;
mod verify;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

pub use site::{Logins, Site, SiteParts};

use self::{graph::build, identities::Told, seat::Seat};
use super::{
    Recorder,
    recorder::{Entry, JournalLost},
    schedule::{Ended, Shared, carry_out},
};
use crate::domain::{
    Change, Clean, Level, MachineState, NodeName, Plan, SeatName, StepName, Vmid,
    event::{RunKind, RunState},
    plan::{SeatPlan, Verb},
};

/// Carries out a plan for a class and says how the run ended. Everything on the way is in the journal.
///
/// `stop` winds it down: effects in flight are finished, nothing new is begun, and the next deploy goes on. Where
/// `given_up` says so too, the run is over for good.
///
/// # Errors
/// When the journal cannot be written: nothing more is done then.
pub async fn carry_out_plan(
    plan: &Plan,
    site: Arc<Site>,
    recorder: Recorder,
    stop: CancellationToken,
    given_up: CancellationToken,
) -> Result<RunState, JournalLost> {
    let before = recorder.progress();
    announce(plan, &recorder).await?;
    if plan.kind == RunKind::Check {
        for seat in plan.seats.iter().filter(|seat| seat.verb == Verb::Leave) {
            if is_off(&site, &seat.node, seat.vmid).await {
                recorder.write(found_off(&seat.seat)).await?;
            }
        }
    }
    let seats: Vec<Arc<Seat>> =
        plan.seats.iter().map(|seat| Arc::new(Seat::new(seat.clone(), before.seat(&seat.seat)))).collect();
    // Machines that stand and are left alone must not be doubled either. Their addresses are not held against
    // anybody: a lease may have passed on.
    for row in
        recorder.progress().seats.iter().filter(|row| row.state == MachineState::Ready && !row.host_keys.is_empty())
    {
        site.identities.tell(&row.seat, Told::HostKeys(row.host_keys.clone()));
    }
    if plan.seats.iter().any(|seat| seat.steps.contains(&StepName::Start)) {
        site.size_boots().await;
    }
    let (graph, subjects) = build(plan, &site, &seats);
    let shared = Shared {
        recorder: recorder.clone(),
        clock: site.clock.clone(),
        limits: site.limits.clone(),
        stop: stop.clone(),
    };
    let tally = Arc::new(Tally::new(plan, &subjects, site.clock.monotonic()));
    let (writer, worked_on, kind) = (recorder.clone(), site.clone(), plan.kind);
    let homes: HashMap<SeatName, Arc<Seat>> = seats.iter().map(|seat| (seat.name().clone(), seat.clone())).collect();
    let ends = carry_out(graph, shared, move |index, ended| {
        let (tally, writer, site) = (tally.clone(), writer.clone(), worked_on.clone());
        let seat = subjects.get(index).and_then(|name| homes.get(name.as_ref()?)).cloned();
        async move {
            if let Some(seat) = seat
                && let Some(entry) = tally.ended(seat.name(), ended, site.clock.monotonic())
                && let Err(lost) = write_end(&writer, &site, &seat, kind, entry).await
            {
                tracing::error!(%lost, "the end of a seat is not written down");
            }
        }
    })
    .await;
    if let Some(lost) = recorder.lost() {
        // It may take a line again: then others need not wonder.
        let words = format!("{lost}; deploy again to go on");
        let ended = Change::RunEnded { state: RunState::Interrupted };
        recorder.write(Entry::run(Level::Error, words, ended)).await?;
        return Err(lost);
    }
    let stopped = stop.is_cancelled().then_some(match given_up.is_cancelled() {
        true => RunState::Cancelled,
        false => RunState::Interrupted,
    });
    let state = run_state(plan, &ends, &recorder, stopped);
    let (level, words) = closing_words(plan, &recorder, state);
    recorder.write(Entry::run(level, words, Change::RunEnded { state })).await?;
    Ok(state)
}

/// Writes a seat's end down. One that another was found to share something with is not ready, whichever of
/// the two was found out first; one whose roll call found it off is stopped, not failed.
async fn write_end(
    recorder: &Recorder,
    site: &Site,
    seat: &Seat,
    kind: RunKind,
    entry: Entry,
) -> Result<(), JournalLost> {
    let facts = seat.facts();
    match entry.change {
        Change::SeatFailed if kind == RunKind::Check && is_off(site, &facts.node, facts.vmid).await => {
            recorder.write(found_off(seat.name())).await
        }
        Change::SeatReady => {
            if site.identities.shared(seat.name()).is_none() {
                recorder.write(entry).await?;
            }
            match site.identities.shared(seat.name()) {
                Some(words) => {
                    recorder.write(Entry::seat(seat.name(), Level::Error, words.as_str(), Change::SeatFailed)).await
                }
                None => Ok(()),
            }
        }
        _ => recorder.write(entry).await,
    }
}

/// Whether the machine's node says now that it is off. Without an answer nothing is claimed.
async fn is_off(site: &Site, node: &NodeName, vmid: Vmid) -> bool {
    site.cluster.status(node, vmid).await.is_ok_and(|status| !status.running)
}

fn found_off(seat: &SeatName) -> Entry {
    Entry::seat(seat, Level::Warning, "was off when its roll call was due; deploy starts it", Change::SeatStopped)
}

/// Writes down which seats take part and what is before them.
async fn announce(plan: &Plan, recorder: &Recorder) -> Result<(), JournalLost> {
    for seat in plan.seats.iter().filter(|seat| seat.verb.acts()) {
        let change = Change::SeatPlanned { role: seat.role, site: plan.site.clone(), steps: seat.steps.clone() };
        let words = format!("{}: {}", seat.verb.as_str(), seat.why);
        recorder.write(Entry::seat(&seat.seat, Level::Debug, words, change)).await?;
        if seat.verb == Verb::Remove && seat.steps.is_empty() {
            // Nothing of it is left on the site.
            recorder.write(Entry::seat(&seat.seat, Level::Info, &seat.why, Change::SeatGone)).await?;
        }
    }
    Ok(())
}

/// How the run as a whole ended; `stopped`: what it is called where it was kept from its end.
fn run_state(plan: &Plan, ends: &[Ended], recorder: &Recorder, stopped: Option<RunState>) -> RunState {
    let progress = recorder.progress();
    let a_seat_failed =
        plan.seats.iter().any(|seat| progress.seat(&seat.seat).is_some_and(|row| row.state == MachineState::Failed));
    if let Some(stopped) = stopped.filter(|_| ends.contains(&Ended::Interrupted)) {
        stopped
    } else if a_seat_failed || plan.count(Verb::Leave) > 0 || ends.iter().any(|end| *end != Ended::Well) {
        RunState::Failed
    } else {
        RunState::Done
    }
}

fn closing_words(plan: &Plan, recorder: &Recorder, state: RunState) -> (Level, String) {
    let progress = recorder.progress();
    let of = |wanted: MachineState| {
        let taking_part = plan.seats.iter().filter(|s| s.verb != Verb::Leave);
        taking_part.filter(|s| progress.seat(&s.seat).is_some_and(|row| row.state == wanted)).count()
    };
    // Where nothing of ours was there any more, the seat is forgotten and nothing was removed.
    let gone = |with_machine: bool| {
        let of_kind = plan.seats.iter().filter(|s| s.verb == Verb::Remove && s.steps.is_empty() != with_machine);
        of_kind.filter(|s| progress.seat(&s.seat).is_none()).count()
    };
    let (removed, forgotten) = (gone(true), gone(false));
    let mut parts = Vec::new();
    for (count, what) in [
        (of(MachineState::Ready), "ready"),
        (of(MachineState::Stopped), "stopped"),
        (removed, "removed"),
        (forgotten, "forgotten"),
        (of(MachineState::Failed), "failed"),
        (plan.count(Verb::Leave), "left alone"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    let words = parts.join(", ");
    match (state, words.is_empty()) {
        (RunState::Done, true) => (Level::Success, "done".to_owned()),
        (RunState::Done, false) => (Level::Success, words),
        (RunState::Interrupted, true) => (Level::Warning, "stopped on request; the next deploy goes on".to_owned()),
        (RunState::Interrupted, false) => {
            (Level::Warning, format!("stopped on request, {words} so far; the next deploy goes on"))
        }
        (RunState::Cancelled, true) => (Level::Warning, "cancelled; the next deploy plans anew".to_owned()),
        (RunState::Cancelled, false) => {
            (Level::Warning, format!("cancelled, {words} so far; the next deploy plans anew"))
        }
        (_, true) => (Level::Error, "ended early".to_owned()),
        (_, false) => (Level::Error, words),
    }
}

/// Counts a seat's steps down and says what the seat has come to when the last has ended.
struct Tally {
    /// When the run began, on the modelled clock.
    began: Duration,
    seats: Mutex<HashMap<SeatName, Open>>,
}

struct Open {
    plan: SeatPlan,
    left: usize,
    failed: Option<Clean>,
    interrupted: bool,
}

impl Tally {
    fn new(plan: &Plan, subjects: &[Option<SeatName>], began: Duration) -> Self {
        let seats = plan.seats.iter().map(|seat| {
            let left = subjects.iter().flatten().filter(|name| **name == seat.seat).count();
            (seat.seat.clone(), Open { plan: seat.clone(), left, failed: None, interrupted: false })
        });
        Self { began, seats: Mutex::new(seats.collect()) }
    }

    /// Takes in the end of one step; the seat's own end if it was the last.
    fn ended(&self, seat: &SeatName, ended: Ended, now: Duration) -> Option<Entry> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let open = seats.get_mut(seat)?;
        open.left = open.left.saturating_sub(1);
        match ended {
            Ended::Well | Ended::Blocked => {}
            Ended::Failed(words) => {
                open.failed.get_or_insert(words);
            }
            Ended::Interrupted => open.interrupted = true,
        }
        if open.left > 0 || open.interrupted {
            return None;
        }
        Some(match &open.failed {
            // The step's own line has said it aloud.
            Some(words) => Entry::seat(seat, Level::Debug, words.as_str(), Change::SeatFailed),
            None if open.plan.verb == Verb::Remove => Entry::seat(seat, Level::Success, "removed", Change::SeatGone),
            None if open.plan.verb == Verb::Halt => {
                Entry::seat(seat, Level::Info, "shut down, as asked", Change::SeatStopped)
            }
            None if open.plan.steps.iter().any(|step| step.is_proof()) => {
                let took = now.saturating_sub(self.began).as_secs_f64();
                Entry::seat(seat, Level::Success, format!("ready in {took:.1} s"), Change::SeatReady)
            }
            None => {
                Entry::seat(seat, Level::Info, "started; the roll call is off, so nothing is proven", Change::SeatStale)
            }
        })
    }
}
