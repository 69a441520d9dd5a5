//! Commands that change something outside: each asks first, or says why it cannot.

use std::time::Duration;

use super::say;
use crate::{
    app::{
        Context, Effect, State,
        copying::CopyPopup,
        log::LogLine,
        popup::{PlanPopup, Planned, Popup},
    },
    domain::{LabName, Level, MachineState, SeatName, event::RunState, plan::Consent},
};

/// Says why a command does nothing here.
pub(super) fn no(state: &mut State, why: impl Into<crate::domain::Clean>) -> Vec<Effect> {
    say(state, Level::Warning, why);
    Vec::new()
}

/// The lab a command is about, or why there is none.
pub(super) fn lab(state: &State) -> Result<LabName, &'static str> {
    state.target_lab().ok_or(match state.context() {
        Context::Workshops => "no workshop here; n makes one, homeroom apply -f FILE too",
        _ => "no class here; n makes one, homeroom apply -f FILE too",
    })
}

/// A new key for a class: asks first.
pub(super) fn ask_renew(state: &mut State) -> Vec<Effect> {
    match lab(state) {
        Ok(lab) if state.class(&lab).is_some_and(|row| row.workshop.is_some()) => {
            no(state, format!("{lab} is a workshop: its seats are entered without a key of theirs"))
        }
        Ok(lab) => {
            state.popup = Some(Popup::Renew { lab });
            Vec::new()
        }
        Err(why) => no(state, why),
    }
}

/// Enter on that.
pub(super) fn renew(state: &mut State) -> Vec<Effect> {
    match state.popup.take() {
        Some(Popup::Renew { lab }) => {
            say(state, Level::Info, format!("{lab}: making a new key and giving it to its machines"));
            vec![Effect::RenewKey { lab }]
        }
        popup => {
            state.popup = popup;
            Vec::new()
        }
    }
}

/// `d`: asks for a plan and opens its popup.
pub(super) fn plan(state: &mut State) -> Vec<Effect> {
    let lab = match lab(state) {
        Ok(lab) => lab,
        Err(why) => return no(state, why),
    };
    if state.class(&lab).is_none_or(|row| !row.is_defined()) {
        return no(state, format!("{lab} has no definition any more; apply it again, or destroy what stands"));
    }
    let popup = PlanPopup { lab: lab.clone(), plan: Planned::Asked, consent: Consent::default(), scroll: 0 };
    state.popup = Some(Popup::Plan(popup));
    vec![Effect::MakePlan { lab, fix_drift: false }]
}

/// Enter on a plan.
pub(super) fn deploy(state: &mut State) -> Vec<Effect> {
    let Some(Popup::Plan(popup)) = &state.popup else { return Vec::new() };
    let (lab, consent) = (popup.lab.clone(), popup.consent);
    let plan = match &popup.plan {
        Planned::Asked => return Vec::new(),
        Planned::Failed(_) => {
            state.popup = None;
            return Vec::new();
        }
        Planned::Ready(plan) => plan.clone(),
    };
    if plan.is_empty() {
        state.popup = None;
        return Vec::new();
    }
    let refused = plan.refused(consent).len();
    if refused > 0 {
        return no(
            state,
            match refused {
                1 => "1 machine needs a yes of its own, or another definition".to_owned(),
                n => format!("{n} machines need a yes of their own, or another definition"),
            },
        );
    }
    state.popup = None;
    match plan.estimate {
        Some(estimate) => state.estimates.insert(lab, estimate),
        None => state.estimates.remove(&lab),
    };
    vec![Effect::Deploy { plan, consent }]
}

/// A yes to something more than creating and updating, or its withdrawal.
pub(super) fn consent(state: &mut State, change: impl FnOnce(&mut Consent)) -> Vec<Effect> {
    if let Some(Popup::Plan(popup)) = &mut state.popup {
        change(&mut popup.consent);
    }
    Vec::new()
}

/// `f` on a plan: what somebody else changed is put right too, or left again. That is another plan, which may need
/// more to be agreed to.
pub(super) fn fix_drift(state: &mut State) -> Vec<Effect> {
    let Some(Popup::Plan(popup)) = &mut state.popup else { return Vec::new() };
    let Planned::Ready(plan) = &popup.plan else { return Vec::new() };
    if plan.drifted().next().is_none() && !popup.consent.fix_drift {
        return no(state, "nothing was changed by someone else");
    }
    popup.consent.fix_drift = !popup.consent.fix_drift;
    (popup.plan, popup.scroll) = (Planned::Asked, 0);
    vec![Effect::MakePlan { lab: popup.lab.clone(), fix_drift: popup.consent.fix_drift }]
}

