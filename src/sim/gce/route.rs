//! Which call a request is, and whether its caller may make it.

use serde_json::{Value, json};

use super::{
    answer::{Answer, Made, Outcome, disabled, error, forbidden, unauthenticated, unpaid},
    catalogue, check, dns, firewalls, instances, metadata,
    operations::{self, Failure},
    world::{Request, World},
};

/// How the path of a question for permissions ends.
pub(super) const TEST_PERMISSIONS: &str = ":testIamPermissions";

/// Answers a request. `struck` is how the operation it begins shall end.
pub(super) fn route(world: &mut World, request: &Request, struck: Option<Failure>) -> Outcome {
    let segments: Vec<&str> = request.path.split('/').filter(|part| !part.is_empty()).collect();
    metadata::notice(world, request);
    if let Some(answer) = metadata::call(world, request, &segments) {
        return Outcome::Now(answer);
    }
    let made = match segments.as_slice() {
        ["compute", "v1", "projects", project, rest @ ..] => {
            if let Err(answer) = allowed(world, request, project, "compute", rest) {
                return Outcome::Now(answer);
            }
            match (request.method.as_str(), rest) {
                ("POST", ["zones", zone, "operations", name, "wait"]) => {
                    return operations::wait(world, &format!("zones/{zone}"), name);
                }
                ("POST", ["global", "operations", name, "wait"]) => return operations::wait(world, "global", name),
                _ => match (rest, struck) {
                    // Those leave an instance for a while, and have an end of their own.
                    (["zones", _, "instances"], struck) => compute(world, request, project, rest, struck),
                    (_, None) => compute(world, request, project, rest, None),
                    (_, Some(failure)) => doomed(world, request, project, rest, failure),
                },
            }
        }
        ["dns", "v1", "projects", project, rest @ ..] => match allowed(world, request, project, "dns", rest) {
            Ok(()) => body(request).and_then(|body| dns::call(world, &request.method, rest, &request.query, &body)),
            Err(answer) => Err(answer),
        },
        // Of the Resource Manager: which of some permissions the caller has on the project.
        ["v1", "projects", asked] if asked.ends_with(TEST_PERMISSIONS) => {
            let project = asked.trim_end_matches(TEST_PERMISSIONS);
            match request.method.as_str() {
                "POST" => allowed(world, request, project, "cloudresourcemanager", &[]).and_then(|()| {
                    let body = body(request)?;
                    let asked = body["permissions"].as_array().into_iter().flatten();
                    let held = |it: &&Value| !world.denied.iter().any(|denied| it.as_str() == Some(denied));
                    let held: Vec<&Value> = asked.filter(held).collect();
                    Ok(if held.is_empty() { json!({}) } else { json!({ "permissions": held }) })
                }),
                _ => Err(error(404, "notFound", "Not Found")),
            }
        }
        _ => Err(error(404, "notFound", "Not Found")),
    };
    Outcome::Now(made.map_or_else(|answer| answer, Answer::json))
}

/// Token, service, permission.
fn allowed(world: &World, request: &Request, project: &str, service: &str, rest: &[&str]) -> Result<(), Answer> {
    let token = request.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "));
    if !token.is_some_and(|token| metadata::is_good(world, token)) {
        return Err(unauthenticated());
    }
    if project != world.project && project != "cos-cloud" {
        return Err(forbidden("compute.instances.list", &format!("projects/{project}")));
    }
    if world.disabled.contains(&service) {
        return Err(match service {
            "dns" => disabled("dns.googleapis.com", "Cloud DNS API", &world.project),
            "cloudresourcemanager" => {
                disabled("cloudresourcemanager.googleapis.com", "Cloud Resource Manager API", &world.project)
            }
            _ => disabled("compute.googleapis.com", "Compute Engine API", &world.project),
        });
    }
    // Compute Engine and Cloud DNS go by the project that is named; what goes by whoever asks is off in gcloud's own.
    if service == "cloudresourcemanager"
        && request.pays.is_none()
        && token.is_some_and(|token| world.personal.contains(token))
    {
        return Err(unpaid("cloudresourcemanager.googleapis.com"));
    }
    // To ask what one may do, one needs no permission.
    if service == "cloudresourcemanager" {
        return Ok(());
    }
    let permission = permission(service, &request.method, rest);
    match world.denied.contains(&permission) {
        // Cloud DNS names no permission.
        true if service == "dns" => Err(error(403, "forbidden", "Forbidden")),
        true => Err(forbidden(&permission, &format!("projects/{project}/{}", rest.join("/")))),
        false => Ok(()),
    }
}

