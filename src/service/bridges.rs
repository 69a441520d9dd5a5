//! Bridges: whether those a definition names are on the nodes its machines are to be on. Found out before anything is
//! set aside; Proxmox itself says so only when a machine is started.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};

use super::{ServiceError, Site};
use crate::domain::{Clean, NodeName, Plan, StepName};

/// Nodes asked at once.
const AT_ONCE: usize = 4;

/// The bridges of a site's nodes, each once, by name. Nodes that may not be asked, or do not answer, have none.
pub async fn all(site: &Site) -> Vec<Clean> {
    let Ok(view) = site.cluster.view().await else { return Vec::new() };
    let online = view.nodes.into_iter().filter(|node| node.online);
    let asked = online.map(|node| async move { site.inspect.bridges(&node.node).await });
    let answers: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    let names: BTreeSet<Clean> = answers.into_iter().flatten().flatten().map(|bridge| bridge.name).collect();
    names.into_iter().collect()
}

/// An error that names every bridge and the nodes it is missing on. A node that may not be asked is let try.
pub async fn are_there(site: &Site, plan: &Plan) -> Result<(), ServiceError> {
    let mut wanted: BTreeMap<NodeName, BTreeSet<String>> = BTreeMap::new();
    for seat in plan.seats.iter().filter(|seat| seat.steps.contains(&StepName::Configure)) {
        let bridges = seat.spec.machine.nic.iter().map(|nic| nic.bridge.to_string());
        wanted.entry(seat.node.clone()).or_default().extend(bridges);
    }
    wanted.retain(|_, bridges| !bridges.is_empty());
    let asked = wanted.into_iter().map(|(node, bridges)| async move {
        let there = site.inspect.bridges(&node).await;
        (node, bridges, there)
    });
    let answers: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    let mut missing: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (node, bridges, there) in answers {
        let Ok(there) = there else { continue };
        for bridge in bridges.into_iter().filter(|bridge| !there.iter().any(|known| known.name.as_str() == bridge)) {
            missing.entry(bridge).or_default().push(node.to_string());
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let words = |(bridge, nodes): (String, Vec<String>)| {
        format!(
            "there is no bridge {bridge} on {}; make it there, keep the lab to other nodes with placement.nodes, or allow \
             SDN.Use on /sdn/zones/localnetwork/{bridge} if it is only hidden",
            nodes.join(", ")
        )
    };
    Err(ServiceError::Problems { lab: plan.lab.clone(), problems: missing.into_iter().map(words).collect() })
}
