//! Plans: everything a plan is made from is read, and then the pure rules decide.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::{StreamExt, stream};

use super::{CloudSite, EngineSite, Homeroom, ServiceError, Site, allowed::Allowed, cloud, workshop};
use crate::{
    deploy::class::{Rest, rest},
    domain::{
        LabName, MachineState, NodeName, Plan, Progress, RunId, SeatName, StepName, StepState, Vmid,
        class::ClassDefinition,
        cluster::{ClusterView, Power, TemplateView},
        event::RunKind,
        mark::{Ownership, ownership},
        planning::{self, Deed, GuestFacts, PlanInput, Problem, Rebuild, SiteRules},
        progress::SeatProgress,
    },
    port::SiteError,
};

/// A plan with what a run of it needs.
pub struct Planned {
    pub plan: Plan,
    pub on: On,
}

/// Where a plan is carried out.
#[derive(Clone)]
pub enum On {
    Cluster {
        site: Arc<Site>,
        /// VMIDs of the range that nobody has, beyond the plan's own.
        spares: Vec<Vmid>,
    },
    Engine(Arc<EngineSite>),
    Cloud(Arc<CloudSite>),
}

/// Spare VMIDs kept at hand for a run.
const SPARES: usize = 64;
/// Machines asked about at once: a node answers with three workers.
const READ_AT_ONCE: usize = 4;
/// Runs whose plans are looked through for what was deployed last.
const RUNS_LOOKED_AT: u32 = 10_000;
/// Deploys among them whose plans are read.
const DEPLOYS_READ: usize = 50;

/// What deploy would do.
pub async fn plan_deploy(home: &Homeroom, lab: &LabName) -> Result<Planned, ServiceError> {
    plan_deploy_with(home, lab, false, None).await
}

/// What deploy would do, with drift put right or not. New machines go where the plan `shown` before puts them.
pub async fn plan_deploy_with(
    home: &Homeroom,
    lab: &LabName,
    fix_drift: bool,
    shown: Option<&Plan>,
) -> Result<Planned, ServiceError> {
    if let Some((workshop, site)) = home.in_cloud(lab).await? {
        return cloud::plan_deploy(home, workshop, site).await;
    }
    if let Some((workshop, engine)) = home.workshop(lab).await? {
        return workshop::plan_deploy(home, workshop, engine).await;
    }
    let ground = Ground::read(home, lab, true).await?;
    let mut plan = ground.ask(home, fix_drift, |input| planning::plan_deploy(&PlanInput { shown, ..*input }))?;
    ground.allowed.apply(&mut plan);
    ground.allowed.covers(&ground.site, &plan).await?;
    super::bridges::are_there(&ground.site, &plan).await?;
    super::offline::tell(home, &ground.site, &ground.view, &mut plan).await;
    Ok(ground.planned(plan))
}

/// What rebuilding seats would do: each is removed and made anew. With `abandon`, a machine on a node that does not
/// answer is given up for another.
pub async fn plan_rebuild(
    home: &Homeroom,
    lab: &LabName,
    seats: &[SeatName],
    abandon: bool,
) -> Result<Planned, ServiceError> {
    let ground = Ground::read(home, lab, true).await?;
    ground.know(seats)?;
    let rebuild = Rebuild { seats, abandon };
    let mut plan = ground.ask(home, false, |input| planning::plan_deploy(&PlanInput { rebuild, ..*input }))?;
    plan.seats.retain(|seat| seats.contains(&seat.seat));
    ground.allowed.apply(&mut plan);
    ground.allowed.covers(&ground.site, &plan).await?;
    super::bridges::are_there(&ground.site, &plan).await?;
    super::offline::tell(home, &ground.site, &ground.view, &mut plan).await;
    Ok(ground.planned(plan))
}

