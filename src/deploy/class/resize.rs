//! `resize`: grows the first disk to what the definition asks; never shrinks one.

use std::sync::Arc;

use async_trait::async_trait;

use super::{clone::is_lock_timeout, seat::Seat, site::Site};
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{
        Change, Clean, Level,
        size::Size,
        verify::{BootDisk, boot_disk},
    },
    port::cluster::TaskState,
};

pub struct Resize {
    pub site: Arc<Site>,
    pub seat: Arc<Seat>,
}

#[async_trait]
impl Action for Resize {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        let Some(wanted) = self.seat.plan.spec.machine.disk else {
            return Ok(Check::Skip("the template's size".to_owned()));
        };
        match self.boot_disk().await?.and_then(|disk| disk.size) {
            Some(size) if size >= wanted.bytes() => Ok(Check::Done(format!("already {}", Size(size).human()))),
            _ => Ok(Check::Needed),
        }
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let Some(wanted) = self.seat.plan.spec.machine.disk else { return Ok("the template's size".to_owned()) };
        let Some(disk) = self.boot_disk().await? else {
            return Err(StepError::fatal("the machine has no disk to grow; check the template's boot order"));
        };
        let facts = self.seat.facts();
        let upid = self.site.cluster.resize(&facts.node, facts.vmid, &disk.slot, wanted.bytes()).await?;
        context.record(Level::Debug, format!("task {}", upid.0), Change::TaskStarted { upid: upid.0.clone() }).await?;
        match self.site.tasks.wait(context, &upid).await? {
            TaskState::Ok { .. } => Ok(format!("{} grown to {}", disk.slot, wanted.human())),
            TaskState::Failed(words) if is_lock_timeout(&words) => Err(StepError::Locked(words)),
            TaskState::Failed(words) => Err(StepError::Fatal(words)),
            TaskState::Died(words) => {
                Err(StepError::Unreachable(Clean::new(format!("the resize's worker ended: {words}"))))
            }
            TaskState::Running => Err(StepError::Interrupted),
        }
    }
}

impl Resize {
    async fn boot_disk(&self) -> Result<Option<BootDisk>, StepError> {
        let facts = self.seat.facts();
        Ok(boot_disk(&self.site.cluster.config(&facts.node, facts.vmid).await?.plain()))
    }
}
