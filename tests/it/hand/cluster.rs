//! The cluster port on the world's API, and the bad habits it can be given.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use homeroom::{
    domain::{
        Clean, NodeName, Vmid,
        cluster::{ClusterView, TemplateView},
        hindsight::Hindsight,
    },
    port::{
        Clock, Cluster, SiteError,
        cluster::{
            CloneRequest, ConfigChange, GuestConfig, GuestStatus, PendingItem, PowerAction, TaskRow, TaskState, Upid,
        },
    },
    sim::api::{Answer, Caller, Fate, Params, Request},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{decode, stage::Stage};

/// Modelled seconds after which a client gives a silent connection up.
const PATIENCE: u64 = 40_000;

/// A mistake an engine could have, made here on its behalf: the suite must notice each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// None.
    Good,
    /// Clones without a mark.
    SkipsTheMark,
    /// Takes "already exists" for "made it", and the machine there for its own.
    TrustsAlreadyExists,
    /// Takes the start of a task for its success.
    TrustsTheStart,
    /// Asks again under another number when an answer was lost.
    RepeatsBlindly,
}

/// The API of one site, as a client of it sees it.
pub struct Api {
    pub stage: Arc<Stage>,
    pub token: String,
    pub habit: Habit,
    /// What was asked of each clone task, for the habit that trusts.
    pub asked: Mutex<BTreeMap<String, CloneRequest>>,
}

impl Api {
    /// One request through the first node that answers.
    pub async fn ask(&self, what: &str, method: &str, path: &str, params: Value) -> Result<Value, SiteError> {
        let entry = self.stage.world(|world| world.nodes.values().find(|node| node.online).map(|n| n.name.clone()));
        let Some(entry) = entry else {
            self.stage.point().await;
            let why = Clean::new("no node answers");
            return Err(SiteError::Unreachable { what: what.to_owned(), site: "sim".to_owned(), why });
        };
        let params: Params = params.as_object().cloned().unwrap_or_default();
        let caller = Caller::Header(format!("PVEAPIToken={}", self.token));
        let request = Request { entry, method: method.to_owned(), path: path.to_owned(), params, caller };
        let answer: Answer = self.stage.call(request).await;
        if answer.fate == Fate::Stall {
            self.stage.wait(PATIENCE).await;
        }
        decode::read(what, method != "GET" && !path.ends_with("/agent/ping"), &answer)
    }

    async fn get(&self, what: &str, path: &str) -> Result<Value, SiteError> {
        self.ask(what, "GET", path, json!({})).await
    }
}

pub fn qemu(node: &NodeName, vmid: Vmid, rest: &str) -> String {
    format!("/nodes/{node}/qemu/{vmid}{rest}")
}

fn task_path(upid: &Upid, rest: &str) -> String {
    format!("/nodes/{}/tasks/{}/{rest}", upid.node().unwrap(), upid.0)
}

#[async_trait]
impl Cluster for Api {
    fn user(&self) -> &str {
        self.token.split('=').next().unwrap()
    }

    async fn view(&self) -> Result<ClusterView, SiteError> {
        let resources = self.get("look", "/cluster/resources").await?;
        let status = self.get("look", "/cluster/status").await?;
        let version = self.stage.world(|world| world.version.clone());
        Ok(decode::view(self.stage.now(), &version, &resources, &status))
    }

    async fn template(&self, node: &NodeName, vmid: Vmid) -> Result<TemplateView, SiteError> {
        let config = self.config(node, vmid).await?;
        let path = qemu(node, vmid, "/feature");
        let feature = self.ask("ask how it can be cloned", "GET", &path, json!({"feature": "clone"})).await?;
        Ok(decode::template(vmid, node, &config, decode::feature(&feature)))
    }

    async fn config(&self, node: &NodeName, vmid: Vmid) -> Result<GuestConfig, SiteError> {
        let data = self.get(&format!("read the configuration of {vmid}"), &qemu(node, vmid, "/config")).await?;
        Ok(decode::config(&data))
    }

    async fn pending(&self, node: &NodeName, vmid: Vmid) -> Result<Vec<PendingItem>, SiteError> {
        let data = self.get(&format!("read what is pending of {vmid}"), &qemu(node, vmid, "/pending")).await?;
        Ok(decode::pending(&data))
    }

