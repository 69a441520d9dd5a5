//! `check`, `start`, `stop`, `restart`: what is done to machines that stand.

use super::{
    Context,
    deploy::{nothing_to_do, outcome},
    plan,
};
use crate::{
    cli::{
        ask,
        exit::{CliError, Exit},
    },
    domain::plan::Verb,
    service::check::{Deed, carry_out, expect_new_host_keys, look},
};

/// The roll call again; with `new_host_key` for machines that are known to show other host keys than before.
pub async fn check(context: &Context, what: &[String], new_host_key: bool) -> Result<Exit, CliError> {
    if new_host_key {
        let (lab, seats) = context.lab_and_seats(what).await?;
        if seats.is_empty() {
            return Err(CliError::Usage(format!(
                "--new-host-key is for seats one by one: homeroom check {lab}/SEAT --new-host-key"
            )));
        }
        expect_new_host_keys(&context.home, &lab, &seats).await?;
    }
    deed(context, what, Deed::Check).await
}

/// Shuts machines down, for good or to start them anew. Whoever types it at a terminal sees first what it would do to which
/// machines, and is asked, unless they said yes; a script that names it has said so.
pub async fn turn(context: &Context, what: &[String], deed: Deed, yes: bool) -> Result<Exit, CliError> {
    if !yes && !context.out.json && ask::is_somebody_there() {
        let (lab, seats) = context.lab_and_seats(what).await?;
        let planned = look(&context.home, &lab, &seats, deed).await?;
        if planned.is_empty() {
            return Ok(nothing_to_do(context, &planned));
        }
        plan::show(context.out, &planned);
        let (word, down) = match deed {
            Deed::Restart => ("restart", planned.count(Verb::Restart)),
            _ => (deed.kind().as_str(), planned.count(Verb::Halt)),
        };
        let what = if planned.workshop.is_some() { "container" } else { "machine" };
        let (s, them) = if down == 1 { ("", "it") } else { ("s", "them") };
        let question = format!("{down} {what}{s} of {lab} will be shut down; {word} {them}? [y/N] ");
        if down > 0 && !ask::yes(&question)? {
            eprintln!("not done: nothing was shut down");
            return Ok(Exit::Refused);
        }
    }
    self::deed(context, what, deed).await
}

pub async fn deed(context: &Context, what: &[String], deed: Deed) -> Result<Exit, CliError> {
    let (lab, seats) = context.lab_and_seats(what).await?;
    let asked = carry_out(&context.home, &lab, &seats, deed).await?;
    outcome(context, asked, deed.kind()).await
}
