//! `destroy`: instance, disk, name and firewall rule go. Labels and marks are read again right before; what does
//! not carry ours is not touched.

use std::{net::IpAddr, sync::Arc};

use async_trait::async_trait;

use super::{
    host::Host,
    known::{Known, Wait},
};
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{
        Change, Clean, Level, NodeName,
        cloud::{CloudView, DiskView, InstanceSpec, InstanceView, is_own},
        life::plain,
    },
    port::{CloudError, cloud::OperationId},
};

/// Everything of the workshop's goes.
pub struct Destroy {
    pub host: Arc<Host>,
}

/// What of the workshop is left.
struct Left {
    /// Whether all of the project could be looked at; what stands in the way, otherwise.
    seen: Result<(), StepError>,
    instances: Vec<InstanceView>,
    disks: Vec<DiskView>,
    rule: bool,
}

impl Left {
    fn nothing(&self) -> bool {
        self.seen.is_ok() && self.instances.is_empty() && self.disks.is_empty() && !self.rule
    }
}

impl Destroy {
    fn left(&self, view: &CloudView) -> Left {
        let host = &self.host;
        let keeps = host.workshop.gce.keep_disk;
        let disk =
            |disk: &&DiskView| !keeps && !disk.attached && is_own(&host.store, host.lab(), &disk.name, &disk.labels);
        let (name, mark) = (host.machine(), host.mark());
        Left {
            seen: host.sees(view),
            instances: host.own(view).into_iter().cloned().collect(),
            disks: view.disks.iter().filter(disk).cloned().collect(),
            rule: view.rules.iter().any(|rule| rule.name == name && rule.description == mark),
        }
    }

