//! A store is lost while a node is off: what may stand there is named, and nothing is made beside it.

use super::desk::Desk;
use crate::support::seen::{self, Seen};

/// Everything the store knew goes, its identity and keys too.
fn lose_the_store(desk: &Desk) {
    for name in ["homeroom.db", "homeroom.db-wal", "homeroom.db-shm", "homeroom.db.id"] {
        let _ = std::fs::remove_file(desk.staged.folder.join(name));
    }
    std::fs::remove_dir_all(desk.staged.folder.join("keys")).unwrap();
}

fn of_linus(desk: &Desk) -> Vec<Seen> {
    seen::guests(&desk.staged.cluster).into_iter().filter(|guest| guest.is("cs100", "linus")).collect()
}

/// `cs100` is taken over while the node of `linus` is off, and `linus` is put back into its definition.
async fn taken_over_without_linus() -> (Desk, Seen) {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    lose_the_store(&desk);
    let linus = of_linus(&desk).remove(0);
    desk.staged.cluster.world(|world| world.set_node_online(&linus.node, false));
    let told = desk.done(&["adopt", "sim", "--take-over"]).await;
    let named = format!("{} is offline, and {} on {} may be homeroom's", linus.node, linus.vmid, linus.node);
    assert!(told.contains(&named), "{told}");
    let text = desk.done(&["get", "cs100", "-o", "toml"]).await;
    assert!(!text.contains("linus"), "{text}");
    desk.apply(&text.replace("\"margaret\"", "\"margaret\", \"linus\"")).await;
    (desk, linus)
}

#[tokio::test]
async fn no_second_machine_is_made_for_a_seat_whose_machine_may_stand_on_a_silent_node() {
    let (desk, linus) = taken_over_without_linus().await;
    let before = seen::guests(&desk.staged.cluster);
    for words in
        [&["plan", "cs100"][..], &["deploy", "cs100", "--yes", "--allow-restart"], &["rebuild", "cs100/linus", "--yes"]]
    {
        let answer = desk.run(words).await;
        let (code, complaint) = answer.refusal();
        let named = complaint.contains(&format!("{} on {}", linus.vmid, linus.node)) && complaint.contains("of linus");
        assert!(code == 2 && named && complaint.contains("--abandon-old"), "{words:?}: {answer:?}");
    }
    assert_eq!(seen::guests(&desk.staged.cluster), before);
    // The node comes back: nothing was doubled, and its machine comes in.
    desk.staged.cluster.world(|world| world.set_node_online(&linus.node, true));
    desk.done(&["adopt", "sim", "--take-over"]).await;
    let plan = desk.json(&["plan", "cs100", "--json"]).await;
    assert_eq!(plan["create"], 0, "{plan:#}");
    assert_eq!(of_linus(&desk).iter().map(|guest| guest.birth).collect::<Vec<_>>(), [linus.birth]);
}

#[tokio::test]
async fn one_is_given_up_where_that_is_asked_for_and_told_of_when_it_is_back() {
    let (desk, linus) = taken_over_without_linus().await;
    desk.done(&["adopt", "sim", "--rekey", "cs100"]).await;
    let shown = desk.run(&["deploy", "cs100", "--abandon-old"]).await;
    assert!(shown.code == 4 && shown.err.contains("--yes --abandon-old`"), "{shown:?}");
    assert!(shown.out.contains(&format!("note: {} on {} may be", linus.vmid, linus.node)), "{shown:?}");
    desk.done(&["deploy", "cs100", "--yes", "--abandon-old"]).await;
    let all = of_linus(&desk);
    assert_eq!(all.len(), 2, "the old one and the new one: {all:#?}");
    assert!(all.iter().any(|guest| guest.birth == linus.birth && guest.vmid == linus.vmid));
    assert!(desk.done(&["plan", "cs100"]).await.starts_with("cs100: nothing to do, 4 machines stand as defined\n"));
    desk.staged.cluster.world(|world| world.set_node_online(&linus.node, true));
    let back = desk.json(&["adopt", "sim", "--take-over", "--json"]).await;
    assert!(back["left"][0].as_str().unwrap().starts_with(&format!("cs100-linus ({} on ", linus.vmid)), "{back:#}");
}
