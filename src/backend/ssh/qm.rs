//! The guest agent's questions, put to `qm` on the guest's node: it costs the node half a second of
//! CPU a call and none of its API workers.
//!
//! `qm`'s exit codes differ with the error and its stderr may begin with Perl's warnings, so the
//! words decide. `qm guest exec` ends with 0 whatever the guest's program did.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use serde_json::Value;

use super::Ssh;
use crate::{
    domain::{Clean, NodeName, Vmid, sh::quoted},
    port::{
        GuestAgent, Mend, SiteError,
        agent::{AgentError, ExecOutput, Interface},
        shell::ShellTarget,
    },
};

/// The longest a `qm` call may take beyond what it was told to wait, its turn in the queue of its
/// node included; wall time.
const PATIENCE: Duration = Duration::from_secs(120);

/// The longest the removal of a guest may take: a storage under load is waited for; wall time.
const REMOVAL: Duration = Duration::from_secs(600);

/// How a node is logged into; `None` for one nobody configured.
type Nodes = dyn Fn(&NodeName) -> Option<ShellTarget> + Send + Sync;

/// The guest agent by way of node SSH.
pub struct Qm {
    ssh: Ssh,
    nodes: Box<Nodes>,
}

impl fmt::Debug for Qm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Qm").finish_non_exhaustive()
    }
}

impl Qm {
    /// `nodes` tells how to log into a node as root.
    pub fn new(ssh: Ssh, nodes: impl Fn(&NodeName) -> Option<ShellTarget> + Send + Sync + 'static) -> Self {
        Self { ssh, nodes: Box::new(nodes) }
    }

    /// The version of Proxmox VE on a node, such as `9.2.11`: also the proof that it can be asked.
    pub async fn version(&self, node: &NodeName) -> Result<Clean, AgentError> {
        let said = self.run(node, "pveversion", PATIENCE).await?;
        let version = said.stdout.split('/').nth(1).filter(|_| said.stdout.starts_with("pve-manager/"));
        version.map(Clean::new).ok_or_else(|| {
            let words = if said.stdout.is_empty() { said.stderr } else { said.stdout };
            AgentError::Node(Clean::new(format!("pveversion on {node}: {words}")))
        })
    }

    async fn run(&self, node: &NodeName, command: &str, within: Duration) -> Result<ExecOutput, AgentError> {
        let target = (self.nodes)(node).ok_or_else(|| {
            AgentError::Node(Clean::new(format!("no SSH address is known for {node}; set nodes.{node}.ssh")))
        })?;
        Ok(self.ssh.run_on_node(&target, command, within).await?)
    }

    /// Runs a `qm` command about a guest; its complaint becomes the error.
    async fn ask(
        &self,
        node: &NodeName,
        vmid: Vmid,
        command: &str,
        within: Duration,
    ) -> Result<ExecOutput, AgentError> {
        let said = self.run(node, command, within).await?;
        if said.code == Some(0) { Ok(said) } else { Err(sort(node, vmid, &said)) }
    }
}

#[async_trait]
impl GuestAgent for Qm {
    async fn ping(&self, node: &NodeName, vmid: Vmid) -> Result<(), AgentError> {
        self.ask(node, vmid, &format!("qm guest cmd {vmid} ping"), PATIENCE).await.map(drop)
    }

    async fn interfaces(&self, node: &NodeName, vmid: Vmid) -> Result<Vec<Interface>, AgentError> {
        let command = format!("qm guest cmd {vmid} network-get-interfaces");
        let said = self.ask(node, vmid, &command, PATIENCE).await?;
        interfaces(&said.stdout).map_err(|why| malformed(format!("read the network cards of {vmid} on {node}"), &why))
    }

    async fn exec(
        &self,
        node: &NodeName,
        vmid: Vmid,
        command: &[String],
        within: Duration,
    ) -> Result<ExecOutput, AgentError> {
        let seconds = within.as_secs_f64().ceil().max(1.0);
        let words: Vec<_> = command.iter().map(|word| quote(word)).collect();
        let command = format!("qm guest exec {vmid} --timeout {seconds} -- {}", words.join(" "));
        let said = self.ask(node, vmid, &command, within.saturating_add(PATIENCE)).await?;
        executed(&said.stdout, within).map_err(|why| malformed(format!("run a command in {vmid} on {node}"), &why))
    }
}

