//! One call: the token, the request, the answer sorted. What is repeated, and when, is the caller's to decide.

use std::time::Duration;

use reqwest::{Client, Method};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::{error, tokens::Tokens};
use crate::{domain::Clean, port::CloudError};

/// For one answer, but for `wait`: wall time.
const WITHIN: Duration = Duration::from_secs(60);
/// `wait` blocks up to two minutes.
const WAIT_WITHIN: Duration = Duration::from_secs(150);

/// The way to the APIs.
pub struct Http {
    client: Client,
    tokens: Tokens,
    /// `https://compute.googleapis.com/compute/v1`
    pub compute: String,
    /// `https://dns.googleapis.com/dns/v1`
    pub dns: String,
}

/// What is asked.
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
        let base = |own: &str| endpoint.unwrap_or(own).trim_end_matches('/').to_owned();
        Ok(Self {
            client,
            tokens,
            compute: format!("{}/compute/v1", base("https://compute.googleapis.com")),
            dns: format!("{}/dns/v1", base("https://dns.googleapis.com")),
        })
    }

    /// Makes a call; its answer as JSON.
    pub async fn call(&self, call: Call<'_>) -> Result<Value, CloudError> {
        let what = call.what;
        let unreachable = |why: String| CloudError::Unreachable { what: what.to_owned(), why: Clean::new(why) };
        let token = self
            .tokens
            .token()
            .await
            .map_err(|why| CloudError::Unauthenticated { what: what.to_owned(), words: Clean::new(why) })?;
        let asks = call.method == Method::GET || call.url.ends_with("/wait");
        let lost = |why: String| match asks {
            true => unreachable(why),
            false => CloudError::Lost { what: what.to_owned(), why: Clean::new(why) },
        };
        let within = if call.url.ends_with("/wait") { WAIT_WITHIN } else { WITHIN };
        let mut request = self
            .client
            .request(call.method, &call.url)
            .query(&call.query)
            .bearer_auth(token.expose_secret())
            .timeout(within);
        request = match &call.body {
            Some(body) => request.json(body),
            // A POST without a body says so: Google asks for its length.
            None => request.header(reqwest::header::CONTENT_LENGTH, 0),
        };
        let answer = request.send().await.map_err(|e| match e.is_connect() {
            true => unreachable(chain(&e)),
            false => lost(chain(&e)),
        })?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(|e| lost(chain(&e)))?;
        match status {
            200..=299 if text.is_empty() => Ok(Value::Null),
            200..=299 => serde_json::from_str(&text).map_err(|e| lost(format!("its answer is no JSON: {e}"))),
            _ => Err(error::refused(what, status, &text)),
        }
    }

    /// The status of an answer to a plain question; no token goes along.
    pub async fn status(&self, url: &str, within: Duration) -> Result<u16, Clean> {
        let asked = self.client.get(url).timeout(within).send().await;
        asked.map(|answer| answer.status().as_u16()).map_err(|e| Clean::new(chain(&e)))
    }
}

/// An error with what caused it; the address it was about is known anyway.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = next.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        cause = next.source();
    }
    words
}
