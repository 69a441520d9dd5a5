//! What waits for its next try keeps nobody else waiting.

use homeroom::{
    deploy::Tuning,
    domain::event::RunState,
    service::{
        deploy::{Outcome, Request, deploy},
        plan::plan_deploy,
    },
    sim::{Fault, FaultKind, Scenario},
};

use crate::hand::{Disk, Habit, House, house_lab};

#[test]
fn others_are_cloned_while_one_waits_for_a_node_that_lets_nobody_in() {
    let mut house = House::new(&Scenario::default_world().unwrap(), 7, Habit::Good, Disk::new(false));
    // One clone at a time.
    house.tuning = Tuning { clones_per_shared_storage: 1, ..Tuning::default() };
    house.define(
        "kind = \"class\"\nname = \"cs101\"\nsite = \"sim\"\ntemplate = \"ubuntu-22.04\"\ncount = 2\nteacher = false\n\
         [cloud_init]\nuser = \"student\"\n[rollcall]\nvia = \"api\"\n",
    );
    let home = house.homeroom();
    let plan = house.stage.live(None, plan_deploy(&home, &house_lab())).unwrap().unwrap().plan;
    let [first, second] = [0, 1].map(|place| plan.seats[place].vmid.unwrap());
    house.stage.world(|world| {
        let killed = Fault::first("POST /nodes/*/qemu/*/clone", FaultKind::Kill { seconds: 0.2 });
        world.inject(killed.on(first.to_string()));
        world.inject(Fault::every("SSH /nodes/*/ssh", FaultKind::Cut));
    });
    let ended = house.stage.live(None, async {
        match deploy(&home, &house_lab(), &Request::default()).await.unwrap() {
            Outcome::Begun(handle) => handle.ended.await.unwrap().unwrap(),
            Outcome::NothingToDo(_) => panic!("nothing to do"),
        }
    });
    assert_eq!(ended, Ok(RunState::Failed));
    let journal = house.stage.journal();
    let asked = |of: &str| -> Vec<usize> {
        journal.iter().enumerate().filter(|(_, line)| line.contains(of)).map(|(at, _)| at).collect()
    };
    let (looks, second) = (asked(&format!("copies {first}")), asked(&format!("newid=\"{second}\"")));
    assert!(looks.len() > 1, "it is tried again: {looks:?}");
    assert!(second[0] < looks[1], "the second is cloned meanwhile: {looks:?}, {second:?}\n{}", journal.join("\n"));
}
