//! What machines really are: which template they were cloned from, and which plan they were brought to.
//!
//! Told by the mark on the machine and by what the journal says was done, never by a plan that was only begun.

use std::collections::{BTreeMap, BTreeSet};

use super::GuestFacts;
use crate::domain::{
    Plan, Progress, RunId, SeatName, StepName, StepState, Vmid,
    class::SeatSpec,
    mark::{Mark, Ownership},
    plan::SeatPlan,
    progress::SeatProgress,
};

/// What a seat's machine was brought to.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    pub spec: SeatSpec,
    /// All of it was done. Otherwise `spec` is what the run set out to do that cloned the machine.
    pub whole: bool,
    /// Number and name of the template it was cloned from, if known.
    pub template: Option<(Vmid, String)>,
}

/// The runs whose plans [`applied()`] asks for.
pub fn runs_to_read(progress: &Progress, observed: &BTreeMap<Vmid, GuestFacts>) -> BTreeSet<RunId> {
    let of = |row: &SeatProgress| {
        let cloned = row.step(StepName::Clone).map(|step| step.run);
        [mark(progress, row, observed).map(|mark| mark.run), cloned, brought(row)]
    };
    progress.seats.iter().flat_map(of).flatten().collect()
}

/// What the machines of a lab are, as far as it can be told. `plans` are those of its deploys.
pub fn applied(
    progress: &Progress,
    observed: &BTreeMap<Vmid, GuestFacts>,
    plans: &BTreeMap<RunId, Plan>,
) -> BTreeMap<SeatName, Applied> {
    let told = |row: &SeatProgress| {
        let mark = mark(progress, row, observed)?;
        Some((row.seat.clone(), of_machine(row, mark, plans)?))
    };
    progress.seats.iter().filter_map(told).collect()
}

fn of_machine(row: &SeatProgress, mark: &Mark, plans: &BTreeMap<RunId, Plan>) -> Option<Applied> {
    let planned =
        |run: RunId| -> Option<&SeatPlan> { plans.get(&run)?.seats.iter().find(|seat| seat.seat == row.seat) };
    // An adopted machine keeps the mark of a run that another store knew, and its clone is journalled by the adopt.
    let asked = row.step(StepName::Clone).map(|step| step.run);
    let here = asked.filter(|asked| planned(*asked).is_some_and(|seat| seat.source.is_some()));
    // A mark that was lost and put back since names the adopt.
    let made = here.map(|asked| mark.run.min(asked));
    let maker = made.and_then(planned).filter(|seat| seat.source.is_some());
    let since = brought(row).filter(|run| made.is_none_or(|made| *run >= made)).and_then(planned);
    let template = maker.and_then(|seat| seat.source.as_ref());
    let template = template.map(|source| (source.template, source.template_name.to_string()));
    let told = || row.lent.template.as_ref().map(|(vmid, name)| (*vmid, name.to_string()));
    Some(Applied { spec: since.or(maker)?.spec.clone(), whole: since.is_some(), template: template.or_else(told) })
}

/// The mark on a seat's machine, where it is the seat's own.
fn mark<'a>(progress: &Progress, row: &SeatProgress, observed: &'a BTreeMap<Vmid, GuestFacts>) -> Option<&'a Mark> {
    match &observed.get(&row.vmid?)?.ownership {
        Ownership::Ours(mark) if mark.lab == progress.lab && mark.seat == row.seat => Some(mark),
        _ => None,
    }
}

/// The run whose plan the machine was last brought to; in rows from before that was written down, the one that wrote
/// its settings.
fn brought(row: &SeatProgress) -> Option<RunId> {
    let written = row.step(StepName::Configure).filter(|step| step.state == StepState::Ok);
    row.brought.or(written.map(|step| step.run))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Clean,
        planning::fixture::{World, plan_of},
    };

    fn told(world: &World, plans: &[(i64, Plan)]) -> Option<Applied> {
        let plans = plans.iter().map(|(run, plan)| (RunId(*run), plan.clone())).collect();
        applied(&world.progress, &world.observed, &plans).remove(&"ada".parse::<SeatName>().unwrap())
    }

    /// Run 1 made the class; run 2 was begun to make it from another template, with more cores.
    fn world() -> (World, Plan, Plan) {
        let mut world = World::new();
        let first = world.deploy();
        world.stand();
        let second = plan_of(&first, |seat| {
            seat.spec.machine.cores = Some(8);
            if let Some(source) = &mut seat.source {
                (source.template, source.template_name) = (Vmid::new(9001).unwrap(), Clean::new("debian-12"));
            }
        });
        (world, first, second)
    }

    #[test]
    fn a_plan_that_was_only_begun_says_nothing_of_the_machine() {
        let (mut world, first, second) = world();
        world.row("ada").steps.iter_mut().for_each(|step| {
            (step.run, step.state) = (RunId(2), StepState::Waiting);
        });
        let ada = told(&world, &[(1, first), (2, second)]).unwrap();
        assert!(ada.whole);
        assert_eq!(ada.spec.machine.cores, None);
        assert_eq!(ada.template.map(|(vmid, _)| vmid.get()), Some(9000));
    }

    #[test]
    fn a_machine_made_by_a_run_that_did_not_finish_it_is_of_its_template_and_not_whole() {
        let (mut world, first, second) = world();
        if let Ownership::Ours(mark) = &mut world.facts_of("ada").ownership {
            mark.run = RunId(2);
        }
        let row = world.row("ada");
        row.steps.iter_mut().for_each(|step| step.run = RunId(2));
        row.steps.iter_mut().filter(|step| step.step > StepName::Clone).for_each(|s| s.state = StepState::Waiting);
        let ada = told(&world, &[(1, first), (2, second)]).unwrap();
        assert!(!ada.whole);
        assert_eq!(ada.spec.machine.cores, Some(8));
        assert_eq!(ada.template.map(|(vmid, _)| vmid.get()), Some(9001));
    }

    #[test]
    fn a_change_in_place_counts_once_it_was_brought_about_and_the_template_stays_the_makers() {
        let (mut world, first, mut second) = world();
        second.seats.iter_mut().for_each(|seat| seat.source = None);
        let plans = [(1, first), (2, second)];
        assert_eq!(told(&world, &plans).unwrap().spec.machine.cores, None);
        world.row("ada").brought = Some(RunId(2));
        let ada = told(&world, &plans).unwrap();
        assert_eq!((ada.whole, ada.spec.machine.cores), (true, Some(8)));
        assert_eq!(ada.template.map(|(vmid, _)| vmid.get()), Some(9000));
    }

    #[test]
    fn of_an_adopted_machine_only_what_was_deployed_since_is_known() {
        let (mut world, first, second) = world();
        // Its mark names run 1 of another store; here run 3 took it in.
        let row = world.row("ada");
        row.steps.iter_mut().for_each(|step| step.run = RunId(3));
        row.brought = Some(RunId(3));
        assert_eq!(told(&world, &[(1, first.clone())]), None);
        world.row("ada").brought = Some(RunId(4));
        let ada = told(&world, &[(1, first), (4, second)]).unwrap();
        assert_eq!((ada.whole, ada.template), (true, None));
    }
}
