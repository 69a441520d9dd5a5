//! Runs that outlive whoever began them: detached ones, hung-up terminals, and `resume`.

use std::io::Read;

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{
    desk::{Desk, object, one_object},
    runs::{begin, ended, interrupt, last},
};
use crate::support::seen;

/// Slow enough to do something while it runs.
const SLOW: f64 = 10.0;

/// The seats of `cs101` for which exactly one machine stands that is marked as theirs, runs and is not locked.
fn standing(desk: &Desk) -> usize {
    let guests = seen::guests(&desk.staged.cluster);
    let of_lab: Vec<_> = guests.iter().filter(|guest| guest.name.starts_with("cs101-")).collect();
    let sound = |guest: &&&seen::Seen| {
        let seat = guest.name.strip_prefix("cs101-").unwrap_or_default();
        guest.is("cs101", seat) && guest.running && guest.lock.is_none()
    };
    let sound = of_lab.iter().filter(sound).count();
    assert_eq!(sound, of_lab.len(), "{of_lab:#?}");
    sound
}

/// Follows a run from another process until it has ended; its last line.
async fn followed(desk: &Desk, run: &str) -> serde_json::Value {
    let lines = desk.run(&["logs", "--run", run, "--follow", "--json"]).await;
    assert_eq!(lines.code, 0, "{}", lines.err);
    object(lines.out.lines().last().unwrap())
}

#[tokio::test]
async fn a_detached_deploy_answers_at_once_and_is_followed_from_anywhere() {
    let desk = Desk::at_speed(SLOW).await;
    let begun = desk.json(&["deploy", "cs101", "--yes", "--detach", "--json"]).await;
    assert_eq!((&begun["run"], &begun["lab"]), (&json!(2), &json!("cs101")));
    let process = i32::try_from(begun["process"].as_i64().unwrap()).unwrap();
    let of = |pid| rustix::process::getsid(Pid::from_raw(pid)).unwrap().as_raw_nonzero().get();
    assert_eq!(of(process), process, "it is in a session of its own");
    assert_eq!(desk.json(&["runs", "--json"]).await["runs"][0]["state"], "running");
    let held = desk.run(&["deploy", "cs101", "--yes", "--detach"]).await;
    let (code, complaint) = held.refusal();
    assert!(code == 4 && complaint.contains("cs101 is being worked on by "), "{complaint}");
    assert_eq!(followed(&desk, "2").await["message"], "11 ready");
    assert_eq!(standing(&desk), 11);
    let again = desk.done(&["deploy", "cs101", "--yes", "--detach"]).await;
    assert_eq!(again, "cs101: nothing to do, 11 machines stand as defined\n");
    let text = desk.done(&["destroy", "cs101", "--yes", "--detach"]).await;
    assert_eq!(text, "run 3 of cs101 goes on by itself; `homeroom logs --run 3 --follow` shows it\n");
    assert_eq!(followed(&desk, "3").await["message"], "11 removed");
    assert_eq!(standing(&desk), 0);
    let unknown = desk.run(&["deploy", "nope", "--yes", "--detach"]).await;
    assert_eq!(unknown.refusal(), (2, "homeroom: no lab is called nope; `homeroom get` lists them"));
}

#[tokio::test]
async fn a_run_whose_process_was_killed_goes_on_under_its_number() {
    let desk = Desk::at_speed(SLOW).await;
    let (mut deploy, mut lines) = begin(&desk, &["deploy", "cs101", "--yes", "--json"]).await;
    for _ in 0..40 {
        lines.next_line().await.unwrap();
    }
    deploy.kill().await.unwrap();
    let resumed = desk.run(&["resume", "--run", "2", "--json"]).await;
    assert_eq!(resumed.code, 0, "{}", resumed.err);
    let first = object(resumed.out.lines().next().unwrap());
    assert_eq!((&first["run"], &first["message"]), (&json!(2), &json!("deploy of cs101 goes on")));
    let summary = object(resumed.out.lines().last().unwrap());
    assert_eq!((&summary["summary"]["run"], &summary["summary"]["state"]), (&json!(2), &json!("done")));
    assert_eq!(standing(&desk), 11);
    assert_eq!(desk.json(&["status", "cs101", "--json"]).await["state"], "ready");
    let over = desk.run(&["resume", "2"]).await;
    let complaint = "homeroom: refused: run 2 is over (done); `homeroom deploy cs101` plans anew";
    assert_eq!(over.refusal(), (4, complaint));
}

#[tokio::test]
async fn an_interrupted_destroy_goes_on_detached_by_its_labs_name() {
    let desk = Desk::at_speed(SLOW).await;
    desk.done(&["deploy", "cs101", "--yes"]).await;
    let (destroy, mut lines) = begin(&desk, &["destroy", "cs101", "--yes", "--json"]).await;
    lines.next_line().await.unwrap();
    interrupt(&destroy);
    assert_eq!(last(lines).await["summary"]["state"], "interrupted");
    assert_eq!(ended(destroy).await.0, 130);
    assert!(standing_or_not(&desk) > 0);
    let begun = one_object(&desk.done(&["resume", "cs101", "--detach", "--json"]).await);
    assert_eq!(begun["run"], 3);
    followed(&desk, "3").await;
    assert_eq!(standing_or_not(&desk), 0);
    assert_eq!(desk.json(&["runs", "--json"]).await["runs"][0]["state"], "done");
}

fn standing_or_not(desk: &Desk) -> usize {
    seen::guests(&desk.staged.cluster).iter().filter(|guest| guest.name.starts_with("cs101-")).count()
}

