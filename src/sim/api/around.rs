//! Calls about what stands around the guests: realms and access lists, the cluster's membership, a
//! node's services, packages, disks, certificate and networks. Read by other clients when they start.

use serde_json::{Map, Value, json};
use sha1::{Digest, Sha1};

use super::cluster::sees;
use super::{Call, Fail, Reply, quiet::EMPTY_DIGEST};
use crate::sim::world::World;

/// Of a node, what systemd says: service, its description, does it run.
const SERVICES: [(&str, &str, bool); 18] = [
    ("chrony", "chrony, an NTP client/server", true),
    ("corosync", "Corosync Cluster Engine", true),
    ("cron", "Regular background program processing daemon", true),
    ("ksmtuned", "Kernel Samepage Merging (KSM) Tuning Daemon", true),
    ("postfix", "Postfix Mail Transport Agent", true),
    ("proxmox-firewall", "Proxmox nftables firewall", true),
    ("pve-cluster", "The Proxmox VE cluster filesystem", true),
    ("pve-firewall", "Proxmox VE firewall", true),
    ("pve-ha-crm", "PVE Cluster HA Resource Manager Daemon", true),
    ("pve-ha-lrm", "PVE Local HA Resource Manager Daemon", true),
    ("pvedaemon", "PVE API Daemon", true),
    ("pvefw-logger", "Proxmox VE firewall logger", true),
    ("pveproxy", "PVE API Proxy Server", true),
    ("pvescheduler", "Proxmox VE scheduler", true),
    ("pvestatd", "PVE Status Daemon", true),
    ("qmeventd", "PVE Qemu Event Daemon", true),
    ("spiceproxy", "PVE SPICE Proxy Server", true),
    ("systemd-timesyncd", "Network Time Synchronization", false),
];

/// The answer to a GET, where it is one of these.
///
/// # Errors
/// Proxmox's words.
pub fn answer(world: &World, template: &str, call: &Call) -> Option<Result<Reply, Fail>> {
    let data = match template {
        "/access/acl" => acl(world, call),
        "/access/domains" => realms(),
        "/access/domains/{realm}" => return Some(realm(&call.need("realm"))),
        "/access/users/{userid}/tfa" => return Some(tfa(world, call)),
        "/cluster/config/apiversion" => json!(1),
        "/cluster/config/nodes" => members(world),
        "/cluster/config/qdevice" => json!({}),
        "/cluster/config/totem" => json!({
            "cluster_name": world.name, "config_version": (world.nodes.len() + 1).to_string(),
            "ip_version": "ipv4-6", "link_mode": "passive", "secauth": "on", "version": "2",
            "interface": { "0": { "linknumber": "0" } },
        }),
        "/nodes/{node}/apt/versions" => packages(world),
        "/nodes/{node}/capabilities/qemu/cpu" => models(),
        "/nodes/{node}/capabilities/qemu/machines" => machines(world),
        "/nodes/{node}/capabilities/qemu/migration" => json!({ "has-dbus-vmstate": 1 }),
        "/nodes/{node}/certificates/info" => json!([{
            "filename": "pveproxy-ssl.pem", "fingerprint": world.fingerprint, "issuer": "/CN=rcgen self signed cert",
            "subject": "/CN=rcgen self signed cert", "san": ["127.0.0.1", "localhost", "::1"],
            "public-key-type": "id-ecPublicKey", "public-key-bits": 256,
        }]),
        "/nodes/{node}/disks/list" => json!([{
            "devpath": "/dev/sda", "gpt": 1, "health": "PASSED", "model": "Virtual_Disk", "osdid": -1,
            "osdid-list": null, "mounted": 1, "rpm": 0, "serial": "sim0", "size": super::nodes::DISK, "type": "ssd",
            "used": "partitions", "vendor": "SIM", "wearout": "N/A", "wwn": "unknown",
        }]),
        "/nodes/{node}/netstat" => netstat(world, call),
        "/nodes/{node}/sdn/zones" => match world.may(&call.who, "/sdn/zones/localnetwork", "SDN.Audit") {
            true => json!([{ "zone": "localnetwork", "status": "available" }]),
            false => json!([]),
        },
        "/nodes/{node}/sdn/zones/{zone}/content" => bridges(world, call),
        "/nodes/{node}/services" => SERVICES.iter().map(|row| service(world, row)).collect(),
        "/nodes/{node}/services/{service}/state" => {
            let wanted = call.need("service");
            let row = SERVICES.iter().find(|(name, ..)| *name == wanted);
            row.map_or_else(|| json!({ "service": wanted, "state": "unknown" }), |row| service(world, row))
        }
        "/nodes/{node}/subscription" => json!({
            "status": "notfound", "message": "There is no subscription key",
            "serverid": hex(&call.node()).to_uppercase().get(..32), "url": "https://www.proxmox.com/en/proxmox-virtual-environment/pricing",
        }),
        _ => return None,
    };
    Some(Ok(Reply::Data(data)))
}

