//! Firewall rules of the project's network. Nothing gets in that no rule lets in.

use serde_json::{Value, json};

use super::{
    answer::{Made, invalid, missing, taken},
    check,
    list::Wish,
    world::{Due, Effect, World},
};

const FIELDS: [&str; 16] = [
    "kind",
    "id",
    "creationTimestamp",
    "selfLink",
    "name",
    "description",
    "network",
    "priority",
    "sourceRanges",
    "destinationRanges",
    "sourceTags",
    "targetTags",
    "allowed",
    "denied",
    "direction",
    "disabled",
];

/// Whether a rule lets a TCP connection from this host in to a port of something with these tags.
pub(super) fn admits(rule: &Value, tags: &[&str], port: u16) -> bool {
    let texts =
        |key: &str| -> Vec<&str> { rule[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect() };
    let targets = texts("targetTags");
    let aims = targets.is_empty() || targets.iter().any(|tag| tags.contains(tag));
    let sources = texts("sourceRanges");
    let from = sources.is_empty() || sources.iter().any(|range| *range == "0.0.0.0/0" || range.starts_with("127."));
    let opens = rule["allowed"].as_array().into_iter().flatten().any(|allowed| {
        let protocol = allowed["IPProtocol"].as_str().unwrap_or_default();
        let ports = allowed["ports"].as_array();
        matches!(protocol, "tcp" | "all" | "6")
            && ports.is_none_or(|ports| ports.iter().filter_map(Value::as_str).any(|text| holds(text, port)))
    });
    let ingress = rule["direction"].as_str().is_none_or(|direction| direction == "INGRESS");
    aims && from && opens && ingress && rule["disabled"] != true
}

fn holds(text: &str, port: u16) -> bool {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(first), Ok(last)) if (first..=last).contains(&port))
}

fn path(world: &World, name: &str) -> String {
    world.named(&format!("global/firewalls/{name}"))
}

fn checked(body: &Value) -> Result<(), super::answer::Answer> {
    check::known("resource", body, &FIELDS)?;
    for allowed in body["allowed"].as_array().into_iter().flatten() {
        check::known("resource.allowed[0]", allowed, &["IPProtocol", "ports"])?;
    }
    for range in body["sourceRanges"].as_array().into_iter().flatten() {
        let text = range.as_str().unwrap_or_default();
        let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
        let fits = address.parse::<std::net::Ipv4Addr>().is_ok() && bits.parse::<u8>().is_ok_and(|bits| bits <= 32)
            || address.parse::<std::net::Ipv6Addr>().is_ok() && bits.parse::<u8>().is_ok_and(|bits| bits <= 128);
        if !fits {
            return Err(invalid("resource.sourceRanges[0]", text, "Must be a valid CIDR range."));
        }
    }
    Ok(())
}

pub(super) fn insert(world: &mut World, body: Value, request: Option<&str>) -> Made {
    if let Some(operation) = world.repeated(request) {
        return Ok(operation);
    }
    let name = body["name"].as_str().unwrap_or_default().to_owned();
    check::name("resource.name", &name)?;
    checked(&body)?;
    if body["allowed"].as_array().is_none_or(Vec::is_empty) && body["denied"].as_array().is_none_or(Vec::is_empty) {
        return Err(invalid("resource.allowed", "", "Exactly one of allowed and denied must be specified."));
    }
    if world.firewalls.contains_key(&name) {
        return Err(taken(&path(world, &name)));
    }
    let id = world.id();
    let mut rule = body;
    let network = world.link("global/networks/default");
    for (key, value) in [
        ("kind", json!("compute#firewall")),
        ("id", json!(id.to_string())),
        ("creationTimestamp", json!(world.stamp(world.now()))),
        ("selfLink", json!(world.link(&format!("global/firewalls/{name}")))),
        ("network", json!(network)),
    ] {
        rule[key] = value;
    }
    for (key, value) in [("direction", json!("INGRESS")), ("priority", json!(1000)), ("disabled", json!(false))] {
        if rule.get(key).is_none() {
            rule[key] = value;
        }
    }
    let operation = world.operation("insert", &format!("global/firewalls/{name}"), Some(id), "", request);
    // The name is taken from now on; the rule works from the operation's end.
    let mut quiet = rule.clone();
    quiet["disabled"] = json!(true);
    world.firewalls.insert(name.clone(), quiet);
    world.after(world.physics.small, Due::Deed(Effect::Firewall(name, rule), operation.clone()));
    Ok(world.shown(&operation))
}

pub(super) fn patch(world: &mut World, name: &str, body: &Value, request: Option<&str>) -> Made {
    if let Some(operation) = world.repeated(request) {
        return Ok(operation);
    }
    checked(body)?;
    let Some(mut rule) = world.firewalls.get(name).cloned() else { return Err(missing(&path(world, name))) };
    for (key, value) in body.as_object().into_iter().flatten() {
        rule[key] = value.clone();
    }
    let operation = world.operation("patch", &format!("global/firewalls/{name}"), None, "", request);
    world.after(world.physics.small, Due::Deed(Effect::Firewall(name.to_owned(), rule), operation.clone()));
    Ok(world.shown(&operation))
}

pub(super) fn delete(world: &mut World, name: &str, request: Option<&str>) -> Made {
    if let Some(operation) = world.repeated(request) {
        return Ok(operation);
    }
    if !world.firewalls.contains_key(name) {
        return Err(missing(&path(world, name)));
    }
    let operation = world.operation("delete", &format!("global/firewalls/{name}"), None, "", request);
    world.after(world.physics.small, Due::Deed(Effect::NoFirewall(name.to_owned()), operation.clone()));
    Ok(world.shown(&operation))
}

pub(super) fn get(world: &World, name: &str) -> Made {
    world.firewalls.get(name).cloned().ok_or_else(|| missing(&path(world, name)))
}

pub(super) fn list(world: &World, query: &[(String, String)]) -> Made {
    let items = world.firewalls.values().cloned().collect();
    let (path, link) = (world.named("global/firewalls"), world.link("global/firewalls"));
    Ok(Wish::read(query)?.answer("compute#firewallList", &path, &link, items))
}
