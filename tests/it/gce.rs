//! Compute Engine: what each of its errors means, and every call against the simulated project.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use homeroom::{
    backend::gce::{Gce, Tokens, error},
    domain::{
        LabName, NodeName, RunId, StoreId,
        cloud::{InstanceSpec, InstanceState, RuleSpec, is_own, labels, mark, request_id},
    },
    port::{
        Cloud, CloudError, Dns,
        cloud::{Offer, OperationId},
    },
    sim::gce::{Fault, FaultKind, Options, Project, start},
};
use serde_json::{Value, json};

/// How many times faster than real.
const SPEED: f64 = 200.0;
const ZONE: &str = "europe-west3-a";

async fn project() -> (Project, Gce) {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let project = start(Options { project: "lab-1".to_owned(), speed: SPEED, listen }).await.unwrap();
    let gce = client(&project);
    (project, gce)
}

fn client(project: &Project) -> Gce {
    let tokens = Tokens::of_metadata_server(project.endpoint()).unwrap();
    Gce::new("lab-1", tokens, Some(project.endpoint())).unwrap()
}

/// Every call the client has, once.
pub async fn every_call(project: &Project) {
    let gce = client(project);
    let operation = gce.insert_rule(&rule(), &request_id(&["1"])).await.unwrap();
    done(&gce, operation).await.unwrap();
    let operation = gce.update_rule(&rule(), &request_id(&["2"])).await.unwrap();
    done(&gce, operation).await.unwrap();
    let kept = InstanceSpec { keep_disk: true, spot: true, ..spec() };
    made(&gce, &kept).await;
    gce.view().await.unwrap();
    gce.instance(&zone(), "intro-host").await.unwrap();
    assert_eq!(gce.offers(&zone(), "e2-standard-4").await.unwrap(), Offer::Has);
    assert_eq!(gce.offers(&zone(), "e2-enormous").await.unwrap(), Offer::NoSuchType);
    assert_eq!(gce.offers(&NodeName::new("nowhere-1-a"), "e2-standard-4").await.unwrap(), Offer::NoSuchZone);
    assert!(gce.begun_rule(&request_id(&["1"])).await.unwrap().is_some());
    let asked = ["compute.instances.create", "compute.instances.delete"];
    assert_eq!(gce.held(&asked).await.unwrap().len(), 2);
    let operation = gce.keep_disk(&zone(), "intro-host", true, &request_id(&["disk"])).await.unwrap();
    done(&gce, operation).await.unwrap();
    gce.attributes(&zone(), "intro-host", "hostkeys").await.unwrap();
    gce.serial(&zone(), "intro-host", -100).await.unwrap();
    let ends = BTreeMap::from([("homeroom-ends".to_owned(), "1790000000".to_owned())]);
    gce.relabel(&zone(), "intro-host", &ends).await.unwrap();
    let operation = gce.start(&zone(), "intro-host", &request_id(&["3"])).await.unwrap();
    done(&gce, operation).await.unwrap();
    let operation = gce.remove(&zone(), "intro-host", &request_id(&["4"])).await.unwrap();
    done(&gce, operation).await.unwrap();
    let disk = gce.view().await.unwrap().disks.remove(0);
    let operation = gce.remove_disk(&zone(), &disk.name, &request_id(&["5"])).await.unwrap();
    done(&gce, operation).await.unwrap();
    let operation = gce.remove_rule("intro-host", &request_id(&["6"])).await.unwrap();
    done(&gce, operation).await.unwrap();
    gce.publish("a.lab.example.com", "203.0.113.5".parse().unwrap(), "mark").await.unwrap();
    gce.find("a.lab.example.com").await.unwrap();
    gce.withdraw("a.lab.example.com").await.unwrap();
    assert!(gce.instance(&zone(), "intro-host").await.is_err());
}

fn zone() -> NodeName {
    NodeName::new(ZONE)
}

fn store() -> (StoreId, LabName) {
    (StoreId::from_bytes([7; 8]), LabName::new("intro").unwrap())
}

