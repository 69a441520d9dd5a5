//! `network`, `health` and `dns`: how people get in from outside.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;

use super::{
    host::{Host, LOOK_EVERY},
    known::Wait,
};
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{
        Change, Clean, Level,
        cloud::{RuleView, read_mark},
    },
    port::CloudError,
};

/// Wall time one answer may take.
const ONE_ANSWER: Duration = Duration::from_secs(5);

/// The firewall lets in whom the definition says.
pub struct Firewall {
    pub host: Arc<Host>,
}

impl Firewall {
    /// The request id under which the rule is asked for: one that was written down before, or another one, written down.
    async fn requested(&self, context: &StepContext) -> Result<String, StepError> {
        if let Some(pending) = self.host.known(context).rule {
            return Ok(pending);
        }
        let request = self.host.request(context, &["rule"]);
        let change = Change::RuleRequested { request: Clean::new(&request) };
        context.record(Level::Debug, "asking for the firewall rule", change).await?;
        Ok(request)
    }

    async fn settle(&self, context: &StepContext) -> Result<(), StepError> {
        match self.host.known(context).rule {
            Some(_) => context.record(Level::Debug, "what came of its rule is known", Change::RuleSettled).await,
            None => Ok(()),
        }
    }

    async fn standing(&self) -> Result<Option<RuleView>, StepError> {
        let (view, name) = (self.host.view().await?, self.host.machine());
        let found = view.rules.into_iter().find(|rule| rule.name == name);
        match found {
            Some(rule) if rule.description != self.host.mark() => Err(StepError::fatal(format!(
                "the project has a firewall rule called {name} of another store's; it is left alone: remove it, then \
                 deploy again"
            ))),
            found => Ok(found),
        }
    }
}

#[async_trait]
impl Action for Firewall {
    async fn check(&self, context: &StepContext) -> Result<Check, StepError> {
        let wanted = self.host.rule();
        let found = self.standing().await?;
        if found.is_some() {
            self.settle(context).await?;
        }
        let ports = |ports: &[u16]| ports.iter().copied().collect::<BTreeSet<u16>>();
        let fits = found.is_some_and(|rule| rule.admits(&wanted.ranges) && ports(&rule.ports) == ports(&wanted.ports));
        Ok(if fits { Check::Done(format!("lets in {}", wanted.ranges.join(", "))) } else { Check::Needed })
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let (host, rule) = (&self.host, self.host.rule());
        context.go_on()?;
        let is_first = host.known(context).rule.is_none();
        let asked = match self.standing().await? {
            Some(_) => {
                let request = host.request(context, &[&rule.ranges.join(",")]);
                host.cloud.update_rule(&rule, &request).await
            }
            // On the disk before it is sent: whoever goes on after a death finds out what came of it.
            None => host.cloud.insert_rule(&rule, &self.requested(context).await?).await,
        };
        let ended = match asked {
            Ok(operation) => host.done(context, &operation).await,
            Err(error) => Err(Wait::refused(error, is_first)),
        };
        match ended {
            Ok(()) => self.settle(context).await?,
            // Not one of ours, or it would have been seen; or ours, made by a request that was late.
            Err(Wait::Cloud(CloudError::Taken { what, words }) | Wait::Ended(CloudError::Taken { what, words })) => {
                match self.standing().await? {
                    Some(_) => return Err(StepError::Unreachable(words)),
                    None => {
                        self.settle(context).await?;
                        return Err(StepError::fatal(format!("{what}: {words}, and it is not ours")));
                    }
                }
            }
            // It is over, or was never taken on; the next attempt asks anew.
            Err(Wait::Ended(error)) => {
                self.settle(context).await?;
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        }
        Ok(format!("the firewall lets in {}", rule.ranges.join(", ")))
    }
}

/// The proxy answers from here.
pub struct Answers {
    pub host: Arc<Host>,
}

#[async_trait]
impl Action for Answers {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        Ok(Check::Needed)
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let (host, port) = (&self.host, self.host.workshop.proxy.port);
        let Some(address) = host.known(context).address else {
            return Err(StepError::fatal("its address is not known"));
        };
        let (began, within) = (host.clock.monotonic(), host.patience());
        let mut looked = began;
        // What speaks TLS is asked on the instance itself, by plain HTTP; from here any answer proves the way open.
        let tls = host.workshop.health_port();
        loop {
            let why = match (host.cloud.ask(address, port, "/health", ONE_ANSWER).await, tls) {
                (Ok(_), Some(inner)) => {
                    let said = host.run(context, &super::seat::asking(inner, "health")).await?;
                    match said.stdout.trim() {
                        "200" => return Ok(format!("the proxy answers at {address}:{port}, by TLS")),
                        status => Clean::new(format!("asked for /health on the instance it answers with {status}")),
                    }
                }
                (Ok(200), None) => return Ok(format!("the proxy answers at {address}:{port}")),
                (Ok(status), None) => Clean::new(format!("it answers with status {status}")),
                (Err(why), _) => why,
            };
            host.worth_waiting(context, &mut looked).await?;
            if host.clock.monotonic().saturating_sub(began) > within {
                return Err(StepError::fatal(format!(
                    "http://{address}:{port}/health does not answer within {} s: {why}; does the firewall rule let this \
                     host in, see gce.source_ranges?",
                    within.as_secs()
                )));
            }
            context.sleep(LOOK_EVERY).await?;
        }
    }
}

