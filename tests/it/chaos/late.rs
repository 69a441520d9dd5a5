//! A clone whose answer was lost and that appears only after somebody has looked for it.

use std::time::Duration;

use homeroom::{
    domain::{event::RunState, plan::Verb},
    service::{
        deploy::{Outcome, Request as Ask, deploy},
        destroy::{Confirmation, destroy},
        plan::plan_destroy,
    },
    sim::{
        Fault, FaultKind, Scenario,
        api::{Caller, Params, Request},
    },
};

use crate::hand::{Disk, Habit, House, Over, house_lab};

const CLASS: &str = "kind = \"class\"\nname = \"cs101\"\nsite = \"sim\"\ntemplate = \"ubuntu-22.04\"\ncount = 1\n\
                     teacher = false\n[cloud_init]\nuser = \"student\"\n";

/// The clone's request, as it left the process that died.
fn asked(house: &House) -> Option<Params> {
    let lines = house.stage.journal();
    let line = lines.iter().find(|line| line.contains("/clone "))?;
    let params = line.split(' ').skip(3).collect::<Vec<_>>().join(" ");
    let pairs = params.split('&').filter_map(|pair| pair.split_once('='));
    Some(pairs.map(|(key, value)| (key.to_owned(), serde_json::from_str(value).unwrap())).collect())
}

/// A deploy that died with its clone's request on the wire; the request arrives so much later.
fn died(late: Duration) -> House {
    let house = House::new(&Scenario::default_world().unwrap(), 7, Habit::Good, Disk::new(false));
    house.define(CLASS);
    house.stage.world(|world| world.inject(Fault::every("POST /nodes/*/qemu/*/clone", FaultKind::Cut)));
    // It dies at the first point behind the request.
    let mut die_at = 1;
    while asked(&house).is_none() {
        let home = house.homeroom();
        let life = house.stage.live(Some(die_at), async {
            let Outcome::Begun(handle) = deploy(&home, &house_lab(), &Ask::default()).await.unwrap() else { return };
            let _ = handle.ended.await;
        });
        assert_eq!(life, Err(Over::Killed));
        die_at += 1;
    }
    house.stage.world(|world| world.faults.clear());
    let params = asked(&house).unwrap();
    house.stage.at(late, move |world| {
        let path = "/nodes/pve1/qemu/9000/clone".to_owned();
        let caller = Caller::Shell;
        world.submit(u64::MAX, Request { entry: "pve1".to_owned(), method: "POST".to_owned(), path, params, caller });
    });
    house
}

fn made(house: &House) -> Vec<u32> {
    house
        .stage
        .world(|world| world.guests.values().filter(|vm| vm.name().starts_with("cs101")).map(|vm| vm.vmid).collect())
}

#[test]
fn a_clone_that_appears_after_the_destroy_has_looked_is_removed_all_the_same() {
    let house = died(Duration::from_secs(20));
    assert!(made(&house).is_empty());
    let home = house.homeroom();
    let ended = house.stage.live(None, async {
        match destroy(&home, &house_lab(), &[], &Confirmation::default()).await.unwrap() {
            Outcome::Begun(handle) => handle.ended.await.unwrap().unwrap(),
            Outcome::NothingToDo(_) => panic!("nothing to do"),
        }
    });
    assert_eq!(ended, Ok(RunState::Done));
    house.stage.rest(Duration::from_secs(120));
    assert!(made(&house).is_empty(), "nothing is orphaned");
}

#[test]
fn a_clone_that_appears_beside_the_next_deploy_s_makes_no_second_machine() {
    for late in [0, 100, 300, 700, 5_000] {
        let house = died(Duration::from_millis(late));
        let home = house.homeroom();
        let ended = house.stage.live(None, async {
            match deploy(&home, &house_lab(), &Ask::default()).await.unwrap() {
                Outcome::Begun(handle) => handle.ended.await.unwrap().unwrap(),
                Outcome::NothingToDo(_) => panic!("nothing to do"),
            }
        });
        assert_eq!(ended, Ok(RunState::Done), "{late} ms late");
        house.stage.rest(Duration::from_secs(120));
        assert_eq!(made(&house).len(), 1, "{late} ms late: {:?}", made(&house));
    }
}

#[test]
fn a_machine_that_goes_while_a_plan_looks_at_it_is_gone_and_not_left_alone() {
    let house = House::new(&Scenario::default_world().unwrap(), 7, Habit::Good, Disk::new(false));
    house.define(CLASS);
    let home = house.homeroom();
    let deployed = house.stage.live(None, async {
        match deploy(&home, &house_lab(), &Ask::default()).await.unwrap() {
            Outcome::Begun(handle) => handle.ended.await.unwrap().unwrap(),
            Outcome::NothingToDo(_) => panic!("nothing to do"),
        }
    });
    assert_eq!(deployed, Ok(RunState::Done));
    let [vmid] = made(&house)[..] else { panic!("one machine") };
    // Listed, and gone when its settings are read.
    let slow = FaultKind::Slow { seconds: 2.0 };
    house.stage.world(|world| world.inject(Fault::first("GET /nodes/*/qemu/*/config", slow)));
    house.stage.at(Duration::from_secs(1), move |world| world.vanish(vmid));
    let planned = house.stage.live(None, async { plan_destroy(&home, &house_lab(), &[]).await.unwrap() }).unwrap();
    let said: Vec<_> = planned.plan.seats.iter().map(|seat| (seat.verb, seat.why.as_str())).collect();
    assert!(matches!(said[..], [(Verb::Remove, why)] if why.contains("no longer on the site")), "{said:?}");
}
