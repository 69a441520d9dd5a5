//! Check: the roll call once more, for machines that stand.

use std::sync::Arc;

use super::{
    Homeroom, ServiceError,
    deploy::Outcome,
    plan::plan_check,
    run::{begin, lock},
};
use crate::domain::{LabName, SeatName, event::RunKind};

/// Repeats the proofs of a lab's machines, or of the named seats'. Starts and changes nothing.
pub async fn check(home: &Arc<Homeroom>, lab: &LabName, seats: &[SeatName]) -> Result<Outcome, ServiceError> {
    home.class(lab).await?;
    let lock = lock(home, lab, RunKind::Check).await?;
    let planned = plan_check(home, lab, seats).await?;
    if planned.plan.is_empty() {
        return Ok(Outcome::NothingToDo(Box::new(planned.plan)));
    }
    Ok(Outcome::Begun(begin(home, &planned.site, planned.plan, lock, planned.spares).await?))
}
