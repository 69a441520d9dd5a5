//! From a plan to a graph: which step waits for which, and in what order seats come.

use std::{sync::Arc, time::Duration};

use super::{
    address::Address,
    agent::Agent,
    clone::CloneMachine,
    configure::Configure,
    destroy::Destroy,
    exec::Exec,
    pool::JoinPool,
    power::{Gentleness, Start, Stop},
    reserve::Reserve,
    resize::Resize,
    seat::Seat,
    site::Site,
    ssh::Ssh,
    verify::Verify,
};
use crate::{
    deploy::{
        limits::LimitKey,
        schedule::Graph,
        step::{Action, Policy, Step, StepIndex, Subject},
    },
    domain::{
        Plan, SeatName, StepName,
        class::{Order, Profile},
        plan::{CloneSource, POOL, SeatPlan, Verb},
    },
};

/// How long one command of the roll call may take inside a guest: `cloud-init status --wait` is the slow one.
const COMMAND_WITHIN: Duration = Duration::from_secs(300);

/// The graph of a plan, and for each step the seat it belongs to.
pub fn build(plan: &Plan, site: &Arc<Site>, seats: &[Arc<Seat>]) -> (Graph, Vec<Option<SeatName>>) {
    let copied = plan.seats.iter().filter_map(|seat| seat.source.as_ref()).filter(|source| !source.linked);
    copied.for_each(|source| site.limits.copies_on(storage(source)));
    let mut builder = Builder { plan, site, graph: Graph::default(), subjects: Vec::new() };
    let mut before = Before::default();
    let mut clones = Vec::new();
    let acting = seats.iter().filter(|seat| seat.plan.verb.acts());
    for (place, seat) in acting.enumerate() {
        let added = builder.seat(seat, place, &before);
        clones.extend(added.iter().filter(|(name, _)| *name == StepName::Clone).map(|(_, index)| *index));
        before.pass(&added);
    }
    let joins = |seat: &&Arc<Seat>| {
        let made = seat.plan.steps.contains(&StepName::Clone);
        let changed = matches!(seat.plan.verb, Verb::Resume | Verb::Update | Verb::Restart);
        let asked = changed && seat.plan.changes.iter().any(|change| change.field == POOL);
        made || (asked && !seat.left.contains(POOL))
    };
    if let Some(pool) = &plan.pool
        && seats.iter().any(|seat| joins(&seat))
    {
        let seats = seats.iter().filter(joins).cloned().collect();
        let action = Arc::new(JoinPool { site: site.clone(), seats, pool: pool.clone() });
        builder.add(Subject::Lab, StepName::Configure, Vec::new(), clones, Duration::ZERO, Vec::new(), action);
    }
    (builder.graph, builder.subjects)
}

struct Builder<'a> {
    plan: &'a Plan,
    site: &'a Arc<Site>,
    graph: Graph,
    subjects: Vec<Option<SeatName>>,
}

type Added = Vec<(StepName, StepIndex)>;

/// The steps of the seats before, that the next seat's may have to wait for.
#[derive(Debug, Default)]
struct Before {
    steps: Vec<StepIndex>,
    proofs: Vec<StepIndex>,
}

impl Before {
    /// A seat has got its steps. One without any, or without proofs, does not break the chain: the next seat
    /// waits for the one before it.
    fn pass(&mut self, added: &Added) {
        let proofs: Vec<_> = added.iter().filter(|(name, _)| name.is_proof()).map(|(_, index)| *index).collect();
        if !added.is_empty() {
            self.steps = added.iter().map(|(_, index)| *index).collect();
        }
        if !proofs.is_empty() {
            self.proofs = proofs;
        }
    }
}

