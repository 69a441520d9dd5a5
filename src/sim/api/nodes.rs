//! Calls about nodes.

use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use super::{Call, Fail, Reply};
use crate::sim::world::fault::dice;
use crate::sim::world::{Who, World};

/// The commit Proxmox shows for its version.
const REPOID: &str = "14a22df35955d97d";

/// GET /version
pub fn version(world: &World) -> Result<Reply, Fail> {
    let release: Vec<&str> = world.version.split('.').take(2).collect();
    Ok(Reply::Data(json!({ "version": world.version, "release": release.join("."), "repoid": REPOID })))
}

/// GET /nodes
pub fn list(world: &World, call: &Call) -> Result<Reply, Fail> {
    let rows = world
        .nodes
        .keys()
        .map(|node| {
            let mut row = row(world, &call.who, node, false);
            row["ssl_fingerprint"] = if world.online(node) { json!(world.fingerprint) } else { Value::Null };
            row
        })
        .collect();
    Ok(Reply::Data(Value::Array(rows)))
}

/// A node as the lists show it.
pub fn row(world: &World, who: &Who, name: &str, cgroup: bool) -> Value {
    let mut row = json!({ "id": format!("node/{name}"), "type": "node", "node": name, "status": "offline" });
    let Some(node) = world.nodes.get(name).filter(|node| node.online) else { return row };
    row["status"] = json!("online");
    row["level"] = json!("");
    if cgroup {
        row["cgroup-mode"] = json!(2);
    }
    if world.may(who, &format!("/nodes/{name}"), "Sys.Audit") {
        let (cpu, mem) = world.node_load(name);
        row["cpu"] = json!(cpu);
        row["maxcpu"] = json!(node.cores);
        row["mem"] = json!(mem);
        row["maxmem"] = json!(node.memory);
        row["disk"] = json!(DISK_USED);
        row["maxdisk"] = json!(DISK);
        row["uptime"] = json!(uptime(world));
    }
    row
}

/// Bytes of a node's own disk.
pub const DISK: u64 = 100 << 30;
const DISK_USED: u64 = 9 << 30;

/// Nodes have been up for a while when the world begins.
fn uptime(world: &World) -> u64 {
    1_209_600 + world.now() / 1000
}

/// GET /nodes/{node}/status
pub fn status(world: &World, call: &Call) -> Result<Reply, Fail> {
    let name = call.node();
    let node = world.nodes.get(&name).ok_or("no such node")?;
    let (cpu, mem) = world.node_load(&name);
    let load = format!("{:.2}", cpu * node.cores as f64);
    let (release, build) = ("6.17.2-1-pve", "#1 SMP PREEMPT_DYNAMIC PMX 6.17.2-1");
    Ok(Reply::Data(json!({
        "uptime": uptime(world), "idle": 0, "wait": 0, "cpu": cpu,
        "loadavg": [load, load, load],
        "memory": { "total": node.memory, "used": mem, "free": node.memory - mem, "available": node.memory - mem },
        "swap": { "total": 0, "used": 0, "free": 0 },
        "rootfs": { "total": DISK, "used": DISK_USED, "free": DISK - DISK_USED, "avail": DISK - DISK_USED },
        "ksm": { "shared": 0 },
        "cpuinfo": {
            "cpus": node.cores, "cores": node.cores, "sockets": 1, "model": "AMD EPYC", "vendor": "AuthenticAMD",
            "hvm": "1", "family": "26", "mhz": "2596.120", "flags": "fpu vme de pse tsc msr pae svm", "user_hz": 100,
        },
        "pveversion": format!("pve-manager/{}/{REPOID}", world.version),
        "kversion": format!("Linux {release} {build}"),
        "current-kernel": { "sysname": "Linux", "release": release, "version": build, "machine": "x86_64" },
        "boot-info": { "mode": "legacy-bios" },
    })))
}

/// GET /nodes/{node}/time
pub fn time(world: &World) -> Result<Reply, Fail> {
    Ok(Reply::Data(json!({ "timezone": "UTC", "time": world.unix(), "localtime": world.unix() })))
}

