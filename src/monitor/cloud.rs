//! Watching clouds: one look at a project for all of its workshops. Reads only.

use std::sync::Arc;

use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
};

use super::{Pace, Seen, wait_after};
use crate::{
    domain::SiteName,
    port::{Clock, Cloud},
};

/// One watched project.
pub struct CloudWatch {
    pub site: SiteName,
    pub cloud: Arc<dyn Cloud>,
    pub clock: Arc<dyn Clock>,
    pub pace: Pace,
    /// Whether a run is in hand.
    pub busy: watch::Receiver<bool>,
    /// Rung by whoever wants to see the project now.
    pub now: Arc<Notify>,
    pub tell: mpsc::Sender<Seen>,
}

/// An instance changes seldom, and every look is paid for out of a quota.
const SELDOM: u32 = 3;

/// Looks at the project for ever; ends when nobody listens.
pub fn watch_cloud(watch: CloudWatch) -> JoinHandle<()> {
    tokio::spawn(async move {
        let CloudWatch { site, cloud, clock, pace, mut busy, now, tell } = watch;
        let mut failures = 0;
        loop {
            let seen = match cloud.view().await {
                Ok(view) => {
                    failures = 0;
                    Seen::Cloud { site: site.clone(), view: Arc::new(view) }
                }
                Err(error) => {
                    failures += 1;
                    Seen::EngineLost { site: site.clone(), why: error.to_string() }
                }
            };
            if tell.send(seen).await.is_err() {
                return;
            }
            let wait = match failures {
                0 if *busy.borrow_and_update() => pace.busy,
                0 => pace.idle * SELDOM,
                n => wait_after(n),
            };
            tokio::select! {
                () = tell.closed() => return,
                () = clock.sleep(wait) => {}
                () = now.notified() => {}
                Ok(()) = busy.changed() => {}
            }
        }
    })
}
