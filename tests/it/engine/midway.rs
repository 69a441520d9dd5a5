//! What befalls a site while a class is being deployed: a node goes, the majority is lost, another tool takes numbers.

use homeroom::{
    domain::{Change, StepName},
    sim::{Fault, FaultKind},
};

use crate::support::{lab::Lab, seen};

const SEATS: [&str; 6] = ["ada", "bob", "eve", "grace", "linus", "mary"];
const CLONE: &str = "POST /nodes/*/qemu/*/clone";

fn started(change: &Change) -> bool {
    matches!(change, Change::StepStarted { .. })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_goes_in_the_middle_costs_its_own_seats_alone_and_they_are_not_made_twice() {
    let lab = Lab::start().await;
    lab.class("six", &SEATS, "").await;
    let child = lab.spawn(&["deploy", "six", "--yes", "--json"]);
    // Its machines boot; the template and the API's first node are elsewhere.
    lab.until("one boots on pve3", async || {
        let begun = lab.journal("six").await;
        let boots = |seat: &str| {
            begun.iter().any(|event| {
                event.seat.as_ref().is_some_and(|s| s.as_str() == seat)
                    && event.step == Some(StepName::Start)
                    && started(&event.change)
            })
        };
        let there = seen::guests(&lab.cluster).into_iter().filter(|guest| guest.node == "pve3");
        there.into_iter().any(|guest| guest.name.strip_prefix("six-").is_some_and(boots))
    })
    .await;
    lab.cluster.world(|world| world.set_node_online("pve3", false));
    let away: Vec<_> = lab.made().into_iter().filter(|guest| guest.node == "pve3").collect();
    assert!(!away.is_empty() && away.len() < SEATS.len(), "{away:#?}");
    let ran = lab.end(child).await.ends(3);
    let status = lab.status("six").await;
    for machine in status["machines"].as_array().unwrap() {
        let there = machine["node"] == "pve3";
        assert_eq!(machine["state"], if there { "unknown" } else { "ready" }, "{machine:#}\n{}", ran.out);
    }
    // A deploy meanwhile makes no second ones.
    lab.run(&["deploy", "six", "--yes"]).await.ends(3);
    assert_eq!(lab.made().len(), SEATS.len());

    lab.cluster.world(|world| world.set_node_online("pve3", true));
    lab.deploy("six").await.ends(0);
    assert_eq!(lab.made().len(), SEATS.len());
    for seat in SEATS {
        let machine = lab.machine("six", seat);
        assert!(machine.running && machine.lock.is_none(), "{machine:#?}");
    }
    lab.is_proven("six").await;
    for old in away {
        assert!(lab.made().iter().any(|guest| guest.vmid == old.vmid), "{} stands under another number", old.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_majority_that_is_lost_in_the_middle_pauses_the_run_and_fails_no_seat() {
    let lab = Lab::start().await;
    lab.class("six", &SEATS, "").await;
    let child = lab.spawn(&["deploy", "six", "--yes", "--json"]);
    lab.until_written("six", StepName::Configure, started).await;
    lab.cluster.world(|world| world.set_quorate(false));
    lab.until("the run waits for the majority", async || {
        lab.journal("six").await.iter().any(|event| event.message.as_str().contains("quorum"))
    })
    .await;
    let paused = lab.made().len();
    assert!(!lab.journal("six").await.iter().any(|event| matches!(event.change, Change::RunEnded { .. })));
    lab.cluster.world(|world| world.set_quorate(true));
    let ran = lab.end(child).await.ends(0);
    assert!(!ran.out.contains("seat-failed"), "{}", ran.out);
    assert!(lab.made().len() >= paused);
    lab.holds("six", &SEATS);
    lab.is_proven("six").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_tool_that_takes_numbers_all_the_while_loses_nothing_and_neither_do_we() {
    let lab = Lab::start().await;
    lab.class("six", &SEATS, "").await;
    let plan = lab.run(&["plan", "six", "--json"]).await.object();
    let numbers: Vec<u32> =
        plan["seats"].as_array().unwrap().iter().map(|seat| seat["vmid"].as_u64().unwrap() as u32).collect();
    lab.inject(Fault::first(CLONE, FaultKind::Slow { seconds: 20.0 }));
    let child = lab.spawn(&["deploy", "six", "--yes"]);
    lab.until_written("six", StepName::Clone, started).await;
    // Every second number of the block, and the next ones behind it that the run would turn to.
    let last = *numbers.iter().max().unwrap();
    let taken: Vec<u32> = numbers.iter().copied().step_by(2).chain(last + 1..last + 4).collect();
    for (n, vmid) in taken.iter().enumerate() {
        let free = seen::guests(&lab.cluster).iter().all(|guest| guest.vmid != *vmid);
        assert!(free, "the clones are still on their way");
        let node = ["pve1", "pve2", "pve3"][n % 3];
        lab.cluster.world(|world| world.take_vmid(node, *vmid, &format!("terraform-{n}")));
    }
    let theirs = || -> Vec<_> {
        let all = seen::guests(&lab.cluster).into_iter();
        all.filter(|guest| guest.name.starts_with("terraform-")).collect()
    };
    let before = theirs();
    let ran = lab.end(child).await.ends(0);
    assert!(ran.out.matches("was taken by somebody else").count() >= SEATS.len() / 2, "{}", ran.out);
    assert_eq!(theirs(), before, "what is theirs is as it was");
    for seat in SEATS {
        assert!(!taken.contains(&lab.machine("six", seat).vmid));
    }
    assert_eq!(lab.made().len(), SEATS.len() + taken.len());
    lab.is_tidy();
    lab.is_proven("six").await;
    lab.destroy("six").await.ends(0);
    assert_eq!(lab.made(), before);
}
