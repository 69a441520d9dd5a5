//! Cloning the drives of a guest: allocation under the storage's lock, the copy outside it.

use super::Fail;
use super::clone::{Plan, keep};
use crate::sim::world::storage::{self, Volume, split_volid};
use crate::sim::world::vm::{volid, with_property};
use crate::sim::world::{Mode, Op, World};

/// The operations that clone one drive.
pub fn drive(world: &World, plan: &Plan, key: &str, value: &str, ops: &mut Vec<Op>) -> Result<(), Fail> {
    let id = volid(value).to_owned();
    let Some((store, name)) = split_volid(&id) else {
        ops.push(keep(plan.newid, key, value));
        return Ok(());
    };
    let source = world.storages.get(store).ok_or_else(|| format!("storage '{store}' does not exist"))?;
    let Some(volume) = source.volumes.get(name) else {
        if value.contains("media=cdrom") {
            ops.push(keep(plan.newid, key, value));
            return Ok(());
        }
        return Err(format!("volume '{id}' does not exist").into());
    };
    let cloudinit = name.contains("cloudinit");
    let linked = !plan.full && !cloudinit;
    let to = match &plan.storage {
        Some(id) if plan.full => world.storages.get(id).ok_or_else(|| format!("storage '{id}' does not exist"))?,
        _ => source,
    };
    let word = if linked { "linked" } else { "full" };
    ops.push(Op::Log(format!("create {word} clone of drive {key} ({id})")));
    let lock = to.lock(&plan.node);
    ops.push(Op::Take { key: lock.clone(), mode: Mode::Exclusive, patience: 10_000 });
    ops.push(Op::Pause(if cloudinit { to.allocate / 4 } else { to.allocate }));
    let made = Made {
        newid: plan.newid,
        key: key.to_owned(),
        value: value.to_owned(),
        storage: to.id.clone(),
        node: (!to.shared).then(|| plan.node.clone()),
        base: linked.then(|| name.to_owned()),
        size: volume.size,
        used: if linked { volume.used / 8 } else { volume.used },
        format: match &plan.format {
            _ if linked => {
                if to.kind.files() {
                    "qcow2".into()
                } else {
                    "raw".into()
                }
            }
            Some(format) if !cloudinit => format.clone(),
            _ if to.kind.files() => {
                if cloudinit {
                    "qcow2".into()
                } else {
                    volume.format.clone()
                }
            }
            _ => "raw".into(),
        },
        cloudinit,
        source_format: volume.format.clone(),
        source_path: source.path(name),
        pipe: to.pipe(&plan.node),
        limit: plan.limit,
        bandwidth: to.bandwidth,
    };
    ops.push(Op::run(move |world, job| made.allocate(world, job)));
    ops.push(Op::Free(lock));
    Ok(())
}

struct Made {
    newid: u32,
    key: String,
    value: String,
    storage: String,
    node: Option<String>,
    base: Option<String>,
    size: u64,
    used: u64,
    format: String,
    cloudinit: bool,
    source_format: String,
    source_path: String,
    pipe: crate::sim::world::PipeKey,
    limit: Option<u64>,
    bandwidth: f64,
}

impl Made {
    /// Makes the volume; a copy follows once the lock is free.
    fn allocate(self, world: &mut World, job: u64) -> Result<Vec<Op>, Fail> {
        let ctime = world.unix();
        let storage = world.storages.get_mut(&self.storage).ok_or("storage vanished")?;
        let name = match &self.base {
            Some(base) => storage.overlay(base, self.newid),
            None if self.cloudinit => storage.name(self.newid, &format!("vm-{}-cloudinit", self.newid), &self.format),
            None => storage.new_disk(self.newid, &self.format),
        };
        let node = self.node.clone().unwrap_or_default();
        if storage.used(&node) + self.used > storage.total {
            return Err(format!("out of space on storage '{}'", self.storage).into());
        }
        let volume = Volume {
            vmid: self.newid,
            size: self.size,
            used: if self.cloudinit || self.base.is_some() { self.used } else { 0 },
            format: self.format.clone(),
            base: self.base.clone(),
            node: self.node.clone(),
            ctime,
        };
        storage.volumes.insert(name.clone(), volume);
        let path = storage.path(&name);
        let files = storage.kind.files();
        let id = format!("{}:{name}", self.storage);
        self.say(world, job, &name, &path, files, &id);
        let size = storage::size_text(self.size);
        let mut text = self.value.replacen(volid(&self.value), &id, 1);
        text = with_property(&text, "size", &size);
        let (newid, key) = (self.newid, self.key.clone());
        if self.cloudinit || self.base.is_some() {
            world.edit_config(newid, &key, Some(&text));
            return Ok(Vec::new());
        }
        let command = format!(
            "/usr/bin/qemu-img convert -p -n {}-f {} -O {} {} zeroinit:{path}",
            self.limit.map(|limit| format!("-r {limit}K ")).unwrap_or_default(),
            self.source_format,
            self.format,
            self.source_path
        );
        // a limited copy takes as long as the limit makes it take alone
        let slower = self.limit.map_or(1.0, |limit| (self.bandwidth * 1000.0 / (limit as f64 * 1024.0)).max(1.0));
        let (store, used, bytes) = (self.storage.clone(), self.used, self.size);
        let lock = world.storages.get(&store).map(|real| real.lock(&node));
        let mut ops: Vec<Op> = lock.into_iter().map(Op::Free).collect();
        ops.push(Op::Flow { pipe: self.pipe, units: used as f64 * slower, total: Some(bytes), command });
        ops.push(Op::run(move |world, _| {
            if let Some(volume) = world.storages.get_mut(&store).and_then(|real| real.volumes.get_mut(&name)) {
                volume.used = used;
            }
            world.edit_config(newid, &key, Some(&text));
            Ok(Vec::new())
        }));
        Ok(ops)
    }

    fn say(&self, world: &mut World, job: u64, name: &str, path: &str, files: bool, id: &str) {
        let newid = self.newid;
        if let Some(base) = &self.base {
            let leaf = storage::leaf(name);
            world.log(job, format!("clone {base}: images, {leaf}, {newid} to {leaf} (base=../{base})"));
            if files {
                world.log(
                    job,
                    format!(
                        "Formatting '{path}', fmt=qcow2 cluster_size=131072 extended_l2=on preallocation=off \
                         compression_type=zlib size={} backing_file=../{base} backing_fmt={} lazy_refcounts=off refcount_bits=16",
                        self.size, self.source_format
                    ),
                );
            }
            return;
        }
        if files && self.format == "qcow2" {
            world.log(
                job,
                format!(
                    "Formatting '{path}', fmt=qcow2 cluster_size=65536 extended_l2=off preallocation=metadata \
                     compression_type=zlib size={} lazy_refcounts=off refcount_bits=16",
                    self.size
                ),
            );
        } else if files {
            world.log(job, format!("Formatting '{path}', fmt={} size={} preallocation=off", self.format, self.size));
        } else {
            world.log(job, format!("  Logical volume \"{}\" created.", storage::leaf(name)));
        }
        world.log(job, format!("allocated target volume '{id}'"));
    }
}
