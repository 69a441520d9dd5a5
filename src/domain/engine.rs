//! What one look at a container engine shows.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Clean, NodeName, size::Size, workshop::SeatLimits};

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
    /// What its processors run: `x86_64`, `aarch64`.
    pub architecture: Clean,
    /// Bytes free where the engine keeps images and containers, where that can be seen from here.
    pub free: Option<u64>,
    /// What the engine cannot hold a container to, of memory, CPUs and processes.
    pub unlimited: Vec<Clean>,
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
    /// Networks it is on, by name.
    pub networks: Vec<Clean>,
    /// What the engine holds it to: of those of ours, as far as it was asked.
    pub limits: Option<SeatLimits>,
    /// How it came to its end: for those of ours that do not run.
    pub ending: Option<Ending>,
    /// When something in it was last killed for want of memory, by the engine's clock and as far as it remembers.
    pub out_of_memory: Option<Timestamp>,
}

/// An image on an engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageView {
    pub id: String,
    /// What it was built for: `amd64`, `arm64`; empty where it does not say.
    pub architecture: Clean,
    /// Whether it says what to start.
    pub starts: bool,
}

impl ImageView {
    /// Why no container of it can run on this engine, if its own command is what is started.
    pub fn unfit(&self, engine: &EngineView, own_command: bool) -> Option<String> {
        let plain = |name: &str| match name {
            "x86_64" => "amd64".to_owned(),
            "aarch64" => "arm64".to_owned(),
            other => other.to_lowercase(),
        };
        let (built, runs) = (plain(self.architecture.as_str()), plain(engine.architecture.as_str()));
        if !built.is_empty() && !runs.is_empty() && built != runs {
            return Some(format!("is built for {built}, and {} runs {runs}", engine.host));
        }
        (own_command && !self.starts).then(|| "does not say what to start (no CMD, no ENTRYPOINT)".to_owned())
    }
}

/// How a container came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Its exit status: 128 and a signal's number after a signal.
    pub code: i64,
    /// When that was, by the engine's clock.
    pub at: Option<Timestamp>,
    /// The kernel ended it because its memory was used up.
    pub out_of_memory: bool,
    /// Why the engine could not start it, in its words; mostly empty.
    pub error: Clean,
}

impl Ending {
    /// `Exited (137): killed`
    pub fn words(&self) -> String {
        let why = match self.code {
            _ if self.out_of_memory => "out of memory".to_owned(),
            _ if !self.error.as_str().is_empty() => self.error.to_string(),
            // It may have been told to, as whatever an engine that stops carries is.
            0 => "its program ended".to_owned(),
            126 => "its command cannot be run".to_owned(),
            127 => "its command is not in the image".to_owned(),
            134 => "aborted".to_owned(),
            137 => "killed".to_owned(),
            139 => "it crashed".to_owned(),
            143 => "told to end".to_owned(),
            code @ 129..=192 => format!("signal {}", code - 128),
            _ => "its program failed".to_owned(),
        };
        format!("Exited ({}): {why}", self.code)
    }
}

impl ContainerView {
    /// Why it does not run, in a line.
    pub fn why_down(&self) -> String {
        self.ending.as_ref().map_or_else(|| self.status.to_string(), Ending::words)
    }

    /// Why nobody can work in it, in words after its name; nothing where it runs on the network it belongs to.
    pub fn trouble(&self, network: &Attached) -> Option<String> {
        match self.state {
            ContainerState::Running if self.is_off(network) => {
                Some(format!("was taken off the workshop's network {network}"))
            }
            ContainerState::Running => None,
            ContainerState::Paused => Some("is paused".to_owned()),
            _ => Some(format!("does not run: {}", self.why_down())),
        }
    }

    /// Whether it is not on a network of the engine's to which it belongs. On the host's own, nothing comes off.
    pub fn is_off(&self, network: &Attached) -> bool {
        match network {
            Attached::To(name) => !self.networks.iter().any(|on| on.as_str() == name),
            Attached::Host => false,
        }
    }
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

impl fmt::Display for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::To(name) => f.pad(name),
            Self::Host => f.pad("host"),
        }
    }
}

impl EngineView {
    pub fn container(&self, name: &str) -> Option<&ContainerView> {
        self.containers.iter().find(|container| container.name.as_str() == name)
    }

    pub fn network(&self, name: &str) -> Option<&NetworkView> {
        self.networks.iter().find(|network| network.name.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_is_told_in_words() {
        let words = |code, out_of_memory, error: &str| {
            Ending { code, at: None, out_of_memory, error: Clean::new(error) }.words()
        };
        assert_eq!(words(137, false, ""), "Exited (137): killed");
        assert_eq!(words(137, true, ""), "Exited (137): out of memory");
        assert_eq!(words(0, false, ""), "Exited (0): its program ended");
        assert_eq!(words(130, false, ""), "Exited (130): signal 2");
        assert_eq!(words(3, false, ""), "Exited (3): its program failed");
        assert_eq!(words(128, false, "port is already allocated"), "Exited (128): port is already allocated");
    }
}
