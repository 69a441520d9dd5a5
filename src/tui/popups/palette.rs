//! The palette: a field, and below it what the letters typed may mean.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::{field, frame, keys_beside};
use crate::{
    app::{
        Command, State,
        cursor::window,
        palette::{Palette, Row, letter},
    },
    tui::{
        pen::{Page, Pen},
        theme::Tone,
    },
};

/// Rows shown at most, and as many labs.
const ROWS: usize = 10;
const LABS: usize = 16;
/// Beyond this what a command does is told in full.
const WIDE: u16 = 104;
/// Below this names stand alone.
const NARROW: u16 = 44;

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, palette: &Palette) {
    let rows = state.palette_rows(palette);
    // As high whatever is typed: only its rows change.
    let most = if palette.labs { LABS } else { ROWS };
    let shown = most.min(usize::from(area.height).saturating_sub(6));
    let (width, title, sign) = if palette.labs {
        (48, "go to a lab", "lab:")
    } else {
        (if area.width > WIDE { 96 } else { 76 }, "command", ":")
    };
    let inner = frame(page, area, width, shown + 4, title, Tone::Accent);
    field(page, inner, 0, sign, &palette.typed, true);
    let body = Rect { y: inner.y + 2, height: u16::try_from(shown).unwrap_or(0), ..inner };
    let first = window(palette.at, rows.len(), shown);
    let narrow = inner.width < NARROW;
    let name = rows.iter().map(|row| row.name.width()).max().unwrap_or(0).clamp(12, 34) + 2;
    if rows.is_empty() {
        let told = match state.palette_elsewhere(palette).first() {
            _ if palette.labs => "no lab is called that".to_owned(),
            Some((name, place)) => format!("{name} is given {place}, or would do nothing here"),
            None => "nothing is called that, or it would do nothing here".to_owned(),
        };
        page.line(body, 0).skip(1).put(&told, Tone::Dim);
    }
    for (n, row) in rows.iter().enumerate().skip(first).take(shown) {
        if n == palette.at {
            page.cursor_row(body, n - first);
        }
        let marker = if n == palette.at { page.look.glyphs.cursor } else { " " };
        let key = row.key.map(|key| key.to_string()).unwrap_or_default();
        let mut pen = page.line(Rect { width: body.width.saturating_sub(9), ..body }, n - first);
        pen.put(marker, Tone::Accent);
        if palette.labs {
            let letter = letter(n).map_or(String::new(), String::from);
            pen.col(&letter, 3, Tone::Accent);
        }
        named(&mut pen, row, name);
        // A few letters of what it does say less than its whole name does.
        if !narrow {
            pen.put(row.help, Tone::Dim);
        }
        page.line(body, n - first).right(&[(key, Tone::Accent)]);
    }
    let last = usize::from(inner.height).saturating_sub(1);
    let at = [(format!(" {} of {}", palette.at + 1, rows.len()), Tone::Dim)];
    let beside = if rows.len() > shown { &at[..] } else { &[] };
    let does = if palette.labs { "go there" } else { "do it" };
    keys_beside(page, inner, last, state, beside, &[(Command::Choose, does)]);
}

/// The name, with the letters that were found marked.
fn named(pen: &mut Pen<'_>, row: &Row, width: usize) {
    let before = pen.room();
    let mut found = row.found.at.iter().peekable();
    for (n, c) in row.name.chars().enumerate() {
        if before - pen.room() + 2 >= width {
            break;
        }
        let tone = if found.next_if_eq(&&n).is_some() { Tone::Accent } else { Tone::Text };
        pen.put(&c.to_string(), tone);
    }
    let used = before - pen.room();
    pen.skip(width.saturating_sub(used));
}
