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
    let mut scenario = Scenario::default_world().unwrap();
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

#[test]
fn a_deploy_takes_about_as_long_as_its_plan_says() {
    for (template, clone, count) in [
        ("ubuntu-22.04", "linked", 1),
        ("ubuntu-22.04", "linked", 20),
        ("ubuntu-22.04", "linked", 50),
        ("debian-12", "full", 11),
    ] {
        let house = house(template, clone, count);
        let home = house.homeroom();
        let planned = house.stage.live(None, async { plan_deploy(&home, &house_lab()).await.unwrap().plan });
        let said = planned.unwrap().estimate.unwrap().as_secs_f64();
        let took = deployed(&house);
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
