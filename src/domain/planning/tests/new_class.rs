//! A class that does not stand yet.

use super::*;

#[test]
fn a_new_class_is_created_in_order_spread_and_linked() {
    let plan = World::new().deploy();
    assert_eq!(verbs(&plan), ["teacher create", "ada create", "grace create"]);
    let places: Vec<_> = plan.seats.iter().map(|s| format!("{} {}", s.node, s.vmid.unwrap())).collect();
    assert_eq!(places, ["pve1 9100", "pve2 9101", "pve3 9102"]);
    let ada = seat(&plan, "ada");
    let source = ada.source.as_ref().unwrap();
    assert!(source.linked && source.storage.is_none() && source.storage_shared);
    assert_eq!((source.template.get(), source.node.as_str(), source.limit_storage.as_str()), (9000, "pve1", "fast"));
    assert_eq!(ada.name, "cs101-ada");
    assert_eq!(ada.steps.first(), Some(&StepName::Reserve));
    assert_eq!(ada.steps.last(), Some(&StepName::Ssh));
    assert!(ada.why.starts_with("pve2 scores 100: cpu 100 % free"), "{}", ada.why);
    assert!(!plan.is_empty() && plan.estimate.is_some() && plan.refused(Consent::default()).is_empty());
}

#[test]
fn the_same_input_gives_the_same_plan() {
    assert_eq!(World::new().deploy(), World::new().deploy());
}

#[test]
fn machines_go_where_the_plan_that_was_agreed_to_puts_them_while_there_is_room() {
    let mut world = World::new();
    let shown = world.deploy();
    let nodes = |plan: &Plan| plan.seats.iter().map(|seat| seat.node.to_string()).collect::<Vec<_>>();
    let again = |world: &World| world.with(|input| plan_deploy(&PlanInput { shown: Some(&shown), ..*input })).unwrap();
    // What was read a minute later would order the nodes differently.
    world.view.nodes[0].cpu = 0.5;
    assert_ne!(nodes(&world.deploy()), nodes(&shown));
    assert_eq!(nodes(&again(&world)), nodes(&shown));
    world.take_offline("pve3");
    assert!(!nodes(&again(&world)).contains(&"pve3".to_owned()));
}

#[test]
fn secure_boot_is_not_promised_where_the_template_has_no_keys_for_it() {
    let mut world = World::new();
    world.templates[0].enrolled = Some(false);
    world.class.machine.firmware = Some(crate::domain::class::Firmware::Uefi);
    assert_eq!(world.deploy().count(Verb::Create), 3);
    world.class.machine.secure_boot = Some(true);
    assert_eq!(
        world.refusal(),
        ["secure_boot = true, but ubuntu-22.04 has no Secure Boot keys in its EFI disk; its EFI disk is cloned as it \
          is: make a template with pre-enrolled-keys, or leave secure_boot out"]
    );
    world.templates[0].enrolled = Some(true);
    assert_eq!(world.deploy().count(Verb::Create), 3);
}

#[test]
fn machines_of_one_run_spread_by_cpu_even_where_memory_is_plenty() {
    let mut world = World::new();
    world.class.students = Students::Count(50);
    let plan = world.deploy();
    for node in ["pve1", "pve2", "pve3"] {
        assert_eq!(plan.seats.iter().filter(|s| s.node.as_str() == node).count(), 17);
    }
}

#[test]
fn memory_after_counts_what_the_plan_puts_on_each_node() {
    let plan = World::new().deploy();
    assert_eq!(plan.memory_after.len(), 3);
    assert!(plan.memory_after.iter().all(|(_, share)| (share - 2.0 / 64.0).abs() < 1e-9));
}

#[test]
fn an_offline_node_is_skipped_and_named() {
    let mut world = World::new();
    world.take_offline("pve3");
    let plan = world.deploy();
    assert_eq!(plan.skipped_nodes, [(NodeName::new("pve3"), "offline".to_owned())]);
    assert!(plan.seats.iter().all(|seat| seat.node.as_str() != "pve3"));
}

