//! Status: what the journal has proven, held against what the site shows now.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use jiff::Timestamp;

use super::{Homeroom, ServiceError, marks, offline, own_key::unfinished_of};
use crate::domain::{
    Clean, Definition, LabName, MachineState, NodeName, Progress, Role, SeatName, SiteName, StepName, StepState, Vmid,
    cloud::{CloudView, Past},
    cluster::ClusterView,
    code::JoinCode,
    engine::EngineView,
    hosting::Hosting,
    life::Life,
    machine::machine_name,
    person::Person,
    planning,
    progress::{SeatProgress, StepProgress},
    readiness::{Cut, Hand, LabState, Look, Phase, Stand, current_state, lab_state as judge, seen_on, word},
    seating::Judge,
    workshop::WorkshopDefinition,
};

/// A lab with its machines.
#[derive(Debug, Clone)]
pub struct LabStatus {
    pub lab: LabName,
    pub kind: &'static str,
    pub site: SiteName,
    pub state: LabState,
    /// What it is at, with what its state does not tell apart.
    pub phase: Phase,
    /// Who works on it now, if anyone.
    pub held_by: Option<String>,
    /// Why the site could not be seen: what was ready last is unknown then.
    pub blind: Option<String>,
    pub machines: Vec<MachineStatus>,
    /// Of a workshop that was deployed.
    pub life: Option<LifeStatus>,
    /// Where people reach a workshop that was deployed: its proxy, as it stands in their links.
    pub address: Option<String>,
    /// A renewal of its key that has not come to its end: for which seats, and what goes on with it.
    pub renewal: Option<(Vec<SeatName>, String)>,
}

/// A workshop's code, its end and what it has cost.
#[derive(Debug, Clone, PartialEq)]
pub struct LifeStatus {
    pub code: JoinCode,
    pub born_at: Timestamp,
    pub ends_at: Timestamp,
    /// Nothing once it is past its end.
    pub left: Duration,
    /// Past its end: it will be destroyed by whoever looks next.
    pub over: bool,
    /// Nothing of it ever stood: its time begins with the deploy that brings something of it about.
    pub unborn: bool,
    pub cost: f64,
    /// What the cost is in; empty where the site says nothing.
    pub currency: String,
    /// Why it could not be ended, when that was last tried.
    pub hindered: Option<Clean>,
}

/// Of a row whose site could not be looked at.
const UNSEEN: &str = "its site cannot be seen";

/// A seat's machine.
#[derive(Debug, Clone)]
pub struct MachineStatus {
    pub seat: SeatName,
    pub role: Role,
    pub name: String,
    pub site: SiteName,
    pub node: Option<NodeName>,
    pub vmid: Option<Vmid>,
    pub state: MachineState,
    /// The run that had it in hand did not come to its end.
    pub cut: Option<Cut>,
    pub ip: Option<IpAddr>,
    pub reason: Option<Clean>,
    pub proven_at: Option<Timestamp>,
    pub steps: Vec<StepProgress>,
    /// Who sits there.
    pub person: Option<Person>,
}

impl MachineStatus {
    /// How it stands, in a word.
    pub fn word(&self) -> &'static str {
        word(self.state, self.cut)
    }
}

/// One lab.
pub async fn lab_status(home: &Homeroom, lab: &LabName) -> Result<LabStatus, ServiceError> {
    let stored = home.definition(lab).await?;
    let view = look(home, &stored.definition).await;
    let (progress, _) = home.store.progress(lab).await?;
    let marks = marks(home, &stored.definition, view.as_ref(), &progress).await;
    let status = compose(home, &stored.definition, progress, view.as_ref(), &marks).await?;
    Ok(LabStatus { renewal: unfinished_of(home, lab).await, ..status })
}

/// Whether machines are asked, one by one, for the marks they carry, and the keys of labs are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    Read,
    /// Left alone: for what looks again and again.
    Unread,
}

