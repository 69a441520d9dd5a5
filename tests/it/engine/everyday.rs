//! Deploy, again, more seats, fewer seats, destroy.

use serde_json::json;

use crate::support::{lab::Lab, seen};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_deployed_twice_is_left_alone_the_second_time_and_that_is_said() {
    let lab = Lab::start().await;
    lab.class("duo", &["ada", "grace"], "").await;
    let first = lab.deploy("duo").await.ends(0).object();
    assert_eq!((&first["summary"]["ready"], &first["summary"]["failed"]), (&json!(2), &json!(0)));
    lab.holds("duo", &["ada", "grace"]);
    lab.is_proven("duo").await;

    let stood = seen::guests(&lab.cluster);
    let tasks = lab.cluster.world(|world| world.tasks.len());
    let again = lab.deploy("duo").await.ends(0).object();
    assert_eq!((&again["summary"]["run"], &again["summary"]["state"]), (&json!(null), &json!("done")));
    let said = lab.run(&["deploy", "duo", "--yes"]).await.ends(0);
    assert!(said.out.contains("nothing to do"), "{said:?}");
    assert_eq!(seen::guests(&lab.cluster), stood);
    assert_eq!(lab.cluster.world(|world| world.tasks.len()), tasks);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_students_more_are_two_machines_more() {
    let lab = Lab::start().await;
    lab.class("duo", &["ada", "grace"], "").await;
    lab.deploy("duo").await.ends(0);
    let stood = lab.made();
    lab.class("duo", &["ada", "grace", "linus", "margaret"], "").await;
    let plan = lab.run(&["plan", "duo", "--json"]).await.ends(0).object();
    assert_eq!((&plan["create"], &plan["change"], &plan["remove"]), (&json!(2), &json!(0), &json!(0)));
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &["ada", "grace", "linus", "margaret"]);
    lab.is_proven("duo").await;
    for old in stood {
        assert_eq!(lab.made().iter().find(|new| new.vmid == old.vmid), Some(&old));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_student_taken_out_keeps_the_machine_until_its_removal_is_allowed() {
    let lab = Lab::start().await;
    lab.class("trio", &["ada", "grace", "linus"], "").await;
    lab.deploy("trio").await.ends(0);
    let stood = seen::guests(&lab.cluster);
    lab.class("trio", &["ada", "linus"], "").await;
    let refused = lab.run(&["deploy", "trio", "--yes"]).await.ends(4);
    assert!(refused.err.contains("grace") && refused.err.contains("--allow-remove"), "{refused:?}");
    assert!(!refused.err.contains("ada"), "{refused:?}");
    assert_eq!(seen::guests(&lab.cluster), stood);

    lab.run(&["deploy", "trio", "--yes", "--allow-remove"]).await.ends(0);
    lab.holds("trio", &["ada", "linus"]);
    lab.is_proven("trio").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn destroying_a_class_or_one_seat_touches_no_other() {
    let lab = Lab::start().await;
    lab.class("one", &["ada", "grace"], "").await;
    lab.class("two", &["ada", "grace"], "").await;
    let (one, two) = tokio::join!(lab.deploy("one"), lab.deploy("two"));
    one.ends(0);
    two.ends(0);
    let other: Vec<_> = lab.made().into_iter().filter(|guest| guest.mark("lab") == Some("two")).collect();
    assert_eq!(other.len(), 2);

    let grace = lab.machine("one", "grace");
    lab.run(&["destroy", "one/ada", "--yes"]).await.ends(0);
    assert_eq!(lab.machine("one", "grace"), grace);
    assert_eq!(lab.made().len(), 3);
    lab.destroy("one").await.ends(0);
    assert_eq!(lab.made(), other);
    lab.is_tidy();
    lab.is_proven("two").await;
    assert_eq!(lab.status("one").await["state"], "absent");
    lab.destroy("one").await.ends(0);
}
