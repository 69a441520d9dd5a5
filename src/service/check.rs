//! What is done to machines that stand: the roll call once more, power on, off, off and on.

use std::sync::Arc;

use super::{
    Homeroom, ServiceError,
    deploy::Outcome,
    plan::plan_deed,
    run::{begin, lock},
};
pub use crate::domain::planning::Deed;
use crate::{
    deploy::class::new_host_key,
    domain::{LabName, Plan, SeatName},
};

/// Repeats the proofs of a lab's machines, or of the named seats'. Starts and changes nothing.
pub async fn check(home: &Arc<Homeroom>, lab: &LabName, seats: &[SeatName]) -> Result<Outcome, ServiceError> {
    carry_out(home, lab, seats, Deed::Check).await
}

/// Notes that somebody knows why seats show other host keys than at their last roll call: the next one takes what
/// their guest agents tell.
pub async fn expect_new_host_keys(home: &Homeroom, lab: &LabName, seats: &[SeatName]) -> Result<(), ServiceError> {
    let (class, site) = home.class(lab).await?;
    let defined: Vec<SeatName> = class.resolve().into_iter().map(|spec| spec.seat).collect();
    if let Some(seat) = seats.iter().find(|seat| !defined.contains(seat)) {
        let known = defined.iter().map(ToString::to_string).collect();
        return Err(ServiceError::NoSeat { lab: lab.clone(), seat: seat.clone(), known });
    }
    let now = home.clock.now();
    let said: Vec<_> = seats.iter().map(|seat| (new_host_key(lab, seat), now.as_duration().as_secs_f64())).collect();
    Ok(home.store.learn(&site.name, &said, now).await?)
}

/// What it would come to.
pub async fn look(home: &Homeroom, lab: &LabName, seats: &[SeatName], deed: Deed) -> Result<Plan, ServiceError> {
    home.definition(lab).await?;
    Ok(plan_deed(home, lab, seats, deed).await?.plan)
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
