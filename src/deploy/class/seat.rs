//! One seat during a run: its plan, and what its steps have found out so far.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use super::report::SelfReport;
use crate::{
    deploy::limits::Permit,
    domain::{
        LabName, NodeName, SeatName, StepName, StepState, Vmid,
        lent::Lent,
        mark::Mark,
        plan::{SeatPlan, Verb},
        progress::SeatProgress,
        verify::Wanted,
    },
};

/// A seat's part in a run. Its steps share it.
pub struct Seat {
    pub plan: SeatPlan,
    /// Settings that somebody else changed, and that this run leaves as they are.
    pub left: BTreeSet<String>,
    facts: Mutex<Facts>,
    /// Its node's leave to boot, given back when it is up.
    boot: Mutex<Vec<Permit>>,
}

/// What is known of the machine by now.
#[derive(Debug, Clone)]
pub struct Facts {
    pub node: NodeName,
    pub vmid: Vmid,
    pub ip: Option<IpAddr>,
    pub host_keys: Vec<String>,
    /// Of its first card, lower case, where this run has read it.
    pub mac: Option<String>,
    /// What the guest said of itself in this run.
    pub report: Option<SelfReport>,
    /// When this run started it, on the modelled clock.
    pub started_at: Option<Duration>,
    /// When its clone was asked for last, where nobody has seen what came of that.
    pub asked_at: Option<Timestamp>,
    /// When this run cloned it.
    pub cloned_at: Option<Duration>,
    /// The site refused a linked clone: the machine is a full copy.
    pub full: bool,
    /// No run has written its settings yet: its password is still to be set.
    pub unwritten: bool,
    /// No earlier run has ever asked for this clone: nothing to look for.
    pub fresh: bool,
    /// A machine went from this number, or may have, and nobody has said which of its disks stayed.
    pub unsaid: bool,
    /// A disk stayed under this number, and somebody was told how to remove it.
    pub left: bool,
}

impl Seat {
    /// `vmid` is the plan's; `before` is how the seat stood before this run; `fixes_drift`: what somebody else changed
    /// is put right.
    pub fn new(plan: SeatPlan, vmid: Vmid, before: Option<&SeatProgress>, fixes_drift: bool) -> Self {
        let written = before.and_then(|row| row.step(StepName::Configure)).is_some_and(|s| s.state == StepState::Ok);
        let creates = plan.verb == Verb::Create;
        let had_machine = before.is_some_and(|row| row.vmid == Some(vmid));
        let facts = Facts {
            node: plan.node.clone(),
            vmid,
            ip: before.and_then(|row| row.ip),
            host_keys: before.map(|row| row.host_keys.clone()).unwrap_or_default(),
            mac: None,
            report: None,
            started_at: None,
            asked_at: before
                .and_then(|row| row.step(StepName::Clone))
                .filter(|step| step.state != StepState::Ok)
                .and_then(|step| step.began_at),
            cloned_at: None,
            full: false,
            unwritten: match plan.verb {
                Verb::Create | Verb::Replace => true,
                // What was written to a machine that goes first is gone with it.
                Verb::Resume => !written || plan.steps.contains(&StepName::Destroy),
                _ => false,
            },
            fresh: creates && !had_machine,
            unsaid: plan.verb == Verb::Resume || (creates && had_machine),
            left: false,
        };
        let left = plan.changes.iter().filter(|change| change.drift && !fixes_drift);
        let left = left.map(|change| change.field.clone()).collect();
        Self { plan, left, facts: Mutex::new(facts), boot: Mutex::default() }
    }

    /// It boots under these permits, beyond the step that started it.
    pub fn boots(&self, permits: Vec<Permit>) {
        *self.boot.lock().unwrap_or_else(PoisonError::into_inner) = permits;
    }

    /// It is up, or will never be: others may boot.
    pub fn booted(&self) {
        self.boot.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub fn name(&self) -> &SeatName {
        &self.plan.seat
    }

    pub fn facts(&self) -> Facts {
        self.lock().clone()
    }

    pub fn learn(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What its machine's configuration should say, where it was lent this.
    pub fn wanted<'a>(&'a self, lab_key: &'a str, lent: &'a Lent) -> Wanted<'a> {
        let agent = self.plan.steps.iter().any(|step| step.is_proof());
        let (spec, name) = (&self.plan.spec, &self.plan.name);
        Wanted { spec, name, lab_key: Some(lab_key), mark: None, agent, lent: Some(lent) }
    }

    /// Whether a mark is this seat's own.
    pub fn is_marked_by(&self, mark: &Mark, lab: &LabName) -> bool {
        &mark.lab == lab && &mark.seat == self.name()
    }
}
