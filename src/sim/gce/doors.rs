//! What instances listen on: SSH, and the port of the proxy, each at the instance's own address of the loopback.
//!
//! A connection that no firewall rule lets in is taken and never answered: the nearest a listening socket comes
//! to a packet that is dropped.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

use super::{Handle, command, inside};
use crate::sim::{
    guest::{self, Session},
    ssh::{self, Behind, Door, Exit, Place, Said},
};

/// A start of an instance, and the port it is reached at.
type Key = (u64, u64, u16);

/// Opens and closes doors as instances come and go.
pub(super) async fn keep(handle: Handle, ssh_port: u16) {
    let mut open: BTreeMap<Key, AbortHandle> = BTreeMap::new();
    let mut changed = handle.watch();
    loop {
        let wanted: BTreeMap<Key, Ipv4Addr> = handle.world(|world| {
            let running = world.instances.values().filter(|it| it.status == "RUNNING" && it.inside.ssh);
            running
                .flat_map(|it| {
                    let ports = [Some(ssh_port), inside::proxy_port(it)];
                    ports.into_iter().flatten().filter_map(|port| Some(((it.id, it.run, port), it.address?)))
                })
                .collect()
        });
        open.retain(|key, task| {
            let stays = wanted.contains_key(key);
            if !stays {
                task.abort();
            }
            stays
        });
        for (key, address) in wanted {
            if open.contains_key(&key) {
                continue;
            }
            let at = SocketAddr::new(IpAddr::V4(address), key.2);
            // An address that cannot be had is one nobody answers at.
            if let Ok(listener) = TcpListener::bind(at).await {
                let task = tokio::spawn(door(listener, handle.clone(), key, key.2 == ssh_port));
                open.insert(key, task.abort_handle());
            }
        }
        if changed.changed().await.is_err() {
            return;
        }
    }
}

async fn door(listener: TcpListener, handle: Handle, (id, run, port): Key, is_ssh: bool) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let lets_in = handle.world(|world| world.instances.get(&id).is_some_and(|it| world.admits(it, port)));
        let handle = handle.clone();
        connections.spawn(async move {
            match (lets_in, is_ssh) {
                (false, _) => dropped(stream).await,
                (true, true) => login(stream, handle, id, run).await,
                (true, false) => proxied(stream, &handle, id, port).await,
            }
        });
    }
}

async fn dropped(mut stream: TcpStream) {
    let mut ignored = [0; 256];
    while matches!(stream.read(&mut ignored).await, Ok(read) if read > 0) {}
}

