//! Removals that die half-way: disks freed, or only a lock left of the configuration. What is ours is ended, what is
//! not proven ours is left alone and told of.

use homeroom::{
    domain::{Change, StepName},
    sim::{Fault, FaultKind},
};

use crate::support::{lab::Lab, seen};

const SEATS: [&str; 2] = ["ada", "grace"];
const DESTROY: &str = "DELETE /nodes/*/qemu/*";
/// Somebody else holds the file of users while the worker is killed: between the last disk and the configuration.
const HELD: FaultKind = FaultKind::AccessLock { seconds: 9.0 };
const KILLED: FaultKind = FaultKind::Kill { seconds: 5.0 };

async fn deployed(more: &str) -> (Lab, u32) {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, more).await;
    lab.deploy("duo").await.ends(0);
    let ada = lab.machine("duo", "ada").vmid;
    (lab, ada)
}

/// Whether nothing but the lock is left of the machine's settings.
fn is_hollow(lab: &Lab, vmid: u32) -> bool {
    let guest = lab.made().into_iter().find(|guest| guest.vmid == vmid);
    guest.is_some_and(|guest| guest.lock.as_deref() == Some("destroyed") && guest.config.is_empty())
}

fn removals_of(lab: &Lab, vmid: u32) -> Vec<String> {
    let of = |task: &(String, u64, Option<u64>, String)| task.0 == vmid.to_string();
    seen::tasks(&lab.cluster, "qmdestroy").into_iter().filter(of).map(|task| task.3).collect()
}

/// A destroy whose process dies when the worker of ada's removal has died half-way.
async fn died(lab: &Lab, ada: u32, answered: bool) {
    lab.inject(Fault::first(DESTROY, HELD).on(ada.to_string()));
    lab.inject(Fault::first(DESTROY, KILLED).on(ada.to_string()));
    if !answered {
        lab.inject(Fault::every(DESTROY, FaultKind::Stall).on(ada.to_string()));
    }
    // It is not to see to it at once.
    shut_out(lab);
    let mut destroy = lab.spawn(&["destroy", "duo/ada", "--yes"]);
    lab.until("the removal is dead", async || {
        removals_of(lab, ada).first().is_some_and(|end| end == "unexpected status") && is_hollow(lab, ada)
    })
    .await;
    destroy.kill().await.unwrap();
    lab.heal();
    assert!(is_hollow(lab, ada));
}

