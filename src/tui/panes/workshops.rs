//! Workshops: a strip of seats each, how many are ready, and how long there is still.

use ratatui::layout::Rect;

use super::classes::{Columns, lines};
use crate::{
    app::{Context, Pane, State, shown::Labs},
    tui::{pen::Page, theme::Tone},
};

/// `beside`: the classes stand beside them.
pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, labs: &Labs<'_>, beside: bool) {
    let rows = labs.shown(state, Pane::Workshops);
    if rows.is_empty() {
        let filtered = !state.filter_text(Pane::Workshops).is_empty();
        let lines: &[&str] = match (filtered, state.definitions_known) {
            (true, _) => &["nothing matches"],
            (_, false) => &["reading the definitions"],
            _ if state.kiosk.is_some() => &["no workshops yet"],
            _ => &[
                "no workshops yet: one machine that carries a container per seat",
                "n makes one; homeroom apply -f workshop.toml too",
            ],
        };
        for (row, line) in lines.iter().enumerate() {
            page.line(area, row).skip(2).put(line, Tone::Dim);
        }
        return;
    }
    let columns = Columns::fit(labs.all().filter(|row| beside || row.workshop.is_some()), usize::from(area.width));
    lines(page, area, state, &rows, &columns, &state.workshops, Context::Workshops);
}
