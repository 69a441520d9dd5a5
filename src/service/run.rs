//! A run in this process: begun under the lab's lock, carried out in the background, stoppable.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    GuestVia, Homeroom, ServiceError, Site,
    cloud::host_parts,
    ends,
    logins::LabLogins,
    own_key::{self, can_open},
    plan::{On, Planned},
    workshop::engine_parts,
};
use crate::{
    deploy::{
        Recorder,
        class::{self, Logins, SiteParts},
        recorder::{Entry, JournalLost},
        schedule::Halt,
        workshop::{self, EngineParts, HostParts},
    },
    domain::{
        Change, Clean, LabName, Level, NodeName, Plan, Role, RunId, StepName, Vmid,
        class::{SeatSpec, Via},
        code::JoinCode,
        event::{RunKind, RunState},
        life::later,
        workshop::WorkshopDefinition,
    },
    port::{Clock, GuestAgent, KeyRing, Mend, Store, agent::AgentError, shell::ShellError, store::LabLock},
};

/// A run under way. Dropping the handle does not stop it.
pub struct RunHandle {
    pub run: RunId,
    pub lab: LabName,
    /// The store's position before the first event of this part of the run.
    pub after: i64,
    /// Winds the run down between effects; it stays resumable.
    pub stop: CancellationToken,
    /// The same, and more ways to end it.
    pub halt: Halt,
    pub ended: JoinHandle<Result<RunState, JournalLost>>,
}

/// How often a run looks whether another process asked it to stop: wall time.
const CANCEL_POLL: Duration = Duration::from_millis(250);

/// Which run a plan is carried out as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum As {
    New,
    /// One that was broken off goes on.
    Again(RunId),
}

/// Writes a run down and sets it going. The lab's lock is held until it has ended.
pub async fn begin(home: &Arc<Homeroom>, planned: Planned, lock: Box<dyn LabLock>) -> Result<RunHandle, ServiceError> {
    begin_as(home, planned, lock, As::New).await
}

/// The same, as a new run or as one that goes on.
pub async fn begin_as(
    home: &Arc<Homeroom>,
    planned: Planned,
    lock: Box<dyn LabLock>,
    which: As,
) -> Result<RunHandle, ServiceError> {
    let Planned { plan, on, unborn } = planned;
    let (code, opening) = match &plan.workshop {
        Some(workshop) => opening(home, workshop, plan.kind, unborn).await?,
        None => (None, None),
    };
    let parts = match on {
        On::Cluster { site, spares } => Parts::Class(Box::new(site_parts(home, &site, &plan, spares).await?)),
        On::Cloud(cloud) => Parts::Cloud(Box::new(host_parts(home, &cloud, &plan, code.as_ref()).await?)),
        On::Engine(engine) => Parts::Workshop(Box::new(engine_parts(home, &engine, &plan, code.as_ref()).await?)),
    };
    let run = match which {
        As::New => home.store.begin_run(&plan.lab, plan.kind, &home.owner, &plan, home.clock.now()).await?,
        As::Again(run) => {
            home.store.resume_run(run, &home.owner).await?;
            run
        }
    };
    let (progress, after) = home.store.progress(&plan.lab).await?;
    let (recorder, writer) = Recorder::start(home.store.clone(), home.clock.clone(), run, progress);
    let started = Change::RunStarted { kind: plan.kind, site: plan.site.clone(), owner: Clean::new(&home.owner) };
    let verb = if which == As::New { "begins" } else { "goes on" };
    let words = format!("{} of {} {verb}", plan.kind.as_str(), plan.lab);
    recorder
        .write(Entry::run(Level::Info, words, started))
        .await
        .map_err(|lost| ServiceError::NotNow(lost.to_string()))?;
    if let Some(opening) = opening {
        recorder.write(opening).await.map_err(|lost| ServiceError::NotNow(lost.to_string()))?;
    }
    let halt = Halt::default();
    let (store, keys) = (home.store.clone(), home.keys.clone());
    let work = Work { store, keys, lock, plan, recorder, halt: halt.clone(), writer };
    let lab = work.plan.lab.clone();
    let ended = tokio::spawn(work.carry_out(home.clock.clone(), parts));
    Ok(RunHandle { run, lab, after, stop: halt.stop.clone(), halt, ended })
}

