//! The cluster port, request by request.

use std::net::IpAddr;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    Proxmox,
    ask::Ask,
    decode,
    encode::{Form, path, percent},
    error, guest, view,
};
use crate::{
    domain::{
        Clean, NodeName, Vmid,
        cluster::{ClusterView, TemplateView},
        hindsight::Hindsight,
    },
    port::{
        Cluster, SiteError,
        cluster::{
            CloneRequest, ConfigChange, GuestConfig, GuestStatus, PendingItem, PowerAction, TaskRow, TaskState, Upid,
        },
    },
};

/// `/nodes/pve1/qemu/101` and on.
pub(super) fn qemu(node: &NodeName, vmid: Vmid, rest: &[&str]) -> String {
    path(&["nodes", node.as_str(), "qemu", &vmid.to_string()]) + &path(rest)
}

/// `/nodes/pve1/tasks/UPID…` and on.
fn task_path(upid: &Upid, what: &str, rest: &str) -> Result<(NodeName, String), SiteError> {
    let node = upid.node().filter(|node| !node.as_str().is_empty()).ok_or_else(|| SiteError::Malformed {
        what: what.to_owned(),
        why: Clean::new("the task's id names no node"),
    })?;
    let path = path(&["nodes", node.as_str(), "tasks", upid.0.as_str(), rest]);
    Ok((node, path))
}

/// What a change becomes on the wire; `None` if there is nothing to write.
fn config_form(change: &ConfigChange) -> Option<Form> {
    let mut form = Form::new();
    let mut unset: Vec<&str> = change.unset.iter().map(String::as_str).collect();
    for (key, value) in &change.set {
        match (key.as_str(), value.as_str()) {
            // An empty value would be read as none at all.
            (_, "") => unset.push(key),
            // Proxmox wants this one percent-encoded in itself.
            ("sshkeys", keys) => form = form.with(key, percent(keys.trim())),
            (_, value) => form = form.with(key, value),
        }
    }
    if !unset.is_empty() {
        form = form.with("delete", unset.join(","));
    }
    if form.is_empty() {
        return None;
    }
    Some(form.with_some("digest", change.digest.as_ref()))
}

fn clone_form(request: &CloneRequest) -> Form {
    Form::new()
        .with("newid", request.vmid)
        .with("name", &request.name)
        .with("description", &request.description)
        .with_flag("full", request.full)
        .with_some("target", request.target.as_ref().filter(|target| **target != request.node))
        .with_some("storage", request.storage.as_ref())
        .with_some("format", request.format.as_ref())
        .with_some("pool", request.pool.as_ref())
}

/// Tasks that are shown of a node or a machine.
const TASKS_SHOWN: u32 = 20;

#[async_trait]
impl Cluster for Proxmox {
    fn user(&self) -> &str {
        self.transport.id()
    }

