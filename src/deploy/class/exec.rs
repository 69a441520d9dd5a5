//! `exec`: commands run inside the guest, and say what they should.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    report::{REPORT, SelfReport},
    seat::Seat,
    site::Site,
};
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{Clean, Level},
    port::agent::ExecOutput,
};

pub struct Exec {
    pub site: Arc<Site>,
    pub seat: Arc<Seat>,
    /// Its output is the proof's words.
    pub command: Vec<String>,
    /// Must all end with code 0.
    pub checks: Vec<Vec<String>>,
    /// How long one command may take.
    pub within: Duration,
}

#[async_trait]
impl Action for Exec {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        Ok(Check::Needed)
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let words = if self.command.is_empty() { String::new() } else { self.run(&self.command).await? };
        for check in &self.checks {
            context.go_on()?;
            let said = self.run(check).await?;
            context.note(Level::Debug, format!("{}: {said}", check.join(" "))).await?;
        }
        context.go_on()?;
        self.report().await?;
        Ok(words)
    }
}

impl Exec {
    /// Asks the guest about itself, once for all the steps that want to know.
    async fn report(&self) -> Result<(), StepError> {
        let facts = self.seat.facts();
        let command = ["sh", "-c", REPORT].map(str::to_owned);
        let output = self.site.agent.exec(&facts.node, facts.vmid, &command, self.within).await?;
        let report = SelfReport::parse(&output.stdout);
        let missing = report.missing();
        if output.code != Some(0) || !missing.is_empty() {
            let why =
                if missing.is_empty() { first_line(&output) } else { format!("{} is missing", missing.join(", ")) };
            return Err(StepError::fatal(format!("asked about itself, the guest gave no whole answer: {why}")));
        }
        self.seat.learn(|facts| facts.report = Some(report));
        Ok(())
    }

    /// Runs one command; its first line of output, or why it is no proof.
    async fn run(&self, command: &[String]) -> Result<String, StepError> {
        let facts = self.seat.facts();
        let output = self.site.agent.exec(&facts.node, facts.vmid, command, self.within).await?;
        match output.code {
            Some(0) => Ok(first_line(&output)),
            Some(code) => {
                Err(StepError::fatal(format!("`{}` ended with {code}: {}", command.join(" "), first_line(&output))))
            }
            None => {
                Err(StepError::fatal(format!("`{}` did not end within {} s", command.join(" "), self.within.as_secs())))
            }
        }
    }
}

fn first_line(output: &ExecOutput) -> String {
    let text = if output.stdout.trim().is_empty() { &output.stderr } else { &output.stdout };
    Clean::new(text.trim().lines().next().unwrap_or_default()).to_string()
}
