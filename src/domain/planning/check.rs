//! The plan of a check: the roll call again, for every machine that stands. It starts and changes nothing.

use super::{
    PlanInput, Problem, addresses,
    destroy::{seat_plan, unknown_seats},
    estimate::estimate,
    standing::{is_ours, stranger},
    steps::roll_call,
};
use crate::domain::{
    Plan, SeatName, StepName,
    class::{Profile, SeatSpec},
    cluster::Power,
    event::RunKind,
    plan::{SeatPlan, Verb},
};

/// Which machines are asked, and which cannot be; `seats` empty means the whole lab.
pub fn plan_check(input: &PlanInput<'_>, seats: &[SeatName]) -> Result<Plan, Vec<Problem>> {
    unknown_seats(input, seats)?;
    let class = input.class;
    let mut notes = Vec::new();
    let specs = addresses::settle(input).map_err(|problem| vec![problem])?;
    let chosen = |spec: &SeatSpec| seats.is_empty() || seats.contains(&spec.seat);
    let plans: Vec<SeatPlan> =
        specs.into_iter().filter(chosen).filter_map(|spec| seat(input, spec, &mut notes)).collect();
    if plans.is_empty() {
        let next = format!("`homeroom deploy {}` makes them", class.name);
        return Err(vec![Problem::new(format!("{} has no machines to check", class.name), next)]);
    }
    if class.rollcall.profile == Profile::Off {
        notes.push("the roll call is off: a machine that runs counts as ready".to_owned());
    }
    Ok(Plan {
        kind: RunKind::Check,
        lab: class.name.clone(),
        site: class.site.clone(),
        skipped_nodes: Vec::new(),
        memory_after: Vec::new(),
        estimate: estimate(&plans, &class.rollcall, &class.rollout),
        room: Vec::new(),
        rollcall: class.rollcall.clone(),
        order: class.rollout.order,
        stagger: class.rollout.delay,
        pool: class.pool.clone(),
        notes,
        seats: plans,
    })
}

fn seat(input: &PlanInput<'_>, spec: SeatSpec, notes: &mut Vec<String>) -> Option<SeatPlan> {
    let Some((row, vmid)) = input.progress.seat(&spec.seat).and_then(|row| Some((row, row.vmid?))) else {
        notes.push(format!("{} has no machine yet", spec.seat));
        return None;
    };
    let guest = input.view.guest(vmid);
    let node = guest.map(|g| g.node.clone()).or_else(|| row.node.clone())?;
    let leave = |why: String| Some(seat_plan(row, &node, vmid, Verb::Leave, &[], why));
    if !input.online(&node) {
        return leave(format!("{node} is offline"));
    }
    let Some(guest) = guest else { return leave(format!("{vmid} is not on the site")) };
    let facts = input.observed.get(&vmid);
    if !facts.is_some_and(|facts| is_ours(input, row, facts)) {
        return leave(match facts {
            Some(_) => stranger(guest, facts),
            None => format!("the settings of {vmid} on {node} could not be read"),
        });
    }
    if guest.power == Power::Stopped {
        return leave(format!("it is off; `homeroom deploy {}` starts it", input.class.name));
    }
    let steps = match roll_call(&input.class.rollcall) {
        proofs if proofs.is_empty() => vec![StepName::Start],
        proofs => proofs,
    };
    let mut plan = seat_plan(row, &node, vmid, Verb::Prove, &steps, "the roll call again".to_owned());
    plan.spec = spec;
    Some(plan)
}
