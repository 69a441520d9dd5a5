//! The catalogue of steps for a workshop, and how a plan becomes a graph of them.
//!
//! The host's images and network go first; then each seat is made, started and asked, and beside them the
//! proxy, so that who is ready can be reached. Everything is looked for by its name and known by its labels, so that a step begun by
//! a process that died is found done, or done again, and never doubled.

mod destroy;
mod engine;
mod health;
mod host;
mod instance;
mod power;
mod proxy;
mod seat;

use std::sync::Arc;

pub use engine::{Engine, EngineParts, ProxyCertificate};
pub use instance::{ENDS, Host, HostParts, USER, rerun};

use super::{
    Recorder,
    account::{Tally, announce, close},
    limits::LimitKey,
    recorder::JournalLost,
    schedule::{Graph, Halt, Shared, carry_out},
    step::{Action, Policy, Step, StepIndex, Subject},
};
use crate::domain::{
    Plan, Role, SeatName, StepName,
    event::RunState,
    plan::{SeatPlan, Verb},
};

/// Carries out a plan for a workshop and says how the run ended. Everything on the way is in the journal.
///
/// `halt` winds it down. Where it is handed over, no end is written: the run is under way all the same.
///
/// # Errors
/// When the journal cannot be written: nothing more is done then.
pub async fn carry_out_plan(
    plan: &Plan,
    engine: Arc<Engine>,
    recorder: Recorder,
    halt: Halt,
) -> Result<RunState, JournalLost> {
    let (clock, limits) = (engine.clock.clone(), engine.limits.clone());
    let shared = Shared { recorder, clock, limits, halt };
    carry_out_graph(plan, build(plan, &engine), shared).await
}

/// The same in a cloud, where an instance carries the seats.
///
/// # Errors
/// When the journal cannot be written: nothing more is done then.
pub async fn carry_out_in_cloud(
    plan: &Plan,
    host: Arc<Host>,
    recorder: Recorder,
    halt: Halt,
) -> Result<RunState, JournalLost> {
    let (clock, limits) = (host.clock.clone(), host.limits.clone());
    let shared = Shared { recorder, clock, limits, halt };
    carry_out_graph(plan, instance::build(plan, &host), shared).await
}

async fn carry_out_graph(
    plan: &Plan,
    (graph, subjects): (Graph, Vec<Option<SeatName>>),
    shared: Shared,
) -> Result<RunState, JournalLost> {
    let (recorder, halt) = (shared.recorder.clone(), shared.halt.clone());
    announce(plan, &recorder).await?;
    let tally = Arc::new(Tally::new(plan, &subjects, shared.clock.monotonic()));
    let (writer, clock) = (recorder.clone(), shared.clock.clone());
    let ends = carry_out(graph, shared, move |index, ended| {
        let (tally, writer, clock) = (tally.clone(), writer.clone(), clock.clone());
        let seat = subjects.get(index).cloned().flatten();
        async move {
            if let Some(seat) = seat
                && let Some(entry) = tally.ended(&seat, ended, clock.monotonic())
                && let Err(lost) = writer.write(entry).await
            {
                tracing::error!(%lost, "the end of a seat is not written down");
            }
        }
    })
    .await;
    close(plan, &ends, &recorder, &halt).await
}

/// The graph of a plan, and for each step the row it belongs to.
fn build(plan: &Plan, engine: &Arc<Engine>) -> (Graph, Vec<Option<SeatName>>) {
    let mut builder = Builder { engine, graph: Graph::default(), subjects: Vec::new() };
    let acting = || plan.seats.iter().filter(|row| row.verb.acts());
    let (host, seats): (Vec<_>, Vec<_>) = acting().partition(|row| row.role == Role::Host);
    let host = host.first().copied();
    let is_first = |name: &&StepName| matches!(name, StepName::Image | StepName::Network);
    let is_last = |name: &&StepName| !matches!(name, StepName::Image | StepName::Network);
    // What every seat stands on.
    let ground = match host {
        Some(row) if row.verb != Verb::Remove => builder.chain(row, row.steps.iter().filter(is_first), &[]),
        _ => None,
    };
    let needs: Vec<StepIndex> = ground.into_iter().collect();
    let mut lasts = Vec::new();
    for row in seats {
        lasts.extend(builder.chain(row, row.steps.iter(), &needs));
    }
    if let Some(row) = host {
        match row.verb {
            // The network cannot go while seats are on it.
            Verb::Remove => builder.chain(row, row.steps.iter(), &lasts),
            _ => builder.chain(row, row.steps.iter().filter(is_last), &needs),
        };
    }
    (builder.graph, builder.subjects)
}

struct Builder<'a> {
    engine: &'a Arc<Engine>,
    graph: Graph,
    subjects: Vec<Option<SeatName>>,
}

impl Builder<'_> {
    /// Adds steps of a row one behind the other; the last of them.
    fn chain<'s>(
        &mut self,
        row: &SeatPlan,
        steps: impl Iterator<Item = &'s StepName>,
        needs: &[StepIndex],
    ) -> Option<StepIndex> {
        let mut last = None;
        for name in steps {
            let Some(action) = self.action(*name, row) else { continue };
            let tuning = &self.engine.tuning;
            let step = Step {
                subject: Subject::Seat(row.seat.clone()),
                name: *name,
                needs: last.map_or_else(|| needs.to_vec(), |index| vec![index]),
                after: Vec::new(),
                not_before: std::time::Duration::ZERO,
                limits: match name {
                    StepName::Create | StepName::Start | StepName::Destroy => vec![LimitKey::Boots(row.node.clone())],
                    _ => Vec::new(),
                },
                policy: Policy { locked: tuning.locked.clone(), unreachable: tuning.unreachable.clone() },
                action,
            };
            self.subjects.push(Some(row.seat.clone()));
            last = Some(self.graph.add(step));
        }
        last
    }

    fn action(&self, name: StepName, row: &SeatPlan) -> Option<Arc<dyn Action>> {
        let (engine, seat) = (self.engine.clone(), row.seat.clone());
        let is_host = row.role == Role::Host;
        Some(match name {
            StepName::Image => Arc::new(host::Images { engine }),
            StepName::Network => Arc::new(host::Network { engine }),
            StepName::Proxy => Arc::new(proxy::StartProxy { engine }),
            StepName::Create => Arc::new(seat::Create { engine, seat }),
            StepName::Configure => Arc::new(power::Hold { engine, seat }),
            StepName::Stop => Arc::new(power::Stop { engine, seat }),
            StepName::Start => Arc::new(power::Start { engine, seat }),
            StepName::Health if is_host => Arc::new(health::ProxyHealth { engine }),
            StepName::Health => Arc::new(health::SeatHealth { engine, seat }),
            StepName::Destroy => {
                let rest_stays = row.verb == Verb::Remove && row.stays();
                Arc::new(destroy::Destroy { engine, seat, rest_stays })
            }
            _ => return None,
        })
    }
}
