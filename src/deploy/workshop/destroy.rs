//! `destroy`: a seat's containers go, or the proxy and the network. Labels are read again right before;
//! what does not carry ours is not touched.

use std::sync::Arc;

use async_trait::async_trait;

use super::engine::Engine;
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{
        Clean, SeatName,
        engine::{ContainerState, EngineView},
    },
    port::EngineError,
};

pub struct Destroy {
    pub engine: Arc<Engine>,
    pub seat: SeatName,
    /// Only what the definition has no more goes, and the rest of the seat stays.
    pub rest_stays: bool,
}

/// Something of ours on the engine.
enum Thing {
    Container(String, Clean),
    Network(String, Clean),
}

impl Destroy {
    /// Why something does not go; of a network, who is on it.
    async fn hindered(&self, thing: &Thing, error: EngineError) -> StepError {
        let (Thing::Network(id, name), EngineError::Refused { .. } | EngineError::Conflict { .. }) = (thing, &error)
        else {
            return error.into();
        };
        let on: Vec<String> = match self.engine.containers.on_network(id).await {
            Ok(on) => on.iter().map(ToString::to_string).collect(),
            Err(_) => Vec::new(),
        };
        match on.first() {
            None => error.into(),
            Some(first) => StepError::fatal(format!(
                "{error}; on it is still {}, which is not ours: remove it, or take it off (`docker network disconnect \
                 --force {name} {first}`), then destroy again",
                on.join(", ")
            )),
        }
    }

    /// Everything that carries this seat's labels, containers first: a network in use cannot go.
    fn things(&self, view: &EngineView) -> Vec<Thing> {
        let stays = if self.rest_stays { self.engine.parts(&self.seat) } else { Vec::new() };
        let own = |name: &Clean, labels| {
            self.engine.is_own(&self.seat, name.as_str(), labels)
                && !stays.iter().any(|part| part.name == name.as_str())
        };
        let containers = view.containers.iter().filter(|it| own(&it.name, &it.labels));
        let networks = view.networks.iter().filter(|it| own(&it.name, &it.labels));
        let containers = containers.map(|it| Thing::Container(it.id.clone(), it.name.clone()));
        containers.chain(networks.map(|it| Thing::Network(it.id.clone(), it.name.clone()))).collect()
    }
}

#[async_trait]
impl Action for Destroy {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        let view = self.engine.containers.view().await?;
        Ok(if self.things(&view).is_empty() { Check::Done("nothing of it is left".to_owned()) } else { Check::Needed })
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let view = self.engine.containers.view().await?;
        let mut gone = Vec::new();
        for thing in self.things(&view) {
            context.go_on()?;
            let (removed, name) = match &thing {
                Thing::Container(id, name) => (self.engine.containers.remove(id).await, name.to_string()),
                Thing::Network(id, name) => {
                    (self.engine.containers.remove_network(id).await, format!("the network {name}"))
                }
            };
            match removed {
                // Somebody else was quicker; the engine is at it.
                Ok(()) | Err(EngineError::Missing { .. }) => gone.push(name),
                Err(error) => return Err(self.hindered(&thing, error).await),
            }
        }
        // The engine's own listing has the last word.
        let view = self.engine.containers.view().await?;
        let going = |thing: &Thing| match thing {
            Thing::Container(id, _) => {
                view.containers.iter().any(|it| &it.id == id && it.state == ContainerState::Removing)
            }
            Thing::Network(..) => false,
        };
        let left = self.things(&view);
        if left.is_empty() {
            return Ok(format!("removed {}", gone.join(", ")));
        }
        let words = format!("{} of it still there", left.len());
        Err(if left.iter().all(going) {
            StepError::Locked(Clean::new(words))
        } else {
            StepError::Unreachable(Clean::new(words))
        })
    }
}
