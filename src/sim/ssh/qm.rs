//! `qm` as it runs on a node: words in, output and exit code out, in Proxmox's own format. Every
//! call first costs the node what starting Perl costs, and runs as root@pam without the daemon.

use serde_json::{Map, Value, json};

use super::{Exit, Said};
use crate::sim::{
    WorldHandle,
    api::{Answer, Params, Request},
};

/// Modelled milliseconds between two looks at something that runs.
const SECOND: u64 = 1000;
/// Seconds `qm guest exec` waits unless told otherwise.
const EXEC_TIMEOUT: u64 = 30;

/// A `qm` call under way on one node.
pub(super) struct Qm<'a> {
    pub(super) handle: &'a WorldHandle,
    pub(super) node: &'a str,
}

impl Qm<'_> {
    /// Runs `qm` with these arguments.
    pub(super) async fn run(&self, args: &[String], stdin: &[u8]) -> Said {
        self.handle.burn(self.node).await;
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["list"] => self.list(),
            ["guest", "cmd", id, command] => {
                let params = json!({ "command": command });
                let answer = self.call("POST", &format!("{id}/agent"), params).await;
                printed_result(&answer, "qm guest cmd <vmid> <command>")
            }
            ["guest", "exec", id, rest @ ..] => self.exec(id, rest, stdin).await,
            ["guest", ..] => usage("qm guest cmd <vmid> <command>\nqm guest exec <vmid> [<extra-args>] [OPTIONS]"),
            ["config", id] => self.config(id).await,
            ["status", id] => {
                let answer = self.call("GET", &format!("{id}/status/current"), json!({})).await;
                match answer.value().and_then(|data| data.get("status")).and_then(Value::as_str) {
                    Some(status) => Said::out(format!("status: {status}\n")),
                    None => complaint(&answer, "qm status <vmid> [OPTIONS]"),
                }
            }
            ["unlock", id] => self.unlock(id).await,
            [verb @ ("start" | "stop" | "shutdown" | "reboot" | "reset" | "suspend" | "resume"), id, options @ ..] => {
                let path = format!("{id}/status/{verb}");
                self.task("POST", &path, options, &format!("qm {verb} <vmid> [OPTIONS]")).await
            }
            ["destroy", id, options @ ..] => self.task("DELETE", id, options, "qm destroy <vmid> [OPTIONS]").await,
            ["set", id, options @ ..] => {
                self.task("PUT", &format!("{id}/config"), options, "qm set <vmid> [OPTIONS]").await
            }
            [] => usage("ERROR: no command specified\nqm <COMMAND> [ARGS] [OPTIONS]"),
            [other, ..] => usage(&format!("ERROR: unknown command 'qm {other}'\nqm <COMMAND> [ARGS] [OPTIONS]")),
        }
    }

    async fn call(&self, method: &str, path: &str, params: Value) -> Answer {
        let Value::Object(params) = params else { return self.call_with(method, path, Params::new()).await };
        self.call_with(method, path, params).await
    }

    async fn call_with(&self, method: &str, path: &str, params: Params) -> Answer {
        let path = format!("/nodes/{}/qemu/{path}", self.node);
        self.handle.call(Request::shell(self.node, method, &path, params)).await
    }

    fn list(&self) -> Said {
        let mut text = format!(
            "{:>10} {:<20} {:<10} {:<10} {:>12} {:<10}\n",
            "VMID", "NAME", "STATUS", "MEM(MB)", "BOOTDISK(GB)", "PID"
        );
        self.handle.world(|world| {
            for vm in world.guests.values().filter(|vm| vm.node == self.node) {
                let memory = crate::sim::world::Vm::memory(&vm.config) >> 20;
                let disk = crate::sim::world::Vm::disk_size(&vm.config) as f64 / f64::from(1 << 30);
                let (status, pid) = vm.run.as_ref().map_or(("stopped", 0), |run| ("running", run.pid));
                text.push_str(&format!(
                    "{:>10} {:<20} {status:<10} {memory:<10} {disk:>12.2} {pid:<10}\n",
                    vm.vmid,
                    vm.name()
                ));
            }
        });
        Said::out(text)
    }

    async fn config(&self, id: &str) -> Said {
        let answer = self.call("GET", &format!("{id}/config"), json!({})).await;
        let Some(Value::Object(config)) = answer.value() else {
            return complaint(&answer, "qm config <vmid> [OPTIONS]");
        };
        let mut lines: Vec<_> = config
            .iter()
            .filter(|(key, _)| *key != "digest")
            .map(|(key, value)| format!("{key}: {}\n", plain(value)))
            .collect();
        lines.sort();
        Said::out(lines.concat())
    }

    async fn unlock(&self, id: &str) -> Said {
        let answer = self.call("GET", &format!("{id}/config"), json!({})).await;
        if answer.value().is_none() {
            return complaint(&answer, "qm unlock <vmid>");
        }
        if let Ok(vmid) = id.parse() {
            self.handle.world(|world| world.set_lock(vmid, None));
        }
        Said::default()
    }

    async fn exec(&self, id: &str, rest: &[&str], stdin: &[u8]) -> Said {
        let (mut timeout, mut pass_stdin, mut command) = (EXEC_TIMEOUT, false, Vec::new());
        let mut rest = rest.iter();
        while let Some(word) = rest.next() {
            match *word {
                "--" => {
                    command.extend(rest.by_ref().copied());
                }
                "--timeout" | "-timeout" => timeout = rest.next().and_then(|n| n.parse().ok()).unwrap_or(EXEC_TIMEOUT),
                "--pass-stdin" | "-pass-stdin" => pass_stdin = rest.next() == Some(&"1"),
                "--synchronous" | "-synchronous" if rest.next() == Some(&"0") => timeout = 0,
                "--synchronous" | "-synchronous" => {}
                word => command.push(word),
            }
        }
        let mut params = json!({ "command": command });
        if pass_stdin {
            params["input-data"] = json!(String::from_utf8_lossy(stdin));
        }
        let started = self.call("POST", &format!("{id}/agent/exec"), params).await;
        let Some(pid) = started.value().and_then(|data| data.get("pid")).cloned() else {
            return complaint(&started, "qm guest exec <vmid> [<extra-args>] [OPTIONS]");
        };
        for second in 0..=timeout {
            let answer = self.call("GET", &format!("{id}/agent/exec-status"), json!({ "pid": pid })).await;
            match answer.value() {
                None => return complaint(&answer, ""),
                Some(data) if data.get("exited").is_some_and(|exited| plain(exited) == "1") => {
                    return Said::out(format!("{}\n", pretty(data, 0)));
                }
                Some(_) if second < timeout => self.handle.sleep(SECOND).await,
                Some(_) => {}
            }
        }
        let late = if timeout > 0 { "timeout reached, returning pid\n" } else { "" };
        Said { err: late.into(), ..Said::out(format!("{}\n", pretty(&json!({ "pid": pid }), 0))) }
    }

    /// A call that starts a task, which then runs in the foreground.
    async fn task(&self, method: &str, path: &str, options: &[&str], help: &str) -> Said {
        let mut params = Map::new();
        let mut options = options.iter().peekable();
        while let Some(option) = options.next() {
            let Some(name) = option.strip_prefix("--").or_else(|| option.strip_prefix('-')) else {
                return usage(&format!("400 too many arguments\n{help}"));
            };
            // An option alone is a switch.
            let value = options.next_if(|next| !next.starts_with('-')).copied().unwrap_or("1");
            params.insert(name.to_owned(), json!(value));
        }
        let answer = self.call_with(method, path, params).await;
        let upid = match answer.value() {
            Some(Value::String(upid)) if upid.starts_with("UPID:") => upid.clone(),
            Some(_) => return Said::default(),
            None => return complaint(&answer, help),
        };
        loop {
            let end = self.handle.world(|world| world.task(&upid).and_then(|task| task.end.clone()));
            match end {
                Some((_, status)) if status == "OK" || status.starts_with("WARNINGS") => return Said::default(),
                Some((_, status)) => return Said::err(255, format!("{status}\n")),
                None => self.handle.sleep(SECOND / 10).await,
            }
        }
    }
}

