//! The simulated cluster behind the SSH servers: nodes with `qm`, guests with their shells.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    Behind, Console, Door, Exit, Place, Said, Welcome,
    pct::Pct,
    qm::Qm,
    script::{Join, pieces, words},
};
use crate::sim::{
    FaultKind, WorldHandle,
    guest::{self, Inside, Output, Session},
};

/// How often it is looked whether a guest or a node is still there: modelled, but not less than
/// this on the wall's clock.
const LOOK: u64 = 1000;
const LEAST: Duration = Duration::from_millis(50);

/// Bytes after which a connection that is to break in mid-stream breaks: the login is through.
const MID_STREAM: u64 = 4000;

/// The kernel of a node.
const KERNEL: &str = "6.17.2-1-pve";
const BUILD: &str = "#1 SMP PREEMPT_DYNAMIC PMX 6.17.2-1 (2026-07-14T09:11Z)";

/// A running world as the SSH servers see it.
pub struct Land {
    handle: WorldHandle,
}

impl Land {
    pub fn new(handle: WorldHandle) -> Arc<Self> {
        Arc::new(Self { handle })
    }

    /// What a fault for `SSH /nodes/NODE/ssh` or `SSH /nodes/NODE/qemu/VMID/ssh` does to a new
    /// connection: `stall`, `cut` (at once), `truncate` (in mid-stream).
    fn struck(&self, path: &str, subjects: &[String]) -> Welcome {
        let struck = self.handle.world(|world| world.faults.strike(world.seed, "SSH", path, subjects));
        struck.first().map_or(Welcome::Serve, |fault| match fault {
            FaultKind::Stall => Welcome::Stall,
            FaultKind::Truncate => Welcome::CutAfter(MID_STREAM),
            _ => Welcome::Refuse,
        })
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
        if !self.handle.world(|world| world.online(node)) {
            return Welcome::Stall;
        }
        self.struck(&format!("/nodes/{node}/ssh"), &[node.to_owned()])
    }

