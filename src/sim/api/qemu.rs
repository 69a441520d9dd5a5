//! Calls that read about guests.

use serde_json::{Map, Value, json};

use super::cluster::{merge, sees};
use super::schema::{self, Entry};
use super::{Call, Fail, Reply, check};
use crate::sim::world::fault::{dice, digest};
use crate::sim::world::vm::volid;
use crate::sim::world::{Vm, World, storage};

/// The guest a call names, on the node it names.
pub fn guest<'a>(world: &'a World, call: &Call) -> Result<&'a Vm, Fail> {
    let (vmid, node) = (call.vmid(), call.node());
    world.guests.get(&vmid).filter(|vm| vm.node == node).ok_or_else(|| missing(vmid, &node))
}

/// What Proxmox says of a guest that is not there.
pub fn missing(vmid: u32, node: &str) -> Fail {
    format!("Configuration file 'nodes/{node}/qemu-server/{vmid}.conf' does not exist").into()
}

fn config_entry() -> Option<&'static Entry> {
    schema::get().entry("/nodes/{node}/qemu/{vmid}/config", "PUT")
}

/// A configuration value in the type the schema gives it.
pub fn typed(key: &str, value: &str) -> Value {
    let kind = config_entry().and_then(|entry| check::find(entry, key)).and_then(|spec| spec.kind.as_deref());
    match kind {
        Some("integer" | "boolean") => value.parse::<i64>().map_or_else(|_| json!(value), |number| json!(number)),
        Some("number") => value.parse::<f64>().map_or_else(|_| json!(value), |number| json!(number)),
        _ => json!(value),
    }
}

/// The digest of a configuration: changes when anything in it does.
pub fn digest_of(vm: &Vm) -> String {
    let mut text = format!("{:?}{:?}{:?}", vm.config, vm.pending, vm.lock);
    for snapshot in &vm.snapshots {
        text.push_str(&snapshot.name);
    }
    digest(0, &[&text]).iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}

fn shown(key: &str, value: &str) -> Value {
    if key == "cipassword" { json!("**********") } else { typed(key, value) }
}

/// GET config
pub fn config(world: &World, call: &Call) -> Result<Reply, Fail> {
    let vm = guest(world, call)?;
    let mut source = vm.config.clone();
    if let Some(name) = call.text("snapshot") {
        let snapshot = vm.snapshots.iter().find(|snapshot| snapshot.name == name);
        source = snapshot.ok_or_else(|| Fail::from(format!("snapshot '{name}' does not exist")))?.config.clone();
    } else if call.flag("current") != Some(true) {
        for (key, value) in &vm.pending {
            match value {
                Some(value) => source.insert(key.clone(), value.clone()),
                None => source.remove(key),
            };
        }
    }
    let mut data: Map<String, Value> = source.iter().map(|(key, value)| (key.clone(), shown(key, value))).collect();
    if let Some(lock) = &vm.lock {
        data.insert("lock".into(), json!(lock));
    }
    if let Some(last) = vm.snapshots.last() {
        data.insert("parent".into(), json!(last.name));
    }
    data.insert("digest".into(), json!(digest_of(vm)));
    Ok(Reply::Data(Value::Object(data)))
}

/// GET pending
pub fn pending(world: &World, call: &Call) -> Result<Reply, Fail> {
    let vm = guest(world, call)?;
    let mut rows: Vec<Value> = vm
        .config
        .iter()
        .map(|(key, value)| {
            let mut row = json!({ "key": key, "value": shown(key, value) });
            match vm.pending.get(key) {
                Some(Some(new)) => row["pending"] = shown(key, new),
                Some(None) => row["delete"] = json!(1),
                None => {}
            }
            row
        })
        .collect();
    for (key, value) in vm.pending.iter().filter(|(key, _)| !vm.config.contains_key(*key)) {
        if let Some(value) = value {
            rows.push(json!({ "key": key, "pending": shown(key, value) }));
        }
    }
    if let Some(lock) = &vm.lock {
        rows.push(json!({ "key": "lock", "value": lock }));
    }
    rows.push(json!({ "key": "digest", "value": digest_of(vm) }));
    Ok(Reply::Data(Value::Array(rows)))
}

