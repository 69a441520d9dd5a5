//! What of ours stands in a project, costs money, and is looked after by nobody.

use jiff::Timestamp;

use crate::domain::{
    LabName, NodeName, Progress, SeatName, StoreId,
    cloud::{CloudView, read_mark, whose},
    label::Owner,
    price::Prices,
};

/// Something of the kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Orphan {
    /// `instance`, `disk` or `firewall rule`.
    pub what: &'static str,
    pub name: String,
    pub zone: Option<NodeName>,
    pub lab: Option<LabName>,
    /// Made by this store.
    pub ours: bool,
    /// A definition says that it is to stay.
    pub kept: bool,
    pub why: String,
    /// An hour, where the price table says.
    pub per_hour: Option<f64>,
}

/// Everything of that kind. `keeps`: whether a lab's definition says that its disk is to outlive its instance.
pub fn costing(
    store: &StoreId,
    view: &CloudView,
    labs: &[&Progress],
    keeps: impl Fn(&LabName) -> bool,
    now: Timestamp,
    prices: Option<&Prices>,
) -> Vec<Orphan> {
    let host = SeatName::host();
    let judged = |owner: Owner| -> Option<(Option<LabName>, bool, String)> {
        match owner {
            Owner::Ours(label) => {
                let progress = labs.iter().find(|progress| progress.lab == label.lab && progress.seat(&host).is_some());
                match progress {
                    None => Some((Some(label.lab), true, "the store knows nothing of it".to_owned())),
                    Some(progress) => {
                        let over = progress.life.as_ref().filter(|life| life.is_over(now))?;
                        let since = over.ends_at.strftime("%Y-%m-%d %H:%M UTC");
                        Some((Some(label.lab), true, format!("its end was {since}")))
                    }
                }
            }
            Owner::OtherStore(label) => {
                let why = format!("made by homeroom from another store ({})", label.store);
                Some((Some(label.lab), false, why))
            }
            Owner::Foreign => Some((None, false, "carries copied labels".to_owned())),
        }
    };
    let mut out = Vec::new();
    for it in &view.instances {
        if let Some((lab, ours, why)) = judged(whose(store, &it.name, &it.labels)) {
            let per_hour = prices.and_then(|prices| prices.of(it));
            let (name, zone) = (it.name.clone(), Some(it.zone.clone()));
            out.push(Orphan { what: "instance", name, zone, lab, ours, kept: false, why, per_hour });
        }
    }
    // A disk in use goes with its instance.
    for it in view.disks.iter().filter(|disk| !disk.attached) {
        let left = judged(whose(store, &it.name, &it.labels));
        let kept = || {
            let lab = match whose(store, &it.name, &it.labels) {
                Owner::Ours(label) => Some(label.lab),
                _ => None,
            };
            (lab, true, "left by an instance that is gone".to_owned())
        };
        let (lab, ours, mut why) = left.unwrap_or_else(kept);
        let kept = ours && lab.as_ref().is_some_and(&keeps);
        if kept {
            "kept, as gce.keep_disk of its definition says".clone_into(&mut why);
        }
        let per_hour = prices.and_then(|prices| prices.disk_alone(it.gb));
        let (name, zone) = (it.name.clone(), Some(it.zone.clone()));
        out.push(Orphan { what: "disk", name, zone, lab, ours, kept, why, per_hour });
    }
    for it in &view.rules {
        let Some((whose, lab)) = read_mark(&it.description) else { continue };
        let stands = labs.iter().any(|progress| progress.lab == lab && progress.seat(&host).is_some());
        if &whose == store && !stands {
            let why = "the store knows nothing of it; it costs nothing, and lets people in".to_owned();
            let (name, lab) = (it.name.clone(), Some(lab));
            let (kept, per_hour) = (false, None);
            out.push(Orphan { what: "firewall rule", name, zone: None, lab, ours: true, kept, why, per_hour });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::{
        RunId,
        cloud::{DiskView, RuleView, labels, mark},
    };

    #[test]
    fn what_is_left_of_a_workshop_is_listed_with_what_it_costs() {
        let (store, other) = (StoreId::from_bytes([7; 8]), StoreId::from_bytes([8; 8]));
        let lab = LabName::new("intro").unwrap();
        let disk = |store: &StoreId, name: &str, attached| DiskView {
            name: name.to_owned(),
            zone: NodeName::new("europe-west3-a"),
            gb: 73,
            labels: labels(store, &lab, RunId(1), name),
            attached,
        };
        let view = CloudView {
            at: Timestamp::UNIX_EPOCH,
            instances: Vec::new(),
            disks: vec![disk(&store, "intro-host", false), disk(&other, "intro-b", false), disk(&store, "c", true)],
            rules: vec![RuleView {
                name: "intro-host".to_owned(),
                description: mark(&store, &lab),
                ranges: Vec::new(),
                ports: Vec::new(),
            }],
            unseen: Default::default(),
        };
        let prices = Prices { disk_gb_month: 0.1, ..Prices::default() };
        let found = costing(&store, &view, &[], |_| false, Timestamp::UNIX_EPOCH, Some(&prices));
        let names: Vec<_> = found.iter().map(|it| (it.what, it.name.as_str(), it.ours)).collect();
        assert_eq!(
            names,
            [("disk", "intro-host", true), ("disk", "intro-b", false), ("firewall rule", "intro-host", true)]
        );
        assert!(found[0].per_hour.is_some_and(|cost| (cost - 0.01).abs() < 1e-9));
        // One that was kept on purpose is told as that; another store's is nobody's here to keep.
        let found = costing(&store, &view, &[], |_| true, Timestamp::UNIX_EPOCH, Some(&prices));
        assert_eq!((found[0].kept, found[0].why.as_str()), (true, "kept, as gce.keep_disk of its definition says"));
        assert!(!found[1].kept && found[1].why.contains("another store"));
    }
}
