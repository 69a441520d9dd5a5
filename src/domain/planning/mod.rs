//! Plans: a definition against what is there. Pure: the same input gives the same plan.
//!
//! `deploy`, `destroy` and `check` each turn one [`PlanInput`] into a [`Plan`](super::Plan), or say in words
//! what stands in the way. Nothing here changes a site, reads a clock or decides what was agreed to.

mod addresses;
mod applied;
mod birth;
mod cloud;
mod costing;
mod deed;
mod deploy;
mod destroy;
mod difference;
mod estimate;
mod fallback;
#[cfg(test)]
pub(in crate::domain) mod fixture;
mod gather;
mod hosted;
mod problems;
mod room;
mod silent;
mod standing;
mod steps;
mod templates;
#[cfg(test)]
mod tests;
mod vmids;
mod workshop;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use thiserror::Error;

pub use applied::{Applied, applied, runs_to_read};
pub use birth::{may_be_unborn, stands_in, stands_on, unborn};
pub use cloud::{CloudInput, InstanceShape, MADE_OF, Names, plan_cloud, plan_cloud_check, plan_cloud_destroy, ranges};
pub use costing::{Orphan, costing};
pub use deed::{Deed, plan_deed, plan_deed_again};
pub use deploy::plan_deploy;
pub use destroy::{Unclaimed, leave_unclaimed, plan_destroy, unclaimed_problem};
pub use gather::{commitments, machines_to_read, reserved, templates_to_read};
pub use silent::{on_nodes, silent};
pub use standing::{Estranged, estranged, whose};
pub use steps::{Target, roll_call};
pub use workshop::{
    CERTIFICATE, MadeOf, RENEWED, TOKENS, WorkshopInput, limits_of, made_with, plan_workshop, plan_workshop_deed,
    plan_workshop_destroy, said,
};

use super::{
    NodeName, Plan, Progress, SeatName, Vmid,
    class::ClassDefinition,
    cluster::{ClusterView, GuestView, TemplateView},
    mark::Ownership,
    name::VmidRange,
    paces::Paces,
    placement::Want,
    plan::Rebuilds,
};

/// Everything a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    pub class: &'a ClassDefinition,
    pub view: &'a ClusterView,
    /// Details of the templates the class's reference stands for; one that could not be read is absent.
    pub templates: &'a [TemplateView],
    /// The lab's machines as the store knows them.
    pub progress: &'a Progress,
    /// The lab's machines as read from the site, by VMID; one that could not be read is absent.
    pub observed: &'a BTreeMap<Vmid, GuestFacts>,
    /// Numbers of the lab's machines that are not listed and yet are taken: machines the token may not see.
    pub unseen: &'a BTreeSet<Vmid>,
    /// Machines on nodes that do not answer, of which the store knows nothing ([`silent()`]).
    pub silent: &'a [GuestView],
    /// What each machine was brought to, by seat ([`applied()`]); tells a changed definition from a changed machine.
    pub applied: &'a BTreeMap<SeatName, Applied>,
    /// VMIDs that other labs of the store have set aside.
    pub reserved: &'a BTreeSet<Vmid>,
    /// Memory promised on a node beyond what runs there: stopped machines of other labs.
    pub commitments: &'a [(NodeName, Want)],
    pub site: &'a SiteRules,
    pub now: Timestamp,
    /// What earlier runs on the site took.
    pub paces: &'a Paces,
    /// The public half of the lab's key, one line, given to the guests by cloud-init.
    pub lab_key: Option<&'a str>,
    /// Those beside it while it is renewed: a machine that has one of them is as it should be.
    pub other_keys: &'a [String],
    /// Settings changed by someone else are put right.
    pub fix_drift: bool,
    /// The plan that was looked at and agreed to: new machines go where it says, as long as they can.
    pub shown: Option<&'a Plan>,
    /// Seats whose machines are made anew, as asked.
    pub rebuild: Rebuild<'a>,
}

/// Seats to be rebuilt, and machines to be given up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rebuild<'a> {
    pub seats: &'a [SeatName],
    /// A machine on a node that does not answer is given up: its seat gets another, with a number of its own. So are
    /// those that may be the machine of a seat the store knows nothing of.
    pub abandon: bool,
}

impl Rebuild<'_> {
    /// What of it stays with a run.
    fn kept(&self) -> Option<Rebuilds> {
        (!self.seats.is_empty() || self.abandon).then(|| Rebuilds { seats: self.seats.to_vec(), abandon: self.abandon })
    }
}

/// What a site's configuration says about plans.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteRules {
    pub vmids: VmidRange,
    pub max_seats: u32,
    pub memory_overcommit: f64,
    /// A proof counts for this long.
    pub proof_max_age: Duration,
}

/// A machine of the lab as it was read from the site.
#[derive(Debug, Clone, PartialEq)]
pub struct GuestFacts {
    pub node: NodeName,
    /// Its configuration by Proxmox's keys.
    pub config: BTreeMap<String, String>,
    /// What its mark proves.
    pub ownership: Ownership,
    /// A removal of it that did not come to its end.
    pub removal: Removal,
}

/// How far the removal of a machine has come that was begun, judged by the journal and the node's tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Removal {
    /// It is whole: none was begun, or none came far.
    #[default]
    None,
    /// We began it, and disks or settings are gone: nothing but to end it is left.
    Ours,
    /// Its settings are gone and with them its mark; why it is not known to be ours.
    Unproven(String),
}

/// Something that stands in the way of a plan: what, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what}; {next}")]
pub struct Problem {
    pub what: String,
    pub next: String,
}

impl Problem {
    pub fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: what.into(), next: next.into() }
    }
}

impl Problem {
    /// Problems for people to read: what several have in common to be done about them is said once.
    pub fn told(problems: &[Self]) -> Vec<String> {
        let mut alike: Vec<(&str, Vec<&str>)> = Vec::new();
        for Self { what, next } in problems {
            match alike.iter_mut().find(|(known, _)| known == next) {
                Some((_, whats)) => whats.push(what),
                None => alike.push((next, vec![what])),
            }
        }
        alike.into_iter().map(|(next, whats)| format!("{}; {next}", whats.join(", "))).collect()
    }
}

impl PlanInput<'_> {
    fn online(&self, node: &NodeName) -> bool {
        self.view.node(node).is_some_and(|node| node.online)
    }
}

/// `ada`, `ada and bob`, `ada and 3 more`.
fn listed(names: &[String]) -> String {
    match names {
        [] => "nobody".to_owned(),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [one, rest @ ..] => format!("{one} and {} more", rest.len()),
    }
}

/// `1 machine`, `3 machines`.
fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
