//! A site as the use cases see it: its cluster, the ways into its guests, its rules.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    domain::{NodeName, SiteName, name::VmidRange},
    port::{Cluster, GuestAgent, Inspect, Mend, RemoteShell, SiteError, shell::ShellTarget},
};

/// What the configuration says about a site, beyond how to reach it.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteRules {
    /// `dev`, `staging` or `prod`.
    pub environment: String,
    pub vmids: VmidRange,
    pub max_seats: u32,
    /// 1.0: guests may be promised as much memory as a node has.
    pub memory_overcommit: f64,
    /// Who is logged in as where the definition names nobody.
    pub user: String,
    /// The admin's own key, offered after the lab's.
    pub key: Option<PathBuf>,
    pub port: u16,
    pub guest_via: GuestVia,
}

/// How guests are reached by SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuestVia {
    Direct,
    /// Through the node the guest runs on.
    Node,
    /// Through one machine for all.
    Jump(ShellTarget),
    /// Through the class's teacher machine.
    Teacher,
}

/// One place machines live.
pub struct Site {
    pub name: SiteName,
    pub rules: SiteRules,
    pub cluster: Arc<dyn Cluster>,
    /// For looking it over.
    pub inspect: Arc<dyn Inspect>,
    /// Guest agents through the cluster's API.
    pub agent_by_api: Arc<dyn GuestAgent>,
    /// Guest agents through `qm` on the nodes.
    pub agent_by_node: Arc<dyn GuestAgent>,
    pub shell: Arc<dyn RemoteShell>,
    /// Repairs by root on the nodes.
    pub mend: Arc<dyn Mend>,
    /// How to log in to nodes.
    pub nodes: Arc<dyn NodeLogins>,
}

impl Site {
    /// Makes sure that it is known where the nodes are: asked of the cluster once, for those the
    /// configuration says nothing about.
    pub async fn know_nodes(&self) -> Result<(), SiteError> {
        if !self.nodes.is_complete() {
            self.nodes.learn(self.cluster.node_addresses().await?);
        }
        Ok(())
    }

    /// The same for one node: about one whose address the configuration says nothing is asked.
    pub async fn know_node(&self, node: &NodeName) -> Result<(), SiteError> {
        if self.nodes.is_configured(node) {
            return Ok(());
        }
        self.know_nodes().await
    }
}

/// How to log in to a site's nodes.
pub trait NodeLogins: Send + Sync {
    fn target(&self, node: &NodeName) -> ShellTarget;
    /// Whether the configuration says where a node is.
    fn is_configured(&self, node: &NodeName) -> bool;
    /// Whether the cluster's own addresses are known.
    fn is_complete(&self) -> bool;
    /// Takes in the addresses by which the cluster knows its nodes.
    fn learn(&self, addresses: Vec<(NodeName, Option<IpAddr>)>);
}

/// Node logins: as configured, else at the cluster's own address, else by the node's name.
pub struct NodeTable {
    configured: BTreeMap<NodeName, ShellTarget>,
    /// For nodes that are not configured; its host is replaced.
    otherwise: ShellTarget,
    addresses: Mutex<Option<BTreeMap<NodeName, IpAddr>>>,
}

impl NodeTable {
    pub fn new(configured: BTreeMap<NodeName, ShellTarget>, otherwise: ShellTarget) -> Self {
        Self { configured, otherwise, addresses: Mutex::default() }
    }

    fn addresses(&self) -> MutexGuard<'_, Option<BTreeMap<NodeName, IpAddr>>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NodeLogins for NodeTable {
    fn target(&self, node: &NodeName) -> ShellTarget {
        if let Some(target) = self.configured.get(node) {
            return target.clone();
        }
        let address = self.addresses().as_ref().and_then(|known| known.get(node).copied());
        let host = address.map_or_else(|| node.to_string(), |ip| ip.to_string());
        ShellTarget { host, ..self.otherwise.clone() }
    }

    fn is_configured(&self, node: &NodeName) -> bool {
        self.configured.contains_key(node)
    }

    fn is_complete(&self) -> bool {
        self.addresses().is_some()
    }

    fn learn(&self, addresses: Vec<(NodeName, Option<IpAddr>)>) {
        *self.addresses() = Some(addresses.into_iter().filter_map(|(node, ip)| Some((node, ip?))).collect());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::port::shell::HostKey;

    #[test]
    fn a_node_is_reached_as_configured_else_at_the_clusters_address_else_by_name() {
        let at = |host: &str| ShellTarget {
            host: host.to_owned(),
            port: 22,
            user: "root".to_owned(),
            keys: Vec::new(),
            ask_agent: true,
            host_key: HostKey::Known,
            via: None,
        };
        let table = NodeTable::new(BTreeMap::from([(NodeName::new("pve1"), at("192.0.2.1"))]), at(""));
        assert!(!table.is_complete());
        table.learn(vec![
            (NodeName::new("pve1"), Some("10.0.0.1".parse().unwrap())),
            (NodeName::new("pve2"), Some("10.0.0.2".parse().unwrap())),
            (NodeName::new("pve3"), None),
        ]);
        let host = |node: &str| table.target(&NodeName::new(node)).host;
        assert_eq!([host("pve1"), host("pve2"), host("pve3")], ["192.0.2.1", "10.0.0.2", "pve3"]);
    }
}
