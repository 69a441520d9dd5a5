//! Cloning a guest: what is refused at once, and what the task does step by step.

use std::collections::BTreeMap;

use super::qemu::{disks, linkable};
use super::{Call, Fail, Reply, copy, permit};
use crate::sim::world::storage::split_volid;
use crate::sim::world::vm::{is_drive, volid};
use crate::sim::world::{LockKey, Mode, Op, Vm, World, build};

/// POST clone
pub fn clone(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let (vmid, node) = (call.vmid(), call.node());
    let newid = call.number("newid").unwrap_or(0) as u32;
    let pool = call.text("pool");
    if let Some(pool) = &pool
        && !world.pools.contains_key(pool)
    {
        return Err(Fail::forbidden(&format!("pool '{pool}' does not exist")));
    }
    if !world.quorate {
        return Err("cluster not ready - no quorum?".into());
    }
    let target = call.text("target").filter(|target| *target != node);
    if let Some(target) = &target
        && !world.nodes.contains_key(target)
    {
        return Err(format!("no such cluster node '{target}'").into());
    }
    let vm = world
        .guests
        .get(&vmid)
        .filter(|vm| vm.node == node)
        .ok_or_else(|| format!("unable to find configuration file for VM {vmid} on node '{node}'"))?;
    let full = call.flag("full").unwrap_or(!vm.template());
    let storage = call.text("storage");
    if let Some(storage) = &storage {
        check_storage(world, storage, target.as_deref())?;
    }
    let vm = world.guests.get(&vmid).ok_or("no such guest")?;
    if let Some(lock) = &vm.lock {
        return Err(format!("VM is locked ({lock})").into());
    }
    if let Some(name) = call.text("snapname") {
        if !vm.snapshots.iter().any(|snapshot| snapshot.name == name) {
            return Err(format!("snapshot '{name}' does not exist").into());
        }
        if !full {
            let (key, value) = disks(vm).into_iter().next().unwrap_or_default();
            let id = volid(&value);
            return Err(format!("Linked clone feature is not supported for a snapshot of '{id}' ({key})").into());
        }
    }
    if target.is_some() && !all_shared(world, vm) {
        let target = target.unwrap_or_default();
        return Err(format!("can't clone VM to node '{target}' (VM uses local storage)").into());
    }
    if world.guests.get(&newid).is_some_and(|other| other.node == node) {
        return Err(format!("unable to create VM {newid}: config file already exists").into());
    }
    if full {
        check_format(world, vm, &storage, call)?;
    } else {
        for word in ["storage", "format"] {
            if call.params.contains_key(word) {
                return Err(format!("parameter '{word}' not allowed for linked clones").into());
            }
        }
        linkable(world, vm)?;
    }
    check_places(world, call, vm, storage.as_deref())?;

    let plan = Plan {
        vmid,
        newid,
        node: node.clone(),
        target,
        full,
        storage,
        format: call.text("format"),
        name: call.text("name").unwrap_or_else(|| format!("Copy-of-VM-{}", vm.name())),
        description: call.text("description"),
        pool,
        limit: call.number("bwlimit").filter(|limit| *limit > 0),
    };
    let mode = if vm.run.is_some() { Mode::Exclusive } else { Mode::Shared };
    let ops = vec![
        Op::Take { key: LockKey::Config(vmid), mode, patience: 1000 },
        Op::Take { key: LockKey::Config(newid), mode: Mode::Exclusive, patience: 1000 },
        Op::run(move |world, job| begin(world, job, plan)),
    ];
    let upid = world.spawn(&node, "qmclone", &vmid.to_string(), &call.who.id(), "", ops);
    Ok(Reply::Late(world.physics.spawn, upid.into()))
}

/// What is to be cloned, and how.
#[derive(Clone)]
pub struct Plan {
    /// The source.
    pub vmid: u32,
    /// The clone.
    pub newid: u32,
    /// Where the source lies and the work is done.
    pub node: String,
    /// Where the clone is to lie.
    pub target: Option<String>,
    /// Copied whole, or an overlay?
    pub full: bool,
    /// Where its disks are to lie.
    pub storage: Option<String>,
    /// Their format.
    pub format: Option<String>,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: Option<String>,
    /// Its pool.
    pub pool: Option<String>,
    /// KiB per second.
    pub limit: Option<u64>,
}

fn check_storage(world: &World, id: &str, target: Option<&str>) -> Result<(), Fail> {
    let storage = world.storages.get(id).ok_or_else(|| format!("storage '{id}' does not exist"))?;
    if !storage.content.iter().any(|content| content == "images") {
        return Err(Fail::param("storage", format!("storage '{id}' does not support vm images")));
    }
    if target.is_some() && !storage.shared {
        return Err(format!("can't clone to non-shared storage '{id}'").into());
    }
    Ok(())
}

fn check_format(world: &World, vm: &Vm, storage: &Option<String>, call: &Call) -> Result<(), Fail> {
    let Some(format) = call.text("format") else { return Ok(()) };
    for (_, value) in disks(vm) {
        let own = split_volid(volid(&value)).map(|(id, _)| id.to_owned());
        let id = storage.clone().or(own).unwrap_or_default();
        if let Some(real) = world.storages.get(&id)
            && !real.kind.formats().contains(&format.as_str())
        {
            return Err(format!("storage '{id}' does not support format '{format}'").into());
        }
    }
    Ok(())
}

