//! A real `homeroom` is killed by SIGKILL, and started again. Four kinds of instant: before the intent is
//! committed, after it and before the request, after the request, after the answer. The cluster's own
//! listing says what came of it.

macro_rules! killed {
    ($($name:ident: $run:ident($($what:expr),+);)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            $run($($what),+).await;
        })+
    };
}

mod standing;

use homeroom::{
    domain::{Change, StepName},
    sim::{Fault, FaultKind},
};

use crate::support::{lab::Lab, seen};

const SEATS: [&str; 2] = ["ada", "grace"];

/// A request that changes something, and how to see that it did.
struct Effect {
    step: StepName,
    /// The step of the seat before it.
    before: StepName,
    call: &'static str,
    /// What homeroom asks next, once it has the answer.
    next: &'static [&'static str],
    seen: fn(&Lab) -> bool,
    /// It is answered with a task.
    task: bool,
}

const TASKS: &[&str] = &["GET /nodes/*/tasks", "GET /nodes/*/tasks/*/status"];

const CLONE: Effect = Effect {
    step: StepName::Clone,
    before: StepName::Reserve,
    call: "POST /nodes/*/qemu/*/clone",
    next: TASKS,
    seen: |lab| !seen::tasks(&lab.cluster, "qmclone").is_empty(),
    task: true,
};

const CONFIGURE: Effect = Effect {
    step: StepName::Configure,
    before: StepName::Clone,
    call: "PUT /nodes/*/qemu/*/config",
    next: &["POST /nodes/*/qemu/*/status/start"],
    seen: |lab| lab.made().iter().any(|guest| guest.config.contains_key("tags")),
    task: false,
};

const START: Effect = Effect {
    step: StepName::Start,
    before: StepName::Configure,
    call: "POST /nodes/*/qemu/*/status/start",
    next: TASKS,
    seen: |lab| !seen::tasks(&lab.cluster, "qmstart").is_empty(),
    task: true,
};

const DESTROY: Effect = Effect {
    step: StepName::Destroy,
    before: StepName::Stop,
    call: "DELETE /nodes/*/qemu/*",
    next: TASKS,
    seen: |lab| !seen::tasks(&lab.cluster, "qmdestroy").is_empty(),
    task: true,
};

/// When the process dies.
#[derive(Clone, Copy)]
enum Instant {
    BeforeTheIntent,
    BeforeTheRequest,
    AfterTheRequest,
    AfterTheAnswer,
}

/// An answer that no process lives to see.
const NEVER: FaultKind = FaultKind::Slow { seconds: 1e8 };

/// Runs the program until it is at that instant of that effect, and kills it there.
async fn kill(lab: &Lab, args: &[&str], effect: &Effect, instant: Instant) {
    let since = lab.journal("duo").await.len();
    let until_written =
        async |step, met: &dyn Fn(&Change) -> bool| lab.until_written_since(since, "duo", step, met).await;
    let begun = |change: &Change| matches!(change, Change::StepStarted { .. });
    let done = |change: &Change| matches!(change, Change::StepDone { .. });
    match instant {
        Instant::BeforeTheIntent => lab.sql(&endless_commit_of(effect.step)).await,
        Instant::BeforeTheRequest => lab.inject(Fault::every(effect.call, NEVER)),
        Instant::AfterTheRequest => lab.inject(Fault::every(effect.call, FaultKind::Stall)),
        Instant::AfterTheAnswer if effect.task => {}
        Instant::AfterTheAnswer => effect.next.iter().for_each(|call| lab.inject(Fault::every(call, NEVER))),
    }
    let mut child = lab.spawn(args);
    match instant {
        // The step before is on disk, and what comes next never can be.
        Instant::BeforeTheIntent => until_written(effect.before, &done).await,
        Instant::BeforeTheRequest => until_written(effect.step, &begun).await,
        Instant::AfterTheRequest => lab.until("the effect is there", async || (effect.seen)(lab)).await,
        Instant::AfterTheAnswer if effect.task => {
            until_written(effect.step, &|change| matches!(change, Change::TaskStarted { .. })).await;
        }
        Instant::AfterTheAnswer => until_written(effect.step, &done).await,
    }
    child.kill().await.unwrap();
    lab.heal();
    lab.sql("DROP TRIGGER IF EXISTS endless").await;
    if matches!(instant, Instant::BeforeTheIntent) {
        let events = lab.journal("duo").await;
        let of_step = |change: &Change| matches!(change, Change::StepStarted { .. });
        assert!(!events[since..].iter().any(|event| event.step == Some(effect.step) && of_step(&event.change)));
        assert!(!(effect.seen)(lab), "an effect without an intent");
    }
}

/// A commit of this step's intent that never comes to its end.
fn endless_commit_of(step: StepName) -> String {
    format!(
        "CREATE TRIGGER endless BEFORE INSERT ON events
         WHEN json_extract(NEW.body, '$.step') = '{step}' AND json_extract(NEW.body, '$.change.what') = 'step-started'
         BEGIN
             SELECT (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT count(*) FROM n);
         END"
    )
}

async fn deploy_survives(effect: Effect, instant: Instant) {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, "").await;
    kill(&lab, &["deploy", "duo", "--yes", "--json"], &effect, instant).await;
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
    let again = lab.deploy("duo").await.ends(0).object();
    assert_eq!(again["summary"]["run"], serde_json::Value::Null, "{again:#}");
}

async fn destroy_survives(instant: Instant) {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, "").await;
    lab.deploy("duo").await.ends(0);
    kill(&lab, &["destroy", "duo", "--yes", "--json"], &DESTROY, instant).await;
    lab.destroy("duo").await.ends(0);
    assert_eq!(lab.made(), []);
    lab.is_tidy();
    assert_eq!(lab.status("duo").await["state"], "absent");
}

