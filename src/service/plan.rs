//! Plans: everything a plan is made from is read, and then the pure rules decide.

mod back;
mod read;

pub use back::{Back, plan_rollback};

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use self::read::{applied, left, observe, others, read_templates, unseen};
use super::{
    CloudSite, EngineSite, Homeroom, ServiceError, Site, allowed::Allowed, cloud, own_key, unclaimed::unclaimed,
    workshop,
};
use crate::{
    domain::{
        LabName, NodeName, Plan, Progress, RunId, SeatName, StepName, StepState, Vmid,
        class::ClassDefinition,
        cluster::{ClusterView, GuestView, Power, TemplateView},
        event::RunKind,
        mark::Ownership,
        paces::Paces,
        placement::Want,
        plan::{Consent, Verb},
        planning::{self, Deed, GuestFacts, PlanInput, Problem, Rebuild, SiteRules},
        progress::{SeatProgress, StepProgress},
    },
    port::{SiteError, keys::LabKey},
};

/// A plan with what a run of it needs.
pub struct Planned {
    pub plan: Plan,
    pub on: On,
    /// Of a workshop on an engine: nothing of it ever stood, and the run that makes it begins its life.
    pub unborn: bool,
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
/// For so long after a shutdown the cluster's list may still show the machine running: it is broadcast every ten
/// seconds and cached twice.
const LISTED_LATE: SignedDuration = SignedDuration::from_secs(30);
/// Machines asked about at once: a node answers with three workers.
const READ_AT_ONCE: usize = 4;

/// What deploy would do.
pub async fn plan_deploy(home: &Homeroom, lab: &LabName) -> Result<Planned, ServiceError> {
    plan_deploy_with(home, lab, Asked::default(), None).await
}

/// What is asked of a deploy beyond the definition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// What somebody else changed is put right.
    pub fix_drift: bool,
    /// Machines on silent nodes that may be those of seats the store knows nothing of are given up.
    pub abandon_old: bool,
}

impl From<Consent> for Asked {
    fn from(consent: Consent) -> Self {
        Self { fix_drift: consent.fix_drift, abandon_old: consent.abandon_old }
    }
}

/// The same, with what is asked for besides. New machines go where the plan `shown` before puts them.
pub async fn plan_deploy_with(
    home: &Homeroom,
    lab: &LabName,
    asked: Asked,
    shown: Option<&Plan>,
) -> Result<Planned, ServiceError> {
    if let Some(mut planned) = plan_workshop(home, lab, asked).await? {
        planned.plan.fixes_drift = asked.fix_drift;
        return Ok(planned);
    }
    let ground = Ground::read(home, lab, For::Making).await?;
    let rebuild = Rebuild { seats: &[], abandon: asked.abandon_old };
    let plan =
        ground.ask(home, asked.fix_drift, |input| planning::plan_deploy(&PlanInput { shown, rebuild, ..*input }))?;
    ground.can_be_done(home, plan).await
}

/// The same for a workshop; `None` where the lab is none.
async fn plan_workshop(home: &Homeroom, lab: &LabName, asked: Asked) -> Result<Option<Planned>, ServiceError> {
    if let Some((workshop, site)) = home.in_cloud(lab).await? {
        return cloud::plan_deploy(home, workshop, site).await.map(Some);
    }
    match home.workshop(lab).await? {
        Some((workshop, engine)) => workshop::plan_deploy(home, workshop, engine, asked.fix_drift).await.map(Some),
        None => Ok(None),
    }
}

/// What is left of a deploy that goes on: asked for as it was when it began, whatever the definition says by now of
/// the roll call, its order and the pool.
pub async fn plan_deploy_again(
    home: &Homeroom,
    lab: &LabName,
    begun: &Plan,
    run: RunId,
) -> Result<Planned, ServiceError> {
    if begun.workshop.is_some() {
        let asked = Asked { fix_drift: begun.fixes_drift, ..Asked::default() };
        return plan_deploy_with(home, lab, asked, Some(begun)).await;
    }
    let mut ground = Ground::read(home, lab, For::Making).await?;
    ground.asked_as(begun);
    let asked = begun.rebuilds.clone().unwrap_or_default();
    let left: Vec<SeatName> = asked.seats.into_iter().filter(|seat| !ground.was_made_in(seat, begun, run)).collect();
    let rebuild = Rebuild { seats: &left, abandon: asked.abandon };
    let shown = Some(begun);
    let plan =
        ground.ask(home, begun.fixes_drift, |input| planning::plan_deploy(&PlanInput { shown, rebuild, ..*input }))?;
    ground.can_be_done(home, plan).await
}

