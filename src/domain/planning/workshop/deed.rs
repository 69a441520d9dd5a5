//! What is done to the containers of a workshop that stand: proven again, started, ended and started. Nothing is made
//! here but a proxy that is gone, which keeps nothing, and nothing is changed.
//!
//! Whatever was written into the definition since is a deploy's to bring about: what stands is started and proven as it
//! was deployed.

use super::{WorkshopInput, drift, own, plan, said, standing, stored};
use crate::domain::{
    MachineState, Plan, Role, SeatName, StepName,
    engine::{ContainerState, ContainerView},
    machine::machine_name,
    plan::{SeatPlan, Verb},
    planning::{Deed, Problem},
    workshop::{WorkshopDefinition, browser_name},
};

/// Which rows it is done to; `seats` empty means all that stand. The containers of `halted` were ended by the run
/// already that goes on with this.
pub fn plan_workshop_deed(
    input: &WorkshopInput<'_>,
    seats: &[SeatName],
    deed: Deed,
    halted: &[SeatName],
) -> Result<Plan, Vec<Problem>> {
    let (standing, lab) = (standing(input), &input.workshop.name);
    let as_deployed = as_deployed(input, &standing);
    let input = &WorkshopInput { workshop: &as_deployed, ..*input };
    let chosen = as_deployed.rows().into_iter().filter(|(seat, _)| seats.is_empty() || seats.contains(seat));
    let mut notes = Vec::new();
    let mut rows = Vec::new();
    for (seat, role) in chosen.filter(|(seat, _)| standing.contains(seat)) {
        let rest = if halted.contains(&seat) && deed == Deed::Restart { Deed::Start } else { deed };
        match row_of(input, &seat, role, rest) {
            Ok(row) => rows.push(row),
            Err(note) => notes.push(note),
        }
    }
    if rows.is_empty() {
        let next = format!("`homeroom deploy {lab}` makes them");
        return Err(vec![Problem::new(format!("{lab} has no containers to {}", deed.kind().as_str()), next)]);
    }
    for row in rows.iter().filter(|row| !row.changes.is_empty()) {
        let told: Vec<String> =
            row.changes.iter().map(|c| format!("{} is {}, not {}", c.field, c.from, c.to)).collect();
        notes.push(format!(
            "{} was changed by someone else: {}; `homeroom deploy {lab} --fix-drift` puts that right",
            row.seat,
            told.join("; "),
        ));
    }
    Ok(plan(input, deed.kind(), rows, notes))
}

/// The definition as far as what stands was made by it.
fn as_deployed(input: &WorkshopInput<'_>, standing: &[SeatName]) -> WorkshopDefinition {
    let mut workshop = input.workshop.clone();
    let (lab, host) = (&input.workshop.name, SeatName::host());
    if let Some((_, label)) = own(input, &host, &machine_name(lab, &host)) {
        let port = said(&label.made_of, "proxy.port").and_then(|port| port.parse().ok());
        workshop.proxy.port = port.unwrap_or(workshop.proxy.port);
        workshop.proxy.name = said(&label.made_of, "proxy.name").map(str::to_owned);
    }
    let made = |seat: &SeatName| own(input, seat, &machine_name(lab, seat)).is_some();
    let with_browser = |seat: &SeatName| own(input, seat, &browser_name(lab, seat)).is_some();
    // Asked for since, and made by no deploy yet.
    if standing.iter().any(made) && !standing.iter().any(with_browser) {
        workshop.browser = None;
    }
    // Those that a deploy would remove run until one does.
    let last = standing.iter().filter_map(SeatName::number).max().unwrap_or_default();
    workshop.seats = workshop.seats.max(last);
    workshop
}

/// What is done to one row; a note where nothing of it is there to do it to.
fn row_of(input: &WorkshopInput<'_>, seat: &SeatName, role: Role, deed: Deed) -> Result<SeatPlan, String> {
    let lab = &input.workshop.name;
    let row = |verb, steps: &[StepName], why: &str| super::row(input, seat, role, verb, steps, why.to_owned());
    if deed == Deed::Check {
        let drift =
            found(input, seat, role).iter().flat_map(|(container, made_of)| drift(container, made_of)).collect();
        return Ok(SeatPlan { changes: drift, ..row(Verb::Prove, &[StepName::Health], "asked again") });
    }
    let found = found(input, seat, role);
    let network = input.view.network(&machine_name(lab, &SeatName::host())).is_some();
    if found.is_empty() || (role == Role::Host && !network) {
        return match role {
            Role::Host => {
                let steps = [StepName::Network, StepName::Proxy, StepName::Health];
                Ok(row(Verb::Prove, &steps, "its proxy is made anew: it keeps nothing"))
            }
            _ => Err(format!("{seat} is no longer on the engine: `homeroom deploy {lab}` makes it anew")),
        };
    }
    let attached = input.workshop.attached(role);
    let down: Vec<String> = found
        .iter()
        .filter_map(|(container, _)| Some(format!("{} {}", container.name, container.trouble(&attached)?)))
        .collect();
    let ready = stored(input, seat).is_some_and(|row| row.state == MachineState::Ready);
    let start = [StepName::Start, StepName::Health];
    let changes = found.iter().flat_map(|(container, made_of)| drift(container, made_of)).collect();
    let planned = match (deed, down.is_empty()) {
        (Deed::Restart, true) => {
            let steps = [StepName::Stop, StepName::Start, StepName::Health];
            row(Verb::Restart, &steps, "ended and started; what it wrote stays")
        }
        (_, false) => row(Verb::Prove, &start, &down.join(", ")),
        (_, true) if ready => row(Verb::Keep, &[], "already running"),
        (_, true) => row(Verb::Prove, &[StepName::Health], "already running; asked again"),
    };
    Ok(SeatPlan { changes, ..planned })
}

/// A row's own containers that are there, and what their labels say they are made of.
fn found<'a>(input: &WorkshopInput<'a>, seat: &SeatName, role: Role) -> Vec<(&'a ContainerView, String)> {
    let lab = &input.workshop.name;
    let browser = input.workshop.browser.as_ref().filter(|_| role == Role::Seat).map(|_| browser_name(lab, seat));
    let names = std::iter::once(machine_name(lab, seat)).chain(browser);
    let found = names.filter_map(|name| own(input, seat, &name));
    let there = found.filter(|(container, _)| container.state != ContainerState::Removing);
    there.map(|(container, label)| (container, label.made_of)).collect()
}
