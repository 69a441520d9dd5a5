//! Destroy: a lab's machines, or some seats', and only those that carry our mark.

use std::sync::Arc;

use super::{
    Homeroom, ServiceError, Site,
    deploy::Outcome,
    plan::{Planned, plan_destroy as read_and_plan},
    run::{begin, lock},
};
use crate::domain::{LabName, Plan, SeatName, event::RunKind};

/// How the person said yes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// The lab's name typed again, where it was.
    pub named: Option<String>,
}

/// What destroy would do.
pub async fn plan_destroy(home: &Homeroom, lab: &LabName, seats: &[SeatName]) -> Result<Plan, ServiceError> {
    Ok(read_and_plan(home, lab, seats).await?.plan)
}

/// Removes the machines of a lab, or of the named seats. On a production site the lab's name must be typed again.
pub async fn destroy(
    home: &Arc<Homeroom>,
    lab: &LabName,
    seats: &[SeatName],
    confirmation: &Confirmation,
) -> Result<Outcome, ServiceError> {
    let (_, site) = home.class(lab).await?;
    confirmed(&site, lab, confirmation)?;
    let lock = lock(home, lab, RunKind::Destroy).await?;
    let Planned { plan, site, spares } = read_and_plan(home, lab, seats).await?;
    if plan.is_empty() {
        return Ok(Outcome::NothingToDo(Box::new(plan)));
    }
    Ok(Outcome::Begun(begin(home, &site, plan, lock, spares).await?))
}

/// Whether what removes machines was said yes to loudly enough for the site.
pub(super) fn confirmed(site: &Site, lab: &LabName, confirmation: &Confirmation) -> Result<(), ServiceError> {
    let named = confirmation.named.as_deref();
    if (site.rules.is_prod() || named.is_some()) && named != Some(lab.as_str()) {
        return Err(ServiceError::Refused(match named {
            Some(named) => format!("--confirm says {named:?}, and the lab is {lab}; nothing was removed"),
            None => format!(
                "{lab} is on the {} site {}; add --confirm {lab} to destroy there",
                site.rules.environment, site.name
            ),
        }));
    }
    Ok(())
}
