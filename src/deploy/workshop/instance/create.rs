//! `create`: the instance is made, in the first zone that has room.
//!
//! A zone and a request id are on disk before the request is sent. Whoever goes on after a death sends the same
//! request again: the cloud knows it, and makes nothing twice. Another zone is asked only once the one before has
//! said no.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    host::{Host, LOOK_EVERY},
    known::Wait,
};
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{
        Change, Clean, Level, NodeName,
        cloud::{InstanceState, InstanceView, is_own},
    },
    port::{CloudError, cloud::Offer},
};

/// What is on its way to running, or to be stopped, gets there within so many times our patience.
const SETTLES_WITHIN: u32 = 4;

/// The instance exists.
pub struct Create {
    pub host: Arc<Host>,
}

#[async_trait]
impl Action for Create {
    async fn check(&self, context: &StepContext) -> Result<Check, StepError> {
        let Some(found) = self.host.only(&self.host.view().await?)? else { return Ok(Check::Needed) };
        let known = self.host.known(context);
        let is_elsewhere = known.zone.as_ref() != Some(&found.zone);
        // On its way it may still come to nothing, and the request's end tells; so it does where the request went to
        // another zone than the one this is in.
        let on_its_way = matches!(found.state, InstanceState::Coming | InstanceState::Going);
        if on_its_way || known.request.is_some() && is_elsewhere {
            return Ok(Check::Needed);
        }
        if known.request.is_some() || is_elsewhere {
            self.found(context, &found.zone).await?;
        }
        Ok(Check::Done(format!("{} is in {}", found.name, found.zone)))
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let host = &self.host;
        let (mut tried, mut hints) = (Vec::<NodeName>::new(), Vec::<String>::new());
        loop {
            context.go_on()?;
            let known = host.known(context);
            let pending = known.zone.zip(known.request);
            let is_first = pending.is_none();
            if let Some(found) = self.standing(context, pending.as_ref()).await? {
                return Ok(format!("{} is in {}", found.name, found.zone));
            }
            let (zone, request) = match pending {
                Some(pending) => pending,
                None => self.ask_next(context, &tried, &hints).await?,
            };
            match host.insert(context, &host.spec(context), (&zone, &request), is_first).await {
                Ok(()) => {
                    self.settle(context).await?;
                    return Ok(format!("made {} in {zone}", host.machine()));
                }
                Err(Wait::Step(error)) => return Err(error),
                Err(Wait::Ended(CloudError::Exhausted { elsewhere, words, .. })) => {
                    let words = format!("{zone} has nothing left: {words}");
                    context.record(Level::Warning, words, Change::RequestSettled { node: None }).await?;
                    tried.push(zone);
                    let known = |zone: &String| !tried.iter().any(|it| it.as_str() == zone) && !hints.contains(zone);
                    let fresh: Vec<String> = elsewhere.into_iter().filter(known).collect();
                    hints.extend(fresh);
                }
                Err(Wait::Cloud(CloudError::Taken { words, .. }) | Wait::Ended(CloudError::Taken { words, .. })) => {
                    return self.taken(context, &zone, words).await;
                }
                // It is over, and the next attempt asks anew.
                Err(Wait::Ended(error)) => {
                    self.settle(context).await?;
                    return Err(error.into());
                }
                // Nobody knows what comes of it: the next attempt, of this run or of another, sends the same again.
                Err(Wait::Cloud(error)) => return Err(error.into()),
            }
        }
    }
}

