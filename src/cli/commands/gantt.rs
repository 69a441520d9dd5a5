//! Where a run's time went, as text: a line per machine against time, waiting apart from working, and below it how
//! long each step took. It draws what `domain::timing` has worked out, and judges nothing.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use crate::domain::{
    StepName,
    timing::{Bar, Ruler, SeatEnd, SeatTiming, Span, SpanKind, Timing},
};

/// How it is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Columns of the terminal.
    pub width: usize,
    /// Signs beyond ASCII are understood.
    pub unicode: bool,
    /// A line per step below each machine's.
    pub steps: bool,
    /// Modelled seconds in one of the wall's.
    pub speed: f64,
}

/// The signs a bar is made of.
struct Signs {
    left: &'static str,
    right: &'static str,
    work: &'static str,
    short: &'static str,
    wait: &'static str,
    pause: &'static str,
    failed: &'static str,
}

const UNICODE: Signs =
    Signs { left: "▐", right: "▌", work: "─", short: "█", wait: "·", pause: "~", failed: "✗" };
const ASCII: Signs = Signs { left: "[", right: "]", work: "-", short: "#", wait: ".", pause: "~", failed: "x" };

/// At the right: when the machine was through.
const END: usize = 9;
/// Beyond this a bar says no more.
const WIDEST: usize = 160;

/// The bars, with their ruler above and what the signs mean below; `whole` is the time to show.
pub fn bars(timing: &Timing, whole: Duration, style: Style) -> Vec<String> {
    let longest = timing.seats.iter().map(|seat| seat.seat.as_str().width()).max().unwrap_or(0);
    let widest_step = if style.steps { 2 + "configure".len() } else { 4 };
    let names = longest.max(widest_step) + 2;
    let ruler = Ruler::new(whole, style.width.min(WIDEST).saturating_sub(names + END).max(20));
    let signs = if style.unicode { UNICODE } else { ASCII };
    let mut lines = vec![format!("{:names$}{}", "SEAT", scale(&ruler, style.speed))];
    for seat in &timing.seats {
        let failed = if matches!(seat.end, SeatEnd::Failed(_)) { format!(" {}", signs.failed) } else { String::new() };
        let end = timing.lasted(seat).map_or(String::new(), |lasted| seconds(lasted, style.speed) + &failed);
        let bar = line(&ruler, &ruler.bars(seat), &signs);
        lines.push(format!("{:names$}{bar} {end}", seat.seat.as_str()).trim_end().to_owned());
        if style.steps {
            let steps = steps_of(seat).into_iter().map(|step| {
                let spans: Vec<_> = seat.spans.iter().filter(|span| span.step == step).map(|s| ruler.bar(s)).collect();
                let worked = seconds(seat.worked(step), style.speed);
                format!("  {:w$}{} {worked}", step.as_str(), line(&ruler, &spans, &signs), w = names - 2)
            });
            lines.extend(steps);
        }
    }
    let Signs { left, right, work, wait, pause, failed, .. } = signs;
    lines.push(format!(
        "{left}{work}{right} working   {wait} waiting   {pause} until the next attempt   {failed} failed"
    ));
    lines
}

/// The steps of a seat, by their beginning.
fn steps_of(seat: &SeatTiming) -> Vec<StepName> {
    let mut steps: Vec<StepName> = Vec::new();
    for span in &seat.spans {
        if !steps.contains(&span.step) {
            steps.push(span.step);
        }
    }
    steps
}

fn scale(ruler: &Ruler, speed: f64) -> String {
    let mut text = String::new();
    for (cell, at) in ruler.ticks(speed) {
        text.push_str(&" ".repeat(cell.saturating_sub(text.width())));
        text.push_str(&round(at));
    }
    text
}

