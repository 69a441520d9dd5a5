//! Requests over TLS to one of a site's addresses, and on to the next when that is safe.
//!
//! Safe is: nothing was sent yet, or the request only asks. A write whose answer is lost is reported as
//! lost and never sent again.

use std::{
    cmp::Reverse,
    error::Error as StdError,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use reqwest::{
    Client, Method, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue},
    redirect,
};
use serde_json::Value;

use super::{
    Connection, ConnectionError, Limits,
    ask::Ask,
    error::{Answer, Asked, Failed, read},
    login::{Badge, Window},
    trust::{self, Trust},
};
use crate::{
    domain::{Clean, NodeName},
    port::{Clock, SiteError},
};

/// How long an address that could not be reached is asked last.
const SHUN: Duration = Duration::from_secs(30);

/// Makes something of an answer.
pub(super) type Take<'a, T> = dyn Fn(Asked<'_>, Answer) -> Result<T, Failed> + Send + Sync + 'a;

/// An address, and how it did lately.
#[derive(Debug)]
struct Endpoint {
    base: String,
    node: Option<NodeName>,
}

#[derive(Debug)]
struct Health {
    /// The address that last worked.
    preferred: usize,
    /// When each could last not be reached.
    down: Vec<Option<Instant>>,
}

pub(super) struct Transport {
    site: String,
    endpoints: Vec<Endpoint>,
    health: Mutex<Health>,
    /// Keeps connections: for what may be repeated.
    reader: Client,
    /// A new connection for every request, so that none is lost to a connection that just went stale.
    writer: Client,
    limits: Limits,
    pub(super) badge: Badge,
    pub(super) trust: Trust,
    clock: Arc<dyn Clock>,
}

impl Transport {
    pub fn new(connection: Connection, clock: Arc<dyn Clock>) -> Result<Self, ConnectionError> {
        let Connection { site, endpoints, node_api, trust, credentials, limits } = connection;
        if endpoints.is_empty() && node_api.is_empty() {
            return Err(ConnectionError::NoEndpoint);
        }
        let own = node_api.into_iter().map(|(node, base)| (base, Some(node)));
        let endpoints = endpoints
            .into_iter()
            .map(|base| (base, None))
            .chain(own)
            .map(|(base, node)| Ok(Endpoint { base: checked(base)?, node }))
            .collect::<Result<Vec<_>, ConnectionError>>()?;

        let badge = Badge::new(credentials)?;
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        let tls = trust::tls(&trust)?;
        let client = |kept: usize| {
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .default_headers(headers.clone())
                .user_agent(concat!("homeroom/", env!("CARGO_PKG_VERSION")))
                .http1_only()
                .no_proxy()
                .retry(reqwest::retry::never())
                .redirect(redirect::Policy::none())
                .connect_timeout(limits.connect)
                .timeout(limits.request)
                .pool_idle_timeout(limits.idle)
                .pool_max_idle_per_host(kept)
                .build()
                .map_err(|e| ConnectionError::Tls(e.to_string()))
        };
        let health = Mutex::new(Health { preferred: 0, down: vec![None; endpoints.len()] });
        Ok(Self { site, endpoints, health, reader: client(16)?, writer: client(0)?, limits, badge, trust, clock })
    }

    pub fn site(&self) -> &str {
        &self.site
    }

    /// As whom it asks, `name@realm` or `name@realm!token`.
    pub fn id(&self) -> &str {
        self.badge.id()
    }

    /// The addresses as configured.
    pub fn endpoints(&self) -> Vec<String> {
        self.endpoints.iter().map(|endpoint| endpoint.base.clone()).collect()
    }

    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Sends to one address alone.
    pub async fn send_to(&self, endpoint: &str, ask: Ask) -> Result<Value, SiteError> {
        let headers = match &self.badge {
            Badge::Token(headers, _) => headers.clone(),
            Badge::Login(login) => login.ticket(self, None).await?.headers(false),
        };
        let index = self.endpoints.iter().position(|known| known.base == endpoint).unwrap_or_default();
        match self.once(index, &ask, &headers, &data).await {
            Ok(data) => Ok(data),
            Err(Failed::Answered(error)) => Err(error),
            Err(failed) => Err(self.sum_up(ask, vec![(index, failed)])),
        }
    }

    /// Sends with the site's credentials, and gives the answer's `data`.
    pub async fn send(&self, ask: Ask) -> Result<Value, SiteError> {
        self.send_and(ask, &data).await
    }

