//! What comes in from outside: looks at sites, definitions, events, answers to effects.

use jiff::Timestamp;

use super::{asking, bars, deeds, lab_form, say, shells};
use crate::{
    app::{
        Action, Effect, State,
        edit::{self, Draft, Tool},
        engines::Engine,
        popup::{PlanPopup, Planned, Popup},
        sites::{Lost, Site},
        welcome,
    },
    domain::{
        Change, Clean, Event, LabName, Level, Progress,
        cloud::{CloudView, InstanceState, InstanceView, whose},
        event::RunState,
        label::Owner,
        progress::{RunProgress, fold},
    },
};

pub(super) fn take(state: &mut State, action: Action) -> Vec<Effect> {
    match action {
        Action::SiteSeen { site, view } => {
            state.sites.entry(site).or_insert_with(|| Site::new(Clean::default())).seen(view);
            return state.ask_past();
        }
        Action::SiteLost { site, why } => {
            let now = state.now;
            let entry = state.sites.entry(site.clone()).or_insert_with(|| Site::new(Clean::default()));
            let news = entry.lost.as_ref().is_none_or(|lost| lost.why != why);
            entry.lost(why.clone(), now);
            if news {
                notice(state, None, Level::Error, format!("{site}: {why}"));
            }
        }
        Action::StoreLost { why } => {
            if state.store_lost.is_none() {
                notice(state, None, Level::Error, why.clone());
            }
            let since = state.store_lost.as_ref().map_or(state.now, |lost| lost.since);
            state.store_lost = Some(Lost { why, since });
        }
        Action::StoreSeen => {
            if state.store_lost.take().is_some() {
                notice(state, None, Level::Info, "the store is read again");
            }
        }
        Action::EngineKnown { site, environment, store, price } => {
            state.engines.entry(site).or_insert_with(|| Engine::new(environment, store, price));
        }
        Action::PeopleSeated { lab, people } => {
            state.people.insert(lab, people);
        }
        Action::EngineSeen { site, view } => {
            let back = state.engines.get_mut(&site).is_some_and(|engine| {
                let back = engine.lost.is_some();
                engine.seen(view);
                back
            });
            if back {
                notice(state, None, Level::Success, format!("{site}: the engine answers again"));
            }
            return state.ask_output().into_iter().collect();
        }
        Action::CloudKnown { site, environment, store, prices } => {
            state.engines.entry(site).or_insert_with(|| Engine::in_cloud(environment, store, prices));
        }
        Action::CloudSeen { site, view } => {
            let goes = going(state.engines.get(&site), &view);
            let back = state.engines.get_mut(&site).is_some_and(|engine| {
                let back = engine.lost.is_some();
                engine.seen_cloud(view);
                back
            });
            for name in goes {
                let text = format!("{name} is a spot machine and is being taken away: it stops within half a minute");
                notice(state, None, Level::Warning, text);
            }
            if back {
                notice(state, None, Level::Success, format!("{site}: the cloud answers again"));
            }
            return state.ask_output().into_iter().collect();
        }
        Action::EngineLost { site, why } => {
            let now = state.now;
            if state.engines.get_mut(&site).is_some_and(|engine| engine.lost(why.clone(), now)) {
                notice(state, None, Level::Error, format!("{site}: {why}"));
            }
        }
        Action::DefinitionsLoaded(mut definitions) => {
            definitions.sort_by(|a, b| a.name().cmp(b.name()));
            state.definitions = definitions;
            state.definitions_known = true;
        }
        Action::ProgressLoaded(progress) => {
            state.progress.insert(progress.lab.clone(), progress);
        }
        Action::EventsArrived(events) => {
            // What was read late of the time before this program: notices may stand there already.
            let is_late =
                events.first().is_some_and(|event| event.at < state.settings.now && state.log.is_past(event.at));
            events.iter().for_each(|event| happened(state, event));
            if is_late {
                state.put_log_in_order();
            }
            return state.runs_behind(&events);
        }
        Action::RunsLoaded { lab, runs } => state.runs_loaded(&lab, runs),
        Action::TimingLoaded { run, timing } => return state.timing_loaded(run, timing),
        Action::RunOrphaned { lab, run } => {
            // What a later run took over needs nobody's hand.
            let newest = state.progress.get(&lab).and_then(|progress| progress.run.as_ref());
            let superseded = newest.is_some_and(|newest| newest.id > run);
            let next = newest.map_or("deploy goes on from there", |newest| newest.kind.goes_on());
            if state.orphaned.insert(run) && !superseded {
                let text = format!("run {run} was interrupted and nobody is working on it; {next}");
                notice(state, Some(lab), Level::Warning, text);
            }
            state.own_runs.remove(&run);
        }
        // Another key was pressed meanwhile: nothing opens over what that brought.
        Action::DefinitionPrinted { lab, text: Ok(_), .. }
            if state.popup.is_some() || state.target_lab().as_ref() != Some(&lab) => {}
        Action::DefinitionPrinted { lab, tool: Tool::Editor, text: Ok(text) } => {
            return vec![Effect::EditText { lab: Some(lab), text }];
        }
        Action::DefinitionPrinted { lab, tool: Tool::Form, text: Ok(text) } => lab_form::open(state, Some(lab), text),
        Action::DefinitionPrinted { lab, text: Err(why), .. } => notice(state, Some(lab), Level::Error, why),
        Action::DefinitionChecked { text, faults } => lab_form::judged(state, &text, faults),
        Action::BridgesSeen { site, bridges } => _ = state.bridges.insert(site, Some(bridges)),
        Action::TextEdited { lab, text, .. } if lab_form::is_in_front(state) => lab_form::retyped(state, lab, text),
        Action::TextEdited { lab, before, text } => return edit::edited(lab, &before, text),
        Action::Defined { text, taken, .. } if lab_form::awaits(state, &text) => {
            return lab_form::defined(state, taken);
        }
        Action::Defined { taken: Ok(what), .. } if what.as_str().ends_with("unchanged") => {
            notice(state, None, Level::Success, what);
        }
        Action::Defined { taken: Ok(what), .. } => {
            notice(state, None, Level::Success, format!("{what}; d shows what that means"));
        }
        Action::Defined { lab, text, taken: Err(why) } => {
            notice(state, None, Level::Error, why.clone());
            state.popup = Some(Popup::Draft(Draft { lab, text, why }));
        }
        Action::SiteTried { site, tried } => welcome::tried(state, &site, tried),
        Action::SiteWritten(files) => welcome::written(state, files),
        Action::PastSeen { whose, seen } => state.past_seen(&whose, seen),
        Action::OutputRead { lab, seat, lines } => state.output_read(&lab, &seat, lines),
        Action::RollbackSeen { lab, run, seats: Ok(seats) } => deeds::rollback_seen(state, lab, run, seats),
        Action::RollbackSeen { lab, seats: Err(why), .. } => notice(state, Some(lab), Level::Error, why),
        Action::HandedOver(Ok(())) => {
            state.own_runs.clear();
            return vec![Effect::Suspend];
        }
        Action::HandedOver(Err(why)) => notice(state, None, Level::Error, why),
        Action::PlanReady { lab, plan } => planned(state, &lab, plan),
        Action::RunStarted { lab, run } => {
            let ended = state.progress.get(&lab).and_then(|p| p.run.as_ref()).is_some_and(|r| over(r, run));
            if !ended {
                state.own_runs.insert(run, lab);
            }
        }
        Action::RunRefused { lab, why } => {
            state.estimates.remove(&lab);
            notice(state, Some(lab), Level::Error, why);
        }
        Action::TabOpened { id } | Action::ShellOpened { id } => return shells::opened(state, id),
        Action::NotOpened { id, door, why } => shells::not_opened(state, id, &door, why),
        Action::ShellSaid { id, bytes } => {
            let bytes = state.shells.said(id, &bytes);
            return if bytes.is_empty() { Vec::new() } else { vec![Effect::Answer { id, bytes }] };
        }
        Action::Said { id, seat, line } => asking::said(state, id, seat, line),
        Action::Told { id, answered, seats, told } => asking::told(state, id, answered, seats, told),
        Action::Answered { id, why } => asking::over(state, id, why),
        Action::Barred { at, bar, then } => bars::met(state, at, bar, then),
        Action::Lifted { then, failed: None } => return then,
        Action::Lifted { then, failed: Some(why) } => {
            bars::give_up(state, &then, &why);
            notice(state, None, Level::Error, why);
        }
        Action::TabEnded { id, end } => shells::ended(state, id, end),
        Action::ShellEnded { door, end } => shells::left(state, &door, end),
        Action::Notice { level, text } => notice(state, None, level, text),
        Action::Tick(_)
        | Action::Pointed(_)
        | Action::Resized(..)
        | Action::Do(_)
        | Action::Edit(_)
        | Action::Paste(_)
        | Action::Hold(_) => {}
    }
    Vec::new()
}

