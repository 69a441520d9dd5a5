//! Guessing slowed down: each address has a few wrong codes to spare, and gets them back slowly.
//!
//! Bounded: where more addresses guess than are remembered, those that guessed least are forgotten first.

use std::{collections::HashMap, hash::Hash, time::Duration};

/// Wrong codes an address may try at once.
const SPARE: f64 = 10.0;
/// Until it has one more.
const REFILL: Duration = Duration::from_secs(10);
/// Addresses remembered.
const REMEMBERED: usize = 4096;

/// Who guessed how often. Times are measured from some fixed instant.
#[derive(Debug)]
pub struct Guesses<K> {
    spare: HashMap<K, (f64, Duration)>,
    remembered: usize,
}

impl<K: Eq + Hash + Clone> Default for Guesses<K> {
    fn default() -> Self {
        Self { spare: HashMap::new(), remembered: REMEMBERED }
    }
}

impl<K: Eq + Hash + Clone> Guesses<K> {
    /// An error while this address has no try left: how long until it has one.
    pub fn may_try(&self, who: &K, now: Duration) -> Result<(), Duration> {
        let left = self.left(who, now);
        if left >= 1.0 { Ok(()) } else { Err(REFILL.mul_f64(1.0 - left)) }
    }

    /// A wrong code was tried.
    pub fn wrong(&mut self, who: &K, now: Duration) {
        let left = (self.left(who, now) - 1.0).max(0.0);
        if self.spare.len() >= self.remembered && !self.spare.contains_key(who) {
            self.forget(now);
        }
        self.spare.insert(who.clone(), (left, now));
    }

    fn left(&self, who: &K, now: Duration) -> f64 {
        self.spare.get(who).map_or(SPARE, |(left, at)| refilled(*left, *at, now))
    }

    /// Those that have all their tries back, else whoever guessed least.
    fn forget(&mut self, now: Duration) {
        self.spare.retain(|_, (left, at)| refilled(*left, *at, now) < SPARE);
        let least =
            self.spare.iter().max_by(|(_, a), (_, b)| refilled(a.0, a.1, now).total_cmp(&refilled(b.0, b.1, now)));
        if let Some(who) = least.map(|(who, _)| who.clone()).filter(|_| self.spare.len() >= self.remembered) {
            self.spare.remove(&who);
        }
    }
}

fn refilled(left: f64, at: Duration, now: Duration) -> f64 {
    (left + now.saturating_sub(at).as_secs_f64() / REFILL.as_secs_f64()).min(SPARE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_guesses_on_and_on_waits_and_nobody_else_does() {
        let mut guesses = Guesses::default();
        for _ in 0..10 {
            assert_eq!(guesses.may_try(&"eve", at(100)), Ok(()));
            guesses.wrong(&"eve", at(100));
        }
        assert_eq!(guesses.may_try(&"eve", at(100)), Err(at(10)));
        assert_eq!(guesses.may_try(&"eve", at(106)), Err(at(4)));
        assert_eq!(guesses.may_try(&"ada", at(100)), Ok(()));
        assert_eq!(guesses.may_try(&"eve", at(110)), Ok(()));
        guesses.wrong(&"eve", at(110));
        assert!(guesses.may_try(&"eve", at(111)).is_err());
        assert_eq!(guesses.may_try(&"eve", at(1000)), Ok(()));
    }

    #[test]
    fn it_never_grows_beyond_its_bound_and_remembers_the_worst() {
        let mut guesses = Guesses { remembered: 8, ..Guesses::default() };
        for _ in 0..10 {
            guesses.wrong(&0, at(0));
        }
        for who in 1..1000 {
            guesses.wrong(&who, at(1));
            assert!(guesses.spare.len() <= 8);
        }
        assert!(guesses.may_try(&0, at(1)).is_err());
    }
}
