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
    assert_eq!(changes(ada), ["cipassword: none -> from a variable"]);
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
