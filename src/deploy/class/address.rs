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

/// Why a guest's answer holds no address for the seat.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("the agent answers, and no card of the guest is net0 ({mac}); it has {others}")]
    NoSuchCard { mac: String, others: String },
    #[error("the agent answers, but the card has no address yet")]
    NoAddress,
    #[error("{0} lies in none of {1}")]
    Elsewhere(String, String),
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
        let mut strange_since = None;
        loop {
            if booting {
                self.until_due(context).await?;
            }
            let put = self.site.clock.monotonic();
            let answer = self.site.agent.interfaces(&facts.node, facts.vmid).await;
            let (last, goes_on) = match answer {
                Ok(interfaces) => match self.pick(&interfaces, mac.as_deref()) {
                    Ok(ip) => {
                        self.site.boots.answered(self.waiting(&facts), put);
                        self.seat.booted();
                        return self.found(context, ip).await;
                    }
                    Err(why) => {
                        let is_strange = matches!(why, Unfit::NoSuchCard { .. });
                        strange_since = strange_since.filter(|_| is_strange).or(is_strange.then_some(put));
                        (why.to_string(), self.site.boots.heard(self.waiting(&facts), put))
                    }
                },
                Err(error) if error.is_passing() => {
                    (error.to_string(), self.site.boots.missed(self.waiting(&facts), put))
                }
                Err(error) => return Err(error.into()),
            };
            if !goes_on {
                self.seat.booted();
            }
            let now = self.site.clock.monotonic();
            let is_strange = strange_since.is_some_and(|since| now.saturating_sub(since) > CHANGED_CARD);
            if now.saturating_sub(began) > within || is_strange {
                let within = now.saturating_sub(began).min(within).as_secs();
                return Err(StepError::fatal(match changed {
                    Some(changed) => format!("no address within {within} s; the last answer: {last}; {changed}"),
                    None if is_strange => format!(
                        "no address within {within} s; the last answer: {last}; its settings changed while it ran, and \
                         a restart makes them hold"
                    ),
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
        let wanted = self.seat.wanted(self.site.logins.public_key(&config), &lent);
        let changes = config_changes(&config_wanted(&wanted, &config), &config_unwanted(&wanted, &config), &config);
        let changed = changes.iter().find(|change| change.field == "net0").map(|change| {
            format!(
                "net0 is {}, and was {}: `homeroom deploy {} --fix-drift` puts back what somebody changed",
                change.from, change.to, self.site.lab
            )
        });
        Ok((config.get("net0").and_then(|card| address::mac_of(card)), changed))
    }

    fn pick(&self, interfaces: &[Interface], mac: Option<&str>) -> Result<IpAddr, Unfit> {
        let cards = interfaces.iter().filter(|card| match mac {
            Some(mac) => card.mac.as_deref() == Some(mac),
            None => card.name.as_str() != "lo",
        });
        let cards: Vec<&Interface> = cards.collect();
        if let (true, Some(mac)) = (cards.is_empty(), mac) {
            let others = interfaces.iter().filter(|card| card.name.as_str() != "lo");
            let others: Vec<&str> = others.filter_map(|card| card.mac.as_deref()).collect();
            let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
            return Err(Unfit::NoSuchCard { mac: mac.to_owned(), others });
        }
        let seen: Vec<IpAddr> = cards.iter().flat_map(|card| card.addresses.iter().copied()).collect();
        let usable: Vec<IpAddr> = seen.iter().copied().filter(|ip| address::is_usable(*ip)).collect();
        match usable.iter().find(|ip| self.cidr.is_empty() || self.cidr.iter().any(|net| address::is_in(**ip, net))) {
            Some(ip) => Ok(*ip),
            None if usable.is_empty() => Err(Unfit::NoAddress),
            None => Err(Unfit::Elsewhere(
                usable.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                self.cidr.join(", "),
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
