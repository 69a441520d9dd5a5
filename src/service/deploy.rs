//! Deploy: planned again under the lab's lock, so that what is done is what is true then.

use std::sync::Arc;

use super::{
    Homeroom, RunHandle, ServiceError,
    plan::plan_deploy_with,
    run::{begin, lock},
};
use crate::domain::{
    LabName, Plan, SeatName,
    event::RunKind,
    plan::{Consent, FieldChange, SeatPlan, Verb},
};

/// What asking for a run came to.
pub enum Outcome {
    Begun(RunHandle),
    NothingToDo(Box<Plan>),
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub consent: Consent,
    /// Only these seats; all when empty.
    pub only: Vec<SeatName>,
    /// The plan that was shown and agreed to, if one was: nothing else is done.
    pub agreed: Option<Arc<Plan>>,
}

/// Makes the lab what its definition says.
///
/// # Errors
/// `Refused` where a machine would be restarted, replaced or removed without consent, where the plan is
/// no longer the one agreed to, or where another run holds the lab; `Problems` where no plan can be made.
pub async fn deploy(home: &Arc<Homeroom>, lab: &LabName, request: &Request) -> Result<Outcome, ServiceError> {
    home.definition(lab).await?;
    let lock = lock(home, lab, RunKind::Deploy).await?;
    let mut planned = plan_deploy_with(home, lab, request.consent.into(), request.agreed.as_deref()).await?;
    if !request.only.is_empty() {
        planned.plan.seats.retain(|seat| request.only.contains(&seat.seat));
    }
    if let Some(agreed) = &request.agreed
        && deeds(agreed) != deeds(&planned.plan)
    {
        return Err(ServiceError::Refused(format!(
            "{lab} or its site changed while the plan was on the screen, so nothing was begun; look at the plan again"
        )));
    }
    let refused = planned.plan.refused(request.consent);
    if !refused.is_empty() {
        return Err(ServiceError::Refused(needs_a_yes(lab, &refused)));
    }
    if planned.plan.is_empty() {
        return Ok(Outcome::NothingToDo(Box::new(planned.plan)));
    }
    Ok(Outcome::Begun(begin(home, planned, lock).await?))
}

/// What a plan does to whom. New machines go where the plan agreed to puts them; one that no longer fits there
/// goes elsewhere, which is no change of plan.
fn deeds(plan: &Plan) -> Vec<(&SeatName, Verb, &[FieldChange])> {
    plan.seats
        .iter()
        .filter(|seat| seat.verb.acts())
        .map(|seat| (&seat.seat, seat.verb, seat.changes.as_slice()))
        .collect()
}

/// Which machines need which flag.
pub(super) fn needs_a_yes(lab: &LabName, refused: &[&SeatPlan]) -> String {
    let mut lines = vec![format!("nothing was done to {lab}, because this would go beyond creating and updating:")];
    for (verb, flag) in
        [(Verb::Restart, "--allow-restart"), (Verb::Replace, "--allow-replace"), (Verb::Remove, "--allow-remove")]
    {
        for seat in refused.iter().filter(|seat| seat.verb == verb) {
            let number = seat.vmid.map(|id| format!(", vmid {id}")).unwrap_or_default();
            lines.push(format!(
                "  {} {} ({}{number} on {}): {}; needs {flag}",
                seat.word(),
                seat.seat,
                seat.name,
                seat.node,
                seat.reason()
            ));
        }
    }
    lines.join("\n")
}
