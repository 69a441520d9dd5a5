//! Whose a lab's machines are by the marks they carry. A listing of the site shows no marks, so they are read machine by
//! machine: for what is told of one lab, never for what watches all of them.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, ready},
    stream,
};

use super::{Homeroom, Site};
use crate::domain::{
    MachineState, NodeName, Progress, SeatName, Vmid,
    cluster::ClusterView,
    mark::{Ownership, ownership},
    progress::SeatProgress,
};

/// Machines read at once.
const AT_ONCE: usize = 8;
/// For one of them: wall time.
const WITHIN: Duration = Duration::from_secs(5);

/// The seats whose machines are not ours by their mark, and what that means. One that could not be read is not among
/// them: what it carries is not known.
pub(super) async fn foreign(
    home: &Homeroom,
    site: &Site,
    view: &ClusterView,
    progress: &Progress,
) -> BTreeMap<SeatName, String> {
    // Of what is at work or gone more is known elsewhere.
    let proven = progress.seats.iter().filter(|row| row.state == MachineState::Ready);
    let listed = proven.filter_map(|row| Some((row, view.guest(row.vmid?)?)));
    let wanted: Vec<_> = listed.map(|(row, guest)| (row, guest.node.clone(), guest.vmid)).collect();
    let read = wanted.into_iter().map(|(row, node, vmid)| {
        let reading = async move {
            let config = tokio::time::timeout(WITHIN, site.cluster.config(&node, vmid)).await.ok()?.ok()?;
            let whose = ownership(home.store.id(), vmid, false, &config.description);
            Some((row.seat.clone(), told(site, progress, row, (&node, vmid), &whose)?))
        };
        // Boxed, so that it can be shown that tasks may carry it.
        reading.boxed()
    });
    let read: Vec<BoxFuture<'_, _>> = read.collect();
    stream::iter(read).buffered(AT_ONCE).filter_map(ready).collect().await
}

fn told(
    site: &Site,
    progress: &Progress,
    row: &SeatProgress,
    (node, vmid): (&NodeName, Vmid),
    whose: &Ownership,
) -> Option<String> {
    let (lab, seat, site) = (&progress.lab, &row.seat, &site.name);
    match whose {
        Ownership::Ours(mark) if mark.lab == *lab && mark.seat == *seat => None,
        Ownership::Ours(mark) => Some(format!("{vmid} on {node} carries the mark of {}/{}", mark.lab, mark.seat)),
        Ownership::OtherStore(_) => Some(format!(
            "{vmid} on {node} carries another homeroom's mark; `homeroom adopt {site} --take-over` takes it over"
        )),
        Ownership::Foreign => Some(format!(
            "its mark is gone from the description of {vmid} on {node}, so it is left alone; `homeroom adopt {site} \
             {lab}/{seat}={vmid}` puts it back"
        )),
    }
}
