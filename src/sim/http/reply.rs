//! Writes answers: Proxmox's headers, reason phrases, and the ways an answer can go wrong.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::Response;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::ext::ReasonPhrase;
use hyper::header::HeaderValue;
use serde_json::{Value, json};

use crate::sim::api::{self, Answer};

/// The connection is to be cut.
#[derive(Debug, thiserror::Error)]
#[error("the connection was cut on purpose")]
pub struct Broken;

/// Which form of the API was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// `/api2/json`
    Json,
    /// `/api2/extjs`: always 200, with `success`.
    ExtJs,
}

/// A body that may break off.
pub struct Stream {
    bytes: Option<Bytes>,
    /// What the length header says.
    length: u64,
    breaks: bool,
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.bytes.take() {
            Some(bytes) if !bytes.is_empty() => {
                if self.breaks {
                    // the half must be on the wire before the cut
                    cx.waker().wake_by_ref();
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            _ if self.breaks => Poll::Ready(Some(Err(Broken))),
            _ => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

/// An answer that arrives.
pub fn response(answer: Answer, face: Face, last: bool, gzip: bool) -> Response<Stream> {
    let mut response = build(answer, face, last, false);
    let body = response.body_mut();
    if gzip
        && body.length > COMPRESSED_FROM
        && let Some(small) = body.bytes.as_deref().and_then(compressed)
    {
        body.length = small.len() as u64;
        body.bytes = Some(small);
        response.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
    }
    response
}

/// Bodies longer than this are compressed for those who take it.
const COMPRESSED_FROM: u64 = 1024;

fn compressed(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// An answer that breaks off in the middle of its body.
pub fn half(answer: Answer, face: Face) -> Response<Stream> {
    build(answer, face, false, true)
}

/// Plain words, as the server itself says them before any call is made.
pub fn text(status: u16, words: &str) -> Response<Stream> {
    let answer = Answer {
        status,
        reason: words.lines().next().unwrap_or_default().to_owned(),
        body: api::Body::Text(words.into()),
        daemon: false,
        fate: api::Fate::Arrives,
    };
    build(answer, Face::Json, false, false)
}

fn build(answer: Answer, face: Face, last: bool, breaks: bool) -> Response<Stream> {
    let failed = answer.status >= 400;
    let (status, reason, body) = match face {
        Face::Json => (answer.status, answer.reason, answer.body),
        Face::ExtJs => (200, "OK".to_owned(), wrapped(&answer)),
    };
    let (kind, bytes) = match body {
        api::Body::Json(value) => ("application/json;charset=UTF-8", value.to_string()),
        api::Body::Text(text) => ("", text),
        api::Body::Empty => ("", String::new()),
    };
    let length = bytes.len() as u64;
    let mut bytes = Bytes::from(bytes);
    if breaks {
        bytes.truncate(bytes.len() / 2);
    }
    let mut response = Response::new(Stream { bytes: Some(bytes), length, breaks });
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(reason) = ReasonPhrase::try_from(reason.into_bytes()) {
        response.extensions_mut().insert(reason);
    }
    let headers = response.headers_mut();
    headers.insert("cache-control", HeaderValue::from_static("max-age=0"));
    if answer.daemon && !failed && !last {
        // the proxy keeps the daemon's own `close` beside its `Keep-Alive`
        headers.insert(super::hop::STAND_IN, HeaderValue::from_static("close"));
    }
    let connection = if failed || last { "close" } else { "Keep-Alive" };
    headers.insert("connection", HeaderValue::from_static(connection));
    headers.insert("pragma", HeaderValue::from_static("no-cache"));
    headers.insert("server", HeaderValue::from_static("pve-api-daemon/3.0"));
    if !kind.is_empty() {
        headers.insert("content-type", HeaderValue::from_static(kind));
    }
    response
}

fn wrapped(answer: &Answer) -> api::Body {
    let mut body = match &answer.body {
        api::Body::Json(value) => value.clone(),
        _ => json!({ "data": null, "message": answer.reason }),
    };
    body["success"] = json!(u8::from(answer.status < 400));
    if answer.status >= 400 {
        body["status"] = json!(answer.status);
        if body.get("data").is_none() {
            body["data"] = Value::Null;
        }
    }
    api::Body::Json(body)
}
