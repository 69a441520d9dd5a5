//! The log: merged over all runs, filtered, followed or paused.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::empty;
use crate::{
    app::{
        Context, State,
        log::LogLine,
        log_view::{LogFilter, LogView, Scope},
    },
    domain::{Level, StepName},
    tui::{
        format,
        pen::{Page, Pen, wrap},
        theme::Tone,
    },
};

/// Below this nothing has a column of its own but the time.
const NARROW: usize = 60;
/// Columns for the title of a narrow one.
const TITLE: usize = 12;
/// Between two columns.
const GAP: usize = 2;

/// Widths all lines share; lab and seat by the longest name there is, so that they do not jump. What a view is
/// about is not said on every line.
struct Columns {
    /// Whose a line is stands in it: there is no room for columns.
    narrow: bool,
    lab: usize,
    seat: usize,
    step: usize,
}

impl Columns {
    fn fit(state: &State, view: &LogView, width: usize) -> Self {
        let (lab, seat) = state.log.widest();
        let defined = state.definitions.iter().map(|definition| definition.name().as_str().width());
        let lab = defined.max().unwrap_or(0).max(lab).clamp(5, 14) + GAP;
        let seats = state.progress.values().flat_map(|p| &p.seats).map(|seat| seat.seat.as_str().width());
        // `student-01` comes with nearly every deploy: lines in sight are not to move for it.
        let seat = seats.max().unwrap_or(0).max(seat).clamp(10, 16) + GAP;
        let step = if width >= 100 { StepName::Configure.as_str().len() + GAP } else { 0 };
        let narrow = width < NARROW;
        match view.scope() {
            _ if narrow => Self { narrow, lab: 0, seat: 0, step: 0 },
            Scope::Everything => Self { narrow, lab, seat, step },
            Scope::Lab(_) | Scope::Run(..) => Self { narrow, lab: 0, seat, step },
            Scope::Seat(..) => Self { narrow, lab: 0, seat: 0, step: StepName::Configure.as_str().len() + GAP },
        }
    }

    /// The column of the time.
    fn at(state: &State) -> usize {
        (if state.log_style.relative { "10h 10m ago" } else { "00:00:00" }).len() + GAP
    }

    /// Columns before the message: the cursor's, these, and the level's sign.
    fn before(&self, state: &State) -> usize {
        1 + Self::at(state) + self.lab + self.seat + self.step + 2 + GAP
    }
}

/// What stands at the right of the log's title: followed or paused, and what is filtered.
pub fn status(state: &State, view: &LogView) -> Vec<(String, Tone)> {
    let LogFilter { lab, seat, level } = view.filter();
    let narrowed = |set: bool| if set { Tone::Warn } else { Tone::Dim };
    let mut pieces = Vec::new();
    let follows = view.follows();
    let narrow = usize::from(state.size.0) < NARROW;
    let newer = match view.newer() {
        0 => String::new(),
        n => format!(", {n} newer"),
    };
    let word = match (follows, narrow) {
        (true, _) => " following   ".to_owned(),
        (false, true) => format!(" paused{newer}   "),
        (false, false) => format!(" paused{newer}, G follows   "),
    };
    pieces.push((word, if follows { Tone::Dim } else { Tone::Warn }));
    if !view.text().is_empty() {
        pieces.push((format!("/{}   ", view.text()), Tone::Warn));
    }
    let named = match (lab.as_str(), seat.as_str()) {
        ("", "") => String::new(),
        (lab, "") => lab.to_owned(),
        ("", seat) => seat.to_owned(),
        (lab, seat) => format!("{lab}/{seat}"),
    };
    if !named.is_empty() {
        pieces.push((format!("{named}   "), Tone::Warn));
    } else if *view.scope() == Scope::Everything && state.definitions.len() > 1 {
        pieces.push(("all labs   ".to_owned(), Tone::Dim));
    }
    if !view.sought().is_empty() {
        pieces.push((format!("{} sought   ", view.sought()), Tone::Accent));
    }
    pieces.push((format!("{level}+ "), narrowed(*level > Level::Info)));
    // Where there is little room, what it is narrowed to gives way to whether it stands still.
    let room = usize::from(state.size.0).saturating_sub(TITLE);
    while narrow && pieces.len() > 2 && pieces.iter().map(|(text, _)| text.width()).sum::<usize>() > room {
        pieces.remove(1);
    }
    pieces
}

/// What a view is about, for a title: `log of cs101/student-10`.
pub fn title(view: &LogView) -> String {
    match view.scope() {
        Scope::Everything => "log".to_owned(),
        Scope::Lab(lab) => format!("log of {lab}"),
        Scope::Seat(lab, seat) => format!("log of {lab}/{seat}"),
        Scope::Run(lab, run) => format!("log of run {run} of {lab}"),
    }
}

/// The pane, or the log in front on a screen of its own.
pub fn draw(page: &mut Page<'_>, area: Rect, state: &State) {
    let focused = matches!(state.context(), Context::Log | Context::LogScreen);
    let view = state.log_in_front();
    // A pane that is paused stays where it is, whoever has the keys.
    shown(page, area, state, view, focused);
}

/// The last lines of a view, without a cursor.
pub fn tail(page: &mut Page<'_>, area: Rect, state: &State, view: &LogView) {
    shown(page, area, state, view, false);
}

