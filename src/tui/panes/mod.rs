//! The panes of the overview, and what they share.

pub mod classes;
pub mod log;
pub mod nodes;
pub mod workshops;

use ratatui::layout::Rect;

use super::{Glyphs, pen::Page, theme::Tone};
use crate::{
    app::{Context, State, seats::SeatRow},
    domain::MachineState,
};

/// The tone of a machine's state.
pub fn tone(state: MachineState) -> Tone {
    match state {
        MachineState::Planned | MachineState::Stopped | MachineState::Gone => Tone::Dim,
        MachineState::Working => Tone::Busy,
        MachineState::Ready => Tone::Ok,
        MachineState::Stale | MachineState::Unknown => Tone::Warn,
        MachineState::Failed => Tone::Bad,
    }
}

/// The sign and tone of a seat: of its machine's state, of a run that broke off, of waiting in a queue.
pub fn sign(glyphs: &Glyphs, seat: &SeatRow<'_>) -> (&'static str, Tone) {
    if seat.cut.is_some() {
        (glyphs.stale, Tone::Warn)
    } else if seat.queued {
        (glyphs.planned, Tone::Busy)
    } else if seat.went_off() {
        (glyphs.off, Tone::Bad)
    } else {
        (glyphs.state(seat.state), tone(seat.state))
    }
}

/// What stands before a row: the cursor, a mark, both.
pub fn marker(glyphs: &Glyphs, here: bool, marked: bool) -> &'static str {
    match (here, marked) {
        (true, true) => glyphs.cursor_marked,
        (true, false) => glyphs.cursor,
        (false, true) => glyphs.marked,
        (false, false) => " ",
    }
}

/// Its tone.
pub fn marker_tone(focused: bool, marked: bool) -> Tone {
    if focused || marked { Tone::Accent } else { Tone::Border }
}

/// The title of a column, with a sign where rows are ordered by it.
pub fn heading(glyphs: &Glyphs, state: &State, context: Context, name: &str) -> String {
    heading_as(glyphs, state, context, name, name)
}

/// The same for a column whose title stands there `shown` otherwise.
pub fn heading_as(glyphs: &Glyphs, state: &State, context: Context, name: &str, shown: &str) -> String {
    match state.ordered(context) {
        Some((column, falls)) if column == name => {
            format!("{shown}{}", if falls { glyphs.falling } else { glyphs.rising })
        }
        _ => shown.to_owned(),
    }
}

/// The same for a pane without titles: `by cpu▼`.
pub fn ordered(glyphs: &Glyphs, state: &State, context: Context) -> Option<String> {
    let (column, _) = state.ordered(context)?;
    Some(format!("by {}", heading(glyphs, state, context, column)))
}

/// Lines that stand in an empty pane and say what to do.
pub fn empty(page: &mut Page<'_>, area: Rect, lines: &[&str]) {
    for (row, line) in lines.iter().enumerate() {
        page.line(area, row + 1).skip(2).put(line, Tone::Dim);
    }
}
