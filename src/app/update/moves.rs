//! Moving about: panes, lists, filters, screens. Nothing here reaches outside.

use tui_input::{Input, InputRequest};

use super::{lab_form, say};
use crate::{
    app::{
        Command, Context, Pane, Screen, State,
        closer::Past,
        commands::TABLE,
        form::Fields,
        log_view::{LogFilter, LogView, Scope},
        machines::MachineBoard,
        marks::Marks,
        output::Output,
        palette::{self, Choice, Palette},
        popup::{LogFilterPopup, Planned, Popup},
        state::{Board, Typing},
        welcome::{self, Step, Welcome},
    },
    domain::{Clean, LabName, Level, SeatName, answers::Bar},
};

pub(super) fn go(state: &mut State, command: Command) {
    match command {
        Command::Up => step(state, -1),
        Command::Down => step(state, 1),
        Command::PageUp => step(state, -page(state)),
        Command::PageDown => step(state, page(state)),
        Command::Top => step(state, isize::MIN / 2),
        Command::Bottom => step(state, isize::MAX / 2),
        Command::NextPane => turn(state, 1),
        Command::PrevPane => turn(state, -1),
        Command::Go(pane) => {
            state.screens.truncate(1);
            state.focus = pane;
        }
        Command::Open => open(state),
        Command::Order => state.order_next(),
        Command::OrderReverse => state.order_reverse(),
        Command::Mark | Command::MarkRange | Command::MarkAll => mark(state, command),
        Command::Back => back(state),
        Command::Filter => state.typing = Some(Typing::Filter),
        Command::Search => {
            let (_, view) = state.log_to_change();
            view.search.reset();
            state.typing = Some(Typing::Search);
        }
        Command::SearchUp => seek(state, true, false),
        Command::SearchDown => seek(state, false, false),
        Command::Pause => state.log_to_change().1.pause(),
        Command::Wrap => state.log_style.wrapped = !state.log_style.wrapped,
        Command::Stamps => state.log_style.relative = !state.log_style.relative,
        Command::LogFilter => state.popup = Some(Popup::LogFilter(LogFilterPopup::new(state.log_in_front()))),
        Command::ClearLogFilter => {
            let (log, view) = state.log_to_change();
            view.text.reset();
            view.narrow(LogFilter::default(), log);
        }
        Command::SeatLog => seat_log(state),
        Command::Palette => state.popup = Some(Popup::Palette(Palette::default())),
        Command::Jump => state.popup = Some(Popup::Palette(Palette::of_labs())),
        Command::Help => state.popup = Some(Popup::Help { scroll: 0 }),
        Command::Apply => apply(state),
        Command::NextField if state.popup.is_none() => form(state, |form| form.turn(1)),
        Command::PrevField if state.popup.is_none() => form(state, |form| form.turn(-1)),
        Command::NextValue if state.popup.is_none() => form(state, |form| form.shift(1)),
        Command::PrevValue if state.popup.is_none() => form(state, |form| form.shift(-1)),
        Command::NextField => log_filter(state, |popup| popup.turn(1)),
        Command::PrevField => log_filter(state, |popup| popup.turn(-1)),
        Command::NextValue => log_filter(state, |popup| value(popup, 1)),
        Command::PrevValue => log_filter(state, |popup| value(popup, -1)),
        _ => {}
    }
}

/// Half the screen.
fn page(state: &State) -> isize {
    isize::try_from(state.size.1 / 2).unwrap_or(10).max(1)
}

fn turn(state: &mut State, by: isize) {
    let at = Pane::ALL.iter().position(|pane| *pane == state.focus).unwrap_or(0) as isize;
    state.focus = Pane::ALL[(at + by).rem_euclid(Pane::ALL.len() as isize) as usize];
}

