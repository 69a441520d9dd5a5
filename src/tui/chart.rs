//! Charts of the last hour, and the site's tasks: below the numbers on the boards of nodes and machines.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::{format, pen::Page, theme::Tone};
use crate::{
    app::{State, closer::Past},
    domain::hindsight::{Hindsight, Sample},
};

/// The least a row of charts takes: a line of titles, two of bars, and one that says when.
pub const LEAST: u16 = 4;

/// CPU, memory and network of an hour, side by side.
pub fn draw(page: &mut Page<'_>, area: Rect, past: &Past) {
    let hindsight = match &past.seen {
        None => return note(page, area, "reading the last hour", Tone::Dim),
        Some(Err(why)) => return note(page, area, why.as_str(), Tone::Warn),
        Some(Ok(seen)) if seen.samples.is_empty() => {
            return note(page, area, "nothing was measured in the last hour", Tone::Dim);
        }
        Some(Ok(seen)) => seen,
    };
    let width = area.width.saturating_sub(4) / 3;
    let of = |of: fn(&Sample) -> f64| -> Vec<f64> { hindsight.samples.iter().map(of).collect() };
    let net = of(|s| s.net_in + s.net_out);
    let top = round(net.iter().copied().fold(0.0, f64::max));
    let charts = [
        Chart { name: "cpu", values: of(|s| s.cpu), top: 1.0, is_share: true },
        Chart { name: "memory", values: of(|s| s.memory), top: 1.0, is_share: true },
        Chart { name: "net", values: net, top, is_share: false },
    ];
    for (n, chart) in (0..).zip(&charts) {
        let place = Rect { x: area.x + 1 + n * (width + 1), width, ..area };
        title(page, place, chart);
        bars(page, Rect { y: area.y + 1, height: area.height.saturating_sub(2), ..place }, chart);
        let when = Rect { y: area.bottom().saturating_sub(1), height: 1, ..place };
        page.line(when, 0).put("an hour ago", Tone::Border).right(&[("now".to_owned(), Tone::Border)]);
    }
}

/// One chart.
struct Chart {
    name: &'static str,
    values: Vec<f64>,
    /// The value that fills the whole height.
    top: f64,
    /// Of what there is: it can be too much.
    is_share: bool,
}

impl Chart {
    fn told(&self, value: f64) -> String {
        if self.is_share { format::percent(value) } else { rate(value) }
    }
}

/// Its mean, its peak, and at the right what the whole height stands for, as far as there is room. Where a share
/// is meant the height needs saying least, for a rate it is all that gives the bars a meaning.
fn title(page: &mut Page<'_>, place: Rect, chart: &Chart) {
    // How it is at this moment is told by the look above, which is no mean of a minute as the last bar is.
    let mean = chart.values.iter().sum::<f64>() / chart.values.len().max(1) as f64;
    let peak = format!(", peak {}", chart.told(chart.values.iter().copied().fold(0.0, f64::max)));
    let top = format!("top {}", chart.told(chart.top));
    let mut pen = page.line(place, 0);
    let mean = chart.told(mean);
    let whole = chart.name.width() + " mean ".len() + mean.width() + 2 + top.width();
    let word = if chart.is_share || whole <= pen.room() { " mean " } else { " " };
    pen.put(chart.name, Tone::Title).put(word, Tone::Dim).put(&mean, Tone::Dim);
    let room = pen.room();
    let both = peak.width() + 2 + top.width() <= room;
    if both || chart.is_share && peak.width() <= room {
        pen.put(&peak, Tone::Dim);
    }
    if pen.room() >= top.width() + 2 {
        pen.right(&[(top, Tone::Border)]);
    }
}

