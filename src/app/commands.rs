//! The one table of commands: what each is called, its keys, where it applies, whether it changes
//! anything outside. Keys, help, hints and the read-only mode are derived from it.

use tui_input::InputRequest;

use super::{Action, Key, Pane, State};

/// Something the person at the screen can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    Open,
    Back,
    Quit,
    Suspend,
    Help,
    Refresh,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    NextPane,
    PrevPane,
    Go(Pane),
    Filter,
    LogFilter,
    ClearLogFilter,
    SeatLog,
    Runs,
    Deploy,
    Destroy,
    Retry,
    Check,
    Shell,
    Cancel,
    ConfirmDeploy,
    ConfirmDestroy,
    ConfirmCancel,
    ConfirmQuit,
    AllowRestart,
    AllowReplace,
    AllowRemove,
    Apply,
    NextField,
    PrevField,
    NextValue,
    PrevValue,
}

/// Where keys go: the focused pane, the screen or the popup in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Context {
    Nodes,
    Classes,
    Workshops,
    Log,
    Board,
    LogScreen,
    Runs,
    Run,
    /// `/` is being typed.
    Filter,
    PlanPopup,
    DestroyPopup,
    CancelPopup,
    QuitPopup,
    HelpPopup,
    LogFilterPopup,
}

impl Context {
    /// Whether plain characters are text here.
    pub fn takes_text(self) -> bool {
        matches!(self, Self::Filter | Self::DestroyPopup | Self::LogFilterPopup)
    }
}

/// Under which heading help lists a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    Move,
    Lab,
    Log,
    Program,
    /// Inside a popup: told there, not in help.
    Popup,
}

