//! Plans for workshops: what is to be made or removed on a container engine, row by row, and why.
//!
//! Pure: the engine's listing, the store's rows and the definition come in.

use std::collections::{BTreeMap, BTreeSet};

mod deed;
mod drift;
mod obstacles;
mod prospects;

pub use self::{
    deed::plan_workshop_deed,
    drift::{limits_of, made_with},
};
use self::{drift::drift, obstacles::obstacles, prospects::prospects};
use super::{
    Problem,
    birth::{stands_on, unborn},
    count, hosted, listed,
};
use crate::domain::MachineState;
use crate::domain::{
    Plan, Progress, Role, SeatName, StepName, StoreId,
    engine::{ContainerState, ContainerView, EngineView},
    event::RunKind,
    label::{Label, Owner, owner},
    machine::machine_name,
    person::Person,
    plan::{FieldChange, SeatPlan, Verb},
    progress::SeatProgress,
    size::Size,
    workshop::{SeatsOn, WorkshopDefinition, browser_name},
};

/// Everything a workshop's plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct WorkshopInput<'a> {
    pub workshop: &'a WorkshopDefinition,
    pub view: &'a EngineView,
    /// The lab as the store knows it.
    pub progress: &'a Progress,
    pub store: &'a StoreId,
    /// Images of the definition that are not on the engine.
    pub missing: &'a BTreeSet<String>,
    /// Those of them that are made of this computer's programs, and fetched from nowhere.
    pub brought: &'a BTreeSet<String>,
    /// Images of which no container can run there, with the reason.
    pub unfit: &'a BTreeMap<String, String>,
    /// Ports of the host somebody listens on, whoever it is: of the proxy's on any address.
    pub taken: &'a BTreeSet<u16>,
    pub max_seats: u32,
    /// Seats somebody has joined, and who.
    pub sitting: &'a BTreeMap<SeatName, Person>,
    /// The mark of the proxy's certificate as its file has it now, or why it will not do. `None`: nobody looked.
    pub certificate: Option<Result<&'a str, &'a str>>,
    /// How often each seat went while the workshop stood, for those that did.
    pub rounds: &'a BTreeMap<SeatName, u32>,
    /// What somebody changed by hand is put right.
    pub fix_drift: bool,
    /// What it costs an hour and in what, where the site says.
    pub price: Option<(f64, &'a str)>,
}

/// What of a proxy is another when its certificate is renewed, as its label has it.
pub const CERTIFICATE: &str = "proxy.cert.mark";
/// The same as a change that is shown.
pub const RENEWED: &str = "certificate";
/// What of a proxy is another when a seat has new tokens, because the one before it went.
pub const TOKENS: &str = "tokens";

/// What a container is made of, in words that are kept in its label and compared later: `key=value` each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeOf(pub Vec<(&'static str, String)>);

impl MadeOf {
    /// A seat's own container.
    pub fn seat(workshop: &WorkshopDefinition, number: u32) -> Self {
        let ports = |(_, inside, host): &(_, u16, u16)| format!("{host}>{inside}");
        let published = workshop.published(number);
        let own: Vec<_> = published.iter().filter(|(what, ..)| what.as_str() != "browser").map(ports).collect();
        let mut fields = vec![("image", workshop.image.clone()), ("ports", own.join(","))];
        fields.extend(limits(workshop));
        Self(fields)
    }

    /// The container of a seat's browser.
    pub fn browser(workshop: &WorkshopDefinition) -> Option<Self> {
        let browser = workshop.browser.as_ref()?;
        let mut fields = vec![("browser", browser.image.clone()), ("browser.port", browser.port.to_string())];
        fields.extend(limits(workshop));
        Some(Self(fields))
    }

    /// The proxy, which knows every seat's routes and tokens; `certificate` is the mark of the one it is given, where
    /// it is given one, and `rounds` says how often seats went.
    pub fn proxy(workshop: &WorkshopDefinition, certificate: Option<&str>, rounds: &BTreeMap<SeatName, u32>) -> Self {
        let routes = if workshop.browser.is_some() { "terminal,files,browser" } else { "terminal,files" };
        let mut fields = vec![
            ("proxy", workshop.proxy.image.clone()),
            ("proxy.port", workshop.proxy.port.to_string()),
            ("seats", workshop.seats.to_string()),
            ("routes", routes.to_owned()),
        ];
        fields.extend(Self::shown(workshop, certificate).0);
        let defined = |seat: &SeatName| seat.number().is_some_and(|number| number <= workshop.seats);
        let again = rounds.iter().filter(|(seat, round)| **round > 0 && defined(seat));
        let again: Vec<String> = again.map(|(seat, round)| format!("{seat}:{round}")).collect();
        fields.extend((!again.is_empty()).then(|| (TOKENS, again.join(","))));
        Self(fields)
    }

