//! Time, as the core sees it.
//!
//! What waits for the modelled world (tasks, settling, pings, retries, staggering, polls) waits on
//! this clock, so that a sped-up simulated cluster and its client agree. Sockets, handshakes, the
//! store and locks are wall time and do not use it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

#[async_trait]
pub trait Clock: Send + Sync {
    /// The time of day, always the wall's: for stamping events.
    fn now(&self) -> Timestamp;

    /// Modelled time since some fixed instant of this process: for measuring how long things took.
    fn monotonic(&self) -> Duration;

    /// Waits `modelled` of modelled time.
    async fn sleep(&self, modelled: Duration);

    /// Modelled seconds in one of the wall's: one, but where a simulated cluster is sped up.
    fn speed(&self) -> f64 {
        1.0
    }
}
