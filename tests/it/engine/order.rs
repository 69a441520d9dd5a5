//! In which order seats come, by the cluster's own task log; and the ways to the guests' agents.

use homeroom::{
    domain::{Change, StepName},
    sim::{Fault, FaultKind},
};

use crate::support::{lab::Lab, seen};

const SEATS: [&str; 3] = ["ada", "grace", "linus"];

async fn deployed(more: &str) -> Lab {
    let lab = Lab::start().await;
    lab.class("trio", &SEATS, more).await;
    lab.deploy("trio").await.ends(0);
    lab.holds("trio", &SEATS);
    lab
}

/// The kinds of the lab's tasks in the order they began.
fn kinds(lab: &Lab) -> Vec<String> {
    lab.cluster.world(|world| world.tasks.iter().map(|task| task.upid.kind.clone()).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequential_begins_a_machine_when_the_one_before_it_is_through() {
    let lab = deployed("[rollout]\norder = \"sequential\"").await;
    assert_eq!(kinds(&lab), ["qmclone", "qmstart", "qmclone", "qmstart", "qmclone", "qmstart"]);
    let started: Vec<String> = seen::tasks(&lab.cluster, "qmstart").into_iter().map(|task| task.0).collect();
    assert_eq!(started, SEATS.map(|seat| lab.machine("trio", seat).vmid.to_string()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_waits_for_no_machine() {
    let lab = deployed("").await;
    let clones = seen::tasks(&lab.cluster, "qmclone");
    assert!(clones[1].1 < clones[0].2.unwrap() + 1000, "{clones:?}");
    assert_eq!(&kinds(&lab)[..2], ["qmclone", "qmclone"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staggered_begins_machines_a_delay_apart() {
    let lab = Lab::start().await;
    lab.class("trio", &SEATS, "[rollout]\norder = \"staggered\"\ndelay = \"15s\"").await;
    let before = lab.cluster.now();
    lab.deploy("trio").await.ends(0);
    lab.holds("trio", &SEATS);
    // Counted from the run's beginning; the log counts whole seconds.
    for (place, task) in (0..).zip(seen::tasks(&lab.cluster, "qmclone")) {
        assert!(task.1 + 1000 >= before + 15_000 * place, "clone {place} began at {} after {before}", task.1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_calls_the_roll_of_one_machine_at_a_time() {
    let lab = deployed("[rollcall]\nprofile = \"strict\"\nvia = \"api\"").await;
    let journal = lab.journal("trio").await;
    let seat_of = |event: &homeroom::domain::Event| event.seat.as_ref().map(ToString::to_string).unwrap();
    let begun = journal.iter().filter(|event| {
        event.step.is_some_and(StepName::is_proof) && matches!(event.change, Change::StepStarted { .. })
    });
    let mut order: Vec<String> = begun.map(seat_of).collect();
    order.dedup();
    assert_eq!(order, SEATS);
    let settled = journal.iter().filter(|event| event.message.as_str().contains("3 answers in a row, settled 30 s"));
    assert_eq!(settled.count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_roll_call_machines_are_made_and_nothing_is_claimed() {
    let lab = Lab::start().await;
    lab.class("trio", &SEATS, "[rollcall]\nprofile = \"off\"").await;
    lab.deploy("trio").await.ends(0);
    lab.holds("trio", &SEATS);
    let status = lab.status("trio").await;
    let states: Vec<_> = status["machines"].as_array().unwrap().iter().map(|m| m["state"].clone()).collect();
    assert!(states.iter().all(|state| state == "stale"), "{states:?}");
    let tasks = kinds(&lab).len();
    lab.deploy("trio").await.ends(0);
    assert_eq!(kinds(&lab).len(), tasks, "a second deploy makes and starts nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_are_asked_over_the_api_alone_where_the_definition_says_so() {
    let lab = Lab::start().await;
    lab.class("trio", &SEATS, "[rollcall]\nvia = \"api\"\nssh = false").await;
    lab.inject(Fault::every("SSH /nodes/*/ssh", FaultKind::Cut));
    lab.deploy("trio").await.ends(0);
    lab.is_proven("trio").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_are_asked_over_the_nodes_ssh_where_nothing_else_is_said() {
    let lab = Lab::start().await;
    lab.class("trio", &SEATS, "[rollcall]\nssh = false\naddress_within = \"20s\"").await;
    lab.inject(Fault::every("SSH /nodes/*/ssh", FaultKind::Cut));
    lab.deploy("trio").await.ends(3);
    let status = lab.status("trio").await;
    let reason = status["machines"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("SSH") || reason.contains("ssh"), "{reason}");
    lab.heal();
    lab.deploy("trio").await.ends(0);
    lab.is_proven("trio").await;
}
