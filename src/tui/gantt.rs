//! Where a run's time went: a line per seat against time, waiting apart from working, and one sentence on
//! what held it up. Below, the steps of the seat under the cursor.

use std::time::Duration;

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::{
    format,
    panes::{self, empty, heading, ordered},
    pen::{Page, wrap},
    runs,
    theme::Tone,
};
use crate::{
    app::{Context, State, cursor::window, runs::RunBoard},
    domain::{
        StepName,
        event::RunState,
        timing::{Ruler, SeatEnd, SeatTiming, Span, SpanKind, Timing},
    },
};

/// Lines below: what held it up, two of them, a rule, three of steps.
const BELOW: u16 = 6;
/// The least that is worth a log: a rule and three lines.
const LOG: u16 = 4;
/// At the right: the seat's end.
const END: usize = 8;

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, board: &RunBoard) {
    headline(page, area, state, board);
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let timing = match &board.timing {
        None => return empty(page, body, &["reading what happened"]),
        Some(Err(why)) => return empty(page, body, &[why.as_str()]),
        Some(Ok(timing)) => timing,
    };
    if timing.seats.is_empty() {
        return empty(page, body, &["no seat took part in it"]);
    }
    let scale = Scale::fit(page, state, board, timing, usize::from(area.width));
    scale.title(page, body, &heading(&page.look.glyphs, state, Context::Run, "seat"));
    let seats = state.timed_of(board);
    if seats.is_empty() {
        return empty(page, body, &["nothing matches"]);
    }
    let keys: Vec<_> = seats.iter().map(|seat| seat.seat.as_str()).collect();
    let at = board.cursor.position(&keys).unwrap_or(0);
    let rows = Rect { y: body.y + 1, height: (body.height - 1).saturating_sub(BELOW), ..body };
    let height = usize::from(rows.height).min(seats.len());
    let first = window(at, seats.len(), height);
    let focused = state.context() == Context::Run;
    for (n, seat) in seats.iter().enumerate().skip(first).take(height) {
        if n == at {
            page.cursor_row(rows, n - first);
        }
        let marker = if n == at { page.look.glyphs.cursor } else { " " };
        page.row_spot(rows, n - first, 1, None, keys[n]);
        page.line(rows, n - first).put(marker, if focused { Tone::Accent } else { Tone::Border });
        scale.row(page, rows, n - first, seat, timing.lasted(seat));
    }
    let below = Rect { y: rows.y + u16::try_from(height).unwrap_or(0), height: BELOW, ..area };
    foot(page, below, state, timing, seats[at]);
    let log = Rect { y: below.bottom(), height: area.bottom().saturating_sub(below.bottom()), ..area };
    if log.height >= LOG && !board.log.is_empty() {
        page.rule(log, 0, "log");
        page.line(Rect { height: 1, ..log }, 0).right(&panes::log::status(state, &board.log));
        panes::log::tail(page, Rect { y: log.y + 1, height: log.height - 1, ..log }, state, &board.log);
    }
}

fn headline(page: &mut Page<'_>, area: Rect, state: &State, board: &RunBoard) {
    let run = &board.run;
    let mut pen = page.line(area, 0);
    pen.skip(1).put(&format!("run {}", run.id), Tone::Title).skip(3).put(run.kind.as_str(), Tone::Text);
    let (word, tone) = runs::word(state, run);
    pen.put(" of ", Tone::Dim).put(board.lab.as_str(), Tone::Text).skip(3).put(word, tone);
    let zone = &state.settings.zone;
    let end = run.ended_at.map_or(String::new(), |end| format!(" to {}", format::clock(end, zone)));
    let filter = board.filter.value();
    let filter = if filter.is_empty() { String::new() } else { format!("   /{filter}") };
    let order = ordered(pen.glyphs(), state, Context::Run).map_or(String::new(), |order| format!("   {order}"));
    pen.right(&[
        (filter, Tone::Warn),
        (order, Tone::Accent),
        (format!("   by {}", format::owner(run.owner.as_str())), Tone::Dim),
        (format!("   {}{end}   ", format::clock(run.started_at, zone)), Tone::Dim),
        (format!("{} ", runs::length(state, run)), Tone::Text),
    ]);
}

/// What held it up, and the seat under the cursor step by step.
fn foot(page: &mut Page<'_>, area: Rect, state: &State, timing: &Timing, seat: &SeatTiming) {
    let speed = state.settings.speed;
    let ended = timing.took.is_some() || state.orphaned.contains(&timing.run);
    let text = match timing.held_up_by(speed) {
        Some(told) => format!("held up by: {told}"),
        // Where nobody waited for anything, as in an adopt, nothing held it up.
        None if timing.state == RunState::Done => "nothing held it up".to_owned(),
        None if ended => "it did not come to its end".to_owned(),
        None => "it goes on".to_owned(),
    };
    let width = usize::from(area.width).saturating_sub(3);
    for (n, line) in wrap(&text, width).iter().take(2).enumerate() {
        page.line(area, n).skip(1).put(line, Tone::Text);
    }
    page.rule(area, 2, seat.seat.as_str());
    let mut row = 3;
    let mut pen = page.line(area, row);
    pen.skip(1);
    for span in &seat.spans {
        let (prefix, tone) = match span.kind {
            SpanKind::Waiting => ("waiting to ", Tone::Dim),
            SpanKind::Pausing => ("pause before ", Tone::Warn),
            SpanKind::Working if span.to.is_none() => ("", Tone::Busy),
            SpanKind::Working => ("", Tone::Ok),
            SpanKind::Failed => ("", Tone::Bad),
            SpanKind::BrokenOff => ("interrupted at ", Tone::Warn),
        };
        let settled = match (span.step, span.kind) {
            (StepName::Agent, SpanKind::Working) => timing.settled(seat, speed),
            _ => Duration::ZERO,
        };
        let time = match span.to {
            Some(_) if !settled.is_zero() => {
                let worked = modelled(span.lasted(), speed).saturating_sub(settled);
                format!("{} settling {}", format::took(worked), format::took(settled))
            }
            Some(_) => format::took(modelled(span.lasted(), speed)),
            None => pen.glyphs().working.to_owned(),
        };
        if pen.room() < prefix.width() + span.step.as_str().width() + time.width() + 4 {
            row += 1;
            pen = page.line(area, row);
            pen.skip(1);
        }
        pen.put(prefix, Tone::Dim).put(span.step.as_str(), Tone::Dim).skip(1).put(&time, tone).skip(2);
    }
}

