//! The SSH face of the simulated cluster: a server per node, and behind `direct-tcpip` a server per
//! running guest. Speaks the real protocol; what commands do is asked of a [`Behind`].
//!
//! It has its own accept loop, so that connections can stall and break off.

mod channel;
mod console;
mod guest;
mod htop;
mod keys;
mod land;
mod line;
mod node;
mod pct;
mod programs;
mod qm;
mod script;
mod sftp;
mod stdin;
mod terminal;

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};

pub use keys::{Pair, pair};
pub use land::Land;

/// What a command said and how it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    pub out: Vec<u8>,
    pub err: Vec<u8>,
    pub exit: Exit,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(u32),
    /// By a signal's number.
    Signal(u32),
}

impl Default for Exit {
    fn default() -> Self {
        Self::Code(0)
    }
}

impl Exit {
    /// As `$?` shows it.
    pub fn status(self) -> u32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

impl Said {
    /// Words on standard output, and success.
    pub fn out(text: impl Into<Vec<u8>>) -> Self {
        Self { out: text.into(), ..Self::default() }
    }

    /// Words on standard error, and a code.
    pub fn err(code: u32, text: impl Into<Vec<u8>>) -> Self {
        Self { err: text.into(), exit: Exit::Code(code), ..Self::default() }
    }
}

/// Where somebody is logged in: a shell of one user on one machine.
#[async_trait]
pub trait Place: Send + Sync {
    /// What is shown at an interactive login.
    fn greeting(&self) -> String;
    fn prompt(&self) -> String;
    /// Runs a line as the login shell does; takes as long as it takes. Dropped when interrupted.
    async fn run(&mut self, line: &str, stdin: &[u8]) -> Said;
    /// A variable of the login: the name of its terminal, or what the client sent along and is let through.
    fn told(&mut self, _name: &str, _value: &str) {}
    /// The code given to `exit`, once it was.
    fn left(&self) -> Option<u32>;
    /// Lets modelled time pass.
    async fn pause(&self, modelled: Duration);
    /// The serial port of a guest by number, or what `qm terminal` says instead; none where there is no `qm`.
    fn console(&self, _vmid: &str) -> Option<Result<Box<dyn Console>, Said>> {
        None
    }
    /// Root's shell in a container by number, or what `pct enter` says instead; none where there is no `pct`.
    fn enter(&self, _vmid: &str) -> Option<Result<Box<dyn Place>, Said>> {
        None
    }
    /// Looks at the inside of a guest as its user does, for SFTP; false where there is no such thing.
    fn inside(&mut self, _look: &mut dyn FnMut(&mut crate::sim::guest::Inside, &crate::sim::guest::Session)) -> bool {
        false
    }
}

/// A guest's serial port.
pub trait Console: Send + Sync {
    /// What stands above the question for a name, and the host's name.
    fn issue(&self) -> (String, String);
    /// A shell, for the right name and password.
    fn login(&self, user: &str, password: &str) -> Option<Box<dyn Place>>;
    /// Is the guest still running?
    fn is_there(&self) -> bool;
}

/// A guest as seen from the network.
#[derive(Debug, Clone)]
pub struct Door {
    pub vmid: u32,
    /// Which of the guest's runs: another start is another door.
    pub run: u64,
    /// Is anything listening on port 22?
    pub listening: bool,
    /// The seed of its Ed25519 host key.
    pub host_key: [u8; 32],
    /// Who may log in, with the lines of `authorized_keys`.
    pub users: Vec<(String, Vec<String>)>,
}

/// How a new connection to a node is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Welcome {
    Serve,
    /// Accepted, and then nothing.
    Stall,
    /// Closed after this many bytes of the server's own.
    CutAfter(u64),
    /// Closed at once.
    Refuse,
}

/// The cluster behind the servers.
#[async_trait]
pub trait Behind: Send + Sync + 'static {
    fn welcome(&self, _node: &str) -> Welcome {
        Welcome::Serve
    }
    /// Root's shell on a node.
    fn on_node(self: Arc<Self>, node: &str) -> Box<dyn Place>;
    /// The running guest with this address, if it has one yet.
    fn guest_at(&self, address: Ipv4Addr) -> Option<Door>;
    /// How a new connection to a guest is treated.
    fn guest_welcome(&self, _door: &Door) -> Welcome {
        Welcome::Serve
    }
    /// A user's shell in a guest.
    fn in_guest(self: Arc<Self>, door: &Door, user: &str) -> Box<dyn Place>;
    /// Waits until this run of the guest has ended.
    async fn gone(&self, door: &Door);
    /// Waits until the node has failed.
    async fn down(&self, _node: &str) {
        std::future::pending().await
    }
    /// Lets modelled time pass.
    async fn pause(&self, modelled: Duration);
}

/// The keys of one node's server.
#[derive(Debug, Clone)]
pub struct NodeKeys {
    /// The seed of the host key.
    pub host: [u8; 32],
    /// Lines of root's `authorized_keys`.
    pub root: Vec<String>,
}

/// Serves one connection to a machine's own SSH server, until either side ends or the machine does.
pub async fn serve_guest<S, B>(stream: S, door: Door, behind: Arc<B>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Behind,
{
    guest::serve(stream, door, Welcome::Serve, behind).await;
}

/// Serves a node's SSH on `listener` until the task is dropped or aborted.
pub async fn serve<B: Behind>(listener: TcpListener, node: String, keys: NodeKeys, behind: Arc<B>) {
    let config = keys::config(&keys.host);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely; others have to finish first.
            tokio::task::yield_now().await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let handler = node::Handler::new(node.clone(), keys.root.clone(), Arc::clone(&behind));
        let (config, welcome) = (Arc::clone(&config), behind.welcome(&node));
        let (behind, node) = (Arc::clone(&behind), node.clone());
        tokio::spawn(async move {
            // A node that fails takes its connections along.
            tokio::select! {
                () = welcomed(welcome, config, stream, handler) => {}
                () = behind.down(&node) => {}
            }
        });
    }
}

async fn welcomed<S, H>(welcome: Welcome, config: Arc<russh::server::Config>, stream: S, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: russh::server::Handler + Send + 'static,
{
    match welcome {
        Welcome::Serve => session(config, stream, handler, u64::MAX).await,
        Welcome::CutAfter(bytes) => session(config, stream, handler, bytes).await,
        Welcome::Refuse => drop(stream),
        Welcome::Stall => stall(stream).await,
    }
}

/// Serves one connection; `most` bytes of the server's reach the client. Dropping the future cuts
/// the connection: the server itself runs as a task of its own, and only a pipe ends here.
async fn session<S, H>(config: Arc<russh::server::Config>, stream: S, handler: H, most: u64)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: russh::server::Handler + Send + 'static,
{
    let (near, far) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        if let Ok(running) = russh::server::run_stream(config, far, handler).await {
            let _ = running.await;
        }
    });
    let (mut from_client, mut to_client) = tokio::io::split(stream);
    let (from_server, mut to_server) = tokio::io::split(near);
    let inwards = async {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
        std::future::pending::<()>().await;
    };
    let mut from_server = from_server.take(most);
    tokio::select! {
        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
        () = inwards => {}
    }
    let _ = to_client.shutdown().await;
}

async fn stall(mut stream: impl AsyncRead + Unpin) {
    let mut ignored = [0; 1024];
    while matches!(stream.read(&mut ignored).await, Ok(n) if n > 0) {}
}
