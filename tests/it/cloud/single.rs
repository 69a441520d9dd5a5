//! One workshop has one instance: whatever is on its way, not known, or not to be seen, no other is made beside it.

use homeroom::{
    domain::{MachineState, SeatName, event::RunState},
    service::{
        check::check,
        deploy::{Request, deploy},
        instance::Serial,
        report::{About, report},
    },
    sim::gce::{Fault, FaultKind},
};
use serde_json::json;

use super::{DEFINITION, Stage, ZONE, ended, intro};

const OTHER: &str = "europe-west3-c";
const WAIT: &str = "POST projects/*/zones/*/operations/*/wait";

fn answer(status: u16, reason: &str, message: &str) -> FaultKind {
    let body = json!({"error": {"code": status, "message": message,
                                "errors": [{"message": message, "domain": "global", "reason": reason}]}});
    FaultKind::Answer(status, body)
}

/// The zone that is asked first has nothing left.
fn exhausted(stage: &Stage, is_so: bool) {
    stage.project.world(|world| {
        world.zones.get_mut(ZONE).unwrap().exhausted = is_so.then(|| vec![OTHER.to_owned()]);
    });
}

/// Nothing is made, and the words say why.
fn refuses(stage: &Stage, what: &str) {
    let said = stage.live(async |home| match deploy(&home, &intro(), &Request::default()).await {
        Ok(outcome) => format!("{:?}", ended(outcome).await),
        Err(error) => error.to_string(),
    });
    let words = format!("{said}: {}", stage.reason());
    assert!(words.contains(what), "{words}");
}

#[test]
fn beside_an_instance_that_is_being_stopped_no_other_is_made() {
    let stage = Stage::new();
    stage.define(&DEFINITION.replace("[gce]", "[gce]\nspot = true"));
    exhausted(&stage, true);
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    assert_eq!(stage.listing(), [format!("{OTHER}/intro-host")]);
    exhausted(&stage, false);
    stage.project.world(|world| {
        // Two seconds of wall time.
        world.physics.remove = 600_000;
        world.preempt(OTHER, "intro-host");
    });
    stage.until(|world| world.find(OTHER, "intro-host").unwrap().status == "STOPPING");
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    assert_eq!(stage.listing(), [format!("{OTHER}/intro-host")]);
    assert_eq!(stage.ever_made(), 1);
    stage.end();
}

#[test]
fn a_wait_that_is_refused_says_nothing_of_what_it_waits_for() {
    for (status, reason) in [(401, "authError"), (403, "forbidden")] {
        let stage = Stage::new();
        exhausted(&stage, true);
        stage.project.world(|world| {
            world.physics.provision = 300_000;
            // The first zone's refusal is waited for in peace.
            let what = answer(status, reason, "Request had invalid authentication credentials.");
            // With another token it is tried once more.
            let times = if status == 401 { 2 } else { 1 };
            world.faults.push(Fault { call: WAIT.to_owned(), after: 1, times, what });
        });
        assert_eq!(stage.deploy(), Some(RunState::Failed), "{status}");
        exhausted(&stage, false);
        assert_eq!(stage.deploy(), Some(RunState::Done), "{status}: {:#?}", stage.status());
        assert_eq!(stage.listing(), [format!("{OTHER}/intro-host")], "{status}");
        assert_eq!(stage.ever_made(), 1, "{status}");
        stage.destroy();
        stage.nothing_is_left("after the destroy");
        stage.end();
    }
}

#[test]
fn waits_that_come_back_early_are_taken_up_again() {
    let stage = Stage::new();
    stage.project.world(|world| world.physics.wait = 0);
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    assert_eq!(stage.ever_made(), 1);
    stage.destroy();
    stage.nothing_is_left("after the destroy");
    stage.end();
}

#[test]
fn two_instances_of_one_workshop_are_said_and_none_of_them_is_taken_for_it() {
    let stage = Stage::new();
    stage.deploy();
    stage.project.world(|world| {
        let mut second = world.find(ZONE, "intro-host").unwrap().clone();
        (second.id, second.zone) = (second.id + 1, OTHER.to_owned());
        second.body["id"] = json!(second.id.to_string());
        second.body["zone"] = json!(second.body["zone"].as_str().unwrap().replace(ZONE, OTHER));
        world.instances.insert(second.id, second);
    });
    let status = stage.status();
    assert!(status.machines.iter().all(|row| row.state == MachineState::Unknown), "{status:#?}");
    assert!(stage.reason().contains(&format!("2 instances, in {ZONE} and {OTHER}")), "{}", stage.reason());
    refuses(&stage, "2 instances");
    // None of them is shown for it: both are named, with what reads each.
    let (logs, code) = stage.says(&["logs", "intro/host"]);
    assert_ne!(code, Some(0), "{logs}");
    let console = stage.live(async |home| {
        let serial = Serial::of(&home, &intro(), &SeatName::host()).await.unwrap().unwrap();
        serial.follow(10).await.map(drop).unwrap_err().to_string()
    });
    for zone in [ZONE, OTHER] {
        let reads = format!("get-serial-port-output intro-host --zone {zone} --project lab-1`");
        assert!(logs.contains(&reads) && console.contains(&reads), "{logs}\n{console}");
    }
    let told =
        stage.live(async |home| report(&home, &About::Seat(intro(), SeatName::host()), 1.0).await.unwrap().bundle);
    let text = told.to_string();
    assert!(
        text.contains(&format!("\"zone\":\"{ZONE}\"")) && text.contains(&format!("\"zone\":\"{OTHER}\"")),
        "{text}"
    );
    let checked = stage.live(async |home| ended(check(&home, &intro(), &[]).await.unwrap()).await);
    assert_eq!(checked, Some(RunState::Failed));
    assert_eq!(stage.destroy(), Some(RunState::Done), "{:#?}", stage.status());
    stage.nothing_is_left("both are gone");
    stage.end();
}

#[test]
fn a_zone_that_cannot_be_listed_proves_nothing_gone_and_nothing_removed() {
    let stage = Stage::new();
    stage.deploy();
    let silent = |zones: &[&str]| {
        stage.project.world(|world| world.silent = zones.iter().map(|zone| (*zone).to_owned()).collect());
    };
    silent(&[ZONE]);
    let status = stage.status();
    assert!(status.machines.iter().all(|row| row.state == MachineState::Unknown), "{status:#?}");
    assert!(stage.reason().contains("europe-west3-a cannot be listed now"), "{}", stage.reason());
    refuses(&stage, "europe-west3-a cannot be listed now");
    assert_eq!(stage.listing(), [format!("{ZONE}/intro-host")]);
    assert_eq!(stage.ever_made(), 1);
    assert_eq!(stage.destroy(), Some(RunState::Failed), "nothing says that it is gone");
    assert!(stage.reason().contains("europe-west3-a cannot be listed now"), "{}", stage.reason());
    silent(&[]);
    assert_eq!(stage.listing(), [format!("{ZONE}/intro-host")]);
    assert_eq!(stage.destroy(), Some(RunState::Done));
    stage.nothing_is_left("after it could be listed again");
    stage.end();
}
