//! Whom the client believes to be the site: the system's roots, a CA file, or pinned fingerprints.
//!
//! There is no way to switch the check off. With a pinned fingerprint the certificate itself is the
//! proof, so its names and dates do not matter; that the server holds its key is still checked.

use std::{
    collections::BTreeMap,
    error::Error as StdError,
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use sha2::{Digest, Sha256};

use super::ConnectionError;

/// How the site's certificate is checked.
#[derive(Debug, Clone)]
pub enum Trust {
    /// The authorities this computer trusts.
    SystemRoots,
    /// The authorities in a PEM file, such as a cluster's `/etc/pve/pve-root-ca.pem`.
    CaFile(Vec<u8>),
    /// SHA-256 of each node's certificate, as Proxmox shows them under Node → Certificates.
    Fingerprints(Vec<[u8; 32]>),
    /// What each address showed when `doctor` was told to trust it.
    Learned(BTreeMap<String, [u8; 32]>),
}

impl Trust {
    /// The only certificates believed; empty when authorities decide.
    pub(super) fn pins(&self) -> Vec<[u8; 32]> {
        match self {
            Self::SystemRoots | Self::CaFile(_) => Vec::new(),
            Self::Fingerprints(pins) => pins.clone(),
            Self::Learned(pins) => pins.values().copied().collect(),
        }
    }

    fn is_pinned(&self) -> bool {
        matches!(self, Self::Fingerprints(_) | Self::Learned(_))
    }
}

/// Reads `AB:CD:…`, in either case, with or without colons.
pub fn parse_fingerprint(text: &str) -> Option<[u8; 32]> {
    let hex: String = text.trim().chars().filter(|c| *c != ':').collect();
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// `AB:CD:…`, as Proxmox writes it.
pub fn show_fingerprint(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
}

/// Why a certificate was not believed.
#[derive(Debug)]
pub(super) struct Untrusted {
    /// The fingerprint of what the server showed.
    seen: [u8; 32],
    /// What it should have been; empty when authorities decide.
    pinned: Vec<[u8; 32]>,
    /// The pins are `doctor`'s, not the configuration's.
    learned: bool,
    /// The authorities' verdict.
    verdict: Option<String>,
}

impl StdError for Untrusted {}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = show_fingerprint(&self.seen);
        match &self.verdict {
            Some(verdict) => write!(
                f,
                "its certificate (fingerprint {seen}) was refused: {verdict}; compare the fingerprint with \
                 `pvenode cert info` on the node and run `homeroom doctor --trust`, or give the cluster's CA file"
            ),
            None => {
                let pinned: Vec<_> = self.pinned.iter().map(show_fingerprint).collect();
                let change = if self.learned {
                    format!("run `homeroom doctor --trust {seen}`")
                } else {
                    "change `fingerprints`".to_owned()
                };
                write!(
                    f,
                    "its certificate has the fingerprint {seen}, not the trusted {}; if the certificate was renewed, \
                     compare with `pvenode cert info` on the node and {change}; if not, something sits between you \
                     and the cluster",
                    pinned.join(" or ")
                )
            }
        }
    }
}

/// The authorities' own words if `error` came from a certificate they did not believe.
pub(super) fn verdict(error: &io::Error) -> Option<String> {
    let tls = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    match tls {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
            inner.downcast_ref::<Untrusted>()?.verdict.clone()
        }
        _ => None,
    }
}

/// The words to show if `error` came from a certificate that was not believed.
pub(super) fn refusal(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return words(tls);
        }
        // An io::Error hides what it wraps from `source`.
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            next = Some(inner);
            continue;
        }
        next = error.source();
    }
    None
}

fn words(error: &rustls::Error) -> Option<String> {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => Some(inner.to_string()),
        rustls::Error::InvalidCertificate(verdict) => Some(format!("its certificate was refused: {verdict}")),
        _ => None,
    }
}

