//! Instances as they are reached where there are no sockets: by address, through the firewall, with a key.

use std::net::Ipv4Addr;

use super::{
    command::{self, Said},
    inside,
    world::{Fate, Instance, Request, World},
};
use crate::sim::guest::Session;

/// Why a login comes to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shut {
    /// Nothing answers there: no such machine, not up yet, or kept out by the firewall.
    Silent,
    /// It shows this host key, which is none of those known.
    Stranger(String),
    /// It lets nobody in with that key.
    Denied,
}

impl World {
    /// A token that opens the APIs, as the metadata server hands one out.
    pub fn token(&mut self) -> String {
        let path = "computeMetadata/v1/instance/service-accounts/default/token".to_owned();
        let asked = Request { method: "GET".to_owned(), path, flavored: true, ..Request::default() };
        match self.submit(&asked) {
            Fate::Answered(super::Outcome::Now(super::Answer { body: super::Body::Json(body), .. })) => {
                body["access_token"].as_str().unwrap_or_default().to_owned()
            }
            _ => String::new(),
        }
    }

    fn at(&self, address: Ipv4Addr, port: u16) -> Option<&Instance> {
        let up = |it: &&Instance| it.address == Some(address) && it.status == "RUNNING" && it.inside.ssh;
        self.instances.values().find(up).filter(|it| self.admits(it, port))
    }

    /// The status with which an instance answers to HTTP at one of its ports; none where nothing answers.
    pub fn knock(&self, address: Ipv4Addr, port: u16, path: &str) -> Option<u16> {
        let instance = self.at(address, port)?;
        inside::asked(instance, port, path).map(|(status, _)| status)
    }

    /// Logs in and carries a line out. `known` are the host keys it may show, `keys` those offered, as lines.
    ///
    /// # Errors
    /// When nobody gets in.
    pub fn login(
        &mut self,
        (address, port): (Ipv4Addr, u16),
        user: &str,
        known: &[String],
        keys: &[String],
        (line, stdin): (&str, &[u8]),
    ) -> Result<Said, Shut> {
        let instance = self.at(address, port).ok_or(Shut::Silent)?;
        let shown = crate::sim::ssh::pair(&instance.host_key, "").public;
        if !known.iter().any(|key| shown.starts_with(key.as_str())) {
            return Err(Shut::Stranger(shown));
        }
        let body = |key: &str| key.split(' ').nth(1).map(str::to_owned);
        let (_, lets_in) = instance.inside.users.iter().find(|(name, _)| name == user).ok_or(Shut::Denied)?;
        if !lets_in.iter().any(|key| keys.iter().any(|offered| body(offered) == body(key))) {
            return Err(Shut::Denied);
        }
        let id = instance.id;
        command::run(self, id, &mut Session::new(user), line, stdin).ok_or(Shut::Silent)
    }
}
