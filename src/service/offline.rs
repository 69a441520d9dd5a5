//! Since when a node is away: Proxmox does not say, so every look writes down which nodes answered.

use jiff::{Timestamp, tz::TimeZone};

use super::{Homeroom, Site};
use crate::domain::{Plan, cluster::ClusterView};

/// How the name of what is kept begins.
const SEEN: &str = "seen/";
/// Looks nearer to each other than this write nothing, in seconds.
const OFTEN: f64 = 60.0;

/// Writes down when each node that answers was seen. No harm where it cannot be kept.
pub async fn remember(home: &Homeroom, site: &Site, view: &ClusterView) {
    let known = home.store.learned(&site.name).await.unwrap_or_default();
    let now = home.clock.now().as_second() as f64;
    let news: Vec<(String, f64)> = (view.nodes.iter().filter(|node| node.online))
        .map(|node| (format!("{SEEN}{}", node.node), now))
        .filter(|(key, now)| known.iter().find(|(known, _)| known == key).is_none_or(|(_, at)| now - at > OFTEN))
        .collect();
    if !news.is_empty()
        && let Err(error) = home.store.learn(&site.name, &news, home.clock.now()).await
    {
        tracing::debug!(%error, "which nodes were seen is not kept");
    }
}

/// Says of nodes that a plan skips for being offline when they were last seen.
pub async fn tell(home: &Homeroom, site: &Site, plan: &mut Plan) {
    let away: Vec<_> = plan.skipped_nodes.iter_mut().filter(|(_, why)| why == "offline").collect();
    if away.is_empty() {
        return;
    }
    let known = home.store.learned(&site.name).await.unwrap_or_default();
    for (node, why) in away {
        let seen = known.iter().find(|(key, _)| key.strip_prefix(SEEN) == Some(node.as_str()));
        if let Some(at) = seen.and_then(|(_, at)| Timestamp::from_second(*at as i64).ok()) {
            *why = format!("offline since {}", at.to_zoned(TimeZone::system()).strftime("%H:%M"));
        }
    }
}
