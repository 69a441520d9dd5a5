//! Fifty runs through failing requests, cut connections, lost answers, stalls, killed workers and nodes that go
//! and return, over real sockets.

use std::time::Duration;

use futures_util::future::join_all;
use homeroom::sim::{FaultKind, World};

use super::ground::{CLASS, Ground, KINDS, needed_no_hands};
use crate::chaos::weather::{self, Dice};

/// Runs with faults in all.
const RUNS: usize = 50;
/// Clusters at work at once.
const GROUNDS: usize = 10;

/// A node goes for some modelled time, or the majority does.
async fn blow(ground: &Ground, dice: &mut Dice) {
    let (from, back) = (dice.from(0, 20_000), dice.from(3_000, 40_000));
    let node = dice.pick(&["pve1", "pve2", "pve3"]);
    let majority = dice.chance(50);
    let set = |there: bool| {
        let change = |world: &mut World| {
            if majority { world.set_quorate(there) } else { world.set_node_online(node, there) }
        };
        ground.lab.cluster.world(change);
    };
    let now = ground.lab.cluster.now();
    let when = |span: u64| ground.lab.until_modelled(now + span);
    when(from).await;
    set(false);
    when(from + back).await;
    set(true);
}

async fn run(ground: &Ground, verb: &str, dice: &mut Dice) -> Vec<String> {
    let mut faults = weather::faults(dice);
    // A QEMU that hangs for ever is nobody's to reset but an admin's.
    faults.retain(|fault| fault.what != FaultKind::Hang);
    let words = format!("{faults:?}");
    faults.into_iter().for_each(|fault| ground.lab.inject(fault));
    let wish = [verb, CLASS, "--yes", "--json"];
    let ran = if dice.chance(25) {
        let (ran, ()) = tokio::join!(ground.lab.run_for(&wish, Duration::from_secs(400)), blow(ground, dice));
        ran
    } else {
        ground.lab.run_for(&wish, Duration::from_secs(400)).await
    };
    // Done, some machines failed, or refused or not to be planned while the cluster is not all there.
    assert!([0, 1, 2, 3, 4].contains(&ran.code), "{words}\n{ran:#?}");
    let mut said: Vec<String> = ran.out.lines().chain(ran.err.lines()).map(str::to_owned).collect();
    ground.lab.heal();
    for guest in ground.lab.made() {
        ground.lab.cluster.world(|world| {
            if let Some(run) = world.guests.get_mut(&guest.vmid).and_then(|vm| vm.run.as_mut()) {
                run.silent = false;
            }
        });
    }
    // Every node has sent what is on it.
    ground.lab.until_modelled(ground.lab.cluster.now() + 20_000).await;
    said.extend(ground.settle(verb).await);
    said
}

async fn weather_over(ground: Ground, seed: u64, runs: usize) {
    let mut dice = Dice::new(seed);
    let mut told = Vec::new();
    for verb in ["deploy", "destroy"].into_iter().cycle().take(runs) {
        let said = run(&ground, verb, &mut dice).await;
        needed_no_hands(&said);
        told.extend(said);
        if verb == "deploy" { ground.stands_but_for(&told).await } else { ground.is_empty_but_for(&told) }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; .ci/run runs it"]
async fn fifty_runs_in_bad_weather_over_sockets_leave_one_machine_per_seat_or_none() {
    let kinds = KINDS.iter().cycle().take(GROUNDS);
    let grounds = join_all(kinds.map(Ground::of)).await;
    let each = RUNS / GROUNDS;
    join_all(grounds.into_iter().zip(1..).map(|(ground, seed)| weather_over(ground, seed, each))).await;
}
