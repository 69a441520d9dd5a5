//! `reserve`: sets a VMID and a node aside. From its commit on, that VMID is ours to look for.

use std::sync::Arc;

use async_trait::async_trait;

use super::seat::Seat;
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{Change, Level},
};

pub struct Reserve {
    pub seat: Arc<Seat>,
}

#[async_trait]
impl Action for Reserve {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        Ok(Check::Needed)
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let facts = self.seat.facts();
        let words = format!("vmid {} on {}", facts.vmid, facts.node);
        context.record(Level::Debug, &words, Change::Reserved { node: facts.node, vmid: facts.vmid }).await?;
        Ok(words)
    }
}