/// GET /nodes/{node}/hosts
pub fn hosts(world: &World) -> Result<Reply, Fail> {
    let mut data = String::from("127.0.0.1 localhost.localdomain localhost\n");
    for node in world.nodes.values() {
        data.push_str(&format!("{} {}.lab.example {}\n", node.ip, node.name, node.name));
    }
    let digest: String = Sha1::digest(&data).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Reply::Data(json!({ "data": data, "digest": digest })))
}

/// GET /nodes/{node}/network
pub fn network(world: &World, call: &Call) -> Result<Reply, Fail> {
    let name = call.node();
    let node = world.nodes.get(&name).ok_or("no such node")?;
    let wanted = call.text("type");
    let mut rows = vec![json!({
        "iface": "eth0", "type": "eth", "method": "manual", "method6": "manual", "active": 1, "exists": 1,
        "families": ["inet"],
    })];
    for (at, bridge) in node.bridges.iter().enumerate() {
        let mut row = json!({
            "iface": bridge, "type": "bridge", "method": "manual", "method6": "manual", "active": 1, "autostart": 1,
            "families": ["inet"], "bridge_stp": "off", "bridge_fd": "0", "bridge_ports": "", "priority": at + 3,
        });
        if at == 0 {
            row["method"] = json!("static");
            row["address"] = json!(node.ip);
            row["netmask"] = json!("24");
            row["cidr"] = json!(format!("{}/24", node.ip));
            row["bridge_ports"] = json!("eth0");
        }
        rows.push(row);
    }
    rows.retain(|row| match wanted.as_deref() {
        None => true,
        Some("any_bridge" | "any_local_bridge" | "bridge") => row["type"] == "bridge",
        Some(kind) => row["type"] == kind,
    });
    Ok(Reply::Data(Value::Array(rows)))
}

/// GET /nodes/{node}/network/{iface}
pub fn interface(world: &World, call: &Call) -> Result<Reply, Fail> {
    let Reply::Data(rows) = network(world, call)? else { return Err("no such interface".into()) };
    let wanted = call.need("iface");
    rows.as_array()
        .and_then(|rows| rows.iter().find(|row| row["iface"] == wanted.as_str()))
        .map(|row| Reply::Data(row.clone()))
        .ok_or_else(|| Fail::param("iface", "interface does not exist"))
}

/// Seconds of one step and how many of them, for a time frame.
pub fn frame(call: &Call) -> (i64, i64) {
    match call.need("timeframe").as_str() {
        "hour" => (60, 60),
        "day" => (60, 1440),
        "week" => (1800, 336),
        "month" => (1800, 1440),
        _ => (21_600, 1440),
    }
}

/// GET /nodes/{node}/rrddata: what was measured since the world began, gaps before.
pub fn rrddata(world: &World, call: &Call) -> Result<Reply, Fail> {
    let name = call.node();
    let node = world.nodes.get(&name).ok_or("no such node")?;
    let (step, count) = frame(call);
    let end = world.unix() / step * step;
    let (_, mem) = world.node_load(&name);
    let rows = (0..count)
        .map(|at| {
            let time = end - (count - 1 - at) * step;
            let mut row = json!({ "time": time });
            if time >= world.epoch - 3600 {
                let cpu = 0.02 + 0.1 * dice(world.seed, &["rrd", &name, &time.to_string()]);
                super::cluster::merge(
                    &mut row,
                    json!({
                        "cpu": cpu, "maxcpu": node.cores, "loadavg": cpu * node.cores as f64, "iowait": 0.001,
                        "memtotal": node.memory, "memused": mem as f64, "swaptotal": 0, "swapused": 0,
                        "roottotal": DISK, "rootused": DISK_USED as f64, "netin": 12_000.0, "netout": 9_000.0,
                    }),
                );
                if !world.is_eight() {
                    super::cluster::merge(
                        &mut row,
                        json!({
                            "memavailable": (node.memory - mem) as f64, "arcsize": 0,
                            "pressurecpusome": cpu, "pressureiosome": 0, "pressureiofull": 0,
                            "pressurememorysome": 0, "pressurememoryfull": 0,
                        }),
                    );
                }
            }
            row
        })
        .collect();
    Ok(Reply::Data(Value::Array(rows)))
}