/// What taking a run back would do: the machines that carry its number in their mark go, and numbers it set aside
/// for machines that never came to be. None where it left nothing.
pub async fn plan_rollback(home: &Homeroom, lab: &LabName, run: RunId) -> Result<Option<Planned>, ServiceError> {
    let mut ground = Ground::read(home, lab, false).await?;
    ground.see_power(|power| power != Power::Running).await?;
    // A mark alone is not enough: a store that was lost and regained counts its runs from one again.
    let (_, begun) = home.store.run(run).await?;
    let cloned = |row: &SeatProgress| {
        begun.seats.iter().any(|seat| seat.seat == row.seat && seat.steps.contains(&StepName::Clone))
    };
    let made = |row: &&SeatProgress| {
        if !cloned(row) {
            return false;
        }
        let facts = row.vmid.and_then(|vmid| ground.observed.get(&vmid));
        let clone = row.step(StepName::Clone);
        match facts.map(|facts| (&facts.ownership, &facts.removal)) {
            Some((Ownership::Ours(mark), _)) => mark.run == run,
            // Its mark went with its settings; which run cloned it stands in the journal.
            Some((_, planning::Removal::Ours)) => clone.is_some_and(|step| step.run == run),
            // Not made, or only half.
            _ => row.run == run && row.proven_at.is_none() && clone.is_some_and(|step| step.state != StepState::Ok),
        }
    };
    let seats: Vec<SeatName> = ground.progress.seats.iter().filter(made).map(|row| row.seat.clone()).collect();
    if seats.is_empty() {
        return Ok(None);
    }
    let plan = ground.ask(home, false, |input| planning::plan_destroy(input, &seats))?;
    Ok(Some(ground.planned(plan)))
}

/// What destroy would do: all of the lab, or the named seats.
pub async fn plan_destroy(home: &Homeroom, lab: &LabName, seats: &[SeatName]) -> Result<Planned, ServiceError> {
    if let Some((workshop, site)) = home.in_cloud(lab).await? {
        return cloud::plan_destroy(home, workshop, site, seats).await;
    }
    if let Some((workshop, engine)) = home.workshop(lab).await? {
        return workshop::plan_destroy(home, workshop, engine, seats).await;
    }
    let mut ground = Ground::read(home, lab, false).await?;
    ground.know(seats)?;
    ground.see_power(|power| power != Power::Running).await?;
    let plan = ground.ask(home, false, |input| planning::plan_destroy(input, seats))?;
    Ok(ground.planned(plan))
}

/// What a deed would come to: for all machines of the lab, or for the named seats.
pub async fn plan_deed(
    home: &Homeroom,
    lab: &LabName,
    seats: &[SeatName],
    deed: Deed,
) -> Result<Planned, ServiceError> {
    if let Some((workshop, site)) = home.in_cloud(lab).await? {
        return cloud::plan_deed(home, workshop, site, seats, deed).await;
    }
    if let Some((workshop, engine)) = home.workshop(lab).await? {
        return workshop::plan_deed(home, workshop, engine, seats, deed).await;
    }
    let mut ground = Ground::read(home, lab, false).await?;
    ground.know(seats)?;
    ground.see_power(|_| true).await?;
    let mut plan = ground.ask(home, false, |input| planning::plan_deed(input, seats, deed))?;
    super::offline::tell(home, &ground.site, &ground.view, &mut plan).await;
    Ok(ground.planned(plan))
}

/// What was read for a plan.
struct Ground {
    class: ClassDefinition,
    site: Arc<Site>,
    view: ClusterView,
    templates: Vec<TemplateView>,
    progress: Progress,
    observed: BTreeMap<Vmid, GuestFacts>,
    unseen: BTreeSet<Vmid>,
    applied: BTreeMap<SeatName, planning::Applied>,
    reserved: BTreeSet<Vmid>,
    commitments: Vec<(crate::domain::NodeName, crate::domain::placement::Want)>,
    lab_key: Option<String>,
    allowed: Allowed,
}

