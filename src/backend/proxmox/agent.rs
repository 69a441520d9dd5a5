//! The guest agent by way of the API. Every call blocks one of the node's few workers: ask sparingly.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::{
    Proxmox,
    ask::Ask,
    cluster::qemu,
    encode::Form,
    fields::{Fields, lines, rows},
};
use crate::{
    domain::{Clean, NodeName, Vmid},
    port::{
        GuestAgent, SiteError,
        agent::{AgentError, ExecOutput, Interface},
    },
};

/// The first wait for a command's end; each further one is half as long again, up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(150);
const LONGEST: Duration = Duration::from_secs(3);

/// A command inside a guest, as last seen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ExecState {
    Running,
    Ended(ExecOutput),
}

/// What `agent/…` gave, unless the agent itself objected: that too comes as a success.
fn result(data: &Value) -> Result<&Value, AgentError> {
    let result = data.get("result").unwrap_or(data);
    match result.get("error") {
        Some(error) => {
            let said = error.get("desc").or_else(|| error.get("class")).and_then(Value::as_str);
            Err(AgentError::Refused(said.map_or_else(|| Clean::new(error.to_string()), Clean::new)))
        }
        None => Ok(result),
    }
}

/// Tells what the agent's absence looks like from what went wrong on the way to it.
pub(super) fn sort(error: SiteError) -> AgentError {
    let words = match &error {
        SiteError::Refused { words, .. } | SiteError::Locked { words, .. } => words.as_str(),
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

pub(super) fn interfaces(data: &Value) -> Result<Vec<Interface>, AgentError> {
    let malformed = |why: String| {
        let what = "read the guest's network cards".to_owned();
        AgentError::Site(SiteError::Malformed { what, why: Clean::new(why) })
    };
    let cards = rows(result(data)?).map_err(malformed)?;
    Ok(cards
        .into_iter()
        .filter_map(|card| {
            let addresses = card.get("ip-addresses").and_then(|list| rows(list).ok()).unwrap_or_default();
            Some(Interface {
                name: card.text("name")?,
                mac: card.text("hardware-address").map(|mac| mac.as_str().to_ascii_lowercase()),
                addresses: addresses
                    .into_iter()
                    .filter_map(|a| a.raw("ip-address")?.split('%').next()?.parse().ok())
                    .collect(),
            })
        })
        .collect())
}

/// Output arrives with one character per byte where it is not what Proxmox took for text.
fn output(fields: Fields<'_>, name: &str) -> String {
    let text = fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    match bytes.map(String::from_utf8) {
        Some(Ok(decoded)) => lines(&decoded),
        _ => lines(text),
    }
}

pub(super) fn exec_state(data: &Value) -> Result<ExecState, String> {
    let fields = Fields::of(data)?;
    if !fields.flag("exited") {
        return Ok(ExecState::Running);
    }
    let code = fields.get("exitcode").and_then(Value::as_i64).or(fields.number("exitcode").map(|n| n as i64));
    let mut stderr = output(fields, "err-data");
    if let Some(signal) = fields.number("signal") {
        stderr.push_str(&format!("killed by signal {signal}\n"));
    }
    Ok(ExecState::Ended(ExecOutput {
        code: code.and_then(|code| i32::try_from(code).ok()),
        stdout: output(fields, "out-data"),
        stderr,
        timed_out: false,
    }))
}

impl Proxmox {
    async fn start_exec(&self, node: &NodeName, vmid: Vmid, command: &[String]) -> Result<u64, AgentError> {
        let program = command.first().map(String::as_str).unwrap_or_default();
        let what = format!("run {:?} in {vmid} on {node}", Clean::new(command.join(" ")));
        // One word a parameter: a single string would be taken for a path.
        let form = command.iter().fold(Form::new(), |form, word| form.with("command", word));
        let ask = Ask::post(what.clone(), qemu(node, vmid, &["agent", "exec"])).at(node).form(form);
        match self.transport.send(ask).await {
            Ok(data) => data
                .get("pid")
                .and_then(Value::as_u64)
                .ok_or_else(|| AgentError::Site(SiteError::Malformed { what, why: Clean::new("it names no process") })),
            // The agent's message has typographic quotes, on which Proxmox's own server breaks.
            Err(SiteError::Lost { why, .. }) if why.as_str().starts_with("596 Broken pipe") => {
                Err(AgentError::Refused(Clean::new(format!(
                    "{why}: so Proxmox answers when the guest has no program {program:?}, or the command is very long"
                ))))
            }
            Err(error) => Err(sort(error)),
        }
    }

    async fn exec_status(&self, node: &NodeName, vmid: Vmid, pid: u64) -> Result<ExecState, SiteError> {
        let what = format!("read how process {pid} in {vmid} on {node} stands");
        // The read that finds it ended uses the answer up.
        let ask = Ask::get(what, qemu(node, vmid, &["agent", "exec-status"])).at(node).used_up();
        self.read(ask.form(Form::new().with("pid", pid)), exec_state).await
    }
}

#[async_trait]
impl GuestAgent for Proxmox {
    async fn ping(&self, node: &NodeName, vmid: Vmid) -> Result<(), AgentError> {
        let ask = Ask::post(format!("ping the agent of {vmid} on {node}"), qemu(node, vmid, &["agent", "ping"]));
        let data = self.transport.send(ask.at(node).harmless()).await.map_err(sort)?;
        result(&data).map(drop)
    }

    async fn interfaces(&self, node: &NodeName, vmid: Vmid) -> Result<Vec<Interface>, AgentError> {
        let path = qemu(node, vmid, &["agent", "network-get-interfaces"]);
        let ask = Ask::get(format!("ask the agent of {vmid} on {node} for its addresses"), path);
        interfaces(&self.transport.send(ask.at(node)).await.map_err(sort)?)
    }

    async fn exec(
        &self,
        node: &NodeName,
        vmid: Vmid,
        command: &[String],
        within: Duration,
    ) -> Result<ExecOutput, AgentError> {
        let started = self.clock.monotonic();
        let pid = self.start_exec(node, vmid, command).await?;
        let mut wait = FIRST;
        let mut lost: Option<SiteError> = None;
        loop {
            match self.exec_status(node, vmid, pid).await {
                Ok(ExecState::Ended(output)) => return Ok(output),
                Ok(ExecState::Running) => lost = None,
                Err(error) => match (sort(error), lost.take()) {
                    // The answer that told its end was the one that got lost.
                    (AgentError::Refused(_), Some(lost)) => return Err(AgentError::Site(lost)),
                    (AgentError::Site(error), _) if error.effect_unknown() || error.is_retryable() => {
                        lost = Some(error);
                    }
                    (AgentError::Silent(_), before) => lost = before,
                    (error, _) => return Err(error),
                },
            }
            let left = within.saturating_sub(self.clock.monotonic().saturating_sub(started));
            if left.is_zero() {
                return match lost {
                    Some(error) => Err(AgentError::Site(error)),
                    None => Ok(ExecOutput {
                        code: None,
                        stdout: String::new(),
                        stderr: format!("still running after {} s, as process {pid}\n", within.as_secs()),
                        timed_out: true,
                    }),
                };
            }
            self.clock.sleep(wait.min(left)).await;
            wait = (wait * 3 / 2).min(LONGEST);
        }
    }
}