/// `r`: the failed seats again; on a board, the one under the cursor when it failed, else all that did.
pub(super) fn retry(state: &mut State) -> Vec<Effect> {
    let lab = match lab(state) {
        Ok(lab) => lab,
        Err(why) => return no(state, why),
    };
    let failed: Vec<SeatName> = state
        .class(&lab)
        .map(|row| {
            row.seats
                .into_iter()
                .filter(|s| s.state == MachineState::Failed && s.cut.is_none())
                .map(|s| s.seat)
                .collect()
        })
        .unwrap_or_default();
    if failed.is_empty() {
        if state.class(&lab).is_some_and(|row| row.cut_short() > 0) {
            return no(
                state,
                format!("{lab}: nothing failed by itself, its run did not come to its end; d goes on from there"),
            );
        }
        return no(state, format!("{lab}: no seat failed, so there is nothing to retry"));
    }
    let seats = match state.target_seat() {
        Some((_, seat)) if failed.contains(&seat) => vec![seat],
        _ => failed,
    };
    say(state, Level::Info, format!("{lab}: trying {} again", count(&seats)));
    vec![Effect::RetryFailed { lab, seats }]
}

/// How much further off the end of a workshop is put at a time.
const FURTHER: Duration = Duration::from_secs(3600);

/// `:extend`: the workshop stands for an hour more. Nobody is asked: it takes nothing from anybody.
pub(super) fn extend(state: &mut State) -> Vec<Effect> {
    let lab = match lab(state) {
        Ok(lab) => lab,
        Err(why) => return no(state, why),
    };
    match state.class(&lab).is_some_and(|row| row.life().is_some()) {
        true => vec![Effect::Extend { lab, by: FURTHER }],
        false => no(state, format!("{lab} is no workshop that stands: it has no end to put off")),
    }
}

/// `C`: asks whether the run under way shall stop.
pub(super) fn ask_cancel(state: &mut State) -> Vec<Effect> {
    if let Some((lab, run)) = state.chosen_run() {
        if !matches!(run.state, RunState::Running | RunState::Interrupted) {
            return no(state, format!("run {} is over ({})", run.id, run.state.as_str()));
        }
        state.popup = Some(Popup::Cancel { lab, run: run.id });
        return Vec::new();
    }
    let lab = match lab(state) {
        Ok(lab) => lab,
        Err(why) => return no(state, why),
    };
    let run = state.class(&lab).and_then(|row| row.running().map(|run| run.id));
    match run {
        Some(run) => state.popup = Some(Popup::Cancel { lab, run }),
        None => return no(state, format!("{lab}: no run is under way")),
    }
    Vec::new()
}

pub(super) fn cancel(state: &mut State) -> Vec<Effect> {
    let Some(Popup::Cancel { lab, run }) = state.popup.take() else { return Vec::new() };
    say(state, Level::Info, format!("{lab}: stopping run {run} once what is in flight has ended"));
    vec![Effect::CancelRun { lab, run }]
}

/// `^z`: a stopped program carries nothing on. What it has in hand goes to another process first; where the site
/// would stand still with it, it does not stop.
pub(super) fn suspend(state: &mut State) -> Vec<Effect> {
    match state.own_runs.first_key_value().map(|(run, lab)| (*run, lab.clone())) {
        Some((run, lab)) if state.settings.hands_over => {
            say(state, Level::Info, format!("run {run} of {lab} goes on by itself; then back to the shell"));
            vec![Effect::HandOver]
        }
        Some((run, lab)) => {
            no(state, format!("run {run} of {lab} is under way here and would stand still; q leaves it running"))
        }
        None => vec![Effect::Suspend],
    }
}

/// `e`: what the view in front shows, as lines of a file.
pub(super) fn save_log(state: &mut State) -> Vec<Effect> {
    let view = state.log_in_front();
    if view.is_empty() {
        return no(state, "the log shows nothing, so there is nothing to save");
    }
    let lines = view.lines(&state.log, 0, view.len()).into_iter().map(LogLine::plain).collect();
    let at = state.now.to_zoned(state.settings.zone.clone()).strftime("%Y%m%d-%H%M%S");
    vec![Effect::SaveLog { name: format!("homeroom-log-{at}.txt"), lines }]
}

/// `y`: what of the row, or of all that are marked, is wanted.
pub(super) fn ask_copy(state: &mut State) -> Vec<Effect> {
    let offers = state.copies();
    if offers.is_empty() {
        return no(state, "nothing to copy here");
    }
    state.popup = Some(Popup::Copy(CopyPopup { offers, at: 0 }));
    Vec::new()
}

/// Gives what was chosen to the clipboard.
pub(super) fn copy(state: &mut State) -> Vec<Effect> {
    let Some(Popup::Copy(CopyPopup { mut offers, at })) = state.popup.take() else { return Vec::new() };
    if at >= offers.len() {
        return Vec::new();
    }
    let offer = offers.swap_remove(at);
    let lines = offer.text.lines().count();
    let told = if lines > 1 { format!("{lines} lines were") } else { format!("{} was", offer.text) };
    say(state, Level::Info, format!("{told} given to the terminal's clipboard"));
    vec![Effect::Copy(offer.text)]
}

/// One seat by name, several by number.
pub(super) fn count(seats: &[SeatName]) -> String {
    match seats {
        [seat] => seat.to_string(),
        seats => format!("{} seats", seats.len()),
    }
}