/// The log on a screen of its own; the line under the cursor in full below.
pub fn screen(page: &mut Page<'_>, area: Rect, state: &State) {
    let view = state.log_in_front();
    let mut pen = page.line(area, 0);
    pen.skip(1).put(&title(view), Tone::Title);
    pen.right(&status(state, view));
    page.rule(area, 1, "");
    let below = 4;
    let body = Rect { y: area.y + 2, height: area.height - 2 - below, ..area };
    draw(page, body, state);
    let foot = Rect { y: body.bottom(), height: below, ..area };
    page.rule(foot, 0, "");
    if let Some(line) = view.current(&state.log) {
        let width = usize::from(area.width).saturating_sub(2);
        for (n, text) in wrap(line.message.as_str(), width).iter().enumerate() {
            page.line(foot, n + 1).skip(1).put(text, Tone::Text);
        }
    }
}

/// A page of a view, with a cursor where keys go to it.
fn shown(page: &mut Page<'_>, area: Rect, state: &State, view: &LogView, focused: bool) {
    if view.is_empty() {
        let narrowed = *view.filter() != LogFilter::default() || !view.text().is_empty();
        let filtered = narrowed && !state.log.is_empty();
        let text = if filtered { "nothing matches; F shows the whole log again" } else { "nothing has happened yet" };
        return if area.height > 2 { empty(page, area, &[text]) } else { page_line(page, area, text) };
    }
    let columns = Columns::fit(state, view, usize::from(area.width));
    let height = usize::from(area.height);
    let room = usize::from(area.width).saturating_sub(columns.before(state));
    let said = |line: &LogLine| match (columns.narrow, &line.lab, &line.seat, view.scope()) {
        (true, Some(lab), Some(seat), Scope::Everything) => format!("{lab}/{seat} {}", line.message),
        (true, Some(lab), None, Scope::Everything) => format!("{lab} {}", line.message),
        (true, _, Some(seat), Scope::Lab(_) | Scope::Run(..)) => format!("{seat} {}", line.message),
        _ => line.message.to_string(),
    };
    let told = |line: &LogLine| match state.log_style.wrapped {
        true => wrap(&said(line), room.max(10)),
        false => vec![said(line)],
    };
    let (first, n) = view.page(&state.log, height, |line| told(line).len());
    let cursor = focused.then(|| view.position()).flatten();
    let sought = view.sought().to_lowercase();
    let mut row = 0;
    for (at, line) in (first..).zip(view.lines(&state.log, first, n)) {
        let told = told(line);
        if cursor == Some(at) {
            (row..row + told.len()).for_each(|row| page.cursor_row(area, row));
        }
        let marker = if cursor == Some(at) { page.look.glyphs.cursor } else { " " };
        let mut pen = page.line(area, row);
        pen.put(marker, Tone::Accent);
        let tone = names(&mut pen, line, &columns, state);
        for (more, text) in told.iter().enumerate() {
            let mut pen = page.line(area, row + more);
            found(pen.skip(columns.before(state)), text, &sought, tone);
        }
        row += told.len();
    }
}

/// What stands before the message; the message's tone.
fn names(pen: &mut Pen<'_>, line: &LogLine, columns: &Columns, state: &State) -> Tone {
    let at = if state.log_style.relative {
        format::ago(state.now.duration_since(line.at))
    } else {
        format::clock(line.at, &state.settings.zone)
    };
    pen.cell(&at, Columns::at(state), GAP, Tone::Dim);
    if columns.lab > 0 {
        pen.cell(line.lab.as_ref().map_or("", |lab| lab.as_str()), columns.lab, GAP, Tone::Text);
    }
    if columns.seat > 0 {
        pen.cell(line.seat.as_ref().map_or("", |seat| seat.as_str()), columns.seat, GAP, Tone::Text);
    }
    if columns.step > 0 {
        pen.cell(line.step.map_or("", StepName::as_str), columns.step, GAP, Tone::Dim);
    }
    let (mark, tone) = match line.level {
        Level::Debug => ("..", Tone::Dim),
        Level::Info => ("  ", Tone::Text),
        Level::Success => ("ok", Tone::Ok),
        Level::Warning => ("!!", Tone::Warn),
        Level::Error => ("xx", Tone::Bad),
    };
    pen.put(mark, tone);
    if matches!(line.level, Level::Info | Level::Success) { Tone::Text } else { tone }
}

/// A message, with what is looked for marked in it.
fn found(pen: &mut Pen<'_>, text: &str, sought: &str, tone: Tone) {
    let lower = text.to_lowercase();
    // Letters whose cases differ in length would shift the marks.
    let hits =
        if sought.is_empty() || lower.len() != text.len() { Vec::new() } else { lower.match_indices(sought).collect() };
    let mut from = 0;
    for (at, hit) in hits {
        let end = at + hit.len();
        if let (Some(before), Some(hit)) = (text.get(from..at), text.get(at..end)) {
            pen.put(before, tone).put(hit, Tone::Accent);
            from = end;
        }
    }
    pen.put(text.get(from..).unwrap_or_default(), tone);
}

fn page_line(page: &mut Page<'_>, area: Rect, text: &str) {
    page.line(area, 0).skip(2).put(text, Tone::Dim);
}