/// The next rate that is easily told: 1, 2 or 5 with noughts.
fn round(most: f64) -> f64 {
    let unit = 10_f64.powf(most.max(1_000.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|n| n * unit).into_iter().find(|top| *top >= most).unwrap_or(most)
}

/// `12 kB/s`
fn rate(bytes: f64) -> String {
    match bytes {
        b if b >= 1e9 => format!("{:.1} GB/s", b / 1e9),
        b if b >= 1e6 => format!("{:.1} MB/s", b / 1e6),
        b if b >= 1e3 => format!("{:.0} kB/s", b / 1e3),
        b => format!("{b:.0} B/s"),
    }
}

fn note(page: &mut Page<'_>, area: Rect, text: &str, tone: Tone) {
    page.line(area, 0).skip(1).put(text, tone);
}

/// A column of cells for each stretch of time, eight levels a cell; the newest at the right.
fn bars(page: &mut Page<'_>, area: Rect, chart: &Chart) {
    let columns = stretched(&chart.values, usize::from(area.width));
    let rows = usize::from(area.height);
    let glyphs = page.look.glyphs.clone();
    for row in 0..rows {
        let below = (rows - 1 - row) * 8;
        let mut pen = page.line(area, row);
        for value in &columns {
            let share = value / chart.top;
            // Something is never shown as nothing.
            let eighths = ((share * (rows * 8) as f64).round() as usize).max(1);
            let (sign, tone) = match eighths.saturating_sub(below) {
                0 => (" ", Tone::Border),
                n => (glyphs.spark[n.min(8) - 1], load(share, chart.is_share)),
            };
            pen.put(sign, tone);
        }
    }
}

/// The tone of a share; what has no limit of its own is never too much.
fn load(share: f64, limited: bool) -> Tone {
    match share {
        share if limited && share >= 0.9 => Tone::Bad,
        share if limited && share >= 0.75 => Tone::Warn,
        _ => Tone::Busy,
    }
}

/// As many values as there are columns: several taken together by their mean, or one repeated.
fn stretched(values: &[f64], columns: usize) -> Vec<f64> {
    let count = values.len();
    (0..columns)
        .map(|n| {
            let (from, to) = (n * count / columns, ((n + 1) * count).div_ceil(columns));
            let some = &values[from.min(count - 1)..to.clamp(1, count)];
            some.iter().sum::<f64>() / some.len().max(1) as f64
        })
        .collect()
}

/// The heading over tasks. A simulated cluster has a clock of its own, which is ahead.
pub fn tasks_heading(state: &State) -> &'static str {
    if state.settings.speed == 1.0 { "latest tasks" } else { "latest tasks, by the simulated cluster's own clock" }
}

/// The latest tasks, a line each.
pub fn tasks(page: &mut Page<'_>, area: Rect, state: &State, seen: &Hindsight) {
    for (row, task) in seen.tasks.iter().take(usize::from(area.height)).enumerate() {
        let mut pen = page.line(area, row);
        let took = task.ended_at.map(|end| format::timer(end.duration_since(task.started_at)));
        let (end, tone) = match (&task.end, task.failed()) {
            (None, _) => ("running", Tone::Busy),
            (Some(end), true) => (end.as_str(), Tone::Bad),
            (Some(end), false) => (end.as_str(), Tone::Ok),
        };
        pen.skip(1).col(&format::clock(task.started_at, &state.settings.zone), 10, Tone::Dim);
        pen.cell(task.kind.as_str(), 14, 2, Tone::Text).cell(task.id.as_str(), 8, 1, Tone::Dim);
        pen.col(&took.unwrap_or_default(), 8, Tone::Dim).put(end, tone).put("   ", Tone::Dim);
        pen.put(task.user.as_str(), Tone::Dim);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_fits_any_number_of_columns() {
        assert_eq!(stretched(&[1.0, 3.0], 1), [2.0]);
        assert_eq!(stretched(&[1.0, 3.0], 4), [1.0, 1.0, 3.0, 3.0]);
        for columns in 1..200 {
            assert_eq!(stretched(&[0.5; 60], columns).len(), columns);
        }
    }

    #[test]
    fn the_height_of_a_rate_is_easily_told_and_never_too_low() {
        assert_eq!([0.0, 999.0, 1_001.0, 16_000.0, 69_000.0, 3.4e6].map(round), [1e3, 1e3, 2e3, 2e4, 1e5, 5e6]);
    }

    #[test]
    fn a_rate_is_told_in_a_few_letters() {
        assert_eq!([12.0, 21_000.0, 3.4e6, 1.2e9].map(rate), ["12 B/s", "21 kB/s", "3.4 MB/s", "1.2 GB/s"]);
    }
}
