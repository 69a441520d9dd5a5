//! The catalogue of steps for a class, and how a plan becomes a graph of them.
//!
//! One file per step. A seat's steps share a `Seat`; all seats share a `Site`.

mod address;
mod agent;
mod boots;
mod clone;
mod configure;
mod dead;
mod destroy;
mod exec;
mod graph;
mod identities;
mod pool;
mod power;
mod questions;
mod report;
mod reserve;
mod resize;
mod rest;
mod seat;
mod signs;
mod site;
mod ssh;
mod verify;

use std::{collections::HashMap, sync::Arc};

pub use report::{REPORT, SelfReport};
pub use rest::{Rest, rest};
pub use site::{Logins, Site, SiteParts, new_host_key, rekeyed};

use self::{graph::build, identities::Told, seat::Seat};
use super::{
    Recorder,
    account::{Tally, announce, close},
    recorder::{Entry, JournalLost},
    schedule::{Halt, Shared, carry_out},
};
use crate::domain::{
    Change, Level, MachineState, NodeName, Plan, SeatName, StepName, Vmid,
    event::{RunKind, RunState},
    plan::Verb,
};

/// Carries out a plan for a class and says how the run ended. Everything on the way is in the journal.
///
/// `halt` winds it down. Where it is handed over, no end is written: the run is under way all the same.
///
/// # Errors
/// When the journal cannot be written: nothing more is done then.
pub async fn carry_out_plan(
    plan: &Plan,
    site: Arc<Site>,
    recorder: Recorder,
    halt: Halt,
) -> Result<RunState, JournalLost> {
    let before = recorder.progress();
    announce(plan, &recorder).await?;
    if plan.kind == RunKind::Check {
        for seat in plan.seats.iter().filter(|seat| seat.verb == Verb::Leave) {
            let Some(vmid) = seat.vmid else { continue };
            if is_off(&site, &seat.node, vmid).await {
                recorder.write(found_off(&seat.seat)).await?;
            }
        }
    }
    let seats: Vec<Arc<Seat>> = plan
        .seats
        .iter()
        .filter_map(|seat| {
            Some(Arc::new(Seat::new(seat.clone(), seat.vmid?, before.seat(&seat.seat), plan.fixes_drift)))
        })
        .collect();
    // Machines that stand and are left alone must not be doubled either. Their addresses are not held against
    // anybody: a lease may have passed on.
    for row in
        recorder.progress().seats.iter().filter(|row| row.state == MachineState::Ready && !row.host_keys.is_empty())
    {
        site.identities.tell(&row.seat, Told::HostKeys(row.host_keys.clone()));
    }
    if plan.seats.iter().any(|seat| seat.steps.contains(&StepName::Start)) {
        site.size_boots().await;
    }
    let (graph, subjects) = build(plan, &site, &seats);
    let shared = Shared {
        recorder: recorder.clone(),
        clock: site.clock.clone(),
        limits: site.limits.clone(),
        halt: halt.clone(),
    };
    let tally = Arc::new(Tally::new(plan, &subjects, site.clock.monotonic()));
    let (writer, worked_on, kind) = (recorder.clone(), site.clone(), plan.kind);
    let homes: HashMap<SeatName, Arc<Seat>> = seats.iter().map(|seat| (seat.name().clone(), seat.clone())).collect();
    let ends = carry_out(graph, shared, move |index, ended| {
        let (tally, writer, site) = (tally.clone(), writer.clone(), worked_on.clone());
        let seat = subjects.get(index).and_then(|name| homes.get(name.as_ref()?)).cloned();
        async move {
            if let Some(seat) = seat
                && let Some(entry) = tally.ended(seat.name(), ended, site.clock.monotonic())
                && let Err(lost) = write_end(&writer, &site, &seat, kind, entry).await
            {
                tracing::error!(%lost, "the end of a seat is not written down");
            }
        }
    })
    .await;
    close(plan, &ends, &recorder, &halt).await
}

/// Writes a seat's end down. One that another was found to share something with is not ready, whichever of
/// the two was found out first; one whose roll call found it off is stopped, not failed.
async fn write_end(
    recorder: &Recorder,
    site: &Site,
    seat: &Seat,
    kind: RunKind,
    entry: Entry,
) -> Result<(), JournalLost> {
    let facts = seat.facts();
    match entry.change {
        Change::SeatFailed if kind == RunKind::Check && is_off(site, &facts.node, facts.vmid).await => {
            recorder.write(found_off(seat.name())).await
        }
        Change::SeatReady => {
            if site.identities.shared(seat.name()).is_none() {
                recorder.write(entry).await?;
            }
            match site.identities.shared(seat.name()) {
                Some(words) => {
                    recorder.write(Entry::seat(seat.name(), Level::Error, words.as_str(), Change::SeatFailed)).await
                }
                None => Ok(()),
            }
        }
        _ => recorder.write(entry).await,
    }
}

/// Whether the machine's node says now that it is off. Without an answer nothing is claimed.
async fn is_off(site: &Site, node: &NodeName, vmid: Vmid) -> bool {
    site.cluster.status(node, vmid).await.is_ok_and(|status| !status.running)
}

fn found_off(seat: &SeatName) -> Entry {
    Entry::seat(seat, Level::Warning, "was off when its roll call was due; deploy starts it", Change::SeatStopped)
}
