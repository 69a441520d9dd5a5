//! `deploy`: the plan, then the run, line by line, then what came of it.

use serde_json::json;

use tokio::sync::mpsc;

use super::{Context, logs, plan};
use crate::{
    cli::{
        args::Allow,
        detach,
        exit::{CliError, Exit},
        signals::Stopper,
    },
    domain::{
        Change, Event, Level, MachineState, Plan, RunId,
        event::{RunKind, RunState},
        plan::{Consent, Verb},
    },
    service::{
        EventFilter, RunHandle, ServiceError, StoredEvent,
        deploy::{Outcome, Request, deploy as begin},
        follow::follow,
    },
};

pub async fn deploy(context: &Context, name: &str, yes: bool, allow: Allow) -> Result<Exit, CliError> {
    let lab = context.lab(name).await?;
    let consent = Consent {
        restart: allow.allow_restart,
        replace: allow.allow_replace,
        remove: allow.allow_remove,
        fix_drift: allow.fix_drift,
        abandon_old: allow.abandon_old,
    };
    if !yes {
        let planned = crate::service::plan::plan_deploy_with(&context.home, &lab, consent.into(), None).await?;
        plan::show(context.out, &planned.plan);
        if planned.plan.is_empty() {
            return Ok(Exit::Done);
        }
        eprintln!("not done: `homeroom deploy {lab} --yes{}` does it", plan::flags(&planned.plan));
        return Ok(Exit::Refused);
    }
    let asked = begin(&context.home, &lab, &Request { consent, ..Request::default() }).await?;
    outcome(context, asked, RunKind::Deploy).await
}

/// What asking for a run came to: told, and the run watched to its end.
pub async fn outcome(context: &Context, outcome: Outcome, kind: RunKind) -> Result<Exit, CliError> {
    match outcome {
        Outcome::NothingToDo(plan) => Ok(nothing_to_do(context, &plan)),
        Outcome::Begun(run) if context.detached => carry_on(context, run).await,
        Outcome::Begun(run) => watch(context, run, kind).await,
    }
}

/// Says which run it is, lets go of whoever waits, and carries it out in silence. Signals are those of `watch`.
async fn carry_on(context: &Context, handle: RunHandle) -> Result<Exit, CliError> {
    let RunHandle { run, lab, stop, mut ended, .. } = handle;
    let mut stopper = Stopper::new()?;
    if context.out.json {
        context.out.object(json!({"run": run, "lab": lab, "process": std::process::id()}));
    } else {
        context
            .out
            .line(format!("run {run} of {lab} goes on by itself; `homeroom logs --run {run} --follow` shows it"));
    }
    detach::let_go()?;
    loop {
        tokio::select! {
            () = stopper.pressed() => {
                if stop.is_cancelled() {
                    return Ok(Exit::Interrupted);
                }
                stop.cancel();
            }
            result = &mut ended => {
                return Ok(match result {
                    Ok(Ok(state)) => state.into(),
                    _ => Exit::Failed,
                });
            }
        }
    }
}

/// The answer where a run would have had nothing to do. Machines that had to be left alone make it less than done.
pub fn nothing_to_do(context: &Context, plan: &Plan) -> Exit {
    if context.out.json {
        let ready = if plan.kind.makes() { plan.count(Verb::Keep) } else { 0 };
        let left = plan.count(Verb::Leave);
        let state = if left > 0 { RunState::Failed } else { RunState::Done };
        let summary = json!({"run": null, "state": state.as_str(), "ready": ready, "failed": left, "left_alone": left, "seconds": 0});
        context.out.object(json!({ "summary": summary }));
    } else {
        plan::show(context.out, plan);
    }
    if plan.count(Verb::Leave) > 0 { Exit::NotReady } else { Exit::Done }
}

