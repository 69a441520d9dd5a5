//! Workshops on a container engine: what is read for a plan, and what a run is given.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use secrecy::SecretString;

use super::{
    Homeroom, ServiceError,
    check::Deed,
    ends,
    plan::{On, Planned},
};
use crate::{
    deploy::workshop::{EngineParts, ProxyCertificate},
    domain::{
        Plan, Progress, Role, SeatName, SiteName, StepName, StoreId,
        address::listened_on,
        code::JoinCode,
        engine::EngineView,
        person::Person,
        planning::{self, Problem, WorkshopInput},
        workshop::{WorkshopDefinition, mark},
    },
    port::{Clock, Containers, RemoteShell, shell::ShellTarget},
};

/// A container engine that carries workshops.
pub struct EngineSite {
    pub name: SiteName,
    /// `dev`, `staging` or `prod`.
    pub environment: String,
    pub max_seats: u32,
    /// By what name or address people reach its host: as configured, else as homeroom does. `None`: it is this
    /// computer, which whoever comes to it knows by some name.
    pub address: Option<String>,
    /// What a workshop costs there.
    pub price: Price,
    pub containers: Arc<dyn Containers>,
    /// How its host is logged in to, where the engine is reached that way.
    pub login: Option<(Arc<dyn RemoteShell>, ShellTarget)>,
    /// Its own, where all else that is worked on is modelled, and faster than real time.
    pub clock: Option<Arc<dyn Clock>>,
}

/// What a workshop costs on a site, as the configuration says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Price {
    pub per_hour: f64,
    /// Such as `EUR`.
    pub currency: String,
}

/// What deploy would do.
pub async fn plan_deploy(
    home: &Homeroom,
    workshop: WorkshopDefinition,
    engine: Arc<EngineSite>,
    fix_drift: bool,
) -> Result<Planned, ServiceError> {
    let ground = Ground::read(home, workshop, engine, Look::All).await?;
    if !ground.unborn(home) {
        lives(home, &ground.workshop, &ground.progress)?;
    }
    ground.planned(home, |input| planning::plan_workshop(&WorkshopInput { fix_drift, ..*input }))
}

/// What destroy would do: all of the lab, or the named seats.
pub async fn plan_destroy(
    home: &Homeroom,
    workshop: WorkshopDefinition,
    engine: Arc<EngineSite>,
    seats: &[SeatName],
) -> Result<Planned, ServiceError> {
    let ground = Ground::read(home, workshop, engine, Look::WhatStands).await?;
    know(&ground.workshop, &ground.progress, seats)?;
    ground.planned(home, |input| planning::plan_workshop_destroy(input, seats))
}

/// What a deed would come to; the containers of `halted` were ended by the run already that goes on.
pub async fn plan_deed(
    home: &Homeroom,
    workshop: WorkshopDefinition,
    engine: Arc<EngineSite>,
    (seats, halted): (&[SeatName], &[SeatName]),
    deed: Deed,
) -> Result<Planned, ServiceError> {
    is_for_workshops(&workshop, deed)?;
    let ground = Ground::read(home, workshop, engine, Look::WhatStands).await?;
    know(&ground.workshop, &ground.progress, seats)?;
    // What is past its end is started for nobody.
    if deed != Deed::Check {
        lives(home, &ground.workshop, &ground.progress)?;
    }
    ground.planned(home, |input| planning::plan_workshop_deed(input, seats, deed, halted))
}

/// What is looked at for a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// What stands and what making more of it needs: images, ports, certificates.
    All,
    /// What stands. Nothing else keeps a workshop from being checked or from its end.
    WhatStands,
}

/// What was read for a plan.
struct Ground {
    workshop: WorkshopDefinition,
    engine: Arc<EngineSite>,
    view: EngineView,
    progress: Progress,
    missing: BTreeSet<String>,
    brought: BTreeSet<String>,
    unfit: BTreeMap<String, String>,
    taken: BTreeSet<u16>,
    sitting: BTreeMap<SeatName, Person>,
    certificate: Option<Result<String, String>>,
    rounds: BTreeMap<SeatName, u32>,
}

