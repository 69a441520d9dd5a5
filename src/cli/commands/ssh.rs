//! `ssh`: one command on a seat, or a terminal there.

use std::{io::Write, time::Duration};

use serde_json::json;

use super::Context;
use crate::{
    cli::{
        ask::Asker,
        exit::{CliError, Exit},
    },
    config::Settings,
    service::{ServiceError, exec::line, shell::target},
};

/// How long one command may take: wall time.
const COMMAND_WITHIN: Duration = Duration::from_secs(3600);

/// `ssh LAB/SEAT -- CMD`: what the command prints, and its exit code.
pub async fn run(context: &Context, settings: &Settings, what: &str, command: &[String]) -> Result<Exit, CliError> {
    let (lab, seats) = context.lab_and_seats(&[what.to_owned()]).await?;
    let [seat] = seats.as_slice() else {
        return Err(CliError::Usage(format!("name a seat: homeroom ssh {lab}/SEAT")));
    };
    let (site, target) = target(&context.home, &lab, seat).await?;
    let line = line(command);
    let mut asker = Asker::default();
    let output = loop {
        match site.shell.run(&target, &line, COMMAND_WITHIN).await {
            Ok(output) => break output,
            Err(error) => match error.bar() {
                Some(bar) if !context.out.json && asker.lift(settings, &site, &bar)? => {}
                _ => return Err(ServiceError::from(error).into()),
            },
        }
    };
    if context.out.json {
        context.out.object(json!({"lab": lab, "seat": seat, "code": output.code,
                                  "stdout": output.stdout, "stderr": output.stderr}));
        return Ok(ended(output.code));
    }
    // Whoever reads may have gone; the command's own end is still the answer.
    let _ = std::io::stdout().write_all(output.stdout.as_bytes());
    let _ = std::io::stderr().write_all(output.stderr.as_bytes());
    Ok(ended(output.code))
}

/// The command's own exit code; none when it was ended by a signal.
fn ended(code: Option<i32>) -> Exit {
    code.map_or(Exit::Failed, |code| Exit::Command(u8::try_from(code).unwrap_or(u8::MAX)))
}
