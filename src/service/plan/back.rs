//! Taking a run back: which machines it cloned, and where there is none, what it did instead and whose those are that
//! stand.

use std::collections::BTreeSet;

use super::{For, Ground, Planned};
use crate::{
    domain::{
        Definition, LabName, Plan, RunId, SeatName, StepName, StepState,
        event::RunKind,
        mark::Ownership,
        plan::{SeatPlan, Verb},
        planning,
        progress::SeatProgress,
    },
    port::StoreError,
    service::{Homeroom, ServiceError},
};

/// What taking a run back comes to.
pub enum Back<T> {
    This(T),
    /// It left nothing; why, in a sentence.
    Nothing(String),
}

/// What taking a run back would do: the machines that carry its number in their mark go, and numbers it set aside
/// for machines that never came to be.
pub async fn plan_rollback(home: &Homeroom, lab: &LabName, run: RunId) -> Result<Back<Planned>, ServiceError> {
    if let Definition::Workshop(_) = home.definition(lab).await?.definition {
        return Err(ServiceError::Refused(format!(
            "a workshop's deploy is not taken back seat by seat: `homeroom destroy {lab} --yes` removes all that it made"
        )));
    }
    let ground = Ground::read(home, lab, For::Removing).await?;
    // A mark alone is not enough: a store that was lost and regained counts its runs from one again.
    let (_, begun) = home.store.run(run).await?;
    let cloned = |row: &SeatProgress| clones(&begun, &row.seat);
    let made = |row: &&SeatProgress| {
        if !cloned(row) {
            return false;
        }
        let facts = row.vmid.and_then(|vmid| ground.observed.get(&vmid));
        let clone = row.step(StepName::Clone);
        match facts.map(|facts| (&facts.ownership, &facts.removal)) {
            Some((Ownership::Ours(mark), _)) => mark.run == run,
            // Its mark went with its settings; which run cloned it stands in the journal.
            Some((_, planning::Removal::Ours)) => clone.is_some_and(|step| step.run == run),
            // Not made, or only half.
            _ => row.run == run && row.proven_at.is_none() && clone.is_some_and(|step| step.state != StepState::Ok),
        }
    };
    let seats: Vec<SeatName> = ground.progress.seats.iter().filter(made).map(|row| row.seat.clone()).collect();
    if seats.is_empty() {
        let others = others(home, &ground).await?;
        return Ok(Back::Nothing(nothing(run, &begun, &others)));
    }
    let mut plan = ground.ask(home, false, |input| planning::plan_destroy(input, &seats))?;
    plan.kind = RunKind::Rollback;
    Ok(Back::This(ground.planned(plan)))
}

fn clones(plan: &Plan, seat: &SeatName) -> bool {
    plan.seats.iter().any(|planned| planned.seat == *seat && planned.steps.contains(&StepName::Clone))
}

/// Which runs cloned what stands of the lab, as far as this store knows them, and whether there is more.
async fn others(home: &Homeroom, ground: &Ground) -> Result<(BTreeSet<RunId>, bool), ServiceError> {
    let (mut runs, mut unknown) = (BTreeSet::new(), false);
    for row in &ground.progress.seats {
        let facts = row.vmid.and_then(|vmid| ground.observed.get(&vmid));
        let Some(Ownership::Ours(mark)) = facts.map(|facts| &facts.ownership) else { continue };
        if runs.contains(&mark.run) {
            continue;
        }
        match home.store.run(mark.run).await {
            Ok((begun, plan)) if begun.lab == ground.progress.lab && clones(&plan, &row.seat) => {
                runs.insert(mark.run);
            }
            Ok(_) | Err(StoreError::NoRun(_)) => unknown = true,
            Err(error) => return Err(error.into()),
        }
    }
    Ok((runs, unknown))
}

/// Why there is nothing to take back, what the run did instead, and whose the machines are that stand.
fn nothing(run: RunId, begun: &Plan, (others, unknown): &(BTreeSet<RunId>, bool)) -> String {
    let lab = &begun.lab;
    let cloned = begun.seats.iter().filter(|seat| clones(begun, &seat.seat)).count();
    let why = match cloned {
        0 => format!("it cloned nothing{}", did(begun).map(|did| format!(", {did}")).unwrap_or_default()),
        1 => "the machine it cloned does not stand any more".to_owned(),
        n => format!("none of the {n} machines it cloned stands any more"),
    };
    let runs: Vec<String> = others.iter().map(|run| format!("run {run}")).collect();
    let whose = match (runs.is_empty(), unknown) {
        (true, false) => String::new(),
        (true, true) => format!("; what stands of {lab} was cloned by no run that this store knows"),
        (false, false) => format!("; what stands of {lab} was cloned by {}", runs.join(" and ")),
        (false, true) => format!("; what stands of {lab} was cloned by {} and others", runs.join(" and ")),
    };
    format!("run {run}: nothing to take back, {why}{whose}")
}

/// `it only proved 4 machines`
fn did(begun: &Plan) -> Option<String> {
    let past = |seat: &SeatPlan| match (seat.verb, seat.word()) {
        (Verb::Keep | Verb::Leave, _) => None,
        (_, "start") => Some("started"),
        (Verb::Prove, _) => Some("proved"),
        (Verb::Resume, _) => Some("went on with"),
        (Verb::Update, _) => Some("updated"),
        (Verb::Restart, _) => Some("restarted"),
        (Verb::Halt, _) => Some("shut down"),
        (Verb::Remove, _) => Some("removed"),
        (Verb::Create | Verb::Replace, _) => Some("made"),
    };
    let done: Vec<&str> = begun.seats.iter().filter_map(past).collect();
    let kinds: BTreeSet<&str> = done.iter().copied().collect();
    let told: Vec<String> = kinds
        .into_iter()
        .map(|kind| match done.iter().filter(|done| **done == kind).count() {
            1 => format!("{kind} 1 machine"),
            n => format!("{kind} {n} machines"),
        })
        .collect();
    (!told.is_empty()).then(|| format!("it only {}", told.join(" and ")))
}
