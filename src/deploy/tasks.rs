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
        Self { cluster, clock, tuning, lists: StdMutex::default() }
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
        let mut quiet_since = self.clock.monotonic();
        let mut lines = 0;
        for poll in 1u32.. {
            let asked = self.clock.monotonic();
            context.sleep(first_waits(poll, self.tuning.task_poll)).await?;
            let listed = match self.running(&node, asked).await {
                Ok(rows) => rows.iter().any(|row| row.upid == *upid),
                Err(e) if e.is_retryable() || e.effect_unknown() => true,
                Err(e) => return Err(e.into()),
            };
            if !listed {
                match self.cluster.task(upid).await {
                    Ok(TaskState::Running) => {}
                    Ok(ended) => return Ok(explained(&*self.cluster, upid, ended).await),
                    Err(e) if e.is_retryable() || e.effect_unknown() => {}
                    Err(e) => return Err(e.into()),
                }
            }
            if poll.is_multiple_of(LOG_EVERY)
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
        Err(StepError::Interrupted)
    }
}

/// Most tasks end within a second: look soon, then once a poll.
fn first_waits(poll: u32, usual: Duration) -> Duration {
    match poll {
        1 | 2 => usual.mul_f64(0.3),
        3 => usual.mul_f64(0.4),
        _ => usual,
    }
}
