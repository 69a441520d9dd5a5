//! Making a template of a guest.

use super::config::unlocked;
use super::qemu::{disks, guest};
use super::{Call, Fail, Reply};
use crate::sim::world::storage::{leaf, split_volid};
use crate::sim::world::vm::volid;
use crate::sim::world::{Op, World};

/// POST template
pub fn convert(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let vm = guest(world, call)?;
    unlocked(vm)?;
    if !vm.snapshots.is_empty() {
        return Err("unable to create template, because VM contains snapshots".into());
    }
    if vm.template() {
        return Err("you can't convert a template to a template".into());
    }
    if vm.run.is_some() {
        return Err("you can't convert a VM to template if VM is running".into());
    }
    let vmid = call.vmid();
    let ops = vec![
        Op::config_lock(vmid),
        Op::Pause(100),
        Op::run(move |world, _| {
            world.edit_config(vmid, "template", Some("1"));
            let drives = world.guests.get(&vmid).map(disks).unwrap_or_default();
            for (key, value) in drives {
                let Some((store, name)) = split_volid(volid(&value)) else { continue };
                let base = name.replace(leaf(name), &leaf(name).replacen("vm-", "base-", 1));
                if let Some(storage) = world.storages.get_mut(store)
                    && let Some(volume) = storage.volumes.remove(name)
                {
                    storage.volumes.insert(base.clone(), volume);
                }
                let text = value.replacen(volid(&value), &format!("{store}:{base}"), 1);
                world.edit_config(vmid, &key, Some(&text));
            }
            Ok(Vec::new())
        }),
    ];
    let upid = world.spawn(&call.node(), "qmtemplate", &vmid.to_string(), &call.who.id(), "", ops);
    Ok(Reply::Late(world.physics.spawn, upid.into()))
}
