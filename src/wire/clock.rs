//! The clock of a program that runs.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::port::Clock;

/// The computer's clock; modelled time passes `speed` times as fast.
///
/// Time in which this process stood still (SIGSTOP, a machine that was paused) is left out of what it measures: nobody was
/// given a chance in it, and what waited is not late.
pub struct WallClock {
    speed: f64,
    began: Instant,
    awake: OnceLock<Arc<Mutex<Awake>>>,
}

/// How often it is noted that the process runs.
const TICK: Duration = Duration::from_millis(500);
/// A gap longer than this is a standstill.
const STANDSTILL: Duration = Duration::from_secs(3);

impl WallClock {
    pub fn new(speed: f64) -> Self {
        Self { speed, began: Instant::now(), awake: OnceLock::new() }
    }

    /// What is noted; from the first time somebody measures on.
    fn awake(&self) -> &Mutex<Awake> {
        self.awake.get_or_init(|| {
            let awake = Arc::new(Mutex::new(Awake { seen: self.began.elapsed(), lost: Duration::ZERO, ticks: true }));
            let (noted, began) = (Arc::downgrade(&awake), self.began);
            // A thread of its own: a runtime that has much to do is no standstill.
            let ticks = thread::Builder::new().name("clock".to_owned()).spawn(move || {
                while let Some(awake) = noted.upgrade() {
                    awake.lock().unwrap_or_else(PoisonError::into_inner).note(|| began.elapsed());
                    drop(awake);
                    thread::sleep(TICK);
                }
            });
            if let Err(error) = ticks {
                tracing::warn!(%error, "a standstill of this process will not be noticed");
                awake.lock().unwrap_or_else(PoisonError::into_inner).ticks = false;
            }
            awake
        })
    }
}

/// When the process was last seen to run, and how long it did not.
struct Awake {
    seen: Duration,
    lost: Duration,
    /// It is noted often enough for a gap to mean something.
    ticks: bool,
}

impl Awake {
    /// It runs now; the time for which it ran so far.
    fn note(&mut self, now: impl FnOnce() -> Duration) -> Duration {
        // Read under the lock: whoever waited for it brings no time from before.
        let now = now();
        let gap = now.saturating_sub(self.seen);
        if self.ticks && gap > STANDSTILL {
            self.lost += gap.saturating_sub(TICK);
        }
        self.seen = now;
        now.saturating_sub(self.lost)
    }
}

#[async_trait]
impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        let mut awake = self.awake().lock().unwrap_or_else(PoisonError::into_inner);
        awake.note(|| self.began.elapsed()).mul_f64(self.speed)
    }

    async fn sleep(&self, modelled: Duration) {
        tokio::time::sleep(modelled.div_f64(self.speed)).await;
    }

    fn speed(&self) -> f64 {
        self.speed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_the_process_stood_still_is_left_out_and_never_runs_back() {
        let mut awake = Awake { seen: Duration::ZERO, lost: Duration::ZERO, ticks: true };
        let mut at = |ms| awake.note(|| Duration::from_millis(ms)).as_millis();
        assert_eq!([at(500), at(1_000), at(3_900)], [500, 1_000, 3_900], "much to do is no standstill");
        let woken = at(64_400);
        assert_eq!([woken, at(64_900), at(65_400)], [4_400, 4_900, 5_400]);
    }
}