    /// Sends with the site's credentials, and gives what `take` makes of the answer. A ticket no longer taken is
    /// made anew once: a 401 means that nothing was done.
    pub async fn send_and<T>(&self, ask: Ask, take: &Take<'_, T>) -> Result<T, SiteError> {
        let login = match &self.badge {
            Badge::Token(headers, _) => return self.round(ask, headers, take).await,
            Badge::Login(login) => login,
        };
        let writes = ask.method != Method::GET;
        let ticket = login.ticket(self, None).await?;
        match self.round(ask.clone(), &ticket.headers(writes), take).await {
            Err(SiteError::Unauthorized { .. }) => {}
            other => return other,
        }
        let ticket = login.ticket(self, Some(ticket.number)).await?;
        match self.round(ask, &ticket.headers(writes), take).await {
            Err(SiteError::Unauthorized { what, words, .. }) => {
                let next = "the ticket just given is not taken: compare the clocks of the nodes".to_owned();
                Err(SiteError::LoginRefused { what, words, next })
            }
            other => other,
        }
    }

    /// Sends to one address after the other until one answers.
    async fn round<T>(&self, ask: Ask, badge: &HeaderMap, take: &Take<'_, T>) -> Result<T, SiteError> {
        let mut failures: Vec<(usize, Failed)> = Vec::new();
        for index in self.order(ask.node.as_ref()) {
            match self.once(index, &ask, badge, take).await {
                Ok(data) => {
                    self.mark(index, true);
                    return Ok(data);
                }
                Err(failed @ (Failed::NotSent(_) | Failed::Untrusted(_))) => {
                    self.mark(index, false);
                    failures.push((index, failed));
                }
                Err(failed @ Failed::Lost(_)) if ask.repeatable => failures.push((index, failed)),
                Err(Failed::Answered(error @ SiteError::Malformed { .. })) if ask.repeatable => {
                    failures.push((index, Failed::Answered(error)));
                }
                Err(Failed::Lost(why)) => return Err(SiteError::Lost { what: ask.what, why }),
                Err(Failed::Answered(error)) => {
                    self.mark(index, true);
                    return Err(error);
                }
            }
        }
        Err(self.sum_up(ask, failures))
    }

    /// The addresses, the most promising first.
    fn order(&self, node: Option<&NodeName>) -> Vec<usize> {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let mut order: Vec<usize> = (0..self.endpoints.len()).collect();
        // Cached, as the time passing must not change a key while sorting.
        order.sort_by_cached_key(|&index| {
            let down = health.down.get(index).copied().flatten().is_some_and(|at| at.elapsed() < SHUN);
            let own = node.is_some() && self.endpoints.get(index).and_then(|e| e.node.as_ref()) == node;
            (down, Reverse(own), Reverse(index == health.preferred))
        });
        order
    }

    fn mark(&self, index: usize, reached: bool) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(down) = health.down.get_mut(index) {
            *down = (!reached).then(Instant::now);
        }
        // A node's own address is only the best for that node.
        if reached && self.endpoints.get(index).is_some_and(|e| e.node.is_none()) {
            health.preferred = index;
        }
    }

    async fn once<T>(&self, index: usize, ask: &Ask, badge: &HeaderMap, take: &Take<'_, T>) -> Result<T, Failed> {
        let base = self.endpoints.get(index).map_or("", |e| e.base.as_str());
        let mut url = format!("{base}/api2/json{}", ask.path);
        let in_body = matches!(ask.method, Method::POST | Method::PUT);
        if !in_body && !ask.form.is_empty() {
            // A body on GET or DELETE is refused.
            url = url + "?" + ask.form.as_str();
        }
        let client = if ask.repeatable { &self.reader } else { &self.writer };
        let mut request = client.request(ask.method.clone(), url).headers(badge.clone());
        if in_body {
            request = request
                .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
                .body(ask.form.as_str().to_owned());
        }
        let started = Instant::now();
        let outcome = match request.send().await {
            Ok(response) => self.answer(response).await,
            Err(error) => Err(not_answered(error, self.limits)),
        };
        let outcome = outcome.and_then(|answer| {
            tracing::debug!(
                site = %self.site, base, method = %ask.method, path = %ask.path, status = answer.status,
                ms = started.elapsed().as_millis(), "asked Proxmox"
            );
            take(Asked { what: &ask.what, site: &self.site, writes: !ask.repeatable }, answer)
        });
        if let Err(failed) = &outcome {
            tracing::debug!(site = %self.site, base, what = %ask.what, ?failed, "Proxmox gave no data");
        }
        outcome
    }

    /// Takes the whole answer in, up to the limit.
    async fn answer(&self, mut response: reqwest::Response) -> Result<Answer, Failed> {
        let status = response.status();
        let reason = match response.extensions().get::<hyper::ext::ReasonPhrase>() {
            Some(reason) => String::from_utf8_lossy(reason.as_bytes()).into_owned(),
            None => status.canonical_reason().unwrap_or_default().to_owned(),
        };
        let status = status.as_u16();
        // Whatever it says of its length is not believed beyond what is taken.
        let said = response.content_length().and_then(|bytes| usize::try_from(bytes).ok());
        let mut body = Vec::with_capacity(said.map_or(0, |bytes| bytes.min(self.limits.body)));
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > self.limits.body => {
                    return Err(Failed::Lost(Clean::new(format!(
                        "the answer is longer than {} MiB",
                        self.limits.body >> 20
                    ))));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                // The status line alone says that and why it was refused.
                Err(_) if status >= 400 => break,
                Err(error) => {
                    let why = format!("it broke off after {} bytes: {}", body.len(), words(&error, self.limits));
                    return Err(Failed::Lost(Clean::new(why)));
                }
            }
        }
        Ok(Answer { status, reason, body })
    }

    /// One error for all addresses tried.
    fn sum_up(&self, ask: Ask, mut failures: Vec<(usize, Failed)>) -> SiteError {
        // The site answered, and said that the node meant did not.
        let node_down = |failed: &Failed| matches!(failed, Failed::Lost(why) if why.as_str().starts_with("595"));
        let site = match &ask.node {
            Some(node) if failures.iter().all(|(_, failed)| node_down(failed)) => {
                format!("node {node} of {}", self.site)
            }
            _ => self.site.clone(),
        };
        let untrusted = failures.iter().any(|(_, failed)| matches!(failed, Failed::Untrusted(_)));
        // An answer, though senseless, says more than addresses that gave none.
        let senseless = failures.iter().position(|(_, failed)| matches!(failed, Failed::Answered(_)));
        if let Some(Failed::Answered(error)) = senseless.map(|at| failures.swap_remove(at).1) {
            return error;
        }
        // What all say alike is said once.
        let mut said: Vec<(String, Vec<&str>)> = Vec::new();
        for (index, failed) in &failures {
            let base = self.endpoints.get(*index).map_or("", |e| e.base.as_str());
            let words = match failed {
                Failed::NotSent(why) | Failed::Untrusted(why) => why.to_string(),
                Failed::Lost(why) => format!("no answer: {why}"),
                Failed::Answered(error) => error.to_string(),
            };
            match said.iter_mut().find(|(known, _)| *known == words) {
                Some((_, bases)) => bases.push(base),
                None => said.push((words, vec![base])),
            }
        }
        // The cause is what has to be seen where there is little room.
        let told = |(words, bases): (String, Vec<&str>)| match bases.as_slice() {
            [base] => format!("{base}: {words}"),
            bases => format!("{words} ({})", bases.join(", ")),
        };
        let why: Vec<String> = said.into_iter().map(told).collect();
        let why = Clean::new(why.join("; "));
        if untrusted {
            SiteError::Untrusted { what: ask.what, site, why }
        } else {
            SiteError::Unreachable { what: ask.what, site, why }
        }
    }
}

