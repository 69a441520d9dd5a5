//! What the project finds ready-made: zones, machine types, images.

use serde_json::{Value, json};

use super::{
    answer::{Made, missing},
    list::Wish,
    world::World,
};

/// vCPUs and MiB of the machine types there are.
const MACHINES: [(&str, u64, u64); 7] = [
    ("e2-small", 2, 2_048),
    ("e2-medium", 2, 4_096),
    ("e2-standard-2", 2, 8_192),
    ("e2-standard-4", 4, 16_384),
    ("e2-standard-8", 8, 32_768),
    ("e2-standard-16", 16, 65_536),
    ("n2-standard-8", 8, 32_768),
];

pub(super) fn machine(name: &str) -> Option<(u64, u64)> {
    MACHINES.iter().find(|(known, ..)| *known == name).map(|(_, cpus, memory)| (*cpus, *memory))
}

fn zone_body(world: &World, name: &str) -> Value {
    let region = world.zones.get(name).map(|zone| zone.region.clone()).unwrap_or_default();
    json!({
        "kind": "compute#zone", "id": "2100", "name": name, "description": name, "status": "UP",
        "region": world.link(&format!("regions/{region}")), "selfLink": world.link(&format!("zones/{name}")),
    })
}

pub(super) fn zones(world: &World, query: &[(String, String)]) -> Made {
    let items = world.zones.keys().map(|name| zone_body(world, name)).collect();
    Ok(Wish::read(query)?.answer("compute#zoneList", &world.named("zones"), &world.link("zones"), items))
}

pub(super) fn zone(world: &World, name: &str) -> Made {
    match world.zones.contains_key(name) {
        true => Ok(zone_body(world, name)),
        false => Err(missing(&world.named(&format!("zones/{name}")))),
    }
}

fn machine_body(world: &World, zone: &str, (name, cpus, memory): (&str, u64, u64)) -> Value {
    json!({
        "kind": "compute#machineType", "id": "801004", "name": name, "guestCpus": cpus, "memoryMb": memory,
        "isSharedCpu": false, "zone": zone, "description": format!("{cpus} vCPUs, {} GB RAM", memory / 1024),
        "selfLink": world.link(&format!("zones/{zone}/machineTypes/{name}")),
    })
}

pub(super) fn machine_types(world: &World, zone: &str, query: &[(String, String)]) -> Made {
    let items = MACHINES.iter().map(|machine| machine_body(world, zone, *machine)).collect();
    let path = format!("zones/{zone}/machineTypes");
    Ok(Wish::read(query)?.answer("compute#machineTypeList", &world.named(&path), &world.link(&path), items))
}

pub(super) fn machine_type(world: &World, zone: &str, name: &str) -> Made {
    let found = MACHINES.iter().find(|(known, ..)| *known == name && world.zones.contains_key(zone));
    found
        .map(|machine| machine_body(world, zone, *machine))
        .ok_or_else(|| missing(&world.named(&format!("zones/{zone}/machineTypes/{name}"))))
}

/// The newest image of a family of Container-Optimized OS.
pub(super) fn family(project: &str, family: &str) -> Made {
    let path = format!("projects/{project}/global/images/family/{family}");
    if project != "cos-cloud" || !(family == "cos-stable" || family.starts_with("cos-") && family.ends_with("-lts")) {
        return Err(missing(&path));
    }
    Ok(json!({
        "kind": "compute#image", "id": "5150", "name": "cos-stable-125-19216-104-74", "family": family,
        "status": "READY", "diskSizeGb": "10", "archiveSizeBytes": "1073741824", "architecture": "X86_64",
        "selfLink": format!("https://www.googleapis.com/compute/v1/projects/{project}/global/images/cos-stable-125-19216-104-74"),
    }))
}
