//! Watching clouds: one look at a project for all of its workshops. Reads only.

use std::sync::Arc;

use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
};

use super::{Look, Pace, Rounds, Seen, look_again};
use crate::{
    domain::{SiteName, cloud::InstanceState},
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

/// An instance changes seldom, and every look is paid for out of a quota. A spot machine is taken away with half a
/// minute of notice, and looked at as often as any site.
fn seldom(seen: &Seen) -> u32 {
    match seen {
        Seen::Cloud { view, .. } if view.instances.iter().any(|it| it.spot && it.state == InstanceState::Running) => 1,
        _ => 3,
    }
}

/// Looks at the project for ever; ends when nobody listens.
pub fn watch_cloud(watch: CloudWatch) -> JoinHandle<()> {
    let CloudWatch { site, cloud, clock, pace, busy, now, tell } = watch;
    tokio::spawn(look_again(Rounds { clock, pace, busy, now, tell, seldom }, async move || match cloud.view().await {
        Ok(view) => Look::Well(Seen::Cloud { site: site.clone(), view: Arc::new(view) }),
        Err(error) => Look::InVain(Seen::EngineLost { site: site.clone(), why: error.to_string() }),
    }))
}
