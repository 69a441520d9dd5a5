//! Questions before a login: put when no other is open and no shell has the keys, answered, or left unanswered.

use super::{is_quiet, say};
use crate::{
    app::{
        Command, Context, Effect, State,
        bars::{At, Question},
        popup::Popup,
    },
    domain::{Clean, Level, answers::Bar},
};

/// Something stands before a login. Who waits for the same thing waits for the same answer.
pub(super) fn met(state: &mut State, at: At, bar: Bar, then: Effect) {
    if let Some(Popup::Bar(open)) = &mut state.popup
        && open.bar == bar
    {
        return open.then.push(then);
    }
    match state.bars.waiting.iter_mut().find(|question| question.bar == bar) {
        Some(question) => question.then.push(then),
        None => {
            let question = state.bars.question(at, bar, vec![then]);
            state.bars.waiting.push(question);
        }
    }
    match state.context() {
        Context::Typing => {
            say(state, Level::Warning, "another login waits for an answer of yours: ctrl-] shows the question");
        }
        Context::LabForm => say(state, Level::Warning, "a login waits for an answer of yours, once the form is left"),
        _ => {}
    }
}

/// Puts the next question, if this is the time.
pub(super) fn put(state: &mut State) {
    let quiet = is_quiet(state);
    if let Some(Popup::Bar(question)) = &mut state.popup
        && quiet
        && !question.awake
    {
        question.awake = true;
        state.revision += 1;
    }
    // Letters typed into something else answer no question.
    let typing = state.typing.is_some() || matches!(state.context(), Context::Typing | Context::LabForm);
    let busy = state.popup.is_some() || typing || state.hushed;
    if !busy && !state.bars.waiting.is_empty() {
        let question = state.bars.waiting.remove(0);
        state.popup = Some(Popup::Bar(Question { awake: quiet, ..question }));
        state.revision += 1;
    }
}

/// The answer yes, or the passphrase.
pub(super) fn answer(state: &mut State, command: Command) -> Vec<Effect> {
    if let Some(Popup::Bar(Question { bar: Bar::Stranger { .. }, awake: false, .. })) = &state.popup {
        return Vec::new();
    }
    let Some(Popup::Bar(mut question)) = state.popup.take() else { return Vec::new() };
    let given = question.typed.take();
    let passphrase = match (&question.bar, command) {
        (Bar::Stranger { .. }, Command::TrustHost) => None,
        (Bar::Locked { .. }, Command::Unlock) => Some(given),
        _ => return Vec::new(),
    };
    state.bars.tried(&question.bar);
    vec![Effect::Lift { at: question.at, bar: question.bar, passphrase, then: question.then }]
}

/// Left unanswered: nothing is tried again.
pub(super) fn leave(state: &mut State) {
    let Some(Popup::Bar(question)) = state.popup.take() else { return };
    let at = &question.at;
    let why = Clean::new(match &question.bar {
        Bar::Stranger { host, .. } => format!("{at}: {host} is not trusted, and was not logged in to"),
        Bar::Locked { key } => format!("{at}: {} stays locked, and nobody was logged in", key.display()),
    });
    give_up(state, &question.then, &why);
    say(state, Level::Warning, why);
}

/// Shells that are not tried again.
pub(super) fn give_up(state: &mut State, then: &[Effect], why: &Clean) {
    for effect in then {
        if let Effect::OpenShell { id, .. } = effect {
            state.shells.not_opened(*id, why);
        }
    }
    state.shells.fit(state.size);
}
