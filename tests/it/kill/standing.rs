//! The program is killed while it works on machines that stand, and goes on: each is made anew or restarted once, if
//! it was asked for, and its neighbour is what it was.

use homeroom::domain::{Change, StepName};

use super::{Effect, Instant, SEATS, TASKS, kill};
use crate::support::{lab::Lab, seen};

/// Two machines stand; whatever of a kind was done to them, was done twice.
const CLONE: Effect = Effect { seen: |lab| seen::tasks(&lab.cluster, "qmclone").len() > 2, ..super::CLONE };
const CLONE_ANEW: Effect = Effect { before: StepName::Destroy, ..CLONE };
const START: Effect = Effect { seen: |lab| seen::tasks(&lab.cluster, "qmstart").len() > 2, ..super::START };
const START_AGAIN: Effect = Effect { before: StepName::Stop, ..START };
const SHUTDOWN: Effect = Effect {
    step: StepName::Stop,
    before: StepName::Ssh,
    call: "POST /nodes/*/qemu/*/status/shutdown",
    next: TASKS,
    seen: |lab| !seen::tasks(&lab.cluster, "qmshutdown").is_empty(),
    task: true,
};

async fn standing() -> Lab {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, "").await;
    lab.deploy("duo").await.ends(0);
    lab
}

/// How often a guest was started.
fn starts(lab: &Lab, seat: &str) -> usize {
    let id = lab.machine("duo", seat).vmid.to_string();
    lab.cluster.world(|world| {
        let started = world.tasks.iter().filter(|task| task.upid.kind == "qmstart" && task.upid.id == id);
        started.filter(|task| task.end.as_ref().is_some_and(|(_, status)| status == "OK")).count()
    })
}

async fn rebuild_survives(effect: Effect, instant: Instant) {
    let lab = standing().await;
    let (ada, grace) = (lab.machine("duo", "ada"), lab.machine("duo", "grace"));
    kill(&lab, &["rebuild", "duo/ada", "--yes", "--json"], &effect, instant).await;
    lab.run(&["resume", "duo", "--json"]).await.ends(0);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
    assert_ne!(lab.machine("duo", "ada").birth, ada.birth, "it was to be made anew");
    let now = lab.machine("duo", "grace");
    assert_eq!((now.birth, now.vmid), (grace.birth, grace.vmid));
    assert_eq!(starts(&lab, "grace"), 1);
    lab.destroy("duo").await.ends(0);
    lab.is_tidy();
}

/// The same, with a deploy instead of going on: what stands is used, what does not is made.
async fn rebuild_given_up(effect: Effect, instant: Instant) {
    let lab = standing().await;
    kill(&lab, &["rebuild", "duo/ada", "--yes", "--json"], &effect, instant).await;
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
    let plan = lab.run(&["plan", "duo", "--detailed-exitcode"]).await.ends(0);
    assert!(plan.out.contains("2 machines stand as defined"), "{}", plan.out);
}

async fn replacement_survives(effect: Effect, instant: Instant) {
    let lab = standing().await;
    lab.apply(
        "kind = \"class\"\nname = \"duo\"\nsite = \"sim\"\ntemplate = \"debian-12\"\nteacher = false\n\
         students = [\"ada\", \"grace\"]\n[cloud_init]\nuser = \"student\"\n",
    )
    .await;
    let asked = ["deploy", "duo", "--yes", "--allow-replace", "--json"];
    kill(&lab, &asked, &effect, instant).await;
    // Without its yes nothing that stands is replaced, and what was begun is not taken for done.
    let stood = lab.made();
    let refused = lab.deploy("duo").await;
    if refused.code == 4 {
        assert!(refused.err.contains("template") && refused.err.contains("--allow-replace"), "{}", refused.err);
        assert_eq!(lab.made(), stood);
    }
    lab.run(&asked).await.ends(0);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
    for seat in SEATS {
        let vmid = lab.machine("duo", seat).vmid;
        let image = lab.cluster.world(|world| world.guests[&vmid].image.clone());
        assert!(image.contains("debian"), "{seat} is of {image}");
    }
}

