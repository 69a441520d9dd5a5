//! `check`: the roll call once more.

use super::{Context, deploy::watch, lab_and_seats};
use crate::{
    cli::exit::{CliError, Exit},
    service::{check::check as begin, deploy::Outcome},
};

pub async fn check(context: &Context, what: &[String]) -> Result<Exit, CliError> {
    let (lab, seats) = lab_and_seats(what)?;
    match begin(&context.home, &lab, &seats).await? {
        Outcome::NothingToDo(_) => {
            if context.out.json {
                context.out.object(serde_json::json!({"summary": {"run": null, "state": "done", "ready": 0, "failed": 0, "seconds": 0}}));
            } else {
                context.out.line(format!("{lab} has no machines to check; `homeroom deploy {lab}` makes them"));
            }
            Ok(Exit::NotReady)
        }
        Outcome::Begun(run) => watch(context, run).await,
    }
}
