//! `extend` and `expire`: the end of workshops.

use std::time::Duration;

use serde_json::json;

use super::{Context, deploy::outcome};
use crate::{
    cli::{
        exit::{CliError, Exit},
        output::{age, local_time, time},
    },
    domain::event::RunKind,
    service::ends::{Overdue, end, extend as put_off, overdue, plain},
};

/// `extend LAB TIME`.
pub async fn extend(context: &Context, name: &str, by: Duration) -> Result<Exit, CliError> {
    let lab = context.lab(name).await?;
    let extension = put_off(&context.home, &lab, by).await?;
    if context.out.json {
        context.out.object(json!({"lab": lab, "ends_at": time(extension.ends_at), "cut": extension.cut}));
        return Ok(Exit::Done);
    }
    let at = local_time(extension.ends_at);
    context.out.line(match extension.cut {
        false => format!("{lab} ends at {at}"),
        true => {
            format!("{lab} ends at {at}: less than was asked for, since its max_life is {}", plain(extension.max_life))
        }
    });
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
