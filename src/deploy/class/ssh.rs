//! `ssh`: a login with the lab's key works, and the machine shows the host key its agent told.

use std::{net::IpAddr, sync::Arc};

use async_trait::async_trait;

use super::{
    identities::{Told, tell},
    seat::Seat,
    site::Site,
};
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{Change, Level},
    port::shell::{ShellError, ShellTarget},
};

pub struct Ssh {
    pub site: Arc<Site>,
    pub seat: Arc<Seat>,
}

#[async_trait]
impl Action for Ssh {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        Ok(Check::Needed)
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let keys = self.host_keys(context).await?;
        let facts = self.seat.facts();
        let Some(ip) = facts.ip else {
            return Err(StepError::fatal("no address is known to log in to"));
        };
        let began = self.site.clock.monotonic();
        loop {
            let error = match self.login(ip, &keys).await {
                Ok(words) => return Ok(words),
                Err(error) => error,
            };
            // A guest's SSH server may take its keys in a moment after its agent answers.
            let worth_waiting = error.is_passing() || matches!(error, ShellError::Denied { .. });
            let waited = self.site.clock.monotonic().saturating_sub(began);
            if !worth_waiting || waited > self.site.tuning.ssh_within {
                let lab = &self.site.lab;
                return Err(StepError::fatal(error.of_lab(lab).to_string()));
            }
            context.sleep(self.site.tuning.agent_poll).await?;
        }
    }
}

impl Ssh {
    async fn login(&self, ip: IpAddr, keys: &[String]) -> Result<String, ShellError> {
        let spec = &self.seat.plan.spec;
        let missing = |why: String| ShellError::Unreachable { host: ip.to_string(), why: why.into() };
        let target = self.site.logins.target(spec, &self.seat.facts().node, ip, keys).map_err(missing)?;
        // The lab's keys alone: a login by another way would prove nothing about it.
        let target = ShellTarget { keys: self.site.logins.private_keys(), ask_agent: false, ..target };
        let output = self.site.shell.run(&target, "hostname", self.site.tuning.login_within).await?;
        if output.code != Some(0) {
            let why = format!("`hostname` ended with {:?}: {}", output.code, output.stderr).into();
            return Err(ShellError::Broken { host: target.host, why });
        }
        self.site.logins.proven(spec, &target);
        Ok(format!("{} logged in at {ip}", target.user))
    }

    /// The guest's host keys, told by its agent before the first connection, so that a machine in
    /// between cannot pass for the guest.
    async fn host_keys(&self, context: &StepContext) -> Result<Vec<String>, StepError> {
        let facts = self.seat.facts();
        let keys = facts.report.map(|said| said.host_keys).unwrap_or_default();
        if keys.is_empty() {
            return Err(StepError::fatal(
                "the guest shows no SSH host key; is an SSH server installed in the template?",
            ));
        }
        tell(&self.site, &self.seat, context, Told::HostKeys(keys.clone())).await?;
        let progress = context.recorder.progress();
        if let Some(row) = progress.seat(self.seat.name())
            && !row.host_keys.is_empty()
            && !keys.iter().any(|key| row.host_keys.contains(key))
            && !self.site.may_have_changed_since(self.seat.name(), row.proven_at)
        {
            let (lab, seat) = (&self.site.lab, self.seat.name());
            return Err(StepError::fatal(format!(
                "its SSH host key is another than at its last roll call, and homeroom did nothing that changes it: it was \
                 made anew from inside, or is not the same machine; if you know why, `homeroom check {lab}/{seat} \
                 --new-host-key` takes the one its agent tells; else `homeroom rebuild {lab}/{seat}`"
            )));
        }
        if keys != facts.host_keys {
            self.seat.learn(|facts| facts.host_keys.clone_from(&keys));
            context
                .record(Level::Debug, "host keys read through the agent", Change::HostKeysSeen { keys: keys.clone() })
                .await?;
        }
        Ok(keys)
    }
}
