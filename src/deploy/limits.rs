//! Limits: how much of a kind may happen at once, by storage, by node — found by watching.
//!
//! A gate begins where experience says and moves with what it sees. Its first signal is latency: as
//! long as work does not take longer for being done side by side, more is let through; when it queues
//! up behind a lock or a disk, no more. A lock that was not had in time, the last signal, halves the gate.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use super::Tuning;
use crate::domain::NodeName;

/// What is being rationed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LimitKey {
    /// Clones on a storage all nodes share.
    SharedStorage(String),
    /// The same on a storage of one node.
    LocalStorage(NodeName, String),
    /// Removals, over the whole site: each takes a storage's lock per disk, and one that times out leaves its disk behind.
    Removals,
    /// Clones that join a pool: each takes a cluster-wide lock at its end, and is undone if it has to wait too long.
    Pool(String),
    /// Machines starting on a node.
    Boots(NodeName),
    /// Questions to guest agents at once through a node.
    Asks(NodeName),
}

impl LimitKey {
    /// Whether what is learned about it is worth keeping for the next run.
    pub fn is_learned(&self) -> bool {
        matches!(self, Self::SharedStorage(_) | Self::LocalStorage(..))
    }
}

impl fmt::Display for LimitKey {
    /// As learned values are kept under: `storage/fast`, `storage/pve1/local`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SharedStorage(storage) => write!(f, "storage/{storage}"),
            Self::LocalStorage(node, storage) => write!(f, "storage/{node}/{storage}"),
            Self::Removals => f.write_str("removals"),
            Self::Pool(pool) => write!(f, "pool/{pool}"),
            Self::Boots(node) => write!(f, "boots/{node}"),
            Self::Asks(node) => write!(f, "asks/{node}"),
        }
    }
}

/// What a gate is told when work that went through it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    /// It ended well after this much modelled time.
    Took(Duration),
    /// It waited for a lock in vain, seen at this modelled time.
    LockTimeout(Duration),
}

/// The gates of one run.
#[derive(Debug)]
pub struct Limits {
    tuning: Tuning,
    learned: HashMap<String, f64>,
    gates: Mutex<HashMap<LimitKey, Arc<Gate>>>,
}

impl Limits {
    /// `learned` holds what earlier runs on the site ended at, by the keys' writing.
    pub fn new(tuning: Tuning, learned: HashMap<String, f64>) -> Self {
        Self { tuning, learned, gates: Mutex::default() }
    }

    /// Waits for one permit of each key, in the order they were asked for. Keys are taken in their
    /// order, so that two steps that need the same two never wait for each other.
    pub async fn acquire(&self, keys: &[LimitKey]) -> Vec<Permit> {
        let mut keys = keys.to_vec();
        keys.sort();
        let mut held = Vec::with_capacity(keys.len());
        for key in keys {
            held.push(self.gate(key).enter().await);
        }
        held
    }

    /// Tells the gates of `keys` how work that went through them ended.
    pub fn observe(&self, keys: &[LimitKey], observed: Observed) {
        for key in keys.iter().filter(|key| key.is_learned()) {
            self.gate(key.clone()).observe(observed);
        }
    }

    /// What the gates worth keeping have come to.
    pub fn learned(&self) -> Vec<(String, f64)> {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = gates.iter().filter(|(key, gate)| key.is_learned() && gate.state().best.is_some());
        kept.map(|(key, gate)| (key.to_string(), gate.state().limit)).collect()
    }

    /// Has a gate begin with this size, unless it is open already.
    pub fn begin_at(&self, key: LimitKey, size: f64) {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.entry(key).or_insert_with(|| Arc::new(Gate::new(size, false)));
    }

    /// Clones on this storage are full copies: fewer than of others do at first.
    pub fn copies_on(&self, key: LimitKey) {
        self.opened(key, |key| self.first(key).min(self.tuning.copies_per_storage));
    }

    fn gate(&self, key: LimitKey) -> Arc<Gate> {
        self.opened(key, |key| self.first(key))
    }

    /// The gate, opened as wide as it ended last time, else this wide.
    fn opened(&self, key: LimitKey, first: impl FnOnce(&LimitKey) -> usize) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(&key) {
            return gate.clone();
        }
        let known = self.learned.get(&key.to_string()).copied();
        let gate = Arc::new(Gate::new(known.unwrap_or_else(|| first(&key).max(1) as f64), known.is_none()));
        gates.insert(key, gate.clone());
        gate
    }

    fn first(&self, key: &LimitKey) -> usize {
        match key {
            LimitKey::SharedStorage(_) | LimitKey::Pool(_) => self.tuning.clones_per_shared_storage,
            LimitKey::LocalStorage(..) => self.tuning.clones_per_local_storage,
            LimitKey::Removals => self.tuning.removals,
            LimitKey::Boots(_) => self.tuning.boots_per_node.unwrap_or(BOOTS),
            LimitKey::Asks(_) => self.tuning.asks_per_node,
        }
    }
}

/// Lets so many through at once, first come, first served.
#[derive(Debug)]
struct Gate {
    state: Mutex<State>,
    freed: Notify,
    /// Held while waiting, so that nobody is overtaken.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    limit: f64,
    used: usize,
    /// The shortest time seen: what work takes when nothing is in its way.
    best: Option<Duration>,
    /// Growing by one with every success, until the first sign of a queue.
    exploring: bool,
    halved_at: Option<Duration>,
}

