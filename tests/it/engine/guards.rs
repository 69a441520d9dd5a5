//! What keeps a plan from doing more than was meant: whose machine a rollback takes, what a change may not replace,
//! what counts as drift, and what is said of it.

use homeroom::{
    domain::StepName,
    sim::{Fault, FaultKind},
};
use serde_json::json;

use crate::support::{lab::Lab, seen};

const SEATS: [&str; 2] = ["ada", "grace"];

async fn duo(more: &str) -> Lab {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, more).await;
    lab
}

fn tasks(lab: &Lab, kind: &str) -> usize {
    seen::tasks(&lab.cluster, kind).len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_takes_only_what_its_run_cloned_whatever_a_mark_says() {
    let lab = Lab::start().await;
    lab.class("duo", &["ada"], "").await;
    lab.deploy("duo").await.ends(0);
    let ada = lab.machine("duo", "ada");
    lab.class("duo", &SEATS, "").await;
    let run = lab.deploy("duo").await.ends(0).object()["summary"]["run"].to_string();
    // As if the number had been given twice: ada's mark names the run that made grace's machine only.
    let text = ada.config["description"].replace(&format!("run={}", ada.mark("run").unwrap()), &format!("run={run}"));
    assert_ne!(text, ada.config["description"]);
    lab.cluster.world(|world| world.edit_config(ada.vmid, "description", Some(&text)));
    let shown = lab.run(&["rollback", &run]).await.ends(4);
    assert!(shown.out.contains("grace") && !shown.out.contains("ada "), "{shown:#?}");
    lab.run(&["rollback", &run, "--yes", "--allow-remove"]).await.ends(0);
    assert_eq!(lab.made().len(), 1);
    assert_eq!(lab.machine("duo", "ada").birth, ada.birth);
    assert!(lab.machine("duo", "ada").running);
    lab.is_tidy();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_replaces_leaves_a_protected_machine_alone_and_says_how_to_go_on() {
    let lab = duo("[machine]\ndisk = \"12G\"").await;
    lab.deploy("duo").await.ends(0);
    let (ada, grace) = (lab.machine("duo", "ada"), lab.machine("duo", "grace"));
    lab.cluster.world(|world| world.edit_config(ada.vmid, "protection", Some("1")));
    lab.class("duo", &SEATS, "[machine]\ndisk = \"10G\"").await;
    let ran = lab.run(&["deploy", "duo", "--yes", "--allow-replace"]).await.ends(3);
    assert!(ran.out.contains(&format!("`qm set {} --protection 0`", ada.vmid)), "{ran:#?}");
    let now = lab.machine("duo", "ada");
    assert_eq!((now.birth, now.running, now.config["scsi0"].as_str()), (ada.birth, true, &*ada.config["scsi0"]));
    assert_ne!(lab.machine("duo", "grace").birth, grace.birth, "the other is made anew");
    assert!(ran.out.contains("ada is left alone"), "{ran:#?}");
    // A destroy refuses it as well.
    let ran = lab.run(&["destroy", "duo", "--yes"]).await.ends(3);
    assert!(ran.out.contains("protected"), "{ran:#?}");
    assert_eq!(lab.machine("duo", "ada").birth, ada.birth);
    lab.cluster.world(|world| world.edit_config(ada.vmid, "protection", None));
    lab.destroy("duo").await.ends(0);
    assert_eq!(lab.made(), []);
    lab.is_tidy();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starting_what_runs_unproven_ends_in_its_proofs_and_starts_nothing_twice() {
    let lab = duo("[rollcall]\naddress_within = \"60s\"").await;
    let plan = lab.run(&["plan", "duo", "--json"]).await.object();
    let ada = plan["seats"][0]["vmid"].to_string();
    let start = "POST /nodes/*/qemu/*/status/start";
    lab.inject(Fault::every(start, FaultKind::AgentNever).on(ada.clone()));
    lab.deploy("duo").await.ends(3);
    lab.heal();
    lab.cluster.world(|world| world.set_agent_silent(ada.parse().unwrap(), false));
    let (before, starts) = (lab.machine("duo", "ada"), tasks(&lab, "qmstart"));
    assert!(before.running);
    lab.run(&["start", "duo/ada", "--json"]).await.ends(0);
    assert_eq!(tasks(&lab, "qmstart"), starts, "it ran already");
    assert_eq!(lab.machine("duo", "ada"), before);
    lab.is_proven("duo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_growth_that_was_not_finished_is_no_drift_and_goes_on_without_a_flag() {
    let lab = duo("").await;
    lab.deploy("duo").await.ends(0);
    let births: Vec<u64> = lab.made().iter().map(|guest| guest.birth).collect();
    lab.class("duo", &SEATS, "[machine]\ndisk = \"12G\"").await;
    let words = FaultKind::Status { status: 500, reason: "no space left on device".into() };
    lab.inject(Fault::every("PUT /nodes/*/qemu/*/resize", words));
    lab.deploy("duo").await.ends(3);
    lab.heal();
    let plan = lab.run(&["plan", "duo"]).await.ends(0);
    assert!(plan.out.contains("12 GiB") && !plan.out.contains("someone else"), "{}", plan.out);
    lab.deploy("duo").await.ends(0);
    for guest in lab.made() {
        assert!(guest.config["scsi0"].contains("size=12G"), "{guest:#?}");
    }
    assert_eq!(lab.made().iter().map(|guest| guest.birth).collect::<Vec<_>>(), births);
    assert!(lab.journal("duo").await.iter().any(|event| event.step == Some(StepName::Resize)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_shut_down_as_asked_says_so_for_as_long_as_it_is_off() {
    let lab = duo("").await;
    lab.deploy("duo").await.ends(0);
    lab.run(&["stop", "duo/ada"]).await.ends(0);
    let of_ada = async || {
        let status = lab.status("duo").await;
        let machine = status["machines"][0].clone();
        (machine["state"].clone(), machine["reason"].clone())
    };
    let asked = (json!("stopped"), json!("shut down, as asked"));
    assert_eq!(of_ada().await, asked);
    // Every node has sent what is on it, and again.
    lab.until_modelled(lab.cluster.now() + 60_000).await;
    assert_eq!(of_ada().await, asked);
    assert!(!lab.machine("duo", "ada").running && lab.machine("duo", "grace").running);
    // A check of the whole lab does not start it.
    lab.run(&["check", "duo"]).await;
    assert_eq!(of_ada().await.0, json!("stopped"));
    assert!(!lab.machine("duo", "ada").running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_changed_is_shown_and_put_right_only_when_asked() {
    let lab = duo("[machine]\ncores = 1").await;
    lab.deploy("duo").await.ends(0);
    let ada = lab.machine("duo", "ada").vmid;
    lab.cluster.world(|world| world.edit_config(ada, "cores", Some("2")));
    let plan = lab.run(&["plan", "duo"]).await.ends(0);
    for words in ["1 of 2 machines were changed by someone else", "ada cores: 2 -> 1", "--fix-drift"] {
        assert!(plan.out.contains(words), "{words}: {}", plan.out);
    }
    lab.deploy("duo").await.ends(0);
    assert_eq!(lab.machine("duo", "ada").config["cores"], "2", "nobody asked for more");
    lab.run(&["deploy", "duo", "--yes", "--fix-drift"]).await.ends(4);
    assert_eq!(lab.machine("duo", "ada").config["cores"], "2", "it would need a stop");
    lab.run(&["deploy", "duo", "--yes", "--fix-drift", "--allow-restart"]).await.ends(0);
    assert_eq!(lab.machine("duo", "ada").config["cores"], "1");
    lab.is_proven("duo").await;
}