impl Ground {
    async fn read(
        home: &Homeroom,
        workshop: WorkshopDefinition,
        engine: Arc<EngineSite>,
        look: Look,
    ) -> Result<Self, ServiceError> {
        let (progress, _) = home.store.progress(&workshop.name).await?;
        let all = look == Look::All;
        // Before the listing, so that it shows whoever of ours had them.
        let taken = if all { taken(&workshop, &engine).await } else { BTreeSet::new() };
        let view = engine.containers.view().await?;
        let (mut missing, mut unfit) = (BTreeSet::new(), BTreeMap::new());
        for image in workshop.images().into_iter().filter(|_| all) {
            match engine.containers.image(image).await? {
                None => drop(missing.insert(image.to_owned())),
                // The proxy is told what to start.
                Some(seen) => {
                    let why = seen.unfit(&view, image != workshop.proxy.image);
                    unfit.extend(why.map(|why| (image.to_owned(), why)));
                }
            }
        }
        let sitting = home.store.sittings(&workshop.name).await?.into_iter().map(|it| (it.seat, it.person)).collect();
        let brought = missing.iter().filter(|image| engine.containers.brings(image)).cloned().collect();
        let rounds = home.store.rounds(&workshop.name).await?;
        let files = workshop.proxy.certificate.as_ref().filter(|_| all);
        let certificate = files.map(|files| super::certificate::read(files).map(|read| mark(&read.cert)));
        Ok(Self { workshop, engine, view, progress, missing, brought, unfit, taken, sitting, certificate, rounds })
    }

    fn unborn(&self, home: &Homeroom) -> bool {
        let stands = planning::stands_on(home.store.id(), &self.workshop.name, &self.view);
        planning::unborn(&self.progress, stands)
    }

