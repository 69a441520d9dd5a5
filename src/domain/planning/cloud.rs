//! Plans for workshops in a cloud: what is to be made or removed there, row by row, why, and what it costs.
//!
//! The instance makes its seats by itself, from what it was given when it was made. So whatever of that changes
//! means another instance, and everybody's work on this one goes: it is asked for as a replacement.

mod changes;
mod notes;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use self::changes::{Names, ranges};
use self::{
    changes::{Told, drifts, in_place, rule},
    notes::notes,
};
use super::{MadeOf, Problem, count, hosted, workshop::limits};
use crate::domain::{
    LabName, MachineState, NodeName, Plan, Progress, Role, SeatName, StepName, StoreId,
    cloud::{CloudView, InstanceState, InstanceView, whose},
    event::RunKind,
    label::Owner,
    machine::machine_name,
    person::Person,
    plan::{FieldChange, SeatPlan, Verb},
    price::Prices,
    progress::SeatProgress,
    size::Size,
    workshop::{SeatsOn, WorkshopDefinition},
};

/// Everything a workshop's plan in a cloud is made from.
#[derive(Debug, Clone, Copy)]
pub struct CloudInput<'a> {
    pub workshop: &'a WorkshopDefinition,
    pub view: &'a CloudView,
    /// The lab as the store knows it.
    pub progress: &'a Progress,
    pub store: &'a StoreId,
    /// In order of preference.
    pub zones: &'a [NodeName],
    /// The site's choice, where the workshop makes none.
    pub spot: bool,
    pub max_seats: u32,
    /// Goes before the names of images that name no registry.
    pub registry: Option<&'a str>,
    pub prices: Option<&'a Prices>,
    /// Seats that somebody has joined on, and who.
    pub sitting: &'a BTreeMap<SeatName, Person>,
    pub names: &'a Names,
    /// The mark of the proxy's certificate as its file has it now, or why it will not do. `None`: nobody looked.
    pub certificate: Option<Result<&'a str, &'a str>>,
    /// Which of the permissions it takes there are on the project, or why that could not be asked. `None`: nobody did.
    pub held: Option<Result<&'a BTreeSet<String>, &'a str>>,
    /// Why a zone can carry no such machine, where that was looked for.
    pub unfit: &'a BTreeMap<NodeName, String>,
}

/// What an instance is made as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceShape {
    pub machine_type: String,
    pub spot: bool,
    pub disk_gb: u64,
}

/// Metadata that keeps what the instance was made of.
pub const MADE_OF: &str = "homeroom-made-of";
/// A disk that holds the system, the images and what some dozens of seats write.
const DISK: u64 = 50;

impl InstanceShape {
    /// As the definition says, or by the number of seats.
    pub fn of(workshop: &WorkshopDefinition, spot: bool) -> Self {
        let by_seats = match workshop.seats {
            0..=10 => "e2-standard-4",
            11..=20 => "e2-standard-8",
            _ => "e2-standard-16",
        };
        let gb = workshop.gce.disk.map_or(DISK, |Size(bytes)| bytes.div_ceil(1 << 30));
        Self {
            machine_type: workshop.gce.machine_type.clone().unwrap_or_else(|| by_seats.to_owned()),
            spot: workshop.gce.spot.unwrap_or(spot),
            disk_gb: gb,
        }
    }

    /// Everything the instance and its seats are made of.
    pub fn made_of(&self, workshop: &WorkshopDefinition) -> MadeOf {
        let mut fields = vec![
            ("machine_type", self.machine_type.clone()),
            ("spot", self.spot.to_string()),
            ("disk", format!("{}G", self.disk_gb)),
            ("seats", workshop.seats.to_string()),
            ("image", workshop.image.clone()),
            ("ports", format!("{},{}", workshop.ports.terminal, workshop.ports.files)),
            ("proxy", workshop.proxy.image.clone()),
            ("proxy.port", workshop.proxy.port.to_string()),
        ];
        if let Some(browser) = &workshop.browser {
            fields.push(("browser", browser.image.clone()));
            fields.push(("browser.port", browser.port.to_string()));
        }
        if workshop.seats_on == SeatsOn::Join {
            fields.push(("seats_on", "join".to_owned()));
        }
        fields.extend(limits(workshop));
        MadeOf(fields)
    }
}

