//! Workshops: what is defined, and where they are started, which is not here.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::{marker, marker_tone};
use crate::{
    app::{Context, Pane, State, cursor::window},
    tui::{format, pen::Page, theme::Tone},
};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State) {
    let rows = state.shown_workshops();
    if rows.is_empty() {
        let filtered = !state.filter_text(Pane::Workshops).is_empty();
        let lines: &[&str] = match (filtered, state.definitions_known) {
            (true, _) => &["nothing matches"],
            (_, false) => &["reading the definitions"],
            _ => &[
                "no workshops yet: one machine that carries a container per seat",
                "homeroom apply -f workshop.toml, then homeroom deploy NAME",
            ],
        };
        for (row, line) in lines.iter().enumerate() {
            page.line(area, row).skip(2).put(line, Tone::Dim);
        }
        return;
    }
    let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    let at = state.workshops.cursor.position(&names).unwrap_or(0);
    let focused = state.context() == Context::Workshops;
    let height = usize::from(area.height).saturating_sub(1).max(1);
    let first = window(at, rows.len(), height);
    let name = names.iter().map(|name| name.width()).max().unwrap_or(0).clamp(5, 16) + 2;
    for (n, row) in rows.iter().enumerate().skip(first).take(height) {
        if focused && n == at {
            let style = page.look.theme.cursor_row();
            page.under(area, n - first, style);
        }
        let marked = state.workshops.marks.has(row.name.as_str());
        let marker = marker(&page.look.glyphs, n == at, marked);
        let mut pen = page.line(area, n - first);
        pen.put(marker, marker_tone(focused, marked));
        pen.col(row.name.as_str(), name, Tone::Text);
        pen.num(&format!("{} seats", row.seats), 8, Tone::Text).skip(3).put("defined", Tone::Dim).skip(3);
        pen.put(row.site.as_str(), Tone::Dim).skip(3).put(&row.image, Tone::Dim);
        if let Ok(time) = jiff::SignedDuration::try_from(row.ends_after) {
            pen.put(&format!("   for {}", format::span(time)), Tone::Dim);
        }
    }
    foot(page, area);
}

/// The honest line.
fn foot(page: &mut Page<'_>, area: Rect) {
    let last = usize::from(area.height).saturating_sub(1);
    page.line(area, last).skip(2).put("not started from here: homeroom deploy NAME, on docker sites only", Tone::Dim);
}
