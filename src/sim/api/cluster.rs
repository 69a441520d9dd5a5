//! Calls about the whole cluster.

use serde_json::{Map, Value, json};

use super::{Call, Fail, Reply};
use crate::sim::world::{Vm, Who, World};

/// GET /cluster/status
pub fn status(world: &World, call: &Call) -> Result<Reply, Fail> {
    let mut rows = Vec::new();
    if world.nodes.len() > 1 {
        rows.push(json!({
            "id": "cluster", "type": "cluster", "name": world.name, "nodes": world.nodes.len(),
            "quorate": u8::from(world.quorate), "version": world.nodes.len() + 1,
        }));
    }
    for (at, node) in world.nodes.values().enumerate() {
        let alone = world.nodes.len() == 1;
        let mut row = json!({
            "id": format!("node/{}", node.name), "type": "node", "name": node.name, "level": "",
            "nodeid": if alone { 0 } else { at + 1 },
            "local": u8::from(node.name == call.entry), "online": u8::from(node.online),
        });
        if node.online {
            row["ip"] = json!(node.ip);
        }
        rows.push(row);
    }
    Ok(Reply::Data(Value::Array(rows)))
}

/// GET /cluster/resources
pub fn resources(world: &World, call: &Call) -> Result<Reply, Fail> {
    let kind = call.text("type");
    let wants = |what: &str| kind.as_deref().is_none_or(|kind| kind == what);
    let mut rows = Vec::new();
    if kind.is_none() {
        for id in world.pools.keys().filter(|id| world.may(&call.who, &format!("/pool/{id}"), "Pool.Audit")) {
            rows.push(json!({ "id": format!("/pool/{id}"), "pool": id, "type": "pool" }));
        }
    }
    if wants("vm") {
        rows.extend(world.guests.values().filter(|vm| sees(world, &call.who, vm.vmid)).map(|vm| guest_row(world, vm)));
        let containers = world.containers.values().filter(|container| sees(world, &call.who, container.vmid));
        rows.extend(containers.map(|container| super::lxc::resource(world, container)));
    }
    if wants("node") {
        rows.extend(world.nodes.keys().map(|node| super::nodes::row(world, &call.who, node, true)));
    }
    if wants("storage") {
        for storage in world.storages.values() {
            if !super::storages::sees(world, &call.who, &storage.id) {
                continue;
            }
            for node in world.nodes.values() {
                let mut row = json!({
                    "id": format!("storage/{}/{}", node.name, storage.id), "type": "storage",
                    "storage": storage.id, "node": node.name, "shared": u8::from(storage.shared),
                    "plugintype": storage.kind.word(), "content": storage.content.join(","),
                    "status": if node.online { "available" } else { "unknown" },
                });
                if node.online {
                    row["disk"] = json!(storage.used(&node.name));
                    row["maxdisk"] = json!(storage.total);
                }
                rows.push(row);
            }
        }
    }
    if kind.is_none() && !world.is_eight() {
        for node in world.nodes.values().filter(|node| node.online) {
            if world.may(&call.who, "/sdn/zones/localnetwork", "SDN.Audit") {
                rows.push(json!({
                    "id": format!("network/{}/zone/localnetwork", node.name), "type": "network", "node": node.name,
                    "network": "localnetwork", "network-type": "zone", "status": "ok",
                }));
            }
        }
    }
    Ok(Reply::Data(Value::Array(rows)))
}

/// May the caller see a guest?
pub fn sees(world: &World, who: &Who, vmid: u32) -> bool {
    world.may(who, &format!("/vms/{vmid}"), "VM.Audit")
}

/// A guest as the lists show it: live where it comes from the configuration, else as last heard.
pub fn guest_row(world: &World, vm: &Vm) -> Value {
    let mut row = json!({
        "id": format!("qemu/{}", vm.vmid), "type": "qemu", "vmid": vm.vmid, "node": vm.node, "status": "unknown",
    });
    if let Some(stat) = world.heard(vm) {
        let more = json!({
            "status": stat.status, "name": stat.name, "template": u8::from(stat.template),
            "uptime": stat.uptime, "cpu": stat.cpu, "maxcpu": stat.maxcpu, "mem": stat.mem, "maxmem": stat.maxmem,
            "disk": 0, "maxdisk": stat.maxdisk, "netin": stat.traffic[0], "netout": stat.traffic[1],
            "diskread": stat.traffic[2], "diskwrite": stat.traffic[3],
        });
        merge(&mut row, more);
        if !world.is_eight() {
            row["memhost"] = json!(if stat.mem > 0 { stat.mem + (96 << 20) } else { 0 });
        }
    }
    if let Some(lock) = &vm.lock {
        row["lock"] = json!(lock);
    }
    if let Some(tags) = vm.config.get("tags") {
        row["tags"] = json!(tags);
    }
    if let Some(pool) = world.pool_of(vm.vmid) {
        row["pool"] = json!(pool);
    }
    row
}

/// Puts the keys of one object into another.
pub fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

/// GET /cluster/nextid
pub fn nextid(world: &World, call: &Call) -> Result<Reply, Fail> {
    if let Some(wanted) = call.number("vmid") {
        if world.taken(wanted as u32) {
            return Err(Fail::param("vmid", format!("VM {wanted} already exists")));
        }
        return Ok(Reply::Data(json!(wanted.to_string())));
    }
    let free = (100..1_000_000u32).find(|id| !world.taken(*id));
    free.map(|id| Reply::Data(json!(id.to_string())))
        .ok_or_else(|| "unable to get any free VMID in range [100, 1000000]".into())
}

/// GET /cluster/options
pub fn options(world: &World, call: &Call) -> Result<Reply, Fail> {
    let mut data = Map::new();
    data.insert("allowed-tags".into(), json!([]));
    if world.may(&call.who, "/", "Sys.Audit") {
        data.insert("keyboard".into(), json!("en-us"));
        data.insert("mac_prefix".into(), json!("BC:24:11"));
    }
    Ok(Reply::Data(Value::Object(data)))
}

/// GET /cluster/ha/status/current: nothing is managed.
pub fn ha_status(world: &World) -> Result<Reply, Fail> {
    Ok(Reply::Data(json!([{
        "id": "quorum", "type": "quorum", "node": world.nodes.keys().next(),
        "quorate": u8::from(world.quorate), "status": if world.quorate { "OK" } else { "No quorum" },
    }])))
}

/// GET /cluster/ha/status/manager_status
pub fn ha_manager(world: &World) -> Result<Reply, Fail> {
    Ok(Reply::Data(json!({
        "lrm_status": {}, "manager_status": {},
        "quorum": { "node": world.nodes.keys().next(), "quorate": u8::from(world.quorate).to_string() },
    })))
}
