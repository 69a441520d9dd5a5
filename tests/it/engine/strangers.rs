//! Machines that are not ours, on numbers that were set aside.

use homeroom::{
    domain::{Change, StepName},
    sim::{Fault, FaultKind},
};

use crate::support::{lab::Lab, seen};

const SEATS: [&str; 2] = ["ada", "grace"];
const CLONE: &str = "POST /nodes/*/qemu/*/clone";

/// A class whose machines have their numbers set aside and are not made; the numbers.
async fn reserved(lab: &Lab) -> Vec<u32> {
    lab.class("duo", &SEATS, "").await;
    lab.inject(Fault::every(CLONE, FaultKind::Slow { seconds: 1e8 }));
    let mut child = lab.spawn(&["deploy", "duo", "--yes"]);
    for seat in SEATS {
        lab.until("its clone is asked for", async || {
            let begun = |change: &Change| matches!(change, Change::StepStarted { .. });
            let of_seat = |event: &homeroom::domain::Event| event.seat.as_ref().is_some_and(|s| s.as_str() == seat);
            let journal = lab.journal("duo").await;
            journal.iter().any(|e| of_seat(e) && e.step == Some(StepName::Clone) && begun(&e.change))
        })
        .await;
    }
    child.kill().await.unwrap();
    lab.heal();
    let reserved = |event: homeroom::domain::Event| match event.change {
        Change::Reserved { vmid, .. } => Some(vmid.get()),
        _ => None,
    };
    let mut numbers: Vec<u32> = lab.journal("duo").await.into_iter().filter_map(reserved).collect();
    numbers.sort_unstable();
    assert_eq!(numbers.len(), 2);
    numbers
}

/// The two stand under other numbers, and the stranger as it was.
async fn stands_beside(lab: &Lab, stranger: u32) {
    let find = || seen::guests(&lab.cluster).into_iter().find(|guest| guest.vmid == stranger);
    let was = find();
    lab.deploy("duo").await.ends(0);
    assert_eq!(find(), was);
    for seat in SEATS {
        assert_ne!(lab.machine("duo", seat).vmid, stranger);
    }
    assert_eq!(lab.made().len(), 3);
    lab.is_tidy();
    lab.is_proven("duo").await;
    lab.destroy("duo").await.ends(0);
    assert_eq!(lab.made().into_iter().next(), was);
    assert_eq!(lab.made().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_another_tool_took_in_the_meantime_is_given_up() {
    let lab = Lab::start().await;
    let numbers = reserved(&lab).await;
    lab.cluster.world(|world| world.take_vmid("pve3", numbers[0], "somebody-elses"));
    stands_beside(&lab, numbers[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_mark_does_not_make_a_machine_ours() {
    let lab = Lab::start().await;
    let numbers = reserved(&lab).await;
    let store = lab.home.store.id().clone();
    lab.cluster.world(|world| {
        world.take_vmid("pve1", numbers[1], "duo-ada");
        let mark = format!("homeroom/1 store={store} lab=duo seat=ada run=1 vmid={}", numbers[0]);
        world.edit_config(numbers[1], "description", Some(&mark));
        world.edit_config(numbers[1], "tags", Some("homeroom"));
    });
    let was = seen::guests(&lab.cluster);
    lab.run(&["deploy", "duo", "--yes"]).await;
    let now = seen::guests(&lab.cluster);
    let stranger = |all: &[seen::Seen]| all.iter().find(|guest| guest.vmid == numbers[1]).cloned();
    assert_eq!(stranger(&now), stranger(&was));
    assert_ne!(lab.machine("duo", "ada").vmid, numbers[1]);
    lab.destroy("duo").await;
    assert_eq!(stranger(&seen::guests(&lab.cluster)), stranger(&was));
}

/// Another tool takes the first number while the request for it is on its way.
async fn taken_on_the_way(node: &str) {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, "").await;
    let plan = lab.run(&["plan", "duo", "--json"]).await.object();
    let number = u32::try_from(plan["seats"][0]["vmid"].as_u64().unwrap()).unwrap();
    lab.inject(Fault::first(CLONE, FaultKind::Slow { seconds: 20.0 }));
    let child = lab.spawn(&["deploy", "duo", "--yes"]);
    lab.until_written("duo", StepName::Clone, |change| matches!(change, Change::StepStarted { .. })).await;
    lab.cluster.world(|world| world.take_vmid(node, number, "somebody-elses"));
    let ran = lab.end(child).await.ends(0);
    assert!(ran.out.contains(&format!("VMID {number} was taken by somebody else")), "{}", ran.out);
    stands_beside(&lab, number).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_taken_on_the_templates_node_between_plan_and_clone_is_given_up() {
    taken_on_the_way("pve1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_taken_on_another_node_between_plan_and_clone_is_given_up() {
    taken_on_the_way("pve2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_whose_mark_was_taken_off_is_never_removed() {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, "").await;
    lab.deploy("duo").await.ends(0);
    let ada = lab.machine("duo", "ada");
    lab.cluster.world(|world| world.edit_config(ada.vmid, "description", None));
    lab.destroy("duo").await;
    let left = lab.made();
    assert_eq!(left.iter().map(|guest| guest.vmid).collect::<Vec<_>>(), [ada.vmid]);
    assert!(left[0].running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_of_ours_that_was_given_another_name_is_told_as_renamed() {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, "").await;
    lab.deploy("duo").await.ends(0);
    let (ada, grace) = (lab.machine("duo", "ada").vmid, lab.machine("duo", "grace").vmid);
    lab.cluster.world(|world| {
        world.edit_config(ada, "name", Some("pet"));
        world.edit_config(grace, "name", Some("db1"));
        world.edit_config(grace, "tags", None);
    });
    let told = async |place: usize, name: &str| {
        let machine = lab.status("duo").await["machines"][place].take();
        let reason = machine["reason"].as_str().unwrap_or_default().to_owned();
        machine["state"] == "ready" && reason.starts_with(&format!("renamed by someone else: it is called {name} "))
    };
    lab.until("both are told as renamed", async || told(0, "pet").await && told(1, "db1").await).await;
    let plan = lab.run(&["plan", "duo"]).await.ends(0);
    assert!(plan.out.contains("grace name: db1 -> duo-grace") && !plan.out.contains("another machine"), "{plan:#?}");
    lab.run(&["deploy", "duo", "--yes", "--fix-drift"]).await.ends(0);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
}