fn spec() -> InstanceSpec {
    let (store, lab) = store();
    let metadata = [
        ("enable-guest-attributes", "TRUE"),
        ("startup-script", "#!/bin/bash"),
        ("homeroom-lab", "intro"),
        ("homeroom-seats", "2"),
        ("homeroom-image", "workspace:1"),
        ("homeroom-proxy-image", "caddy:2"),
        ("homeroom-proxy-port", "8080"),
    ];
    InstanceSpec {
        name: "intro-host".to_owned(),
        machine_type: "e2-standard-4".to_owned(),
        disk_gb: 50,
        keep_disk: false,
        spot: false,
        labels: labels(&store, &lab, RunId(1), "intro-host"),
        tag: "intro-host".to_owned(),
        metadata: metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        service_account: None,
        max_life: Duration::from_secs(12 * 3600),
    }
}

fn rule() -> RuleSpec {
    let (store, lab) = store();
    RuleSpec {
        name: "intro-host".to_owned(),
        description: mark(&store, &lab),
        tag: "intro-host".to_owned(),
        ranges: vec!["127.0.0.0/8".to_owned()],
        ports: vec![22, 8080],
    }
}

async fn done(gce: &Gce, operation: OperationId) -> Result<(), CloudError> {
    loop {
        if let Some(ended) = gce.wait(&operation).await? {
            return ended;
        }
    }
}

async fn made(gce: &Gce, spec: &InstanceSpec) {
    let operation = gce.insert(&zone(), spec, &request_id(&["insert"])).await.unwrap();
    done(gce, operation).await.unwrap();
}

/// Asks again until there is an answer.
async fn until<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it comes to that")
}

// What an answer means.

fn legacy(code: u16, reason: &str, message: &str) -> String {
    json!({"error": {"code": code, "message": message, "errors": [{"message": message, "domain": "global", "reason": reason}]}})
        .to_string()
}

fn modern(code: u16, message: &str, reason: &str) -> String {
    let info = json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com",
                      "metadata": {"service": "compute.googleapis.com", "consumer": "projects/1"}});
    json!({"error": {"code": code, "message": message, "status": "PERMISSION_DENIED", "details": [info]}}).to_string()
}

fn operation(code: &str, message: &str, status: u16, details: Value) -> Value {
    json!({
        "kind": "compute#operation", "name": "operation-1", "operationType": "insert", "status": "DONE",
        "zone": "https://www.googleapis.com/compute/v1/projects/lab-1/zones/us-central1-b",
        "httpErrorStatusCode": status, "httpErrorMessage": "SERVICE UNAVAILABLE",
        "error": {"errors": [{"code": code, "message": message, "errorDetails": details}]},
    })
}

fn refused(status: u16, text: &str) -> CloudError {
    error::refused("making intro-host", status, text)
}

#[test]
fn a_name_that_is_taken_is_no_reason_to_try_again() {
    let error =
        refused(409, &legacy(409, "alreadyExists", "The resource 'projects/lab-1/zones/z/instances/a' already exists"));
    assert!(matches!(error, CloudError::Taken { .. }) && !error.is_passing(), "{error:?}");
}

#[test]
fn what_is_gone_is_gone() {
    let error =
        refused(404, &legacy(404, "notFound", "The resource 'projects/lab-1/zones/z/instances/a' was not found"));
    assert!(error.is_missing(), "{error:?}");
}

#[test]
fn a_lost_race_is_run_again_whether_the_answer_or_the_operation_says_so() {
    let words = "Supplied fingerprint does not match current metadata fingerprint.";
    let error = refused(412, &legacy(412, "conditionNotMet", words));
    assert!(matches!(error, CloudError::Raced { .. }) && error.is_passing(), "{error:?}");
    let error = error::ended("labelling", &operation("CONDITION_NOT_MET", words, 412, json!([]))).unwrap();
    assert!(matches!(error, CloudError::Raced { .. }), "{error:?}");
}

