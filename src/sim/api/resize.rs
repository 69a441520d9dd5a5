//! Growing a disk: everything is checked in the task.

use super::config::unlocked;
use super::qemu::missing;
use super::{Call, Fail, Reply};
use crate::sim::world::storage::{parse_size, size_text, split_volid};
use crate::sim::world::vm::{property, volid, with_property};
use crate::sim::world::{Mode, Op, World};

/// PUT resize
pub fn resize(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let (vmid, node) = (call.vmid(), call.node());
    let (disk, size) = (call.need("disk"), call.need("size"));
    let ops = vec![Op::config_lock(vmid), Op::run(move |world, _| begin(world, vmid, &node, &disk, &size))];
    let upid = world.spawn(&call.node(), "resize", &vmid.to_string(), &call.who.id(), "", ops);
    Ok(Reply::Late(world.physics.spawn, upid.into()))
}

fn begin(world: &mut World, vmid: u32, node: &str, disk: &str, size: &str) -> Result<Vec<Op>, Fail> {
    let vm = world.guests.get(&vmid).filter(|vm| vm.node == node).ok_or_else(|| missing(vmid, node))?;
    unlocked(vm)?;
    let value = vm.config.get(disk).ok_or_else(|| format!("disk '{disk}' does not exist"))?.clone();
    if value.contains("media=cdrom") {
        return Err("can't resize a cdrom".into());
    }
    let old = property(&value, "size").and_then(|text| parse_size(&text)).unwrap_or(0);
    let new = match size.strip_prefix('+') {
        Some(more) => old + parse_size(more).unwrap_or(0),
        None => parse_size(size).unwrap_or(0),
    };
    if new < old {
        return Err("shrinking disks is not supported".into());
    }
    if new == old {
        return Ok(Vec::new());
    }
    let running = vm.run.is_some();
    let (store, name) = split_volid(volid(&value)).unwrap_or_default();
    let storage = world.storages.get(store).ok_or_else(|| format!("storage '{store}' does not exist"))?;
    let lock = storage.lock(node);
    let (store, name, disk) = (store.to_owned(), name.to_owned(), disk.to_owned());
    Ok(vec![
        Op::Take { key: lock.clone(), mode: Mode::Exclusive, patience: 10_000 },
        Op::Pause(100),
        Op::run(move |world, job| {
            if let Some(volume) = world.storages.get_mut(&store).and_then(|real| real.volumes.get_mut(&name)) {
                volume.size = new;
            }
            if !running {
                world.log(job, "Image resized.");
            }
            let text = with_property(&value, "size", &size_text(new));
            world.edit_config(vmid, &disk, Some(&text));
            if let Some(run) = world.guests.get_mut(&vmid).and_then(|vm| vm.run.as_mut()) {
                run.config.insert(disk, text);
            }
            Ok(Vec::new())
        }),
        Op::Free(lock),
    ])
}
