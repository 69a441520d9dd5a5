//! Deploy: planned again under the lab's lock, so that what is done is what is true then.

use std::sync::Arc;

use super::{
    Homeroom, RunHandle, ServiceError,
    plan::plan_deploy_with,
    run::{begin, lock},
};
use crate::domain::{
    LabName, Plan,
    event::RunKind,
    plan::{Consent, SeatPlan},
};

/// What asking for a run came to.
pub enum Outcome {
    Begun(RunHandle),
    NothingToDo(Box<Plan>),
}

/// Makes the lab what its definition says.
///
/// # Errors
/// `Refused` where a machine would be restarted, replaced or removed without consent, or where another
/// run holds the lab; `Problems` where no plan can be made.
pub async fn deploy(home: &Arc<Homeroom>, lab: &LabName, consent: Consent) -> Result<Outcome, ServiceError> {
    home.class(lab).await?;
    let lock = lock(home, lab, RunKind::Deploy).await?;
    let planned = plan_deploy_with(home, lab, consent.fix_drift).await?;
    let refused = planned.plan.refused(consent);
    if !refused.is_empty() {
        return Err(ServiceError::Refused(needs_a_yes(lab, &refused)));
    }
    if planned.plan.is_empty() {
        return Ok(Outcome::NothingToDo(Box::new(planned.plan)));
    }
    Ok(Outcome::Begun(begin(home, &planned.site, planned.plan, lock, planned.spares).await?))
}

/// Which machines need which flag.
fn needs_a_yes(lab: &LabName, refused: &[&SeatPlan]) -> String {
    use crate::domain::plan::Verb;
    let mut lines = vec![format!("nothing was done to {lab}, because this would go beyond creating and updating:")];
    for (verb, flag) in
        [(Verb::Restart, "--allow-restart"), (Verb::Replace, "--allow-replace"), (Verb::Remove, "--allow-remove")]
    {
        for seat in refused.iter().filter(|seat| seat.verb == verb) {
            lines.push(format!(
                "  {} {} ({}, vmid {} on {}): {}; needs {flag}",
                verb.as_str(),
                seat.seat,
                seat.name,
                seat.vmid,
                seat.node,
                seat.why
            ));
        }
    }
    lines.join("\n")
}
