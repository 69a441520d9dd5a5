//! Runs after they were begun: how one stands, giving one up, going on with one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Homeroom, ServiceError,
    deploy::{Outcome, needs_a_yes},
    plan::{GoesOn, On, Planned, plan_deed_as, plan_deploy_again, plan_destroy},
    run::{As, begin_as, lock},
};
use crate::{
    deploy::{Recorder, recorder::Entry},
    domain::{
        Change, LabName, Level, MachineState, Plan, Progress, RunId, SeatName, StepName, StepState,
        event::{RunKind, RunState},
        plan::{SeatPlan, Verb},
        planning::Deed,
        progress::SeatProgress,
    },
    port::store::RunRow,
};

/// How a run stands, the death of its process included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A living process carries it out.
    UnderWay,
    /// Broken off, or stopped on request: it can go on.
    Interrupted,
    /// Broken off, and a later run has taken its lab over.
    Superseded,
    /// It ended by itself, or was given up.
    Over(RunState),
}

impl Standing {
    /// As lists show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnderWay => "running",
            Self::Interrupted | Self::Superseded => "interrupted",
            Self::Over(state) => state.as_str(),
        }
    }
}

/// How a run stands. A lab has one run at a time: only its newest can be under way.
pub async fn standing(home: &Homeroom, row: &RunRow) -> Result<Standing, ServiceError> {
    let state = row.state;
    if !matches!(state, RunState::Running | RunState::Interrupted) {
        return Ok(Standing::Over(state));
    }
    if newest(home, &row.lab).await?.is_some_and(|newest| newest.id != row.id) {
        return Ok(Standing::Superseded);
    }
    let alive = state == RunState::Running && home.store.lab_holder(&row.lab).await?.is_some();
    Ok(if alive { Standing::UnderWay } else { Standing::Interrupted })
}

async fn newest(home: &Homeroom, lab: &LabName) -> Result<Option<RunRow>, ServiceError> {
    Ok(home.store.runs(Some(lab), 1).await?.into_iter().next())
}

/// What giving a run up came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// Its process finishes what is in flight, and ends it.
    WindingDown,
    /// Nobody carried it out; it is over now.
    GivenUp,
}

/// Gives a run up: whichever process carries it out winds it down, and it cannot be gone on with.
pub async fn cancel(home: &Homeroom, run: RunId) -> Result<Cancelled, ServiceError> {
    let (row, _) = home.store.run(run).await?;
    match standing(home, &row).await? {
        Standing::UnderWay => {
            home.store.request_cancel(run).await?;
            Ok(Cancelled::WindingDown)
        }
        Standing::Interrupted => give_up(home, &row).await,
        Standing::Superseded => Err(ServiceError::Refused(format!(
            "run {run} was interrupted, and a later run has worked on {} since: there is nothing of it to give up",
            row.lab
        ))),
        other => Err(ServiceError::Refused(format!("run {run} is not under way ({})", other.as_str()))),
    }
}

/// Ends a run that no process carries out.
async fn give_up(home: &Homeroom, row: &RunRow) -> Result<Cancelled, ServiceError> {
    let _lock = lock(home, &row.lab, row.kind).await?;
    home.store.resume_run(row.id, &home.owner).await?;
    let (progress, _) = home.store.progress(&row.lab).await?;
    let (recorder, writer) = Recorder::start(home.store.clone(), home.clock.clone(), row.id, progress);
    let ended = Change::RunEnded { state: RunState::Cancelled };
    let words = format!("cancelled after it was interrupted; {}", row.kind.anew());
    let written = recorder.write(Entry::run(Level::Warning, words, ended)).await;
    drop(recorder);
    // It ends with its last handle.
    let _ = writer.await;
    written.map_err(|lost| ServiceError::NotNow(lost.to_string()))?;
    Ok(Cancelled::GivenUp)
}

/// The run that going on with a lab would go on with.
pub async fn latest(home: &Homeroom, lab: &LabName) -> Result<RunId, ServiceError> {
    home.definition(lab).await?;
    let row = newest(home, lab).await?;
    row.map(|row| row.id).ok_or_else(|| ServiceError::Refused(format!("nothing was ever run on {lab}")))
}

/// How long one that hands a run over may take to finish what it has in flight: wall time.
const HANDING_OVER: Duration = Duration::from_secs(120);
/// Between two looks whether it has: wall time.
const LOOK: Duration = Duration::from_millis(50);

