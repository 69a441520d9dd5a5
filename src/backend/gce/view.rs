//! What Compute Engine shows, read into values. What is new to us is not an error.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use jiff::Timestamp;
use serde_json::Value;

use crate::domain::{
    Clean, NodeName,
    cloud::{DiskView, InstanceState, InstanceView, Past, RuleView},
};

/// The last part of a link.
fn last(link: &Value) -> String {
    link.as_str().and_then(|text| text.rsplit('/').next()).unwrap_or_default().to_owned()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// A number, which Google writes in quotes where it may be long.
fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}

fn map(value: &Value) -> BTreeMap<String, String> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
}

pub fn instance(value: &Value) -> InstanceView {
    let items = value["metadata"]["items"].as_array().into_iter().flatten();
    let address = value["networkInterfaces"][0]["accessConfigs"][0]["natIP"].as_str();
    let status = value["status"].as_str().unwrap_or_default();
    InstanceView {
        id: text(&value["id"]),
        name: text(&value["name"]),
        zone: NodeName::new(last(&value["zone"])),
        state: state(status),
        status: Clean::new(status),
        machine_type: last(&value["machineType"]),
        labels: map(&value["labels"]),
        metadata: items.map(|item| (text(&item["key"]), text(&item["value"]))).collect(),
        address: address.and_then(|text| text.parse::<IpAddr>().ok()),
        created: time(&value["creationTimestamp"]),
        started: time(&value["lastStartTimestamp"]),
        stopped: time(&value["lastStopTimestamp"]),
        // The list of operations knows better, where there was more than one stop.
        rests: rest(value).into_iter().collect(),
        ends: time(&value["resourceStatus"]["scheduling"]["terminationTimestamp"]),
        spot: value["scheduling"]["provisioningModel"] == "SPOT",
        // Not told here: the guest and the operations do.
        preempted: None,
        disk_gb: number(&value["disks"][0]["diskSizeGb"]),
        keeps_disk: value["disks"][0]["autoDelete"] == false,
    }
}

/// The one stretch of standing still that an instance shows of itself: from its newest stop to its newest start.
fn rest(value: &Value) -> Option<(Timestamp, Timestamp)> {
    let (stopped, started) = (time(&value["lastStopTimestamp"])?, time(&value["lastStartTimestamp"])?);
    (stopped < started).then_some((stopped, started))
}

/// What stopped an instance, and what had it run again: the beginnings of these words are enough.
const STOPS: [&str; 7] = [
    "stop",
    "suspend",
    "compute.instances.preempted",
    "compute.instances.guestTerminate",
    "compute.instances.terminateOnHostMaintenance",
    "compute.instances.hostError",
    "compute.instances.stop",
];
const STARTS: [&str; 3] = ["start", "resume", "compute.instances.automaticRestart"];
/// What removed it, asked for by somebody or done by the server at the end of its time.
const REMOVALS: [&str; 2] = ["delete", "compute.instances.delete"];

/// Reads it out of the instance's operations, in whatever order they are listed. What came to nothing changed nothing.
pub fn past(operations: &[Value]) -> Past {
    let mut told: Vec<(Timestamp, &str)> = operations
        .iter()
        .filter(|it| it["error"].is_null())
        // What is paid for ends where a stop ends, and begins where a start ends.
        .filter_map(|it| {
            let at = time(&it["endTime"]).or_else(|| time(&it["insertTime"]))?;
            Some((at, it["operationType"].as_str()?))
        })
        .collect();
    told.sort_unstable();
    let begins = |kind: &str, with: &[&str]| with.iter().any(|word| kind.starts_with(word));
    let (mut rests, mut since, mut gone) = (Vec::new(), None::<Timestamp>, None);
    for (at, kind) in told {
        if begins(kind, &REMOVALS) {
            gone = Some(at);
            // It stood still until then.
            rests.extend(since.take().map(|from| (from, at)));
        } else if begins(kind, &STOPS) {
            since.get_or_insert(at);
        } else if begins(kind, &STARTS)
            && let Some(from) = since.take()
        {
            rests.push((from, at));
        }
    }
    let taken = operations.iter().filter(|it| it["operationType"] == "compute.instances.preempted");
    Past { rests, preempted: taken.filter_map(|it| time(&it["insertTime"])).max(), gone }
}

