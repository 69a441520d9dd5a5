//! Placement: which node takes which machine, and why.
//!
//! Greedy: place one, score again, ties by fewest machines, then name. Knows nodes and amounts only;
//! whether a template or a storage can be used on a node is the caller's question, asked per machine.

use super::{
    NodeName,
    class::{Placement, PlacementPolicy},
    cluster::{ClusterView, Power},
    size::Size,
};

/// What a machine takes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    pub cpus: u32,
    /// Bytes.
    pub memory: u64,
}

/// A machine's place and the reason for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    pub node: NodeName,
    /// 0–100: what the node scored before this machine was put on it.
    pub score: f64,
    /// `pve2 scores 72: cpu 82 % free, memory 57 % free`.
    pub why: String,
}

/// The nodes of a site while a plan fills them.
#[derive(Debug, Clone)]
pub struct Board {
    nodes: Vec<Room>,
    cpu_weight: f64,
    memory_weight: f64,
    policy: PlacementPolicy,
    /// Whose turn it is when machines are pinned.
    turn: usize,
}

#[derive(Debug, Clone)]
struct Room {
    node: NodeName,
    /// Free share of the CPUs before this plan.
    idle: f64,
    cpus: f64,
    /// CPUs this plan has given out here.
    given: f64,
    /// Bytes that may be committed: memory × overcommit; 0 where the token may not see it.
    limit: f64,
    memory: u64,
    /// What is used, and what the running guests may use: the larger of the two is committed from the beginning.
    used: u64,
    running: u64,
    /// What of these this plan gives back in its course.
    freed: Freed,
    committed: u64,
    machines: usize,
    /// Why it takes no machine at all.
    closed: Option<String>,
    /// Why it was passed over for one machine.
    refused: Option<String>,
    /// Machines this plan has put here.
    taken: usize,
}

/// Memory that a running machine gives back when it goes or gets less, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freed {
    /// Of what it uses.
    pub used: u64,
    /// Of what it may use.
    pub promised: u64,
}

impl Board {
    /// The nodes as they stand. Committed memory begins as the larger of what is used and what the
    /// running guests may use. `turn` counts the machines a pinned lab already has.
    pub fn new(view: &ClusterView, placement: &Placement, overcommit: f64, turn: usize) -> Self {
        let (cpu, memory) = (placement.cpu.max(0.0), placement.memory.max(0.0));
        let sum = cpu + memory;
        let (cpu_weight, memory_weight) = if sum > 0.0 { (cpu / sum, memory / sum) } else { (0.5, 0.5) };
        let overcommit = if overcommit > 0.0 { overcommit } else { 1.0 };
        let mut nodes: Vec<Room> = view
            .nodes
            .iter()
            .map(|node| {
                let guests = || view.guests.iter().filter(|g| g.node == node.node && !g.template);
                let running: u64 = guests().filter(|g| g.power == Power::Running).map(|g| g.memory).sum();
                let closed = if !node.online {
                    Some("offline".to_owned())
                } else if !placement.nodes.is_empty() && !placement.nodes.contains(&node.node) {
                    Some("not among placement.nodes".to_owned())
                } else {
                    None
                };
                Room {
                    node: node.node.clone(),
                    idle: (1.0 - node.cpu).clamp(0.0, 1.0),
                    cpus: f64::from(node.cpus),
                    given: 0.0,
                    limit: node.memory as f64 * overcommit,
                    memory: node.memory,
                    used: node.memory_used,
                    running,
                    freed: Freed::default(),
                    committed: node.memory_used.max(running),
                    machines: guests().count(),
                    closed,
                    refused: None,
                    taken: 0,
                }
            })
            .collect();
        match placement.policy {
            // Pinned machines go round in the order the nodes were written.
            PlacementPolicy::Pin if !placement.nodes.is_empty() => {
                nodes.sort_by_key(|room| placement.nodes.iter().position(|n| n == &room.node).unwrap_or(usize::MAX))
            }
            _ => nodes.sort_by(|a, b| a.node.cmp(&b.node)),
        }
        Self { nodes, cpu_weight, memory_weight, policy: placement.policy, turn }
    }

