//! What the log shows: which lab, which seat, from which level on.

use ratatui::layout::Rect;

use super::{field, frame, keys};
use crate::{
    app::{
        Command, State,
        popup::{Field, LogFilterPopup},
    },
    domain::Level,
    tui::{panes::log, pen::Page, theme::Tone},
};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, popup: &LogFilterPopup) {
    let names = popup.fields.len() > 1;
    let lines = popup.fields.len() + if names { 3 } else { 2 };
    let title = format!("{}: what to show", log::title(state.log_in_front()));
    let inner = frame(page, area, 60, lines, &title, Tone::Accent);
    for (row, which) in popup.fields.iter().enumerate() {
        let active = popup.field == *which;
        match which {
            Field::Lab => field(page, inner, row, "lab  ", &popup.lab, active),
            Field::Seat => field(page, inner, row, "seat ", &popup.seat, active),
            Field::Level => level(page, inner, row, popup, active),
        }
    }
    if names {
        page.line(inner, popup.fields.len()).skip(7).put("parts of names; empty shows all", Tone::Dim);
    }
    let active = popup.field == Field::Level;
    let next = if active { (Command::NextValue, "louder") } else { (Command::NextField, "next field") };
    keys(page, inner, usize::from(inner.height).saturating_sub(1), state, &[next, (Command::Apply, "keep")]);
}

fn level(page: &mut Page<'_>, area: Rect, row: usize, popup: &LogFilterPopup, active: bool) {
    let mut pen = page.line(area, row);
    pen.put("level", if active { Tone::Accent } else { Tone::Dim }).skip(2);
    let all: usize = Level::ALL.iter().map(|level| level.as_str().len() + 3).sum();
    if all > pen.room() + 1 {
        // Those that do not fit would look as if there were none.
        let louder = if popup.level == Level::Error { "" } else { " and louder" };
        pen.put(&format!("[{}]", popup.level), Tone::Accent).put(louder, Tone::Dim);
        return;
    }
    for level in Level::ALL {
        let tone = if level == popup.level { Tone::Accent } else { Tone::Dim };
        let marked = if level == popup.level { format!("[{level}]") } else { format!(" {level} ") };
        pen.put(&marked, tone).skip(1);
    }
}
