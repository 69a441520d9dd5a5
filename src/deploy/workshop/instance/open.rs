//! `network`, `health` and `dns`: how people get in from outside.

use std::{net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::host::{Host, LOOK_EVERY};
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{
        Clean,
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
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        let wanted = self.host.rule();
        let found = self.standing().await?;
        let fits = found.is_some_and(|rule| rule.ranges == wanted.ranges && rule.ports == wanted.ports);
        Ok(if fits { Check::Done(format!("lets in {}", wanted.ranges.join(", "))) } else { Check::Needed })
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let (host, rule) = (&self.host, self.host.rule());
        context.go_on()?;
        let request = host.request(context, &[&rule.ranges.join(",")]);
        let asked = match self.standing().await? {
            Some(_) => host.cloud.update_rule(&rule, &request).await,
            None => host.cloud.insert_rule(&rule, &request).await,
        };
        match asked {
            Ok(operation) => host.done(context, &operation).await?,
            // Not one of ours, or it would have been seen; or ours, made by a request that was late.
            Err(CloudError::Taken { what, words }) => match self.standing().await? {
                Some(_) => return Err(StepError::Unreachable(words)),
                None => return Err(StepError::fatal(format!("{what}: {words}, and it is not ours"))),
            },
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
    /// Other names of this workshop's.
    async fn others(&self, name: &str) -> Result<Vec<String>, StepError> {
        let marked = self.host.dns.marked(&self.host.mark()).await?;
        Ok(marked.into_iter().filter(|it| !it.eq_ignore_ascii_case(name)).collect())
    }
}

#[async_trait]
impl Action for Name {
    async fn check(&self, context: &StepContext) -> Result<Check, StepError> {
        let Some(name) = self.host.name(context) else { return Ok(Check::Skip("no name is asked for".to_owned())) };
        let found = self.host.dns.find(&name).await?;
        let Some(found) = found else { return Ok(Check::Needed) };
        let ours = found.mark.as_deref().and_then(read_mark);
        if ours.is_none_or(|(store, lab)| store != self.host.store || &lab != self.host.lab()) {
            return Err(StepError::fatal(format!(
                "{name} is published already, and not by this workshop; it is left alone: remove it, or change gce.dns"
            )));
        }
        let address = self.host.known(context).address;
        let leads = found.addresses.iter().any(|it| Some(IpAddr::V4(*it)) == address);
        let alone = self.others(&name).await?.is_empty();
        Ok(if leads && alone { Check::Done(format!("{name} leads here")) } else { Check::Needed })
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let (host, Some(name)) = (&self.host, self.host.name(context)) else {
            return Ok("no name is asked for".to_owned());
        };
        let Some(IpAddr::V4(address)) = host.known(context).address else {
            return Err(StepError::fatal("it has no IPv4 address to publish"));
        };
        context.go_on()?;
        host.dns.publish(&name, address, &host.mark()).await?;
        // What it was called before.
        for other in self.others(&name).await? {
            context.go_on()?;
            host.dns.withdraw(&other).await?;
        }
        Ok(format!("{name} leads to {address}"))
    }
}