impl Group {
    /// In the order of the help.
    pub const HELP: [(Group, &'static str); 4] =
        [(Self::Move, "moving"), (Self::Lab, "labs"), (Self::Log, "log"), (Self::Program, "program")];
}

/// A row of the table.
#[derive(Debug)]
pub struct Entry {
    pub command: Command,
    /// The key named in hints comes first.
    pub keys: &'static [Key],
    pub on: &'static [Context],
    /// A word or two for the bottom line; empty for none.
    pub hint: &'static str,
    pub help: &'static str,
    pub group: Group,
    /// Changes something on a site or in the store, or opens a way to.
    pub mutates: bool,
}

use Context as C;
use Key::{BackTab, Char, Ctrl, Down, End, Enter, Esc, Home, Left, PageDown, PageUp, Right, Tab, Up};

const OVERVIEW: &[Context] = &[C::Nodes, C::Classes, C::Workshops, C::Log];
const FILTERED: &[Context] = &[C::Nodes, C::Classes, C::Workshops, C::Log, C::Board, C::LogScreen];
const LISTS: &[Context] = &[C::Nodes, C::Classes, C::Workshops, C::Log, C::Board, C::LogScreen, C::Runs, C::Run];
const SCROLLS: &[Context] =
    &[C::Nodes, C::Classes, C::Workshops, C::Log, C::Board, C::LogScreen, C::Runs, C::Run, C::PlanPopup, C::HelpPopup];
const LABS: &[Context] = &[C::Classes, C::Workshops, C::Board];
const LOGS: &[Context] = &[C::Log, C::LogScreen];
const ANYWHERE: &[Context] = &[
    C::Nodes,
    C::Classes,
    C::Workshops,
    C::Log,
    C::Board,
    C::LogScreen,
    C::Runs,
    C::Run,
    C::Filter,
    C::PlanPopup,
    C::DestroyPopup,
    C::CancelPopup,
    C::HelpPopup,
    C::LogFilterPopup,
];

/// What the numbers of the panes do.
const PANES: &str = "nodes, classes, workshops, log";

/// A command that looks.
const fn looks(
    command: Command,
    keys: &'static [Key],
    on: &'static [Context],
    group: Group,
    hint: &'static str,
    help: &'static str,
) -> Entry {
    Entry { command, keys, on, hint, help, group, mutates: false }
}

/// A command that acts.
const fn acts(
    command: Command,
    keys: &'static [Key],
    on: &'static [Context],
    group: Group,
    hint: &'static str,
    help: &'static str,
) -> Entry {
    Entry { command, keys, on, hint, help, group, mutates: true }
}

/// Every command. Hints appear in this order.
pub static TABLE: &[Entry] = &[
    looks(
        Command::Open,
        &[Enter],
        &[C::Classes, C::Workshops, C::Log, C::Runs],
        Group::Move,
        "open",
        "open what is under the cursor",
    ),
    acts(Command::Deploy, &[Char('d')], LABS, Group::Lab, "deploy", "plan a deploy; nothing happens before your yes"),
    acts(Command::Shell, &[Char('s')], &[C::Board], Group::Lab, "shell", "a shell on the seat, full screen"),
    acts(Command::Retry, &[Char('r')], &[C::Classes, C::Board], Group::Lab, "retry", "try again what failed"),
    acts(
        Command::Check,
        &[Char('c')],
        &[C::Classes, C::Board],
        Group::Lab,
        "check",
        "repeat the roll call; on a board, of the seat",
    ),
    acts(Command::Destroy, &[Char('x')], LABS, Group::Lab, "destroy", "remove the lab's machines; asks for its name"),
    acts(Command::Cancel, &[Char('C')], &[C::Classes, C::Board], Group::Lab, "stop", "stop the run under way"),
    looks(Command::SeatLog, &[Char('l')], &[C::Board], Group::Log, "log", "the log of the seat under the cursor"),
    looks(Command::Filter, &[Char('/')], FILTERED, Group::Move, "filter", "show only rows that contain a text"),
    looks(
        Command::Runs,
        &[Char('R')],
        &[C::Classes, C::Board],
        Group::Lab,
        "runs",
        "what was done with it, and where the time went",
    ),
    looks(Command::LogFilter, &[Char('f')], LISTS, Group::Log, "log filter", "filter the log by lab, seat and level"),
    looks(Command::ClearLogFilter, &[Char('F')], LOGS, Group::Log, "", "show the whole log again"),
    looks(Command::Up, &[Char('k'), Up], SCROLLS, Group::Move, "", "up and down"),
    looks(Command::Down, &[Char('j'), Down], SCROLLS, Group::Move, "", "up and down"),
    looks(Command::PageUp, &[PageUp, Ctrl('b'), Ctrl('u')], SCROLLS, Group::Move, "", "a page up, a page down"),
    looks(Command::PageDown, &[PageDown, Ctrl('f'), Ctrl('d')], SCROLLS, Group::Move, "", "a page up, a page down"),
    looks(
        Command::Top,
        &[Char('g'), Home],
        SCROLLS,
        Group::Move,
        "",
        "the first row, the last (in the log: follow it)",
    ),
    looks(
        Command::Bottom,
        &[Char('G'), End],
        SCROLLS,
        Group::Move,
        "",
        "the first row, the last (in the log: follow it)",
    ),
    looks(Command::NextPane, &[Tab, Char('l'), Right], OVERVIEW, Group::Move, "", "the next pane, the pane before"),
    looks(Command::PrevPane, &[BackTab, Char('h'), Left], OVERVIEW, Group::Move, "", "the next pane, the pane before"),
    looks(Command::Go(Pane::Nodes), &[Char('1')], LISTS, Group::Move, "", PANES),
    looks(Command::Go(Pane::Classes), &[Char('2')], LISTS, Group::Move, "", PANES),
    looks(Command::Go(Pane::Workshops), &[Char('3')], LISTS, Group::Move, "", PANES),
    looks(Command::Go(Pane::Log), &[Char('4')], LISTS, Group::Move, "", PANES),
    looks(
        Command::Back,
        &[Esc, Char('h'), Left],
        &[C::Board, C::LogScreen, C::Runs, C::Run],
        Group::Move,
        "back",
        "back; else clears the filter",
    ),
    looks(Command::Back, &[Esc], OVERVIEW, Group::Popup, "", ""),
    looks(Command::Refresh, &[Ctrl('r'), Key::F(5)], LISTS, Group::Program, "", "ask every site now"),
    looks(Command::Help, &[Char('?'), Key::F(1)], LISTS, Group::Program, "help", "this list"),
    looks(Command::Quit, &[Char('q')], LISTS, Group::Program, "quit", "leave"),
    looks(Command::Suspend, &[Ctrl('z')], LISTS, Group::Program, "", "back to the shell for a while; fg returns"),
    looks(Command::Quit, &[Ctrl('c')], ANYWHERE, Group::Popup, "", ""),
    // Popups. What is named first stands first in their bottom line.
    acts(Command::ConfirmDeploy, &[Enter], &[C::PlanPopup], Group::Popup, "deploy", "carry out the plan"),
    acts(Command::AllowRestart, &[Char('r')], &[C::PlanPopup], Group::Popup, "", "allow restarts"),
    acts(Command::AllowReplace, &[Char('p')], &[C::PlanPopup], Group::Popup, "", "allow replacing machines"),
    acts(Command::AllowRemove, &[Char('x')], &[C::PlanPopup], Group::Popup, "", "allow removing machines"),
    acts(Command::ConfirmDestroy, &[Enter], &[C::DestroyPopup], Group::Popup, "destroy", "remove the machines"),
    acts(Command::ConfirmCancel, &[Enter], &[C::CancelPopup], Group::Popup, "stop the run", "stop the run"),
    looks(Command::ConfirmQuit, &[Enter, Char('q'), Ctrl('c')], &[C::QuitPopup], Group::Popup, "leave", "leave"),
    looks(Command::Apply, &[Enter], &[C::Filter, C::LogFilterPopup], Group::Popup, "keep", "keep the filter"),
    looks(Command::NextField, &[Tab, Down], &[C::LogFilterPopup], Group::Popup, "next field", "the next field"),
    looks(Command::PrevField, &[BackTab, Up], &[C::LogFilterPopup], Group::Popup, "", "the field before"),
    looks(Command::NextValue, &[Right], &[C::LogFilterPopup], Group::Popup, "", "the next level"),
    looks(Command::PrevValue, &[Left], &[C::LogFilterPopup], Group::Popup, "", "the level before"),
    looks(
        Command::Back,
        &[Esc],
        &[C::Filter, C::PlanPopup, C::DestroyPopup, C::CancelPopup, C::QuitPopup, C::LogFilterPopup],
        Group::Popup,
        "back",
        "back",
    ),
    looks(Command::Back, &[Esc, Char('?'), Char('q'), Enter], &[C::HelpPopup], Group::Popup, "back", "back"),
];

/// The commands this program knows: without those that change anything when it is read-only.
#[derive(Debug)]
pub struct Commands(Vec<&'static Entry>);

impl Commands {
    pub fn new(read_only: bool) -> Self {
        Self(TABLE.iter().filter(|entry| !(read_only && entry.mutates)).collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = &'static Entry> + '_ {
        self.0.iter().copied()
    }

    /// What a key asks for here.
    pub fn by_key(&self, context: Context, key: Key) -> Option<Command> {
        self.iter().find(|e| e.on.contains(&context) && e.keys.contains(&key)).map(|e| e.command)
    }

    /// Whether a command exists here.
    pub fn allows(&self, context: Context, command: Command) -> bool {
        self.iter().any(|e| e.command == command && e.on.contains(&context))
    }
}

/// What a key press means in this state; nothing if it means nothing.
pub fn action_for(state: &State, key: Key) -> Option<Action> {
    let context = state.context();
    if let Some(command) = state.commands.by_key(context, key) {
        return Some(Action::Do(command));
    }
    if context.takes_text() { edit(key).map(Action::Edit) } else { None }
}

/// What a key does in a text field.
fn edit(key: Key) -> Option<InputRequest> {
    Some(match key {
        Char(c) => InputRequest::InsertChar(c),
        Key::Backspace | Ctrl('h') => InputRequest::DeletePrevChar,
        Key::Delete => InputRequest::DeleteNextChar,
        Left => InputRequest::GoToPrevChar,
        Right => InputRequest::GoToNextChar,
        Home | Ctrl('a') => InputRequest::GoToStart,
        End | Ctrl('e') => InputRequest::GoToEnd,
        Ctrl('u') => InputRequest::DeleteLine,
        Ctrl('k') => InputRequest::DeleteTillEnd,
        Ctrl('w') => InputRequest::DeletePrevWord,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        let mut taken = HashSet::new();
        for entry in TABLE {
            for on in entry.on {
                for key in entry.keys {
                    assert!(taken.insert((*on, *key)), "{key} means two things on {on:?}");
                }
            }
        }
    }

    #[test]
    fn where_text_is_typed_no_letter_is_a_command() {
        for entry in TABLE.iter().filter(|entry| entry.on.iter().any(|on| on.takes_text())) {
            assert!(!entry.keys.iter().any(|key| matches!(key, Char(_))), "{:?}", entry.command);
        }
    }

    #[test]
    fn read_only_knows_no_command_that_changes_anything() {
        assert!(Commands::new(true).iter().all(|entry| !entry.mutates));
        assert!(!Commands::new(true).allows(C::PlanPopup, Command::ConfirmDeploy));
    }
}