impl<'a> CloudInput<'a> {
    fn lab(&self) -> &'a LabName {
        &self.workshop.name
    }

    fn shape(&self) -> InstanceShape {
        InstanceShape::of(self.workshop, self.spot)
    }

    fn instances(&self) -> Vec<&'a InstanceView> {
        self.view.own(self.store, self.lab()).collect()
    }

    fn stored(&self, seat: &SeatName) -> Option<&'a SeatProgress> {
        self.progress.seat(seat)
    }

    fn begun(&self, seat: &SeatName) -> bool {
        self.stored(seat).is_some_and(|row| row.steps.iter().any(|step| step.attempts > 0))
    }

    /// Whether a defined seat is to be there: from the start, or because somebody joined. One that was made stays.
    fn is_wanted(&self, seat: &SeatName) -> bool {
        self.workshop.seats_on == SeatsOn::Start || self.sitting.contains_key(seat) || self.begun(seat)
    }

    fn proven(&self, seat: &SeatName) -> bool {
        self.stored(seat).is_some_and(|row| row.state == MachineState::Ready)
    }

    /// Whether its instance was once proven and is there no more.
    fn vanished(&self) -> bool {
        let proven = self.stored(&SeatName::host()).is_some_and(|row| row.proven_at.is_some());
        proven && self.instances().is_empty() && self.view.blind().is_none()
    }

    /// Why a seat goes, and whose work goes with it.
    fn with_person(&self, seat: &SeatName, why: &str) -> String {
        hosted::with_person(self.sitting, seat, why)
    }

    /// Where its instance is, or is to be.
    fn zone(&self) -> NodeName {
        let stands = self.instances().first().map(|it| it.zone.clone());
        let asked =
            || self.stored(&SeatName::host()).filter(|row| row.request.is_some()).and_then(|row| row.node.clone());
        stands.or_else(asked).or_else(|| self.fit().next().cloned()).unwrap_or_else(|| NodeName::new("nowhere"))
    }

    /// Where it may be, in order of preference.
    fn fit(&self) -> impl Iterator<Item = &'a NodeName> {
        let (zones, unfit) = (self.zones, self.unfit);
        zones.iter().filter(move |zone| !unfit.contains_key(*zone))
    }

    /// The steps of the whole chain.
    fn chain(&self) -> Vec<StepName> {
        let named = self.workshop.gce.dns.is_some() || !self.names.ours.is_empty();
        StepName::INSTANCE.into_iter().filter(|step| *step != StepName::Dns || named).collect()
    }

    fn row(&self, seat: &SeatName, role: Role, verb: Verb, steps: &[StepName], why: impl Into<String>) -> SeatPlan {
        hosted::row(self.workshop, self.zone(), (seat, role), verb, steps, why.into())
    }

    fn plan(&self, kind: RunKind, seats: Vec<SeatPlan>, notes: Vec<String>) -> Plan {
        hosted::plan(self.workshop, kind, seats, notes)
    }

    /// The rows the store has and the definition has no more.
    fn surplus(&self) -> Vec<SeatName> {
        let defined = self.workshop.rows();
        let known = self.progress.seats.iter().map(|row| row.seat.clone());
        known.filter(|seat| !defined.iter().any(|(one, _)| one == seat)).collect()
    }
}

