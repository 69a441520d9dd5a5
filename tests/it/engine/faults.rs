//! Requests that fail, answers that are lost, guests that stay silent.

use homeroom::{
    domain::{Change, Clean},
    sim::{Fault, FaultKind},
};
use serde_json::json;

use crate::support::lab::Lab;

const SEATS: [&str; 2] = ["ada", "grace"];
const CLONE: &str = "POST /nodes/*/qemu/*/clone";
const CONFIGURE: &str = "PUT /nodes/*/qemu/*/config";
const START: &str = "POST /nodes/*/qemu/*/status/start";

async fn duo(more: &str) -> Lab {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, more).await;
    lab
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_lost_on_the_wire_double_nothing() {
    let lab = duo("").await;
    for call in [CLONE, CONFIGURE, START] {
        lab.inject(Fault::first(call, FaultKind::Lost));
    }
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
    for call in ["POST /nodes/*/qemu/*/status/stop", "DELETE /nodes/*/qemu/*"] {
        lab.inject(Fault::first(call, FaultKind::Lost));
    }
    lab.destroy("duo").await.ends(0);
    assert_eq!(lab.made(), []);
    lab.is_tidy();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_never_come_are_not_waited_for_once_their_effect_is_seen() {
    let lab = duo("").await;
    for call in [CLONE, START] {
        lab.inject(Fault::first(call, FaultKind::Stall));
    }
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
    for call in ["POST /nodes/*/qemu/*/status/stop", "DELETE /nodes/*/qemu/*"] {
        lab.inject(Fault::first(call, FaultKind::Stall));
    }
    lab.destroy("duo").await.ends(0);
    assert_eq!(lab.made(), []);
    lab.is_tidy();
    // Whoever waits for a silent connection gives it up in the end, and tries again.
    let journal = lab.journal("duo").await;
    let again: Vec<_> =
        journal.iter().filter(|event| matches!(event.change, Change::StepRetry { .. })).map(|e| &e.message).collect();
    assert_eq!(again, Vec::<&Clean>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_never_arrive_are_sent_again() {
    let lab = duo("").await;
    for call in [CLONE, CONFIGURE, START] {
        lab.inject(Fault::first(call, FaultKind::Cut));
    }
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_whose_lock_is_busy_is_asked_again() {
    let lab = duo("").await;
    lab.inject(Fault::first(CLONE, FaultKind::StorageLock { storage: "fast".into(), seconds: 14.0 }));
    lab.inject(Fault::first(CONFIGURE, FaultKind::ConfigLock { seconds: 11.0 }));
    let ran = lab.run(&["deploy", "duo", "--yes", "--json"]).await.ends(0);
    assert!(ran.out.contains("(try 1 of 6), again as soon as there is room for it"), "{}", ran.out);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_never_comes_fails_its_seat_with_the_reason_and_no_other() {
    let lab = duo("[rollcall]\naddress_within = \"60s\"").await;
    let plan = lab.run(&["plan", "duo", "--json"]).await.object();
    lab.inject(Fault::every(START, FaultKind::AgentNever).on(plan["seats"][0]["vmid"].to_string()));
    let ran = lab.deploy("duo").await.ends(3);
    assert_eq!((&ran.object()["summary"]["ready"], &ran.object()["summary"]["failed"]), (&json!(1), &json!(1)));
    let status = lab.run(&["status", "duo", "--json"]).await.ends(3).object();
    assert_eq!((&status["machines"][0]["state"], &status["machines"][1]["state"]), (&json!("failed"), &json!("ready")));
    let reason = status["machines"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("no address within 60 s") && reason.contains("agent"), "{reason}");
    lab.holds("duo", &SEATS);

    // The guest's agent was put right by hand.
    lab.heal();
    let ada = lab.machine("duo", "ada").vmid;
    lab.cluster.world(|world| world.set_agent_silent(ada, false));
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_on_its_worst_day_ends_with_one_machine_for_each_seat() {
    let lab = Lab::start().await;
    let seats = ["ada", "grace", "linus", "margaret"];
    lab.class("duo", &seats, "[rollcall]\naddress_within = \"120s\"").await;
    let some = |chance, what| Fault { chance, ..Fault::every("* /nodes/**", what) };
    lab.inject(some(0.06, FaultKind::Lost));
    lab.inject(some(0.04, FaultKind::Cut));
    lab.inject(some(0.03, FaultKind::Truncate));
    lab.inject(some(0.04, FaultKind::Status { status: 596, reason: "Connection timed out".into() }));
    for _ in 0..3 {
        if lab.deploy("duo").await.code == 0 {
            break;
        }
    }
    lab.heal();
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &seats);
    lab.is_proven("duo").await;
}
