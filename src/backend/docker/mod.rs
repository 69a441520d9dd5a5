//! A Docker engine by its own protocol (API 1.41 and newer): over its Unix socket, here or on a machine that is
//! logged in to, or by TCP with TLS.
//!
//! Translates only: what is made when, and what it means, is decided elsewhere.

mod ask;
mod bridge;
mod door;
mod error;
mod follow;
mod guest;
mod inside;
mod known;
mod make;
mod raw;
mod tar;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bollard::{API_DEFAULT_VERSION, Docker, errors::Error, models::NetworkConnectRequest};
use tokio::sync::{OnceCell, mpsc};

pub use self::guest::{Brought, Guest, Part};
use self::{bridge::Bridge, door::Door, known::Known};
use crate::{
    domain::{
        Clean,
        engine::{ContainerSpec, EngineView, ImageView},
        workshop::SeatLimits,
    },
    port::{
        containers::{Containers, EngineError, Happening, Pulled},
        reach::Reach,
        shell::{ShellOutput, ShellSession, Tty},
    },
};

/// How long an answer may take: wall time. Creating from a large image on a slow disk is the slow one.
const ANSWER_WITHIN: u64 = 120;

/// Where the engine is, and how both sides prove themselves.
#[derive(Clone)]
pub enum Address {
    /// The path of its socket.
    Unix(String),
    /// `HOST:PORT`, always with TLS.
    Tls { at: String, ca: PathBuf, cert: PathBuf, key: PathBuf },
    /// The path of its socket on another machine, which is connected from.
    Through { shown: String, reach: Arc<dyn Reach>, socket: String },
}

/// The oldest protocol that has all that is asked for: Docker 20.10.
const OLDEST: (usize, usize) = (1, 41);

/// One engine.
pub struct Engine {
    address: Address,
    shown: String,
    /// Connected and agreed on a version at first use.
    docker: OnceCell<Docker>,
    /// The way to an engine on another machine.
    bridge: OnceCell<Bridge>,
    /// For whom things are made that are to go again.
    guest: Option<Guest>,
    /// Nothing is changed through it, and no container entered.
    looks: bool,
    known: Known,
}

impl Engine {
    pub fn new(address: Address) -> Self {
        let shown = match &address {
            Address::Unix(path) => format!("unix://{path}"),
            Address::Tls { at, .. } => format!("tcp://{at}"),
            Address::Through { shown, .. } => shown.clone(),
        };
        let (docker, bridge, known) = (OnceCell::new(), OnceCell::new(), Known::default());
        Self { address, shown, docker, bridge, guest: None, looks: false, known }
    }

    /// The same engine for a guest, who leaves nothing behind.
    pub fn for_guest(address: Address, guest: Guest) -> Self {
        Self { guest: Some(guest), ..Self::new(address) }
    }

    /// The same engine for a program that only looks.
    pub fn for_looking(address: Address) -> Self {
        Self { looks: true, ..Self::new(address) }
    }

    /// The marks of all guests of whom something is there.
    pub async fn guests(&self) -> Result<BTreeSet<String>, EngineError> {
        let what = "looking for what guests left";
        guest::guests(self.docker(what).await?).await.map_err(|e| self.asking(what, e))
    }

    /// Removes everything that carries a guest's mark; how many things that was.
    pub async fn clear(&self, mark: &str) -> Result<usize, EngineError> {
        let what = "removing what carries a guest's mark";
        guest::clear(self.hands(what).await?, mark).await.map_err(|e| self.doing(what, e))
    }

    /// The connection, for what changes something there or enters a container.
    async fn hands(&self, what: &str) -> Result<&Docker, EngineError> {
        match self.looks {
            true => Err(EngineError::Refused { what: what.to_owned(), words: Clean::from("this program only looks") }),
            false => self.docker(what).await,
        }
    }

    /// The connection; `what` is what it is wanted for.
    async fn docker(&self, what: &str) -> Result<&Docker, EngineError> {
        let connect = async {
            let docker = match &self.address {
                Address::Unix(path) => Docker::connect_with_unix(path, ANSWER_WITHIN, API_DEFAULT_VERSION),
                Address::Tls { at, ca, cert, key } => {
                    Docker::connect_with_ssl(&format!("tcp://{at}"), key, cert, ca, ANSWER_WITHIN, API_DEFAULT_VERSION)
                }
                Address::Through { reach, socket, .. } => {
                    let built = async || Bridge::to(reach.clone(), socket.clone());
                    let bridge = self.bridge.get_or_try_init(built).await?;
                    Docker::connect_with_unix(&bridge.path(), ANSWER_WITHIN, API_DEFAULT_VERSION)
                }
            };
            docker?.negotiate_version().await
        };
        let connected = self.docker.get_or_try_init(|| connect).await;
        let docker = match connected {
            Ok(docker) => docker,
            Err(error) => return Err(self.unconnected(what, error).await),
        };
        let version = docker.client_version();
        if (version.major_version, version.minor_version) < OLDEST {
            let words = format!(
                "the engine at {} speaks API {}.{}, and {}.{} is the oldest that will do (Docker 20.10)",
                self.shown, version.major_version, version.minor_version, OLDEST.0, OLDEST.1
            );
            return Err(EngineError::Refused { what: what.to_owned(), words: Clean::new(words) });
        }
        Ok(docker)
    }

