//! The clock of a program that runs.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::port::Clock;

/// The computer's clock; modelled time passes `speed` times as fast.
pub struct WallClock {
    speed: f64,
    began: Instant,
}

impl WallClock {
    pub fn new(speed: f64) -> Self {
        Self { speed, began: Instant::now() }
    }
}

#[async_trait]
impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed().mul_f64(self.speed)
    }

    async fn sleep(&self, modelled: Duration) {
        tokio::time::sleep(modelled.div_f64(self.speed)).await;
    }
}
