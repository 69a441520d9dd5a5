//! Ends of containers that nobody asked for: each becomes one line of the journal, told by whoever sees it first.

use super::{Homeroom, ServiceError, ends::LOOK_EVERY, journal};
use crate::{
    deploy::recorder::Entry,
    domain::{
        Change, Definition, Level, Progress, SiteName,
        engine::{ContainerView, EngineView},
        label::OURS,
        readiness::Hand,
        seating::Judge,
        workshop::WorkshopDefinition,
    },
    port::StoreError,
};

/// Writes down what ended on an engine by this look at it, and was not told yet. A workshop that somebody works on is
/// left for the next look.
pub async fn tell(home: &Homeroom, site: &SiteName, view: &EngineView) -> Result<(), ServiceError> {
    let ended = |it: &ContainerView| it.ending.is_some() || it.out_of_memory.is_some();
    if !view.containers.iter().any(|it| it.labels.contains_key(OURS) && ended(it)) {
        return Ok(());
    }
    for stored in home.store.definitions().await? {
        let Definition::Workshop(workshop) = stored.definition else { continue };
        let lab = &workshop.name;
        if &workshop.site != site || untold(home, &workshop, &home.store.progress(lab).await?.0, view).is_empty() {
            continue;
        }
        let lock = match home.store.lock_lab(lab, &format!("{}, a line of the log", home.owner)).await {
            Ok(lock) => lock,
            Err(StoreError::Held { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        // Another process may have been quicker.
        let lines = untold(home, &workshop, &home.store.progress(lab).await?.0, view);
        if !lines.is_empty() {
            journal::write(home, &*lock, lines).await?;
        }
    }
    Ok(())
}

fn untold(home: &Homeroom, workshop: &WorkshopDefinition, progress: &Progress, view: &EngineView) -> Vec<Entry> {
    let judge = Judge {
        workshop,
        store: home.store.id(),
        view: Some(view),
        hand: Hand::nobodys(progress),
        now: home.clock.now(),
        max_age: home.proof_max_age,
    };
    let line = |row| {
        let (ended_at, words) = judge.untold_end(row)?;
        Some(Entry::seat(&row.seat, Level::Error, words, Change::ContainerEnded { ended_at }))
    };
    progress.seats.iter().filter_map(line).collect()
}

/// Looks again and again at the engines that carry a workshop. Does not end.
pub async fn keep_looking(home: &Homeroom) {
    loop {
        if let Err(error) = look(home).await {
            tracing::debug!(%error, "what ended on an engine is told by the next look");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn look(home: &Homeroom) -> Result<(), ServiceError> {
    let (labs, _) = home.store.all_progress().await?;
    for (site, engine) in &home.engines {
        let carries = |lab: &Progress| lab.life.is_some() && lab.seats.iter().any(|row| &row.site == site);
        if labs.iter().any(carries) {
            match engine.containers.view().await {
                Ok(view) => tell(home, site, &view).await?,
                // Its absence is told where it is looked at.
                Err(error) => tracing::debug!(%site, %error, "not looked at"),
            }
        }
    }
    Ok(())
}
