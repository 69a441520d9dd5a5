//! Deleting a guest.

use super::config::{unlocked, writable};
use super::qemu::{guest, missing};
use super::{Call, Fail, Reply};
use crate::sim::world::storage::split_volid;
use crate::sim::world::vm::volid;
use crate::sim::world::{LockKey, Mode, Op, Vm, World};

/// DELETE /nodes/{node}/qemu/{vmid}
pub fn destroy(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let (vmid, node, skip) = (call.vmid(), call.node(), super::power::skiplock(call)?);
    let vm = guest(world, call)?;
    if vm.config.get("protection").is_some_and(|value| value == "1") {
        return Err(format!("can't remove VM {vmid} - protection mode enabled").into());
    }
    if vm.run.is_some() {
        return Err(format!("VM {vmid} is running - destroy failed").into());
    }
    let purge = call.flag("purge") == Some(true);
    let sweep = call.flag("destroy-unreferenced-disks") == Some(true);
    let ops =
        vec![Op::config_lock(vmid), Op::run(move |world, _| begin(world, vmid, &node, Wishes { purge, sweep, skip }))];
    let upid = world.spawn(&call.node(), "qmdestroy", &vmid.to_string(), &call.who.id(), "", ops);
    Ok(Reply::Late(world.physics.spawn, upid.into()))
}

/// What the caller asked for besides.
#[derive(Clone, Copy)]
struct Wishes {
    purge: bool,
    /// Every volume with the guest's number, wherever it lies.
    sweep: bool,
    /// Whatever lock stands in the configuration.
    skip: bool,
}

fn begin(world: &mut World, vmid: u32, node: &str, wishes: Wishes) -> Result<Vec<Op>, Fail> {
    let vm = world.guests.get(&vmid).filter(|vm| vm.node == node).cloned().ok_or_else(|| missing(vmid, node))?;
    writable(world, vmid)?;
    if !wishes.skip {
        unlocked(&vm)?;
    }
    if vm.run.is_some() {
        return Err(format!("VM {vmid} is running - destroy failed").into());
    }
    let mut volumes: Vec<String> = Vm::drives(&vm.config).iter().map(|(_, value)| volid(value).to_owned()).collect();
    volumes.extend(
        vm.config.iter().filter(|(key, _)| key.starts_with("unused")).map(|(_, value)| volid(value).to_owned()),
    );
    if wishes.sweep {
        volumes.extend(world.volumes_of(vmid));
    }
    volumes.dedup();
    for id in &volumes {
        let Some((store, name)) = split_volid(id) else { continue };
        // thin LVM keeps no record of who stands on a base
        if world.storages.get(store).is_some_and(|storage| storage.clones_of(name) > 0) {
            return Err(format!("base volume '{id}' is still in use by linked cloned").into());
        }
    }
    let mut ops = Vec::new();
    for id in volumes {
        free(world, vmid, node, &id, &mut ops);
    }
    // Only the lock stays of the configuration once the disks are freed: what access says of the guest goes next,
    // and the file last.
    ops.push(Op::run(move |world, _| {
        hollow(world, vmid);
        Ok(Vec::new())
    }));
    if wishes.purge {
        ops.push(Op::Log(format!("purging VM {vmid} from related configurations..")));
    }
    ops.push(Op::Take { key: LockKey::UserCfg, mode: Mode::Exclusive, patience: 10_000 });
    ops.push(Op::Pause(30));
    ops.push(Op::run(move |world, _| {
        for pool in world.pools.values_mut() {
            pool.vms.retain(|own| *own != vmid);
        }
        let path = format!("/vms/{vmid}");
        world.access.acls.retain(|acl| acl.path != path);
        world.guests.remove(&vmid);
        world.forget(vmid);
        Ok(Vec::new())
    }));
    Ok(ops)
}

/// Replaces a guest's configuration by the lock that says it is being removed: no name, no description, no tags.
pub fn hollow(world: &mut World, vmid: u32) {
    if let Some(vm) = world.guests.get_mut(&vmid) {
        vm.config.clear();
        vm.pending.clear();
        vm.snapshots.clear();
        vm.lock = Some("destroyed".into());
    }
}

/// Frees one volume under the storage's lock; a lock that cannot be had leaves it behind with a warning.
fn free(world: &World, vmid: u32, node: &str, id: &str, ops: &mut Vec<Op>) {
    let Some((store, name)) = split_volid(id) else { return };
    let Some(storage) = world.storages.get(store) else { return };
    if storage.volumes.get(name).is_none_or(|volume| volume.vmid != vmid) {
        return;
    }
    let lock = storage.lock(node);
    let (store, name) = (store.to_owned(), name.to_owned());
    ops.push(Op::TakeOr {
        key: lock.clone(),
        mode: Mode::Exclusive,
        patience: 10_000,
        warning: format!("Could not remove disk '{id}', check manually: "),
        skip: 3,
    });
    ops.push(Op::Pause(storage.allocate / 4));
    ops.push(Op::run(move |world, _| {
        if let Some(storage) = world.storages.get_mut(&store) {
            storage.volumes.remove(&name);
        }
        Ok(Vec::new())
    }));
    ops.push(Op::Free(lock));
}
