#![allow(clippy::unwrap_used)]
use std::time::Duration;

use jiff::SignedDuration;

use super::*;
use crate::domain::{
    Change, MachineState, RunId, SeatName, StepName, StepState,
    cluster::Power,
    event::{RunKind, RunState},
    planning::fixture::{World, now},
    progress::RunProgress,
};

const DAY: Duration = Duration::from_secs(12 * 3600);

fn world() -> World {
    let mut world = World::new();
    world.stand();
    world
}

/// How `ada` stands, with the reason.
fn ada(world: &World) -> (MachineState, String) {
    let row = world.progress.seats.iter().find(|row| row.seat.as_str() == "ada").unwrap();
    let stand = current_state(row, Look::of(&world.view, row), Hand::nobodys(&world.progress), now(), DAY);
    (stand.state, stand.reason.map(|r| r.to_string()).unwrap_or_default())
}

fn lab(world: &World, alive: bool) -> LabState {
    whole(world, alive).0
}

fn whole(world: &World, alive: bool) -> (LabState, Phase) {
    let hand = Hand::of(&world.progress, alive);
    let stand = |row| (row, current_state(row, Look::of(&world.view, row), hand, now(), DAY));
    let stands: Vec<_> = world.progress.seats.iter().map(stand).collect();
    let state = lab_state(&world.class.seats(), hand, stands.iter().map(|(row, stand)| (*row, stand)));
    (state, Phase::of(state, hand, stands.iter().map(|(_, stand)| stand)))
}

/// The newest run, which touched `ada` last.
fn run(world: &mut World, kind: RunKind, state: RunState) {
    let id = RunId(7);
    let owner = "mara".into();
    world.progress.run =
        Some(RunProgress { id, kind, state, owner, started_at: now(), ended_at: None, away: Duration::ZERO, seq: 1 });
    world.row("ada").run = id;
}

#[test]
fn a_proof_that_nothing_contradicts_is_ready() {
    assert_eq!(ada(&world()), (MachineState::Ready, String::new()));
}

#[test]
fn a_machine_that_is_off_is_stopped_and_one_that_was_is_stale() {
    let mut world = world();
    world.guest_of("ada").power = Power::Stopped;
    assert_eq!(ada(&world), (MachineState::Stopped, "stopped since its roll call at 11:00 UTC".into()));
    world.guest_of("ada").power = Power::Running;
    world.guest_of("ada").uptime = 60;
    assert_eq!(ada(&world), (MachineState::Stale, "restarted since its roll call at 11:00 UTC".into()));
}

#[test]
fn an_uptime_a_few_seconds_short_is_no_restart() {
    let mut world = world();
    world.guest_of("ada").uptime = 3600 - 40;
    assert_eq!(ada(&world).0, MachineState::Ready);
}

#[test]
fn a_broadcast_from_before_the_start_does_not_outweigh_a_fresh_proof() {
    let mut world = world();
    world.row("ada").proven_at = Some(now() - SignedDuration::from_secs(3));
    world.guest_of("ada").power = Power::Stopped;
    world.guest_of("ada").uptime = 0;
    assert_eq!(ada(&world).0, MachineState::Ready);
    world.guest_of("ada").power = Power::Unknown;
    assert_eq!(ada(&world).0, MachineState::Ready);
}

#[test]
fn a_machine_on_another_node_is_stale() {
    let mut world = world();
    let home = world.guest_of("ada").node.clone();
    let away = if home.as_str() == "pve3" { "pve1" } else { "pve3" };
    world.guest_of("ada").node = crate::domain::NodeName::new(away);
    assert_eq!(ada(&world), (MachineState::Stale, format!("moved from {home} to {away} since its roll call")));
}

#[test]
fn data_that_stays_away_makes_a_machine_stale() {
    let mut world = world();
    world.guest_of("ada").power = Power::Unknown;
    assert!(ada(&world).1.ends_with("sends no data about it"));
}

#[test]
fn an_old_proof_is_stale_and_says_how_old() {
    let mut world = world();
    world.row("ada").proven_at = Some(now() - SignedDuration::from_hours(13));
    world.guest_of("ada").uptime = 100_000;
    assert_eq!(ada(&world), (MachineState::Stale, "proven 13 h ago, a proof counts for 12 h".into()));
}

#[test]
fn a_node_that_does_not_answer_makes_its_machines_unknown_and_never_gone() {
    let mut world = world();
    let node = world.guest_of("ada").node.to_string();
    world.take_offline(&node);
    assert_eq!(ada(&world), (MachineState::Unknown, format!("{node} offline")));
    world.vanish("ada");
    assert_eq!(ada(&world).0, MachineState::Unknown);
    let row = world.row("ada").clone();
    let look = Look { guest: None, ours: None, node_online: false, offline_since: Some(now()), at: now() };
    let reason = current_state(&row, Some(look), Hand::nobodys(&world.progress), now(), DAY).reason;
    assert_eq!(reason.unwrap().as_str(), format!("{node} offline since 12:00 UTC"));
}

