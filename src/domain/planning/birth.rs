//! When a workshop's time begins: with the deploy that first brings something of it to stand, wherever that is.

use crate::domain::{
    LabName, Progress, StoreId,
    cloud::{CloudView, is_own},
    engine::EngineView,
    label::{Owner, owner},
};

/// Whether nothing of a workshop ever came to stand, whatever was tried: its life begins with the deploy that is next.
/// `stands`: something of it is there now, or may be.
///
/// What is gone by now counts, where it was ready once, or was used.
pub fn unborn(progress: &Progress, stands: bool) -> bool {
    !stands && may_be_unborn(progress)
}

/// As far as the journal knows; what is there now says the rest.
pub fn may_be_unborn(progress: &Progress) -> bool {
    progress.seats.iter().all(|row| {
        let was = row.proven_at.is_some() || row.brought.is_some() || !row.used.is_empty();
        // What was asked for and is not settled may come to stand.
        !was && row.request.is_none()
    })
}

/// Whether an engine carries anything of a workshop's.
pub fn stands_on(store: &StoreId, lab: &LabName, view: &EngineView) -> bool {
    let containers = view.containers.iter().map(|it| (it.name.as_str(), &it.labels));
    let mut labelled = containers.chain(view.networks.iter().map(|it| (it.name.as_str(), &it.labels)));
    labelled.any(|(name, labels)| matches!(owner(store, name, labels), Owner::Ours(label) if &label.lab == lab))
}

/// Whether a project has anything of a workshop's that costs, or may have where it could not be looked at.
pub fn stands_in(store: &StoreId, lab: &LabName, view: &CloudView) -> bool {
    let disk = || view.disks.iter().any(|disk| is_own(store, lab, &disk.name, &disk.labels));
    view.own(store, lab).next().is_some() || disk() || view.blind().is_some()
}
