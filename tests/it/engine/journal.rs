//! A journal that cannot be written any more: nothing more is done, and nothing is claimed.

use serde_json::json;

use crate::support::lab::Lab;

const SEATS: [&str; 2] = ["ada", "grace"];

/// The store takes no line of this kind any more, as if its disk were full.
async fn refuse(lab: &Lab, when: &str) {
    lab.sql(&format!(
        "CREATE TRIGGER full BEFORE INSERT ON events WHEN {when}
         BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    ))
    .await;
}

async fn stops_and_goes_on(when: &str) {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, "").await;
    refuse(&lab, when).await;
    let ran = lab.deploy("duo").await.ends(1);
    assert!(ran.err.contains("the journal cannot be written") && ran.err.contains("is full"), "{ran:?}");
    assert_eq!(ran.object()["summary"]["state"], "interrupted", "{ran:?}");
    assert!(lab.made().iter().all(|guest| !guest.running), "nothing was started");
    let status = lab.status("duo").await;
    assert_eq!((&status["held_by"], &status["state"] == "deploying"), (&json!(null), false), "{status:#}");
    let states = status["machines"].as_array().unwrap().iter().map(|machine| machine["state"].clone());
    assert!(states.into_iter().all(|state| state != "working" && state != "ready"), "{status:#}");
    let runs = lab.run(&["runs", "--json"]).await.ends(0).object();
    assert_eq!(runs["runs"][0]["state"], "interrupted");

    lab.sql("DROP TRIGGER full").await;
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intent_that_cannot_be_written_is_not_acted_on() {
    stops_and_goes_on(
        "json_extract(NEW.body, '$.step') = 'start' AND json_extract(NEW.body, '$.change.what') = 'step-started'",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_is_lost_for_good_in_mid_run_ends_the_run() {
    stops_and_goes_on("NEW.seq > 15").await;
}
