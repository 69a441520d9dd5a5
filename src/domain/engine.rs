//! What one look at a container engine shows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Clean, NodeName, size::Size};

/// One look at an engine: all it runs, ours and others'.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineView {
    /// The host the engine runs on, by its own name.
    pub host: NodeName,
    /// The engine's version, in its own words.
    pub version: Clean,
    pub cpus: u32,
    /// Bytes the host has.
    pub memory: u64,
    pub at: Timestamp,
    pub containers: Vec<ContainerView>,
    pub networks: Vec<NetworkView>,
}

/// A container as the engine lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerView {
    /// The engine's own id: never used twice.
    pub id: String,
    pub name: Clean,
    /// As it was asked for: `workspace:latest`.
    pub image: Clean,
    pub state: ContainerState,
    /// The engine's sentence about it: `Exited (137) 2 minutes ago`.
    pub status: Clean,
    pub labels: BTreeMap<String, String>,
    /// Ports of the host that lead to it.
    pub published: Vec<u16>,
}

/// A network as the engine lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkView {
    pub id: String,
    pub name: Clean,
    pub labels: BTreeMap<String, String>,
}

/// Whether a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerState {
    /// Made, never started.
    Created,
    Running,
    Paused,
    /// Started, ended, and is being started again.
    Restarting,
    /// Ended, or dead.
    Ended,
    /// On its way out.
    Removing,
    Unknown,
}

/// What a container is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerSpec {
    pub name: String,
    pub image: String,
    /// What it calls itself; on the host's network, the host's name.
    pub hostname: Option<String>,
    /// Instead of the image's own command.
    pub command: Option<Vec<String>>,
    pub labels: BTreeMap<String, String>,
    pub network: Attached,
    pub memory: Option<Size>,
    /// In CPUs: 0.5 is half of one.
    pub cpus: Option<f64>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Ports inside, each with the port of the host's loopback that leads there.
    pub ports: Vec<(u16, u16)>,
}

/// Which network a container is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attached {
    /// A network of the engine's, by name.
    To(String),
    /// The host's own.
    Host,
}

impl EngineView {
    pub fn container(&self, name: &str) -> Option<&ContainerView> {
        self.containers.iter().find(|container| container.name.as_str() == name)
    }

    pub fn network(&self, name: &str) -> Option<&NetworkView> {
        self.networks.iter().find(|network| network.name.as_str() == name)
    }
}