impl Ground {
    async fn read(home: &Homeroom, lab: &LabName, templates: bool) -> Result<Self, ServiceError> {
        let (mut class, site) = home.class(lab).await?;
        // The user a login is tried as must be one that cloud-init makes.
        class.cloud_init.user.get_or_insert_with(|| site.rules.user.clone());
        let (progress, _) = home.store.progress(lab).await?;
        let view = site.cluster.view().await?;
        super::offline::remember(home, &site, &view).await;
        let templates = if templates { read_templates(&site, &view, &class).await? } else { Vec::new() };
        let observed = observe(home, &site, &view, &progress).await?;
        let unseen = unseen(&site, &view, &progress).await?;
        let applied = applied(home, lab).await?;
        let (mut reserved, commitments) = others(home, lab, &site, &view).await?;
        let allowed = match templates.is_empty() {
            true => Allowed::default(),
            false => Allowed::ask(&site, &class, &view, &progress, &reserved).await?,
        };
        reserved.extend(&allowed.unseen);
        // A plan makes nothing, not even a key: a lab without machines has none to compare.
        let lab_key = match progress.seats.iter().any(|row| row.vmid.is_some()) {
            true => Some(home.keys.lab_key(lab).await?.public),
            false => None,
        };
        Ok(Self {
            class,
            site,
            view,
            templates,
            progress,
            observed,
            unseen,
            applied,
            reserved,
            commitments,
            lab_key,
            allowed,
        })
    }