impl Builder<'_> {
    /// Adds a seat's steps behind those of the seats before it, as the plan's order asks.
    fn seat(&mut self, seat: &Arc<Seat>, place: usize, before: &Before) -> Added {
        let mut added: Added = Vec::new();
        for name in &seat.plan.steps {
            let needs = needs(*name, &added);
            let first = added.is_empty();
            let first_proof = name.is_proof() && !added.iter().any(|(earlier, _)| earlier.is_proof());
            let after = match (self.plan.order, self.plan.rollcall.profile) {
                (Order::Sequential, _) if first => before.steps.clone(),
                (_, Profile::Strict) if first_proof => before.proofs.clone(),
                _ => Vec::new(),
            };
            let staggered = first && self.plan.order == Order::Staggered;
            let not_before = if staggered { self.plan.stagger * place as u32 } else { Duration::ZERO };
            let Some(action) = self.action(*name, seat) else { continue };
            let limits = limits(*name, &seat.plan);
            let subject = Subject::Seat(seat.name().clone());
            let index = self.add(subject, *name, needs, after, not_before, limits, action);
            added.push((*name, index));
        }
        added
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a step, in its own order")]
    fn add(
        &mut self,
        subject: Subject,
        name: StepName,
        needs: Vec<StepIndex>,
        after: Vec<StepIndex>,
        not_before: Duration,
        limits: Vec<LimitKey>,
        action: Arc<dyn Action>,
    ) -> StepIndex {
        let policy =
            Policy { locked: self.site.tuning.locked.clone(), unreachable: self.site.tuning.unreachable.clone() };
        self.subjects.push(subject.seat().cloned());
        self.graph.add(Step { subject, name, needs, after, not_before, limits, policy, action })
    }

    fn action(&self, name: StepName, seat: &Arc<Seat>) -> Option<Arc<dyn Action>> {
        let (site, seat) = (self.site.clone(), seat.clone());
        let rollcall = &self.plan.rollcall;
        Some(match name {
            StepName::Reserve => Arc::new(Reserve { seat }),
            StepName::Clone => {
                let source = seat.plan.source.clone()?;
                Arc::new(CloneMachine { site, seat, source })
            }
            StepName::Configure => Arc::new(Configure { site, seat }),
            StepName::Resize => Arc::new(Resize { site, seat }),
            StepName::Start => Arc::new(Start { site, seat, overlaps: rollcall.profile != Profile::Strict }),
            StepName::Address => {
                Arc::new(Address { site, seat, within: rollcall.address_within, cidr: rollcall.cidr.clone() })
            }
            StepName::Agent => Arc::new(Agent {
                site,
                seat,
                pings: rollcall.pings,
                settle: rollcall.settle,
                within: rollcall.address_within,
                profile: rollcall.profile,
            }),
            StepName::Exec => Arc::new(Exec {
                site,
                seat,
                command: rollcall.exec.clone(),
                checks: rollcall.checks.clone(),
                within: COMMAND_WITHIN,
            }),
            StepName::Verify => Arc::new(Verify { site, seat }),
            StepName::Ssh => Arc::new(Ssh { site, seat }),
            StepName::Stop => {
                let ask = matches!(seat.plan.verb, Verb::Restart | Verb::Halt);
                let how = if ask { Gentleness::Ask } else { Gentleness::Pull };
                Arc::new(Stop { site, seat, how })
            }
            StepName::Destroy => Arc::new(Destroy { site, seat }),
            StepName::Image
            | StepName::Network
            | StepName::Create
            | StepName::Engine
            | StepName::Proxy
            | StepName::Health
            | StepName::Dns => return None,
        })
    }
}

/// Whom a step of a seat waits for. Settling (in `agent`) overlaps `exec`, `verify` and `ssh`.
fn needs(name: StepName, added: &Added) -> Vec<StepIndex> {
    let index_of = |wanted: StepName| added.iter().find(|(name, _)| *name == wanted).map(|(_, index)| *index);
    let before = match name {
        StepName::Ssh => index_of(StepName::Exec).or_else(|| index_of(StepName::Address)),
        StepName::Verify => index_of(StepName::Exec).or_else(|| index_of(StepName::Address)),
        StepName::Agent | StepName::Exec => index_of(StepName::Address),
        _ => added.last().map(|(_, index)| *index),
    };
    before.or_else(|| added.last().map(|(_, index)| *index)).into_iter().collect()
}

/// The storage a clone is written to.
fn storage(source: &CloneSource) -> LimitKey {
    match source.storage_shared {
        true => LimitKey::SharedStorage(source.limit_storage.clone()),
        false => LimitKey::LocalStorage(source.node.clone(), source.limit_storage.clone()),
    }
}

/// What a step takes from the hardware.
fn limits(name: StepName, plan: &SeatPlan) -> Vec<LimitKey> {
    match (name, &plan.source) {
        (StepName::Clone, Some(source)) => {
            std::iter::once(storage(source)).chain(source.pool.clone().map(LimitKey::Pool)).collect()
        }
        // A removal takes the storage's lock per disk: too many at once leave disks behind.
        (StepName::Destroy, _) => vec![LimitKey::Removals],
        (StepName::Start, _) => vec![LimitKey::Boots(plan.node.clone())],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_without_steps_or_without_proofs_breaks_no_chain() {
        let mut before = Before::default();
        before.pass(&vec![(StepName::Start, 0), (StepName::Address, 1), (StepName::Exec, 2)]);
        before.pass(&Vec::new());
        assert_eq!((before.steps.clone(), before.proofs.clone()), (vec![0, 1, 2], vec![1, 2]));
        before.pass(&vec![(StepName::Stop, 3)]);
        assert_eq!((before.steps, before.proofs), (vec![3], vec![1, 2]));
    }
}
