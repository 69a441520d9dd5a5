//! Connections kept to nodes: one for commands, with four channels at most (more where the node's sshd takes fewer
//! on one), and as many as needed (four opening at once) that carry connections to guests.
//!
//! They differ because opening a connection to a silent guest can take a minute, and nothing else
//! can be opened on the same SSH connection meanwhile.

use std::{
    collections::HashMap,
    fmt,
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tokio::sync::{Mutex as AsyncMutex, Semaphore};

use super::{
    dial::{Dialler, Kept},
    failed,
    lines::{Lines, Place},
    link::{Link, Mishap, Printed, Whither},
    name_of,
};
use crate::{
    domain::Clean,
    port::{
        reach::FarEnd,
        shell::{ShellError, ShellTarget},
    },
};

/// Commands at once on one node.
const CHANNELS: usize = 4;
/// Connections to guests being opened at once through one machine.
const OPENING: usize = 4;

/// The connections kept, by where they lead and how.
#[derive(Debug, Default)]
pub(super) struct Nodes(Mutex<HashMap<String, Arc<Node>>>);

struct Node {
    commands: Lines<Link>,
    /// One login for commands at a time.
    dialling: AsyncMutex<()>,
    channels: Semaphore,
    /// Connections on which a way to a guest can be opened now.
    spare: Mutex<Vec<Link>>,
    opening: Semaphore,
    /// The last login that failed: who waited for it shares its answer.
    failure: Mutex<Option<(Instant, ShellError)>>,
}

impl Nodes {
    fn get(&self, target: &ShellTarget) -> Arc<Node> {
        // A target has no short name: host, user, keys and the way there all matter.
        let key = format!("{target:?}");
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(nodes.entry(key).or_insert_with(|| {
            Arc::new(Node {
                commands: Lines::new(CHANNELS),
                dialling: AsyncMutex::default(),
                channels: Semaphore::new(CHANNELS),
                spare: Mutex::default(),
                opening: Semaphore::new(OPENING),
                failure: Mutex::default(),
            })
        }))
    }
}

impl Dialler {
    /// Runs a command over a connection kept to `target`.
    pub(super) async fn exec_shared(&self, target: &ShellTarget, command: &str) -> Result<Printed, ShellError> {
        let host = name_of(&target.host, target.port);
        let node = self.nodes.get(target);
        let asked = Instant::now();
        let closed =
            |e: tokio::sync::AcquireError| ShellError::Broken { host: host.clone(), why: Clean::new(e.to_string()) };
        let _turn = node.channels.acquire().await.map_err(closed)?;
        loop {
            let place = self.place(&node, target, asked).await?;
            let mut outcome = place.link.exec(command).await;
            if matches!(outcome, Err(Mishap::Refused(_))) {
                // OpenSSH frees the place of a command that has ended only after it read what came with its end:
                // by the time it refuses, that is done.
                outcome = place.link.exec(command).await;
            }
            match outcome {
                Ok(printed) => return Ok(printed),
                Err(Mishap::Unsent(_)) if !place.fresh => place.give_up(),
                Err(Mishap::Refused(_)) if place.refused() => {}
                Err(mishap) => return Err(failed(&host, mishap)),
            }
        }
    }

    /// A place on a connection for commands, made if none has one. One login at a time; those who waited for one
    /// that failed get its answer instead of trying one after another.
    async fn place<'n>(
        &self,
        node: &'n Node,
        target: &ShellTarget,
        asked: Instant,
    ) -> Result<Place<'n, Link>, ShellError> {
        loop {
            if let Some(place) = node.commands.place(Link::is_closed) {
                return Ok(place);
            }
            let one = node.dialling.lock().await;
            if let Some(place) = node.commands.place(Link::is_closed) {
                return Ok(place);
            }
            let recent = node.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let error = match recent.filter(|(at, _)| *at >= asked) {
                Some((_, error)) => error,
                None => match self.dial(target, Kept::Yes).await {
                    Ok(link) => return Ok(node.commands.add(link)),
                    Err(error) => {
                        let failure = Some((Instant::now(), error.clone()));
                        *node.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
                        error
                    }
                },
            };
            drop(one);
            // A machine that lets nobody else in still answers where it let us in.
            node.commands.freed().await.ok_or(error)?;
        }
    }

    /// A connection from `via` to `host`:`port`.
    pub(super) async fn forward(&self, via: &ShellTarget, host: &str, port: u16) -> Result<UnixStream, ShellError> {
        self.forwarded(via, name_of(host, port), &|| Whither::Port(host.to_owned(), port)).await
    }

    /// A connection from `via` to something of its own.
    pub(super) async fn forward_to(&self, via: &ShellTarget, to: &FarEnd) -> Result<UnixStream, ShellError> {
        match to {
            FarEnd::Port(port) => self.forward(via, "127.0.0.1", *port).await,
            FarEnd::Socket(path) => self.forwarded(via, path.clone(), &|| Whither::Socket(path.clone())).await,
        }
    }

    async fn forwarded(
        &self,
        via: &ShellTarget,
        target: String,
        to: &(dyn Fn() -> Whither + Sync),
    ) -> Result<UnixStream, ShellError> {
        let through = name_of(&via.host, via.port);
        let unreachable = |why: Clean| ShellError::Unreachable {
            host: target.clone(),
            why: Clean::new(format!("through {through}: {why}")),
        };
        let node = self.nodes.get(via);
        let _turn = node.opening.acquire().await.map_err(|e| unreachable(Clean::new(e.to_string())))?;
        let mut fresh = false;
        loop {
            let spare = node.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let link = match spare {
                Some(link) if link.is_closed() => continue,
                Some(link) => link,
                None => {
                    fresh = true;
                    self.dial(via, Kept::Yes).await?
                }
            };
            // A connection on which an opening was given up is not put back.
            let outcome = link.forward(to()).await;
            if !matches!(outcome, Err(Mishap::Unsent(_) | Mishap::Lost(_))) {
                node.spare.lock().unwrap_or_else(PoisonError::into_inner).push(link);
            }
            match outcome {
                Ok(stream) => return Ok(stream),
                Err(Mishap::Unsent(_)) if !fresh => {}
                Err(Mishap::Refused(why)) => return Err(unreachable(no_way(&why))),
                Err(Mishap::Unsent(why) | Mishap::Lost(why)) => return Err(unreachable(why)),
                Err(Mishap::TooMuch) => return Err(unreachable(Clean::new("called off"))),
            }
        }
    }
}

/// Why a machine opens no way to another, as far as SSH's own words are known.
fn no_way(why: &Clean) -> Clean {
    let said = why.as_str();
    if said.contains("administratively prohibited") {
        Clean::new("its SSH server lets nobody through (AllowTcpForwarding and PermitOpen in its sshd_config)")
    } else if said.contains("connect failed") {
        Clean::new("it cannot connect there: nobody listens, or that address is out of its reach")
    } else {
        why.clone()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}
