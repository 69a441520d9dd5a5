//! Shells in the dashboard: opening, turning, typing, leaving them.

use super::{acts::no, is_quiet, say};
use crate::{
    app::{
        Action, Command, Context, Effect, Screen, State,
        attach::ShellEnd,
        doors::Door,
        popup::{Popup, ShellsPopup},
        shells::{MOST, TabId, Way},
        state::{Board, Toast},
    },
    domain::{Clean, Level},
};

/// Whether shells have the keys, now and when an action was taken in.
pub(super) struct Keys {
    gone: bool,
    /// Nobody at the screen asked for what happens.
    unasked: bool,
}

impl Keys {
    pub(super) fn before(state: &State, action: &Action) -> Self {
        let asked = matches!(
            action,
            Action::Do(_)
                | Action::Edit(_)
                | Action::Paste(_)
                | Action::Hold(_)
                | Action::Pointed(_)
                // It has the whole terminal then.
                | Action::ShellOpened { .. }
        );
        Self { gone: Self::are_gone(state), unasked: !asked }
    }

    fn are_gone(state: &State) -> bool {
        matches!(state.base_context(), Context::Typing | Context::Opening)
    }

    /// Keys that came back by themselves count once nobody has typed for a moment: until then they may be the rest of
    /// what somebody types for the shell, and are not to become commands, or keys of the next shell.
    pub(super) fn after(self, state: &mut State) {
        if self.gone && self.unasked && !Self::are_gone(state) {
            hush(state);
        }
        if state.hushed && (is_quiet(state) || Self::are_gone(state)) {
            state.hushed = false;
            state.toast.take_if(|toast| toast.text.as_str() == FOR_THE_SHELL);
            state.revision += 1;
        }
    }
}

fn hush(state: &mut State) {
    (state.hushed, state.touched) = (true, state.now);
}

