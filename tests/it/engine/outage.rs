//! Nodes that go, machines that are stopped behind homeroom's back.

use serde_json::json;

use crate::support::lab::Lab;

const SEATS: [&str; 2] = ["ada", "grace"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_on_a_silent_node_are_unknown_and_are_not_made_again() {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, "").await;
    lab.deploy("duo").await.ends(0);
    let ada = lab.machine("duo", "ada");
    lab.cluster.world(|world| world.set_node_online(&ada.node, false));
    let status = lab.run(&["status", "duo", "--json"]).await.ends(3).object();
    assert_eq!(
        (&status["machines"][0]["state"], &status["machines"][1]["state"]),
        (&json!("unknown"), &json!("ready"))
    );
    assert!(status["machines"][0]["reason"].as_str().unwrap().contains(&ada.node), "{status:#}");
    let said = lab.run(&["deploy", "duo", "--yes"]).await;
    assert!(said.out.contains(&format!("{} is offline", ada.node)), "{said:?}");
    assert_eq!(said.code, 3, "{said:?}");
    assert_eq!(lab.made().len(), 2);
    let left = lab.run(&["destroy", "duo", "--yes"]).await;
    assert_eq!(lab.made().iter().map(|guest| guest.vmid).collect::<Vec<_>>(), [ada.vmid], "{left:?}");

    lab.cluster.world(|world| world.set_node_online(&ada.node, true));
    lab.deploy("duo").await.ends(0);
    lab.made().iter().find(|guest| guest.vmid == ada.vmid).unwrap();
    assert_eq!(lab.made().len(), 2);
    lab.is_proven("duo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_stopped_behind_our_back_fails_its_check_and_deploy_starts_it() {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, "").await;
    lab.deploy("duo").await.ends(0);
    let ada = lab.machine("duo", "ada");
    lab.cluster.world(|world| world.crash(ada.vmid));
    let ran = lab.run(&["check", "duo", "--json"]).await.ends(3);
    assert!(!lab.machine("duo", "ada").running, "a check starts nothing");
    let status = lab.status("duo").await;
    // The cluster's statistics lag behind and may still show it running: then it is stale.
    assert!(matches!(status["machines"][0]["state"].as_str(), Some("stopped" | "stale")), "{status:#} {}", ran.out);
    assert_eq!(status["machines"][1]["state"], "ready");
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
    assert_eq!(lab.machine("duo", "ada").birth, ada.birth);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_somebody_removed_is_made_again_and_only_that_one() {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, "").await;
    lab.deploy("duo").await.ends(0);
    let grace = lab.machine("duo", "grace");
    let ada = lab.machine("duo", "ada").vmid;
    lab.cluster.world(|world| world.vanish(ada));
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
    assert_eq!(lab.machine("duo", "grace"), grace);
}
