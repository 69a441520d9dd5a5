//! What goes wrong around an instance: DNS that is out of order, reads that fail once, policies, scripts that ended,
//! disks that are kept. What costs money goes all the same, and what is mended goes on.

use std::time::Duration;

use homeroom::{
    domain::event::RunState,
    service::{ends::extend, plan::plan_deploy},
    sim::gce::{Fault, FaultKind},
};
use serde_json::json;

use super::{DEFINITION, Stage, ZONE, intro};

fn strikes(stage: &Stage, call: &str, (status, reason, message): (u16, &str, &str)) {
    let body = json!({"error": {"code": status, "message": message,
                                "errors": [{"message": message, "domain": "global", "reason": reason}]}});
    let fault = Fault { call: call.to_owned(), after: 0, times: 1, what: FaultKind::Answer(status, body) };
    stage.project.world(|world| world.faults.push(fault));
}

/// The operation that a call begins ends so, once.
fn ends_badly(stage: &Stage, call: &str, (status, code): (u16, &str)) {
    let error = json!({"errors": [{"code": code, "message": format!("{code} in a test")}]});
    let what = FaultKind::Operation(status, "BAD REQUEST".to_owned(), error);
    stage.project.world(|world| world.faults.push(Fault { call: call.to_owned(), after: 0, times: 1, what }));
}

#[test]
fn a_dns_that_is_out_of_order_keeps_no_instance_running() {
    let stage = Stage::new();
    stage.deploy();
    stage.project.world(|world| world.denied.push("dns.managedZones.list".to_owned()));
    assert_eq!(stage.destroy(), Some(RunState::Failed));
    assert_eq!(stage.listing(), [""; 0], "it costs nothing any more");
    assert!(stage.reason().contains("roles/dns.admin"), "{}", stage.reason());
    stage.project.world(|world| {
        world.denied.clear();
        world.disabled.push("dns");
    });
    assert_eq!(stage.destroy(), Some(RunState::Failed));
    assert!(stage.reason().contains("`gcloud services enable dns.googleapis.com`"), "{}", stage.reason());
    stage.project.world(|world| world.disabled.clear());
    assert_eq!(stage.destroy(), Some(RunState::Done), "{:#?}", stage.status());
    stage.nothing_is_left("names are gone as well");
    stage.end();
}

#[test]
fn an_instance_that_is_lost_while_it_comes_up_is_told_as_that_by_the_run_and_by_status() {
    for (by_hand, says) in [(true, "its instance is no longer in the project; "), (false, "its spot machine was ")] {
        let stage = Stage::new();
        stage.define(&DEFINITION.replace("[gce]", "[gce]\nspot = true"));
        // It runs, and its seats are long in coming.
        stage.project.world(|world| world.physics.pull = 3_000_000);
        let state = std::thread::scope(|scope| {
            let deploy = scope.spawn(|| stage.deploy());
            stage.until(|world| world.find(ZONE, "intro-host").is_some_and(|it| it.inside.docker));
            match by_hand {
                true => stage.by_hand("DELETE", &format!("zones/{ZONE}/instances/intro-host"), serde_json::Value::Null),
                false => stage.project.world(|world| world.preempt(ZONE, "intro-host")),
            }
            deploy.join().unwrap()
        });
        assert_eq!(state, Some(RunState::Failed));
        let told = stage.live(async |home| home.store.progress(&intro()).await.unwrap().0.seats[0].reason.clone());
        let told = told.map(|why| why.to_string()).unwrap_or_default();
        assert!(told.contains("its instance is ") && !told.contains("refused") || told.contains(says), "{told}");
        stage.until(|world| world.find(ZONE, "intro-host").is_none_or(|it| it.status == "TERMINATED"));
        let why = stage.reason();
        assert!(why.contains(says) && why.contains("`homeroom deploy intro --yes`"), "{why}");
        stage.end();
    }
}

#[test]
fn a_look_that_fails_once_ends_nothing() {
    let stage = Stage::new();
    for (status, reason) in [(502, "backendError"), (403, "rateLimitExceeded"), (429, "rateLimitExceeded")] {
        strikes(&stage, "GET projects/*/aggregated/instances", (status, reason, "Not this time."));
        stage.live(async |home| plan_deploy(&home, &intro()).await.map(drop)).unwrap();
    }
    strikes(&stage, "GET projects/*/aggregated/instances", (502, "backendError", "Bad Gateway"));
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    strikes(&stage, "GET projects/*/aggregated/disks", (403, "rateLimitExceeded", "Rate Limit Exceeded"));
    assert_eq!(stage.destroy(), Some(RunState::Done), "{:#?}", stage.status());
    stage.end();
}

#[test]
fn a_policy_of_the_organisation_is_told_at_once() {
    let stage = Stage::new();
    let words = "Constraint constraints/compute.vmExternalIpAccess violated for project 1. Add instance to the \
                 constraint to use external IP with it.";
    strikes(&stage, "POST projects/*/zones/*/instances", (412, "conditionNotMet", words));
    assert_eq!(stage.deploy(), Some(RunState::Failed));
    let why = stage.reason();
    assert!(why.contains("constraints/compute.vmExternalIpAccess") && why.contains("a policy of the organisation"));
    let asked = stage.project.world(|world| {
        world.calls.iter().filter(|call| call.starts_with("POST") && call.ends_with("/instances")).count()
    });
    assert_eq!(asked, 1, "asking again changes nothing");
    stage.end();
}

