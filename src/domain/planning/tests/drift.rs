//! What the definition leaves open, and what somebody else changed of it.

use super::*;

const CARD: &str = "virtio=BC:24:11:00:00:01,bridge=vmbr0";

fn change(world: &mut World, key: &str, value: &str) {
    world.facts_of("ada").config.insert(key.into(), value.into());
}

#[test]
fn a_setting_taken_out_of_the_definition_goes_back_to_what_the_template_lent() {
    let mut world = World::new();
    world.class.machine.memory = Some(Size::gib(4));
    world.class.machine.onboot = Some(true);
    world.class.machine.nic = vec![Nic { bridge: "vmbr1".into(), vlan: None }];
    world.class.cloud_init.nameserver = Some("10.1.0.1".into());
    world.stand();
    assert!(world.deploy().is_empty());
    world.class.machine = Default::default();
    world.class.cloud_init.nameserver = None;
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!(ada.verb, Verb::Restart);
    assert_eq!(
        changes(ada),
        [
            "memory: 4 GiB -> 2 GiB",
            "nameserver: 10.1.0.1 -> none",
            "net0: virtio=BC:24:11:00:00:01,bridge=vmbr1 -> virtio=BC:24:11:00:00:01,bridge=vmbr0",
            "onboot: on -> off",
        ]
    );
    assert!(ada.changes.iter().all(|change| !change.drift), "nobody but the definition did that");
    assert_eq!(plan.notes, Vec::<String>::new());
}

#[test]
fn what_cannot_go_back_is_said_and_stays() {
    let mut world = World::new();
    world.class.machine.cores = Some(4);
    world.class.machine.disk = Some(Size::gib(8));
    world.class.cloud_init.password = Some(crate::domain::class::Password::Generate);
    world.stand();
    world.progress.seats.iter_mut().for_each(|row| row.lent = Default::default());
    world.class.machine = Default::default();
    world.class.cloud_init.password = None;
    let plan = world.deploy();
    assert_eq!(plan.count(Verb::Keep), 3, "{plan:#?}");
    assert_eq!(
        plan.notes,
        [
            "kept though no longer in the definition: cores of teacher and 2 more; what the template had is not known",
            "kept though no longer in the definition: disk size of teacher and 2 more; only a rebuild makes one smaller",
            "kept though no longer in the definition: password of teacher and 2 more; what the template had cannot be read",
        ]
    );
}

#[test]
fn a_card_a_switch_and_cores_that_nobody_asked_for_are_drift_where_the_definition_is_silent() {
    for (key, value, told) in [
        (
            "net0",
            "virtio=BC:24:11:00:00:01,bridge=vmbr9",
            format!("net0: virtio=BC:24:11:00:00:01,bridge=vmbr9 -> {CARD}"),
        ),
        (
            "net0",
            "virtio=BC:24:11:00:00:FF,bridge=vmbr0",
            format!("net0: virtio=BC:24:11:00:00:FF,bridge=vmbr0 -> {CARD}"),
        ),
        (
            "net0",
            "e1000=BC:24:11:00:00:01,bridge=vmbr0",
            format!("net0: e1000=BC:24:11:00:00:01,bridge=vmbr0 -> {CARD}"),
        ),
        ("net1", "virtio=BC:24:11:00:00:02,bridge=vmbr0", "net1: virtio=BC:24:11:00:00:02,bridge=vmbr0 -> none".into()),
        ("protection", "1", "protection: on -> off".into()),
        ("onboot", "1", "onboot: on -> off".into()),
        ("cores", "8", "cores: 8 -> 2".into()),
    ] {
        let mut world = standing();
        change(&mut world, key, value);
        let plan = world.deploy();
        let ada = seat(&plan, "ada");
        assert_eq!((ada.verb, changes(ada)), (Verb::Keep, vec![told]));
        assert!(ada.changes[0].drift);
        world.fix_drift = true;
        let stops = !matches!(key, "protection" | "onboot");
        let verb = if stops { Verb::Restart } else { Verb::Update };
        assert_eq!(seat(&world.deploy(), "ada").verb, verb, "{key}");
    }
}

#[test]
fn a_card_asked_for_later_where_it_always_was_does_not_make_a_foreign_change_ones_own() {
    let mut world = standing();
    change(&mut world, "net0", "e1000=BC:24:11:00:00:FF,bridge=vmbr9");
    world.class.machine.nic = vec![Nic { bridge: "vmbr0".into(), vlan: None }];
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!(changes(ada), [format!("net0: e1000=BC:24:11:00:00:FF,bridge=vmbr9 -> {CARD}")]);
    assert!(ada.changes[0].drift && ada.verb == Verb::Keep, "{ada:#?}");
    // On another bridge it is the definition's doing; model and MAC are what they were.
    world.class.machine.nic = vec![Nic { bridge: "vmbr1".into(), vlan: None }];
    let plan = world.deploy();
    assert!(seat(&plan, "ada").changes[0].to == "virtio=BC:24:11:00:00:01,bridge=vmbr1");
    assert!(!seat(&plan, "ada").changes[0].drift);
}

#[test]
fn a_cable_pulled_or_a_firewall_set_is_put_right_without_a_stop() {
    let mut world = standing();
    change(&mut world, "net0", &format!("{CARD},firewall=1,link_down=1"));
    world.fix_drift = true;
    assert_eq!(seat(&world.deploy(), "ada").verb, Verb::Update);
    change(&mut world, "net0", &format!("{CARD},firewall=0"));
    assert!(world.deploy().is_empty(), "off is what it was");
}

#[test]
fn a_change_of_the_definition_restarts_nobody_for_what_somebody_else_changed() {
    let mut world = standing();
    change(&mut world, "memory", "8192");
    world.class.machine.onboot = Some(true);
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!((ada.verb, ada.why.as_str()), (Verb::Update, "onboot; changed by someone else and left so: memory"));
    assert!(!ada.steps.contains(&StepName::Stop));
    world.fix_drift = true;
    assert_eq!(seat(&world.deploy(), "ada").verb, Verb::Restart);
}

#[test]
fn firmware_that_somebody_changed_is_put_back_in_place_and_replaces_no_machine() {
    let mut world = standing();
    change(&mut world, "bios", "ovmf");
    world.fix_drift = true;
    let plan = world.deploy();
    assert_eq!(
        (seat(&plan, "ada").verb, changes(seat(&plan, "ada"))),
        (Verb::Restart, vec!["bios: ovmf -> seabios".into()])
    );
}

#[test]
fn a_lab_key_of_another_store_needs_a_start_or_a_new_key_and_is_told_apart() {
    let mut world = standing();
    change(&mut world, "sshkeys", "ssh-ed25519 AAAAother homeroom cs101");
    let plan = world.deploy();
    let ada = seat(&plan, "ada");
    assert_eq!(ada.verb, Verb::Restart);
    assert!(
        ada.why.ends_with("needs a stop, or `homeroom adopt campus --rekey cs101`, which needs none"),
        "{}",
        ada.why
    );
    let sshkeys = &ada.changes[0];
    assert!(sshkeys.from.starts_with("homeroom cs101 SHA256:") && sshkeys.to.starts_with("homeroom SHA256:"));
    assert!(sshkeys.from != sshkeys.to && !sshkeys.drift);
    // While the key is renewed, it is the one that goes.
    world.other_keys = vec!["ssh-ed25519 AAAAother homeroom cs101".to_owned()];
    assert!(world.deploy().is_empty(), "{:#?}", world.deploy());
}
