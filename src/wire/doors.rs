//! Ways into machines.

use std::{path::PathBuf, sync::Arc};

use secrecy::SecretString;

use super::{Access, key_files};
use crate::{
    backend::{
        nobody::Nobody,
        ssh::{Qm, Ssh, SshSettings},
    },
    config::{Settings, StoreSettings},
    port::{GuestAgent, KeyRing, Mend, RemoteShell},
    service::site::NodeLogins,
};

/// Ways into machines: all by SSH, or none.
pub(super) enum Doors {
    /// With the passphrase of the labs' keys.
    Open(Arc<Ssh>, Option<SecretString>),
    Shut,
}

impl Doors {
    pub(super) fn of(settings: &Settings, access: Access, passphrase: Option<SecretString>) -> Self {
        if access == Access::Monitor {
            return Self::Shut;
        }
        let mut ssh = SshSettings::new(settings.store.known_hosts());
        ssh.known_hosts_mode = settings.store.trust_mode();
        ssh.lab_keys = passphrase.clone().map(|passphrase| (settings.store.keys(), passphrase));
        ssh.agent = std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from);
        Self::Open(Arc::new(Ssh::new(ssh)), passphrase)
    }

    pub(super) fn shell(&self) -> Arc<dyn RemoteShell> {
        match self {
            Self::Open(ssh, _) => ssh.clone(),
            Self::Shut => Arc::new(Nobody),
        }
    }

    pub(super) fn by_node(&self, nodes: &Arc<dyn NodeLogins>) -> (Arc<dyn GuestAgent>, Arc<dyn Mend>) {
        match self {
            Self::Open(ssh, _) => {
                let targets = nodes.clone();
                let qm = Arc::new(Qm::new((**ssh).clone(), move |node| Some(targets.target(node))));
                (qm.clone(), qm)
            }
            Self::Shut => (Arc::new(Nobody), Arc::new(Nobody)),
        }
    }

    pub(super) fn keys(&self, store: &StoreSettings) -> Arc<dyn KeyRing> {
        match self {
            Self::Open(_, passphrase) => Arc::new(key_files(store).sealed_with(passphrase.clone())),
            Self::Shut => Arc::new(Nobody),
        }
    }
}
