//! One call: the token, the request, the answer sorted. What is repeated, and when, is the caller's to decide.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{Client, Method};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{
    error,
    tokens::{PAYS, Pass, Tokens},
};
use crate::{domain::Clean, port::CloudError};

/// For one answer, but for `wait`: wall time.
const WITHIN: Duration = Duration::from_secs(60);
/// `wait` blocks up to two minutes.
const WAIT_WITHIN: Duration = Duration::from_secs(150);

/// Between attempts to read something, longer each time, as Google asks for: wall time.
const AGAIN: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// An answer that takes longer than this to be lost is asked for once more, and not again and again: wall time.
const PATIENT: Duration = Duration::from_secs(30);

/// How the address of a question for permissions ends.
pub const TEST_PERMISSIONS: &str = ":testIamPermissions";

/// A part of a wait that differs from one question to another, so that they do not come back all at once.
fn jitter(url: &str, attempt: usize, most: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    (url, attempt).hash(&mut hasher);
    most.mul_f64((hasher.finish() % 1000) as f64 / 1000.0)
}

/// The way to the APIs.
pub struct Http {
    line: Arc<dyn Line>,
    tokens: Tokens,
    /// `https://compute.googleapis.com/compute/v1`
    pub compute: String,
    /// `https://dns.googleapis.com/dns/v1`
    pub dns: String,
    /// `https://cloudresourcemanager.googleapis.com/v1`
    pub projects: String,
}

/// A request as it is sent.
pub struct Sent {
    pub method: Method,
    pub url: String,
    pub query: Vec<(String, String)>,
    pub bearer: SecretString,
    /// The project it counts against, where that is not the one it is about.
    pub pays: Option<String>,
    pub body: Option<Value>,
    /// How long its answer may take: wall time.
    pub within: Duration,
}

/// Why there is no answer.
pub enum Silence {
    /// Nothing was sent.
    Unsent(String),
    /// It may have arrived.
    Lost(String),
}

/// What carries requests there and answers back.
#[async_trait]
pub trait Line: Send + Sync {
    /// The status and the text of an answer.
    async fn send(&self, sent: Sent) -> Result<(u16, String), Silence>;
    /// The status of an answer to a plain question; no token goes along.
    async fn status(&self, url: &str, within: Duration) -> Result<u16, Clean>;
    /// Waits between two looks: wall time.
    async fn pause(&self, time: Duration);
}

/// What is asked.
#[derive(Clone)]
pub struct Call<'a> {
    /// In words, for errors: `starting intro-host in europe-west3-a`.
    pub what: &'a str,
    pub method: Method,
    pub url: String,
    pub query: Vec<(&'a str, String)>,
    pub body: Option<Value>,
}

impl<'a> Call<'a> {
    pub fn get(what: &'a str, url: String) -> Self {
        Self { what, method: Method::GET, url, query: Vec::new(), body: None }
    }

    pub fn post(what: &'a str, url: String, body: Value) -> Self {
        Self { what, method: Method::POST, url, query: Vec::new(), body: Some(body) }
    }

    pub fn delete(what: &'a str, url: String) -> Self {
        Self { what, method: Method::DELETE, url, query: Vec::new(), body: None }
    }

    /// Whether it changes nothing.
    fn asks(&self) -> bool {
        self.method == Method::GET || self.url.ends_with("/wait") || self.url.ends_with(TEST_PERMISSIONS)
    }

