//! What proves a proxy's name: its files are read, and seen to belong together before anything is made of them.

use std::path::Path;

use rustls::{
    InconsistentKeys,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use secrecy::{ExposeSecret, SecretString};

use crate::{deploy::workshop::ProxyCertificate, domain::workshop::Certificate};

/// Reads the files a definition names.
///
/// # Errors
/// In words, which file it is and what is the matter with it. Nothing of what is in a key is among them.
pub(super) fn read(files: &Certificate) -> Result<ProxyCertificate, String> {
    let Certificate { cert_file, key_file } = files;
    // Two small files.
    let text = |path: &Path| {
        let read = std::fs::read_to_string(path);
        read.map_err(|e| format!("the proxy's certificate: cannot read {}: {e}", path.display()))
    };
    let (cert, key) = (text(cert_file)?, SecretString::from(text(key_file)?));
    belong_together(&cert, &key).map_err(|why| {
        let (cert, key) = (cert_file.display(), key_file.display());
        match why {
            Wrong::NoCertificate => format!("the proxy's certificate: {cert} holds no certificate in PEM"),
            Wrong::NoKey => format!("the proxy's certificate: {key} holds no private key in PEM"),
            Wrong::Apart => format!(
                "the proxy's certificate: the key in {key} is not of the certificate that stands first in {cert}"
            ),
        }
    })?;
    Ok(ProxyCertificate { cert, key })
}

enum Wrong {
    NoCertificate,
    NoKey,
    Apart,
}

fn belong_together(cert: &str, key: &SecretString) -> Result<(), Wrong> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(cert.as_bytes()).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or(Wrong::NoCertificate)?;
    let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes()).map_err(|_| Wrong::NoKey)?;
    let key = any_supported_type(&key).map_err(|_| Wrong::NoKey)?;
    match CertifiedKey::new(chain, key).keys_match() {
        // A key that does not tell its public half is taken at its word.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => Err(Wrong::Apart),
        Err(_) => Err(Wrong::NoCertificate),
    }
}
