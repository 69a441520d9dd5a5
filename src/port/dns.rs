//! Names published in DNS: one address record a name, with a text record beside it that says whose it is.

use std::net::Ipv4Addr;

use async_trait::async_trait;

use super::cloud::CloudError;

/// A name as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub addresses: Vec<Ipv4Addr>,
    /// What the text record beside it says.
    pub mark: Option<String>,
}

#[async_trait]
pub trait Dns: Send + Sync {
    /// What a name is published as, if it is.
    async fn find(&self, name: &str) -> Result<Option<Published>, CloudError>;
    /// Every name beside which a text record says exactly this, without the dot at its end.
    async fn marked(&self, mark: &str) -> Result<Vec<String>, CloudError>;
    /// Publishes a name, instead of what it was published as. Whose that was is the caller's to look at.
    async fn publish(&self, name: &str, address: Ipv4Addr, mark: &str) -> Result<(), CloudError>;
    /// Takes a name back, with its mark. None is no error.
    async fn withdraw(&self, name: &str) -> Result<(), CloudError>;
}
