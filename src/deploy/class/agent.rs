//! `agent`: the guest agent answers several times in a row, and goes on answering while the guest settles.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{seat::Seat, signs::Row, site::Site};
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{Clean, class::Profile},
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
    /// In the strict profile only this step's own pings count; else whatever the agent answered.
    pub profile: Profile,
}

/// Between looks whether an answer has come that somebody else waits for.
const LOOK: Duration = Duration::from_millis(200);
/// Of the quickest ping: a quicker one would come before the settling is over, and one more would be needed.
const HARDLY: f64 = 0.9;
/// Answers closer together than this prove little more than one.
const APART: Duration = Duration::from_secs(1);

#[async_trait]
impl Action for Agent {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        Ok(Check::Needed)
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let facts = self.seat.facts();
        let began = self.site.clock.monotonic();
        let mut own = None;
        loop {
            let row = self.row(own);
            if let Some(row) = row
                && row.answers >= self.pings.max(1)
                && row.spans() >= self.settle
            {
                return Ok(format!("{} answers in a row, settled {} s", self.pings.max(1), self.settle.as_secs()));
            }
            let now = self.site.clock.monotonic();
            let wait = row.map_or(Duration::ZERO, |row| self.due(row, now)).saturating_sub(now);
            if !wait.is_zero() {
                // Others may be asking as well meanwhile: look again what is missing then.
                context.sleep(wait).await?;
                continue;
            }
            match self.site.agent.ping(&facts.node, facts.vmid).await {
                Ok(()) => {
                    let now = self.site.clock.monotonic();
                    let row = own.get_or_insert(Row { answers: 0, first: now, last: now });
                    (row.answers, row.last) = (row.answers + 1, now);
                    continue;
                }
                Err(error) if error.is_passing() => own = None,
                Err(error) => return Err(error.into()),
            }
            let waited = self.site.clock.monotonic().saturating_sub(began);
            if waited > self.within + self.settle {
                return Err(StepError::Fatal(Clean::new(format!(
                    "the agent did not answer {} times in a row within {} s; look at qemu-guest-agent in the guest",
                    self.pings.max(1),
                    waited.as_secs()
                ))));
            }
            context.sleep(self.site.tuning.agent_poll).await?;
        }
    }
}

impl Agent {
    /// The answers that count; `own` are those to this step's own pings.
    fn row(&self, own: Option<Row>) -> Option<Row> {
        match self.profile {
            Profile::Strict => own,
            _ => self.site.signs.row(self.seat.facts().vmid),
        }
    }

    /// When the next ping is to be put. They span the settling: the last answer, which hardly a ping brings sooner than
    /// the quickest so far, proves that the guest is still there at its end. Answers that come without a ping spare one.
    fn due(&self, row: Row, now: Duration) -> Duration {
        let pings = self.pings.max(1);
        let coming = match self.profile {
            Profile::Strict => 0,
            _ => self.site.signs.open(self.seat.facts().vmid),
        };
        if row.spans() >= self.settle && row.answers >= pings.saturating_sub(coming).max(1) {
            return now + LOOK;
        }
        let last = (row.first + self.settle).saturating_sub(self.site.signs.quickest().mul_f64(HARDLY));
        if row.answers + 1 >= pings {
            return last;
        }
        if row.answers + coming + 1 >= pings {
            return last.max(row.first + APART);
        }
        let apart = (self.settle / (pings - 1)).max(APART);
        row.first + apart * row.answers
    }
}
