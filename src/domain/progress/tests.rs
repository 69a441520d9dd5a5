//! What events add up to, told as sentences; and for any history, what must hold.

#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;
use crate::domain::Level;

const SEATS: [&str; 3] = ["teacher", "ada", "grace"];

fn event(run: i64, seq: u64, seat: Option<&str>, step: Option<StepName>, change: Change) -> Event {
    Event {
        at: Timestamp::from_second(1_000_000 * run + i64::try_from(seq).unwrap()).unwrap(),
        seq,
        run: RunId(run),
        lab: LabName::new("cs101").unwrap(),
        seat: seat.map(|seat| SeatName::new(seat).unwrap()),
        machine: None,
        step,
        level: Level::Info,
        message: Clean::new(format!("event {seq} of run {run}")),
        change,
    }
}

fn site() -> SiteName {
    SiteName::new("sim").unwrap()
}

fn started() -> Change {
    Change::RunStarted { kind: RunKind::Deploy, site: site(), owner: Clean::new("ada") }
}

fn planned(steps: &[StepName]) -> Change {
    Change::SeatPlanned { role: Role::Student, site: site(), steps: steps.to_vec() }
}

fn reserved() -> Change {
    Change::Reserved { node: NodeName::new("pve1"), vmid: Vmid::new(9101).unwrap() }
}

fn folded(events: &[Event]) -> Progress {
    let mut progress = Progress::new(LabName::new("cs101").unwrap());
    events.iter().for_each(|event| fold(&mut progress, event));
    progress
}

/// Anything that can happen to a seat, whether or not it makes sense there.
fn change() -> impl Strategy<Value = Change> {
    let took = Duration::from_secs(3);
    prop_oneof![
        Just(Change::Note),
        Just(planned(&StepName::CLASS)),
        Just(planned(&[StepName::Stop, StepName::Destroy])),
        Just(reserved()),
        (1u32..4).prop_map(|attempt| Change::StepStarted { attempt }),
        Just(Change::TaskStarted { upid: Clean::new("UPID:pve1:1") }),
        Just(Change::StepRetry { wait: Duration::from_secs(2), of: 5 }),
        Just(Change::StepDone { took }),
        Just(Change::StepSkipped),
        Just(Change::StepFailed { took }),
        (1u8..9).prop_map(|n| Change::AddressSeen { ip: IpAddr::from([10, 0, 0, n]) }),
        Just(Change::HostKeysSeen { keys: vec!["ssh-ed25519 AAAA".into()] }),
        Just(Change::PoolJoined { pool: "labs".into() }),
        Just(Change::SeatReady),
        Just(Change::SeatFailed),
        Just(Change::SeatStale),
        Just(Change::SeatStopped),
        Just(Change::SeatGone),
    ]
}

/// The events of up to three runs of one lab, in the order they were written.
fn history() -> impl Strategy<Value = Vec<Event>> {
    let line = (0..SEATS.len(), 0..StepName::CLASS.len(), change());
    let run = (prop::collection::vec(line, 0..25), any::<bool>());
    prop::collection::vec(run, 1..4).prop_map(|runs| {
        let mut events = Vec::new();
        for (id, (lines, ended)) in (1..).zip(runs) {
            let mut changes = vec![(None, None, started())];
            changes.extend(SEATS.map(|seat| (Some(seat), None, planned(&StepName::CLASS))));
            changes.extend(
                lines.into_iter().map(|(seat, step, change)| (Some(SEATS[seat]), Some(StepName::CLASS[step]), change)),
            );
            if ended {
                changes.push((None, None, Change::RunEnded { state: RunState::Done }));
            }
            events.extend((1..).zip(changes).map(|(seq, (seat, step, change))| event(id, seq, seat, step, change)));
        }
        events
    })
}

