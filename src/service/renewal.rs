//! Certificates that were renewed on disk: the proxies that show the old ones are made anew, the seats stay.
//!
//! Whoever looks after ends looks after these: a dashboard, `serve`.

use std::{path::Path, sync::Arc, time::Duration};

use super::{
    Homeroom, RunHandle, ServiceError,
    deploy::{Outcome, Request, deploy},
    plan::plan_deploy,
};
use crate::domain::{
    LabName, Role,
    plan::{SeatPlan, Verb},
    planning::CERTIFICATE,
    workshop::{Certificate, WorkshopDefinition},
};

/// Files that were written later than this may not be whole yet: the one or the other.
const SETTLED: Duration = Duration::from_secs(15);

/// Makes a standing workshop's proxy anew where its certificate is another by now, and nothing else would change.
pub(super) async fn renew(home: &Arc<Homeroom>, lab: &LabName) -> Result<Option<RunHandle>, ServiceError> {
    if home.in_cloud(lab).await?.is_some() {
        return Ok(None);
    }
    let Some((WorkshopDefinition { proxy, .. }, _)) = home.workshop(lab).await? else { return Ok(None) };
    let Some(Certificate { cert_file, key_file }) = &proxy.certificate else { return Ok(None) };
    if !(is_settled(cert_file).await && is_settled(key_file).await) {
        return Ok(None);
    }
    let planned = plan_deploy(home, lab).await?;
    let Some(host) = planned.plan.seats.iter().find(|row| row.role == Role::Host).filter(|row| is_renewal(row)) else {
        return Ok(None);
    };
    let request = Request { only: vec![host.seat.clone()], ..Request::default() };
    match deploy(home, lab, &request).await? {
        Outcome::Begun(run) => Ok(Some(run)),
        Outcome::NothingToDo(_) => Ok(None),
    }
}

fn is_renewal(row: &SeatPlan) -> bool {
    row.verb == Verb::Update && !row.changes.is_empty() && row.changes.iter().all(|change| change.field == CERTIFICATE)
}

async fn is_settled(file: &Path) -> bool {
    let written = tokio::fs::metadata(file).await.and_then(|about| about.modified());
    written.is_ok_and(|at| at.elapsed().is_ok_and(|since| since >= SETTLED))
}