fn live_row(world: &World, vm: &Vm) -> Value {
    let stat = world.measure(vm);
    let mut row = json!({
        "vmid": vm.vmid, "name": stat.name, "status": stat.status, "cpus": stat.maxcpu, "cpu": stat.cpu,
        "mem": stat.mem, "maxmem": stat.maxmem, "disk": 0, "maxdisk": stat.maxdisk, "uptime": stat.uptime,
        "netin": stat.traffic[0], "netout": stat.traffic[1],
    });
    let nine = !world.is_eight();
    if nine {
        row["memhost"] = json!(if stat.mem > 0 { stat.mem + (96 << 20) } else { 0 });
    }
    if let Some(run) = &vm.run {
        row["pid"] = json!(run.pid);
        if nine {
            for key in ["cpusome", "cpufull", "iosome", "iofull", "memorysome", "memoryfull"] {
                row[format!("pressure{key}")] = json!(0);
            }
        }
    }
    if vm.template() {
        row["template"] = json!(1);
    }
    if let Some(lock) = &vm.lock {
        row["lock"] = json!(lock);
    }
    if let Some(tags) = vm.config.get("tags") {
        row["tags"] = json!(tags);
    }
    if vm.config.contains_key("serial0") {
        row["serial"] = json!(1);
    }
    row
}

/// GET /nodes/{node}/qemu
pub fn list(world: &World, call: &Call) -> Result<Reply, Fail> {
    let node = call.node();
    let full = call.flag("full") == Some(true);
    let rows = world
        .guests
        .values()
        .filter(|vm| vm.node == node && sees(world, &call.who, vm.vmid))
        .map(|vm| {
            let mut row = live_row(world, vm);
            if full && vm.run.is_some() {
                let nic = json!({ format!("tap{}i0", vm.vmid): { "netin": row["netin"], "netout": row["netout"] } });
                merge(&mut row, json!({ "qmpstatus": qmp(vm), "nics": nic }));
            }
            row
        })
        .collect();
    Ok(Reply::Data(Value::Array(rows)))
}

fn qmp(vm: &Vm) -> &'static str {
    match &vm.run {
        None => "stopped",
        Some(run) if run.paused => "paused",
        Some(_) => "running",
    }
}

/// GET status/current
pub fn current(world: &World, call: &Call) -> Result<Reply, Fail> {
    let vm = guest(world, call)?;
    let mut row = live_row(world, vm);
    merge(&mut row, json!({ "qmpstatus": qmp(vm), "ha": { "managed": 0 }, "clipboard": null }));
    if Vm::agent(&vm.config) == Some(true) {
        row["agent"] = json!(1);
    }
    if vm.run.is_some() {
        merge(
            &mut row,
            json!({
                "running-qemu": "10.0.13", "running-machine": "pc-i440fx-10.0+pve0",
                "diskread": 90_000_000, "diskwrite": 4_096_000,
            }),
        );
    }
    Ok(Reply::Data(row))
}

/// GET feature
pub fn feature(world: &World, call: &Call) -> Result<Reply, Fail> {
    let vm = guest(world, call)?;
    let nodes: Vec<&String> = world.nodes.keys().filter(|node| reachable(world, vm, node)).collect();
    let has = match call.need("feature").as_str() {
        "clone" => linkable(world, vm).is_ok(),
        "snapshot" => {
            !vm.template()
                && disks(vm).iter().all(|(_, value)| {
                    storage::split_volid(volid(value))
                        .and_then(|(id, _)| world.storages.get(id))
                        .is_some_and(|storage| storage.kind != storage::Kind::Lvm)
                })
        }
        _ => true,
    };
    Ok(Reply::Data(json!({ "hasFeature": u8::from(has), "nodes": nodes })))
}

