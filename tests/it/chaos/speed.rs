//! How fast a deploy is on the hand-moved clock: as the plan said, and not slower the second time.

use homeroom::{
    deploy::Tuning,
    domain::event::RunState,
    service::{
        deploy::{Outcome, Request, deploy},
        destroy::{Confirmation, destroy},
        plan::plan_deploy,
    },
    sim::Scenario,
};

use crate::hand::{Disk, Habit, House, house_lab};

fn house(template: &str, clone: &str, count: u32) -> House {
    house_in(Scenario::default_world().unwrap(), template, clone, count)
}

fn house_in(mut scenario: Scenario, template: &str, clone: &str, count: u32) -> House {
    scenario.guests.retain(|guest| guest.template);
    scenario.nodes.iter_mut().for_each(|node| node.memory_gib = 256);
    let house = House::new(&scenario, 7, Habit::Good, Disk::new(false));
    house.define(&format!(
        "kind = \"class\"\nname = \"cs101\"\nsite = \"sim\"\ntemplate = \"{template}\"\nclone = \"{clone}\"\n\
         count = {count}\nteacher = false\n[cloud_init]\nuser = \"student\"\n"
    ));
    house
}

/// Modelled seconds of a deploy.
fn deployed(house: &House) -> f64 {
    let (home, began) = (house.homeroom(), house.stage.now_ms());
    let ended = house.stage.live(None, async {
        match deploy(&home, &house_lab(), &Request::default()).await.unwrap() {
            Outcome::Begun(handle) => handle.ended.await.unwrap().unwrap(),
            Outcome::NothingToDo(_) => panic!("nothing to do"),
        }
    });
    assert_eq!(ended, Ok(RunState::Done));
    (house.stage.now_ms() - began) as f64 / 1000.0
}

fn destroyed(house: &House) {
    let home = house.homeroom();
    let ended = house.stage.live(None, async {
        match destroy(&home, &house_lab(), &[], &Confirmation::default()).await.unwrap() {
            Outcome::Begun(handle) => handle.ended.await.unwrap().unwrap(),
            Outcome::NothingToDo(_) => panic!("nothing to do"),
        }
    });
    assert_eq!(ended, Ok(RunState::Done));
    house.stage.rest(std::time::Duration::from_secs(60));
}

/// Seconds a deploy should take, as its plan says.
fn said(house: &House) -> f64 {
    let home = house.homeroom();
    let planned = house.stage.live(None, async { plan_deploy(&home, &house_lab()).await.unwrap().plan });
    planned.unwrap().estimate.unwrap().as_secs_f64()
}

/// A site whose storage and machines are several times slower than anybody would guess.
fn slow() -> Scenario {
    let mut scenario = Scenario::default_world().unwrap();
    scenario.physics.boot_seconds = 24.0;
    scenario.physics.address_seconds = 4.0;
    scenario.physics.cloud_init_seconds = 5.0;
    scenario.storages.iter_mut().for_each(|storage| storage.allocate_seconds = 2.5);
    scenario
}

#[test]
fn what_a_plan_says_of_a_slow_site_is_true_once_a_run_has_been_there() {
    for count in [3, 20] {
        let house = house_in(slow(), "ubuntu-22.04", "linked", count);
        let (guessed, first) = (said(&house), deployed(&house));
        assert!(guessed < first * 0.7, "{count}: said {guessed} s, took {first} s");
        destroyed(&house);
        let (known, second) = (said(&house), deployed(&house));
        assert!((0.85..1.15).contains(&(known / second)), "{count}: said {known} s, took {second} s");
    }
}

#[test]
fn a_deploy_takes_about_as_long_as_its_plan_says() {
    for (template, clone, count) in [
        ("ubuntu-22.04", "linked", 1),
        ("ubuntu-22.04", "linked", 20),
        ("ubuntu-22.04", "linked", 50),
        ("debian-12", "full", 11),
    ] {
        let house = house(template, clone, count);
        let (said, took) = (said(&house), deployed(&house));
        assert!((1.0 / 1.5..1.5).contains(&(said / took)), "{clone} {count}: said {said} s, took {took} s");
    }
}

/// Clones asked for before the first had ended, as the cluster saw them.
fn at_once(house: &House, from_task: usize) -> usize {
    house.stage.world(|world| {
        let clones: Vec<_> = world.tasks.iter().skip(from_task).filter(|task| task.upid.kind == "qmclone").collect();
        let first = clones.iter().filter_map(|task| Some(task.end.as_ref()?.0)).min().unwrap();
        clones.iter().filter(|task| (task.upid.pstart - 170_000) * 10 < first).count()
    })
}

#[test]
fn a_second_run_begins_with_as_many_clones_at_once_as_the_first_has_learned() {
    let house = house("ubuntu-22.04", "linked", 20);
    let first = deployed(&house);
    assert_eq!(at_once(&house, 0), Tuning::default().clones_per_shared_storage);
    destroyed(&house);
    let tasks = house.stage.world(|world| world.tasks.len());
    let second = deployed(&house);
    let begun = at_once(&house, tasks);
    assert!(begun > Tuning::default().clones_per_shared_storage, "{begun} clones at once");
    assert!(second < first * 1.05, "{second} s after {first} s");
}
