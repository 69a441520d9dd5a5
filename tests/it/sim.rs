//! The simulated cluster through its own HTTPS door, with a plain client that knows nothing of
//! homeroom.

use std::net::SocketAddr;
use std::time::Duration;

use homeroom::sim::api::{Caller, Request};
use homeroom::sim::world::vm::property;
use homeroom::sim::{Cluster, Fault, FaultKind, Options, Scenario, World, start};
use serde_json::{Value, json};

/// A plain HTTPS client of one simulated cluster.
pub struct Client {
    http: reqwest::Client,
    pub base: String,
    pub auth: String,
}

/// What came back: status, reason phrase, body.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub reason: String,
    pub body: Value,
    pub headers: reqwest::header::HeaderMap,
}

impl Got {
    pub fn data(&self) -> &Value {
        assert_eq!(self.status, 200, "{self:?}");
        &self.body["data"]
    }

    pub fn text(&self) -> String {
        self.data().as_str().unwrap_or_default().to_owned()
    }
}

impl Client {
    pub fn new(cluster: &Cluster) -> Self {
        let (id, secret) = cluster.token();
        let authority = reqwest::Certificate::from_pem(cluster.certificate().as_bytes()).unwrap();
        let http =
            reqwest::Client::builder().tls_certs_only([authority]).timeout(Duration::from_secs(30)).build().unwrap();
        Self { http, base: cluster.api().into(), auth: format!("PVEAPIToken={id}={secret}") }
    }

    /// A request to a path of the server, without a login.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Sends a request and reads the answer.
    pub async fn read(request: reqwest::RequestBuilder) -> Result<Got, reqwest::Error> {
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let standard = answer.status().canonical_reason().unwrap_or_default().to_owned();
        let reason = answer
            .extensions()
            .get::<hyper::ext::ReasonPhrase>()
            .map_or(standard, |phrase| String::from_utf8_lossy(phrase.as_bytes()).into_owned());
        let headers = answer.headers().clone();
        let body = serde_json::from_slice(&answer.bytes().await?).unwrap_or(Value::Null);
        Ok(Got { status, reason, body, headers })
    }

    pub async fn try_call(&self, method: &str, path: &str, form: &[(&str, &str)]) -> Result<Got, reqwest::Error> {
        let mut request = self.request(method, &format!("/api2/json{path}")).header("Authorization", &self.auth);
        if !form.is_empty() {
            request = request.form(form);
        }
        Self::read(request).await
    }

