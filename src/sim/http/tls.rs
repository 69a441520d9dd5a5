//! The certificate all nodes of a simulated cluster share.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;

use crate::sim::SimError;

/// A self-signed certificate with its key.
pub struct Identity {
    /// SHA-256 of the certificate, upper-case hex with colons.
    pub fingerprint: String,
    /// The certificate in PEM.
    pub pem: String,
    config: Arc<ServerConfig>,
}

impl Identity {
    /// A fresh one for 127.0.0.1 and localhost.
    ///
    /// # Errors
    /// When there is no randomness or the TLS library refuses its own certificate.
    pub fn new() -> Result<Self, SimError> {
        let wrong = |error: &dyn std::fmt::Display| SimError::Certificate(error.to_string());
        let names = ["127.0.0.1", "localhost", "::1"].map(str::to_owned).to_vec();
        let made = rcgen::generate_simple_self_signed(names).map_err(|error| wrong(&error))?;
        let der: CertificateDer<'static> = made.cert.der().clone();
        let hash = Sha256::digest(&der);
        let hex: Vec<String> = hash.iter().map(|byte| format!("{byte:02X}")).collect();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(&error))?
            .with_no_client_auth()
            .with_single_cert(vec![der], key)
            .map_err(|error| wrong(&error))?;
        Ok(Self { fingerprint: hex.join(":"), pem: made.cert.pem(), config: Arc::new(config) })
    }

    /// Takes connections with this certificate.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.clone())
    }
}
