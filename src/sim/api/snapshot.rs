//! Snapshots: enough to take, list, roll back and delete them.

use serde_json::{Value, json};

use super::config::unlocked;
use super::qemu::{digest_of, disks, guest, typed};
use super::{Call, Fail, Reply};
use crate::sim::world::storage::{Kind, split_volid};
use crate::sim::world::vm::volid;
use crate::sim::world::{Op, Snapshot, World};

/// GET snapshot
pub fn list(world: &World, call: &Call) -> Result<Reply, Fail> {
    let vm = guest(world, call)?;
    let mut rows: Vec<Value> = vm
        .snapshots
        .iter()
        .map(|snapshot| {
            let mut row = json!({
                "name": snapshot.name, "description": snapshot.description, "snaptime": snapshot.time,
                "vmstate": u8::from(snapshot.vmstate),
            });
            if let Some(parent) = &snapshot.parent {
                row["parent"] = json!(parent);
            }
            row
        })
        .collect();
    let mut now = json!({
        "name": "current", "description": "You are here!", "running": u8::from(vm.run.is_some()), "digest": digest_of(vm),
    });
    if let Some(last) = vm.snapshots.last() {
        now["parent"] = json!(last.name);
    }
    rows.push(now);
    Ok(Reply::Data(Value::Array(rows)))
}

/// POST snapshot
pub fn create(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    guest(world, call)?;
    let vmid = call.vmid();
    let (name, description) = (call.need("snapname"), call.text("description").unwrap_or_default());
    let vmstate = call.flag("vmstate") == Some(true);
    if name == "current" || name == "pending" {
        return Err(format!("unable to use snapshot name '{name}' (reserved name)").into());
    }
    let ops = vec![
        Op::config_lock(vmid),
        Op::run(move |world, job| {
            let vm = world.guests.get(&vmid).ok_or("VM vanished")?;
            unlocked(vm)?;
            if vm.template() {
                return Err("you can't take a snapshot if it's a template".into());
            }
            if vm.snapshots.iter().any(|own| own.name == name) {
                return Err(format!("snapshot name '{name}' already used").into());
            }
            let drives = disks(vm);
            for (key, value) in &drives {
                let id = volid(value);
                let kind = split_volid(id).and_then(|(store, _)| world.storages.get(store)).map(|storage| storage.kind);
                if kind == Some(Kind::Lvm) {
                    return Err("snapshot feature is not available".into());
                }
                world.log(job, format!("snapshotting 'drive-{key}' ({id})"));
            }
            let time = world.unix();
            if let Some(vm) = world.guests.get_mut(&vmid) {
                let parent = vm.snapshots.last().map(|last| last.name.clone());
                let config = vm.config.clone();
                vm.snapshots.push(Snapshot { name, description, time, parent, config, vmstate });
            }
            Ok(vec![Op::Pause(300)])
        }),
    ];
    let upid = world.spawn(&call.node(), "qmsnapshot", &vmid.to_string(), &call.who.id(), "", ops);
    Ok(Reply::Late(world.physics.spawn, upid.into()))
}

/// GET snapshot/{snapname}/config
pub fn config(world: &World, call: &Call) -> Result<Reply, Fail> {
    let vm = guest(world, call)?;
    let name = call.need("snapname");
    let snapshot = vm.snapshots.iter().find(|own| own.name == name);
    let snapshot = snapshot.ok_or_else(|| Fail::from(format!("snapshot '{name}' does not exist")))?;
    let mut data: serde_json::Map<String, Value> =
        snapshot.config.iter().map(|(key, value)| (key.clone(), typed(key, value))).collect();
    data.insert("snaptime".into(), json!(snapshot.time));
    data.insert("description".into(), json!(snapshot.description));
    Ok(Reply::Data(Value::Object(data)))
}

/// POST snapshot/{snapname}/rollback
pub fn rollback(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    guest(world, call)?;
    let (vmid, name) = (call.vmid(), call.need("snapname"));
    let start = call.flag("start") == Some(true);
    let ops = vec![
        Op::config_lock(vmid),
        Op::Pause(200),
        Op::run(move |world, _| {
            let vm = world.guests.get(&vmid).ok_or("VM vanished")?;
            unlocked(vm)?;
            let found = vm.snapshots.iter().position(|own| own.name == name);
            let at = found.ok_or_else(|| Fail::from(format!("snapshot '{name}' does not exist")))?;
            let config = vm.snapshots[at].config.clone();
            let resume = vm.snapshots[at].vmstate || start;
            world.power_off(vmid);
            if let Some(vm) = world.guests.get_mut(&vmid) {
                vm.config = config;
                vm.pending.clear();
            }
            if resume {
                world.power_on(vmid);
            }
            Ok(Vec::new())
        }),
    ];
    let upid = world.spawn(&call.node(), "qmrollback", &vmid.to_string(), &call.who.id(), "", ops);
    Ok(Reply::Late(world.physics.spawn, upid.into()))
}

/// DELETE snapshot/{snapname}
pub fn delete(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    guest(world, call)?;
    let (vmid, name) = (call.vmid(), call.need("snapname"));
    let ops = vec![
        Op::config_lock(vmid),
        Op::Pause(200),
        Op::run(move |world, _| {
            let vm = world.guests.get_mut(&vmid).ok_or("VM vanished")?;
            unlocked(vm)?;
            let found = vm.snapshots.iter().position(|own| own.name == name);
            let at = found.ok_or_else(|| Fail::from(format!("snapshot '{name}' does not exist")))?;
            let gone = vm.snapshots.remove(at);
            for own in &mut vm.snapshots {
                if own.parent.as_deref() == Some(gone.name.as_str()) {
                    own.parent.clone_from(&gone.parent);
                }
            }
            Ok(Vec::new())
        }),
    ];
    let upid = world.spawn(&call.node(), "qmdelsnapshot", &vmid.to_string(), &call.who.id(), "", ops);
    Ok(Reply::Late(world.physics.spawn, upid.into()))
}
