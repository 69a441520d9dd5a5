//! A Unix socket of our own, in a folder nobody else can enter, that leads to an engine's socket on another machine.

use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    task::JoinHandle,
};

use crate::{
    domain::Clean,
    port::reach::{FarEnd, Reach},
};

/// The bridge; it goes with its owner, and its connections with it.
pub struct Bridge {
    folder: TempDir,
    accepting: JoinHandle<()>,
    /// Why the last connection could not be made; none once one was.
    trouble: Arc<Mutex<Option<Clean>>>,
}

const NAME: &str = "docker.sock";

impl Bridge {
    /// Begins to listen; each connection is made anew over there.
    pub fn to(reach: Arc<dyn Reach>, socket: String) -> std::io::Result<Self> {
        // Made for its owner alone.
        let folder = tempfile::Builder::new().prefix("homeroom-").tempdir()?;
        let listener = UnixListener::bind(folder.path().join(NAME))?;
        let trouble: Arc<Mutex<Option<Clean>>> = Arc::default();
        let noted = trouble.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (reach, socket, noted) = (reach.clone(), socket.clone(), noted.clone());
                tokio::spawn(async move {
                    let outcome = reach.connect(&FarEnd::Socket(socket)).await;
                    let note = outcome.as_ref().err().map(|error| Clean::new(error.to_string()));
                    *noted.lock().unwrap_or_else(PoisonError::into_inner) = note;
                    if let Ok(far) = outcome {
                        carry(near, far).await;
                    }
                });
            }
        });
        Ok(Self { folder, accepting, trouble })
    }

    pub fn path(&self) -> String {
        self.folder.path().join(NAME).display().to_string()
    }

    pub fn trouble(&self) -> Option<Clean> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Both ways until both have ended: a command's input may end long before its output.
async fn carry(mut near: UnixStream, far: std::os::unix::net::UnixStream) {
    if let Ok(mut far) = UnixStream::from_std(far) {
        let _ = copy_bidirectional(&mut near, &mut far).await;
    }
}