    /// The way to it below the client library; none where it was never connected to.
    fn door(&self) -> Option<Door> {
        match &self.address {
            Address::Unix(path) => Some(Door::Socket(path.clone())),
            Address::Through { .. } => self.bridge.get().map(|bridge| Door::Socket(bridge.path())),
            Address::Tls { at, ca, cert, key } => {
                let (at, ca, cert, key) = (at.clone(), ca.clone(), cert.clone(), key.clone());
                Some(Door::Tls { at, ca, cert, key })
            }
        }
    }

    /// There is no connection: the engine's own reason rather than how the client library saw it go.
    async fn unconnected(&self, what: &str, error: Error) -> EngineError {
        let refusal = match self.door() {
            Some(door) => door.refusal().await,
            None => None,
        };
        match (self.asking(what, error), refusal) {
            (EngineError::Unreachable { what, engine, .. }, Some(why)) => {
                EngineError::Unreachable { what, engine, why: Clean::new(why) }
            }
            (error, _) => error,
        }
    }

    /// A question failed; where the way there did, that is the reason.
    fn asking(&self, what: &str, error: Error) -> EngineError {
        self.by_the_way(error::asking(what, &self.shown, error))
    }

    fn doing(&self, what: &str, error: Error) -> EngineError {
        self.by_the_way(error::doing(what, &self.shown, error))
    }

    fn by_the_way(&self, error: EngineError) -> EngineError {
        match (error, self.bridge.get().and_then(Bridge::trouble)) {
            // Nothing was sent over a connection that could not be made.
            (EngineError::Unreachable { what, .. } | EngineError::Lost { what, .. }, Some(why)) => {
                EngineError::Unreachable { what, engine: self.shown.clone(), why }
            }
            (error, _) => error,
        }
    }
}

#[async_trait]
impl Containers for Engine {
    fn address(&self) -> &str {
        &self.shown
    }

    async fn view(&self) -> Result<EngineView, EngineError> {
        let what = "looking at the engine";
        view::view(self.docker(what).await?, matches!(self.address, Address::Unix(_)), &self.known)
            .await
            .map_err(|e| self.asking(what, e))
    }

