//! `destroy`: instance, disk, name and firewall rule go. Labels and marks are read again right before; what does
//! not carry ours is not touched.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::host::{Host, Known};
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{
        Change, Clean, Level, NodeName,
        cloud::{CloudView, DiskView, InstanceView, is_own, read_mark},
    },
    port::{CloudError, cloud::OperationId},
};

/// A request that a dead process sent may arrive so much later: modelled time, and looks meanwhile.
const LATE: Duration = Duration::from_secs(30);
const LOOKS: u32 = 6;

/// Everything of the workshop's goes.
pub struct Destroy {
    pub host: Arc<Host>,
}

/// What of the workshop is left.
struct Left {
    instances: Vec<InstanceView>,
    disks: Vec<DiskView>,
    rule: bool,
}

impl Left {
    fn nothing(&self) -> bool {
        self.instances.is_empty() && self.disks.is_empty() && !self.rule
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
            instances: host.own(view).into_iter().cloned().collect(),
            disks: view.disks.iter().filter(disk).cloned().collect(),
            rule: view.rules.iter().any(|rule| rule.name == name && rule.description == mark),
        }
    }

    /// Waits for the end of a removal; what is gone already is as good.
    async fn gone(&self, context: &StepContext, asked: Result<OperationId, CloudError>) -> Result<(), StepError> {
        match asked {
            Ok(operation) => match self.host.done(context, &operation).await {
                Err(super::host::Wait::Cloud(CloudError::Missing { .. })) => Ok(()),
                other => Ok(other?),
            },
            Err(CloudError::Missing { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The name, if it is ours.
    async fn published(&self, context: &StepContext) -> Result<Option<String>, StepError> {
        let Some(name) = self.host.name(context) else { return Ok(None) };
        let found = self.host.dns.find(&name).await?;
        let whose = found.and_then(|found| read_mark(&found.mark?));
        let ours = whose.is_some_and(|(store, lab)| store == self.host.store && &lab == self.host.lab());
        Ok(ours.then_some(name))
    }

    /// An instance may still come of a request that a dead process sent: the place is watched for a while.
    async fn late(&self, context: &StepContext) -> Result<(), StepError> {
        let Known { request: Some(_), zone, .. } = self.host.known(context) else { return Ok(()) };
        let zone = zone.unwrap_or_else(|| NodeName::new("its zone"));
        let words = format!("an instance may still come of a request to {zone}: watched for {} s", LATE.as_secs());
        context.note(Level::Info, words).await?;
        for _ in 0..LOOKS {
            context.sleep(LATE / LOOKS).await?;
            if !self.host.own(&self.host.view().await?).is_empty() {
                break;
            }
        }
        context.record(Level::Debug, "what came of the request is known", Change::RequestSettled { node: None }).await
    }
}

#[async_trait]
impl Action for Destroy {
    async fn check(&self, context: &StepContext) -> Result<Check, StepError> {
        let left = self.left(&self.host.view().await?);
        let done =
            left.nothing() && self.host.known(context).request.is_none() && self.published(context).await?.is_none();
        Ok(if done { Check::Done("nothing of it is left".to_owned()) } else { Check::Needed })
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let host = &self.host;
        let mut gone = Vec::new();
        // A name that leads nowhere is worse than none; and the instance may have gone by itself.
        if let Some(name) = self.published(context).await? {
            context.go_on()?;
            host.dns.withdraw(&name).await?;
            gone.push(name);
        }
        if self.left(&host.view().await?).instances.is_empty() {
            self.late(context).await?;
        }
        for instance in self.left(&host.view().await?).instances {
            context.go_on()?;
            let request = host.request(context, &[&instance.id]);
            let asked = host.cloud.remove(&instance.zone, &instance.name, &request).await;
            self.gone(context, asked).await?;
            gone.push(format!("{} in {}", instance.name, instance.zone));
        }
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
        // The project's own listing has the last word.
        let left = self.left(&host.view().await?);
        if !left.nothing() {
            return Err(StepError::Unreachable(Clean::new("something of it is still there")));
        }
        if host.known(context).request.is_some() {
            context
                .record(Level::Debug, "what came of the request is known", Change::RequestSettled { node: None })
                .await?;
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
        Ok(match self.host.own(&self.host.view().await?).is_empty() {
            true => Check::Done("gone with its instance".to_owned()),
            false => Check::Needed,
        })
    }

    async fn act(&self, _: &StepContext) -> Result<String, StepError> {
        Err(StepError::fatal("its instance is still there"))
    }
}
