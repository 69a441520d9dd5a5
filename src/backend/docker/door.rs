//! The way to an engine below the client library: its socket on this host, or TCP with TLS, where both sides prove
//! themselves by the same files.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use rustls::{
    AlertDescription, ClientConfig, Error, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Where an engine is connected from here.
#[derive(Debug, Clone)]
pub enum Door {
    Socket(String),
    /// `HOST:PORT`
    Tls {
        at: String,
        ca: PathBuf,
        cert: PathBuf,
        key: PathBuf,
    },
}

/// A connection, whatever it goes over.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Door {
    pub async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Socket(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Self::Tls { at, ca, cert, key } => {
                let mut roots = RootCertStore::empty();
                for authority in CertificateDer::pem_file_iter(ca).map_err(io::Error::other)? {
                    roots.add(authority.map_err(io::Error::other)?).map_err(io::Error::other)?;
                }
                let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(cert).map_err(io::Error::other)?.collect();
                let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
                let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                    .with_safe_default_protocol_versions()
                    .map_err(io::Error::other)?
                    .with_root_certificates(roots)
                    .with_client_auth_cert(chain.map_err(io::Error::other)?, key)
                    .map_err(io::Error::other)?;
                let host = at.rsplit_once(':').map_or(at.as_str(), |(host, _)| host).trim_matches(['[', ']']);
                let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
                let stream = TcpStream::connect(at).await?;
                // A key that is pressed goes at once.
                stream.set_nodelay(true)?;
                Ok(Box::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
            }
        }
    }

    /// Why nothing gets through this door, where that is found out by knocking; none where it opens.
    ///
    /// With TLS 1.3 a server judges the client's certificate after the client believes to be connected, so the
    /// judgement arrives in place of the first answer, and a client library may have given up by then.
    pub async fn refusal(&self) -> Option<String> {
        let Self::Tls { cert, .. } = self else { return None };
        let knock = async {
            let mut stream = self.connect().await?;
            // Whoever was let in is expected to speak first: silence is consent.
            timeout(JUDGED_WITHIN, stream.read_u8()).await.unwrap_or(Ok(0))
        };
        let error = knock.await.err()?;
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        Some(match inner {
            Some(Error::AlertReceived(alert)) if is_judgement(*alert) => {
                format!("it does not accept the certificate {}: {error}", cert.display())
            }
            _ => error.to_string(),
        })
    }
}

/// A server that is at work has judged a certificate by then.
const JUDGED_WITHIN: Duration = Duration::from_secs(2);

/// What a server answers to a client's certificate (RFC 8446, section 6.2).
const fn is_judgement(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
            | Alert::CertificateRequired
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rustls::{
        ConfigBuilder, ServerConfig, WantsVerifier,
        server::{WantsServerCert, WebPkiClientVerifier},
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// What an engine with this certificate shows, and asks of whoever connects.
    fn served(
        own: &rcgen::CertifiedKey<rcgen::KeyPair>,
        asks: impl FnOnce(ConfigBuilder<ServerConfig, WantsVerifier>) -> ConfigBuilder<ServerConfig, WantsServerCert>,
    ) -> ServerConfig {
        let key = PrivateKeyDer::from_pem_slice(own.signing_key.serialize_pem().as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let config = asks(config.with_safe_default_protocol_versions().unwrap());
        config.with_single_cert(vec![own.cert.der().clone()], key).unwrap()
    }

    #[tokio::test]
    async fn a_terminal_by_tls_shows_what_it_begins_with_and_trusts_no_other_authority() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let made = || rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let (own, other) = (made(), made());
        let config = served(&own, |config| config.with_no_client_auth());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(Arc::new(config));
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = [0; 512];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(b"HTTP/1.1 101 UPGRADED\r\n\r\n\x01\x00\x02raw").await;
                let _ = stream.shutdown().await;
            }
        });
        let (cert, key) = (file("cert", &own.cert.pem()), file("key", &own.signing_key.serialize_pem()));
        let door = |ca| Door::Tls { at: at.clone(), ca, cert: cert.clone(), key: key.clone() };
        let mut said = Vec::new();
        let mut stream = super::super::raw::start(&door(cert.clone()), "1.41", "e1").await.unwrap();
        stream.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, b"\x01\x00\x02raw");
        let stranger = door(file("ca", &other.cert.pem()));
        assert!(super::super::raw::start(&stranger, "1.41", "e1").await.is_err());
        let why = stranger.refusal().await.unwrap();
        assert!(why.contains("invalid peer certificate"), "{why}");
    }

    #[tokio::test]
    async fn a_certificate_that_the_engine_does_not_accept_is_the_reason_and_one_it_accepts_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let made = || rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let (engine, client, stranger) = (made(), made(), made());
        let door_of = |who: &rcgen::CertifiedKey<rcgen::KeyPair>, at: &str| {
            let [cert, key, ca] = ["cert", "key", "ca"].map(|name| folder.path().join(name));
            std::fs::write(&cert, who.cert.pem()).unwrap();
            std::fs::write(&key, who.signing_key.serialize_pem()).unwrap();
            std::fs::write(&ca, engine.cert.pem()).unwrap();
            Door::Tls { at: at.to_owned(), ca, cert, key }
        };
        let mut roots = RootCertStore::empty();
        roots.add(client.cert.der().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let judge = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
        let config = served(&engine, |config| config.with_client_cert_verifier(judge));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(Arc::new(config));
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                // An answer instead of silence: nothing has to be waited for.
                let _ = stream.write_all(b"H").await;
            }
        });
        let why = door_of(&stranger, &at).refusal().await.unwrap();
        assert!(why.starts_with("it does not accept the certificate ") && why.contains("fatal alert"), "{why}");
        assert_eq!(door_of(&client, &at).refusal().await, None);
    }
}
