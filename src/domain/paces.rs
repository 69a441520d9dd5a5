//! What earlier runs on a site took, and how it is written down for the next: by storage, template and node.
//!
//! Seconds of modelled time. What is not known is absent; whoever reckons with it has figures of its own then.

use std::{collections::BTreeMap, time::Duration};

use super::{NodeName, Vmid, plan::CloneSource};

/// What is known of a site, by the names it is kept under.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Paces {
    seconds: BTreeMap<String, f64>,
}

/// Of what is known already, how much still counts when something new is seen.
const KEPT: f64 = 0.5;

impl Paces {
    /// Picks from everything a store keeps of a site what tells how long something takes.
    pub fn of(kept: impl IntoIterator<Item = (String, f64)>) -> Self {
        let ours = |key: &str| [CLONE, BOOT, BOOTS].iter().any(|kind| key.starts_with(kind));
        Self { seconds: kept.into_iter().filter(|(key, s)| ours(key) && s.is_finite() && *s > 0.0).collect() }
    }

    /// Seconds a storage needs for such a clone: of many, each takes it for so long.
    pub fn cloning(&self, source: &CloneSource) -> Option<f64> {
        self.seconds.get(&clone_key(source)).copied()
    }

    /// Seconds from the start of a machine of this template to its address, with all the CPU it can use.
    pub fn boot(&self, template: Vmid) -> Option<f64> {
        self.seconds.get(&boot_key(template)).copied()
    }

    /// Seconds a node that has its hands full needs for each machine it boots.
    pub fn boots(&self, node: &NodeName) -> Option<f64> {
        self.seconds.get(&boots_key(node)).copied()
    }

    /// What is worth keeping of a new figure: no run is like the other, so the old one counts too.
    pub fn blended(&self, key: &str, new: f64) -> f64 {
        self.seconds.get(key).map_or(new, |old| old * KEPT + new * (1.0 - KEPT))
    }
}

const CLONE: &str = "clone/";
const BOOT: &str = "boot/";
const BOOTS: &str = "boots/";

/// `clone/fast/9000/linked`, `clone/pve1/local/9010/full`
pub fn clone_key(source: &CloneSource) -> String {
    let storage = match source.storage_shared {
        true => source.limit_storage.clone(),
        false => format!("{}/{}", source.node, source.limit_storage),
    };
    let kind = if source.linked { "linked" } else { "full" };
    format!("{CLONE}{storage}/{}/{kind}", source.template)
}

/// `boot/9000`
pub fn boot_key(template: Vmid) -> String {
    format!("{BOOT}{template}")
}

/// `boots/pve1`
pub fn boots_key(node: &NodeName) -> String {
    format!("{BOOTS}{node}")
}

/// Stretches of time in which something was at work, by what it was.
#[derive(Debug, Default)]
pub struct Stretches {
    by: BTreeMap<String, Vec<(Duration, Duration)>>,
}

impl Stretches {
    /// Something that counts as `key` was at work.
    pub fn add(&mut self, key: String, from: Duration, to: Duration) {
        self.by.entry(key).or_default().push((from, to));
    }

    /// Seconds each took of the time in which any was at work.
    pub fn each(&self) -> Vec<(String, f64)> {
        let each = |all: &[(Duration, Duration)]| covered(all).as_secs_f64() / all.len().max(1) as f64;
        self.by.iter().map(|(key, all)| (key.clone(), each(all))).collect()
    }
}

/// The time that stretches cover together.
fn covered(stretches: &[(Duration, Duration)]) -> Duration {
    let mut sorted = stretches.to_vec();
    sorted.sort();
    let (mut sum, mut end) = (Duration::ZERO, Duration::ZERO);
    for (from, to) in sorted {
        sum += to.saturating_sub(from.max(end));
        end = end.max(to);
    }
    sum
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn of_clones_side_by_side_each_counts_for_its_share_and_pauses_for_nobody() {
        let seconds = Duration::from_secs;
        let mut stretches = Stretches::default();
        for (from, to) in [(0, 4), (1, 4), (2, 6), (20, 22)] {
            stretches.add("clone/fast/9000/linked".to_owned(), seconds(from), seconds(to));
        }
        assert_eq!(stretches.each(), [("clone/fast/9000/linked".to_owned(), 2.0)]);
    }

    #[test]
    fn only_what_tells_how_long_things_take_is_picked_and_nonsense_is_left_out() {
        let kept = [("boot/9000", 25.0), ("storage/fast", 8.0), ("boots/pve1", f64::NAN), ("seen/pve1", 1.7e9)];
        let paces = Paces::of(kept.map(|(key, value)| (key.to_owned(), value)));
        assert_eq!(paces.boot(Vmid::new(9000).unwrap()), Some(25.0));
        assert_eq!(paces.seconds.len(), 1);
        assert_eq!((paces.blended("boot/9000", 15.0), paces.blended("boot/9001", 15.0)), (20.0, 15.0));
    }
}
