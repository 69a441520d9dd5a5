//! The plans of what is done to machines that stand: the roll call again, power on, off, and off and on.
//! Nothing is made, configured or removed here.

use super::{
    PlanInput, Problem, Removal, addresses,
    destroy::{seat_plan, unknown_seats},
    difference::{Difference, difference, fields, stays},
    estimate::estimate,
    standing::{is_ours, stranger, unproven},
    steps::roll_call,
};
use crate::domain::{
    MachineState, Plan, SeatName, StepName,
    class::{Profile, SeatSpec},
    cluster::Power,
    event::RunKind,
    plan::{FieldChange, SeatPlan, Verb},
    readiness::{Hand, Look, current_state},
    verify::needs_stop,
};

/// What is done to standing machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// The roll call again. It starts and changes nothing.
    Check,
    /// Those that are off are started, and prove themselves.
    Start,
    /// Those that run are shut down.
    Stop,
    /// Shut down, started, proven.
    Restart,
}

impl Deed {
    pub fn kind(self) -> RunKind {
        match self {
            Self::Check => RunKind::Check,
            Self::Start => RunKind::Start,
            Self::Stop => RunKind::Stop,
            Self::Restart => RunKind::Restart,
        }
    }

    /// What becomes of a machine that runs (and is `ready`, or is not), or of one that is off; and why.
    fn of(self, runs: bool, ready: bool) -> (Verb, &'static str) {
        match (self, runs) {
            (Self::Check, true) => (Verb::Prove, "the roll call again"),
            (Self::Check, false) => (Verb::Leave, "it is off; start it first"),
            (Self::Start, true) if ready => (Verb::Keep, "already running"),
            // Also what a start that was broken off left without its proofs.
            (Self::Start, true) => (Verb::Prove, "already running; the roll call"),
            (Self::Start | Self::Restart, false) => (Verb::Prove, "started, then the roll call"),
            (Self::Stop, true) => (Verb::Halt, "shut down"),
            (Self::Stop, false) => (Verb::Keep, "already off"),
            (Self::Restart, true) => (Verb::Restart, "shut down, started, then the roll call"),
        }
    }
}

/// Which machines it is done to, and which are left alone; `seats` empty means the whole lab.
pub fn plan_deed(input: &PlanInput<'_>, seats: &[SeatName], deed: Deed) -> Result<Plan, Vec<Problem>> {
    plan_deed_again(input, seats, deed, &[])
}

/// The same for a run that goes on: the machines of `halted` were shut down by it already.
pub fn plan_deed_again(
    input: &PlanInput<'_>,
    seats: &[SeatName],
    deed: Deed,
    halted: &[SeatName],
) -> Result<Plan, Vec<Problem>> {
    unknown_seats(input, seats)?;
    let class = input.class;
    let mut notes = Vec::new();
    let specs = addresses::settle(input).map_err(|problem| vec![problem])?;
    let chosen = |spec: &SeatSpec| seats.is_empty() || seats.contains(&spec.seat);
    let plans: Vec<SeatPlan> = specs
        .into_iter()
        .filter(chosen)
        .filter_map(|spec| {
            // What is left of a restart is a start.
            let rest = if halted.contains(&spec.seat) && deed == Deed::Restart { Deed::Start } else { deed };
            seat(input, spec, rest, &mut notes)
        })
        .collect();
    if plans.is_empty() {
        let next = format!("`homeroom deploy {}` makes them", class.name);
        return Err(vec![Problem::new(format!("{} has no machines to {}", class.name, deed.kind().as_str()), next)]);
    }
    if class.rollcall.profile == Profile::Off && deed != Deed::Stop {
        notes.push("the roll call is off: nothing is proven beyond running".to_owned());
    }
    Ok(Plan {
        kind: deed.kind(),
        lab: class.name.clone(),
        site: class.site.clone(),
        skipped_nodes: Vec::new(),
        memory_after: Vec::new(),
        estimate: estimate(&plans, input.view, input.paces, &class.rollcall, &class.rollout),
        room: Vec::new(),
        rollcall: class.rollcall.clone(),
        order: class.rollout.order,
        stagger: class.rollout.delay,
        pool: class.pool.clone(),
        fixes_drift: false,
        rebuilds: None,
        workshop: None,
        notes,
        seats: plans,
    })
}

