//! A web address that gets the news by POST. The address is a secret and stands in no error.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, Url, redirect};
use secrecy::{ExposeSecret, SecretString};

use super::body;
use crate::{
    domain::{Clean, alert::Alert},
    port::pager::{Pager, PagerError},
};

/// For the whole request.
const WITHIN: Duration = Duration::from_secs(10);

/// An address and the client for it.
pub struct Webhook {
    address: SecretString,
    client: Client,
}

impl Webhook {
    /// Plain HTTP is taken for this very host only.
    ///
    /// # Errors
    /// An address that is none, in words that do not show it.
    pub fn new(address: SecretString) -> Result<Self, String> {
        let url = Url::parse(address.expose_secret()).map_err(|error| format!("it is no web address: {error}"))?;
        let here = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if url.scheme() != "https" && !(url.scheme() == "http" && here) {
            return Err("it must begin with https://".to_owned());
        }
        let client = Client::builder()
            .user_agent(concat!("homeroom/", env!("CARGO_PKG_VERSION")))
            .timeout(WITHIN)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| format!("no connection can be made: {}", error.without_url()))?;
        Ok(Self { address, client })
    }

    fn failed(why: impl AsRef<str>) -> PagerError {
        PagerError { by: Clean::new("the webhook"), why: Clean::bounded(why, 300) }
    }
}

#[async_trait]
impl Pager for Webhook {
    async fn tell(&self, alert: &Alert) -> Result<(), PagerError> {
        let request = self.client.post(self.address.expose_secret()).json(&body(alert));
        let answer = request.send().await.map_err(|error| Self::failed(error.without_url().to_string()))?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(Self::failed(format!("it answered {}", answer.status())))
    }
}