/// Moves the cursor of whatever is in front.
fn step(state: &mut State, delta: isize) {
    match state.context() {
        Context::Log | Context::LogScreen => state.log_to_change().1.step(delta),
        Context::Shells => state.shells.scroll(delta),
        Context::Welcome => {
            if let Some(welcome) = state.welcome_mut() {
                welcome.step(delta);
            }
        }
        Context::Answers => {
            let size = state.size;
            state.asking.newest.iter_mut().for_each(|asked| asked.step(delta, size));
        }
        Context::LinePopup => {
            if let Some(Popup::Line(popup)) = &mut state.popup {
                state.asking.recall(popup, delta);
            }
        }
        Context::PlanPopup => {
            if let Some(Popup::Plan(popup)) = &mut state.popup
                && let Planned::Ready(plan) = &popup.plan
            {
                // Where there are few lines, what is to be known of the plan is scrolled with its seats.
                let rows = plan.seats.len() + plan.skipped_nodes.len() + plan.notes.len();
                popup.scroll = popup.scroll.saturating_add_signed(delta).min(rows);
            }
        }
        Context::PalettePopup => {
            if let Some(Popup::Palette(palette)) = &state.popup {
                let rows = state.palette_rows(palette).len();
                let at = palette.at.saturating_add_signed(delta).min(rows.saturating_sub(1));
                if let Some(Popup::Palette(palette)) = &mut state.popup {
                    palette.at = at;
                }
            }
        }
        Context::LabForm => lab_form::turn_group(state, delta),
        Context::OptionsPopup | Context::LinesPopup => lab_form::step(state, delta),
        Context::CopyPopup => {
            if let Some(Popup::Copy(popup)) = &mut state.popup {
                popup.at = popup.at.saturating_add_signed(delta).min(popup.offers.len().saturating_sub(1));
            }
        }
        Context::HelpPopup => {
            if let Some(Popup::Help { scroll }) = &mut state.popup {
                *scroll = scroll.saturating_add_signed(delta).min(TABLE.len());
            }
        }
        _ => {
            let keys = state.row_keys();
            if let Some(cursor) = state.cursor_to_change() {
                cursor.step(&keys, delta);
            }
        }
    }
}

/// Marks the row under the cursor, or a range, or all.
fn mark(state: &mut State, command: Command) {
    let keys = state.row_keys();
    let Some(at) = state.row_cursor().and_then(|cursor| cursor.position(&keys)) else { return };
    let Some(marks) = state.marks_to_change() else { return };
    match command {
        Command::Mark => {
            marks.toggle(&keys[at]);
            step(state, 1);
        }
        Command::MarkRange => marks.range(&keys, at),
        _ => marks.all(&keys),
    }
}

/// Turns to the row of this letter, among labs; whether there is one.
pub(super) fn lettered(state: &mut State, letter: char) -> bool {
    let Some(Popup::Palette(palette)) = &state.popup else { return false };
    let rows = if palette.labs { state.palette_rows(palette).len() } else { 0 };
    let at = (0..rows).find(|n| palette::letter(*n) == Some(letter));
    if let (Some(at), Some(Popup::Palette(palette))) = (at, &mut state.popup) {
        palette.at = at;
    }
    at.is_some()
}

/// What is chosen in the palette.
pub(super) fn chosen(state: &mut State) -> Option<Choice> {
    let Some(Popup::Palette(palette)) = &state.popup else { return None };
    let rows = state.palette_rows(palette);
    rows.into_iter().nth(palette.at).map(|row| row.choice)
}

pub(super) fn open(state: &mut State) {
    match state.context() {
        Context::Classes | Context::Workshops => {
            if let Some(lab) = state.target_lab() {
                let board = Board::new(lab, &state.log);
                state.screens.push(Screen::Board(board));
            }
        }
        Context::Log => state.screens.push(Screen::Log(None)),
        Context::Nodes => match state.chosen_node() {
            Some(board) => state.screens.push(Screen::Node(board)),
            None => say(state, Level::Info, "a node opens here; a storage has no more to tell than its line"),
        },
        Context::Board => {
            let seat = state.target_seat();
            machine(state, seat);
        }
        Context::Node => match state.chosen_guest() {
            Some(seat) => machine(state, Some(seat)),
            None => say(state, Level::Info, "that machine is no seat of a lab"),
        },
        _ => {}
    }
}