/// Waits until nobody works on the run's lab any more, because whoever does is about to hand it over.
pub async fn until_free(home: &Homeroom, run: RunId) -> Result<(), ServiceError> {
    let (row, _) = home.store.run(run).await?;
    let began = Instant::now();
    while home.store.lab_holder(&row.lab).await?.is_some() && began.elapsed() < HANDING_OVER {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Goes on with a run that was broken off or stopped, under its own number, from what the journal and the site show
/// now. It does no more than it was begun to do.
pub async fn resume(home: &Arc<Homeroom>, run: RunId) -> Result<Outcome, ServiceError> {
    let (row, _) = home.store.run(run).await?;
    let lab = row.lab.clone();
    // Whoever has the lab is named by its lock; what is true is what is true under it.
    let lock = lock(home, &lab, row.kind).await?;
    let (row, plan) = home.store.run(run).await?;
    match standing(home, &row).await? {
        Standing::Interrupted | Standing::UnderWay => {}
        Standing::Superseded => {
            return Err(ServiceError::Refused(format!(
                "run {run} was interrupted, and a later run has worked on {lab} since; `homeroom deploy {lab}` plans anew"
            )));
        }
        Standing::Over(state) => {
            return Err(ServiceError::Refused(format!(
                "run {run} is over ({}); `homeroom deploy {lab}` plans anew",
                state.as_str()
            )));
        }
    }
    if row.kind == RunKind::Adopt {
        return Err(ServiceError::Refused(format!(
            "run {run} is {}; `homeroom adopt {}` looks again",
            row.kind.a_noun(),
            plan.site
        )));
    }
    let (progress, _) = home.store.progress(&lab).await?;
    let left = left_to_do(&plan, &progress, run);
    let planned = match deed(row.kind) {
        _ if left.is_empty() => Planned { plan: Plan { seats: Vec::new(), ..plan.clone() }, ..nothing(home, &plan)? },
        Some(deed) => {
            let again = GoesOn { begun: &plan, halted: &halted(&progress, run) };
            plan_deed_as(home, &lab, &left, deed, Some(again)).await?
        }
        None if row.kind.removes() => {
            let mut planned = plan_destroy(home, &lab, &left).await?;
            planned.plan.kind = row.kind;
            planned
        }
        None => deploy_again(home, &lab, &plan, run, &left).await?,
    };
    Ok(Outcome::Begun(begin_as(home, planned, lock, As::Again(run)).await?))
}

fn nothing(home: &Homeroom, plan: &Plan) -> Result<Planned, ServiceError> {
    let on = match &plan.workshop {
        Some(_) if home.clouds.contains_key(&plan.site) => On::Cloud(home.cloud(&plan.site)?.clone()),
        Some(_) => On::Engine(home.engine(&plan.site)?.clone()),
        None => On::Cluster { site: home.site(&plan.site)?.clone(), spares: Vec::new() },
    };
    Ok(Planned { plan: plan.clone(), on, unborn: false })
}

fn deed(kind: RunKind) -> Option<Deed> {
    match kind {
        RunKind::Check => Some(Deed::Check),
        RunKind::Start => Some(Deed::Start),
        RunKind::Stop => Some(Deed::Stop),
        RunKind::Restart => Some(Deed::Restart),
        RunKind::Deploy | RunKind::Rebuild | RunKind::Destroy | RunKind::Rollback | RunKind::Adopt => None,
    }
}

/// The seats of a run's plan that it has not brought to their end.
fn left_to_do(plan: &Plan, progress: &Progress, run: RunId) -> Vec<SeatName> {
    let is_left = |seat: &&SeatPlan| {
        let row = progress.seat(&seat.seat);
        match row {
            // Removed, or not begun.
            None => !plan.kind.removes() && seat.verb != Verb::Remove,
            Some(row) if row.run != run => true,
            Some(row) => match (plan.kind, row.state) {
                (RunKind::Stop, MachineState::Stopped) => false,
                (RunKind::Check | RunKind::Start | RunKind::Restart, MachineState::Ready | MachineState::Stale) => {
                    // A seat that waits for its steps is neither: it was proven before.
                    row.steps.iter().any(|step| step.run == run && step.state == StepState::Waiting)
                }
                _ => true,
            },
        }
    };
    plan.seats.iter().filter(|seat| seat.verb.acts()).filter(is_left).map(|seat| seat.seat.clone()).collect()
}

/// The seats whose machines a restart has shut down, or found off.
fn halted(progress: &Progress, run: RunId) -> Vec<SeatName> {
    let is_done = |row: &&SeatProgress| match row.step(StepName::Stop).filter(|step| step.run == run) {
        Some(stop) => matches!(stop.state, StepState::Ok | StepState::Skipped),
        // An earlier part of the run that went on had nothing to shut down any more.
        None => row.steps.iter().any(|step| step.run == run),
    };
    progress.seats.iter().filter(|row| row.run == run).filter(is_done).map(|row| row.seat.clone()).collect()
}

/// Whether a machine would be cloned from something else than the plan said that was agreed to.
fn is_of_another_template(before: &SeatPlan, now: &SeatPlan) -> bool {
    match (&before.source, &now.source) {
        (Some(before), Some(now)) => before.template != now.template && before.template_name != now.template_name,
        _ => false,
    }
}

/// What is left of a deploy, and nothing that it was not begun to do.
async fn deploy_again(
    home: &Homeroom,
    lab: &LabName,
    begun: &Plan,
    run: RunId,
    left: &[SeatName],
) -> Result<Planned, ServiceError> {
    let of = |seat: &SeatName| begun.seats.iter().find(|planned| planned.seat == *seat);
    let mut planned = plan_deploy_again(home, lab, begun, run).await?;
    if planned.plan.workshop != begun.workshop {
        return Err(ServiceError::Refused(format!(
            "the definition of {lab} has changed since; `homeroom deploy {lab}` plans anew"
        )));
    }
    planned.plan.seats.retain(|seat| left.contains(&seat.seat));
    // Where all that was to be made anew stands by now, it is a rebuild still.
    planned.plan.kind = begun.kind;
    let changed = planned.plan.seats.iter().find(|seat| {
        let removed = seat.verb == Verb::Remove;
        !removed
            && of(&seat.seat).is_some_and(|before| {
                before.verb == Verb::Remove || before.spec != seat.spec || is_of_another_template(before, seat)
            })
    });
    if let Some(seat) = changed {
        return Err(ServiceError::Refused(format!(
            "the definition of {lab} has changed since ({}); `homeroom deploy {lab}` plans anew",
            seat.seat
        )));
    }
    // What was agreed to for a seat then is agreed to now, and no more.
    let agreed = |seat: &SeatPlan| of(&seat.seat).is_some_and(|before| before.verb == seat.verb);
    let refused: Vec<&SeatPlan> =
        planned.plan.refused(Default::default()).into_iter().filter(|seat| !agreed(seat)).collect();
    if !refused.is_empty() {
        return Err(ServiceError::Refused(needs_a_yes(lab, &refused)));
    }
    Ok(planned)
}