fn modelled(time: Duration, speed: f64) -> Duration {
    Duration::try_from_secs_f64(time.as_secs_f64() * speed).unwrap_or(time)
}

/// Time across the screen.
struct Scale {
    seat: usize,
    ruler: Ruler,
    speed: f64,
    /// It is not over, nor broken off.
    going: bool,
}

impl Scale {
    fn fit(page: &Page<'_>, state: &State, board: &RunBoard, timing: &Timing, width: usize) -> Self {
        let seat = timing.seats.iter().map(|seat| seat.seat.as_str().width()).max().unwrap_or(0).clamp(4, 16) + 2;
        let so_far = state.now.duration_since(board.run.started_at).unsigned_abs();
        let broken_off = state.orphaned.contains(&board.run.id);
        let whole = timing.shown(broken_off).unwrap_or(so_far);
        let margin = page.look.glyphs.cursor.width() + seat + END + 1;
        Self {
            seat,
            ruler: Ruler::new(whole, width.saturating_sub(margin)),
            speed: state.settings.speed,
            going: timing.took.is_none() && !broken_off,
        }
    }

    fn title(&self, page: &mut Page<'_>, area: Rect, seat: &str) {
        page.line(area, 0).skip(1).put(seat, Tone::Dim);
        for (column, at) in self.ruler.ticks(self.speed) {
            let text = if at.is_zero() { "0s".to_owned() } else { format::took(at) };
            page.line(area, 0).skip(1 + self.seat + column).put(&text, Tone::Dim);
        }
    }

    fn row(&self, page: &mut Page<'_>, area: Rect, row: usize, seat: &SeatTiming, lasted: Option<Duration>) {
        page.line(area, row).skip(1).col(seat.seat.as_str(), self.seat, Tone::Text);
        let mut free = 0;
        for bar in self.ruler.bars(seat) {
            self.span(page, area, row, bar.span, bar.from, bar.width);
            free = bar.from + bar.width;
        }
        let glyphs = &page.look.glyphs;
        let begun = seat.spans.iter().any(|span| span.to.is_none());
        if self.going && !begun && seat.end == SeatEnd::Open {
            // Nothing is done for it now: it waits, since its last step ended.
            let rest = glyphs.dot.repeat(self.ruler.width.saturating_sub(free));
            page.line(area, row).skip(1 + self.seat + free).put(&rest, Tone::Dim);
        }
        let (sign, tone) = match seat.end {
            SeatEnd::Open if begun && self.going => (glyphs.working, Tone::Busy),
            SeatEnd::Open => (glyphs.planned, Tone::Dim),
            SeatEnd::Well(_) => (glyphs.ready, Tone::Ok),
            SeatEnd::Failed(_) => (glyphs.failed, Tone::Bad),
        };
        let text = lasted.map_or(String::new(), |at| format::took(modelled(at, self.speed)));
        page.line(area, row).skip(1 + self.seat + self.ruler.width + 1).put(sign, tone).skip(1).put(&text, Tone::Text);
    }

    fn span(&self, page: &mut Page<'_>, area: Rect, row: usize, span: &Span, from: usize, width: usize) {
        let glyphs = &page.look.glyphs;
        let (fill, tone) = match span.kind {
            SpanKind::Waiting => (glyphs.dot, Tone::Dim),
            SpanKind::Pausing => (glyphs.dot, Tone::Warn),
            SpanKind::BrokenOff => (" ", Tone::Warn),
            SpanKind::Failed => (glyphs.block, Tone::Bad),
            SpanKind::Working if span.to.is_none() => (glyphs.rule, Tone::Busy),
            SpanKind::Working => (glyphs.rule, Tone::Ok),
        };
        let bar = match (span.kind, width) {
            (SpanKind::BrokenOff, 11..) => format!("{:^width$}", "interrupted"),
            (SpanKind::Working, 1) => glyphs.block.to_owned(),
            (SpanKind::Working, _) => {
                let (left, right) = if glyphs.unicode { ("▐", "▌") } else { ("[", "]") };
                let name = span.step.as_str();
                let inside = width - 2;
                let name = if name.width() <= inside { name } else { "" };
                format!("{left}{name}{}{right}", fill.repeat(inside - name.width()))
            }
            _ => fill.repeat(width),
        };
        page.line(area, row).skip(1 + self.seat + from).put(&bar, tone);
    }
}
