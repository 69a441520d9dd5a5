//! `destroy`: what would go, and then, confirmed, its going.

use super::{
    Context,
    deploy::{nothing_to_do, outcome},
    plan,
};
use crate::{
    cli::exit::{CliError, Exit},
    domain::event::RunKind,
    service::destroy::{Confirmation, destroy as begin, plan_destroy},
};

pub async fn destroy(context: &Context, what: &[String], yes: bool, confirm: Option<&str>) -> Result<Exit, CliError> {
    let (lab, seats) = context.lab_and_seats(what).await?;
    if !yes {
        let plan = plan_destroy(&context.home, &lab, &seats).await?;
        if plan.is_empty() {
            return Ok(nothing_to_do(context, &plan));
        }
        plan::show(context.out, &plan);
        eprintln!("not done: `homeroom destroy {} --yes` does it", what.join(" "));
        return Ok(Exit::Refused);
    }
    let confirmation = Confirmation { named: confirm.map(str::to_owned) };
    let asked = begin(&context.home, &lab, &seats, &confirmation).await?;
    outcome(context, asked, RunKind::Destroy).await
}
