//! Pools and who is in them.

use serde_json::{Value, json};

use super::cluster::guest_row;
use super::{Call, Fail, Reply, permit};
use crate::sim::world::{LockKey, Mode, Op, Pool, World};

fn row(id: &str, pool: &Pool) -> Value {
    let mut row = json!({ "poolid": id });
    if !pool.comment.is_empty() {
        row["comment"] = json!(pool.comment);
    }
    row
}

/// GET /pools, with `poolid` one with its members.
pub fn list(world: &World, call: &Call) -> Result<Reply, Fail> {
    let Some(id) = call.text("poolid") else {
        let rows = world
            .pools
            .iter()
            .filter(|(id, _)| world.may(&call.who, &format!("/pool/{id}"), "Pool.Audit"))
            .map(|(id, pool)| row(id, pool))
            .collect();
        return Ok(Reply::Data(Value::Array(rows)));
    };
    permit::privileges(world, &call.who, &format!("/pool/{id}"), &["Pool.Audit"], false)?;
    let pool = world.pools.get(&id).ok_or_else(|| Fail::from(format!("pool '{id}' does not exist")))?;
    let mut row = row(&id, pool);
    row["members"] = members(world, pool, call.text("type").as_deref());
    Ok(Reply::Data(json!([row])))
}

fn members(world: &World, pool: &Pool, kind: Option<&str>) -> Value {
    let mut rows = Vec::new();
    if kind.is_none_or(|kind| kind == "qemu") {
        rows.extend(pool.vms.iter().filter_map(|id| world.guests.get(id)).map(|vm| {
            let mut row = guest_row(world, vm);
            if let Some(map) = row.as_object_mut() {
                map.remove("pool");
            }
            row
        }));
    }
    Value::Array(rows)
}

/// GET /pools/{poolid}
pub fn one(world: &World, call: &Call) -> Result<Reply, Fail> {
    let id = call.need("poolid");
    let pool = world.pools.get(&id).ok_or_else(|| Fail::from(format!("pool '{id}' does not exist")))?;
    let mut row = json!({ "members": members(world, pool, call.text("type").as_deref()) });
    if !pool.comment.is_empty() {
        row["comment"] = json!(pool.comment);
    }
    Ok(Reply::Data(row))
}

/// A change of the user configuration, under its lock.
pub fn locked(deed: impl FnOnce(&mut World) -> Result<(), Fail> + Send + 'static) -> Reply {
    Reply::Work(vec![
        Op::Take { key: LockKey::UserCfg, mode: Mode::Exclusive, patience: 10_000 },
        Op::Pause(30),
        Op::run(move |world, _| deed(world).map(|()| Vec::new())),
    ])
}

/// POST /pools
pub fn create(_world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let (id, comment) = (call.need("poolid"), call.text("comment").unwrap_or_default());
    Ok(locked(move |world| {
        if world.pools.contains_key(&id) {
            return Err(format!("create pool failed: pool '{id}' already exists").into());
        }
        world.pools.insert(id, Pool { comment, ..Pool::default() });
        Ok(())
    }))
}

/// PUT /pools
pub fn update(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let id = call.need("poolid");
    let vms: Vec<u32> = call.list("vms").iter().filter_map(|text| text.parse().ok()).collect();
    for vmid in &vms {
        permit::privileges(world, &call.who, &format!("/vms/{vmid}"), &["VM.Allocate"], false)?;
    }
    let storages = call.list("storage");
    let comment = call.text("comment");
    let (delete, mv) = (call.flag("delete") == Some(true), call.flag("allow-move") == Some(true));
    Ok(locked(move |world| {
        let fail = |why: String| Err(Fail::from(format!("update pools failed: {why}")));
        if !world.pools.contains_key(&id) {
            return fail(format!("pool '{id}' does not exist"));
        }
        for vmid in &vms {
            let owner = world.pool_of(*vmid).map(str::to_owned);
            match owner {
                Some(own) if own == id && !delete => return fail(format!("VM {vmid} is already a pool member")),
                Some(own) if own != id && !delete && !mv => {
                    return fail(format!("VM {vmid} belongs already to pool '{own}' and 'allow-move' is not set"));
                }
                other if delete && other.as_deref() != Some(id.as_str()) => {
                    return fail(format!("VM {vmid} is not a pool member"));
                }
                _ => {}
            }
            if !world.guests.contains_key(vmid) && !delete {
                return fail(format!("VM {vmid} does not exist"));
            }
        }
        for pool in world.pools.values_mut() {
            pool.vms.retain(|own| !vms.contains(own));
        }
        if let Some(pool) = world.pools.get_mut(&id) {
            if delete {
                pool.storages.retain(|own| !storages.contains(own));
            } else {
                pool.vms.extend(vms);
                pool.storages.extend(storages);
            }
            if let Some(comment) = comment {
                pool.comment = comment;
            }
        }
        Ok(())
    }))
}

/// DELETE /pools
pub fn delete(_world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let id = call.need("poolid");
    Ok(locked(move |world| {
        let fail = |why: String| Err(Fail::from(format!("delete pool failed: {why}")));
        let Some(pool) = world.pools.get(&id) else { return fail(format!("pool '{id}' does not exist")) };
        if let Some(vmid) = pool.vms.first() {
            return fail(format!("pool '{id}' is not empty (contains VM {vmid})"));
        }
        world.pools.remove(&id);
        Ok(())
    }))
}
