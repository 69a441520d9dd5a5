//! Pool membership, for the whole class in one call: each call takes a cluster-wide lock.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use futures_util::future::join_all;

use super::{seat::Seat, site::Site};
use crate::{
    deploy::{
        recorder::Entry,
        step::{Action, Check, StepContext, StepError},
    },
    domain::{Change, Level, SeatName, StepName, StepState, Vmid},
};

pub struct JoinPool {
    pub site: Arc<Site>,
    pub seats: Vec<Arc<Seat>>,
    pub pool: String,
}

#[async_trait]
impl Action for JoinPool {
    async fn check(&self, context: &StepContext) -> Result<Check, StepError> {
        if !self.outside(context).await?.0.is_empty() {
            return Ok(Check::Needed);
        }
        self.write_down(context).await?;
        Ok(Check::Done(format!("all in pool {}", self.pool)))
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let (outside, moves) = self.outside(context).await?;
        if !self.site.cluster.pools().await?.iter().any(|pool| pool.as_str() == self.pool) {
            self.site.cluster.create_pool(&self.pool).await?;
        }
        self.site.cluster.add_to_pool(&self.pool, &outside, moves).await?;
        self.write_down(context).await?;
        let machines = if outside.len() == 1 { "machine" } else { "machines" };
        Ok(format!("{} {machines} put into pool {}", outside.len(), self.pool))
    }
}

impl JoinPool {
    /// Where a machine stands outside later, somebody else took it out.
    async fn write_down(&self, context: &StepContext) -> Result<(), StepError> {
        let words = format!("in pool {}", self.pool);
        let joined = |seat: &&Arc<Seat>| {
            let change = Change::PoolJoined { pool: self.pool.clone() };
            context.recorder.write(Entry::seat(seat.name(), Level::Debug, &words, change))
        };
        // Together, so that they are committed together.
        join_all(self.cloned(context).iter().map(joined)).await.into_iter().collect::<Result<(), _>>()?;
        Ok(())
    }

    /// Those whose clone was not in vain: what a failed one left is no machine of the class, and may be nobody's.
    fn cloned(&self, context: &StepContext) -> Vec<&Arc<Seat>> {
        let progress = context.recorder.progress();
        let cloned = |seat: &SeatName| {
            let clone = progress.seat(seat).and_then(|row| row.step(StepName::Clone));
            clone.is_some_and(|clone| matches!(clone.state, StepState::Ok | StepState::Skipped))
        };
        let made = |seat: &Seat| seat.plan.steps.contains(&StepName::Clone);
        self.seats.iter().filter(|seat| !made(seat) || cloned(seat.name())).collect()
    }

    /// Machines of the class that exist and are not in the pool: adding a member again is an error. And whether one of
    /// them is in another, which the plan said.
    async fn outside(&self, context: &StepContext) -> Result<(Vec<Vmid>, bool), StepError> {
        let ours: BTreeSet<Vmid> = self.cloned(context).iter().map(|seat| seat.facts().vmid).collect();
        let view = self.site.look().await?;
        let out = |pool: Option<&str>| pool != Some(self.pool.as_str());
        let guests = view.guests.iter();
        let outside: Vec<_> =
            guests.filter(|guest| ours.contains(&guest.vmid) && out(guest.pool.as_ref().map(|p| p.as_str()))).collect();
        let moves = outside.iter().any(|guest| guest.pool.is_some());
        Ok((outside.into_iter().map(|guest| guest.vmid).collect(), moves))
    }
}
