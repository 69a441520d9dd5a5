//! `verify`: what was configured is what is there, on the cluster and inside the guest, and nothing is
//! shared with another seat that must not be.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;

use super::{
    identities::{Told, tell},
    seat::Seat,
    site::Site,
};
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::verify::{GuestReport, Pending, verify},
};

pub struct Verify {
    pub site: Arc<Site>,
    pub seat: Arc<Seat>,
}

#[async_trait]
impl Action for Verify {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        Ok(Check::Needed)
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let facts = self.seat.facts();
        let items = self.site.cluster.pending(&facts.node, facts.vmid).await?;
        let config: BTreeMap<String, String> =
            items.iter().filter_map(|item| Some((item.key.clone(), item.value.as_ref()?.to_string()))).collect();
        let waiting: Vec<Pending> = items
            .iter()
            .filter(|item| item.pending.is_some() || item.delete)
            .map(|item| Pending { key: item.key.clone(), value: item.pending.as_ref().map(ToString::to_string) })
            .collect();
        let said = facts.report.unwrap_or_default();
        let guest = GuestReport { cpus: said.cpus, memory: said.memory, hostname: said.hostname.clone(), ip: facts.ip };
        let wanted = self.seat.wanted(self.site.logins.public_key());
        let wrong = verify(&wanted, &config, &waiting, &guest);
        if !wrong.is_empty() {
            return Err(StepError::fatal(wrong.join("; ")));
        }
        if let Some(id) = said.machine_id {
            tell(&self.site, &self.seat, context, Told::MachineId(id)).await?;
        }
        Ok("configuration, CPUs, memory and name as wanted".to_owned())
    }
}