    fn planned(
        self,
        home: &Homeroom,
        rule: impl FnOnce(&WorkshopInput<'_>) -> Result<Plan, Vec<Problem>>,
    ) -> Result<Planned, ServiceError> {
        let store: &StoreId = home.store.id();
        let input = WorkshopInput {
            workshop: &self.workshop,
            view: &self.view,
            progress: &self.progress,
            store,
            missing: &self.missing,
            brought: &self.brought,
            unfit: &self.unfit,
            taken: &self.taken,
            max_seats: self.engine.max_seats,
            sitting: &self.sitting,
            certificate: self.certificate.as_ref().map(|read| read.as_deref().map_err(String::as_str)),
            rounds: &self.rounds,
            fix_drift: false,
            price: Some((self.engine.price.per_hour, self.engine.price.currency.as_str())),
        };
        let plan = rule(&input).map_err(|problems| in_the_way(&self.workshop, &problems))?;
        let unborn = self.unborn(home);
        Ok(Planned { plan, on: On::Engine(self.engine), unborn })
    }
}

/// An error if the workshop is past its end: what is made now would be gone in a moment.
pub(super) fn lives(home: &Homeroom, workshop: &WorkshopDefinition, progress: &Progress) -> Result<(), ServiceError> {
    let lab = &workshop.name;
    match &progress.life {
        Some(life) if life.is_over(home.clock.now()) => {
            let keeps = match life.can_be_put_off(workshop.max_life, home.clock.now()) {
                true => format!("`homeroom extend {lab} 1h` keeps it, "),
                false => String::new(),
            };
            let problem = format!(
                "its end was at {}; {keeps}`homeroom destroy {lab} --yes` removes it",
                ends::shown(life.ends_at)
            );
            Err(ServiceError::Problems { lab: lab.clone(), problems: vec![problem] })
        }
        _ => Ok(()),
    }
}

/// How long a login to the engine's host may take, for a look at its ports: wall time.
const LOGIN_WITHIN: Duration = Duration::from_secs(20);

/// Ports a workshop needs on which somebody listens. The seats' are on the loopback, the proxy's is on every address.
async fn taken(workshop: &WorkshopDefinition, engine: &EngineSite) -> BTreeSet<u16> {
    let ports = (1..=workshop.seats).flat_map(|number| workshop.published(number)).map(|(.., port)| port);
    let ports: Vec<u16> = ports.chain(workshop.health_port()).collect();
    let wide = workshop.proxy.port;
    let mut taken: BTreeSet<u16> = engine.containers.taken(&ports, &[wide]).await.into_iter().collect();
    // On another machine the connections see the loopback alone, and whoever is logged in there sees more.
    if let Some((shell, target)) = &engine.login
        && let Ok(said) = shell.run(target, "cat /proc/net/tcp /proc/net/tcp6", LOGIN_WITHIN).await
    {
        taken.extend(listened_on(&said.stdout).contains(&wide).then_some(wide));
    }
    taken
}

/// An error for a deed that workshops know nothing of.
pub(super) fn is_for_workshops(workshop: &WorkshopDefinition, deed: Deed) -> Result<(), ServiceError> {
    match deed {
        Deed::Check | Deed::Start | Deed::Restart => Ok(()),
        Deed::Stop => Err(ServiceError::NotNow(format!(
            "{lab} is a workshop: it runs until its end, or until `homeroom destroy {lab}`; `homeroom restart {lab}` ends \
             its programs and starts them",
            lab = workshop.name
        ))),
    }
}

/// An error if a seat is neither defined nor standing.
pub(super) fn know(workshop: &WorkshopDefinition, progress: &Progress, seats: &[SeatName]) -> Result<(), ServiceError> {
    let defined: Vec<SeatName> = workshop.rows().into_iter().map(|(seat, _)| seat).collect();
    let stands = |seat: &SeatName| progress.seat(seat).is_some();
    match seats.iter().find(|seat| !defined.contains(seat) && !stands(seat)) {
        None => Ok(()),
        Some(seat) => Err(ServiceError::NoSeat {
            lab: workshop.name.clone(),
            seat: seat.clone(),
            known: defined.iter().map(ToString::to_string).collect(),
        }),
    }
}

/// What stands in the way of a workshop's plan, as an error.
pub(super) fn in_the_way(workshop: &WorkshopDefinition, problems: &[Problem]) -> ServiceError {
    ServiceError::Problems { lab: workshop.name.clone(), problems: Problem::told(problems) }
}

/// The workshop a plan was made for.
pub(super) fn planned_for(plan: &Plan) -> Result<WorkshopDefinition, ServiceError> {
    plan.workshop
        .clone()
        .ok_or_else(|| ServiceError::NotNow(format!("run of {} was planned for a class, not for a workshop", plan.lab)))
}

/// What the steps of a workshop's run are given.
pub async fn engine_parts(
    home: &Homeroom,
    engine: &EngineSite,
    plan: &Plan,
    code: Option<&JoinCode>,
) -> Result<EngineParts, ServiceError> {
    let workshop = planned_for(plan)?;
    let (tokens, rounds) = tokens(home, &workshop, code).await?;
    Ok(EngineParts {
        containers: engine.containers.clone(),
        clock: engine.clock.clone().unwrap_or_else(|| home.clock.clone()),
        store: home.store.id().clone(),
        workshop,
        tokens,
        rounds,
        certificate: certificate(plan).await?,
        tuning: home.tuning.clone(),
    })
}

/// What opens each seat now, and how often each went before.
pub(super) async fn tokens(
    home: &Homeroom,
    workshop: &WorkshopDefinition,
    code: Option<&JoinCode>,
) -> Result<(BTreeMap<SeatName, SecretString>, BTreeMap<SeatName, u32>), ServiceError> {
    let rounds = home.store.rounds(&workshop.name).await?;
    let mut tokens = BTreeMap::new();
    for (seat, _) in workshop.rows().into_iter().filter(|(_, role)| *role == Role::Seat) {
        if let Some(code) = code {
            let round = rounds.get(&seat).copied().unwrap_or_default();
            tokens.insert(seat.clone(), home.keys.token(&workshop.name, &seat, code, round).await?);
        }
    }
    Ok((tokens, rounds))
}

/// What proves the proxy's name, where this plan makes it and files are given for it.
pub(super) async fn certificate(plan: &Plan) -> Result<Option<ProxyCertificate>, ServiceError> {
    let makes = plan.seats.iter().any(|row| row.steps.contains(&StepName::Proxy));
    let files = plan.workshop.as_ref().and_then(|workshop| workshop.proxy.certificate.as_ref()).filter(|_| makes);
    let Some(files) = files else { return Ok(None) };
    super::certificate::read(files).map(Some).map_err(ServiceError::NotNow)
}
