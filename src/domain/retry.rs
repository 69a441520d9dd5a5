//! Retry delays: a pure function of the attempt and a seed, so that a resumed run waits as a fresh one would.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How often an action is tried again, and how long between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Waits after the first, second, … failed attempt; the attempt after the last wait is the last.
    pub waits: Vec<Duration>,
    /// Up to this much is added to each wait, by seed, so that seats that failed together do not return together.
    pub jitter: Duration,
}

impl Retry {
    /// A busy configuration lock: at once, then 2, 3, 4, 5 s.
    pub fn locked() -> Self {
        Self { waits: [0, 2, 3, 4, 5].map(Duration::from_secs).to_vec(), jitter: Duration::from_millis(500) }
    }

    /// Never.
    pub fn never() -> Self {
        Self { waits: Vec::new(), jitter: Duration::ZERO }
    }

    /// The wait after failed attempt number `attempt` (from 1); `None` when that was the last.
    pub fn delay(&self, attempt: u32, seed: u64) -> Option<Duration> {
        let wait = *self.waits.get(attempt.checked_sub(1)? as usize)?;
        let share = mix(seed ^ u64::from(attempt)) as f64 / u64::MAX as f64;
        Some(wait + self.jitter.mul_f64(share))
    }
}

/// SplitMix64's finaliser: spreads neighbouring seeds evenly.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_configuration_is_tried_six_times_with_growing_waits() {
        let retry = Retry::locked();
        let waits: Vec<_> = (1..=6).map(|n| retry.delay(n, 7)).collect();
        assert!(waits[..5].iter().all(Option::is_some));
        assert_eq!(waits[5], None);
        assert!(waits[0] < Some(Duration::from_secs(1)) && waits[4] >= Some(Duration::from_secs(5)));
    }

    #[test]
    fn the_same_seed_waits_the_same_time() {
        let retry = Retry::locked();
        assert_eq!(retry.delay(2, 42), retry.delay(2, 42));
        assert_ne!(retry.delay(2, 42), retry.delay(2, 43));
    }
}
