//! Calls about storages.

use serde_json::{Value, json};

use super::{Call, Fail, Reply, permit};
use crate::sim::world::storage::split_volid;
use crate::sim::world::{Mode, Op, Storage, Who, World};

/// May the caller see a storage?
pub fn sees(world: &World, who: &Who, id: &str) -> bool {
    let path = format!("/storage/{id}");
    world.may(who, &path, "Datastore.Audit") || world.may(who, &path, "Datastore.AllocateSpace")
}

fn facts(storage: &Storage, node: &str) -> Value {
    let used = storage.used(node);
    json!({
        "type": storage.kind.word(), "content": storage.content.join(","), "enabled": 1, "active": 1,
        "shared": u8::from(storage.shared), "total": storage.total, "used": used,
        "avail": storage.total.saturating_sub(used),
    })
}

/// GET /nodes/{node}/storage
pub fn list(world: &World, call: &Call) -> Result<Reply, Fail> {
    let node = call.node();
    let contents = call.list("content");
    let only = call.text("storage");
    let target = call.text("target").filter(|target| *target != node);
    let rows = world
        .storages
        .values()
        .filter(|storage| sees(world, &call.who, &storage.id))
        .filter(|storage| only.as_ref().is_none_or(|id| *id == storage.id))
        .filter(|storage| contents.is_empty() || storage.content.iter().any(|own| contents.contains(own)))
        .filter(|storage| target.is_none() || storage.shared)
        .map(|storage| {
            let mut row = facts(storage, &node);
            row["storage"] = json!(storage.id);
            row["used_fraction"] = json!(storage.used(&node) as f64 / storage.total.max(1) as f64);
            row
        })
        .collect();
    Ok(Reply::Data(Value::Array(rows)))
}

fn find<'a>(world: &'a World, call: &Call) -> Result<&'a Storage, Fail> {
    world.storages.get(&call.need("storage")).ok_or_else(|| Fail::param("storage", "No such storage."))
}

/// GET /nodes/{node}/storage/{storage}/status
pub fn status(world: &World, call: &Call) -> Result<Reply, Fail> {
    Ok(Reply::Data(facts(find(world, call)?, &call.node())))
}

/// GET /nodes/{node}/storage/{storage}/rrddata: what it held since the world began, gaps before.
pub fn rrddata(world: &World, call: &Call) -> Result<Reply, Fail> {
    let storage = find(world, call)?;
    let (step, count) = super::nodes::frame(call);
    let end = world.unix() / step * step;
    let used = storage.used(&call.node());
    let rows = (0..count).map(|at| {
        let time = end - (count - 1 - at) * step;
        if time < world.epoch - 3600 {
            return json!({ "time": time });
        }
        json!({ "time": time, "total": storage.total as f64, "used": used as f64 })
    });
    Ok(Reply::Data(rows.collect()))
}

/// GET /nodes/{node}/storage/{storage}/prunebackups: there are no backups.
pub fn prunable(world: &World, call: &Call) -> Result<Reply, Fail> {
    find(world, call).map(|_| Reply::Data(json!([])))
}

/// GET /nodes/{node}/storage/{storage}/content
pub fn content(world: &World, call: &Call) -> Result<Reply, Fail> {
    let storage = find(world, call)?;
    let node = call.node();
    let wanted = call.text("content");
    let owner = call.number("vmid");
    let mut rows = Vec::new();
    for (name, volume) in &storage.volumes {
        let here = volume.node.as_ref().is_none_or(|at| *at == node);
        if !here
            || owner.is_some_and(|id| id != u64::from(volume.vmid))
            || wanted.as_ref().is_some_and(|w| w != "images")
        {
            continue;
        }
        let mut row = json!({
            "volid": format!("{}:{name}", storage.id), "content": "images", "format": volume.format, "size": volume.size,
            "used": volume.used, "vmid": volume.vmid, "ctime": volume.ctime,
        });
        if let Some(base) = &volume.base {
            row["parent"] = json!(base);
        }
        rows.push(row);
    }
    for (name, size) in storage.files.iter().filter(|_| owner.is_none()) {
        let (kind, file) = name.split_once('/').unwrap_or(("iso", name));
        if wanted.as_ref().is_none_or(|wanted| wanted == kind) {
            let format = file.rsplit('.').next().unwrap_or("raw");
            rows.push(json!({
                "volid": format!("{}:{name}", storage.id), "content": kind, "format": format, "size": size,
                "ctime": world.epoch - 86_400,
            }));
        }
    }
    Ok(Reply::Data(Value::Array(rows)))
}

