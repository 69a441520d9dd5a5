//! A class that stands, whole or broken off.

use super::*;

#[test]
fn a_standing_class_is_kept_and_the_plan_is_empty() {
    let plan = standing().deploy();
    assert_eq!(verbs(&plan), ["teacher keep", "ada keep", "grace keep"]);
    assert!(plan.is_empty() && plan.estimate.is_none() && plan.seats.iter().all(|s| s.steps.is_empty()));
}

#[test]
fn a_standing_class_is_kept_even_when_its_template_is_gone() {
    let mut world = standing();
    world.view.guests.retain(|g| !g.template);
    world.templates.clear();
    assert!(world.deploy().is_empty());
}

#[test]
fn two_students_added_make_exactly_two_machines() {
    let mut world = standing();
    students(&mut world, &["ada", "grace", "lin", "joan"]);
    let plan = world.deploy();
    assert_eq!(verbs(&plan), ["teacher keep", "ada keep", "grace keep", "lin create", "joan create"]);
    assert_eq!((seat(&plan, "lin").vmid.unwrap().get(), seat(&plan, "joan").vmid.unwrap().get()), (9103, 9104));
}

#[test]
fn a_student_taken_off_the_list_is_removed_only_with_a_yes() {
    let mut world = standing();
    students(&mut world, &["grace"]);
    let plan = world.deploy();
    assert_eq!(verbs(&plan), ["teacher keep", "grace keep", "ada remove"]);
    assert_eq!(seat(&plan, "ada").steps, [StepName::Stop, StepName::Destroy]);
    assert_eq!(plan.refused(Consent::default()).len(), 1);
    assert!(plan.refused(Consent { remove: true, ..Consent::default() }).is_empty());
}

#[test]
fn a_run_broken_off_before_its_clone_goes_on_under_its_number() {
    let mut world = standing();
    broken_off_after(&mut world, "ada", StepName::Reserve);
    let home = world.guest_of("ada").node.clone();
    world.vanish("ada");
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!((ada.verb, ada.vmid.unwrap(), &ada.node), (Verb::Resume, Vmid::new(9101).unwrap(), &home));
    assert_eq!(ada.steps.first(), Some(&StepName::Clone));
    assert!(ada.source.is_some());
}

#[test]
fn a_clone_still_being_written_is_gone_on_with_although_no_mark_shows() {
    let mut world = standing();
    broken_off_after(&mut world, "ada", StepName::Reserve);
    world.guest_of("ada").lock = Some("clone".into());
    world.guest_of("ada").name = None;
    world.facts_of("ada").ownership = Ownership::Foreign;
    assert_eq!(seat(&world.deploy(), "ada").verb, Verb::Resume);
}

#[test]
fn a_machine_cloned_and_not_configured_is_resumed_from_there() {
    let mut world = standing();
    broken_off_after(&mut world, "ada", StepName::Clone);
    world.guest_of("ada").power = Power::Stopped;
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!(ada.verb, Verb::Resume);
    assert_eq!(ada.steps[..2], [StepName::Configure, StepName::Start]);
    assert!(ada.source.is_none());
}

#[test]
fn a_machine_started_but_never_proven_is_only_proven() {
    let mut world = standing();
    broken_off_after(&mut world, "ada", StepName::Start);
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!((ada.verb, ada.steps.as_slice()), (Verb::Prove, StepName::ROLL_CALL.as_slice()));
    assert_eq!(ada.why, "run interrupted; deploy goes on from there");
}

#[test]
fn a_stopped_machine_is_started_and_proven() {
    let mut world = standing();
    world.guest_of("ada").power = Power::Stopped;
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!((ada.verb, ada.steps[0], ada.steps.len()), (Verb::Prove, StepName::Start, 6));
    assert_eq!(ada.why, "stopped since its roll call at 11:00 UTC");
}

#[test]
fn an_old_proof_is_repeated() {
    let mut world = standing();
    world.site.proof_max_age = Duration::from_secs(1800);
    let plan = world.deploy();
    assert_eq!(plan.count(Verb::Prove), 3);
    assert_eq!(seat(&plan, "ada").steps, StepName::ROLL_CALL);
}

#[test]
fn a_machine_that_vanished_is_made_anew_under_its_number() {
    let mut world = standing();
    world.vanish("ada");
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!((ada.verb, ada.vmid.unwrap().get()), (Verb::Create, 9101));
    assert!(ada.why.starts_with("9101 is no longer on the site"));
}

