//! A container engine by hand: as much of Docker's behaviour as workshops stand on.
//!
//! Names are taken by whoever makes first; a network in use does not go; a port is had by one running
//! container; what is removed is gone with its id. Before and after every effect a process can die.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use homeroom::{
    domain::{
        Clean, NodeName,
        engine::{Attached, ContainerSpec, ContainerState, ContainerView, Ending, EngineView, ImageView, NetworkView},
        workshop::SeatLimits,
    },
    port::{
        Clock,
        containers::{Containers, EngineError, Happening, Pulled},
        shell::{ShellOutput, ShellSession, Tty},
    },
};
use tokio::sync::mpsc;

use super::stage::Stage;

/// What the engine holds; it outlives every process.
#[derive(Default)]
pub struct Hall {
    state: Mutex<State>,
}

#[derive(Default)]
pub struct State {
    pub containers: Vec<Kept>,
    pub networks: Vec<NetworkView>,
    /// Images here.
    pub images: BTreeSet<String>,
    /// Images a registry would give.
    pub registry: BTreeSet<String>,
    /// It tells nothing about images.
    pub no_images: bool,
    /// It does not answer.
    pub away: bool,
    /// Containers it will not let go of.
    pub stuck: BTreeSet<String>,
    /// Every container ever made, by name.
    pub made: Vec<String>,
    ids: u32,
}

/// A container.
pub struct Kept {
    pub view: ContainerView,
    pub spec: ContainerSpec,
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Hall {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The names of the containers, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.state().containers.iter().map(|kept| kept.view.name.to_string()).collect();
        names.sort();
        names
    }

    /// The ids of the containers, by name.
    pub fn ids(&self) -> BTreeMap<String, String> {
        self.state().containers.iter().map(|kept| (kept.view.name.to_string(), kept.view.id.clone())).collect()
    }

    /// Somebody does something to a container that homeroom is not told of.
    pub fn by_hand(&self, name: &str, deed: impl FnOnce(&mut ContainerView)) {
        let mut state = self.state();
        deed(&mut state.containers.iter_mut().find(|kept| kept.view.name.as_str() == name).unwrap().view);
    }

    /// Somebody takes a container off its network.
    pub fn disconnect(&self, name: &str) {
        self.by_hand(name, |view| {
            view.networks.clear();
            view.published.clear();
        });
    }

    /// A container ends by itself.
    pub fn end(&self, name: &str) {
        let mut state = self.state();
        let kept = state.containers.iter_mut().find(|kept| kept.view.name.as_str() == name).unwrap();
        kept.view.state = ContainerState::Ended;
        kept.view.status = Clean::new("Exited (137) 2 seconds ago");
        kept.view.published.clear();
    }

    /// Somebody else puts a container on one of our networks.
    pub fn strange_on(&self, name: &str, network: &str) {
        self.strange(name, BTreeMap::new(), None);
        let mut state = self.state();
        let kept = state.containers.iter_mut().find(|kept| kept.view.name.as_str() == name).unwrap();
        kept.spec.network = Attached::To(network.to_owned());
    }

    /// Somebody else makes a container by hand.
    pub fn strange(&self, name: &str, labels: BTreeMap<String, String>, port: Option<u16>) {
        let spec = ContainerSpec {
            name: name.to_owned(),
            image: "other:1".to_owned(),
            hostname: None,
            command: None,
            labels,
            network: Attached::To("bridge".to_owned()),
            memory: None,
            cpus: None,
            pids: None,
            ports: port.map(|port| (80, port)).into_iter().collect(),
        };
        let mut state = self.state();
        state.make(&spec);
        state.start(name).unwrap();
    }
}

impl State {
    fn id(&mut self) -> String {
        self.ids += 1;
        format!("{:064x}", self.ids)
    }

    fn make(&mut self, spec: &ContainerSpec) {
        let view = ContainerView {
            id: self.id(),
            name: Clean::new(&spec.name),
            image: Clean::new(&spec.image),
            state: ContainerState::Created,
            status: Clean::new("Created"),
            labels: spec.labels.clone(),
            published: Vec::new(),
            networks: on(&spec.network),
            limits: limits(spec),
            ending: None,
            out_of_memory: None,
        };
        self.made.push(spec.name.clone());
        self.containers.push(Kept { view, spec: spec.clone(), files: BTreeMap::new() });
    }

    /// By id or name, as the engine takes either.
    fn find(&mut self, id: &str) -> Option<&mut Kept> {
        self.containers.iter_mut().find(|kept| kept.view.id == id || kept.view.name.as_str() == id)
    }

