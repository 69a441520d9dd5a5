//! What matters now, in a few lines at the top of the overview that never move: what is wrong, what is running,
//! what is about to end.

use jiff::SignedDuration;
use ratatui::{layout::Rect, style::Modifier};
use unicode_width::UnicodeWidthStr;

use super::{
    format,
    panes::classes::{elapsed, left, word},
    pen::Page,
    theme::Tone,
};
use crate::{
    app::{State, labs::ClassRow, shown::Labs},
    domain::{alert::Grade, readiness::Phase},
};

/// A sign, its tone, and pieces of text in the order of their weight.
struct Matter {
    sign: &'static str,
    tone: Tone,
    told: Vec<(String, Tone)>,
    /// It wants to be looked at before the others.
    urgent: bool,
}

impl Matter {
    /// Nothing of the kind goes on.
    fn none(page: &Page<'_>, told: &str) -> Self {
        Self { sign: page.look.glyphs.dot, tone: Tone::Dim, told: vec![(told.to_owned(), Tone::Dim)], urgent: false }
    }
}

/// Columns of a text that is cut.
const LEAST: usize = 24;
/// A line for each.
pub const LINES: u16 = 3;

/// All three, a line each.
pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, labs: &Labs<'_>) {
    for (row, matter) in all(page, state, labs).iter().enumerate() {
        line(page, area, row, matter);
    }
}

/// The one that weighs most, in one line: what is wrong, else what ends soon, else what runs.
pub fn first(page: &mut Page<'_>, area: Rect, state: &State, labs: &Labs<'_>) {
    let [wrong, running, ending] = all(page, state, labs);
    let runs = running.tone == Tone::Busy;
    let told = if wrong.urgent {
        wrong
    } else if ending.urgent {
        ending
    } else if runs {
        running
    } else {
        wrong
    };
    line(page, area, 0, &told);
}

fn line(page: &mut Page<'_>, area: Rect, row: usize, matter: &Matter) {
    let mut pen = page.line(area, row);
    pen.skip(1).put(matter.sign, matter.tone).skip(1);
    // What does not fit is counted, so that nothing is left out unseen.
    let more = |n: usize| if n > 0 { format!("   and {n} more ") } else { String::new() };
    let count = matter.told.len();
    for (n, (text, tone)) in matter.told.iter().enumerate() {
        let gap = if n > 0 { 3 } else { 0 };
        let rest = more(count - n - 1);
        // The last one shown may be cut, as long as it says something.
        let needed = text.width().min(LEAST);
        if n > 0 && gap + needed + rest.width() > pen.room() {
            pen.right(&[(more(count - n), matter.tone)]);
            break;
        }
        let room = pen.room().saturating_sub(gap + rest.width());
        let width = text.width().min(room);
        pen.skip(gap).col(text, width, *tone);
        if width < text.width() {
            pen.right(&[(rest, matter.tone)]);
            break;
        }
    }
    if matter.urgent {
        let style = page.style(matter.tone).add_modifier(Modifier::BOLD);
        page.under(area, row, style);
    }
}

fn all(page: &Page<'_>, state: &State, labs: &Labs<'_>) -> [Matter; 3] {
    [wrong(page, state, labs), running(page, state, labs), ending(page, state, &labs.workshops)]
}

fn wrong(page: &Page<'_>, state: &State, labs: &Labs<'_>) -> Matter {
    let glyphs = &page.look.glyphs;
    let all = state.wrong(labs);
    let Some(worst) = all.first() else {
        let known = state.definitions_known && state.sites.values().all(|site| site.view.is_some());
        let ready: usize = labs.all().map(|row| row.ready().0).sum();
        let (text, tone) = match (known, ready) {
            (false, _) => ("waiting for the first look".to_owned(), Tone::Busy),
            (true, 0) => ("nothing is wrong".to_owned(), Tone::Ok),
            (true, n) => (format!("nothing is wrong, {} ready", format::count(n, "seat")), Tone::Ok),
        };
        let sign = if known { glyphs.ready } else { glyphs.working };
        return Matter { sign, tone, told: vec![(text, tone)], urgent: false };
    };
    let tone = |grade| if grade == Grade::Red { Tone::Bad } else { Tone::Warn };
    Matter {
        sign: if worst.grade == Grade::Red { glyphs.failed } else { glyphs.stale },
        tone: tone(worst.grade),
        told: all.iter().map(|wrong| (wrong.text.to_string(), tone(wrong.grade))).collect(),
        urgent: worst.grade == Grade::Red,
    }
}

fn running(page: &Page<'_>, state: &State, labs: &Labs<'_>) -> Matter {
    let told: Vec<_> = labs
        .all()
        .filter(|row| row.is_worked_on())
        .map(|row| {
            let (ready, all) = row.ready();
            (format!("{} {}, {ready} of {all} ready, {}", row.lab, word(row).0, elapsed(state, row)), Tone::Busy)
        })
        .collect();
    if told.is_empty() {
        return Matter::none(page, "nothing is running");
    }
    Matter { sign: page.look.glyphs.working, tone: Tone::Busy, told, urgent: false }
}

/// Workshops that end, the soonest first.
fn ending(page: &Page<'_>, state: &State, shops: &[ClassRow<'_>]) -> Matter {
    const SOON: SignedDuration = SignedDuration::from_mins(60);
    let begun = shops.iter().filter(|row| row.phase != Phase::ABSENT && !state.is_unborn(row));
    let mut lives: Vec<_> = begun.filter_map(|row| Some((row, row.life()?))).collect();
    lives.sort_by_key(|(_, life)| life.ends_at);
    let soon = lives.iter().any(|(_, life)| life.ends_at.duration_since(state.now) < SOON);
    let told: Vec<_> = lives
        .into_iter()
        .map(|(row, life)| {
            let (text, tone) = left(state, row, life);
            (format!("{} {text}", row.lab), tone)
        })
        .collect();
    if told.is_empty() {
        return Matter::none(page, "nothing ends by itself");
    }
    let tone = if soon { Tone::Warn } else { Tone::Dim };
    Matter { sign: page.look.glyphs.off, tone, told, urgent: soon }
}
