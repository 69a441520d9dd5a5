//! Machines that carry a mark for a lab and that this store does not know: what is left where a store was lost, or what
//! another store has. Told, never touched.

use std::collections::BTreeSet;

use super::{
    Homeroom, ServiceError, Site,
    adopt::{look_for, mark_of},
};
use crate::domain::{
    LabName, MachineState, SeatName, Vmid,
    cluster::{ClusterView, GuestView},
    mark::Ownership,
    planning::Unclaimed,
};

/// Those of a lab, or of these seats of it. Only machines with our tag or the lab's name that no lab of the site has are
/// read: mostly none.
pub(super) async fn unclaimed(
    home: &Homeroom,
    site: &Site,
    view: &ClusterView,
    lab: &LabName,
    seats: &[SeatName],
) -> Result<Vec<Unclaimed>, ServiceError> {
    let (all, _) = home.store.all_progress().await?;
    let rows = all.iter().flat_map(|progress| &progress.seats);
    let of_site = rows.filter(|row| row.site == site.name && row.state != MachineState::Gone);
    let known: BTreeSet<Vmid> = of_site.filter_map(|row| row.vmid).collect();
    // What has lost its name and our tag too is for an adopt to find: it reads the whole range.
    let own = format!("{lab}-");
    let named = |guest: &GuestView| guest.name.as_ref().is_some_and(|name| name.as_str().starts_with(&own));
    let worth = |guest: &GuestView| !known.contains(&guest.vmid) && (guest.is_tagged() || named(guest));
    let found = look_for(home, site, view, worth).await?;
    let of_lab = found.into_iter().filter_map(|candidate| {
        let mark = mark_of(&candidate.owner)?;
        let asked = mark.lab == *lab && (seats.is_empty() || seats.contains(&mark.seat));
        let others = matches!(candidate.owner, Ownership::OtherStore(_));
        asked.then(|| Unclaimed { seat: mark.seat.clone(), others, guest: candidate.guest })
    });
    Ok(of_lab.collect())
}
