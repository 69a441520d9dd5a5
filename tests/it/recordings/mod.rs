//! Every exchange recorded from Proxmox VE's own code, put to the simulated cluster in the same
//! state: the same status, the same words up to numbers, the same keys and JSON types.
//!
//! A new file in `tests/recordings` is a new test. What differs is listed here with its reason; the
//! list can only shrink, the number of matches only rise.

mod scenes;
mod shape;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use homeroom::sim::{Cluster, Fault, FaultKind, Options, Scenario, World, start};
use serde_json::Value;

use crate::sim::{Client, Got};
use scenes::Do;

/// So many match, at least.
const FLOOR: usize = 329;

/// Differs on purpose, and why.
const ON_PURPOSE: &[(&str, &str)] = &[];

/// Not modelled.
const NOT_MODELLED: &[(&str, &str)] = &[];

struct Recording {
    name: String,
    request: Value,
    response: Value,
    seconds: f64,
}

fn recordings() -> Vec<Recording> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let mut all: Vec<Recording> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let mut value: Value = serde_json::from_str(&text).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let seconds = value["seconds"].as_f64().unwrap_or(0.0);
            Recording { name, request: value["request"].take(), response: value["response"].take(), seconds }
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulated_cluster_answers_as_proxmox_did() {
    let mut table: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for recording in recordings() {
        let found = replay(&recording).await;
        let listed = |list: &[(&str, &str)]| list.iter().any(|(name, _)| *name == recording.name);
        let verdict = match (found.is_empty(), listed(ON_PURPOSE), listed(NOT_MODELLED)) {
            (true, false, false) => "matched",
            (true, _, _) => {
                wrong.push(format!("{}: matches now; take it off its list", recording.name));
                "matched"
            }
            (false, true, _) => "differs on purpose",
            (false, _, true) => "not modelled",
            (false, false, false) => {
                wrong.push(format!("{}: {}", recording.name, found.join("; ")));
                "differs"
            }
        };
        *table.entry(verdict).or_default() += 1;
    }
    println!("{table:?}");
    for (name, why) in ON_PURPOSE.iter().chain(NOT_MODELLED) {
        println!("  {name}: {why}");
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(table["matched"] >= FLOOR, "{table:?}");
}

/// A simulated machine whose clock stands still.
struct Rig {
    cluster: Cluster,
    client: Client,
    upid: String,
    pid: String,
    ticket: String,
}

impl Rig {
    async fn new() -> Self {
        let text = include_str!("../../recordings/rig.toml");
        let scenario = Scenario::parse(text, "rig.toml").unwrap();
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let cluster = start(Options { scenario, speed: 0.0, listen, seed: 1 }).await.unwrap();
        let client = Client::new(&cluster);
        Self { cluster, client, upid: String::new(), pid: String::new(), ticket: String::new() }
    }

    async fn call(&self, request: reqwest::RequestBuilder) -> Got {
        self.client.send(request).await.unwrap()
    }

    async fn happen(&mut self, what: Do) -> Result<(), String> {
        let (call, form, auth) = match what {
            Do::Skip(ms) => {
                // in steps: whoever waits for a lock must be able to get it
                self.cluster.handle().skip(ms);
                return Ok(());
            }
            Do::World(name) => {
                let upid = self.upid.clone();
                if name == "busy" {
                    let reason = "got no worker upid - start worker failed".into();
                    let fault = Fault::every("POST /nodes/*/qemu/*/config", FaultKind::Status { status: 500, reason });
                    self.cluster.inject(fault);
                }
                self.cluster.world(|world| edit(world, name, &upid));
                return Ok(());
            }
            Do::Call(call, form) => (call, form, self.client.auth.clone()),
            Do::AsPool(call, form) => (call, form, "PVEAPIToken=ci@pve!t1=SECRET".into()),
        };
        let (method, path) = call.split_once(' ').unwrap();
        let path = path.replace("{upid}", &self.upid);
        let request = if path.ends_with("exec-status") {
            let path = format!("{path}?pid={}", self.pid);
            self.client.request(method, &format!("/api2/json{path}"))
        } else if method == "DELETE" {
            self.client.request(method, &format!("/api2/json{path}?{form}"))
        } else {
            self.client.request(method, &format!("/api2/json{path}")).header("Content-Type", FORM).body(escaped(form))
        };
        let request = if path == "/access/ticket" { request } else { request.header("Authorization", auth) };
        let got = self.call(request).await;
        if got.status != 200 {
            return Err(format!("on the way, {call} {form}: {} {}", got.status, got.body));
        }
        match &got.body["data"] {
            Value::String(upid) => self.upid.clone_from(upid),
            other if other.get("pid").is_some() => self.pid = other["pid"].to_string(),
            other if other.get("ticket").is_some() => self.ticket = other["ticket"].as_str().unwrap().into(),
            _ => {}
        }
        Ok(())
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// A scene's form, written for reading: only what would split it is escaped there.
fn escaped(form: &str) -> String {
    form.replace(' ', "%20").replace(';', "%3B").replace('\n', "%0A").replace('\\', "%5C").replace('>', "%3E")
}

async fn replay(recording: &Recording) -> Vec<String> {
    let mut rig = Rig::new().await;
    for what in scenes::before(&recording.name) {
        if let Err(why) = rig.happen(what).await {
            return vec![why];
        }
    }
    let before = rig.cluster.now();
    let got = rig.call(rig.request(recording)).await;
    let took = (rig.cluster.now() - before) as f64 / 1000.0;
    let mut found = compare(&recording.response, &got);
    // who had to wait three, five or ten seconds there has to wait here
    if recording.seconds >= 2.9 && !(0.8..1.25).contains(&(took / recording.seconds)) {
        found.push(format!("took {took} s instead of {}", recording.seconds));
    }
    found
}

impl Rig {
    /// The recorded request, with this machine's UPIDs, pids, ticket and long bodies in it.
    fn request(&self, recording: &Recording) -> reqwest::RequestBuilder {
        let wanted = &recording.request;
        let mut url = wanted["url"].as_str().unwrap().to_owned();
        if let Some(at) = url.find("UPID").filter(|_| !self.upid.is_empty()) {
            let end = url[at..].find('/').map_or(url.len(), |end| at + end);
            url.replace_range(at..end, &self.upid);
        }
        if let Some(at) = url.find("pid=").filter(|_| !self.pid.is_empty() && !recording.name.contains("unknown")) {
            url.replace_range(at + 4.., &self.pid);
        }
        let mut request = self.client.request(wanted["method"].as_str().unwrap(), &url);
        for (name, value) in wanted["headers"].as_object().unwrap() {
            let value = value.as_str().unwrap();
            let value = match name.as_str() {
                "Authorization" => value.replace("root@pam!full=SECRET", &self.client.auth[12..]),
                "Cookie" => format!("PVEAuthCookie={}", self.ticket),
                _ => value.to_owned(),
            };
            request = request.header(name, value);
        }
        if let Some(body) = wanted["body"].as_str() {
            request = request.body(whole(body));
        }
        request
    }
}

/// A body that was cut short when it was recorded, in its full length.
fn whole(body: &str) -> String {
    let Some((start, note)) = body.split_once('…') else { return body.to_owned() };
    let length: usize = note.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
    let fill = start.chars().last().unwrap();
    let end = if start.starts_with('{') { if start.contains("input-data") { "\"}" } else { "\"]}" } } else { "" };
    let missing = length.saturating_sub(start.len() + end.len());
    format!("{start}{}{end}", fill.to_string().repeat(missing))
}

fn compare(recorded: &Value, got: &Got) -> Vec<String> {
    let mut found = Vec::new();
    let (status, reason) = (recorded["status"].as_u64().unwrap(), recorded["reason"].as_str().unwrap());
    if u64::from(got.status) != status || shape::words(&got.reason) != shape::words(reason) {
        found.push(format!("'{status} {reason}' is '{} {}'", got.status, got.reason));
    }
    for name in ["Connection", "Content-Type", "Server", "Cache-Control", "Pragma"] {
        let pairs = recorded["headers"].as_array().into_iter().flatten();
        let wanted: Vec<&str> = pairs.filter(|pair| pair[0] == name).filter_map(|pair| pair[1].as_str()).collect();
        let sent: Vec<&str> = got.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        if wanted != sent {
            found.push(format!("{name}: {wanted:?} is {sent:?}"));
        }
    }
    let body = &recorded["body"];
    found.extend(shape::differences(body, &got.body));
    for path in ["/message", "/data/exitstatus", "/errors"] {
        let text = |value: &Value| value.pointer(path).map(|value| shape::words(&value.to_string()));
        if text(body) != text(&got.body) {
            found.push(format!("{path}: {:?} is {:?}", body.pointer(path), got.body.pointer(path)));
        }
    }
    let (wanted, said) = (lines(body), lines(&got.body));
    if wanted != said {
        found.push(format!("the log says\n{said:#?}\ninstead of\n{wanted:#?}"));
    }
    found
}

/// The lines of a task's log, but for a copy's progress.
fn lines(body: &Value) -> Vec<String> {
    let rows = body["data"].as_array().into_iter().flatten();
    rows.filter_map(|row| row["t"].as_str()).filter(|line| !line.starts_with("transferred")).map(shape::words).collect()
}

/// What happens to the machine without the API.
fn edit(world: &mut World, name: &str, upid: &str) {
    match name {
        "plain 9000" => {
            world.vanish(201);
            world.edit_config(9000, "template", None);
        }
        "no 9000" => {
            world.vanish(201);
            world.vanish(9000);
        }
        "alone" => {
            world.vanish(203);
            world.pools.clear();
        }
        "base 100" => {
            world.take_vmid("pve1", 100, "base");
            for (key, value) in [
                ("scsi0", "local:100/vm-100-disk-0.raw,size=1G"),
                ("net0", "virtio=BC:24:11:EE:50:C5,bridge=vmbr0"),
                ("boot", "order=scsi0;net0"),
                ("meta", "creation-qemu=10.0.13,ctime=1795249301"),
                ("smbios1", "uuid=ce65ecc0-53c0-45f3-807d-63db302da46f"),
                ("vmgenid", "09a9db34-1479-4fcb-b1c4-94e9a5d5b0cd"),
                ("scsihw", "virtio-scsi-single"),
                ("ostype", "l26"),
                ("kvm", "0"),
            ] {
                world.edit_config(100, key, Some(value));
            }
        }
        "second node off" => {
            let mut second = world.nodes["pve1"].clone();
            second.name = "pve2".into();
            second.online = false;
            world.nodes.insert("pve2".into(), second);
            world.take_vmid("pve2", 800, "far");
            world.edit_config(201, "tags", Some("ci;glad"));
        }
        "no quorum" => world.set_quorate(false),
        "no agent 202" => world.edit_config(202, "agent", None),
        "tags 201" => world.edit_config(201, "tags", Some("ci;glad")),
        "silent 201" => world.set_agent_silent(201, true),
        "hung 221" => world.hang(221),
        "runner 222" => {
            world.take_vmid("pve1", 222, "runner-222");
            world.edit_config(222, "agent", Some("1"));
            world.edit_config(222, "serial0", Some("socket"));
        }
        "crash 222" => world.crash(222),
        "lock 501" => world.set_lock(501, Some("backup")),
        "iothread 211" => {
            let disk = world.guests[&211].config["scsi0"].clone();
            world.edit_config(211, "scsi0", Some(&format!("{disk},iothread=1")));
            world.edit_config(211, "scsihw", Some("virtio-scsi-pci"));
        }
        "rights none" | "rights pool" => rights(world, name == "rights pool"),
        "kill -9" => world.kill_task(upid),
        "slow" => world.set_bandwidth("local", 10_000.0),
        "empty local" => {
            if let Some(local) = world.storages.get_mut("local") {
                local.volumes.clear();
            }
        }
        "busy" => {}
        "strangers" => {
            for (name, status, words, wait) in [
                ("pve-refused", 595, "Connection refused", 10),
                ("pve-gone", 595, "No route to host", 3000),
                ("pve-down", 500, "address lookup for 'pve-down' did not find any IP address", 10),
            ] {
                world.hosts.insert(name.into(), (status, words.into(), wait));
            }
        }
        other => panic!("unknown scene: {other}"),
    }
}

fn rights(world: &mut World, pool: bool) {
    if !pool {
        return;
    }
    for (path, role) in [
        ("/pool/runners", "PVEVMAdmin"),
        ("/pool/runners", "PVEPoolUser"),
        ("/vms/9000", "PVETemplateUser"),
        ("/storage/local", "PVEDatastoreUser"),
        ("/sdn/zones/localnetwork", "PVESDNUser"),
    ] {
        for who in ["ci@pve", "ci@pve!t1"] {
            world.grant(path, who, role);
        }
    }
}