/// HTTP at the proxy's port, one request a connection.
async fn proxied(mut stream: TcpStream, handle: &Handle, id: u64, port: u16) {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < 16 * 1024 {
        match stream.read(&mut piece).await {
            Ok(read) if read > 0 => head.extend_from_slice(piece.get(..read).unwrap_or_default()),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
    let said = handle.world(|world| world.instances.get(&id).and_then(|it| inside::asked(it, port, &path)));
    // Nobody listens: the connection is closed, as the kernel refuses it.
    let Some((status, text)) = said else { return };
    let length = text.len();
    let answer = format!(
        "HTTP/1.1 {status} Simulated\r\nServer: Caddy\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn login(stream: TcpStream, handle: Handle, id: u64, run: u64) {
    let seen = handle.world(|world| world.instances.get(&id).map(|it| (it.host_key, it.inside.users.clone())));
    let Some((host_key, users)) = seen else { return };
    let door = Door { vmid: 0, run, listening: true, host_key, users };
    ssh::serve_guest(stream, door, Arc::new(Land { handle, id })).await;
}

/// One instance, behind its SSH server.
struct Land {
    handle: Handle,
    id: u64,
}

#[async_trait]
impl Behind for Land {
    fn on_node(self: Arc<Self>, user: &str) -> Box<dyn Place> {
        Box::new(Shell { handle: self.handle.clone(), id: self.id, session: Session::new(user) })
    }

    fn guest_at(&self, _: Ipv4Addr) -> Option<Door> {
        None
    }

    fn in_guest(self: Arc<Self>, _: &Door, user: &str) -> Box<dyn Place> {
        Box::new(Shell { handle: self.handle.clone(), id: self.id, session: Session::new(user) })
    }

    async fn gone(&self, door: &Door) {
        let mut changed = self.handle.watch();
        loop {
            let there = self.handle.world(|world| {
                world.instances.get(&self.id).is_some_and(|it| it.run == door.run && it.status == "RUNNING")
            });
            if !there || changed.changed().await.is_err() {
                return;
            }
        }
    }

    async fn pause(&self, modelled: Duration) {
        self.handle.pause(modelled).await;
    }
}

/// A shell on an instance.
struct Shell {
    handle: Handle,
    id: u64,
    session: Session,
}

#[async_trait]
impl Place for Shell {
    fn greeting(&self) -> String {
        "Container-Optimized OS, simulated: docker, curl, cat, tail and tee do what homeroom asks of them.\n".to_owned()
    }

    fn prompt(&self) -> String {
        let name = self.handle.world(|world| world.instances.get(&self.id).map(|it| it.name.clone()));
        format!("{}@{} ~ $ ", self.session.user, name.unwrap_or_default())
    }

    async fn run(&mut self, line: &str, stdin: &[u8]) -> Said {
        let (id, session) = (self.id, &mut self.session);
        let said = self.handle.world(|world| command::run(world, id, session, line, stdin).unwrap_or_default());
        shown(said)
    }

    fn left(&self) -> Option<u32> {
        self.session.left.and_then(|code| u32::try_from(code).ok())
    }

    async fn pause(&self, modelled: Duration) {
        self.handle.pause(modelled).await;
    }

    fn enter(&self, name: &str) -> Option<Result<Box<dyn Place>, Said>> {
        let entered = self.handle.world(|world| world.instances.get_mut(&self.id)?.inside.enters(name))?;
        Some(match entered {
            Ok(()) => {
                let (handle, id, name) = (self.handle.clone(), self.id, name.to_owned());
                Ok(Box::new(Contained { handle, id, name, session: Session::new("root") }))
            }
            Err(said) => Err(shown(said)),
        })
    }

    fn inside(&mut self, look: &mut dyn FnMut(&mut guest::Inside, &Session)) -> bool {
        let (id, session) = (self.id, &mut self.session);
        self.handle.world(|world| match world.instances.get_mut(&id) {
            Some(instance) => {
                command::on_host(instance, session, |host, session| look(host, session));
                true
            }
            None => false,
        })
    }
}

fn shown(said: command::Said) -> Said {
    Said { out: said.out, err: said.err, exit: Exit::Code(said.code) }
}

/// Root's shell in a container of an instance.
struct Contained {
    handle: Handle,
    id: u64,
    name: String,
    session: Session,
}

#[async_trait]
impl Place for Contained {
    fn greeting(&self) -> String {
        String::new()
    }

    fn prompt(&self) -> String {
        let seat = self.name.find("-seat-").and_then(|at| self.name.get(at + 1..)).unwrap_or(&self.name);
        format!("root@{seat}:{}# ", self.session.folder)
    }

    async fn run(&mut self, line: &str, stdin: &[u8]) -> Said {
        let (id, name, session) = (self.id, self.name.as_str(), &mut self.session);
        let said = self.handle.world(|world| {
            let inside = &mut world.instances.get_mut(&id)?.inside;
            inside.in_container(name, session, line, stdin)
        });
        match said {
            Some(said) => shown(said),
            // It has ended: no answer, until the connection ends.
            None => std::future::pending().await,
        }
    }

    fn left(&self) -> Option<u32> {
        self.session.left.and_then(|code| u32::try_from(code).ok())
    }

    async fn pause(&self, modelled: Duration) {
        self.handle.pause(modelled).await;
    }
}