    /// Counts memory and CPUs that are spoken for without being placed here: stopped labs, machines to be started.
    pub fn commit(&mut self, node: &NodeName, want: Want) {
        if let Some(room) = self.nodes.iter_mut().find(|room| &room.node == node) {
            room.committed = room.committed.saturating_add(want.memory);
            room.given += f64::from(want.cpus);
        }
    }

    /// Counts a machine that grows where it stands: the CPUs it will have, and the memory it gets on top.
    ///
    /// # Errors
    /// Why the node has no room for that. It is counted all the same, to be shown.
    pub fn grow(&mut self, node: &NodeName, want: Want) -> Result<(), String> {
        let Some(room) = self.nodes.iter_mut().find(|room| &room.node == node) else { return Ok(()) };
        let verdict = room.fits(want);
        room.committed = room.committed.saturating_add(want.memory);
        verdict
    }

    /// Counts what a machine gives back. New machines are not placed by it: it may still be there when they start.
    pub fn free(&mut self, node: &NodeName, freed: Freed) {
        if let Some(room) = self.nodes.iter_mut().find(|room| &room.node == node) {
            room.freed.used = room.freed.used.saturating_add(freed.used);
            room.freed.promised = room.freed.promised.saturating_add(freed.promised);
        }
    }

    /// Puts a machine on the best node that `usable` lets through, or says for every node why not. A node it is
    /// `promised` to is the best as long as it may be used at all.
    pub fn place(
        &mut self,
        want: Want,
        promised: Option<&NodeName>,
        mut usable: impl FnMut(&NodeName) -> Result<(), String>,
    ) -> Result<Placed, Vec<(NodeName, String)>> {
        let promised = promised.and_then(|node| self.nodes.iter().position(|room| &room.node == node));
        if let Some(n) = promised
            && self.nodes[n].closed.is_none()
            && self.nodes[n].fits(want).and_then(|()| usable(&self.nodes[n].node)).is_ok()
        {
            self.turn = n + 1;
            return Ok(self.take(n, want));
        }
        let mut best: Option<usize> = None;
        let mut refusals = Vec::new();
        let count = self.nodes.len();
        for step in 0..count {
            let n = if self.policy == PlacementPolicy::Pin { (self.turn + step) % count } else { step };
            let verdict = match &self.nodes[n].closed {
                Some(reason) => Err(reason.clone()),
                None => self.nodes[n].fits(want).and_then(|()| usable(&self.nodes[n].node)),
            };
            if let Err(reason) = verdict {
                self.nodes[n].refused = Some(reason.clone());
                refusals.push((self.nodes[n].node.clone(), reason));
                continue;
            }
            if self.policy == PlacementPolicy::Pin {
                self.turn = n + 1;
                return Ok(self.take(n, want));
            }
            if best.is_none_or(|other| self.beats(n, other)) {
                best = Some(n);
            }
        }
        best.map(|n| self.take(n, want)).ok_or(refusals)
    }

    /// Nodes that took nothing in this plan although it was asked, with the reason.
    pub fn skipped(&self) -> Vec<(NodeName, String)> {
        self.nodes
            .iter()
            .filter(|room| room.taken == 0)
            .filter_map(|room| Some((room.node.clone(), room.closed.clone().or_else(|| room.refused.clone())?)))
            .collect()
    }

    /// Committed share of each open node's memory once all of the plan is done, 0–1 and above.
    pub fn memory_after(&self) -> Vec<(NodeName, f64)> {
        self.nodes
            .iter()
            .filter(|room| room.memory > 0 && room.closed.as_deref() != Some("offline"))
            .map(|room| (room.node.clone(), room.committed_after() as f64 / room.memory as f64))
            .collect()
    }

    fn score(&self, n: usize) -> f64 {
        let room = &self.nodes[n];
        100.0 * (self.cpu_weight * room.cpu_free() + self.memory_weight * room.memory_free())
    }

