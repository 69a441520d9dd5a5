//! The world's answers in the port's words. The reading of the real client, cut down to what the
//! simulated cluster says; the client itself is held to the recordings elsewhere.

use std::collections::BTreeMap;

use homeroom::{
    domain::{
        Clean, NodeName, Vmid,
        cluster::{ClusterView, DiskView, GuestView, NodeView, Power, StorageView, TemplateView},
        size::Size,
    },
    port::{
        SiteError,
        agent::{ExecOutput, Interface},
        cluster::{GuestConfig, GuestStatus, PendingItem, TaskRow, TaskState, Upid},
    },
    sim::api::{Answer, Fate},
};
use jiff::Timestamp;
use serde_json::Value;

/// What came of a request: data, or the port's error.
pub fn read(what: &str, writes: bool, answer: &Answer) -> Result<Value, SiteError> {
    let what = what.to_owned();
    let lost = |why: &str| {
        let (what, why) = (what.clone(), Clean::new(why));
        if writes { SiteError::Lost { what, why } } else { SiteError::Unreachable { what, site: "sim".into(), why } }
    };
    match answer.fate {
        Fate::Arrives => {}
        Fate::Cut => return Err(lost("the connection was cut")),
        Fate::Half => return Err(lost("it broke off after 40 bytes")),
        Fate::Stall => return Err(lost("no whole answer within 40 s")),
    }
    if let Some(value) = answer.value() {
        return Ok(value.clone());
    }
    if (595..=599).contains(&answer.status) {
        return Err(lost(&format!("{} {}", answer.status, answer.reason)));
    }
    let text = answer.words();
    let words = Clean::new(&text);
    let has = |part: &str| text.contains(part);
    Err(match answer.status {
        401 => SiteError::Unauthorized { what, site: "sim".into(), words },
        403 if has("(pool '") => SiteError::Refused { what, status: 403, words },
        403 => SiteError::Forbidden { what, words },
        400 if has("no such task") => SiteError::Missing { what, words },
        400 => SiteError::Invalid { what, errors: BTreeMap::from([("request".to_owned(), words)]) },
        500 if has("no quorum") => SiteError::NoQuorum { what, words },
        500 if has("can't lock file") || has("got lock request timeout") || has("VM is locked (") => {
            SiteError::Locked { what, words }
        }
        500 if has("Configuration file '") || has("unable to find configuration file for") => {
            SiteError::Missing { what, words }
        }
        502..=504 => SiteError::Malformed { what, why: words },
        status => SiteError::Refused { what, status, words },
    })
}

fn text(row: &Value, name: &str) -> Option<String> {
    match row.get(name)? {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(flag) => Some(u8::from(*flag).to_string()),
        _ => None,
    }
}

fn clean(row: &Value, name: &str) -> Option<Clean> {
    text(row, name).map(Clean::new)
}

fn number(row: &Value, name: &str) -> u64 {
    text(row, name).and_then(|text| text.parse::<f64>().ok()).map_or(0, |n| n as u64)
}

fn flag(row: &Value, name: &str) -> bool {
    number(row, name) != 0
}

fn share(row: &Value, name: &str) -> f64 {
    row.get(name).and_then(Value::as_f64).unwrap_or(0.0)
}

fn node(row: &Value) -> NodeName {
    NodeName::new(text(row, "node").unwrap_or_default())
}

fn rows(data: &Value) -> &[Value] {
    data.as_array().map_or(&[], Vec::as_slice)
}

/// `/cluster/resources` and `/cluster/status`.
pub fn view(at: Timestamp, version: &str, resources: &Value, status: &Value) -> ClusterView {
    let of = |kind: &'static str| rows(resources).iter().filter(move |row| text(row, "type").as_deref() == Some(kind));
    let cluster = rows(status).iter().find(|row| text(row, "type").as_deref() == Some("cluster"));
    let mut view = ClusterView {
        at,
        version: Clean::new(version),
        quorate: Some(cluster.is_none_or(|row| flag(row, "quorate"))),
        nodes: of("node")
            .map(|row| NodeView {
                node: node(row),
                online: text(row, "status").as_deref() == Some("online"),
                cpu: share(row, "cpu"),
                cpus: number(row, "maxcpu") as u32,
                memory_used: number(row, "mem"),
                memory: number(row, "maxmem"),
                uptime: number(row, "uptime"),
            })
            .collect(),
        storages: of("storage")
            .map(|row| StorageView {
                storage: clean(row, "storage").unwrap(),
                node: node(row),
                available: text(row, "status").as_deref() == Some("available"),
                shared: flag(row, "shared"),
                kind: clean(row, "plugintype").unwrap_or_default(),
                images: text(row, "content").is_some_and(|content| content.contains("images")),
                used: number(row, "disk"),
                total: number(row, "maxdisk"),
            })
            .collect(),
        guests: of("qemu").map(guest).collect(),
    };
    view.nodes.sort_by(|a, b| a.node.cmp(&b.node));
    view.storages.sort_by(|a, b| (&a.storage, &a.node).cmp(&(&b.storage, &b.node)));
    view.guests.sort_by_key(|guest| guest.vmid);
    view
}

