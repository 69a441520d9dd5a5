//! Carries out a graph of steps: each as soon as what it needs is done and its limits allow.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{FutureExt, future::Shared as SharedFuture};
use tokio::{sync::oneshot, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    Recorder,
    limits::{Limits, Observed, Permit},
    recorder::{Entry, JournalLost},
    step::{Check, Step, StepContext, StepError, StepIndex},
};
use crate::{
    domain::{Change, Clean, Level, retry::Retry},
    port::Clock,
};

/// Steps with their order.
#[derive(Default)]
pub struct Graph {
    steps: Vec<Step>,
}

impl Graph {
    /// Adds a step; it may only refer to steps added before, so a graph has no cycles.
    pub fn add(&mut self, step: Step) -> StepIndex {
        let index = self.steps.len();
        debug_assert!(step.needs.iter().chain(&step.after).all(|earlier| *earlier < index));
        self.steps.push(step);
        index
    }

    pub fn len(&self) -> usize {
        self.steps.len()
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Well,
    Failed(Clean),
    /// Not begun: something it needs did not end well.
    Blocked,
    /// Stopped on request, or the journal was lost; resumable.
    Interrupted,
}

/// What the steps share.
#[derive(Clone)]
pub struct Shared {
    pub recorder: Recorder,
    pub clock: Arc<dyn Clock>,
    pub limits: Arc<Limits>,
    pub halt: Halt,
}

/// How a run is brought to a halt from outside.
#[derive(Debug, Clone, Default)]
pub struct Halt {
    /// Wind down: begin nothing new. Effects in flight are seen to their end, and the next deploy goes on.
    pub stop: CancellationToken,
    /// With `stop`: it is over for good.
    pub given_up: CancellationToken,
    /// With `stop`: another process goes on with it, so that not even the end of a task is waited for.
    pub leave: CancellationToken,
}

impl Halt {
    /// Winds the run down for another process to go on with.
    pub fn hand_over(&self) {
        self.leave.cancel();
        self.stop.cancel();
    }
}

/// Carries out the graph and tells how each step ended, in the graph's order.
/// Calls `on_end` as each ends, before its dependents hear of it.
pub async fn carry_out<F, G>(graph: Graph, shared: Shared, on_end: F) -> Vec<Ended>
where
    F: Fn(StepIndex, Ended) -> G + Clone + Send + Sync + 'static,
    G: Future<Output = ()> + Send + 'static,
{
    let began = shared.clock.monotonic();
    let (tell, hear): (Vec<_>, Vec<End>) =
        graph.steps.iter().map(|_| oneshot::channel()).map(|(t, h)| (t, h.shared())).unzip();
    let mut workers = JoinSet::new();
    for ((index, step), tell) in graph.steps.into_iter().enumerate().zip(tell) {
        let needs: Vec<_> = step.needs.iter().map(|i| hear[*i].clone()).collect();
        let after: Vec<_> = step.after.iter().map(|i| hear[*i].clone()).collect();
        let shared = shared.clone();
        let on_end = on_end.clone();
        workers.spawn(async move {
            let ended = work(step, needs, after, &shared, began).await;
            on_end(index, ended.clone()).await;
            // Nobody may be waiting for this one.
            let _ = tell.send(ended);
        });
    }
    while let Some(joined) = workers.join_next().await {
        if let Err(fault) = joined {
            // A step that panicked: its sender is gone, and its dependents are interrupted.
            tracing::error!(%fault, "a step ended abnormally");
        }
    }
    let mut ends = Vec::with_capacity(hear.len());
    for end in hear {
        ends.push(end_of(end).await);
    }
    ends
}

/// The end of another step. Those that wait for it are woken in the order they began to wait, so that
/// a run is the same every time the site is.
type End = SharedFuture<oneshot::Receiver<Ended>>;

/// Waits for another step's end; one that vanished counts as interrupted.
async fn end_of(step: End) -> Ended {
    step.await.unwrap_or(Ended::Interrupted)
}

async fn work(step: Step, needs: Vec<End>, after: Vec<End>, shared: &Shared, began: Duration) -> Ended {
    let mut blocked = false;
    for need in needs {
        match end_of(need).await {
            Ended::Well => {}
            Ended::Interrupted => return Ended::Interrupted,
            Ended::Failed(_) | Ended::Blocked => blocked = true,
        }
    }
    if blocked {
        return Ended::Blocked;
    }
    for earlier in after {
        end_of(earlier).await;
    }
    let mut context = StepContext {
        subject: step.subject.clone(),
        step: step.name,
        attempt: 0,
        recorder: shared.recorder.clone(),
        clock: shared.clock.clone(),
        stop: shared.halt.stop.clone(),
        leave: shared.halt.leave.clone(),
        limits: shared.limits.clone(),
        holds: step.limits.clone(),
        permits: Mutex::default(),
    };
    let wait = (began + step.not_before).saturating_sub(shared.clock.monotonic());
    if !wait.is_zero() && context.sleep(wait).await.is_err() {
        return Ended::Interrupted;
    }
    let Some(permits) = permits(&step, &context).await else { return Ended::Interrupted };
    context.permits = Mutex::new(permits);
    match attempts(&step, &mut context).await {
        Ok(ended) => ended,
        Err(lost) => {
            tracing::error!(%lost, "stopping");
            shared.halt.stop.cancel();
            Ended::Interrupted
        }
    }
}

/// Looks, writes the intent, acts, and tries again as the policy allows.
async fn attempts(step: &Step, context: &mut StepContext) -> Result<Ended, JournalLost> {
    let seat = step.subject.seat();
    let entry = |level, message: &str, change| Entry::step(seat, step.name, level, message, change);
    let first = context.clock.monotonic();
    loop {
        if context.go_on().is_err() {
            return Ok(Ended::Interrupted);
        }
        context.attempt += 1;
        let mut acted = false;
        let outcome = match step.action.check(context).await {
            Ok(Check::Done(words)) => {
                let took = context.clock.monotonic().saturating_sub(first);
                context.recorder.write(entry(Level::Info, &words, Change::StepDone { took })).await?;
                return Ok(Ended::Well);
            }
            Ok(Check::Skip(words)) => {
                context.recorder.write(entry(Level::Debug, &words, Change::StepSkipped)).await?;
                return Ok(Ended::Well);
            }
            Ok(Check::Needed) => {
                let attempt = context.attempt;
                let words = if attempt == 1 { "begins".to_owned() } else { format!("attempt {attempt}") };
                context.recorder.write(entry(Level::Debug, &words, Change::StepStarted { attempt })).await?;
                acted = true;
                step.action.act(context).await
            }
            Err(error) => Err(error),
        };
        let took = context.clock.monotonic().saturating_sub(first);
        let (words, retry) = match outcome {
            Ok(words) => {
                // Of a seat's proofs one line speaks aloud: that it is ready.
                let level = if step.name.is_proof() { Level::Debug } else { Level::Success };
                context.recorder.write(entry(level, &words, Change::StepDone { took })).await?;
                return Ok(Ended::Well);
            }
            Err(StepError::Interrupted) => return Ok(Ended::Interrupted),
            Err(StepError::Journal(lost)) => return Err(lost),
            Err(StepError::Locked(words)) => {
                context.observe(Observed::LockTimeout(context.clock.monotonic()));
                (words, step.policy.locked.clone())
            }
            Err(StepError::Conflict(words)) => (words, step.policy.locked.clone()),
            Err(StepError::Unreachable(words)) => (words, step.policy.unreachable.clone()),
            Err(StepError::Fatal(words)) => (words, Retry::never()),
        };
        let Some(wait) = retry.delay(context.attempt, seed(step)) else {
            let left = if acted { step.action.give_up(context).await } else { Ok(()) };
            let words = match left {
                Ok(()) => words,
                Err(StepError::Interrupted) => return Ok(Ended::Interrupted),
                Err(StepError::Journal(lost)) => return Err(lost),
                Err(
                    StepError::Locked(left)
                    | StepError::Conflict(left)
                    | StepError::Unreachable(left)
                    | StepError::Fatal(left),
                ) => Clean::new(format!("{words}; {left}")),
            };
            context.recorder.write(entry(Level::Error, words.as_str(), Change::StepFailed { took })).await?;
            return Ok(Ended::Failed(words));
        };
        let of = u32::try_from(retry.waits.len() + 1).unwrap_or(u32::MAX);
        let line = format!("{words} (try {} of {of}), {}", context.attempt, again(wait, step.limits.is_empty()));
        context.recorder.write(entry(Level::Warning, &line, Change::StepRetry { wait, of })).await?;
        // Who waits loads nothing: others go meanwhile.
        let held = !context.keep_permits().is_empty();
        if context.sleep(wait).await.is_err() {
            return Ok(Ended::Interrupted);
        }
        if held {
            let Some(permits) = permits(step, context).await else { return Ok(Ended::Interrupted) };
            context.permits = Mutex::new(permits);
        }
    }
}

/// `again in 2.3 s`; what takes part of a limit is let in again only when there is room.
fn again(wait: Duration, at_will: bool) -> String {
    // No wait, with what spreads those that failed together.
    const AT_ONCE: Duration = Duration::from_millis(600);
    match (wait < AT_ONCE, at_will) {
        (true, true) => "again at once".to_owned(),
        (true, false) => "again as soon as there is room for it".to_owned(),
        (false, _) if wait < Duration::from_secs(10) => {
            let seconds = format!("{:.1}", wait.as_secs_f64());
            format!("again in {} s", seconds.trim_end_matches(".0"))
        }
        (false, _) => format!("again in {:.0} s", wait.as_secs_f64()),
    }
}

/// What a step needs of its limits; `None` where the run is stopped before it is its turn.
async fn permits(step: &Step, context: &StepContext) -> Option<Vec<Permit>> {
    tokio::select! {
        biased;
        () = context.stop.cancelled() => None,
        permits = context.limits.acquire(&step.limits) => Some(permits),
    }
}

/// Spreads the waits of seats that failed together.
fn seed(step: &Step) -> u64 {
    let text = step.subject.seat().map_or("", |seat| seat.as_str());
    text.bytes().fold(step.name as u64 + 1, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
