//! Instances and their disks: made, stopped, started, changed and removed.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    answer::{Answer, Made, error, invalid, missing, taken},
    check,
    inside::Inside,
    list::Wish,
    operations::Failure,
    shape::{self, Shape},
    world::{Disk, Due, Instance, World},
};

fn path(world: &World, zone: &str, name: &str) -> String {
    world.named(&format!("zones/{zone}/instances/{name}"))
}

/// A short hash of content, as fingerprints are.
pub(super) fn fingerprint(value: &Value) -> String {
    use base64::Engine as _;
    let digest = Sha256::digest(value.to_string().as_bytes());
    base64::engine::general_purpose::URL_SAFE.encode(&digest[..8])
}

/// An instance as it is shown now.
pub(super) fn shown(world: &World, instance: &Instance) -> Value {
    let mut body = instance.body.clone();
    body["status"] = json!(instance.status);
    if let Some(access) = body.pointer_mut("/networkInterfaces/0/accessConfigs/0") {
        match instance.address {
            Some(address) => access["natIP"] = json!(address.to_string()),
            None => {
                access.as_object_mut().map(|access| access.remove("natIP"));
            }
        }
    }
    if let Some(at) = instance.ends_at.filter(|_| instance.status == "RUNNING") {
        body["resourceStatus"] = json!({"scheduling": {"terminationTimestamp": world.stamp(at)}});
    }
    body
}

pub(super) fn insert(
    world: &mut World,
    zone: &str,
    body: &Value,
    request: Option<&str>,
    struck: Option<Failure>,
) -> Made {
    if let Some(operation) = world.repeated(request) {
        return Ok(operation);
    }
    let Some(place) = world.zones.get(zone).cloned() else {
        return Err(missing(&world.named(&format!("zones/{zone}"))));
    };
    let Shape { name, vcpus, mut body, disks } = shape::read(world, zone, body)?;
    if world.find(zone, &name).is_some() {
        return Err(taken(&path(world, zone, &name)));
    }
    for new in &disks {
        let is_taken = |disk: &Disk| disk.zone == zone && disk.name == new.name;
        if world.disks.values().any(is_taken) {
            return Err(taken(&world.named(&format!("zones/{zone}/disks/{}", new.name))));
        }
    }
    let id = world.id();
    let stamp = world.stamp(world.now());
    body["kind"] = json!("compute#instance");
    body["id"] = json!(id.to_string());
    body["creationTimestamp"] = json!(stamp);
    body["selfLink"] = json!(world.link(&format!("zones/{zone}/instances/{name}")));
    body["zone"] = json!(world.link(&format!("zones/{zone}")));
    body["labelFingerprint"] = json!(fingerprint(&body["labels"]));
    body["fingerprint"] = json!(fingerprint(&body));
    for (at, new) in disks.into_iter().enumerate() {
        let disk = world.id();
        let link = world.link(&format!("zones/{zone}/disks/{}", new.name));
        body["disks"][at]["source"] = json!(link);
        let shown = json!({
            "kind": "compute#disk", "id": disk.to_string(), "name": new.name, "sizeGb": new.gb.to_string(),
            "zone": world.link(&format!("zones/{zone}")), "status": "READY", "creationTimestamp": stamp,
            "selfLink": link, "type": world.link(&format!("zones/{zone}/diskTypes/{}", new.kind)),
            "labels": new.labels, "users": [body["selfLink"]],
        });
        let auto_delete = body["disks"][at]["autoDelete"].as_bool().unwrap_or(false);
        world.disks.insert(
            disk,
            Disk { id: disk, zone: zone.to_owned(), name: new.name, body: shown, user: Some(id), auto_delete },
        );
    }
    let mut host_key = [0; 32];
    host_key.copy_from_slice(&Sha256::digest(id.to_string().as_bytes()));
    let used: u64 = in_region(world, &place.region).map(|it| it.vcpus).sum();
    world.instances.insert(
        id,
        Instance {
            id,
            zone: zone.to_owned(),
            name: name.clone(),
            body,
            status: "PROVISIONING",
            run: 0,
            address: None,
            vcpus,
            ends_at: None,
            host_key,
            inside: Inside::default(),
            serial: String::new(),
            attributes: Default::default(),
            preempted: false,
        },
    );
    let operation = world.operation("insert", &format!("zones/{zone}/instances/{name}"), Some(id), zone, request);
    let refused = struck
        .or_else(|| place.exhausted.as_ref().map(|elsewhere| exhausted(world, zone, elsewhere)))
        .or_else(|| (used + vcpus > world.cpus).then(|| over_quota(world, &place.region)));
    match refused {
        Some((status, message, error)) => {
            let due = Due::Refused { instance: id, operation: operation.clone(), error, status, message };
            world.after(world.physics.provision, due);
        }
        None => {
            let (provision, stage) = (world.physics.provision, world.physics.stage);
            world.after(provision, Due::Staging(id));
            world.after(provision + stage, Due::Running(id, operation.clone()));
        }
    }
    Ok(world.shown(&operation))
}

