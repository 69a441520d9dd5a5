//! Into the LXC containers of a Proxmox site: by `pct` on their node, as its root. A container needs no network
//! for it, no SSH server and no agent.
//!
//! Labs are made of machines; a container is named by its site and number, and nothing about it is changed.

use std::sync::Arc;

use super::{Homeroom, ServiceError, Site};
use crate::{
    domain::{Clean, NodeName, SeatName, SiteName, Vmid, cluster::Power},
    port::shell::{ShellSession, ShellTarget, Tty},
};

/// A container that runs.
#[derive(Clone)]
pub struct Container {
    pub site: Arc<Site>,
    pub vmid: Vmid,
    pub node: NodeName,
    /// How its node is logged in to.
    pub target: ShellTarget,
}

/// `SITE/VMID` as typed; none for what names a lab's seat, which never is a number.
pub fn named(text: &str) -> Option<(&str, Vmid)> {
    let (site, number) = text.split_once('/')?;
    let number = number.parse().ok().filter(|_| number.chars().all(|c| c.is_ascii_digit()))?;
    Some((site, Vmid::new(number).ok()?))
}

impl Container {
    /// Looks for it on its site.
    pub async fn of(home: &Homeroom, site: &str, vmid: Vmid) -> Result<Self, ServiceError> {
        let name = SiteName::new(site);
        let found = name.as_ref().ok().and_then(|name| home.sites.get(name)).cloned();
        let site = found.ok_or_else(|| {
            let known = home.sites.keys().map(ToString::to_string).collect::<Vec<_>>();
            ServiceError::NotNow(format!(
                "no Proxmox site is called {site}; the configuration has {}",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            ))
        })?;
        site.know_nodes().await?;
        let view = site.cluster.view().await?;
        let guest = view.guest(vmid).ok_or_else(|| {
            ServiceError::NotNow(format!("{} has no machine or container with the number {vmid}", site.name))
        })?;
        let node = guest.node.clone();
        let called = guest.name.clone().unwrap_or_else(|| Clean::new("without a name"));
        if !guest.container {
            return Err(ServiceError::NotNow(format!(
                "{vmid} on {node} ({called}) is a virtual machine: those are reached as seats, `homeroom ssh LAB/SEAT`; \
                 `homeroom adopt {} LAB/SEAT={vmid}` makes it one",
                site.name
            )));
        }
        if guest.power != Power::Running {
            return Err(ServiceError::NotNow(format!(
                "container {vmid} on {node} ({called}) does not run; on {node}: pct start {vmid}"
            )));
        }
        let target = site.nodes.target(&node);
        Ok(Self { site, vmid, node, target })
    }

    /// How it is called among answers.
    pub fn seat(&self) -> Option<SeatName> {
        SeatName::new(format!("ct-{}", self.vmid)).ok()
    }

    /// The line for the node that runs a command inside. One word is a line for the shell there.
    pub fn line(&self, command: &[String]) -> String {
        let words = match command {
            [line] => super::exec::line(&["sh".to_owned(), "-c".to_owned(), line.clone()]),
            words => super::exec::line(words),
        };
        format!("pct exec {} -- {words}", self.vmid)
    }

    /// Root's shell inside, in a terminal.
    pub async fn enter(&self, tty: &Tty) -> Result<ShellSession, ServiceError> {
        let command = format!("pct enter {}", self.vmid);
        Ok(self.site.shell.open_as(&self.target, tty, Some(&command)).await?)
    }

    /// Starts a command inside.
    pub async fn start(&self, command: &[String]) -> Result<ShellSession, ServiceError> {
        Ok(self.site.shell.start(&self.target, &self.line(command)).await?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_number_behind_a_site_is_a_container_and_a_seat_is_not() {
        assert_eq!(named("campus/200").unwrap(), ("campus", Vmid::new(200).unwrap()));
        for text in ["cs101/ada", "cs101", "campus/", "campus/-1", "campus/2x", "campus/+200"] {
            assert!(named(text).is_none(), "{text}");
        }
    }
}