    fn beats(&self, n: usize, other: usize) -> bool {
        // Scores a billionth apart are the same score: sums of floats differ in their last bits.
        let rank = |n: usize| (self.score(n) * 1e7).round() as i64;
        rank(n) > rank(other) || (rank(n) == rank(other) && self.nodes[n].machines < self.nodes[other].machines)
    }

    fn take(&mut self, n: usize, want: Want) -> Placed {
        let score = self.score(n);
        let room = &mut self.nodes[n];
        let (cpu, memory) = (100.0 * room.cpu_free(), 100.0 * room.memory_free());
        let why = match self.policy {
            PlacementPolicy::Score => {
                format!("{} scores {score:.0}: cpu {cpu:.0} % free, memory {memory:.0} % free", room.node)
            }
            PlacementPolicy::Pin => format!("{} is next in turn: memory {memory:.0} % free", room.node),
        };
        room.committed = room.committed.saturating_add(want.memory);
        room.given += f64::from(want.cpus);
        room.machines += 1;
        room.taken += 1;
        Placed { node: room.node.clone(), score, why }
    }
}

impl Room {
    /// The free CPU, shared with what this plan has put here. It falls with every machine and never
    /// reaches nothing: labs share CPUs, and the sixtieth machine still goes to the emptiest node.
    fn cpu_free(&self) -> f64 {
        if self.cpus > 0.0 { self.idle * self.cpus / (self.cpus + self.given) } else { 0.0 }
    }

    fn committed_after(&self) -> u64 {
        let added = self.committed.saturating_sub(self.used.max(self.running));
        let Freed { used, promised } = self.freed;
        added.saturating_add(self.used.saturating_sub(used).max(self.running.saturating_sub(promised)))
    }

    fn memory_free(&self) -> f64 {
        if self.limit > 0.0 { (1.0 - self.committed as f64 / self.limit).max(0.0) } else { 0.0 }
    }

