//! What is known of the sites: the latest look, how old it is, and a short history of each node.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use crate::domain::{
    Clean, NodeName, SiteName, Vmid,
    cluster::{ClusterView, GuestView, NodeView},
    progress::SeatProgress,
    readiness::Look,
};

/// Without an answer for so long, what a site showed last says nothing of how it is now: as long as one question is
/// waited for.
const SILENT: Duration = Duration::from_secs(15);

/// One site on the screen.
#[derive(Debug, Default)]
pub struct Site {
    /// dev, staging or prod, as configured.
    pub environment: Clean,
    /// The latest look, and kept when the site no longer answers.
    pub view: Option<Arc<ClusterView>>,
    pub lost: Option<Lost>,
    offline: BTreeMap<NodeName, Timestamp>,
    history: BTreeMap<NodeName, Past>,
    /// Which nodes answered in the latest look.
    online: HashMap<NodeName, bool>,
    /// How many machines each node had in the latest look, templates not counted.
    machines: HashMap<NodeName, usize>,
    /// Where each guest stands in the latest look.
    guests: HashMap<Vmid, usize>,
}

/// Of each of the last looks at a node its load and its memory, as shares of what it has; the newest last.
pub type Past = VecDeque<(f64, f64)>;

/// Why a site is not seen.
#[derive(Debug, Clone)]
pub struct Lost {
    pub why: Clean,
    pub since: Timestamp,
}

/// A row of the nodes pane: a node, or a storage over all nodes that share it.
#[derive(Debug)]
pub enum NodeRow<'a> {
    Node {
        site: &'a SiteName,
        node: &'a NodeView,
        machines: usize,
        offline_since: Option<Timestamp>,
        /// The last looks.
        past: Option<&'a Past>,
    },
    Storage {
        site: &'a SiteName,
        name: &'a Clean,
        node: Option<&'a NodeName>,
        used: u64,
        total: u64,
        available: bool,
    },
}

impl NodeRow<'_> {
    /// What the cursor is kept by.
    pub fn key(&self) -> String {
        match self {
            Self::Node { site, node, .. } => format!("{site}/{}", node.node),
            Self::Storage { site, name, node, .. } => {
                format!("{site}:{name}@{}", node.map_or("", |n| n.as_str()))
            }
        }
    }

    /// The name a filter looks at.
    pub fn name(&self) -> &str {
        match self {
            Self::Node { node, .. } => node.node.as_str(),
            Self::Storage { name, .. } => name.as_str(),
        }
    }
}

impl Site {
    /// Looks kept of each node: ten minutes at the idle poll.
    const HISTORY: usize = 60;

    pub fn new(environment: Clean) -> Self {
        Self { environment, ..Self::default() }
    }

    /// Takes in a look.
    pub fn seen(&mut self, view: Arc<ClusterView>) {
        for node in &view.nodes {
            if node.online {
                self.offline.remove(&node.node);
                let history = self.history.entry(node.node.clone()).or_default();
                if history.len() == Self::HISTORY {
                    history.pop_front();
                }
                let memory = if node.memory == 0 { 0.0 } else { node.memory_used as f64 / node.memory as f64 };
                history.push_back((node.cpu, memory));
            } else {
                self.offline.entry(node.node.clone()).or_insert(view.at);
            }
        }
        self.history.retain(|name, _| view.node(name).is_some());
        self.offline.retain(|name, _| view.node(name).is_some());
        self.lost = None;
        let same = self.view.as_ref().is_some_and(|last| last.guests.is(&view.guests));
        if !same {
            self.count(&view);
        }
        self.online = view.nodes.iter().map(|node| (node.node.clone(), node.online)).collect();
        self.view = Some(view);
    }

