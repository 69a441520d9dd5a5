//! What machines that stand, or have their place already, take of their nodes' memory in a plan, and give back in it.

use super::{
    PlanInput, Problem,
    deploy::want,
    standing::{Fate, Home},
};
use crate::domain::{
    StepName,
    class::SeatSpec,
    cluster::{GuestView, Power, TemplateView},
    placement::{Board, Freed, Want},
    plan::{FieldChange, SeatPlan, Verb},
    size::Size,
    verify::memory_mib,
};

/// Counts them on the board, and says what has no room where it stands.
pub(super) fn of_standing(
    input: &PlanInput<'_>,
    board: &mut Board,
    templates: &[&TemplateView],
    fates: &[(SeatSpec, Fate)],
) -> Vec<Problem> {
    let one = |(spec, fate): &(SeatSpec, Fate)| {
        let (home, verb, new) = match fate {
            Fate::New { .. } => return None,
            Fate::Settled { home, verb, changes, .. } => (home, *verb, changed(input, spec, changes)),
            // It is made anew from its template.
            Fate::Replace { home, .. } => (home, Verb::Replace, Some(want(spec, templates).memory)),
            Fate::Again { home, verb, .. } => (home, *verb, Some(want(spec, templates).memory)),
        };
        match (input.view.guest(home.vmid), verb) {
            (_, Verb::Leave) => None,
            (Some(guest), _) if guest.power == Power::Running => running(board, spec, (home, verb), guest, new),
            // One of this lab that does not run yet will.
            (guest, _) => {
                let cpus = guest.map_or_else(|| want(spec, templates).cpus, |guest| guest.cpus);
                let memory = new.or(guest.map(|guest| guest.memory)).unwrap_or_default();
                board.commit(&home.node, Want { cpus, memory });
                None
            }
        }
    };
    fates.iter().filter_map(one).collect()
}

/// Counts what a running machine is to get on top, or gives back, where it stands; and says so where its node has no
/// room for it.
fn running(
    board: &mut Board,
    spec: &SeatSpec,
    (home, verb): (&Home, Verb),
    guest: &GuestView,
    new: Option<u64>,
) -> Option<Problem> {
    let cpus = match (spec.machine.cores, spec.machine.sockets) {
        (None, None) => 0,
        (cores, sockets) => cores.unwrap_or(1) * sockets.unwrap_or(1),
    };
    let less = new.filter(|new| *new < guest.memory);
    if let Some(less) = less {
        let freed = Freed { used: guest.memory_used.saturating_sub(less), promised: guest.memory - less };
        board.free(&home.node, freed);
    }
    let memory = new.map_or(0, |new| new.saturating_sub(guest.memory));
    let grows = matches!(verb, Verb::Restart | Verb::Update | Verb::Replace) && (memory > 0 || cpus > guest.cpus);
    let why = grows.then(|| board.grow(&home.node, Want { cpus, memory }).err()).flatten()?;
    Some(Problem::new(
        format!("{} cannot grow on {}: {why}", spec.seat, home.node),
        "free what is short, or ask for less in the definition".to_owned(),
    ))
}

/// The memory a machine gets in place, where the plan changes it: the definition's, else what its template lent it.
fn changed(input: &PlanInput<'_>, spec: &SeatSpec, changes: &[FieldChange]) -> Option<u64> {
    changes.iter().find(|change| change.field == "memory" && (!change.drift || input.fix_drift))?;
    let lent = || {
        let value = input.progress.seat(&spec.seat)?.lent.value("memory")?;
        Some(Size::mib(memory_mib(value)?))
    };
    spec.machine.memory.or_else(lent).map(|memory| memory.bytes())
}

/// Counts what machines give back that go.
pub(super) fn give_back(input: &PlanInput<'_>, board: &mut Board, removals: &[SeatPlan]) {
    for seat in removals.iter().filter(|seat| seat.verb == Verb::Remove && seat.steps.contains(&StepName::Destroy)) {
        let guest = seat.vmid.and_then(|vmid| input.view.guest(vmid));
        if let Some(guest) = guest.filter(|guest| guest.power == Power::Running) {
            board.free(&guest.node, Freed { used: guest.memory_used, promised: guest.memory });
        }
    }
}