fn state(status: &str) -> InstanceState {
    match status {
        "PENDING" | "PROVISIONING" | "STAGING" | "REPAIRING" => InstanceState::Coming,
        "RUNNING" => InstanceState::Running,
        "PENDING_STOP" | "STOPPING" | "SUSPENDING" | "DEPROVISIONING" => InstanceState::Going,
        "STOPPED" | "SUSPENDED" | "TERMINATED" => InstanceState::Stopped,
        _ => InstanceState::Unknown,
    }
}

/// The zones that a page of a list over all zones says nothing of.
pub fn unseen(page: &Value) -> BTreeSet<String> {
    let plain = |scope: &str| scope.rsplit('/').next().unwrap_or_default().to_owned();
    let named = page["unreachables"].as_array().into_iter().flatten().filter_map(Value::as_str).map(plain);
    let silent = |scope: &Value| {
        let code = scope["warning"]["code"].as_str();
        code.is_some_and(|code| code != "NO_RESULTS_ON_PAGE")
    };
    let warned = page["items"].as_object().into_iter().flatten().filter(|(_, scope)| silent(scope));
    named.chain(warned.map(|(scope, _)| plain(scope))).collect()
}

pub fn disk(value: &Value) -> DiskView {
    DiskView {
        name: text(&value["name"]),
        zone: NodeName::new(last(&value["zone"])),
        gb: number(&value["sizeGb"]),
        labels: map(&value["labels"]),
        attached: value["users"].as_array().is_some_and(|users| !users.is_empty()),
    }
}

pub fn rule(value: &Value) -> RuleView {
    let texts = |list: &Value| -> Vec<String> { list.as_array().into_iter().flatten().map(text).collect() };
    let ports = value["allowed"].as_array().into_iter().flatten().flat_map(|allowed| texts(&allowed["ports"]));
    RuleView {
        name: text(&value["name"]),
        description: text(&value["description"]),
        ranges: texts(&value["sourceRanges"]),
        ports: ports.filter_map(|port| port.parse().ok()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stretches_an_instance_stood_still_are_read_from_what_was_done_to_it() {
        let at = |minute: u8| format!("2026-11-20T10:{minute:02}:00Z");
        let did = |kind: &str, minute| serde_json::json!({"operationType": kind, "endTime": at(minute)});
        let mut failed = did("start", 12);
        failed["error"] = serde_json::json!({"errors": [{"code": "ZONE_RESOURCE_POOL_EXHAUSTED"}]});
        // Newest first, as they may be listed.
        let listed = [
            did("start", 40),
            did("compute.instances.preempted", 30),
            did("setLabels", 25),
            did("start", 20),
            failed,
            did("stop", 10),
            did("insert", 1),
        ];
        let stretch = |from, to| (at(from).parse().unwrap_or_default(), at(to).parse().unwrap_or_default());
        let found = past(&listed);
        assert_eq!(found.rests, [stretch(10, 20), stretch(30, 40)]);
        assert_eq!(past(&listed[2..]).rests, [stretch(10, 20)]);
        // One that stands still now has no end to that yet.
        assert_eq!(past(&listed[1..]).rests, [stretch(10, 20)]);
        // Until it went: removed by somebody, or by the server.
        for kind in ["delete", "compute.instances.delete"] {
            let found = past(&[did(kind, 50), did("stop", 45), did("insert", 1)]);
            assert_eq!((found.rests, found.gone), (vec![stretch(45, 50)], at(50).parse().ok()), "{kind}");
        }
    }

    #[test]
    fn a_status_nobody_knows_yet_is_no_error() {
        let shown = serde_json::json!({"name": "a", "zone": "https://x/zones/europe-west3-a", "status": "DREAMING"});
        let view = instance(&shown);
        assert_eq!((view.state, view.zone.as_str()), (InstanceState::Unknown, "europe-west3-a"));
        assert_eq!(view.status.as_str(), "DREAMING");
    }
}
