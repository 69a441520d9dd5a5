//! Carries the screens' wishes out, each by one use case.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{May, Shared, asking, define, shells};
use crate::{
    app::{Action, Effect},
    domain::{Clean, LabName, Level, RunId, progress::RunProgress, timing::Timing},
    service::{
        EventFilter, Homeroom, RunRow, ServiceError,
        check::carry_out,
        deploy::{Outcome, Request, deploy},
        destroy::{Confirmation, destroy},
        ends::extend,
        hindsight::hindsight,
        inside::last_lines,
        plan::{Asked, Back, plan_deploy_with},
        rebuild,
    },
};

/// Takes wishes until the screens are gone, each carried out beside the others. Ends when every run that was asked
/// for has begun or was refused.
pub async fn take_wishes(shared: Arc<Shared>, mut wishes: mpsc::Receiver<Effect>) {
    let mut begins = JoinSet::new();
    while let Some(effect) = wishes.recv().await {
        let shared = shared.clone();
        if begins_a_run(&effect) {
            begins.spawn(async move { one(&shared, effect).await });
        } else {
            tokio::spawn(async move { one(&shared, effect).await });
        }
        while begins.try_join_next().is_some() {}
    }
    while begins.join_next().await.is_some() {}
}

fn begins_a_run(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Deploy { .. }
            | Effect::RetryFailed { .. }
            | Effect::Destroy { .. }
            | Effect::Carry { .. }
            | Effect::Rebuild { .. }
            | Effect::Rollback { .. }
    )
}

/// What may be carried out where nothing may be changed.
fn is_looking(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Refresh | Effect::LoadRuns { .. } | Effect::LoadTiming { .. } | Effect::Call(_) | Effect::Quit
    )
}