#[async_trait]
impl Mend for Qm {
    async fn is_copying(&self, node: &NodeName, vmid: Vmid) -> Result<bool, AgentError> {
        // The brackets keep the pattern from finding the shell that carries it.
        let said = self.run(node, &format!("pgrep -f 'vm-{vmid}-dis[k]'"), PATIENCE).await?;
        match said.code {
            Some(0) => Ok(true),
            Some(1) if said.stderr.trim().is_empty() => Ok(false),
            _ => Err(AgentError::Node(Clean::new(format!("pgrep on {node}: {}", said.stderr.trim())))),
        }
    }

    async fn remove_locked(&self, node: &NodeName, vmid: Vmid) -> Result<(), AgentError> {
        self.ask(node, vmid, &format!("qm destroy {vmid} --skiplock 1 --purge 1"), REMOVAL).await.map(drop)
    }
}

fn malformed(what: String, why: &str) -> AgentError {
    AgentError::Site(SiteError::Malformed { what, why: Clean::new(why) })
}

/// What `qm`'s complaint means.
fn sort(node: &NodeName, vmid: Vmid, said: &ExecOutput) -> AgentError {
    let lines: Vec<&str> = said.stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let find = |wanted: &dyn Fn(&str) -> bool| lines.iter().copied().find(|line| wanted(line));
    if find(&|line| line.contains("No QEMU guest agent configured")).is_some() {
        return AgentError::NotConfigured;
    }
    let what = format!("qm on {node} about {vmid}");
    // Before the agent's own time-outs, which end in the same words.
    if let Some(words) = find(&|line| line.contains("can't lock file") && line.contains("got timeout")) {
        return AgentError::Site(SiteError::Locked { what, words: Clean::new(words) });
    }
    if let Some(line) = find(&|l| l.contains("QEMU guest agent is not running") || l.contains("got timeout")) {
        return AgentError::Silent(Clean::new(line));
    }
    if find(&|line| line.starts_with(&format!("VM {vmid} is not running"))).is_some() {
        return AgentError::NotRunning;
    }
    if let Some(words) = find(&|line| line.starts_with("Agent error: ")) {
        return AgentError::Refused(Clean::new(words.trim_start_matches("Agent error: ")));
    }
    if let Some(words) = find(&|l| l.starts_with("Configuration file ") && l.ends_with("does not exist")) {
        return AgentError::Site(SiteError::Missing { what, words: Clean::new(words) });
    }
    let words = match said.code {
        Some(127) => "there is no qm; is it a Proxmox VE node?".to_owned(),
        None => "qm was killed".to_owned(),
        // What is not a warning of Perl's own comes last.
        Some(code) => lines
            .iter()
            .rev()
            .find(|line| !line.starts_with("perl: warning") && !line.contains(" at /usr/share/perl5/"))
            .map_or_else(|| format!("exit code {code}, and no reason given"), ToString::to_string),
    };
    AgentError::Node(Clean::new(format!("{what}: {words}")))
}

/// Reads what `network-get-interfaces` prints.
fn interfaces(printed: &str) -> Result<Vec<Interface>, String> {
    let cards: Value = serde_json::from_str(printed).map_err(|e| e.to_string())?;
    let cards = cards.as_array().ok_or("it is no list of network cards")?;
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    Ok(cards
        .iter()
        .filter_map(|card| {
            let addresses = card.get("ip-addresses").and_then(Value::as_array);
            Some(Interface {
                name: Clean::new(text(card, "name")?),
                mac: text(card, "hardware-address").map(|mac| mac.to_ascii_lowercase()),
                addresses: addresses
                    .into_iter()
                    .flatten()
                    // A link-local address may carry its card after a percent sign.
                    .filter_map(|address| text(address, "ip-address")?.split('%').next()?.parse().ok())
                    .collect(),
            })
        })
        .collect())
}

/// Reads what `qm guest exec` prints.
fn executed(printed: &str, within: Duration) -> Result<ExecOutput, String> {
    let value: Value = serde_json::from_str(printed).map_err(|e| e.to_string())?;
    let number = |key: &str| match value.get(key)? {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    };
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(bytes_read_right).unwrap_or_default();
    if number("exited") != Some(1) {
        // On its own time-out qm prints the process's number and leaves it running.
        let pid = number("pid").ok_or("it tells neither an end nor a process")?;
        let stderr = format!("still running after {} s, as process {pid}\n", within.as_secs());
        return Ok(ExecOutput { code: None, stdout: String::new(), stderr, timed_out: true });
    }
    let code = number("exitcode").and_then(|code| i32::try_from(code).ok());
    Ok(ExecOutput { code, stdout: text("out-data"), stderr: text("err-data"), timed_out: false })
}

