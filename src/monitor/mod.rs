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
    let Watch { site, cluster, clock, pace, busy, now, tell } = watch;
    tokio::spawn(look_again(Rounds { clock, pace, busy, now, tell, seldom: |_| 1 }, async move || {
        match cluster.view().await {
            Ok(view) => Look::Well(Seen::View { site: site.clone(), view: Arc::new(view) }),
            Err(error) => Look::InVain(Seen::Lost { site: site.clone(), why: error.to_string() }),
        }
    }))
}

/// When looks are taken, and who hears of them.
struct Rounds {
    clock: Arc<dyn Clock>,
    pace: Pace,
    busy: watch::Receiver<bool>,
    now: Arc<Notify>,
    tell: mpsc::Sender<Seen>,
    /// Between two idle looks there are so many times the usual wait, by what the last one showed.
    seldom: fn(&Seen) -> u32,
}

/// What one look came to.
enum Look {
    Well(Seen),
    InVain(Seen),
}

/// Takes looks for ever, seldom where they are in vain; ends when nobody listens.
async fn look_again(rounds: Rounds, look: impl AsyncFn() -> Look) {
    let Rounds { clock, pace, mut busy, now, tell, seldom } = rounds;
    let mut failures = 0;
    loop {
        let seen = match look().await {
            Look::Well(seen) => {
                failures = 0;
                seen
            }
            Look::InVain(seen) => {
                failures += 1;
                seen
            }
        };
        let times = seldom(&seen);
        if tell.send(seen).await.is_err() {
            return;
        }
        let wait = match failures {
            0 if *busy.borrow_and_update() => pace.busy,
            0 => pace.idle * times,
            n => wait_after(n),
        };
        tokio::select! {
            () = tell.closed() => return,
            () = clock.sleep(wait) => {}
            () = now.notified() => {}
            Ok(()) = busy.changed() => {}
        }
    }
}

/// The wait after so many looks that failed in a row.
fn wait_after(failures: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << u32::min(failures.saturating_sub(1), 6)).min(LONGEST_WAIT)
}
