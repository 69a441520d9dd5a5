//! `health`: a seat's programs answer; the proxy leads to them.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::engine::Engine;
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{Clean, SeatName, engine::ContainerState, workshop::Service},
};

/// From a start until programs must answer; an editor in a browser is the slow one.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// Between questions.
const ASK_EVERY: Duration = Duration::from_millis(300);
/// Wall time one answer may take.
const ONE_ANSWER: Duration = Duration::from_secs(5);

/// Every port of the seat answers by HTTP while its containers run.
pub struct SeatHealth {
    pub engine: Arc<Engine>,
    pub seat: SeatName,
}

/// An error where a container of a row does not run on its network: with its last words, if it has ended.
async fn runs(engine: &Engine, seat: &SeatName, what: &str) -> Result<(), StepError> {
    let view = engine.containers.view().await?;
    let attached = engine.attached(seat);
    for name in engine.containers_of(seat) {
        let Some(found) = engine.own_container(&view, seat, &name)? else {
            return Err(StepError::fatal(format!("{what}{name} is no longer there")));
        };
        let Some(why) = found.trouble(&attached) else { continue };
        let next = match found.state {
            ContainerState::Running | ContainerState::Paused => {
                format!("; `homeroom start {}/{seat}` puts that right", engine.lab())
            }
            _ => engine.last_words(found).await,
        };
        return Err(StepError::fatal(format!("{what}{name} {why}{next}")));
    }
    Ok(())
}

#[async_trait]
impl Action for SeatHealth {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        Ok(Check::Needed)
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let services: Vec<_> = self.engine.parts(&self.seat).into_iter().flat_map(|part| part.services).collect();
        let mut words = Vec::new();
        for (what, inside, port) in services {
            let status = ask(&self.engine, context, port, "/", || runs(&self.engine, &self.seat, "")).await.map_err(
                |silent| match silent {
                    Silent::Stopped(error) => error,
                    Silent::Still(why) => no_answer(what, inside, port, &why),
                },
            )?;
            words.push(format!("{} {status}", what.as_str()));
        }
        // What answers may be another's: the seat's own containers must have run all along.
        runs(&self.engine, &self.seat, "").await?;
        Ok(format!("answers: {}", words.join(", ")))
    }
}

fn no_answer(what: Service, inside: u16, port: u16, why: &Clean) -> StepError {
    let (what, within) = (what.as_str(), ANSWER_WITHIN.as_secs());
    StepError::fatal(format!(
        "its {what} did not answer on port {inside} (127.0.0.1:{port} on the host) within {within} s: {why}; \
         see what the image starts, and ports in the definition"
    ))
}

/// Why there is no answer.
enum Silent {
    /// Something else ended the wait.
    Stopped(StepError),
    /// Time ran out; what the last try met.
    Still(Clean),
}

/// Asks until there is an answer below 500, as long as `alive` has no objection.
async fn ask<F, G>(engine: &Engine, context: &StepContext, port: u16, path: &str, alive: F) -> Result<u16, Silent>
where
    F: Fn() -> G + Send,
    G: Future<Output = Result<(), StepError>> + Send,
{
    let (began, from) = (engine.clock.monotonic(), engine.host_name());
    loop {
        let why = match engine.containers.ask(&from, port, path, ONE_ANSWER).await {
            Ok(status) if status < 500 => return Ok(status),
            Ok(status) => Clean::new(format!("it answers with status {status}")),
            Err(why) => why,
        };
        alive().await.map_err(Silent::Stopped)?;
        if engine.clock.monotonic().saturating_sub(began) > ANSWER_WITHIN {
            return Err(Silent::Still(why));
        }
        context.sleep(ASK_EVERY).await.map_err(Silent::Stopped)?;
    }
}

/// The proxy says that it is there.
pub struct ProxyHealth {
    pub engine: Arc<Engine>,
}

#[async_trait]
impl Action for ProxyHealth {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        Ok(Check::Needed)
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let workshop = &self.engine.workshop;
        let port = workshop.health_port().unwrap_or(workshop.proxy.port);
        let host = SeatName::host();
        let alive = || runs(&self.engine, &host, "the proxy ");
        match ask(&self.engine, context, port, "/health", alive).await {
            Ok(200) => {
                alive().await?;
                Ok(format!("the proxy answers on port {}", workshop.proxy.port))
            }
            Ok(status) => Err(StepError::fatal(format!(
                "port {port} answers /health with status {status}, which is not our proxy; free the port or set proxy.port"
            ))),
            Err(Silent::Stopped(error)) => Err(error),
            Err(Silent::Still(why)) => Err(StepError::fatal(format!(
                "the proxy did not answer on port {port} within {} s: {why}",
                ANSWER_WITHIN.as_secs()
            ))),
        }
    }
}
