//! The HTTPS face of a node: an accept loop of its own, so that connections can stall, break off
//! and carry Proxmox's reason phrases. HTTP/1 only, as Proxmox.

pub(super) mod body;
mod hop;
mod reply;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, AUTHORIZATION, COOKIE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::api::{self, Caller, Fate};
use super::{SimError, WorldHandle};
use reply::{Broken, Face, Stream};
pub use tls::Identity;

/// Proxmox ends a connection that is idle for so long.
const IDLE: Duration = Duration::from_secs(5);
/// Proxmox takes so many requests on one connection.
const REQUESTS: u32 = 100;

/// Listens for one node. Returns the address it got and the task that serves it.
///
/// # Errors
/// When the address is taken.
pub async fn listen(
    address: SocketAddr,
    node: &str,
    identity: &Identity,
    world: WorldHandle,
) -> Result<(SocketAddr, JoinHandle<()>), SimError> {
    let wrong = |source| SimError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(wrong)?;
    let bound = listener.local_addr().map_err(wrong)?;
    let acceptor = identity.acceptor();
    let node: Arc<str> = node.into();
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                taken = listener.accept() => {
                    let Ok((stream, _)) = taken else { continue };
                    // a node that is off refuses: the nearest a listening socket comes to it
                    if world.world(|world| world.online(&node)) {
                        connections.spawn(connection(stream, acceptor.clone(), node.clone(), world.clone()));
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
    });
    Ok((bound, task))
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, node: Arc<str>, world: WorldHandle) {
    let _ = stream.set_nodelay(true);
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let served = AtomicU32::new(0);
    let service = service_fn(|request| {
        let last = served.fetch_add(1, Ordering::Relaxed) + 1 >= REQUESTS;
        answer(request, node.clone(), world.clone(), last)
    });
    let mut server = http1::Builder::new();
    server
        .auto_date_header(false)
        .title_case_headers(true)
        .max_headers(64)
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE);
    // a connection that ends in an error was cut on purpose, or by the client
    let _ = server.serve_connection(TokioIo::new(hop::Hop::new(stream)), service).await;
}

async fn answer(
    request: Request<Incoming>,
    node: Arc<str>,
    world: WorldHandle,
    last: bool,
) -> Result<Response<Stream>, Broken> {
    let path = request.uri().path().to_owned();
    let (face, rest) = match path.strip_prefix("/api2/json").map(|rest| (Face::Json, rest)) {
        Some(found) => found,
        None => match path.strip_prefix("/api2/extjs") {
            Some(rest) => (Face::ExtJs, rest),
            None => return Ok(reply::text(501, &format!("no such file '{path}'"))),
        },
    };
    let caller = caller(&request);
    let gzip = request
        .headers()
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("gzip"));
    let method = request.method().to_string();
    let rest = body::decoded(rest, false);
    let params = match body::params(request).await {
        Ok(params) => params,
        Err((status, why)) => return Ok(reply::text(status, &why)),
    };
    let rest = if rest.is_empty() { "/".to_owned() } else { rest };
    let made = world.call(api::Request { entry: node.to_string(), method, path: rest, params, caller }).await;
    match made.fate {
        Fate::Arrives => Ok(reply::response(made, face, last, gzip)),
        Fate::Half => Ok(reply::half(made, face)),
        Fate::Cut => Err(Broken),
        Fate::Stall => std::future::pending().await,
    }
}

/// Who calls: the authorization header goes before the cookie.
fn caller(request: &Request<Incoming>) -> Caller {
    let header = |name| request.headers().get(name).and_then(|value: &hyper::header::HeaderValue| value.to_str().ok());
    let cookie = header(COOKIE.as_str())
        .into_iter()
        .flat_map(|all| all.split(';'))
        .find_map(|one| one.trim().strip_prefix("PVEAuthCookie="))
        .map(|value| body::decoded(value, false));
    match (header(AUTHORIZATION.as_str()), cookie) {
        (Some(value), _) if value.starts_with("PVEAPIToken") => Caller::Header(body::decoded(value, false)),
        (_, Some(ticket)) => Caller::Ticket { ticket, csrf: header("CSRFPreventionToken").map(str::to_owned) },
        (Some(value), None) => Caller::Header(value.to_owned()),
        (None, None) => Caller::Nobody,
    }
}
