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

/// A container that was named, by what it is called among answers.
pub type Found = (SeatName, Result<Container, Down>);

/// A container that does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    pub vmid: Vmid,
    pub node: NodeName,
    pub name: Clean,
}

impl Down {
    /// In words that are the same for all that are down on a node.
    pub fn folded(&self) -> Clean {
        Clean::new(format!("it does not run; `pct start` on {} starts it", self.node))
    }
}

impl From<Down> for ServiceError {
    fn from(Down { vmid, node, name }: Down) -> Self {
        Self::NotNow(format!("container {vmid} on {node} ({name}) does not run; on {node}: pct start {vmid}"))
    }
}

impl Container {
    /// Looks for it on its site; it has to run.
    pub async fn of(home: &Homeroom, site: &str, vmid: Vmid) -> Result<Self, ServiceError> {
        let (_, mut found) = Self::all_of(home, site, &[vmid]).await?;
        let (_, container) = found.pop().ok_or_else(|| no_such(site, vmid))?;
        Ok(container?)
    }

    /// Looks for several on their site, each once. One that does not run is among them with the reason; a number that
    /// is no container's is an error.
    pub async fn all_of(home: &Homeroom, site: &str, vmids: &[Vmid]) -> Result<(Arc<Site>, Vec<Found>), ServiceError> {
        let name = SiteName::new(site);
        let known = name.as_ref().ok().and_then(|name| home.sites.get(name)).cloned();
        let site = known.ok_or_else(|| {
            let known = home.sites.keys().map(ToString::to_string).collect::<Vec<_>>();
            ServiceError::NotNow(format!(
                "no Proxmox site is called {site}; the configuration has {}",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            ))
        })?;
        site.know_nodes().await?;
        let view = site.cluster.view().await?;
        let mut all: Vec<Found> = Vec::new();
        for vmid in vmids {
            let called = called(*vmid)?;
            if all.iter().any(|(known, _)| *known == called) {
                continue;
            }
            let guest = view.guest(*vmid).ok_or_else(|| no_such(site.name.as_str(), *vmid))?;
            let node = guest.node.clone();
            let name = guest.name.clone().unwrap_or_else(|| Clean::new("without a name"));
            if !guest.container {
                return Err(ServiceError::NotNow(format!(
                    "{vmid} on {node} ({name}) is a virtual machine: those are reached as seats, \
                     `homeroom ssh LAB/SEAT`; `homeroom adopt {} LAB/SEAT={vmid}` makes it one",
                    site.name
                )));
            }
            let found = match guest.power {
                Power::Running => {
                    let target = site.nodes.target(&node);
                    Ok(Self { site: site.clone(), vmid: *vmid, node, target })
                }
                _ => Err(Down { vmid: *vmid, node, name }),
            };
            all.push((called, found));
        }
        Ok((site, all))
    }

    /// How it is called among answers.
    pub fn seat(&self) -> Option<SeatName> {
        called(self.vmid).ok()
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

/// How a container is called among answers.
fn called(vmid: Vmid) -> Result<SeatName, ServiceError> {
    SeatName::new(format!("ct-{vmid}")).map_err(|error| ServiceError::NotNow(error.to_string()))
}

fn no_such(site: &str, vmid: Vmid) -> ServiceError {
    ServiceError::NotNow(format!("{site} has no machine or container with the number {vmid}"))
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
