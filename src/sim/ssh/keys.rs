//! Keys of the simulated machines, all drawn from seeds.

use std::{borrow::Cow, sync::Arc, time::Duration};

use russh::{
    MethodKind, MethodSet, SshId,
    keys::{PrivateKey, PublicKey, ssh_key::LineEnding, ssh_key::private::Ed25519Keypair},
    server::Config,
};

/// A key pair in OpenSSH's formats.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// The private file's text.
    pub private: String,
    /// `ssh-ed25519 BASE64 COMMENT`.
    pub public: String,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair").field("public", &self.public).finish_non_exhaustive()
    }
}

/// The Ed25519 pair of a seed.
pub fn pair(seed: &[u8; 32], comment: &str) -> Pair {
    let mut key = private(seed);
    key.set_comment(comment);
    Pair {
        private: key.to_openssh(LineEnding::LF).map(|text| text.to_string()).unwrap_or_default(),
        public: key.public_key().to_openssh().unwrap_or_default(),
    }
}

fn private(seed: &[u8; 32]) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(seed))
}

/// A server with this host key that takes public keys only.
pub(super) fn config(host_key: &[u8; 32]) -> Arc<Config> {
    let mut methods = MethodSet::empty();
    methods.push(MethodKind::PublicKey);
    Arc::new(Config {
        server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3")),
        methods,
        keys: vec![private(host_key)],
        auth_rejection_time: Duration::from_millis(50),
        auth_rejection_time_initial: Some(Duration::ZERO),
        max_auth_attempts: 6,
        inactivity_timeout: None,
        nodelay: true,
        ..Config::default()
    })
}

/// Whether one of these `authorized_keys` lines lets the key in.
pub(super) fn authorized(lines: &[String], key: &PublicKey) -> bool {
    lines
        .iter()
        .filter_map(|line| PublicKey::from_openssh(line.trim()).ok())
        .any(|allowed| allowed.key_data() == key.key_data())
}