/// `0s`, `30s`, `5m`, `2h`
fn round(at: Duration) -> String {
    match at.as_secs() {
        s if s >= 3_600 && s % 3_600 == 0 => format!("{}h", s / 3_600),
        s if s >= 60 && s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

fn line(ruler: &Ruler, bars: &[Bar<'_>], signs: &Signs) -> String {
    let mut text = String::new();
    let mut at = 0;
    for bar in bars {
        // On a line of one step, attempts may touch.
        let from = bar.from.max(at);
        let Some(width) = (bar.from + bar.width).checked_sub(from).filter(|width| *width > 0) else { continue };
        text.push_str(&" ".repeat(from - at));
        text.push_str(&drawn(bar.span, width, signs));
        at = from + width;
    }
    text.push_str(&" ".repeat(ruler.width.saturating_sub(at)));
    text
}

fn drawn(span: &Span, width: usize, signs: &Signs) -> String {
    match (span.kind, width) {
        (SpanKind::Waiting, _) => signs.wait.repeat(width),
        (SpanKind::Pausing, _) => signs.pause.repeat(width),
        (SpanKind::BrokenOff, _) => {
            let words = Some("interrupted").filter(|words| words.len() <= width).unwrap_or_default();
            format!("{words:^width$}")
        }
        (SpanKind::Failed, _) => {
            let name = Some(span.step.as_str()).filter(|name| name.len() + 2 <= width).unwrap_or_default();
            format!("{0}{name}{1}", signs.failed, signs.failed.repeat(width - 1 - name.len()))
        }
        (SpanKind::Working, 1) => signs.short.to_owned(),
        (SpanKind::Working, _) => {
            let inside = width - 2;
            let name = Some(span.step.as_str()).filter(|name| name.len() <= inside).unwrap_or_default();
            format!("{}{name}{}{}", signs.left, signs.work.repeat(inside - name.len()), signs.right)
        }
    }
}

/// `0.4s`, `12s`, `3m05s`
fn seconds(time: Duration, speed: f64) -> String {
    let seconds = time.as_secs_f64() * speed;
    match seconds.round() as u64 {
        _ if seconds < 9.95 => format!("{seconds:.1}s"),
        whole @ 0..100 => format!("{whole}s"),
        whole => format!("{}m{:02}s", whole / 60, whole % 60),
    }
}

/// A table of seconds: what each machine waited, and worked on each step. Steps that took nobody any time are left out.
pub fn table(timing: &Timing, speed: f64) -> Vec<String> {
    let modelled = |time: Duration| time.as_secs_f64() * speed;
    let noticed = |step: &StepName| timing.seats.iter().any(|seat| modelled(seat.worked(*step)) >= 0.05);
    // As they begin: a restart's shutdown comes first.
    let mut first: BTreeMap<StepName, Duration> = BTreeMap::new();
    for span in timing.seats.iter().flat_map(|seat| &seat.spans) {
        let at = first.entry(span.step).or_insert(span.from);
        *at = span.from.min(*at);
    }
    let mut steps: Vec<StepName> = first.keys().copied().filter(|step| noticed(step)).collect();
    steps.sort_by_key(|step| first.get(step));
    if steps.is_empty() {
        return Vec::new();
    }
    let cell = |seconds: f64| if seconds == 0.0 { "-".to_owned() } else { format!("{seconds:.1}") };
    // Settling is no work of the agent's, and stands beside it.
    let settled = |seat: &SeatTiming| timing.settled(seat, speed).as_secs_f64();
    let settles = |step: StepName| step == StepName::Agent && timing.seats.iter().any(|seat| settled(seat) > 0.0);
    let mut rows = vec![vec!["SECONDS".to_owned(), "waiting".to_owned()]];
    for step in &steps {
        rows[0].push(step.to_string());
        rows[0].extend(settles(*step).then(|| "settling".to_owned()));
    }
    for seat in &timing.seats {
        let mut row = vec![seat.seat.to_string(), cell(modelled(seat.waited()))];
        for step in &steps {
            row.push(cell(timing.seconds(seat, *step, speed).as_secs_f64()));
            row.extend(settles(*step).then(|| cell(settled(seat))));
        }
        rows.push(row);
    }
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0))
        .collect();
    let text = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let padded = cells.map(|(n, (cell, w))| if n == 0 { format!("{cell:w$}") } else { format!("{cell:>w$}") });
        padded.collect::<Vec<_>>().join(" ")
    };
    rows.iter().map(text).collect()
}