#[tokio::test]
async fn a_resume_does_no_more_than_its_run_was_begun_to_do() {
    let desk = Desk::at_speed(SLOW).await;
    let (deploy, mut lines) = begin(&desk, &["deploy", "cs101", "--yes", "--json"]).await;
    lines.next_line().await.unwrap();
    interrupt(&deploy);
    assert_eq!(last(lines).await["summary"]["state"], "interrupted");
    ended(deploy).await;
    let toml = desk.done(&["get", "cs101", "-o", "toml"]).await;
    desk.apply(&toml.replace("memory = \"4G\"", "memory = \"6G\"")).await;
    let changed = desk.run(&["resume", "cs101"]).await;
    let complaint =
        "homeroom: refused: the definition of cs101 has changed since (student-01); `homeroom deploy cs101` plans anew";
    assert_eq!(changed.refusal(), (4, complaint));
    assert_eq!(desk.run(&["deploy", "cs101", "--yes"]).await.code, 0);
    let superseded = desk.run(&["resume", "2"]).await;
    let (code, complaint) = superseded.refusal();
    assert!(code == 4 && complaint.contains("a later run has worked on cs101 since"), "{complaint}");
    assert_eq!(standing(&desk), 11);
}

/// Processor time a process has used, in ticks; none once it has ended.
fn ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?)
}

/// A program in a terminal of its own that is then closed; its number.
fn in_a_terminal(desk: &Desk, words: &[&str], keys: &[(&str, &str)]) -> u32 {
    let pair = native_pty_system().openpty(PtySize { rows: 30, cols: 100, pixel_width: 0, pixel_height: 0 }).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_homeroom"));
    command.args(words);
    command.env("HOMEROOM_CONFIG", &desk.staged.config);
    command.env("TERM", "xterm-256color");
    command.cwd(desk.folder.path());
    let child = pair.slave.spawn_command(command).unwrap();
    let mut reader = pair.master.try_clone_reader().unwrap();
    let mut writer = pair.master.take_writer().unwrap();
    let mut shown = vt100::Parser::new(30, 100, 0);
    let mut wait = |text: &str| {
        let mut buffer = [0; 4096];
        while !shown.screen().contents().contains(text) {
            let n = reader.read(&mut buffer).unwrap();
            assert!(n > 0, "it ended: {}", shown.screen().contents());
            shown.process(&buffer[..n]);
        }
    };
    for (text, keys) in keys {
        wait(text);
        std::io::Write::write_all(&mut writer, keys.as_bytes()).unwrap();
        std::io::Write::flush(&mut writer).unwrap();
    }
    let pid = child.process_id().unwrap();
    // The terminal closes: the kernel hangs up on all that are in it.
    drop((reader, writer, pair));
    // Never waited for: it must end by itself, as under an `sshd` that has gone.
    drop(child);
    pid
}

/// The dashboard ends, and its run is under way in a process with a session of its own.
async fn gives_it_to_another(desk: &Desk, pid: u32) {
    let began = std::time::Instant::now();
    // A zombie has ended: nobody waits for it here.
    let gone = || std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "));
    while !gone() {
        assert!(began.elapsed().as_secs() < 60, "it does not leave");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let lines = desk.run(&["logs", "--run", "2", "--json"]).await.out;
    let told = |text: &str| lines.lines().any(|line| object(line)["message"].as_str().unwrap().contains(text));
    assert!(told("hands the run over"), "{lines}");
    assert_eq!(desk.json(&["runs", "--json"]).await["runs"][0]["run"], 2);
}

async fn hangs_up_on(desk: &Desk, words: &[&str], keys: &[(&str, &str)]) {
    let pid = tokio::task::block_in_place(|| in_a_terminal(desk, words, keys));
    if words.is_empty() {
        gives_it_to_another(desk, pid).await;
    }
    let before = ticks(pid).unwrap_or(0);
    let began = std::time::Instant::now();
    assert_eq!(followed(desk, "2").await["message"], "11 ready");
    if let Some(after) = ticks(pid) {
        let wall = began.elapsed().as_secs_f64();
        // A hundred ticks a second: a spin would use them all.
        assert!(((after - before) as f64) < wall * 100.0 * 0.6 + 50.0, "{} ticks in {wall:.1} s", after - before);
    }
    assert_eq!(standing(desk), 11);
    let runs = desk.json(&["runs", "--json"]).await;
    assert_eq!((&runs["runs"][0]["run"], &runs["runs"][0]["state"]), (&json!(2), &json!("done")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_goes_on_to_its_end_when_its_terminal_is_closed() {
    let desk = Desk::at_speed(SLOW).await;
    hangs_up_on(&desk, &["deploy", "cs101", "--yes"], &[("reserve", ""), ("clone", "")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboards_deploy_goes_on_to_its_end_when_its_terminal_is_closed() {
    let desk = Desk::at_speed(SLOW).await;
    // To the second class, its plan, yes, and its board.
    hangs_up_on(&desk, &[], &[("cs101", "2jd"), ("11 create", "\r"), ("deploying", "")]).await;
}

#[tokio::test]
async fn a_hang_up_alone_ends_nothing() {
    let desk = Desk::at_speed(SLOW).await;
    let (deploy, mut lines) = begin(&desk, &["deploy", "cs101", "--yes", "--json"]).await;
    lines.next_line().await.unwrap();
    let pid = Pid::from_raw(i32::try_from(deploy.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    assert_eq!(last(lines).await["summary"]["state"], "done");
    assert_eq!(ended(deploy).await, (0, String::new()));
}