    /// Looks at those of the lab's machines themselves that are listed so: the cluster's list still shows for seconds
    /// what was before.
    async fn see_power(&mut self, listed: impl Fn(Power) -> bool) -> Result<(), ServiceError> {
        let in_doubt = |vmid: Vmid| self.view.guest(vmid).is_some_and(|guest| listed(guest.power));
        let machines: Vec<_> = (self.observed.iter().filter(|(vmid, _)| in_doubt(**vmid)))
            .map(|(vmid, facts)| (*vmid, facts.node.clone()))
            .collect();
        let cluster = &self.site.cluster;
        let seen: Vec<_> = stream::iter(machines)
            .map(|(vmid, node)| async move { (vmid, cluster.status(&node, vmid).await) })
            .buffer_unordered(READ_AT_ONCE)
            .collect()
            .await;
        for (vmid, status) in seen {
            let running = match status {
                Ok(status) => status.running,
                // It went between the two reads.
                Err(SiteError::Missing { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            if let Some(guest) = self.view.guests.iter_mut().find(|guest| guest.vmid == vmid) {
                guest.power = if running { Power::Running } else { Power::Stopped };
            }
        }
        Ok(())
    }

    fn rules(&self, home: &Homeroom) -> SiteRules {
        SiteRules {
            vmids: self.site.rules.vmids,
            max_seats: self.site.rules.max_seats,
            memory_overcommit: self.site.rules.memory_overcommit,
            proof_max_age: home.proof_max_age,
        }
    }

    fn ask(
        &self,
        home: &Homeroom,
        fix_drift: bool,
        rule: impl FnOnce(&PlanInput<'_>) -> Result<Plan, Vec<Problem>>,
    ) -> Result<Plan, ServiceError> {
        let site = self.rules(home);
        let input = PlanInput {
            class: &self.class,
            view: &self.view,
            templates: &self.templates,
            progress: &self.progress,
            observed: &self.observed,
            applied: &self.applied,
            reserved: &self.reserved,
            unseen: &self.unseen,
            commitments: &self.commitments,
            site: &site,
            now: home.clock.now(),
            lab_key: self.lab_key.as_deref(),
            fix_drift,
            shown: None,
            rebuild: Rebuild::default(),
        };
        rule(&input).map_err(|problems| ServiceError::Problems {
            lab: self.class.name.clone(),
            problems: problems.iter().map(ToString::to_string).collect(),
        })
    }

    /// An error if a seat is neither defined nor standing.
    fn know(&self, seats: &[SeatName]) -> Result<(), ServiceError> {
        let mut known: Vec<SeatName> = self.class.seats().into_iter().map(|(seat, _)| seat).collect();
        for row in &self.progress.seats {
            if !known.contains(&row.seat) {
                known.push(row.seat.clone());
            }
        }
        match seats.iter().find(|seat| !known.contains(seat)) {
            None => Ok(()),
            Some(seat) => Err(ServiceError::NoSeat {
                lab: self.class.name.clone(),
                seat: seat.clone(),
                known: known.iter().map(ToString::to_string).collect(),
            }),
        }
    }

    fn planned(self, plan: Plan) -> Planned {
        let range = self.class.placement.vmids.unwrap_or(self.site.rules.vmids);
        let planned: BTreeSet<Vmid> = plan.seats.iter().filter_map(|seat| seat.vmid).collect();
        let spares = range
            .iter()
            .filter(|id| self.view.guest(*id).is_none() && !self.reserved.contains(id) && !planned.contains(id))
            .take(SPARES)
            .collect();
        Planned { plan, on: On::Cluster { site: self.site, spares } }
    }
}

async fn read_templates(
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

/// Reads the configuration of every machine the store knows of and the site shows on nodes that answer.
async fn observe(
    home: &Homeroom,
    site: &Site,
    view: &ClusterView,
    progress: &Progress,
) -> Result<BTreeMap<Vmid, GuestFacts>, ServiceError> {
    let read = |(node, vmid): (NodeName, Vmid)| async move {
        let config = site.cluster.config(&node, vmid).await;
        (node, vmid, config)
    };
    let wanted = planning::machines_to_read(progress, view);
    let mut answers = stream::iter(wanted).map(read).buffered(READ_AT_ONCE);
    let mut observed = BTreeMap::new();
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
                    Rest::Gone => continue,
                };
                observed.insert(vmid, GuestFacts { node, config: config.plain(), ownership, removal });
            }
            Err(SiteError::Lost { .. } | SiteError::Unreachable { .. } | SiteError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(observed)
}

/// Numbers of the lab that nobody lists and that are taken all the same. A machine is gone only where its
/// number is free: a token that may not see it would otherwise make us forget it.
async fn unseen(site: &Site, view: &ClusterView, progress: &Progress) -> Result<BTreeSet<Vmid>, ServiceError> {
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

/// What was last deployed to each seat.
async fn applied(home: &Homeroom, lab: &LabName) -> Result<BTreeMap<SeatName, planning::Applied>, ServiceError> {
    let mut plans = Vec::new();
    let runs = home.store.runs(Some(lab), RUNS_LOOKED_AT).await?;
    for row in runs.iter().filter(|row| row.kind == RunKind::Deploy).take(DEPLOYS_READ) {
        plans.push((row.id, home.store.run(row.id).await?.1));
    }
    plans.sort_by_key(|(id, _)| *id);
    Ok(planning::applied(plans.iter().map(|(_, plan)| plan)))
}

type Others = (BTreeSet<Vmid>, Vec<(crate::domain::NodeName, crate::domain::placement::Want)>);

/// VMIDs and memory that other labs of the site have set aside.
async fn others(home: &Homeroom, lab: &LabName, site: &Site, view: &ClusterView) -> Result<Others, ServiceError> {
    let (all, _) = home.store.all_progress().await?;
    let (mut reserved, mut commitments) = (BTreeSet::new(), Vec::new());
    let rows = all.iter().filter(|other| &other.lab != lab).flat_map(|other| &other.seats);
    for row in rows.filter(|row| row.site == site.name && row.state != MachineState::Gone) {
        let Some(vmid) = row.vmid else { continue };
        reserved.insert(vmid);
        if let Some(guest) = view.guest(vmid).filter(|guest| guest.power == Power::Stopped) {
            let want = crate::domain::placement::Want { cpus: guest.cpus, memory: guest.memory };
            commitments.push((guest.node.clone(), want));
        }
    }
    Ok((reserved, commitments))
}
