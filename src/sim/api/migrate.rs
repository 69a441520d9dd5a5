//! Moving a guest to another node.

use serde_json::{Value, json};

use super::config::unlocked;
use super::qemu::{guest, missing};
use super::{Call, Fail, Reply};
use crate::sim::world::storage::split_volid;
use crate::sim::world::vm::volid;
use crate::sim::world::{Op, Vm, World};

/// Drives only this node can reach.
fn local_disks(world: &World, vm: &Vm) -> Vec<Value> {
    Vm::drives(&vm.config)
        .iter()
        .filter_map(|(key, value)| {
            let id = volid(value);
            let (store, name) = split_volid(id)?;
            let storage = world.storages.get(store).filter(|storage| !storage.shared)?;
            let size = storage.volumes.get(name).map_or(0, |volume| volume.size);
            let cdrom = u8::from(value.contains("media=cdrom"));
            Some(json!({ "volid": id, "drivename": key, "size": size, "cdrom": cdrom, "is_unused": 0, "replicate": 1 }))
        })
        .collect()
}

/// GET migrate: where to, and what stands in the way.
pub fn conditions(world: &World, call: &Call) -> Result<Reply, Fail> {
    let vm = guest(world, call)?;
    let disks = local_disks(world, vm);
    let others = world.nodes.values().filter(|node| node.online && node.name != vm.node);
    let allowed: Vec<&str> = others.filter(|_| disks.is_empty()).map(|node| node.name.as_str()).collect();
    Ok(Reply::Data(json!({
        "running": u8::from(vm.run.is_some()), "allowed_nodes": allowed, "not_allowed_nodes": {},
        "local_disks": disks, "local_resources": [], "mapped-resources": [], "mapped-resource-info": {}, "has-dbus-vmstate": 1,
    })))
}

/// POST migrate
pub fn migrate(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let (vmid, node, target) = (call.vmid(), call.node(), call.need("target"));
    if target == node {
        return Err(Fail::param("target", "target is local node."));
    }
    if !world.nodes.contains_key(&target) {
        return Err(format!("no such cluster node '{target}'").into());
    }
    let vm = guest(world, call)?;
    unlocked(vm)?;
    let online = call.flag("online") == Some(true);
    if vm.run.is_some() && !online {
        return Err("can't migrate running VM without --online".into());
    }
    let ops = vec![Op::config_lock(vmid), Op::run(move |world, _| begin(world, vmid, &node, target))];
    let blame = "migration aborted: ";
    let upid = world.spawn(&call.node(), "qmigrate", &vmid.to_string(), &call.who.id(), blame, ops);
    Ok(Reply::Late(world.physics.spawn, upid.into()))
}

fn begin(world: &mut World, vmid: u32, node: &str, target: String) -> Result<Vec<Op>, Fail> {
    let vm = world.guests.get(&vmid).filter(|vm| vm.node == node).cloned().ok_or_else(|| missing(vmid, node))?;
    unlocked(&vm)?;
    if !world.online(&target) {
        return Err(format!("Can't connect to destination address using public key ({target})").into());
    }
    if let Some(disk) = local_disks(world, &vm).first() {
        let id = disk["volid"].as_str().unwrap_or_default().to_owned();
        return Err(format!("can't migrate local disk '{id}': storage is not shared").into());
    }
    world.set_lock(vmid, Some("migrate"));
    // memory goes over the wire at a gigabyte a second; a stopped guest is a file that is renamed
    let takes = vm.run.as_ref().map_or(300, |run| 1000 + (Vm::memory(&run.config) >> 20));
    Ok(vec![
        Op::Log(format!("starting migration of VM {vmid} to node '{target}'")),
        Op::Pause(takes),
        Op::run(move |world, job| {
            world.move_guest(vmid, &target);
            world.set_lock(vmid, None);
            world.log(job, "migration finished successfully");
            Ok(Vec::new())
        }),
    ])
}
