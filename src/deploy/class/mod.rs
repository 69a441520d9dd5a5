//! The catalogue of steps for a class, and how a plan becomes a graph of them.
//!
//! One file per step. A seat's steps share a `Seat`; all seats share a `Site`.

mod address;
mod agent;
mod boots;
mod clone;
mod configure;
mod destroy;
mod exec;
mod graph;
mod pool;
mod power;
mod report;
mod reserve;
mod resize;
mod seat;
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

use self::{graph::build, seat::Seat};
use super::{
    Recorder,
    recorder::{Entry, JournalLost},
    schedule::{Ended, Shared, carry_out},
};
use crate::domain::{
    Change, Clean, Level, MachineState, Plan, SeatName,
    event::RunState,
    plan::{SeatPlan, Verb},
};

/// Carries out a plan for a class and says how the run ended. Everything on the way is in the journal.
///
/// `stop` winds it down: effects in flight are finished, nothing new is begun, and the next deploy goes on.
///
/// # Errors
/// When the journal cannot be written: nothing more is done then.
pub async fn carry_out_plan(
    plan: &Plan,
    site: Arc<Site>,
    recorder: Recorder,
    stop: CancellationToken,
) -> Result<RunState, JournalLost> {
    announce(plan, &recorder).await?;
    let known = recorder.progress();
    let seats: Vec<Arc<Seat>> = plan
        .seats
        .iter()
        .map(|seat| {
            let row = known.seat(&seat.seat);
            let ip = row.and_then(|row| row.ip);
            Arc::new(Seat::new(seat.clone(), ip, row.map(|row| row.host_keys.clone()).unwrap_or_default()))
        })
        .collect();
    let (graph, subjects) = build(plan, &site, &seats);
    let shared = Shared {
        recorder: recorder.clone(),
        clock: site.clock.clone(),
        limits: site.limits.clone(),
        stop: stop.clone(),
    };
    let tally = Arc::new(Tally::new(plan, &subjects, site.clock.monotonic()));
    let (writer, clock) = (recorder.clone(), site.clock.clone());
    let ends = carry_out(graph, shared, move |index, ended| {
        let (tally, writer, now) = (tally.clone(), writer.clone(), clock.monotonic());
        let seat = subjects.get(index).cloned().flatten();
        async move {
            if let Some(seat) = seat
                && let Some(entry) = tally.ended(&seat, ended, now)
                && let Err(lost) = writer.write(entry).await
            {
                tracing::error!(%lost, "the end of a seat is not written down");
            }
        }
    })
    .await;
    let state = run_state(plan, &ends, &recorder, stop.is_cancelled());
    let (level, words) = closing_words(plan, &recorder, state);
    recorder.write(Entry::run(level, words, Change::RunEnded { state })).await?;
    Ok(state)
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

/// How the run as a whole ended.
fn run_state(plan: &Plan, ends: &[Ended], recorder: &Recorder, stopped: bool) -> RunState {
    let progress = recorder.progress();
    let a_seat_failed =
        plan.seats.iter().any(|seat| progress.seat(&seat.seat).is_some_and(|row| row.state == MachineState::Failed));
    if ends.iter().any(|end| *end == Ended::Interrupted) && stopped {
        RunState::Interrupted
    } else if a_seat_failed || ends.iter().any(|end| *end != Ended::Well) {
        RunState::Failed
    } else {
        RunState::Done
    }
}

fn closing_words(plan: &Plan, recorder: &Recorder, state: RunState) -> (Level, String) {
    let progress = recorder.progress();
    let of = |wanted: MachineState| {
        plan.seats.iter().filter(|s| progress.seat(&s.seat).is_some_and(|row| row.state == wanted)).count()
    };
    let removed = plan.seats.iter().filter(|s| s.verb == Verb::Remove && progress.seat(&s.seat).is_none()).count();
    let mut parts = Vec::new();
    for (count, what) in [
        (of(MachineState::Ready), "ready"),
        (of(MachineState::Stopped), "stopped"),
        (removed, "removed"),
        (of(MachineState::Failed), "failed"),
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
