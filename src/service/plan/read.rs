//! What a plan is made from, read from the site and the store. Nothing is changed and nothing decided here.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, future::ready, stream};

use super::{Homeroom, READ_AT_ONCE, ServiceError, Site};
use crate::{
    deploy::class::{Rest, rest},
    domain::{
        Change, Clean, LabName, Level, MachineState, NodeName, Progress, SeatName, Vmid,
        class::ClassDefinition,
        cluster::{ClusterView, Power, TemplateView},
        event::RunKind,
        mark::{Ownership, ownership},
        placement::Want,
        planning::{self, GuestFacts},
        progress::SeatProgress,
    },
    port::{SiteError, StoreError, store::EventFilter},
};

pub(super) async fn read_templates(
    site: &Site,
    view: &ClusterView,
    class: &ClassDefinition,
) -> Result<Vec<TemplateView>, ServiceError> {
    let wanted = planning::templates_to_read(&class.template, view);
    let asked = wanted.into_iter().map(|(node, vmid)| async move { site.cluster.template(&node, vmid).await });
    let mut answers = stream::iter(asked).buffered(READ_AT_ONCE);
    let mut templates = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(template) => templates.push(template),
            // Its node may have gone since; the plan says so if no other will do.
            Err(SiteError::Lost { .. } | SiteError::Unreachable { .. } | SiteError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(templates)
}

/// Reads the configuration of every machine the store knows of and the site shows on nodes that answer. One that has
/// none any more is taken out of the look: a removal that goes on has just come to its end.
pub(super) async fn observe(
    home: &Homeroom,
    site: &Site,
    view: &mut ClusterView,
    progress: &Progress,
) -> Result<BTreeMap<Vmid, GuestFacts>, ServiceError> {
    let read = |(node, vmid): (NodeName, Vmid)| async move {
        let config = site.cluster.config(&node, vmid).await;
        (node, vmid, config)
    };
    let wanted = planning::machines_to_read(progress, view);
    let mut answers = stream::iter(wanted).map(read).buffered(READ_AT_ONCE);
    let (mut observed, mut gone) = (BTreeMap::new(), BTreeSet::new());
    while let Some((node, vmid, config)) = answers.next().await {
        match config {
            Ok(config) => {
                let template = view.guest(vmid).is_some_and(|guest| guest.template);
                let ownership = ownership(home.store.id(), vmid, template, &config.description);
                let row = progress.seats.iter().find(|row| row.vmid == Some(vmid));
                let marked = |row: &SeatProgress| matches!(&ownership, Ownership::Ours(mark) if mark.lab == progress.lab && mark.seat == row.seat);
                let (removal, marked) = (row.and_then(|row| row.removal.as_ref()), row.is_some_and(marked));
                let removal = match rest(&*site.cluster, removal, &node, vmid, &config, marked).await? {
                    Rest::Whole => planning::Removal::None,
                    Rest::Ours(_) => planning::Removal::Ours,
                    Rest::Unproven(why) => planning::Removal::Unproven(why.to_string()),
                    Rest::Gone => {
                        gone.insert(vmid);
                        continue;
                    }
                };
                observed.insert(vmid, GuestFacts { node, config: config.plain(), ownership, removal });
            }
            Err(SiteError::Missing { .. }) => _ = gone.insert(vmid),
            Err(SiteError::Lost { .. } | SiteError::Unreachable { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // Whether its number is free is asked as of every other that nobody lists.
    if !gone.is_empty() {
        view.guests.retain(|guest| !gone.contains(&guest.vmid));
    }
    Ok(observed)
}

/// Numbers of the lab that nobody lists and that are taken all the same. A machine is gone only where its
/// number is free: a token that may not see it would otherwise make us forget it.
pub(super) async fn unseen(
    site: &Site,
    view: &ClusterView,
    progress: &Progress,
) -> Result<BTreeSet<Vmid>, ServiceError> {
    let unlisted: Vec<_> =
        progress.seats.iter().filter_map(|row| row.vmid).filter(|vmid| view.guest(*vmid).is_none()).collect();
    let asked: Vec<_> = stream::iter(unlisted)
        .map(|vmid| async move { (vmid, site.inspect.is_free(vmid).await) })
        .buffer_unordered(READ_AT_ONCE)
        .collect()
        .await;
    let mut unseen = BTreeSet::new();
    for (vmid, is_free) in asked {
        if !is_free? {
            unseen.insert(vmid);
        }
    }
    Ok(unseen)
}

/// What each machine was brought to.
pub(super) async fn applied(
    home: &Homeroom,
    lab: &LabName,
    progress: &Progress,
    observed: &BTreeMap<Vmid, GuestFacts>,
) -> Result<BTreeMap<SeatName, planning::Applied>, ServiceError> {
    let mut plans = BTreeMap::new();
    for run in planning::runs_to_read(progress, observed) {
        match home.store.run(run).await {
            Ok((row, plan)) if (row.kind.makes() || row.kind == RunKind::Adopt) && row.lab == *lab => {
                _ = plans.insert(run, plan);
            }
            // One that another store knew.
            Ok(_) | Err(StoreError::NoRun(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(planning::applied(progress, observed, &plans))
}

/// Numbers under which a disk still lies of a machine that went. Somebody was told to remove it by hand, which must never
/// meet another machine's. Only those that the journal names are asked about.
pub(super) async fn left(home: &Homeroom, site: &Site, view: &ClusterView) -> Result<BTreeSet<Vmid>, ServiceError> {
    let filter = EventFilter { level: Some(Level::Warning), ..EventFilter::default() };
    let mut volumes: BTreeMap<(Vmid, NodeName, String), BTreeSet<Clean>> = BTreeMap::new();
    for event in home.store.events(&filter).await? {
        let Change::LeftBehind { vmid, node, volume } = event.event.change else { continue };
        // The journal is of every site.
        let here = view.node(&node).is_some() && site.rules.vmids.contains(vmid) && view.guest(vmid).is_none();
        if let Some((storage, _)) = volume.as_str().split_once(':').filter(|_| here) {
            volumes.entry((vmid, node, storage.to_owned())).or_default().insert(volume.clone());
        }
    }
    let asked = volumes.into_iter().map(|((vmid, node, storage), told)| async move {
        let there = match site.cluster.volumes(&node, &storage, vmid).await {
            Ok(volumes) => volumes.iter().any(|volume| told.contains(volume)),
            // Whoever cannot be asked may have it still.
            Err(error) => !error.is_missing(),
        };
        there.then_some(vmid)
    });
    Ok(stream::iter(asked).buffer_unordered(READ_AT_ONCE).filter_map(ready).collect().await)
}

pub(super) type Others = (BTreeSet<Vmid>, Vec<(NodeName, Want)>);

/// VMIDs and memory that other labs of the site have set aside.
pub(super) async fn others(
    home: &Homeroom,
    lab: &LabName,
    site: &Site,
    view: &ClusterView,
) -> Result<Others, ServiceError> {
    let (all, _) = home.store.all_progress().await?;
    let (mut reserved, mut commitments) = (BTreeSet::new(), Vec::new());
    let rows = all.iter().filter(|other| &other.lab != lab).flat_map(|other| &other.seats);
    for row in rows.filter(|row| row.site == site.name && row.state != MachineState::Gone) {
        let Some(vmid) = row.vmid else { continue };
        reserved.insert(vmid);
        if let Some(guest) = view.guest(vmid).filter(|guest| guest.power == Power::Stopped) {
            let want = Want { cpus: guest.cpus, memory: guest.memory };
            commitments.push((guest.node.clone(), want));
        }
    }
    Ok((reserved, commitments))
}
