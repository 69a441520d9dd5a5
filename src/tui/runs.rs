//! The runs of a lab: what was done, by whom, how it ended, how long it took.

use jiff::SignedDuration;
use ratatui::layout::Rect;

use super::{
    format,
    panes::{empty, heading},
    pen::Page,
    theme::Tone,
};
use crate::{
    app::{Context, State, cursor::window, runs::RunList},
    domain::{event::RunState, progress::RunProgress},
};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, list: &RunList) {
    let mut pen = page.line(area, 0);
    pen.skip(1).put(list.lab.as_str(), Tone::Title).skip(3).put("runs", Tone::Text);
    let filter = list.filter.value();
    if !filter.is_empty() {
        pen.right(&[(format!("/{filter} "), Tone::Warn)]);
    }
    let mut pen = page.line(area, 1);
    let glyphs = pen.glyphs();
    let heading = |name| heading(glyphs, state, Context::Runs, name);
    pen.skip(1).num(&heading("run"), 5, Tone::Dim).skip(3).col(&heading("what"), 10, Tone::Dim);
    pen.col(&heading("state"), 13, Tone::Dim).col("began", 14, Tone::Dim);
    pen.col(&heading("took"), 8, Tone::Dim).put(&heading("by"), Tone::Dim);
    let body = Rect { y: area.y + 2, height: area.height - 2, ..area };
    let runs = match &list.runs {
        None => return empty(page, body, &["reading the runs"]),
        Some(Err(why)) => return empty(page, body, &[why.as_str()]),
        Some(Ok(runs)) if runs.is_empty() => return empty(page, body, &["nothing was done with it yet"]),
        Some(Ok(_)) => state.runs_of(list),
    };
    if runs.is_empty() {
        return empty(page, body, &["nothing matches"]);
    }
    let keys: Vec<_> = runs.iter().map(|run| run.id.to_string()).collect();
    let at = list.cursor.position(&keys).unwrap_or(0);
    let height = usize::from(body.height);
    let first = window(at, runs.len(), height);
    let focused = state.context() == Context::Runs;
    for (n, run) in runs.iter().enumerate().skip(first).take(height) {
        if n == at {
            page.cursor_row(body, n - first);
        }
        let marker = if n == at { page.look.glyphs.cursor } else { " " };
        page.row_spot(body, n - first, 1, None, &keys[n]);
        let mut pen = page.line(body, n - first);
        pen.put(marker, if focused { Tone::Accent } else { Tone::Border });
        pen.num(&run.id.to_string(), 5, Tone::Text).skip(3).col(run.kind.as_str(), 10, Tone::Text);
        let (word, tone) = word(state, run);
        pen.col(word, 13, tone);
        pen.col(&format::moment(run.started_at, state.now, &state.settings.zone), 14, Tone::Dim);
        pen.col(&length(state, run), 8, Tone::Text).put(format::owner(run.owner.as_str()), Tone::Dim);
    }
}

/// How a run stands, in a word.
pub fn word(state: &State, run: &RunProgress) -> (&'static str, Tone) {
    match run.state {
        RunState::Running if state.orphaned.contains(&run.id) => (RunState::Interrupted.as_str(), Tone::Warn),
        RunState::Running => ("running", Tone::Busy),
        RunState::Done => ("done", Tone::Ok),
        RunState::Failed => ("failed", Tone::Bad),
        RunState::Interrupted | RunState::Cancelled => (run.state.as_str(), Tone::Warn),
    }
}

/// How long it took, or has been going on.
pub fn length(state: &State, run: &RunProgress) -> String {
    match run.ended_at {
        None if state.orphaned.contains(&run.id) => String::new(),
        None => format::timer(state.lasted(run)),
        Some(_) => format::timer(SignedDuration::from_secs(state.lasted(run).as_secs_f64().round() as i64)),
    }
}
