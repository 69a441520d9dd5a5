//! A definition that changes under standing machines.

use crate::support::lab::Lab;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_cores_for_a_running_machine_wait_for_the_leave_to_restart_it() {
    let lab = Lab::start().await;
    lab.class("duo", &["ada", "grace"], "[machine]\ncores = 1").await;
    lab.deploy("duo").await.ends(0);
    let (ada, grace) = (lab.machine("duo", "ada"), lab.machine("duo", "grace"));
    lab.class("duo", &["ada", "grace"], "[machine]\ncores = 1\n[machines.ada]\ncores = 2").await;
    let refused = lab.run(&["deploy", "duo", "--yes"]).await.ends(4);
    assert!(refused.err.contains("ada") && refused.err.contains("--allow-restart"), "{refused:?}");
    assert!(!refused.err.contains("grace"), "{refused:?}");
    assert_eq!(lab.machine("duo", "ada"), ada);

    lab.run(&["deploy", "duo", "--yes", "--allow-restart"]).await.ends(0);
    lab.holds("duo", &["ada", "grace"]);
    lab.is_proven("duo").await;
    let now = lab.machine("duo", "ada");
    assert_eq!((now.config["cores"].as_str(), now.birth), ("2", ada.birth));
    let effective = lab.cluster.world(|world| world.guests[&ada.vmid].run.as_ref().unwrap().config["cores"].clone());
    assert_eq!(effective, "2");
    assert_eq!(lab.machine("duo", "grace"), grace);
    lab.deploy("duo").await.ends(0);
}
