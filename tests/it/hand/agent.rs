//! Guest agents by way of the API, and by way of `qm` on the node with what it costs there.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use homeroom::{
    domain::{Clean, NodeName, Vmid},
    port::{
        Clock, GuestAgent, Mend, SiteError,
        agent::{AgentError, ExecOutput, Interface},
        shell::ShellError,
    },
    sim::api::Request,
};
use serde_json::{Value, json};

use super::{
    cluster::{Api, qemu},
    decode,
    stage::Stage,
};

/// What the words of a refusal mean.
fn sort(error: SiteError) -> AgentError {
    let words = match &error {
        SiteError::Refused { words, .. } | SiteError::Locked { words, .. } => words.as_str().to_owned(),
        _ => return AgentError::Site(error),
    };
    if words.contains("No QEMU guest agent configured") {
        AgentError::NotConfigured
    } else if words.contains("QEMU guest agent is not running") || words.contains("got timeout") {
        AgentError::Silent(Clean::new(words))
    } else if words.starts_with("VM ") && words.contains("is not running") {
        AgentError::NotRunning
    } else if let Some(said) = words.strip_prefix("Agent error: ") {
        AgentError::Refused(Clean::new(said))
    } else {
        AgentError::Site(error)
    }
}

#[async_trait]
impl GuestAgent for Api {
    async fn ping(&self, node: &NodeName, vmid: Vmid) -> Result<(), AgentError> {
        let path = qemu(node, vmid, "/agent/ping");
        self.ask("ping", "POST", &path, json!({})).await.map(drop).map_err(sort)
    }

    async fn interfaces(&self, node: &NodeName, vmid: Vmid) -> Result<Vec<Interface>, AgentError> {
        let path = qemu(node, vmid, "/agent/network-get-interfaces");
        let data = self.ask("ask for addresses", "GET", &path, json!({})).await.map_err(sort)?;
        Ok(decode::interfaces(&data))
    }

    async fn exec(
        &self,
        node: &NodeName,
        vmid: Vmid,
        command: &[String],
        within: Duration,
    ) -> Result<ExecOutput, AgentError> {
        let began = self.stage.monotonic();
        let path = qemu(node, vmid, "/agent/exec");
        let started = self.ask("run", "POST", &path, json!({ "command": command })).await.map_err(sort)?;
        let pid = started["pid"].to_string();
        let path = qemu(node, vmid, "/agent/exec-status");
        let mut wait = Duration::from_millis(150);
        loop {
            let said = self.ask("read how it stands", "GET", &path, json!({ "pid": pid })).await.map_err(sort)?;
            if let Some(output) = decode::exec_status(&said) {
                return Ok(output);
            }
            if self.stage.monotonic().saturating_sub(began) > within {
                return Ok(ExecOutput {
                    code: None,
                    stdout: String::new(),
                    stderr: "still running\n".to_owned(),
                    timed_out: true,
                });
            }
            self.stage.sleep(wait).await;
            wait = (wait * 3 / 2).min(Duration::from_secs(3));
        }
    }
}

/// `qm` on the nodes.
pub struct Qm {
    pub stage: Arc<Stage>,
}

impl Qm {
    /// Logs in to the node and starts `qm` there.
    async fn begin(&self, node: &NodeName, what: &str, vmid: Vmid) -> Result<(), AgentError> {
        self.stage.point().await;
        self.stage.note_ask(format!("qm {node} {what} {vmid}"));
        let host = node.to_string();
        let (online, struck) = self.stage.world(|world| {
            let path = format!("/nodes/{node}/ssh");
            let struck = world.faults.strike(world.seed, "SSH", &path, std::slice::from_ref(&host));
            (world.online(&host), !struck.is_empty())
        });
        if !online {
            self.stage.wait(10_000).await;
            return Err(ShellError::Unreachable { host, why: Clean::new("no route to host") }.into());
        }
        if struck {
            return Err(ShellError::Broken { host, why: Clean::new("the connection broke") }.into());
        }
        self.stage.burn(&host).await;
        Ok(())
    }

    async fn call(&self, node: &NodeName, method: &str, path: &str, params: Value) -> Result<Value, AgentError> {
        if method == "DELETE" {
            self.stage.changed();
        }
        let params = params.as_object().cloned().unwrap_or_default();
        let answer = self.stage.handle().call(Request::shell(node.as_str(), method, path, params));
        let answer = self.stage.awaited(answer).await;
        decode::read("qm", method == "POST", &answer).map_err(sort)
    }
}

#[async_trait]
impl GuestAgent for Qm {
    async fn ping(&self, node: &NodeName, vmid: Vmid) -> Result<(), AgentError> {
        self.begin(node, "ping", vmid).await?;
        self.call(node, "POST", &qemu(node, vmid, "/agent/ping"), json!({})).await.map(drop)
    }

    async fn interfaces(&self, node: &NodeName, vmid: Vmid) -> Result<Vec<Interface>, AgentError> {
        self.begin(node, "interfaces", vmid).await?;
        let path = qemu(node, vmid, "/agent/network-get-interfaces");
        Ok(decode::interfaces(&self.call(node, "GET", &path, json!({})).await?))
    }

    async fn exec(
        &self,
        node: &NodeName,
        vmid: Vmid,
        command: &[String],
        within: Duration,
    ) -> Result<ExecOutput, AgentError> {
        self.begin(node, "exec", vmid).await?;
        let path = qemu(node, vmid, "/agent/exec");
        let started = self.call(node, "POST", &path, json!({ "command": command })).await?;
        let pid = started["pid"].to_string();
        let path = qemu(node, vmid, "/agent/exec-status");
        for _ in 0..=within.as_secs() {
            let said = self.call(node, "GET", &path, json!({ "pid": pid })).await?;
            if let Some(output) = decode::exec_status(&said) {
                return Ok(output);
            }
            // `qm` itself looks once a second.
            self.stage.wait(1000).await;
        }
        Ok(ExecOutput {
            code: None,
            stdout: String::new(),
            stderr: "timeout reached, returning pid\n".to_owned(),
            timed_out: true,
        })
    }
}

#[async_trait]
impl Mend for Qm {
    async fn is_copying(&self, node: &NodeName, vmid: Vmid) -> Result<bool, AgentError> {
        self.begin(node, "copies", vmid).await?;
        let disk = format!("vm-{vmid}-disk");
        Ok(self.stage.world(|world| world.copies(node.as_str()).any(|line| line.contains(&disk))))
    }

    async fn remove_locked(&self, node: &NodeName, vmid: Vmid) -> Result<(), AgentError> {
        self.begin(node, "destroy", vmid).await?;
        let options = json!({"skiplock": "1", "purge": "1"});
        let upid = decode::upid(&self.call(node, "DELETE", &qemu(node, vmid, ""), options).await?);
        loop {
            let end = self.stage.world(|world| world.task(upid.0.as_str()).and_then(|task| task.end.clone()));
            match end {
                Some((_, status)) if status == "OK" || status.starts_with("WARNINGS") => return Ok(()),
                Some((_, status)) => return Err(AgentError::Node(Clean::new(status))),
                None => self.stage.wait(100).await,
            }
        }
    }
}