#[test]
fn a_quota_is_named_with_its_limit_and_never_retried() {
    let details = json!([{"quotaInfo": {"metricName": "compute.googleapis.com/cpus", "limitName": "CPUS-per-project-region",
                                        "limit": 24, "dimensions": {"region": "us-central1"}}}]);
    let ended = operation("QUOTA_EXCEEDED", "Quota 'CPUS' exceeded.  Limit: 24.0 in region us-central1.", 403, details);
    let error = error::ended("making intro-host", &ended).unwrap();
    let words = error.to_string();
    assert!(!error.is_passing() && words.contains("compute.googleapis.com/cpus (limit 24) in us-central1"), "{words}");
    let error =
        refused(403, &legacy(403, "quotaExceeded", "Quota 'CPUS' exceeded.  Limit: 24.0 in region us-central1."));
    assert!(matches!(&error, CloudError::Quota { which, .. } if which == "CPUS"), "{error:?}");
}

#[test]
fn throttling_looks_like_a_quota_and_is_told_from_it() {
    let minute = "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service \
                  'compute.googleapis.com' for consumer 'project_number:1'.";
    for text in [
        legacy(403, "rateLimitExceeded", "Rate Limit Exceeded"),
        legacy(403, "quotaExceeded", minute),
        modern(403, "Too many operations at once.", "CONCURRENT_OPERATIONS_QUOTA_EXCEEDED"),
    ] {
        let error = refused(403, &text);
        assert!(matches!(error, CloudError::Throttled { .. }) && error.is_passing(), "{text}: {error:?}");
    }
    let error = refused(429, &legacy(429, "rateLimitExceeded", "Too Many Requests"));
    assert!(matches!(error, CloudError::Throttled { .. }), "{error:?}");
}

#[test]
fn trouble_at_the_server_is_tried_again_even_where_a_proxy_says_so_in_html() {
    for status in [500, 502, 503] {
        let error = refused(status, &legacy(status, "backendError", "Internal error. Please try again."));
        assert!(matches!(error, CloudError::Busy { .. }) && error.is_passing(), "{error:?}");
    }
    let error = refused(502, "<html><title>Error 502 (Server Error)!!1</title></html>");
    assert!(error.is_passing() && error.to_string().contains("HTTP 502"), "{error}");
}

#[test]
fn a_network_that_is_not_ready_is_waited_for() {
    let words = "The resource 'projects/lab-1/global/networks/default' is not ready";
    let error = refused(400, &legacy(400, "resourceNotReady", words));
    assert!(error.is_passing(), "{error:?}");
    assert!(!refused(400, &legacy(400, "invalid", "Invalid value for field 'resource.name'")).is_passing());
}

#[test]
fn a_missing_permission_is_named() {
    let words = "Required 'compute.instances.create' permission for 'projects/lab-1/zones/z/instances/a'";
    let error = refused(403, &legacy(403, "forbidden", words));
    assert!(!error.is_passing());
    assert!(error.to_string().ends_with("ask for a role with compute.instances.create"), "{error}");
}

#[test]
fn an_api_that_is_off_is_named_with_what_switches_it_on() {
    let words = "Compute Engine API has not been used in project 1 before or it is disabled.";
    let error = refused(403, &modern(403, words, "SERVICE_DISABLED"));
    assert!(error.to_string().contains("`gcloud services enable compute.googleapis.com`"), "{error}");
}

#[test]
fn an_exhausted_zone_is_told_with_the_zones_that_are_not() {
    let hint = json!([{"errorInfo": {
        "domain": "compute.googleapis.com", "reason": "resource_availability",
        "metadatas": {"vmType": "e2-standard-4", "zone": "us-central1-b", "attachment": "",
                      "zonesAvailable": "us-central1-a,us-central1-f"},
    }}]);
    let words = "The zone 'projects/lab-1/zones/us-central1-b' does not have enough resources available to fulfill the \
                 request.  Try a different zone, or try again later.";
    for code in ["ZONE_RESOURCE_POOL_EXHAUSTED", "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS"] {
        let error = error::ended("making intro-host", &operation(code, words, 503, hint.clone())).unwrap();
        let CloudError::Exhausted { zone, elsewhere, .. } = error else { panic!("{error:?}") };
        assert_eq!(
            (zone.as_str(), elsewhere),
            ("us-central1-b", vec!["us-central1-a".to_owned(), "us-central1-f".into()])
        );
    }
    let empty = json!([{"errorInfo": {"metadatas": {"zonesAvailable": ""}}}]);
    let error = error::ended("making", &operation("ZONE_RESOURCE_POOL_EXHAUSTED", words, 503, empty)).unwrap();
    assert!(matches!(error, CloudError::Exhausted { elsewhere, .. } if elsewhere.is_empty()));
}

