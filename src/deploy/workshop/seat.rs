//! `create` and `start`: a seat's containers.

use std::sync::Arc;

use async_trait::async_trait;

use super::engine::Engine;
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{SeatName, engine::ContainerState},
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

/// The containers run.
pub struct Start {
    pub engine: Arc<Engine>,
    pub seat: SeatName,
}

#[async_trait]
impl Action for Start {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        let view = self.engine.containers.view().await?;
        for part in self.engine.parts(&self.seat) {
            match self.engine.own_container(&view, &self.seat, &part.name)? {
                Some(found) if found.state == ContainerState::Running => {}
                Some(_) => return Ok(Check::Needed),
                None => {
                    return Err(StepError::fatal(format!("{} is no longer there; deploy makes it again", part.name)));
                }
            }
        }
        Ok(Check::Done("runs".to_owned()))
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let view = self.engine.containers.view().await?;
        for part in self.engine.parts(&self.seat) {
            let found = self.engine.own_container(&view, &self.seat, &part.name)?;
            if let Some(found) = found.filter(|found| found.state != ContainerState::Running) {
                context.go_on()?;
                self.engine.containers.start(&found.id).await?;
            }
        }
        Ok("started".to_owned())
    }
}
