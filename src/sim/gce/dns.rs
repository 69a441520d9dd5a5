//! Cloud DNS: managed zones, their records, and changes to them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    answer::{Made, detailed, error},
    world::{Due, World},
};

/// A managed zone.
#[derive(Debug, Clone)]
pub struct Managed {
    /// With the dot at its end.
    pub domain: String,
    /// By name and type.
    pub records: BTreeMap<(String, String), Value>,
    changes: Vec<Value>,
}

impl Managed {
    pub fn new(domain: &str) -> Self {
        Self { domain: domain.to_owned(), records: BTreeMap::new(), changes: Vec::new() }
    }

    pub(super) fn done(&mut self, id: &str) {
        if let Some(change) = self.changes.iter_mut().find(|change| change["id"] == id) {
            change["status"] = json!("done");
        }
    }

    /// What every zone has, and nobody has put there.
    fn own(&self, name: &str) -> [Value; 2] {
        let server = "ns-cloud-a1.googledomains.com.";
        let set = |kind: &str, ttl: u32, data: String| json!({"kind": "dns#resourceRecordSet", "name": self.domain, "type": kind, "ttl": ttl, "rrdatas": [data]});
        let begins = format!("{server} {name}.cloud-dns-hostmaster.google.com. 1 21600 3600 259200 300");
        [set("NS", 21_600, server.to_owned()), set("SOA", 21_600, begins)]
    }

    fn body(&self, name: &str) -> Value {
        json!({
            "kind": "dns#managedZone", "id": "7", "name": name, "dnsName": self.domain, "description": "",
            "visibility": "public", "nameServers": ["ns-cloud-a1.googledomains.com."],
        })
    }
}

/// One page of a list, and the token of the next.
fn page(world: &World, query: &[(String, String)], (kind, key): (&str, &str), all: Vec<Value>) -> Made {
    let asked = |key: &str| query.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    let invalid =
        |key: &str, value: &str| error(400, "invalid", format!("Invalid value for 'parameters.{key}': '{value}'"));
    let most = match asked("maxResults") {
        Some(text) => text.parse::<usize>().map_err(|_| invalid("maxResults", text))?.clamp(1, world.dns_page),
        None => world.dns_page,
    };
    let from = match asked("pageToken").filter(|token| !token.is_empty()) {
        Some(token) => {
            let at = token.strip_prefix("sim-dns-").and_then(|at| at.parse::<usize>().ok());
            at.ok_or_else(|| invalid("pageToken", token))?
        }
        None => 0,
    };
    let more = all.len() > from + most;
    let mut body = json!({"kind": kind, key: all.into_iter().skip(from).take(most).collect::<Vec<_>>()});
    if more {
        body["nextPageToken"] = json!(format!("sim-dns-{}", from + most));
    }
    Ok(body)
}

/// How long a change is pending, in modelled milliseconds.
const PENDING: u64 = 4_000;

fn no_zone(name: &str) -> super::answer::Answer {
    error(404, "notFound", format!("The 'parameters.managedZone' resource named '{name}' does not exist."))
}