/// A command about shells in the dashboard.
pub(super) fn obey(state: &mut State, command: Command) -> Vec<Effect> {
    let mut effects = Vec::new();
    match command {
        Command::Shell => effects = open(state, Way::Whole),
        Command::ShellTab => effects = open(state, Way::Pane),
        Command::Console => {
            effects = match state.console_here() {
                // In a pane: why there is none is said by the node, and stays to be read.
                Ok(door) => begin(state, door, Way::Pane),
                Err(why) => no(state, why),
            };
        }
        Command::GiveUpShell => give_up(state),
        Command::ShellsOfAll => effects = open_all(state),
        Command::Shells if state.shells.tabs.is_empty() => {
            say(state, Level::Info, "no shell is open in here; S on a board opens one");
        }
        Command::Shells => show(state),
        Command::TypeIn => {
            state.shells.follow();
            let takes_keys = state.shells.typed_into().next().is_some();
            (state.shells.typing, state.shells.lost) = (takes_keys, false);
            if !takes_keys {
                effects = anew(state);
            }
        }
        Command::Pick if state.shells.broadcast => say(state, Level::Info, "b shows one shell, to pick lines of"),
        Command::Pick => state.shells.pick(),
        Command::LetGo => (state.shells.typing, state.hushed) = (false, false),
        Command::NextTab => state.shells.turn(1),
        Command::PrevTab => state.shells.turn(-1),
        Command::Zoom => state.shells.zoomed = !state.shells.zoomed,
        Command::Broadcast if state.shells.tabs.len() < 2 => {
            say(state, Level::Info, "there is only one shell to type into");
        }
        Command::Broadcast if state.shells.broadcast => state.shells.call_off(),
        Command::Broadcast => state.shells.call_all(),
        Command::CloseTab => close(state),
        Command::ConfirmShells => effects = confirmed(state),
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

/// One that ended goes; one that runs is asked about first.
fn close(state: &mut State) {
    let Some(tab) = state.shells.front() else { return };
    if tab.end.is_none() {
        state.popup = Some(Popup::Shells(ShellsPopup::End { id: tab.id, door: tab.door.clone() }));
        return;
    }
    let id = tab.id;
    end(state, id);
}

fn end(state: &mut State, id: TabId) {
    state.shells.end(id);
    if state.shells.tabs.is_empty() {
        leave(state);
    }
}

/// Yes to a question about shells.
fn confirmed(state: &mut State) -> Vec<Effect> {
    match state.popup.take() {
        Some(Popup::Shells(ShellsPopup::End { id, .. })) => {
            end(state, id);
            Vec::new()
        }
        Some(Popup::Shells(ShellsPopup::Open { doors, .. })) => open_each(state, doors),
        other => {
            state.popup = other;
            Vec::new()
        }
    }
}

/// A shell that ended is opened again, in a tab of its own.
fn anew(state: &mut State) -> Vec<Effect> {
    let Some(door) = state.shells.front().map(|tab| tab.door.clone()) else { return Vec::new() };
    state.shells.close();
    begin(state, door, Way::Pane)
}

/// Out of the shells; they live on.
pub(super) fn leave(state: &mut State) {
    state.shells.typing = false;
    state.shells.copying = None;
    state.shells.zoomed = false;
    state.shells.part();
    state.screens.retain(|screen| !matches!(screen, Screen::Shells));
}

fn show(state: &mut State) {
    if !matches!(state.screen(), Screen::Shells) {
        state.screens.retain(|screen| !matches!(screen, Screen::Shells));
        state.screens.push(Screen::Shells);
    }
}

/// A shell on what is under the cursor. In a list of labs that is no one machine: its board opens.
fn open(state: &mut State, way: Way) -> Vec<Effect> {
    let context = state.base_context();
    if matches!(context, Context::Classes | Context::Workshops) {
        return match super::acts::lab(state) {
            Ok(lab) => {
                let board = Board::new(lab, &state.log);
                state.screens.push(Screen::Board(board));
                let key = if way == Way::Whole { "s" } else { "S" };
                no(state, format!("on which seat? {key} opens a shell on the one under the cursor"))
            }
            Err(why) => no(state, why),
        };
    }
    if context == Context::Shells && way == Way::Whole {
        return no(state, "z gives the shell the whole screen, and takes it back");
    }
    let door = match state.door_here() {
        Ok(door) => door,
        Err(why) => return no(state, why),
    };
    // It is this one that is meant, whoever was typed into before.
    if way == Way::Pane {
        state.shells.call_off();
    }
    // One that is open already is looked at again; among the shells, one more is meant.
    let open = state.shells.on(&door).filter(|_| way == Way::Pane && context != Context::Shells);
    if let Some(at) = open.and_then(|id| state.shells.tabs.iter().position(|tab| tab.id == id)) {
        (state.shells.front, state.shells.typing) = (at, true);
        show(state);
        return Vec::new();
    }
    begin(state, door, way)
}

/// Asks for it; until it is open every key is held for it.
fn begin(state: &mut State, door: Door, way: Way) -> Vec<Effect> {
    match state.shells.ask_one(door.clone(), way, state.now) {
        Some(id) => {
            let size = if way == Way::Pane { state.shells.size_of(id, state.size) } else { state.size };
            vec![Effect::OpenShell { id, door, way, size }]
        }
        None => no(state, "too many shells are open in here; x closes one"),
    }
}

/// What is being opened is not waited for any longer.
fn give_up(state: &mut State) {
    match state.shells.give_up() {
        Some(door) => say(state, Level::Info, format!("{door}: given up")),
        None if state.shells.tabs.is_empty() => leave(state),
        None => say(state, Level::Info, "going on without those that were not open"),
    }
}

/// A shell on every marked row, else on every seat that the board's filter lets through, and one keyboard for all of them.
/// Those that none can be opened on are named before any is.
fn open_all(state: &mut State) -> Vec<Effect> {
    let (doors, left) = match state.doors_of_all() {
        Ok(all) => all,
        Err(why) => return no(state, why),
    };
    if doors.is_empty() {
        return no(state, format!("no shell can be opened: {}", left.join("; ")));
    }
    if left.is_empty() {
        return open_each(state, doors);
    }
    state.popup = Some(Popup::Shells(ShellsPopup::Open { doors, left }));
    Vec::new()
}

fn open_each(state: &mut State, doors: Vec<Door>) -> Vec<Effect> {
    let mut called = Vec::new();
    let mut asked = Vec::new();
    let mut too_many = 0;
    for door in doors {
        if let Some(id) = state.shells.on(&door) {
            called.push(id);
        } else if let Some(id) = state.shells.ask(door.clone(), Way::Pane) {
            called.push(id);
            asked.push((id, door));
        } else {
            too_many += 1;
        }
    }
    let (level, more) = match too_many {
        0 => (Level::Info, String::new()),
        n => (Level::Warning, format!("; {n} more are not: {MOST} at once is the most")),
    };
    say(state, level, format!("opening {} shells{more}", asked.len()));
    state.shells.call(called);
    // What is typed from here on is for them, and no command to the list that was in front.
    show(state);
    let opened =
        |(id, door)| Effect::OpenShell { id, door, way: Way::Pane, size: state.shells.size_of(id, state.size) };
    asked.into_iter().map(opened).collect()
}

/// What was typed before it was open goes to it first.
pub(super) fn opened(state: &mut State, id: TabId) -> Vec<Effect> {
    let waited = state.shells.opening.is_some();
    let pane = state.shells.awaited(id) == Some(Way::Pane);
    let outstanding = state.shells.outstanding();
    let bytes = state.shells.opened(id);
    complete(state, outstanding);
    if pane && waited && state.shells.opening.is_none() {
        show(state);
        if let Some(Door::Console { .. }) = state.shells.front().map(|tab| &tab.door) {
            say(state, Level::Info, "enter brings up its login; ctrl-] gets the keys back, then x closes it");
        }
    }
    state.shells.fit(state.size);
    if bytes.is_empty() { Vec::new() } else { vec![Effect::Answer { id, bytes }] }
}

/// What was said of many shells on their way is over once none is.
fn complete(state: &mut State, outstanding: usize) {
    let over = state.shells.broadcast && outstanding > 0 && state.shells.outstanding() == 0;
    state.toast.take_if(|toast| over && is_passing(toast));
}

const TOO_EARLY: &str = "nothing typed goes anywhere until all are open and enter is pressed";
const FOR_THE_SHELL: &str = "that may have been meant for the shell; keys count after a moment's pause";

/// What is true no longer than it takes.
fn is_passing(toast: &Toast) -> bool {
    toast.level == Level::Info || matches!(toast.text.as_str(), TOO_EARLY | FOR_THE_SHELL)
}

/// It could not be opened. Nobody is told of one that was given up.
pub(super) fn not_opened(state: &mut State, id: TabId, door: &Door, why: Clean) {
    if state.shells.not_opened(id, &why) {
        state.shells.fit(state.size);
        super::data::notice(
            state,
            door.lab().cloned(),
            Level::Error,
            format!("{} on {}: {why}", door.kind(), door.name()),
        );
    }
}

/// What had the whole screen ended.
pub(super) fn left(state: &mut State, door: &Door, end: ShellEnd) {
    let what = format!("{door}: {}", door.kind().trim_start_matches("a ").trim_start_matches("the "));
    match end {
        Ok(0) => say(state, Level::Info, format!("{what} ended")),
        Ok(code) => say(state, Level::Info, format!("{what} ended with exit status {code}")),
        Err(why) => {
            let text = format!("{} on {}: {why}", door.kind(), door.name());
            super::data::notice(state, door.lab().cloned(), Level::Error, text);
            hush(state);
        }
    }
}

/// A key, while a shell is being opened, or just after one has ended.
pub(super) fn hold(state: &mut State, bytes: &[u8]) {
    if let Some(Popup::Bar(question)) = &mut state.popup {
        // Somebody types: the next key is no answer either.
        question.awake = false;
        if state.context() != Context::Opening {
            return;
        }
    }
    if state.hushed {
        // Why the keys are back stands there until it is read.
        if state.toast.as_ref().is_none_or(|toast| toast.level != Level::Error) {
            say(state, Level::Warning, FOR_THE_SHELL);
        }
        return;
    }
    if !state.shells.hold(bytes) {
        let text = match state.shells.opening {
            Some(_) => "more was typed ahead than is kept for it",
            None => TOO_EARLY,
        };
        say(state, Level::Warning, text);
    }
}

/// One of the tabs ended: told where it stands, and in the bottom line.
pub(super) fn ended(state: &mut State, id: TabId, end: ShellEnd) {
    let Some(tab) = state.shells.tabs.iter().find(|tab| tab.id == id) else { return };
    let place = tab.door.to_string();
    match &end {
        Ok(0) => say(state, Level::Info, format!("{place}: shell ended")),
        Ok(code) => say(state, Level::Info, format!("{place}: shell ended with exit status {code}")),
        Err(why) => say(state, Level::Error, format!("{place}: {why}")),
    }
    state.shells.ended(id, end);
}
