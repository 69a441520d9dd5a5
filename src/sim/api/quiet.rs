//! What Proxmox answers about things this cluster has none of: well-formed nothing, and the words for
//! an item that is not there. What depends on the world stands in the rooms of its own.

use serde_json::{Value, json};

use super::{Call, Fail, Reply};

/// What Proxmox shows for a configuration that says nothing: SHA-1 of no text.
pub const EMPTY_DIGEST: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
/// Of a cluster nobody installed Ceph on.
const NO_CEPH: &str = "binary not installed: /usr/bin/ceph-mon";

/// Lists with nothing in them.
const NOTHING: [&str; 55] = [
    "/access/groups",
    "/access/tfa",
    "/access/tfa/{userid}",
    "/cluster/acme/account",
    "/cluster/backup",
    "/cluster/backup-info/not-backed-up",
    "/cluster/firewall/aliases",
    "/cluster/firewall/groups",
    "/cluster/firewall/ipset",
    "/cluster/firewall/refs",
    "/cluster/firewall/rules",
    "/cluster/ha/groups",
    "/cluster/ha/resources",
    "/cluster/ha/rules",
    "/cluster/jobs/realm-sync",
    "/cluster/log",
    "/cluster/mapping/dir",
    "/cluster/mapping/pci",
    "/cluster/mapping/usb",
    "/cluster/metrics/server",
    "/cluster/notifications/endpoints/gotify",
    "/cluster/notifications/endpoints/smtp",
    "/cluster/notifications/endpoints/webhook",
    "/cluster/qemu/custom-cpu-models",
    "/cluster/replication",
    "/cluster/sdn/controllers",
    "/cluster/sdn/dns",
    "/cluster/sdn/fabrics/fabric",
    "/cluster/sdn/fabrics/node",
    "/cluster/sdn/ipams/{ipam}/status",
    "/cluster/sdn/prefix-lists",
    "/cluster/sdn/route-maps/entries",
    "/cluster/sdn/vnets",
    "/cluster/sdn/zones",
    "/nodes/{node}/aplinfo",
    "/nodes/{node}/apt/update",
    "/nodes/{node}/disks/directory",
    "/nodes/{node}/disks/lvmthin",
    "/nodes/{node}/disks/zfs",
    "/nodes/{node}/firewall/rules",
    "/nodes/{node}/hardware/pci",
    "/nodes/{node}/hardware/usb",
    "/nodes/{node}/journal",
    "/nodes/{node}/lxc",
    // of a guest that is not there, Proxmox reads the empty firewall too
    "/nodes/{node}/lxc/{vmid}/firewall/aliases",
    "/nodes/{node}/lxc/{vmid}/firewall/ipset",
    "/nodes/{node}/lxc/{vmid}/firewall/refs",
    "/nodes/{node}/lxc/{vmid}/firewall/rules",
    "/nodes/{node}/qemu/{vmid}/firewall/aliases",
    "/nodes/{node}/qemu/{vmid}/firewall/ipset",
    "/nodes/{node}/qemu/{vmid}/firewall/refs",
    "/nodes/{node}/qemu/{vmid}/firewall/rules",
    "/nodes/{node}/replication",
    "/nodes/{node}/scan/lvm",
    "/nodes/{node}/scan/zfs",
];

/// Settings nobody made.
const UNSET: [&str; 5] = [
    "/cluster/firewall/options",
    "/nodes/{node}/config",
    "/nodes/{node}/firewall/options",
    "/nodes/{node}/lxc/{vmid}/firewall/options",
    "/nodes/{node}/qemu/{vmid}/firewall/options",
];

/// Logs without lines.
const SILENT: [&str; 4] = [
    "/nodes/{node}/firewall/log",
    "/nodes/{node}/lxc/{vmid}/firewall/log",
    "/nodes/{node}/qemu/{vmid}/firewall/log",
    "/nodes/{node}/syslog",
];

