//! Templates, clone mode and room.

use super::*;

#[test]
fn a_storage_that_differs_from_the_templates_makes_a_full_clone_and_says_why() {
    let mut world = World::new();
    for host in ["pve1", "pve2", "pve3"] {
        world.view.storages.push(storage("bulk", host, true));
    }
    world.class.machine.storage = Some("bulk".into());
    let plan = world.deploy();
    let source = seat(&plan, "ada").source.clone().unwrap();
    assert_eq!((source.linked, source.storage.as_deref(), source.bytes), (false, Some("bulk"), 8 << 30));
    assert!(seat(&plan, "ada").why.ends_with("full clone: storage is bulk and the template's scsi0 lies on fast"));
    assert_eq!(plan.room, [("bulk".to_owned(), 24 << 30)]);
}

#[test]
fn storage_and_format_that_match_the_template_are_not_sent() {
    let mut world = World::new();
    world.class.machine.storage = Some("fast".into());
    world.class.machine.format = Some("qcow2".into());
    let source = seat(&world.deploy(), "ada").source.clone().unwrap();
    assert!(source.linked && source.storage.is_none() && source.format.is_none());
}

#[test]
fn a_template_that_cannot_be_linked_is_copied_under_auto_and_refused_under_linked() {
    let mut world = World::new();
    world.templates[0].linked = false;
    let plan = world.deploy();
    assert!(!seat(&plan, "ada").source.as_ref().unwrap().linked);
    assert!(seat(&plan, "ada").why.ends_with("full clone: fast cannot make linked clones"));
    world.class.clone = CloneMode::Linked;
    assert!(world.refusal()[0].starts_with("clone = \"linked\" is not possible for ubuntu-22.04"));
}

#[test]
fn linked_with_another_storage_is_refused_with_the_way_out() {
    let mut world = World::new();
    world.class.clone = CloneMode::Linked;
    world.class.machine.storage = Some("local".into());
    assert_eq!(
        world.refusal(),
        ["clone = \"linked\" keeps the disks of ubuntu-22.04, but storage is local and the template's scsi0 lies on \
          fast; take storage and format out of the definition, or set clone = \"full\""]
    );
}

#[test]
fn where_storage_is_local_each_node_clones_its_own_template() {
    let mut world = World::new();
    world.templates.clear();
    world.view.guests.clear();
    world.add_template(template(9000, "pve1", "local"));
    world.add_template(template(9001, "pve2", "local"));
    let plan = world.deploy();
    for seat in &plan.seats {
        let source = seat.source.as_ref().unwrap();
        assert_eq!(source.node, seat.node);
        assert!(!source.storage_shared);
    }
    let reason = "template ubuntu-22.04 lies on pve1, on local, which is not shared".to_owned();
    assert_eq!(plan.skipped_nodes, [(NodeName::new("pve3"), reason)]);
}

#[test]
fn a_missing_template_is_answered_with_the_nearest_name_and_the_list() {
    let mut world = World::new();
    world.class.template = TemplateRef::Name("ubuntu-22.40".into());
    assert_eq!(
        world.refusal(),
        ["site campus has no template ubuntu-22.40; did you mean ubuntu-22.04? it has ubuntu-22.04 (9000)"]
    );
    world.class.template = TemplateRef::Name("windows".into());
    assert_eq!(world.refusal(), ["site campus has no template windows; it has ubuntu-22.04 (9000)"]);
    world.class.template = TemplateRef::Vmid(Vmid::new(100).unwrap());
    world.view.guests.push(guest(100, "pve2"));
    assert!(world.refusal()[0].starts_with("100 (vm-100) on pve2 is a machine, not a template"));
}

#[test]
fn two_templates_of_one_name_on_one_node_are_ambiguous() {
    let mut world = World::new();
    world.add_template(template(9001, "pve1", "fast"));
    assert_eq!(
        world.refusal(),
        ["template ubuntu-22.04 is ambiguous: 9000 and 9001 on pve1 are both called so; \
          write the number of one of them: template = 9000"]
    );
}

#[test]
fn a_storage_without_room_says_what_is_left_and_what_is_needed() {
    let mut world = World::new();
    world.class.clone = CloneMode::Full;
    for row in world.view.storages.iter_mut().filter(|row| row.storage.as_str() == "fast") {
        row.used = row.total - (19 << 30);
    }
    assert_eq!(
        world.refusal(),
        ["storage fast has 19 GiB left and 3 new machines need 24 GiB; \
          free space on fast, or set another storage in the definition"]
    );
}

