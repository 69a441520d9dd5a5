//! What a step is: one journalled action on one subject.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{
    Recorder,
    limits::{LimitKey, Limits, Observed, Permit},
    recorder::{Entry, JournalLost},
};
use crate::{
    domain::{Change, Clean, Level, SeatName, StepName, retry::Retry},
    port::{Clock, SiteError, agent::AgentError},
};

/// What a step acts on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    Lab,
    Seat(SeatName),
}

impl Subject {
    pub fn seat(&self) -> Option<&SeatName> {
        match self {
            Self::Lab => None,
            Self::Seat(seat) => Some(seat),
        }
    }
}

/// A step's place in its graph.
pub type StepIndex = usize;

/// One node of the graph.
pub struct Step {
    pub subject: Subject,
    pub name: StepName,
    /// Must have ended well (or been skipped) before.
    pub needs: Vec<StepIndex>,
    /// Must have ended before, however.
    pub after: Vec<StepIndex>,
    /// Not before this much modelled time of the run has passed.
    pub not_before: Duration,
    pub limits: Vec<LimitKey>,
    pub policy: Policy,
    pub action: Arc<dyn Action>,
}

/// How often what is tried again. Attempts stand in the journal.
#[derive(Debug, Clone)]
pub struct Policy {
    pub locked: Retry,
    pub unreachable: Retry,
}

/// What a look before acting found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// To be done.
    Needed,
    /// It is so already: by an earlier attempt, or by an earlier run.
    Done(String),
    /// Not asked for.
    Skip(String),
}

/// Why an attempt came to nothing.
#[derive(Debug, Clone)]
pub enum StepError {
    /// A lock was busy; nothing happened.
    Locked(Clean),
    /// What was to be used belongs to somebody else by now; nothing happened. Look again.
    Conflict(Clean),
    /// The site could not be reached, or its answer was lost: look again, then try again.
    Unreachable(Clean),
    /// Trying again would not help.
    Fatal(Clean),
    /// Stopped on request, between effects.
    Interrupted,
    /// The journal is gone; nothing more is done.
    Journal(JournalLost),
}

impl StepError {
    pub fn fatal(message: impl AsRef<str>) -> Self {
        Self::Fatal(Clean::new(message))
    }
}

impl From<SiteError> for StepError {
    fn from(error: SiteError) -> Self {
        let words = Clean::new(error.to_string());
        match error {
            SiteError::Locked { .. } => Self::Locked(words),
            e if e.is_retryable() || e.effect_unknown() => Self::Unreachable(words),
            _ => Self::Fatal(words),
        }
    }
}

impl From<AgentError> for StepError {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::Site(site) => site.into(),
            error if error.is_passing() => Self::Unreachable(Clean::new(error.to_string())),
            error => Self::Fatal(Clean::new(error.to_string())),
        }
    }
}

impl From<JournalLost> for StepError {
    fn from(lost: JournalLost) -> Self {
        Self::Journal(lost)
    }
}

/// What a step may use while it acts.
pub struct StepContext {
    pub subject: Subject,
    pub step: StepName,
    /// The attempt under way, from 1.
    pub attempt: u32,
    pub recorder: Recorder,
    pub clock: Arc<dyn Clock>,
    pub stop: CancellationToken,
    /// Another process goes on with the run: tasks need not be waited for.
    pub leave: CancellationToken,
    pub limits: Arc<Limits>,
    /// What the step holds permits of.
    pub holds: Vec<LimitKey>,
    /// The permits, given back when the step ends.
    pub permits: Mutex<Vec<Permit>>,
}

impl StepContext {
    /// Waits modelled time; cut short when the run is to stop.
    pub async fn sleep(&self, time: Duration) -> Result<(), StepError> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(StepError::Interrupted),
            () = self.clock.sleep(time) => Ok(()),
        }
    }

    /// Tells the gates this step went through how its work ended.
    pub fn observe(&self, observed: Observed) {
        self.limits.observe(&self.holds, observed);
    }

    /// The step's permits, for an action whose load lasts longer than its step.
    pub fn keep_permits(&self) -> Vec<Permit> {
        std::mem::take(&mut self.permits.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Between effects: whether to go on.
    pub fn go_on(&self) -> Result<(), StepError> {
        if self.stop.is_cancelled() { Err(StepError::Interrupted) } else { Ok(()) }
    }

    /// Writes a line, or a change, about this step, and waits until it is on disk.
    pub async fn record(&self, level: Level, message: impl AsRef<str>, change: Change) -> Result<(), StepError> {
        Ok(self.recorder.write(Entry::step(self.subject.seat(), self.step, level, message, change)).await?)
    }

    /// A mere line.
    pub async fn note(&self, level: Level, message: impl AsRef<str>) -> Result<(), StepError> {
        self.record(level, message, Change::Note).await
    }
}

/// What a step does. An effect is one request; it is never cut short, and stopping happens between effects.
#[async_trait]
pub trait Action: Send + Sync {
    /// Looks whether there is anything to do. Asked before every attempt.
    async fn check(&self, context: &StepContext) -> Result<Check, StepError>;

    /// Does it. The intent is on disk when this is called; the answer is what came of it, in words.
    async fn act(&self, context: &StepContext) -> Result<String, StepError>;

    /// Clears away what the last attempt to act left behind: no further look will find it. Asked once, before the
    /// failure is written down.
    ///
    /// # Errors
    /// Why something is left, and what clears it away.
    async fn give_up(&self, _context: &StepContext) -> Result<(), StepError> {
        Ok(())
    }
}
