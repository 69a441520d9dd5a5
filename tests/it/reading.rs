//! Everything Proxmox VE lets one read, asked of the simulated cluster: what it does not model is named
//! here, and what it answers has the shape Proxmox's own description promises.
//!
//! `tests/witness/returns.json` holds that description: for every GET of the API what comes back. The list
//! of calls not modelled can only shrink.

use std::collections::{BTreeMap, BTreeSet};

use homeroom::sim::{Cluster, Options, Scenario, start};
use serde_json::Value;

use crate::sim::{Client, Got};

/// Answered with 501 "does not model": one item of a kind this cluster has none of, or what needs hardware,
/// the internet, another server, a picture or a raw connection. No client asks for these on its way to a guest.
const NOT_MODELLED: &[&str] = &[
    "/access/tfa/{userid}/{id}",
    "/cluster/acme/account/{name}",
    "/cluster/acme/challenge-schema",
    "/cluster/acme/meta",
    "/cluster/acme/plugins/{id}",
    "/cluster/acme/tos",
    "/cluster/config/join",
    "/cluster/firewall/groups/{group}",
    "/cluster/firewall/groups/{group}/{pos}",
    "/cluster/firewall/macros",
    "/cluster/jobs/realm-sync/{id}",
    "/cluster/jobs/schedule-analyze",
    "/cluster/mapping/dir/{id}",
    "/cluster/mapping/pci/{id}",
    "/cluster/mapping/usb/{id}",
    "/cluster/metrics/export",
    "/cluster/metrics/server/{id}",
    "/cluster/notifications/endpoints/gotify/{name}",
    "/cluster/notifications/endpoints/sendmail/{name}",
    "/cluster/notifications/endpoints/smtp/{name}",
    "/cluster/notifications/endpoints/webhook/{name}",
    "/cluster/notifications/matcher-field-values",
    "/cluster/notifications/matchers/{name}",
    "/cluster/qemu/cpu-flags",
    "/cluster/qemu/custom-cpu-models/{cputype}",
    "/cluster/sdn/controllers/{controller}",
    "/cluster/sdn/dns/{dns}",
    "/cluster/sdn/dry-run",
    "/cluster/sdn/fabrics/fabric/{id}",
    "/cluster/sdn/fabrics/node/{fabric_id}",
    "/cluster/sdn/fabrics/node/{fabric_id}/{node_id}",
    "/cluster/sdn/ipams/{ipam}",
    "/cluster/sdn/prefix-lists/{id}",
    "/cluster/sdn/prefix-lists/{id}/entries",
    "/cluster/sdn/route-maps/entries/{route-map-id}",
    "/cluster/sdn/vnets/{vnet}",
    "/cluster/sdn/vnets/{vnet}/firewall/options",
    "/cluster/sdn/vnets/{vnet}/firewall/rules",
    "/cluster/sdn/vnets/{vnet}/subnets",
    "/cluster/sdn/vnets/{vnet}/subnets/{subnet}",
    "/nodes/{node}/apt/changelog",
    "/nodes/{node}/capabilities/qemu/cpu-flags",
    "/nodes/{node}/disks/smart",
    "/nodes/{node}/disks/zfs/{name}",
    "/nodes/{node}/hardware/pci/{pci-id-or-mapping}/mdev",
    "/nodes/{node}/qemu/{vmid}/rrd",
    "/nodes/{node}/query-oci-repo-tags",
    "/nodes/{node}/query-url-metadata",
    "/nodes/{node}/replication/{id}/log",
    "/nodes/{node}/report",
    "/nodes/{node}/rrd",
    "/nodes/{node}/scan/cifs",
    "/nodes/{node}/scan/iscsi",
    "/nodes/{node}/scan/lvmthin",
    "/nodes/{node}/scan/nfs",
    "/nodes/{node}/scan/pbs",
    "/nodes/{node}/sdn/fabrics/{fabric}/interfaces",
    "/nodes/{node}/sdn/fabrics/{fabric}/neighbors",
    "/nodes/{node}/sdn/fabrics/{fabric}/routes",
    "/nodes/{node}/sdn/vnets/{vnet}/mac-vrf",
    "/nodes/{node}/sdn/zones/{zone}/bridges",
    "/nodes/{node}/sdn/zones/{zone}/ip-vrf",
    "/nodes/{node}/storage/{storage}/identity",
    "/nodes/{node}/storage/{storage}/import-metadata",
    "/nodes/{node}/storage/{storage}/rrd",
    "/nodes/{node}/vzdump/defaults",
    "/nodes/{node}/vzdump/extractconfig",
];