#[test]
fn a_full_local_storage_sends_machines_to_another_node() {
    let mut world = World::new();
    world.class.clone = CloneMode::Full;
    world.class.machine.storage = Some("local".into());
    world.templates.clear();
    world.view.guests.clear();
    for (vmid, host) in [(9000, "pve1"), (9001, "pve2"), (9002, "pve3")] {
        world.add_template(template(vmid, host, "fast"));
    }
    for row in &mut world.view.storages {
        if row.storage.as_str() == "local" && row.node.as_str() == "pve2" {
            row.used = row.total;
        }
    }
    let plan = world.deploy();
    assert!(plan.seats.iter().all(|seat| seat.node.as_str() != "pve2"));
    assert!(plan.skipped_nodes[0].1.starts_with("local has 0 KiB left"), "{:?}", plan.skipped_nodes);
}

#[test]
fn an_unknown_storage_or_node_is_refused_with_what_there_is() {
    let mut world = World::new();
    world.class.machine.storage = Some("ssd".into());
    world.class.placement.nodes = vec![NodeName::new("pve9")];
    let problems = world.refusal();
    assert!(problems.contains(&"site campus has no storage ssd; for VM disks it has fast, local".to_owned()));
    assert!(problems[0].starts_with("placement.nodes names pve9"), "{problems:?}");
}

#[test]
fn what_a_template_lacks_for_the_roll_call_is_told_before_the_yes() {
    let mut world = World::new();
    world.templates[0].agent = false;
    world.templates[0].cloud_init = false;
    let notes = world.deploy().notes;
    assert!(notes[0].contains("has the guest agent off") && notes[1].contains("has no cloud-init drive"));
    world.class.cloud_init.ip = Some(IpSource::Range {
        first: "10.1.0.20".parse().unwrap(),
        last: "10.1.0.60".parse().unwrap(),
        prefix: 24,
        gateway: None,
    });
    assert!(world.refusal()[0].contains("so cloud_init.ip reaches nobody; add one with `qm set 9000"));
}

#[test]
fn too_many_students_and_too_little_memory_are_refused() {
    let mut world = World::new();
    world.class.students = Students::Count(51);
    assert!(world.refusal()[0].starts_with("cs101 has 51 students and site campus takes 50"));
    world.class.students = Students::Count(2);
    world.class.machine.memory = Some(Size::gib(65));
    let problem = &world.refusal()[0];
    assert!(problem.contains("teacher and 2 more") && problem.contains("the machine needs 65 GiB"), "{problem}");
}

#[test]
fn a_foreign_machine_of_the_same_name_is_never_doubled() {
    let mut world = World::new();
    let mut twin = guest(205, "pve1");
    twin.name = Some("cs101-ada".into());
    world.view.guests.push(twin);
    let begin = |world: &World| world.refusal()[0].split("; ").next().unwrap().to_owned();
    assert_eq!(begin(&world), "cs101-ada (205 on pve1) is already there, not known to this store");
    let mut other = guest(206, "pve2");
    other.name = Some("cs101-grace".into());
    world.view.guests.push(other);
    for guest in &mut world.view.guests {
        guest.tags = vec!["homeroom".into()];
    }
    assert_eq!(begin(&world), "cs101-ada (205 on pve1) and 1 more are already there, not known to this store");
}

#[test]
fn a_linked_clone_may_become_a_full_copy_only_where_all_of_them_would_fit_in_room_and_time() {
    let mut world = World::new();
    let allowed = |world: &World| {
        let plan = world.deploy();
        let fallback: Vec<bool> = plan.seats.iter().map(|seat| seat.source.as_ref().unwrap().full_fallback).collect();
        assert!(fallback.iter().all(|one| *one == fallback[0]), "{fallback:?}");
        assert!(plan.seats.iter().all(|seat| seat.source.as_ref().unwrap().linked));
        fallback[0]
    };
    assert!(allowed(&world));
    world.class.rollcall.address_within = Duration::from_secs(120);
    assert!(!allowed(&world), "24 GiB are not copied in two minutes");
    world.class.rollcall.address_within = Duration::from_secs(1800);
    world.class.clone = CloneMode::Linked;
    assert!(!allowed(&world));
    world.class.clone = CloneMode::Auto;
    for row in world.view.storages.iter_mut().filter(|row| row.storage.as_str() == "fast") {
        row.used = row.total - (19 << 30);
    }
    assert!(!allowed(&world), "three copies of 8 GiB do not fit into 19");
}
