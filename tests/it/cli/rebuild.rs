//! `rebuild` and `rollback`, looking at the cluster's side; and what planning and destroying leave alone.

use homeroom::sim::{Fault, FaultKind};

use super::desk::{Desk, object, one_object};
use crate::support::seen::{self, Seen};

fn machine(desk: &Desk, name: &str) -> Option<Seen> {
    seen::guests(&desk.staged.cluster).into_iter().find(|guest| guest.name == name)
}

#[tokio::test]
async fn a_seat_is_rebuilt_when_asked_and_its_neighbours_are_not_touched() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    let before = seen::guests(&desk.staged.cluster);
    let shown = desk.run(&["rebuild", "cs100/ada"]).await;
    assert_eq!(shown.code, 4);
    assert!(shown.out.contains("replace") && shown.err.contains("what is on the machines is lost"), "{shown:?}");
    assert_eq!(seen::guests(&desk.staged.cluster), before, "nothing is done unasked");
    for (what, complaint) in [("cs100", "name the seats"), ("cs100/eve", "cs100 has no seat eve")] {
        let answer = desk.run(&["rebuild", what, "--yes"]).await;
        assert!(answer.code == 2 && answer.err.contains(complaint), "{answer:?}");
    }
    let lines = desk.done(&["rebuild", "cs100/ada", "--yes", "--json"]).await;
    assert_eq!(object(lines.lines().last().unwrap())["summary"]["ready"], 1);
    for old in &before {
        let now = machine(&desk, &old.name).unwrap();
        assert_eq!(now.birth != old.birth, old.name == "cs100-ada", "{now:#?}");
        assert_eq!((now.vmid, now.running), (old.vmid, true));
    }
    assert!(machine(&desk, "cs100-ada").unwrap().is("cs100", "ada"));
    assert_eq!(desk.json(&["status", "cs100", "--json"]).await["state"], "ready");
}

#[tokio::test]
async fn a_machine_on_a_dead_node_is_given_up_only_when_asked() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    let old = machine(&desk, "cs100-linus").unwrap();
    desk.staged.cluster.world(|world| world.set_node_online(&old.node, false));
    let left = desk.run(&["rebuild", "cs100/linus", "--yes"]).await;
    assert_eq!(left.code, 3, "{left:?}");
    assert!(left.out.contains("--abandon-old"), "{left:?}");
    desk.done(&["rebuild", "cs100/linus", "--abandon-old", "--yes"]).await;
    let status = one_object(&desk.run(&["status", "cs100", "--json"]).await.out);
    let linus = status["machines"].as_array().unwrap().iter().find(|m| m["seat"] == "linus").unwrap();
    assert_eq!(linus["state"], "ready");
    assert_ne!(linus["vmid"], old.vmid);
    let still = seen::guests(&desk.staged.cluster).into_iter().find(|guest| guest.vmid == old.vmid).unwrap();
    assert_eq!(still.birth, old.birth, "the old one is only given up");
    let plan = desk.run(&["plan", "cs101"]).await.out;
    assert!(plan.contains(&format!("{} skipped: offline since ", old.node)), "{plan}");
}

#[tokio::test]
async fn a_deploy_is_taken_back_and_what_others_made_stays() {
    let desk = Desk::new().await;
    let before = seen::guests(&desk.staged.cluster);
    // One seat fails: its agent never comes.
    let plan = desk.json(&["plan", "cs101", "--json"]).await;
    let number = plan["seats"][3]["vmid"].to_string();
    let clone = "POST /nodes/*/qemu/*/clone";
    let words = FaultKind::Status { status: 500, reason: "no space left".into() };
    desk.staged.cluster.inject(Fault::every(clone, words).on(number));
    let deploy = desk.run(&["deploy", "cs101", "--yes", "--json"]).await;
    assert_eq!(deploy.code, 3, "{}", deploy.err);
    let shown = desk.run(&["rollback", "2"]).await;
    assert!(shown.code == 4 && shown.err.contains("--allow-remove"), "{shown:?}");
    // One of them never came to be: there is nothing to remove of it.
    assert!(shown.out.starts_with("rollback cs101 on sim: 10 remove, 1 forget\n"), "{shown:?}");
    let refused = desk.run(&["rollback", "2", "--yes"]).await;
    let (code, complaint) = refused.refusal();
    assert!(code == 4 && complaint.contains("became ready and may be in use"), "{complaint}");
    assert!(seen::guests(&desk.staged.cluster).len() > before.len() + 8);
    desk.done(&["rollback", "2", "--yes", "--allow-remove"]).await;
    assert_eq!(seen::guests(&desk.staged.cluster), before);
    assert_eq!(
        desk.done(&["rollback", "2", "--yes"]).await,
        "run 2: nothing to take back, none of the 11 machines it cloned stands any more\n"
    );
    let wrong = desk.run(&["rollback", "3", "--yes"]).await;
    assert_eq!(wrong.refusal(), (4, "homeroom: refused: run 3 is a rollback; only a deploy makes machines"));
}

