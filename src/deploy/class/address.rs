//! `address`: the guest's address, as its agent reports it for net0's MAC.

use std::{net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    boots::Waiting,
    identities::{Told, tell},
    seat::{Facts, Seat},
    site::Site,
};
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{
        Change, Level, address,
        verify::{config_changes, config_unwanted, config_wanted},
    },
    port::agent::Interface,
};

/// For an address on a card that somebody changed while the guest ran; modelled time.
const CHANGED_CARD: Duration = Duration::from_secs(60);

pub struct Address {
    pub site: Arc<Site>,
    pub seat: Arc<Seat>,
    pub within: Duration,
    pub cidr: Vec<String>,
}

#[async_trait]
impl Action for Address {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        Ok(Check::Needed)
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let found = self.find(context).await;
        self.seat.booted();
        found
    }
}

impl Address {
    async fn find(&self, context: &StepContext) -> Result<String, StepError> {
        let facts = self.seat.facts();
        let booting = facts.started_at.is_some();
        let (mac, changed) = self.card(context).await?;
        // What stands on a card that somebody changed is not waited for as what boots is.
        let within = if changed.is_some() && !booting { self.within.min(CHANGED_CARD) } else { self.within };
        let began = self.site.clock.monotonic();
        let mut asked = 0;
        loop {
            if booting {
                self.until_due(context).await?;
            }
            let put = self.site.clock.monotonic();
            let answer = self.site.agent.interfaces(&facts.node, facts.vmid).await;
            let last = match answer {
                Ok(interfaces) => match self.pick(&interfaces, mac.as_deref()) {
                    Ok(ip) => {
                        self.site.boots.answered(self.waiting(&facts), put);
                        self.seat.booted();
                        return self.found(context, ip).await;
                    }
                    Err(why) => why,
                },
                Err(error) if error.is_passing() => error.to_string(),
                Err(error) => return Err(error.into()),
            };
            if !self.site.boots.missed(self.waiting(&facts), put) {
                self.seat.booted();
            }
            if self.site.clock.monotonic().saturating_sub(began) > within {
                let within = within.as_secs();
                return Err(StepError::fatal(match changed {
                    Some(changed) => format!("no address within {within} s; the last answer: {last}; {changed}"),
                    None => format!(
                        "no address within {within} s; the last answer: {last}; is the guest agent installed and the \
                         bridge served by DHCP?"
                    ),
                }));
            }
            context.sleep(self.site.boots.pause(self.waiting(&facts), asked)).await?;
            asked += 1;
        }
    }

    /// The machine as one that is waited for.
    fn waiting<'a>(&'a self, facts: &'a Facts) -> Waiting<'a> {
        let template = self.seat.plan.source.as_ref().map(|source| source.template);
        Waiting { seat: self.seat.name(), node: &facts.node, template, now: self.site.clock.monotonic() }
    }

    /// Waits until an answer is likely.
    async fn until_due(&self, context: &StepContext) -> Result<(), StepError> {
        let facts = self.seat.facts();
        loop {
            let wait = self.site.boots.wait(self.waiting(&facts));
            if wait.is_zero() {
                return Ok(());
            }
            context.sleep(wait).await?;
        }
    }

    /// The MAC of the machine's first card, lower case; and that somebody changed the card, where it is another than
    /// it was.
    async fn card(&self, context: &StepContext) -> Result<(Option<String>, Option<String>), StepError> {
        let facts = self.seat.facts();
        if facts.mac.is_some() {
            return Ok((facts.mac, None));
        }
        let config = self.site.cluster.config(&facts.node, facts.vmid).await?.plain();
        let lent = context.recorder.progress().seat(self.seat.name()).map(|row| row.lent.clone()).unwrap_or_default();
        let wanted = self.seat.wanted(self.site.logins.public_key(), &lent);
        let changes = config_changes(&config_wanted(&wanted, &config), &config_unwanted(&wanted, &config), &config);
        let changed = changes.iter().find(|change| change.field == "net0").map(|change| {
            format!(
                "net0 is {}, and was {}: `homeroom deploy {} --fix-drift` puts back what somebody changed",
                change.from, change.to, self.site.lab
            )
        });
        Ok((config.get("net0").and_then(|card| address::mac_of(card)), changed))
    }

    fn pick(&self, interfaces: &[Interface], mac: Option<&str>) -> Result<IpAddr, String> {
        let cards = interfaces.iter().filter(|card| match mac {
            Some(mac) => card.mac.as_deref() == Some(mac),
            None => card.name.as_str() != "lo",
        });
        let cards: Vec<&Interface> = cards.collect();
        if let (true, Some(mac)) = (cards.is_empty(), mac) {
            let others = interfaces.iter().filter(|card| card.name.as_str() != "lo");
            let others: Vec<&str> = others.filter_map(|card| card.mac.as_deref()).collect();
            return Err(format!(
                "the agent answers, and no card of the guest is net0 ({mac}); it has {}",
                if others.is_empty() { "none".to_owned() } else { others.join(", ") }
            ));
        }
        let seen: Vec<IpAddr> = cards.iter().flat_map(|card| card.addresses.iter().copied()).collect();
        let usable: Vec<IpAddr> = seen.iter().copied().filter(|ip| address::is_usable(*ip)).collect();
        match usable.iter().find(|ip| self.cidr.is_empty() || self.cidr.iter().any(|net| address::is_in(**ip, net))) {
            Some(ip) => Ok(*ip),
            None if usable.is_empty() => Err("the agent answers, but the card has no address yet".to_owned()),
            None => Err(format!(
                "{} lies in none of {}",
                usable.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                self.cidr.join(", ")
            )),
        }
    }

    async fn found(&self, context: &StepContext, ip: IpAddr) -> Result<String, StepError> {
        self.seat.learn(|facts| facts.ip = Some(ip));
        context.record(Level::Debug, ip.to_string(), Change::AddressSeen { ip }).await?;
        if let Some(wanted) = self.seat.plan.spec.address.as_ref().filter(|wanted| wanted.ip != ip) {
            return Err(StepError::fatal(format!(
                "has {ip}, but {} was set aside for it; is cloud-init at work in the template?",
                wanted.ip
            )));
        }
        tell(&self.site, &self.seat, context, Told::Address(ip)).await?;
        Ok(ip.to_string())
    }
}