    pub fn with(mut self, key: &'a str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }
}

impl Http {
    /// `endpoint` takes the place of Google's own, for a simulated project.
    pub fn new(tokens: Tokens, endpoint: Option<&str>) -> Result<Self, String> {
        let client = Client::builder()
            .user_agent(concat!("homeroom/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(15))
            .redirect(reqwest::redirect::Policy::none());
        // A simulated project is on this host: no proxy knows it.
        let client = if endpoint.is_some() { client.no_proxy() } else { client };
        let client = client.build().map_err(|e| chain(&e))?;
        Ok(Self::over(Arc::new(Wire(client)), tokens, endpoint))
    }

    /// Over a line of another kind.
    pub fn over(line: Arc<dyn Line>, tokens: Tokens, endpoint: Option<&str>) -> Self {
        let base = |own: &str| endpoint.unwrap_or(own).trim_end_matches('/').to_owned();
        Self {
            line,
            tokens,
            compute: format!("{}/compute/v1", base("https://compute.googleapis.com")),
            dns: format!("{}/dns/v1", base("https://dns.googleapis.com")),
            projects: format!("{}/v1", base("https://cloudresourcemanager.googleapis.com")),
        }
    }

    /// Makes a call; its answer as JSON. What only asks is asked again after a while where the answer was lost or puts
    /// us off; whoever changes something decides that himself, by what stands in the journal.
    pub async fn call(&self, call: Call<'_>) -> Result<Value, CloudError> {
        if !call.asks() {
            return self.once(call).await;
        }
        for (attempt, wait) in AGAIN.into_iter().enumerate() {
            let began = std::time::Instant::now();
            match self.once(call.clone()).await {
                Err(CloudError::Busy { .. } | CloudError::Throttled { .. } | CloudError::Lost { .. }) => {}
                other => return other,
            }
            // What takes so long to say nothing is not mended by a moment.
            if began.elapsed() > PATIENT {
                break;
            }
            self.pause(wait + jitter(&call.url, attempt, wait / 2)).await;
        }
        self.once(call).await
    }

    /// Sends it once; again, with another token, where the one it had was no good: then nothing was done under it.
    async fn once(&self, call: Call<'_>) -> Result<Value, CloudError> {
        let what = call.what;
        let (mut status, mut text) = self.send(&call).await?;
        if status == 401 && self.tokens.forget() {
            (status, text) = self.send(&call).await?;
        }
        match status {
            200..=299 if text.is_empty() => Ok(Value::Null),
            200..=299 => serde_json::from_str(&text).map_err(|e| {
                let why = Clean::new(format!("its answer is no JSON: {e}"));
                CloudError::Lost { what: what.to_owned(), why }
            }),
            _ => Err(error::refused(what, status, &text)),
        }
    }

    async fn send(&self, call: &Call<'_>) -> Result<(u16, String), CloudError> {
        let what = || call.what.to_owned();
        let Pass { bearer, pays } = self
            .tokens
            .pass()
            .await
            .map_err(|why| CloudError::Unauthenticated { what: what(), words: Clean::new(why) })?;
        let sent = Sent {
            method: call.method.clone(),
            url: call.url.clone(),
            query: call.query.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
            bearer,
            pays,
            body: call.body.clone(),
            within: if call.url.ends_with("/wait") { WAIT_WITHIN } else { WITHIN },
        };
        self.line.send(sent).await.map_err(|silence| match silence {
            Silence::Unsent(why) => CloudError::Unreachable { what: what(), why: Clean::new(why) },
            Silence::Lost(why) => CloudError::Lost { what: what(), why: Clean::new(why) },
        })
    }

    /// The status of an answer to a plain question; no token goes along.
    pub async fn status(&self, url: &str, within: Duration) -> Result<u16, Clean> {
        self.line.status(url, within).await
    }

    /// Waits between two looks: wall time.
    pub async fn pause(&self, time: Duration) {
        self.line.pause(time).await;
    }
}

/// HTTP over sockets.
struct Wire(Client);

#[async_trait]
impl Line for Wire {
    async fn send(&self, sent: Sent) -> Result<(u16, String), Silence> {
        let mut request = self
            .0
            .request(sent.method, &sent.url)
            .query(&sent.query)
            .bearer_auth(sent.bearer.expose_secret())
            .timeout(sent.within);
        if let Some(pays) = &sent.pays {
            request = request.header(PAYS, pays);
        }
        request = match &sent.body {
            Some(body) => request.json(body),
            // A POST without a body says so: Google asks for its length.
            None => request.header(reqwest::header::CONTENT_LENGTH, 0),
        };
        let answer = request.send().await.map_err(|e| match e.is_connect() {
            true => Silence::Unsent(chain(&e)),
            false => Silence::Lost(chain(&e)),
        })?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(|e| Silence::Lost(chain(&e)))?;
        Ok((status, text))
    }

    async fn status(&self, url: &str, within: Duration) -> Result<u16, Clean> {
        let asked = self.0.get(url).timeout(within).send().await;
        asked.map(|answer| answer.status().as_u16()).map_err(|e| Clean::new(chain(&e)))
    }

    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// An error with what caused it; the address it was about is known anyway.
pub fn chain(error: &dyn std::error::Error) -> String {
    Clean::with_causes(error).to_string()
}
