//! Waiting for a site's tasks: one list of running tasks per node for all that wait there, and one
//! status read for each task that left it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::Duration,
};

use tokio::sync::Mutex;

use super::{
    Tuning,
    reason::explained,
    step::{StepContext, StepError},
};
use crate::{
    domain::{Clean, NodeName},
    port::{
        Clock, Cluster, SiteError,
        cluster::{TaskRow, TaskState, Upid},
    },
};

/// The running tasks of every node, read at most once a poll.
pub struct Tasks {
    cluster: Arc<dyn Cluster>,
    clock: Arc<dyn Clock>,
    tuning: Tuning,
    lists: StdMutex<HashMap<NodeName, Arc<Mutex<Option<List>>>>>,
    /// What the latest task of a kind took: the next is looked at when it is likely to end.
    took: StdMutex<HashMap<String, Duration>>,
}

#[derive(Clone)]
struct List {
    read_at: Duration,
    rows: Arc<Vec<TaskRow>>,
}

/// How often a running task's log is read for signs of progress, in polls.
const LOG_EVERY: u32 = 30;

impl Tasks {
    pub fn new(cluster: Arc<dyn Cluster>, clock: Arc<dyn Clock>, tuning: Tuning) -> Self {
        Self { cluster, clock, tuning, lists: StdMutex::default(), took: StdMutex::default() }
    }

    /// The node's running tasks, read no longer than a poll ago and not before `since`.
    pub async fn running(&self, node: &NodeName, since: Duration) -> Result<Arc<Vec<TaskRow>>, SiteError> {
        let slot = {
            let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
            lists.entry(node.clone()).or_default().clone()
        };
        // Whoever comes first reads; the others wait here and use what was read.
        let mut list = slot.lock().await;
        if let Some(known) = list.as_ref() {
            let fresh = self.clock.monotonic().saturating_sub(known.read_at) < self.tuning.task_poll;
            if fresh && known.read_at >= since {
                return Ok(known.rows.clone());
            }
        }
        let read_at = self.clock.monotonic();
        let rows = Arc::new(self.cluster.active_tasks(node).await?);
        *list = Some(List { read_at, rows: rows.clone() });
        Ok(rows)
    }

    /// Waits for the task's end and says how it ended. A copy that still moves is never timed out;
    /// a task without progress for `task_stall` is given up on.
    pub async fn wait(&self, context: &StepContext, upid: &Upid) -> Result<TaskState, StepError> {
        let node =
            upid.node().ok_or_else(|| StepError::fatal(format!("the site answered {:?}, which is no task", upid.0)))?;
        let began = self.clock.monotonic();
        let usual = self.usual(upid);
        let (mut quiet_since, mut logged_at) = (began, began);
        let (mut lines, mut near) = (0, 0);
        loop {
            let asked = self.clock.monotonic();
            let wait = far(asked.saturating_sub(began), usual, self.tuning.task_poll).unwrap_or_else(|| {
                near += 1;
                next_look(near - 1, self.tuning.task_poll)
            });
            // Not to be stopped: what the cluster was asked to do is seen to its end, and nothing new is asked.
            // Whoever takes the run over sees to it too.
            tokio::select! {
                biased;
                () = context.leave.cancelled() => return Err(StepError::Interrupted),
                () = self.clock.sleep(wait) => {}
            }
            // What others read in the latter half of the wait is new enough.
            let listed = match self.running(&node, asked + wait / 2).await {
                Ok(rows) => rows.iter().any(|row| row.upid == *upid),
                Err(e) if e.is_retryable() || e.effect_unknown() => true,
                Err(e) => return Err(e.into()),
            };
            if !listed {
                match self.cluster.task(upid).await {
                    Ok(TaskState::Running) => {}
                    Ok(ended) => {
                        if matches!(ended, TaskState::Ok { .. }) {
                            self.note(upid, self.clock.monotonic().saturating_sub(began));
                        }
                        return Ok(explained(&*self.cluster, upid, ended).await);
                    }
                    Err(e) if e.is_retryable() || e.effect_unknown() => {}
                    Err(e) => return Err(e.into()),
                }
            }
            let now = self.clock.monotonic();
            let log_due = now.saturating_sub(logged_at) >= self.tuning.task_poll * LOG_EVERY;
            if log_due {
                logged_at = now;
            }
            if log_due
                && let Ok(more) = self.cluster.task_log(upid, lines).await
                && !more.is_empty()
            {
                lines += more.len() as u64;
                quiet_since = self.clock.monotonic();
                if let Some(last) = more.last() {
                    context.note(crate::domain::Level::Info, last.as_str()).await?;
                }
            }
            if self.clock.monotonic().saturating_sub(quiet_since) > self.tuning.task_stall {
                return Err(StepError::Fatal(Clean::new(format!(
                    "task {} on {node} has shown no progress for {} s; look at its log on the node",
                    upid.0,
                    self.tuning.task_stall.as_secs()
                ))));
            }
        }
    }

