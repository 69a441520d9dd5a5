//! `create`: a seat's containers.

use std::sync::Arc;

use async_trait::async_trait;

use super::engine::Engine;
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::SeatName,
};

/// The containers are made. Their names are taken by whoever makes them first, so none is made twice.
pub struct Create {
    pub engine: Arc<Engine>,
    pub seat: SeatName,
}

#[async_trait]
impl Action for Create {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        let view = self.engine.containers.view().await?;
        for part in self.engine.parts(&self.seat) {
            if self.engine.own_container(&view, &self.seat, &part.name)?.is_none() {
                return Ok(Check::Needed);
            }
        }
        Ok(Check::Done("made before".to_owned()))
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let view = self.engine.containers.view().await?;
        let mut made = Vec::new();
        for part in self.engine.parts(&self.seat) {
            if self.engine.own_container(&view, &self.seat, &part.name)?.is_none() {
                context.go_on()?;
                self.engine.containers.create(&self.engine.spec(context, &self.seat, &part)).await?;
                made.push(part.name);
            }
        }
        Ok(format!("made {}", made.join(", ")))
    }
}