/// The machine of a seat, on a board of its own.
fn machine(state: &mut State, seat: Option<(LabName, SeatName)>) {
    if let Some((lab, seat)) = seat {
        let log = LogView::new(Scope::Seat(lab.clone(), seat.clone()), &state.log);
        state.screens.push(Screen::Machine(MachineBoard {
            lab,
            seat,
            log,
            past: Past::default(),
            output: Output::default(),
        }));
    }
}

/// One step back: out of what is typed, the popup, the screen; at the bottom it clears the filter.
fn back(state: &mut State) {
    if matches!(state.popup, Some(Popup::Bar(_))) {
        return super::bars::leave(state);
    }
    if state.popup.take().is_some() {
        return;
    }
    if state.welcome().is_some() {
        welcome::back(state);
        return;
    }
    if lab_form::is_in_front(state) {
        return lab_form::back(state);
    }
    if matches!(state.screen(), Screen::Shells) && state.shells.copying.take().is_some() {
        // Out of the pick only.
    } else if matches!(state.screen(), Screen::Shells) {
        super::shells::leave(state);
    } else if state.typing.is_none() && state.marks().is_some_and(|marks| !marks.is_empty()) {
        state.marks_to_change().into_iter().for_each(Marks::clear);
    } else if state.typing.is_some() {
        typed_into(state).into_iter().for_each(Input::reset);
        typed(state);
        state.typing = None;
    } else if matches!(state.context(), Context::Log | Context::LogScreen) && !state.log_in_front().sought().is_empty()
    {
        state.log_to_change().1.search.reset();
    } else if list_filter(state).is_some_and(|filter| !filter.value().is_empty()) {
        list_filter(state).into_iter().for_each(Input::reset);
        typed(state);
    } else if state.screens.len() > 1 {
        state.screens.pop();
    }
}

/// The log of the seat under the cursor, on a screen of its own.
fn seat_log(state: &mut State) {
    let Some((lab, seat)) = state.target_seat() else { return };
    let view = LogView::new(Scope::Seat(lab, seat), &state.log);
    state.screens.push(Screen::Log(Some(view)));
}

fn apply(state: &mut State) {
    if let Some(Popup::LogFilter(popup)) = &state.popup {
        let filter = popup.filter();
        state.popup = None;
        let (log, view) = state.log_to_change();
        view.narrow(filter, log);
    }
    state.typing = None;
}

/// The form in front.
fn fields(state: &mut State) -> Option<&mut dyn Fields> {
    match state.screens.last_mut() {
        Some(Screen::Welcome(welcome)) if matches!(welcome.step, Step::Fill) => Some(&mut welcome.form),
        Some(Screen::LabForm) => {
            state.lab_form.as_mut().filter(|form| !form.saving).map(|form| &mut form.form as &mut dyn Fields)
        }
        _ => None,
    }
}

fn form(state: &mut State, change: impl FnOnce(&mut dyn Fields)) {
    if let Some(form) = fields(state) {
        change(form);
        lab_form::typed(state);
    }
}

fn log_filter(state: &mut State, change: impl FnOnce(&mut LogFilterPopup)) {
    if let Some(Popup::LogFilter(popup)) = &mut state.popup {
        change(popup);
    }
}

/// Left and right: another level, or the cursor of a text field.
fn value(popup: &mut LogFilterPopup, by: isize) {
    match popup.input() {
        Some(input) => {
            input.handle(if by > 0 { InputRequest::GoToNextChar } else { InputRequest::GoToPrevChar });
        }
        None => popup.shift(by),
    }
}

/// Moves to a line of the log with the sought text.
fn seek(state: &mut State, up: bool, here: bool) {
    let (log, view) = state.log_to_change();
    let sought = view.sought().to_owned();
    if !view.seek(log, up, here) && !here {
        let text =
            if sought.is_empty() { "s looks for a text first".to_owned() } else { format!("no line has {sought}") };
        say(state, Level::Warning, text);
    }
}

