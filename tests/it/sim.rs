//! The simulated cluster through its own HTTPS door, with a plain client that knows nothing of
//! homeroom.

use std::net::SocketAddr;
use std::time::Duration;

use homeroom::sim::world::vm::property;
use homeroom::sim::{Cluster, Fault, FaultKind, Options, Scenario, WorldHandle, start};
use serde_json::{Value, json};

/// A plain HTTPS client of one simulated cluster.
pub struct Client {
    http: reqwest::Client,
    pub base: String,
    pub auth: String,
    world: WorldHandle,
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
        let auth = format!("PVEAPIToken={id}={secret}");
        Self { http, base: cluster.api().into(), auth, world: cluster.handle().clone() }
    }

    /// A request to a path of the server, without a login.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Sends a request and reads the answer. The clock stands still: time moves while a call waits.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Got, reqwest::Error> {
        let answer = Self::read(request);
        tokio::pin!(answer);
        loop {
            tokio::select! {
                biased;
                got = &mut answer => return got,
                () = tokio::task::yield_now() => {
                    self.world.step();
                }
            }
        }
    }

    async fn read(request: reqwest::RequestBuilder) -> Result<Got, reqwest::Error> {
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
        self.send(request).await
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
            self.world.skip(100);
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
            self.world.skip(100);
        }
    }
}

/// The default world; its clock stands still, and moves while a call waits.
pub async fn cluster() -> Cluster {
    let scenario = Scenario::default_world().unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    start(Options { scenario, speed: 0.0, listen, seed: 7 }).await.unwrap()
}

#[tokio::test]
async fn a_clone_appears_without_name_and_gets_one_with_the_next_broadcast() {
    let cluster = cluster().await;
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
    let cluster = cluster().await;
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
    let cluster = cluster().await;
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
    let cluster = cluster().await;
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
    let cluster = cluster().await;
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
    let cluster = cluster().await;
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
    let cluster = cluster().await;
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

#[tokio::test]
async fn the_same_cluster_on_version_eight_asks_for_eights_privileges() {
    let scenario = Scenario::default_world().unwrap().at_version("8.4");
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let cluster = start(Options { scenario, speed: 0.0, listen, seed: 7 }).await.unwrap();
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
