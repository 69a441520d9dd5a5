//! sim: a simulated Proxmox VE cluster that speaks the real protocols. It shares no code with the
//! backends: a mistake made twice would hide.
//!
//! `world` is the state and its laws, `api` the calls on it, `guest` what lives inside the guests;
//! all three are pure. `http` and `ssh` are the faces they show, `handle` drives them by the clock.

pub mod api;
pub mod clock;
pub mod gce;
pub mod guest;
pub mod handle;
pub mod http;
pub mod scenario;
pub mod ssh;
pub mod world;

use std::{net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, task::JoinHandle};

pub use clock::SimClock;
pub use handle::WorldHandle;
pub use scenario::Scenario;
pub use world::{Fault, FaultKind, World};

/// What to simulate and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster.
    pub scenario: Scenario,
    /// How many times faster than real time.
    pub speed: f64,
    /// Where the first node listens; the others take free ports of the same address.
    pub listen: SocketAddr,
    /// What chance is drawn from.
    pub seed: u64,
}

/// Why there is no simulation.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The scenario file cannot be read.
    #[error("cannot read the scenario {file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The scenario is not what it should be.
    #[error("the scenario {file} is wrong: {what}")]
    Scenario {
        /// The file.
        file: String,
        /// Where and why, in the reader's words.
        what: String,
    },
    /// The scenario contradicts itself.
    #[error("the scenario is wrong: {0}")]
    World(String),
    /// No port to listen on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// No certificate.
    #[error("cannot make a certificate: {0}")]
    Certificate(String),
}

/// Where a node can be reached.
#[derive(Clone, Debug)]
pub struct NodeFace {
    /// The node's name.
    pub name: String,
    /// `https://127.0.0.1:PORT`
    pub api: String,
    /// Its SSH server, when there is one.
    pub ssh: Option<SocketAddr>,
    /// The public half of its SSH host key: `ssh-ed25519 BASE64 COMMENT`.
    pub host_key: String,
}

/// A simulated cluster that runs.
pub struct Cluster {
    nodes: Vec<NodeFace>,
    fingerprint: String,
    certificate: String,
    token: (String, String),
    monitor: (String, String),
    root: ssh::Pair,
    handle: WorldHandle,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts a simulated cluster.
///
/// # Errors
/// When the scenario is wrong, or there is no port or certificate to be had.
pub async fn start(options: Options) -> Result<Cluster, SimError> {
    let epoch = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0));
    let mut world = World::build(&options.scenario, options.seed, epoch)?;
    let identity = http::Identity::new()?;
    world.fingerprint.clone_from(&identity.fingerprint);
    let secret = |id: &Option<String>| {
        let who = world::Who::parse(id.as_deref().unwrap_or_default());
        let user = world.access.users.get(&who.user);
        let token = user.and_then(|user| user.tokens.get(who.token.as_deref().unwrap_or_default()));
        (who.id(), token.map(|token| token.secret.clone()).unwrap_or_default())
    };
    let (token, monitor) = (secret(&options.scenario.token), secret(&options.scenario.monitor_token));
    let names: Vec<String> = options.scenario.nodes.iter().map(|node| node.name.clone()).collect();
    let handle = WorldHandle::new(world, SimClock::new(options.speed));
    let mut tasks = vec![tokio::spawn(handle.clone().drive())];
    let mut nodes = Vec::new();
    let root = ssh::pair(&world::fault::digest(options.seed, &["root-key"]), "root@sim");
    let land = ssh::Land::new(handle.clone());
    for (at, name) in names.into_iter().enumerate() {
        let mut address = options.listen;
        if at > 0 {
            address.set_port(0);
        }
        let (bound, task) = http::listen(address, &name, &identity, handle.clone()).await?;
        tasks.push(task);
        let keys = ssh::NodeKeys {
            host: world::fault::digest(options.seed, &["node-host-key", &name]),
            root: vec![root.public.clone()],
        };
        address.set_port(0);
        let listener = TcpListener::bind(address).await.map_err(|source| SimError::Listen { address, source })?;
        let ssh = listener.local_addr().map_err(|source| SimError::Listen { address, source })?;
        let host_key = ssh::pair(&keys.host, &format!("root@{name}")).public;
        tasks.push(tokio::spawn(ssh::serve(listener, name.clone(), keys, Arc::clone(&land))));
        nodes.push(NodeFace { name, api: format!("https://{bound}"), ssh: Some(ssh), host_key });
    }
    Ok(Cluster {
        nodes,
        fingerprint: identity.fingerprint,
        certificate: identity.pem,
        token,
        monitor,
        root,
        handle,
        tasks,
    })
}

impl Cluster {
    /// The nodes, in the scenario's order.
    pub fn nodes(&self) -> &[NodeFace] {
        &self.nodes
    }

    /// The first node's API: `https://127.0.0.1:PORT`.
    pub fn api(&self) -> &str {
        self.nodes.first().map_or("", |node| node.api.as_str())
    }

    /// SHA-256 of the certificate, upper-case hex with colons, as Proxmox prints it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The certificate in PEM, for clients that take a CA file.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The full token: id and secret.
    pub fn token(&self) -> (&str, &str) {
        (&self.token.0, &self.token.1)
    }

    /// The read-only token: id and secret.
    pub fn monitor_token(&self) -> (&str, &str) {
        (&self.monitor.0, &self.monitor.1)
    }

    /// The key pair that lets root into every node by SSH.
    pub fn ssh_key(&self) -> &ssh::Pair {
        &self.root
    }

    /// The world behind the faces.
    pub fn handle(&self) -> &WorldHandle {
        &self.handle
    }

    /// Looks at the world, or changes it behind the API's back.
    pub fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        self.handle.world(look)
    }

    /// Makes something go wrong from now on.
    pub fn inject(&self, fault: Fault) {
        self.world(|world| world.inject(fault));
    }

    /// Modelled milliseconds since the start.
    pub fn now(&self) -> world::Ms {
        self.handle.now()
    }

    /// Ends everything: ports close, connections break.
    pub async fn shutdown(self) {
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks {
            let _ = task.await;
        }
    }
}