#[test]
fn a_machine_on_a_node_that_does_not_answer_is_left_and_not_doubled() {
    let mut world = standing();
    let node = world.guest_of("ada").node.to_string();
    world.take_offline(&node);
    let plan = world.deploy();
    assert_eq!(seat(&plan, "ada").verb, Verb::Leave);
    assert_eq!(plan.count(Verb::Create), 0);
    assert!(plan.is_empty());
}

#[test]
fn a_foreign_machine_under_the_number_is_left_and_the_seat_gets_another() {
    let mut world = standing();
    world.guest_of("ada").name = Some("db1".into());
    world.guest_of("ada").tags.clear();
    world.facts_of("ada").ownership = Ownership::Foreign;
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!((ada.verb, ada.vmid.unwrap().get()), (Verb::Create, 9103));
    assert!(ada.why.contains("9101 (db1) on"), "{}", ada.why);
    assert!(plan.notes[0].contains("is not ours"));
}

#[test]
fn our_machine_whose_mark_was_rubbed_out_is_neither_used_nor_doubled() {
    let mut world = standing();
    world.facts_of("ada").ownership = Ownership::Foreign;
    let plan = world.deploy();
    assert_eq!(seat(&plan, "ada").verb, Verb::Leave);
    assert!(plan.notes[0].contains("its mark is gone from the description"));
}

#[test]
fn a_mark_of_another_seat_proves_nothing_for_this_one() {
    let mut world = standing();
    let vmid = world.vmid("ada");
    let mark =
        Mark { store: store(), lab: "other".parse().unwrap(), seat: "ada".parse().unwrap(), run: RunId(4), vmid };
    world.guest_of("ada").name = Some("other-ada".into());
    world.facts_of("ada").ownership = Ownership::Ours(mark);
    let plan = world.deploy();
    assert_eq!(seat(&plan, "ada").verb, Verb::Create);
    assert!(plan.notes[0].contains("the machine of other/ada"));
}

#[test]
fn what_was_done_and_not_written_down_is_asked_for_again_until_it_is() {
    let mut world = standing();
    broken_off_after(&mut world, "ada", StepName::Reserve);
    world.row("ada").steps[0].state = StepState::Running;
    world.guest_of("ada").power = Power::Stopped;
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!((ada.verb, ada.vmid.unwrap().get()), (Verb::Resume, 9101));
    assert_eq!(ada.steps[..3], [StepName::Reserve, StepName::Clone, StepName::Configure]);
    assert!(ada.source.is_some(), "the clone step needs to know what it would have made");
}

#[test]
fn a_locked_machine_is_noted_unless_nothing_is_done_to_it() {
    let mut world = standing();
    world.guest_of("ada").lock = Some("backup".into());
    assert!(world.deploy().notes.is_empty());
    world.guest_of("ada").power = Power::Stopped;
    let note = &world.deploy().notes[0];
    assert!(note.starts_with("cs101-ada (9101) is locked (backup) on"), "{note}");
}

#[test]
fn a_copy_made_by_hand_under_the_same_name_does_not_hold_up_a_standing_class() {
    let mut world = standing();
    let mut copy = guest(205, "pve1");
    copy.name = Some("cs101-ada".into());
    world.view.guests.push(copy);
    assert!(world.deploy().is_empty());
}

#[test]
fn a_machine_outside_the_pool_of_its_class_is_drift_and_a_new_pool_is_a_change() {
    let mut world = standing();
    world.class.pool = Some("labs".to_owned());
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!(ada.verb, Verb::Update, "{}", ada.why);
    assert!(ada.why.contains("pool") && !ada.steps.contains(&StepName::Configure), "{} {:?}", ada.why, ada.steps);
    for guest in &mut world.view.guests {
        guest.pool = Some("labs".into());
    }
    assert_eq!(seat(&world.deploy(), "ada").verb, Verb::Keep);
}

#[test]
fn a_seat_whose_clone_was_asked_for_and_not_seen_is_looked_for_before_it_is_forgotten() {
    let mut world = standing();
    broken_off_after(&mut world, "ada", StepName::Reserve);
    world.vanish("ada");
    let steps = |world: &World| {
        seat(&world.with(|input| crate::domain::planning::plan_destroy(input, &[])).unwrap(), "ada").steps.clone()
    };
    world.row("ada").steps.iter_mut().for_each(|step| step.attempts = 0);
    assert_eq!(steps(&world), []);
    world.row("ada").steps.iter_mut().filter(|step| step.step == StepName::Clone).for_each(|step| step.attempts = 1);
    assert_eq!(steps(&world), [StepName::Destroy]);
}
