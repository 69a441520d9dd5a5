//! A field's list, a name a line.

use ratatui::layout::Rect;

use super::{field_of, frame, keys_beside};
use crate::{
    app::{Command, State, cursor::window, lab_form::lines::Lines},
    tui::{pen::Page, theme::Tone},
};

/// Lines shown at most.
const ROWS: usize = 14;

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, lines: &Lines) {
    let front = state.lab_form.as_ref().and_then(|form| form.form.front());
    let label = front.map_or("", |field| field.label);
    let shown = ROWS.min(usize::from(area.height).saturating_sub(5));
    let inner = frame(page, area, 56, shown + 3, &format!("{label}: one a line"), Tone::Accent);
    let first = window(lines.at, lines.rows.len(), shown);
    for (n, input) in lines.rows.iter().enumerate().skip(first).take(shown) {
        let number = format!("{:>3}", n + 1);
        field_of(page, inner, n - first, &number, input, n == lines.at, usize::from(inner.width));
    }
    let last = usize::from(inner.height).saturating_sub(1);
    let wrong = front.and_then(|field| field.wrong.as_ref());
    if let Some(wrong) = wrong {
        page.line(inner, last - 1).skip(1).put(wrong.as_str(), Tone::Bad);
    }
    let counted = state.lab_form.as_ref().and_then(|form| form.counted()).filter(|_| lines.count() == 0);
    let told = match counted {
        Some(count) => format!(" {count} by number so far"),
        None => format!(" {} named", lines.count()),
    };
    let named = [(told, Tone::Dim)];
    keys_beside(page, inner, last, state, &named, &[(Command::NextLine, "another")]);
}