async fn one(shared: &Arc<Shared>, effect: Effect) {
    let home = &shared.home;
    if shared.may == May::Look && !is_looking(&effect) {
        // No key asks for it, so this is a fault of the program.
        tracing::error!(?effect, "not carried out: this program only looks");
        return;
    }
    match effect {
        Effect::Refresh => shared.look_now.iter().for_each(|site| site.notify_one()),
        Effect::MakePlan { lab, fix_drift } => {
            let plan = plan_deploy_with(home, &lab, Asked { fix_drift, ..Asked::default() }, None)
                .await
                .map(|planned| Arc::new(planned.plan))
                .map_err(|error| error.to_string().lines().map(Clean::new).collect());
            shared.say(Action::PlanReady { lab, plan }).await;
        }
        Effect::Deploy { plan, consent } => {
            let lab = plan.lab.clone();
            let request = Request { consent, agreed: Some(plan), ..Request::default() };
            let outcome = deploy(home, &lab, &request).await;
            begun(shared, lab, outcome).await;
        }
        Effect::RetryFailed { lab, seats } => {
            let request = Request { only: seats, ..Request::default() };
            let outcome = deploy(home, &lab, &request).await;
            begun(shared, lab, outcome).await;
        }
        Effect::Destroy { lab, seats } => {
            // Its name was typed in at the screen, or the number of machines where several labs were named.
            let confirmation = Confirmation { named: Some(lab.to_string()) };
            let outcome = destroy(home, &lab, &seats, &confirmation).await;
            begun(shared, lab, outcome).await;
        }
        Effect::Carry { lab, seats, deed } => {
            let outcome = carry_out(home, &lab, &seats, deed).await;
            begun(shared, lab, outcome).await;
        }
        Effect::Rebuild { lab, seats, abandon } => {
            let confirmation = Confirmation { named: Some(lab.to_string()) };
            let outcome = rebuild::rebuild(home, &lab, &seats, abandon, &confirmation).await;
            begun(shared, lab, outcome).await;
        }
        Effect::SurveyRollback { lab, run } => {
            let seats = match rebuild::look_back(home, run).await {
                Ok(Back::This(back)) => Ok(back.plan.seats.into_iter().map(|seat| seat.seat).collect()),
                Ok(Back::Nothing(why)) => Err(Clean::new(why)),
                Err(error) => Err(words(error)),
            };
            shared.say(Action::RollbackSeen { lab, run, seats }).await;
        }
        Effect::Rollback { lab, run } => {
            // Each machine was named at the screen, and the lab's name was typed in.
            let confirmation = Confirmation { named: Some(lab.to_string()) };
            let outcome = rebuild::rollback(home, run, true, &confirmation).await;
            match outcome {
                Ok(Back::This(outcome)) => begun(shared, lab, Ok(outcome)).await,
                Ok(Back::Nothing(why)) => {
                    let text = Clean::new(format!("{lab}: {why}"));
                    shared.say(Action::Notice { level: Level::Info, text }).await;
                }
                Err(error) => begun(shared, lab, Err(error)).await,
            }
        }
        Effect::HandOver => {
            let kept = shared.hand_over().await;
            let why = |(run, error): &(RunId, io::Error)| format!("run {run} is not handed over: {error}");
            let kept: Vec<String> = kept.iter().map(why).collect();
            let done = if kept.is_empty() { Ok(()) } else { Err(Clean::new(kept.join(", "))) };
            shared.say(Action::HandedOver(done)).await;
        }
        Effect::CancelRun { lab, run } => {
            if let Err(error) = crate::service::runs::cancel(home, run).await {
                let text = Clean::new(format!("{lab}: run {run} was not cancelled: {error}"));
                shared.say(Action::Notice { level: Level::Error, text }).await;
            }
        }
        Effect::Extend { lab, by } => {
            let (level, text) = match extend(home, &lab, by).await {
                Ok(put_off) => (Level::Success, put_off.words()),
                Err(error) => (Level::Error, format!("the end of {lab} is not put off: {error}")),
            };
            shared.say(Action::Notice { level, text: Clean::new(text) }).await;
        }
        Effect::RenewKey { lab } => {
            let (level, text) = renewed(home, &lab).await;
            shared.say(Action::Notice { level, text: Clean::new(text) }).await;
        }
        Effect::OpenShell { id, door, way, size } => shells::open(shared, id, door, way, size).await,
        Effect::Exec { id, lab, seats, line, so_far } => asking::ask(shared, id, lab, seats, line, so_far).await,
        Effect::GiveUpExec { id } => asking::give_up(shared, id),
        Effect::Lift { at, bar, passphrase, then } => {
            let failed = shells::lift(home, &at, &bar, passphrase).await.err();
            shared.say(Action::Lifted { then, failed }).await;
        }
        Effect::PrintDefinition { lab, tool } => {
            let printed = define::print(shared, lab, tool).await;
            shared.say(printed).await;
        }
        Effect::CheckDefinition { text } => {
            shared.say(define::check(shared, text)).await;
        }
        Effect::LookAtBridges { site } => {
            if let Some(seen) = define::bridges(shared, site).await {
                shared.say(seen).await;
            }
        }
        Effect::Define { lab, text } => {
            let defined = define::define(shared, lab, text).await;
            // It is in its list before it is told of: what is done next is about it and no other.
            if let Some(loaded) = define::loaded(shared).await {
                shared.say(loaded).await;
            }
            shared.say(defined).await;
        }
        Effect::LoadRuns { lab } => {
            let rows = home.store.runs(Some(&lab), RUNS_LISTED).await;
            let runs = rows.map(|rows| rows.into_iter().map(progress_of).collect());
            shared.say(Action::RunsLoaded { lab, runs: runs.map_err(|error| words(error.into())) }).await;
        }
        Effect::LoadTiming { run } => {
            let timing = timing(home, run).await.map_err(words);
            shared.say(Action::TimingLoaded { run, timing }).await;
        }
        Effect::LookBack(whose) => {
            let seen = hindsight(home, &whose.site, &whose.node, whose.vmid).await.map(Arc::new).map_err(words);
            shared.say(Action::PastSeen { whose, seen }).await;
        }
        Effect::ReadOutput { lab, seat } => {
            let lines = last_lines(home, &lab, &seat).await.map(Arc::new).map_err(words);
            shared.say(Action::OutputRead { lab, seat, lines }).await;
        }
        Effect::SaveLog { name, lines } => save(shared, name, lines).await,
        Effect::Call(alert) => {
            if let Some(calls) = &shared.calls
                && calls.try_send(alert).is_err()
            {
                let text = Clean::new("too many calls wait to be told; one was lost");
                shared.say(Action::Notice { level: Level::Error, text }).await;
            }
        }
        // The screen's own.
        Effect::Suspend | Effect::Quit | Effect::Copy(_) | Effect::Ring | Effect::Answer { .. } => {}
        // The first run's, which comes before there is anything to run.
        Effect::EditText { .. }
        | Effect::TrySite(_)
        | Effect::WriteSite(_)
        | Effect::TryDemo
        | Effect::OpenDashboard => {}
    }
}