#[test]
fn a_spot_machine_taken_while_it_is_made_means_the_next_zone() {
    let ended = operation("UNSUPPORTED_OPERATION", "Instance is being preempted.", 400, json!([]));
    assert!(matches!(error::ended("making", &ended).unwrap(), CloudError::Exhausted { .. }));
}

#[test]
fn an_operation_that_is_done_may_have_ended_as_badly_as_any_answer() {
    let ended = |code: &str, status: u16| error::ended("doing", &operation(code, "words", status, json!([]))).unwrap();
    assert!(ended("RESOURCE_NOT_FOUND", 404).is_missing());
    assert!(matches!(ended("RESOURCE_ALREADY_EXISTS", 409), CloudError::Taken { .. }));
    assert!(matches!(ended("CONDITION_NOT_MET", 412), CloudError::Raced { .. }));
    assert!(matches!(ended("QUOTA_EXCEEDED", 403), CloudError::Quota { .. }));
    // The same request would only be told of it again: it is asked for anew.
    for (code, status) in [
        ("RESOURCE_NOT_READY", 400),
        ("INTERNAL_ERROR", 500),
        ("RATE_LIMIT_EXCEEDED", 429),
        ("BACKEND_ERROR", 503),
        ("SOMETHING_NEW", 502),
    ] {
        let error = ended(code, status);
        assert!(matches!(error, CloudError::Failed { .. }) && error.is_passing(), "{code}: {error:?}");
    }
    let error = ended("PERMISSIONS_ERROR", 403);
    assert!(matches!(error, CloudError::Forbidden { .. }) && !error.is_passing(), "{error:?}");
}

#[test]
fn an_operation_that_ended_badly_without_saying_why_is_no_success_and_a_stock_out_counts_wherever_it_stands() {
    let bare = |status: u16| {
        json!({"status": "DONE", "httpErrorStatusCode": status, "httpErrorMessage": "SERVICE UNAVAILABLE",
                                    "error": {"errors": []}})
    };
    let error = error::ended("making", &bare(503)).unwrap();
    assert!(
        matches!(error, CloudError::Failed { .. }) && error.to_string().contains("SERVICE UNAVAILABLE"),
        "{error:?}"
    );
    assert!(matches!(error::ended("making", &bare(403)).unwrap(), CloudError::Forbidden { .. }));
    let mut both = operation("QUOTA_EXCEEDED", "Quota 'CPUS' exceeded.", 403, json!([]));
    let stock_out = json!({"code": "ZONE_RESOURCE_POOL_EXHAUSTED", "message": "not enough resources"});
    both["error"]["errors"].as_array_mut().unwrap().push(stock_out);
    assert!(matches!(error::ended("making", &both).unwrap(), CloudError::Exhausted { .. }));
}

#[test]
fn a_login_without_a_quota_project_and_scopes_that_do_not_suffice_are_told_with_what_mends_them() {
    let words = "Your application is authenticating by using local Application Default Credentials. The \
                 compute.googleapis.com API requires a quota project, which is not set by default.";
    let error = refused(403, &modern(403, words, "SERVICE_DISABLED")).to_string();
    assert!(error.contains("set-quota-project") && !error.contains("services enable"), "{error}");
    let words = "Request had insufficient authentication scopes.";
    let error = refused(403, &modern(403, words, "ACCESS_TOKEN_SCOPE_INSUFFICIENT"));
    assert!(!error.is_passing() && error.to_string().contains("--scopes cloud-platform"), "{error}");
}

