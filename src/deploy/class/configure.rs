//! `configure`: writes what the definition asks, in one request, and only what differs.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::ExposeSecret;

use super::{seat::Seat, site::Site};
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{
        Change, Level, address,
        lent::Lent,
        mark::{Ownership, ownership},
        verify::{config_unwanted, config_wanted, keep_only_changes},
    },
    port::cluster::{ConfigChange, GuestConfig},
};

pub struct Configure {
    pub site: Arc<Site>,
    pub seat: Arc<Seat>,
}

#[async_trait]
impl Action for Configure {
    async fn check(&self, context: &StepContext) -> Result<Check, StepError> {
        // Proxmox is still putting a fresh clone's configuration away: give it the time it is known to take.
        if let Some(cloned_at) = self.seat.facts().cloned_at {
            let due = cloned_at + self.site.tuning.settle_after_clone;
            context.sleep(due.saturating_sub(self.site.clock.monotonic())).await?;
        }
        Ok(Check::Needed)
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let facts = self.seat.facts();
        let config = self.site.cluster.config(&facts.node, facts.vmid).await?;
        let owner = ownership(&self.site.store, facts.vmid, false, &config.description);
        if !matches!(&owner, Ownership::Ours(mark) if self.seat.is_marked_by(mark, &self.site.lab)) {
            return Err(StepError::fatal(format!(
                "VM {} on {} does not carry this seat's mark: it is not ours and is left alone",
                facts.vmid, facts.node
            )));
        }
        let lent = self.lent(context, &config).await?;
        let change = self.change(&config, &lent);
        // A card that is written without a MAC gets a new one, which nobody has seen yet.
        let card = change.set.get("net0").map(String::as_str).or_else(|| config.get("net0"));
        self.seat.learn(|facts| facts.mac = card.and_then(address::mac_of));
        if change.set.is_empty() && change.unset.is_empty() {
            return Ok("as wanted already".to_owned());
        }
        context.go_on()?;
        self.site.cluster.configure(&facts.node, facts.vmid, &change).await?;
        Ok(change.set.keys().chain(&change.unset).cloned().collect::<Vec<_>>().join(", "))
    }
}

impl Configure {
    /// What the machine had of its template. Written down before anything is written over it.
    async fn lent(&self, context: &StepContext, config: &GuestConfig) -> Result<Lent, StepError> {
        let known = context.recorder.progress().seat(self.seat.name()).map(|row| row.lent.clone()).unwrap_or_default();
        if !known.is_empty() || !self.seat.facts().unwritten {
            return Ok(known);
        }
        let lent = Lent::of(&config.plain());
        let words = "what its template lends it is written down";
        context.record(Level::Debug, words, Change::Lent { lent: lent.clone() }).await?;
        Ok(lent)
    }

    /// What differs from the definition; plus, on a new machine and where the plan says so, the password, which cannot
    /// be read back to compare. Whichever run writes a machine's settings first writes it, not only the one that
    /// cloned it.
    fn change(&self, config: &GuestConfig, lent: &Lent) -> ConfigChange {
        let current = config.plain();
        let wanted = self.seat.wanted(self.site.logins.public_key(&current), lent);
        let mut set = keep_only_changes(config_wanted(&wanted, &current), &current);
        let mut unset = config_unwanted(&wanted, &current);
        set.retain(|key, _| !self.seat.left.contains(key));
        unset.retain(|key| !self.seat.left.contains(key));
        let spec = &self.seat.plan.spec;
        if let Some(password) = self.site.logins.password(spec)
            && (self.seat.facts().unwritten || self.seat.plan.changes.iter().any(|change| change.field == "cipassword"))
        {
            set.insert("cipassword".to_owned(), password.expose_secret().to_owned());
        }
        ConfigChange { set, unset, digest: config.digest.clone() }
    }
}
