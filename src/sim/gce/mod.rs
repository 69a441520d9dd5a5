//! A simulated Compute Engine project: compute v1, DNS v1, a metadata server and token endpoints over HTTP on the
//! loopback, and the instances themselves, each at a loopback address of its own with SSH and its proxy's port.
//!
//! What is modelled: zones, machine types, Container-Optimized OS's image families; instances with everything that
//! takes time, operations with a long `wait`, request ids, fingerprints, pages and filters, quota by region,
//! exhausted zones, preemption with its notice, the end of `maxRunDuration`, guest attributes, the serial port,
//! firewall rules that keep out whom they do not let in, disks that stay, tokens that end, which permissions the caller
//! has. What is not: everything nobody here asks for, IAM beyond a permission that is withheld, and what runs inside a container: `docker`, `curl`, `cat`, `tail`
//! and `tee` on an instance print what homeroom asks them for, and the proxy's port answers `/health`. It shares no
//! code with the backend.

mod answer;
mod catalogue;
mod check;
mod command;
mod dns;
mod doors;
mod due;
mod face;
mod firewalls;
mod inside;
mod instances;
mod list;
mod metadata;
mod operations;
mod reach;
mod route;
mod shape;
mod world;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

pub use answer::{Answer, Body, Outcome, detailed, error};
pub use command::Said;
pub use inside::{Container, Inside};
pub use reach::Shut;
pub use world::{Disk, Fate, Fault, FaultKind, Instance, Ms, Operation, Physics, Request, World, Zone};

use super::{SimClock, SimError};

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Options {
    pub project: String,
    /// How many times faster than real time.
    pub speed: f64,
    /// Where the API listens: an address of the loopback.
    pub listen: SocketAddr,
}

/// A simulated project that runs.
pub struct Project {
    endpoint: String,
    ssh_port: u16,
    handle: Handle,
    tasks: Vec<JoinHandle<()>>,
}

/// A cloneable way to one simulated project.
#[derive(Clone)]
pub struct Handle {
    world: Arc<Mutex<World>>,
    clock: SimClock,
    changed: Arc<watch::Sender<u64>>,
}

/// Starts a simulated project.
///
/// # Errors
/// When there is no port to be had.
pub async fn start(options: Options) -> Result<Project, SimError> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let epoch = i64::try_from(since.as_secs()).unwrap_or(0);
    let listener = face::bind(options.listen).await?;
    let bound = listener.local_addr().map_err(|source| SimError::Listen { address: options.listen, source })?;
    let (network, ssh_port) = free_network(bound).await?;
    let world = World::new(&options.project, epoch, network);
    let handle = Handle {
        world: Arc::new(Mutex::new(world)),
        clock: SimClock::new(options.speed),
        changed: Arc::new(watch::channel(0).0),
    };
    let tasks = vec![
        tokio::spawn(face::serve(listener, handle.clone())),
        tokio::spawn(handle.clone().drive()),
        tokio::spawn(doors::keep(handle.clone(), ssh_port)),
    ];
    Ok(Project { endpoint: format!("http://{bound}"), ssh_port, handle, tasks })
}

/// A network of the loopback that no other simulated project has, and a port for SSH at its addresses. The API's own
/// port is the process's alone, so what is made of it is too.
async fn free_network(bound: SocketAddr) -> Result<([u8; 3], u16), SimError> {
    let [high, low] = bound.port().to_be_bytes();
    let network = [127, high.clamp(1, 254), low];
    let address = SocketAddr::from((Ipv4Addr::new(127, network[1], network[2], 1), 0));
    let probe = TcpListener::bind(address).await.map_err(|source| SimError::Listen { address, source })?;
    let port = probe.local_addr().map_err(|source| SimError::Listen { address, source })?.port();
    Ok((network, port))
}

impl Project {
    /// `http://127.0.0.1:PORT`, where compute, DNS, metadata and tokens answer.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The port of SSH at every instance's address.
    pub fn ssh_port(&self) -> u16 {
        self.ssh_port
    }

    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Looks at the project, or changes it behind the API's back.
    pub fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        self.handle.world(look)
    }

    /// Ends everything.
    pub async fn shutdown(self) {
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

impl Handle {
    /// Looks at the project, or changes it.
    pub fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, calls) = (world.next_wake(), world.calls.len());
        world.advance(self.clock.now());
        let found = look(&mut world);
        let moved = world.next_wake() != before || world.calls.len() != calls;
        drop(world);
        if moved {
            self.changed.send_modify(|version| *version += 1);
        }
        found
    }

    /// Told of every change.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Waits modelled time.
    pub(super) async fn pause(&self, modelled: Duration) {
        let ms = u64::try_from(modelled.as_millis()).unwrap_or(u64::MAX);
        tokio::time::sleep(self.clock.wall(ms)).await;
    }

    /// An operation as it stands when it is done, or at `latest`.
    async fn done(&self, name: &str, latest: Ms) -> Answer {
        let mut changed = self.watch();
        loop {
            let (body, over) = self.world(|world| {
                let operation = world.operations.get(name);
                let body = operation.map(|operation| operation.body.clone()).unwrap_or_default();
                (body, operation.is_none_or(|operation| operation.done) || world.now() >= latest)
            });
            if over {
                return Answer::json(body);
            }
            tokio::select! {
                ended = changed.changed() => if ended.is_err() { return Answer::json(body) },
                () = tokio::time::sleep_until(tokio::time::Instant::from_std(self.clock.at(latest))) => {}
            }
        }
    }

    /// Lets things happen when they are due, for ever.
    async fn drive(self) {
        let mut changed = self.watch();
        loop {
            let next = {
                let world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
                world.next_wake()
            };
            match next {
                Some(at) => {
                    let until = tokio::time::Instant::from_std(self.clock.at(at));
                    tokio::select! {
                        () = tokio::time::sleep_until(until) => self.world(|_| ()),
                        ended = changed.changed() => if ended.is_err() { return },
                    }
                }
                None => {
                    if changed.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