async fn restart_survives(effect: Effect, instant: Instant) {
    let lab = standing().await;
    let births: Vec<_> = SEATS.iter().map(|seat| lab.machine("duo", seat).birth).collect();
    kill(&lab, &["restart", "duo", "--json"], &effect, instant).await;
    lab.run(&["resume", "duo", "--json"]).await.ends(0);
    lab.is_proven("duo").await;
    for (seat, birth) in SEATS.iter().zip(births) {
        assert_eq!(lab.machine("duo", seat).birth, birth);
        assert_eq!(starts(&lab, seat), 2, "{seat} was deployed, and restarted once");
    }
}

async fn stop_survives(instant: Instant) {
    let lab = standing().await;
    kill(&lab, &["stop", "duo", "--json"], &SHUTDOWN, instant).await;
    lab.run(&["resume", "duo", "--json"]).await.ends(0);
    assert!(lab.made().iter().all(|guest| !guest.running));
    kill(&lab, &["start", "duo", "--json"], &START_AGAIN, Instant::AfterTheRequest).await;
    lab.run(&["resume", "duo", "--json"]).await.ends(0);
    lab.is_proven("duo").await;
    assert!(SEATS.iter().all(|seat| starts(&lab, seat) == 2));
}

killed! {
    a_rebuild_killed_between_intent_and_request_of_its_removal: rebuild_survives(super::DESTROY, Instant::BeforeTheRequest);
    a_rebuild_killed_while_its_removal_is_at_work: rebuild_survives(super::DESTROY, Instant::AfterTheAnswer);
    a_rebuild_killed_before_the_intent_of_its_clone: rebuild_survives(CLONE_ANEW, Instant::BeforeTheIntent);
    a_rebuild_killed_while_the_answer_to_its_clone_is_on_its_way: rebuild_survives(CLONE_ANEW, Instant::AfterTheRequest);
    a_rebuild_killed_with_its_machine_started: rebuild_survives(START, Instant::AfterTheAnswer);
    a_rebuild_killed_before_its_removal_and_not_gone_on_with: rebuild_given_up(super::DESTROY, Instant::BeforeTheRequest);
    a_rebuild_killed_after_its_removal_and_not_gone_on_with: rebuild_given_up(CLONE_ANEW, Instant::BeforeTheRequest);
    a_replacement_killed_before_its_removal: replacement_survives(super::DESTROY, Instant::BeforeTheRequest);
    a_replacement_killed_before_its_clone: replacement_survives(CLONE_ANEW, Instant::BeforeTheRequest);
    a_replacement_killed_with_the_number_of_its_clones_task: replacement_survives(CLONE_ANEW, Instant::AfterTheAnswer);
    a_restart_killed_between_intent_and_request_of_a_shutdown: restart_survives(SHUTDOWN, Instant::BeforeTheRequest);
    a_restart_killed_while_a_machine_shuts_down: restart_survives(SHUTDOWN, Instant::AfterTheAnswer);
    a_restart_killed_before_the_intent_to_start: restart_survives(START_AGAIN, Instant::BeforeTheIntent);
    a_restart_killed_while_the_answer_to_a_start_is_on_its_way: restart_survives(START_AGAIN, Instant::AfterTheRequest);
    a_shutdown_killed_between_intent_and_request: stop_survives(Instant::BeforeTheRequest);
    a_shutdown_killed_while_its_answer_is_on_its_way: stop_survives(Instant::AfterTheRequest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_killed_in_its_roll_call_disturbs_nobody_again_and_goes_on_with_the_proofs() {
    let lab = standing().await;
    let since = lab.journal("duo").await.len();
    let mut child = lab.spawn(&["restart", "duo", "--json"]);
    let begun = |change: &Change| matches!(change, Change::StepStarted { .. });
    lab.until_written_since(since, "duo", StepName::Agent, &begun).await;
    child.kill().await.unwrap();
    lab.run(&["resume", "duo", "--json"]).await.ends(0);
    lab.is_proven("duo").await;
    assert_eq!(SEATS.map(|seat| starts(&lab, seat)), [2, 2]);
}
