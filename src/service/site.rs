//! A site as the use cases see it: its cluster, the ways into its guests, its rules.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use crate::{
    domain::{NodeName, SiteName, name::VmidRange},
    port::{Cluster, GuestAgent, RemoteShell, shell::ShellTarget},
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

impl SiteRules {
    /// Whether `--yes` is not enough to destroy here.
    pub fn is_prod(&self) -> bool {
        self.environment == "prod"
    }
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
    /// Guest agents through the cluster's API.
    pub agent_by_api: Arc<dyn GuestAgent>,
    /// Guest agents through `qm` on the nodes.
    pub agent_by_node: Arc<dyn GuestAgent>,
    pub shell: Arc<dyn RemoteShell>,
    /// How to log in to nodes.
    pub nodes: Arc<dyn NodeLogins>,
}

/// How to log in to a site's nodes.
pub trait NodeLogins: Send + Sync {
    fn target(&self, node: &NodeName) -> ShellTarget;
}

/// Node logins from a fixed table, with a rule for nodes that are not in it.
pub struct NodeTable {
    pub known: BTreeMap<NodeName, ShellTarget>,
    /// Used with the node's own name as host.
    pub otherwise: ShellTarget,
}

impl NodeLogins for NodeTable {
    fn target(&self, node: &NodeName) -> ShellTarget {
        self.known
            .get(node)
            .cloned()
            .unwrap_or_else(|| ShellTarget { host: node.to_string(), ..self.otherwise.clone() })
    }
}
