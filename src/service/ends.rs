//! The end of workshops: put off, warned of, brought about.
//!
//! Whoever looks — a dashboard, `serve`, `expire` — does the same under the lab's lock, so that several may look at once.
//! What ends a workshop is the ordinary destroy: it touches only what carries our mark.

use std::{sync::Arc, time::Duration};

use jiff::{Timestamp, tz::TimeZone};

use super::{
    Homeroom, RunHandle, ServiceError,
    deploy::Outcome,
    journal, own_key,
    plan::plan_destroy,
    renewal::renew,
    run::{begin, lock},
};
pub use crate::domain::life::plain;
use crate::{
    deploy::recorder::Entry,
    domain::{
        Change, Clean, Definition, LabName, Level, Progress, SiteName,
        event::{RunKind, RunState},
        life::Life,
        planning,
    },
    port::{StoreError, store::LabLock},
};

/// Between two looks of a process that stays: wall time.
pub const LOOK_EVERY: Duration = Duration::from_secs(20);
/// How long `extend` waits for a run to let go of the lab, and between its tries: wall time.
const PATIENCE: Duration = Duration::from_secs(10);
const TRY_EVERY: Duration = Duration::from_millis(200);
/// A destroy that failed is not begun again by itself before this.
const AGAIN_AFTER: Duration = Duration::from_secs(300);

/// What came of `extend`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    pub lab: LabName,
    pub ends_at: Timestamp,
    /// Less than was asked for: this is the end that `max_life` sets.
    pub cut: bool,
    pub max_life: Duration,
}

impl Extension {
    /// What came of it, in a line.
    pub fn words(&self) -> String {
        let Self { lab, ends_at, cut, max_life } = self;
        let at = ends_at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S");
        match cut {
            false => format!("{lab} ends at {at}"),
            true => format!("{lab} ends at {at}: less than was asked for, since its max_life is {}", plain(*max_life)),
        }
    }
}

/// A workshop past its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    pub lab: LabName,
    pub site: SiteName,
    pub ends_at: Timestamp,
}

/// Puts the end of a workshop off, up to what its definition allows.
///
/// # Errors
/// `Refused` where the end stands at `max_life` already, or a run holds the lab; `NotNow` for what is no standing workshop.
pub async fn extend(home: &Homeroom, lab: &LabName, by: Duration) -> Result<Extension, ServiceError> {
    let Definition::Workshop(workshop) = home.definition(lab).await?.definition else {
        return Err(ServiceError::NotNow(format!("{lab} is a class: it stands until it is destroyed")));
    };
    let lock = patient_lock(home, lab).await?;
    let (life, _) = standing(home, lab).await?;
    let now = home.clock.now();
    // The server ends an instance when it was told to as it was made, whatever the definition says by now.
    let server = super::cloud::server_ends(home, lab).await.filter(|at| *at < life.ceiling(workshop.max_life));
    let until_then = |at: Timestamp| Duration::try_from(at.duration_since(life.born_at)).unwrap_or_default();
    let max_life = server.map_or(workshop.max_life, until_then);
    let extended = life.extended(by, max_life, now);
    if extended.ends_at == life.ends_at && server.is_some() {
        return Err(ServiceError::Refused(format!(
            "{lab} ends at {}: the server itself ends its instance then, as it was made to, and cannot be told otherwise \
             while it runs; a longer max_life counts for the next instance",
            shown(life.ends_at),
        )));
    }
    if !life.can_be_put_off(max_life, now) {
        return Err(ServiceError::Refused(format!(
            "{lab} ends at {}: that is its max_life, {} after {}, which no extension passes",
            shown(life.ends_at),
            plain(max_life),
            shown(life.born_at),
        )));
    }
    let (ends_at, cut) = (extended.ends_at, extended.cut);
    let words = match cut {
        false => format!("put off by {}: ends at {}", plain(by), shown(ends_at)),
        true if server.is_some() => format!("put off to the server's own end: ends at {}", shown(ends_at)),
        true => format!("put off as far as max_life allows: ends at {}", shown(ends_at)),
    };
    journal::write(home, &*lock, vec![Entry::run(Level::Info, words, Change::EndsAt { ends_at })]).await?;
    super::cloud::label_end(home, lab, ends_at).await;
    Ok(Extension { lab: lab.clone(), ends_at, cut, max_life })
}

