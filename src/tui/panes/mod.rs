//! The panes of the overview, and what they share.

pub mod classes;
pub mod log;
pub mod nodes;
pub mod workshops;

use ratatui::layout::Rect;

use super::{Glyphs, pen::Page, theme::Tone};
use crate::{app::seats::SeatRow, domain::MachineState};

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
    if seat.interrupted {
        (glyphs.stale, Tone::Warn)
    } else if seat.queued {
        (glyphs.planned, Tone::Busy)
    } else {
        (glyphs.state(seat.state), tone(seat.state))
    }
}

/// Lines that stand in an empty pane and say what to do.
pub fn empty(page: &mut Page<'_>, area: Rect, lines: &[&str]) {
    for (row, line) in lines.iter().enumerate() {
        page.line(area, row + 1).skip(2).put(line, Tone::Dim);
    }
}
