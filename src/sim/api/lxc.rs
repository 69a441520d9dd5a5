//! Calls about LXC containers: what is read of them. Nothing is changed through the API.

use serde_json::{Value, json};

use super::{
    Call, Fail, Reply,
    cluster::{merge, sees},
};
use crate::sim::world::{World, container::Container};

/// A container as the lists show it.
fn row(world: &World, container: &Container) -> Value {
    let runs = container.runs();
    let memory = container.number("memory") << 20;
    let uptime = container.since.map_or(0, |since| world.now().saturating_sub(since) / 1000 + 86_400);
    let mut row = json!({
        "vmid": container.vmid, "type": "lxc", "name": container.name(),
        "status": if runs { "running" } else { "stopped" },
        "uptime": uptime, "cpu": if runs { 0.004 } else { 0.0 },
        "mem": if runs { memory / 6 } else { 0 }, "maxmem": memory,
        "disk": if runs { 900 << 20 } else { 0 }, "maxdisk": 8_u64 << 30,
        "netin": 0, "netout": 0, "diskread": 0, "diskwrite": 0,
    });
    if let Some(tags) = container.config.get("tags") {
        row["tags"] = json!(tags);
    }
    row
}

/// Its line among the cluster's resources.
pub fn resource(world: &World, container: &Container) -> Value {
    let mut row = row(world, container);
    merge(
        &mut row,
        json!({
            "id": format!("lxc/{}", container.vmid), "node": container.node, "template": 0,
            "maxcpu": container.number("cores"),
        }),
    );
    row
}

/// GET /nodes/{node}/lxc
pub fn list(world: &World, call: &Call) -> Result<Reply, Fail> {
    let node = call.node();
    let here = world.containers.values().filter(|c| c.node == node && sees(world, &call.who, c.vmid));
    let rows = here.map(|container| {
        let mut row = row(world, container);
        merge(
            &mut row,
            json!({ "cpus": container.number("cores"), "swap": 0, "maxswap": container.number("swap") << 20 }),
        );
        row
    });
    Ok(Reply::Data(rows.collect()))
}

fn found<'a>(world: &'a World, call: &Call) -> Result<&'a Container, Fail> {
    let (node, vmid) = (call.node(), call.vmid());
    world
        .container(&node, vmid)
        .ok_or_else(|| format!("Configuration file 'nodes/{node}/lxc/{vmid}.conf' does not exist").into())
}

/// GET /nodes/{node}/lxc/{vmid}/config
pub fn config(world: &World, call: &Call) -> Result<Reply, Fail> {
    let container = found(world, call)?;
    let number = ["cores", "memory", "swap", "unprivileged"];
    let mut data: serde_json::Map<String, Value> = container
        .config
        .iter()
        .map(|(key, value)| {
            let value = match value.parse::<u64>() {
                Ok(n) if number.contains(&key.as_str()) => json!(n),
                _ => json!(value),
            };
            (key.clone(), value)
        })
        .collect();
    data.insert("digest".into(), json!(format!("{:040x}", container.vmid)));
    Ok(Reply::Data(Value::Object(data)))
}

/// GET /nodes/{node}/lxc/{vmid}/status/current
pub fn current(world: &World, call: &Call) -> Result<Reply, Fail> {
    let container = found(world, call)?;
    let mut row = row(world, container);
    merge(&mut row, json!({ "cpus": container.number("cores"), "ha": { "managed": 0 } }));
    Ok(Reply::Data(row))
}

/// Anything else: a container that is not there is said to be missing.
pub fn other(world: &World, call: &Call) -> Result<(), Fail> {
    found(world, call).map(drop)
}
