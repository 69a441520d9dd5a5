//! The Proxmox VE API over HTTPS, behind the cluster and guest-agent ports.
//!
//! One request a call, with an API token or a user's ticket. It knows nothing of labs: what to ask for is decided
//! elsewhere. It never repeats a request that may have changed something, and never skips a certificate check.

mod agent;
mod ask;
mod cluster;
mod decode;
mod encode;
mod error;
mod fields;
#[cfg(test)]
mod fuzz;
mod guest;
mod http;
mod inspect;
pub mod known;
mod last;
mod login;
#[cfg(test)]
mod recordings;
mod scalar;
mod trust;
mod view;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use serde_json::Value;
use thiserror::Error;
use tokio::sync::OnceCell;

pub use self::login::Credentials;
pub use self::trust::{Trust, parse_fingerprint, show_fingerprint};
use self::{ask::Ask, encode::path, http::Transport, last::Last};
use crate::{
    domain::{Clean, NodeName},
    port::{Clock, SiteError},
};

/// What a client needs to know of a site.
#[derive(Clone)]
pub struct Connection {
    /// The site's name, for errors.
    pub site: String,
    /// Base addresses such as `https://pve1:8006`, tried in turn.
    pub endpoints: Vec<String>,
    /// A node's own address: what concerns the node is asked there first, which spares its peers the forwarding.
    pub node_api: BTreeMap<NodeName, String>,
    pub trust: Trust,
    pub credentials: Credentials,
    pub limits: Limits,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("site", &self.site)
            .field("endpoints", &self.endpoints)
            .field("node_api", &self.node_api)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

/// How long to wait and how much to take, in wall time: sockets do not live in the modelled world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For a whole request. Proxmox itself gives up after 30 s between its nodes.
    pub request: Duration,
    /// How long an unused connection is kept; Proxmox closes it after 5 s.
    pub idle: Duration,
    /// Bytes of an answer, unpacked.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            request: Duration::from_secs(40),
            idle: Duration::from_secs(3),
            body: 16 << 20,
        }
    }
}

/// Why no client could be made. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectionError {
    #[error("no API address; set `api`, such as [\"https://pve1:8006\"]")]
    NoEndpoint,
    #[error("the API address {address:?} {why}; write it like \"https://pve1:8006\"")]
    Endpoint { address: String, why: String },
    #[error("no fingerprint to pin; give one, or a CA file, or leave `fingerprints` out to trust the system's roots")]
    NoFingerprint,
    #[error("the CA file cannot be used: {0}")]
    CaFile(String),
    #[error("the system's certificate authorities cannot be used: {0}; install ca-certificates, or pin a fingerprint")]
    Roots(String),
    #[error("the token id {0:?} must look like user@realm!name")]
    TokenId(String),
    #[error("the token's secret is empty or holds characters no token has; check where it comes from")]
    TokenSecret,
    #[error("the user {0:?} must look like name@realm, such as \"admin@pam\"")]
    User(String),
    #[error("the password is empty; check where it comes from")]
    Password,
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// A client for one site. Cheap calls share connections; clone the `Arc` around it, not it.
pub struct Proxmox {
    transport: Transport,
    clock: Arc<dyn Clock>,
    version: OnceCell<Clean>,
    last: Last,
}

impl fmt::Debug for Proxmox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxmox").field(&self.transport.site()).finish()
    }
}

impl Proxmox {
    /// Checks the settings; connects to nothing yet.
    pub fn new(connection: Connection, clock: Arc<dyn Clock>) -> Result<Self, ConnectionError> {
        Ok(Self {
            transport: Transport::new(connection, clock.clone())?,
            clock,
            version: OnceCell::new(),
            last: Last::default(),
        })
    }

    /// Proxmox's version, such as `9.2.11`; asked once.
    pub async fn version(&self) -> Result<Clean, SiteError> {
        let ask = || Ask::get(format!("version of {}", self.transport.site()), path(&["version"]));
        self.version.get_or_try_init(|| self.read(ask(), decode::version)).await.cloned()
    }

    /// How many listings of the cluster were read so far; one that says what the last one said is not.
    pub fn listings_read(&self) -> u64 {
        self.last.read()
    }

    /// Asks, and reads the answer's data.
    async fn read<T>(&self, ask: Ask, decode: impl FnOnce(&Value) -> Result<T, String>) -> Result<T, SiteError> {
        let what = ask.what.clone();
        let data = self.transport.send(ask).await?;
        decode(&data).map_err(|why| SiteError::Malformed { what, why: Clean::new(why) })
    }

    /// Asks for what answers without data.
    async fn done(&self, ask: Ask) -> Result<(), SiteError> {
        self.transport.send(ask).await.map(drop)
    }
}
