//! The stage itself: a deploy on it works, and is the same every time.

use homeroom::{
    domain::event::RunState,
    service::deploy::{Outcome, Request, deploy},
    sim::Scenario,
};

use crate::hand::{Disk, Habit, House, house_lab};

const CLASS: &str = r#"
kind = "class"
name = "cs101"
site = "sim"
template = "ubuntu-22.04"
count = 4
teacher = true

[cloud_init]
user = "student"
"#;

fn deployed(seed: u64) -> (Vec<String>, u64) {
    let house = House::new(&Scenario::default_world().unwrap(), seed, Habit::Good, Disk::new(false));
    house.define(CLASS);
    let home = house.homeroom();
    let state = house.stage.live(None, async {
        match deploy(&home, &house_lab(), &Request::default()).await.unwrap() {
            Outcome::Begun(handle) => handle.ended.await.unwrap().unwrap(),
            Outcome::NothingToDo(_) => panic!("nothing to do"),
        }
    });
    assert_eq!(state, Ok(RunState::Done));
    (house.stage.journal(), house.stage.now_ms())
}

#[test]
fn a_deploy_by_hand_ends_well_and_the_same_seed_asks_the_same_in_the_same_order() {
    let (first, _) = deployed(7);
    let (second, _) = deployed(7);
    for (n, (a, b)) in first.iter().zip(&second).enumerate() {
        assert_eq!(a, b, "request {n}");
    }
    assert_eq!(first.len(), second.len());
}