#[test]
fn a_disk_that_grows_brings_the_resize_step_and_a_smaller_one_is_refused() {
    let mut world = World::new();
    world.class.machine.disk = Some(Size::gib(8));
    assert!(!seat(&world.deploy(), "ada").steps.contains(&StepName::Resize));
    world.class.machine.disk = Some(Size::gib(32));
    assert!(seat(&world.deploy(), "ada").steps.contains(&StepName::Resize));
    world.class.machine.disk = Some(Size::gib(4));
    assert_eq!(
        world.refusal(),
        ["disk = \"4G\" is smaller than the 8 GiB of ubuntu-22.04; \
          disks are never shrunk: ask for at least as much, or leave disk out"]
    );
}

#[test]
fn with_the_roll_call_off_a_machine_is_done_when_it_is_started() {
    let mut world = World::new();
    world.class.rollcall = RollCall { profile: Profile::Off, ..RollCall::default() };
    assert_eq!(seat(&world.deploy(), "ada").steps.last(), Some(&StepName::Start));
}

#[test]
fn the_estimate_grows_with_copies_and_with_order() {
    let mut world = World::new();
    let linked = world.deploy().estimate.unwrap();
    assert!((20..30).contains(&linked.as_secs()), "{linked:?}");
    world.class.clone = CloneMode::Full;
    assert!(world.deploy().estimate.unwrap() > linked + Duration::from_secs(20));
    world.class.clone = CloneMode::Auto;
    world.class.rollout.order = crate::domain::class::Order::Sequential;
    assert!(world.deploy().estimate.unwrap() > linked * 2);
}

#[test]
fn memory_of_other_labs_that_are_stopped_is_kept_free() {
    let mut world = World::new();
    world.view.nodes = vec![node("pve1")];
    world.class.machine.memory = Some(Size::gib(16));
    world.commitments = vec![(NodeName::new("pve1"), Want { cpus: 0, memory: 32 << 30 })];
    assert!(world.refusal()[0].contains("no node can take grace"));
}

proptest::proptest! {
    #[test]
    fn whatever_is_taken_no_number_is_given_twice_and_nobody_standing_is_touched(
        taken in proptest::collection::btree_set(9100u64..9160, 0..40),
        kept in proptest::collection::btree_set(0usize..12, 0..12),
    ) {
        let mut world = World::new();
        world.class.students = Students::Count(12);
        let names: Vec<String> = (1..=12).map(|n| format!("student-{n:02}")).collect();
        for vmid in &taken {
            world.view.guests.push(guest(*vmid, "pve2"));
        }
        for n in &kept {
            world.stand_seat(&names[*n], 9200 + *n as u64, "pve3");
        }
        let plan = world.deploy();
        let ids: BTreeSet<u32> = plan.seats.iter().map(|seat| seat.vmid.unwrap().get()).collect();
        proptest::prop_assert_eq!(ids.len(), 13);
        proptest::prop_assert!(ids.iter().all(|id| !taken.contains(&u64::from(*id))));
        proptest::prop_assert_eq!(plan.count(Verb::Keep), kept.len());
        proptest::prop_assert_eq!(plan.count(Verb::Create), 13 - kept.len());
        proptest::prop_assert!(plan.seats.iter().all(|seat| seat.verb == Verb::Keep || seat.why.contains("scores")));
        proptest::prop_assert_eq!(plan.refused(Consent::default()).len(), 0);
    }
}

#[test]
fn outside_text_in_a_plan_is_clean() {
    let mut world = World::new();
    world.templates[0].name = Clean::new("ubuntu-22.04\u{1b}[31m");
    world.progress.seats.clear();
    assert!(now() > jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(seat(&world.deploy(), "ada").source.as_ref().unwrap().template_name.as_str(), "ubuntu-22.04");
}