impl Window for Transport {
    fn site(&self) -> &str {
        &self.site
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn ask(&self, ask: Ask) -> Result<Value, SiteError> {
        self.round(ask, &HeaderMap::new(), &data).await
    }
}

/// The `data` of an answer.
fn data(asked: Asked<'_>, answer: Answer) -> Result<Value, Failed> {
    read(asked, &answer)
}

/// A usable base address without its trailing slash.
fn checked(address: String) -> Result<String, ConnectionError> {
    let wrong = |why: String| ConnectionError::Endpoint { address: address.clone(), why };
    let url = Url::parse(&address).map_err(|e| wrong(format!("is no address ({e})")))?;
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) if url.query().is_none() && url.fragment().is_none() && url.username().is_empty() => {
            Ok(url.as_str().trim_end_matches('/').to_owned())
        }
        ("https", Some(_)) => Err(wrong("has more than a host, a port and a path".to_owned())),
        ("http", _) => Err(wrong("would send secrets in clear".to_owned())),
        _ => Err(wrong("is no https address".to_owned())),
    }
}

/// What a request without an answer came to.
fn not_answered(error: reqwest::Error, limits: Limits) -> Failed {
    if let Some(words) = trust::refusal(&error) {
        return Failed::Untrusted(Clean::new(words));
    }
    let why = Clean::new(words(&error, limits));
    if error.is_connect() || error.is_builder() { Failed::NotSent(why) } else { Failed::Lost(why) }
}

/// The innermost cause, which is the one that says something.
fn words(error: &reqwest::Error, limits: Limits) -> String {
    if error.is_timeout() {
        return if error.is_connect() {
            format!("no connection within {} s", limits.connect.as_secs_f32())
        } else {
            format!("no whole answer within {} s", limits.request.as_secs_f32())
        };
    }
    let mut cause: &dyn StdError = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let words = cause.to_string();
    // rustls explains the protocol at length, with an address; an admin wants to know what happened.
    if words.contains("close_notify") {
        return "the connection was cut before the answer was whole".to_owned();
    }
    words.split(" (os error").next().unwrap_or(&words).to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_that_would_send_the_token_in_clear_is_refused() {
        assert!(checked("http://pve1:8006".to_owned()).is_err());
        assert!(checked("pve1:8006".to_owned()).is_err());
        assert_eq!(checked("https://pve1:8006/".to_owned()).unwrap(), "https://pve1:8006");
    }
}
