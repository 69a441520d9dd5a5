//! `image` and `network`: what every seat stands on.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::engine::Engine;
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{Level, SeatName, planning::MadeOf, size::Size},
    port::containers::{EngineError, Pulled},
};

/// The images are on the engine, pulled where they are not.
pub struct Images {
    pub engine: Arc<Engine>,
}

/// Between lines about a pull that goes on.
const NEWS_EVERY: Duration = Duration::from_secs(5);

impl Images {
    async fn missing(&self) -> Result<Vec<String>, StepError> {
        let mut missing = Vec::new();
        for image in self.engine.workshop.images() {
            if self.engine.containers.image(image).await?.is_none() {
                missing.push(image.to_owned());
            }
        }
        Ok(missing)
    }

    /// Pulls one image and tells now and then how far it is. A pull is never cut short: the engine would keep
    /// what it has, but nobody would know.
    async fn pull(&self, context: &StepContext, image: &str) -> Result<(), StepError> {
        let (tell, mut news) = mpsc::channel::<Pulled>(1);
        let pulling = self.engine.containers.pull(image, tell);
        tokio::pin!(pulling);
        let mut told = self.engine.clock.monotonic();
        loop {
            tokio::select! {
                ended = &mut pulling => return Ok(ended?),
                Some(pulled) = news.recv() => {
                    let now = self.engine.clock.monotonic();
                    if now.saturating_sub(told) >= NEWS_EVERY {
                        told = now;
                        let (bytes, of) = (Size(pulled.bytes).human(), Size(pulled.of).human());
                        context.note(Level::Info, format!("pulling {image}: {bytes} of {of}")).await?;
                    }
                }
            }
        }
    }
}

#[async_trait]
impl Action for Images {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        let missing = self.missing().await?;
        let images = self.engine.workshop.images().join(", ");
        Ok(if missing.is_empty() { Check::Done(format!("on the engine: {images}")) } else { Check::Needed })
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let missing = self.missing().await?;
        for image in &missing {
            context.go_on()?;
            self.pull(context, image).await?;
        }
        let (brought, pulled): (Vec<_>, Vec<_>) =
            missing.into_iter().partition(|image| self.engine.containers.brings(image));
        let told =
            |images: &[String], what: &str| (!images.is_empty()).then(|| format!("{what} {}", images.join(", ")));
        let pulled = told(&pulled, "pulled");
        Ok([pulled, told(&brought, "made of this computer's programs:")]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("; "))
    }
}

/// The workshop's own network, on which its seats do not reach each other.
pub struct Network {
    pub engine: Arc<Engine>,
}

impl Network {
    /// The networks of that name that are ours. An engine of API 1.41 lets several have one name, so a request
    /// of a process that died may come true beside ours.
    async fn own(&self) -> Result<Vec<String>, StepError> {
        let name = self.engine.host_name();
        let view = self.engine.containers.view().await?;
        let (own, strange): (Vec<_>, Vec<_>) = view
            .networks
            .iter()
            .filter(|network| network.name.as_str() == name)
            .partition(|network| self.engine.is_own(&SeatName::host(), &name, &network.labels));
        if !strange.is_empty() {
            return Err(StepError::fatal(format!(
                "the engine has a network called {name} that is not ours; it is left alone: remove it, then deploy again"
            )));
        }
        Ok(own.into_iter().map(|network| network.id.clone()).collect())
    }
}

#[async_trait]
impl Action for Network {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        let own = self.own().await?;
        Ok(if own.len() == 1 { Check::Done(format!("{} is there", self.engine.host_name())) } else { Check::Needed })
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let name = self.engine.host_name();
        if self.own().await?.is_empty() {
            let labels = self.engine.label(context, &SeatName::host(), &name, &MadeOf(Vec::new()));
            self.engine.containers.create_network(&name, &labels).await?;
        }
        for doubled in self.own().await?.iter().skip(1) {
            match self.engine.containers.remove_network(doubled).await {
                Ok(()) | Err(EngineError::Missing { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(format!("made the network {name}"))
    }
}