/// What rebuilding seats would do: each is removed and made anew. With `abandon`, a machine on a node that does not
/// answer is given up for another.
pub async fn plan_rebuild(
    home: &Homeroom,
    lab: &LabName,
    seats: &[SeatName],
    abandon: bool,
) -> Result<Planned, ServiceError> {
    let ground = Ground::read(home, lab, For::Remaking).await?;
    ground.know(seats)?;
    let rebuild = Rebuild { seats, abandon };
    let mut plan = ground.ask(home, false, |input| planning::plan_deploy(&PlanInput { rebuild, ..*input }))?;
    plan.seats.retain(|seat| seats.contains(&seat.seat));
    ground.can_be_done(home, plan).await
}

/// What destroy would do: all of the lab, or the named seats.
pub async fn plan_destroy(home: &Homeroom, lab: &LabName, seats: &[SeatName]) -> Result<Planned, ServiceError> {
    if let Some((workshop, site)) = home.in_cloud(lab).await? {
        return cloud::plan_destroy(home, workshop, site, seats).await;
    }
    if let Some((workshop, engine)) = home.workshop(lab).await? {
        return workshop::plan_destroy(home, workshop, engine, seats).await;
    }
    let ground = Ground::read(home, lab, For::Removing).await?;
    ground.know(seats)?;
    let mut plan = ground.ask(home, false, |input| planning::plan_destroy(input, seats))?;
    let unclaimed = unclaimed(home, &ground.site, &ground.view, lab, seats).await?;
    planning::leave_unclaimed(&mut plan, &unclaimed);
    Ok(ground.planned(plan))
}

/// What a deed would come to: for all machines of the lab, or for the named seats.
pub async fn plan_deed(
    home: &Homeroom,
    lab: &LabName,
    seats: &[SeatName],
    deed: Deed,
) -> Result<Planned, ServiceError> {
    plan_deed_as(home, lab, seats, deed, None).await
}

/// A run of a deed that goes on.
#[derive(Debug, Clone, Copy)]
pub struct GoesOn<'a> {
    /// Its plan, as it was begun.
    pub begun: &'a Plan,
    /// Seats whose machines it has shut down already.
    pub halted: &'a [SeatName],
}

/// The same, for a new run or for one that goes on.
pub async fn plan_deed_as(
    home: &Homeroom,
    lab: &LabName,
    seats: &[SeatName],
    deed: Deed,
    again: Option<GoesOn<'_>>,
) -> Result<Planned, ServiceError> {
    if let Some((workshop, site)) = home.in_cloud(lab).await? {
        return cloud::plan_deed(home, workshop, site, seats, deed).await;
    }
    let halted = again.map(|again| again.halted).unwrap_or_default();
    if let Some((workshop, engine)) = home.workshop(lab).await? {
        return workshop::plan_deed(home, workshop, engine, (seats, halted), deed).await;
    }
    let mut ground = Ground::read(home, lab, For::Turning).await?;
    ground.know(seats)?;
    if let Some(GoesOn { begun, .. }) = again {
        ground.asked_as(begun);
    }
    let mut plan = ground.ask(home, false, |input| planning::plan_deed_again(input, seats, deed, halted))?;
    super::offline::tell(home, &ground.site, &ground.view, &mut plan).await;
    Ok(ground.planned(plan))
}

/// What a plan is read for: that decides whose power is looked at itself, where the cluster's list still shows for
/// seconds what was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// Machines are made or changed: those a run was turning when it was broken off.
    Making,
    /// Machines go and are made anew: both those, and those that are not listed as running.
    Remaking,
    /// Machines go: those that are not listed as running.
    Removing,
    /// Machines are started, shut down or proven: all of them.
    Turning,
}

