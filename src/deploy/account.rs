//! What a run's steps add up to: for each seat, and for the run as a whole. The same for every catalogue.
//!
//! It writes only what the plan and the ends of steps say; what a seat's end means on its site is the
//! catalogue's to judge.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{
    Recorder,
    recorder::{Entry, JournalLost},
    schedule::{Ended, Halt},
};
use crate::domain::{
    Change, Clean, Level, MachineState, Plan, Role, SeatName,
    event::RunState,
    plan::{SeatPlan, Verb},
};

/// Writes down which seats take part and what is before them.
pub async fn announce(plan: &Plan, recorder: &Recorder) -> Result<(), JournalLost> {
    // What a deploy or a destroy has to say was said before somebody said yes.
    let shown_before = plan.kind.makes() || plan.kind.removes();
    if !shown_before {
        for note in &plan.notes {
            recorder.write(Entry::run(Level::Warning, note, Change::Note)).await?;
        }
    }
    if shown_before {
        for line in left_alone(plan) {
            recorder.write(Entry::run(Level::Warning, line, Change::Note)).await?;
        }
    }
    for seat in plan.seats.iter().filter(|seat| seat.verb.acts()) {
        let change = Change::SeatPlanned { role: seat.role, site: plan.site.clone(), steps: seat.steps.clone() };
        let words = format!("{}: {}", seat.word(), seat.reason());
        recorder.write(Entry::seat(&seat.seat, Level::Debug, words, change)).await?;
        if seat.verb == Verb::Remove && seat.steps.is_empty() {
            // Nothing of it is left on the site.
            recorder.write(Entry::seat(&seat.seat, Level::Info, &seat.why, Change::SeatGone)).await?;
        }
    }
    Ok(())
}

/// Why machines are left alone that the run was asked for: it will not be called done, and whoever reads its lines may
/// not have seen the plan. What the plan's notes say of one says more than its reason.
fn left_alone(plan: &Plan) -> Vec<String> {
    let left = plan.seats.iter().filter(|seat| seat.verb == Verb::Leave);
    left.map(|seat| {
        let number = seat.vmid.map(|vmid| vmid.to_string());
        let of_it = |note: &&String| {
            let mut words = note.split(|c: char| !c.is_ascii_alphanumeric());
            number.as_ref().is_some_and(|number| words.any(|word| word == number))
        };
        match plan.notes.iter().find(of_it) {
            Some(note) => format!("{} is left alone: {note}", seat.seat),
            None => format!("{} is {}", seat.seat, seat.why),
        }
    })
    .collect()
}

/// What a run is called that was asked to stop.
fn stopped(halt: &Halt) -> Option<RunState> {
    match (halt.given_up.is_cancelled(), halt.stop.is_cancelled()) {
        (true, _) => Some(RunState::Cancelled),
        (false, true) => Some(RunState::Interrupted),
        (false, false) => None,
    }
}

/// Whether another process goes on with the run; then it is said, and no end is written.
async fn is_handed_over(halt: &Halt, ends: &[Ended], recorder: &Recorder) -> Result<bool, JournalLost> {
    let left = halt.leave.is_cancelled() && !halt.given_up.is_cancelled() && ends.contains(&Ended::Interrupted);
    if left {
        let words = "this process hands the run over; another goes on with it";
        recorder.write(Entry::run(Level::Info, words, Change::Note)).await?;
    }
    Ok(left)
}

/// Writes the end of a run down, and says what it is.
pub async fn close(plan: &Plan, ends: &[Ended], recorder: &Recorder, halt: &Halt) -> Result<RunState, JournalLost> {
    if let Some(lost) = recorder.lost() {
        // It may take a line again: then others need not wonder.
        let words = format!("{lost}; after that `homeroom resume {}` goes on", plan.lab);
        let ended = Change::RunEnded { state: RunState::Interrupted };
        recorder.write(Entry::run(Level::Error, words, ended)).await?;
        return Err(lost);
    }
    if is_handed_over(halt, ends, recorder).await? {
        return Ok(RunState::Running);
    }
    let state = run_state(plan, ends, recorder, stopped(halt));
    let (level, words) = closing_words(plan, recorder, state);
    recorder.write(Entry::run(level, words, Change::RunEnded { state })).await?;
    Ok(state)
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

/// What the run came to, in a line.
fn closing_words(plan: &Plan, recorder: &Recorder, state: RunState) -> (Level, String) {
    let progress = recorder.progress();
    let of = |wanted: MachineState| {
        // Those it worked on: as many as its summary counts.
        let taking_part = plan.seats.iter().filter(|s| s.verb.acts());
        taking_part.filter(|s| progress.seat(&s.seat).is_some_and(|row| row.state == wanted)).count()
    };
    // Where nothing of ours was there any more, the seat is forgotten and nothing was removed.
    let gone = |with_machine: bool| {
        let of_kind = plan.seats.iter().filter(|s| s.verb == Verb::Remove && (s.word() == "remove") == with_machine);
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
        (RunState::Interrupted, true) => (Level::Warning, format!("stopped on request; {}", plan.kind.goes_on())),
        (RunState::Interrupted, false) => {
            (Level::Warning, format!("stopped on request, {words} so far; {}", plan.kind.goes_on()))
        }
        (RunState::Cancelled, true) => (Level::Warning, format!("cancelled; {}", plan.kind.anew())),
        (RunState::Cancelled, false) => (Level::Warning, format!("cancelled, {words} so far; {}", plan.kind.anew())),
        (_, true) => (Level::Error, "ended early".to_owned()),
        (_, false) => (Level::Error, words),
    }
}

/// Counts a seat's steps down and says what the seat has come to when the last has ended.
pub struct Tally {
    /// When the run began, on the modelled clock.
    began: Duration,
    seats: Mutex<HashMap<SeatName, Open>>,
}

struct Open {
    plan: SeatPlan,
    left: usize,
    failed: Option<Clean>,
    /// Some step was not begun because of another row's.
    blocked: bool,
    interrupted: bool,
}

impl Tally {
    /// `subjects` names the seat of each step of the graph.
    pub fn new(plan: &Plan, subjects: &[Option<SeatName>], began: Duration) -> Self {
        let seats = plan.seats.iter().map(|seat| {
            let left = subjects.iter().flatten().filter(|name| **name == seat.seat).count();
            (seat.seat.clone(), Open { plan: seat.clone(), left, failed: None, blocked: false, interrupted: false })
        });
        Self { began, seats: Mutex::new(seats.collect()) }
    }

    /// Takes in the end of one step; the seat's own end if it was the last.
    pub fn ended(&self, seat: &SeatName, ended: Ended, now: Duration) -> Option<Entry> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let failed_first = seats.iter().find(|(_, open)| open.plan.role == Role::Host && open.failed.is_some());
        let failed_first = failed_first.map(|(name, _)| name.clone());
        let open = seats.get_mut(seat)?;
        open.left = open.left.saturating_sub(1);
        match ended {
            Ended::Well => {}
            Ended::Blocked => open.blocked = true,
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
            // Nothing was seen of it, so it is neither ready nor gone.
            None if open.blocked => {
                let (level, words) = match failed_first {
                    // Its own line has said why, once for all that wait for it.
                    Some(other) => (Level::Debug, format!("not begun: {other} failed, and comes first")),
                    None => (Level::Warning, "not begun: a step it waits for failed".to_owned()),
                };
                Entry::seat(seat, level, words, Change::SeatFailed)
            }
            None if open.plan.verb == Verb::Remove && !open.plan.stays() => {
                Entry::seat(seat, Level::Success, "removed", Change::SeatGone)
            }
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