    pub async fn call(&self, method: &str, path: &str, form: &[(&str, &str)]) -> Got {
        self.try_call(method, path, form).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Got {
        self.call("GET", path, &[]).await
    }

    /// Asks for a task's status until it has ended; its exit status.
    pub async fn ended(&self, upid: &str) -> String {
        let node = upid.split(':').nth(1).unwrap();
        let path = format!("/nodes/{node}/tasks/{upid}/status");
        loop {
            let got = self.get(&path).await;
            if let Some(status) = got.data()["exitstatus"].as_str() {
                return status.to_owned();
            }
            tokio::task::yield_now().await;
        }
    }

    /// Calls something that starts a task, and waits for its end.
    pub async fn task(&self, method: &str, path: &str, form: &[(&str, &str)]) -> String {
        let got = self.call(method, path, form).await;
        self.ended(&got.text()).await
    }

    async fn until(&self, method: &str, path: &str, good: impl Fn(&Got) -> bool) -> Got {
        loop {
            let got = self.call(method, path, &[]).await;
            if good(&got) {
                return got;
            }
            tokio::task::yield_now().await;
        }
    }
}

pub async fn cluster(speed: f64) -> Cluster {
    let scenario = Scenario::default_world().unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    start(Options { scenario, speed, listen, seed: 7 }).await.unwrap()
}

#[tokio::test]
async fn a_clone_appears_without_name_and_gets_one_with_the_next_broadcast() {
    let cluster = cluster(50.0).await;
    let client = Client::new(&cluster);
    assert_eq!(client.get("/version").await.data()["release"], "9.2");
    let form = [("newid", "9200"), ("name", "cs101-ada"), ("description", "the mark")];
    let upid = client.call("POST", "/nodes/pve1/qemu/9000/clone", &form).await.text();
    assert!(upid.starts_with("UPID:pve1:") && upid.ends_with(":qmclone:9000:homeroom@pve!lab:"), "{upid}");
    assert_eq!(client.ended(&upid).await, "OK");
    let config = client.get("/nodes/pve1/qemu/9200/config").await;
    assert_eq!(config.data()["description"], "the mark");
    assert_eq!(config.data()["cores"], 2);
    assert_eq!(config.data()["memory"], "2048");
    let row = |got: &Got| got.data().as_array().unwrap().iter().find(|row| row["vmid"] == 9200).cloned();
    let at = client.until("GET", "/cluster/resources?type=vm", |got| row(got).is_some()).await;
    let fresh = row(&at).unwrap();
    if fresh["status"] == "unknown" {
        assert!(fresh.get("name").is_none(), "{fresh}");
    }
    let later = client
        .until("GET", "/cluster/resources?type=vm", |got| row(got).is_some_and(|row| row["status"] == "stopped"))
        .await;
    assert_eq!(row(&later).unwrap()["name"], "cs101-ada");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_machine_boots_answers_and_gets_an_address() {
    let cluster = cluster(100.0).await;
    let client = Client::new(&cluster);
    let vm = "/nodes/pve1/qemu/9200";
    assert_eq!(
        client.task("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "9200"), ("name", "cs101-ada")]).await,
        "OK"
    );
    let settings =
        [("ciuser", "student"), ("ipconfig0", "ip=10.1.0.20/24,gw=10.1.0.1"), ("cores", "4"), ("tags", "Homeroom,cs")];
    assert_eq!(*client.call("PUT", &format!("{vm}/config"), &settings).await.data(), Value::Null);
    assert_eq!(client.get(&format!("{vm}/config")).await.data()["tags"], "cs;homeroom");
    let early = client.call("POST", &format!("{vm}/agent/ping"), &[]).await;
    assert_eq!((early.status, early.reason.as_str()), (500, "VM 9200 is not running"));
    assert_eq!(client.task("POST", &format!("{vm}/status/start"), &[]).await, "OK");
    let silent = client.call("POST", &format!("{vm}/agent/ping"), &[]).await;
    assert_eq!(silent.reason, "QEMU guest agent is not running");
    client.until("POST", &format!("{vm}/agent/ping"), |got| got.status == 200).await;
    let card = |got: &Got| got.body["data"]["result"][1]["ip-addresses"][0]["ip-address"].clone();
    let path = format!("{vm}/agent/network-get-interfaces");
    client.until("GET", &path, |got| card(got) == "10.1.0.20").await;
    let run = client.call("POST", &format!("{vm}/agent/exec"), &[("command", "uname"), ("command", "-a")]).await;
    let pid = run.data()["pid"].as_u64().unwrap();
    let status = format!("{vm}/agent/exec-status?pid={pid}");
    let done = client.until("GET", &status, |got| got.body["data"]["exited"] == 1).await;
    assert!(done.data()["out-data"].as_str().unwrap().starts_with("Linux cs101-ada 5.15"), "{done:?}");
    let again = client.get(&status).await;
    assert_eq!((again.status, again.reason.as_str()), (500, "Agent error: PID ld does not exist"));
    let facts = cluster.handle().guest_at("10.1.0.20".parse().unwrap()).unwrap();
    assert_eq!((facts.vmid, facts.hostname.as_str()), (9200, "cs101-ada"));
    let refused = client.call("DELETE", vm, &[]).await;
    assert_eq!(refused.reason, "VM 9200 is running - destroy failed");
    assert_eq!(client.task("POST", &format!("{vm}/status/stop"), &[]).await, "OK");
    assert_eq!(client.task("DELETE", &format!("{vm}?purge=1"), &[]).await, "OK");
    assert!(cluster.world(|world| world.volumes_of(9200)).is_empty());
    cluster.shutdown().await;
}

#[tokio::test]
async fn refusals_come_as_reason_phrases_and_close_the_connection() {
    let cluster = cluster(20.0).await;
    let mut client = Client::new(&cluster);
    let got = client.call("POST", "/nodes/pve2/qemu/9001/clone", &[("newid", "9300"), ("full", "0")]).await;
    let words = "Linked clone feature is not supported for 'bulk:base-9001-disk-0' (scsi0)";
    assert_eq!((got.status, got.reason.as_str()), (500, words));
    assert_eq!(got.body, json!({ "data": null, "message": format!("{words}\n") }));
    assert_eq!(got.headers["connection"], "close");
    let got = client.call("PUT", "/nodes/pve1/qemu/9000/config", &[("cores", "many")]).await;
    assert_eq!((got.status, &got.body["errors"]["cores"]), (400, &json!("type check ('integer') failed - got 'many'")));
    let got = client.get("/nodes/nowhere/status").await;
    assert!(got.reason.starts_with("hostname lookup 'nowhere' failed"), "{got:?}");
    let (id, secret) = cluster.monitor_token();
    client.auth = format!("PVEAPIToken={id}={secret}");
    let got = client.call("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "9300")]).await;
    assert_eq!((got.status, got.reason.as_str()), (403, "Permission check failed (/vms/9000, VM.Clone)"));
    client.auth = "PVEAPIToken=homeroom@pve!lab=wrong".into();
    let before = cluster.now();
    let got = client.get("/version").await;
    assert_eq!((got.status, got.reason.as_str(), &got.body), (401, "Authentication failed!", &Value::Null));
    assert!(cluster.now() - before >= 3000);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_storage_lock_held_too_long_fails_the_clone_and_leaves_nothing() {
    let cluster = cluster(200.0).await;
    let client = Client::new(&cluster);
    cluster.world(|world| world.hold_storage("fast", "pve1", 30_000));
    let status = client.task("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "9200")]).await;
    assert_eq!(status, "clone failed: cfs-lock 'storage-fast' error: got lock request timeout");
    let config = client.get("/nodes/pve1/qemu/9200/config").await;
    assert_eq!(config.reason, "Configuration file 'nodes/pve1/qemu-server/9200.conf' does not exist");
    assert!(cluster.world(|world| world.volumes_of(9200)).is_empty());
    cluster.shutdown().await;
}

#[tokio::test]
async fn writing_to_a_clone_in_progress_fails_at_once_and_to_its_source_after_ten_seconds() {
    let cluster = cluster(20.0).await;
    let client = Client::new(&cluster);
    let upid = client.call("POST", "/nodes/pve2/qemu/9001/clone", &[("newid", "9200"), ("full", "1")]).await.text();
    client.until("GET", "/nodes/pve2/qemu/9200/config", |got| got.body["data"]["lock"] == "clone").await;
    let target = client.call("PUT", "/nodes/pve2/qemu/9200/config", &[("cores", "1")]).await;
    assert_eq!(target.reason, "VM is locked (clone)");
    let source = client.call("PUT", "/nodes/pve2/qemu/9001/config", &[("cores", "1")]).await;
    if client.get(&format!("/nodes/pve2/tasks/{upid}/status")).await.data()["status"] == "running" {
        assert_eq!(source.reason, "can't lock file '/var/lock/qemu-server/lock-9001.conf' - got timeout");
    }
    let log = client.get(&format!("/nodes/pve2/tasks/{upid}/log?limit=0")).await;
    assert!(
        log.body["data"].as_array().unwrap().iter().any(|line| line["t"].as_str().unwrap().contains("transferred"))
    );
    assert_eq!(client.ended(&upid).await, "OK");
    let disk = client.get("/nodes/pve2/qemu/9200/config").await.data()["scsi0"].as_str().unwrap().to_owned();
    assert_eq!(property(&disk, "size").as_deref(), Some("8G"));
    cluster.shutdown().await;
}

#[tokio::test]
async fn connections_can_be_cut_after_the_effect_and_in_the_middle_of_a_body() {
    let cluster = cluster(50.0).await;
    let client = Client::new(&cluster);
    cluster.inject(Fault::first("POST /nodes/*/qemu/*/clone", FaultKind::Lost));
    let lost = client.try_call("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "9200")]).await;
    assert!(lost.is_err());
    client.until("GET", "/nodes/pve1/qemu/9200/config", |got| got.status == 200).await;
    cluster.inject(Fault::first("GET /cluster/resources", FaultKind::Truncate));
    assert!(client.try_call("GET", "/cluster/resources", &[]).await.is_err());
    assert_eq!(client.get("/cluster/resources").await.status, 200);
    cluster.inject(Fault::every("GET /nodes", FaultKind::Stall));
    let stalled = tokio::time::timeout(Duration::from_millis(200), client.get("/nodes")).await;
    assert!(stalled.is_err());
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_node_that_is_off_refuses_and_the_others_say_595() {
    let cluster = cluster(100.0).await;
    let client = Client::new(&cluster);
    cluster.world(|world| world.set_node_online("pve3", false));
    let got = client.get("/nodes/pve3/status").await;
    assert_eq!((got.status, got.reason.as_str()), (595, "No route to host"));
    let nodes = client.get("/nodes").await;
    let third = nodes.data().as_array().unwrap().iter().find(|row| row["node"] == "pve3").unwrap();
    assert_eq!(third["status"], "offline");
    let dead = Client { base: cluster.nodes()[2].api.clone(), ..Client::new(&cluster) };
    assert!(dead.try_call("GET", "/version", &[]).await.is_err());
    cluster.shutdown().await;
}

/// A world without clock or network: calls go in, time is turned by hand.
struct Bare {
    world: World,
    calls: u64,
}

impl Bare {
    fn new() -> Self {
        let world = World::build(&Scenario::default_world().unwrap(), 7, 1_795_000_000).unwrap();
        Self { world, calls: 0 }
    }

    fn ask(&mut self, method: &str, path: &str, form: Value) -> Value {
        self.calls += 1;
        let params = form.as_object().cloned().unwrap_or_default();
        self.world.submit(self.calls, Request::shell("pve1", method, path, params));
        loop {
            if let Some((_, answer)) = self.world.take_answers().into_iter().find(|(id, _)| *id == self.calls) {
                return answer.value().cloned().unwrap_or_else(|| panic!("{method} {path}: {}", answer.words()));
            }
            let next = self.world.next_wake().unwrap();
            self.world.advance(next);
        }
    }

    fn ended(&self, upid: &Value) -> bool {
        self.world.task(upid.as_str().unwrap()).is_some_and(|task| task.end.is_some())
    }
}

#[test]
fn a_class_of_eleven_stands_within_a_modelled_minute() {
    let mut bare = Bare::new();
    let nodes = ["pve1", "pve2", "pve3"];
    let mut waiting: Vec<u32> = (9200..9211).collect();
    let mut cloning: Vec<(u32, Value)> = Vec::new();
    let mut starting: Vec<(u32, Value)> = Vec::new();
    let mut ready = 0;
    while ready < 11 {
        while cloning.len() < 2
            && let Some(id) = waiting.pop()
        {
            let target = nodes[id as usize % 3];
            let form = json!({ "newid": id.to_string(), "name": format!("cs101-{id}"), "target": target });
            cloning.push((id, bare.ask("POST", "/nodes/pve1/qemu/9000/clone", form)));
        }
        let (done, rest): (Vec<_>, Vec<_>) = cloning.into_iter().partition(|(_, upid)| bare.ended(upid));
        cloning = rest;
        for (id, _) in done {
            let path = format!("/nodes/{}/qemu/{id}/status/start", nodes[id as usize % 3]);
            starting.push((id, bare.ask("POST", &path, Value::Null)));
        }
        ready =
            starting.iter().filter(|(id, _)| bare.world.guest_facts(*id).is_some_and(|facts| facts.listening)).count();
        let now = bare.world.now();
        bare.world.advance(now + 100);
    }
    let seconds = bare.world.now() / 1000;
    assert!((20..60).contains(&seconds), "{seconds} modelled seconds");
}

#[test]
fn a_full_clone_alone_takes_ten_seconds_and_two_at_once_share_the_bandwidth() {
    let mut bare = Bare::new();
    let mut took = |ids: &[&str]| {
        let begun = bare.world.now();
        let upids: Vec<Value> = ids
            .iter()
            .map(|id| bare.ask("POST", "/nodes/pve2/qemu/9001/clone", json!({ "newid": id, "full": "1" })))
            .collect();
        while !upids.iter().all(|upid| bare.ended(upid)) {
            let now = bare.world.now();
            bare.world.advance(now + 100);
        }
        (bare.world.now() - begun) / 1000
    };
    assert!((10..13).contains(&took(&["9200"])));
    assert!((20..24).contains(&took(&["9201", "9202"])));
}

#[test]
fn ten_thousand_guests_on_a_hundred_nodes_are_listed() {
    let mut text = String::from("token = \"root@pam!x\"\n");
    for node in 0..100 {
        text.push_str(&format!("[[nodes]]\nname = \"n{node}\"\n"));
    }
    text.push_str("[[users]]\nid = \"a@pve\"\ntokens = [{ name = \"t\", secret = \"s\" }]\n");
    text.push_str("[[acls]]\npath = \"/\"\nwho = \"a@pve\"\nrole = \"PVEAuditor\"\n");
    text.push_str("[[storages]]\nid = \"s\"\ntype = \"rbd\"\nshared = true\nsize_gib = 900000\n");
    for vmid in 100..10_100 {
        let node = vmid % 100;
        text.push_str(&format!(
            "[[guests]]\nvmid = {vmid}\nname = \"g{vmid}\"\nnode = \"n{node}\"\nstorage = \"s\"\nrunning = true\n"
        ));
    }
    let scenario = Scenario::parse(&text, "big").unwrap();
    let mut world = World::build(&scenario, 1, 1_795_000_000).unwrap();
    world.advance(60_000);
    let caller = Caller::Header("PVEAPIToken=a@pve!t=s".into());
    let request = Request { caller, ..Request::shell("n0", "GET", "/cluster/resources", serde_json::Map::new()) };
    world.submit(1, request);
    let (_, answer) = world.take_answers().remove(0);
    let rows = answer.value().unwrap().as_array().unwrap().len();
    // guests, nodes, a row a node for the storage and for its network
    assert_eq!(rows, 10_000 + 3 * 100);
}

#[tokio::test]
async fn the_same_cluster_on_version_eight_asks_for_eights_privileges() {
    let scenario = Scenario::default_world().unwrap().at_version("8.4");
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let cluster = start(Options { scenario, speed: 50.0, listen, seed: 7 }).await.unwrap();
    let mut client = Client::new(&cluster);
    assert_eq!(client.get("/version").await.data()["version"], "8.4.21");
    let seat = "/nodes/pve1/qemu/9100";
    assert_eq!(client.call("POST", &format!("{seat}/agent/ping"), &[]).await.status, 200);
    assert!(client.get(&format!("{seat}/status/current")).await.data().get("memhost").is_none());
    assert_eq!(client.get("/cluster/ha/groups").await.data(), &json!([]));
    let (id, secret) = cluster.monitor_token();
    client.auth = format!("PVEAPIToken={id}={secret}");
    let exec = client.call("POST", &format!("{seat}/agent/exec"), &[("command", "id")]).await;
    // the auditor of 8 may not even ask the agent
    let ping = client.call("POST", &format!("{seat}/agent/ping"), &[]).await;
    assert_eq!((exec.status, ping.status), (403, 403));
    assert_eq!(ping.reason, "Permission check failed (/vms/9100, VM.Monitor)");
    cluster.shutdown().await;
}

#[test]
fn a_role_with_a_privilege_the_version_lacks_is_refused() {
    let scenario = Scenario { version: "8.4".into(), ..Scenario::default_world().unwrap() };
    let why = World::build(&scenario, 1, 0).err().unwrap().to_string();
    assert!(why.contains("'VM.GuestAgent.Audit'") && why.contains("8.4"), "{why}");
}

#[test]
fn three_calls_to_silent_agents_keep_a_node_busy_for_three_seconds() {
    let mut bare = Bare::new();
    let secret = bare.world.access.users["homeroom@pve"].tokens["lab"].secret.clone();
    let caller = Caller::Header(format!("PVEAPIToken=homeroom@pve!lab={secret}"));
    let ask = |method: &str, path: &str| Request {
        caller: caller.clone(),
        ..Request::shell("pve1", method, path, serde_json::Map::new())
    };
    bare.world.set_agent_silent(9100, true);
    for call in 1..=3 {
        bare.world.submit(call, ask("POST", "/nodes/pve1/qemu/9100/agent/ping"));
    }
    // a write goes through the daemon and waits; a read of the configuration does not
    bare.world.submit(4, ask("PUT", "/nodes/pve1/qemu/9103/cloudinit"));
    bare.world.submit(5, ask("GET", "/nodes/pve1/qemu/9103/config"));
    assert_eq!(bare.world.take_answers().iter().map(|(id, _)| *id).collect::<Vec<_>>(), vec![5]);
    bare.world.advance(2900);
    assert!(bare.world.take_answers().is_empty());
    bare.world.advance(3200);
    let mut answered: Vec<u64> = bare.world.take_answers().iter().map(|(id, _)| *id).collect();
    answered.sort_unstable();
    assert_eq!(answered, vec![1, 2, 3, 4]);
}

#[test]
fn clones_of_an_unsealed_template_share_a_machine_id_but_no_host_key() {
    let mut bare = Bare::new();
    bare.world.unseal(9000);
    for id in ["9200", "9201"] {
        let upid = bare.ask("POST", "/nodes/pve1/qemu/9000/clone", json!({ "newid": id, "name": format!("g{id}") }));
        while !bare.ended(&upid) {
            let now = bare.world.now();
            bare.world.advance(now + 100);
        }
        bare.ask("POST", &format!("/nodes/pve1/qemu/{id}/status/start"), Value::Null);
    }
    let now = bare.world.now();
    bare.world.advance(now + 60_000);
    let inside = |id: u32| bare.world.guests[&id].inside.clone().unwrap();
    assert_eq!(inside(9200).machine_id, inside(9201).machine_id);
    assert_ne!(inside(9200).host_key, inside(9201).host_key);
    assert_eq!((inside(9200).hostname, inside(9201).hostname), ("g9200".into(), "g9201".into()));
    let seats = [9100, 9101].map(|id| bare.world.guests[&id].inside.clone().unwrap().machine_id);
    assert_ne!(seats[0], seats[1]);
}

proptest::proptest! {
    #[test]
    fn nothing_that_comes_in_upsets_the_world(
        path in "/(nodes/pve1|cluster|access|pools|storage)?(/[a-z0-9{}:!@%._-]{0,12}){0,5}",
        method in "GET|POST|PUT|DELETE",
        key in "(net0|ipconfig0|scsi0|tags|sshkeys|memory|newid|upid|size|disk|delete|command|[a-z0-9]{0,6})",
        value in "\\PC{0,40}",
    ) {
        let mut bare = Bare::new();
        for path in [path.as_str(), "/nodes/pve1/qemu/9100/config", "/nodes/pve1/qemu/9000/clone", "/nodes/pve1/qemu/9100/agent/exec"] {
            bare.calls += 1;
            let params = json!({ &key: &value });
            let request = Request::shell("pve1", &method, path, params.as_object().cloned().unwrap());
            bare.world.submit(bare.calls, request);
            let now = bare.world.now();
            bare.world.advance(now + 1000);
        }
    }

    #[test]
    fn no_line_upsets_a_guests_shell(text in "\\PC{0,60}|[a-z'\"$();|&<>{}=\\\\ \n-]{0,60}") {
        let mut inside = homeroom::sim::guest::Inside::new("ubuntu-22.04", [1; 32], [2; 32]);
        let mut session = homeroom::sim::guest::Session::new("student");
        homeroom::sim::guest::line(&mut inside, &mut session, &text, text.as_bytes());
    }
}
