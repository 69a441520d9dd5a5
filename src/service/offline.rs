//! Since when a node is away: Proxmox does not say, so every look writes down which nodes answered.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};

use super::{Homeroom, Site};
use crate::domain::{
    NodeName, Plan,
    cluster::{ClusterView, NodeView},
};

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

/// Since when the nodes are away that do not answer in this view, as far as anybody watched.
pub async fn since(home: &Homeroom, site: &Site, view: &ClusterView) -> BTreeMap<NodeName, Timestamp> {
    if view.nodes.iter().all(|node| node.online) {
        return BTreeMap::new();
    }
    let known = home.store.learned(&site.name).await.unwrap_or_default();
    let seen = |node: &NodeView| {
        let (_, at) = known.iter().find(|(key, _)| key.strip_prefix(SEEN) == Some(node.node.as_str()))?;
        Some((node.node.clone(), Timestamp::from_second(*at as i64).ok()?))
    };
    view.nodes.iter().filter(|node| !node.online).filter_map(seen).collect()
}

/// Says of nodes that a plan has to do without since when they are offline.
pub async fn tell(home: &Homeroom, site: &Site, view: &ClusterView, plan: &mut Plan) {
    for (node, at) in since(home, site, view).await {
        let since = shown(at, home.clock.now(), &TimeZone::system());
        for (_, why) in plan.skipped_nodes.iter_mut().filter(|(name, why)| *name == node && why == "offline") {
            *why = format!("offline since {since}");
        }
        let (short, long) = (format!("{node} is offline"), format!("{node} is offline since {since}"));
        for why in plan.seats.iter_mut().map(|seat| &mut seat.why).chain(&mut plan.notes) {
            *why = why.replace(&short, &long);
        }
    }
}

/// A time of day; with its date where that is not of today.
fn shown(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let form = if at.date() == now.date() { "%H:%M" } else { "%d %b %H:%M" };
    at.strftime(form).to_string()
}