/// What stands for a parameter of a path.
fn filled(path: &str, node: &str, vmid: &str, upid: &str) -> String {
    let known = [
        ("{node}", node),
        ("{vmid}", vmid),
        ("{upid}", upid),
        ("{storage}", "fast"),
        ("{iface}", "vmbr0"),
        ("{userid}", "homeroom@pve"),
        ("{tokenid}", "lab"),
        ("{roleid}", "PVEVMAdmin"),
        ("{poolid}", "lab"),
        ("{realm}", "pve"),
        ("{zone}", "localnetwork"),
        ("{service}", "pveproxy"),
        ("{snapname}", "before"),
        ("{pos}", "0"),
        ("{sid}", "vm:101"),
        ("{id}", "none"),
    ];
    let mut path = path.replace("/replication/{id}", "/replication/101-0");
    for (name, value) in known {
        path = path.replace(name, value);
    }
    // names of things that are not there
    while let Some((before, rest)) = path.split_once('{') {
        let (_, after) = rest.split_once('}').unwrap();
        path = format!("{before}none{after}");
    }
    path
}

/// The parameters a call cannot do without.
fn needed(path: &str) -> &'static str {
    match path {
        _ if path.ends_with("/rrddata") => "?timeframe=hour",
        _ if path.ends_with("/rrd") => "?timeframe=hour&ds=cpu",
        _ if path.ends_with("/agent/exec-status") => "?pid=1",
        _ if path.ends_with("/agent/file-read") => "?file=/etc/hostname",
        _ if path.ends_with("/feature") => "?feature=clone",
        _ if path.ends_with("/cloudinit/dump") => "?type=user",
        "/cluster/jobs/schedule-analyze" => "?schedule=daily",
        "/cluster/sdn/dry-run" => "?node=pve1",
        "/nodes/{node}/apt/changelog" => "?name=pve-manager",
        "/nodes/{node}/disks/smart" => "?disk=/dev/sda",
        "/nodes/{node}/scan/cifs" | "/nodes/{node}/scan/nfs" => "?server=192.0.2.9",
        "/nodes/{node}/scan/iscsi" => "?portal=192.0.2.9",
        "/nodes/{node}/scan/lvmthin" => "?vg=pve",
        "/nodes/{node}/scan/pbs" => "?server=192.0.2.9&username=root@pam&password=none",
        "/nodes/{node}/vzdump/extractconfig" => "?volume=local:backup/none.vma",
        "/nodes/{node}/query-url-metadata" => "?url=http://192.0.2.9/x",
        "/nodes/{node}/query-oci-repo-tags" => "?reference=none/none",
        "/nodes/{node}/storage/{storage}/import-metadata" => "?volume=local:import/none.ova",
        _ => "",
    }
}

async fn cluster(version: &str) -> Cluster {
    let scenario = Scenario::default_world().unwrap().at_version(version);
    start(Options { scenario, speed: 0.0, listen: ([127, 0, 0, 1], 0).into(), seed: 7 }).await.unwrap()
}