    fn fits(&self, want: Want) -> Result<(), String> {
        // Proxmox starts no machine that has more CPUs than its node.
        if self.cpus > 0.0 && f64::from(want.cpus) > self.cpus {
            return Err(format!("{} CPUs, the machine needs {}", self.cpus, want.cpus));
        }
        let after = self.committed.saturating_add(want.memory) as f64;
        if self.limit > 0.0 && after > self.limit {
            let left = (self.limit - self.committed as f64).max(0.0) as u64;
            return Err(format!(
                "{} of memory not yet committed, the machine needs {}",
                Size(left).human(),
                Size(want.memory).human()
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::planning::fixture::{node, view};

    const SMALL: Want = Want { cpus: 2, memory: 4 << 30 };

    fn board(nodes: Vec<crate::domain::cluster::NodeView>, placement: &Placement) -> Board {
        Board::new(&view(nodes), placement, 1.0, 0)
    }

    fn names(board: &mut Board, n: usize) -> Vec<String> {
        (0..n).map(|_| board.place(SMALL, None, |_| Ok(())).unwrap().node.to_string()).collect()
    }

    #[test]
    fn the_score_weighs_free_cpu_and_free_memory_and_says_so() {
        let mut busy = node("pve2");
        busy.cpu = 0.18;
        busy.memory_used = busy.memory / 100 * 43;
        let placed = board(vec![busy], &Placement::default()).place(SMALL, None, |_| Ok(())).unwrap();
        assert_eq!(placed.why, "pve2 scores 72: cpu 82 % free, memory 57 % free");
    }

    #[test]
    fn a_machine_with_more_cpus_than_a_node_does_not_go_there() {
        let (mut large, small) = (node("pve2"), node("pve1"));
        large.cpus = 16;
        let mut board = board(vec![small, large], &Placement::default());
        assert_eq!(board.place(Want { cpus: 16, ..SMALL }, None, |_| Ok(())).unwrap().node.to_string(), "pve2");
        let refusals = board.place(Want { cpus: 17, ..SMALL }, None, |_| Ok(())).unwrap_err();
        let reasons: Vec<_> = refusals.iter().map(|(_, reason)| reason.as_str()).collect();
        assert_eq!(reasons, ["8 CPUs, the machine needs 17", "16 CPUs, the machine needs 17"]);
    }

    #[test]
    fn equal_nodes_take_machines_in_turn_by_name() {
        let mut board = board(vec![node("pve3"), node("pve1"), node("pve2")], &Placement::default());
        assert_eq!(names(&mut board, 6), ["pve1", "pve2", "pve3", "pve1", "pve2", "pve3"]);
    }

    #[test]
    fn a_tie_goes_to_the_node_with_fewer_machines() {
        let mut view = view(vec![node("pve1"), node("pve2")]);
        let mut idle = crate::domain::planning::fixture::guest(100, "pve1");
        idle.power = Power::Stopped;
        view.guests.push(idle);
        let mut board = Board::new(&view, &Placement::default(), 1.0, 0);
        assert_eq!(names(&mut board, 1), ["pve2"]);
    }

    #[test]
    fn memory_promised_to_running_guests_counts_even_when_unused() {
        let mut view = view(vec![node("pve1"), node("pve2")]);
        let mut big = crate::domain::planning::fixture::guest(100, "pve1");
        big.memory = 62 << 30;
        view.guests.push(big);
        let mut board = Board::new(&view, &Placement::default(), 1.0, 0);
        assert_eq!(names(&mut board, 3), ["pve2", "pve2", "pve2"]);
        assert!(board.skipped()[0].1.starts_with("2 GiB of memory not yet committed"));
    }

    #[test]
    fn overcommitted_memory_takes_more() {
        let mut view = view(vec![node("pve1")]);
        view.nodes[0].memory_used = 62 << 30;
        assert!(Board::new(&view, &Placement::default(), 1.0, 0).place(SMALL, None, |_| Ok(())).is_err());
        assert!(Board::new(&view, &Placement::default(), 1.5, 0).place(SMALL, None, |_| Ok(())).is_ok());
    }

    #[test]
    fn memory_of_a_stopped_lab_is_kept_free() {
        let mut board = board(vec![node("pve1"), node("pve2")], &Placement::default());
        board.commit(&NodeName::new("pve1"), Want { cpus: 0, memory: 32 << 30 });
        assert_eq!(names(&mut board, 1), ["pve2"]);
    }

    #[test]
    fn offline_and_unlisted_nodes_are_skipped_with_the_reason() {
        let mut away = node("pve3");
        away.online = false;
        let placement = Placement { nodes: vec![NodeName::new("pve1"), NodeName::new("pve3")], ..Placement::default() };
        let mut board = board(vec![node("pve1"), node("pve2"), away], &placement);
        assert_eq!(names(&mut board, 2), ["pve1", "pve1"]);
        let skipped: Vec<_> = board.skipped().into_iter().map(|(n, why)| format!("{n}: {why}")).collect();
        assert_eq!(skipped, ["pve2: not among placement.nodes", "pve3: offline"]);
    }

    #[test]
    fn pinned_machines_go_round_the_listed_nodes_as_written() {
        let nodes = ["pve3", "pve1"].map(NodeName::new).to_vec();
        let placement = Placement { policy: PlacementPolicy::Pin, nodes, ..Placement::default() };
        let mut board = board(vec![node("pve1"), node("pve2"), node("pve3")], &placement);
        assert_eq!(names(&mut board, 3), ["pve3", "pve1", "pve3"]);
    }

    #[test]
    fn nodes_whose_capacity_cannot_be_seen_still_share_the_machines() {
        let mut blind = [node("pve1"), node("pve2")];
        for node in &mut blind {
            (node.cpus, node.memory, node.memory_used) = (0, 0, 0);
        }
        let mut board = board(blind.to_vec(), &Placement::default());
        assert_eq!(names(&mut board, 4), ["pve1", "pve2", "pve1", "pve2"]);
    }
}
