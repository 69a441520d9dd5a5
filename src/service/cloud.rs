//! Workshops in a cloud: what is read for a plan, what a run is given, and what costs money there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use super::{
    Homeroom, ServiceError,
    check::Deed,
    own_key::{self, can_open},
    plan::{On, Planned},
    workshop::{Price, certificate, in_the_way, is_for_workshops, know, lives, planned_for, tokens},
};
use crate::{
    deploy::workshop::{ENDS, HostParts},
    domain::{
        Definition, LabName, MachineState, NodeName, Plan, Progress, Role, SeatName, SiteName,
        cloud::{CloudView, InstanceView, mark, permissions},
        code::JoinCode,
        event::RunKind,
        person::Person,
        plan::Verb,
        planning::{self, CloudInput, InstanceShape, Names, Orphan, Problem},
        price::Prices,
        workshop::{WorkshopDefinition, mark as workshop_mark},
    },
    port::{
        Cloud, CloudError, Dns, RemoteShell,
        cloud::Offer,
        keys::{Kept, LabKey},
    },
};

/// What every instance runs at each start.
const SCRIPT: &str = include_str!("../../assets/gce/startup.sh");

/// For a look at a whole project that somebody waits for: wall time.
const LOOK_WITHIN: Duration = Duration::from_secs(20);

/// A cloud project that carries workshops.
pub struct CloudSite {
    pub name: SiteName,
    /// `dev`, `staging` or `prod`.
    pub environment: String,
    pub max_seats: u32,
    pub cloud: Arc<dyn Cloud>,
    pub dns: Arc<dyn Dns>,
    pub shell: Arc<dyn RemoteShell>,
    /// In order of preference.
    pub zones: Vec<NodeName>,
    /// Unless a workshop says otherwise.
    pub spot: bool,
    pub registry: Option<String>,
    pub service_account: Option<String>,
    pub ssh_port: u16,
    pub prices: Option<Prices>,
}

impl CloudSite {
    /// One look at the project, for somebody who waits: one that hangs holds nobody up.
    pub async fn look(&self) -> Result<CloudView, CloudError> {
        let looked = tokio::time::timeout(LOOK_WITHIN, self.cloud.view()).await;
        looked.unwrap_or_else(|_| {
            let what = format!("listing what homeroom made in {}", self.cloud.project());
            let why = format!("nothing within {} s", LOOK_WITHIN.as_secs());
            Err(CloudError::Unreachable { what, why: why.into() })
        })
    }

    /// What a workshop costs an hour while it runs, as far as the price table says.
    pub fn price(&self, workshop: &WorkshopDefinition) -> Price {
        let shape = InstanceShape::of(workshop, self.spot);
        let prices = self.prices.as_ref();
        let hour = prices.and_then(|prices| prices.running(&shape.machine_type, shape.spot, shape.disk_gb));
        hour.map(|hour| Price { per_hour: hour.total(), currency: hour.currency }).unwrap_or_default()
    }
}

/// What deploy would do.
pub async fn plan_deploy(
    home: &Homeroom,
    workshop: WorkshopDefinition,
    site: Arc<CloudSite>,
) -> Result<Planned, ServiceError> {
    let mut ground = Ground::read(home, workshop, site).await?;
    if !ground.unborn(home) {
        lives(home, &ground.workshop, &ground.progress)?;
    }
    ground.names = ground.named(home).await?;
    ground.unfit = ground.zones(home).await?;
    let takes = permissions(ground.workshop.gce.dns.is_some());
    ground.held = Some(ground.site.cloud.held(&takes).await.map_err(|error| error.to_string()));
    let files = ground.workshop.proxy.certificate.as_ref();
    ground.certificate = files.map(|files| super::certificate::read(files).map(|read| workshop_mark(&read.cert)));
    ground.planned(home, planning::plan_cloud)
}

/// What destroy would do.
pub async fn plan_destroy(
    home: &Homeroom,
    workshop: WorkshopDefinition,
    site: Arc<CloudSite>,
    seats: &[SeatName],
) -> Result<Planned, ServiceError> {
    let ground = Ground::read(home, workshop, site).await?;
    know(&ground.workshop, &ground.progress, seats)?;
    ground.planned(home, |input| planning::plan_cloud_destroy(input, seats))
}