#[test]
fn a_machine_missing_from_a_complete_view_is_gone_but_not_without_quorum() {
    let mut world = world();
    let (vmid, node) = (world.vmid("ada"), world.guest_of("ada").node.clone());
    world.vanish("ada");
    assert_eq!(ada(&world), (MachineState::Gone, format!("no longer on the site (VMID {vmid} on {node})")));
    world.view.quorate = Some(false);
    assert_eq!(ada(&world).0, MachineState::Ready);
}

#[test]
fn a_machine_of_another_name_is_ours_or_another_by_its_mark_and_in_doubt_where_nobody_has_read_it() {
    let mut world = world();
    world.guest_of("ada").name = Some("db1".into());
    let stand = |world: &World, ours| {
        let row = world.progress.seats.iter().find(|row| row.seat.as_str() == "ada").unwrap();
        let look = Look::of(&world.view, row).map(|look| Look { ours, ..look });
        let stand = current_state(row, look, Hand::nobodys(&world.progress), now(), DAY);
        (stand.state, stand.reason.unwrap_or_default().to_string())
    };
    let renamed = |(state, reason): (MachineState, String)| {
        assert!(
            state == MachineState::Ready && reason.starts_with("renamed by someone else: it is called db1 "),
            "{reason}"
        );
    };
    // Our tag is on it.
    renamed(stand(&world, None));
    world.guest_of("ada").tags.clear();
    let (state, reason) = stand(&world, None);
    assert!(state == MachineState::Unknown && reason.ends_with("renamed, or another machine"), "{reason}");
    renamed(stand(&world, Some(true)));
    let (state, reason) = stand(&world, Some(false));
    assert!(state == MachineState::Gone && reason.ends_with("is another machine now (db1)"), "{reason}");
}

/// `ada` in the middle of its agent's proof, never proven before.
fn halfway(world: &mut World) {
    let row = world.row("ada");
    (row.state, row.proven_at) = (MachineState::Working, None);
    row.steps.iter_mut().find(|s| s.step == StepName::Agent).unwrap().state = StepState::Running;
}

#[test]
fn work_without_a_living_run_was_interrupted_and_given_up_work_was_cancelled() {
    let mut world = world();
    halfway(&mut world);
    for (state, word) in
        [(RunState::Running, "interrupted"), (RunState::Interrupted, "interrupted"), (RunState::Cancelled, "cancelled")]
    {
        run(&mut world, RunKind::Deploy, state);
        let next = if word == "cancelled" { "the next deploy plans anew" } else { "deploy goes on from there" };
        let reason = format!("deploy {word} at agent; {next}");
        assert_eq!(ada(&world), (MachineState::Failed, reason));
        assert_eq!(whole(&world, false).1.word(), word, "{state:?}");
        let row = world.row("ada").clone();
        let stand = current_state(&row, None, Hand::nobodys(&world.progress), now(), DAY);
        assert_eq!(stand.word(), word);
    }
    run(&mut world, RunKind::Deploy, RunState::Running);
    let row = world.row("ada").clone();
    let stand = current_state(&row, None, Hand::of(&world.progress, true), now(), DAY);
    assert_eq!((stand.state, stand.word()), (MachineState::Working, "working"));
    assert_eq!(whole(&world, true), (LabState::Deploying, Phase::Is(LabState::Deploying)));
}

#[test]
fn what_an_earlier_run_left_is_nobodys_work_while_a_later_one_is_at_work_elsewhere() {
    let mut world = world();
    halfway(&mut world);
    run(&mut world, RunKind::Check, RunState::Running);
    world.row("ada").run = RunId(6);
    let row = world.row("ada").clone();
    let stand = current_state(&row, None, Hand::of(&world.progress, true), now(), DAY);
    let reason = "run interrupted at agent; deploy goes on from there";
    assert_eq!((stand.word(), stand.reason.unwrap().as_str()), ("interrupted", reason));
    assert_eq!(whole(&world, true).1.word(), "checking");
}

#[test]
fn a_proven_machine_whose_check_was_interrupted_is_stale_and_no_failure() {
    let mut world = world();
    run(&mut world, RunKind::Check, RunState::Interrupted);
    world.row("ada").state = MachineState::Planned;
    assert_eq!(ada(&world), (MachineState::Stale, "roll call interrupted".into()));
    assert_eq!(whole(&world, false), (LabState::Partial, Phase::Cut(Cut::Interrupted)));
    world.guest_of("ada").power = Power::Stopped;
    assert_eq!(ada(&world).0, MachineState::Stopped);
}

