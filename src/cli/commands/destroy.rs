//! `destroy`: what would go, and then, confirmed, its going.

use super::{
    Context,
    deploy::{nothing_to_do, watch},
    lab_and_seats, plan,
};
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
            nothing_to_do(context, &plan);
            Ok(Exit::Done)
        }
        Outcome::Begun(run) => watch(context, run).await,
    }
}