impl Create {
    /// The instance that stands already; nothing where another may be asked for, or the one that was asked for is
    /// still to be waited for. What is on its way to running, or to be stopped, is waited for: beside it no other is
    /// made.
    async fn standing(
        &self,
        context: &StepContext,
        pending: Option<&(NodeName, String)>,
    ) -> Result<Option<InstanceView>, StepError> {
        let host = &self.host;
        let (began, within) = (host.clock.monotonic(), host.patience() * SETTLES_WITHIN);
        loop {
            let view = host.view().await?;
            let Some(found) = host.only(&view)? else {
                // A request that was sent is sent again with its id, which makes nothing twice.
                if pending.is_none() {
                    host.sees(&view)?;
                }
                return Ok(None);
            };
            match pending {
                Some((zone, _)) if *zone == found.zone => return Ok(None),
                Some((zone, request)) => {
                    // To send it again would make a second one, where it never arrived.
                    if let Some(operation) = host.cloud.begun(zone, request).await? {
                        match host.done(context, &operation).await {
                            Ok(()) | Err(Wait::Ended(_)) => {}
                            Err(error) => return Err(error.into()),
                        }
                    }
                    self.found(context, &found.zone).await?;
                    return host.only(&host.view().await?);
                }
                None if matches!(found.state, InstanceState::Coming | InstanceState::Going) => {}
                None => {
                    self.found(context, &found.zone).await?;
                    return Ok(Some(found));
                }
            }
            if host.clock.monotonic().saturating_sub(began) > within {
                return Err(StepError::fatal(format!(
                    "{} in {} has been {} for {} min; no other is made beside it: wait, or `homeroom destroy {} --yes`",
                    found.name,
                    found.zone,
                    found.status,
                    within.as_secs() / 60,
                    host.lab()
                )));
            }
            context.sleep(LOOK_EVERY).await?;
        }
    }

    /// Chooses a zone that has not said no, and writes down that it is asked: first what the cloud itself says has
    /// room, then in the order of the configuration.
    async fn ask_next(
        &self,
        context: &StepContext,
        tried: &[NodeName],
        hints: &[String],
    ) -> Result<(NodeName, String), StepError> {
        let host = &self.host;
        let kind = host.spec(context).machine_type;
        let is_hinted = |zone: &&NodeName| hints.iter().any(|hint| hint == zone.as_str());
        let open = || host.zones.iter().filter(|zone| !tried.contains(zone));
        let mut chosen = None;
        for zone in open().filter(is_hinted).chain(open().filter(|zone| !is_hinted(zone))) {
            if host.cloud.offers(zone, &kind).await? == Offer::Has {
                chosen = Some(zone.clone());
                break;
            }
            context.note(Level::Warning, format!("{zone} has no {kind}: it is passed over")).await?;
        }
        let Some(zone) = chosen else {
            let zones: Vec<String> = host.zones.iter().map(ToString::to_string).collect();
            let hints: Vec<&str> =
                hints.iter().map(String::as_str).filter(|hint| !zones.iter().any(|zone| zone == hint)).collect();
            let hint = match hints.as_slice() {
                [] => String::new(),
                [one] => format!("; it is said to be had in {one}: add it to zones of the site"),
                more => format!("; it is said to be had in {}: add one to zones of the site", more.join(", ")),
            };
            return Err(StepError::fatal(format!("none of {} has room{hint}; try again later", zones.join(", "))));
        };
        let request = host.request(context, &[zone.as_str(), &tried.len().to_string()]);
        let change = Change::Requested { node: zone.clone(), request: Clean::new(&request) };
        context.record(Level::Info, format!("asking {zone} for {}", host.machine()), change).await?;
        Ok((zone, request))
    }

    async fn settle(&self, context: &StepContext) -> Result<(), StepError> {
        context.record(Level::Debug, "what came of the request is known", Change::RequestSettled { node: None }).await
    }

    /// An instance of ours is there, by a request of an earlier run.
    async fn found(&self, context: &StepContext, zone: &NodeName) -> Result<(), StepError> {
        let change = Change::RequestSettled { node: Some(zone.clone()) };
        context.record(Level::Debug, format!("found in {zone}"), change).await
    }

    /// The name is taken: by an earlier request of ours that the cloud has forgotten, or by somebody else.
    async fn taken(&self, context: &StepContext, zone: &NodeName, words: Clean) -> Result<String, StepError> {
        let host = &self.host;
        let name = host.machine();
        loop {
            let found = match host.cloud.instance(zone, &name).await {
                Ok(found) => found,
                Err(CloudError::Missing { .. }) => return Err(StepError::Unreachable(words)),
                Err(error) => return Err(error.into()),
            };
            if !is_own(&host.store, host.lab(), &name, &found.labels) {
                self.settle(context).await?;
                return Err(StepError::fatal(format!(
                    "{zone} has an instance called {name} that is not ours; it is left alone: rename or remove it, or \
                     give {} another name",
                    host.lab()
                )));
            }
            if found.state != InstanceState::Coming {
                self.settle(context).await?;
                return Ok(format!("{name} was made in {zone} before"));
            }
            context.sleep(LOOK_EVERY).await?;
        }
    }
}
