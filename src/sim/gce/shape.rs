//! An instance as it is asked for: read, checked, and filled in as the API fills it in.

use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, error, invalid, missing},
    catalogue, check,
    instances::fingerprint,
    world::World,
};

/// What an insert asks for.
pub(super) struct Shape {
    pub name: String,
    pub vcpus: u64,
    /// What is shown from now on, without what the server adds by itself.
    pub body: Value,
    pub disks: Vec<NewDisk>,
}

/// A disk that is made with the instance.
pub(super) struct NewDisk {
    pub name: String,
    pub gb: u64,
    pub kind: String,
    pub labels: Value,
}

const FIELDS: [&str; 14] = [
    "name",
    "description",
    "machineType",
    "labels",
    "tags",
    "disks",
    "networkInterfaces",
    "metadata",
    "serviceAccounts",
    "scheduling",
    "shieldedInstanceConfig",
    "deletionProtection",
    "canIpForward",
    "hostname",
];
const SCHEDULING: [&str; 9] = [
    "provisioningModel",
    "instanceTerminationAction",
    "onHostMaintenance",
    "automaticRestart",
    "maxRunDuration",
    "terminationTime",
    "preemptible",
    "preemptionNoticeDuration",
    "localSsdRecoveryTimeout",
];

pub(super) fn read(world: &World, zone: &str, body: &Value) -> Result<Shape, Answer> {
    check::known("resource", body, &FIELDS)?;
    let name = body["name"].as_str().unwrap_or_default().to_owned();
    check::name("resource.name", &name)?;
    let labels = body.get("labels").cloned().unwrap_or_else(|| json!({}));
    check::labels(labels.as_object().unwrap_or(&Map::new()))?;
    for tag in body["tags"]["items"].as_array().into_iter().flatten() {
        check::name("resource.tags.items", tag.as_str().unwrap_or_default())?;
    }
    let machine = body["machineType"].as_str().unwrap_or_default();
    let kind = machine.rsplit('/').next().unwrap_or_default();
    let lies_here = machine.contains(&format!("zones/{zone}/machineTypes/"));
    let known = catalogue::machine(kind).filter(|_| lies_here);
    let Some((vcpus, _)) = known else {
        return Err(invalid("resource.machineType", machine, "The referenced resource does not exist."));
    };
    scheduling(body)?;
    let items = body["metadata"]["items"].as_array().cloned().unwrap_or_default();
    check::metadata(&items)?;
    let network = body["networkInterfaces"][0]["network"].as_str().unwrap_or_default();
    if !network.ends_with("global/networks/default") {
        return Err(invalid(
            "resource.networkInterfaces[0].network",
            network,
            "The referenced network resource cannot be found.",
        ));
    }
    let mut disks = Vec::new();
    for disk in body["disks"].as_array().into_iter().flatten() {
        disks.push(new_disk(world, &name, disk)?);
    }
    if disks.is_empty() {
        return Err(invalid("resource.disks", "", "No boot disk specified."));
    }
    let mut shown = body.clone();
    shown["labels"] = labels;
    shown["machineType"] = json!(world.link(&format!("zones/{zone}/machineTypes/{kind}")));
    shown["metadata"] = json!({"kind": "compute#metadata", "fingerprint": fingerprint(&json!(items)), "items": items});
    shown["networkInterfaces"][0]["network"] = json!(world.link("global/networks/default"));
    shown["networkInterfaces"][0]["name"] = json!("nic0");
    shown["networkInterfaces"][0]["networkIP"] = json!("10.156.0.2");
    for (disk, made) in shown["disks"].as_array_mut().into_iter().flatten().zip(&disks) {
        if let Some(disk) = disk.as_object_mut() {
            disk.insert("diskSizeGb".to_owned(), json!(made.gb.to_string()));
            disk.remove("initializeParams");
            disk.insert("kind".to_owned(), json!("compute#attachedDisk"));
            disk.entry("deviceName").or_insert_with(|| json!("persistent-disk-0"));
        }
    }
    if shown.get("scheduling").is_none() {
        shown["scheduling"] = json!({"provisioningModel": "STANDARD", "automaticRestart": true});
    }
    Ok(Shape { name, vcpus, body: shown, disks })
}

fn scheduling(body: &Value) -> Result<(), Answer> {
    let Some(plan) = body.get("scheduling") else { return Ok(()) };
    check::known("resource.scheduling", plan, &SCHEDULING)?;
    let spot = plan["provisioningModel"] == "SPOT";
    if spot && plan["automaticRestart"] == true {
        let words = "Scheduling must have preemptible be false when AutomaticRestart is true.";
        return Err(error(400, "invalid", words));
    }
    let Some(limit) = plan.get("maxRunDuration") else { return Ok(()) };
    let seconds =
        limit["seconds"].as_str().map(str::to_owned).or_else(|| limit["seconds"].as_u64().map(|n| n.to_string()));
    let seconds: u64 = seconds.and_then(|text| text.parse().ok()).unwrap_or(0);
    if !(30..=120 * 86_400).contains(&seconds) {
        let why = "Max run duration must be between 30 seconds and 120 days.";
        return Err(invalid("resource.scheduling.maxRunDuration", &seconds.to_string(), why));
    }
    if plan.get("instanceTerminationAction").is_none() {
        let words = "You must specify an instance termination action when a max run duration is set.";
        return Err(error(400, "invalid", words));
    }
    Ok(())
}

fn new_disk(world: &World, instance: &str, disk: &Value) -> Result<NewDisk, Answer> {
    let wish = &disk["initializeParams"];
    let image = wish["sourceImage"].as_str().unwrap_or_default();
    if !image.contains("projects/cos-cloud/global/images/") {
        return Err(missing(if image.is_empty() { "sourceImage" } else { image }));
    }
    let gb: u64 = wish["diskSizeGb"].as_str().unwrap_or("10").parse().unwrap_or(0);
    if gb < 10 {
        let why = "Requested disk size cannot be smaller than the image size (10 GB)";
        return Err(invalid("resource.disks[0].initializeParams.diskSizeGb", &gb.to_string(), why));
    }
    let labels = wish.get("labels").cloned().unwrap_or_else(|| json!({}));
    check::labels(labels.as_object().unwrap_or(&Map::new()))?;
    let kind = wish["diskType"].as_str().unwrap_or("pd-standard").rsplit('/').next().unwrap_or_default().to_owned();
    if !["pd-standard", "pd-balanced", "pd-ssd"].contains(&kind.as_str()) {
        return Err(missing(&world.named(&format!("diskTypes/{kind}"))));
    }
    Ok(NewDisk { name: wish["diskName"].as_str().unwrap_or(instance).to_owned(), gb, kind, labels })
}
