//! `start` and `address`: the instance runs; where it is, and by which host key it is known, is told by the cloud.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    host::{Host, LOOK_EVERY},
    known::Wait,
};
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{
        Change, Clean, Level,
        cloud::{InstanceState, InstanceView},
    },
    port::CloudError,
};

/// The instance runs.
pub struct Start {
    pub host: Arc<Host>,
}

impl Start {
    /// It starts in its own zone or nowhere: its disk is there.
    fn no_room(&self, instance: &InstanceView, words: &Clean) -> StepError {
        let (zone, lab, words) = (&instance.zone, self.host.lab(), words.as_str().trim_end_matches('.'));
        StepError::fatal(format!(
            "{zone} has no room to start it again: {words}. Its disk is there, with what its seats wrote: deploy again \
             later, or give that up with `homeroom destroy {lab} --yes` and deploy anew, in whichever zone has room"
        ))
    }
}

#[async_trait]
impl Action for Start {
    async fn check(&self, context: &StepContext) -> Result<Check, StepError> {
        let instance = self.host.instance().await?;
        self.host.seen(context, &instance).await?;
        let settled = instance.preempted.is_none() && instance.keeps_disk == self.host.workshop.gce.keep_disk;
        Ok(match instance.state {
            InstanceState::Running if settled => Check::Done("runs".to_owned()),
            _ => Check::Needed,
        })
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        loop {
            let instance = self.host.instance().await?;
            if !matches!(instance.state, InstanceState::Coming | InstanceState::Going) {
                self.host.settle_disk(context, &instance).await?;
            }
            match instance.state {
                InstanceState::Running if instance.preempted.is_none() => return Ok("runs".to_owned()),
                InstanceState::Stopped => {
                    context.go_on()?;
                    let request = self.host.request(context, &[&instance.id]);
                    let operation = self.host.cloud.start(&instance.zone, &instance.name, &request).await?;
                    return match self.host.done(context, &operation).await {
                        Ok(()) => Ok("started".to_owned()),
                        Err(Wait::Ended(CloudError::Exhausted { words, .. })) => Err(self.no_room(&instance, &words)),
                        Err(error) => Err(error.into()),
                    };
                }
                // It comes, or goes and can be started after, as one that is being taken away does: either way, soon.
                _ => context.sleep(LOOK_EVERY).await?,
            }
        }
    }
}

/// Address and host keys are known.
pub struct Address {
    pub host: Arc<Host>,
}

#[async_trait]
impl Action for Address {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        // A machine that was started again has another address: always looked at.
        Ok(Check::Needed)
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let host = &self.host;
        let instance = host.instance().await?;
        if instance.state != InstanceState::Running {
            return Err(StepError::fatal(format!(
                "its instance is {}, not running; `homeroom deploy {} --yes` starts it again, with what its seats wrote",
                instance.status,
                host.lab()
            )));
        }
        // It has been told when its time is up since it runs.
        host.seen(context, &instance).await?;
        let Some(address) = instance.address else {
            return Err(StepError::fatal("its instance has no public address; does the project allow any?"));
        };
        let known = host.known(context);
        if known.address != Some(address) {
            let words = match known.address {
                Some(old) => format!("it is at {address} now, no longer at {old}"),
                None => format!("it is at {address}"),
            };
            context.record(Level::Info, words, Change::AddressSeen { ip: address }).await?;
        }
        // A first boot takes its time.
        let (began, within) = (host.clock.monotonic(), host.patience() * 2);
        let mut looked = began;
        let keys = loop {
            let keys = self.told(&instance).await?;
            if !keys.is_empty() {
                break keys;
            }
            host.worth_waiting(context, &mut looked).await?;
            if host.clock.monotonic().saturating_sub(began) > within {
                return Err(StepError::fatal(format!(
                    "the guest has not told its host keys within {} s, so it cannot be known for certain; its serial \
                     port may say why: `homeroom console {}/host`",
                    within.as_secs(),
                    host.lab()
                )));
            }
            context.sleep(LOOK_EVERY).await?;
        };
        if keys != known.host_keys {
            let words = format!("its host key is known: {}", kinds(&keys));
            context.record(Level::Debug, words, Change::HostKeysSeen { keys: keys.clone() }).await?;
        }
        Ok(format!("{address}, known by {}", kinds(&keys)))
    }
}

impl Address {
    /// The host keys as the guest agent tells them, or else the startup script.
    async fn told(&self, instance: &InstanceView) -> Result<Vec<String>, StepError> {
        for namespace in ["hostkeys", "homeroom"] {
            let told = self.host.cloud.attributes(&instance.zone, &instance.name, namespace).await?;
            let keys = told.iter().filter(|(kind, _)| kind.starts_with("ssh-") || kind.starts_with("ecdsa-"));
            let keys: Vec<String> = keys.map(|(kind, key)| format!("{kind} {key}")).collect();
            if !keys.is_empty() {
                return Ok(keys);
            }
        }
        Ok(Vec::new())
    }
}

fn kinds(keys: &[String]) -> String {
    keys.iter().filter_map(|key| key.split(' ').next()).collect::<Vec<_>>().join(", ")
}
