//! Plans: everything a plan is made from is read, and then the pure rules decide.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::{StreamExt, stream};

use super::{Homeroom, ServiceError, Site, allowed::Allowed};
use crate::{
    domain::{
        LabName, MachineState, Plan, Progress, SeatName, Vmid,
        class::ClassDefinition,
        cluster::{ClusterView, Power, TemplateView},
        event::RunKind,
        mark::ownership,
        planning::{self, Deed, GuestFacts, PlanInput, Problem, SiteRules},
    },
    port::SiteError,
};

/// A plan with what a run of it needs.
pub struct Planned {
    pub plan: Plan,
    pub site: Arc<Site>,
    /// VMIDs of the range that nobody has, beyond the plan's own.
    pub spares: Vec<Vmid>,
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
    let ground = Ground::read(home, lab, true).await?;
    let mut plan = ground.ask(home, fix_drift, |input| planning::plan_deploy(&PlanInput { shown, ..*input }))?;
    ground.allowed.apply(&mut plan);
    Ok(ground.planned(plan))
}

/// What destroy would do: all of the lab, or the named seats.
pub async fn plan_destroy(home: &Homeroom, lab: &LabName, seats: &[SeatName]) -> Result<Planned, ServiceError> {
    let ground = Ground::read(home, lab, false).await?;
    ground.know(seats)?;
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
    let mut ground = Ground::read(home, lab, false).await?;
    ground.know(seats)?;
    ground.see_power().await?;
    let plan = ground.ask(home, false, |input| planning::plan_deed(input, seats, deed))?;
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
    lab_key: String,
    allowed: Allowed,
}

impl Ground {
    async fn read(home: &Homeroom, lab: &LabName, templates: bool) -> Result<Self, ServiceError> {
        let (mut class, site) = home.class(lab).await?;
        // The user a login is tried as must be one that cloud-init makes.
        class.cloud_init.user.get_or_insert_with(|| site.rules.user.clone());
        let (progress, _) = home.store.progress(lab).await?;
        let view = site.cluster.view().await?;
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
        let lab_key = home.keys.lab_key(lab).await?.public;
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

    /// Looks at the lab's machines themselves: the cluster's list still shows for seconds what was before.
    async fn see_power(&mut self) -> Result<(), ServiceError> {
        let machines: Vec<_> = self.observed.iter().map(|(vmid, facts)| (*vmid, facts.node.clone())).collect();
        let cluster = &self.site.cluster;
        let seen: Vec<_> = stream::iter(machines)
            .map(|(vmid, node)| async move { (vmid, cluster.status(&node, vmid).await) })
            .buffer_unordered(READ_AT_ONCE)
            .collect()
            .await;
        for (vmid, status) in seen {
            let running = status?.running;
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
            lab_key: Some(&self.lab_key),
            fix_drift,
            shown: None,
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
        let planned: BTreeSet<Vmid> = plan.seats.iter().map(|seat| seat.vmid).collect();
        let spares = range
            .iter()
            .filter(|id| self.view.guest(*id).is_none() && !self.reserved.contains(id) && !planned.contains(id))
            .take(SPARES)
            .collect();
        Planned { plan, site: self.site, spares }
    }
}

async fn read_templates(
    site: &Site,
    view: &ClusterView,
    class: &ClassDefinition,
) -> Result<Vec<TemplateView>, ServiceError> {
    let mut templates = Vec::new();
    for guest in view.templates(&class.template) {
        match site.cluster.template(&guest.node, guest.vmid).await {
            Ok(template) => templates.push(template),
            // Its node may be offline; the plan says so if no other will do.
            Err(SiteError::Lost { .. } | SiteError::Unreachable { .. } | SiteError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(templates)
}

/// Reads the configuration of every machine the store knows of and the site shows.
async fn observe(
    home: &Homeroom,
    site: &Site,
    view: &ClusterView,
    progress: &Progress,
) -> Result<BTreeMap<Vmid, GuestFacts>, ServiceError> {
    let mut observed = BTreeMap::new();
    for vmid in progress.seats.iter().filter_map(|row| row.vmid) {
        let Some(guest) = view.guest(vmid) else { continue };
        match site.cluster.config(&guest.node, vmid).await {
            Ok(config) => {
                let ownership = ownership(home.store.id(), vmid, guest.template, &config.description);
                observed.insert(vmid, GuestFacts { node: guest.node.clone(), config: config.plain(), ownership });
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