#[tokio::test]
async fn taking_back_a_run_that_cloned_nothing_says_what_it_did_and_who_cloned_what_stands() {
    let desk = Desk::new().await;
    desk.done(&["deploy", "cs101", "--yes"]).await;
    desk.done(&["stop", "cs101/teacher"]).await;
    let plan = desk.run(&["plan", "cs101"]).await.out;
    assert!(plan.starts_with("deploy cs101 on sim: 1 start\n") && plan.contains("> teacher  start"), "{plan}");
    desk.done(&["deploy", "cs101", "--yes"]).await;
    let told = desk.done(&["rollback", "4", "--yes"]).await;
    let words = "run 4: nothing to take back, it cloned nothing, it only started 1 machine; what stands of cs101 was \
                 cloned by run 2\n";
    assert_eq!(told, words);
    let adopted = desk.run(&["rollback", "1", "--yes"]).await;
    assert_eq!(adopted.refusal(), (4, "homeroom: refused: run 1 is an adoption; only a deploy makes machines"));
    desk.done(&["rebuild", "cs101/teacher", "--yes"]).await;
    let runs = desk.json(&["runs", "--json"]).await;
    assert_eq!((&runs["runs"][0]["run"], &runs["runs"][0]["kind"]), (&5.into(), &"rebuild".into()));
    let lines = desk.done(&["logs", "--run", "5"]).await;
    assert!(lines.contains("rebuild of cs101 begins"), "{lines}");
}

#[tokio::test]
async fn a_seat_whose_machine_lost_its_mark_is_left_alone_by_a_destroy_and_said_so() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    let ada = machine(&desk, "cs100-ada").unwrap().vmid;
    desk.staged.cluster.world(|world| drop(world.guests.get_mut(&ada).unwrap().config.remove("description")));
    let status = one_object(&desk.run(&["status", "cs100", "--json"]).await.out);
    let told = &status["machines"].as_array().unwrap().iter().find(|machine| machine["seat"] == "ada").unwrap();
    assert_eq!(told["state"], "stale", "what is not ours is not what was proven: {told:#}");
    assert!(told["reason"].as_str().unwrap().contains("its mark is gone"), "{told:#}");
    let all = desk.run(&["status"]).await;
    assert!(all.out.contains("ada stale: its mark is gone"), "a look at all of them sees it too: {all:?}");
    let destroy = desk.run(&["destroy", "cs100", "--yes", "--json"]).await;
    assert_eq!(destroy.code, 3, "{destroy:?}");
    let shown = desk.run(&["runs", "show", "3"]).await.out;
    assert!(!shown.contains("0 failed"), "{shown}");
    let lines: Vec<_> = destroy.out.lines().map(object).collect();
    let end = lines.iter().rev().find(|line| line["message"].is_string()).unwrap();
    assert_eq!(end["message"], "3 removed, 1 left alone");
    assert!(machine(&desk, "cs100-ada").unwrap().running);
    let again = one_object(&desk.run(&["destroy", "cs100", "--yes", "--json"]).await.out);
    let nothing =
        serde_json::json!({"run": null, "state": "failed", "ready": 0, "failed": 1, "left_alone": 1, "seconds": 0});
    assert_eq!(again["summary"], nothing);
    assert_eq!(desk.json(&["machines", "--json"]).await["machines"][0]["seat"], "ada", "the seat is not forgotten");
}

#[tokio::test]
async fn a_plan_makes_no_key_and_a_token_that_may_not_clone_sets_no_number_aside() {
    let desk = Desk::new().await;
    let keys = desk.staged.folder.join("keys");
    let files = || std::fs::read_dir(&keys).map(|files| files.count()).unwrap_or(0);
    let before = files();
    desk.done(&["plan", "cs101"]).await;
    assert_eq!(files(), before);
    desk.staged.cluster.world(|world| {
        for (privileges, _) in world.access.roles.values_mut() {
            privileges.remove("VM.Clone");
        }
    });
    let refused = desk.run(&["deploy", "cs101", "--yes"]).await;
    let (code, complaint) = refused.refusal();
    assert!(code == 2 && complaint.contains("the token lacks VM.Clone on /vms/9000"), "{complaint}");
    let machines = desk.json(&["machines", "--json"]).await;
    assert!(machines["machines"].as_array().unwrap().iter().all(|machine| machine["lab"] != "cs101"), "{machines}");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&keys).unwrap().permissions().mode() & 0o777, 0o700);
}
