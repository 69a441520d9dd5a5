//! In which order seats come, by what the cluster was asked and when: on the hand-moved clock, to the millisecond.
//!
//! `engine/order.rs` looks at the same over sockets, in the cluster's task log.

use homeroom::{
    domain::{Change, StepName, event::RunState},
    service::deploy::{Outcome, Request, deploy},
    sim::Scenario,
};

use crate::hand::{Disk, Habit, House, house_lab};

const SEATS: [&str; 3] = ["ada", "grace", "linus"];

/// A class of three, deployed as asked.
fn deployed(more: &str) -> House {
    let house = House::new(&Scenario::default_world().unwrap(), 7, Habit::Good, Disk::new(false));
    house.define(&format!(
        "kind = \"class\"\nname = \"cs101\"\nsite = \"sim\"\ntemplate = \"ubuntu-22.04\"\nstudents = {SEATS:?}\n\
         teacher = false\n[cloud_init]\nuser = \"student\"\n{more}"
    ));
    let home = house.homeroom();
    let ended = house.stage.live(None, async {
        match deploy(&home, &house_lab(), &Request::default()).await.unwrap() {
            Outcome::Begun(handle) => handle.ended.await.unwrap().unwrap(),
            Outcome::NothingToDo(_) => panic!("nothing to do"),
        }
    });
    assert_eq!(ended, Ok(RunState::Done));
    house
}

/// When the cluster was asked for something of each seat's machine, in the order of the seats; milliseconds.
fn asked(house: &House, of: impl Fn(&str, u32) -> bool) -> Vec<Vec<u64>> {
    let vmid = |seat: &str| {
        let told = house.disk.told();
        let reserved = told.iter().filter(|event| event.seat.as_ref().is_some_and(|name| name.as_str() == seat));
        reserved
            .filter_map(|event| if let Change::Reserved { vmid, .. } = event.change { Some(vmid.get()) } else { None })
            .next_back()
            .unwrap()
    };
    let journal = house.stage.journal();
    let at = |line: &String| line.split(' ').next().unwrap().parse().unwrap();
    let times = |vmid| journal.iter().filter(|line| of(line, vmid)).map(at).collect();
    SEATS.iter().map(|seat| times(vmid(seat))).collect()
}

fn clones(house: &House) -> Vec<u64> {
    let asked = asked(house, |line, vmid| line.contains("/clone ") && line.contains(&format!("newid=\"{vmid}\"")));
    assert!(asked.iter().all(|times| times.len() == 1), "{asked:?}");
    asked.into_iter().flatten().collect()
}

fn starts(house: &House) -> Vec<u64> {
    asked(house, |line, vmid| line.contains(&format!("/qemu/{vmid}/status/start"))).into_iter().flatten().collect()
}

fn questions(house: &House) -> Vec<Vec<u64>> {
    asked(house, |line, vmid| line.contains(&format!("/qemu/{vmid}/agent/")))
}

fn pings(house: &House) -> Vec<Vec<u64>> {
    asked(house, |line, vmid| line.contains(&format!("/qemu/{vmid}/agent/ping")))
}

/// When each seat was ready, in milliseconds since the world began.
fn ready(house: &House) -> Vec<u64> {
    let told = house.disk.told();
    let of = |seat: &str| {
        let named = told.iter().filter(|event| event.seat.as_ref().is_some_and(|name| name.as_str() == seat));
        let at = named.filter(|event| matches!(event.change, Change::SeatReady)).map(|event| event.at).next().unwrap();
        u64::try_from(at.as_millisecond() - crate::hand::EPOCH * 1000).unwrap()
    };
    SEATS.iter().map(|seat| of(seat)).collect()
}

fn first(times: &[u64]) -> u64 {
    *times.first().unwrap()
}

fn last(times: &[u64]) -> u64 {
    *times.last().unwrap()
}

#[test]
fn strict_pings_three_times_over_thirty_seconds_one_machine_after_the_other() {
    let house = deployed("[rollcall]\nprofile = \"strict\"\nvia = \"api\"\n");
    let (questions, pings, ready) = (questions(&house), pings(&house), ready(&house));
    for seat in &pings {
        assert!(seat.len() == 3 && last(seat) - first(seat) >= 30_000, "{pings:?}");
    }
    for (before, next) in [(0, 1), (1, 2)] {
        assert!(first(&questions[next]) >= last(&questions[before]), "{questions:?}");
        assert!(first(&questions[next]) >= ready[before], "{questions:?} and ready {ready:?}");
    }
    // Only the roll call is called in order: making and starting them waits for nobody's proofs.
    assert!(starts(&house).iter().all(|start| *start < first(&pings[0])), "{:?} {pings:?}", starts(&house));
    let told = house.disk.told();
    let proofs = told.iter().filter(|event| event.step.is_some_and(StepName::is_proof));
    let mut seats: Vec<_> = proofs.map(|event| event.seat.as_ref().unwrap().to_string()).collect();
    seats.dedup();
    assert_eq!(seats, SEATS, "no line about a proof of one stands between those of another");
}

#[test]
fn sequential_asks_for_no_machine_before_the_one_before_it_is_ready() {
    let house = deployed("[rollout]\norder = \"sequential\"\n");
    let (clones, starts, ready) = (clones(&house), starts(&house), ready(&house));
    for (before, next) in [(0, 1), (1, 2)] {
        assert!(clones[next] >= ready[before] && starts[next] > clones[next], "{clones:?} {starts:?} {ready:?}");
    }
}

#[test]
fn staggered_asks_for_machines_a_delay_apart_and_waits_for_none_of_them() {
    let house = deployed("[rollout]\norder = \"staggered\"\ndelay = \"6s\"\n");
    let (clones, ready) = (clones(&house), ready(&house));
    for (before, next) in [(0, 1), (1, 2)] {
        let apart = clones[next] - clones[before];
        assert!((6_000..6_500).contains(&apart), "{clones:?}");
        assert!(clones[next] < ready[before], "{clones:?} {ready:?}");
    }
}

#[test]
fn parallel_asks_for_a_machine_before_the_one_before_it_stands() {
    let house = deployed("");
    let (clones, starts) = (clones(&house), starts(&house));
    assert!(clones[1] < starts[0] && clones[2] < starts[0], "{clones:?} {starts:?}");
}
