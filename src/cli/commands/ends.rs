//! `extend` and `expire`: the end of workshops.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::{Context, deploy::outcome};
use crate::{
    cli::{
        exit::{CliError, Exit},
        output::{Output, age, local_time, time},
    },
    domain::{
        LabName, RunId,
        event::{RunKind, RunState},
    },
    service::ends::{Overdue, end, extend as put_off, overdue},
};

/// `extend LAB TIME`.
pub async fn extend(context: &Context, name: &str, by: Duration) -> Result<Exit, CliError> {
    let lab = context.lab(name).await?;
    let extension = put_off(&context.home, &lab, by).await?;
    if context.out.json {
        context.out.object(json!({"lab": lab, "ends_at": time(extension.ends_at), "cut": extension.cut}));
        return Ok(Exit::Done);
    }
    context.out.line(extension.words());
    Ok(Exit::Done)
}

/// `expire [--yes]`: one pass over every site.
pub async fn expire(context: &Context, yes: bool) -> Result<Exit, CliError> {
    let mut due = overdue(&context.home).await?;
    due.retain(|overdue| context.wants(&overdue.site));
    if !yes {
        list(context, &due);
        return Ok(if due.is_empty() { Exit::Done } else { Exit::Refused });
    }
    if due.is_empty() {
        if context.out.json {
            list(context, &due);
        }
        context.out.nothing("no workshop is past its end");
    }
    let mut worst = Exit::Done;
    for Overdue { lab, .. } in due {
        // One that cannot be ended now keeps no other.
        let exit = match end(&context.home, &lab).await {
            Ok(Some(begun)) => outcome(context, begun, RunKind::Destroy).await?,
            Ok(None) => Exit::Done,
            Err(error) => {
                eprintln!("homeroom: {lab} was not ended: {error}");
                CliError::from(error).exit()
            }
        };
        match exit {
            Exit::Done => {}
            Exit::Interrupted => return Ok(Exit::Interrupted),
            other => worst = other,
        }
    }
    Ok(worst)
}

/// A line for a run that `serve` has begun by itself, and one for its end.
pub fn by_itself(out: Output, lab: &LabName, (run, kind): (RunId, RunKind), ended: Option<RunState>) {
    if out.json {
        let state = ended.unwrap_or(RunState::Running);
        out.object(json!({"lab": lab, "run": run, "kind": kind, "state": state}));
        return;
    }
    let words = match (ended, kind) {
        (None, RunKind::Destroy) => format!("its end has come: destroy {run} begins"),
        (None, _) => format!("its certificate was renewed: {} {run} begins", kind.noun()),
        (Some(RunState::Done), _) => format!("{} {run}: done", kind.noun()),
        (Some(state), _) => {
            format!("{} {run}: {}; `homeroom runs show {run}` says why", kind.noun(), state.as_str())
        }
    };
    out.line(format!("{}  {lab}  {words}", local_time(Timestamp::now())));
}

fn list(context: &Context, due: &[Overdue]) {
    if context.out.json {
        let rows: Vec<_> =
            due.iter().map(|row| json!({"lab": row.lab, "site": row.site, "ends_at": time(row.ends_at)})).collect();
        context.out.object(json!({ "overdue": rows }));
        return;
    }
    if due.is_empty() {
        context.out.nothing("no workshop is past its end");
        return;
    }
    let now = context.home.clock.now();
    let rows: Vec<_> = due
        .iter()
        .map(|row| [row.lab.to_string(), row.site.to_string(), format!("{} ago", age(row.ends_at, now))])
        .collect();
    context.out.table(["LAB", "SITE", "ENDED"], &rows);
    eprintln!("not done: `homeroom expire --yes` destroys them");
}
