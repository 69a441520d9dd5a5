//! Writing down what an adopt takes in: the intent first, then the mark on the machine, then that it is ours.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    time::Duration,
};

use super::{found::Candidate, settings_of};
use crate::{
    deploy::{
        Recorder,
        recorder::{Entry, JournalLost},
    },
    domain::{
        Change, Clean, LabName, Level, Plan, Progress, RunId, SeatName, StepName, StepState, Vmid,
        class::{ClassDefinition, Order, RollCall, SeatSpec},
        cluster::{ClusterView, Power},
        event::{RunKind, RunState},
        lent::Lent,
        machine::machine_name,
        mark::{Mark, Ownership, TAG},
        plan::{SeatPlan, Verb},
        regain::{self, Regained},
        verify::static_address,
    },
    port::{SiteError, cluster::ConfigChange},
    service::{Homeroom, ServiceError, Site, meet::told_address},
};

/// For one question to a guest agent: wall time.
const WITHIN: Duration = Duration::from_secs(10);

/// What is taken in.
pub struct Taken<'a> {
    pub class: &'a ClassDefinition,
    pub machines: &'a [(SeatName, Candidate)],
    pub view: &'a ClusterView,
    /// What could not be told where the definition was made out from them.
    pub open: Vec<String>,
}

/// One run that takes these machines into the lab, whose lock the caller holds.
pub async fn take_in(home: &Homeroom, site: &Site, taken: Taken<'_>) -> Result<(), ServiceError> {
    let lab = &taken.class.name;
    let begun = begun(site, &taken).await?;
    let (progress, _) = home.store.progress(lab).await?;
    let run = home.store.begin_run(lab, RunKind::Adopt, &home.owner, &begun.plan, home.clock.now()).await?;
    let known: Vec<SeatName> = taken
        .machines
        .iter()
        .filter(|(seat, machine)| is_known(&progress, seat, machine))
        .map(|(s, _)| s.clone())
        .collect();
    let (recorder, writer) = Recorder::start(home.store.clone(), home.clock.clone(), run, progress);
    let outcome = all(home, site, run, &recorder, &taken, &begun.lent, &known).await;
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

/// Whether the seat's row is of this very machine, which lost its mark or got another's: all that is known of it stays.
fn is_known(progress: &Progress, seat: &SeatName, machine: &Candidate) -> bool {
    let row = progress.seat(seat).filter(|row| row.vmid == Some(machine.guest.vmid));
    row.and_then(|row| row.step(StepName::Clone)).is_some_and(|step| step.state == StepState::Ok)
}

/// What is known of the machines before anything is written.
struct Begun {
    plan: Plan,
    lent: BTreeMap<SeatName, Lent>,
}

/// Each machine held against its definition and against the template it stands on.
async fn begun(site: &Site, taken: &Taken<'_>) -> Result<Begun, ServiceError> {
    let mut plan = empty_plan(taken.class);
    plan.notes.clone_from(&taken.open);
    let mut class = taken.class.clone();
    class.cloud_init.user.get_or_insert_with(|| site.rules.user.clone());
    let specs: BTreeMap<SeatName, SeatSpec> =
        class.resolve().into_iter().map(|spec| (spec.seat.clone(), spec)).collect();
    let mut templates: HashMap<Vmid, Option<BTreeMap<String, String>>> = HashMap::new();
    let mut lent = BTreeMap::new();
    for (seat, candidate) in taken.machines {
        let (vmid, config, spec) = (candidate.guest.vmid, candidate.config.plain(), specs.get(seat));
        let regained = Regained { seat: seat.clone(), vmid, config };
        let origin = regain::origin(std::slice::from_ref(&regained), taken.view).filter(|origin| origin.told);
        if let Some(origin) = &origin
            && !templates.contains_key(&origin.vmid)
        {
            templates.insert(origin.vmid, settings_of(site, taken.view, origin.vmid).await?);
        }
        let named = origin.as_ref().map(|origin| (origin.vmid, Clean::new(origin.template.to_string())));
        let source = named.as_ref().map(|(vmid, name)| (*vmid, name, templates.get(vmid).and_then(Option::as_ref)));
        lent.insert(seat.clone(), regain::lent(spec, &regained.config, source));
        let name = machine_name(&class.name, seat);
        if let Some(spec) = spec.filter(|spec| regain::is_as_defined(spec, &name, &regained.config)) {
            plan.seats.push(as_it_stands(spec, candidate, name));
        }
    }
    Ok(Begun { plan, lent })
}

/// That a machine is as its definition says: what is changed of it from here on somebody did.
fn as_it_stands(spec: &SeatSpec, candidate: &Candidate, name: String) -> SeatPlan {
    SeatPlan {
        unlisted: false,
        seat: spec.seat.clone(),
        role: spec.role,
        name,
        verb: Verb::Keep,
        node: candidate.guest.node.clone(),
        vmid: Some(candidate.guest.vmid),
        source: None,
        spec: spec.clone(),
        changes: Vec::new(),
        steps: Vec::new(),
        why: "adopted, and as its definition says".to_owned(),
        person: None,
    }
}

async fn all(
    home: &Homeroom,
    site: &Site,
    run: RunId,
    recorder: &Recorder,
    taken: &Taken<'_>,
    lent: &BTreeMap<SeatName, Lent>,
    known: &[SeatName],
) -> Result<(), ServiceError> {
    let (class, machines) = (taken.class, taken.machines);
    let lost = |lost: JournalLost| ServiceError::NotNow(lost.to_string());
    let started = Change::RunStarted { kind: RunKind::Adopt, site: site.name.clone(), owner: Clean::new(&home.owner) };
    recorder
        .write(Entry::run(Level::Info, format!("adopting {} machines", machines.len()), started))
        .await
        .map_err(lost)?;
    for (seat, candidate) in machines {
        let news = lent.get(seat).filter(|_| !known.contains(seat));
        one(home, site, (&class.name, run), recorder, (seat, candidate), news).await?;
    }
    let ended = Change::RunEnded { state: RunState::Done };
    recorder.write(Entry::run(Level::Success, format!("{} adopted", machines.len()), ended)).await.map_err(lost)
}

/// One machine; `news`: what it had of its template, where the seat's row was not of this machine before.
async fn one(
    home: &Homeroom,
    site: &Site,
    (lab, run): (&LabName, RunId),
    recorder: &Recorder,
    (seat, candidate): (&SeatName, &Candidate),
    news: Option<&Lent>,
) -> Result<(), ServiceError> {
    let lost = |lost: JournalLost| ServiceError::NotNow(lost.to_string());
    let guest = &candidate.guest;
    if !matches!(candidate.owner, Ownership::Ours(_)) {
        let words = format!("taking over {}: writing our mark", candidate.label());
        recorder.write(Entry::seat(seat, Level::Info, words, Change::Note)).await.map_err(lost)?;
        let mark = Mark { store: home.store.id().clone(), lab: lab.clone(), seat: seat.clone(), run, vmid: guest.vmid };
        put_mark(site, candidate, &mark).await?;
    }
    let mut entries = Vec::new();
    if let Some(lent) = news {
        let steps = vec![StepName::Reserve, StepName::Clone, StepName::Configure, StepName::Start];
        let planned = Change::SeatPlanned { role: regain::role(seat), site: site.name.clone(), steps: steps.clone() };
        entries.push(Entry::seat(seat, Level::Debug, "found", planned));
        let reserved = Change::Reserved { node: guest.node.clone(), vmid: guest.vmid };
        entries.push(Entry::seat(seat, Level::Debug, format!("vmid {} on {}", guest.vmid, guest.node), reserved));
        for step in steps {
            let done = Change::StepDone { took: Duration::ZERO };
            entries.push(Entry::step(Some(seat), step, Level::Debug, "there already", done));
        }
        let lent = Change::Lent { lent: lent.clone() };
        entries.push(Entry::seat(seat, Level::Debug, "what its template lent it, as far as it can be told", lent));
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
