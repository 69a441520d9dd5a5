//! The second catalogue of steps for a workshop: an instance in a cloud that makes its seats by itself.
//!
//! Firewall rule, instance, start, address and host key, login, Docker and the startup script's end, the proxy's
//! routes, an answer from outside, a name; then each seat is seen to run and to answer. The instance is known by its
//! labels. The id of the request that makes it is on disk before the request is sent, and until it is known what
//! came of it, nothing else is asked for.

mod create;
mod destroy;
mod host;
mod known;
mod login;
mod open;
mod seat;
mod up;

use std::{sync::Arc, time::Duration};

pub use host::{ENDS, Host, HostParts, USER};
pub use login::rerun;

use super::super::{
    limits::LimitKey,
    schedule::Graph,
    step::{Action, Policy, Step, StepIndex, Subject},
};
use crate::domain::{
    Plan, Role, SeatName, StepName,
    event::RunKind,
    plan::{SeatPlan, Verb},
};

/// The graph of a plan, and for each step the row it belongs to.
pub(super) fn build(plan: &Plan, host: &Arc<Host>) -> (Graph, Vec<Option<SeatName>>) {
    let mut builder = Builder { host, kind: plan.kind, graph: Graph::default(), subjects: Vec::new() };
    let acting = || plan.seats.iter().filter(|row| row.verb.acts());
    let (hosts, seats): (Vec<_>, Vec<_>) = acting().partition(|row| row.role == Role::Host);
    // What every seat waits for: its instance is ready for it, or gone.
    let mut ground: Vec<StepIndex> = Vec::new();
    for row in hosts {
        let ready = |name: &StepName| matches!(name, StepName::Engine | StepName::Destroy);
        let (mut last, mut waits) = (None, None);
        for name in &row.steps {
            last = builder.add(row, *name, last.as_slice()).or(last);
            if row.verb == Verb::Remove || ready(name) {
                waits = last;
            }
        }
        ground.extend(waits.or(last));
    }
    for row in seats {
        let mut last = None;
        for name in &row.steps {
            let needs = last.as_ref().map_or(ground.as_slice(), std::slice::from_ref);
            last = builder.add(row, *name, needs).or(last);
        }
    }
    (builder.graph, builder.subjects)
}

struct Builder<'a> {
    host: &'a Arc<Host>,
    kind: RunKind,
    graph: Graph,
    subjects: Vec<Option<SeatName>>,
}

impl Builder<'_> {
    fn add(&mut self, row: &SeatPlan, name: StepName, needs: &[StepIndex]) -> Option<StepIndex> {
        let action = self.action(name, row)?;
        let tuning = &self.host.tuning;
        let step = Step {
            subject: Subject::Seat(row.seat.clone()),
            name,
            needs: needs.to_vec(),
            after: Vec::new(),
            not_before: Duration::ZERO,
            // A login each: few at a time.
            limits: match row.role {
                Role::Seat => vec![LimitKey::Boots(row.node.clone())],
                _ => Vec::new(),
            },
            policy: Policy { locked: tuning.locked.clone(), unreachable: tuning.unreachable.clone() },
            action,
        };
        self.subjects.push(Some(row.seat.clone()));
        Some(self.graph.add(step))
    }

    fn action(&self, name: StepName, row: &SeatPlan) -> Option<Arc<dyn Action>> {
        let (host, seat) = (self.host.clone(), row.seat.clone());
        let is_host = row.role == Role::Host;
        Some(match name {
            StepName::Network => Arc::new(open::Firewall { host }),
            StepName::Create => Arc::new(create::Create { host }),
            StepName::Start if is_host => Arc::new(up::Start { host }),
            StepName::Start => Arc::new(seat::Runs { host, seat }),
            StepName::Address => Arc::new(up::Address { host }),
            StepName::Ssh => Arc::new(login::Login { host }),
            StepName::Engine => Arc::new(login::Docker { host }),
            StepName::Proxy => Arc::new(login::Routes { host }),
            StepName::Health if is_host => Arc::new(open::Answers { host }),
            StepName::Health => Arc::new(seat::Answers { host, seat }),
            StepName::Dns if self.kind == RunKind::Check => Arc::new(open::Follows { host }),
            StepName::Dns => Arc::new(open::Name { host }),
            StepName::Destroy if is_host => Arc::new(destroy::Destroy { host }),
            StepName::Destroy => Arc::new(destroy::GoneWithIt { host }),
            _ => return None,
        })
    }
}