    /// What a proxy shows to whoever connects: its name, and what proves it. Nothing where it speaks plain HTTP, as the
    /// labels of proxies made before say nothing.
    pub fn shown(workshop: &WorkshopDefinition, certificate: Option<&str>) -> Self {
        let name = workshop.proxy.name.as_ref().map(|name| ("proxy.name", name.clone()));
        let file = workshop.proxy.certificate.as_ref().map(|certificate| &certificate.cert_file);
        let file = file.map(|file| ("proxy.cert", file.to_string_lossy().replace(' ', "%20")));
        let mark = certificate.map(|mark| (CERTIFICATE, mark.to_owned()));
        Self([name, file, mark].into_iter().flatten().collect())
    }

    /// As the label has it.
    pub fn text(&self) -> String {
        self.0.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
    }

    /// What of it differs from what a label says, and what the label says that is wanted no more.
    pub(super) fn differs_from(&self, label: &str) -> Vec<FieldChange> {
        let words: Vec<(&str, &str)> = label.split(' ').filter_map(|word| word.split_once('=')).collect();
        let was: BTreeMap<&str, &str> = words.iter().copied().collect();
        let differing = self.0.iter().filter(|(key, value)| was.get(key).is_none_or(|was| was != value));
        let changed =
            differing.map(|(key, value)| FieldChange::new(*key, was.get(key).copied().unwrap_or_default(), value));
        let dropped = words.iter().filter(|(key, _)| !self.0.iter().any(|(wanted, _)| wanted == key));
        changed.chain(dropped.map(|(key, was)| FieldChange::new(*key, *was, ""))).collect()
    }
}

/// The mark of the certificate a proxy should show: what will not do takes nobody's place, and what nobody read is no
/// change to what is shown.
pub(super) fn proven_by<'a>(
    workshop: &WorkshopDefinition,
    read: Option<Result<&'a str, &str>>,
    made_of: &'a str,
) -> Option<&'a str> {
    match read {
        Some(Ok(mark)) => Some(mark),
        Some(Err(_)) => said(made_of, CERTIFICATE),
        None => workshop.proxy.certificate.as_ref().and_then(|_| said(made_of, CERTIFICATE)),
    }
}

/// What a label, or the like of one, says under a key.
pub fn said<'a>(label: &'a str, key: &str) -> Option<&'a str> {
    label.split(' ').filter_map(|word| word.split_once('=')).find(|(known, _)| *known == key).map(|(_, value)| value)
}

