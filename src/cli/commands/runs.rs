//! `runs` and `cancel`: what was done, by whom, and how long it took.

use std::time::Duration;

use serde_json::json;

use super::{Context, gantt, plan, status::step_json};
use crate::{
    cli::{
        exit::{CliError, Exit},
        output::{local_time, time},
    },
    domain::{
        Progress, RunId,
        event::RunState,
        progress::fold,
        readiness::{Hand, current_state},
        timing::Timing,
    },
    service::{
        EventFilter, RunRow,
        runs::{Cancelled, cancel as give_up, standing},
    },
};

/// Runs listed at most.
const LISTED: u32 = 200;

pub async fn list(context: &Context) -> Result<Exit, CliError> {
    let mut runs = context.home.store.runs(None, LISTED).await?;
    if let Some(wanted) = context.labs_wanted().await? {
        runs.retain(|run| wanted.contains(&run.lab));
    }
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for run in &runs {
        let state = state_of(context, run).await?;
        values.push(run_json(context, run, state));
        rows.push([
            run.id.to_string(),
            run.lab.to_string(),
            run.kind.as_str().to_owned(),
            state.to_owned(),
            local_time(run.started_at),
            took(context, run).map(|t| format!("{:.0} s", t.as_secs_f64())).unwrap_or_default(),
            run.owner.clone(),
        ]);
    }
    if context.out.json {
        context.out.object(json!({ "runs": values }));
    } else if rows.is_empty() {
        context.out.nothing("nothing was run yet");
    } else {
        context.out.table(["RUN", "LAB", "WHAT", "STATE", "STARTED", "TOOK", "BY"], &rows);
        context.say_whose_seconds();
    }
    Ok(Exit::Done)
}

/// `running` is said only of a run whose process is alive.
async fn state_of(context: &Context, run: &RunRow) -> Result<&'static str, CliError> {
    Ok(standing(&context.home, run).await?.as_str())
}

/// In the seconds in which steps are measured: a sped-up cluster's, where there is one.
fn took(context: &Context, run: &RunRow) -> Option<Duration> {
    run.took(context.speed)
}

fn run_json(context: &Context, run: &RunRow, state: &str) -> serde_json::Value {
    json!({
        "run": run.id, "lab": run.lab, "kind": run.kind.as_str(), "state": state, "owner": run.owner,
        "started_at": time(run.started_at), "ended_at": run.ended_at.map(time),
        "seconds": took(context, run).map(|t| t.as_secs_f64()), "away": run.away.as_secs_f64(),
    })
}

/// `runs show N`: where its time went, machine by machine, and what held it up; in JSON also the plan as it was.
pub async fn show(context: &Context, run: i64) -> Result<Exit, CliError> {
    let run = RunId(run);
    let (row, planned) = context.home.store.run(run).await?;
    let mut progress = Progress::new(row.lab.clone());
    let filter = EventFilter { run: Some(run), ..EventFilter::default() };
    let events: Vec<_> = context.home.store.events(&filter).await?.into_iter().map(|stored| stored.event).collect();
    events.iter().for_each(|event| fold(&mut progress, event));
    let timing = Timing::of(&events, Some(&planned));
    let held_up_by = timing.as_ref().and_then(|timing| timing.held_up_by(context.speed));
    let state = state_of(context, &row).await?;
    let hand = Hand::of(&progress, state == RunState::Running.as_str());
    let now = context.home.clock.now();
    // As the run left them: how old that is by now says nothing of the run.
    let stands: Vec<_> =
        progress.seats.iter().map(|seat| (seat, current_state(seat, None, hand, now, Duration::MAX))).collect();
    if context.out.json {
        let mut value = run_json(context, &row, state);
        value["held_up_by"] = json!(held_up_by);
        value["plan"] = plan::to_json(&planned);
        value["machines"] = stands
            .iter()
            .map(|(seat, stand)| {
                json!({"seat": seat.seat, "role": seat.role, "state": stand.state, "word": stand.word(),
                       "reason": stand.reason, "steps": seat.steps.iter().map(step_json).collect::<Vec<_>>()})
            })
            .collect();
        value["timing"] = timing.map_or(serde_json::Value::Null, |timing| gantt::to_json(&timing, context.speed));
        context.out.object(value);
        return Ok(Exit::Done);
    }
    let lasted = took(context, &row).map(|took| format!("  in {:.0} s", took.as_secs_f64())).unwrap_or_default();
    let away = match row.away.as_secs() {
        0 => String::new(),
        seconds => format!(", and {seconds} s of the wall's in which nobody carried it out"),
    };
    context.out.line(format!(
        "run {run}  {} of {}  {state}{lasted}{away}  by {}",
        row.kind.as_str(),
        row.lab,
        row.owner
    ));
    if let Some(timing) = timing.filter(|timing| !timing.seats.is_empty()) {
        draw(context, &row, &timing, state);
    }
    let told = stands.iter().filter_map(|(seat, stand)| Some((seat, stand, stand.reason.as_ref()?)));
    for (seat, stand, reason) in told {
        context.out.line(format!("{} {}: {reason}", seat.seat, stand.word()));
    }
    if let Some(held_up_by) = held_up_by {
        context.out.line(format!("held up by: {held_up_by}"));
    }
    context.say_whose_seconds();
    Ok(Exit::Done)
}

/// The bars of a run and its seconds.
fn draw(context: &Context, row: &RunRow, timing: &Timing, state: &str) {
    let so_far = context.home.clock.now().duration_since(row.started_at).unsigned_abs();
    let whole = timing.shown(state != RunState::Running.as_str()).unwrap_or(so_far);
    let style = gantt::Style {
        width: context.out.width(),
        unicode: context.unicode,
        steps: context.verbose,
        speed: context.speed,
    };
    for line in gantt::bars(timing, whole, style).into_iter().chain(gantt::table(timing, context.speed)) {
        context.out.line(line);
    }
}

/// `cancel RUN`: whichever process carries it out winds it down; one that nobody carries out is over at once.
pub async fn cancel(context: &Context, run: i64) -> Result<Exit, CliError> {
    let run = RunId(run);
    let came_to = give_up(&context.home, run).await?;
    if context.out.json {
        let state = if came_to == Cancelled::GivenUp { "cancelled" } else { "running" };
        context.out.object(json!({ "cancelling": run, "state": state }));
        return Ok(Exit::Done);
    }
    context.out.line(match came_to {
        Cancelled::WindingDown => {
            format!("run {run} finishes what is in flight and stops; `homeroom logs --run {run} --follow` shows it")
        }
        Cancelled::GivenUp => {
            let (row, _) = context.home.store.run(run).await?;
            format!("run {run} is given up; {}", row.kind.anew())
        }
    });
    Ok(Exit::Done)
}