/// Checks a server's certificate as [`Trust`] says, and names the fingerprint it saw when it refuses.
#[derive(Debug)]
struct Verifier {
    /// Empty when authorities decide.
    pinned: Vec<[u8; 32]>,
    learned: bool,
    authorities: Option<Arc<dyn ServerCertVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let seen: [u8; 32] = Sha256::digest(end_entity.as_ref()).into();
        let refuse = |verdict: Option<String>| {
            let why = Untrusted { seen, pinned: self.pinned.clone(), learned: self.learned, verdict };
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why))))
        };
        match &self.authorities {
            Some(authorities) => authorities
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .map_err(|e| match e {
                    rustls::Error::InvalidCertificate(verdict) => refuse(Some(plain(&verdict))),
                    other => other,
                }),
            None if self.pinned.contains(&seen) => Ok(ServerCertVerified::assertion()),
            None => Err(refuse(None)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The common verdicts in words people know.
fn plain(verdict: &CertificateError) -> String {
    match verdict {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => "no trusted authority signed it".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is made out to other names than this address".to_owned()
        }
        other => other.to_string(),
    }
}

/// Remembers the certificate a server showed, and leaves the verdict to the one behind it.
#[derive(Debug)]
pub(super) struct Witness {
    judge: Verifier,
    seen: Mutex<Option<[u8; 32]>>,
}

impl Witness {
    pub fn new(trust: &Trust) -> Result<Self, ConnectionError> {
        Ok(Self { judge: verifier(trust)?, seen: Mutex::default() })
    }

    /// The fingerprint of the certificate last shown.
    pub fn seen(&self) -> Option<[u8; 32]> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Sha256::digest(end_entity.as_ref()).into());
        self.judge.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}

/// The TLS settings of a connection that checks certificates as `trust` says.
pub(super) fn tls(trust: &Trust) -> Result<ClientConfig, ConnectionError> {
    settings(Arc::new(verifier(trust)?))
}

/// The TLS settings around what checks certificates.
pub(super) fn settings(verifier: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, ConnectionError> {
    Ok(ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| ConnectionError::Tls(e.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

fn verifier(trust: &Trust) -> Result<Verifier, ConnectionError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    if trust.is_pinned() && trust.pins().is_empty() {
        return Err(ConnectionError::NoFingerprint);
    }
    Ok(Verifier {
        pinned: trust.pins(),
        learned: matches!(trust, Trust::Learned(_)),
        authorities: match trust {
            Trust::SystemRoots => Some(Arc::new(
                rustls_platform_verifier::Verifier::new(Arc::clone(&provider))
                    .map_err(|e| ConnectionError::Roots(e.to_string()))?,
            )),
            Trust::CaFile(pem) => Some(from_pem(pem, &provider)?),
            Trust::Fingerprints(_) | Trust::Learned(_) => None,
        },
        provider: Arc::clone(&provider),
    })
}

fn from_pem(pem: &[u8], provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, ConnectionError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| ConnectionError::CaFile(e.to_string()))?;
        roots.add(certificate).map_err(|e| ConnectionError::CaFile(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(ConnectionError::CaFile("there is no certificate in it".to_owned()));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|e| ConnectionError::CaFile(e.to_string()))?;
    Ok(verifier)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fingerprints_are_read_with_and_without_colons() {
        let shown = show_fingerprint(&[0xab; 32]);
        assert_eq!(parse_fingerprint(&shown), Some([0xab; 32]));
        assert_eq!(parse_fingerprint(&shown.replace(':', "").to_lowercase()), Some([0xab; 32]));
        assert_eq!(parse_fingerprint("AB:CD"), None);
        assert_eq!(parse_fingerprint(&"zz".repeat(32)), None);
    }

    #[test]
    fn a_trust_that_trusts_nobody_is_refused_at_once() {
        assert!(matches!(tls(&Trust::Fingerprints(Vec::new())), Err(ConnectionError::NoFingerprint)));
        assert!(matches!(tls(&Trust::CaFile(b"hello".to_vec())), Err(ConnectionError::CaFile(_))));
    }
}