    async fn image(&self, image: &str) -> Result<Option<ImageView>, EngineError> {
        let what = format!("looking for the image {image}");
        let found = self.docker(&what).await?.inspect_image(image).await;
        match found.map_err(|e| self.asking(&what, e)) {
            Ok(found) => Ok(Some(view::image(found))),
            Err(EngineError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn brings(&self, image: &str) -> bool {
        self.guest.as_ref().is_some_and(|guest| guest.brings(image).is_some())
    }

    async fn pull(&self, image: &str, tell: mpsc::Sender<Pulled>) -> Result<(), EngineError> {
        let what = format!("pulling the image {image}");
        let docker = self.hands(&what).await?;
        match self.guest.as_ref().and_then(|guest| Some((guest, guest.brings(image)?))) {
            Some((guest, brought)) => guest.unpack(docker, brought).await,
            None => make::pull(docker, image, tell).await,
        }
        .map_err(|e| self.asking(&what, e))
    }

    async fn create_network(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<(), EngineError> {
        let what = format!("making the network {name}");
        let mut request = make::network(name, labels);
        self.guest.iter().for_each(|guest| guest.mark_network(&mut request));
        let made = self.hands(&what).await?.create_network(request).await;
        made.map(drop).map_err(|e| self.doing(&what, e))
    }

    async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        let what = format!("removing the network {id}");
        let removed = self.hands(&what).await?.remove_network(id).await;
        removed.map_err(|e| self.doing(&what, e))
    }

    async fn on_network(&self, id: &str) -> Result<Vec<Clean>, EngineError> {
        let what = format!("looking who is on the network {id}");
        let seen = self.docker(&what).await?.inspect_network(id, None).await.map_err(|e| self.asking(&what, e))?;
        let names = seen.containers.unwrap_or_default().into_values().filter_map(|it| it.name.map(Clean::new));
        Ok(names.collect())
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<(), EngineError> {
        let what = format!("making the container {}", spec.name);
        let (options, mut body) = make::container(spec);
        self.guest.iter().for_each(|guest| guest.mark_container(&mut body));
        let made = self.hands(&what).await?.create_container(Some(options), body).await;
        made.map(drop).map_err(|e| self.doing(&what, e))
    }

    async fn start(&self, id: &str) -> Result<(), EngineError> {
        let what = format!("starting the container {id}");
        let started = self.hands(&what).await?.start_container(id, None).await;
        started.map_err(|e| self.doing(&what, e))
    }

    async fn unpause(&self, id: &str) -> Result<(), EngineError> {
        let what = format!("letting the container {id} go on");
        let done = self.hands(&what).await?.unpause_container(id).await;
        done.map_err(|e| self.doing(&what, e))
    }

    async fn stop(&self, id: &str) -> Result<(), EngineError> {
        let what = format!("ending the container {id}");
        let done = self.hands(&what).await?.stop_container(id, None).await;
        done.map_err(|e| self.doing(&what, e))
    }

    async fn connect(&self, network: &str, id: &str) -> Result<(), EngineError> {
        let what = format!("putting the container {id} on the network {network}");
        let request = NetworkConnectRequest { container: id.to_owned(), endpoint_config: None };
        let done = self.hands(&what).await?.connect_network(network, request).await;
        done.map_err(|e| self.doing(&what, e))
    }

    async fn limit(&self, id: &str, limits: &SeatLimits) -> Result<(), EngineError> {
        let what = format!("limiting the container {id}");
        let done = self.hands(&what).await?.update_container(id, make::limits(limits)).await;
        // Nobody may hear of it.
        self.known.forget(id);
        done.map_err(|e| self.doing(&what, e))
    }

    async fn put_file(&self, id: &str, path: &str, content: &[u8]) -> Result<(), EngineError> {
        let what = format!("writing {path} into the container {id}");
        let docker = self.hands(&what).await?;
        make::put_file(docker, id, path, content).await.map_err(|e| self.doing(&what, e))
    }

    async fn remove(&self, id: &str) -> Result<(), EngineError> {
        let what = format!("removing the container {id}");
        let removed = self.hands(&what).await?.remove_container(id, Some(make::whole_removal())).await;
        removed.map_err(|e| self.doing(&what, e))
    }

    async fn exec(&self, id: &str, command: &[String], tty: Option<&Tty>) -> Result<ShellSession, EngineError> {
        let what = format!("running a command in the container {id}");
        let docker = self.hands(&what).await?;
        inside::open(docker, self.door().as_ref(), id, command, tty).await.map_err(|e| self.doing(&what, e))
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
        inside::printed(docker, id, lines, follow, tell).await.map_err(|e| self.asking(&what, e))
    }

    async fn follow(&self, tell: mpsc::Sender<Happening>) -> Result<(), EngineError> {
        let what = "looking at the engine";
        follow::follow(self.docker(what).await?, tell, &self.known).await.map_err(|e| self.asking(what, e))
    }

    async fn last_lines(&self, id: &str, lines: u32) -> Result<Vec<Clean>, EngineError> {
        let what = format!("reading what the container {id} printed");
        let docker = self.docker(&what).await?;
        view::last_lines(docker, id, lines).await.map_err(|e| self.asking(&what, e))
    }

    async fn ask(&self, from: &str, port: u16, path: &str, within: Duration) -> Result<u16, Clean> {
        match &self.address {
            Address::Unix(_) => ask::here(port, path, within).await,
            Address::Through { reach, .. } => ask::through(&**reach, port, path, within).await,
            Address::Tls { .. } => {
                let asked = self.exec(from, &ask::command(port, path, within), None).await;
                ask::printed(asked.map_err(|error| Clean::new(error.to_string()))?, within).await
            }
        }
    }

    async fn taken(&self, ports: &[u16], wide: &[u16]) -> Vec<u16> {
        match &self.address {
            Address::Unix(_) => {
                let listening = ask::listening().await;
                let elsewhere = wide.iter().copied().filter(|port| listening.contains(port));
                ask::taken(&[ports, wide].concat()).await.into_iter().chain(elsewhere).collect()
            }
            Address::Through { reach, .. } => ask::taken_there(&**reach, &[ports, wide].concat()).await,
            // Nothing but the engine itself answers from there; it tells of a port that is taken when it binds it.
            Address::Tls { .. } => Vec::new(),
        }
    }
}