#[test]
fn labels_that_somebody_else_changed_in_between_are_merged_again() {
    let stage = Stage::new();
    stage.deploy();
    let words = "Labels fingerprint either invalid or resource labels have changed";
    strikes(&stage, "POST projects/*/zones/*/instances/*/setLabels", (412, "conditionNotMet", words));
    let labels = || stage.project.world(|world| world.find(ZONE, "intro-host").unwrap().body["labels"].clone());
    let before = labels();
    stage.live(async |home| extend(&home, &intro(), Duration::from_secs(3600)).await.unwrap());
    let after = labels();
    assert_ne!(after["homeroom-ends"], before["homeroom-ends"]);
    assert_eq!(after["homeroom-lab"], "intro");
    stage.end();
}

#[test]
fn what_passes_while_an_instance_is_asked_for_is_asked_again_and_makes_one() {
    for (status, reason, message) in [
        (403, "rateLimitExceeded", "Rate Limit Exceeded"),
        (
            403,
            "quotaExceeded",
            "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service 'x'.",
        ),
        (400, "resourceNotReady", "The resource 'projects/lab-1/global/networks/default' is not ready"),
        (503, "backendError", "Internal error. Please try again."),
    ] {
        let stage = Stage::new();
        strikes(&stage, "POST projects/*/zones/*/instances", (status, reason, message));
        assert_eq!(stage.deploy(), Some(RunState::Done), "{message}: {:#?}", stage.status());
        assert_eq!((stage.listing(), stage.ever_made()), (vec![format!("{ZONE}/intro-host")], 1), "{message}");
        stage.end();
    }
}

#[test]
fn a_spot_machine_that_is_taken_away_while_it_is_made_is_made_in_the_next_zone() {
    let stage = Stage::new();
    ends_badly(&stage, "POST projects/*/zones/*/instances", (400, "UNSUPPORTED_OPERATION"));
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    assert_eq!(stage.listing(), ["europe-west3-b/intro-host"]);
    stage.end();
}

#[test]
fn somebody_else_s_instance_of_the_same_name_is_left_alone() {
    let stage = Stage::new();
    stage.deploy();
    // As if somebody had made it, with no label of ours.
    stage.project.world(|world| {
        for instance in world.instances.values_mut() {
            instance.body["labels"] = json!({"owner": "somebody"});
        }
    });
    assert_eq!(stage.deploy(), Some(RunState::Failed));
    let why = stage.reason();
    assert!(why.contains("an instance called intro-host that is not ours; it is left alone"), "{why}");
    stage.destroy();
    assert_eq!(stage.listing(), [format!("{ZONE}/intro-host")]);
    stage.end();
}

#[test]
fn a_spot_machine_that_finds_no_room_to_start_again_keeps_what_was_written_and_the_next_step_is_named() {
    let stage = Stage::new();
    stage.define(&DEFINITION.replace("[gce]", "[gce]\nspot = true"));
    stage.deploy();
    stage.project.world(|world| {
        world.preempt(ZONE, "intro-host");
        world.zones.get_mut(ZONE).unwrap().exhausted = Some(Vec::new());
    });
    stage.until(|world| world.find(ZONE, "intro-host").unwrap().status == "TERMINATED");
    assert_eq!(stage.deploy(), Some(RunState::Failed));
    let why = stage.reason();
    assert!(why.contains("has no room to start it again") && why.contains("deploy again later"), "{why}");
    stage.project.world(|world| world.zones.get_mut(ZONE).unwrap().exhausted = None);
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    assert_eq!(stage.ever_made(), 1);
    stage.end();
}

#[test]
fn an_image_that_comes_late_is_pulled_again_and_a_script_that_ended_is_run_again() {
    let stage = Stage::new();
    stage.project.world(|world| world.broken_pulls = 2);
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    stage.destroy();
    stage.project.world(|world| world.images.push("caddy:2".to_owned()));
    assert_eq!(stage.deploy(), Some(RunState::Failed));
    assert!(stage.reason().contains("cannot pull"), "{}", stage.reason());
    // Somebody has pushed it since.
    stage.project.world(|world| world.images.clear());
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    stage.project.world(|world| {
        let instance = world.find(ZONE, "intro-host").unwrap();
        assert_eq!(instance.run, 1, "nothing was restarted");
    });
    stage.end();
}

#[test]
fn a_disk_may_be_kept_more_than_once() {
    let stage = Stage::new();
    stage.define(&DEFINITION.replace("[gce]", "[gce]\nkeep_disk = true"));
    for kept in 1..=2 {
        assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
        assert_eq!(stage.destroy(), Some(RunState::Done), "{:#?}", stage.status());
        let disks = stage.project.world(|world| world.disks.values().map(|it| it.name.clone()).collect::<Vec<_>>());
        assert_eq!(disks.len(), kept, "{disks:?}");
    }
    // Out of the definition, they go with the next destroy.
    stage.define(DEFINITION);
    assert_eq!(stage.destroy(), Some(RunState::Done), "{:#?}", stage.status());
    stage.nothing_is_left("without keep_disk");
    stage.end();
}
