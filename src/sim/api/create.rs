//! Making a guest from nothing.

use std::collections::BTreeMap;

use super::config::{Change, apply, check_rights, check_values};
use super::{Call, Fail, Reply};
use crate::sim::world::vm::{is_drive, property};
use crate::sim::world::{Op, Vm, World, build};

/// POST /nodes/{node}/qemu
pub fn create(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let (vmid, node) = (call.vmid(), call.node());
    if let Some(other) = world.guests.get(&vmid) {
        return Err(format!("unable to create VM {vmid} - VM {vmid} already exists on node '{}'", other.node).into());
    }
    if !world.quorate {
        return Err("cluster not ready - no quorum?".into());
    }
    let pool = call.text("pool");
    if let Some(pool) = &pool
        && !world.pools.contains_key(pool)
    {
        return Err(Fail::forbidden(&format!("pool '{pool}' does not exist")));
    }
    let mut params = call.params.clone();
    for name in ["archive", "bwlimit", "live-restore", "storage", "unique", "ha-managed"] {
        params.remove(name);
    }
    let mut change = Change::of(&params);
    if pool.is_none() {
        check_rights(world, &call.who, vmid, &change)?;
    }
    check_values(world, &change)?;
    for value in change.set.iter().filter(|(key, _)| is_drive(key)).map(|(_, value)| value) {
        if property(value, "import-from").is_some_and(|path| path.starts_with('/')) && !call.who.is_root() {
            return Err(
                "Only root can pass arbitrary filesystem paths. at /usr/share/perl5/PVE/Storage.pm line 651.".into()
            );
        }
    }
    let number = vmid.to_string();
    let unix = world.unix();
    let seed = world.seed;
    let birth = world.fresh();
    let count = birth.to_string();
    for (key, value) in [
        ("smbios1", format!("uuid={}", build::uuid(seed, &["smbios", &number, &count]))),
        ("vmgenid", build::uuid(seed, &["genid", &number, &count])),
        ("meta", format!("creation-qemu=10.0.13,ctime={unix}")),
    ] {
        change.set.entry(key.into()).or_insert(value);
    }
    let boot = boot_order(&change);
    if !boot.is_empty() {
        change.set.entry("boot".into()).or_insert(format!("order={boot}"));
    }
    let imported = change.set.values().any(|value| value.contains("import-from="));
    let start = call.flag("start") == Some(true);
    let ops = vec![
        Op::config_lock(vmid),
        Op::run({
            let node = node.clone();
            move |world, job| {
                if world.taken(vmid) {
                    return Err(format!("unable to create VM {vmid}: config file already exists").into());
                }
                let image = if imported { "debian-12" } else { "" };
                world.guests.insert(
                    vmid,
                    Vm {
                        vmid,
                        node,
                        config: BTreeMap::new(),
                        pending: BTreeMap::new(),
                        lock: Some("create".into()),
                        snapshots: Vec::new(),
                        run: None,
                        inside: None,
                        image: image.into(),
                        birth,
                    },
                );
                world.on_failure(job, move |world| world.vanish(vmid));
                let mut ops = apply(world, vmid, &change)?;
                ops.push(Op::run(move |world, _| {
                    if let Some(pool) = pool {
                        world.pools.entry(pool).or_default().vms.push(vmid);
                    }
                    world.set_lock(vmid, None);
                    if start {
                        world.power_on(vmid);
                    }
                    Ok(Vec::new())
                }));
                Ok(ops)
            }
        }),
    ];
    let blame = format!("unable to create VM {vmid} - ");
    let upid = world.spawn(&node, "qmcreate", &number, &call.who.id(), &blame, ops);
    Ok(Reply::Late(world.physics.spawn, upid.into()))
}

/// The first disk, the first CD, the first card.
fn boot_order(change: &Change) -> String {
    let drive = |cd: bool| {
        let fits = |value: &String| value.contains("media=cdrom") == cd && !value.contains("cloudinit");
        let plain = |key: &str| is_drive(key) && !key.starts_with("efidisk") && !key.starts_with("tpmstate");
        change.set.iter().find(|(key, value)| plain(key) && fits(value)).map(|(key, _)| key.clone())
    };
    let card = change.set.keys().find(|key| key.starts_with("net")).cloned();
    [drive(false), drive(true), card].into_iter().flatten().collect::<Vec<_>>().join(";")
}