#[test]
fn done_without_an_error_is_well_and_an_unknown_error_keeps_its_words() {
    assert!(error::ended("making", &json!({"status": "DONE"})).is_none());
    let error = error::ended("making", &operation("SOMETHING_NEW", "It is Tuesday.", 400, json!([]))).unwrap();
    assert_eq!(error.to_string(), "making: SOMETHING_NEW: It is Tuesday.");
}

// Against the simulated project.

#[tokio::test]
async fn an_instance_is_made_seen_labelled_and_removed_with_its_disk() {
    let (project, gce) = project().await;
    let request = request_id(&["rule"]);
    let operation = gce.insert_rule(&rule(), &request).await.unwrap();
    done(&gce, operation).await.unwrap();
    made(&gce, &spec()).await;
    let (store, lab) = store();
    let view = gce.view().await.unwrap();
    let [one] = view.instances.as_slice() else { panic!("{view:?}") };
    assert_eq!((one.name.as_str(), one.zone.as_str(), one.state), ("intro-host", ZONE, InstanceState::Running));
    assert!(one.address.is_some() && one.ends.is_some() && is_own(&store, &lab, &one.name, &one.labels), "{one:?}");
    assert_eq!((view.disks.len(), view.disks[0].gb, view.disks[0].attached), (1, 50, true));
    assert_eq!(
        view.rules,
        [homeroom::domain::cloud::RuleView {
            name: "intro-host".to_owned(),
            description: mark(&store, &lab),
            ranges: vec!["127.0.0.0/8".to_owned()],
            ports: vec![22, 8080],
        }]
    );

    let keys = until(|| async {
        Some(gce.attributes(&zone(), "intro-host", "hostkeys").await.unwrap()).filter(|it| !it.is_empty())
    })
    .await;
    assert!(keys["ssh-ed25519"].as_str().starts_with("AAAAC3"), "{keys:?}");
    until(|| async {
        let said = gce.attributes(&zone(), "intro-host", "homeroom").await.unwrap();
        said.get("state").filter(|state| state.as_str() == "ready").map(|_| ())
    })
    .await;
    assert_eq!(gce.ask(one.address.unwrap(), 8080, "/health", Duration::from_secs(30)).await, Ok(200));
    let serial = gce.serial(&zone(), "intro-host", 0).await.unwrap();
    assert!(serial.lines.iter().any(|line| line.as_str().contains("homeroom: ready")), "{serial:?}");
    assert!(gce.serial(&zone(), "intro-host", i64::try_from(serial.next).unwrap()).await.unwrap().lines.is_empty());

    let ends = BTreeMap::from([("homeroom-ends".to_owned(), "1790000000".to_owned())]);
    gce.relabel(&zone(), "intro-host", &ends).await.unwrap();
    let one = gce.instance(&zone(), "intro-host").await.unwrap();
    assert_eq!(one.labels["homeroom-ends"], "1790000000");
    assert!(is_own(&store, &lab, &one.name, &one.labels), "the others are kept");

    let operation = gce.remove(&zone(), "intro-host", &request_id(&["remove"])).await.unwrap();
    done(&gce, operation).await.unwrap();
    assert!(gce.instance(&zone(), "intro-host").await.unwrap_err().is_missing());
    let operation = gce.remove_rule("intro-host", &request_id(&["remove", "rule"])).await.unwrap();
    done(&gce, operation).await.unwrap();
    let view = gce.view().await.unwrap();
    assert!(view.instances.is_empty() && view.disks.is_empty() && view.rules.is_empty(), "{view:?}");
    project.shutdown().await;
}