fn guest(row: &Value) -> GuestView {
    GuestView {
        vmid: Vmid::new(number(row, "vmid")).unwrap(),
        node: node(row),
        name: clean(row, "name"),
        power: match text(row, "status").as_deref() {
            Some("running") => Power::Running,
            Some("stopped") => Power::Stopped,
            _ => Power::Unknown,
        },
        template: flag(row, "template"),
        lock: clean(row, "lock"),
        tags: text(row, "tags")
            .map(|tags| tags.split([';', ',', ' ']).filter(|tag| !tag.is_empty()).map(Clean::new).collect())
            .unwrap_or_default(),
        pool: clean(row, "pool"),
        uptime: number(row, "uptime"),
        cpus: number(row, "maxcpu") as u32,
        cpu: share(row, "cpu"),
        memory_used: number(row, "mem"),
        memory: number(row, "maxmem"),
        disk: number(row, "maxdisk"),
        container: false,
    }
}

fn value(key: &str, raw: &str) -> Clean {
    if key == "sshkeys" { Clean::bounded(unpercent(raw), 1 << 16) } else { Clean::bounded(raw, 1 << 16) }
}

fn unpercent(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let hex = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        match byte {
            b'%' => {
                let (high, low) = (hex(bytes.next()), hex(bytes.next()));
                out.extend(high.zip(low).map(|(high, low)| (high * 16 + low) as u8));
            }
            byte => out.push(byte),
        }
    }
    String::from_utf8(out).unwrap()
}

/// As the API wants SSH keys: percent-encoded in themselves.
pub fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

pub fn config(data: &Value) -> GuestConfig {
    let mut config = GuestConfig { digest: text(data, "digest"), ..GuestConfig::default() };
    config.description = data.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    for key in data.as_object().unwrap().keys().filter(|key| *key != "digest") {
        if let Some(raw) = text(data, key) {
            config.values.insert(key.clone(), value(key, &raw));
        }
    }
    config
}

pub fn pending(data: &Value) -> Vec<PendingItem> {
    let items = rows(data).iter().filter(|row| text(row, "key").is_some_and(|key| key != "digest"));
    items
        .map(|row| {
            let key = text(row, "key").unwrap();
            let field = |name| text(row, name).map(|raw| value(&key, &raw));
            PendingItem { value: field("value"), pending: field("pending"), delete: flag(row, "delete"), key }
        })
        .collect()
}

pub fn status(data: &Value) -> GuestStatus {
    GuestStatus {
        running: text(data, "status").as_deref() == Some("running"),
        uptime: number(data, "uptime"),
        lock: clean(data, "lock"),
    }
}

/// A template with one disk, as the scenarios have them.
pub fn template(vmid: Vmid, node: &NodeName, config: &GuestConfig, linked: bool) -> TemplateView {
    let number = |key: &str| config.get(key).and_then(|text| text.parse().ok()).unwrap_or(1);
    let disks = config.values.iter().filter(|(key, value)| key.starts_with("scsi") && value.as_str().contains(':'));
    TemplateView {
        vmid,
        node: node.clone(),
        name: Clean::new(config.get("name").unwrap_or_default()),
        cores: number("cores"),
        sockets: number("sockets"),
        memory_mib: config.get("memory").and_then(|text| text.parse().ok()).unwrap_or(512),
        disks: disks
            .filter(|(key, _)| key.trim_start_matches("scsi").parse::<u32>().is_ok())
            .map(|(slot, value)| {
                let (storage, volume) = value.as_str().split_once(':').unwrap();
                let name = volume.split(',').next().unwrap();
                let format = name.rsplit_once('.').map_or("raw", |(_, ending)| ending);
                let size = volume.split(',').find_map(|part| part.strip_prefix("size=")?.parse::<Size>().ok());
                DiskView {
                    slot: Clean::new(slot),
                    storage: Clean::new(storage),
                    format: Some(Clean::new(format)),
                    size: size.map_or(0, Size::bytes),
                }
            })
            .collect(),
        agent: config.get("agent").is_some_and(|agent| agent.starts_with('1')),
        cloud_init: config.values.values().any(|value| value.as_str().contains("cloudinit")),
        linked,
        enrolled: None,
    }
}