/// The answer to a GET about something that is not there; `None` where there may be something.
pub fn answer(template: &str, call: &Call) -> Option<Result<Reply, Fail>> {
    if NOTHING.contains(&template) {
        return Some(Ok(Reply::Data(json!([]))));
    }
    if UNSET.contains(&template) {
        return Some(Ok(Reply::Data(json!({ "digest": EMPTY_DIGEST }))));
    }
    if SILENT.contains(&template) {
        return Some(Ok(Reply::Data(json!([{ "n": 1, "t": "no content" }]))));
    }
    if template.starts_with("/cluster/ceph/") || template.starts_with("/nodes/{node}/ceph/") {
        return Some(Err(NO_CEPH.into()));
    }
    missing(template, call).map(Err).or_else(|| fixed(template).map(|data| Ok(Reply::Data(data))))
}

/// In Proxmox's words: the item is not there.
fn missing(template: &str, call: &Call) -> Option<Fail> {
    let name = |key: &str| call.need(key);
    // from the guest, node or group on
    if let Some((_, rest)) = template.split_once("/firewall/") {
        return match rest {
            "aliases/{name}" => Some(Fail::param("name", "no such alias")),
            "ipset/{name}" | "ipset/{name}/{cidr}" => Some(format!("no such IPSet '{}'", name("name")).into()),
            "rules/{pos}" => Some(format!("no rule at position {}", name("pos")).into()),
            _ => None,
        };
    }
    Some(match template {
        "/access/groups/{groupid}" => format!("group '{}' does not exist", name("groupid")).into(),
        "/cluster/backup/{id}" | "/cluster/backup/{id}/included_volumes" => {
            Fail::param("id", format!("No such job '{}'", name("id")))
        }
        "/cluster/ha/groups/{group}" => format!("no such ha group '{}'", name("group")).into(),
        "/cluster/ha/resources/{sid}" => {
            let sid = name("sid");
            let sid = if sid.contains(':') { sid } else { format!("vm:{sid}") };
            format!("no such resource '{sid}'").into()
        }
        "/cluster/ha/rules/{rule}" => format!("no such ha rule '{}'", name("rule")).into(),
        "/cluster/replication/{id}" | "/nodes/{node}/replication/{id}/status" => {
            format!("no such replication job '{}'", name("id")).into()
        }
        _ => return None,
    })
}

/// What every fresh installation has.
fn fixed(template: &str) -> Option<Value> {
    let mail = "Send mails to root@pam's email address";
    Some(match template {
        "/cluster/acme/directories" => json!([
            { "name": "Let's Encrypt V2", "url": "https://acme-v02.api.letsencrypt.org/directory" },
            { "name": "Let's Encrypt V2 Staging", "url": "https://acme-staging-v02.api.letsencrypt.org/directory" },
        ]),
        "/cluster/acme/plugins" => {
            json!([{ "plugin": "standalone", "type": "standalone", "digest": EMPTY_DIGEST }])
        }
        "/cluster/notifications/endpoints/sendmail" => json!([{
            "name": "mail-to-root", "comment": mail, "mailto-user": ["root@pam"], "origin": "builtin",
        }]),
        "/cluster/notifications/targets" => json!([{
            "name": "mail-to-root", "comment": mail, "type": "sendmail", "origin": "builtin",
        }]),
        "/cluster/notifications/matchers" => json!([{
            "name": "default-matcher", "comment": "Route all notifications to mail-to-root", "mode": "all",
            "target": ["mail-to-root"], "origin": "builtin",
        }]),
        "/cluster/notifications/matcher-fields" => {
            json!([{ "name": "type" }, { "name": "hostname" }, { "name": "job-id" }])
        }
        "/cluster/sdn/fabrics/all" => json!({ "fabrics": [], "nodes": [] }),
        "/cluster/sdn/ipams" => json!([{ "ipam": "pve", "type": "pve", "digest": EMPTY_DIGEST }]),
        "/cluster/sdn/route-maps" => json!([]),
        "/nodes/{node}/apt/repositories" => json!({
            "digest": EMPTY_DIGEST, "errors": [], "files": [], "infos": [], "standard-repos": [],
        }),
        "/nodes/{node}/disks/lvm" => json!({ "leaf": 0, "children": [] }),
        _ => return None,
    })
}