fn in_region<'a>(world: &'a World, region: &'a str) -> impl Iterator<Item = &'a Instance> {
    let here = move |it: &&Instance| world.zones.get(&it.zone).is_some_and(|zone| zone.region == region);
    world.instances.values().filter(here).filter(|it| it.status != "TERMINATED")
}

/// As Compute Engine says it; `elsewhere` are the zones it hints at.
pub(super) fn exhausted(world: &World, zone: &str, elsewhere: &[String]) -> Failure {
    let message = format!(
        "The zone '{}' does not have enough resources available to fulfill the request.  Try a different zone, or try \
         again later.",
        world.named(&format!("zones/{zone}"))
    );
    let error = json!({"errors": [{
        "code": "ZONE_RESOURCE_POOL_EXHAUSTED",
        "message": message,
        "errorDetails": [
            {"help": {"links": [{"description": "Troubleshooting documentation",
                                 "url": "https://cloud.google.com/compute/docs/resource-error"}]}},
            {"localizedMessage": {"locale": "en-US", "message": message}},
            {"errorInfo": {"reason": "resource_availability", "domain": "compute.googleapis.com",
                           "metadatas": {"zone": zone, "vmType": "e2-standard-4", "attachment": "",
                                         "zonesAvailable": elsewhere.join(",")}}},
        ],
    }]});
    (503, "SERVICE UNAVAILABLE".to_owned(), error)
}

fn over_quota(world: &World, region: &str) -> Failure {
    let message = format!("Quota 'CPUS' exceeded.  Limit: {}.0 in region {region}.", world.cpus);
    let error = json!({"errors": [{
        "code": "QUOTA_EXCEEDED",
        "message": message,
        "errorDetails": [{"quotaInfo": {"metricName": "compute.googleapis.com/cpus",
                                        "limitName": "CPUS-per-project-region", "limit": world.cpus,
                                        "dimensions": {"region": region}}}],
    }]});
    (403, "FORBIDDEN".to_owned(), error)
}

pub(super) fn get(world: &World, zone: &str, name: &str) -> Made {
    world.find(zone, name).map(|it| shown(world, it)).ok_or_else(|| missing(&path(world, zone, name)))
}

pub(super) fn list(world: &World, zone: &str, query: &[(String, String)]) -> Made {
    let here = world.instances.values().filter(|it| it.zone == zone).map(|it| shown(world, it)).collect();
    let (path, link) =
        (world.named(&format!("zones/{zone}/instances")), world.link(&format!("zones/{zone}/instances")));
    Ok(Wish::read(query)?.answer("compute#instanceList", &path, &link, here))
}