#[test]
fn a_removal_that_was_interrupted_says_so_and_what_goes_on_with_it() {
    let mut world = world();
    run(&mut world, RunKind::Destroy, RunState::Interrupted);
    let mut event = crate::domain::timing::fixture::event(0, Some("ada"), Some(StepName::Destroy), Change::Note);
    (event.run, event.seq, event.at) = (RunId(7), 2, now());
    event.change = Change::StepStarted { attempt: 1 };
    crate::domain::progress::fold(&mut world.progress, &event);
    let reason = "removal interrupted at destroy; destroy goes on from there";
    assert_eq!(ada(&world), (MachineState::Failed, reason.into()));
    world.vanish("ada");
    world.view.at = now() + SignedDuration::from_secs(60);
    assert_eq!(ada(&world), (MachineState::Failed, reason.into()), "gone, as was asked, and not by itself");
    assert_eq!(whole(&world, false).1.word(), "interrupted");
}

#[test]
fn what_is_proven_is_ready_however_the_run_ended_that_proved_it() {
    let mut world = world();
    run(&mut world, RunKind::Deploy, RunState::Running);
    assert_eq!(whole(&world, false), (LabState::Ready, Phase::Is(LabState::Ready)));
}

#[test]
fn what_nobody_can_see_is_unknown_and_never_ready() {
    let unseen = Stand::new(MachineState::Ready, None).unseen("no answer");
    assert_eq!((unseen.word(), unseen.reason.unwrap().as_str()), ("unknown", "no answer"));
    let failed = Stand::so(MachineState::Failed, "clone failed");
    assert_eq!(failed.clone().unseen("no answer"), failed);
    let world = world();
    let hand = Hand::nobodys(&world.progress);
    let unseen = Stand::so(MachineState::Unknown, "no answer");
    let state = lab_state(&world.class.seats(), hand, world.progress.seats.iter().map(|row| (row, &unseen)));
    assert_eq!((state, Phase::of(state, hand, [&unseen]).word()), (LabState::Partial, "unknown"));
}

#[test]
fn a_lab_is_as_its_seats_are() {
    let mut world = World::new();
    assert_eq!(lab(&world, false), LabState::Absent);
    world.stand();
    assert_eq!(lab(&world, false), LabState::Ready);
    world.guest_of("ada").power = Power::Stopped;
    assert_eq!(lab(&world, false), LabState::Partial);
    for guest in &mut world.view.guests {
        guest.power = Power::Stopped;
    }
    assert_eq!(lab(&world, false), LabState::Stopped);
    world.row("ada").state = MachineState::Failed;
    assert_eq!(lab(&world, false), LabState::Failed);
    for seat in ["teacher", "ada", "grace"] {
        world.vanish(seat);
    }
    assert_eq!(lab(&world, false), LabState::Absent);
    let gone = Stand::so(MachineState::Gone, "no longer on the site");
    let hand = Hand::nobodys(&world.progress);
    assert_eq!(Phase::of(LabState::Absent, hand, [&gone]).word(), "gone", "it is not as if it had never been");
    assert_eq!(Phase::of(LabState::Absent, hand, []).word(), "defined");
}

#[test]
fn a_seat_added_to_the_definition_makes_a_ready_lab_partial() {
    let mut world = world();
    world.class.students =
        crate::domain::class::Students::Named(["ada", "grace", "lin"].map(|s| s.parse().unwrap()).to_vec());
    assert_eq!(lab(&world, false), LabState::Partial);
}

#[test]
fn a_machine_beside_the_definition_that_is_not_proven_makes_a_ready_lab_partial() {
    let mut world = world();
    world.class.students = crate::domain::class::Students::Named(["ada"].map(|s| s.parse().unwrap()).to_vec());
    assert_eq!(lab(&world, false), LabState::Ready, "proven, as the others are");
    world.row("grace").state = MachineState::Stale;
    assert_eq!(lab(&world, false), LabState::Partial);
    world.vanish("grace");
    assert_eq!(lab(&world, false), LabState::Ready, "what is gone stands nowhere");
}

#[test]
fn seats_that_share_an_identity_are_all_named() {
    let seats: Vec<SeatName> = ["a", "b", "c"].iter().map(|s| s.parse().unwrap()).collect();
    let keys = |key: &str| vec![format!("ssh-ed25519 {key}")];
    let (one, two, three) = (keys("K1"), keys("K2"), keys("K1"));
    let identity = |n: usize, ip: &str, id, host_keys| Identity {
        seat: &seats[n],
        ip: ip.parse().ok(),
        machine_id: Some(id),
        host_keys,
    };
    let found = duplicates(&[
        identity(0, "10.0.0.1", "m1\n", &one),
        identity(1, "10.0.0.1", "m2", &two),
        identity(2, "10.0.0.3", "m1", &three),
    ]);
    let lines: Vec<String> = found.iter().map(|(seat, why)| format!("{seat} {why}")).collect();
    assert_eq!(
        lines,
        [
            "a shares the address 10.0.0.1 with b",
            "a shares its machine-id with c; empty /etc/machine-id in the template",
            "a shares an SSH host key with c; remove /etc/ssh/ssh_host_* from the template",
            "b shares the address 10.0.0.1 with a",
            "c shares its machine-id with a; empty /etc/machine-id in the template",
            "c shares an SSH host key with a; remove /etc/ssh/ssh_host_* from the template",
        ]
    );
}