pub(super) fn limits(workshop: &WorkshopDefinition) -> [(&'static str, String); 3] {
    limits_of(&workshop.seat)
}

/// What deploy would do.
pub fn plan_workshop(input: &WorkshopInput<'_>) -> Result<Plan, Vec<Problem>> {
    let problems = obstacles(input);
    if !problems.is_empty() {
        return Err(problems);
    }
    let workshop = input.workshop;
    let defined = workshop.rows();
    let mut rows: Vec<SeatPlan> = defined
        .iter()
        .filter(|(seat, role)| *role == Role::Host || is_wanted(input, seat))
        .map(|(seat, role)| match role {
            Role::Host => host(input),
            _ => seat_row(input, seat),
        })
        .collect();
    let mut notes = Vec::from_iter(shows(input, &rows)?);
    for seat in standing(input).into_iter().filter(|seat| !defined.iter().any(|(known, _)| known == seat)) {
        rows.push(removal(input, &seat, "no longer in the definition"));
    }
    // A seat is taken down for another image only once that image is there.
    let makes = rows.iter().any(|row| row.steps.contains(&StepName::Create));
    if let Some(host) = rows.iter_mut().find(|row| row.role == Role::Host && row.verb == Verb::Keep)
        && makes
        && !input.missing.is_empty()
    {
        host.verb = Verb::Prove;
        host.steps = vec![StepName::Image, StepName::Health];
        host.why = "images are pulled".to_owned();
    }
    match &input.progress.life {
        Some(life) if !unborn(input.progress, stands_on(input.store, &workshop.name, input.view)) => {
            let acts = rows.iter().any(|row| row.verb != Verb::Keep);
            notes.extend(acts.then(|| format!("it ends at {}", life.ends_at.strftime("%Y-%m-%d %H:%M UTC"))));
        }
        _ => notes.extend(prospects(input)),
    }
    for image in input.missing {
        notes.push(match input.brought.contains(image) {
            true => format!("{image} is not on the engine: it is made of this computer's programs first"),
            false => format!("{image} is not on the engine: it is pulled first"),
        });
    }
    let all = Size(workshop.seat.memory.0.saturating_mul(u64::from(workshop.seats)));
    if all.0 > input.view.memory {
        let (all, has) = (all.human(), Size(input.view.memory).human());
        notes.push(format!(
            "{} may use {all} together, and {} has {has}",
            count(workshop.seats as usize, "seat"),
            input.view.host
        ));
    }
    Ok(plan(input, RunKind::Deploy, rows, notes))
}

/// A certificate that will not do is no matter to a proxy that has another, and stops one that is to be made.
fn shows(input: &WorkshopInput<'_>, rows: &[SeatPlan]) -> Result<Option<String>, Vec<Problem>> {
    let Some(Err(why)) = input.certificate else { return Ok(None) };
    match rows.iter().any(|row| row.role == Role::Host && row.steps.contains(&StepName::Proxy)) {
        true => Err(vec![Problem::new(why, "mend the files, or leave cert_file and key_file out")]),
        false => Ok(Some(format!("{why}; the proxy goes on with the one it has"))),
    }
}

/// Whether a defined seat is to be there: from the start, or because somebody joined. One that stands stays.
fn is_wanted(input: &WorkshopInput<'_>, seat: &SeatName) -> bool {
    input.workshop.seats_on == SeatsOn::Start || input.sitting.contains_key(seat) || standing(input).contains(seat)
}

/// What destroy would do: all of the lab, or the named seats.
pub fn plan_workshop_destroy(input: &WorkshopInput<'_>, seats: &[SeatName]) -> Result<Plan, Vec<Problem>> {
    let standing = standing(input);
    let lab = &input.workshop.name;
    if seats.contains(&SeatName::host()) && standing.iter().any(|seat| !seats.contains(seat)) {
        let next = format!("`homeroom destroy {lab} --yes` removes all of it");
        return Err(vec![Problem::new("the host carries the seats and cannot go without them", next)]);
    }
    let chosen = standing.iter().filter(|seat| seats.is_empty() || seats.contains(seat));
    let rows = chosen.map(|seat| removal(input, seat, "with all that is in it")).collect();
    let copies = input.view.containers.iter().filter(|container| {
        let name = container.name.as_str();
        container.labels.get("homeroom.lab").is_some_and(|said| said == lab.as_str())
            && owner(input.store, name, &container.labels) == Owner::Foreign
    });
    let notes =
        copies.map(|container| format!("{} carries copied labels: it is not ours and stays", container.name)).collect();
    Ok(plan(input, RunKind::Destroy, rows, notes))
}

/// The seats (and the host) of the lab that the store knows of, or of which something stands on the engine.
fn standing(input: &WorkshopInput<'_>) -> Vec<SeatName> {
    let lab = &input.workshop.name;
    let containers = input.view.containers.iter().map(|c| (c.name.as_str(), &c.labels));
    let networks = input.view.networks.iter().map(|n| (n.name.as_str(), &n.labels));
    let labelled = containers.chain(networks).filter_map(|(name, labels)| match owner(input.store, name, labels) {
        Owner::Ours(label) if &label.lab == lab => Some(label.seat),
        _ => None,
    });
    let known = input.progress.seats.iter().map(|row| row.seat.clone());
    let mut seats: Vec<SeatName> = labelled.chain(known).collect::<BTreeSet<_>>().into_iter().collect();
    // As every listing has it: the host first.
    seats.sort_by_key(|seat| *seat != SeatName::host());
    seats
}

/// A container of the lab by its name, if it is there and this seat's.
fn own<'a>(input: &WorkshopInput<'a>, seat: &SeatName, name: &str) -> Option<(&'a ContainerView, Label)> {
    let container = input.view.container(name)?;
    match owner(input.store, name, &container.labels) {
        Owner::Ours(label) if label.lab == input.workshop.name && &label.seat == seat => Some((container, label)),
        _ => None,
    }
}

