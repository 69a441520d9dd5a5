//! What the log shows: which lab, which seat, from which level on.

use ratatui::layout::Rect;

use super::{field, frame, keys};
use crate::{
    app::{
        Command, State,
        popup::{Field, LogFilterPopup},
    },
    domain::Level,
    tui::{pen::Page, theme::Tone},
};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, popup: &LogFilterPopup) {
    let inner = frame(page, area, 56, 6, "log filter", Tone::Accent);
    field(page, inner, 0, "lab  ", &popup.lab, popup.field == Field::Lab);
    field(page, inner, 1, "seat ", &popup.seat, popup.field == Field::Seat);
    let active = popup.field == Field::Level;
    let mut pen = page.line(inner, 2);
    pen.put("level", if active { Tone::Accent } else { Tone::Dim }).skip(2);
    for level in Level::ALL {
        let tone = if level == popup.level { Tone::Accent } else { Tone::Dim };
        let marked = if level == popup.level { format!("[{level}]") } else { format!(" {level} ") };
        pen.put(&marked, tone).skip(1);
    }
    page.line(inner, 3).skip(7).put("parts of names; empty shows all", Tone::Dim);
    let next = if active { (Command::NextValue, "louder") } else { (Command::NextField, "next field") };
    keys(page, inner, 5, state, &[next, (Command::Apply, "keep")]);
}