#[tokio::test]
async fn the_same_request_sent_twice_makes_one_instance_also_where_its_answer_was_lost() {
    let (project, gce) = project().await;
    let call = "POST projects/*/zones/*/instances".to_owned();
    project.world(|world| world.faults.push(Fault { call, after: 0, times: 1, what: FaultKind::Lost }));
    let request = request_id(&["insert"]);
    let lost = gce.insert(&zone(), &spec(), &request).await.unwrap_err();
    assert!(matches!(lost, CloudError::Lost { .. }), "{lost:?}");
    let operation = gce.insert(&zone(), &spec(), &request).await.unwrap();
    done(&gce, operation).await.unwrap();
    assert_eq!(project.world(|world| world.listing()), [format!("{ZONE}/intro-host")]);
    let taken = gce.insert(&zone(), &spec(), &request_id(&["another"])).await.unwrap_err();
    assert!(matches!(taken, CloudError::Taken { .. }), "{taken:?}");
    project.shutdown().await;
}

#[tokio::test]
async fn an_exhausted_zone_a_used_up_quota_and_an_api_that_is_off_are_told_apart() {
    let (project, gce) = project().await;
    project.world(|world| {
        world.zones.get_mut(ZONE).unwrap().exhausted = Some(vec!["europe-west3-c".to_owned()]);
        world.cpus = 2;
    });
    let operation = gce.insert(&zone(), &spec(), &request_id(&["1"])).await.unwrap();
    let error = done(&gce, operation).await.unwrap_err();
    assert!(matches!(&error, CloudError::Exhausted { elsewhere, .. } if elsewhere == &["europe-west3-c"]), "{error:?}");
    let other = NodeName::new("europe-west3-b");
    let operation = gce.insert(&other, &spec(), &request_id(&["2"])).await.unwrap();
    let error = done(&gce, operation).await.unwrap_err();
    assert!(matches!(error, CloudError::Quota { .. }), "{error:?}");
    assert!(project.world(|world| world.listing()).is_empty());
    project.world(|world| world.disabled.push("compute"));
    let error = gce.view().await.unwrap_err();
    assert!(matches!(error, CloudError::Disabled { .. }), "{error:?}");
    project.world(|world| {
        world.disabled.clear();
        world.denied.push("compute.firewalls.create".to_owned());
    });
    let error = gce.insert_rule(&rule(), &request_id(&["3"])).await.unwrap_err();
    assert!(error.to_string().contains("ask for a role with compute.firewalls.create"), "{error}");
    project.shutdown().await;
}

#[tokio::test]
async fn lists_are_read_to_their_last_page() {
    let (project, gce) = project().await;
    project.world(|world| {
        let (store, lab) = store();
        for number in 0..1203 {
            let rule = json!({"name": format!("rule-{number:04}"), "description": mark(&store, &lab)});
            world.firewalls.insert(format!("rule-{number:04}"), rule);
        }
    });
    assert_eq!(gce.view().await.unwrap().rules.len(), 1203);
    project.shutdown().await;
}

#[tokio::test]
async fn the_server_ends_what_has_run_too_long_and_a_preempted_machine_starts_again_elsewhere() {
    let (project, gce) = project().await;
    let short = InstanceSpec { max_life: Duration::from_secs(60), ..spec() };
    made(&gce, &short).await;
    until(|| async { gce.instance(&zone(), "intro-host").await.err().filter(CloudError::is_missing) }).await;
    assert!(project.world(|world| world.disks.is_empty()));

    let operation = gce.insert(&zone(), &InstanceSpec { spot: true, ..spec() }, &request_id(&["spot"])).await.unwrap();
    done(&gce, operation).await.unwrap();
    let before = gce.instance(&zone(), "intro-host").await.unwrap();
    project.world(|world| world.preempt(ZONE, "intro-host"));
    let stopped = until(|| async {
        Some(gce.instance(&zone(), "intro-host").await.unwrap()).filter(|it| it.state == InstanceState::Stopped)
    })
    .await;
    assert!(stopped.address.is_none() && stopped.spot, "{stopped:?}");
    let operation = gce.start(&zone(), "intro-host", &request_id(&["start"])).await.unwrap();
    done(&gce, operation).await.unwrap();
    let after = gce.instance(&zone(), "intro-host").await.unwrap();
    assert!(after.address.is_some() && after.address != before.address && after.id == before.id, "{after:?}");
    project.shutdown().await;
}