/// The code of a workshop, and the first line of its life where this run begins it.
async fn opening(
    home: &Homeroom,
    workshop: &WorkshopDefinition,
    kind: RunKind,
    unborn: bool,
) -> Result<(Option<JoinCode>, Option<Entry>), ServiceError> {
    let known = home.store.progress(&workshop.name).await?.0.life.map(|life| life.code);
    let code = match known {
        // The code may be with people already, and nobody had anything of the time.
        Some(code) if kind.makes() && unborn => code,
        Some(code) => return Ok((Some(code), None)),
        None if !kind.makes() => return Ok((None, None)),
        None => free_code(home).await?,
    };
    let ends_at = later(home.clock.now(), workshop.ends_after);
    let words = format!("ends at {}, after {}", ends::shown(ends_at), ends::plain(workshop.ends_after));
    Ok((Some(code.clone()), Some(Entry::run(Level::Info, words, Change::Opened { code, ends_at }))))
}

/// A code that no workshop has or had.
async fn free_code(home: &Homeroom) -> Result<JoinCode, ServiceError> {
    loop {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|e| ServiceError::NotNow(format!("no random bytes for a join code: {e}")))?;
        let Some(code) = JoinCode::from_random(&bytes) else { continue };
        if home.store.given_code(&code).await?.is_none() {
            return Ok(code);
        }
    }
}

/// What a class's run stands on. Whatever can be found wrong before anything is begun is found here.
///
/// `spares` are VMIDs of the plan's range nobody has, for machines whose own is taken in between.
async fn site_parts(
    home: &Arc<Homeroom>,
    site: &Arc<Site>,
    plan: &Plan,
    spares: Vec<Vmid>,
) -> Result<SiteParts, ServiceError> {
    let configured = plan.seats.iter().filter(|seat| seat.steps.contains(&StepName::Configure));
    let specs: Vec<SeatSpec> = configured.map(|seat| seat.spec.clone()).collect();
    let key = own_key::for_plan(home, plan).await?;
    let logins = Arc::new(LabLogins::new(home, site, &plan.lab, key, specs).await?);
    let proves = plan.seats.iter().any(|seat| seat.steps.iter().any(|step| step.is_proof()));
    can_open(plan, logins.key(), &*site.shell)?;
    let by_node = plan.rollcall.via == Via::Ssh || site.rules.guest_via == GuestVia::Node;
    if proves && by_node {
        site.know_nodes().await?;
    }
    if proves && (by_node || matches!(site.rules.guest_via, GuestVia::Jump(_))) {
        trusted_logins(site, plan, by_node).await?;
    }
    if proves && site.rules.guest_via == GuestVia::Teacher {
        know_teacher(home, &plan.lab, &logins).await?;
    }
    let agent = agent_for(site, plan.rollcall.via);
    Ok(SiteParts {
        cluster: site.cluster.clone(),
        agent,
        shell: site.shell.clone(),
        mend: Arc::new(MendAt(site.clone())),
        clock: home.clock.clone(),
        logins,
        store: home.store.id().clone(),
        lab: plan.lab.clone(),
        tuning: home.tuning.clone(),
        spares,
        learned: home.store.learned(&site.name).await?.into_iter().collect(),
    })
}

/// Where the way to the seats is the teacher's machine: as it was proven before, until this run proves it anew.
async fn know_teacher(home: &Homeroom, lab: &LabName, logins: &LabLogins) -> Result<(), ServiceError> {
    let (class, _) = home.class(lab).await?;
    let (progress, _) = home.store.progress(lab).await?;
    let teacher = class.resolve().into_iter().find(|spec| spec.role == Role::Teacher);
    let row = progress.seats.iter().find(|row| row.role == Role::Teacher && !row.host_keys.is_empty());
    if let (Some(spec), Some(row)) = (teacher, row)
        && let (Some(ip), Some(node)) = (row.ip, &row.node)
        && let Ok(target) = logins.target(&spec, node, ip, &row.host_keys)
    {
        logins.proven(&spec, &target);
    }
    Ok(())
}

/// How long a login tried beforehand may take: wall time.
const LOGIN_WITHIN: Duration = Duration::from_secs(20);

/// Makes sure, before anything is begun, that no node and no jump host shows a host key nobody trusted. Whatever else ails a
/// login is the run's to meet and retry.
async fn trusted_logins(site: &Site, plan: &Plan, by_node: bool) -> Result<(), ServiceError> {
    let proven = plan.seats.iter().filter(|seat| by_node && seat.steps.iter().any(|step| step.is_proof()));
    let nodes: BTreeSet<&NodeName> = proven.map(|seat| &seat.node).collect();
    let logins = nodes.into_iter().map(|node| site.nodes.target(node)).filter(|target| !target.keys.is_empty());
    let jump = match &site.rules.guest_via {
        GuestVia::Jump(target) if plan.rollcall.ssh => Some(target.clone()),
        _ => None,
    };
    let tries =
        logins.chain(jump).map(|target| async move { site.shell.run(&target, "true", LOGIN_WITHIN).await.err() });
    for error in join_all(tries).await.into_iter().flatten() {
        if matches!(error, ShellError::UnknownHost { .. } | ShellError::WrongHost { .. }) {
            return Err(error.into());
        }
    }
    Ok(())
}

