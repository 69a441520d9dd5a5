//! New volumes for the drives of a guest.

use super::Fail;
use super::config::write;
use crate::sim::world::storage::{self, Volume, split_volid};
use crate::sim::world::vm::{volid, with_property};
use crate::sim::world::{Mode, Op, World};

/// `fast:8`, `fast:cloudinit` and `fast:0,import-from=…` ask for a new volume.
pub fn wants_allocation(value: &str) -> bool {
    split_volid(volid(value)).is_some_and(|(_, rest)| rest == "cloudinit" || rest.parse::<f64>().is_ok())
}

/// The operations that make the volume and write the drive.
///
/// # Errors
/// When a storage or the image to import is not there.
pub fn allocate(world: &mut World, vmid: u32, key: &str, value: &str, ops: &mut Vec<Op>) -> Result<(), Fail> {
    let (store, what) = split_volid(volid(value)).unwrap_or_default();
    let node = world.guests.get(&vmid).map(|vm| vm.node.clone()).unwrap_or_default();
    let storage = world.storages.get(store).ok_or_else(|| format!("storage '{store}' does not exist"))?;
    let import = crate::sim::world::vm::property(value, "import-from");
    let imported = match import.as_deref().and_then(split_volid) {
        Some((from, name)) => {
            let from = world.storages.get(from).ok_or_else(|| format!("storage '{from}' does not exist"))?;
            let own = from.volumes.get(name).map(|volume| volume.size).or_else(|| from.files.get(name).copied());
            Some(own.ok_or_else(|| format!("volume '{name}' does not exist"))?)
        }
        None => None,
    };
    let cloudinit = what == "cloudinit";
    let special = key.starts_with("efidisk") || key.starts_with("tpmstate");
    let size = if cloudinit || special {
        4 << 20
    } else {
        imported.unwrap_or_else(|| (what.parse::<f64>().unwrap_or(0.0) * f64::from(1 << 30)) as u64)
    };
    let files = storage.kind.files();
    let wanted = crate::sim::world::vm::property(value, "format");
    let format = wanted.unwrap_or_else(|| if cloudinit && files { "qcow2".into() } else { "raw".to_owned() });
    let lock = storage.lock(&node);
    let (store, key, value) = (store.to_owned(), key.to_owned(), value.to_owned());
    let hold = storage.allocate;
    ops.push(Op::Take { key: lock.clone(), mode: Mode::Exclusive, patience: 10_000 });
    ops.push(Op::Pause(if cloudinit { hold / 4 } else { hold }));
    ops.push(Op::run(move |world, job| {
        let ctime = world.unix();
        let storage = world.storages.get_mut(&store).ok_or("storage vanished")?;
        let name = if cloudinit {
            storage.name(vmid, &format!("vm-{vmid}-cloudinit"), &format)
        } else {
            storage.new_disk(vmid, &format)
        };
        let owner = (!storage.shared).then_some(node);
        let used = if cloudinit { size } else { imported.unwrap_or(0) };
        let volume = Volume { vmid, size, used, format: format.clone(), base: None, node: owner, ctime };
        storage.volumes.insert(name.clone(), volume);
        let path = storage.path(&name);
        let id = format!("{store}:{name}");
        let rest: Vec<&str> = value
            .split(',')
            .skip(1)
            .filter(|part| {
                !part.starts_with("import-from=") && !part.starts_with("format=") && !part.starts_with("size=")
            })
            .collect();
        let mut text = std::iter::once(id.as_str()).chain(rest).collect::<Vec<_>>().join(",");
        if cloudinit && !text.contains("media=cdrom") {
            text = with_property(&text, "media", "cdrom");
        }
        if !cloudinit {
            text = with_property(&text, "size", &storage::size_text(size));
        }
        world.log(job, format!("Formatting '{path}', fmt={format} size={size} preallocation=off"));
        if !cloudinit {
            world.log(job, format!("{key}: successfully created disk '{text}'"));
        }
        let running = world.guests.get(&vmid).is_some_and(|vm| vm.run.is_some());
        write(world, vmid, &key, text, running);
        Ok(Vec::new())
    }));
    ops.push(Op::Free(lock));
    Ok(())
}