#[tokio::test]
async fn a_name_is_published_with_its_mark_moved_and_taken_back() {
    let (project, gce) = project().await;
    let (store, lab) = store();
    let name = "ws-k7m2p9.lab.example.com";
    assert_eq!(gce.find(name).await.unwrap(), None);
    gce.publish(name, "203.0.113.5".parse().unwrap(), &mark(&store, &lab)).await.unwrap();
    gce.publish(name, "203.0.113.6".parse().unwrap(), &mark(&store, &lab)).await.unwrap();
    let published = gce.find(name).await.unwrap().unwrap();
    assert_eq!(published.addresses, ["203.0.113.6".parse::<std::net::Ipv4Addr>().unwrap()]);
    assert_eq!(published.mark, Some(mark(&store, &lab)));
    gce.withdraw(name).await.unwrap();
    gce.withdraw(name).await.unwrap();
    assert!(project.world(|world| world.dns["lab"].records.is_empty()));
    let error = gce.publish("ws.elsewhere.org", "203.0.113.5".parse().unwrap(), "x").await.unwrap_err();
    assert!(error.to_string().contains("no managed zone of lab-1 holds ws.elsewhere.org"), "{error}");
    project.shutdown().await;
}

#[tokio::test]
async fn names_are_found_on_whichever_page_they_are_listed() {
    let (project, gce) = project().await;
    let (store, lab) = store();
    project.world(|world| world.dns_page = 2);
    for number in 1..=5 {
        gce.publish(&format!("ws-{number}.lab.example.com"), "203.0.113.5".parse().unwrap(), &mark(&store, &lab))
            .await
            .unwrap();
    }
    assert_eq!(gce.marked(&mark(&store, &lab)).await.unwrap().len(), 5);
    project.shutdown().await;
}

#[tokio::test]
async fn a_token_that_has_ended_is_refused_and_another_is_fetched() {
    let (project, gce) = project().await;
    let fetched = || project.world(|world| world.calls.iter().filter(|it| it.ends_with("/default/token")).count());
    gce.view().await.unwrap();
    assert_eq!(fetched(), 1);
    gce.view().await.unwrap();
    assert_eq!(fetched(), 1, "it is kept while it lasts");
    project.world(|world| world.end_tokens());
    gce.view().await.unwrap();
    assert_eq!(fetched(), 2);
    // One that lasts no longer than it says: by the project's clock, which is faster than ours.
    project.world(|world| {
        world.end_tokens();
        world.token_life = 0;
    });
    let error = gce.view().await.unwrap_err();
    assert!(matches!(error, CloudError::Unauthenticated { .. }), "{error:?}");
    project.world(|world| world.token_life = 3_599_000);
    // Whatever changes something goes on as well: nothing was done under the old one.
    let operation = gce.insert_rule(&rule(), &request_id(&["1"])).await.unwrap();
    done(&gce, operation).await.unwrap();
    assert_eq!(project.world(|world| world.firewalls.len()), 1);
    project.shutdown().await;
}

#[tokio::test]
async fn what_is_waited_for_is_witnessed_too() {
    let (project, gce) = project().await;
    let operation = gce.insert_rule(&rule(), &request_id(&["1"])).await.unwrap();
    done(&gce, operation).await.unwrap();
    let waited = project.world(|world| {
        let waits = world.exchanges.iter().filter(|it| it["path"].as_str().is_some_and(|path| path.ends_with("/wait")));
        waits.map(|it| it["answered"]["status"].clone()).collect::<Vec<_>>()
    });
    assert_eq!(waited, ["DONE"]);
    project.shutdown().await;
}

#[tokio::test]
async fn nobody_gets_in_without_a_token_that_was_issued() {
    let (project, _) = project().await;
    let stranger = Gce::new("lab-1", Tokens::Fixed("made-up".to_owned().into()), Some(project.endpoint())).unwrap();
    let error = stranger.view().await.unwrap_err();
    assert!(matches!(error, CloudError::Unauthenticated { .. }), "{error:?}");
    assert!(!error.to_string().contains("made-up"));
    project.shutdown().await;
}
