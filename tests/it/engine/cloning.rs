//! How machines come into being: linked, full, with their password.

use homeroom::sim::{Fault, FaultKind};
use serde_json::json;

use crate::support::lab::Lab;

const SEATS: [&str; 2] = ["ada", "grace"];
const CLONE: &str = "POST /nodes/*/qemu/*/clone";

fn not_linkable() -> Fault {
    let reason = "Linked clone feature is not supported for 'fast:9000/base-9000-disk-0.qcow2' (scsi0)".into();
    Fault::first(CLONE, FaultKind::Status { status: 500, reason })
}

/// How many disks of the class are overlays of the template's.
fn overlays(lab: &Lab) -> usize {
    let made: Vec<u32> = lab.made().iter().map(|guest| guest.vmid).collect();
    lab.cluster.world(|world| {
        let volumes = world.storages.values().flat_map(|storage| storage.volumes.values());
        volumes.filter(|volume| made.contains(&volume.vmid) && volume.base.is_some()).count()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linked_clone_refused_on_the_way_becomes_a_full_copy_and_that_is_said() {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, "").await;
    lab.inject(not_linkable().on("duo-ada"));
    let ran = lab.run(&["deploy", "duo", "--yes"]).await.ends(0);
    assert!(ran.out.contains("Linked clone feature is not supported"), "{}", ran.out);
    assert!(ran.out.contains("making a full copy, as the plan allows"), "{}", ran.out);
    assert!(ran.out.contains("full clone of ubuntu-22.04"), "{}", ran.out);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
    assert_eq!(overlays(&lab), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_for_copies_a_refused_linked_clone_fails_its_seat() {
    let lab = Lab::start().await;
    lab.cluster.world(|world| {
        let fast = world.storages.get_mut("fast").unwrap();
        fast.other = fast.total - (14 << 30);
    });
    lab.class("duo", &SEATS, "").await;
    lab.inject(not_linkable().on("duo-ada"));
    lab.deploy("duo").await.ends(3);
    let status = lab.status("duo").await;
    let reason = status["machines"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("Linked clone feature") && reason.contains("not part of the plan"), "{reason}");
    assert_eq!(status["machines"][1]["state"], json!("ready"));
    assert_eq!((lab.made().len(), overlays(&lab)), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_on_a_storage_without_copy_on_write_is_copied_from_the_start() {
    let lab = Lab::start().await;
    lab.apply(
        "kind = \"class\"\nname = \"duo\"\nsite = \"sim\"\ntemplate = \"debian-12\"\nstudents = [\"ada\", \"grace\"]\n\
         teacher = false\n[cloud_init]\nuser = \"student\"\n",
    )
    .await;
    let plan = lab.run(&["plan", "duo", "--json"]).await.object();
    assert_eq!(plan["seats"][0]["clone"], "full", "{plan:#}");
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
    assert_eq!(overlays(&lab), 0);
}
