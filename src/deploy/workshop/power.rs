//! `start`, `stop` and `configure` of containers that stand: a seat's, or the proxy. None is made or removed here.

use std::sync::Arc;

use async_trait::async_trait;

use super::engine::Engine;
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{
        SeatName,
        engine::{Attached, ContainerState, ContainerView, EngineView},
        label::{Owner, owner},
        planning::made_with,
        workshop::SeatLimits,
    },
};

/// The containers run, on their network.
pub struct Start {
    pub engine: Arc<Engine>,
    pub seat: SeatName,
}

/// Containers that end are ended.
pub struct Stop {
    pub engine: Arc<Engine>,
    pub seat: SeatName,
}

/// The engine holds the containers to the limits they were made with.
pub struct Hold {
    pub engine: Arc<Engine>,
    pub seat: SeatName,
}

/// A row's containers; an error where one is gone.
fn standing<'v>(engine: &Engine, view: &'v EngineView, seat: &SeatName) -> Result<Vec<&'v ContainerView>, StepError> {
    let found = engine.containers_of(seat).into_iter().map(|name| match engine.own_container(view, seat, &name)? {
        Some(found) => Ok(found),
        None => Err(StepError::fatal(format!("{name} is no longer there; deploy makes it again"))),
    });
    found.collect()
}

#[async_trait]
impl Action for Start {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        let view = self.engine.containers.view().await?;
        let attached = self.engine.attached(&self.seat);
        let works = |found: &&ContainerView| found.trouble(&attached).is_none();
        let all = standing(&self.engine, &view, &self.seat)?.iter().all(works);
        Ok(if all { Check::Done("runs".to_owned()) } else { Check::Needed })
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let containers = &self.engine.containers;
        let view = containers.view().await?;
        let mut did = Vec::new();
        for found in standing(&self.engine, &view, &self.seat)? {
            context.go_on()?;
            match found.state {
                ContainerState::Running => continue,
                ContainerState::Paused => {
                    containers.unpause(&found.id).await?;
                    did.push("unpaused");
                }
                _ => {
                    containers.start(&found.id).await?;
                    did.push("started");
                }
            }
        }
        // One that was taken off its network while it stood still is known by now.
        let attached = self.engine.attached(&self.seat);
        let Attached::To(network) = &attached else { return Ok(words(did)) };
        let view = containers.view().await?;
        for found in standing(&self.engine, &view, &self.seat)?.into_iter().filter(|found| found.is_off(&attached)) {
            context.go_on()?;
            containers.connect(network, &found.id).await?;
            did.push("put back on its network");
        }
        Ok(words(did))
    }
}

fn words(mut did: Vec<&'static str>) -> String {
    did.dedup();
    did.join(", ")
}

#[async_trait]
impl Action for Stop {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        let view = self.engine.containers.view().await?;
        let down = |found: &&ContainerView| matches!(found.state, ContainerState::Ended | ContainerState::Created);
        let all = standing(&self.engine, &view, &self.seat)?.iter().all(down);
        Ok(if all { Check::Done("does not run".to_owned()) } else { Check::Needed })
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let view = self.engine.containers.view().await?;
        for found in standing(&self.engine, &view, &self.seat)? {
            context.go_on()?;
            self.engine.containers.stop(&found.id).await?;
        }
        Ok("ended".to_owned())
    }
}

impl Hold {
    /// The containers whose limits are others than they were made with, and those.
    fn loose<'v>(&self, view: &'v EngineView) -> Result<Vec<(&'v ContainerView, SeatLimits)>, StepError> {
        let found = standing(&self.engine, view, &self.seat)?.into_iter();
        let loose = found.filter_map(|found| {
            let limits = match owner(&self.engine.store, found.name.as_str(), &found.labels) {
                Owner::Ours(label) => made_with(&label.made_of)?,
                _ => return None,
            };
            (found.limits.as_ref() != Some(&limits)).then_some((found, limits))
        });
        Ok(loose.collect())
    }
}

#[async_trait]
impl Action for Hold {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        let view = self.engine.containers.view().await?;
        Ok(if self.loose(&view)?.is_empty() { Check::Done("as it was made".to_owned()) } else { Check::Needed })
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let view = self.engine.containers.view().await?;
        for (found, limits) in self.loose(&view)? {
            context.go_on()?;
            self.engine.containers.limit(&found.id, &limits).await?;
        }
        Ok("held to the limits it was made with".to_owned())
    }
}