fn seat(input: &PlanInput<'_>, spec: SeatSpec, deed: Deed, notes: &mut Vec<String>) -> Option<SeatPlan> {
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
    match facts.map(|facts| &facts.removal) {
        Some(Removal::Ours) => {
            let (lab, seat) = (&input.class.name, &spec.seat);
            return leave(format!(
                "a removal of {vmid} was begun: `homeroom destroy {lab}/{seat}` ends it, `homeroom deploy {lab}` makes it \
                 anew"
            ));
        }
        Some(Removal::Unproven(why)) => return leave(unproven(guest, &row.name, why)),
        _ => {}
    }
    if !facts.is_some_and(|facts| is_ours(input, row, facts)) {
        return leave(match facts {
            Some(_) => stranger(guest, facts),
            None => format!("the settings of {vmid} on {node} could not be read"),
        });
    }
    let runs = guest.power != Power::Stopped;
    let hand = Hand::nobodys(input.progress);
    // Its mark was read.
    let look = Look::of(input.view, row).map(|look| Look { ours: Some(true), ..look });
    let stand = current_state(row, look, hand, input.now, input.site.proof_max_age);
    let (verb, why) = deed.of(runs, stand.state == MachineState::Ready);
    let mut plan =
        seat_plan(row, &node, vmid, verb, &steps(verb, runs, &roll_call(&input.class.rollcall)), why.to_owned());
    plan.spec = spec;
    // Proven is what was deployed; what was written into the definition since is a deploy's to bring about.
    if verb.acts()
        && deed != Deed::Stop
        && let Some(facts) = facts
    {
        let Difference { changes, strange_key, .. } = difference(input, &plan.spec, facts);
        let (mut drift, changes): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.drift);
        // Changed by somebody else and in the definition: it is proven as it was deployed.
        let both = changes.iter().filter_map(|change| Some((change, change.was.clone()?)));
        drift.extend(both.map(|(change, to)| FieldChange { to, drift: true, was: None, ..change.clone() }));
        let disturbs = strange_key || changes.iter().any(needs_stop);
        let applied = input.applied.get(&plan.seat).filter(|applied| applied.spec != plan.spec);
        if let Some(applied) = applied
            && !changes.is_empty()
        {
            notes.push(format!(
                "{} is proven as it was deployed; {} changed in the definition since: `homeroom deploy {}{}` brings it about",
                plan.seat,
                fields(&changes),
                input.class.name,
                if disturbs { " --yes --allow-restart" } else { " --yes" }
            ));
            plan.spec = applied.spec.clone();
        } else if let Some(applied) = applied.filter(|applied| !stays(input, &plan.spec).is_empty() && applied.whole) {
            plan.spec = applied.spec.clone();
        }
        if strange_key {
            notes.push(format!(
                "{} does not let the lab's key in: `homeroom adopt {} --rekey {}` gives it to it",
                plan.seat, input.class.site, input.class.name
            ));
        }
        if !drift.is_empty() {
            let told: Vec<String> = drift.iter().map(|c| format!("{} is {}, not {}", c.field, c.from, c.to)).collect();
            notes.push(format!(
                "{} was changed by someone else: {}; `homeroom deploy {} --fix-drift` puts that right",
                plan.seat,
                told.join("; "),
                input.class.name
            ));
            plan.changes = drift;
        }
    }
    Some(plan)
}

fn steps(verb: Verb, runs: bool, proofs: &[StepName]) -> Vec<StepName> {
    let power: &[StepName] = match verb {
        Verb::Halt => return vec![StepName::Stop],
        Verb::Restart => &[StepName::Stop, StepName::Start],
        // Where nothing is to be proven, that it runs is looked at.
        Verb::Prove if !runs || proofs.is_empty() => &[StepName::Start],
        Verb::Prove => &[],
        _ => return Vec::new(),
    };
    [power, proofs].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::planning::fixture::World;

    fn verbs(world: &World, deed: Deed) -> Vec<(Verb, Vec<StepName>)> {
        let plan = world.with(|input| plan_deed(input, &[], deed)).unwrap();
        plan.seats.into_iter().map(|seat| (seat.verb, seat.steps)).collect()
    }

    #[test]
    fn stopping_shuts_down_what_runs_and_leaves_what_is_off() {
        let mut world = World::new();
        world.stand();
        world.guest_of("ada").power = Power::Stopped;
        let verbs = verbs(&world, Deed::Stop);
        assert!(verbs.contains(&(Verb::Keep, Vec::new())));
        assert!(verbs.contains(&(Verb::Halt, vec![StepName::Stop])));
    }

    #[test]
    fn a_restart_that_goes_on_stops_nobody_a_second_time() {
        let mut world = World::new();
        world.stand();
        for seat in ["ada", "grace"] {
            world.row(seat).state = MachineState::Working;
        }
        world.guest_of("grace").power = Power::Stopped;
        let halted = ["ada", "grace"].map(|seat| seat.parse().unwrap());
        let plan = world.with(|input| plan_deed_again(input, &[], Deed::Restart, &halted)).unwrap();
        let steps = |name: &str| &plan.seats.iter().find(|seat| seat.seat.as_str() == name).unwrap().steps;
        assert_eq!(steps("teacher")[..2], [StepName::Stop, StepName::Start]);
        assert_eq!(steps("ada")[..], StepName::ROLL_CALL, "it was started already");
        assert_eq!(steps("grace")[..2], [StepName::Start, StepName::Address]);
    }

    #[test]
    fn starting_and_restarting_end_in_a_roll_call() {
        let mut world = World::new();
        world.stand();
        world.guest_of("ada").power = Power::Stopped;
        let started = verbs(&world, Deed::Start);
        assert!(started.iter().any(|(verb, steps)| *verb == Verb::Prove && steps.first() == Some(&StepName::Start)));
        assert!(started.iter().all(|(_, steps)| !steps.contains(&StepName::Stop)));
        let restarted = verbs(&world, Deed::Restart);
        assert!(restarted.iter().any(|(verb, steps)| {
            *verb == Verb::Restart && steps.starts_with(&[StepName::Stop, StepName::Start]) && steps.len() > 2
        }));
    }
}