fn host(input: &WorkshopInput<'_>) -> SeatPlan {
    let host = SeatName::host();
    let name = machine_name(&input.workshop.name, &host);
    let network = input.view.network(&name).is_some();
    let proxy = own(input, &host, &name);
    let row = |verb, steps: &[StepName], why: &str| row(input, &host, Role::Host, verb, steps, why.to_owned());
    let proven = stored(input, &host).is_some_and(|row| row.state == MachineState::Ready);
    match proxy {
        Some((proxy, label)) if network => {
            let certificate = proven_by(input.workshop, input.certificate, &label.made_of);
            let mut changes = MadeOf::proxy(input.workshop, certificate, input.rounds).differs_from(&label.made_of);
            changes.retain(|change| change.field != TOKENS || is_asked_for(input, change));
            in_words(&mut changes);
            if !changes.is_empty() {
                let steps = StepName::HOST;
                return SeatPlan { changes, ..row(Verb::Update, &steps, "the proxy is made anew; the seats stay") };
            }
            match (proxy.state == ContainerState::Running, proven) {
                (true, true) => row(Verb::Keep, &[], "its proxy answers"),
                (true, false) => row(Verb::Prove, &StepName::HOST, "made, not proven"),
                (false, _) => row(Verb::Prove, &StepName::HOST, "its proxy does not run"),
            }
        }
        _ if proven => row(Verb::Resume, &StepName::HOST, "its proxy or network is no longer on the engine"),
        _ if network || proxy.is_some() || begun(input, &host) => row(Verb::Resume, &StepName::HOST, "begun before"),
        _ => row(Verb::Create, &StepName::HOST, "a network, and a proxy to the seats"),
    }
}

/// How often each seat went, and the mark of a certificate, say nothing to anybody.
pub(super) fn in_words(changes: &mut [FieldChange]) {
    for change in changes {
        match change.field.as_str() {
            TOKENS => {
                (change.from, change.to) = ("those before".to_owned(), format!("new ones for {}", renewed(change)))
            }
            CERTIFICATE => {
                let shown = |mark: &str, word: &str| if mark.is_empty() { String::new() } else { word.to_owned() };
                (change.from, change.to) =
                    (shown(&change.from, "the one it shows"), shown(&change.to, "the one in its files now"));
                change.field = RENEWED.to_owned();
            }
            _ => {}
        }
    }
}

/// Whether the tokens that differ are those of a seat that is there, or is to be. Others wait until it is given.
fn is_asked_for(input: &WorkshopInput<'_>, tokens: &FieldChange) -> bool {
    given_again(tokens).iter().any(|seat| is_wanted(input, seat))
}

/// The seats whose tokens are others now.
fn given_again(tokens: &FieldChange) -> BTreeSet<SeatName> {
    let (from, to): (BTreeSet<&str>, BTreeSet<&str>) =
        (tokens.from.split(',').collect(), tokens.to.split(',').collect());
    from.symmetric_difference(&to).filter_map(|one| SeatName::new(one.split(':').next()?).ok()).collect()
}

/// The same in words.
fn renewed(tokens: &FieldChange) -> String {
    listed(&given_again(tokens).iter().map(ToString::to_string).collect::<Vec<_>>())
}

