//! Changes that were begun and broken off: what the next plan makes of them.

use super::*;

/// Run 2 was begun with this plan, said what is before the seat, and went no further.
fn begun(world: &mut World, name: &str, steps: &[StepName]) {
    let row = world.row(name);
    row.run = RunId(2);
    for step in row.steps.iter_mut().filter(|step| steps.contains(&step.step)) {
        (step.state, step.run) = (StepState::Waiting, RunId(2));
    }
    if steps.iter().any(|step| step.is_proof()) {
        row.state = MachineState::Planned;
    }
}

/// The class stands, and its definition was changed; the plans of the deploy that made it and of the next.
fn edited(edit: impl FnOnce(&mut World)) -> (World, Plan, Plan) {
    let mut world = standing();
    let first = plan_of(&World::new().deploy(), |_| {});
    edit(&mut world);
    let second = world.deploy();
    (world, first, second)
}

fn another_template(world: &mut World) {
    world.add_template(crate::domain::cluster::TemplateView {
        name: "debian-12".into(),
        ..template(9001, "pve1", "fast")
    });
    world.class.template = TemplateRef::Name("debian-12".into());
}

#[test]
fn a_replacement_that_never_came_to_it_is_planned_again_and_needs_its_yes_again() {
    let (mut world, first, second) = edited(another_template);
    assert_eq!(seat(&second, "ada").verb, Verb::Replace);
    for steps in [Vec::new(), seat(&second, "ada").steps.clone()] {
        begun(&mut world, "ada", &steps);
        world.journal(&[&first, &second]);
        let plan = world.deploy();
        let ada = seat(&plan, "ada");
        assert_eq!(ada.verb, Verb::Replace, "{steps:?}: {}", ada.why);
        assert_eq!(changes(ada), ["template: ubuntu-22.04 (9000) -> debian-12"]);
        assert!(plan.refused(Consent::default()).iter().any(|seat| seat.seat.as_str() == "ada"));
    }
}

#[test]
fn another_storage_is_asked_for_until_the_machine_lies_there() {
    let (mut world, first, second) = edited(|world| {
        for host in ["pve1", "pve2", "pve3"] {
            world.view.storages.push(storage("slow", host, true));
        }
        world.class.machine.storage = Some("slow".into());
    });
    begun(&mut world, "ada", &seat(&second, "ada").steps.clone());
    world.journal(&[&first, &second]);
    let plan = world.deploy();
    assert_eq!(
        (seat(&plan, "ada").verb, changes(seat(&plan, "ada"))),
        (Verb::Replace, vec!["storage: fast -> slow".into()])
    );
}

#[test]
fn a_change_in_place_that_was_never_written_is_no_drift() {
    let (mut world, first, second) = edited(|world| world.class.machine.onboot = Some(true));
    for steps in [Vec::new(), seat(&second, "ada").steps.clone()] {
        begun(&mut world, "ada", &steps);
        world.journal(&[&first, &second]);
        let plan = world.deploy();
        let ada = seat(&plan, "ada");
        assert_eq!((ada.verb, changes(ada)), (Verb::Update, vec!["onboot: off -> on".into()]), "{}", ada.why);
        assert!(!ada.changes[0].drift);
    }
}

#[test]
fn a_rebuild_that_never_came_to_it_leaves_the_machine_what_it_was() {
    let mut world = standing();
    let first = World::new().deploy();
    let asked: Vec<SeatName> = vec!["ada".parse().unwrap()];
    let rebuild = Rebuild { seats: &asked, abandon: false };
    let second = world.with(|input| plan_deploy(&PlanInput { rebuild, ..*input })).unwrap();
    assert_eq!(second.rebuilds.as_ref().map(|asked| asked.seats.len()), Some(1));
    begun(&mut world, "ada", &seat(&second, "ada").steps.clone());
    world.journal(&[&first, &second]);
    // Somebody changes it meanwhile: still drift, which nobody asked to put right.
    world.facts_of("ada").config.insert("tags".into(), "exam;homeroom".into());
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!(ada.verb, Verb::Prove, "{}", ada.why);
    assert!(ada.changes.iter().all(|change| change.drift) && ada.steps == StepName::ROLL_CALL, "{ada:#?}");
}

#[test]
fn a_machine_made_anew_and_not_configured_is_gone_on_with() {
    let (mut world, first, second) = edited(another_template);
    begun(&mut world, "ada", &seat(&second, "ada").steps.clone());
    if let Ownership::Ours(mark) = &mut world.facts_of("ada").ownership {
        mark.run = RunId(2);
    }
    let row = world.row("ada");
    row.proven_at = None;
    row.steps.iter_mut().filter(|step| step.step == StepName::Clone).for_each(|step| step.state = StepState::Ok);
    world.guest_of("ada").power = Power::Stopped;
    world.journal(&[&first, &second]);
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!((ada.verb, ada.steps[0]), (Verb::Resume, StepName::Configure), "{}", ada.why);
    assert!(!plan.refused(Consent::default()).iter().any(|seat| seat.seat.as_str() == "ada"));
}

#[test]
fn what_somebody_else_changed_is_told_apart_from_what_the_definition_changed() {
    let mut world = standing();
    world.class.machine.onboot = Some(true);
    world.facts_of("ada").config.insert("tags".into(), "exam;homeroom".into());
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!(ada.verb, Verb::Update);
    assert_eq!(ada.why, "onboot; changed by someone else and left so: tags");
    let drift: Vec<_> = ada.changes.iter().filter(|change| change.drift).map(|change| change.field.as_str()).collect();
    assert_eq!(drift, ["tags"]);
}

#[test]
fn a_pool_that_was_never_joined_is_owed_and_one_that_was_left_is_drift() {
    let mut world = World::new();
    world.class.pool = Some("labs".to_owned());
    world.stand();
    for guest in &mut world.view.guests {
        guest.pool = Some("labs".into());
    }
    assert!(world.deploy().is_empty());
    world.guest_of("ada").pool = None;
    let plan = world.deploy();
    assert_eq!(seat(&plan, "ada").verb, Verb::Keep, "somebody took it out");
    assert!(seat(&plan, "ada").changes[0].drift);
    // The run that made it was broken off before its machines were put there.
    world.row("ada").pool = None;
    assert_eq!(seat(&world.deploy(), "ada").verb, Verb::Update);
    // Neither is a reason to put other things right that somebody changed.
    world.facts_of("ada").config.insert("tags".into(), "exam;homeroom".into());
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!((ada.verb, ada.steps.as_slice()), (Verb::Update, [].as_slice()), "{}", ada.why);
}
