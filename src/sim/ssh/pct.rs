//! `pct` as it runs on a node: the containers of that node, and a way into those that run.

use std::time::Duration;

use async_trait::async_trait;

use super::{
    Exit, Place, Said,
    land::{left, pause, prompt, said},
};
use crate::sim::{WorldHandle, guest::Session};

/// A `pct` call under way on one node.
pub(super) struct Pct<'a> {
    pub(super) handle: &'a WorldHandle,
    pub(super) node: &'a str,
}

impl Pct<'_> {
    /// Runs `pct` with these arguments.
    pub(super) async fn run(&self, args: &[String], stdin: &[u8]) -> Said {
        self.handle.burn(self.node).await;
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["list"] => self.list(),
            ["status", id] => match self.number(id) {
                Ok((_, runs)) => Said::out(format!("status: {}\n", if runs { "running" } else { "stopped" })),
                Err(said) => said,
            },
            ["config", id] => match self.number(id) {
                Ok((vmid, _)) => self.config(vmid),
                Err(said) => said,
            },
            ["exec", id, rest @ ..] => self.exec(id, rest, stdin).await,
            ["enter", id] => match self.number(id) {
                Ok((_, true)) => Said::err(1, "lxc-attach: the terminal is missing\n"),
                Ok((vmid, false)) => not_running(vmid),
                Err(said) => said,
            },
            [] => Said::err(255, "ERROR: no command specified\npct <COMMAND> [ARGS] [OPTIONS]\n"),
            [other, ..] => {
                Said::err(255, format!("ERROR: unknown command 'pct {other}'\npct <COMMAND> [ARGS] [OPTIONS]\n"))
            }
        }
    }

    /// A container of this node by its number, and whether it runs.
    pub(super) fn number(&self, id: &str) -> Result<(u32, bool), Said> {
        let Ok(vmid) = id.parse::<u32>() else {
            let text =
                format!("400 Parameter verification failed.\nvmid: type check ('integer') failed - got '{id}'\n");
            return Err(Said::err(255, text));
        };
        let found = self.handle.world(|world| world.container(self.node, vmid).map(|container| container.runs()));
        let missing =
            || Said::err(2, format!("Configuration file 'nodes/{}/lxc/{vmid}.conf' does not exist\n", self.node));
        found.map(|runs| (vmid, runs)).ok_or_else(missing)
    }

    /// Where `pct enter` leads, or what is said instead.
    pub(super) fn enter(&self, id: &str) -> Result<Contained, Said> {
        match self.number(id) {
            Ok((vmid, true)) => Ok(Contained { handle: self.handle.clone(), vmid, session: Session::new("root") }),
            Ok((vmid, false)) => Err(not_running(vmid)),
            Err(said) => Err(said),
        }
    }

    fn list(&self) -> Said {
        let mut text = format!("{:<10} {:<10} {:<12} {:<20}\n", "VMID", "Status", "Lock", "Name");
        self.handle.world(|world| {
            for container in world.containers.values().filter(|container| container.node == self.node) {
                let status = if container.runs() { "running" } else { "stopped" };
                text.push_str(&format!("{:<10} {status:<10} {:<12} {:<20}\n", container.vmid, "", container.name()));
            }
        });
        Said::out(text)
    }

    fn config(&self, vmid: u32) -> Said {
        let lines = self.handle.world(|world| {
            let container = world.containers.get(&vmid);
            container.map(|c| c.config.iter().map(|(key, value)| format!("{key}: {value}\n")).collect::<String>())
        });
        Said::out(lines.unwrap_or_default())
    }

    async fn exec(&self, id: &str, rest: &[&str], stdin: &[u8]) -> Said {
        let command: Vec<String> = match rest.iter().position(|word| *word == "--") {
            Some(at) => rest[at + 1..].iter().map(|word| (*word).to_owned()).collect(),
            None => rest.iter().filter(|word| !word.starts_with('-')).map(|word| (*word).to_owned()).collect(),
        };
        if command.is_empty() {
            return Said::err(255, "missing command\n");
        }
        let vmid = match self.number(id) {
            Ok((vmid, true)) => vmid,
            Ok((vmid, false)) => return not_running(vmid),
            Err(said) => return said,
        };
        let mut session = Session::new("root");
        match self.handle.world(|world| world.container_exec(vmid, &mut session, &command, stdin)) {
            None => not_running(vmid),
            Some(Ok(output)) => said(self.handle, output).await,
            Some(Err(missing)) => Said::err(
                127,
                format!(
                    "lxc-attach: {vmid}: ../src/lxc/attach.c: lxc_attach_run_command: 1841 No such file or directory - \
                     Failed to exec \"{}\"\n",
                    missing.0
                ),
            ),
        }
    }
}

fn not_running(vmid: u32) -> Said {
    Said::err(255, format!("container '{vmid}' not running!\n"))
}

/// Root's shell in a container.
pub(super) struct Contained {
    handle: WorldHandle,
    vmid: u32,
    session: Session,
}

#[async_trait]
impl Place for Contained {
    fn greeting(&self) -> String {
        String::new()
    }

    fn prompt(&self) -> String {
        let host = self.handle.world(|world| world.containers.get(&self.vmid).map(|c| c.inside.hostname.clone()));
        prompt(&self.session, &host.unwrap_or_default())
    }

    async fn run(&mut self, line: &str, stdin: &[u8]) -> Said {
        let (vmid, session) = (self.vmid, &mut self.session);
        match self.handle.world(|world| world.container_line(vmid, session, line, stdin)) {
            Some(output) => said(&self.handle, output).await,
            // It was stopped: whoever is attached goes with it.
            None => Said { exit: Exit::Signal(9), ..Said::default() },
        }
    }

    fn left(&self) -> Option<u32> {
        left(&self.session)
    }

    async fn pause(&self, modelled: Duration) {
        pause(&self.handle, modelled).await;
    }
}
