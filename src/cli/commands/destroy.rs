//! `destroy`: what would go, and then, confirmed, its going.

use super::{Context, deploy::watch, lab_and_seats, plan};
use crate::{
    cli::exit::{CliError, Exit},
    service::{
        deploy::Outcome,
        destroy::{Confirmation, destroy as begin, plan_destroy},
    },
};

pub async fn destroy(context: &Context, what: &[String], yes: bool, confirm: Option<&str>) -> Result<Exit, CliError> {
    let (lab, seats) = lab_and_seats(what)?;
    if !yes {
        let plan = plan_destroy(&context.home, &lab, &seats).await?;
        plan::show(context.out, &plan);
        if plan.is_empty() {
            return Ok(Exit::Done);
        }
        eprintln!("not done: add --yes to remove them");
        return Ok(Exit::Refused);
    }
    let confirmation = Confirmation { named: confirm.map(str::to_owned) };
    match begin(&context.home, &lab, &seats, &confirmation).await? {
        Outcome::NothingToDo(plan) => {
            if context.out.json {
                context.out.object(serde_json::json!({"summary": {"run": null, "state": "done", "ready": 0, "failed": 0, "seconds": 0}}));
            } else {
                plan::show(context.out, &plan);
            }
            Ok(Exit::Done)
        }
        Outcome::Begun(run) => watch(context, run).await,
    }
}