/// Prints a run's lines until it has ended. The first interrupt winds it down, the second ends the program.
pub async fn watch(context: &Context, handle: RunHandle, kind: RunKind) -> Result<Exit, CliError> {
    let RunHandle { run, lab, after, stop, mut ended, .. } = handle;
    let began = context.home.clock.monotonic();
    let filter = EventFilter { run: Some(run), after: Some(after), ..EventFilter::default() };
    let mut events = follow(context.home.store.clone(), filter);
    let mut stopper = Stopper::new()?;
    let (mut told_the_end, mut stayed) = (false, 0);
    // The journal's last line comes before the run's own end: what the run says in the end counts.
    let result = loop {
        tokio::select! {
            Some(event) = events.recv() => match event {
                Ok(event) => {
                    told_the_end |= matches!(event.event.change, Change::RunEnded { .. });
                    stayed += usize::from(matches!(event.event.change, Change::LeftBehind { .. }));
                    show(context, &event.event);
                }
                Err(error) => eprintln!("the log cannot be read for now: {error}"),
            },
            () = stopper.pressed() => {
                if stop.is_cancelled() {
                    eprintln!("stopped at once; `homeroom resume {lab}` goes on from here");
                    return Ok(Exit::Interrupted);
                }
                eprintln!("finishing what is in flight, then stopping; once more stops now");
                stop.cancel();
            }
            result = &mut ended => break result,
        }
    };
    let (state, exit) = match result {
        Ok(Ok(state)) => {
            if !told_the_end {
                stayed += drain(context, &mut events, run).await;
            }
            (state, state.into())
        }
        Ok(Err(lost)) => {
            eprintln!("{lost}; after that `homeroom resume {lab}` goes on");
            (RunState::Interrupted, Exit::Failed)
        }
        Err(_) => return Ok(Exit::Failed),
    };
    let (row, plan) = context.home.store.run(run).await?;
    // One that went on counts whole, without the time in which nobody carried it out.
    let measured = context.home.clock.monotonic().saturating_sub(began);
    let seconds = row.took(context.speed).unwrap_or(measured).as_secs_f64();
    let (progress, _) = context.home.store.progress(&lab).await?;
    let of_run = |wanted| progress.seats.iter().filter(|seat| seat.run == run && seat.state == wanted).count();
    let (ready, failed) = (of_run(MachineState::Ready), of_run(MachineState::Failed));
    let left = plan.count(Verb::Leave);
    if context.out.json {
        let seconds = (seconds * 10.0).round() / 10.0;
        context
            .out
            .object(json!({"summary": {"run": run, "state": state.as_str(), "ready": ready, "failed": failed + left,
            "left_alone": left, "seconds": seconds}}));
    } else {
        let proves = !(kind.removes() || kind == RunKind::Stop);
        let counts: String =
            [(ready, "ready", proves), (failed, "failed", proves && left == 0), (left, "left alone", false)]
                .into_iter()
                .filter(|(count, _, always)| *count > 0 || *always)
                .map(|(count, what, _)| format!("{count} {what}, "))
                .collect();
        context.out.line(format!("run {run} {}: {counts}{seconds:.0} s", state.as_str()));
        context.say_whose_seconds();
        if stayed > 0 {
            let volumes = if stayed == 1 { "1 volume" } else { &format!("{stayed} volumes") };
            context.out.line(format!(
                "{volumes} stayed on the site: `homeroom logs --run {run} --level warning` names what removes each"
            ));
        }
        if failed > 0 && kind.makes() {
            context
                .out
                .line(format!("`homeroom status {lab}` shows the reasons; `homeroom deploy {lab} --yes` tries again"));
        }
    }
    Ok(exit)
}

/// One line of a run. For people, debug lines only when asked for.
fn show(context: &Context, event: &Event) {
    if context.out.json || context.verbose || event.level > Level::Debug {
        logs::show(context, event);
    }
}

/// Prints what is already in the journal, up to the end of the run; how many volumes it says have stayed.
async fn drain(context: &Context, events: &mut mpsc::Receiver<Result<StoredEvent, ServiceError>>, run: RunId) -> usize {
    let mut stayed = 0;
    while let Some(Ok(event)) = events.recv().await {
        show(context, &event.event);
        stayed += usize::from(matches!(event.event.change, Change::LeftBehind { .. }));
        if event.event.run == run && matches!(event.event.change, Change::RunEnded { .. }) {
            break;
        }
    }
    stayed
}
