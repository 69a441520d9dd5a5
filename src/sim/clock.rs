//! The one clock of a simulation: modelled time is wall time times the speed.

use std::time::{Duration, Instant};

use super::world::Ms;

/// Turns wall time into modelled time and back.
#[derive(Clone, Copy, Debug)]
pub struct SimClock {
    start: Instant,
    speed: f64,
}

impl SimClock {
    /// A clock that starts now and runs `speed` times as fast as the wall's. At speed 0 it stands
    /// still, and the world moves only when it is told to.
    pub fn new(speed: f64) -> Self {
        Self { start: Instant::now(), speed: if speed.is_finite() && speed >= 0.0 { speed } else { 1.0 } }
    }

    /// How many times faster than the wall's.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// Modelled milliseconds since the start.
    pub fn now(&self) -> Ms {
        (self.start.elapsed().as_secs_f64() * 1000.0 * self.speed) as Ms
    }

    /// The wall's moment of a modelled one.
    pub fn at(&self, ms: Ms) -> Instant {
        // rounded up: a timer that fires early would find nothing to do
        self.start + self.wall(ms + 1)
    }

    /// Wall time of a modelled span.
    pub fn wall(&self, ms: Ms) -> Duration {
        let seconds = ms as f64 / 1000.0 / self.speed.max(f64::MIN_POSITIVE);
        Duration::from_secs_f64(seconds.min(NEVER))
    }
}

/// Seconds nobody waits for.
const NEVER: f64 = 1e9;
