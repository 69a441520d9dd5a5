//! `exec`: commands run inside the guest, and say what they should.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    questions::{Answers, first_line, read, script},
    report::SelfReport,
    seat::Seat,
    site::Site,
};
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::Level,
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

/// How long a command may take when those that did not end are looked for one by one.
const SEARCHED_WITHIN: Duration = Duration::from_secs(10);

#[async_trait]
impl Action for Exec {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        Ok(Check::Needed)
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let commands = self.commands();
        // One question for all of it: each costs the node its half second.
        let within = self.within * u32::try_from(commands.len()).unwrap_or(1).max(1);
        let output = self.ask(["sh", "-c", &script(&commands)].map(str::to_owned).as_slice(), within).await?;
        let said = read(&output);
        for (answer, command) in said.commands.iter().zip(&commands) {
            let command = command.join(" ");
            if answer.code != 0 {
                return Err(StepError::fatal(format!("`{command}` ended with {}: {}", answer.code, answer.words)));
            }
            context.note(Level::Debug, format!("{command}: {}", answer.words)).await?;
        }
        if output.code.is_none() {
            return Err(self.unended(context, &commands, within).await?);
        }
        self.report(&output, &said)?;
        let first = said.commands.into_iter().next().filter(|_| !self.command.is_empty());
        Ok(first.map(|answer| answer.words).unwrap_or_default())
    }
}

impl Exec {
    /// The definition's commands, in their order.
    fn commands(&self) -> Vec<&[String]> {
        let own = Some(self.command.as_slice()).filter(|command| !command.is_empty());
        own.into_iter().chain(self.checks.iter().map(Vec::as_slice)).collect()
    }

    async fn ask(&self, command: &[String], within: Duration) -> Result<ExecOutput, StepError> {
        let facts = self.seat.facts();
        Ok(self.site.agent.exec(&facts.node, facts.vmid, command, within).await?)
    }

    /// Keeps what the guest said of itself, for all the steps that want to know.
    fn report(&self, output: &ExecOutput, said: &Answers) -> Result<(), StepError> {
        let report = SelfReport::parse(&said.report);
        let missing = report.missing();
        if output.code != Some(0) || !missing.is_empty() {
            let why = match missing.is_empty() {
                true => first_line(&said.report).or_else(|| first_line(&output.stderr)).unwrap_or_default(),
                false => format!("{} is missing", missing.join(", ")),
            };
            return Err(StepError::fatal(format!("asked about itself, the guest gave no whole answer: {why}")));
        }
        self.seat.learn(|facts| facts.report = Some(report));
        Ok(())
    }

    /// Finds out which of the commands it was that did not end: nothing is told until all have.
    async fn unended(
        &self,
        context: &StepContext,
        commands: &[&[String]],
        within: Duration,
    ) -> Result<StepError, StepError> {
        for command in commands {
            context.go_on()?;
            if self.ask(command, SEARCHED_WITHIN).await?.code.is_none() {
                return Ok(StepError::fatal(format!(
                    "`{}` did not end within {} s",
                    command.join(" "),
                    within.as_secs()
                )));
            }
        }
        let all: Vec<_> = commands.iter().map(|command| format!("`{}`", command.join(" "))).collect();
        Ok(StepError::fatal(format!(
            "{} and the guest's report on itself did not end within {} s",
            all.join(", "),
            within.as_secs()
        )))
    }
}
