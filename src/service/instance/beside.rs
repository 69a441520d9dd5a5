//! Whether a workshop's instance is stopped, gone or elsewhere: asked of the cloud where a login does not come
//! through, so that nobody has to guess it from what a network says. A cloud that does not answer holds nobody up.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::sync::OnceCell;

use crate::{
    domain::{
        Clean, Progress, SeatName, StoreId, cloud::CloudView, hosting::Hosting, readiness::Hand,
        workshop::WorkshopDefinition,
    },
    port::{
        Clock, Cloud, RemoteShell,
        agent::ExecOutput,
        copy::{Copied, CopyError, Transfer},
        shell::{ShellError, ShellSession, ShellTarget, Tty},
    },
};

/// A login that takes longer may be to a machine that is not there: wall time.
const SLOW: Duration = Duration::from_secs(3);
/// How long the cloud may take to tell: wall time.
const LOOK: Duration = Duration::from_secs(10);

/// Logins to one workshop's instance, with what the cloud says of it in place of what the network says.
pub(super) struct Beside {
    pub shell: Arc<dyn RemoteShell>,
    pub cloud: Arc<dyn Cloud>,
    pub clock: Arc<dyn Clock>,
    pub store: StoreId,
    pub workshop: WorkshopDefinition,
    pub progress: Progress,
    /// What the project shows, asked for once for all seats.
    pub view: OnceCell<Option<CloudView>>,
}

impl Beside {
    /// Waits for `going`, but no longer than until the instance is known not to run; and where it failed as a machine
    /// that is not there makes it fail, for what the cloud knows of it.
    async fn unless<T>(
        &self,
        target: &ShellTarget,
        going: impl Future<Output = Result<T, ShellError>>,
    ) -> Result<T, ShellError> {
        let told = |why: String| ShellError::Unreachable { host: target.host.clone(), why: Clean::new(why) };
        let found = async {
            tokio::time::sleep(SLOW).await;
            match self.against().await {
                Some(why) => why,
                None => std::future::pending().await,
            }
        };
        let done = tokio::select! {
            biased;
            done = going => done,
            why = found => return Err(told(why)),
        };
        match done {
            // An address that was given back is somebody else's by now.
            Err(error) if error.is_passing() || matches!(error, ShellError::WrongHost { .. }) => {
                Err(self.against().await.map_or(error, told))
            }
            done => done,
        }
    }

    /// What the cloud says against a login, with what to do; nothing where it says nothing.
    async fn against(&self) -> Option<String> {
        let look = || async { tokio::time::timeout(LOOK, self.cloud.view()).await.ok()?.ok() };
        let view = self.view.get_or_init(look).await.as_ref();
        let hosting = Hosting {
            workshop: &self.workshop,
            store: &self.store,
            view: Some(view?),
            address: self.progress.seat(&SeatName::host()).and_then(|row| row.ip),
            hand: Hand::nobodys(&self.progress),
            now: self.clock.now(),
            max_age: Duration::MAX,
        };
        hosting.against().map(|(_, why)| why)
    }
}

#[async_trait]
impl RemoteShell for Beside {
    fn unlock(&self, key: &Path, passphrase: SecretString) {
        self.shell.unlock(key, passphrase);
    }

    fn is_unlocked(&self, key: &Path) -> bool {
        self.shell.is_unlocked(key)
    }

    fn trust(&self, host: &str, key: &str) -> Result<(), Clean> {
        self.shell.trust(host, key)
    }

    async fn run(&self, target: &ShellTarget, command: &str, within: Duration) -> Result<ExecOutput, ShellError> {
        self.unless(target, self.shell.run(target, command, within)).await
    }

    async fn start(&self, target: &ShellTarget, command: &str) -> Result<ShellSession, ShellError> {
        self.unless(target, self.shell.start(target, command)).await
    }

    async fn settle(&self, within: Duration) {
        self.shell.settle(within).await;
    }

    async fn copy(&self, target: &ShellTarget, transfer: &Transfer) -> Result<Copied, CopyError> {
        let going = async {
            match self.shell.copy(target, transfer).await {
                Err(CopyError::Shell(error)) => Err(error),
                other => Ok(other),
            }
        };
        self.unless(target, going).await?
    }

    async fn open_as(
        &self,
        target: &ShellTarget,
        tty: &Tty,
        command: Option<&str>,
    ) -> Result<ShellSession, ShellError> {
        self.unless(target, self.shell.open_as(target, tty, command)).await
    }
}