fn hex(text: &str) -> String {
    Sha1::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The access list, in the parts the caller may see.
fn acl(world: &World, call: &Call) -> Value {
    let all = world.may(&call.who, "/access", "Sys.Audit") || world.may(&call.who, "/access", "Permissions.Modify");
    let shown = |path: &str| all || world.may(&call.who, path, "Permissions.Modify");
    let rows = world.access.acls.iter().filter(|acl| shown(&acl.path)).map(|acl| {
        json!({
            "path": acl.path, "ugid": acl.who, "roleid": acl.role, "propagate": u8::from(acl.propagate),
            "type": if acl.who.contains('!') { "token" } else { "user" },
        })
    });
    rows.collect()
}

fn realms() -> Value {
    json!([
        { "realm": "pam", "type": "pam", "comment": "Linux PAM standard authentication" },
        { "realm": "pve", "type": "pve", "comment": "Proxmox VE authentication server" },
    ])
}

fn realm(name: &str) -> Result<Reply, Fail> {
    let all = realms();
    let found = all.as_array().into_iter().flatten().find(|row| row["realm"] == name);
    let Some(Value::Object(row)) = found else { return Err(format!("domain '{name}' does not exist").into()) };
    let mut row: Map<String, Value> = row.clone();
    row.remove("realm");
    row.insert("digest".into(), EMPTY_DIGEST.into());
    Ok(Reply::Data(row.into()))
}

fn tfa(world: &World, call: &Call) -> Result<Reply, Fail> {
    let id = call.need("userid");
    if !world.access.users.contains_key(&id) {
        return Err(format!("no such user ('{id}')").into());
    }
    Ok(Reply::Data(if call.flag("multiple") == Some(true) { json!({ "types": [] }) } else { json!({}) }))
}

fn members(world: &World) -> Value {
    let row = |(at, node): (usize, &crate::sim::world::Node)| {
        json!({
            "node": node.name, "name": node.name, "nodeid": (at + 1).to_string(), "quorum_votes": "1",
            "ring0_addr": node.ip,
        })
    };
    world.nodes.values().enumerate().map(row).collect()
}

fn service(world: &World, (name, what, runs): &(&str, &str, bool)) -> Value {
    // a node on its own has no corosync to run
    let runs = *runs && (*name != "corosync" || world.nodes.len() > 1);
    json!({
        "service": name, "name": name, "desc": what, "state": if runs { "running" } else { "dead" },
        "active-state": if runs { "active" } else { "inactive" },
        "unit-state": if runs || *name == "corosync" { "enabled" } else { "disabled" },
    })
}

fn packages(world: &World) -> Value {
    let eight = world.is_eight();
    let (kernel, qemu, server) =
        if eight { ("6.8.12-9-pve", "9.2.0-5", "8.4.1") } else { ("6.17.2-1-pve", "10.1.2-4", "9.1.0") };
    let row = |name: &str, version: &str, what: &str| {
        json!({
            "Package": name, "Version": version, "OldVersion": version, "Title": what, "Description": what,
            "Arch": "amd64", "Origin": "Proxmox", "Section": "admin", "Priority": "optional",
            "CurrentState": "Installed",
        })
    };
    let mut rows = vec![
        row("proxmox-ve", &world.version, "Proxmox Virtual Environment"),
        row("pve-manager", &world.version, "Proxmox Virtual Environment Management Tools"),
        row("qemu-server", server, "QEMU Server Tools"),
        row("pve-qemu-kvm", qemu, "Full virtualization on x86 hardware"),
    ];
    rows[0]["RunningKernel"] = json!(kernel);
    rows[1]["ManagerVersion"] = json!(world.version);
    rows.into()
}

fn models() -> Value {
    let models = [
        ("host", "default"),
        ("max", "default"),
        ("kvm64", "default"),
        ("qemu64", "default"),
        ("x86-64-v2", "default"),
        ("x86-64-v2-AES", "default"),
        ("x86-64-v3", "default"),
        ("x86-64-v4", "default"),
        ("EPYC", "AuthenticAMD"),
        ("EPYC-Rome", "AuthenticAMD"),
        ("EPYC-Milan", "AuthenticAMD"),
        ("EPYC-Genoa", "AuthenticAMD"),
        ("Haswell", "GenuineIntel"),
        ("Broadwell", "GenuineIntel"),
        ("Skylake-Server", "GenuineIntel"),
        ("Icelake-Server", "GenuineIntel"),
    ];
    models.iter().map(|(name, vendor)| json!({ "name": name, "vendor": vendor, "custom": 0 })).collect()
}

fn machines(world: &World) -> Value {
    let versions: &[&str] =
        if world.is_eight() { &["9.2", "9.1", "9.0", "8.2"] } else { &["10.1", "10.0", "9.2", "9.0"] };
    let kinds = [("i440fx", "pc-i440fx"), ("q35", "pc-q35")];
    let row = |(kind, start): (&str, &str), version: &str| json!({ "id": format!("{start}-{version}"), "type": kind, "version": version });
    kinds.iter().flat_map(|kind| versions.iter().map(move |version| row(*kind, version))).collect()
}

/// The counters of the running guests' network cards on a node.
fn netstat(world: &World, call: &Call) -> Value {
    let node = call.node();
    let mut rows = Vec::new();
    for vm in world.guests.values().filter(|vm| vm.node == node && vm.run.is_some() && sees(world, &call.who, vm.vmid))
    {
        let Some(stat) = world.heard(vm) else { continue };
        for card in vm.config.keys().filter(|key| key.starts_with("net")) {
            rows.push(json!({
                "vmid": vm.vmid.to_string(), "dev": card, "in": stat.traffic[0].to_string(), "out": stat.traffic[1].to_string(),
            }));
        }
    }
    rows.into()
}

/// What a zone holds on a node: of the local network, its bridges.
fn bridges(world: &World, call: &Call) -> Value {
    let node = world.nodes.get(&call.node()).filter(|_| call.need("zone") == "localnetwork");
    let bridges = node.into_iter().flat_map(|node| &node.bridges);
    let seen = bridges.filter(|bridge| world.may(&call.who, &format!("/sdn/zones/localnetwork/{bridge}"), "SDN.Audit"));
    seen.map(|bridge| json!({ "vnet": bridge, "status": "available" })).collect()
}
