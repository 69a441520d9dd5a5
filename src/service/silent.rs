//! Machines on nodes that do not answer, of which this store knows nothing.

use std::collections::BTreeSet;

use super::{Homeroom, ServiceError, Site};
use crate::{
    domain::{
        Change, Progress, Vmid,
        cluster::{ClusterView, GuestView},
        planning,
    },
    port::store::EventFilter,
};

/// Those that this store never gave a number to: what it knows is what it made, took in or gave up.
pub async fn silent(home: &Homeroom, site: &Site, view: &ClusterView) -> Result<Vec<GuestView>, ServiceError> {
    if view.nodes.iter().all(|node| node.online) {
        return Ok(Vec::new());
    }
    let (all, _) = home.store.all_progress().await?;
    let known = of_rows(&all, site);
    let found = planning::silent(view, site.rules.vmids, |vmid| known.contains(&vmid));
    if found.is_empty() {
        return Ok(found);
    }
    // One that was given up has no row any more.
    let events = home.store.events(&EventFilter::default()).await?;
    let given: BTreeSet<Vmid> = (events.into_iter())
        .filter_map(|stored| match stored.event.change {
            Change::Reserved { vmid, .. } => Some(vmid),
            _ => None,
        })
        .collect();
    Ok(found.into_iter().filter(|guest| !given.contains(&guest.vmid)).collect())
}

fn of_rows(all: &[Progress], site: &Site) -> BTreeSet<Vmid> {
    all.iter()
        .flat_map(|progress| &progress.seats)
        .filter(|row| row.site == site.name)
        .filter_map(|row| row.vmid)
        .collect()
}