    async fn status(&self, node: &NodeName, vmid: Vmid) -> Result<GuestStatus, SiteError> {
        let data = self.get(&format!("read the status of {vmid}"), &qemu(node, vmid, "/status/current")).await?;
        Ok(decode::status(&data))
    }

    async fn clone_guest(&self, request: &CloneRequest) -> Result<Upid, SiteError> {
        let mut params = json!({
            "newid": request.vmid.to_string(), "name": request.name, "full": u8::from(request.full).to_string(),
        });
        let optional = [
            ("description", (self.habit != Habit::SkipsTheMark).then(|| request.description.clone())),
            ("target", request.target.as_ref().map(ToString::to_string)),
            ("storage", request.storage.clone()),
            ("format", request.format.clone()),
            ("pool", request.pool.clone()),
        ];
        for (key, value) in optional.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            params[key] = json!(value);
        }
        let path = qemu(&request.node, request.template, "/clone");
        let what = format!("clone {} to {}", request.template, request.vmid);
        let answer = self.ask(&what, "POST", &path, params.clone()).await;
        match answer {
            Err(SiteError::Lost { .. }) if self.habit == Habit::RepeatsBlindly => {
                params["newid"] = json!((request.vmid.get() + 40).to_string());
                self.ask(&what, "POST", &path, params).await.map(|data| decode::upid(&data))
            }
            Err(SiteError::Refused { words, .. })
                if self.habit == Habit::TrustsAlreadyExists && words.as_str().contains("already exists") =>
            {
                self.believe(request);
                Ok(self.some_task_that_ended_well(&request.node))
            }
            answer => {
                let upid = answer.map(|data| decode::upid(&data))?;
                self.asked.lock().unwrap().insert(upid.0.to_string(), request.clone());
                Ok(upid)
            }
        }
    }

    async fn configure(&self, node: &NodeName, vmid: Vmid, change: &ConfigChange) -> Result<(), SiteError> {
        let mut params = json!({});
        let mut unset = change.unset.clone();
        for (key, value) in &change.set {
            match (key.as_str(), value.as_str()) {
                (key, "") => unset.push(key.to_owned()),
                ("sshkeys", keys) => params["sshkeys"] = json!(decode::percent(keys.trim())),
                (key, value) => params[key] = json!(value),
            }
        }
        if !unset.is_empty() {
            params["delete"] = json!(unset.join(","));
        }
        if params.as_object().unwrap().is_empty() {
            return Ok(());
        }
        if let Some(digest) = &change.digest {
            params["digest"] = json!(digest);
        }
        self.ask(&format!("configure {vmid}"), "PUT", &qemu(node, vmid, "/config"), params).await.map(drop)
    }

    async fn resize(&self, node: &NodeName, vmid: Vmid, disk: &str, bytes: u64) -> Result<Upid, SiteError> {
        let params = json!({"disk": disk, "size": bytes.to_string()});
        let data = self.ask(&format!("resize {vmid}"), "PUT", &qemu(node, vmid, "/resize"), params).await?;
        Ok(decode::upid(&data))
    }

    async fn power(&self, node: &NodeName, vmid: Vmid, action: PowerAction) -> Result<Upid, SiteError> {
        let (word, params) = match action {
            PowerAction::Start => ("start", json!({})),
            PowerAction::Stop => ("stop", json!({})),
            PowerAction::Shutdown { timeout, force } => {
                ("shutdown", json!({"timeout": timeout.to_string(), "forceStop": u8::from(force).to_string()}))
            }
        };
        let path = qemu(node, vmid, &format!("/status/{word}"));
        Ok(decode::upid(&self.ask(&format!("{word} {vmid}"), "POST", &path, params).await?))
    }

    async fn remove(&self, node: &NodeName, vmid: Vmid) -> Result<Upid, SiteError> {
        let path = qemu(node, vmid, "");
        Ok(decode::upid(&self.ask(&format!("remove {vmid}"), "DELETE", &path, json!({"purge": "1"})).await?))
    }

    async fn active_tasks(&self, node: &NodeName) -> Result<Vec<TaskRow>, SiteError> {
        let params = json!({"source": "active", "limit": "500"});
        let data = self.ask("list running tasks", "GET", &format!("/nodes/{node}/tasks"), params).await?;
        Ok(decode::active_tasks(&data))
    }

    async fn ended_tasks(&self, node: &NodeName, kind: &str, since: Timestamp) -> Result<Vec<TaskRow>, SiteError> {
        let params =
            json!({"source": "archive", "typefilter": kind, "since": since.as_second().to_string(), "limit": "500"});
        let data = self.ask("list ended tasks", "GET", &format!("/nodes/{node}/tasks"), params).await?;
        Ok(decode::ended_tasks(&data))
    }

    async fn hindsight(&self, node: &NodeName, _: Option<Vmid>) -> Result<Hindsight, SiteError> {
        // No engine looks back; a screen that does is tested against the simulated cluster's own server.
        let _ = self.get("look back", &format!("/nodes/{node}/rrddata")).await?;
        Ok(Hindsight::default())
    }

    async fn task(&self, upid: &Upid) -> Result<TaskState, SiteError> {
        let data = self.get("read how a task stands", &task_path(upid, "status")).await?;
        Ok(match decode::task(&data) {
            TaskState::Failed(_) | TaskState::Died(_) if self.habit == Habit::TrustsTheStart => {
                TaskState::Ok { warnings: 0 }
            }
            TaskState::Failed(words)
                if self.habit == Habit::TrustsAlreadyExists && words.as_str().contains("exists") =>
            {
                if let Some(request) = self.asked.lock().unwrap().get(upid.0.as_str()) {
                    self.believe(request);
                }
                TaskState::Ok { warnings: 0 }
            }
            state => state,
        })
    }

    async fn task_log(&self, upid: &Upid, start: u64) -> Result<Vec<Clean>, SiteError> {
        let params = json!({"start": start.to_string(), "limit": "0"});
        Ok(decode::task_log(&self.ask("read a task's log", "GET", &task_path(upid, "log"), params).await?))
    }

    async fn add_to_pool(&self, pool: &str, vmids: &[Vmid], moves: bool) -> Result<(), SiteError> {
        let list: Vec<String> = vmids.iter().map(ToString::to_string).collect();
        let words = json!({"poolid": pool, "vms": list.join(","), "allow-move": u8::from(moves).to_string()});
        self.ask("fill the pool", "PUT", "/pools", words).await.map(drop)
    }

    async fn create_pool(&self, pool: &str) -> Result<(), SiteError> {
        self.ask("make the pool", "POST", "/pools", json!({"poolid": pool})).await.map(drop)
    }

    async fn pools(&self) -> Result<Vec<Clean>, SiteError> {
        Ok(decode::pools(&self.get("list pools", "/pools").await?))
    }

    async fn volumes(&self, node: &NodeName, storage: &str, vmid: Vmid) -> Result<Vec<Clean>, SiteError> {
        let path = format!("/nodes/{node}/storage/{storage}/content");
        let data = self.ask("list volumes", "GET", &path, json!({"vmid": vmid.to_string()})).await?;
        Ok(decode::volumes(vmid, &data))
    }

    async fn node_addresses(&self) -> Result<Vec<(NodeName, Option<IpAddr>)>, SiteError> {
        Ok(decode::addresses(&self.get("ask for the nodes' addresses", "/cluster/status").await?))
    }
}

impl Api {
    /// What an engine believes that takes the machine under its number for its own.
    fn believe(&self, request: &CloneRequest) {
        self.stage.world(|world| {
            if let Some(vm) = world.guests.get_mut(&request.vmid.get()) {
                vm.config.insert("description".to_owned(), request.description.clone());
            }
        });
    }

    fn some_task_that_ended_well(&self, node: &NodeName) -> Upid {
        let found = self.stage.world(|world| {
            let mut tasks = world.tasks.iter().filter(|task| task.upid.node == node.as_str());
            tasks.find(|task| matches!(&task.end, Some((_, end)) if end == "OK")).map(|task| task.upid.to_string())
        });
        Upid(Clean::new(found.unwrap_or_else(|| format!("UPID:{node}:0:0:0:qmclone:0:root@pam:"))))
    }
}
