//! What plans of workshops have in common, whether an engine here carries the seats or an instance in a cloud.

use std::collections::BTreeMap;

use crate::domain::{
    NodeName, Plan, Role, SeatName, StepName,
    class::{CloudInit, MachineSpec, Order, Profile, RollCall, SeatSpec},
    event::RunKind,
    machine::machine_name,
    person::Person,
    plan::{SeatPlan, Verb},
    workshop::WorkshopDefinition,
};

/// A plan of these rows; what only machines of a class have is empty in it.
pub(super) fn plan(workshop: &WorkshopDefinition, kind: RunKind, seats: Vec<SeatPlan>, notes: Vec<String>) -> Plan {
    Plan {
        kind,
        lab: workshop.name.clone(),
        site: workshop.site.clone(),
        seats,
        skipped_nodes: Vec::new(),
        memory_after: Vec::new(),
        estimate: None,
        room: Vec::new(),
        rollcall: RollCall { profile: Profile::Normal, ..RollCall::default() },
        order: Order::Parallel,
        stagger: std::time::Duration::ZERO,
        pool: None,
        fixes_drift: false,
        rebuilds: None,
        workshop: Some(workshop.clone()),
        notes,
    }
}

/// Why a seat goes, and whose work goes with it.
pub(super) fn with_person(sitting: &BTreeMap<SeatName, Person>, seat: &SeatName, why: &str) -> String {
    match sitting.get(seat) {
        Some(person) => format!("{why}; {person} sits there and loses what is in it"),
        None => why.to_owned(),
    }
}

/// A row of it: a seat, or the host, on `node`.
pub(super) fn row(
    workshop: &WorkshopDefinition,
    node: NodeName,
    (seat, role): (&SeatName, Role),
    verb: Verb,
    steps: &[StepName],
    why: String,
) -> SeatPlan {
    let spec = SeatSpec {
        seat: seat.clone(),
        role,
        machine: MachineSpec::default(),
        cloud_init: CloudInit::default(),
        address: None,
    };
    SeatPlan {
        unlisted: false,
        seat: seat.clone(),
        role,
        name: machine_name(&workshop.name, seat),
        verb,
        node,
        vmid: None,
        source: None,
        spec,
        changes: Vec::new(),
        steps: steps.to_vec(),
        why,
        person: None,
    }
}
