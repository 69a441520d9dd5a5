//! Definitions edited and machines changed by others.

use super::*;

#[test]
fn what_needs_no_stop_is_updated_in_place() {
    let mut world = standing();
    world.class.machine.tags = Some(vec!["cs".into()]);
    world.class.machine.onboot = Some(true);
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!(ada.verb, Verb::Update);
    assert_eq!(changes(ada), ["onboot: off -> on", "tags: homeroom -> cs;homeroom"]);
    assert_eq!(ada.steps[..2], [StepName::Configure, StepName::Address]);
    assert!(plan.refused(Consent::default()).is_empty());
}

#[test]
fn what_needs_a_stop_is_a_restart_and_asks_first() {
    let mut world = standing();
    let more = Override {
        machine: crate::domain::class::MachineSpec { memory: Some(Size::gib(8)), ..Default::default() },
        ..Default::default()
    };
    world.class.machines.insert("ada".parse().unwrap(), more);
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!(verbs(&plan), ["teacher keep", "ada restart", "grace keep"]);
    assert_eq!(changes(ada), ["memory: 2 GiB -> 8 GiB"]);
    assert_eq!(ada.steps[..3], [StepName::Stop, StepName::Configure, StepName::Start]);
    assert_eq!(plan.refused(Consent::default()).len(), 1);
    world.guest_of("ada").power = Power::Stopped;
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!((ada.verb, ada.steps[0], ada.steps[1]), (Verb::Update, StepName::Configure, StepName::Start));
}

#[test]
fn another_user_or_password_is_taken_up_at_a_start_and_so_needs_one() {
    let mut world = standing();
    world.class.cloud_init.user = Some("pupil".into());
    let plan = world.deploy();
    assert_eq!(seat(&plan, "ada").verb, Verb::Restart);

    let mut world = standing();
    world.class.cloud_init.password = Some(crate::domain::class::Password::Env("NEW".into()));
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!(ada.verb, Verb::Restart);
    assert_eq!(changes(ada), ["cipassword: not set -> from a variable"]);
}

#[test]
fn a_machine_that_grows_needs_the_room_for_it_on_its_node() {
    let mut world = standing();
    let before = world.deploy().memory_after;
    world.class.machine.memory = Some(Size::gib(8));
    let plan = world.deploy();
    let shares = |of: &[(NodeName, f64)]| of.iter().map(|(_, share)| *share).sum::<f64>();
    assert!(shares(&plan.memory_after) > shares(&before), "{:?} {before:?}", plan.memory_after);
    world.class.machine.memory = Some(Size::gib(900));
    let refusal = world.refusal();
    assert!(refusal[0].contains("teacher cannot grow on pve"), "{refusal:?}");
    assert!(refusal[0].contains("of memory not yet committed"), "{refusal:?}");
    world.class.machine.memory = None;
    world.class.machine.cores = Some(9);
    assert!(world.refusal()[0].contains("8 CPUs, the machine needs 9"), "{:?}", world.refusal());
}

/// What is committed on all nodes after a plan, in GiB.
fn committed(plan: &Plan) -> f64 {
    plan.memory_after.iter().map(|(_, share)| share * 64.0).sum()
}

#[test]
fn memory_that_machines_give_back_is_not_committed_afterwards() {
    let mut world = standing();
    let before = committed(&world.deploy());
    for row in ["teacher", "ada", "grace"] {
        assert_eq!(world.guest_of(row).memory, 4 << 30);
    }
    world.class.students = crate::domain::class::Students::Named(vec!["ada".parse().unwrap()]);
    let plan = world.deploy();
    assert_eq!((plan.count(Verb::Remove), committed(&plan)), (1, before - 4.0));

    let mut world = standing();
    for seat in ["teacher", "ada", "grace"] {
        world.facts_of(seat).config.insert("memory".into(), "4096".into());
        world.row(seat).lent = Default::default();
    }
    world.class.machine.memory = Some(Size::gib(1));
    let plan = world.deploy();
    assert_eq!((plan.count(Verb::Restart), committed(&plan)), (3, before - 9.0), "{plan:#?}");
}

#[test]
fn a_machine_made_anew_takes_what_the_definition_says_and_not_what_it_had() {
    let mut world = standing();
    let before = committed(&world.deploy());
    let seats = ["ada".parse().unwrap()];
    let again = |world: &World| {
        let rebuild = crate::domain::planning::Rebuild { seats: &seats, abandon: false };
        world.with(|input| plan_deploy(&crate::domain::planning::PlanInput { rebuild, ..*input })).unwrap()
    };
    assert_eq!(committed(&again(&world)), before - 2.0, "the template has 2 GiB");
    world.vanish("ada");
    assert_eq!(committed(&world.deploy()), before - 2.0);
}

