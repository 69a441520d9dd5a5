//! Connections made from another machine, for whoever speaks to something that only that machine reaches.

use std::os::unix::net::UnixStream;

use async_trait::async_trait;

use super::shell::ShellError;

/// What is connected to, as seen from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FarEnd {
    /// A port of its loopback.
    Port(u16),
    /// The path of a Unix socket.
    Socket(String),
}

#[async_trait]
pub trait Reach: Send + Sync {
    /// Connects from there; what is returned is this end, which does not block.
    async fn connect(&self, to: &FarEnd) -> Result<UnixStream, ShellError>;
}