/// Proxmox hands a guest's bytes on as if each were a character; this reads them as UTF-8 again.
fn bytes_read_right(text: &str) -> String {
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| text.to_owned())
}

/// A word as a POSIX shell takes it literally.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:=@_".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    quoted(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: i32, stderr: &str) -> ExecOutput {
        ExecOutput { code: Some(code), stdout: String::new(), stderr: stderr.to_owned(), timed_out: false }
    }

    fn sorted(code: i32, stderr: &str) -> AgentError {
        sort(&NodeName::new("pve1"), Vmid::new(201).unwrap(), &said(code, stderr))
    }

    #[test]
    fn complaints_are_told_apart_by_their_words() {
        assert_eq!(sorted(2, "VM 201 is not running\n"), AgentError::NotRunning);
        assert_eq!(sorted(255, "No QEMU guest agent configured\n"), AgentError::NotConfigured);
        assert!(matches!(sorted(255, "QEMU guest agent is not running\n"), AgentError::Silent(_)));
        let busy = "can't lock file '/var/lock/qemu-server/lock-201.conf' - got timeout\n";
        assert!(matches!(sorted(255, busy), AgentError::Site(SiteError::Locked { .. })));
        assert!(matches!(sorted(255, "VM 201 qmp command 'guest-ping' failed - got timeout\n"), AgentError::Silent(_)));
        let missing = "Configuration file 'nodes/pve1/qemu-server/201.conf' does not exist\n";
        assert!(matches!(sorted(2, missing), AgentError::Site(SiteError::Missing { .. })));
        assert!(matches!(sorted(127, "bash: line 1: qm: command not found\n"), AgentError::Node(_)));
    }

    #[test]
    fn warnings_before_the_complaint_do_not_hide_it() {
        let stderr = "Wide character in die at /usr/share/perl5/PVE/RESTHandler.pm line 1131.\n\
                      Agent error: Failed to execute child process “/no/such/binary” (No such file or directory)\n";
        let AgentError::Refused(words) = sorted(29, stderr) else { panic!() };
        assert_eq!(words.as_str(), "Failed to execute child process “/no/such/binary” (No such file or directory)");
        let stderr = "perl: warning: Setting locale failed.\nsomething odd\n";
        let AgentError::Node(words) = sorted(255, stderr) else { panic!() };
        assert_eq!(words.as_str(), "qm on pve1 about 201: something odd");
    }

    #[test]
    fn what_a_command_came_to_is_read_whether_it_ended_or_not() {
        let within = Duration::from_secs(2);
        let printed = r#"{ "err-data" : "err\n", "exitcode" : 3, "exited" : 1, "out-data" : "out\n" }"#;
        let done = executed(printed, within).unwrap();
        assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (Some(3), "out\n", "err\n"));
        let done = executed(r#"{ "exited" : 1, "signal" : 9 }"#, within).unwrap();
        assert_eq!(done.code, None);
        let done = executed(r#"{ "pid" : 383 }"#, within).unwrap();
        assert_eq!(done.stderr, "still running after 2 s, as process 383\n");
        let done =
            executed("{ \"exited\" : 1, \"exitcode\" : 0, \"out-data\" : \"na\u{c3}\u{af}f\" }", within).unwrap();
        assert_eq!(done.stdout, "naïf");
    }

    #[test]
    fn cards_are_read_with_their_addresses() {
        let printed = r#"[ { "hardware-address" : "BC:24:11:32:0C:1B", "name" : "ens18", "ip-addresses" : [
            { "ip-address" : "10.99.0.201", "ip-address-type" : "ipv4", "prefix" : 24 },
            { "ip-address" : "fe80::1%ens18", "ip-address-type" : "ipv6", "prefix" : 64 } ] }, { "name" : "lo" } ]"#;
        let cards = interfaces(printed).unwrap();
        assert_eq!(cards[0].mac.as_deref(), Some("bc:24:11:32:0c:1b"));
        assert_eq!(cards[0].addresses.len(), 2);
        assert_eq!((cards[1].name.as_str(), cards[1].mac.as_deref()), ("lo", None));
    }

    #[test]
    fn words_are_quoted_so_that_no_shell_reads_anything_into_them() {
        assert_eq!(quote("uname"), "uname");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("echo $HOME; it's"), r"'echo $HOME; it'\''s'");
    }
}
