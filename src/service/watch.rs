//! Watching every site at once, for screens.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, watch};

use super::Homeroom;
use crate::domain::{SiteName, cluster::ClusterView};
pub use crate::monitor::Seen;
use crate::monitor::{CloudWatch, EngineWatch, Watch, watch_cloud, watch_engine, watch_site};

/// Looks that may wait for their reader.
const QUEUE: usize = 16;

/// Looks at every site for ever, faster while `busy`, at once when `now` is rung (a bell for each site, then one for each
/// engine and each cloud); ends when nobody listens.
pub fn watch_sites(home: &Homeroom, busy: &watch::Receiver<bool>, now: &[Arc<Notify>]) -> mpsc::Receiver<Seen> {
    let (tell, hear) = mpsc::channel(QUEUE);
    for (site, now) in home.sites.values().zip(now) {
        watch_site(Watch {
            site: site.name.clone(),
            cluster: site.cluster.clone(),
            clock: home.clock.clone(),
            pace: home.pace,
            busy: busy.clone(),
            now: now.clone(),
            tell: tell.clone(),
        });
    }
    for (engine, now) in home.engines.values().zip(now.iter().skip(home.sites.len())) {
        watch_engine(EngineWatch {
            site: engine.name.clone(),
            containers: engine.containers.clone(),
            clock: home.clock.clone(),
            pace: home.pace,
            now: now.clone(),
            tell: tell.clone(),
        });
    }
    for (site, now) in home.clouds.values().zip(now.iter().skip(home.sites.len() + home.engines.len())) {
        watch_cloud(CloudWatch {
            site: site.name.clone(),
            cloud: site.cloud.clone(),
            clock: home.clock.clone(),
            pace: home.pace,
            busy: busy.clone(),
            now: now.clone(),
            tell: tell.clone(),
        });
    }
    hear
}

/// Writes down which nodes answered, so that it can be told since when one does not.
pub async fn remember(home: &Homeroom, site: &SiteName, view: &ClusterView) {
    if let Some(site) = home.sites.get(site) {
        super::offline::remember(home, site, view).await;
    }
}
