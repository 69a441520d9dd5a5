//! `rebuild` and `rollback`: a seat's machine made anew, a deploy taken back.

use super::{Context, deploy::outcome, plan};
use crate::{
    cli::exit::{CliError, Exit},
    domain::{RunId, event::RunKind},
    service::{destroy::Confirmation, plan::Back, rebuild as service},
};

/// `rebuild LAB/SEAT`.
pub async fn rebuild(
    context: &Context,
    what: &[String],
    yes: bool,
    abandon: bool,
    confirm: Option<&str>,
) -> Result<Exit, CliError> {
    let (lab, seats) = context.lab_and_seats(what).await?;
    if seats.is_empty() || what.iter().any(|text| !text.contains('/')) {
        return Err(CliError::Usage(format!(
            "name the seats: homeroom rebuild {lab}/SEAT; a whole lab is destroyed and deployed"
        )));
    }
    if !yes {
        let planned = service::look(&context.home, &lab, &seats, abandon).await?;
        plan::show(context.out, &planned);
        eprintln!("not done: `homeroom rebuild {} --yes` does it; what is on the machines is lost", what.join(" "));
        return Ok(Exit::Refused);
    }
    let confirmation = Confirmation { named: confirm.map(str::to_owned) };
    let asked = service::rebuild(&context.home, &lab, &seats, abandon, &confirmation).await?;
    outcome(context, asked, RunKind::Rebuild).await
}

/// `rollback RUN`.
pub async fn rollback(
    context: &Context,
    run: i64,
    yes: bool,
    ready_too: bool,
    confirm: Option<&str>,
) -> Result<Exit, CliError> {
    let run = RunId(run);
    if !yes {
        let back = match service::look_back(&context.home, run).await? {
            Back::This(back) => back,
            Back::Nothing(why) => return Ok(nothing(context, &why)),
        };
        plan::show(context.out, &back.plan);
        let flag = if back.in_use.is_empty() { "" } else { " --allow-remove" };
        eprintln!("not done: `homeroom rollback {run} --yes{flag}` does it");
        return Ok(Exit::Refused);
    }
    let confirmation = Confirmation { named: confirm.map(str::to_owned) };
    match service::rollback(&context.home, run, ready_too, &confirmation).await? {
        Back::This(asked) => outcome(context, asked, RunKind::Rollback).await,
        Back::Nothing(why) => Ok(nothing(context, &why)),
    }
}

fn nothing(context: &Context, why: &str) -> Exit {
    if context.out.json {
        let summary = serde_json::json!({"run": null, "state": "done", "ready": 0, "failed": 0, "seconds": 0});
        context.out.object(serde_json::json!({ "summary": summary, "message": why }));
    } else {
        context.out.line(why);
    }
    Exit::Done
}