fn name_of(call: &Call) -> String {
    let volume = call.need("volume");
    match split_volid(&volume) {
        Some((_, name)) => name.to_owned(),
        None => volume,
    }
}

/// GET /nodes/{node}/storage/{storage}/content/{volume}
pub fn volume(world: &World, call: &Call) -> Result<Reply, Fail> {
    let storage = find(world, call)?;
    let name = name_of(call);
    let volume = storage.volumes.get(&name);
    let volume = volume.ok_or_else(|| Fail::from(format!("volume '{}:{name}' does not exist", storage.id)))?;
    Ok(Reply::Data(json!({
        "path": storage.path(&name), "size": volume.size, "used": volume.used, "format": volume.format,
    })))
}

/// DELETE /nodes/{node}/storage/{storage}/content/{volume}
pub fn remove(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let storage = find(world, call)?;
    let path = format!("/storage/{}", storage.id);
    permit::privileges(world, &call.who, &path, &["Datastore.Allocate", "Datastore.AllocateSpace"], true)?;
    let storage = find(world, call)?;
    let (id, name) = (storage.id.clone(), name_of(call));
    if storage.clones_of(&name) > 0 {
        return Err(format!("base volume '{id}:{name}' is still in use by linked clones").into());
    }
    let lock = storage.lock(&call.node());
    let task = format!("{id}:{name}");
    let ops = vec![
        Op::Take { key: lock.clone(), mode: Mode::Exclusive, patience: 10_000 },
        Op::Pause(100),
        Op::run(move |world, job| {
            let storage = world.storages.get_mut(&id).ok_or("storage vanished")?;
            storage.volumes.remove(&name).ok_or_else(|| format!("volume '{id}:{name}' does not exist"))?;
            world.log(job, format!("Removed volume '{id}:{name}'"));
            Ok(Vec::new())
        }),
        Op::Free(lock),
    ];
    let upid = world.spawn(&call.node(), "imgdel", &task.replace(':', "@"), &call.who.id(), "", ops);
    Ok(Reply::Late(world.physics.spawn, upid.into()))
}

fn defined_row(storage: &Storage) -> Value {
    let mut row = json!({
        "storage": storage.id, "type": storage.kind.word(), "content": storage.content.join(","),
        "digest": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    });
    if storage.shared {
        row["shared"] = json!(1);
    }
    if storage.kind.files() {
        row["path"] = json!(storage.mount);
    }
    row
}

/// GET /storage
pub fn defined(world: &World, call: &Call) -> Result<Reply, Fail> {
    let kind = call.text("type");
    let rows = world
        .storages
        .values()
        .filter(|storage| sees(world, &call.who, &storage.id))
        .filter(|storage| kind.as_deref().is_none_or(|kind| kind == storage.kind.word()))
        .map(defined_row)
        .collect();
    Ok(Reply::Data(Value::Array(rows)))
}

/// GET /storage/{storage}
pub fn definition(world: &World, call: &Call) -> Result<Reply, Fail> {
    let id = call.need("storage");
    let storage = world.storages.get(&id).ok_or_else(|| Fail::from(format!("storage '{id}' does not exist")))?;
    Ok(Reply::Data(defined_row(storage)))
}
