//! The HTTP face: compute, DNS, metadata and tokens on one port of the loopback, in clear.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request as Call, Response,
    body::{Bytes, Incoming},
    header::{AUTHORIZATION, CONTENT_TYPE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    Handle,
    answer::{Answer, Body, Outcome},
    world::{Fate, Request},
};
use crate::sim::http::body::decoded;

/// The largest body taken.
const LARGEST: usize = 2 << 20;

/// Why a connection ends without an answer.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection breaks off")
    }
}

impl std::error::Error for Broken {}

/// Serves until the task is dropped.
pub(super) async fn serve(listener: TcpListener, handle: Handle) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            taken = listener.accept() => {
                let Ok((stream, _)) = taken else { continue };
                connections.spawn(connection(stream, handle.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, handle: Handle) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|call| answer(call, handle.clone()));
    // A connection that ends in an error was cut on purpose, or by the client.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(call: Call<Incoming>, handle: Handle) -> Result<Response<Full<Bytes>>, Broken> {
    let header = |name: &str| call.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let pairs = call.uri().query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let query = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decoded(key, true), decoded(value, true)))
        .collect();
    let mut request = Request {
        method: call.method().to_string(),
        path: decoded(call.uri().path(), false).trim_start_matches('/').to_owned(),
        query,
        body: Vec::new(),
        authorization: header(AUTHORIZATION.as_str()),
        pays: header("x-goog-user-project"),
        flavored: header("metadata-flavor").is_some_and(|flavor| flavor == "Google"),
        form: header(CONTENT_TYPE.as_str()).is_some_and(|kind| kind.contains("form")),
    };
    let body = Limited::new(call.into_body(), LARGEST).collect().await.map_err(|_| Broken)?;
    request.body = body.to_bytes().to_vec();
    match handle.world(|world| world.submit(&request)) {
        Fate::Broken => Err(Broken),
        Fate::Answered(Outcome::Now(answer)) => Ok(written(answer)),
        Fate::Answered(Outcome::WhenDone { operation, latest }) => {
            let answer = handle.done(&operation, latest).await;
            handle.world(|world| world.keep(&request, &answer));
            Ok(written(answer))
        }
    }
}

fn written(answer: Answer) -> Response<Full<Bytes>> {
    let (kind, text) = match answer.body {
        Body::Json(value) => ("application/json; charset=UTF-8", value.to_string()),
        Body::Text(text) => ("application/text", text),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    headers.insert("metadata-flavor", hyper::header::HeaderValue::from_static("Google"));
    response
}

/// Where the face listens.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, crate::sim::SimError> {
    TcpListener::bind(address).await.map_err(|source| crate::sim::SimError::Listen { address, source })
}