/// Every machine's stretches of time, in modelled seconds from the beginning of the run.
pub fn to_json(timing: &Timing, speed: f64) -> Value {
    let modelled = |time: Duration| (time.as_secs_f64() * speed * 1_000.0).round() / 1_000.0;
    let spans = |seat: &SeatTiming| -> Vec<Value> {
        let told = |span: &Span| json!({"step": span.step, "kind": span.kind.as_str(), "from": modelled(span.from), "to": span.to.map(modelled)});
        seat.spans.iter().map(told).collect()
    };
    let seats = timing.seats.iter().map(|seat| {
        json!({
            "seat": seat.seat, "node": seat.node, "waited": modelled(seat.waited()),
            "settled": timing.settled(seat, speed).as_secs_f64(),
            "ended": seat.end.at().map(modelled), "spans": spans(seat),
        })
    });
    Value::Array(seats.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::{
        Change, NodeName, SiteName, Vmid,
        event::{RunKind, RunState},
        timing::fixture::event,
    };

    /// Two machines: one is cloned, waits and starts; the other fails its second attempt to start.
    fn timing() -> Timing {
        let site = SiteName::new("sim").unwrap();
        let begun = Change::StepStarted { attempt: 1 };
        let done = Change::StepDone { took: Duration::ZERO };
        let retry = Change::StepRetry { wait: Duration::from_secs(5), of: 3 };
        let failed = Change::StepFailed { took: Duration::ZERO };
        let reserved = Change::Reserved { node: NodeName::new("pve1"), vmid: Vmid::new(9101).unwrap() };
        let (clone, start) = (Some(StepName::Clone), Some(StepName::Start));
        let events = [
            event(0, None, None, Change::RunStarted { kind: RunKind::Deploy, site, owner: "ada".into() }),
            event(0, Some("ada"), None, reserved.clone()),
            event(0, Some("ada"), clone, begun.clone()),
            event(8_000, Some("ada"), clone, done.clone()),
            event(20_000, Some("ada"), start, begun.clone()),
            event(30_000, Some("ada"), start, done.clone()),
            event(30_000, Some("ada"), None, Change::SeatReady),
            event(0, Some("grace"), None, reserved),
            event(0, Some("grace"), start, begun.clone()),
            event(10_000, Some("grace"), start, retry),
            event(15_000, Some("grace"), start, begun),
            event(40_000, Some("grace"), start, failed),
            event(40_000, Some("grace"), None, Change::SeatFailed),
            event(40_000, None, None, Change::RunEnded { state: RunState::Failed }),
        ];
        Timing::of(&events, None).unwrap()
    }

    fn drawn_as(style: Style) -> Vec<String> {
        let timing = timing();
        bars(&timing, timing.shown(false).unwrap(), style)
    }

    #[test]
    fn a_run_is_drawn_for_a_narrow_terminal_in_ascii() {
        let lines = drawn_as(Style { width: 80, unicode: false, steps: false, speed: 1.0 });
        insta::assert_snapshot!(lines.join("\n"), @r"
        SEAT   0s              10s             20s             30s
        ada    [clone-----]....................[start---------]                 30s
        grace  [start---------]~~~~~~~~xstartxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx 40s x
        [-] working   . waiting   ~ until the next attempt   x failed
        ");
        assert!(lines.iter().all(|line| line.is_ascii() && line.len() <= 80), "{lines:#?}");
    }

    #[test]
    fn each_step_has_a_line_of_its_own_where_asked_for() {
        let lines = drawn_as(Style { width: 60, unicode: true, steps: true, speed: 10.0 });
        insta::assert_snapshot!(lines.join("\n"), @r"
        SEAT         0s         2m         4m
        ada          ▐clone▌············▐start──▌           5m00s
          clone      ▐clone▌                                80s
          start             ············▐start──▌           1m40s
        grace        ▐start──▌~~~~~✗start✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗ 6m40s ✗
          start      ▐start──▌~~~~~✗start✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗✗ 5m50s
        ▐─▌ working   · waiting   ~ until the next attempt   ✗ failed
        ");
    }

    #[test]
    fn seconds_are_told_by_step_and_apart_from_waiting() {
        insta::assert_snapshot!(table(&timing(), 1.0).join("\n"), @r"
        SECONDS waiting clone start
        ada        12.0   8.0  10.0
        grace       5.0     -  35.0
        ");
        let told = to_json(&timing(), 2.0);
        assert_eq!(told[0]["waited"], 24.0);
        assert_eq!(told[0]["spans"][1], json!({"step": "start", "kind": "waiting", "from": 16.0, "to": 40.0}));
        assert_eq!(told[1]["ended"], 80.0);
    }
}
