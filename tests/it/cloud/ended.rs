//! Operations that are done and have come to nothing: each is noticed, and either done anew or told with what to do.

use std::time::Duration;

use homeroom::{
    domain::event::RunState,
    service::ends::extend,
    sim::gce::{Fault, FaultKind},
};
use serde_json::{Value, json};

use super::{DEFINITION, Stage, ZONE, end_told, intro};

/// The next call of this kind begins an operation that ends so.
fn doom(stage: &Stage, call: &str, code: &str, status: u16, details: Value) {
    let error = json!({"errors": [{"code": code, "message": format!("{code}, it says"), "errorDetails": details}]});
    let what = FaultKind::Operation(status, "NO".to_owned(), error);
    stage.project.world(|world| world.faults.push(Fault { call: call.to_owned(), after: 0, times: 1, what }));
}

/// Operations that came to nothing.
fn failed(stage: &Stage) -> usize {
    stage.project.world(|world| world.operations.values().filter(|it| it.body.get("error").is_some()).count())
}

#[test]
fn a_firewall_rule_and_a_removal_whose_operations_fail_are_done_anew() {
    let stage = Stage::new();
    doom(&stage, "POST projects/*/global/firewalls", "INTERNAL_ERROR", 500, json!([]));
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    assert_eq!(failed(&stage), 1);
    doom(&stage, "DELETE projects/*/zones/*/instances/*", "INTERNAL_ERROR", 500, json!([]));
    doom(&stage, "DELETE projects/*/global/firewalls/*", "RESOURCE_NOT_READY", 400, json!([]));
    assert_eq!(stage.destroy(), Some(RunState::Done), "{:#?}", stage.status());
    assert_eq!(failed(&stage), 3);
    stage.nothing_is_left("after removals that failed at first");
    stage.end();
}

#[test]
fn a_label_that_lost_its_race_at_the_end_is_set_by_the_next_try() {
    let stage = Stage::new();
    stage.deploy();
    let before = end_told(&stage);
    doom(&stage, "POST projects/*/zones/*/instances/*/setLabels", "CONDITION_NOT_MET", 412, json!([]));
    stage.live(async |home| extend(&home, &intro(), Duration::from_secs(3600)).await.unwrap());
    assert_eq!((failed(&stage), end_told(&stage) - before), (1, 3600));
    stage.end();
}

#[test]
fn a_machine_that_cannot_be_started_where_it_lies_is_told_with_what_to_do() {
    let stage = Stage::new();
    stage.define(&DEFINITION.replace("[gce]", "[gce]\nspot = true"));
    stage.deploy();
    stage.project.world(|world| world.preempt(ZONE, "intro-host"));
    stage.until(|world| world.find(ZONE, "intro-host").unwrap().status == "TERMINATED");
    doom(&stage, "POST projects/*/zones/*/instances/*/start", "ZONE_RESOURCE_POOL_EXHAUSTED", 503, json!([]));
    assert_eq!(stage.deploy(), Some(RunState::Failed));
    let why = stage.reason();
    assert!(why.contains("europe-west3-a has no room to start it again"), "{why}");
    assert!(why.contains("`homeroom destroy intro --yes`"), "{why}");
    assert_eq!(stage.deploy(), Some(RunState::Done), "there is room again: {:#?}", stage.status());
    assert_eq!(stage.ever_made(), 1);
    stage.end();
}