proptest! {
    #[test]
    fn a_reader_that_begins_again_before_its_place_ends_where_one_that_read_once_does(
        events in history(), stop in any::<prop::sample::Index>(), back in any::<prop::sample::Index>()
    ) {
        let whole = folded(&events);
        let stop = stop.index(events.len() + 1);
        let again = back.index(stop + 1);
        let mut progress = folded(&events[..stop]);
        events[again..].iter().for_each(|event| fold(&mut progress, event));
        prop_assert_eq!(progress, whole);
    }

    #[test]
    fn progress_that_was_stored_and_read_goes_on_as_if_it_had_not_been(
        events in history(), stop in any::<prop::sample::Index>()
    ) {
        let stop = stop.index(events.len() + 1);
        let stored = serde_json::to_string(&folded(&events[..stop])).unwrap();
        let mut progress: Progress = serde_json::from_str(&stored).unwrap();
        events[stop..].iter().for_each(|event| fold(&mut progress, event));
        prop_assert_eq!(progress, folded(&events));
    }

    #[test]
    fn an_event_changes_only_its_own_seat(events in history()) {
        let mut progress = Progress::new(LabName::new("cs101").unwrap());
        for event in &events {
            let before = progress.clone();
            fold(&mut progress, event);
            for row in before.seats.iter().filter(|row| Some(&row.seat) != event.seat.as_ref()) {
                prop_assert_eq!(progress.seat(&row.seat), Some(row));
            }
        }
    }
}

#[test]
fn what_a_broken_off_run_left_under_way_is_not_under_way_in_the_next() {
    let begun = |run, seq, step| event(run, seq, Some("ada"), Some(step), Change::StepStarted { attempt: 1 });
    let progress = folded(&[
        event(1, 1, None, None, started()),
        event(1, 2, Some("ada"), None, planned(&StepName::CLASS)),
        begun(1, 3, StepName::Address),
        event(2, 1, None, None, started()),
        event(2, 2, Some("ada"), None, planned(&[StepName::Stop, StepName::Destroy])),
        begun(2, 3, StepName::Stop),
        event(3, 1, None, None, started()),
        event(3, 2, Some("ada"), None, planned(&[StepName::Start, StepName::Ssh])),
        begun(3, 3, StepName::Start),
    ]);
    let ada = &progress.seats[0];
    assert_eq!(ada.current().map(|step| step.step), Some(StepName::Start));
    assert_eq!(ada.step(StepName::Address).map(|step| step.state), Some(StepState::Waiting));
    assert_eq!(ada.step(StepName::Stop), None);
}

#[test]
fn a_second_run_keeps_what_a_seat_owns_and_lets_its_steps_wait_again() {
    let done = |step, seq| event(1, seq, Some("ada"), Some(step), Change::StepDone { took: Duration::ZERO });
    let progress = folded(&[
        event(1, 1, None, None, started()),
        event(1, 2, Some("ada"), None, planned(&StepName::CLASS)),
        event(1, 3, Some("ada"), Some(StepName::Reserve), reserved()),
        event(1, 4, Some("ada"), Some(StepName::Clone), Change::StepStarted { attempt: 1 }),
        event(1, 5, Some("ada"), Some(StepName::Clone), Change::TaskStarted { upid: Clean::new("UPID:1") }),
        done(StepName::Configure, 6),
        event(2, 1, None, None, started()),
        event(2, 2, Some("ada"), None, planned(&[StepName::Clone, StepName::Ssh])),
    ]);
    let ada = progress.seat(&SeatName::new("ada").unwrap()).unwrap();
    assert_eq!((ada.vmid, ada.run), (Some(Vmid::new(9101).unwrap()), RunId(2)));
    let clone = ada.step(StepName::Clone).unwrap();
    assert_eq!((clone.state, clone.attempts, clone.run), (StepState::Waiting, 0, RunId(2)));
    assert_eq!(clone.upid, Some(Clean::new("UPID:1")), "the task may still be under way");
    assert_eq!(ada.step(StepName::Configure).unwrap().state, StepState::Ok, "not part of the second run");
}