/// What a deed would come to. The check is the one there is for workshops.
pub async fn plan_deed(
    home: &Homeroom,
    workshop: WorkshopDefinition,
    site: Arc<CloudSite>,
    seats: &[SeatName],
    deed: Deed,
) -> Result<Planned, ServiceError> {
    is_for_workshops(&workshop, deed)?;
    if deed != Deed::Check {
        let lab = &workshop.name;
        return Err(ServiceError::NotNow(format!(
            "{lab} is a workshop in a cloud: its instance starts its seats by itself; `homeroom deploy {lab} --yes` starts \
             what stands still there"
        )));
    }
    let mut ground = Ground::read(home, workshop, site).await?;
    know(&ground.workshop, &ground.progress, seats)?;
    // A check goes on without its names: what is wrong with them is told by its own step.
    if let Ok(names) = ground.named(home).await {
        ground.names = names;
    }
    ground.planned(home, |input| planning::plan_cloud_check(input, seats))
}

/// What was read for a plan.
struct Ground {
    workshop: WorkshopDefinition,
    site: Arc<CloudSite>,
    view: CloudView,
    progress: Progress,
    sitting: BTreeMap<SeatName, Person>,
    names: Names,
    unfit: BTreeMap<NodeName, String>,
    held: Option<Result<BTreeSet<String>, String>>,
    certificate: Option<Result<String, String>>,
}

impl Ground {
    async fn read(home: &Homeroom, workshop: WorkshopDefinition, site: Arc<CloudSite>) -> Result<Self, ServiceError> {
        let (progress, _) = home.store.progress(&workshop.name).await?;
        let view = site.cloud.view().await?;
        let sitting = home.store.sittings(&workshop.name).await?.into_iter().map(|it| (it.seat, it.person)).collect();
        let (names, unfit) = (Names::default(), BTreeMap::new());
        Ok(Self { workshop, site, view, progress, sitting, names, unfit, held: None, certificate: None })
    }

    fn unborn(&self, home: &Homeroom) -> bool {
        let stands = planning::stands_in(home.store.id(), &self.workshop.name, &self.view);
        planning::unborn(&self.progress, stands)
    }

