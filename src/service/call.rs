//! Calling somebody for a screen nobody sits at, again until it is taken.

use std::time::Duration;

use crate::{
    domain::alert::Alert,
    port::pager::{Pager, PagerError},
};

/// Waits between tries, in wall time: a network that is down when something turns red is often part of it.
const WAITS: [Duration; 4] =
    [Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(30), Duration::from_secs(120)];

/// Tells one pager, up to five times; the last refusal where none was taken.
pub async fn call(pager: &dyn Pager, alert: &Alert) -> Result<(), PagerError> {
    for wait in WAITS {
        match pager.tell(alert).await {
            Ok(()) => return Ok(()),
            Err(error) => tracing::warn!(%error, "will be tried again"),
        }
        tokio::time::sleep(wait).await;
    }
    pager.tell(alert).await
}