/// The permission a call takes, as far as it is one of its resource's own: `compute.instances.create`.
fn permission(service: &str, method: &str, rest: &[&str]) -> String {
    if service == "dns" {
        let verb = if method == "POST" { "create" } else { "list" };
        return format!("dns.{}.{verb}", rest.get(2).copied().unwrap_or("managedZones"));
    }
    let inner: Vec<&str> = match rest {
        ["zones", _, inner @ ..] if !inner.is_empty() => inner.to_vec(),
        ["global" | "aggregated", inner @ ..] => inner.to_vec(),
        other => other.to_vec(),
    };
    let resource = match (inner.first().copied().unwrap_or("projects"), rest.first()) {
        ("operations", Some(&"zones")) => "zoneOperations",
        ("operations", _) => "globalOperations",
        (other, _) => other,
    };
    let verb = match (method, inner.as_slice()) {
        ("POST", [_, _, "wait"]) => "get",
        ("POST", [_]) => "create",
        ("DELETE", _) => "delete",
        ("PATCH", _) => "update",
        ("POST", [_, _, verb]) => verb,
        ("GET", [_, _, "getGuestAttributes"]) => "getGuestAttributes",
        ("GET", [_, _, "serialPort"]) => "getSerialPortOutput",
        ("GET", [_, _]) => "get",
        _ => "list",
    };
    format!("compute.{resource}.{verb}")
}

fn body(request: &Request) -> Made {
    if request.body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&request.body)
        .map_err(|_| error(400, "parseError", "Invalid JSON payload received. Unexpected token."))
}

/// A call whose operation comes to nothing.
fn doomed(world: &mut World, request: &Request, project: &str, path: &[&str], failure: Failure) -> Made {
    let before = (world.instances.clone(), world.disks.clone(), world.firewalls.clone());
    let shown = compute(world, request, project, path, None)?;
    if let Some(name) = shown["name"].as_str().filter(|name| world.operations.contains_key(*name)) {
        world.doomed.insert(name.to_owned(), failure);
        // What it would have changed at once.
        (world.instances, world.disks, world.firewalls) = before;
    }
    Ok(shown)
}

fn compute(world: &mut World, request: &Request, project: &str, path: &[&str], struck: Option<Failure>) -> Made {
    let id = request.query("requestId");
    if let Some(id) = id {
        check::request_id(id)?;
    }
    let (body, query) = (body(request)?, request.query.as_slice());
    match (request.method.as_str(), path) {
        ("GET", ["zones"]) => catalogue::zones(world, query),
        ("GET", ["zones", zone]) => catalogue::zone(world, zone),
        ("GET", ["zones", zone, "machineTypes"]) => catalogue::machine_types(world, zone, query),
        ("GET", ["zones", zone, "machineTypes", name]) => catalogue::machine_type(world, zone, name),
        ("GET", ["global", "images", "family", family]) => catalogue::family(project, family),
        ("GET", ["aggregated", what @ ("instances" | "disks")]) => instances::aggregated(world, what, query),
        ("POST", ["zones", zone, "instances"]) => instances::insert(world, zone, &body, id, struck),
        ("GET", ["zones", zone, "instances"]) => instances::list(world, zone, query),
        ("GET", ["zones", zone, "instances", name]) => instances::get(world, zone, name),
        ("DELETE", ["zones", zone, "instances", name]) => instances::delete(world, zone, name, id),
        ("POST", ["zones", zone, "instances", name, "stop"]) => instances::stop(world, zone, name, id),
        ("POST", ["zones", zone, "instances", name, "start"]) => instances::start(world, zone, name, id),
        ("POST", ["zones", zone, "instances", name, what @ ("setMetadata" | "setLabels" | "setScheduling")]) => {
            instances::set(world, (zone, name), what, &body, id, struck)
        }
        ("POST", ["zones", zone, "instances", name, "setDiskAutoDelete"]) => {
            instances::auto_delete(world, zone, name, query, id)
        }
        ("POST", ["zones", zone, "instances", name, "simulateMaintenanceEvent"]) => {
            instances::maintained(world, zone, name, id)
        }
        ("GET", ["zones", zone, "instances", name, "serialPort"]) => instances::serial(world, zone, name, query),
        ("GET", ["zones", zone, "instances", name, "getGuestAttributes"]) => {
            instances::guest_attributes(world, zone, name, query)
        }
        ("DELETE", ["zones", zone, "disks", name]) => instances::delete_disk(world, zone, name, id),
        ("GET", ["zones", zone, "operations"]) => operations::list(world, &format!("zones/{zone}"), query),
        ("GET", ["zones", zone, "operations", name]) => operations::get(world, &format!("zones/{zone}"), name),
        ("GET", ["global", "operations"]) => operations::list(world, "global", query),
        ("GET", ["global", "operations", name]) => operations::get(world, "global", name),
        ("POST", ["global", "firewalls"]) => firewalls::insert(world, body, id),
        ("GET", ["global", "firewalls"]) => firewalls::list(world, query),
        ("GET", ["global", "firewalls", name]) => firewalls::get(world, name),
        ("PATCH", ["global", "firewalls", name]) => firewalls::patch(world, name, &body, id),
        ("DELETE", ["global", "firewalls", name]) => firewalls::delete(world, name, id),
        _ => Err(error(404, "notFound", "Not Found")),
    }
}
