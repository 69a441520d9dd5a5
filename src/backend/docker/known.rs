//! What only a look at a container by itself shows, kept until the engine tells that it changed: a list of fifty seats
//! is one question, and not fifty-one.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::domain::workshop::SeatLimits;

/// While nobody hears of changes, what was seen counts for so long: wall time.
const KEPT: Duration = Duration::from_secs(60);

/// What is known of one engine's containers.
#[derive(Default)]
pub struct Known {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Grows with each change told: what was asked for before one is not kept after it.
    changes: u64,
    /// Who hears of changes now.
    followers: u32,
    limits: HashMap<String, (SeatLimits, Instant)>,
    /// The names of our networks.
    networks: HashSet<String>,
}

impl Known {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes are told from here on, until what is returned is dropped. What was known before may be old.
    pub fn follow(&self) -> Following<'_> {
        let mut state = self.state();
        state.followers += 1;
        state.changes += 1;
        state.limits.clear();
        Following(self)
    }

    /// A container was changed.
    pub fn forget(&self, id: &str) {
        let mut state = self.state();
        state.changes += 1;
        state.limits.remove(id);
    }

    /// A mark for [`Self::keep`], taken before a question.
    pub fn mark(&self) -> u64 {
        self.state().changes
    }

    /// Keeps an answer, if nothing has changed since its question.
    pub fn keep(&self, id: &str, limits: &SeatLimits, mark: u64) {
        let mut state = self.state();
        if state.changes == mark {
            state.limits.insert(id.to_owned(), (limits.clone(), Instant::now()));
        }
    }

    pub fn limits(&self, id: &str) -> Option<SeatLimits> {
        let state = self.state();
        let (limits, at) = state.limits.get(id)?;
        (state.followers > 0 || at.elapsed() < KEPT).then(|| limits.clone())
    }

    /// What one look shows of ours: these containers, by id, and these networks, by name.
    pub fn shown(&self, ids: &HashSet<&str>, networks: HashSet<String>) {
        let mut state = self.state();
        state.limits.retain(|id, _| ids.contains(id.as_str()));
        state.networks = networks;
    }

    /// Whether a network was last seen as one of ours.
    pub fn is_our_network(&self, name: &str) -> bool {
        self.state().networks.contains(name)
    }
}

/// Somebody hears of changes.
pub struct Following<'a>(&'a Known);

impl Drop for Following<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.followers = state.followers.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::size::Size;

    #[test]
    fn an_answer_that_a_change_has_overtaken_is_not_kept() {
        let known = Known::default();
        let limits = SeatLimits { memory: Size(1 << 26), cpus: 0.5, pids: 64 };
        let following = known.follow();
        let mark = known.mark();
        known.forget("0d0b");
        known.keep("0d0b", &limits, mark);
        assert_eq!(known.limits("0d0b"), None);
        known.keep("0d0b", &limits, known.mark());
        assert_eq!(known.limits("0d0b"), Some(limits.clone()));
        known.forget("another");
        assert_eq!(known.limits("0d0b"), Some(limits));
        drop(following);
        let _again = known.follow();
        assert_eq!(known.limits("0d0b"), None, "what happened while nobody heard of it is not known");
    }
}