/// What deploy would do.
pub fn plan_cloud(input: &CloudInput<'_>) -> Result<Plan, Vec<Problem>> {
    let problems = problems(input);
    if !problems.is_empty() {
        return Err(problems);
    }
    let host = host(input);
    if let Some(Err(why)) = input.certificate.filter(|_| host.verb.acts()) {
        return Err(vec![Problem::new(why, "mend the files, or leave cert_file and key_file out")]);
    }
    let (verb, seats) = (host.verb, SeatName::host());
    let mut rows = vec![host];
    let wanted = |seat: &SeatName| *seat != seats && input.is_wanted(seat);
    for (seat, role) in input.workshop.rows().into_iter().filter(|(seat, _)| wanted(seat)) {
        let steps = StepName::INSTANCE_SEAT;
        rows.push(match verb {
            Verb::Replace => {
                input.row(&seat, role, Verb::Replace, &steps, input.with_person(&seat, "its instance is replaced"))
            }
            // What stood there is gone with its instance.
            Verb::Resume if input.vanished() => {
                input.row(&seat, role, Verb::Resume, &steps, "made anew on the instance")
            }
            Verb::Keep | Verb::Update if input.proven(&seat) => {
                input.row(&seat, role, Verb::Keep, &[], "answers, as far as its last roll call knows")
            }
            Verb::Create => {
                input.row(&seat, role, Verb::Create, &steps, format!("{} on the instance", input.workshop.image))
            }
            _ if input.begun(&seat) || input.stored(&seat).is_some_and(|row| row.proven_at.is_some()) => {
                input.row(&seat, role, Verb::Prove, &steps, "asked again")
            }
            _ => input.row(&seat, role, Verb::Resume, &steps, "begun before"),
        });
    }
    for seat in input.surplus() {
        let why = input.with_person(&seat, "no longer in the definition");
        rows.push(input.row(&seat, Role::Seat, Verb::Remove, &[], why));
    }
    let notes = notes(input, verb);
    Ok(input.plan(RunKind::Deploy, rows, notes))
}

fn host(input: &CloudInput<'_>) -> SeatPlan {
    let (host, chain) = (SeatName::host(), input.chain());
    let shape = input.shape();
    let row = |verb, why: String| input.row(&host, Role::Host, verb, &chain, why);
    let Some(instance) = input.instances().first().copied() else {
        let spot = if shape.spot { "a spot " } else { "" };
        let zones = input.fit().map(ToString::to_string).collect::<Vec<_>>().join(", then ");
        return match input.begun(&host) {
            true if input.vanished() => {
                row(Verb::Resume, "its instance is no longer in the project: another is made".to_owned())
            }
            true => row(Verb::Resume, "begun before".to_owned()),
            false => row(Verb::Create, format!("{spot}{} with {} GiB in {zones}", shape.machine_type, shape.disk_gb)),
        };
    };
    let made = instance.metadata.get(MADE_OF).map_or("", String::as_str);
    let changes: Vec<FieldChange> = shape.made_of(input.workshop).differs_from(made);
    if !changes.is_empty() {
        let mut steps = vec![StepName::Destroy];
        steps.extend(chain.iter().copied());
        let replaced =
            input.row(&host, Role::Host, Verb::Replace, &steps, "made of something else, with all its seats");
        return SeatPlan { changes, ..replaced };
    }
    let told = in_place(input, instance);
    if !told.is_empty() && instance.state == InstanceState::Running && instance.preempted.is_none() {
        let (changes, mut words): (Vec<FieldChange>, Vec<String>) = told.into_iter().unzip();
        words.dedup();
        return SeatPlan { changes, ..row(Verb::Update, words.join("; ")) };
    }
    let changes = told.into_iter().map(|(change, _): Told| change).collect();
    let moved = input.stored(&host).and_then(|row| row.ip).is_some_and(|ip| instance.address != Some(ip));
    let proven = match (instance.state, instance.preempted) {
        (InstanceState::Running, Some(_)) => {
            row(Verb::Prove, "its spot machine is being taken away, and is started again".to_owned())
        }
        (InstanceState::Running, None) if moved => row(Verb::Prove, "its address has changed".to_owned()),
        (InstanceState::Running, None) if input.proven(&host) => {
            input.row(&host, Role::Host, Verb::Keep, &[], "its instance runs")
        }
        (InstanceState::Running, None) => row(Verb::Prove, "made, not proven".to_owned()),
        (_, Some(_)) => row(Verb::Prove, format!("its spot machine was taken away: it is {}", instance.status)),
        (_, None) => row(Verb::Prove, format!("its instance is {}", instance.status)),
    };
    SeatPlan { changes, ..proven }
}

