//! What is done to machines that stand: the roll call once more, power on, off, off and on.

use std::sync::Arc;

use super::{
    Homeroom, ServiceError,
    deploy::Outcome,
    plan::plan_deed,
    run::{begin, lock},
};
pub use crate::domain::planning::Deed;
use crate::domain::{LabName, SeatName};

/// Repeats the proofs of a lab's machines, or of the named seats'. Starts and changes nothing.
pub async fn check(home: &Arc<Homeroom>, lab: &LabName, seats: &[SeatName]) -> Result<Outcome, ServiceError> {
    carry_out(home, lab, seats, Deed::Check).await
}

/// Does it to a lab's machines, or to the named seats'.
pub async fn carry_out(
    home: &Arc<Homeroom>,
    lab: &LabName,
    seats: &[SeatName],
    deed: Deed,
) -> Result<Outcome, ServiceError> {
    home.definition(lab).await?;
    let lock = lock(home, lab, deed.kind()).await?;
    let planned = plan_deed(home, lab, seats, deed).await?;
    if planned.plan.is_empty() {
        return Ok(Outcome::NothingToDo(Box::new(planned.plan)));
    }
    Ok(Outcome::Begun(begin(home, planned, lock).await?))
}