impl For {
    fn makes(self) -> bool {
        matches!(self, Self::Making | Self::Remaking)
    }
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
    silent: Vec<GuestView>,
    applied: BTreeMap<SeatName, planning::Applied>,
    reserved: BTreeSet<Vmid>,
    commitments: Vec<(NodeName, Want)>,
    lab_key: Option<LabKey>,
    other_keys: Vec<String>,
    allowed: Allowed,
    paces: Paces,
}

impl Ground {
    async fn read(home: &Homeroom, lab: &LabName, what_for: For) -> Result<Self, ServiceError> {
        let (mut class, site) = home.class(lab).await?;
        // The user a login is tried as must be one that cloud-init makes.
        class.cloud_init.user.get_or_insert_with(|| site.rules.user.clone());
        let (progress, _) = home.store.progress(lab).await?;
        let mut view = site.cluster.view().await?;
        super::offline::remember(home, &site, &view).await;
        let templates = match what_for.makes() {
            true => read_templates(&site, &view, &class).await?,
            false => Vec::new(),
        };
        let observed = observe(home, &site, &mut view, &progress).await?;
        let unseen = unseen(&site, &view, &progress).await?;
        let silent = super::silent::silent(home, &site, &view).await?;
        let applied = applied(home, lab, &progress, &observed).await?;
        let (mut reserved, commitments) = others(home, lab, &site, &view).await?;
        if what_for.makes() {
            reserved.extend(left(home, &site, &view).await?);
        }
        let allowed = match templates.is_empty() {
            true => Allowed::default(),
            false => Allowed::ask(&site, &class, &view, &progress, &reserved).await?,
        };
        reserved.extend(&allowed.unseen);
        let paces = Paces::of(home.store.learned(&site.name).await?);
        // A plan makes nothing, not even a key: a lab without machines has none to compare. Machines that stand would
        // let no other in than the one that is lost; what removes or turns them needs none.
        let lab_key = match what_for {
            _ if progress.seats.iter().all(|row| row.vmid.is_none()) => None,
            For::Making | For::Remaking => Some(own_key::known(home, lab, &progress).await?),
            For::Removing | For::Turning => own_key::kept(home, lab).await?,
        };
        let other_keys = lab_key.iter().flat_map(|key| key.publics().skip(1)).map(str::to_owned).collect();
        let mut ground = Self {
            class,
            site,
            view,
            templates,
            progress,
            observed,
            unseen,
            silent,
            applied,
            reserved,
            commitments,
            lab_key,
            other_keys,
            allowed,
            paces,
        };
        ground.see_power(what_for, home.clock.now()).await?;
        Ok(ground)
    }

    /// The numbers of machines that a run was to start or shut down and did not come to its end with, or that it shut
    /// down a moment ago: what it did of that may be seconds old.
    fn turned_of_late(&self, now: Timestamp) -> BTreeSet<Vmid> {
        let broken_off = |row: &&SeatProgress| {
            let turns = |s: &&StepProgress| matches!(s.step, StepName::Start | StepName::Stop | StepName::Destroy);
            let lately = |at: Timestamp| now.duration_since(at) < LISTED_LATE;
            let cut = !row.steps.iter().all(|step| matches!(step.state, StepState::Ok | StepState::Skipped));
            let halted = |s: &StepProgress| s.step == StepName::Stop && s.at.is_some_and(lately);
            row.steps.iter().any(|step| (cut && turns(&step)) || halted(step))
        };
        self.progress.seats.iter().filter(broken_off).filter_map(|row| row.vmid).collect()
    }