#[test]
fn a_machine_that_is_made_anew_leaves_no_address_and_no_proof_behind() {
    let begun = |seq, step| event(2, seq, Some("ada"), Some(step), Change::StepStarted { attempt: 1 });
    let done = |seq, step| event(2, seq, Some("ada"), Some(step), Change::StepDone { took: Duration::ZERO });
    let anew = [StepName::Stop, StepName::Destroy, StepName::Clone, StepName::Configure, StepName::Address];
    let ip = IpAddr::from([10, 0, 0, 7]);
    let mut events = vec![
        event(1, 1, None, None, started()),
        event(1, 2, Some("ada"), None, planned(&StepName::CLASS)),
        event(1, 3, Some("ada"), Some(StepName::Address), Change::AddressSeen { ip }),
        event(1, 4, Some("ada"), None, Change::PoolJoined { pool: "labs".into() }),
        event(1, 5, Some("ada"), None, Change::SeatReady),
        event(2, 1, None, None, started()),
        event(2, 2, Some("ada"), None, planned(&anew)),
    ];
    assert_eq!(folded(&events).seats[0].ip, Some(ip), "nothing was done to it yet");
    events.push(begun(3, StepName::Stop));
    assert_eq!(folded(&events).seats[0].ip, None);
    events.extend([done(4, StepName::Stop), begun(5, StepName::Destroy), done(6, StepName::Destroy)]);
    let ada = folded(&events).seats.remove(0);
    assert_eq!((ada.ip, ada.proven_at, ada.pool), (None, None, None));
}

#[test]
fn a_machine_that_is_merely_restarted_keeps_its_address() {
    let ip = IpAddr::from([10, 0, 0, 7]);
    let progress = folded(&[
        event(1, 1, None, None, started()),
        event(1, 2, Some("ada"), None, planned(&StepName::CLASS)),
        event(1, 3, Some("ada"), Some(StepName::Address), Change::AddressSeen { ip }),
        event(2, 1, None, None, started()),
        event(2, 2, Some("ada"), None, planned(&[StepName::Stop, StepName::Start, StepName::Address])),
        event(2, 3, Some("ada"), Some(StepName::Stop), Change::StepStarted { attempt: 1 }),
    ]);
    assert_eq!(progress.seats[0].ip, Some(ip));
}

#[test]
fn a_machine_is_what_a_run_planned_once_all_that_makes_it_is_done() {
    let done = |run, seq, step| event(run, seq, Some("ada"), Some(step), Change::StepDone { took: Duration::ZERO });
    let change = [StepName::Configure, StepName::Resize, StepName::Address];
    let mut events = vec![
        event(1, 1, None, None, started()),
        event(1, 2, Some("ada"), None, planned(&[StepName::Clone, StepName::Configure, StepName::Address])),
        done(1, 3, StepName::Clone),
    ];
    assert_eq!(folded(&events).seats[0].brought, None);
    events.push(done(1, 4, StepName::Configure));
    assert_eq!(folded(&events).seats[0].brought, Some(RunId(1)));
    events.extend([
        event(2, 1, None, None, started()),
        event(2, 2, Some("ada"), None, planned(&change)),
        done(2, 3, StepName::Configure),
    ]);
    assert_eq!(folded(&events).seats[0].brought, Some(RunId(1)), "its disk is not grown yet");
    events.push(done(2, 4, StepName::Resize));
    assert_eq!(folded(&events).seats[0].brought, Some(RunId(2)));
}

#[test]
fn a_seat_that_is_gone_is_forgotten_and_can_come_back() {
    let mut events = vec![
        event(1, 1, None, None, started()),
        event(1, 2, Some("ada"), None, planned(&StepName::CLASS)),
        event(1, 3, Some("ada"), Some(StepName::Reserve), reserved()),
        event(1, 4, Some("ada"), None, Change::SeatGone),
    ];
    assert_eq!(folded(&events).seats, []);
    events.push(event(2, 1, None, None, started()));
    events.push(event(2, 2, Some("ada"), None, planned(&StepName::CLASS)));
    assert_eq!(folded(&events).seats[0].vmid, None, "the old machine's number is not its own");
}

#[test]
fn the_time_of_a_proof_outlives_what_takes_the_proof_away() {
    let ready = event(1, 3, Some("ada"), None, Change::SeatReady);
    let progress = folded(&[
        event(1, 1, None, None, started()),
        event(1, 2, Some("ada"), None, planned(&StepName::CLASS)),
        ready.clone(),
        event(1, 4, Some("ada"), None, Change::SeatStale),
    ]);
    let ada = &progress.seats[0];
    assert_eq!((ada.state, ada.proven_at), (MachineState::Stale, Some(ready.at)));
    assert_eq!(ada.reason.as_ref().map(Clean::as_str), Some("event 4 of run 1"));
}
