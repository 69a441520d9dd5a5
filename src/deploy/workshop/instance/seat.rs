//! `start` and `health` of a seat: its containers run on the instance, and their programs answer there.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::host::{Host, LOOK_EVERY};
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{Clean, SeatName, machine::machine_name, workshop::browser_name},
};

/// Making a seat's containers may take so long; the image is there already, as a rule. Wall time.
const MADE_WITHIN: Duration = Duration::from_secs(180);

/// The names of a seat's containers.
fn containers(host: &Host, seat: &SeatName) -> Vec<String> {
    let browser = host.workshop.browser.as_ref().map(|_| browser_name(host.lab(), seat));
    std::iter::once(machine_name(host.lab(), seat)).chain(browser).collect()
}

/// Those of a seat's containers that do not run, each with Docker's sentence about it.
async fn down(host: &Host, context: &StepContext, seat: &SeatName) -> Result<Vec<(String, Clean)>, StepError> {
    let filter = format!("label=homeroom.lab={}", host.lab());
    let format = "{{.Names}}\t{{.State}}\t{{.Status}}";
    let said = host.run(context, &format!("docker ps --all --filter {filter} --format '{format}'")).await?;
    if said.code != Some(0) {
        return Err(StepError::Unreachable(Clean::new(said.stderr.trim())));
    }
    let mut down = Vec::new();
    for name in containers(host, seat) {
        let line = said.stdout.lines().find(|line| line.split('\t').next() == Some(&name));
        let mut fields = line.into_iter().flat_map(|line| line.split('\t')).skip(1);
        match (fields.next(), fields.next()) {
            (Some("running"), _) => {}
            (Some(_), status) => down.push((name, Clean::new(status.unwrap_or_default()))),
            (None, _) => down.push((name, Clean::new(ABSENT))),
        }
    }
    Ok(down)
}

/// The containers run; those that ended are started again, with what is in them.
pub struct Runs {
    pub host: Arc<Host>,
    pub seat: SeatName,
}

/// What is said of a container that is not there.
const ABSENT: &str = "it is not there";
/// Runs the startup script. For one seat, by its number, it does what it does for all at a start.
pub const SCRIPT: &str = "curl --silent --fail --header 'Metadata-Flavor: Google' \
                      http://metadata.google.internal/computeMetadata/v1/instance/attributes/startup-script | \
                      sudo bash -s --";

impl Runs {
    /// Makes the seat's containers: somebody has joined, or they were removed.
    async fn make(&self, context: &StepContext) -> Result<String, StepError> {
        let (host, number) = (&self.host, self.seat.number().unwrap_or_default());
        let said = host.run_within(context, &format!("{SCRIPT} {number}"), MADE_WITHIN).await?;
        match said.code {
            Some(0) => Ok("made and started".to_owned()),
            _ => {
                let lines: Vec<String> =
                    said.stdout.lines().rev().take(2).map(|line| Clean::new(line).to_string()).collect();
                Err(StepError::fatal(format!("the startup script did not make it: {}", lines.join(" / "))))
            }
        }
    }
}

#[async_trait]
impl Action for Runs {
    async fn check(&self, context: &StepContext) -> Result<Check, StepError> {
        let down = down(&self.host, context, &self.seat).await?;
        Ok(if down.is_empty() { Check::Done("runs".to_owned()) } else { Check::Needed })
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let down = down(&self.host, context, &self.seat).await?;
        if down.iter().any(|(_, status)| status.as_str() == ABSENT) {
            context.go_on()?;
            return self.make(context).await;
        }
        for (name, status) in down {
            context.go_on()?;
            let said = self.host.run(context, &format!("docker start {name}")).await?;
            if said.code != Some(0) {
                let words = Clean::new(said.stderr.trim());
                return Err(StepError::fatal(format!("{name} does not run ({status}) and does not start: {words}")));
            }
        }
        Ok("started".to_owned())
    }
}

/// Every program of the seat answers on the instance's loopback.
pub struct Answers {
    pub host: Arc<Host>,
    pub seat: SeatName,
}

#[async_trait]
impl Action for Answers {
    async fn check(&self, _: &StepContext) -> Result<Check, StepError> {
        Ok(Check::Needed)
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let (host, seat) = (&self.host, &self.seat);
        let mut words = Vec::new();
        for (what, inside, port) in host.workshop.published(seat.number().unwrap_or_default()) {
            let status = ask(host, context, seat, port).await?;
            let Some(status) = status else {
                return Err(StepError::fatal(format!(
                    "its {} did not answer on port {inside} (127.0.0.1:{port} on the instance) within {} s; see what the \
                     image starts, and ports in the definition",
                    what.as_str(),
                    host.patience().as_secs()
                )));
            };
            words.push(format!("{} {status}", what.as_str()));
        }
        Ok(format!("answers: {}", words.join(", ")))
    }
}

/// The command that asks a port of the instance's loopback and prints the status of its answer.
pub(super) fn asking(port: u16, path: &str) -> String {
    format!("curl --silent --output /dev/null --max-time 5 --write-out '%{{http_code}}' http://127.0.0.1:{port}/{path}")
}

/// Asks until there is an answer below 500; none in time. An error as soon as a container of the seat has ended.
async fn ask(host: &Host, context: &StepContext, seat: &SeatName, port: u16) -> Result<Option<u16>, StepError> {
    let began = host.clock.monotonic();
    let command = asking(port, "");
    loop {
        let said = host.run(context, &command).await?;
        match said.stdout.trim().parse::<u16>() {
            Ok(status @ 1..=499) => return Ok(Some(status)),
            _ if host.clock.monotonic().saturating_sub(began) > host.patience() => return Ok(None),
            _ => {}
        }
        if let Some((name, status)) = down(host, context, seat).await?.into_iter().next() {
            let log = host.run(context, &format!("docker logs --tail 3 {name}")).await?;
            let lines: Vec<String> =
                log.stdout.lines().chain(log.stderr.lines()).map(|line| Clean::new(line).to_string()).collect();
            return Err(StepError::fatal(format!("{name} does not run: {status}; it said: {}", lines.join(" / "))));
        }
        context.sleep(LOOK_EVERY).await?;
    }
}