/// Can a node get at all disks of a guest?
fn reachable(world: &World, vm: &Vm, node: &str) -> bool {
    node == vm.node
        || Vm::drives(&vm.config).iter().all(|(_, value)| {
            storage::split_volid(volid(value))
                .and_then(|(id, _)| world.storages.get(id))
                .is_none_or(|storage| storage.shared)
        })
}

/// The drives that hold data: no cd-roms.
pub fn disks(vm: &Vm) -> Vec<(String, String)> {
    Vm::drives(&vm.config).into_iter().filter(|(_, value)| !value.contains("media=cdrom")).collect()
}

/// Can this guest be cloned without copying?
pub fn linkable(world: &World, vm: &Vm) -> Result<(), Fail> {
    for (key, value) in disks(vm) {
        let id = volid(&value);
        let Some((store, name)) = storage::split_volid(id) else { continue };
        let base = storage::leaf(name).starts_with("base-");
        if !base || !world.storages.get(store).is_some_and(|storage| storage.kind.linked()) {
            return Err(format!("Linked clone feature is not supported for '{id}' ({key})").into());
        }
    }
    Ok(())
}

/// GET cloudinit: what the drive holds and what it would hold.
pub fn cloudinit(world: &World, call: &Call) -> Result<Reply, Fail> {
    let vm = guest(world, call)?;
    let keys =
        ["citype", "ciuser", "cipassword", "ciupgrade", "sshkeys", "nameserver", "searchdomain", "ipconfig0", "name"];
    let rows = keys
        .iter()
        .filter_map(|key| {
            let value = vm.config.get(*key)?;
            let mut row = json!({ "key": key, "value": shown(key, value) });
            if let Some(run) = &vm.run
                && run.config.get(*key) != Some(value)
            {
                row["pending"] = shown(key, value);
                row["value"] = run.config.get(*key).map_or(Value::Null, |old| shown(key, old));
            }
            Some(row)
        })
        .collect();
    Ok(Reply::Data(Value::Array(rows)))
}

/// PUT cloudinit: the drive is written anew; the guest reads it at its next boot.
pub fn regenerate(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    guest(world, call)?;
    Ok(Reply::Late(100, Value::Null))
}

/// GET cloudinit/dump
pub fn dump(world: &World, call: &Call) -> Result<Reply, Fail> {
    let vm = guest(world, call)?;
    let name = vm.name();
    let text = match call.need("type").as_str() {
        "user" => {
            let mut text = format!("#cloud-config\nhostname: {name}\nmanage_etc_hosts: true\nfqdn: {name}\n");
            if let Some(user) = vm.config.get("ciuser") {
                text.push_str(&format!("user: {user}\n"));
            }
            text.push_str("chpasswd:\n  expire: False\nusers:\n  - default\npackage_upgrade: true\n");
            text
        }
        "network" => {
            "version: 1\nconfig:\n    - type: physical\n      name: eth0\n      subnets:\n      - type: dhcp4\n".into()
        }
        _ => format!("instance-id: {}\n", digest_of(vm)),
    };
    Ok(Reply::Data(json!(text)))
}

/// GET rrddata of a guest.
pub fn rrddata(world: &World, call: &Call) -> Result<Reply, Fail> {
    let vm = guest(world, call)?;
    let stat = world.measure(vm);
    let (step, count) = super::nodes::frame(call);
    let end = world.unix() / step * step;
    let since = world.unix() - stat.uptime as i64;
    let rows = (0..count)
        .map(|at| {
            let time = end - (count - 1 - at) * step;
            let mut row = json!({ "time": time });
            if vm.run.is_some() && time >= since {
                let cpu = 0.05 * dice(world.seed, &["vm-rrd", &vm.vmid.to_string(), &time.to_string()]);
                merge(&mut row, json!({
                    "cpu": cpu, "maxcpu": stat.maxcpu, "mem": stat.mem as f64, "maxmem": stat.maxmem, "disk": 0,
                    "maxdisk": stat.maxdisk, "netin": 900.0, "netout": 310.0, "diskread": 4096.0, "diskwrite": 20_480.0,
                }));
            }
            row
        })
        .collect();
    Ok(Reply::Data(Value::Array(rows)))
}