killed! {
    killed_before_the_intent_to_clone: deploy_survives(CLONE, Instant::BeforeTheIntent);
    killed_between_intent_and_request_of_a_clone: deploy_survives(CLONE, Instant::BeforeTheRequest);
    killed_while_the_answer_to_a_clone_is_on_its_way: deploy_survives(CLONE, Instant::AfterTheRequest);
    killed_with_the_number_of_a_clones_task_in_hand: deploy_survives(CLONE, Instant::AfterTheAnswer);
    killed_before_the_intent_to_configure: deploy_survives(CONFIGURE, Instant::BeforeTheIntent);
    killed_between_intent_and_request_of_a_configuration: deploy_survives(CONFIGURE, Instant::BeforeTheRequest);
    killed_while_the_answer_to_a_configuration_is_on_its_way: deploy_survives(CONFIGURE, Instant::AfterTheRequest);
    killed_with_a_machine_configured: deploy_survives(CONFIGURE, Instant::AfterTheAnswer);
    killed_before_the_intent_to_start: deploy_survives(START, Instant::BeforeTheIntent);
    killed_between_intent_and_request_of_a_start: deploy_survives(START, Instant::BeforeTheRequest);
    killed_while_the_answer_to_a_start_is_on_its_way: deploy_survives(START, Instant::AfterTheRequest);
    killed_with_the_number_of_a_starts_task_in_hand: deploy_survives(START, Instant::AfterTheAnswer);
    killed_before_the_intent_to_destroy: destroy_survives(Instant::BeforeTheIntent);
    killed_between_intent_and_request_of_a_removal: destroy_survives(Instant::BeforeTheRequest);
    killed_while_the_answer_to_a_removal_is_on_its_way: destroy_survives(Instant::AfterTheRequest);
    killed_with_the_number_of_a_removals_task_in_hand: destroy_survives(Instant::AfterTheAnswer);
}

/// The password a guest's user has.
fn password_in(lab: &Lab, seat: &str) -> Option<String> {
    let vmid = lab.machine("duo", seat).vmid;
    lab.cluster.world(|world| world.guests[&vmid].inside.as_ref()?.users.get("student")?.password.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_cloned_by_a_run_that_was_killed_still_gets_its_password() {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, "[cloud_init]\nuser = \"student\"\npassword = \"generate\"").await;
    kill(&lab, &["deploy", "duo", "--yes"], &CONFIGURE, Instant::BeforeTheRequest).await;
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
    let roster = lab.run(&["roster", "duo", "--json"]).await.ends(0).object();
    for (row, seat) in SEATS.iter().enumerate() {
        let told = roster["seats"][row]["password"].as_str().map(str::to_owned);
        assert!(told.as_ref().is_some_and(|password| password.len() > 7), "{roster:#}");
        assert_eq!(password_in(&lab, seat), told);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_outlives_its_run_is_waited_for() {
    let lab = Lab::start().await;
    // Both copies together take two modelled minutes.
    lab.cluster.world(|world| world.set_bandwidth("bulk", 4.0 * 1_073_741_824.0 / 120_000.0));
    lab.apply(
        "kind = \"class\"\nname = \"duo\"\nsite = \"sim\"\ntemplate = \"debian-12\"\nstudents = [\"ada\", \"grace\"]\n\
         teacher = false\ncloud_init.user = \"student\"\n",
    )
    .await;
    let mut child = lab.spawn(&["deploy", "duo", "--yes"]);
    lab.until("both are being copied", async || {
        let made = lab.made();
        made.len() == 2 && made.iter().all(|guest| guest.lock.as_deref() == Some("clone"))
    })
    .await;
    child.kill().await.unwrap();
    let again = lab.run(&["deploy", "duo", "--yes"]).await.ends(0);
    assert!(again.out.contains("an earlier clone of this machine is still at work"), "{}", again.out);
    assert_eq!(seen::tasks(&lab.cluster, "qmclone").len(), 2);
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_arrive_after_their_sender_died_double_nothing() {
    let lab = Lab::start().await;
    lab.class("duo", &SEATS, "").await;
    lab.inject(Fault::every(CLONE.call, FaultKind::Slow { seconds: 40.0 }));
    let mut child = lab.spawn(&["deploy", "duo", "--yes"]);
    lab.until_written("duo", StepName::Clone, |change| matches!(change, Change::StepStarted { .. })).await;
    child.kill().await.unwrap();
    lab.heal();
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &SEATS);
    let late = lab.cluster.now() + 41_000;
    lab.until("the late requests have arrived", async || lab.cluster.now() > late).await;
    lab.holds("duo", &SEATS);
    lab.is_proven("duo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_a_class_comes_up_and_goes_whole() {
    let lab = Lab::start().await;
    lab.class("duo", &["ada", "grace", "linus"], "").await;
    for (round, lines) in [3, 11, 17, 26, 9, 21].into_iter().enumerate() {
        let destroys = round == 4;
        let before = lab.journal("duo").await.len();
        let mut child = lab.spawn(&[if destroys { "destroy" } else { "deploy" }, "duo", "--yes"]);
        lab.until("so much is written", async || {
            lab.journal("duo").await.len() >= before + lines || child.try_wait().unwrap().is_some()
        })
        .await;
        child.kill().await.unwrap();
    }
    lab.deploy("duo").await.ends(0);
    lab.holds("duo", &["ada", "grace", "linus"]);
    lab.is_proven("duo").await;
    lab.destroy("duo").await.ends(0);
    assert_eq!(lab.made(), []);
    lab.is_tidy();
}