    /// Waits for the end of a removal; what is gone already is as good.
    async fn gone(&self, context: &StepContext, asked: Result<OperationId, CloudError>) -> Result<(), StepError> {
        match asked {
            Ok(operation) => match self.host.done(context, &operation).await {
                Err(Wait::Ended(CloudError::Missing { .. })) => Ok(()),
                other => Ok(other?),
            },
            Err(CloudError::Missing { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Every name that is ours, also one that the definition no longer asks for.
    async fn published(&self, context: &StepContext) -> Result<Vec<String>, StepError> {
        match self.host.may_be_named(context) {
            true => Ok(self.host.dns.marked(&self.host.mark()).await?),
            false => Ok(Vec::new()),
        }
    }

    /// Says so where its name leads to its address and somebody has taken the mark away: it is left where it is.
    async fn unmarked(&self, context: &StepContext, address: Option<IpAddr>) {
        let (Some(name), Some(IpAddr::V4(address))) = (self.host.name(context), address) else { return };
        // What DNS does not say now is asked again for what has our mark, which matters more.
        let Ok(Some(found)) = self.host.dns.find(&name).await else { return };
        if found.mark.is_none() && found.addresses.contains(&address) {
            let words = format!(
                "{name} still leads to {address}, and the mark beside it is gone, so it is left alone: remove it by hand, \
                 as that address is somebody else's from now on"
            );
            // Whether it can be written down changes nothing about what is to be done.
            let _ = context.note(Level::Warning, words).await;
        }
    }

    /// An instance may still come of a request that a dead process sent. What became of it is found out: the cloud
    /// knows of it, or the same request is sent again. From then on the cloud has seen its id, and whatever of it is
    /// still under way makes nothing any more. The zone in which one was made now, which nobody has ever used.
    async fn late(&self, context: &StepContext) -> Result<Option<NodeName>, StepError> {
        let host = &self.host;
        let Known { request: Some(request), zone: Some(zone), .. } = host.known(context) else { return Ok(None) };
        let (is_new, ended) = match host.cloud.begun(&zone, &request).await? {
            Some(operation) => (false, host.done(context, &operation).await),
            None => {
                let words = format!("an instance may still come of a request to {zone}: it is asked what became of it");
                context.note(Level::Info, words).await?;
                context.go_on()?;
                // What is made only to be removed leaves no disk.
                let spec = InstanceSpec { keep_disk: false, ..host.spec(context) };
                (true, host.insert(context, &spec, (&zone, &request), false).await)
            }
        };
        let made = self.came_to_something(context, ended).await?;
        let change = Change::RequestSettled { node: None };
        context.record(Level::Debug, "what came of the request is known", change).await?;
        Ok((is_new && made).then_some(zone))
    }

    /// The same of a firewall rule.
    async fn late_rule(&self, context: &StepContext) -> Result<(), StepError> {
        let host = &self.host;
        let Known { rule: Some(request), .. } = host.known(context) else { return Ok(()) };
        let begun = match host.cloud.begun_rule(&request).await? {
            Some(operation) => Ok(operation),
            None => {
                context.go_on()?;
                host.cloud.insert_rule(&host.rule(), &request).await
            }
        };
        let ended = match begun {
            Ok(operation) => host.done(context, &operation).await,
            Err(error) => Err(Wait::refused(error, false)),
        };
        self.came_to_something(context, ended).await?;
        context.record(Level::Debug, "what came of its rule is known", Change::RuleSettled).await
    }

    /// Whether a request made something. An error where that is not known.
    async fn came_to_something(&self, context: &StepContext, ended: Result<(), Wait>) -> Result<bool, StepError> {
        match ended {
            Ok(()) => Ok(true),
            // It came to nothing, or the name is taken, by what is seen or by somebody else's.
            Err(Wait::Ended(error) | Wait::Cloud(error @ CloudError::Taken { .. })) => {
                context.note(Level::Debug, format!("nothing comes of it: {error}")).await?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[async_trait]
impl Action for Destroy {
    async fn check(&self, context: &StepContext) -> Result<Check, StepError> {
        // What DNS says counts once all else is gone: trouble with it stops nothing before.
        let left = self.left(&self.host.view().await?);
        let done = left.nothing() && !self.host.known(context).is_open() && self.published(context).await?.is_empty();
        Ok(if done { Check::Done("nothing of it is left".to_owned()) } else { Check::Needed })
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let host = &self.host;
        let (mut gone, known_address) = (Vec::new(), host.known(context).address);
        // What costs money goes first: a DNS that is out of order keeps no instance running.
        // What came of an earlier request may not be known yet: what is seen goes all the same.
        let late = self.late(context).await;
        let unused = late.as_ref().ok().cloned().flatten();
        for instance in self.left(&host.view().await?).instances {
            // What is to be kept must not go with it, also where no deploy has come between.
            if host.workshop.gce.keep_disk && unused.as_ref() != Some(&instance.zone) {
                host.settle_disk(context, &instance).await?;
            }
            context.go_on()?;
            let request = host.request(context, &[&instance.id]);
            let asked = host.cloud.remove(&instance.zone, &instance.name, &request).await;
            self.gone(context, asked).await?;
            let now = host.clock.now();
            let born = context.recorder.progress().life.map_or(now, |life| life.born_at);
            let used = instance.used(born, now);
            gone.push(format!("{} in {}, which ran for {}", instance.name, instance.zone, plain(used.ran)));
            let words = format!("{} ran for {}", instance.name, plain(used.ran));
            context.record(Level::Debug, words, Change::Used { used }).await?;
        }
        self.late_rule(context).await?;
        let left = self.left(&host.view().await?);
        for disk in left.disks {
            context.go_on()?;
            let request = host.request(context, &["disk", disk.zone.as_str(), &disk.name]);
            let asked = host.cloud.remove_disk(&disk.zone, &disk.name, &request).await;
            self.gone(context, asked).await?;
            gone.push(format!("the disk {}", disk.name));
        }
        if left.rule {
            context.go_on()?;
            let asked = host.cloud.remove_rule(&host.machine(), &host.request(context, &["rule"])).await;
            self.gone(context, asked).await?;
            gone.push("its firewall rule".to_owned());
        }
        late?;
        self.unmarked(context, known_address).await;
        for name in self.published(context).await? {
            context.go_on()?;
            host.dns.withdraw(&name).await?;
            gone.push(name);
        }
        // The project's own listing has the last word.
        let left = self.left(&host.view().await?);
        left.seen.clone()?;
        if !left.nothing() {
            return Err(StepError::Unreachable(Clean::new("something of it is still there")));
        }
        Ok(format!("removed {}", gone.join(", ")))
    }
}

/// A seat goes with its instance.
pub struct GoneWithIt {
    pub host: Arc<Host>,
}

#[async_trait]
impl Action for GoneWithIt {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        // One look is for all of them.
        let gone = self.host.gone.get_or_try_init(async || {
            let view = self.host.view().await?;
            match self.host.own(&view).is_empty() {
                true => self.host.sees(&view),
                false => Err(StepError::fatal("its instance is still there")),
            }
        });
        gone.await?;
        Ok(Check::Done("gone with its instance".to_owned()))
    }

    async fn act(&self, _: &StepContext) -> Result<String, StepError> {
        Err(StepError::fatal("its instance is still there"))
    }
}
