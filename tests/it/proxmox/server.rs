//! A TLS server that answers as it is told, and keeps count.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// What the server does with a request.
pub enum Reply {
    /// Sends this and closes.
    Send(String),
    /// Sends this and then nothing more, without closing.
    Stall(String),
}

/// A whole answer.
pub fn answer(status: &str, body: &str) -> Reply {
    Reply::Send(format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

pub fn ok(body: &str) -> Reply {
    answer("200 OK", body)
}

/// Half of an answer that promised more.
pub fn cut() -> String {
    "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{\"data\":{\"vers".to_owned()
}

pub struct Server {
    pub address: String,
    certificate: CertificateDer<'static>,
    pub pem: String,
    pub connections: Arc<AtomicUsize>,
    /// Head and body of each request.
    requests: Arc<Mutex<Vec<String>>>,
    shown: Arc<Mutex<Arc<CertifiedKey>>>,
}

/// Presents a certificate with whatever key it was given.
#[derive(Debug)]
struct Presents(Arc<Mutex<Arc<CertifiedKey>>>);

impl ResolvesServerCert for Presents {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.lock().unwrap()))
    }
}

impl Server {
    pub async fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = own.signing_key.serialize_der();
        Self::with(own.cert.der().clone(), own.cert.pem(), key, reply).await
    }

    pub async fn with(
        certificate: CertificateDer<'static>,
        pem: String,
        key: Vec<u8>,
        reply: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let shown = Arc::new(Mutex::new(certified(&certificate, key)));
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Presents(Arc::clone(&shown))));
        // Whoever resumes a session is not shown the certificate again.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        let acceptor = TlsAcceptor::from(Arc::new(config));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (counted, seen, reply) = (Arc::clone(&connections), Arc::clone(&requests), Arc::new(reply));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (acceptor, seen, reply) = (acceptor.clone(), Arc::clone(&seen), Arc::clone(&reply));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(socket).await else { return };
                    let Some(request) = read_request(&mut stream).await else { return };
                    seen.lock().unwrap().push(request.clone());
                    let reply = reply(&request);
                    let (Reply::Send(text) | Reply::Stall(text)) = &reply;
                    let _ = stream.write_all(text.as_bytes()).await;
                    let _ = stream.flush().await;
                    if matches!(reply, Reply::Stall(_)) {
                        // Until the client gives up.
                        let _ = stream.read(&mut [0]).await;
                    }
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { address, certificate, pem, connections, requests, shown }
    }

    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.certificate).into()
    }

    /// From now on shows another certificate; gives back what brings the first one back.
    pub fn changes_its_certificate(&self) -> impl FnOnce() + use<> {
        let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let other = certified(other.cert.der(), other.signing_key.serialize_der());
        let first = std::mem::replace(&mut *self.shown.lock().unwrap(), other);
        let shown = Arc::clone(&self.shown);
        move || *shown.lock().unwrap() = first
    }

    pub fn asked(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn certified(certificate: &CertificateDer<'static>, key: Vec<u8>) -> Arc<CertifiedKey> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
    let key = aws_lc_rs::default_provider().key_provider.load_private_key(key).unwrap();
    Arc::new(CertifiedKey::new(vec![certificate.clone()], key))
}

async fn read_request(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let so_far = String::from_utf8_lossy(&text).to_string();
        if let Some((head, body)) = so_far.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse::<usize>())
            });
            if body.len() >= length.unwrap_or(Ok(0)).ok()? {
                return Some(so_far);
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => text.extend_from_slice(&chunk[..n]),
        }
    }
}

/// Takes connections and closes them at once.
pub async fn hangs_up() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (address, count)
}