#[test]
fn what_somebody_else_changed_and_the_definition_changes_too_is_named() {
    let mut world = standing();
    world.facts_of("ada").config.insert("cores".into(), "6".into());
    let more = Override {
        machine: crate::domain::class::MachineSpec { cores: Some(4), ..Default::default() },
        ..Default::default()
    };
    world.class.machines.insert("ada".parse().unwrap(), more);
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!((ada.verb, changes(ada)), (Verb::Restart, vec!["cores: 6 -> 4".to_owned()]));
    assert_eq!((ada.changes[0].drift, ada.changes[0].was.as_deref()), (false, Some("2")));
    // A check proves it as it was deployed, and holds nothing against it that somebody else changed.
    let check =
        world.with(|input| crate::domain::planning::plan_deed(input, &[], crate::domain::planning::Deed::Check));
    let check = check.unwrap();
    let ada = seat(&check, "ada");
    assert_eq!(changes(ada), ["cores: 6 -> 2"]);
    assert!(ada.changes[0].drift && ada.spec.machine.cores.is_none());
}

#[test]
fn another_secure_boot_is_a_replacement_and_not_passed_over() {
    let mut world = standing();
    world.class.machine.firmware = Some(crate::domain::class::Firmware::Uefi);
    world.facts_of("ada").config.insert("bios".into(), "ovmf".into());
    let disk = "fast:vm-disk-1,efitype=4m,pre-enrolled-keys=0,size=4M";
    world.facts_of("ada").config.insert("efidisk0".into(), disk.into());
    world.class.machine.secure_boot = Some(true);
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!(ada.verb, Verb::Replace, "{ada:#?}");
    assert!(changes(ada).contains(&"secure_boot: off -> on".to_owned()), "{:?}", changes(ada));
    world.facts_of("ada").config.insert("efidisk0".into(), disk.replace("keys=0", "keys=1"));
    assert!(!changes(seat(&world.deploy(), "ada")).iter().any(|change| change.contains("secure_boot")));
}

#[test]
fn a_machine_that_is_off_is_started_by_its_update_and_that_is_said() {
    let mut world = standing();
    world.class.machine.onboot = Some(true);
    world.guest_of("ada").power = Power::Stopped;
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!((ada.verb, ada.word()), (Verb::Update, "update"));
    assert_eq!(ada.why, "onboot; it is off and is started");
    assert_eq!(seat(&plan, "grace").why, "onboot");
}

#[test]
fn a_card_moved_to_another_bridge_needs_a_restart_and_keeps_its_mac() {
    let mut world = standing();
    world.class.machine.nic = vec![Nic { bridge: "vmbr1".into(), vlan: Some(101) }];
    let plan = world.deploy();
    assert_eq!(seat(&plan, "ada").verb, Verb::Restart);
    assert_eq!(
        changes(seat(&plan, "ada")),
        ["net0: virtio=BC:24:11:00:00:01,bridge=vmbr0 -> virtio=BC:24:11:00:00:01,bridge=vmbr1,tag=101"]
    );
}

#[test]
fn a_grown_disk_is_resized_in_place_without_a_stop() {
    let mut world = standing();
    world.class.machine.disk = Some(Size::gib(32));
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!((ada.verb, ada.steps[0]), (Verb::Update, StepName::Resize));
    assert_eq!(changes(ada), ["disk: 8 GiB -> 32 GiB"]);
}

#[test]
fn another_template_or_firmware_or_a_smaller_disk_replaces_only_with_a_yes() {
    let mut world = standing();
    world.add_template(crate::domain::cluster::TemplateView {
        name: "debian-12".into(),
        ..template(9001, "pve1", "fast")
    });
    world.class.template = TemplateRef::Name("debian-12".into());
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!((ada.verb, ada.vmid.unwrap().get()), (Verb::Replace, 9101));
    assert_eq!(changes(ada), ["template: ubuntu-22.04 (9000) -> debian-12"]);
    assert_eq!(ada.steps[..3], [StepName::Stop, StepName::Destroy, StepName::Clone]);
    assert_eq!(plan.refused(Consent { restart: true, remove: true, ..Consent::default() }).len(), 3);

    let mut world = standing();
    world.class.machine.firmware = Some(crate::domain::class::Firmware::Uefi);
    assert_eq!(world.deploy().count(Verb::Replace), 3);

    let mut world = World::new();
    world.class.machine.disk = Some(Size::gib(32));
    world.stand();
    for facts in world.observed.values_mut() {
        facts.config.insert("scsi0".into(), "fast:vm-disk-0,size=32G".into());
    }
    assert!(world.deploy().is_empty());
    world.class.machine.disk = Some(Size::gib(16));
    assert_eq!(world.deploy().count(Verb::Replace), 3);
}

#[test]
fn what_someone_else_changed_is_told_and_put_right_only_when_asked() {
    let mut world = standing();
    world.facts_of("ada").config.insert("tags".into(), "exam;homeroom".into());
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!(ada.verb, Verb::Keep);
    assert_eq!(changes(ada), ["tags: exam;homeroom -> homeroom"]);
    assert_eq!(ada.why, "ready; changed by someone else: tags, --fix-drift puts it right");
    world.fix_drift = true;
    assert_eq!(seat(&world.deploy(), "ada").verb, Verb::Update);
}

#[test]
fn a_disk_that_somebody_grew_or_moved_is_no_drift() {
    let mut world = World::new();
    world.class.machine.disk = Some(Size::gib(8));
    world.class.machine.storage = Some("fast".into());
    world.stand();
    world.facts_of("ada").config.insert("scsi0".into(), "bulk:vm-disk-0,size=64G".into());
    assert!(world.deploy().is_empty());
}
