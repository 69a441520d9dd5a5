//! The table itself: a row for each command, in the order of the hints.

use std::borrow::Cow;

use super::{
    super::{Key, Pane},
    Command, Context, Entry, Group,
};

use Context as C;
use Key::{BackTab, Char, Ctrl, Down, End, Enter, Esc, Home, Left, PageDown, PageUp, Right, Tab, Up};

const OVERVIEW: &[Context] = &[C::Nodes, C::Classes, C::Workshops, C::Log];
const FILTERED: &[Context] =
    &[C::Nodes, C::Classes, C::Workshops, C::Log, C::Board, C::LogScreen, C::Node, C::Runs, C::Run];
/// Where rows have columns to be ordered by.
const ORDERED: &[Context] = &[C::Nodes, C::Classes, C::Workshops, C::Board, C::Node, C::Runs, C::Run];
const LISTS: &[Context] = &[
    C::Nodes,
    C::Classes,
    C::Workshops,
    C::Log,
    C::Board,
    C::LogScreen,
    C::Runs,
    C::Run,
    C::Node,
    C::Machine,
    C::Shells,
];
const SCROLLS: &[Context] = &[
    C::Nodes,
    C::Classes,
    C::Workshops,
    C::Log,
    C::Board,
    C::LogScreen,
    C::Runs,
    C::Run,
    C::Shells,
    C::Node,
    C::PlanPopup,
    C::HelpPopup,
];
const LABS: &[Context] = &[C::Classes, C::Workshops, C::Board];
/// Where rows are marked.
const MARKED: &[Context] = &[C::Classes, C::Workshops, C::Board, C::Node];
const MACHINES: &[Context] = &[C::Classes, C::Board, C::Node, C::Machine];
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
    C::Shells,
    C::Node,
    C::Machine,
    C::Filter,
    C::PlanPopup,
    C::DestroyPopup,
    C::DeedPopup,
    C::CancelPopup,
    C::TrustPopup,
    C::PassphrasePopup,
    C::HelpPopup,
    C::LogFilterPopup,
    C::PalettePopup,
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
    Entry { command, keys: Cow::Borrowed(keys), on, hint, help, group, mutates: false }
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
    Entry { command, keys: Cow::Borrowed(keys), on, hint, help, group, mutates: true }
}

