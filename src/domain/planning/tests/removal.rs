//! Destroy and check.

use super::*;

fn destroy(world: &World, seats: &[&str]) -> Result<Plan, Vec<Problem>> {
    let seats: Vec<SeatName> = seats.iter().map(|s| s.parse().unwrap()).collect();
    world.with(|input| plan_destroy(input, &seats))
}

#[test]
fn a_destroy_takes_every_machine_of_the_lab_or_the_seats_named() {
    let world = standing();
    let plan = destroy(&world, &[]).unwrap();
    assert_eq!((plan.kind, plan.count(Verb::Remove)), (RunKind::Destroy, 3));
    assert!(plan.refused(Consent::default()).is_empty());
    assert_eq!(verbs(&destroy(&world, &["ada"]).unwrap()), ["ada remove"]);
    let problem = destroy(&world, &["bob"]).unwrap_err()[0].to_string();
    assert_eq!(problem, "cs101 has no seat bob; `homeroom status cs101` lists its seats");
}

#[test]
fn a_destroy_never_touches_what_is_protected_foreign_or_out_of_sight() {
    let mut world = standing();
    world.facts_of("ada").config.insert("protection".into(), "1".into());
    world.facts_of("grace").ownership = Ownership::Foreign;
    let node = world.guest_of("teacher").node.to_string();
    world.take_offline(&node);
    let plan = destroy(&world, &[]).unwrap();
    assert_eq!(verbs(&plan), ["teacher leave", "ada leave", "grace leave"]);
    assert!(plan.seats.iter().all(|seat| seat.steps.is_empty()), "nothing may be done to any of them");
    assert!(plan.notes[1].contains("is protected and refused"), "{:?}", plan.notes);
    assert!(plan.notes[2].contains("its mark is gone"), "{:?}", plan.notes);
    // A stranger that has the number now is no machine of the seat's: the seat is forgotten, the stranger stays.
    world.guest_of("grace").name = Some("db1".into());
    world.guest_of("grace").tags.clear();
    let plan = destroy(&world, &["grace"]).unwrap();
    assert_eq!((verbs(&plan), plan.seats[0].steps.len()), (vec!["grace remove".to_owned()], 0));
    assert!(plan.notes[0].contains("is never removed"), "{:?}", plan.notes);
}

#[test]
fn a_rebuild_makes_a_seat_anew_and_leaves_what_is_protected_or_out_of_sight() {
    let mut world = standing();
    let seats: Vec<SeatName> = vec!["ada".parse().unwrap()];
    let rebuild = |world: &World, abandon| {
        world.with(|input| {
            let rebuild = Rebuild { seats: &seats, abandon };
            plan_deploy(&PlanInput { rebuild, ..*input })
        })
    };
    let plan = rebuild(&world, false).unwrap();
    assert_eq!((seat(&plan, "ada").verb, seat(&plan, "grace").verb), (Verb::Replace, Verb::Keep));
    assert!(seat(&plan, "ada").steps.starts_with(&[StepName::Stop, StepName::Destroy]));
    world.facts_of("ada").config.insert("protection".into(), "1".into());
    assert_eq!(seat(&rebuild(&world, false).unwrap(), "ada").verb, Verb::Leave);
    let (old, node) = (world.vmid("ada"), world.guest_of("ada").node.to_string());
    world.take_offline(&node);
    let left = rebuild(&world, false).unwrap();
    assert_eq!(seat(&left, "ada").verb, Verb::Leave);
    assert!(left.notes.iter().any(|note| note.contains("--abandon-old")), "{:?}", left.notes);
    let given_up = rebuild(&world, true).unwrap();
    assert_eq!(seat(&given_up, "ada").verb, Verb::Create);
    assert_ne!(seat(&given_up, "ada").vmid, Some(old), "the old number is not used again");
}

#[test]
fn a_half_made_clone_is_removed_and_a_vanished_machine_forgotten() {
    let mut world = standing();
    broken_off_after(&mut world, "ada", StepName::Reserve);
    world.guest_of("ada").lock = Some("clone".into());
    world.observed.remove(&world.vmid("ada"));
    world.vanish("grace");
    let plan = destroy(&world, &["ada", "grace"]).unwrap();
    assert_eq!(seat(&plan, "ada").steps, [StepName::Destroy]);
    assert_eq!((seat(&plan, "grace").verb, seat(&plan, "grace").steps.len()), (Verb::Remove, 0));
}

fn check(world: &World, seats: &[&str]) -> Result<Plan, Vec<Problem>> {
    let seats: Vec<SeatName> = seats.iter().map(|s| s.parse().unwrap()).collect();
    world.with(|input| plan_deed(input, &seats, Deed::Check))
}

#[test]
fn a_check_repeats_the_roll_call_and_starts_nothing() {
    let mut world = standing();
    world.guest_of("grace").power = Power::Stopped;
    let plan = check(&world, &[]).unwrap();
    assert_eq!(verbs(&plan), ["teacher prove", "ada prove", "grace leave"]);
    assert_eq!(seat(&plan, "ada").steps, StepName::ROLL_CALL);
    assert_eq!(verbs(&check(&world, &["ada"]).unwrap()), ["ada prove"]);
    assert!(check(&World::new(), &[]).unwrap_err()[0].to_string().starts_with("cs101 has no machines to check"));
}

#[test]
fn a_machine_the_token_may_not_see_is_neither_removed_nor_forgotten() {
    let mut world = World::new();
    world.stand();
    let vmid = world.vmid("ada");
    world.vanish("ada");
    world.unseen.insert(vmid);
    let removal = world.with(|input| plan_destroy(input, &[])).unwrap();
    assert_eq!(seat(&removal, "ada").verb, Verb::Leave);
    assert!(removal.notes.iter().any(|note| note.contains("VM.Audit")), "{:?}", removal.notes);
    assert_eq!(seat(&world.deploy(), "ada").verb, Verb::Leave);
}
