//! The rules of deploy, destroy and check, told as sentences over the fixture's small site.

use super::{
    fixture::{World, guest, node, now, storage, store, template},
    *,
};
use crate::domain::{
    Clean, MachineState, RunId, StepName, StepState,
    class::{CloneMode, IpSource, Nic, Override, Profile, RollCall, Students, TemplateRef},
    cluster::Power,
    event::RunKind,
    mark::Mark,
    plan::{Consent, SeatPlan},
    size::Size,
};

fn standing() -> World {
    let mut world = World::new();
    world.stand();
    world
}

fn students(world: &mut World, names: &[&str]) {
    world.class.students = Students::Named(names.iter().map(|s| s.parse().unwrap()).collect());
}

fn seat<'a>(plan: &'a Plan, name: &str) -> &'a SeatPlan {
    plan.seats.iter().find(|seat| seat.seat.as_str() == name).unwrap()
}

fn verbs(plan: &Plan) -> Vec<String> {
    plan.seats.iter().map(|seat| format!("{} {}", seat.seat, seat.verb.as_str())).collect()
}

fn changes(seat: &SeatPlan) -> Vec<String> {
    seat.changes.iter().map(|c| format!("{}: {} -> {}", c.field, c.from, c.to)).collect()
}

/// The journal of a seat ends behind `last`; it was never proven.
fn broken_off_after(world: &mut World, name: &str, last: StepName) {
    let row = world.row(name);
    row.state = MachineState::Working;
    row.proven_at = None;
    for step in row.steps.iter_mut().filter(|step| step.step > last) {
        step.state = StepState::Waiting;
    }
}

// --- a new class ---

#[test]
fn a_new_class_is_created_in_order_spread_and_linked() {
    let plan = World::new().deploy();
    assert_eq!(verbs(&plan), ["teacher create", "ada create", "grace create"]);
    let places: Vec<_> = plan.seats.iter().map(|s| format!("{} {}", s.node, s.vmid)).collect();
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

// --- templates, clone mode, room ---

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
          free space on fast, or set another storage, or clone = \"linked\" where the storage can"]
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
    assert!(world.refusal()[0].starts_with("a machine called cs101-ada is already there"));
}

// --- a standing class ---

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
    assert_eq!((seat(&plan, "lin").vmid.get(), seat(&plan, "joan").vmid.get()), (9103, 9104));
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
    assert_eq!((ada.verb, ada.vmid, &ada.node), (Verb::Resume, Vmid::new(9101).unwrap(), &home));
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
    assert_eq!(ada.why, "the run was broken off; deploy goes on from there");
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
    assert_eq!((ada.verb, ada.vmid.get()), (Verb::Create, 9101));
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
    assert_eq!((ada.verb, ada.vmid.get()), (Verb::Create, 9103));
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

// --- changes ---

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
    assert_eq!((ada.verb, ada.vmid.get()), (Verb::Replace, 9101));
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

// --- destroy ---

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
    assert_eq!(verbs(&plan), ["teacher leave", "ada leave", "grace remove"]);
    assert!(plan.seats.iter().all(|seat| seat.steps.is_empty()), "nothing may be done to any of them");
    assert!(plan.notes[1].contains("is protected and refused"), "{:?}", plan.notes);
    assert!(plan.notes[2].contains("is never removed"), "{:?}", plan.notes);
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

// --- check ---

fn check(world: &World, seats: &[&str]) -> Result<Plan, Vec<Problem>> {
    let seats: Vec<SeatName> = seats.iter().map(|s| s.parse().unwrap()).collect();
    world.with(|input| plan_check(input, &seats))
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

// --- the rest ---

#[test]
fn the_estimate_grows_with_copies_and_with_order() {
    let mut world = World::new();
    let linked = world.deploy().estimate.unwrap();
    assert_eq!(linked, Duration::from_secs(2 + 20 + 5));
    world.class.clone = CloneMode::Full;
    assert!(world.deploy().estimate.unwrap() > linked + Duration::from_secs(200));
    world.class.clone = CloneMode::Auto;
    world.class.rollout.order = crate::domain::class::Order::Sequential;
    assert_eq!(world.deploy().estimate, Some(Duration::from_secs(2 + 3 * 25)));
}

#[test]
fn applied_remembers_the_last_settings_and_the_template_they_were_cloned_from() {
    let world = World::new();
    let first = world.deploy();
    let mut second = first.clone();
    for seat in &mut second.seats {
        (seat.verb, seat.source) = (Verb::Update, None);
        seat.spec.machine.cores = Some(8);
    }
    let mut third = second.clone();
    third.seats.iter_mut().for_each(|seat| (seat.verb, seat.spec.machine.cores) = (Verb::Keep, None));
    let applied = applied([&first, &second, &third]);
    let ada = &applied[&"ada".parse::<SeatName>().unwrap()];
    assert_eq!(ada.spec.machine.cores, Some(8));
    assert_eq!(ada.template.as_ref().map(|(vmid, _)| vmid.get()), Some(9000));
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
        let ids: BTreeSet<u32> = plan.seats.iter().map(|seat| seat.vmid.get()).collect();
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