    fn guest_welcome(&self, door: &Door) -> Welcome {
        let Some(facts) = self.handle.guest(door.vmid) else { return Welcome::Refuse };
        let path = format!("/nodes/{}/qemu/{}/ssh", facts.node, door.vmid);
        self.struck(&path, &[door.vmid.to_string(), facts.hostname])
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

pub(super) async fn pause(handle: &WorldHandle, modelled: Duration) {
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

    fn told(&mut self, name: &str, value: &str) {
        self.session.vars.insert(name.to_owned(), value.to_owned());
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

    fn inside(&mut self, look: &mut dyn FnMut(&mut Inside, &Session)) -> bool {
        let (vmid, session) = (self.vmid, &self.session);
        self.handle.world(|world| {
            let inside = world.guests.get_mut(&vmid).filter(|vm| vm.run.is_some()).and_then(|vm| vm.inside.as_mut());
            inside.map(|inside| look(inside, session)).is_some()
        })
    }
}

/// A guest's serial port.
struct Serial {
    handle: WorldHandle,
    vmid: u32,
    /// Which of the guest's runs.
    run: u64,
}

impl Console for Serial {
    fn issue(&self) -> (String, String) {
        let found = self.handle.world(|world| {
            let inside = world.guests.get(&self.vmid)?.inside.as_ref()?;
            Some((inside.system().pretty.to_owned(), inside.hostname.clone()))
        });
        found.unwrap_or_else(|| ("Linux".to_owned(), "localhost".to_owned()))
    }

    fn login(&self, user: &str, password: &str) -> Option<Box<dyn Place>> {
        let good = self.handle.world(|world| {
            let known = world.guests.get(&self.vmid)?.inside.as_ref()?.users.get(user)?.password.clone();
            Some(known.is_some_and(|known| known == password))
        });
        let place = GuestPlace { handle: self.handle.clone(), vmid: self.vmid, session: Session::new(user) };
        (good == Some(true)).then(|| Box::new(place) as Box<dyn Place>)
    }

    fn is_there(&self) -> bool {
        self.handle.world(|world| world.guests.get(&self.vmid)?.run.as_ref().map(|run| run.id)) == Some(self.run)
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
        format!("Linux {} {KERNEL} {BUILD} x86_64\n", self.node)
    }

    fn prompt(&self) -> String {
        prompt(&self.session, &self.node)
    }

    async fn run(&mut self, line: &str, stdin: &[u8]) -> Said {
        let mut all = Said::default();
        let mut input = stdin.to_vec();
        let mut skip = false;
        for (piece, join) in pieces(line) {
            if skip {
                skip = matches!(join, Join::And | Join::Or | Join::Pipe);
                continue;
            }
            let mut said = self.one(piece, &input).await;
            all.err.append(&mut said.err);
            all.exit = said.exit;
            input = match join {
                Join::Pipe => said.out,
                _ => {
                    all.out.append(&mut said.out);
                    stdin.to_vec()
                }
            };
            skip = match join {
                Join::And => said.exit.status() != 0,
                Join::Or => said.exit.status() == 0,
                Join::Then | Join::Pipe => false,
            };
            if self.session.left.is_some() {
                break;
            }
        }
        all
    }

    fn left(&self) -> Option<u32> {
        left(&self.session)
    }

    async fn pause(&self, modelled: Duration) {
        pause(&self.handle, modelled).await;
    }

    fn enter(&self, vmid: &str) -> Option<Result<Box<dyn Place>, Said>> {
        let entered = Pct { handle: &self.handle, node: &self.node }.enter(vmid);
        Some(entered.map(|place| Box::new(place) as Box<dyn Place>))
    }

    fn console(&self, vmid: &str) -> Option<Result<Box<dyn Console>, Said>> {
        Some(self.serial(vmid).map(|serial| Box::new(serial) as Box<dyn Console>))
    }
}

impl NodePlace {
    /// Runs one simple command.
    async fn one(&mut self, line: &str, stdin: &[u8]) -> Said {
        let args = words(line);
        match args.split_first() {
            Some((program, args)) if program == "qm" || program == "/usr/sbin/qm" => {
                Qm { handle: &self.handle, node: &self.node }.run(args, stdin).await
            }
            Some((program, args)) if program == "pct" || program == "/usr/sbin/pct" => {
                Pct { handle: &self.handle, node: &self.node }.run(args, stdin).await
            }
            Some((program, [])) if program == "pveversion" => {
                self.handle.burn(&self.node).await;
                let version = self.handle.world(|world| world.version.clone());
                Said::out(format!("pve-manager/{version}/14a22df35955d97d (running kernel: {KERNEL})\n"))
            }
            Some((program, args)) if program == "pgrep" => self.pgrep(args),
            _ => {
                let (unix, now) = self.handle.world(|world| (world.unix(), world.now()));
                (self.session.unix, self.session.uptime) = (unix, now);
                let output = guest::line(&mut self.inside, &mut self.session, line, stdin);
                let mut said = said(&self.handle, output).await;
                if args.first().is_some_and(|program| program == "uname") {
                    let system = self.inside.system();
                    let text = String::from_utf8_lossy(&said.out).replace(system.kernel, KERNEL);
                    said.out = text.replace(system.build, BUILD).into_bytes();
                }
                said
            }
        }
    }
}

impl NodePlace {
    /// What `qm terminal` finds: the first serial port that is a socket, of a guest that runs here.
    fn serial(&self, id: &str) -> Result<Serial, Said> {
        let Ok(vmid) = id.parse::<u32>() else {
            let help = "qm terminal <vmid> [OPTIONS]";
            return Err(Said::err(
                255,
                format!(
                    "400 Parameter verification failed.\nvmid: type check ('integer') failed - got '{id}'\n{help}\n"
                ),
            ));
        };
        let found = self.handle.world(|world| {
            let vm = world.guests.get(&vmid).filter(|vm| vm.node == self.node)?;
            let socket = vm.run.as_ref().map_or(&vm.config, |run| &run.config).get("serial0").map(String::as_str);
            Some((socket == Some("socket"), vm.run.as_ref().map(|run| run.id)))
        });
        match found {
            None => Err(Said::err(
                2,
                format!("Configuration file 'nodes/{}/qemu-server/{vmid}.conf' does not exist\n", self.node),
            )),
            Some((false, _)) => Err(Said::err(255, "unable to find a serial interface\n")),
            Some((true, None)) => Err(Said::err(255, format!("VM {vmid} not running\n"))),
            Some((true, Some(run))) => Ok(Serial { handle: self.handle.clone(), vmid, run }),
        }
    }

    /// `pgrep -f PATTERN`: the copies at work on this node whose command line holds the pattern. Of regular
    /// expressions only one-letter brackets are known, which people write so as not to find themselves.
    fn pgrep(&self, args: &[String]) -> Said {
        let [flag, pattern] = args else {
            return Said::err(2, "pgrep: only one pattern can be provided\n");
        };
        if flag != "-f" {
            return Said::err(2, format!("pgrep: invalid option -- '{}'\n", flag.trim_start_matches('-')));
        }
        let text = pattern.replace(['[', ']'], "");
        let found = self.handle.world(|world| world.copies(&self.node).filter(|line| line.contains(&text)).count());
        if found == 0 {
            return Said { exit: Exit::Code(1), ..Said::default() };
        }
        Said::out((0..found).map(|n| format!("{}\n", 4000 + n)).collect::<String>())
    }
}

pub(super) fn prompt(session: &Session, host: &str) -> String {
    let home = session.vars.get("HOME").map_or("", String::as_str);
    let folder = match session.folder.strip_prefix(home) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("~{rest}"),
        _ => session.folder.clone(),
    };
    format!("{}@{host}:{folder}{} ", session.user, if session.user == "root" { '#' } else { '$' })
}

pub(super) fn left(session: &Session) -> Option<u32> {
    session.left.map(|code| u32::try_from(code & 0xff).unwrap_or(0))
}

/// Takes the time a program takes, then tells what it said, in the login shell's words.
pub(super) async fn said(handle: &WorldHandle, output: Output) -> Said {
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
