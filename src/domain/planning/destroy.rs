//! The plan of a removal: a lab, or some of its seats. Only machines in the store's rows with our mark, or
//! half-made under a journalled number; what is protected or not ours is named and left alone.

use super::{
    PlanInput, Problem, Removal,
    estimate::estimate,
    silent::on_nodes,
    standing::{is_half_cloned, is_ours, lost_its_mark, mark_gone, stranger, unproven},
};
use crate::domain::{
    LabName, NodeName, Plan, Role, RunId, SeatName, StepName, StepState, Vmid,
    class::{CloudInit, MachineSpec, Profile, RollCall, SeatSpec},
    cluster::{GuestView, Power},
    event::RunKind,
    machine::machine_name,
    plan::{SeatPlan, Verb},
    progress::SeatProgress,
    readiness::was_made,
    verify::is_on,
};

/// What a destroy would remove; `seats` empty means the whole lab.
pub fn plan_destroy(input: &PlanInput<'_>, seats: &[SeatName]) -> Result<Plan, Vec<Problem>> {
    unknown_seats(input, seats)?;
    let mut notes = Vec::new();
    let chosen = |row: &&SeatProgress| seats.is_empty() || seats.contains(&row.seat);
    let seats: Vec<SeatPlan> =
        input.progress.seats.iter().filter(chosen).filter_map(|row| removal(input, row, &mut notes)).collect();
    // Nothing is proven on the way out.
    let rollcall = RollCall { profile: Profile::Off, ..input.class.rollcall.clone() };
    Ok(Plan {
        kind: RunKind::Destroy,
        lab: input.progress.lab.clone(),
        site: input.class.site.clone(),
        skipped_nodes: Vec::new(),
        memory_after: Vec::new(),
        estimate: estimate(&seats, input.view, input.paces, &rollcall, &Default::default()),
        room: Vec::new(),
        rollcall,
        order: crate::domain::class::Order::Parallel,
        stagger: std::time::Duration::ZERO,
        pool: input.class.pool.clone(),
        fixes_drift: false,
        rebuilds: None,
        workshop: None,
        notes,
        seats,
    })
}