fn seat_row(input: &WorkshopInput<'_>, seat: &SeatName) -> SeatPlan {
    let lab = &input.workshop.name;
    let number = seat.number().unwrap_or_default();
    let wanted: Vec<(String, MadeOf)> =
        std::iter::once((machine_name(lab, seat), MadeOf::seat(input.workshop, number)))
            .chain(MadeOf::browser(input.workshop).map(|made| (browser_name(lab, seat), made)))
            .collect();
    let found: Vec<_> = wanted.iter().filter_map(|(name, made)| Some((own(input, seat, name)?, made))).collect();
    let row = |verb, steps: &[StepName], why: String| row(input, seat, Role::Seat, verb, steps, why);
    let mut changes: Vec<FieldChange> = Vec::new();
    for change in found.iter().flat_map(|((_, label), made)| made.differs_from(&label.made_of)) {
        // The limits are those of both containers.
        if !changes.contains(&change) {
            changes.push(change);
        }
    }
    if !changes.is_empty() {
        let steps = [&[StepName::Destroy], &StepName::SEAT[..]].concat();
        let person = input.sitting.get(seat).cloned();
        return SeatPlan { changes, person, ..row(Verb::Replace, &steps, "made of something else".to_owned()) };
    }
    let unwanted = unwanted(input, seat, &wanted);
    if !unwanted.is_empty() {
        let steps = [&[StepName::Destroy], &StepName::SEAT[..]].concat();
        let why = format!("{} goes, which the definition has no more; the seat stays", listed(&unwanted));
        return row(Verb::Remove, &steps, why);
    }
    let proven = stored(input, seat).is_some_and(|row| row.state == MachineState::Ready);
    if found.len() < wanted.len() {
        let there = |name: &String| found.iter().any(|((container, _), _)| container.name.as_str() == name.as_str());
        let missing: Vec<String> = wanted.iter().map(|(name, _)| name).filter(|name| !there(name)).cloned().collect();
        return match (found.is_empty(), proven) {
            (true, _) if !begun(input, seat) => row(Verb::Create, &StepName::SEAT, created(input.workshop, number)),
            (true, true) => {
                let why = format!("no longer on the engine; {}", created(input.workshop, number));
                row(Verb::Create, &StepName::SEAT, why)
            }
            // The seat is as it was asked for, and now more is.
            (false, true) => {
                row(Verb::Update, &StepName::SEAT, format!("{} is made beside what is there", listed(&missing)))
            }
            (_, false) => row(Verb::Resume, &StepName::SEAT, "begun before".to_owned()),
        };
    }
    let network = input.workshop.attached(Role::Seat);
    let down = found.iter().filter_map(|((container, _), _)| {
        let why = container.trouble(&network)?;
        // How it ended is told of the seat.
        Some(format!("{} {}", container.name, why.split(':').next().unwrap_or(&why)))
    });
    let down: Vec<String> = down.collect();
    let mut changes: Vec<FieldChange> = Vec::new();
    for change in found.iter().flat_map(|((container, label), _)| drift(container, &label.made_of)) {
        if !changes.contains(&change) {
            changes.push(change);
        }
    }
    let steps = [StepName::Start, StepName::Health];
    let planned = match (down.is_empty(), proven) {
        _ if input.fix_drift && !changes.is_empty() => {
            let steps = [&[StepName::Configure], &steps[..]].concat();
            row(Verb::Update, &steps, "its limits are put right".to_owned())
        }
        (true, true) if changes.is_empty() => row(Verb::Keep, &[], "runs as defined".to_owned()),
        (true, true) => row(Verb::Keep, &[], "runs, with other limits than it was made with".to_owned()),
        (true, false) => row(Verb::Prove, &steps, "made, not proven".to_owned()),
        (false, _) => row(Verb::Prove, &steps, listed(&down)),
    };
    SeatPlan { changes, ..planned }
}

/// Containers that carry a seat's labels and are none of its own any more.
fn unwanted(input: &WorkshopInput<'_>, seat: &SeatName, wanted: &[(String, MadeOf)]) -> Vec<String> {
    let names = input.view.containers.iter().map(|container| container.name.as_str());
    let others = names.filter(|name| !wanted.iter().any(|(wanted, _)| wanted == name));
    others.filter(|name| own(input, seat, name).is_some()).map(str::to_owned).collect()
}

fn created(workshop: &WorkshopDefinition, number: u32) -> String {
    let ports: Vec<String> = workshop.published(number).iter().map(|(.., host)| host.to_string()).collect();
    format!("{} on ports {}", workshop.image, ports.join(" "))
}

fn removal(input: &WorkshopInput<'_>, seat: &SeatName, why: &str) -> SeatPlan {
    let role = if *seat == SeatName::host() { Role::Host } else { Role::Seat };
    let person = input.sitting.get(seat).cloned();
    SeatPlan { person, ..row(input, seat, role, Verb::Remove, &[StepName::Destroy], why.to_owned()) }
}

fn stored<'a>(input: &WorkshopInput<'a>, seat: &SeatName) -> Option<&'a SeatProgress> {
    input.progress.seat(seat)
}

/// Whether a run has written an intent for the seat.
fn begun(input: &WorkshopInput<'_>, seat: &SeatName) -> bool {
    stored(input, seat).is_some_and(|row| row.steps.iter().any(|step| step.attempts > 0))
}

fn row(
    input: &WorkshopInput<'_>,
    seat: &SeatName,
    role: Role,
    verb: Verb,
    steps: &[StepName],
    why: String,
) -> SeatPlan {
    hosted::row(input.workshop, input.view.host.clone(), (seat, role), verb, steps, why)
}

fn plan(input: &WorkshopInput<'_>, kind: RunKind, seats: Vec<SeatPlan>, notes: Vec<String>) -> Plan {
    hosted::plan(input.workshop, kind, seats, notes)
}
