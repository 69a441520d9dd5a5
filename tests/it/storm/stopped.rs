//! Processes that stand still (SIGSTOP) while the world goes on, and wake; a store that cannot be written.

use homeroom::domain::{Change, StepName};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::support::lab::{Lab, Ran};

const SEATS: [&str; 2] = ["ada", "grace"];

async fn duo() -> Lab {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, "").await;
    lab
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn begun(change: &Change) -> bool {
    matches!(change, Change::StepStarted { .. })
}

/// Another store takes the machines over.
async fn taken_over(lab: &Lab) -> Vec<u64> {
    let config = lab.other_desk().display().to_string();
    let ran = lab.run(&["--config", &config, "adopt", "sim", "--take-over", "--json"]).await.ends(0);
    assert!(ran.out.contains("\"duo\""), "{ran:#?}");
    lab.made().iter().map(|guest| guest.birth).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_that_stood_still_for_long_keeps_its_lab_and_goes_on_where_it_was() {
    let lab = duo().await;
    let child = lab.spawn(&["deploy", "duo", "--yes", "--json"]);
    lab.until_written("duo", StepName::Clone, begun).await;
    send(&child, Signal::STOP);
    let refused = lab.run(&["deploy", "duo", "--yes"]).await.ends(4);
    let pid = child.id().unwrap();
    let still = format!("stopped by a signal, it does not move: `kill -CONT {pid}` has it go on");
    assert!(refused.err.contains(&format!("process {pid}")) && refused.err.contains(&still), "{refused:#?}");
    let status = lab.run(&["status", "duo"]).await.ends(3);
    assert!(status.out.contains("at work: ") && status.out.contains(&still), "{status:#?}");
    lab.until_modelled(lab.cluster.now() + 600_000).await;
    send(&child, Signal::CONT);
    lab.end(child).await.ends(0);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_that_wakes_after_its_machines_were_taken_over_makes_no_second_one() {
    let lab = duo().await;
    let child = lab.spawn(&["deploy", "duo", "--yes", "--json"]);
    lab.until_written("duo", StepName::Start, begun).await;
    send(&child, Signal::STOP);
    lab.until("both are there", async || {
        let made = lab.made();
        made.len() == 2 && made.iter().all(|guest| guest.lock.is_none() && guest.mark("store").is_some())
    })
    .await;
    let births = taken_over(&lab).await;
    send(&child, Signal::CONT);
    lab.end(child).await;
    assert_eq!(lab.made().iter().map(|guest| guest.birth).collect::<Vec<_>>(), births, "nobody made another");
    // Asked again, it says whose they are and touches nothing.
    let before = lab.made();
    let again = lab.run(&["deploy", "duo", "--yes", "--json"]).await.ends(2);
    assert!(again.err.contains("another homeroom store") && again.err.contains("--take-over"), "{again:#?}");
    assert_eq!(lab.made(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destroy_that_wakes_after_its_machines_were_taken_over_removes_none() {
    let lab = duo().await;
    lab.deploy("duo").await.ends(0);
    let child = lab.spawn(&["destroy", "duo", "--yes", "--json"]);
    lab.until_written("duo", StepName::Stop, begun).await;
    send(&child, Signal::STOP);
    let births = taken_over(&lab).await;
    send(&child, Signal::CONT);
    let ran = lab.end(child).await;
    assert_ne!(ran.code, 0, "{ran:#?}");
    assert_eq!(lab.made().iter().map(|guest| guest.birth).collect::<Vec<_>>(), births, "none is gone");
}

/// The program where no file may grow beyond this; a write beyond it fails.
async fn cramped(lab: &Lab, args: &[&str], kibibytes: u64) -> Ran {
    let mut command = Command::new("sh");
    let words = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", kibibytes * 2);
    command.args(["-c", &words, env!("CARGO_BIN_EXE_homeroom")]).args(args);
    command.env("HOMEROOM_CONFIG", &lab.config).env_remove("SSH_AUTH_SOCK").kill_on_drop(true);
    Ran::of(&command.output().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_grow_ends_the_run_and_doubles_nothing_when_there_is_room_again() {
    let lab = duo().await;
    let wal = lab.folder().join("homeroom.db-wal");
    let now = std::fs::metadata(&wal).map_or(0, |file| file.len()) / 1024;
    for more in [8, 60, 160] {
        let ran = cramped(&lab, &["deploy", "duo", "--yes", "--json"], now + more).await;
        assert_ne!(ran.code, 0, "{ran:#?}");
        assert!(!ran.err.is_empty(), "it is said why: {ran:#?}");
        let seats: Vec<_> = lab.made().iter().filter_map(|guest| guest.mark("seat").map(str::to_owned)).collect();
        assert!(seats.len() <= 2, "{seats:?}");
    }
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
}
