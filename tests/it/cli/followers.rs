//! Two who follow one store, each in a process of its own, see a third one's run while it happens.

use std::time::Duration;

use jiff::Timestamp;
use tokio::{
    io::{BufReader, Lines},
    process::ChildStdout,
};

use super::{
    desk::{Desk, object},
    runs::begin,
};

/// From an event's time to its line at a follower: half a second is promised, polls are a tenth of one. What is
/// asserted of the middle one leaves room for a machine that is busy with other tests.
const WITHIN: Duration = Duration::from_secs(2);

/// Reads the run's lines to its end: how late each came.
async fn lags(mut lines: Lines<BufReader<ChildStdout>>) -> Vec<Duration> {
    let mut lags = Vec::new();
    loop {
        let line = object(&lines.next_line().await.unwrap().expect("a follower goes on to the run's end"));
        let at: Timestamp = line["at"].as_str().unwrap().parse().unwrap();
        lags.push(Duration::try_from(Timestamp::now().duration_since(at)).unwrap_or_default());
        if line["message"] == "4 ready" {
            return lags;
        }
    }
}

#[tokio::test]
async fn two_who_follow_one_store_see_a_run_of_a_third_process_at_once() {
    let desk = Desk::at_speed(10.0).await;
    // The run before: its lines are there at once, and say that the follower listens.
    let follow = ["logs", "cs100", "--follow", "--json", "-v"];
    let (one, mut first) = begin(&desk, &follow).await;
    let (two, mut second) = begin(&desk, &follow).await;
    first.next_line().await.unwrap().unwrap();
    second.next_line().await.unwrap().unwrap();
    let (run, ones, twos) = tokio::join!(desk.done(&["check", "cs100", "--json"]), lags(first), lags(second));
    assert!(run.contains("\"ready\":4"), "{run}");
    drop((one, two));
    // The last are the run's own; those before may have been written long ago.
    let own = run.lines().count() - 1;
    for lags in [ones, twos] {
        assert!(lags.len() >= own, "every line of the run comes: {} of {own}", lags.len());
        let mut lags = lags[lags.len() - own..].to_vec();
        lags.sort();
        let (middle, worst) = (lags[lags.len() / 2], lags[lags.len() - 1]);
        println!("{own} lines, the middle one {middle:?} late, the last {worst:?}");
        assert!(middle <= WITHIN, "{middle:?}, at worst {worst:?}");
    }
}
