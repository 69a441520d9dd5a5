//! SSH by libssh2, behind the shell port.
//!
//! A session belongs to one thread (`link`, `pump`), which never blocks; logins (`login`) check the
//! host key against what the caller or homeroom's own known_hosts says (`trust`) and are never let
//! through without. Nodes keep their connections between asks (`node`), and `qm` puts the guest
//! agent's questions to them. Nothing here knows labs or runs.

mod dial;
mod forward;
mod gate;
pub mod keys;
mod lane;
mod left;
mod lines;
mod link;
mod login;
mod node;
mod pump;
mod qm;
mod reach;
mod sftp;
mod terminal;
mod trust;
mod wake;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use secrecy::SecretString;

pub use qm::{Qm, quote};
pub use reach::From;
pub use trust::{HostKeyBlob, name_of, trust, write_down};

use self::{
    dial::{Dialler, Kept},
    link::{Mishap, Printed},
};
use crate::{
    domain::Clean,
    port::{
        RemoteShell,
        agent::ExecOutput,
        copy::{Copied, CopyError, Transfer},
        shell::{ShellError, ShellSession, ShellTarget, Tty},
    },
};

/// How connections are made and kept. All durations are wall time.
#[derive(Debug, Clone)]
pub struct SshSettings {
    /// homeroom's own record of host keys.
    pub known_hosts: PathBuf,
    /// The mode of that file: 0600, or 0660 in a shared store.
    pub known_hosts_mode: u32,
    /// The folder of the labs' keys, and the passphrase they are encrypted with, if they are.
    pub lab_keys: Option<(PathBuf, SecretString)>,
    /// The socket of the user's ssh-agent (`SSH_AUTH_SOCK`), asked after the key files.
    pub agent: Option<PathBuf>,
    pub connect: Duration,
    pub handshake: Duration,
    pub auth: Duration,
    pub keepalive: Duration,
    /// Hearing nothing for this long means the connection is dead.
    pub silence: Duration,
    /// How long a node's connection is kept with nothing to do.
    pub idle: Duration,
    /// The most connections, and so threads, at once.
    pub connections: usize,
}

impl SshSettings {
    /// The usual limits, no agent.
    pub fn new(known_hosts: impl Into<PathBuf>) -> Self {
        Self {
            known_hosts: known_hosts.into(),
            known_hosts_mode: 0o600,
            lab_keys: None,
            agent: None,
            connect: Duration::from_secs(10),
            handshake: Duration::from_secs(15),
            auth: Duration::from_secs(15),
            keepalive: Duration::from_secs(15),
            silence: Duration::from_secs(45),
            idle: Duration::from_secs(60),
            connections: 96,
        }
    }
}

/// The longest it may take until a terminal is open or a command started, all phases and the way there together.
const OPEN_WITHIN: Duration = Duration::from_secs(60);

/// Logins by SSH. Cheap to clone; all clones share their connections to nodes.
#[derive(Debug, Clone)]
pub struct Ssh {
    dialler: Arc<Dialler>,
}

impl Ssh {
    pub fn new(settings: SshSettings) -> Self {
        Self { dialler: Arc::new(Dialler::new(settings)) }
    }

    /// Runs a command on a node over the one connection kept to it, four at a time at most, or over a few where it
    /// opens fewer channels on one; a broken connection is made anew. `within` is wall time and covers waiting for a turn.
    pub async fn run_on_node(
        &self,
        node: &ShellTarget,
        command: &str,
        within: Duration,
    ) -> Result<ExecOutput, ShellError> {
        let host = name_of(&node.host, node.port);
        timed(&host, within, self.dialler.exec_shared(node, command)).await.map(output)
    }
}

#[async_trait]
impl RemoteShell for Ssh {
    async fn run(&self, target: &ShellTarget, command: &str, within: Duration) -> Result<ExecOutput, ShellError> {
        let host = name_of(&target.host, target.port);
        let work = async {
            let link = self.dialler.dial(target, Kept::No).await?;
            link.exec(command).await.map_err(|mishap| failed(&host, mishap))
        };
        timed(&host, within, work).await.map(output)
    }

    fn unlock(&self, key: &Path, passphrase: SecretString) {
        self.dialler.unlock(key, passphrase);
    }

    fn is_unlocked(&self, key: &Path) -> bool {
        self.dialler.is_unlocked(key)
    }

    fn trust(&self, host: &str, key: &str) -> Result<(), Clean> {
        self.dialler.trust(host, key)
    }

    async fn settle(&self, within: Duration) {
        self.dialler.settle(within).await;
    }

    async fn copy(&self, target: &ShellTarget, transfer: &Transfer) -> Result<Copied, CopyError> {
        self.dialler.copy(target, transfer.clone()).await
    }

    async fn start(&self, target: &ShellTarget, command: &str) -> Result<ShellSession, ShellError> {
        let host = name_of(&target.host, target.port);
        let work = async {
            let link = self.dialler.dial(target, Kept::No).await?;
            terminal::open(link, &host, None, Some(command)).await
        };
        timed(&host, OPEN_WITHIN, work).await
    }

    async fn open_as(
        &self,
        target: &ShellTarget,
        tty: &Tty,
        command: Option<&str>,
    ) -> Result<ShellSession, ShellError> {
        let host = name_of(&target.host, target.port);
        let work = async {
            let link = self.dialler.dial(target, Kept::No).await?;
            terminal::open(link, &host, Some(tty), command).await
        };
        timed(&host, OPEN_WITHIN, work).await
    }
}

async fn timed<T>(
    host: &str,
    within: Duration,
    work: impl Future<Output = Result<T, ShellError>>,
) -> Result<T, ShellError> {
    match tokio::time::timeout(within, work).await {
        Ok(done) => done,
        Err(_) => Err(ShellError::TimedOut { host: host.to_owned(), within }),
    }
}

fn output(printed: Printed) -> ExecOutput {
    ExecOutput {
        code: printed.code,
        stdout: String::from_utf8_lossy(&printed.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&printed.stderr).into_owned(),
        timed_out: false,
    }
}

/// How a mishap reads to those who asked.
fn failed(host: &str, mishap: Mishap) -> ShellError {
    let why = match mishap {
        Mishap::Unsent(why) | Mishap::Lost(why) => why,
        Mishap::Refused(why) => {
            Clean::new(format!("it lets us in but opens no session (MaxSessions in its sshd_config?): {why}"))
        }
        Mishap::TooMuch => Clean::new(format!("the command printed more than {} MiB", lane::MOST_OUTPUT >> 20)),
    };
    ShellError::Broken { host: host.to_owned(), why }
}