/// Writes lines to a new file in the folder we were started in; nobody but its owner may read it.
async fn save(shared: &Arc<Shared>, name: String, lines: Vec<String>) {
    let count = lines.len();
    let written = tokio::task::spawn_blocking(move || {
        let (path, file) = fresh(&std::env::current_dir()?, &name)?;
        let mut out = BufWriter::new(file);
        lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        out.flush().map(|()| path)
    });
    let (level, text) = match written.await.map_err(io::Error::other).flatten() {
        Ok(path) => (Level::Success, format!("{count} lines written to {}", path.display())),
        Err(error) => (Level::Error, format!("the log was not written: {error}")),
    };
    shared.say(Action::Notice { level, text: Clean::new(text) }).await;
}

/// Names that are tried for a file at most.
const NAMES: u32 = 100;

/// A file nobody has yet, for its owner alone; behind one that is there already, with the next number.
fn fresh(folder: &Path, name: &str) -> io::Result<(PathBuf, File)> {
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    let mut taken = 1;
    loop {
        let path = if taken == 1 { folder.join(name) } else { folder.join(format!("{stem}-{taken}.{ending}")) };
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && taken < NAMES => taken += 1,
            made => return made.map(|file| (path, file)),
        }
    }
}

/// Runs of a lab that are listed.
const RUNS_LISTED: u32 = 200;

/// A run of the store as the screens know runs.
fn progress_of(row: RunRow) -> RunProgress {
    let RunRow { id, kind, state, owner, started_at, ended_at, away, .. } = row;
    RunProgress { id, kind, state, owner: Clean::new(owner), started_at, ended_at, away, seq: 0 }
}

/// Where a run's time went, from its events.
async fn timing(home: &Homeroom, run: RunId) -> Result<Arc<Timing>, ServiceError> {
    let (_, plan) = home.store.run(run).await?;
    let filter = EventFilter { run: Some(run), ..EventFilter::default() };
    let events: Vec<_> = home.store.events(&filter).await?.into_iter().map(|stored| stored.event).collect();
    let timing = Timing::of(&events, Some(&plan)).map(Arc::new);
    timing.ok_or_else(|| ServiceError::Refused(format!("run {run} has recorded nothing yet")))
}

pub(super) fn words(error: ServiceError) -> Clean {
    Clean::new(error.to_string())
}

/// Tells the screens what asking for a run came to.
async fn begun(shared: &Arc<Shared>, lab: LabName, outcome: Result<Outcome, ServiceError>) {
    let action = match outcome {
        Ok(Outcome::Begun(handle)) => {
            let run = handle.run;
            shared.keep(handle);
            Action::RunStarted { lab, run }
        }
        Ok(Outcome::NothingToDo(_)) => {
            Action::Notice { level: Level::Info, text: Clean::new(format!("{lab}: nothing to do")) }
        }
        Err(error) => Action::RunRefused { lab, why: words(error) },
    };
    shared.say(action).await;
}

/// What came of a new key for a lab.
async fn renewed(home: &Homeroom, lab: &LabName) -> (Level, String) {
    let seats = match crate::service::adopt::rekey(home, lab, &CancellationToken::new()).await {
        Ok(seats) => seats,
        Err(error) => return (Level::Error, format!("{lab} has no new key: {error}")),
    };
    let failed: Vec<_> = seats.iter().filter_map(|seat| Some((&seat.seat, seat.outcome.as_ref().err()?))).collect();
    let given = format!("{lab}: {} of {} machines have the new key", seats.len() - failed.len(), seats.len());
    match failed.as_slice() {
        [] => (Level::Success, given),
        [(seat, why), ..] => {
            let more = if failed.len() > 1 { format!(" and {} more", failed.len() - 1) } else { String::new() };
            let rest = match seats.iter().any(|seat| seat.old_logs_in) {
                true => "they take the old one until `:renew-ssh-key` goes on",
                false => "`:renew-ssh-key` goes on with them",
            };
            (Level::Warning, format!("{given}; {seat}{more} not: {why}; {rest}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_twice_in_one_second_is_written_beside_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..3)
            .map(|_| {
                let (path, _) = fresh(folder.path(), "log-1.txt").unwrap();
                path.file_name().unwrap().to_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(names, ["log-1.txt", "log-1-2.txt", "log-1-3.txt"]);
        assert!(fresh(&folder.path().join("none"), "log-1.txt").is_err());
    }
}
