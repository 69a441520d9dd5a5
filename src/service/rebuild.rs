//! Rebuild: a seat's machine is removed and made anew. Rollback: what a deploy made is taken back.

use std::sync::Arc;

use super::{
    Homeroom, ServiceError,
    deploy::Outcome,
    destroy::{Confirmation, confirmed},
    plan::{Back, plan_rebuild, plan_rollback},
    run::{begin, lock},
    runs::{Standing, standing},
};
use crate::domain::{LabName, MachineState, Plan, RunId, SeatName, event::RunKind, plan::SeatPlan};

/// What a rebuild would do.
pub async fn look(home: &Homeroom, lab: &LabName, seats: &[SeatName], abandon: bool) -> Result<Plan, ServiceError> {
    Ok(plan_rebuild(home, lab, seats, abandon).await?.plan)
}

/// Removes the machines of the named seats and makes them anew; what is on them is lost. On a production site the
/// lab's name must be typed again.
pub async fn rebuild(
    home: &Arc<Homeroom>,
    lab: &LabName,
    seats: &[SeatName],
    abandon: bool,
    confirmation: &Confirmation,
) -> Result<Outcome, ServiceError> {
    home.class(lab).await?;
    confirmed(home, lab, confirmation).await?;
    let lock = lock(home, lab, RunKind::Rebuild).await?;
    let planned = plan_rebuild(home, lab, seats, abandon).await?;
    if planned.plan.is_empty() {
        return Ok(Outcome::NothingToDo(Box::new(planned.plan)));
    }
    Ok(Outcome::Begun(begin(home, planned, lock).await?))
}

/// What taking a run back would do, and which of its machines became ready in it: somebody may use those.
pub struct Rollback {
    pub lab: LabName,
    pub plan: Plan,
    pub in_use: Vec<SeatPlan>,
}

/// What taking a run back would do.
pub async fn look_back(home: &Homeroom, run: RunId) -> Result<Back<Rollback>, ServiceError> {
    let lab = deploy_of(home, run).await?;
    let planned = match plan_rollback(home, &lab, run).await? {
        Back::This(planned) => planned,
        Back::Nothing(why) => return Ok(Back::Nothing(why)),
    };
    let in_use = in_use(home, &lab, &planned.plan).await?;
    Ok(Back::This(Rollback { lab, plan: planned.plan, in_use }))
}

/// Takes a deploy back: the machines it made go. Those that became ready stay unless `ready_too`.
pub async fn rollback(
    home: &Arc<Homeroom>,
    run: RunId,
    ready_too: bool,
    confirmation: &Confirmation,
) -> Result<Back<Outcome>, ServiceError> {
    let lab = deploy_of(home, run).await?;
    home.class(&lab).await?;
    confirmed(home, &lab, confirmation).await?;
    let lock = lock(home, &lab, RunKind::Rollback).await?;
    let planned = match plan_rollback(home, &lab, run).await? {
        Back::This(planned) => planned,
        Back::Nothing(why) => return Ok(Back::Nothing(why)),
    };
    let ready = in_use(home, &lab, &planned.plan).await?;
    if !ready.is_empty() && !ready_too {
        let lines: Vec<String> = ready
            .iter()
            .map(|seat| {
                let number = seat.vmid.map(|id| format!(", vmid {id}")).unwrap_or_default();
                format!("  remove {} ({}{number} on {}); needs --allow-remove", seat.seat, seat.name, seat.node)
            })
            .collect();
        return Err(ServiceError::Refused(format!(
            "nothing was removed, because these machines of run {run} became ready and may be in use:\n{}",
            lines.join("\n")
        )));
    }
    if planned.plan.is_empty() {
        return Ok(Back::This(Outcome::NothingToDo(Box::new(planned.plan))));
    }
    Ok(Back::This(Outcome::Begun(begin(home, planned, lock).await?)))
}

/// The lab of a deploy that nobody carries out any more.
async fn deploy_of(home: &Homeroom, run: RunId) -> Result<LabName, ServiceError> {
    let (row, _) = home.store.run(run).await?;
    if !row.kind.makes() {
        return Err(ServiceError::Refused(format!("run {run} is {}; only a deploy makes machines", row.kind.a_noun())));
    }
    if standing(home, &row).await? == Standing::UnderWay {
        return Err(ServiceError::Refused(format!("run {run} is under way; `homeroom cancel {run}` first")));
    }
    Ok(row.lab)
}

async fn in_use(home: &Homeroom, lab: &LabName, plan: &Plan) -> Result<Vec<SeatPlan>, ServiceError> {
    let (progress, _) = home.store.progress(lab).await?;
    // Also one that was taken back into the store and not proven since, or that was shut down: it stood before.
    let stood = |state| matches!(state, MachineState::Ready | MachineState::Stale | MachineState::Stopped);
    let was_ready = |seat: &&SeatPlan| {
        let row = progress.seat(&seat.seat);
        !seat.steps.is_empty() && row.is_some_and(|row| row.proven_at.is_some() || stood(row.state))
    };
    Ok(plan.seats.iter().filter(was_ready).cloned().collect())
}