/// Boots at once on a node whose CPUs are not known.
const BOOTS: usize = 8;
/// More than this at once helps no storage.
const MOST: f64 = 32.0;
/// Fewer than this many waiting in a queue behind the lock or the disk: let more in.
const QUEUE_LOW: f64 = 1.0;
/// More than this many: let fewer in.
const QUEUE_HIGH: f64 = 3.0;
/// Lock time-outs within this time have one cause.
const ONE_CAUSE: Duration = Duration::from_secs(10);

impl Gate {
    fn new(limit: f64, exploring: bool) -> Self {
        let state = State { limit: limit.clamp(1.0, MOST), used: 0, best: None, exploring, halved_at: None };
        Self { state: Mutex::new(state), freed: Notify::new(), turn: tokio::sync::Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn enter(self: Arc<Self>) -> Permit {
        let turn = self.turn.lock().await;
        loop {
            let freed = self.freed.notified();
            {
                let mut state = self.state();
                if state.used < state.limit as usize {
                    state.used += 1;
                    break;
                }
            }
            freed.await;
        }
        drop(turn);
        Permit { gate: self }
    }

    fn observe(&self, observed: Observed) {
        let mut state = self.state();
        match observed {
            Observed::Took(time) => state.took(time),
            Observed::LockTimeout(now) => state.timed_out(now),
        }
        drop(state);
        self.freed.notify_one();
    }
}

impl State {
    /// As TCP Vegas does: of the `used` at work, those that the best time does not explain stand in a queue.
    fn took(&mut self, time: Duration) {
        let best = self.best.map_or(time, |best| best.min(time));
        self.best = Some(best);
        let used = self.used as f64;
        let queue = used * (1.0 - best.as_secs_f64() / time.as_secs_f64().max(f64::MIN_POSITIVE));
        if queue >= QUEUE_LOW {
            self.exploring = false;
        }
        let is_full = used + 1.0 > self.limit;
        let step = if self.exploring { 1.0 } else { 1.0 / self.limit };
        if queue < QUEUE_LOW && is_full {
            self.limit = (self.limit + step).min(MOST);
        } else if queue > QUEUE_HIGH {
            self.limit = (self.limit - 1.0 / self.limit).max(1.0);
        }
    }

    fn timed_out(&mut self, now: Duration) {
        self.exploring = false;
        if self.halved_at.is_some_and(|at| now.saturating_sub(at) < ONE_CAUSE) {
            return;
        }
        self.halved_at = Some(now);
        self.limit = (self.limit / 2.0).max(1.0);
    }
}

/// The right to be at work; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Gate>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.state().used -= 1;
        self.gate.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(limit: f64, used: usize) -> State {
        State { limit, used, best: None, exploring: true, halved_at: None }
    }

    #[test]
    fn a_gate_opens_while_work_side_by_side_takes_no_longer() {
        let mut state = state(2.0, 2);
        for _ in 0..6 {
            state.used = state.limit as usize;
            state.took(Duration::from_millis(500));
        }
        assert!(state.limit >= 8.0, "{}", state.limit);
    }

    #[test]
    fn a_gate_stays_where_a_lock_makes_a_queue() {
        // One lock, half a second each: n at once take n halves.
        let mut state = state(2.0, 2);
        state.took(Duration::from_millis(500));
        for _ in 0..200 {
            state.used = state.limit as usize;
            let time = Duration::from_millis(500).mul_f64(state.used as f64);
            state.took(time);
        }
        assert!((2.0..=4.5).contains(&state.limit), "{}", state.limit);
    }

    #[test]
    fn lock_time_outs_of_one_cause_halve_a_gate_once() {
        let mut state = state(8.0, 8);
        for ms in [0, 10, 900] {
            state.timed_out(Duration::from_secs(60) + Duration::from_millis(ms));
        }
        assert_eq!(state.limit, 4.0);
        state.timed_out(Duration::from_secs(75));
        assert_eq!(state.limit, 2.0);
    }

    #[tokio::test]
    async fn full_copies_begin_with_fewer_at_once_than_linked_clones_and_never_with_more() {
        let local = |node: &str| LimitKey::LocalStorage(NodeName::new(node), "local".to_owned());
        let learned = HashMap::from([(local("pve3").to_string(), 7.0)]);
        let limits = Limits::new(Tuning { clones_per_shared_storage: 1, ..Tuning::default() }, learned);
        let shared = LimitKey::SharedStorage("fast".to_owned());
        for key in [local("pve2"), local("pve3"), shared.clone()] {
            limits.copies_on(key);
        }
        let begin = |key: LimitKey| limits.gate(key).state().limit;
        assert_eq!([local("pve1"), local("pve2"), local("pve3"), shared].map(begin), [5.0, 2.0, 7.0, 1.0]);
    }

    #[tokio::test]
    async fn no_more_are_let_through_than_the_gate_allows_and_all_in_the_end() {
        let limits =
            Arc::new(Limits::new(Tuning { clones_per_shared_storage: 2, ..Tuning::default() }, HashMap::new()));
        let key = [LimitKey::SharedStorage("fast".to_owned())];
        let first = limits.acquire(&key).await;
        let second = limits.acquire(&key).await;
        let third = tokio::spawn({
            let (limits, key) = (limits.clone(), key.clone());
            async move { limits.acquire(&key).await.len() }
        });
        tokio::task::yield_now().await;
        assert!(!third.is_finished());
        drop(first);
        assert_eq!(third.await.ok(), Some(1));
        drop(second);
    }
}