/// Of all zones: a map by zone, and a warning for a zone without any.
pub(super) fn aggregated(world: &World, what: &str, query: &[(String, String)]) -> Made {
    let wish = Wish::read(query)?;
    let all: Vec<Value> = match what {
        "instances" => world.instances.values().map(|it| shown(world, it)).collect(),
        _ => world.disks.values().map(|disk| disk.body.clone()).collect(),
    };
    let here = |item: &Value| {
        let zone = item["zone"].as_str().and_then(|link| link.rsplit('/').next()).unwrap_or_default();
        !world.silent.iter().any(|silent| silent == zone)
    };
    let (page, next) = wish.page(all.into_iter().filter(here).collect());
    let mut scopes = Map::new();
    for zone in world.zones.keys() {
        let scope = format!("zones/{zone}");
        let here: Vec<&Value> = page
            .iter()
            .filter(|it| it["zone"].as_str().is_some_and(|link| link.ends_with(&format!("/{scope}"))))
            .collect();
        let entry = match here.is_empty() {
            false => json!({ what: here }),
            true if world.silent.contains(zone) => json!({"warning": {
                "code": "UNREACHABLE",
                "message": format!("The resources of scope '{scope}' are not reachable."),
                "data": [{"key": "scope", "value": scope}],
            }}),
            true => json!({"warning": {
                "code": "NO_RESULTS_ON_PAGE",
                "message": format!("There are no results for scope '{scope}' on this page."),
                "data": [{"key": "scope", "value": scope}],
            }}),
        };
        scopes.insert(scope, entry);
    }
    let kind = if what == "instances" { "compute#instanceAggregatedList" } else { "compute#diskAggregatedList" };
    let mut body = json!({
        "kind": kind, "id": world.named(&format!("aggregated/{what}")), "items": scopes,
        "selfLink": world.link(&format!("aggregated/{what}")),
    });
    if !world.silent.is_empty() {
        body["unreachables"] = world.silent.iter().map(|zone| json!(world.link(&format!("zones/{zone}")))).collect();
    }
    if let Some(next) = next {
        body["nextPageToken"] = json!(next);
    }
    Ok(body)
}

fn known(world: &World, zone: &str, name: &str) -> Result<(u64, &'static str), Answer> {
    world.find(zone, name).map(|it| (it.id, it.status)).ok_or_else(|| missing(&path(world, zone, name)))
}

pub(super) fn delete(world: &mut World, zone: &str, name: &str, request: Option<&str>) -> Made {
    if let Some(operation) = world.repeated(request) {
        return Ok(operation);
    }
    let (id, _) = known(world, zone, name)?;
    let operation = world.operation("delete", &format!("zones/{zone}/instances/{name}"), Some(id), zone, request);
    if let Some(instance) = world.instances.get_mut(&id) {
        super::inside::off(instance);
        instance.status = "STOPPING";
        instance.address = None;
    }
    world.after(world.physics.remove, Due::Gone(id, operation.clone()));
    Ok(world.shown(&operation))
}

pub(super) fn stop(world: &mut World, zone: &str, name: &str, request: Option<&str>) -> Made {
    if let Some(operation) = world.repeated(request) {
        return Ok(operation);
    }
    let (id, status) = known(world, zone, name)?;
    let operation = world.operation("stop", &format!("zones/{zone}/instances/{name}"), Some(id), zone, request);
    let wait = if status == "TERMINATED" { 0 } else { world.physics.remove };
    if let Some(instance) = world.instances.get_mut(&id).filter(|it| it.status != "TERMINATED") {
        instance.status = "STOPPING";
    }
    world.after(wait, Due::Stopped(id, "TERMINATED", operation.clone()));
    Ok(world.shown(&operation))
}

pub(super) fn start(world: &mut World, zone: &str, name: &str, request: Option<&str>) -> Made {
    if let Some(operation) = world.repeated(request) {
        return Ok(operation);
    }
    let (id, status) = known(world, zone, name)?;
    let operation = world.operation("start", &format!("zones/{zone}/instances/{name}"), Some(id), zone, request);
    let elsewhere = world.zones.get(zone).and_then(|place| place.exhausted.clone());
    if let Some(elsewhere) = elsewhere.filter(|_| status == "TERMINATED") {
        // It stays what it is.
        let failure = exhausted(world, zone, &elsewhere);
        world.after(world.physics.provision, Due::Fails(operation.clone(), failure));
    } else if status == "TERMINATED" {
        if let Some(instance) = world.instances.get_mut(&id) {
            instance.status = "STAGING";
            instance.preempted = false;
        }
        world.after(world.physics.stage, Due::Running(id, operation.clone()));
    } else {
        world.after(0, Due::End(operation.clone()));
    }
    Ok(world.shown(&operation))
}

