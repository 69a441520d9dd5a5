//! The choices of a form's field: what is typed finds them, or is a choice of its own.

use ratatui::layout::Rect;

use super::{field, frame, keys_beside};
use crate::{
    app::{
        Command, State,
        cursor::window,
        lab_form::options::{Options, Row},
    },
    tui::{
        pen::{Page, Pen},
        theme::Tone,
    },
};

/// Rows shown at most.
const ROWS: usize = 12;

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, options: &Options) {
    let Some(form) = &state.lab_form else { return };
    let Some(front) = form.form.front() else { return };
    let rows = form.option_rows(options);
    let shown = ROWS.min(usize::from(area.height).saturating_sub(6));
    let inner = frame(page, area, 56, shown + 4, front.label, Tone::Accent);
    field(page, inner, 0, "find", &options.typed, true);
    let body = Rect { y: inner.y + 2, height: u16::try_from(shown).unwrap_or(0), ..inner };
    if rows.is_empty() {
        let none = if options.typed.value().is_empty() {
            "nothing was seen to choose from; type it"
        } else {
            "no such choice"
        };
        page.line(body, 0).skip(1).put(none, Tone::Dim);
    }
    let first = window(options.at, rows.len(), shown);
    for (n, row) in rows.iter().enumerate().skip(first).take(shown) {
        if n == options.at {
            page.cursor_row(body, n - first);
        }
        let cursor = if n == options.at { page.look.glyphs.cursor } else { " " };
        let mark = if row.marked { page.look.glyphs.marked } else { " " };
        let mut pen = page.line(body, n - first);
        pen.put(cursor, Tone::Accent).put(mark, Tone::Accent).skip(1);
        match row.value.as_str() {
            "" => _ = pen.put(front.empty, Tone::Dim),
            _ => named(&mut pen, row),
        }
        if row.own {
            pen.skip(2).put("as typed", Tone::Dim);
        }
    }
    let last = usize::from(inner.height).saturating_sub(1);
    let at = [(format!(" {} of {}", options.at + 1, rows.len()), Tone::Dim)];
    let beside = if rows.len() > shown { &at[..] } else { &[] };
    let does = if form.takes_many() { "take or leave it" } else { "take it" };
    keys_beside(page, inner, last, state, beside, &[(Command::TakeOption, does)]);
}

/// The name, with the letters that were found marked.
fn named(pen: &mut Pen<'_>, row: &Row) {
    let mut found = row.found.at.iter().peekable();
    for (n, c) in row.value.chars().enumerate() {
        if pen.room() < 14 {
            let more = pen.glyphs().more;
            pen.put(more, Tone::Dim);
            break;
        }
        let tone = if found.next_if_eq(&&n).is_some() { Tone::Accent } else { Tone::Text };
        pen.put(&c.to_string(), tone);
    }
}
