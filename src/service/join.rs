//! Joining a workshop: a code and a name become a seat, its links, and — where seats are made as people come — its containers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::{Homeroom, RunHandle, ServiceError, ends::shown, plan::plan_deploy, run::begin, status::lab_status};
use crate::{
    domain::{
        Definition, LabName, MachineState, Progress, Role, SeatName,
        code::JoinCode,
        person::{NotAName, Person},
        plan::Verb,
        planning::TOKENS,
        workshop::{SeatsOn, Service, WorkshopDefinition},
    },
    port::{StoreError, store::SeatTaken},
};

/// How long a seat's containers are waited for behind other runs of the lab, and between two looks: wall time.
const MADE_WITHIN: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// An engine that has not answered by then is away for whoever wants a seat: wall time.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

/// Why somebody gets no seat, in words for whoever typed the code.
#[derive(Debug, Error)]
pub enum JoinError {
    #[error("no workshop has this code; look at it again, or ask your teacher")]
    Unknown,
    #[error("{lab} ended at {}; ask your teacher for a new code", shown(*.at))]
    Ended { lab: LabName, at: Timestamp },
    #[error("every seat of {lab} has somebody; ask your teacher for another")]
    Full { lab: LabName },
    /// Nobody could look whether a seat is there to be had.
    #[error("the machine of {lab} does not answer right now; try again in a minute, or tell your teacher")]
    Away { lab: LabName, why: String },
    #[error("{0}")]
    NotAName(#[from] NotAName),
    #[error(transparent)]
    Service(#[from] ServiceError),
}

impl From<StoreError> for JoinError {
    fn from(error: StoreError) -> Self {
        ServiceError::from(error).into()
    }
}

/// A seat somebody has.
pub struct Joined {
    pub lab: LabName,
    pub seat: SeatName,
    pub person: Person,
    /// The person had it before.
    pub again: bool,
    pub links: Links,
    /// Its containers are made as people come.
    pub made_on_joining: bool,
}

/// What opens a seat's programs in a browser; whoever has one has the seat.
#[derive(Debug, Clone)]
pub struct Links(Vec<(Service, SecretString)>);

impl Links {
    /// Each program with its link, the terminal first.
    pub fn all(&self) -> impl Iterator<Item = (Service, &str)> {
        self.0.iter().map(|(service, link)| (*service, link.expose_secret()))
    }

    /// The terminal's.
    pub fn first(&self) -> Option<&SecretString> {
        self.0.first().map(|(_, link)| link)
    }
}

/// Whether somebody has a name, and the code is one that was given: what is asked before a seat is, where guesses are
/// counted.
///
/// # Errors
/// `NotAName` and `Unknown`, in this order.
pub async fn is_known(home: &Homeroom, code: &str, name: &str) -> Result<(), JoinError> {
    Person::new(name)?;
    let code = JoinCode::read(code).ok_or(JoinError::Unknown)?;
    home.store.given_code(&code).await?.map(drop).ok_or(JoinError::Unknown)
}

/// Gives somebody a seat, the same one on return. Nothing is made yet. `asked_at`: by what name whoever asks reached
/// this computer, for links to workshops on it.
pub async fn join(home: &Homeroom, code: &str, name: &str, asked_at: Option<&str>) -> Result<Joined, JoinError> {
    let person = Person::new(name)?;
    let code = JoinCode::read(code).ok_or(JoinError::Unknown)?;
    let given = home.store.given_code(&code).await?.ok_or(JoinError::Unknown)?;
    let lab = given.lab;
    if let Some(at) = given.ended_at {
        return Err(JoinError::Ended { lab, at });
    }
    let now = home.clock.now();
    let (progress, _) = home.store.progress(&lab).await?;
    let ended = |at| JoinError::Ended { lab: lab.clone(), at };
    let life = progress.life.as_ref().filter(|life| life.code == code).ok_or_else(|| ended(now))?;
    if life.is_over(now) {
        return Err(ended(life.ends_at));
    }
    let Definition::Workshop(workshop) = home.definition(&lab).await?.definition else { return Err(ended(now)) };
    // Before somebody gets a seat: a link to a machine that does not answer opens nothing.
    let states = seen(home, &workshop, &progress).await?;
    let host = place(home, &workshop, asked_at).await?;
    let (seat, again) = match home.store.take_seat(&lab, &code, &person, &offered(&workshop, &states), now).await? {
        SeatTaken::First(seat) => (seat, false),
        SeatTaken::Again(seat) => (seat, true),
        SeatTaken::Full => return Err(JoinError::Full { lab }),
        SeatTaken::Closed => return Err(ended(now)),
    };
    let links = links(home, &workshop, &host, &seat, &code).await?;
    let made_on_joining = workshop.seats_on == SeatsOn::Join;
    Ok(Joined { lab, seat, person, again, links, made_on_joining })
}

/// How the seats stand: as a look at their engine shows them. A cloud's own answer says whether their machine runs, and
/// little of them, so there the journal's word is taken.
async fn seen(
    home: &Homeroom,
    workshop: &WorkshopDefinition,
    progress: &Progress,
) -> Result<BTreeMap<SeatName, MachineState>, JoinError> {
    let away = |why| JoinError::Away { lab: workshop.name.clone(), why };
    let looked = tokio::time::timeout(SEEN_WITHIN, lab_status(home, &workshop.name)).await;
    if home.clouds.contains_key(&workshop.site) {
        // What is stopped or gone seats nobody; a cloud that does not answer says nothing about its machines.
        let status = looked.ok().and_then(Result::ok).filter(|status| status.blind.is_none());
        let host = status.iter().flat_map(|status| &status.machines).find(|row| row.role == Role::Host);
        if let Some(host) = host.filter(|row| matches!(row.state, MachineState::Gone | MachineState::Stopped)) {
            let why = host.reason.as_ref().map(ToString::to_string).unwrap_or_default();
            return Err(away(format!("{}: {why}", workshop.name)));
        }
        return Ok(progress.seats.iter().map(|row| (row.seat.clone(), row.state)).collect());
    }
    let status = looked.map_err(|_| away(format!("{} did not answer in time", workshop.site)))??;
    match status.blind {
        Some(why) => Err(away(why)),
        None => Ok(status.machines.into_iter().map(|row| (row.seat, row.state)).collect()),
    }
}

/// The seats in the order they are given: those that are ready first, those that failed last, else by number.
fn offered(workshop: &WorkshopDefinition, states: &BTreeMap<SeatName, MachineState>) -> Vec<SeatName> {
    let rank = |seat: &SeatName| match states.get(seat) {
        Some(MachineState::Ready) => 0,
        None | Some(MachineState::Planned | MachineState::Working) => 1,
        Some(MachineState::Failed | MachineState::Gone) => 3,
        Some(_) => 2,
    };
    let seats = workshop.rows().into_iter().filter(|(_, role)| *role == Role::Seat);
    let mut seats: Vec<SeatName> = seats.map(|(seat, _)| seat).collect();
    seats.sort_by_key(rank);
    seats
}

/// How the host of a workshop is called by those who come to it; `asked_at`: as whoever asks calls this computer.
pub(super) async fn place(
    home: &Homeroom,
    workshop: &WorkshopDefinition,
    asked_at: Option<&str>,
) -> Result<String, ServiceError> {
    if home.clouds.contains_key(&workshop.site) {
        let (progress, _) = home.store.progress(&workshop.name).await?;
        let address = progress.seat(&SeatName::host()).and_then(|row| row.ip);
        let name = super::cloud::name(workshop, &progress).or_else(|| address.map(|ip| ip.to_string()));
        return Ok(name.unwrap_or_else(|| "unknown".to_owned()));
    }
    let engine = home.engine(&workshop.site)?;
    match engine.address.as_deref().or(asked_at) {
        Some(address) => Ok(address.to_owned()),
        None => Ok(engine.containers.view().await?.host.to_string()),
    }
}

/// What opens each program of a seat. `host` is how the engine's host calls itself.
pub(super) async fn links(
    home: &Homeroom,
    workshop: &WorkshopDefinition,
    host: &str,
    seat: &SeatName,
    code: &JoinCode,
) -> Result<Links, ServiceError> {
    let round = home.store.rounds(&workshop.name).await?.get(seat).copied().unwrap_or_default();
    let token = home.keys.token(&workshop.name, seat, code, round).await?;
    let published = workshop.as_published(Some(&code.as_str().to_ascii_lowercase()));
    let (base, number) = (published.address(host), seat.number().unwrap_or_default());
    let links = workshop.published(number).into_iter().map(|(service, ..)| {
        let link = format!("{base}/vm/{number}/{}/?token={}", service.as_str(), token.expose_secret());
        (service, SecretString::from(link))
    });
    Ok(Links(links.collect()))
}

/// What came of having a seat made.
pub enum Made {
    /// It is there and proven.
    Ready,
    /// A run was begun here for it, and for whoever else waits.
    Begun(RunHandle),
    /// It is not there, and this is why.
    Not(String),
}

/// Makes the containers of everybody who sits and has none. Waits behind other runs of the lab, one of which may make
/// this seat too.
pub async fn make(home: &Arc<Homeroom>, lab: &LabName, seat: &SeatName) -> Result<Made, ServiceError> {
    let owner = format!("{}, joining", home.owner);
    let began = tokio::time::Instant::now();
    loop {
        if state(home, lab, seat).await? == MachineState::Ready {
            return Ok(Made::Ready);
        }
        match home.store.lock_lab(lab, &owner).await {
            Ok(lock) => {
                let mut planned = plan_deploy(home, lab).await?;
                let sitting: BTreeMap<_, _> =
                    home.store.sittings(lab).await?.into_iter().map(|s| (s.seat, s.person)).collect();
                // Nobody agreed to more than this: what a changed definition replaces or removes waits for a deploy.
                planned.plan.seats.retain(|row| match row.role {
                    // A seat given again has another token, which the proxy must know.
                    Role::Host => {
                        let tokens = row.changes.iter().all(|change| change.field == TOKENS);
                        matches!(row.verb, Verb::Keep | Verb::Prove) || row.verb == Verb::Update && tokens
                    }
                    _ => {
                        sitting.contains_key(&row.seat) && matches!(row.verb, Verb::Create | Verb::Resume | Verb::Prove)
                    }
                });
                if planned.plan.is_empty() {
                    return Ok(Made::Not(format!("{seat} waits for `homeroom deploy {lab}`")));
                }
                return Ok(Made::Begun(begin(home, planned, lock).await?));
            }
            Err(StoreError::Held { holder, .. }) if began.elapsed() > MADE_WITHIN => {
                return Ok(Made::Not(format!("{lab} is being worked on by {holder}")));
            }
            Err(StoreError::Held { .. }) => tokio::time::sleep(LOOK_EVERY).await,
            Err(error) => return Err(error.into()),
        }
    }
}

/// How a seat stands for whoever sits there: as it is seen now, and no better than what leads to it.
pub async fn stands(home: &Homeroom, lab: &LabName, seat: &SeatName) -> Result<MachineState, ServiceError> {
    if home.in_cloud(lab).await?.is_some() {
        return state(home, lab, seat).await;
    }
    let status = lab_status(home, lab).await?;
    let of = |name: &SeatName| {
        status.machines.iter().find(|row| row.seat == *name).map_or(MachineState::Planned, |row| row.state)
    };
    Ok(match (of(seat), of(&SeatName::host())) {
        (MachineState::Ready, host) => host,
        (own, _) => own,
    })
}

/// How a seat stands in the journal.
pub async fn state(home: &Homeroom, lab: &LabName, seat: &SeatName) -> Result<MachineState, ServiceError> {
    let (progress, _) = home.store.progress(lab).await?;
    Ok(progress.seat(seat).map_or(MachineState::Planned, |row| row.state))
}