/// Replaces the whole of an instance's metadata, labels or schedule.
pub(super) fn set(
    world: &mut World,
    (zone, name): (&str, &str),
    what: &str,
    body: &Value,
    request: Option<&str>,
    struck: Option<Failure>,
) -> Made {
    if let Some(operation) = world.repeated(request) {
        return Ok(operation);
    }
    let (id, status) = known(world, zone, name)?;
    if let Some(failure) = struck {
        let operation = world.operation(what, &format!("zones/{zone}/instances/{name}"), Some(id), zone, request);
        world.after(world.physics.small, Due::Fails(operation.clone(), failure));
        return Ok(world.shown(&operation));
    }
    let Some(instance) = world.instances.get_mut(&id) else { return Err(missing(name)) };
    match what {
        "setMetadata" => {
            check::metadata(body["items"].as_array().map_or(&[], Vec::as_slice))?;
            if body["fingerprint"] != instance.body["metadata"]["fingerprint"] {
                let words = "Supplied fingerprint does not match current metadata fingerprint.";
                return Err(error(412, "conditionNotMet", words));
            }
            let items = body.get("items").cloned().unwrap_or_else(|| json!([]));
            let print = fingerprint(&items);
            instance.body["metadata"] = json!({"kind": "compute#metadata", "fingerprint": print, "items": items});
        }
        "setLabels" => {
            check::labels(body["labels"].as_object().unwrap_or(&Map::new()))?;
            if body["labelFingerprint"] != instance.body["labelFingerprint"] {
                let words = "Labels fingerprint either invalid or resource labels have changed";
                return Err(error(412, "conditionNotMet", words));
            }
            instance.body["labels"] = body["labels"].clone();
            instance.body["labelFingerprint"] = json!(fingerprint(&body["labels"]));
        }
        _ if status != "TERMINATED" => {
            let words = format!("The instance '{name}' must be stopped to change its scheduling.");
            return Err(error(400, "invalid", words));
        }
        _ => instance.body["scheduling"] = body.clone(),
    }
    let operation = world.operation(what, &format!("zones/{zone}/instances/{name}"), Some(id), zone, request);
    world.after(world.physics.small, Due::End(operation.clone()));
    Ok(world.shown(&operation))
}

/// Whether a disk goes with its instance.
pub(super) fn auto_delete(
    world: &mut World,
    zone: &str,
    name: &str,
    query: &[(String, String)],
    request: Option<&str>,
) -> Made {
    if let Some(operation) = world.repeated(request) {
        return Ok(operation);
    }
    let (id, _) = known(world, zone, name)?;
    let asked = |key: &str| query.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value.as_str());
    let goes = match asked("autoDelete") {
        "true" => true,
        "false" => false,
        other => return Err(invalid("autoDelete", other, "Must be a boolean.")),
    };
    let device = asked("deviceName");
    let attached = world.instances.get_mut(&id).and_then(|it| it.body["disks"].as_array_mut());
    let Some(disk) = attached.into_iter().flatten().find(|disk| disk["deviceName"] == device) else {
        return Err(error(400, "invalid", format!("No attached disk found with device name '{device}'")));
    };
    disk["autoDelete"] = json!(goes);
    let source = disk["source"].clone();
    for disk in world.disks.values_mut().filter(|disk| disk.body["selfLink"] == source) {
        disk.auto_delete = goes;
    }
    let target = format!("zones/{zone}/instances/{name}");
    let operation = world.operation("setDiskAutoDelete", &target, Some(id), zone, request);
    world.after(world.physics.small, Due::End(operation.clone()));
    Ok(world.shown(&operation))
}