/// Every lab, one look per site.
pub async fn all_status(
    home: &Homeroom,
    only: Option<&SiteName>,
    marks: Marks,
) -> Result<Vec<LabStatus>, ServiceError> {
    let mut views: BTreeMap<SiteName, Result<Sight, String>> = Default::default();
    let mut out = Vec::new();
    for stored in home.store.definitions().await? {
        let definition = stored.definition;
        if only.is_some_and(|site| site != definition.site()) {
            continue;
        }
        if !views.contains_key(definition.site()) {
            views.insert(definition.site().clone(), look(home, &definition).await);
        }
        let (progress, _) = home.store.progress(definition.name()).await?;
        let unseen = Err(String::new());
        let view = views.get(definition.site()).unwrap_or(&unseen);
        let carried = match marks {
            Marks::Read => self::marks(home, &definition, view.as_ref(), &progress).await,
            Marks::Unread => BTreeMap::new(),
        };
        let status = compose(home, &definition, progress, view.as_ref(), &carried).await?;
        let renewal = match marks {
            Marks::Read => unfinished_of(home, definition.name()).await,
            Marks::Unread => None,
        };
        out.push(LabStatus { renewal, ..status });
    }
    Ok(out)
}

/// What the machines of a class carry.
async fn marks(
    home: &Homeroom,
    definition: &Definition,
    view: Result<&Sight, &String>,
    progress: &Progress,
) -> marks::Marks {
    match (view, home.site(definition.site())) {
        (Ok(Sight::Cluster(view)), Ok(site)) => marks::read(home, site, view, progress).await,
        _ => BTreeMap::new(),
    }
}

/// What a look at a site shows.
enum Sight {
    Cluster(ClusterView),
    Engine(EngineView),
    Cloud(CloudView),
}

impl Sight {
    fn cluster(&self) -> Option<&ClusterView> {
        match self {
            Self::Cluster(view) => Some(view),
            Self::Engine(_) | Self::Cloud(_) => None,
        }
    }

    fn engine(&self) -> Option<&EngineView> {
        match self {
            Self::Cluster(_) | Self::Cloud(_) => None,
            Self::Engine(view) => Some(view),
        }
    }

    fn cloud(&self) -> Option<&CloudView> {
        match self {
            Self::Cloud(view) => Some(view),
            Self::Cluster(_) | Self::Engine(_) => None,
        }
    }
}

/// One look at a definition's site; why not, in words.
async fn look(home: &Homeroom, definition: &Definition) -> Result<Sight, String> {
    match definition {
        Definition::Class(class) => {
            let site = home.site(&class.site).map_err(|e| e.to_string())?;
            let view = site.cluster.view().await.map_err(|e| e.to_string())?;
            offline::remember(home, site, &view).await;
            Ok(Sight::Cluster(view))
        }
        Definition::Workshop(workshop) if home.clouds.contains_key(&workshop.site) => {
            let site = home.cloud(&workshop.site).map_err(|e| e.to_string())?;
            site.look().await.map(Sight::Cloud).map_err(|e| e.to_string())
        }
        Definition::Workshop(workshop) => {
            let engine = home.engine(&workshop.site).map_err(|e| e.to_string())?;
            engine.containers.view().await.map(Sight::Engine).map_err(|e| e.to_string())
        }
    }
}