    fn start(&mut self, id: &str) -> Result<(), String> {
        let taken: BTreeSet<u16> =
            self.containers.iter().flat_map(|kept| kept.view.published.iter().copied()).collect();
        let Some(kept) = self.find(id) else { return Err(format!("No such container: {id}")) };
        if let Some((_, port)) = kept.spec.ports.iter().find(|(_, port)| taken.contains(port)) {
            return Err(format!("Bind for 127.0.0.1:{port} failed: port is already allocated"));
        }
        if kept.view.state == ContainerState::Paused {
            return Err("cannot start a paused container, try unpause instead".to_owned());
        }
        // Ports are published on the network it belongs to.
        let ports = if kept.view.networks.is_empty() { &[][..] } else { &kept.spec.ports[..] };
        kept.view.published = ports.iter().map(|(_, port)| *port).collect();
        kept.view.ending = None;
        kept.view.state = ContainerState::Running;
        kept.view.status = Clean::new("Up 1 second");
        Ok(())
    }
}

/// The networks one is on that is made like this.
fn on(network: &Attached) -> Vec<Clean> {
    vec![Clean::new(network.to_string())]
}

fn limits(spec: &ContainerSpec) -> Option<SeatLimits> {
    Some(SeatLimits { memory: spec.memory?, cpus: spec.cpus?, pids: spec.pids? })
}

/// One process's way to the engine.
pub struct Docker {
    pub stage: Arc<Stage>,
    pub hall: Arc<Hall>,
}

fn refused(words: String) -> EngineError {
    EngineError::Refused { what: "asking".to_owned(), words: Clean::new(words) }
}

fn missing(what: &str) -> EngineError {
    EngineError::Missing { what: what.to_owned(), words: Clean::new("no such thing") }
}

impl Docker {
    /// An effect: a process may die before it and after it.
    async fn effect<T>(&self, deed: impl FnOnce(&mut State) -> Result<T, EngineError>) -> Result<T, EngineError> {
        self.stage.point().await;
        let done = deed(&mut self.hall.state());
        self.stage.point().await;
        done
    }
}

#[async_trait]
impl Containers for Docker {
    fn address(&self) -> &str {
        "unix:///hand"
    }

    async fn view(&self) -> Result<EngineView, EngineError> {
        let state = self.hall.state();
        if state.away {
            let (what, engine) = ("looking at the engine".to_owned(), self.address().to_owned());
            return Err(EngineError::Unreachable { what, engine, why: Clean::new("No such file or directory") });
        }
        Ok(EngineView {
            host: NodeName::new("jump"),
            version: Clean::new("20.10.24"),
            cpus: 8,
            memory: 16 << 30,
            architecture: Clean::new("x86_64"),
            free: None,
            unlimited: Vec::new(),
            at: self.stage.now(),
            containers: state.containers.iter().map(|kept| kept.view.clone()).collect(),
            networks: state.networks.clone(),
        })
    }

    async fn image(&self, image: &str) -> Result<Option<ImageView>, EngineError> {
        if self.hall.state().no_images {
            let what = format!("looking for the image {image}");
            return Err(EngineError::Refused { what, words: Clean::new("invalid reference format") });
        }
        let view = || ImageView { id: format!("sha256:{image}"), architecture: Clean::new("amd64"), starts: true };
        Ok(self.hall.state().images.contains(image).then(view))
    }

    async fn pull(&self, image: &str, tell: mpsc::Sender<Pulled>) -> Result<(), EngineError> {
        let _ = tell.try_send(Pulled { bytes: 1, of: 2 });
        self.effect(|state| match state.registry.contains(image) {
            true => {
                state.images.insert(image.to_owned());
                Ok(())
            }
            false => Err(EngineError::Missing {
                what: format!("pulling the image {image}"),
                words: Clean::new(format!("pull access denied for {image}")),
            }),
        })
        .await
    }

    async fn create_network(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<(), EngineError> {
        // An engine of API 1.41 makes a second one of the same name.
        self.effect(|state| {
            let id = state.id();
            state.networks.push(NetworkView { id, name: Clean::new(name), labels: labels.clone() });
            Ok(())
        })
        .await
    }

    async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        self.effect(|state| {
            let Some(at) = state.networks.iter().position(|network| network.id == id) else { return Err(missing(id)) };
            let name = state.networks[at].name.to_string();
            if state.containers.iter().any(|kept| kept.spec.network == Attached::To(name.clone())) {
                let words = Clean::new(format!("network {name} has active endpoints"));
                return Err(EngineError::Refused { what: "removing".to_owned(), words });
            }
            state.networks.remove(at);
            Ok(())
        })
        .await
    }