/// Every seat asked for must be in the definition or in the store.
pub(super) fn unknown_seats(input: &PlanInput<'_>, seats: &[SeatName]) -> Result<(), Vec<Problem>> {
    let defined = input.class.seats();
    let known = |seat: &SeatName| input.progress.seat(seat).is_some() || defined.iter().any(|(name, _)| name == seat);
    let problems: Vec<Problem> = seats
        .iter()
        .filter(|seat| !known(seat))
        .map(|seat| {
            let lab = &input.class.name;
            Problem::new(format!("{lab} has no seat {seat}"), format!("`homeroom status {lab}` lists its seats"))
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Machines whose seat is no longer in the definition.
pub(super) fn removals(input: &PlanInput<'_>, notes: &mut Vec<String>) -> Vec<SeatPlan> {
    let defined = input.class.seats();
    let dropped = |row: &&SeatProgress| !defined.iter().any(|(seat, _)| *seat == row.seat);
    input.progress.seats.iter().filter(dropped).filter_map(|row| removal(input, row, notes)).collect()
}

/// What becomes of one machine that is not wanted any more; `None` where the seat never had one.
fn removal(input: &PlanInput<'_>, row: &SeatProgress, notes: &mut Vec<String>) -> Option<SeatPlan> {
    let vmid = row.vmid?;
    let guest = input.view.guest(vmid);
    let node = guest.map(|g| g.node.clone()).or_else(|| row.node.clone())?;
    let plan = |verb, steps: &[StepName], why: String| Some(seat_plan(row, &node, vmid, verb, steps, why));
    if !input.online(&node) {
        notes.push(format!("{} ({vmid}) stays: {node} is offline", row.name));
        return plan(Verb::Leave, &[], format!("left alone: {node} is offline, nothing is known of {vmid}"));
    }
    let Some(guest) = guest else {
        if input.view.quorate == Some(false) {
            return plan(Verb::Leave, &[], format!("left alone: without quorum {vmid} may exist unseen"));
        }
        if input.unseen.contains(&vmid) {
            notes.push(unseen(row, vmid));
            return plan(Verb::Leave, &[], format!("left alone: {vmid} exists and may not be seen"));
        }
        let begun = row.step(StepName::Destroy).is_some_and(|step| step.state != StepState::Waiting);
        let plan =
            |verb, steps: &[StepName], why| plan(verb, steps, why).map(|seat| SeatPlan { unlisted: true, ..seat });
        return if was_made(row) && begun {
            plan(Verb::Remove, &[StepName::Destroy], format!("{vmid} is gone; what its removal left is looked for"))
        } else if row.step(StepName::Clone).is_some_and(|step| step.attempts > 0) && !was_made(row) {
            // Its clone was asked for and the answer is not known: it may appear late.
            plan(Verb::Remove, &[StepName::Destroy], format!("run {} asked for {vmid}; it is looked for", row.run))
        } else if was_made(row) {
            plan(Verb::Remove, &[], format!("{vmid} is no longer on the site: the seat is forgotten"))
        } else {
            plan(Verb::Remove, &[], format!("run {} set {vmid} aside and nothing came of it", row.run))
        };
    };
    let facts = input.observed.get(&vmid);
    if is_half_cloned(row, guest) {
        return plan(Verb::Remove, &[StepName::Destroy], format!("run {} began to clone it", row.run));
    }
    let Some(facts) = facts else {
        notes.push(format!("{} ({vmid}) stays: its settings on {node} could not be read", row.name));
        return plan(Verb::Leave, &[], "left alone: whether it is ours could not be read".to_owned());
    };
    match &facts.removal {
        Removal::Ours => return plan(Verb::Remove, &[StepName::Destroy], "a removal of it was begun".to_owned()),
        Removal::Unproven(why) => {
            notes.push(unproven(guest, &row.name, why));
            return plan(Verb::Leave, &[], format!("left alone: {vmid} is half removed, and nothing proves it ours"));
        }
        Removal::None => {}
    }
    if !is_ours(input, row, facts) {
        if lost_its_mark(input, row, guest, facts) {
            notes.push(mark_gone(input, row, guest));
            return plan(Verb::Leave, &[], format!("left alone: the mark of {vmid} is gone"));
        }
        let whose = stranger(guest, Some(facts));
        notes.push(format!("{whose} and is never removed; {} is forgotten", row.seat));
        return plan(Verb::Remove, &[], format!("{whose}: it stays, the seat is forgotten"));
    }
    if is_on(facts.config.get("protection").map(String::as_str)) {
        notes.push(format!(
            "{} ({vmid}) is protected and refused: set protection = false and deploy, or `qm set {vmid} --protection 0` on \
             {node}",
            row.name
        ));
        return plan(Verb::Leave, &[], "left alone: protected".to_owned());
    }
    let stop = guest.power != Power::Stopped;
    let steps: &[StepName] = if stop { &[StepName::Stop, StepName::Destroy] } else { &[StepName::Destroy] };
    let why = if input.class.seats().iter().any(|(seat, _)| *seat == row.seat) {
        "with all that is on it"
    } else {
        "no longer in the definition"
    };
    plan(Verb::Remove, steps, why.to_owned())
}

/// A machine that carries a mark for a seat of the lab and that the store does not know.
#[derive(Debug, Clone, PartialEq)]
pub struct Unclaimed {
    pub guest: GuestView,
    pub seat: SeatName,
    /// The mark is another store's.
    pub others: bool,
}

/// Adds what a removal has to leave alone because only its mark says whose it is: after a store was lost, the machines
/// stand all the same. What another store has counts only where this one has nothing: it is that one's to look after.
pub fn leave_unclaimed(plan: &mut Plan, found: &[Unclaimed]) {
    let nothing_known = plan.seats.is_empty() && found.iter().all(|one| one.others);
    let found: Vec<&Unclaimed> = found.iter().filter(|one| !one.others || nothing_known).collect();
    for one in &found {
        let whose = if one.others { "another homeroom store's mark" } else { "our mark" };
        let why = format!("left alone: {} carries {whose}, and this store does not know it", one.guest.vmid);
        let role = if one.seat == SeatName::teacher() { Role::Teacher } else { Role::Student };
        let name = one.guest.name.as_ref().map_or_else(|| machine_name(&plan.lab, &one.seat), ToString::to_string);
        let row = SeatProgress::planned(one.seat.clone(), role, name, plan.site.clone(), RunId(0));
        if !plan.seats.iter().any(|seat| seat.seat == one.seat) {
            plan.seats.push(seat_plan(&row, &one.guest.node, one.guest.vmid, Verb::Leave, &[], why));
        }
    }
    let (told, site) = (told(&plan.lab, &found), &plan.site);
    let note = told.map(|(words, it)| match nothing_known {
        false => format!("{words}: `homeroom adopt {site}` takes {it} back, then destroy again"),
        true => format!(
            "{words}: if that store is no more, `homeroom adopt {site} --take-over` takes {it} over, then destroy again"
        ),
    });
    plan.notes.extend(note);
}

/// What stands in the way of new machines for seats that have one by its mark.
pub fn unclaimed_problem(plan: &Plan, found: &[Unclaimed]) -> Option<String> {
    let (words, it) = told(&plan.lab, &found.iter().filter(|one| !one.others).collect::<Vec<_>>())?;
    Some(format!("{words}; nothing is made beside {it}: `homeroom adopt {}` takes {it} back", plan.site))
}

/// `9101 and 9102 on pve1 carry our mark for cs101, and this store does not know them`, and how they are called on.
fn told(lab: &LabName, found: &[&Unclaimed]) -> Option<(String, &'static str)> {
    let whose = if found.first()?.others { "another homeroom store's mark" } else { "our mark" };
    let (carry, it) = if found.len() == 1 { ("carries", "it") } else { ("carry", "them") };
    let numbers = on_nodes(found.iter().map(|one| &one.guest));
    Some((format!("{numbers} {carry} {whose} for {lab}, and this store does not know {it}"), it))
}

/// That a machine stands which the token may not see, and what to do.
pub(super) fn unseen(row: &SeatProgress, vmid: Vmid) -> String {
    format!(
        "{} ({vmid}) exists, but the token may not see it, so it is left alone; grant VM.Audit on /vms/{vmid}",
        row.name
    )
}

pub(super) fn seat_plan(
    row: &SeatProgress,
    node: &NodeName,
    vmid: Vmid,
    verb: Verb,
    steps: &[StepName],
    why: String,
) -> SeatPlan {
    SeatPlan {
        unlisted: false,
        seat: row.seat.clone(),
        role: row.role,
        name: row.name.clone(),
        verb,
        node: node.clone(),
        vmid: Some(vmid),
        source: None,
        spec: SeatSpec {
            seat: row.seat.clone(),
            role: row.role,
            machine: MachineSpec::default(),
            cloud_init: CloudInit::default(),
            address: None,
        },
        changes: Vec::new(),
        steps: steps.to_vec(),
        why,
        person: None,
    }
}