    /// What it is called, what it should be called, and whether that can be.
    async fn named(&self, home: &Homeroom) -> Result<Names, ServiceError> {
        let (workshop, dns) = (&self.workshop, &self.site.dns);
        if !Names::may_be(workshop, &self.progress) {
            return Ok(Names::default());
        }
        let mark = mark(home.store.id(), &workshop.name);
        let looked = async {
            let ours = dns.marked(&mark).await?;
            let wanted = name(workshop, &self.progress);
            let Some(asked) = wanted.clone().or_else(|| Names::example(workshop)) else {
                return Ok(Names { ours, ..Names::default() });
            };
            let strange = dns.find(&asked).await?.is_some_and(|found| found.mark.as_deref() != Some(mark.as_str()));
            let problem = (strange && wanted.is_some()).then(|| {
                let what = format!("{asked} is published already, and not by {}", workshop.name);
                Problem::new(what, "it is left alone: remove it there, or change gce.dns")
            });
            Ok(Names { ours, wanted, problem })
        };
        match looked.await {
            Ok(names) => Ok(names),
            Err(error @ (CloudError::Refused { .. } | CloudError::Forbidden { .. } | CloudError::Disabled { .. }))
                if workshop.gce.dns.is_some() =>
            {
                let next = "or leave gce.dns out: the workshop is reached by its address then";
                Ok(Names { problem: Some(Problem::new(error.to_string(), next)), ..Names::default() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The zones that have no such machine, where one is to be made.
    async fn zones(&self, home: &Homeroom) -> Result<BTreeMap<NodeName, String>, ServiceError> {
        let shape = InstanceShape::of(&self.workshop, self.site.spot);
        let mut unfit = BTreeMap::new();
        let stands = |it: &InstanceView| it.machine_type == shape.machine_type;
        if self.view.own(home.store.id(), &self.workshop.name).any(stands) {
            return Ok(unfit);
        }
        for zone in &self.site.zones {
            let offer = self.site.cloud.offers(zone, &shape.machine_type).await?;
            unfit.extend(no_offer(offer, zone, &shape.machine_type).map(|why| (zone.clone(), why)));
        }
        Ok(unfit)
    }

    fn planned(
        self,
        home: &Homeroom,
        rule: impl FnOnce(&CloudInput<'_>) -> Result<Plan, Vec<Problem>>,
    ) -> Result<Planned, ServiceError> {
        let input = CloudInput {
            workshop: &self.workshop,
            view: &self.view,
            progress: &self.progress,
            store: home.store.id(),
            zones: &self.site.zones,
            spot: self.site.spot,
            max_seats: self.site.max_seats,
            registry: self.site.registry.as_deref(),
            prices: self.site.prices.as_ref(),
            sitting: &self.sitting,
            names: &self.names,
            unfit: &self.unfit,
            held: self.held.as_ref().map(|held| held.as_ref().map_err(String::as_str)),
            certificate: self.certificate.as_ref().map(|read| read.as_deref().map_err(String::as_str)),
        };
        let plan = rule(&input).map_err(|problems| in_the_way(&self.workshop, &problems))?;
        let unborn = self.unborn(home);
        Ok(Planned { plan, on: On::Cloud(self.site), unborn })
    }
}

/// What the steps of a run are given.
pub async fn host_parts(
    home: &Homeroom,
    site: &CloudSite,
    plan: &Plan,
    code: Option<&JoinCode>,
) -> Result<HostParts, ServiceError> {
    let workshop = planned_for(plan)?;
    let key = host_key(home, plan, &workshop.name).await?;
    can_open(plan, Some(&key), &*site.shell)?;
    let (tokens, _) = tokens(home, &workshop, code).await?;
    Ok(HostParts {
        cloud: site.cloud.clone(),
        dns: site.dns.clone(),
        shell: site.shell.clone(),
        clock: home.clock.clone(),
        store: home.store.id().clone(),
        tokens,
        key,
        zones: site.zones.clone(),
        spot: site.spot,
        registry: site.registry.clone(),
        service_account: site.service_account.clone(),
        ssh_port: site.ssh_port,
        script: SCRIPT.to_owned(),
        tuning: home.tuning.clone(),
        certificate: certificate(plan).await?,
        workshop: workshop.as_published(code.map(|code| code.as_str().to_ascii_lowercase()).as_deref()),
    })
}

/// The key of a workshop's instance. No other is made for one that stands and is to stay: it lets only the lost one in.
async fn host_key(home: &Homeroom, plan: &Plan, lab: &LabName) -> Result<LabKey, ServiceError> {
    let (progress, _) = home.store.progress(lab).await?;
    let stands =
        progress.seat(&SeatName::host()).is_some_and(|row| row.state != MachineState::Gone && row.ip.is_some());
    let made =
        plan.seats.iter().any(|seat| seat.role == Role::Host && matches!(seat.verb, Verb::Create | Verb::Replace));
    let goes = matches!(plan.kind, RunKind::Destroy | RunKind::Rollback);
    match home.keys.kept_key(lab).await? {
        Kept::Nothing if stands && !made && !goes => Err(own_key::of_instance(lab)),
        _ => Ok(home.keys.lab_key(lab).await?),
    }
}

/// Why a zone cannot carry a machine of a type; none where it can.
pub fn no_offer(offer: Offer, zone: &NodeName, machine_type: &str) -> Option<String> {
    match offer {
        Offer::Has => None,
        Offer::NoSuchZone => Some(format!("there is no zone {zone} (`gcloud compute zones list` names them all)")),
        Offer::NoSuchType => Some(format!(
            "{zone} has no machines of type {machine_type} (`gcloud compute machine-types list --zones {zone}` names those it has)"
        )),
    }
}

/// The name a standing workshop is published under, where it has one.
pub fn name(workshop: &WorkshopDefinition, progress: &Progress) -> Option<String> {
    let code = progress.life.as_ref().map(|life| life.code.as_str().to_ascii_lowercase());
    workshop.published_name(code.as_deref())
}

/// When the server itself ends a workshop's instance; nothing where there is none, or where it cannot be seen.
pub async fn server_ends(home: &Homeroom, lab: &LabName) -> Option<Timestamp> {
    let (_, site) = home.in_cloud(lab).await.ok()??;
    let view = site.look().await.ok()?;
    view.own(home.store.id(), lab).filter_map(|it| it.ends).min()
}

/// Writes a workshop's new end on its instance, for whoever looks at the project. The store's is what counts.
pub async fn label_end(home: &Homeroom, lab: &LabName, ends_at: Timestamp) {
    let labelled = async {
        let Some((_, site)) = home.in_cloud(lab).await? else { return Ok(()) };
        let view = site.look().await?;
        let labels = BTreeMap::from([(ENDS.to_owned(), ends_at.as_second().to_string())]);
        for instance in view.own(home.store.id(), lab) {
            site.cloud.relabel(&instance.zone, &instance.name, &labels).await?;
        }
        Ok::<(), ServiceError>(())
    };
    if let Err(error) = labelled.await {
        tracing::warn!(%lab, %error, "the instance still carries the old end");
    }
}

/// What of ours stands in projects that nobody looks after, site by site. A project that does not answer is named
/// with the reason.
pub async fn all_costing(home: &Homeroom, only: Option<&SiteName>) -> Vec<(SiteName, Result<Left, ServiceError>)> {
    let mut out = Vec::new();
    for site in home.clouds.values().filter(|site| only.is_none_or(|only| *only == site.name)) {
        out.push((site.name.clone(), costing(home, site).await));
    }
    out
}

/// What one look at a project shows of that.
#[derive(Debug, Clone, PartialEq)]
pub struct Left {
    pub found: Vec<Costing>,
    /// Which zones could not be looked at, in words: of what stands there nothing is known.
    pub unseen: Option<String>,
}

/// What of ours stands in a project that nobody looks after, with what it costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Costing {
    /// `instance`, `disk` or `firewall rule`.
    pub what: &'static str,
    pub name: String,
    pub zone: Option<NodeName>,
    pub lab: Option<LabName>,
    pub why: String,
    /// What that means.
    pub matters: &'static str,
    pub mend: String,
    /// An hour, where the price table says.
    pub per_hour: Option<f64>,
}

impl Costing {
    /// What it is, why nobody looks after it, and what it costs.
    pub fn words(&self, currency: &str) -> String {
        let place = self.zone.as_ref().map(|zone| format!(" in {zone}")).unwrap_or_default();
        let lab = self.lab.as_ref().map(|lab| format!(" of {lab}")).unwrap_or_default();
        let cost = match self.per_hour {
            Some(cost) => format!("; it costs {:.2} {currency} a day", cost * 24.0),
            None if self.what == "firewall rule" => String::new(),
            None => "; it costs money".to_owned(),
        };
        format!("the {} {}{place}{lab}: {}{cost}", self.what, self.name, self.why)
    }
}

/// What carries our labels or our mark and is no standing workshop's of this store.
pub async fn costing(home: &Homeroom, site: &CloudSite) -> Result<Left, ServiceError> {
    // The project first: what is made in between is known to the store before it exists.
    let view = site.look().await?;
    let (labs, _) = home.store.all_progress().await?;
    let labs: Vec<_> = labs.iter().collect();
    let (store, now) = (home.store.id(), home.clock.now());
    let unseen = view.blind().map(|why| format!("{why}: what homeroom made there, and what it costs, is not known"));
    let definitions = home.store.definitions().await?;
    let defined: BTreeMap<&LabName, bool> = definitions
        .iter()
        .map(|stored| match &stored.definition {
            Definition::Workshop(workshop) => (&workshop.name, workshop.gce.keep_disk),
            Definition::Class(class) => (&class.name, false),
        })
        .collect();
    let keeps = |lab: &LabName| defined.get(lab).copied().unwrap_or(false);
    let orphans = planning::costing(store, &view, &labs, keeps, now, site.prices.as_ref());
    let is_defined = |lab: &LabName| defined.contains_key(lab);
    Ok(Left { found: orphans.into_iter().map(|it| named(site, it, is_defined)).collect(), unseen })
}

/// The same with what to do about it.
fn named(site: &CloudSite, it: Orphan, is_defined: impl Fn(&LabName) -> bool) -> Costing {
    let place = it.zone.as_ref().map(|zone| format!(" --zone {zone}")).unwrap_or_default();
    let kind = it.what.replace("firewall rule", "firewall-rule").replace(' ', "-");
    let by_hand = format!("`gcloud compute {kind}s delete {}{place} --project {}`", it.name, site.cloud.project());
    let mend = match &it.lab {
        Some(lab) if it.kept => format!(
            "once gce.keep_disk is out of the definition of {lab}, `homeroom destroy {lab} --yes` removes it; else {by_hand}"
        ),
        Some(lab) if it.ours && is_defined(lab) => format!("`homeroom destroy {lab} --yes` removes it"),
        Some(_) if it.ours => format!("no definition of it is left here: {by_hand}"),
        _ => "leave it to whoever made it, or ask them".to_owned(),
    };
    let matters = match (it.kept, it.ours) {
        (true, _) => "somebody wanted it to stay, and it goes on costing",
        (false, true) => "nobody looks after it, and it goes on",
        (false, false) => "whoever has that store may be looking after it; this one does not",
    };
    let (lab, why) = (it.lab, it.why);
    Costing { what: it.what, name: it.name, zone: it.zone, lab, why, matters, mend, per_hour: it.per_hour }
}