fn all_shared(world: &World, vm: &Vm) -> bool {
    Vm::drives(&vm.config).iter().all(|(_, value)| {
        split_volid(volid(value)).and_then(|(id, _)| world.storages.get(id)).is_none_or(|storage| storage.shared)
    })
}

/// The storages written to and the bridges used must be allowed.
fn check_places(world: &World, call: &Call, vm: &Vm, storage: Option<&str>) -> Result<(), Fail> {
    for (_, value) in Vm::drives(&vm.config) {
        if let Some((own, _)) = split_volid(volid(&value)) {
            let path = format!("/storage/{}", storage.unwrap_or(own));
            permit::privileges(world, &call.who, &path, &["Datastore.AllocateSpace"], false)?;
        }
    }
    for (key, value) in vm.config.iter().filter(|(key, _)| key.starts_with("net")) {
        if key.trim_start_matches("net").parse::<u32>().is_ok() {
            super::config::check_bridge(world, &call.who, value)?;
        }
    }
    Ok(())
}

/// In the task, with both locks held: the new configuration appears, locked.
fn begin(world: &mut World, job: u64, plan: Plan) -> Result<Vec<Op>, Fail> {
    if let Some(other) = world.guests.get(&plan.newid) {
        return Err(if other.node == plan.node {
            format!("unable to create VM {}: config file already exists", plan.newid)
        } else {
            let path = format!("/etc/pve/nodes/{}/qemu-server/{}.conf", plan.node, plan.newid);
            format!("close (rename) atomic file '{path}' failed: File exists")
        }
        .into());
    }
    let source = world.guests.get(&plan.vmid).cloned().ok_or("source vanished")?;
    world.log(job, format!("creating a clone of VM {} with ID {}", plan.vmid, plan.newid));
    world.set_blame(job, "clone failed: ");

    let mut config: BTreeMap<String, String> = source
        .config
        .iter()
        .filter(|(key, _)| !is_drive(key) && !key.starts_with("unused"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    config.remove("template");
    let number = plan.newid.to_string();
    let count = world.fresh().to_string();
    for (key, value) in &mut config {
        if key.strip_prefix("net").is_some_and(|rest| rest.parse::<u32>().is_ok()) {
            *value = fresh_mac(value, &world.mac(&number));
        }
    }
    config.insert("smbios1".into(), format!("uuid={}", build::uuid(world.seed, &["smbios", &number, &count])));
    if config.contains_key("vmgenid") {
        config.insert("vmgenid".into(), build::uuid(world.seed, &["genid", &number, &count]));
    }
    config.insert("name".into(), plan.name.clone());
    // the description comes with the last write: a clone in progress does not show it
    config.remove("description");
    let birth = world.fresh();
    let vm = Vm {
        vmid: plan.newid,
        node: plan.node.clone(),
        config,
        pending: BTreeMap::new(),
        lock: Some("clone".into()),
        snapshots: Vec::new(),
        run: None,
        inside: source.inside.clone(),
        image: source.image.clone(),
        birth,
    };
    world.guests.insert(plan.newid, vm);
    let newid = plan.newid;
    world.on_failure(job, move |world| {
        world.vanish(newid);
    });

    let mut ops = Vec::new();
    for (key, value) in Vm::drives(&source.config) {
        if value.starts_with("none") {
            ops.push(keep(newid, &key, &value));
        } else {
            copy::drive(world, &plan, &key, &value, &mut ops)?;
        }
    }
    let description = plan.description.clone().or_else(|| source.config.get("description").cloned());
    let (target, pool) = (plan.target.clone(), plan.pool.clone());
    ops.push(Op::Pause(60));
    if let Some(pool) = pool {
        join_pool(newid, pool, &mut ops);
    }
    ops.push(Op::run(move |world, _| {
        if let Some(vm) = world.guests.get_mut(&newid) {
            vm.lock = None;
            if let Some(text) = description {
                vm.config.insert("description".into(), text);
            }
            if let Some(target) = target {
                vm.node = target;
            }
        }
        Ok(Vec::new())
    }));
    Ok(ops)
}

/// Writes a drive into the clone's configuration as it is.
pub fn keep(newid: u32, key: &str, value: &str) -> Op {
    let (key, value) = (key.to_owned(), value.to_owned());
    Op::run(move |world, _| {
        world.edit_config(newid, &key, Some(&value));
        Ok(Vec::new())
    })
}

/// The pool comes last, under the lock on the user configuration.
fn join_pool(newid: u32, pool: String, ops: &mut Vec<Op>) {
    let name = pool.clone();
    ops.push(Op::run(move |world, job| {
        world.set_blame(job, &format!("clone failed: can't add VM {newid} to pool '{name}': "));
        Ok(Vec::new())
    }));
    ops.push(Op::Take { key: LockKey::UserCfg, mode: Mode::Exclusive, patience: 10_000 });
    ops.push(Op::Pause(50));
    ops.push(Op::run(move |world, job| {
        world.pools.entry(pool).or_default().vms.push(newid);
        world.set_blame(job, "clone failed: ");
        Ok(Vec::new())
    }));
    ops.push(Op::Free(LockKey::UserCfg));
}

/// A card with another hardware address.
fn fresh_mac(net: &str, mac: &str) -> String {
    net.split(',')
        .enumerate()
        .map(|(at, part)| match part.split_once('=') {
            Some((model, old)) if at == 0 && old.len() == 17 => format!("{model}={mac}"),
            None if at == 0 => format!("{part}={mac}"),
            _ => part.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(",")
}