pub(super) fn call(world: &mut World, method: &str, path: &[&str], query: &[(String, String)], body: &Value) -> Made {
    match (method, path) {
        ("GET", ["managedZones"]) => {
            let asked = query.iter().find(|(key, _)| key == "dnsName").map(|(_, value)| value.as_str());
            let found = world.dns.iter().filter(|(_, zone)| asked.is_none_or(|name| zone.domain == name));
            let found: Vec<Value> = found.map(|(name, zone)| zone.body(name)).collect();
            page(world, query, ("dns#managedZonesListResponse", "managedZones"), found)
        }
        ("GET", ["managedZones", zone]) => {
            world.dns.get(*zone).map(|found| found.body(zone)).ok_or_else(|| no_zone(zone))
        }
        ("GET", ["managedZones", zone, "rrsets"]) => {
            let found = world.dns.get(*zone).ok_or_else(|| no_zone(zone))?;
            let asked = |key: &str| query.iter().any(|(name, _)| name == key);
            if asked("type") && !asked("name") {
                let words = "The 'name' parameter must be present if the 'type' parameter is present.";
                return Err(error(400, "invalid", words));
            }
            let is = |key: &str, value: &Value| query.iter().all(|(name, wanted)| name != key || value == wanted);
            let sets = found.own(zone).into_iter().chain(found.records.values().cloned());
            let sets = sets.filter(|set| is("name", &set["name"]) && is("type", &set["type"])).collect();
            page(world, query, ("dns#resourceRecordSetsListResponse", "rrsets"), sets)
        }
        ("POST", ["managedZones", zone, "changes"]) => change(world, zone, body),
        ("GET", ["managedZones", zone, "changes", id]) => {
            let found = world.dns.get(*zone).ok_or_else(|| no_zone(zone))?;
            let change = found.changes.iter().find(|change| change["id"] == **id).cloned();
            change.ok_or_else(|| {
                error(404, "notFound", format!("The 'parameters.changeId' resource named '{id}' does not exist."))
            })
        }
        _ => Err(error(404, "notFound", "Not Found")),
    }
}

fn change(world: &mut World, zone: &str, body: &Value) -> Made {
    let stamp = world.stamp(world.now());
    let Some(managed) = world.dns.get_mut(zone) else { return Err(no_zone(zone)) };
    let sets = |key: &str| body[key].as_array().cloned().unwrap_or_default();
    let key = |set: &Value| {
        (set["name"].as_str().unwrap_or_default().to_owned(), set["type"].as_str().unwrap_or_default().to_owned())
    };
    let plain = |set: &Value| json!([set["name"], set["type"], set["ttl"], set["rrdatas"]]);
    let mut records = managed.records.clone();
    for (at, set) in sets("deletions").iter().enumerate() {
        // Only the exact record goes.
        match records.get(&key(set)) {
            Some(known) if plain(known) == plain(set) => records.remove(&key(set)),
            Some(_) => {
                let words = format!("Precondition not met for 'entity.change.deletions[{at}]'");
                return Err(detailed(412, "conditionNotMet", "FAILED_PRECONDITION", words, json!([])));
            }
            None => {
                let (name, kind) = key(set);
                let words =
                    format!("The 'entity.change.deletions[{at}]' resource named '{name} ({kind})' does not exist.");
                return Err(error(404, "notFound", words));
            }
        };
    }
    for (at, set) in sets("additions").iter().enumerate() {
        let (name, kind) = key(set);
        if !(name == managed.domain || name.ends_with(&format!(".{}", managed.domain))) {
            let words = format!("Invalid value for 'entity.change.additions[{at}].name': '{name}'");
            return Err(error(400, "invalid", words));
        }
        if records.contains_key(&(name.clone(), kind.clone())) {
            let words = format!("The resource 'entity.change.additions[{at}]' named '{name} ({kind})' already exists");
            return Err(error(409, "alreadyExists", words));
        }
        let mut kept = set.clone();
        kept["kind"] = json!("dns#resourceRecordSet");
        records.insert((name, kind), kept);
    }
    // An alias stands alone.
    for (at, set) in sets("additions").iter().enumerate() {
        let (name, kind) = key(set);
        let of_name: Vec<&str> =
            records.keys().filter(|(other, _)| *other == name).map(|(_, kind)| kind.as_str()).collect();
        if of_name.len() > 1 && of_name.contains(&"CNAME") {
            let words = format!(
                "The resource record set 'entity.change.additions[{at}]' ({kind}) is invalid because the DNS name '{name}' may \
                 have either one CNAME resource record set or resource record sets of other types, but not both."
            );
            return Err(error(400, "cnameResourceRecordSetConflict", words));
        }
    }
    managed.records = records;
    let id = managed.changes.len().to_string();
    let mut change = json!({"kind": "dns#change", "id": id, "status": "pending", "startTime": stamp});
    for key in ["additions", "deletions"] {
        if let Some(sets) = body.get(key) {
            change[key] = sets.clone();
        }
    }
    managed.changes.push(change.clone());
    world.after(PENDING, Due::Change(zone.to_owned(), id));
    Ok(change)
}