fn usage(text: &str) -> Said {
    Said::err(255, format!("{text}\n"))
}

/// What an agent command returned, as `qm guest cmd` prints it: nothing for nothing.
fn printed_result(answer: &Answer, help: &str) -> Said {
    let Some(data) = answer.value() else { return complaint(answer, help) };
    match data.get("result").unwrap_or(data) {
        Value::Null => Said::default(),
        Value::Object(map) if map.is_empty() => Said::default(),
        result @ (Value::Object(_) | Value::Array(_)) => Said::out(format!("{}\n", pretty(result, 0))),
        result => Said::out(format!("{}\n", plain(result))),
    }
}

/// A refusal as Perl dies of it: the words on stderr, and an exit code that depends on what the
/// system happened to complain about last.
fn complaint(answer: &Answer, help: &str) -> Said {
    let words = answer.words();
    let code = match words.as_str() {
        text if text.contains("is not running") && text.starts_with("VM ") => 2,
        text if text.starts_with("Configuration file ") => 2,
        text if text.starts_with("Agent error: Failed to execute") => 29,
        _ => 255,
    };
    let mut err = String::new();
    if !words.is_ascii() {
        err.push_str("Wide character in die at /usr/share/perl5/PVE/RESTHandler.pm line 1131.\n");
    }
    err.push_str(&words);
    err.push('\n');
    if words.starts_with("400 ") && !help.is_empty() {
        err.push_str(&format!("{help}\n"));
    }
    Said { err: err.into_bytes(), exit: Exit::Code(code), ..Said::default() }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// JSON as Perl's `JSON` prints it, pretty and canonical.
fn pretty(value: &Value, depth: usize) -> String {
    let (inner, outer) = ("   ".repeat(depth + 1), "   ".repeat(depth));
    match value {
        Value::Object(map) if !map.is_empty() => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_by(|a, b| a.0.cmp(b.0));
            let lines: Vec<_> = keys
                .into_iter()
                .map(|(key, value)| format!("{inner}{} : {}", json!(key), pretty(value, depth + 1)))
                .collect();
            format!("{{\n{}\n{outer}}}", lines.join(",\n"))
        }
        Value::Array(items) if !items.is_empty() => {
            let lines: Vec<_> = items.iter().map(|item| format!("{inner}{}", pretty(item, depth + 1))).collect();
            format!("[\n{}\n{outer}]", lines.join(",\n"))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_looks_as_perl_prints_it() {
        let value = json!({ "exitcode": 3, "exited": 1, "out-data": "out\n", "err": [] });
        let text = "{\n   \"err\" : [],\n   \"exitcode\" : 3,\n   \"exited\" : 1,\n   \"out-data\" : \"out\\n\"\n}";
        assert_eq!(pretty(&value, 0), text);
        assert_eq!(pretty(&json!([{ "name": "lo" }]), 0), "[\n   {\n      \"name\" : \"lo\"\n   }\n]");
    }
}
