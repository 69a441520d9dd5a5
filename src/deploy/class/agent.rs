//! `agent`: the guest agent answers several times in a row, and goes on answering while the guest settles.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{seat::Seat, site::Site};
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::Clean,
};

pub struct Agent {
    pub site: Arc<Site>,
    pub seat: Arc<Seat>,
    /// Answers in a row.
    pub pings: u32,
    /// From the first answer to the last.
    pub settle: Duration,
    /// How long the row may take to come about.
    pub within: Duration,
}

#[async_trait]
impl Action for Agent {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        Ok(Check::Needed)
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let facts = self.seat.facts();
        let began = self.site.clock.monotonic();
        let pings = self.pings.max(1);
        // The pings span the settling: the last answer proves that the guest is still there at its end.
        let pause = if pings > 1 { self.settle / (pings - 1) } else { self.settle };
        let mut in_a_row = 0;
        loop {
            match self.site.agent.ping(&facts.node, facts.vmid).await {
                Ok(()) => in_a_row += 1,
                Err(error) if error.is_passing() => in_a_row = 0,
                Err(error) => return Err(error.into()),
            }
            if in_a_row >= pings {
                return Ok(format!("{pings} answers in a row, settled {} s", self.settle.as_secs()));
            }
            let waited = self.site.clock.monotonic().saturating_sub(began);
            if waited > self.within + self.settle {
                return Err(StepError::Fatal(Clean::new(format!(
                    "the agent did not answer {pings} times in a row within {} s; look at qemu-guest-agent in the guest",
                    waited.as_secs()
                ))));
            }
            context.sleep(if in_a_row == 0 { self.site.tuning.agent_poll } else { pause }).await?;
        }
    }
}
