//! `!`: one command for the marked seats, or for the one under the cursor; what it says and what comes of it.

use super::{acts::no, say};
use crate::{
    app::{
        Effect, Screen, State,
        asked::{AskId, LinePopup},
        popup::Popup,
    },
    domain::{Clean, Level, SeatName, told::Told},
};

/// Opens the line; the seats of the last answers again, where those are in front.
pub(super) fn ask(state: &mut State) -> Vec<Effect> {
    if state.asking.is_under_way() {
        show(state);
        return no(state, "a command is still being answered; C gives it up");
    }
    let target = match state.asked_here() {
        Ok(target) => target,
        Err(why) => return no(state, why),
    };
    let left = state.left_out();
    state.popup = Some(Popup::Line(LinePopup::new(target, left)));
    Vec::new()
}

/// Enter on the line.
pub(super) fn begin(state: &mut State) -> Vec<Effect> {
    let Some(Popup::Line(popup)) = &state.popup else { return Vec::new() };
    let line = popup.typed.value().trim().to_owned();
    if line.is_empty() {
        return Vec::new();
    }
    let target = popup.target.clone();
    state.popup = None;
    let seats = state.seats_of(&target.lab, &target.seats);
    let id = state.asking.begin(target.clone(), line.clone(), seats);
    show(state);
    vec![Effect::Exec { id, lab: target.lab, seats: target.seats, line, so_far: Vec::new() }]
}

/// The answers, in front.
pub(super) fn show(state: &mut State) {
    if state.asking.newest.is_some() && !matches!(state.screen(), Screen::Answers) {
        state.screens.retain(|screen| !matches!(screen, Screen::Answers));
        state.screens.push(Screen::Answers);
    }
}

/// `C`: those who have not answered are not waited for.
pub(super) fn give_up(state: &mut State) -> Vec<Effect> {
    match &state.asking.newest {
        Some(asked) if asked.over.is_none() => vec![Effect::GiveUpExec { id: asked.id }],
        _ => no(state, "it has been answered"),
    }
}

pub(super) fn said(state: &mut State, id: AskId, seat: SeatName, line: Clean) {
    if let Some(asked) = state.asking.of(id) {
        asked.said.insert(seat, line);
    }
}

pub(super) fn told(state: &mut State, id: AskId, answered: Vec<SeatName>, seats: usize, told: Vec<Told>) {
    let size = state.size;
    if let Some(asked) = state.asking.of(id) {
        asked.said.retain(|seat, _| !answered.contains(seat));
        (asked.answered, asked.seats, asked.told) = (answered.len(), seats, told);
        // Some answer after all, once what stood before their login is gone.
        asked.over = None;
        asked.step(0, size);
    }
}

pub(super) fn over(state: &mut State, id: AskId, why: Option<Clean>) {
    let (here, size) = (matches!(state.screen(), Screen::Answers), state.size);
    let Some(asked) = state.asking.of(id) else { return };
    asked.said.clear();
    asked.step(0, size);
    let text = match &why {
        Some(why) => format!("{}: {why}", asked.target.lab),
        None => {
            format!("{}: {} have answered `{}`; `:answers` shows how", asked.target.lab, asked.answered, asked.line)
        }
    };
    let level = if why.is_some() { Level::Warning } else { Level::Info };
    asked.over = Some(why);
    if !here {
        say(state, level, text);
    }
}
