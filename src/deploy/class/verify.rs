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
    domain::{
        Change, Level,
        lent::{Lent, OPEN, is_card},
        verify::{GuestReport, Pending, Wanted, config_wanted, verify},
    },
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
        let lent = context.recorder.progress().seat(self.seat.name()).map(|row| row.lent.clone()).unwrap_or_default();
        let wanted = self.seat.wanted(self.site.logins.public_key(&config), &lent);
        let wrong = verify(&wanted, &config, &waiting, &guest, &self.seat.left);
        if !wrong.is_empty() {
            return Err(StepError::fatal(wrong.join("; ")));
        }
        let known = completed(&lent, &wanted, &config);
        if known != lent {
            let words = "what the definition leaves open is written down";
            context.record(Level::Debug, words, Change::Lent { lent: known }).await?;
        }
        if let Some(id) = said.machine_id {
            tell(&self.site, &self.seat, context, Told::MachineId(id)).await?;
        }
        Ok("configuration, CPUs, memory and name as wanted".to_owned())
    }
}

/// What is known of a machine's beginnings, and of what nobody wrote down then, what it has now: cards that were added
/// to it, and what the definition leaves open on a machine that was not made by this store.
fn completed(lent: &Lent, wanted: &Wanted<'_>, config: &BTreeMap<String, String>) -> Lent {
    let mut known = lent.clone();
    let asked = config_wanted(&Wanted { lent: None, ..*wanted }, config);
    for key in OPEN.iter().filter(|key| !known.knows(key) && !asked.contains_key(**key)).collect::<Vec<_>>() {
        known.put(key, config.get(*key).cloned());
    }
    if wanted.spec.machine.nic.is_empty() && !known.knows_cards() {
        known.put_cards(config);
    }
    for (key, value) in config.iter().filter(|(key, _)| is_card(key)) {
        if known.card(key).is_none() {
            known.add_card(key, value);
        }
    }
    known
}
