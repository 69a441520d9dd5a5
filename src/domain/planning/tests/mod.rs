//! The rules of deploy, destroy and check, told as sentences over the fixture's small site.

mod broken_off;
mod changes;
mod drift;
mod new_class;
mod removal;
mod standing;
mod templates;

use super::{
    fixture::{World, guest, node, now, plan_of, storage, store, template},
    *,
};
use crate::domain::{
    Clean, MachineState, RunId, StepName, StepState,
    class::{CloneMode, IpSource, Nic, Override, Profile, RollCall, Students, TemplateRef},
    cluster::Power,
    event::RunKind,
    mark::Mark,
    plan::{Consent, SeatPlan, Verb},
    size::Size,
};

fn standing() -> World {
    let mut world = World::new();
    world.stand();
    world
}

fn students(world: &mut World, names: &[&str]) {
    world.class.students = Students::Named(names.iter().map(|s| s.parse().unwrap()).collect());
}

fn seat<'a>(plan: &'a Plan, name: &str) -> &'a SeatPlan {
    plan.seats.iter().find(|seat| seat.seat.as_str() == name).unwrap()
}

fn verbs(plan: &Plan) -> Vec<String> {
    plan.seats.iter().map(|seat| format!("{} {}", seat.seat, seat.verb.as_str())).collect()
}

fn changes(seat: &SeatPlan) -> Vec<String> {
    seat.changes.iter().map(|c| format!("{}: {} -> {}", c.field, c.from, c.to)).collect()
}

/// The journal of a seat ends behind `last`; it was never proven.
fn broken_off_after(world: &mut World, name: &str, last: StepName) {
    let row = world.row(name);
    row.state = MachineState::Working;
    row.proven_at = None;
    for step in row.steps.iter_mut().filter(|step| step.step > last) {
        step.state = StepState::Waiting;
    }
    if last < StepName::Configure {
        row.brought = None;
        let seat = row.seat.clone();
        world.applied.get_mut(&seat).unwrap().whole = false;
    }
}
