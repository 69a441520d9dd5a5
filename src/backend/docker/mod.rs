//! A Docker engine by its own protocol (API 1.41 and newer), over its Unix socket or by TCP with TLS.
//!
//! Translates only: what is made when, and what it means, is decided elsewhere.

mod ask;
mod error;
mod follow;
mod inside;
mod make;
mod tar;
mod view;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use async_trait::async_trait;
use bollard::{API_DEFAULT_VERSION, Docker};
use tokio::sync::{OnceCell, mpsc};

use crate::{
    domain::{
        Clean,
        engine::{ContainerSpec, EngineView},
    },
    port::{
        containers::{Containers, EngineError, Happening, Pulled},
        shell::{ShellOutput, ShellSession},
    },
};

/// How long an answer may take: wall time. Creating from a large image on a slow disk is the slow one.
const ANSWER_WITHIN: u64 = 120;

/// Where the engine is, and how both sides prove themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// The path of its socket.
    Unix(String),
    /// `HOST:PORT`, always with TLS.
    Tls { at: String, ca: PathBuf, cert: PathBuf, key: PathBuf },
}

/// One engine.
pub struct Engine {
    address: Address,
    shown: String,
    /// Connected and agreed on a version at first use.
    docker: OnceCell<Docker>,
}

impl Engine {
    pub fn new(address: Address) -> Self {
        let shown = match &address {
            Address::Unix(path) => format!("unix://{path}"),
            Address::Tls { at, .. } => format!("tcp://{at}"),
        };
        Self { address, shown, docker: OnceCell::new() }
    }

    /// The connection; `what` is what it is wanted for.
    async fn docker(&self, what: &str) -> Result<&Docker, EngineError> {
        let connect = async {
            let docker = match &self.address {
                Address::Unix(path) => Docker::connect_with_unix(path, ANSWER_WITHIN, API_DEFAULT_VERSION),
                Address::Tls { at, ca, cert, key } => {
                    Docker::connect_with_ssl(&format!("tcp://{at}"), key, cert, ca, ANSWER_WITHIN, API_DEFAULT_VERSION)
                }
            };
            docker?.negotiate_version().await
        };
        let connected = self.docker.get_or_try_init(|| connect).await;
        connected.map_err(|error| error::asking(what, &self.shown, error))
    }

    /// Whether the engine's loopback is this host's.
    fn is_here(&self) -> bool {
        matches!(self.address, Address::Unix(_))
    }
}

#[async_trait]
impl Containers for Engine {
    fn address(&self) -> &str {
        &self.shown
    }

    async fn view(&self) -> Result<EngineView, EngineError> {
        let what = "looking at the engine";
        view::view(self.docker(what).await?).await.map_err(|e| error::asking(what, &self.shown, e))
    }

    async fn image(&self, image: &str) -> Result<Option<String>, EngineError> {
        let what = format!("looking for the image {image}");
        let found = self.docker(&what).await?.inspect_image(image).await;
        match found.map_err(|e| error::asking(&what, &self.shown, e)) {
            Ok(found) => Ok(Some(found.id.unwrap_or_default())),
            Err(EngineError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn pull(&self, image: &str, tell: mpsc::Sender<Pulled>) -> Result<(), EngineError> {
        let what = format!("pulling the image {image}");
        make::pull(self.docker(&what).await?, image, tell).await.map_err(|e| error::asking(&what, &self.shown, e))
    }

    async fn create_network(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<(), EngineError> {
        let what = format!("making the network {name}");
        let request = make::network(name, labels);
        let made = self.docker(&what).await?.create_network(request).await;
        made.map(drop).map_err(|e| error::doing(&what, &self.shown, e))
    }

    async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        let what = format!("removing the network {id}");
        let removed = self.docker(&what).await?.remove_network(id).await;
        removed.map_err(|e| error::doing(&what, &self.shown, e))
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<(), EngineError> {
        let what = format!("making the container {}", spec.name);
        let (options, body) = make::container(spec);
        let made = self.docker(&what).await?.create_container(Some(options), body).await;
        made.map(drop).map_err(|e| error::doing(&what, &self.shown, e))
    }

    async fn start(&self, id: &str) -> Result<(), EngineError> {
        let what = format!("starting the container {id}");
        let started = self.docker(&what).await?.start_container(id, None).await;
        started.map_err(|e| error::doing(&what, &self.shown, e))
    }

    async fn put_file(&self, id: &str, path: &str, content: &[u8]) -> Result<(), EngineError> {
        let what = format!("writing {path} into the container {id}");
        let docker = self.docker(&what).await?;
        make::put_file(docker, id, path, content).await.map_err(|e| error::doing(&what, &self.shown, e))
    }

    async fn remove(&self, id: &str) -> Result<(), EngineError> {
        let what = format!("removing the container {id}");
        let removed = self.docker(&what).await?.remove_container(id, Some(make::whole_removal())).await;
        removed.map_err(|e| error::doing(&what, &self.shown, e))
    }

    async fn exec(&self, id: &str, command: &[String], size: Option<(u16, u16)>) -> Result<ShellSession, EngineError> {
        let what = format!("running a command in the container {id}");
        let docker = self.docker(&what).await?;
        inside::open(docker, id, command, size).await.map_err(|e| error::doing(&what, &self.shown, e))
    }

    async fn printed(
        &self,
        id: &str,
        lines: u32,
        follow: bool,
        tell: mpsc::Sender<ShellOutput>,
    ) -> Result<(), EngineError> {
        let what = format!("reading what the container {id} printed");
        let docker = self.docker(&what).await?;
        inside::printed(docker, id, lines, follow, tell).await.map_err(|e| error::asking(&what, &self.shown, e))
    }

    async fn follow(&self, tell: mpsc::Sender<Happening>) -> Result<(), EngineError> {
        let what = "looking at the engine";
        follow::follow(self.docker(what).await?, tell).await.map_err(|e| error::asking(what, &self.shown, e))
    }

    async fn last_lines(&self, id: &str, lines: u32) -> Result<Vec<Clean>, EngineError> {
        let what = format!("reading what the container {id} printed");
        let docker = self.docker(&what).await?;
        view::last_lines(docker, id, lines).await.map_err(|e| error::asking(&what, &self.shown, e))
    }

    async fn ask(&self, port: u16, path: &str, within: Duration) -> Result<u16, Clean> {
        if !self.is_here() {
            return Err(Clean::new(format!("the loopback of {} cannot be reached from here", self.shown)));
        }
        ask::status(port, path, within).await
    }

    async fn taken(&self, ports: &[u16]) -> Vec<u16> {
        if self.is_here() { ask::taken(ports).await } else { Vec::new() }
    }
}