    /// Where each guest stands, and how many there are of them on each node.
    fn count(&mut self, view: &ClusterView) {
        self.guests.clear();
        self.guests.extend(view.guests.iter().enumerate().map(|(n, guest)| (guest.vmid, n)));
        self.machines.clear();
        for guest in view.guests.iter().filter(|guest| !guest.template) {
            match self.machines.get_mut(&guest.node) {
                Some(count) => *count += 1,
                None => _ = self.machines.insert(guest.node.clone(), 1),
            }
        }
    }

    fn is_online(&self, node: &NodeName) -> bool {
        self.online.get(node).copied().unwrap_or(false)
    }

    /// A guest in the latest look.
    pub fn guest(&self, vmid: Vmid) -> Option<&GuestView> {
        self.view.as_deref()?.guests.get(*self.guests.get(&vmid)?)
    }

    /// The last looks at a node.
    pub fn past(&self, node: &NodeName) -> Option<&Past> {
        self.history.get(node)
    }

    /// Notes that it does not answer; the first time counts.
    pub fn lost(&mut self, why: Clean, now: Timestamp) {
        let since = self.lost.as_ref().map_or(now, |lost| lost.since);
        self.lost = Some(Lost { why, since });
    }

    /// How old the last answer is, or the first failure where there never was one, once that is so long that what was
    /// seen last no longer counts. `idle`: how often it is looked at when nothing is done.
    pub fn silent_for(&self, now: Timestamp, idle: Duration) -> Option<Duration> {
        let since = self.view.as_ref().map(|view| view.at).or(self.lost.as_ref().map(|lost| lost.since))?;
        let age = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        // One that was not known to be lost may still be asked in time.
        let limit = if self.lost.is_some() { SILENT } else { SILENT + idle };
        Some(age).filter(|age| *age >= limit)
    }

    /// What the latest look shows of a seat's machine.
    pub fn look<'a>(&'a self, seat: &SeatProgress) -> Option<Look<'a>> {
        let view = self.view.as_deref()?;
        let look = match seat.vmid.and_then(|vmid| self.guest(vmid)) {
            Some(guest) => Look {
                guest: Some(guest),
                ours: None,
                node_online: self.is_online(&guest.node),
                offline_since: None,
                at: view.at,
            },
            None => {
                // As `Look::of` has it, without going through all guests for one that is not among them.
                let node = seat.vmid.and(seat.node.as_ref())?;
                let node_online = self.is_online(node);
                let look = Look { guest: None, ours: None, node_online, offline_since: None, at: view.at };
                (view.quorate != Some(false)).then_some(look)?
            }
        };
        let offline_since = look.node(seat).and_then(|node| self.offline.get(node)).copied();
        Some(Look { offline_since, ..look })
    }

    /// Nodes, then the storages that can hold disks: a shared one once, others per node.
    pub fn rows<'a>(&'a self, site: &'a SiteName) -> Vec<NodeRow<'a>> {
        let Some(view) = self.view.as_deref() else { return Vec::new() };
        let mut nodes: Vec<_> = view.nodes.iter().collect();
        nodes.sort_by(|a, b| a.node.cmp(&b.node));
        let mut rows: Vec<_> = nodes
            .into_iter()
            .map(|node| NodeRow::Node {
                site,
                node,
                machines: self.machines.get(&node.node).copied().unwrap_or(0),
                offline_since: self.offline.get(&node.node).copied(),
                past: self.past(&node.node),
            })
            .collect();
        let mut storages: Vec<_> = view.storages.iter().filter(|s| s.images).collect();
        // A shared storage is listed by every node: the row of one that can reach it is the one to show.
        storages.sort_by_key(|s| (!s.shared, &s.storage, s.shared && !s.available, &s.node));
        storages.dedup_by(|b, a| a.shared && b.shared && a.storage == b.storage);
        rows.extend(storages.into_iter().map(|s| NodeRow::Storage {
            site,
            name: &s.storage,
            node: (!s.shared).then_some(&s.node),
            used: s.used,
            total: s.total,
            available: s.available,
        }));
        rows
    }
}
