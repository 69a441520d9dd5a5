//! Runs that are asked to stop, and runs that meet.

use homeroom::{
    domain::{Change, StepName},
    sim::{Fault, FaultKind},
};
use serde_json::json;

use crate::support::lab::Lab;

const SEATS: [&str; 2] = ["ada", "grace"];

/// A deploy that waits for agents which do not come before `go_on`.
async fn waiting() -> (Lab, tokio::process::Child) {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, "").await;
    lab.inject(Fault::every("POST /nodes/*/qemu/*/status/start", FaultKind::AgentNever));
    let child = lab.spawn(&["deploy", "duo", "--yes", "--json"]);
    lab.until_written("duo", StepName::Address, |change| matches!(change, Change::StepStarted { .. })).await;
    (lab, child)
}

/// The agents speak, and the next deploy ends what was begun.
async fn goes_on(lab: &Lab) {
    lab.heal();
    let made = lab.made();
    for guest in &made {
        lab.cluster.world(|world| world.set_agent_silent(guest.vmid, false));
    }
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
    for old in made {
        assert_eq!(lab.made().iter().find(|new| new.vmid == old.vmid).map(|new| new.birth), Some(old.birth));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_deploy_says_so_and_the_next_goes_on() {
    let (lab, child) = waiting().await;
    let pid = rustix::process::Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ran = lab.end(child).await.ends(130);
    assert_eq!(ran.object()["summary"]["state"], "interrupted", "{ran:?}");
    assert_eq!(lab.run(&["runs", "--json"]).await.object()["runs"][0]["state"], "interrupted");
    let status = lab.run(&["status", "duo", "--json"]).await.ends(3).object();
    for machine in status["machines"].as_array().unwrap() {
        assert_ne!(machine["state"], "working", "nobody works on it: {machine:#}");
        let reason = machine["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("interrupted") && reason.contains("deploy goes on"), "{machine:#}");
    }
    assert_ne!(status["state"], "deploying");
    goes_on(&lab).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupt_sees_copies_under_way_to_their_end_and_begins_nothing_new() {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, "clone = \"full\"\n").await;
    let child = lab.spawn(&["deploy", "duo", "--yes", "--json"]);
    lab.until_written("duo", StepName::Clone, |change| matches!(change, Change::TaskStarted { .. })).await;
    let pid = rustix::process::Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    lab.end(child).await.ends(130);
    let made = lab.made();
    assert!(!made.is_empty());
    lab.cluster.world(|world| {
        for guest in &made {
            assert_eq!(world.guests[&guest.vmid].lock, None, "{} is still being copied", guest.vmid);
            assert!(world.guests[&guest.vmid].run.is_none(), "{} was started", guest.vmid);
        }
    });
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_cancelled_from_another_process_winds_down() {
    let (lab, child) = waiting().await;
    let run = lab.run(&["runs", "--json"]).await.object()["runs"][0]["run"].to_string();
    lab.run(&["cancel", &run]).await.ends(0);
    lab.end(child).await.ends(130);
    lab.run(&["cancel", &run]).await.ends(4);
    goes_on(&lab).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_run_on_the_lab_is_refused_and_told_by_whom_it_is_held() {
    let (lab, mut child) = waiting().await;
    for args in [["deploy", "duo", "--yes"], ["destroy", "duo", "--yes"]] {
        let refused = lab.run(&args).await.ends(4);
        assert!(refused.err.contains(&format!("process {}", child.id().unwrap())), "{refused:?}");
    }
    let status = lab.status("duo").await;
    assert_eq!((&status["state"], &status["machines"][0]["state"]), (&json!("deploying"), &json!("working")));
    child.kill().await.unwrap();
    goes_on(&lab).await;
}