    async fn on_network(&self, id: &str) -> Result<Vec<Clean>, EngineError> {
        let state = self.hall.state();
        let Some(network) = state.networks.iter().find(|network| network.id == id) else { return Err(missing(id)) };
        let attached = Attached::To(network.name.to_string());
        let on = state.containers.iter().filter(|kept| kept.spec.network == attached);
        Ok(on.map(|kept| kept.view.name.clone()).collect())
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<(), EngineError> {
        self.effect(|state| {
            if state.find(&spec.name).is_some() {
                let words = Clean::new(format!("Conflict. The container name \"/{}\" is already in use", spec.name));
                return Err(EngineError::Conflict { what: "making".to_owned(), words });
            }
            if !state.images.contains(&spec.image) {
                return Err(missing(&spec.image));
            }
            state.make(spec);
            Ok(())
        })
        .await
    }

    async fn start(&self, id: &str) -> Result<(), EngineError> {
        self.effect(|state| {
            let started = state.start(id);
            started.map_err(|words| EngineError::Refused { what: "starting".to_owned(), words: Clean::new(words) })
        })
        .await
    }

    async fn unpause(&self, id: &str) -> Result<(), EngineError> {
        self.effect(|state| match state.find(id) {
            Some(kept) if kept.view.state == ContainerState::Paused => {
                kept.view.state = ContainerState::Running;
                kept.view.status = Clean::new("Up 1 minute");
                Ok(())
            }
            Some(kept) => Err(refused(format!("Container {} is not paused", kept.view.id))),
            None => Err(missing(id)),
        })
        .await
    }

    async fn stop(&self, id: &str) -> Result<(), EngineError> {
        let at = self.stage.now();
        self.effect(|state| match state.find(id) {
            Some(kept) => {
                kept.view.state = ContainerState::Ended;
                kept.view.status = Clean::new("Exited (143) 1 second ago");
                kept.view.ending =
                    Some(Ending { code: 143, at: Some(at), out_of_memory: false, error: Clean::default() });
                kept.view.published.clear();
                Ok(())
            }
            None => Err(missing(id)),
        })
        .await
    }

    async fn connect(&self, network: &str, id: &str) -> Result<(), EngineError> {
        self.effect(|state| {
            if !state.networks.iter().any(|known| known.name.as_str() == network) {
                return Err(missing(network));
            }
            match state.find(id) {
                Some(kept) if kept.view.networks.iter().any(|on| on.as_str() == network) => {
                    Err(refused(format!("endpoint with name {} already exists", kept.view.name)))
                }
                Some(kept) => {
                    kept.view.networks.push(Clean::new(network));
                    kept.view.published = match kept.view.state {
                        ContainerState::Running => kept.spec.ports.iter().map(|(_, port)| *port).collect(),
                        _ => Vec::new(),
                    };
                    Ok(())
                }
                None => Err(missing(id)),
            }
        })
        .await
    }

    async fn limit(&self, id: &str, limits: &SeatLimits) -> Result<(), EngineError> {
        self.effect(|state| match state.find(id) {
            Some(kept) => {
                kept.view.limits = Some(limits.clone());
                Ok(())
            }
            None => Err(missing(id)),
        })
        .await
    }

    async fn put_file(&self, id: &str, path: &str, content: &[u8]) -> Result<(), EngineError> {
        self.effect(|state| match state.find(id) {
            Some(kept) => {
                kept.files.insert(path.to_owned(), content.to_vec());
                Ok(())
            }
            None => Err(missing(id)),
        })
        .await
    }

    async fn remove(&self, id: &str) -> Result<(), EngineError> {
        self.effect(|state| match state.find(id).map(|kept| (kept.view.id.clone(), kept.spec.name.clone())) {
            Some((_, name)) if state.stuck.contains(&name) => {
                let words = Clean::new("driver failed to remove root filesystem: device or resource busy");
                Err(EngineError::Refused { what: format!("removing the container {name}"), words })
            }
            Some((id, _)) => {
                state.containers.retain(|kept| kept.view.id != id);
                Ok(())
            }
            None => Err(missing(id)),
        })
        .await
    }

    async fn exec(&self, id: &str, _: &[String], _: Option<&Tty>) -> Result<ShellSession, EngineError> {
        Err(missing(id))
    }

    async fn printed(&self, _: &str, _: u32, _: bool, _: mpsc::Sender<ShellOutput>) -> Result<(), EngineError> {
        Ok(())
    }

    async fn follow(&self, _: mpsc::Sender<Happening>) -> Result<(), EngineError> {
        Ok(())
    }

    async fn last_lines(&self, _: &str, _: u32) -> Result<Vec<Clean>, EngineError> {
        Ok(vec![Clean::new("Killed")])
    }

    async fn ask(&self, _: &str, port: u16, path: &str, _: Duration) -> Result<u16, Clean> {
        let state = self.hall.state();
        let running = || state.containers.iter().filter(|kept| kept.view.state == ContainerState::Running);
        if running().any(|kept| kept.view.published.contains(&port)) {
            return Ok(200);
        }
        let proxied = running().filter(|kept| kept.spec.network == Attached::Host).any(|kept| {
            let config = kept.files.get("/Caddyfile").map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            config.is_some_and(|text| text.contains(&format!(":{port} {{")))
        });
        match (proxied, path) {
            (true, "/health") => Ok(200),
            (true, _) => Ok(404),
            (false, _) => Err(Clean::new("Connection refused")),
        }
    }

    async fn taken(&self, ports: &[u16], wide: &[u16]) -> Vec<u16> {
        let mut taken = Vec::new();
        for port in ports.iter().chain(wide) {
            if self.ask("", *port, "/", Duration::ZERO).await.is_ok() {
                taken.push(*port);
            }
        }
        taken
    }
}
