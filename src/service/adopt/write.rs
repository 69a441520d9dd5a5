//! Writing down what an adopt takes in: the intent first, then the mark on the machine, then that it is ours.

use std::{net::IpAddr, time::Duration};

use super::found::Candidate;
use crate::{
    deploy::{
        Recorder,
        recorder::{Entry, JournalLost},
    },
    domain::{
        Change, Clean, LabName, Level, Plan, RunId, SeatName, StepName,
        class::{ClassDefinition, Order, RollCall},
        cluster::Power,
        event::{RunKind, RunState},
        mark::{Mark, Ownership, TAG},
        regain,
        verify::static_address,
    },
    port::{SiteError, cluster::ConfigChange},
    service::{Homeroom, ServiceError, Site, meet::told_address},
};

/// For one question to a guest agent: wall time.
const WITHIN: Duration = Duration::from_secs(10);

/// One run that takes these machines into the lab, whose lock the caller holds.
pub async fn take_in(
    home: &Homeroom,
    site: &Site,
    class: &ClassDefinition,
    machines: &[(SeatName, Candidate)],
) -> Result<(), ServiceError> {
    let lab = &class.name;
    let plan = empty_plan(class);
    let run = home.store.begin_run(lab, RunKind::Adopt, &home.owner, &plan, home.clock.now()).await?;
    let (progress, _) = home.store.progress(lab).await?;
    let (recorder, writer) = Recorder::start(home.store.clone(), home.clock.clone(), run, progress);
    let outcome = all(home, site, class, run, &recorder, machines).await;
    if outcome.is_err() {
        let ended = Change::RunEnded { state: RunState::Failed };
        // The reason is what counts; a journal that is lost says so itself.
        let _ = recorder.write(Entry::run(Level::Error, "the adopt ended early; adopt again to go on", ended)).await;
    }
    drop(recorder);
    if writer.await.is_err() {
        tracing::error!(%run, "the journal's writer ended abnormally");
    }
    outcome
}

async fn all(
    home: &Homeroom,
    site: &Site,
    class: &ClassDefinition,
    run: RunId,
    recorder: &Recorder,
    machines: &[(SeatName, Candidate)],
) -> Result<(), ServiceError> {
    let lost = |lost: JournalLost| ServiceError::NotNow(lost.to_string());
    let started = Change::RunStarted { kind: RunKind::Adopt, site: site.name.clone(), owner: Clean::new(&home.owner) };
    recorder
        .write(Entry::run(Level::Info, format!("adopting {} machines", machines.len()), started))
        .await
        .map_err(lost)?;
    for (seat, candidate) in machines {
        one(home, site, &class.name, run, recorder, seat, candidate).await?;
    }
    let ended = Change::RunEnded { state: RunState::Done };
    recorder.write(Entry::run(Level::Success, format!("{} adopted", machines.len()), ended)).await.map_err(lost)
}

async fn one(
    home: &Homeroom,
    site: &Site,
    lab: &LabName,
    run: RunId,
    recorder: &Recorder,
    seat: &SeatName,
    candidate: &Candidate,
) -> Result<(), ServiceError> {
    let lost = |lost: JournalLost| ServiceError::NotNow(lost.to_string());
    let guest = &candidate.guest;
    if !matches!(candidate.owner, Ownership::Ours(_)) {
        let words = format!("taking over {}: writing our mark", candidate.label());
        recorder.write(Entry::seat(seat, Level::Info, words, Change::Note)).await.map_err(lost)?;
        let mark = Mark { store: home.store.id().clone(), lab: lab.clone(), seat: seat.clone(), run, vmid: guest.vmid };
        put_mark(site, candidate, &mark).await?;
    }
    let steps = vec![StepName::Reserve, StepName::Clone, StepName::Configure, StepName::Start];
    let planned = Change::SeatPlanned { role: regain::role(seat), site: site.name.clone(), steps: steps.clone() };
    let mut entries = vec![Entry::seat(seat, Level::Debug, "found", planned)];
    let reserved = Change::Reserved { node: guest.node.clone(), vmid: guest.vmid };
    entries.push(Entry::seat(seat, Level::Debug, format!("vmid {} on {}", guest.vmid, guest.node), reserved));
    for step in steps {
        let done = Change::StepDone { took: Duration::ZERO };
        entries.push(Entry::step(Some(seat), step, Level::Debug, "there already", done));
    }
    if let Some(ip) = address_of(site, candidate).await {
        let seen = Change::AddressSeen { ip };
        entries.push(Entry::step(Some(seat), StepName::Address, Level::Debug, ip.to_string(), seen));
    }
    entries.push(Entry::seat(seat, Level::Info, "adopted, not proven yet", Change::SeatStale));
    for entry in entries {
        recorder.write(entry).await.map_err(lost)?;
    }
    Ok(())
}

/// Puts our mark in place of any other, and our tag beside what tags there are; nothing else is touched.
async fn put_mark(site: &Site, candidate: &Candidate, mark: &Mark) -> Result<(), SiteError> {
    let kept: Vec<&str> = candidate
        .config
        .description
        .lines()
        .filter(|line| Mark::parse(line).is_none() && !line.trim().is_empty())
        .collect();
    let description = kept.into_iter().map(str::to_owned).chain([mark.text()]).collect::<Vec<_>>().join("\n");
    let tags = candidate.config.get("tags").unwrap_or_default();
    let mut tags: Vec<&str> = tags.split([';', ',', ' ']).filter(|tag| !tag.is_empty()).chain([TAG]).collect();
    tags.sort_unstable();
    tags.dedup();
    let set = [("description".to_owned(), description), ("tags".to_owned(), tags.join(";"))].into();
    let change = ConfigChange { set, unset: Vec::new(), digest: candidate.config.digest.clone() };
    site.cluster.configure(&candidate.guest.node, candidate.guest.vmid, &change).await
}

/// The machine's address: as its agent tells, else as it is fixed in its settings.
async fn address_of(site: &Site, candidate: &Candidate) -> Option<IpAddr> {
    let fixed = candidate.config.get("ipconfig0").and_then(static_address);
    let guest = &candidate.guest;
    if guest.power == Power::Stopped {
        return fixed;
    }
    let asking = told_address(&*site.agent_by_api, &guest.node, guest.vmid, &candidate.config);
    let told = tokio::time::timeout(WITHIN, asking).await;
    told.ok().and_then(Result::ok).flatten().or(fixed)
}

fn empty_plan(class: &ClassDefinition) -> Plan {
    Plan {
        kind: RunKind::Adopt,
        lab: class.name.clone(),
        site: class.site.clone(),
        seats: Vec::new(),
        skipped_nodes: Vec::new(),
        memory_after: Vec::new(),
        estimate: None,
        room: Vec::new(),
        rollcall: RollCall::default(),
        order: Order::Parallel,
        stagger: Duration::ZERO,
        pool: None,
        fixes_drift: false,
        rebuilds: None,
        workshop: None,
        notes: Vec::new(),
    }
}