/// The host is maintained: whoever may move is moved and notices nothing, a spot instance is taken away.
pub(super) fn maintained(world: &mut World, zone: &str, name: &str, request: Option<&str>) -> Made {
    if let Some(operation) = world.repeated(request) {
        return Ok(operation);
    }
    let (id, status) = known(world, zone, name)?;
    if status != "RUNNING" {
        return Err(error(400, "resourceNotReady", format!("The resource '{}' is not ready", path(world, zone, name))));
    }
    if world.instances.get(&id).is_some_and(|it| it.body["scheduling"]["provisioningModel"] == "SPOT") {
        world.preempt(zone, name);
    }
    let target = format!("zones/{zone}/instances/{name}");
    let operation = world.operation("simulateMaintenanceEvent", &target, Some(id), zone, request);
    world.after(world.physics.small, Due::End(operation.clone()));
    Ok(world.shown(&operation))
}

/// The serial port's output from a position on; a negative one counts from its end.
pub(super) fn serial(world: &World, zone: &str, name: &str, query: &[(String, String)]) -> Made {
    let instance = world.find(zone, name).ok_or_else(|| missing(&path(world, zone, name)))?;
    let start = query.iter().find(|(key, _)| key == "start").map_or("0", |(_, value)| value.as_str());
    let start: i64 = start.parse().map_err(|_| invalid("start", start, "Must be an integer."))?;
    let length = instance.serial.len();
    let from = match usize::try_from(start) {
        Ok(from) => from.min(length),
        Err(_) => length.saturating_sub(usize::try_from(start.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    Ok(json!({
        "kind": "compute#serialPortOutput", "contents": instance.serial.get(from..).unwrap_or_default(),
        "start": from.to_string(), "next": length.to_string(),
        "selfLink": world.link(&format!("zones/{zone}/instances/{name}/serialPort")),
    }))
}

/// What the guest has told about itself.
pub(super) fn guest_attributes(world: &World, zone: &str, name: &str, query: &[(String, String)]) -> Made {
    let instance = world.find(zone, name).ok_or_else(|| missing(&path(world, zone, name)))?;
    let asked = query.iter().find(|(key, _)| key == "queryPath").map_or("", |(_, value)| value.as_str());
    let found: Vec<Value> = instance
        .attributes
        .iter()
        .filter(|(path, _)| asked.is_empty() || path.starts_with(asked))
        .filter_map(|(path, value)| {
            let (namespace, key) = path.split_once('/')?;
            Some(json!({"namespace": namespace, "key": key, "value": value}))
        })
        .collect();
    if found.is_empty() {
        let what = format!("{}/guestAttributes/{asked}", path(world, zone, name));
        return Err(missing(what.trim_end_matches('/')));
    }
    Ok(json!({
        "kind": "compute#guestAttributes", "queryPath": asked, "queryValue": {"items": found},
        "selfLink": world.link(&format!("zones/{zone}/instances/{name}/guestAttributes/{asked}")),
    }))
}

pub(super) fn delete_disk(world: &mut World, zone: &str, name: &str, request: Option<&str>) -> Made {
    if let Some(operation) = world.repeated(request) {
        return Ok(operation);
    }
    let what = world.named(&format!("zones/{zone}/disks/{name}"));
    let found = world.disks.values().find(|disk| disk.zone == zone && disk.name == name);
    let Some((id, user)) = found.map(|disk| (disk.id, disk.user)) else { return Err(missing(&what)) };
    if user.is_some() {
        let words = format!("The disk resource '{what}' is already being used by an instance");
        return Err(error(400, "resourceInUseByAnotherResource", words));
    }
    let operation = world.operation("delete", &format!("zones/{zone}/disks/{name}"), Some(id), zone, request);
    world.after(world.physics.small, Due::Deed(super::world::Effect::NoDisk(id), operation.clone()));
    Ok(world.shown(&operation))
}
