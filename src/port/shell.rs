//! Logins by SSH: one command, or a terminal.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use secrecy::SecretString;
use thiserror::Error;
use tokio::sync::mpsc;

use super::{
    agent::ExecOutput,
    copy::{Copied, CopyError, Transfer},
};
use crate::domain::{Clean, answers::Bar};

/// Where to log in, and how to know it is the right machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellTarget {
    /// Host name or address.
    pub host: String,
    pub port: u16,
    pub user: String,
    /// Private keys to offer, in OpenSSH's format, by file.
    pub keys: Vec<PathBuf>,
    /// Whether the user's ssh-agent may be asked after them. A proof of one key may not.
    pub ask_agent: bool,
    pub host_key: HostKey,
    /// Through this machine (`direct-tcpip`), if any.
    pub via: Option<Box<ShellTarget>>,
}

/// How a host proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKey {
    /// Must be one of these, each `TYPE BASE64`: read through the guest agent beforehand.
    Exactly(Vec<String>),
    /// Must stand in homeroom's own known_hosts file under host and port.
    Known,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShellError {
    #[error("{host}: cannot connect: {why}")]
    Unreachable { host: String, why: Clean },
    /// Nobody has trusted this key yet. `host` is spelt as known_hosts spells it (`[host]:port` off
    /// port 22), `key` is the key shown, `TYPE BASE64`: together what trusting it takes.
    #[error(
        "{host} shows a host key nobody trusted yet: {fingerprint}; compare it with what `ssh-keygen -lf \
         /etc/ssh/ssh_host_ed25519_key.pub` prints there, then run `homeroom doctor --trust {fingerprint}`"
    )]
    UnknownHost { host: String, fingerprint: String, key: String },
    /// Another key than the one on record, whose fingerprint is `known`; `key` is the key shown, `TYPE BASE64`.
    #[error(
        "{host} shows another host key than the one on record: {fingerprint}, not {known}; find out why. \
         If it was set up anew: `homeroom doctor --trust {fingerprint}` takes the new key of a node or jump host, \
         `homeroom check LAB` that of a lab's machines"
    )]
    WrongHost { host: String, fingerprint: String, known: String, key: String },
    /// `locked` is a key file that could not be tried because nobody gave its passphrase, or gave a wrong one.
    #[error("{host}: {user} is not let in: {why}")]
    Denied { host: String, user: String, why: Clean, locked: Option<PathBuf> },
    #[error("{host}: {why}")]
    Broken { host: String, why: Clean },
    #[error("{host}: no answer within {} s", within.as_secs())]
    TimedOut { host: String, within: Duration },
}

impl ShellError {
    /// What a person at the terminal could do away with.
    pub fn bar(&self) -> Option<Bar> {
        match self {
            Self::UnknownHost { host, fingerprint, key } => {
                let (host, fingerprint, key) = (host.clone(), fingerprint.clone(), key.clone());
                Some(Bar::Stranger { host, fingerprint, key })
            }
            Self::Denied { locked: Some(key), .. } => Some(Bar::Locked { key: key.clone() }),
            _ => None,
        }
    }

    /// Trying again later may work: nothing is wrong with keys or trust.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Broken { .. } | Self::TimedOut { .. })
    }
}

/// What goes into an open terminal, or into a command that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShellInput {
    Bytes(Vec<u8>),
    /// Columns, rows. A command without a terminal has no use for it.
    Resize(u16, u16),
    Eof,
}

/// What comes out of an open terminal, or of a command that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShellOutput {
    Bytes(Vec<u8>),
    /// A command's standard error; in a terminal it is mixed with the rest.
    Stderr(Vec<u8>),
    /// Ended, with its exit status: 128 and the signal's number after a signal.
    Exit(i32),
    /// The connection broke.
    Lost(Clean),
}

/// An open terminal, or a command that was started. Dropping it closes the connection.
#[derive(Debug)]
pub struct ShellSession {
    pub input: mpsc::Sender<ShellInput>,
    pub output: mpsc::Receiver<ShellOutput>,
}

#[async_trait]
pub trait RemoteShell: Send + Sync {
    /// Takes the passphrase of a key file, for as long as the program runs. A wrong one shows at the next login.
    fn unlock(&self, key: &Path, passphrase: SecretString);

    /// Whether the passphrase of a key file was given here. Another process does not know it.
    fn is_unlocked(&self, _key: &Path) -> bool {
        false
    }

    /// Writes down that a person trusts a host key, given as [`ShellError::UnknownHost`] tells it.
    fn trust(&self, host: &str, key: &str) -> Result<(), Clean>;

    /// Logs in, runs one command and returns what it printed. `within` is wall time.
    async fn run(&self, target: &ShellTarget, command: &str, within: Duration) -> Result<ExecOutput, ShellError>;

    /// Logs in and starts one command without a terminal: input, output and standard error as they come,
    /// byte for byte. A reader that takes its time holds the command up, and nothing piles up on the way.
    async fn start(&self, target: &ShellTarget, command: &str) -> Result<ShellSession, ShellError>;

    /// Logs in and copies files. Waits as long as something moves; dropping the future ends it.
    async fn copy(&self, target: &ShellTarget, transfer: &Transfer) -> Result<Copied, CopyError>;

    /// Opens a terminal of `size` columns and rows: the login shell, or `command`.
    async fn open(
        &self,
        target: &ShellTarget,
        size: (u16, u16),
        command: Option<&str>,
    ) -> Result<ShellSession, ShellError>;
}