    /// What tasks of this kind took lately.
    fn usual(&self, upid: &Upid) -> Option<Duration> {
        let took = self.took.lock().unwrap_or_else(PoisonError::into_inner);
        took.get(upid.kind()?).copied()
    }

    fn note(&self, upid: &Upid, time: Duration) {
        if let Some(kind) = upid.kind() {
            let mut took = self.took.lock().unwrap_or_else(PoisonError::into_inner);
            let usual = took.entry(kind.to_owned()).or_insert(time);
            // Waits for a lock come and go: the shortest counts, and is forgotten by and by.
            *usual = time.min(usual.mul_f64(FORGOTTEN));
        }
    }
}

/// Of a poll: the first wait for a task nothing is known of, and the waits from when its end is near.
const SOON: f64 = 0.25;
/// Each further wait is longer by so much, up to a poll.
const LONGER: f64 = 1.1;
/// How much longer the shortest time is taken to be with each task that took longer.
const FORGOTTEN: f64 = 1.1;
/// What a task is taken to need at least, of what the last of its kind took: that was seen late by something.
const AT_LEAST: f64 = 0.9;

/// Looks at a task whose end is far, in polls: it may fail before.
const FAR: u32 = 5;

/// How long to wait before the next look at a task that cannot be through yet, by what the last of its kind took.
fn far(elapsed: Duration, usual: Option<Duration>, poll: Duration) -> Option<Duration> {
    let left = usual?.mul_f64(AT_LEAST).saturating_sub(elapsed);
    (left >= poll.mul_f64(SOON)).then(|| left.min(poll * FAR))
}

/// How long to wait before the next look at one whose end is near, or unknown: `look` such have been before it.
fn next_look(look: u32, poll: Duration) -> Duration {
    poll.mul_f64((SOON * LONGER.powi(look.min(32) as i32)).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_nothing_is_known_of_is_looked_at_soon_and_then_ever_less_often() {
        let poll = Duration::from_secs(1);
        let looks: Vec<_> = (0..12).map(|look| next_look(look, poll).as_secs_f64()).collect();
        assert_eq!(looks[0], 0.25);
        assert!(looks.windows(2).all(|pair| pair[0] <= pair[1]) && looks[11] < 1.0, "{looks:?}");
        assert_eq!(far(Duration::ZERO, None, poll), None);
    }

    #[test]
    fn one_whose_like_took_forty_seconds_is_seldom_looked_at_until_its_end_is_near() {
        let (seconds, usual) = (Duration::from_secs, Some(Duration::from_secs(40)));
        assert_eq!(far(seconds(0), usual, seconds(1)), Some(seconds(5)));
        assert_eq!(far(seconds(34), usual, seconds(1)), Some(seconds(2)));
        assert_eq!(far(seconds(36), usual, seconds(1)), None);
    }
}
