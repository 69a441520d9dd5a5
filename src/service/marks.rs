//! Whose a lab's machines are by the marks they carry. A listing of the site shows no marks, so they are read machine by
//! machine: for what is asked for once, never for what watches.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, ready},
    stream,
};

use super::{Homeroom, Site};
use crate::domain::{
    MachineState, Progress, SeatName,
    cluster::{ClusterView, GuestView},
    mark::{Ownership, ownership},
    planning::{Estranged, estranged, whose},
    progress::SeatProgress,
};

/// Machines read at once.
const AT_ONCE: usize = 8;
/// For one of them: wall time.
const WITHIN: Duration = Duration::from_secs(5);

/// Seats by what their machines carry: nothing where it is the seat's own mark, else what it means that it is not. One that
/// could not be read is not among them: what it carries is not known.
pub(super) type Marks = BTreeMap<SeatName, Option<String>>;

/// Reads the marks of the machines that stand.
pub(super) async fn read(home: &Homeroom, site: &Site, view: &ClusterView, progress: &Progress) -> Marks {
    // Of what is at work, failed or gone more is known elsewhere.
    let stands =
        |row: &&SeatProgress| matches!(row.state, MachineState::Ready | MachineState::Stale | MachineState::Stopped);
    let standing = progress.seats.iter().filter(stands);
    let listed = standing.filter_map(|row| Some((row, view.guest(row.vmid?)?)));
    let answers = |guest: &GuestView| view.node(&guest.node).is_some_and(|node| node.online);
    let wanted: Vec<_> = listed.filter(|(_, guest)| answers(guest)).collect();
    // Boxed, so that it can be shown that tasks may carry it.
    let reads: Vec<BoxFuture<'_, _>> =
        wanted.into_iter().map(|(row, guest)| one(home, site, progress, row, guest).boxed()).collect();
    stream::iter(reads).buffered(AT_ONCE).filter_map(ready).collect().await
}

/// One seat's.
async fn one(
    home: &Homeroom,
    site: &Site,
    progress: &Progress,
    row: &SeatProgress,
    guest: &GuestView,
) -> Option<(SeatName, Option<String>)> {
    let config = tokio::time::timeout(WITHIN, site.cluster.config(&guest.node, guest.vmid)).await.ok()?.ok()?;
    let owner = ownership(home.store.id(), guest.vmid, false, &config.description);
    Some((row.seat.clone(), told(site, progress, row, guest, &owner)))
}

/// In the words of a plan: what it would do, and what to do first.
fn told(site: &Site, progress: &Progress, row: &SeatProgress, guest: &GuestView, owner: &Ownership) -> Option<String> {
    let (lab, seat, site, vmid, node) = (&progress.lab, &row.seat, &site.name, guest.vmid, &guest.node);
    Some(match estranged(lab, row, guest, owner)? {
        Estranged::LostMark => format!(
            "its mark is gone from the description of {vmid} on {node}, so it is left alone; `homeroom adopt {site} \
             {lab}/{seat}={vmid}` puts it back"
        ),
        Estranged::TakenOver => format!(
            "{vmid} on {node} belongs to another homeroom store now; `homeroom adopt {site} --take-over` takes it over"
        ),
        Estranged::Stranger => {
            format!("{}; the next deploy leaves it alone and makes {seat} another", whose(guest, Some(owner)))
        }
    })
}
