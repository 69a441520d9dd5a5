//! `runs`, `logs`, `cancel`, interrupts, and two at once on one lab.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
};

use super::desk::{Desk, fields, object};

/// Slow enough to do something while it runs.
const SLOW: f64 = 10.0;

#[tokio::test]
async fn runs_and_their_lines_are_listed_in_both_forms() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    let runs = desk.json(&["runs", "--json"]).await;
    let newest = &runs["runs"][0];
    assert_eq!(fields(newest), ["run", "lab", "kind", "state", "owner", "started_at", "ended_at", "seconds", "away"]);
    assert_eq!((&newest["run"], &newest["kind"], &newest["state"]), (&2.into(), &"check".into(), &"done".into()));
    let table = desk.done(&["runs"]).await;
    assert!(table.starts_with("RUN  LAB    WHAT   STATE  STARTED"), "{table}");

    let shown = desk.json(&["runs", "show", "2", "--json"]).await;
    assert_eq!(shown["plan"]["kind"], "check");
    let machine = &shown["machines"][0];
    assert_eq!(fields(machine), ["seat", "role", "state", "word", "reason", "steps"]);
    // A run and its steps are measured in the same seconds, and it is said whose they are.
    let steps = shown["machines"].as_array().unwrap().iter().flat_map(|seat| seat["steps"].as_array().unwrap());
    let longest = steps.filter_map(|step| step["seconds"].as_f64()).fold(0.0, f64::max);
    assert!(longest > 0.0 && shown["seconds"].as_f64().unwrap() + 1.0 > longest, "{shown:#}");
    assert_eq!(shown["seconds"], newest["seconds"]);
    let whose = "seconds are the simulated cluster's: 40 in one of the wall's\n";
    let text = desk.done(&["runs", "show", "2"]).await;
    let head = format!("run 2  check of cs100  done  in {} s  by ", shown["seconds"].as_f64().unwrap().round());
    assert!(text.starts_with(&head) && text.ends_with(whose) && table.ends_with(whose), "{text}{table}");
    let unknown = desk.run(&["runs", "show", "99"]).await;
    assert_eq!(unknown.refusal(), (2, "homeroom: there is no run 99; `homeroom runs` lists them"));

    let lines = async |words: &[&str]| -> Vec<Value> {
        let words = [&["logs", "--json"], words].concat();
        desk.done(&words).await.lines().map(object).collect()
    };
    let every = lines(&["--level", "debug"]).await;
    assert!(lines(&[]).await.len() < every.len(), "debug lines only when asked for");
    assert_eq!(lines(&["-v"]).await.len(), every.len());
    for line in lines(&["cs100", "--run", "2", "--seat", "ada", "--level", "success"]).await {
        assert_eq!((&line["run"], &line["seat"]), (&2.into(), &"ada".into()));
        assert!(matches!(line["level"].as_str(), Some("success" | "warning" | "error")), "{line}");
    }
    assert_eq!(lines(&["--last", "3"]).await.len(), 3);
    // The end of the run is a line that none of these shows; it ends them all the same.
    assert_eq!(lines(&["--follow", "--run", "2", "--level", "error"]).await.len(), 0);
    let followed = lines(&["--follow", "--run", "2", "-v"]).await;
    assert_eq!(followed.last().map(|line| &line["message"]), Some(&"4 ready".into()));
    let unknown = desk.run(&["logs", "nope"]).await;
    assert_eq!(unknown.refusal(), (2, "homeroom: no lab is called nope; `homeroom get` lists them"));
}