    /// Looks at those of the lab's machines themselves of which the list may be wrong.
    async fn see_power(&mut self, what_for: For, now: Timestamp) -> Result<(), ServiceError> {
        let turned = self.turned_of_late(now);
        let in_doubt = |vmid: Vmid| {
            let listed = self.view.guest(vmid).map(|guest| guest.power);
            let off = listed.is_some_and(|power| power != Power::Running);
            match what_for {
                For::Making => turned.contains(&vmid),
                For::Remaking => turned.contains(&vmid) || off,
                For::Removing => off,
                For::Turning => listed.is_some(),
            }
        };
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
            silent: &self.silent,
            commitments: &self.commitments,
            site: &site,
            now: home.clock.now(),
            paces: &self.paces,
            lab_key: self.lab_key.as_ref().map(|key| key.public.as_str()),
            other_keys: &self.other_keys,
            fix_drift,
            shown: None,
            rebuild: Rebuild::default(),
        };
        let mut plan = rule(&input).map_err(|problems| ServiceError::Problems {
            lab: self.class.name.clone(),
            problems: problems.iter().map(ToString::to_string).collect(),
        })?;
        if plan.kind != RunKind::Destroy {
            plan.notes.extend(self.lab_key.as_ref().and_then(|key| own_key::unfinished(&self.class.name, key)));
        }
        Ok(plan)
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

    /// What a run was begun with stays, whatever the definition says by now.
    fn asked_as(&mut self, begun: &Plan) {
        self.class.rollcall = begun.rollcall.clone();
        (self.class.rollout.order, self.class.rollout.delay) = (begun.order, begun.stagger);
        self.class.pool = begun.pool.clone();
    }

    /// Whether the machine of a seat came to be in this run, whose plan is `begun`.
    fn was_made_in(&self, seat: &SeatName, begun: &Plan, run: RunId) -> bool {
        let Some(row) = self.progress.seat(seat) else { return false };
        // One given up for another: that one's number was set aside by the run.
        let created = begun.seats.iter().any(|planned| planned.seat == *seat && planned.verb == Verb::Create);
        let reserved = row.step(StepName::Reserve).is_some_and(|s| s.run == run && s.state == StepState::Ok);
        let facts = row.vmid.and_then(|vmid| self.observed.get(&vmid));
        let marked = facts.is_some_and(|facts| matches!(&facts.ownership, Ownership::Ours(mark) if mark.run == run));
        marked || (created && reserved)
    }

    /// An error if a seat that the store has no machine of has one by its mark: a second one is never made. One that has the
    /// seat's name was found before; this is for one that was given another.
    async fn is_none_elsewhere(&self, home: &Homeroom, plan: &Plan) -> Result<(), ServiceError> {
        let unknown = |seat: &SeatName| self.progress.seat(seat).is_none_or(|row| row.vmid.is_none());
        let made = plan.seats.iter().filter(|seat| seat.verb == Verb::Create).map(|seat| seat.seat.clone());
        let made: Vec<SeatName> = made.filter(unknown).collect();
        if made.is_empty() {
            return Ok(());
        }
        let found = unclaimed(home, &self.site, &self.view, &plan.lab, &made).await?;
        match planning::unclaimed_problem(plan, &found) {
            Some(problem) => Err(ServiceError::Problems { lab: plan.lab.clone(), problems: vec![problem] }),
            None => Ok(()),
        }
    }

    /// The plan as the token and the site's bridges allow it, ready to be carried out.
    async fn can_be_done(self, home: &Homeroom, mut plan: Plan) -> Result<Planned, ServiceError> {
        self.is_none_elsewhere(home, &plan).await?;
        self.allowed.apply(&mut plan);
        self.allowed.covers(&self.site, &plan).await?;
        super::bridges::are_there(&self.site, &plan).await?;
        super::offline::tell(home, &self.site, &self.view, &mut plan).await;
        Ok(self.planned(plan))
    }

    fn planned(self, plan: Plan) -> Planned {
        let range = self.class.placement.vmids.unwrap_or(self.site.rules.vmids);
        let planned: BTreeSet<Vmid> = plan.seats.iter().filter_map(|seat| seat.vmid).collect();
        let spares = range
            .iter()
            .filter(|id| self.view.guest(*id).is_none() && !self.reserved.contains(id) && !planned.contains(id))
            .take(SPARES)
            .collect();
        Planned { plan, on: On::Cluster { site: self.site, spares }, unborn: false }
    }
}
