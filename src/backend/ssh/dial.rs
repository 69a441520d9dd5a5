//! From a target to a logged-in connection: reads keys and record, connects directly or through
//! another machine.

use std::{
    collections::HashMap,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use secrecy::SecretString;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::{
    SshSettings,
    gate::Gates,
    keys,
    link::{Habits, Link},
    login::Login,
    name_of,
    node::Nodes,
    sftp,
    trust::{HostKeyBlob, Record, write_down},
};
use crate::{
    domain::Clean,
    port::{
        copy::{Copied, CopyError, Transfer},
        shell::{HostKey, ShellError, ShellTarget},
    },
};

/// Makes connections. Holds the ones to nodes.
#[derive(Debug)]
pub(super) struct Dialler {
    settings: SshSettings,
    permits: Arc<Semaphore>,
    /// Passphrases given, by key file.
    passphrases: Mutex<HashMap<PathBuf, SecretString>>,
    pub(super) nodes: Nodes,
    gates: Gates,
    /// Connections nobody keeps, until their threads have ended.
    passing: TaskTracker,
}

/// Whether a connection is kept for those who come later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Yes,
    No,
}

impl Dialler {
    pub(super) fn new(settings: SshSettings) -> Self {
        let permits = Arc::new(Semaphore::new(settings.connections));
        Self {
            settings,
            permits,
            passphrases: Mutex::default(),
            nodes: Nodes::default(),
            gates: Gates::default(),
            passing: TaskTracker::new(),
        }
    }

    /// Takes the passphrase of a key file.
    pub(super) fn unlock(&self, key: &Path, passphrase: SecretString) {
        self.passphrases.lock().unwrap_or_else(PoisonError::into_inner).insert(keys::expand(key), passphrase);
    }

    /// Whether it has one for a key file.
    pub(super) fn is_unlocked(&self, key: &Path) -> bool {
        self.passphrases.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&keys::expand(key))
    }

    /// Whether a key is a lab's own: those lie beside the record of host keys.
    fn is_of_a_lab(&self, key: &Path) -> bool {
        key.parent().is_some_and(|folder| folder == self.settings.known_hosts.with_file_name("keys"))
    }

    /// Writes down that a host key is trusted.
    pub(super) fn trust(&self, host: &str, key: &str) -> Result<(), Clean> {
        let SshSettings { known_hosts, known_hosts_mode, .. } = &self.settings;
        write_down(known_hosts, host, key, *known_hosts_mode, false)
            .map_err(|error| Clean::new(format!("cannot write {}: {}", known_hosts.display(), plain(&error))))
    }

    /// A connection of its own to `target`.
    pub(super) async fn dial(&self, target: &ShellTarget, kept: Kept) -> Result<Link, ShellError> {
        let gate = self.gates.of(target);
        gate.pass(|| async {
            let (socket, login, permit) = self.prepare(target).await?;
            let SshSettings { keepalive, silence, idle, .. } = self.settings;
            let (host, user) = (login.host.clone(), login.user.clone());
            let held = (permit, (kept == Kept::No).then(|| self.passing.token()));
            let link = Link::open(socket, login, Habits { keepalive, silence, idle }, held).await;
            match &link {
                Ok(_) => tracing::debug!(host, user, "logged in by SSH"),
                Err(error) => tracing::debug!(host, user, %error, "no login by SSH"),
            }
            link
        })
        .await
    }

    /// Copies files over a connection of its own to `target`.
    pub(super) async fn copy(&self, target: &ShellTarget, transfer: Transfer) -> Result<Copied, CopyError> {
        let (socket, login, permit) = self.prepare(target).await?;
        sftp::copy(socket, login, self.settings.silence, permit, transfer).await
    }

    /// Waits until the connections that nobody keeps have ended.
    pub(super) async fn settle(&self, within: Duration) {
        self.passing.close();
        let _ = tokio::time::timeout(within, self.passing.wait()).await;
    }

    /// What a login needs, a way to its machine included.
    async fn prepare(&self, target: &ShellTarget) -> Result<(OwnedFd, Login, OwnedSemaphorePermit), ShellError> {
        let login = self.login(target).await?;
        if let Some(error) = login.empty_handed() {
            return Err(error);
        }
        let socket = match &target.via {
            // Boxed: the way there may lead through a third machine.
            Some(via) => Box::pin(self.forward(via, &target.host, target.port)).await?.into(),
            None => self.connect(target).await?,
        };
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|e| ShellError::Broken { host: login.host.clone(), why: Clean::new(e.to_string()) })?;
        Ok((socket, login, permit))
    }

    async fn connect(&self, target: &ShellTarget) -> Result<OwnedFd, ShellError> {
        let host = name_of(&target.host, target.port);
        let within = self.settings.connect;
        let unreachable = |e: io::Error| ShellError::Unreachable { host: host.clone(), why: Clean::new(plain(&e)) };
        let connecting = tokio::net::TcpStream::connect((target.host.as_str(), target.port));
        let stream = tokio::time::timeout(within, connecting)
            .await
            .map_err(|_| ShellError::TimedOut { host: host.clone(), within })?
            .map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        // Stays non-blocking.
        Ok(stream.into_std().map_err(unreachable)?.into())
    }

    async fn login(&self, target: &ShellTarget) -> Result<Login, ShellError> {
        let host = name_of(&target.host, target.port);
        let record = match &target.host_key {
            HostKey::Exactly(lines) => Record {
                trusted: lines.iter().filter_map(|line| HostKeyBlob::from_line(line)).collect(),
                told: true,
                ..Record::default()
            },
            HostKey::Known => match tokio::fs::read_to_string(&self.settings.known_hosts).await {
                Ok(text) => Record::read(&text, &target.host, target.port),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Record::default(),
                Err(e) => {
                    let why = Clean::new(format!("{}: {}", self.settings.known_hosts.display(), plain(&e)));
                    return Err(ShellError::Broken { host, why });
                }
            },
        };
        let (mut usable, mut unusable, mut locked) = (Vec::new(), Vec::new(), None);
        for path in &target.keys {
            let given =
                self.passphrases.lock().unwrap_or_else(PoisonError::into_inner).get(&keys::expand(path)).cloned();
            let configured = self.settings.lab_keys.as_ref().filter(|(folder, _)| path.starts_with(folder));
            let passphrase = given.or_else(|| configured.map(|(_, passphrase)| passphrase.clone()));
            match keys::identity(path, passphrase) {
                Ok(key) => usable.push(key),
                Err(e) => {
                    unusable.push(Clean::new(match &e {
                        keys::KeyError::Encrypted { path } if self.is_of_a_lab(path) => keys::locked_lab_key(path),
                        other => other.to_string(),
                    }));
                    if let keys::KeyError::Encrypted { path } = e {
                        locked.get_or_insert(path);
                    }
                }
            }
        }
        Ok(Login {
            host,
            user: target.user.clone(),
            record,
            keys: usable,
            unusable,
            locked,
            agent: self.settings.agent.clone().filter(|_| target.ask_agent),
            handshake: self.settings.handshake,
            auth: self.settings.auth,
        })
    }
}

/// An error without the number the operating system adds.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_lowercase(),
        None => text,
    }
}