fn shut_out(lab: &Lab) {
    for node in ["pve1", "pve2", "pve3"] {
        lab.inject(Fault::every(&format!("SSH /nodes/{node}/ssh"), FaultKind::Cut));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_dies_before_the_last_line_is_ended_by_the_same_run() {
    let (lab, ada) = deployed("").await;
    lab.inject(Fault::first(DESTROY, HELD).on(ada.to_string()));
    lab.inject(Fault::first(DESTROY, KILLED).on(ada.to_string()));
    let ran = lab.destroy("duo").await.ends(0);
    assert!(
        ran.out.contains(&format!("VM {ada} on ")) && ran.out.contains("is what a dead removal left"),
        "{}",
        ran.out
    );
    assert_eq!(lab.made(), []);
    lab.is_tidy();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_cannot_clear_up_access_in_time_is_ended_by_the_same_run() {
    let (lab, ada) = deployed("").await;
    lab.inject(Fault::first(DESTROY, FaultKind::AccessLock { seconds: 14.0 }).on(ada.to_string()));
    lab.destroy("duo").await.ends(0);
    assert!(removals_of(&lab, ada)[0].contains("got lock request timeout"), "{:?}", removals_of(&lab, ada));
    assert_eq!(lab.made(), []);
    lab.is_tidy();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destroy_killed_with_its_worker_is_ended_by_the_next_whether_or_not_the_task_is_known() {
    for answered in [true, false] {
        let (lab, ada) = deployed("").await;
        died(&lab, ada, answered).await;
        let known =
            lab.journal("duo").await.iter().any(|event| {
                event.step == Some(StepName::Destroy) && matches!(event.change, Change::TaskStarted { .. })
            });
        assert_eq!(known, answered);
        let status = lab.status("duo").await;
        let reason = status["machines"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("removal"), "{reason}");
        lab.destroy("duo").await.ends(0);
        assert_eq!(lab.made(), []);
        lab.is_tidy();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_after_a_removal_that_died_ends_it_and_makes_the_machine_anew() {
    let (lab, ada) = deployed("[cloud_init]\nuser = \"student\"\npassword = \"generate\"").await;
    died(&lab, ada, false).await;
    // What was set about before it was known holds through a run that only looks.
    lab.run(&["check", "duo", "--json"]).await.ends(3);
    let plan = lab.run(&["plan", "duo"]).await;
    assert!(plan.out.contains("a removal of") && plan.out.contains("made anew"), "{}", plan.out);
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
    assert_eq!(lab.machine("duo", "ada").vmid, ada, "the number is used again");
    let roster = lab.run(&["roster", "duo", "--json"]).await.ends(0).object();
    let inside = lab.cluster.world(|world| world.guests[&ada].inside.as_ref()?.users.get("student")?.password.clone());
    assert_eq!(roster["seats"][0]["password"].as_str(), inside.as_deref(), "{roster:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_whose_disks_went_before_its_removal_died_is_made_anew_by_a_deploy() {
    let (lab, ada) = deployed("").await;
    // The second disk's lock is not had before the worker is killed.
    lab.inject(Fault::first(DESTROY, FaultKind::Kill { seconds: 0.2 }).on(ada.to_string()));
    lab.inject(Fault::every(DESTROY, FaultKind::Stall).on(ada.to_string()));
    let mut destroy = lab.spawn(&["destroy", "duo/ada", "--yes"]);
    lab.until("the removal is dead", async || !removals_of(&lab, ada).iter().all(String::is_empty)).await;
    destroy.kill().await.unwrap();
    lab.heal();
    let before = lab.machine("duo", "ada");
    let disk = before.config["scsi0"].split(',').next().unwrap().to_owned();
    if before.volumes.contains(&disk) {
        // The kill came too early for that: the disk goes by hand.
        lab.cluster.world(|world| {
            let (storage, name) = disk.split_once(':').unwrap();
            world.storages.get_mut(storage).unwrap().volumes.remove(name);
        });
    }
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
    assert_ne!(lab.machine("duo", "ada").birth, before.birth);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_node_lets_us_in_the_command_for_the_rest_is_told_and_suffices() {
    let (lab, ada) = deployed("[rollcall]\nprofile = \"off\"").await;
    died(&lab, ada, true).await;
    shut_out(&lab);
    lab.destroy("duo").await.ends(3);
    let status = lab.status("duo").await;
    let reason = status["machines"][0]["reason"].as_str().unwrap();
    assert!(reason.contains(&format!("run `qm unlock {ada} && qm destroy {ada}` on ")), "{reason}");
    lab.cluster.world(|world| {
        world.set_lock(ada, None);
        world.vanish(ada);
    });
    lab.destroy("duo").await.ends(0);
    assert_eq!(lab.made(), []);
    lab.is_tidy();
}

/// Somebody else removes ada's machine, and the worker dies.
fn removed_by_another(lab: &Lab, ada: u32) {
    lab.cluster.world(|world| {
        let guest = world.guests.get_mut(&ada).unwrap();
        guest.config.clear();
        (guest.lock, guest.run) = (Some("destroyed".into()), None);
        let disks: Vec<_> = world.volumes_of(ada);
        for disk in disks {
            let (storage, name) = disk.split_once(':').unwrap();
            world.storages.get_mut(storage).unwrap().volumes.remove(name);
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rest_of_a_removal_that_is_not_proven_ours_is_left_alone_and_told_of() {
    let (lab, ada) = deployed("").await;
    removed_by_another(&lab, ada);
    let advice = format!("`qm unlock {ada} && qm destroy {ada}` on ");
    let ran = lab.run(&["destroy", "duo/ada", "--yes"]).await;
    assert!(format!("{}{}", ran.out, ran.err).contains(&advice), "{ran:#?}");
    assert!(is_hollow(&lab, ada), "it stays");
    let adopted = lab.run(&["adopt", "sim"]).await;
    assert!(adopted.out.contains(&advice), "{adopted:#?}");
    let plan = lab.run(&["plan", "duo"]).await;
    assert!(plan.out.contains(&advice), "{plan:#?}");
    lab.deploy("duo").await.ends(0);
    assert!(is_hollow(&lab, ada), "it stays");
    assert_ne!(lab.machine("duo", "ada").vmid, ada, "the seat has another number");
    lab.is_proven("duo").await;
    // Once somebody has seen to it nothing is left of it.
    lab.cluster.world(|world| world.vanish(ada));
    lab.holds("duo", &SEATS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anothers_removal_of_a_number_we_once_meant_to_remove_is_not_ours() {
    let (lab, ada) = deployed("").await;
    // Our own was meant and never arrived.
    lab.inject(Fault::every(DESTROY, FaultKind::Slow { seconds: 1e8 }).on(ada.to_string()));
    let mut destroy = lab.spawn(&["destroy", "duo/ada", "--yes"]);
    lab.until_written("duo", StepName::Destroy, |change| matches!(change, Change::StepStarted { .. })).await;
    destroy.kill().await.unwrap();
    lab.heal();
    removed_by_another(&lab, ada);
    let ran = lab.run(&["destroy", "duo/ada", "--yes"]).await;
    assert!(format!("{}{}", ran.out, ran.err).contains("qm unlock"), "{ran:#?}");
    assert!(is_hollow(&lab, ada), "it stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destroy_that_was_broken_off_says_what_goes_on_with_it_and_a_deploy_proves_what_still_stands() {
    let (lab, _) = deployed("").await;
    lab.inject(Fault::every("POST /nodes/*/qemu/*/status/stop", FaultKind::Slow { seconds: 1e6 }));
    let mut destroy = lab.spawn(&["destroy", "duo", "--yes"]);
    lab.until_written("duo", StepName::Stop, |change| matches!(change, Change::StepStarted { .. })).await;
    destroy.kill().await.unwrap();
    lab.heal();
    let told = |text: &str| text.contains("removal interrupted") && text.contains("destroy goes on from there");
    let status = lab.run(&["status", "duo"]).await.ends(3);
    assert!(told(&status.out), "{}", status.out);
    let plan = lab.run(&["deploy", "duo"]).await;
    assert!(told(&plan.out), "{plan:#?}");
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
    lab.destroy("duo").await.ends(0);
    assert_eq!(lab.made(), []);
}
