//! `verify`: what was configured is what is there, on the cluster and inside the guest, and nothing is
//! shared with another seat that must not be.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    seat::Seat,
    site::{Identity, Site},
};
use crate::{
    deploy::{
        recorder::Entry,
        step::{Action, Check, StepContext, StepError},
    },
    domain::{
        Change, Level,
        verify::{GuestReport, Pending, verify},
    },
};

pub struct Verify {
    pub site: Arc<Site>,
    pub seat: Arc<Seat>,
}

/// Asks the guest for everything at once: each question costs its node half a second of CPU.
const REPORT: &str = "echo host=$(hostname); echo cpus=$(nproc); echo memory=$(awk '/MemTotal/ {print $2}' /proc/meminfo); echo machine=$(cat /etc/machine-id)";

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
        let command = ["sh", "-c", REPORT].map(str::to_owned);
        let output = self.site.agent.exec(&facts.node, facts.vmid, &command, Duration::from_secs(30)).await?;
        let answers = Answers::parse(&output.stdout);
        let guest = GuestReport {
            cpus: answers.number("cpus"),
            memory: answers.number::<u64>("memory").map(|kib| kib * 1024),
            hostname: answers.text("host"),
            ip: facts.ip,
        };
        let wanted = self.seat.wanted(self.site.logins.public_key());
        let wrong = verify(&wanted, &config, &waiting, &guest);
        if !wrong.is_empty() {
            return Err(StepError::fatal(wrong.join("; ")));
        }
        if let Some(id) = answers.text("machine") {
            claim(&self.site, &self.seat, context, Identity::MachineId(id)).await?;
        }
        Ok("configuration, CPUs, memory and name as wanted".to_owned())
    }
}

/// What the guest said, as `name=value` lines.
struct Answers<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Answers<'a> {
    fn parse(text: &'a str) -> Self {
        Self(text.lines().filter_map(|line| line.split_once('=')).collect())
    }

    fn text(&self, name: &str) -> Option<String> {
        let (_, value) = self.0.iter().find(|(known, _)| *known == name)?;
        Some(value.trim()).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }
}

/// Claims an identity for the seat. If another seat has it, both have failed, by name.
pub async fn claim(site: &Site, seat: &Seat, context: &StepContext, identity: Identity) -> Result<(), StepError> {
    let what = identity.what();
    let Some(other) = site.claim(identity, seat.name()) else { return Ok(()) };
    let words = format!("has the same {what} as {}", seat.name());
    context.recorder.write(Entry::seat(&other, Level::Error, words, Change::SeatFailed)).await?;
    Err(StepError::fatal(format!("has the same {what} as {other}")))
}