async fn compose(
    home: &Homeroom,
    definition: &Definition,
    progress: Progress,
    view: Result<&Sight, &String>,
    marks: &marks::Marks,
) -> Result<LabStatus, ServiceError> {
    let lab = definition.name();
    let held_by = home.store.lab_holder(lab).await?;
    let hand = Hand::of(&progress, held_by.is_some());
    let now = home.clock.now();
    let (cluster, engine) = (view.ok().and_then(Sight::cluster), view.ok().and_then(Sight::engine));
    let (store, max_age) = (home.store.id(), home.proof_max_age);
    let hosting = match definition {
        Definition::Workshop(workshop) if home.clouds.contains_key(&workshop.site) => {
            let view = view.ok().and_then(Sight::cloud);
            let address = progress.seat(&SeatName::host()).and_then(|row| row.ip);
            Some(Hosting { workshop, store, view, address, hand, now, max_age })
        }
        _ => None,
    };
    let seating = match definition {
        _ if hosting.is_some() => None,
        Definition::Class(_) => None,
        Definition::Workshop(workshop) => Some(Judge { workshop, store, view: engine, hand, now, max_age }),
    };
    let away = match (cluster, home.site(definition.site())) {
        (Some(view), Ok(site)) => offline::since(home, site, view).await,
        _ => Default::default(),
    };
    let seen = |row: &SeatProgress| {
        let look = cluster.and_then(|view| Look::of(view, row))?;
        let offline_since = look.node(row).and_then(|node| away.get(node)).copied();
        Some(Look { offline_since, ours: marks.get(&row.seat).map(Option::is_none), ..look })
    };
    let stand = |row: &SeatProgress| {
        let stand = match (&seating, &hosting) {
            (_, Some(hosting)) => hosting.state(row),
            (Some(seating), _) => seating.state(row),
            (None, None) => current_state(row, seen(row), hand, now, max_age),
        };
        match (view, marks.get(&row.seat).and_then(Option::as_ref)) {
            // Why not is said once, of the lab.
            (Err(_), _) => stand.unseen(UNSEEN),
            // What is not ours is not what was proven.
            (Ok(_), Some(why)) if matches!(stand.state, MachineState::Ready | MachineState::Stale) => {
                Stand::so(MachineState::Stale, why)
            }
            (Ok(_), Some(why)) if stand.state == MachineState::Stopped => Stand::so(MachineState::Stopped, why),
            (Ok(_), _) => stand,
        }
    };
    let machine = |row: &SeatProgress, stand: &Stand| MachineStatus {
        node: seen_on(row, seen(row), stand.state).cloned(),
        ..machine(row, stand)
    };
    let stands: Vec<(&SeatProgress, Stand)> = progress.seats.iter().map(|row| (row, stand(row))).collect();
    let expected = match (&seating, definition) {
        (Some(seating), _) => seating.defined(&progress),
        (None, _) => defined_seats(definition),
    };
    let state = judge(&expected, hand, stands.iter().map(|(row, stand)| (*row, stand)));
    let phase = Phase::of(state, hand, stands.iter().map(|(_, stand)| stand));
    let rows = defined_seats(definition).into_iter().map(|(seat, role)| {
        match stands.iter().find(|(row, _)| row.seat == seat) {
            Some((row, stand)) => machine(row, stand),
            None => planned(lab, definition.site(), seat, role),
        }
    });
    let mut machines: Vec<MachineStatus> = rows.collect();
    for (row, stand) in &stands {
        if !machines.iter().any(|known| known.seat == row.seat) {
            machines.push(machine(row, stand));
        }
    }
    if let Some(view) = engine {
        let made = machines.iter_mut().filter(|row| !matches!(row.state, MachineState::Planned | MachineState::Gone));
        made.for_each(|row| row.node = Some(view.host.clone()));
    }
    if progress.life.is_some() {
        for sitting in home.store.sittings(lab).await? {
            if let Some(row) = machines.iter_mut().find(|row| row.seat == sitting.seat) {
                row.person = Some(sitting.person);
            }
        }
    }
    let address = match (definition, &progress.life) {
        (Definition::Workshop(workshop), Some(life)) => {
            let host = machines.iter().find(|row| row.role == Role::Host).map(|row| row.state);
            // What stands nowhere, or does not run, is reached by nobody.
            let out = matches!(host, Some(MachineState::Gone | MachineState::Stopped | MachineState::Planned));
            address(home, workshop, &progress, life, engine).filter(|_| !out)
        }
        _ => None,
    };
    let past = match (&hosting, progress.seat(&SeatName::host())) {
        (Some(hosting), Some(host)) if hosting.view.is_some() && hosting.instance().is_none() => {
            past(home, definition.site(), host).await
        }
        _ => Past::default(),
    };
    Ok(LabStatus {
        address,
        renewal: None,
        life: progress.life.as_ref().map(|life| {
            let told = living(home, definition, life);
            // A look at the instance knows better than the definition what it has cost.
            let prices =
                home.clouds.get(definition.site()).and_then(|cloud| Some((cloud.prices.as_ref()?, cloud.spot)));
            let host = progress.seat(&SeatName::host());
            let cost =
                hosting.as_ref().zip(prices).and_then(|(hosting, prices)| hosting.cost(prices, life, host, &past));
            match is_unborn(home, &progress, view.ok()) && held_by.is_none() {
                true => LifeStatus { unborn: true, over: false, cost: 0.0, ..told },
                false => LifeStatus { cost: cost.unwrap_or(told.cost), ..told },
            }
        }),
        lab: lab.clone(),
        kind: definition.kind(),
        site: definition.site().clone(),
        state,
        phase,
        held_by,
        blind: view.err().cloned(),
        machines,
    })
}