/// A client with root's own ticket: some calls no token may make.
async fn root(cluster: &Cluster) -> (Client, String) {
    cluster.world(|world| {
        world.access.users.entry("root@pam".into()).or_default().password = Some("a-password-of-root".into());
    });
    let client = Client::new(cluster);
    let login = [("username", "root@pam"), ("password", "a-password-of-root")];
    let got = client.send(client.request("POST", "/api2/json/access/ticket").form(&login)).await.unwrap();
    let ticket = got.data()["ticket"].as_str().unwrap().to_owned();
    (client, format!("PVEAuthCookie={ticket}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_can_be_read_is_answered_as_proxmox_describes_it() {
    let witness = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/witness/returns.json");
    let described: BTreeMap<String, Value> = serde_json::from_str(&std::fs::read_to_string(witness).unwrap()).unwrap();
    for version in ["9.2", "8.4"] {
        let cluster = cluster(version).await;
        let (client, cookie) = root(&cluster).await;
        // until the guests that stand have booted
        for _ in 0..1200 {
            cluster.handle().skip(100);
        }
        let (node, vmid) = cluster.world(|world| {
            let running = world.guests.values().find(|vm| vm.run.is_some()).unwrap();
            (running.node.clone(), running.vmid.to_string())
        });
        let started = format!("/nodes/{node}/qemu/{vmid}/status/start");
        let upid = client.call("POST", &started, &[]).await.text();
        client.ended(&upid).await;
        let snapshots = format!("/nodes/{node}/qemu/{vmid}/snapshot");
        assert_eq!(client.task("POST", &snapshots, &[("snapname", "before")]).await, "OK");

        let (mut silent, mut wrong) = (BTreeSet::new(), Vec::new());
        let mut count: BTreeMap<u16, usize> = BTreeMap::new();
        for (path, promised) in &described {
            let url = format!("/api2/json{}{}", filled(path, &node, &vmid, &upid), needed(path));
            let got = client.send(client.request("GET", &url).header("Cookie", &cookie)).await.unwrap();
            *count.entry(got.status).or_default() += 1;
            match got.status {
                200 => {
                    let found = differences(promised, &got);
                    wrong.extend((!found.is_empty()).then(|| format!("{path}: {}", found.join("; "))));
                }
                // only of version 8 does the description say too much
                501 if got.reason.contains("not implemented") => assert_eq!(version, "8.4", "{path}: {got:?}"),
                501 => drop(silent.insert(path.as_str())),
                // what is not there is refused in words, and what is there is not
                400 | 500 | 595 => assert!(got.body["message"].is_string(), "{path}: {got:?}"),
                _ => wrong.push(format!("{path}: {} {}", got.status, got.reason)),
            }
            if path.starts_with("/nodes/{node}/qemu/{vmid}") && !path.contains("/firewall/") && got.status != 200 {
                assert!(
                    NOT_MODELLED.contains(&path.as_str())
                        || path.contains("websocket")
                        || path.ends_with("/exec-status"),
                    "{path}: {got:?}"
                );
            }
        }
        println!("{version}: {count:?}, not modelled: {}", silent.len());
        assert!(wrong.is_empty(), "{version}:\n{}", wrong.join("\n"));
        let listed: BTreeSet<&str> = NOT_MODELLED.iter().copied().collect();
        let new: Vec<_> = silent.difference(&listed).collect();
        assert!(new.is_empty(), "{version}: not modelled and not listed: {new:#?}");
        if version == "9.2" {
            let gone: Vec<_> = listed.difference(&silent).collect();
            assert!(gone.is_empty(), "modelled now; take it off the list: {gone:#?}");
        }
    }
}

fn differences(promised: &Value, got: &Got) -> Vec<String> {
    let mut found = Vec::new();
    compare("data", promised, &got.body["data"], &mut found);
    found.sort();
    found.dedup();
    found
}

/// What a value is not. Proxmox sends numbers as text and booleans as numbers, and so may we.
fn compare(at: &str, promised: &Value, value: &Value, found: &mut Vec<String>) {
    let kind = promised["type"].as_str().unwrap_or("any");
    let number = |value: &Value| value.is_number() || value.as_str().is_some_and(|text| text.parse::<f64>().is_ok());
    let fits = match kind {
        "array" => value.is_array(),
        "object" => value.is_object(),
        "string" => value.is_string() || value.is_number(),
        "integer" | "number" => number(value),
        "boolean" => value.is_boolean() || matches!(value.to_string().trim_matches('"'), "0" | "1"),
        "null" => value.is_null(),
        _ => true,
    };
    if !fits {
        found.push(format!("{at} is no {kind}: {}", value.to_string().chars().take(60).collect::<String>()));
        return;
    }
    if let (Some(items), Some(rows)) = (promised.get("items"), value.as_array()) {
        for row in rows {
            compare(&format!("{at}[]"), items, row, found);
        }
    }
    if let (Some(keys), Some(map)) = (promised["properties"].as_object(), value.as_object()) {
        for (key, promised) in keys {
            match map.get(key) {
                Some(value) if value.is_null() => {}
                Some(value) => compare(&format!("{at}.{key}"), promised, value, found),
                _ if promised.get("optional").is_none() => found.push(format!("{at}.{key} is missing")),
                _ => {}
            }
        }
    }
}