/// The field in the bottom line.
fn typed_into(state: &mut State) -> Option<&mut Input> {
    match state.typing {
        Some(Typing::Search) => Some(&mut state.log_to_change().1.search),
        _ => list_filter(state),
    }
}

/// The `/` filter of the list in front, where there is one.
fn list_filter(state: &mut State) -> Option<&mut Input> {
    match (state.screens.last_mut(), state.focus) {
        (Some(Screen::Board(board)), _) => Some(&mut board.filter),
        (Some(Screen::Node(board)), _) => Some(&mut board.filter),
        (Some(Screen::Runs(list)), _) => Some(&mut list.filter),
        (Some(Screen::Run(board)), _) => Some(&mut board.filter),
        (Some(Screen::Log(Some(view))), _) => Some(&mut view.text),
        (Some(Screen::Machine(_) | Screen::Shells | Screen::Answers), _) => None,
        (Some(Screen::Log(None)), _) | (_, Pane::Log) => Some(&mut state.log_view.text),
        (_, Pane::Nodes) => Some(&mut state.nodes.filter),
        (_, Pane::Classes) => Some(&mut state.classes.filter),
        (_, Pane::Workshops) => Some(&mut state.workshops.filter),
    }
}

/// After the text of a field changed: the log is looked through for it.
pub(super) fn typed(state: &mut State) {
    match &mut state.popup {
        Some(Popup::Palette(palette)) => palette.at = 0,
        Some(Popup::Options(options)) => options.at = 0,
        Some(_) => {}
        None => {
            lab_form::typed(state);
            state.welcome_mut().into_iter().for_each(Welcome::typed);
        }
    }
    if state.popup.is_none() && state.typing == Some(Typing::Search) {
        seek(state, true, true);
    } else if state.popup.is_none() && matches!(state.base_context(), Context::Log | Context::LogScreen) {
        let (log, view) = state.log_to_change();
        view.read_again(log);
    }
}

/// The text field keys go to, if one is in front.
pub(super) fn input(state: &mut State) -> Option<&mut Input> {
    if state.popup.is_none() {
        return if state.typing.is_some() { typed_into(state) } else { fields(state).and_then(|form| form.text()) };
    }
    match &mut state.popup {
        Some(Popup::Destroy(popup)) => Some(&mut popup.typed),
        Some(Popup::LogFilter(popup)) => popup.input(),
        Some(Popup::Palette(palette)) => Some(&mut palette.typed),
        Some(Popup::Options(options)) => Some(&mut options.typed),
        Some(Popup::Line(popup)) => Some(&mut popup.typed),
        Some(Popup::Bar(question)) if matches!(question.bar, Bar::Locked { .. }) => Some(&mut question.typed.0),
        _ => None,
    }
}

/// Pasted text goes into the field in front, and nowhere else.
pub(super) fn paste(state: &mut State, text: &Clean) {
    if let Some(input) = input(state) {
        for c in text.as_str().chars() {
            input.handle(InputRequest::InsertChar(c));
        }
        typed(state);
    }
}

impl State {
    /// What is being typed in the bottom line.
    pub fn typed_text(&self) -> Option<&Input> {
        match self.typing {
            Some(Typing::Search) => Some(&self.log_in_front().search),
            _ => self.typed_filter(),
        }
    }

    /// The `/` filter of the list in front, where there is one.
    pub fn typed_filter(&self) -> Option<&Input> {
        match (self.screen(), self.focus) {
            (Screen::Board(board), _) => Some(&board.filter),
            (Screen::Node(board), _) => Some(&board.filter),
            (Screen::Runs(list), _) => Some(&list.filter),
            (Screen::Run(board), _) => Some(&board.filter),
            (Screen::Machine(_) | Screen::Shells | Screen::Answers, _) => None,
            (Screen::Log(_), _) | (_, Pane::Log) => Some(&self.log_in_front().text),
            (_, Pane::Nodes) => Some(&self.nodes.filter),
            (_, Pane::Classes) => Some(&self.classes.filter),
            (_, Pane::Workshops) => Some(&self.workshops.filter),
        }
    }
}