/// What its cloud remembers of an instance that stood.
async fn past(home: &Homeroom, site: &SiteName, host: &SeatProgress) -> Past {
    let (Some(cloud), Some(stood)) = (home.clouds.get(site), &host.stood) else { return Past::default() };
    // More than it cost is told where nobody knows better.
    cloud.cloud.past(&stood.zone, &stood.id).await.unwrap_or_default()
}

/// The code, the end and the cost of a workshop that was deployed, from the store alone: no site is asked.
pub async fn life_of(home: &Homeroom, definition: &Definition) -> Result<Option<LifeStatus>, ServiceError> {
    let (progress, _) = home.store.progress(definition.name()).await?;
    Ok(progress.life.as_ref().map(|life| living(home, definition, life)))
}

/// Where people reach a workshop: on this computer's engine, by the name that calls itself.
fn address(
    home: &Homeroom,
    workshop: &WorkshopDefinition,
    progress: &Progress,
    life: &Life,
    engine: Option<&EngineView>,
) -> Option<String> {
    let published = workshop.as_published(Some(&life.code.as_str().to_ascii_lowercase()));
    let host = match home.engines.get(&workshop.site) {
        Some(site) => site.address.clone().or_else(|| engine.map(|view| view.host.to_string())),
        None => {
            // By what it is known to have: an address, and a name that was seen to lead there.
            let host = progress.seat(&SeatName::host())?;
            let is_named = host.step(StepName::Dns).is_some_and(|step| step.state == StepState::Ok);
            let ip = host.ip?.to_string();
            Some(super::cloud::name(workshop, progress).filter(|_| is_named).unwrap_or(ip))
        }
    };
    // A proxy with a name is reached by that, wherever it is.
    let host = host.or_else(|| published.proxy.name.clone())?;
    Some(published.address(&host))
}

/// A life as it is now.
fn living(home: &Homeroom, definition: &Definition, life: &Life) -> LifeStatus {
    let now = home.clock.now();
    let site = definition.site();
    let price = match (definition, home.clouds.get(site)) {
        (Definition::Workshop(workshop), Some(cloud)) => cloud.price(workshop),
        _ => home.engines.get(site).map(|engine| engine.price.clone()).unwrap_or_default(),
    };
    LifeStatus {
        code: life.code.clone(),
        born_at: life.born_at,
        ends_at: life.ends_at,
        left: life.left(now),
        over: life.is_over(now),
        unborn: false,
        cost: life.cost(price.per_hour, now),
        currency: price.currency,
        hindered: life.hindered.clone(),
    }
}

/// Whether nothing of a workshop ever stood, as far as one look shows. Where nobody could look, it may have.
fn is_unborn(home: &Homeroom, progress: &Progress, view: Option<&Sight>) -> bool {
    let (store, lab) = (home.store.id(), &progress.lab);
    let stands = match view {
        Some(Sight::Engine(view)) => planning::stands_on(store, lab, view),
        Some(Sight::Cloud(view)) => planning::stands_in(store, lab, view),
        Some(Sight::Cluster(_)) | None => true,
    };
    planning::unborn(progress, stands)
}

/// The seats a definition asks for.
fn defined_seats(definition: &Definition) -> Vec<(SeatName, Role)> {
    match definition {
        Definition::Workshop(workshop) => workshop.rows(),
        Definition::Class(class) => class.seats(),
    }
}

fn machine(row: &SeatProgress, stand: &Stand) -> MachineStatus {
    MachineStatus {
        seat: row.seat.clone(),
        role: row.role,
        name: row.name.clone(),
        site: row.site.clone(),
        node: row.node.clone(),
        vmid: row.vmid,
        state: stand.state,
        cut: stand.cut,
        ip: row.ip,
        reason: stand.reason.clone(),
        proven_at: row.proven_at,
        steps: row.steps.clone(),
        person: None,
    }
}

fn planned(lab: &LabName, site: &SiteName, seat: SeatName, role: Role) -> MachineStatus {
    MachineStatus {
        name: machine_name(lab, &seat),
        seat,
        role,
        site: site.clone(),
        node: None,
        vmid: None,
        state: MachineState::Planned,
        cut: None,
        ip: None,
        reason: None,
        proven_at: None,
        steps: Vec::new(),
        person: None,
    }
}
