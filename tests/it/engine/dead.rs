//! Workers that are killed in the middle of a clone or a removal: what they leave is locked for ever, and goes.

use homeroom::{
    domain::{Change, StepName},
    sim::{Fault, FaultKind},
};
use serde_json::json;

use crate::support::{lab::Lab, seen};

const SEATS: [&str; 2] = ["ada", "grace"];
const CLONE: &str = "POST /nodes/*/qemu/*/clone";
const DESTROY: &str = "DELETE /nodes/*/qemu/*";

async fn duo() -> Lab {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, "").await;
    lab
}

/// The number the plan gives to the first seat.
async fn first_number(lab: &Lab) -> String {
    lab.run(&["plan", "duo", "--json"]).await.object()["seats"][0]["vmid"].to_string()
}

fn shuts_out(lab: &Lab) {
    for node in ["pve1", "pve2", "pve3"] {
        lab.inject(Fault::every(&format!("SSH /nodes/{node}/ssh"), FaultKind::Cut));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_clone_left_is_cleared_and_cloned_anew_by_the_same_run() {
    let lab = duo().await;
    let ada = first_number(&lab).await;
    lab.inject(Fault::first(CLONE, FaultKind::Kill { seconds: 0.2 }).on(ada.clone()));
    let ran = lab.deploy("duo").await.ends(0);
    assert!(ran.out.contains(&format!("VM {ada} on ")) && ran.out.contains("is what a dead clone left"), "{}", ran.out);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
    assert_eq!(lab.machine("duo", "ada").vmid.to_string(), ada, "the number is used again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clone_whose_answer_was_lost_and_whose_worker_died_is_found_by_its_tasks_log() {
    let lab = duo().await;
    let ada = first_number(&lab).await;
    lab.inject(Fault::first(CLONE, FaultKind::Kill { seconds: 0.2 }).on(ada.clone()));
    lab.inject(Fault::first(CLONE, FaultKind::Stall).on(ada.clone()));
    let mut deploy = lab.spawn(&["deploy", "duo", "--yes"]);
    let locked = || lab.made().into_iter().find(|guest| guest.vmid.to_string() == ada);
    lab.until("the clone is dead", async || {
        let tasks = seen::tasks(&lab.cluster, "qmclone");
        locked().is_some_and(|guest| guest.lock.is_some()) && tasks.iter().any(|task| task.3 == "unexpected status")
    })
    .await;
    deploy.kill().await.unwrap();
    let journal = lab.journal("duo").await;
    let of_ada = journal.iter().filter(|event| event.seat.as_ref().is_some_and(|seat| seat.as_str() == "ada"));
    assert!(!of_ada.into_iter().any(|event| matches!(event.change, Change::TaskStarted { .. })), "no task is known");
    lab.heal();
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
}

/// A class of full copies, together a modelled minute or two, with the first one's worker killed after a second.
async fn killed_while_copying() -> (Lab, String) {
    let lab = Lab::start().await;
    lab.cluster.world(|world| world.set_bandwidth("bulk", 4.0 * 1_073_741_824.0 / 60_000.0));
    lab.apply(
        "kind = \"class\"\nname = \"duo\"\nsite = \"sim\"\ntemplate = \"debian-12\"\nstudents = [\"ada\", \"grace\"]\n\
         teacher = false\ncloud_init.user = \"student\"\n",
    )
    .await;
    let ada = first_number(&lab).await;
    lab.inject(Fault::first(CLONE, FaultKind::Kill { seconds: 4.0 }).on(ada.clone()));
    (lab, ada)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_outlives_its_worker_is_waited_for_and_its_disk_is_named() {
    let (lab, ada) = killed_while_copying().await;
    let ran = lab.deploy("duo").await.ends(0);
    assert!(ran.out.contains("its copy still writes"), "{}", ran.out);
    // The disk that the dead clone had not written down is nobody's: named, with what removes it.
    let left = seen::volumes(&lab.cluster, ada.parse().unwrap());
    let [orphan] = left.as_slice() else { panic!("{left:?}") };
    assert!(ran.out.contains(&format!("`pvesm free {orphan}` on ")), "{orphan}: {}", ran.out);
    lab.is_proven("duo").await;
    // What was said to remove it by hand never meets a living machine's.
    assert_ne!(lab.machine("duo", "ada").vmid.to_string(), ada);
    assert!(ran.out.contains(&format!("VMID {ada} is left to the disk that stayed there; using ")), "{}", ran.out);
    lab.destroy("duo").await.ends(0);
    let numbers = async |lab: &Lab| {
        let seats = lab.run(&["plan", "duo", "--json"]).await.object()["seats"].take();
        seats.as_array().unwrap().iter().map(|seat| seat["vmid"].to_string()).collect::<Vec<_>>()
    };
    assert!(!numbers(&lab).await.contains(&ada), "nor one of a later run");
    let (_, name) = orphan.split_once(':').unwrap();
    lab.cluster.world(|world| world.storages.get_mut("bulk").unwrap().volumes.remove(name).unwrap());
    assert!(numbers(&lab).await.contains(&ada), "removed by hand, its number is free");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_made_anew_leaves_its_number_to_the_disk_that_its_old_machine_left() {
    let lab = duo().await;
    lab.deploy("duo").await.ends(0);
    let ada = lab.machine("duo", "ada").vmid;
    let held = FaultKind::StorageLock { storage: "fast".into(), seconds: 25.0 };
    lab.inject(Fault::first(DESTROY, held).on(ada.to_string()));
    let ran = lab.run(&["rebuild", "duo/ada", "--yes"]).await.ends(0);
    let told = "volumes stayed on the site: `homeroom logs --run ";
    assert!(ran.out.lines().rev().take(2).any(|line| line.contains(told)), "at the end again: {}", ran.out);
    let left = seen::volumes(&lab.cluster, ada);
    assert!(
        !left.is_empty() && left.iter().all(|volume| ran.out.contains(&format!("`pvesm free {volume}` on "))),
        "{left:?}: {}",
        ran.out
    );
    assert_ne!(lab.machine("duo", "ada").vmid, ada);
    lab.is_proven("duo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destroy_waits_for_a_copy_that_outlives_its_worker() {
    let (lab, _) = killed_while_copying().await;
    let mut deploy = lab.spawn(&["deploy", "duo", "--yes"]);
    lab.until("the clone is dead", async || {
        seen::tasks(&lab.cluster, "qmclone").iter().any(|task| task.3 == "unexpected status")
    })
    .await;
    deploy.kill().await.unwrap();
    lab.heal();
    let ran = lab.destroy("duo").await.ends(0);
    assert!(ran.out.contains("its copy still writes") && ran.out.contains("`pvesm free "), "{}", ran.out);
    assert_eq!(lab.made(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destroy_clears_what_a_killed_clone_left() {
    let lab = duo().await;
    let ada = first_number(&lab).await;
    lab.inject(Fault::every(CLONE, FaultKind::Kill { seconds: 0.2 }).on(ada));
    lab.deploy("duo").await.ends(3);
    lab.heal();
    lab.destroy("duo").await.ends(0);
    assert_eq!(lab.made(), []);
    lab.is_tidy();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_last_of_many_killed_clones_left_is_cleared_and_never_put_into_the_pool() {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, "pool = \"lab\"").await;
    let ada = first_number(&lab).await;
    lab.inject(Fault::every(CLONE, FaultKind::Kill { seconds: 0.2 }).on(ada.clone()));
    let ran = lab.deploy("duo").await.ends(3);
    let made: Vec<String> = lab.made().into_iter().map(|guest| guest.vmid.to_string()).collect();
    assert!(!made.contains(&ada) && made.len() == 1, "{made:?}: {}", ran.out);
    assert!(ran.out.contains("1 machine put into pool lab"), "{}", ran.out);
    let status = lab.status("duo").await;
    let reason = status["machines"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("the clone's worker ended without a word"), "{reason}");
    lab.heal();
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_node_lets_us_in_the_command_is_told_and_the_machine_stays() {
    let lab = Lab::start().await;
    // The template is on pve1: so is a clone until it is whole.
    lab.class("duo", &SEATS, "[rollcall]\nprofile = \"off\"\n[placement]\nnodes = [\"pve2\"]").await;
    let ada = first_number(&lab).await;
    lab.inject(Fault::first(CLONE, FaultKind::Kill { seconds: 0.2 }).on(ada.clone()));
    shuts_out(&lab);
    lab.deploy("duo").await.ends(3);
    let status = lab.status("duo").await;
    let reason = status["machines"][0]["reason"].as_str().unwrap();
    assert!(reason.contains(&format!("then run `qm unlock {ada} && qm destroy {ada}` on pve1,")), "{reason}");
    // Nobody has seen whether the copy goes on: that is to be looked at first.
    assert!(reason.contains(&format!("`pgrep -af vm-{ada}-disk` on pve1 prints nothing")), "{reason}");
    assert_eq!(status["machines"][0]["state"], json!("failed"));
    assert_eq!((&status["machines"][0]["node"], &status["machines"][1]["node"]), (&json!("pve1"), &json!("pve2")));
    let left: Vec<_> = lab.made().into_iter().filter(|guest| guest.lock.as_deref() == Some("clone")).collect();
    assert_eq!(left.iter().map(|guest| guest.vmid.to_string()).collect::<Vec<_>>(), [ada]);
    // The way is open again.
    lab.heal();
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_machine_locked_by_a_clone_at_our_number_is_left_alone() {
    let lab = duo().await;
    lab.deploy("duo").await.ends(0);
    let ada = lab.machine("duo", "ada").vmid;
    // Ours goes unseen, and another tool's clone takes its number and dies.
    lab.cluster.world(|world| {
        let mut other = world.guests[&ada].clone();
        world.vanish(ada);
        other.config.remove("description");
        other.config.insert("name".into(), "db1".into());
        (other.run, other.lock, other.birth) = (None, Some("clone".into()), 0);
        world.guests.insert(ada, other);
    });
    lab.deploy("duo").await;
    let guest = seen::guests(&lab.cluster).into_iter().find(|guest| guest.vmid == ada).unwrap();
    assert_eq!((guest.name.as_str(), guest.lock.as_deref()), ("db1", Some("clone")));
    lab.destroy("duo").await;
    assert!(seen::guests(&lab.cluster).iter().any(|guest| guest.vmid == ada && guest.name == "db1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_whose_worker_died_is_seen_to_its_end() {
    let lab = duo().await;
    lab.deploy("duo").await.ends(0);
    let ada = lab.machine("duo", "ada").vmid.to_string();
    lab.inject(Fault::first(DESTROY, FaultKind::Kill { seconds: 0.05 }).on(ada));
    for _ in 0..2 {
        if lab.destroy("duo").await.code == 0 {
            break;
        }
    }
    assert_eq!(lab.made(), []);
    lab.is_tidy();
    assert!(lab.journal("duo").await.iter().any(|event| event.step == Some(StepName::Destroy)));
}
