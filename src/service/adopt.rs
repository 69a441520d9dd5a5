//! Adopt: machines that carry this store's mark and that it does not know come back into it.
//!
//! What is adopted is not proven: it is stale until a roll call.

use std::{collections::BTreeMap, time::Duration};

use super::{Homeroom, ServiceError, run::lock};
use crate::{
    deploy::{
        Recorder,
        recorder::{Entry, JournalLost},
    },
    domain::{
        Change, Clean, Definition, LabName, Level, Plan, Role, SeatName, SiteName, StepName,
        class::{Order, RollCall},
        cluster::GuestView,
        event::{RunKind, RunState},
        mark::{Ownership, ownership},
    },
};

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    pub lab: LabName,
    pub seats: Vec<SeatName>,
}

/// Takes back every machine of the site that carries our mark and belongs to a defined class.
pub async fn adopt(home: &Homeroom, site: &SiteName) -> Result<Vec<Adopted>, ServiceError> {
    let found = find(home, site).await?;
    let mut adopted = Vec::new();
    for (lab, machines) in found {
        let Ok(stored) = home.store.definition(&lab).await else { continue };
        let Definition::Class(class) = stored.definition else { continue };
        let (progress, _) = home.store.progress(&lab).await?;
        let roles: BTreeMap<SeatName, Role> = class.seats().into_iter().collect();
        let fresh: Vec<_> =
            machines.into_iter().filter(|(seat, _)| progress.seat(seat).is_none_or(|row| row.vmid.is_none())).collect();
        if fresh.is_empty() {
            continue;
        }
        let lock = lock(home, &lab, RunKind::Adopt).await?;
        let plan = empty_plan(&lab, site);
        let run = home.store.begin_run(&lab, RunKind::Adopt, &home.owner, &plan, home.clock.now()).await?;
        let (recorder, writer) = Recorder::start(home.store.clone(), home.clock.clone(), run, progress);
        write_down(&recorder, &home.owner, site, &roles, &fresh)
            .await
            .map_err(|lost| ServiceError::NotNow(lost.to_string()))?;
        drop(recorder);
        if writer.await.is_err() {
            tracing::error!(%run, "the journal's writer ended abnormally");
        }
        drop(lock);
        adopted.push(Adopted { lab, seats: fresh.into_iter().map(|(seat, _)| seat).collect() });
    }
    Ok(adopted)
}

type Machines = BTreeMap<LabName, Vec<(SeatName, GuestView)>>;

/// Reads the mark of every tagged machine of the site.
async fn find(home: &Homeroom, site: &SiteName) -> Result<Machines, ServiceError> {
    let site = home.site(site)?;
    let view = site.cluster.view().await?;
    let mut found = Machines::new();
    for guest in view.guests.iter().filter(|guest| guest.is_tagged() && !guest.template) {
        let config = site.cluster.config(&guest.node, guest.vmid).await?;
        if let Ownership::Ours(mark) = ownership(home.store.id(), guest.vmid, guest.template, &config.description) {
            found.entry(mark.lab).or_default().push((mark.seat, guest.clone()));
        }
    }
    Ok(found)
}

async fn write_down(
    recorder: &Recorder,
    owner: &str,
    site: &SiteName,
    roles: &BTreeMap<SeatName, Role>,
    machines: &[(SeatName, GuestView)],
) -> Result<(), JournalLost> {
    let started = Change::RunStarted { kind: RunKind::Adopt, site: site.clone(), owner: Clean::new(owner) };
    recorder.write(Entry::run(Level::Info, format!("adopting {} machines", machines.len()), started)).await?;
    for (seat, guest) in machines {
        let role = roles.get(seat).copied().unwrap_or(Role::Student);
        let steps = vec![StepName::Reserve, StepName::Clone];
        let planned = Change::SeatPlanned { role, site: site.clone(), steps };
        recorder.write(Entry::seat(seat, Level::Debug, "found by its mark", planned)).await?;
        let reserved = Change::Reserved { node: guest.node.clone(), vmid: guest.vmid };
        recorder
            .write(Entry::seat(seat, Level::Debug, format!("vmid {} on {}", guest.vmid, guest.node), reserved))
            .await?;
        for step in [StepName::Reserve, StepName::Clone] {
            let done = Change::StepDone { took: Duration::ZERO };
            recorder.write(Entry::step(Some(seat), step, Level::Debug, "there already", done)).await?;
        }
        recorder.write(Entry::seat(seat, Level::Info, "adopted, not proven yet", Change::SeatStale)).await?;
    }
    let ended = Change::RunEnded { state: RunState::Done };
    recorder.write(Entry::run(Level::Success, format!("{} adopted", machines.len()), ended)).await
}

fn empty_plan(lab: &LabName, site: &SiteName) -> Plan {
    Plan {
        kind: RunKind::Adopt,
        lab: lab.clone(),
        site: site.clone(),
        seats: Vec::new(),
        skipped_nodes: Vec::new(),
        memory_after: Vec::new(),
        estimate: None,
        room: Vec::new(),
        rollcall: RollCall::default(),
        order: Order::Parallel,
        stagger: Duration::ZERO,
        pool: None,
        notes: Vec::new(),
    }
}
