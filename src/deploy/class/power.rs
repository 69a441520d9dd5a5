//! `start` and `stop`: a machine's power. A 200 with a task is not yet a success: the task's end is.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    boots::Waiting,
    clone::is_lock_timeout,
    seat::{Facts, Seat},
    site::{OVERDUE, Site},
};
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{Change, Clean, Level, StepName},
    port::cluster::{PowerAction, TaskState},
};

pub struct Start {
    pub site: Arc<Site>,
    pub seat: Arc<Seat>,
    /// Its roll call waits for nobody else's.
    pub overlaps: bool,
}

#[async_trait]
impl Action for Start {
    async fn check(&self, context: &StepContext) -> Result<Check, StepError> {
        // A machine this run has just made is off: no need to ask.
        if context.attempt == 1 && self.seat.facts().cloned_at.is_some() {
            return Ok(Check::Needed);
        }
        super::destroy::prove_ours(&self.site, &self.seat, context).await?;
        let facts = self.seat.facts();
        let status = self.site.cluster.status(&facts.node, facts.vmid).await?;
        Ok(if status.running { Check::Done("already running".to_owned()) } else { Check::Needed })
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let began = self.site.clock.monotonic();
        self.site.signs.broken(self.seat.facts().vmid);
        self.seat.learn(|facts| facts.started_at = Some(began));
        power(&self.site, &self.seat, context, PowerAction::Start).await?;
        // Its boot is what takes the node's processors: others wait until its agent answers, if it is asked. Where
        // machines are asked in an order, the next to be asked might wait here for one behind it.
        if self.overlaps && self.seat.plan.steps.contains(&StepName::Address) {
            self.seat.boots(context.keep_permits());
            let now = self.site.clock.monotonic();
            let facts = self.seat.facts();
            self.site.boots.begins(Waiting { seat: self.seat.name(), node: &facts.node, template: None, now });
        }
        let took = self.site.clock.monotonic().saturating_sub(began).as_secs_f64();
        Ok(format!("started in {took:.1} s"))
    }
}

/// How a machine is brought down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gentleness {
    /// The guest is asked first: its work goes on afterwards.
    Ask,
    /// The plug is pulled: it is about to be removed.
    Pull,
}

pub struct Stop {
    pub site: Arc<Site>,
    pub seat: Arc<Seat>,
    pub how: Gentleness,
}

#[async_trait]
impl Action for Stop {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        let facts = self.seat.facts();
        match self.site.cluster.status(&facts.node, facts.vmid).await {
            Ok(status) if status.running => Ok(Check::Needed),
            Ok(_) => Ok(Check::Skip("already off".to_owned())),
            Err(error) if error.is_missing() => Ok(Check::Skip("not there".to_owned())),
            Err(error) => Err(error.into()),
        }
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let action = match self.how {
            Gentleness::Ask => {
                PowerAction::Shutdown { timeout: self.site.tuning.shutdown_within.as_secs(), force: true }
            }
            Gentleness::Pull => PowerAction::Stop,
        };
        super::destroy::prove_ours(&self.site, &self.seat, context).await?;
        power(&self.site, &self.seat, context, action).await?;
        Ok("off".to_owned())
    }
}

/// Waits until a machine is seen to be as asked for, once the answer to that is overdue.
async fn turned(site: &Site, facts: &Facts, action: PowerAction) {
    site.clock.sleep(OVERDUE).await;
    loop {
        let status = site.cluster.status(&facts.node, facts.vmid).await;
        if status.is_ok_and(|status| status.running == (action == PowerAction::Start)) {
            return;
        }
        site.clock.sleep(site.tuning.task_poll).await;
    }
}

/// Asks for a change of power and waits for its task.
async fn power(site: &Site, seat: &Seat, context: &StepContext, action: PowerAction) -> Result<(), StepError> {
    let facts = seat.facts();
    let upid = tokio::select! {
        biased;
        answer = site.cluster.power(&facts.node, facts.vmid, action) => answer?,
        () = turned(site, &facts, action) => {
            return context.note(Level::Info, "the site never answered, and it is done").await;
        }
    };
    context.record(Level::Debug, format!("task {}", upid.0), Change::TaskStarted { upid: upid.0.clone() }).await?;
    match site.tasks.wait(context, &upid).await? {
        TaskState::Ok { .. } => Ok(()),
        TaskState::Failed(words) if is_lock_timeout(&words) => Err(StepError::Locked(words)),
        TaskState::Failed(words) if words.as_str().contains("already running") => Ok(()),
        TaskState::Failed(words) => Err(StepError::Fatal(words)),
        TaskState::Died(words) => {
            Err(StepError::Unreachable(Clean::new(format!("the task's worker ended without a word: {words}"))))
        }
        TaskState::Running => Err(StepError::Interrupted),
    }
}
