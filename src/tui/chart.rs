//! Charts of the last hour, and the site's tasks: below the numbers on the boards of nodes and machines.

use ratatui::layout::Rect;

use super::{format, pen::Page, theme::Tone};
use crate::{
    app::{State, closer::Past},
    domain::hindsight::{Hindsight, Sample},
};

/// The least a row of charts takes: a line of titles and two of bars.
pub const LEAST: u16 = 3;

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
    let share = |of: fn(&Sample) -> f64| -> Chart {
        let values: Vec<f64> = hindsight.samples.iter().map(of).collect();
        let most = values.iter().copied().fold(0.0, f64::max);
        Chart {
            told: format!("{}, peak {}", last(&values, format::percent), format::percent(most)),
            values,
            whole: 1.0,
        }
    };
    let net: Vec<f64> = hindsight.samples.iter().map(|s| s.net_in + s.net_out).collect();
    let most = net.iter().copied().fold(0.0, f64::max);
    let net = Chart { told: format!("{}, peak {}", last(&net, rate), rate(most)), values: net, whole: most.max(1.0) };
    let charts = [("cpu", share(|s| s.cpu)), ("memory", share(|s| s.memory)), ("net", net)];
    for (n, (name, chart)) in (0..).zip(&charts) {
        let place = Rect { x: area.x + 1 + n * (width + 1), width, ..area };
        page.line(place, 0).put(name, Tone::Title).put(" ", Tone::Dim).put(&chart.told, Tone::Dim);
        bars(page, Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..place }, chart);
    }
}

/// One chart.
struct Chart {
    told: String,
    values: Vec<f64>,
    /// The value that fills the whole height.
    whole: f64,
}

fn last(values: &[f64], told: impl Fn(f64) -> String) -> String {
    values.last().map_or(String::new(), |value| told(*value))
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
            let share = value / chart.whole;
            // Something is never shown as nothing.
            let eighths = ((share * (rows * 8) as f64).round() as usize).max(1);
            let (sign, tone) = match eighths.saturating_sub(below) {
                0 => (" ", Tone::Border),
                n => (glyphs.spark[n.min(8) - 1], load(share, chart.whole)),
            };
            pen.put(sign, tone);
        }
    }
}

/// The tone of a share; what has no limit of its own is never too much.
fn load(share: f64, whole: f64) -> Tone {
    match share {
        share if whole == 1.0 && share >= 0.9 => Tone::Bad,
        share if whole == 1.0 && share >= 0.75 => Tone::Warn,
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
    fn a_rate_is_told_in_a_few_letters() {
        assert_eq!([12.0, 21_000.0, 3.4e6, 1.2e9].map(rate), ["12 B/s", "21 kB/s", "3.4 MB/s", "1.2 GB/s"]);
    }
}