/// Every command. Hints appear in this order.
pub static TABLE: &[Entry] = &[
    looks(
        Command::Open,
        &[Enter],
        &[C::Nodes, C::Classes, C::Workshops, C::Log, C::Board, C::Runs, C::Node],
        Group::Move,
        "open",
        "open what is under the cursor",
    ),
    acts(Command::Deploy, &[Char('d')], LABS, Group::Lab, "deploy", "plan a deploy; nothing happens before your yes"),
    acts(
        Command::Shell,
        &[Char('s')],
        &[C::Board, C::Machine],
        Group::Lab,
        "shell",
        "a shell on the seat, full screen",
    ),
    acts(
        Command::ShellTab,
        &[Char('S')],
        &[C::Board, C::Machine],
        Group::Shell,
        "",
        "a shell on the seat, inside the dashboard",
    ),
    acts(
        Command::ShellsOfAll,
        &[Char('B')],
        &[C::Board],
        Group::Shell,
        "",
        "a shell on every seat shown; type into all",
    ),
    looks(Command::Shells, &[Char('T')], LISTS, Group::Shell, "", "the shells that are open inside the dashboard"),
    looks(Command::LetGo, &[Ctrl(']')], &[C::Typing], Group::Shell, "keys back", "in a shell: the keys are ours again"),
    acts(Command::TypeIn, &[Enter, Char('i')], &[C::Shells], Group::Shell, "type", "the shell has the keys"),
    looks(
        Command::NextTab,
        &[Tab, Right, Char('l')],
        &[C::Shells],
        Group::Shell,
        "next",
        "the next shell, the one before",
    ),
    looks(
        Command::PrevTab,
        &[BackTab, Left, Char('h')],
        &[C::Shells],
        Group::Shell,
        "",
        "the next shell, the one before",
    ),
    looks(Command::Zoom, &[Char('z')], &[C::Shells], Group::Shell, "zoom", "the whole screen for the shell, and back"),
    acts(
        Command::Broadcast,
        &[Char('b')],
        &[C::Shells],
        Group::Shell,
        "all",
        "all shells in sight, and typing into all of them",
    ),
    looks(
        Command::CopyText,
        &[Char('y')],
        &[C::Shells],
        Group::Shell,
        "copy",
        "copy the lines picked, or what is in sight",
    ),
    looks(
        Command::Pick,
        &[Char('v')],
        &[C::Shells],
        Group::Shell,
        "pick",
        "pick lines to copy, back to the oldest kept",
    ),
    looks(Command::CloseTab, &[Char('x')], &[C::Shells], Group::Shell, "close", "end the shell"),
    acts(Command::Retry, &[Char('r')], LABS, Group::Lab, "retry", "try again what failed"),
    acts(
        Command::Check,
        &[Char('c')],
        &[C::Classes, C::Workshops, C::Board, C::Node, C::Machine],
        Group::Lab,
        "check",
        "repeat the roll call; on a board, of the seat",
    ),
    acts(Command::Power, &[Char('p')], MACHINES, Group::Lab, "power", "start, shut down or restart; asks which"),
    acts(Command::Start, &[], MACHINES, Group::Lab, "", "start what is off, and prove it"),
    acts(Command::Stop, &[], MACHINES, Group::Lab, "", "shut down what runs"),
    acts(Command::Restart, &[], MACHINES, Group::Lab, "", "shut down, start and prove"),
    acts(
        Command::Destroy,
        &[Char('x')],
        &[C::Classes, C::Workshops, C::Board, C::Node, C::Machine],
        Group::Lab,
        "destroy",
        "remove the machines of the lab, or those marked; asks",
    ),
    acts(Command::Cancel, &[Char('C')], LABS, Group::Lab, "stop", "stop the run under way"),
    looks(
        Command::SeatLog,
        &[Char('l')],
        &[C::Board, C::Machine],
        Group::Log,
        "log",
        "the log of the seat under the cursor",
    ),
    looks(Command::Filter, &[Char('/')], FILTERED, Group::Move, "filter", "show only rows that contain a text"),
    looks(Command::Mark, &[Char(' ')], MARKED, Group::Move, "mark", "mark the row, to act on all that are marked"),
    looks(Command::Order, &[Char('o')], ORDERED, Group::Move, "", "order by the next column; turn the order round"),
    looks(
        Command::OrderReverse,
        &[Char('O')],
        ORDERED,
        Group::Move,
        "",
        "order by the next column; turn the order round",
    ),
    looks(Command::MarkRange, &[Char('v')], MARKED, Group::Move, "", "mark from the row marked last to here"),
    looks(Command::MarkAll, &[Char('a')], MARKED, Group::Move, "", "mark all that is shown, or nothing (esc)"),
    looks(Command::Runs, &[Char('R')], LABS, Group::Lab, "runs", "what was done with it, and where the time went"),
    looks(Command::LogFilter, &[Char('f')], LISTS, Group::Log, "log filter", "filter the log by lab, seat and level"),
    looks(Command::Pause, &[Char(' ')], LOGS, Group::Log, "pause", "stay on a line, or follow the newest again"),
    looks(Command::Search, &[Char('s')], LOGS, Group::Log, "search", "look for a text; the lines around it stay"),
    looks(Command::SearchUp, &[Char('n')], LOGS, Group::Log, "", "go on looking, upwards or back down"),
    looks(Command::SearchDown, &[Char('N')], LOGS, Group::Log, "", "go on looking, upwards or back down"),
    looks(Command::Wrap, &[Char('w')], LOGS, Group::Log, "wrap", "long lines go on in the next, or are cut"),
    looks(Command::Stamps, &[Char('t')], LOGS, Group::Log, "", "ages instead of times of day, or back"),
    acts(Command::SaveLog, &[Char('e')], LOGS, Group::Log, "save", "write what is shown to a file"),
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
        &[C::Board, C::LogScreen, C::Runs, C::Run, C::Node, C::Machine],
        Group::Move,
        "back",
        "back; else clears the filter",
    ),
    looks(Command::Back, &[Esc], OVERVIEW, Group::Popup, "", ""),
    looks(Command::Back, &[Esc], &[C::Shells], Group::Popup, "back", ""),
    looks(Command::Jump, &[Char('J')], LISTS, Group::Move, "", "to a lab: part of its name, or the letter before it"),
    looks(Command::Palette, &[Char(':')], LISTS, Group::Program, "command", "any command, or a lab by its name"),
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
    acts(Command::ConfirmDeed, &[Enter], &[C::DeedPopup], Group::Popup, "do it", "do it"),
    acts(Command::Start, &[Char('s')], &[C::DeedPopup], Group::Popup, "start", "start what is off"),
    acts(Command::Stop, &[Char('h')], &[C::DeedPopup], Group::Popup, "shut down", "shut down what runs"),
    acts(Command::Restart, &[Char('r')], &[C::DeedPopup], Group::Popup, "restart", "shut down and start"),
    acts(Command::ConfirmCancel, &[Enter], &[C::CancelPopup], Group::Popup, "stop the run", "stop the run"),
    acts(Command::TrustHost, &[Char('y')], &[C::TrustPopup], Group::Popup, "trust it", "trust the host key"),
    acts(Command::Unlock, &[Enter], &[C::PassphrasePopup], Group::Popup, "open it", "open the key"),
    looks(Command::ConfirmQuit, &[Enter, Char('q'), Ctrl('c')], &[C::QuitPopup], Group::Popup, "leave", "leave"),
    looks(Command::Apply, &[Enter], &[C::Filter, C::LogFilterPopup], Group::Popup, "keep", "keep the filter"),
    looks(Command::NextField, &[Tab, Down], &[C::LogFilterPopup], Group::Popup, "next field", "the next field"),
    looks(Command::PrevField, &[BackTab, Up], &[C::LogFilterPopup], Group::Popup, "", "the field before"),
    looks(Command::NextValue, &[Right], &[C::LogFilterPopup], Group::Popup, "", "the next level"),
    looks(Command::PrevValue, &[Left], &[C::LogFilterPopup], Group::Popup, "", "the level before"),
    looks(Command::Choose, &[Enter], &[C::PalettePopup], Group::Popup, "do it", "do what is chosen"),
    looks(Command::Up, &[Up, Ctrl('p')], &[C::PalettePopup], Group::Popup, "", "the row above"),
    looks(Command::Down, &[Down, Ctrl('n'), Tab], &[C::PalettePopup], Group::Popup, "", "the row below"),
    looks(
        Command::Back,
        &[Esc],
        &[
            C::PalettePopup,
            C::Filter,
            C::PlanPopup,
            C::DestroyPopup,
            C::DeedPopup,
            C::CancelPopup,
            C::QuitPopup,
            C::TrustPopup,
            C::PassphrasePopup,
            C::LogFilterPopup,
        ],
        Group::Popup,
        "back",
        "back",
    ),
    looks(Command::Back, &[Esc, Char('?'), Char('q'), Enter], &[C::HelpPopup], Group::Popup, "back", "back"),
];
