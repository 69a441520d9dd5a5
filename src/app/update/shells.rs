//! Shells in the dashboard: opening, turning, typing, leaving them.

use std::collections::BTreeSet;

use super::say;
use crate::{
    app::{Command, Effect, Screen, State, attach::ShellEnd, shells::TabId},
    domain::{LabName, Level, SeatName},
};

/// A command about shells in the dashboard.
pub(super) fn obey(state: &mut State, command: Command) -> Vec<Effect> {
    let mut effects = Vec::new();
    match command {
        Command::ShellTab => effects = open(state),
        Command::ShellsOfAll => effects = open_all(state),
        Command::Shells if state.shells.tabs.is_empty() => {
            say(state, Level::Info, "no shell is open in here; S on a board opens one");
        }
        Command::Shells => show(state),
        Command::TypeIn => {
            state.shells.follow();
            let takes_keys = state.shells.typed_into().next().is_some();
            state.shells.typing = takes_keys;
            if !takes_keys {
                effects = anew(state);
            }
        }
        Command::Pick if state.shells.broadcast => say(state, Level::Info, "b shows one shell, to pick lines of"),
        Command::Pick => state.shells.pick(),
        Command::LetGo => state.shells.typing = false,
        Command::NextTab => state.shells.turn(1),
        Command::PrevTab => state.shells.turn(-1),
        Command::Zoom => state.shells.zoomed = !state.shells.zoomed,
        Command::Broadcast if state.shells.tabs.len() < 2 => {
            say(state, Level::Info, "there is only one shell to type into");
        }
        Command::Broadcast if state.shells.broadcast => state.shells.call_off(),
        Command::Broadcast => state.shells.call_all(),
        Command::CloseTab => {
            state.shells.close();
            if state.shells.tabs.is_empty() {
                leave(state);
            }
        }
        Command::CopyText => effects = copy(state),
        _ => {}
    }
    state.shells.fit(state.size);
    effects
}

/// The most that terminals take for their clipboard, in bytes: xterm's 74,994 once it is in base64.
const MOST_COPIED: usize = 56_245;

fn copy(state: &mut State) -> Vec<Effect> {
    let text = state.shells.text();
    if text.len() > MOST_COPIED {
        let (most, is) = (MOST_COPIED >> 10, text.len().div_ceil(1 << 10));
        say(state, Level::Warning, format!("{is} KiB were picked; a terminal's clipboard takes {most}"));
        return Vec::new();
    }
    let lines = text.lines().count();
    say(state, Level::Info, format!("{lines} lines were given to the terminal's clipboard"));
    vec![Effect::Copy(text)]
}

/// A shell that ended is opened again, in a tab of its own.
fn anew(state: &mut State) -> Vec<Effect> {
    let Some(tab) = state.shells.front() else { return Vec::new() };
    let (lab, seat) = (tab.lab.clone(), tab.seat.clone());
    if !state.shells.await_one(&lab, &seat) {
        return Vec::new();
    }
    state.shells.close();
    say(state, Level::Info, format!("{lab}/{seat}: opening a shell"));
    vec![Effect::OpenShell { lab, seat }]
}

/// Out of the shells; they live on.
pub(super) fn leave(state: &mut State) {
    state.shells.typing = false;
    state.shells.copying = None;
    state.shells.zoomed = false;
    state.shells.call_off();
    state.screens.retain(|screen| !matches!(screen, Screen::Shells));
}

fn show(state: &mut State) {
    if !matches!(state.screen(), Screen::Shells) {
        state.screens.retain(|screen| !matches!(screen, Screen::Shells));
        state.screens.push(Screen::Shells);
    }
}

fn open(state: &mut State) -> Vec<Effect> {
    let Some((lab, seat)) = state.target_seat() else { return Vec::new() };
    // It is this one that is meant, whoever was typed into before.
    state.shells.call_off();
    // One that is open already is looked at again.
    if let Some(at) = state.shells.tabs.iter().position(|tab| tab.end.is_none() && tab.lab == lab && tab.seat == seat) {
        (state.shells.front, state.shells.typing) = (at, true);
        show(state);
        return Vec::new();
    }
    if let Some(why) = state.why_not_entered(&lab, &seat) {
        say(state, Level::Warning, why);
        return Vec::new();
    }
    if !state.shells.await_one(&lab, &seat) {
        say(state, Level::Warning, "it is being opened already, or too many are open");
        return Vec::new();
    }
    say(state, Level::Info, format!("{lab}/{seat}: opening a shell"));
    vec![Effect::OpenShell { lab, seat }]
}

/// A shell on every marked seat, else on every one that the board's filter lets through, and one keyboard for all of them.
fn open_all(state: &mut State) -> Vec<Effect> {
    let Some(lab) = state.target_lab() else { return Vec::new() };
    let mut effects = Vec::new();
    let mut called = BTreeSet::new();
    let marked = state.marks().is_some_and(|marks| !marks.is_empty());
    let seats: Vec<SeatName> = if marked {
        state.target_seats().into_iter().map(|(_, seat)| seat).collect()
    } else {
        state.board_keys().iter().filter_map(|key| SeatName::new(key).ok()).collect()
    };
    for seat in seats {
        let open = state.shells.tabs.iter().any(|tab| tab.end.is_none() && tab.lab == lab && tab.seat == seat);
        // The proxy of a workshop is nobody's seat.
        let enterable = seat != SeatName::host() && state.why_not_entered(&lab, &seat).is_none();
        if !enterable {
            continue;
        }
        let coming = open || state.shells.is_awaited(&lab, &seat);
        if !coming && state.shells.await_one(&lab, &seat) {
            effects.push(Effect::OpenShell { lab: lab.clone(), seat: seat.clone() });
        } else if !coming {
            continue;
        }
        called.insert((lab.clone(), seat));
    }
    if called.is_empty() {
        say(state, Level::Warning, format!("{lab}: no seat has an address yet"));
        return effects;
    }
    say(state, Level::Info, format!("{lab}: opening {} shells", effects.len()));
    state.shells.call(called);
    // What is typed from here on is for them, and no command to the list that was in front.
    show(state);
    effects
}

pub(super) fn opened(state: &mut State, lab: LabName, seat: SeatName) {
    state.shells.opened(lab, seat);
    show(state);
    state.shells.fit(state.size);
}

/// One of the tabs ended: told where it stands, and in the bottom line.
pub(super) fn ended(state: &mut State, id: TabId, end: ShellEnd) {
    let Some(tab) = state.shells.tabs.iter().find(|tab| tab.id == id) else { return };
    let place = format!("{}/{}", tab.lab, tab.seat);
    match &end {
        Ok(0) => say(state, Level::Info, format!("{place}: shell ended")),
        Ok(code) => say(state, Level::Info, format!("{place}: shell ended with exit status {code}")),
        Err(why) => say(state, Level::Error, format!("{place}: {why}")),
    }
    state.shells.ended(id, end);
}
