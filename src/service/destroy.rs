//! Destroy: a lab's machines, or some seats', and only those that carry our mark.

use std::sync::Arc;

use super::{
    Homeroom, ServiceError,
    deploy::Outcome,
    journal, own_key,
    plan::plan_destroy as read_and_plan,
    run::{begin, lock},
};
use crate::{
    deploy::recorder::Entry,
    domain::{Change, LabName, Level, Plan, SeatName, event::RunKind},
};

/// How the person said yes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// The lab's name typed again, where it was.
    pub named: Option<String>,
}

/// Where `--yes` is not enough.
const PROD: &str = "prod";

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
    confirmed(home, lab, confirmation).await?;
    let lock = lock(home, lab, RunKind::Destroy).await?;
    let planned = read_and_plan(home, lab, seats).await?;
    if planned.plan.is_empty() {
        // Nothing was ever made of a workshop that was opened.
        if home.store.progress(lab).await?.0.life.is_some() {
            let closed = Entry::run(Level::Info, "nothing of it is left", Change::Closed);
            journal::write(home, &*lock, vec![closed]).await?;
        }
        if home.in_cloud(lab).await?.is_some() {
            own_key::forget(&*home.keys, lab).await;
        }
        return Ok(Outcome::NothingToDo(Box::new(planned.plan)));
    }
    Ok(Outcome::Begun(begin(home, planned, lock).await?))
}

/// Whether what removes machines was said yes to loudly enough for the lab's site.
pub(super) async fn confirmed(home: &Homeroom, lab: &LabName, confirmation: &Confirmation) -> Result<(), ServiceError> {
    let (site, environment) = home.environment(lab).await?;
    let named = confirmation.named.as_deref();
    if (environment == PROD || named.is_some()) && named != Some(lab.as_str()) {
        return Err(ServiceError::Refused(match named {
            Some(named) => format!("--confirm says {named:?}, and the lab is {lab}; nothing was removed"),
            None => format!("{lab} is on the {environment} site {site}; add --confirm {lab} to destroy there"),
        }));
    }
    Ok(())
}