fn over(known: &RunProgress, run: crate::domain::RunId) -> bool {
    known.id == run && known.state != RunState::Running
}

/// Folds one event and shows its line.
fn happened(state: &mut State, event: &Event) {
    let progress = state.progress.entry(event.lab.clone()).or_insert_with(|| Progress::new(event.lab.clone()));
    fold(progress, event);
    let line = state.log.event(event).map(|line| line.id);
    state.log_grew(line);
    match event.change {
        Change::RunEnded { .. } => {
            state.own_runs.remove(&event.run);
            state.orphaned.remove(&event.run);
            state.estimates.remove(&event.lab);
        }
        // Somebody works on it again.
        Change::StepStarted { .. } => {
            state.orphaned.remove(&event.run);
        }
        _ => {}
    }
}

/// A line at the bottom that also stays in the log.
pub(super) fn notice(state: &mut State, lab: Option<LabName>, level: Level, text: impl Into<Clean>) {
    let text = text.into();
    let told = lab.as_ref().map_or_else(|| text.clone(), |lab| Clean::from(format!("{lab}: {text}")));
    let line = state.log.notice(state.now, lab, level, text).map(|line| line.id);
    state.log_grew(line);
    say(state, level, told);
}

/// Hands a plan to the popup that waits for it; one that nobody waits for any more is dropped.
fn planned(state: &mut State, lab: &LabName, plan: Result<std::sync::Arc<crate::domain::Plan>, Vec<Clean>>) {
    // One that was asked for before drift was to be put right, or left, is another plan.
    let other = |fixes: bool| plan.as_ref().is_ok_and(|plan| plan.fixes_drift != fixes);
    if let Some(Popup::Plan(PlanPopup { lab: wanted, plan: slot, consent, .. })) = &mut state.popup
        && wanted == lab
        && !other(consent.fix_drift)
    {
        *slot = plan.map_or_else(Planned::Failed, Planned::Ready);
    }
}

/// The machines of ours that are being taken away since this look.
fn going(engine: Option<&Engine>, view: &CloudView) -> Vec<String> {
    let Some(engine) = engine else { return Vec::new() };
    let goes = |it: &&InstanceView| it.preempted.is_some() && it.state == InstanceState::Running;
    let told: Vec<(&String, Option<Timestamp>)> =
        engine.cloud.iter().flat_map(|view| &view.instances).filter(goes).map(|it| (&it.id, it.preempted)).collect();
    let ours = |it: &&InstanceView| matches!(whose(&engine.store, &it.name, &it.labels), Owner::Ours(_));
    let news = view.instances.iter().filter(goes).filter(ours).filter(|it| !told.contains(&(&it.id, it.preempted)));
    news.map(|it| it.name.clone()).collect()
}