/// What destroy would do: all of it. A seat does not go without its instance.
pub fn plan_cloud_destroy(input: &CloudInput<'_>, seats: &[SeatName]) -> Result<Plan, Vec<Problem>> {
    let lab = input.lab();
    if !seats.is_empty() && !seats.contains(&SeatName::host()) {
        let next = format!("lower seats in the definition, or `homeroom destroy {lab} --yes` removes all of it");
        return Err(vec![Problem::new("a seat is made with its instance and goes with it", next)]);
    }
    let stands = !input.instances().is_empty()
        || input.view.disks.iter().any(|disk| {
            crate::domain::cloud::is_own(input.store, lab, &disk.name, &disk.labels) && !input.workshop.gce.keep_disk
        })
        || input.progress.seat(&SeatName::host()).is_some()
        || rule(input).is_some();
    let mut rows = Vec::new();
    if stands {
        let why = match input.workshop.gce.keep_disk {
            true => "with its seats; its disk is kept, and goes on costing",
            false => "with its seats, its disk, its name and its firewall rule",
        };
        rows.push(input.row(&SeatName::host(), Role::Host, Verb::Remove, &[StepName::Destroy], why));
    }
    for row in input.progress.seats.iter().filter(|row| row.role == Role::Seat) {
        let why = input.with_person(&row.seat, "goes with its instance");
        rows.push(input.row(&row.seat, Role::Seat, Verb::Remove, &[StepName::Destroy], why));
    }
    Ok(input.plan(RunKind::Destroy, rows, Vec::new()))
}

/// What a repeated roll call would do.
pub fn plan_cloud_check(input: &CloudInput<'_>, seats: &[SeatName]) -> Result<Plan, Vec<Problem>> {
    let lab = input.lab();
    if input.instances().is_empty() {
        let next = format!("`homeroom deploy {lab} --yes` makes one");
        return Err(vec![Problem::new(format!("{lab} has no instance to check"), next)]);
    }
    let is_chosen = |seat: &SeatName| match seats.is_empty() {
        true => *seat == SeatName::host() || input.is_wanted(seat),
        false => seats.contains(seat),
    };
    let chosen = input.workshop.rows().into_iter().filter(|(seat, _)| is_chosen(seat));
    // Its name follows it to another address.
    let asked = [StepName::Address, StepName::Ssh, StepName::Engine, StepName::Health, StepName::Dns];
    let may_be_named = Names::may_be(input.workshop, input.progress);
    let proofs: Vec<StepName> = asked.into_iter().filter(|step| *step != StepName::Dns || may_be_named).collect();
    let rows = chosen.map(|(seat, role)| match role {
        Role::Host => input.row(&seat, role, Verb::Prove, &proofs, "asked again"),
        _ => input.row(&seat, role, Verb::Prove, &[StepName::Health], "asked again"),
    });
    Ok(input.plan(RunKind::Check, rows.collect(), drifts(input)))
}

/// What stands in the way, all of it, before anything is made.
fn problems(input: &CloudInput<'_>) -> Vec<Problem> {
    let workshop = input.workshop;
    let mut out = Vec::new();
    if workshop.seats > input.max_seats {
        let what = format!("{} seats, and {} takes {}", workshop.seats, workshop.site, input.max_seats);
        out.push(Problem::new(what, "lower seats, or raise max_seats of the site"));
    }
    let name = machine_name(input.lab(), &SeatName::host());
    for other in input.view.instances.iter().filter(|it| it.name == name) {
        if let Owner::OtherStore(label) = whose(input.store, &name, &other.labels) {
            let what = format!(
                "{} has an instance called {name}, made by homeroom from another store ({})",
                other.zone, label.store
            );
            out.push(Problem::new(
                what,
                format!("leave it to whoever has that store, or give {} another name", input.lab()),
            ));
        }
    }
    out.extend(input.names.problem.clone());
    if input.zones.iter().all(|zone| input.unfit.contains_key(zone)) {
        out.extend(
            input.unfit.values().map(|why| Problem::new(why.clone(), "mend zones of the site, or gce.machine_type")),
        );
    }
    let own = input.instances();
    if own.len() > 1 {
        let zones: Vec<String> = own.iter().map(|it| it.zone.to_string()).collect();
        let what = format!("{} has {} in {}", input.lab(), count(own.len(), "instance"), zones.join(" and "));
        out.push(Problem::new(what, format!("`homeroom destroy {} --yes` removes them all", input.lab())));
    }
    out
}