pub fn feature(data: &Value) -> bool {
    flag(data, "hasFeature")
}

pub fn upid(data: &Value) -> Upid {
    Upid(Clean::new(data.as_str().unwrap()))
}

pub fn active_tasks(data: &Value) -> Vec<TaskRow> {
    task_rows(data, false)
}

pub fn ended_tasks(data: &Value) -> Vec<TaskRow> {
    task_rows(data, true)
}

fn task_rows(data: &Value, ended: bool) -> Vec<TaskRow> {
    let wanted = rows(data).iter().filter(|row| row.get("endtime").is_none_or(Value::is_null) != ended);
    wanted
        .map(|row| TaskRow {
            upid: Upid(clean(row, "upid").unwrap()),
            kind: clean(row, "type").unwrap(),
            id: clean(row, "id").unwrap_or_default(),
            user: clean(row, "user").unwrap_or_default(),
            started_at: Timestamp::from_second(number(row, "starttime") as i64).unwrap(),
        })
        .collect()
}

pub fn task(data: &Value) -> TaskState {
    if text(data, "status").as_deref() == Some("running") {
        return TaskState::Running;
    }
    let end = text(data, "exitstatus").unwrap_or_default();
    match end.strip_prefix("WARNINGS: ").and_then(|n| n.trim().parse().ok()) {
        Some(warnings) => TaskState::Ok { warnings },
        None if end == "OK" => TaskState::Ok { warnings: 0 },
        None if end.is_empty() || end == "unexpected status" => TaskState::Died(Clean::new(end)),
        None => TaskState::Failed(Clean::new(end)),
    }
}

pub fn task_log(data: &Value) -> Vec<Clean> {
    rows(data).iter().filter_map(|row| clean(row, "t")).filter(|line| line.as_str() != "no content").collect()
}

pub fn pools(data: &Value) -> Vec<Clean> {
    rows(data).iter().filter_map(|row| clean(row, "poolid")).collect()
}

pub fn volumes(vmid: Vmid, data: &Value) -> Vec<Clean> {
    let own = rows(data).iter().filter(|row| number(row, "vmid") == u64::from(vmid.get()));
    own.filter_map(|row| clean(row, "volid")).collect()
}

pub fn addresses(data: &Value) -> Vec<(NodeName, Option<std::net::IpAddr>)> {
    let nodes = rows(data).iter().filter(|row| text(row, "type").as_deref() == Some("node"));
    nodes
        .map(|row| (NodeName::new(text(row, "name").unwrap()), text(row, "ip").and_then(|ip| ip.parse().ok())))
        .collect()
}

/// `network-get-interfaces`, inside or outside its `result`.
pub fn interfaces(data: &Value) -> Vec<Interface> {
    let cards = rows(data.get("result").unwrap_or(data));
    cards
        .iter()
        .map(|card| Interface {
            name: clean(card, "name").unwrap(),
            mac: text(card, "hardware-address").map(|mac| mac.to_ascii_lowercase()),
            addresses: card
                .get("ip-addresses")
                .map_or(&[][..], rows)
                .iter()
                .filter_map(|address| text(address, "ip-address")?.parse().ok())
                .collect(),
        })
        .collect()
}

/// `exec-status`: the command's end, or that it still runs.
pub fn exec_status(data: &Value) -> Option<ExecOutput> {
    flag(data, "exited").then(|| ExecOutput {
        code: data.get("exitcode").and_then(Value::as_i64).map(|code| code as i32),
        stdout: text(data, "out-data").unwrap_or_default(),
        stderr: text(data, "err-data").unwrap_or_default(),
        timed_out: false,
    })
}
