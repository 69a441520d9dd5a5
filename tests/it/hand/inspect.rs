//! The part of looking a site over that planning needs: privileges. Doctor itself is tried over sockets.

use std::collections::BTreeSet;

use async_trait::async_trait;
use homeroom::{
    domain::{Clean, NodeName, Vmid},
    port::{
        Inspect, SiteError,
        inspect::{Bridge, Caller, Certificate, RoleRow},
    },
};
use serde_json::json;

use super::cluster::Api;

#[async_trait]
impl Inspect for Api {
    fn endpoints(&self) -> Vec<String> {
        Vec::new()
    }

    fn caller(&self) -> Caller {
        let id = self.token.split('=').next().unwrap_or_default();
        let (user, token) = id.split_once('!').unwrap_or((id, ""));
        Caller { user: user.to_owned(), token: Some(token.to_owned()) }
    }

    async fn certificate(&self, _: &str) -> Result<Certificate, Clean> {
        Err(Clean::new("there are no sockets on the stage"))
    }

    async fn version_at(&self, _: &str) -> Result<Clean, SiteError> {
        Ok(self.stage.world(|world| Clean::new(&world.version)))
    }

    async fn time(&self, _: &NodeName) -> Result<jiff::Timestamp, SiteError> {
        Ok(homeroom::port::Clock::now(&*self.stage))
    }

    async fn privileges(&self, path: &str) -> Result<BTreeSet<String>, SiteError> {
        let data = self.ask("ask what may be done", "GET", "/access/permissions", json!({"path": path})).await?;
        let held = data.get(path).and_then(|held| held.as_object()).into_iter().flatten();
        Ok(held.map(|(name, _)| name.clone()).collect())
    }

    async fn is_free(&self, vmid: Vmid) -> Result<bool, SiteError> {
        let params = json!({"vmid": vmid.get()});
        match self.ask("ask whether it is free", "GET", "/cluster/nextid", params).await {
            Ok(_) => Ok(true),
            Err(SiteError::Invalid { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn roles(&self) -> Result<Vec<RoleRow>, SiteError> {
        Ok(Vec::new())
    }

    async fn bridges(&self, _: &NodeName) -> Result<Vec<Bridge>, SiteError> {
        Ok(Vec::new())
    }
}
