//! Certificates that were renewed on disk: the proxies that show the old ones are made anew, the seats stay.
//!
//! Whoever looks after ends looks after these: a dashboard, `serve`.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use super::{
    Homeroom, RunHandle, ServiceError, certificate,
    deploy::{Outcome, Request, deploy},
    journal,
    plan::plan_deploy,
};
use crate::{
    deploy::recorder::Entry,
    domain::{
        Change, LabName, Level, Role, SeatName,
        plan::{SeatPlan, Verb},
        planning::{CERTIFICATE, RENEWED, said},
        workshop::{Certificate, mark},
    },
    port::StoreError,
};

/// Files that were written later than this may not be whole yet: the one or the other.
const SETTLED: Duration = Duration::from_secs(15);

/// Makes a standing workshop's proxy anew where its certificate is another by now, and nothing else would change.
pub(super) async fn renew(home: &Arc<Homeroom>, lab: &LabName) -> Result<Option<RunHandle>, ServiceError> {
    let (proxy, in_cloud) = match home.in_cloud(lab).await? {
        Some((workshop, _)) => (workshop.proxy, true),
        None => match home.workshop(lab).await? {
            Some((workshop, _)) => (workshop.proxy, false),
            None => return Ok(None),
        },
    };
    let Some(files) = &proxy.certificate else { return Ok(None) };
    if !(is_settled(&files.cert_file) && is_settled(&files.key_file)) {
        return Ok(None);
    }
    let read = match certificate::read(files) {
        Ok(read) => read,
        Err(why) => return tell(home, lab, files, why).await.map(|()| None),
    };
    // A cloud is asked for nothing as long as what is shown there is known to be this one.
    if in_cloud {
        let (progress, _) = home.store.progress(lab).await?;
        let shows = progress.seat(&SeatName::host()).and_then(|row| row.proxy.clone()).unwrap_or_default();
        if said(&shows, CERTIFICATE).is_none_or(|shown| shown == mark(&read.cert)) {
            return Ok(None);
        }
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

/// Writes down, once for these files as they are, that they are not shown: the proxy goes on with what it has.
async fn tell(home: &Homeroom, lab: &LabName, files: &Certificate, why: String) -> Result<(), ServiceError> {
    static TOLD: Mutex<BTreeSet<(LabName, Vec<Option<SystemTime>>)>> = Mutex::new(BTreeSet::new());
    let key = (lab.clone(), vec![written(&files.cert_file), written(&files.key_file)]);
    if TOLD.lock().unwrap_or_else(PoisonError::into_inner).contains(&key) {
        return Ok(());
    }
    let owner = format!("{}, a warning", home.owner);
    let lock = match home.store.lock_lab(lab, &owner).await {
        Ok(lock) => lock,
        Err(StoreError::Held { holder, .. }) => return Err(ServiceError::Refused(holder)),
        Err(error) => return Err(error.into()),
    };
    let words = format!("{why}; it was changed on the disk and is not shown: the proxy goes on with the one it has");
    journal::write(home, &*lock, vec![Entry::run(Level::Warning, words, Change::Note)]).await?;
    TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
    Ok(())
}

fn is_renewal(row: &SeatPlan) -> bool {
    row.verb == Verb::Update && !row.changes.is_empty() && row.changes.iter().all(|change| change.field == RENEWED)
}

fn is_settled(file: &Path) -> bool {
    written(file).is_some_and(|at| at.elapsed().is_ok_and(|since| since >= SETTLED))
}

fn written(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|about| about.modified()).ok()
}