/// The life of a workshop that was deployed and stands.
async fn standing(home: &Homeroom, lab: &LabName) -> Result<(Life, Progress), ServiceError> {
    let (progress, _) = home.store.progress(lab).await?;
    match progress.life.clone() {
        Some(life) => Ok((life, progress)),
        None => Err(ServiceError::NotNow(format!(
            "{lab} does not stand, so it has no end; `homeroom deploy {lab} --yes` makes it"
        ))),
    }
}

async fn patient_lock(home: &Homeroom, lab: &LabName) -> Result<Box<dyn LabLock>, ServiceError> {
    let owner = format!("{}, extend", home.owner);
    let began = tokio::time::Instant::now();
    loop {
        match home.store.lock_lab(lab, &owner).await {
            Ok(lock) => return Ok(lock),
            Err(StoreError::Held { holder, .. }) if began.elapsed() > PATIENCE => {
                return Err(ServiceError::Refused(format!(
                    "{lab} is being worked on by {holder}, so its end was not put off; try again when that is done"
                )));
            }
            Err(StoreError::Held { .. }) => tokio::time::sleep(TRY_EVERY).await,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Every workshop past its end.
pub async fn overdue(home: &Homeroom) -> Result<Vec<Overdue>, ServiceError> {
    let now = home.clock.now();
    let mut out = Vec::new();
    for (lab, life) in home.store.lives().await? {
        if !life.is_over(now) || is_unborn(home, &home.store.progress(&lab).await?.0).await? {
            continue;
        }
        let site = home.definition(&lab).await?.definition.site().clone();
        out.push(Overdue { lab, site, ends_at: life.ends_at });
    }
    Ok(out)
}

/// Whether nothing of a workshop ever stood, so that its time has not begun. Where that cannot be seen, it has.
async fn is_unborn(home: &Homeroom, progress: &Progress) -> Result<bool, ServiceError> {
    if !planning::may_be_unborn(progress) {
        return Ok(false);
    }
    let (store, lab) = (home.store.id(), &progress.lab);
    if let Some((_, site)) = home.in_cloud(lab).await? {
        let seen = site.cloud.view().await;
        return Ok(seen.is_ok_and(|view| planning::unborn(progress, planning::stands_in(store, lab, &view))));
    }
    let Some((_, engine)) = home.workshop(lab).await? else { return Ok(false) };
    let seen = engine.containers.view().await;
    Ok(seen.is_ok_and(|view| planning::unborn(progress, planning::stands_on(store, lab, &view))))
}

/// Destroys a workshop that is past its end; `None` where it is not, or no longer. What stops that is written down for
/// everybody who follows the journal.
pub async fn end(home: &Arc<Homeroom>, lab: &LabName) -> Result<Option<Outcome>, ServiceError> {
    let ended = bring_about(home, lab).await;
    match &ended {
        // Somebody else is at it.
        Ok(_) | Err(ServiceError::Refused(_)) => {}
        Err(error) => {
            if let Err(also) = hindered(home, lab, Clean::new(error.to_string())).await {
                tracing::warn!(%lab, error = %also, "that its end could not be brought about is not written down");
            }
        }
    }
    ended
}

/// Writes down why a workshop could not be ended, once for each reason.
async fn hindered(home: &Homeroom, lab: &LabName, why: Clean) -> Result<(), ServiceError> {
    let owner = format!("{}, an end", home.owner);
    let lock = match home.store.lock_lab(lab, &owner).await {
        Ok(lock) => lock,
        Err(StoreError::Held { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let (life, _) = standing(home, lab).await?;
    if !life.is_over(home.clock.now()) || life.hindered.as_ref() == Some(&why) {
        return Ok(());
    }
    let words = format!("its end has come ({}) and could not be brought about: {why}", shown(life.ends_at));
    journal::write(home, &*lock, vec![Entry::run(Level::Error, words, Change::EndHindered { why })]).await
}

async fn bring_about(home: &Arc<Homeroom>, lab: &LabName) -> Result<Option<Outcome>, ServiceError> {
    let lock = lock(home, lab, RunKind::Destroy).await?;
    let (progress, _) = home.store.progress(lab).await?;
    // It may have been put off a moment ago.
    let Some(life) = progress.life.clone().filter(|life| life.is_over(home.clock.now())) else { return Ok(None) };
    if is_unborn(home, &progress).await? {
        return Ok(None);
    }
    let planned = plan_destroy(home, lab, &[]).await?;
    let nothing = planned.plan.is_empty();
    let words = format!("its end has come: {}", shown(life.ends_at));
    let change = if nothing { Change::Closed } else { Change::Note };
    journal::write(home, &*lock, vec![Entry::run(Level::Warning, words, change)]).await?;
    Ok(Some(match nothing {
        true => {
            if home.in_cloud(lab).await?.is_some() {
                own_key::forget(&*home.keys, lab).await;
            }
            Outcome::NothingToDo(Box::new(planned.plan))
        }
        false => Outcome::Begun(begin(home, planned, lock).await?),
    }))
}

/// One look at every workshop: warns of ends that are near, brings those about that have come, and has renewed
/// certificates shown. The runs begun.
/// What cannot be done now is told to the log and tried at the next look.
pub async fn look(home: &Arc<Homeroom>) -> Vec<RunHandle> {
    let mut begun = Vec::new();
    let labs = match home.store.lives().await {
        Ok(labs) => labs,
        Err(error) => {
            tracing::warn!(%error, "which workshops are past their end is not known");
            return begun;
        }
    };
    let now = home.clock.now();
    for (lab, life) in &labs {
        let outcome = if life.is_over(now) {
            let progress = home.store.progress(lab).await;
            if progress.is_ok_and(|(progress, _)| failed_lately(&progress, now)) {
                continue;
            }
            match end(home, lab).await {
                Ok(Some(Outcome::Begun(run))) => {
                    begun.push(run);
                    Ok(())
                }
                other => other.map(drop),
            }
        } else if life.warning_due(now).is_some() {
            warn(home, lab).await
        } else {
            renew(home, lab).await.map(|run| begun.extend(run))
        };
        match outcome {
            Ok(()) => {}
            // Somebody else is at it.
            Err(ServiceError::Refused(why)) => tracing::debug!(%lab, why, "left for the next look"),
            Err(error) => tracing::warn!(%lab, %error, "its end could not be seen to"),
        }
    }
    begun
}

/// Looks again and again, and has each run begun kept by the caller. Does not end.
pub async fn keep_looking(home: &Arc<Homeroom>, mut begun: impl FnMut(RunHandle)) {
    loop {
        look(home).await.into_iter().for_each(&mut begun);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn failed_lately(progress: &Progress, now: Timestamp) -> bool {
    progress.run.as_ref().is_some_and(|run| {
        let since = run.ended_at.map(|at| Duration::try_from(now.duration_since(at)).unwrap_or_default());
        run.kind == RunKind::Destroy && run.state == RunState::Failed && since.is_some_and(|since| since < AGAIN_AFTER)
    })
}

/// Tells everybody who follows the journal that the end is near.
async fn warn(home: &Homeroom, lab: &LabName) -> Result<(), ServiceError> {
    let owner = format!("{}, a warning", home.owner);
    let lock = match home.store.lock_lab(lab, &owner).await {
        Ok(lock) => lock,
        Err(StoreError::Held { holder, .. }) => return Err(ServiceError::Refused(holder)),
        Err(error) => return Err(error.into()),
    };
    let (life, _) = standing(home, lab).await?;
    let now = home.clock.now();
    // Another process may have been quicker.
    let Some(due) = life.warning_due(now) else { return Ok(()) };
    let left = plain(life.left(now));
    let next = match home.definition(lab).await?.definition {
        Definition::Workshop(workshop) if !life.can_be_put_off(workshop.max_life, now) => {
            "that is its max_life, which no extension passes".to_owned()
        }
        _ => format!("`homeroom extend {lab} 1h` puts it off"),
    };
    let words = format!("ends in {left}, at {}; {next}", shown(life.ends_at));
    let change = Change::EndWarned { left: due };
    journal::write(home, &*lock, vec![Entry::run(Level::Warning, words, change)]).await
}

/// A time as whoever reads it has it on the wall.
pub(super) fn shown(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}
