//! Machines whose roll call has not proven them yet: where they are and by which host keys they are known, asked of
//! their guest agents. Asks only what carries the seat's own mark, changes nothing, and writes nothing down.

use std::{net::IpAddr, time::Duration};

use super::Site;
use crate::{
    deploy::class::{REPORT, SelfReport},
    domain::{
        Clean, LabName, NodeName, SeatName, StoreId, Vmid, address,
        mark::{Ownership, ownership},
    },
    port::{GuestAgent, agent::AgentError, cluster::GuestConfig, shell::ShellError},
};

/// For one question to a guest agent: modelled time.
const WITHIN: Duration = Duration::from_secs(30);

/// Why a guest agent told nothing.
#[derive(Debug)]
pub(super) enum Untold {
    /// Its node does not let anybody ask, for want of trust or of a key: a person has to see to that.
    Shut(ShellError),
    Said(Clean),
}

impl From<&str> for Untold {
    fn from(words: &str) -> Self {
        Self::Said(words.into())
    }
}

/// A machine and whose it ought to be.
pub(super) struct Stranger<'a> {
    pub node: &'a NodeName,
    pub vmid: Vmid,
    pub lab: &'a LabName,
    pub seat: &'a SeatName,
}

impl Stranger<'_> {
    /// Its settings, once its mark is seen to be this seat's: a number may be somebody else's by now.
    pub(super) async fn ours(&self, site: &Site, store: &StoreId) -> Result<GuestConfig, Clean> {
        let (node, vmid) = (self.node, self.vmid);
        let config = site.cluster.config(node, vmid).await.map_err(|error| of_any(&error.to_string(), node, vmid))?;
        match ownership(store, vmid, false, &config.description) {
            Ownership::Ours(mark) if mark.lab == *self.lab && mark.seat == *self.seat => Ok(config),
            _ => Err("its machine does not carry this seat's mark: nothing was run there".into()),
        }
    }

    /// Its host keys, each `TYPE BASE64`.
    pub(super) async fn host_keys(&self, agent: &dyn GuestAgent) -> Result<Vec<String>, Untold> {
        let words = ["sh", "-c", REPORT].map(str::to_owned);
        let said = agent.exec(self.node, self.vmid, &words, WITHIN).await;
        let said = said.map_err(|error| untold(error, self.node, self.vmid))?;
        if said.timed_out {
            return Err("its guest agent does not come to an end with the question".into());
        }
        let keys = SelfReport::parse(&said.stdout).host_keys;
        if keys.is_empty() {
            return Err("it shows no SSH host key; is an SSH server installed in it?".into());
        }
        Ok(keys)
    }
}

/// The address a machine's agent tells: of the card its settings name, if they name one.
pub(super) async fn told_address(
    agent: &dyn GuestAgent,
    node: &NodeName,
    vmid: Vmid,
    config: &GuestConfig,
) -> Result<Option<IpAddr>, Untold> {
    let mac = config.get("net0").and_then(address::mac_of);
    let cards = agent.interfaces(node, vmid).await.map_err(|error| untold(error, node, vmid))?;
    let own = cards.iter().filter(|card| mac.is_none() || card.mac == mac);
    Ok(own.flat_map(|card| &card.addresses).copied().find(|ip| address::is_usable(*ip)))
}

fn untold(error: AgentError, node: &NodeName, vmid: Vmid) -> Untold {
    match error {
        AgentError::Shell(error) if !error.is_passing() => Untold::Shut(error),
        error => Untold::Said(of_any(&error.to_string(), node, vmid)),
    }
}

/// What went wrong with one machine, so that machines with the same trouble fold.
pub(super) fn of_any(words: &str, node: &NodeName, vmid: Vmid) -> Clean {
    let words = words.replace(&format!("about {vmid}"), "about it");
    Clean::new(words.replace(&format!("{vmid} on {node}"), "its machine"))
}