/// The agent as the definition wants it reached.
pub fn agent_for(site: &Site, via: Via) -> Arc<dyn GuestAgent> {
    match via {
        Via::Api => site.agent_by_api.clone(),
        Via::Ssh => site.agent_by_node.clone(),
    }
}

/// Repairs at nodes whose addresses are asked for once they are needed.
struct MendAt(Arc<Site>);

#[async_trait]
impl Mend for MendAt {
    async fn is_copying(&self, node: &NodeName, vmid: Vmid) -> Result<bool, AgentError> {
        self.0.know_nodes().await?;
        self.0.mend.is_copying(node, vmid).await
    }

    async fn remove_locked(&self, node: &NodeName, vmid: Vmid) -> Result<(), AgentError> {
        self.0.know_nodes().await?;
        self.0.mend.remove_locked(node, vmid).await
    }
}

/// What the steps of a run are given, by catalogue.
enum Parts {
    Class(Box<SiteParts>),
    Workshop(Box<EngineParts>),
    Cloud(Box<HostParts>),
}

struct Work {
    store: Arc<dyn Store>,
    keys: Arc<dyn KeyRing>,
    /// Given up when the run has ended.
    lock: Box<dyn LabLock>,
    plan: Plan,
    recorder: Recorder,
    halt: Halt,
    writer: JoinHandle<()>,
}

impl Work {
    async fn carry_out(self, clock: Arc<dyn Clock>, parts: Parts) -> Result<RunState, JournalLost> {
        let Self { store, keys, lock, plan, recorder, halt, writer } = self;
        let run = recorder.run();
        let watch = tokio::spawn(watch_for_cancel(store.clone(), run, halt.clone()));
        let state = match parts {
            Parts::Class(parts) => {
                let site = Arc::new(class::Site::new(*parts));
                let state = class::carry_out_plan(&plan, site.clone(), recorder, halt).await;
                // Worth keeping, and no harm where it cannot be kept.
                if let Err(error) = store.learn(&plan.site, &site.learned(), clock.now()).await {
                    tracing::warn!(%error, "what was learned is not kept");
                }
                state
            }
            Parts::Cloud(parts) => {
                let host = Arc::new(workshop::Host::new(*parts));
                let state = workshop::carry_out_in_cloud(&plan, host, recorder, halt).await;
                if plan.kind == RunKind::Destroy && matches!(state, Ok(RunState::Done)) {
                    own_key::forget(&*keys, &plan.lab).await;
                }
                state
            }
            Parts::Workshop(parts) => {
                let engine = Arc::new(workshop::Engine::new(*parts));
                workshop::carry_out_plan(&plan, engine, recorder, halt).await
            }
        };
        watch.abort();
        if writer.await.is_err() {
            tracing::error!(%run, "the journal's writer ended abnormally");
        }
        drop(lock);
        state
    }
}

/// Another process cancels a run through the store.
async fn watch_for_cancel(store: Arc<dyn Store>, run: RunId, halt: Halt) {
    let mut seen = None;
    loop {
        tokio::time::sleep(CANCEL_POLL).await;
        let version = store.version().await.ok();
        if version.is_some() && version == seen {
            continue;
        }
        seen = version;
        if store.cancel_requested(run).await.unwrap_or(false) {
            halt.given_up.cancel();
            halt.stop.cancel();
            return;
        }
    }
}

/// Who is told that the lab is busy, with what to do about it.
pub fn held(lab: &LabName, kind: RunKind, holder: &str) -> ServiceError {
    held_from(lab, kind.as_str(), holder)
}

fn held_from(lab: &LabName, what: &str, holder: &str) -> ServiceError {
    ServiceError::Refused(format!(
        "{lab} is being worked on by {holder}, so this {what} was not begun; `homeroom logs {lab} --follow` shows it"
    ))
}

/// Takes the lab's lock or says who has it.
pub async fn lock(home: &Homeroom, lab: &LabName, kind: RunKind) -> Result<Box<dyn LabLock>, ServiceError> {
    lock_for(home, lab, kind.as_str()).await
}

/// The same for what is no run, by its name.
pub async fn lock_for(home: &Homeroom, lab: &LabName, what: &str) -> Result<Box<dyn LabLock>, ServiceError> {
    match home.store.lock_lab(lab, &format!("{}, {what}", home.owner)).await {
        Ok(lock) => Ok(lock),
        Err(crate::port::StoreError::Held { holder, .. }) => Err(held_from(lab, what, &holder)),
        Err(error) => Err(error.into()),
    }
}
