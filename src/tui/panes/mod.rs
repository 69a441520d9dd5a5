//! The panes of the overview, and what they share.

pub mod classes;
pub mod log;
pub mod nodes;
pub mod workshops;

use ratatui::layout::Rect;

use super::{pen::Page, theme::Tone};
use crate::domain::MachineState;

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

/// Lines that stand in an empty pane and say what to do.
pub fn empty(page: &mut Page<'_>, area: Rect, lines: &[&str]) {
    for (row, line) in lines.iter().enumerate() {
        page.line(area, row + 1).skip(2).put(line, Tone::Dim);
    }
}