#[tokio::test]
async fn a_run_is_held_followed_and_cancelled_from_other_processes() {
    let desk = Desk::at_speed(SLOW).await;
    let (deploy, mut lines) = begin(&desk, &["deploy", "cs101", "--yes", "--json"]).await;
    let first = object(&lines.next_line().await.unwrap().unwrap());
    assert_eq!(first["run"], 2);

    for command in ["deploy", "destroy"] {
        let held = desk.run(&[command, "cs101", "--yes"]).await;
        let (code, complaint) = held.refusal();
        assert_eq!(code, 4);
        assert!(complaint.starts_with("homeroom: refused: cs101 is being worked on by "), "{complaint}");
        assert!(complaint.ends_with("`homeroom logs cs101 --follow` shows it"), "{complaint}");
    }
    // Its machines would be nobody's, with a key nobody has.
    let deleted = desk.run(&["delete", "cs101"]).await;
    let (code, complaint) = deleted.refusal();
    assert_eq!(code, 4);
    assert!(complaint.contains("cs101 is being worked on by "), "{complaint}");
    let (follower, mut followed) = begin(&desk, &["logs", "--follow", "--run", "2", "--json"]).await;
    assert_eq!(object(&followed.next_line().await.unwrap().unwrap()), first);

    assert_eq!(desk.json(&["cancel", "2", "--json"]).await["cancelling"], 2);
    let summary = last(lines).await;
    assert_eq!(summary["summary"]["state"], "cancelled");
    assert_eq!(ended(deploy).await, (130, String::new()));
    assert!(last(followed).await["message"].is_string());
    assert_eq!(ended(follower).await, (0, String::new()));

    let over = desk.run(&["cancel", "2"]).await;
    assert_eq!(over.refusal(), (4, "homeroom: refused: run 2 is not under way (cancelled)"));
    let given_up = desk.run(&["resume", "2"]).await;
    let complaint = "homeroom: refused: run 2 is over (cancelled); `homeroom deploy cs101` plans anew";
    assert_eq!(given_up.refusal(), (4, complaint));
    let done = desk.done(&["deploy", "cs101", "--yes", "--json"]).await;
    let summary = object(done.lines().last().unwrap());
    assert_eq!((&summary["summary"]["state"], &summary["summary"]["ready"]), (&"done".into(), &11.into()));
}

#[tokio::test]
async fn an_interrupt_winds_a_run_down_and_a_second_one_ends_it() {
    let desk = Desk::at_speed(SLOW).await;
    let (deploy, mut lines) = begin(&desk, &["deploy", "cs101", "--yes", "--json"]).await;
    lines.next_line().await.unwrap();
    interrupt(&deploy);
    assert_eq!(last(lines).await["summary"]["state"], "interrupted");
    let (code, complaint) = ended(deploy).await;
    assert_eq!((code, complaint.as_str()), (130, "finishing what is in flight, then stopping; once more stops now\n"));

    let (follower, mut followed) = begin(&desk, &["logs", "--follow", "--json"]).await;
    followed.next_line().await.unwrap();
    interrupt(&follower);
    assert_eq!(ended(follower).await, (130, String::new()));
}

#[tokio::test]
async fn a_run_whose_process_died_is_called_interrupted_and_following_it_ends() {
    let desk = Desk::at_speed(SLOW).await;
    let (mut deploy, mut lines) = begin(&desk, &["deploy", "cs101", "--yes", "--json"]).await;
    lines.next_line().await.unwrap();
    deploy.kill().await.unwrap();
    let runs = desk.json(&["runs", "--json"]).await;
    assert_eq!(runs["runs"][0]["state"], "interrupted");
    let followed = desk.run(&["logs", "--follow", "--run", "2"]).await;
    assert_eq!(followed.code, 0);
    assert_eq!(followed.err, "nobody carries this run out any more; `homeroom resume` goes on from there\n");
    let given_up = desk.json(&["cancel", "2", "--json"]).await;
    assert_eq!((&given_up["cancelling"], &given_up["state"]), (&2.into(), &"cancelled".into()));
    assert_eq!(desk.json(&["runs", "--json"]).await["runs"][0]["state"], "cancelled");
    assert_eq!(desk.run(&["deploy", "cs101", "--yes"]).await.code, 0, "the next deploy goes on from there");
}

pub async fn begin(desk: &Desk, words: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut command = desk.command(words);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// Reads to the end; the last line.
pub async fn last(mut lines: Lines<BufReader<ChildStdout>>) -> Value {
    let mut last = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        last = line;
    }
    object(&last)
}

pub fn interrupt(child: &Child) {
    kill_process(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap(), Signal::INT).unwrap();
}

pub async fn ended(child: Child) -> (i32, String) {
    let output = child.wait_with_output().await.unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8(output.stderr).unwrap())
}