/// The workshop's name leads to its address.
pub struct Name {
    pub host: Arc<Host>,
}

impl Name {
    /// Names of this workshop's other than the one it should have.
    async fn others(&self, name: Option<&str>) -> Result<Vec<String>, StepError> {
        let marked = self.host.dns.marked(&self.host.mark()).await?;
        Ok(marked.into_iter().filter(|it| name.is_none_or(|name| !it.eq_ignore_ascii_case(name))).collect())
    }

    /// Whether the name leads here. One that is somebody else's is an error.
    async fn leads(&self, context: &StepContext, name: &str) -> Result<bool, StepError> {
        let Some(found) = self.host.dns.find(name).await? else { return Ok(false) };
        let ours = found.mark.as_deref().and_then(read_mark);
        if ours.is_none_or(|(store, lab)| store != self.host.store || &lab != self.host.lab()) {
            return Err(StepError::fatal(format!(
                "{name} is published already, and not by this workshop; it is left alone: remove it, or change gce.dns"
            )));
        }
        let address = self.host.known(context).address;
        Ok(found.addresses.iter().any(|it| Some(IpAddr::V4(*it)) == address))
    }
}

#[async_trait]
impl Action for Name {
    async fn check(&self, context: &StepContext) -> Result<Check, StepError> {
        let name = self.host.name(context);
        let leads = match &name {
            Some(name) => self.leads(context, name).await?,
            None => true,
        };
        let alone = self.others(name.as_deref()).await?.is_empty();
        Ok(match name {
            _ if !(leads && alone) => Check::Needed,
            Some(name) => Check::Done(format!("{name} leads here")),
            None => Check::Skip("no name is asked for".to_owned()),
        })
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let (host, name) = (&self.host, self.host.name(context));
        let mut told = Vec::new();
        if let Some(name) = &name {
            let Some(IpAddr::V4(address)) = host.known(context).address else {
                return Err(StepError::fatal("it has no IPv4 address to publish"));
            };
            context.go_on()?;
            host.dns.publish(name, address, &host.mark()).await?;
            told.push(format!("{name} leads to {address}"));
        }
        // What it was called before.
        for other in self.others(name.as_deref()).await? {
            context.go_on()?;
            host.dns.withdraw(&other).await?;
            told.push(format!("{other} is taken out of DNS"));
        }
        Ok(told.join("; "))
    }
}

/// The names the workshop has lead to its address, wherever it is by now. What it should be called is a deploy's to see
/// to.
pub struct Follows {
    pub host: Arc<Host>,
}

impl Follows {
    /// Those of this workshop's names that lead elsewhere, and where they should lead.
    async fn astray(&self, context: &StepContext, names: &[String]) -> Result<(Vec<String>, Ipv4Addr), StepError> {
        let host = &self.host;
        let Some(IpAddr::V4(address)) = host.known(context).address else {
            return Err(StepError::fatal("it has no IPv4 address its name could lead to"));
        };
        let mut astray = Vec::new();
        for name in names {
            let found = host.dns.find(name).await?;
            if found.is_none_or(|found| found.addresses != [address]) {
                astray.push(name.clone());
            }
        }
        Ok((astray, address))
    }

    /// Those with our mark; and the one it should have, where that leads to it and only its mark is gone.
    async fn names(&self, context: &StepContext) -> Result<(Vec<String>, bool), StepError> {
        let (host, mut names) = (&self.host, self.host.dns.marked(&self.host.mark()).await?);
        let Some(name) = host.name(context).filter(|name| !names.iter().any(|it| it.eq_ignore_ascii_case(name))) else {
            return Ok((names, false));
        };
        let Some(IpAddr::V4(address)) = host.known(context).address else { return Ok((names, false)) };
        let found = host.dns.find(&name).await?;
        let bare = found.is_some_and(|found| found.mark.is_none() && found.addresses == [address]);
        names.extend(bare.then_some(name));
        Ok((names, bare))
    }
}

#[async_trait]
impl Action for Follows {
    async fn check(&self, context: &StepContext) -> Result<Check, StepError> {
        let (names, bare) = self.names(context).await?;
        if names.is_empty() {
            return Ok(Check::Skip("no name of its own is published".to_owned()));
        }
        let (astray, _) = self.astray(context, &names).await?;
        Ok(if astray.is_empty() && !bare {
            Check::Done(format!("{} leads here", names.join(" and ")))
        } else {
            Check::Needed
        })
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let (names, bare) = self.names(context).await?;
        let (mut astray, address) = self.astray(context, &names).await?;
        if bare {
            astray.extend(names.last().cloned());
        }
        for name in &astray {
            context.go_on()?;
            self.host.dns.publish(name, address, &self.host.mark()).await?;
        }
        Ok(format!("{} leads to {address}", astray.join(" and ")))
    }
}
