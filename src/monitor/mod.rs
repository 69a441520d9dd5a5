//! Watching sites: one poll per site, never one per machine; container engines tell by themselves what happens. Reads only.

mod cloud;
mod engine;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
};

pub use cloud::{CloudWatch, watch_cloud};
pub use engine::{EngineWatch, watch_engine};

use crate::{
    domain::{SiteName, cloud::CloudView, cluster::ClusterView, engine::EngineView},
    port::{Clock, Cluster},
};

/// How often sites are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// When nothing is being done; Proxmox itself refreshes no faster.
    pub idle: Duration,
    /// While a run is in hand.
    pub busy: Duration,
}

/// The wait after a look that failed, at first; doubled up to a minute.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// The longest wait between looks at a site that does not answer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What a look came to.
#[derive(Debug, Clone)]
pub enum Seen {
    View {
        site: SiteName,
        view: Arc<ClusterView>,
    },
    Lost {
        site: SiteName,
        why: String,
    },
    Engine {
        site: SiteName,
        view: Arc<EngineView>,
    },
    /// Or a cloud.
    EngineLost {
        site: SiteName,
        why: String,
    },
    Cloud {
        site: SiteName,
        view: Arc<CloudView>,
    },
}

/// One watched site.
pub struct Watch {
    pub site: SiteName,
    pub cluster: Arc<dyn Cluster>,
    pub clock: Arc<dyn Clock>,
    pub pace: Pace,
    /// Whether a run is in hand.
    pub busy: watch::Receiver<bool>,
    /// Rung by whoever wants to see the site now.
    pub now: Arc<Notify>,
    pub tell: mpsc::Sender<Seen>,
}

/// Looks at the site for ever; ends when nobody listens.
pub fn watch_site(watch: Watch) -> JoinHandle<()> {
    tokio::spawn(async move {
        let Watch { site, cluster, clock, pace, mut busy, now, tell } = watch;
        let mut failures = 0;
        loop {
            let seen = match cluster.view().await {
                Ok(view) => {
                    failures = 0;
                    Seen::View { site: site.clone(), view: Arc::new(view) }
                }
                Err(error) => {
                    failures += 1;
                    Seen::Lost { site: site.clone(), why: error.to_string() }
                }
            };
            if tell.send(seen).await.is_err() {
                return;
            }
            let wait = match failures {
                0 if *busy.borrow_and_update() => pace.busy,
                0 => pace.idle,
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

/// The wait after so many looks that failed in a row.
fn wait_after(failures: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << u32::min(failures.saturating_sub(1), 6)).min(LONGEST_WAIT)
}
