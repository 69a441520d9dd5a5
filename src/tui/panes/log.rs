//! The log: merged over all runs, filtered, followed or paused.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::empty;
use crate::{
    app::{
        Context, State,
        cursor::window,
        log::{LogFilter, LogLine},
    },
    domain::{LabName, Level, StepName},
    tui::{format, pen::Page, theme::Tone},
};

/// Widths all lines share; lab and seat by the longest name there is, so that they do not jump.
struct Columns {
    lab: usize,
    seat: usize,
    step: usize,
}

impl Columns {
    fn fit(state: &State, width: usize) -> Self {
        let defined = state.definitions.iter().map(|definition| definition.name().as_str());
        let known = state.progress.keys().map(|lab| lab.as_str());
        let lab = defined.chain(known).map(|name| name.width()).max().unwrap_or(0).clamp(5, 12);
        let seats = state.progress.values().flat_map(|p| &p.seats).map(|seat| seat.seat.as_str().width());
        let seat = seats.max().unwrap_or(0).clamp(7, 14);
        let step = if width >= 100 { StepName::Configure.as_str().len() + 2 } else { 0 };
        Self { lab: lab + 2, seat: seat + 2, step }
    }
}

/// What stands at the right of the log's title: followed or paused, and what is filtered.
pub fn status(state: &State) -> Vec<(String, Tone)> {
    let LogFilter { lab, seat, level } = &state.log.filter;
    let narrowed = |set: bool| if set { Tone::Warn } else { Tone::Dim };
    let mut pieces = Vec::new();
    let follows = state.log.follows();
    let word = if follows { " following   " } else { " paused, G follows   " };
    pieces.push((word.to_owned(), if follows { Tone::Dim } else { Tone::Warn }));
    let text = state.log.text.value();
    if !text.is_empty() {
        pieces.push((format!("/{text}   "), Tone::Warn));
    }
    let labs = if lab.is_empty() { "all labs".to_owned() } else { lab.clone() };
    let seats = if seat.is_empty() { String::new() } else { format!("/{seat}") };
    pieces.push((format!("{labs}{seats}   "), narrowed(!lab.is_empty() || !seat.is_empty())));
    pieces.push((format!("{level}+ "), narrowed(*level > Level::Info)));
    pieces
}

/// The pane.
pub fn draw(page: &mut Page<'_>, area: Rect, state: &State) {
    let focused = matches!(state.context(), Context::Log | Context::LogScreen);
    let height = usize::from(area.height);
    if state.log.follows() && !focused {
        return lines(page, area, state, &state.log.tail(height), None);
    }
    let shown = state.log.shown();
    let at = state.log.position(&shown).unwrap_or(0);
    let first = if state.log.follows() { shown.len().saturating_sub(height) } else { window(at, shown.len(), height) };
    let visible = &shown[first..shown.len().min(first + height)];
    lines(page, area, state, visible, focused.then(|| at - first));
}

/// The last lines, without a cursor.
pub fn tail(page: &mut Page<'_>, area: Rect, state: &State) {
    lines(page, area, state, &state.log.tail(usize::from(area.height)), None);
}

/// The last lines of one lab.
pub fn tail_of(page: &mut Page<'_>, area: Rect, state: &State, lab: &LabName) {
    lines(page, area, state, &state.log.tail_of(lab, usize::from(area.height)), None);
}

/// The log on a screen of its own; the line under the cursor in full below.
pub fn screen(page: &mut Page<'_>, area: Rect, state: &State) {
    let mut pen = page.line(area, 0);
    pen.skip(1).put("log", Tone::Title);
    pen.right(&status(state));
    page.rule(area, 1, "");
    let below = 4;
    let body = Rect { y: area.y + 2, height: area.height - 2 - below, ..area };
    draw(page, body, state);
    let foot = Rect { y: body.bottom(), height: below, ..area };
    page.rule(foot, 0, "");
    let shown = state.log.shown();
    if let Some(line) = state.log.position(&shown).and_then(|at| shown.get(at)) {
        let width = usize::from(area.width).saturating_sub(2);
        for (n, text) in crate::tui::pen::wrap(line.message.as_str(), width).iter().enumerate() {
            page.line(foot, n + 1).skip(1).put(text, Tone::Text);
        }
    }
}

fn lines(page: &mut Page<'_>, area: Rect, state: &State, visible: &[&LogLine], cursor: Option<usize>) {
    if visible.is_empty() {
        let filtered = !state.log.is_empty();
        let text = if filtered { "nothing matches; F shows the whole log again" } else { "nothing has happened yet" };
        return if area.height > 2 { empty(page, area, &[text]) } else { page_line(page, area, text) };
    }
    let columns = Columns::fit(state, usize::from(area.width));
    for (row, line) in visible.iter().enumerate() {
        if cursor == Some(row) {
            let style = page.look.theme.cursor_row();
            page.under(area, row, style);
        }
        let marker = if cursor == Some(row) { page.look.glyphs.cursor } else { " " };
        let (mark, tone) = match line.level {
            Level::Debug => ("..", Tone::Dim),
            Level::Info => ("  ", Tone::Text),
            Level::Success => ("ok", Tone::Ok),
            Level::Warning => ("!!", Tone::Warn),
            Level::Error => ("xx", Tone::Bad),
        };
        let mut pen = page.line(area, row);
        pen.put(marker, Tone::Accent).put(&format::clock(line.at, &state.settings.zone), Tone::Dim).skip(2);
        pen.col(line.lab.as_ref().map_or("", |lab| lab.as_str()), columns.lab, Tone::Text);
        pen.col(line.seat.as_ref().map_or("", |seat| seat.as_str()), columns.seat, Tone::Text);
        if columns.step > 0 {
            pen.col(line.step.map_or("", StepName::as_str), columns.step, Tone::Dim);
        }
        let message = if matches!(line.level, Level::Info | Level::Success) { Tone::Text } else { tone };
        pen.put(mark, tone).skip(2).put(line.message.as_str(), message);
    }
}

fn page_line(page: &mut Page<'_>, area: Rect, text: &str) {
    page.line(area, 0).skip(2).put(text, Tone::Dim);
}
