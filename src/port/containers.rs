//! A container engine: images, networks, containers.

use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;
use tokio::sync::mpsc;

use super::shell::{ShellOutput, ShellSession, Tty};
use crate::domain::{
    Clean,
    engine::{ContainerSpec, EngineView, ImageView},
    workshop::SeatLimits,
};

/// What an engine answered instead of doing what was asked. Every variant names what was tried.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EngineError {
    /// Nothing was sent, or only a question got lost. No effect happened.
    #[error("{what}: the container engine at {engine} does not answer: {why}; check that it runs, and its address")]
    Unreachable { what: String, engine: String, why: Clean },
    /// Sent, and no whole answer came back: the effect may have happened. Look again, never repeat blindly.
    #[error("{what}: the answer was lost: {why}")]
    Lost { what: String, why: Clean },
    /// 404: the container, network or image is not there.
    #[error("{what}: {words}")]
    Missing { what: String, words: Clean },
    /// 409: the name is taken, or it is in use.
    #[error("{what}: {words}")]
    Conflict { what: String, words: Clean },
    /// Any other refusal, in the engine's words.
    #[error("{what}: {words}")]
    Refused { what: String, words: Clean },
}

impl EngineError {
    /// Look again, then try again: nothing has happened, or nobody knows.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Lost { .. })
    }

    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}

/// How far a pull has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pulled {
    /// Bytes here by now, of the layers whose size is known.
    pub bytes: u64,
    /// Bytes of the layers whose size is known.
    pub of: u64,
}

/// Something that happened on an engine, after which it is worth another look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// From here on nothing is missed.
    Listening,
    /// A container of this name was made, started, ended, removed or ran out of memory.
    Changed { container: Clean, what: Clean },
}

#[async_trait]
pub trait Containers: Send + Sync {
    /// The engine's address as configured.
    fn address(&self) -> &str;
    /// All it runs, and what it is.
    async fn view(&self) -> Result<EngineView, EngineError>;
    /// An image that is on the engine; `None` if it is not.
    async fn image(&self, image: &str) -> Result<Option<ImageView>, EngineError>;
    /// Whether an image that is not there is made of this computer's files, and fetched from nowhere.
    fn brings(&self, image: &str) -> bool {
        let _ = image;
        false
    }
    /// Fetches an image from its registry. How far it has come is told as it goes, and never waited for.
    async fn pull(&self, image: &str, tell: mpsc::Sender<Pulled>) -> Result<(), EngineError>;
    /// Makes a network on which containers do not reach each other.
    async fn create_network(
        &self,
        name: &str,
        labels: &std::collections::BTreeMap<String, String>,
    ) -> Result<(), EngineError>;
    async fn remove_network(&self, id: &str) -> Result<(), EngineError>;
    /// The names of the containers that are on a network, whoever's they are.
    async fn on_network(&self, id: &str) -> Result<Vec<Clean>, EngineError>;
    /// Makes a container, not yet started. A name that is taken is an error, whoever has it.
    async fn create(&self, spec: &ContainerSpec) -> Result<(), EngineError>;
    async fn start(&self, id: &str) -> Result<(), EngineError>;
    /// Lets a paused container go on.
    async fn unpause(&self, id: &str) -> Result<(), EngineError>;
    /// Tells a container to end, and ends it where it does not within the engine's patience. What it wrote stays.
    async fn stop(&self, id: &str) -> Result<(), EngineError>;
    /// Puts a container on a network; one that is on it already is an error.
    async fn connect(&self, network: &str, id: &str) -> Result<(), EngineError>;
    /// Holds a container that stands to these limits.
    async fn limit(&self, id: &str, limits: &SeatLimits) -> Result<(), EngineError>;
    /// Puts one small file into a container: `path` is absolute, its folder exists.
    async fn put_file(&self, id: &str, path: &str, content: &[u8]) -> Result<(), EngineError>;
    /// Ends a container and removes it with what it wrote; its anonymous volumes too.
    async fn remove(&self, id: &str) -> Result<(), EngineError>;
    /// Starts a command in a running container: input, output and its end as for a login. With a size, in a
    /// terminal of so many columns and rows. Dropping the session ends the connection, not always the command.
    async fn exec(&self, id: &str, command: &[String], tty: Option<&Tty>) -> Result<ShellSession, EngineError>;
    /// Tells what a container printed: its last `lines` lines, and with `follow` all it prints until it ends.
    async fn printed(
        &self,
        id: &str,
        lines: u32,
        follow: bool,
        tell: mpsc::Sender<ShellOutput>,
    ) -> Result<(), EngineError>;
    /// Tells of everything that happens to containers of ours from now on, the first word being that it
    /// listens. Returns when the connection has broken, with the reason, or when nobody hears it.
    async fn follow(&self, tell: mpsc::Sender<Happening>) -> Result<(), EngineError>;
    /// The last lines a container printed, oldest first.
    async fn last_lines(&self, id: &str, lines: u32) -> Result<Vec<Clean>, EngineError>;
    /// Asks what listens on a port of the engine's loopback for `/PATH` by HTTP: the status of its answer.
    /// Where that loopback cannot be reached from here, the container `from`, which is on the host's network, asks.
    /// An error says why there was none.
    async fn ask(&self, from: &str, port: u16, path: &str, within: Duration) -> Result<u16, Clean>;
    /// Which of these ports of the engine's loopback somebody listens on already; of those of `wide`, on any of its
    /// host's addresses, as far as they can be seen from here.
    async fn taken(&self, ports: &[u16], wide: &[u16]) -> Vec<u16>;
}