    async fn view(&self) -> Result<ClusterView, SiteError> {
        let version = self.version().await?;
        let what = format!("look at {}", self.transport.site());
        let take = |asked: error::Asked<'_>, answer: error::Answer| {
            if answer.status != 200 {
                let refused = error::read(asked, &answer);
                return Err(refused.err().unwrap_or_else(|| error::malformed(asked, "it lists nothing".to_owned())));
            }
            self.last.or_read(answer, |answer| error::read_into(asked, answer))
        };
        let resources = self.transport.send_and(Ask::get(what.clone(), path(&["cluster", "resources"])), &take);
        let status = self.transport.send(Ask::get(what.clone(), path(&["cluster", "status"])));
        let (resources, status) = tokio::join!(resources, status);
        let status = match status {
            Ok(status) => Some(status),
            // A token of few rights may not ask for the quorum; the rest is worth showing.
            Err(SiteError::Forbidden { .. }) => None,
            Err(error) => return Err(error),
        };
        let resources = resources?;
        let mut view = view::cluster_view(self.clock.now(), version, &resources, status.as_ref())
            .map_err(|why| SiteError::Malformed { what, why: Clean::new(why) })?;
        // It is held against times of the wall.
        let speed = self.clock.speed();
        if speed != 1.0 {
            let ups = view.nodes.iter_mut().map(|node| &mut node.uptime);
            let ups = ups.chain(view.guests.iter_mut().map(|guest| &mut guest.uptime));
            ups.for_each(|up| *up = (*up as f64 / speed) as u64);
        }
        Ok(view)
    }

    async fn template(&self, node: &NodeName, vmid: Vmid) -> Result<TemplateView, SiteError> {
        let feature = Ask::get(format!("ask how {vmid} on {node} can be cloned"), qemu(node, vmid, &["feature"]))
            .form(Form::new().with("feature", "clone"))
            .at(node);
        let (config, linked) = tokio::join!(self.config(node, vmid), self.read(feature, decode::has_feature));
        Ok(guest::template(vmid, node, &config?, linked?))
    }

    async fn config(&self, node: &NodeName, vmid: Vmid) -> Result<GuestConfig, SiteError> {
        let ask = Ask::get(format!("read the configuration of {vmid} on {node}"), qemu(node, vmid, &["config"]));
        self.read(ask.at(node), guest::config).await
    }

    async fn pending(&self, node: &NodeName, vmid: Vmid) -> Result<Vec<PendingItem>, SiteError> {
        let ask = Ask::get(format!("read the pending changes of {vmid} on {node}"), qemu(node, vmid, &["pending"]));
        self.read(ask.at(node), guest::pending).await
    }

    async fn status(&self, node: &NodeName, vmid: Vmid) -> Result<GuestStatus, SiteError> {
        let ask = Ask::get(format!("read the status of {vmid} on {node}"), qemu(node, vmid, &["status", "current"]));
        self.read(ask.at(node), guest::status).await
    }

    async fn clone_guest(&self, request: &CloneRequest) -> Result<Upid, SiteError> {
        let CloneRequest { template, node, vmid, .. } = request;
        let ask = Ask::post(format!("clone {template} to {vmid} on {node}"), qemu(node, *template, &["clone"]));
        self.read(ask.at(node).form(clone_form(request)), decode::upid).await
    }

    async fn configure(&self, node: &NodeName, vmid: Vmid, change: &ConfigChange) -> Result<(), SiteError> {
        let Some(form) = config_form(change) else { return Ok(()) };
        let ask = Ask::put(format!("configure {vmid} on {node}"), qemu(node, vmid, &["config"]));
        self.done(ask.at(node).form(form)).await
    }

    async fn resize(&self, node: &NodeName, vmid: Vmid, disk: &str, bytes: u64) -> Result<Upid, SiteError> {
        let ask = Ask::put(format!("resize {disk} of {vmid} on {node}"), qemu(node, vmid, &["resize"]));
        self.read(ask.at(node).form(Form::new().with("disk", disk).with("size", bytes)), decode::upid).await
    }

    async fn power(&self, node: &NodeName, vmid: Vmid, action: PowerAction) -> Result<Upid, SiteError> {
        let (word, form) = match action {
            PowerAction::Start => ("start", Form::new()),
            PowerAction::Stop => ("stop", Form::new()),
            PowerAction::Shutdown { timeout, force } => {
                let form = Form::new().with("timeout", timeout);
                ("shutdown", if force { form.with_flag("forceStop", true) } else { form })
            }
        };
        let ask = Ask::post(format!("{word} {vmid} on {node}"), qemu(node, vmid, &["status", word]));
        self.read(ask.at(node).form(form), decode::upid).await
    }

    async fn remove(&self, node: &NodeName, vmid: Vmid) -> Result<Upid, SiteError> {
        let ask = Ask::delete(format!("remove {vmid} on {node}"), qemu(node, vmid, &[]));
        self.read(ask.at(node).form(Form::new().with_flag("purge", true)), decode::upid).await
    }

    async fn active_tasks(&self, node: &NodeName) -> Result<Vec<TaskRow>, SiteError> {
        let ask = Ask::get(format!("list the tasks running on {node}"), path(&["nodes", node.as_str(), "tasks"]));
        let form = Form::new().with("source", "active").with("limit", 500);
        self.read(ask.at(node).form(form), decode::active_tasks).await
    }

    async fn ended_tasks(&self, node: &NodeName, kind: &str, since: Timestamp) -> Result<Vec<TaskRow>, SiteError> {
        let what = format!("list the {kind} tasks that ended on {node}");
        let form = Form::new()
            .with("source", "archive")
            .with("typefilter", kind)
            .with("since", since.as_second())
            .with("limit", 500);
        let ask = Ask::get(what, path(&["nodes", node.as_str(), "tasks"])).at(node).form(form);
        self.read(ask, decode::ended_tasks).await
    }

    async fn hindsight(&self, node: &NodeName, vmid: Option<Vmid>) -> Result<Hindsight, SiteError> {
        let id = vmid.map(|vmid| vmid.to_string());
        let what = format!("read the last hour of {}", id.as_deref().unwrap_or(node.as_str()));
        let hour = match &id {
            Some(id) => path(&["nodes", node.as_str(), "qemu", id, "rrddata"]),
            None => path(&["nodes", node.as_str(), "rrddata"]),
        };
        let form = Form::new().with("timeframe", "hour").with("cf", "AVERAGE");
        let samples = self.read(Ask::get(what, hour).at(node).form(form), decode::samples).await?;
        let mut form = Form::new().with("source", "all").with("limit", TASKS_SHOWN);
        if let Some(id) = &id {
            form = form.with("vmid", id);
        }
        let ask = Ask::get(format!("list the latest tasks on {node}"), path(&["nodes", node.as_str(), "tasks"]));
        let tasks = self.read(ask.at(node).form(form), decode::tasks).await?;
        Ok(Hindsight { samples, tasks })
    }

    async fn task(&self, upid: &Upid) -> Result<TaskState, SiteError> {
        let what = format!("read how task {} stands", upid.0);
        let (node, path) = task_path(upid, &what, "status")?;
        self.read(Ask::get(what, path).at(&node), decode::task).await
    }

    async fn task_log(&self, upid: &Upid, start: u64) -> Result<Vec<Clean>, SiteError> {
        let what = format!("read the log of task {}", upid.0);
        let (node, path) = task_path(upid, &what, "log")?;
        // A limit of 0 means all of it here, unlike in lists of tasks.
        let form = Form::new().with("start", start).with("limit", 0);
        self.read(Ask::get(what, path).at(&node).form(form), decode::task_log).await
    }

    /// One call; if Proxmox refuses the lot because one of them is in the pool already, the others in a second.
    async fn add_to_pool(&self, pool: &str, vmids: &[Vmid], moves: bool) -> Result<(), SiteError> {
        let add = |vmids: &[Vmid]| {
            let list: Vec<String> = vmids.iter().map(Vmid::to_string).collect();
            let form = Form::new().with("poolid", pool).with("vms", list.join(","));
            // Not every version knows the word.
            let form = if moves { form.with_flag("allow-move", true) } else { form };
            self.done(Ask::put(format!("add {} to pool {pool}", list.join(", ")), path(&["pools"])).form(form))
        };
        if vmids.is_empty() {
            return Ok(());
        }
        match add(vmids).await {
            Err(SiteError::Refused { words, .. }) if words.as_str().contains("already a pool member") => {
                let ask = Ask::get(format!("list pool {pool}"), path(&["pools"]));
                let members = self.read(ask.form(Form::new().with("poolid", pool)), decode::pool_members).await?;
                let missing: Vec<Vmid> = vmids.iter().copied().filter(|vmid| !members.contains(vmid)).collect();
                if missing.is_empty() { Ok(()) } else { add(&missing).await }
            }
            other => other,
        }
    }

    async fn create_pool(&self, pool: &str) -> Result<(), SiteError> {
        let ask = Ask::post(format!("create pool {pool}"), path(&["pools"]));
        self.done(ask.form(Form::new().with("poolid", pool))).await
    }

    async fn pools(&self) -> Result<Vec<Clean>, SiteError> {
        let ask = Ask::get(format!("list the pools of {}", self.transport.site()), path(&["pools"]));
        self.read(ask, decode::pools).await
    }

    async fn volumes(&self, node: &NodeName, storage: &str, vmid: Vmid) -> Result<Vec<Clean>, SiteError> {
        let path = path(&["nodes", node.as_str(), "storage", storage, "content"]);
        let ask = Ask::get(format!("list the volumes of {vmid} on {storage} at {node}"), path);
        self.read(ask.at(node).form(Form::new().with("vmid", vmid)), |data| decode::volumes(vmid, data)).await
    }

    async fn node_addresses(&self) -> Result<Vec<(NodeName, Option<IpAddr>)>, SiteError> {
        let ask = Ask::get("ask for the nodes' addresses", path(&["cluster", "status"]));
        self.read(ask, decode::node_addresses).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn request() -> CloneRequest {
        CloneRequest {
            template: Vmid::new(9000).unwrap(),
            node: NodeName::new("pve1"),
            vmid: Vmid::new(9101).unwrap(),
            target: Some(NodeName::new("pve1")),
            name: "cs101-ada".to_owned(),
            description: "homeroom/1 lab=cs101".to_owned(),
            full: false,
            storage: None,
            format: None,
            pool: None,
        }
    }

    #[test]
    fn a_clone_names_a_target_only_when_it_goes_elsewhere() {
        let form = clone_form(&request());
        assert_eq!(form.as_str(), "newid=9101&name=cs101-ada&description=homeroom%2F1%20lab%3Dcs101&full=0");
        let form = clone_form(&CloneRequest { target: Some(NodeName::new("pve2")), ..request() });
        assert!(form.as_str().ends_with("&full=0&target=pve2"));
    }

    #[test]
    fn ssh_keys_are_encoded_twice_and_empty_values_unset() {
        let mut change = ConfigChange::default();
        change.set.insert("sshkeys".to_owned(), "ssh-ed25519 AA+/ a\nssh-rsa BB b\n".to_owned());
        change.set.insert("tags".to_owned(), String::new());
        let form = config_form(&change).unwrap();
        assert_eq!(form.as_str(), "sshkeys=ssh-ed25519%2520AA%252B%252F%2520a%250Assh-rsa%2520BB%2520b&delete=tags");
        assert!(config_form(&ConfigChange::default()).is_none());
    }
}
