//! The simulated cluster behind the SSH servers: nodes with `qm`, guests with their shells.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    Behind, Door, Exit, Place, Said, Welcome,
    qm::{Qm, words},
};
use crate::sim::{
    WorldHandle,
    guest::{self, Inside, Output, Session},
};

/// How often it is looked whether a guest or a node is still there: modelled, but not less than
/// this on the wall's clock.
const LOOK: u64 = 1000;
const LEAST: Duration = Duration::from_millis(50);

/// A running world as the SSH servers see it.
pub struct Land {
    handle: WorldHandle,
}

impl Land {
    pub fn new(handle: WorldHandle) -> Arc<Self> {
        Arc::new(Self { handle })
    }

    async fn until(&self, mut over: impl FnMut(&mut crate::sim::World) -> bool) {
        while !self.handle.world(&mut over) {
            tokio::time::sleep(self.handle.clock().wall(LOOK).max(LEAST)).await;
        }
    }
}

#[async_trait]
impl Behind for Land {
    fn welcome(&self, node: &str) -> Welcome {
        // A dead node does not even refuse.
        if self.handle.world(|world| world.online(node)) { Welcome::Serve } else { Welcome::Stall }
    }

    fn on_node(self: Arc<Self>, node: &str) -> Box<dyn Place> {
        let mut inside = Inside::new("debian-12", [0; 32], [0; 32]);
        inside.hostname = node.to_owned();
        Box::new(NodePlace {
            handle: self.handle.clone(),
            node: node.to_owned(),
            inside,
            session: Session::new("root"),
        })
    }

    fn guest_at(&self, address: Ipv4Addr) -> Option<Door> {
        let facts = self.handle.guest_at(address)?;
        let run = self.handle.world(|world| Some(world.guests.get(&facts.vmid)?.run.as_ref()?.id))?;
        Some(Door {
            vmid: facts.vmid,
            run,
            listening: facts.listening,
            host_key: facts.host_key_seed,
            users: facts.users.into_iter().map(|user| (user.name, user.keys)).collect(),
        })
    }

    fn in_guest(self: Arc<Self>, door: &Door, user: &str) -> Box<dyn Place> {
        Box::new(GuestPlace { handle: self.handle.clone(), vmid: door.vmid, session: Session::new(user) })
    }

    async fn gone(&self, door: &Door) {
        self.until(|world| {
            let vm = world.guests.get(&door.vmid);
            let runs = vm.and_then(|vm| Some((vm.run.as_ref()?.id, vm.node.clone())));
            !runs.is_some_and(|(run, node)| run == door.run && world.online(&node))
        })
        .await;
    }

    async fn down(&self, node: &str) {
        self.until(|world| !world.online(node)).await;
    }

    async fn pause(&self, modelled: Duration) {
        pause(&self.handle, modelled).await;
    }
}

async fn pause(handle: &WorldHandle, modelled: Duration) {
    handle.sleep(u64::try_from(modelled.as_millis()).unwrap_or(u64::MAX)).await;
}

/// A user's shell in a guest.
struct GuestPlace {
    handle: WorldHandle,
    vmid: u32,
    session: Session,
}

#[async_trait]
impl Place for GuestPlace {
    fn greeting(&self) -> String {
        let facts = self.handle.world(|world| {
            let inside = world.guests.get(&self.vmid)?.inside.as_ref()?;
            Some((inside.system(), inside.hostname.clone()))
        });
        match facts {
            Some((system, _)) if system.id == "ubuntu" => {
                format!("Welcome to {} (GNU/Linux {} x86_64)\n\n", system.pretty, system.kernel)
            }
            Some((system, host)) => format!(
                "Linux {host} {} {} x86_64\n\nThe programs included with the Debian GNU/Linux system are free software.\n",
                system.kernel, system.build
            ),
            None => String::new(),
        }
    }

    fn prompt(&self) -> String {
        let host = self.handle.guest(self.vmid).map_or_else(|| "localhost".to_owned(), |facts| facts.hostname);
        prompt(&self.session, &host)
    }

    async fn run(&mut self, line: &str, stdin: &[u8]) -> Said {
        match self.handle.shell(self.vmid, &mut self.session, line, stdin) {
            Some(output) => said(&self.handle, output).await,
            // It hangs, or is going down: no answer, until the connection ends.
            None => std::future::pending().await,
        }
    }

    fn left(&self) -> Option<u32> {
        left(&self.session)
    }

    async fn pause(&self, modelled: Duration) {
        pause(&self.handle, modelled).await;
    }
}

/// Root's shell on a node.
struct NodePlace {
    handle: WorldHandle,
    node: String,
    inside: Inside,
    session: Session,
}

#[async_trait]
impl Place for NodePlace {
    fn greeting(&self) -> String {
        format!("Linux {} 6.17.2-1-pve #1 SMP PREEMPT_DYNAMIC x86_64\n", self.node)
    }

    fn prompt(&self) -> String {
        prompt(&self.session, &self.node)
    }

    async fn run(&mut self, line: &str, stdin: &[u8]) -> Said {
        let args = words(line);
        match args.split_first() {
            Some((program, args)) if program == "qm" => {
                Qm { handle: &self.handle, node: &self.node }.run(args, stdin).await
            }
            Some((program, [])) if program == "pveversion" => {
                self.handle.burn(&self.node).await;
                let version = self.handle.world(|world| world.version.clone());
                Said::out(format!("pve-manager/{version}/14a22df35955d97d (running kernel: 6.17.2-1-pve)\n"))
            }
            _ => {
                let (unix, now) = self.handle.world(|world| (world.unix(), world.now()));
                (self.session.unix, self.session.uptime) = (unix, now);
                let output = guest::line(&mut self.inside, &mut self.session, line, stdin);
                said(&self.handle, output).await
            }
        }
    }

    fn left(&self) -> Option<u32> {
        left(&self.session)
    }

    async fn pause(&self, modelled: Duration) {
        pause(&self.handle, modelled).await;
    }
}

fn prompt(session: &Session, host: &str) -> String {
    let home = session.vars.get("HOME").map_or("", String::as_str);
    let folder = match session.folder.strip_prefix(home) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("~{rest}"),
        _ => session.folder.clone(),
    };
    format!("{}@{host}:{folder}{} ", session.user, if session.user == "root" { '#' } else { '$' })
}

fn left(session: &Session) -> Option<u32> {
    session.left.map(|code| u32::try_from(code & 0xff).unwrap_or(0))
}

/// Takes the time a program takes, then tells what it said, in the login shell's words.
async fn said(handle: &WorldHandle, output: Output) -> Said {
    if output.takes > 0 {
        handle.sleep(output.takes).await;
    }
    let exit = match output.exit {
        guest::Exit::Code(code) => Exit::Code(u32::try_from(code & 0xff).unwrap_or(0)),
        guest::Exit::Signal(signal) => Exit::Signal(u32::try_from(signal).unwrap_or(0)),
    };
    Said { out: output.out, err: in_bash(output.err), exit }
}

/// What `sh` complains of, as the users' shell words it.
fn in_bash(err: Vec<u8>) -> Vec<u8> {
    if !err.starts_with(b"sh: 1: ") {
        return err;
    }
    let text = String::from_utf8_lossy(&err);
    let lines = text.lines().map(|line| match line.strip_prefix("sh: 1: ") {
        Some(rest) => match rest.strip_suffix(": not found") {
            Some(program) => format!("bash: line 1: {program}: command not found\n"),
            None => format!("bash: line 1: {rest}\n"),
        },
        None => format!("{line}\n"),
    });
    lines.collect::<String>().into_bytes()
}
