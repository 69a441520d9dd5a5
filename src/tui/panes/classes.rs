//! Classes, and workshops by the same lines: a strip of seats each, how many are ready, and what the class is at.

use jiff::SignedDuration;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::{empty, marker, marker_tone, nodes, sign, tone};
use crate::{
    app::{Context, Pane, State, cursor::window, labs::ClassRow, seats::SeatRow, shown::Labs, state::List},
    domain::{
        MachineState, Role,
        class::ClassDefinition,
        event::RunKind,
        life::{Life, WARNINGS},
        readiness::{LabState, Phase},
        workshop::WorkshopDefinition,
    },
    tui::{
        format,
        pen::{Page, Pen},
        theme::Tone,
    },
};

/// States in the order a condensed strip counts them.
const COUNTED: [MachineState; 8] = [
    MachineState::Ready,
    MachineState::Working,
    MachineState::Planned,
    MachineState::Stopped,
    MachineState::Stale,
    MachineState::Unknown,
    MachineState::Failed,
    MachineState::Gone,
];

/// `beside`: the workshops stand beside them.
pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, labs: &Labs<'_>, beside: bool) {
    let rows = labs.shown(state, Pane::Classes);
    if rows.is_empty() {
        let lines: &[&str] = match (state.filter_text(Pane::Classes).is_empty(), state.definitions_known) {
            (false, _) => &["nothing matches"],
            (_, false) => &["reading the definitions"],
            _ if state.kiosk.is_some() => &["no classes yet"],
            _ => &["no classes yet", "n makes one; homeroom apply -f class.toml too"],
        };
        return empty(page, area, lines);
    }
    let columns = Columns::fit(labs.all().filter(|row| beside || row.workshop.is_none()), usize::from(area.width));
    lines(page, area, state, &rows, &columns, &state.classes, Context::Classes);
}

/// Room from which on a reason says something.
const REASON: usize = 40;

/// A line per lab, with the cursor and the marks of their list.
pub fn lines(
    page: &mut Page<'_>,
    area: Rect,
    state: &State,
    rows: &[&ClassRow<'_>],
    columns: &Columns,
    list: &List,
    context: Context,
) {
    let names: Vec<_> = rows.iter().map(|row| row.lab.as_str()).collect();
    let at = list.cursor.position(&names).unwrap_or(0);
    let focused = state.context() == context;
    let first = window(at, rows.len(), usize::from(area.height));
    for (n, row) in rows.iter().enumerate().skip(first).take(usize::from(area.height)) {
        if focused && n == at {
            page.cursor_row(area, n - first);
        }
        let marked = list.marks.has(row.lab.as_str());
        let marker = marker(&page.look.glyphs, n == at, marked);
        let pane = if context == Context::Workshops { Pane::Workshops } else { Pane::Classes };
        page.row_spot(area, n - first, 1, Some(pane), row.lab.as_str());
        let mut pen = page.line(area, n - first);
        pen.put(marker, marker_tone(focused, marked));
        class(&mut pen, row, columns, state);
        let old = row.site().filter(|_| row.standing().next().is_some()).and_then(|site| nodes::aged(state, site));
        if let Some(old) = old {
            let y = area.y + u16::try_from(n - first).unwrap_or(0);
            page.aged(Rect { x: area.x + 1, y, width: area.width.saturating_sub(1), height: 1 }, &old);
        }
    }
}

/// Widths that all rows share, those of workshops too where they stand below the classes.
pub struct Columns {
    name: usize,
    strip: usize,
}

impl Columns {
    /// Marker, name, strip, count (7), state (12) and at least 18 columns for what it is at.
    pub fn fit<'a>(rows: impl Iterator<Item = &'a ClassRow<'a>>, width: usize) -> Self {
        let wanted = |(name, strip): (usize, usize), row: &ClassRow<'_>| {
            (name.max(row.lab.as_str().width()), strip.max(places(row).count()))
        };
        let (name, wanted) = rows.fold((0, 0), wanted);
        let (name, wanted) = (name.clamp(5, 16) + 2, wanted.clamp(5, 50));
        let room = width.saturating_sub(1 + name + 9 + 12 + 24).max(11);
        Self { name, strip: wanted.min(room) + 2 }
    }
}

fn class(pen: &mut Pen<'_>, row: &ClassRow<'_>, columns: &Columns, state: &State) {
    let named = if row.phase == Phase::ABSENT { Tone::Text } else { Tone::Title };
    pen.col(row.lab.as_str(), columns.name, named);
    strip(pen, row, columns.strip, state);
    let (ready, all) = row.ready();
    pen.num(&format!("{ready}/{all}"), 5, Tone::Text).skip(2);
    let (word, tone) = word(row);
    pen.col(word, 12, tone);
    note(pen, row, state);
}

/// The seats of a lab: its host is nobody's place.
fn places<'a, 'r>(row: &'a ClassRow<'r>) -> impl Iterator<Item = &'a SeatRow<'r>> {
    row.seats.iter().filter(|seat| seat.role != Role::Host)
}

/// A cell per seat, one that is taken told apart; where they do not fit, a count per state.
fn strip(pen: &mut Pen<'_>, row: &ClassRow<'_>, width: usize, state: &State) {
    let glyphs = pen.glyphs();
    let count = places(row).count();
    let rest = if count + 2 <= width {
        for seat in places(row) {
            let (sign, tone) = sign(glyphs, seat);
            let taken = seat.state == MachineState::Ready && state.sitting(row.lab, &seat.seat).is_some();
            pen.put(if taken { glyphs.taken } else { sign }, tone);
        }
        width - count
    } else {
        let room = pen.room();
        let mut used = 0;
        for state in COUNTED {
            let count = places(row).filter(|seat| seat.state == state && seat.cut.is_none()).count();
            let text = format!("{}{count} ", glyphs.state(state));
            if count > 0 && used + text.width() <= width {
                used += text.width();
                pen.put(&text, tone(state));
            }
        }
        let text = format!("{}{} ", glyphs.stale, row.cut_short());
        if row.cut_short() > 0 && used + text.width() <= width {
            pen.put(&text, Tone::Warn);
        }
        width.saturating_sub(room - pen.room())
    };
    pen.skip(rest);
}

/// The state of the whole, in a word.
pub fn word(row: &ClassRow<'_>) -> (&'static str, Tone) {
    let tone = match row.phase {
        Phase::Is(LabState::Absent | LabState::Stopped) => Tone::Dim,
        Phase::Is(LabState::Deploying | LabState::Destroying) | Phase::At(_) => Tone::Busy,
        Phase::Is(LabState::Ready) => Tone::Ok,
        Phase::Is(LabState::Partial) | Phase::Cut(_) | Phase::Unseen => Tone::Warn,
        Phase::Is(LabState::Failed) | Phase::Gone => Tone::Bad,
    };
    (row.phase.word(), tone)
}

/// What it is at: time and run, how long it is up, or the first thing that is wrong, in words.
fn note(pen: &mut Pen<'_>, row: &ClassRow<'_>, state: &State) {
    if let Some(run) = row.running() {
        let failed = row.seats.iter().find(|seat| seat.state == MachineState::Failed && seat.cut.is_none());
        let (mut time, run) = (elapsed(state, row), format!("   run {}", run.id));
        if time.width() + run.width() > pen.room() {
            time = time.replace(" of about ", " of ~");
        }
        pen.put(&time, Tone::Text);
        // What is wrong matters more than the number of the run.
        if failed.is_none() || pen.room() >= run.width() + REASON {
            pen.put(&run, Tone::Dim);
        }
        if let Some(seat) = failed {
            pen.skip(3);
            wrong(pen, seat);
        }
        return;
    }
    if let (Phase::Cut(_), Some(run), 0) = (row.phase, row.run(), row.count(MachineState::Failed)) {
        code(pen, row);
        let in_hand = row.in_hand().map(|seats| format!(", {seats} in hand")).unwrap_or_default();
        let next = match run.kind {
            RunKind::Deploy | RunKind::Rebuild => "; d goes on",
            RunKind::Destroy | RunKind::Rollback => "; x goes on",
            _ => "",
        };
        pen.put(&format!("run {}{in_hand}{next}", run.id), Tone::Warn);
        return;
    }
    let first = [MachineState::Failed, MachineState::Gone, MachineState::Unknown, MachineState::Stale]
        .into_iter()
        .find_map(|state| row.seats.iter().find(|seat| seat.state == state && seat.cut.is_none()))
        .or_else(|| row.seats.iter().find(|seat| seat.went_off()));
    match (first, row.phase) {
        (Some(seat), _) => {
            code(pen, row);
            wrong(pen, seat);
        }
        (None, Phase::ABSENT) => {
            let ways = row.definition.map(outline).or(row.workshop.map(outlined)).unwrap_or_default();
            let fitting = ways.iter().find(|way| way.width() <= pen.room()).or(ways.last());
            pen.put(fitting.map_or("", String::as_str), Tone::Dim);
        }
        (None, _) if row.life().is_some() => {
            let Some(life) = row.life() else { return };
            let (left, tone) = left(state, row, life);
            let cost = state.cost(row).map(|cost| (format!(", {cost} so far"), format!(", {cost}")));
            let (cost, brief) = cost.unwrap_or_default();
            let taken = match state.people.get(row.lab).map_or(0, |people| people.len()) {
                0 => String::new(),
                n => format!("{n} taken, "),
            };
            // The code is what somebody waits for: the words give way, then the cost.
            let short = left.strip_suffix(" left").unwrap_or(&left);
            let told = [
                format!("{taken}{left}{cost}, code {}", life.code),
                format!("{taken}{left}{brief}, code {}", life.code),
                format!("{left}{brief}, code {}", life.code),
                format!("{left}{brief}, {}", life.code),
                format!("{short}{brief}, {}", life.code),
                format!("{left}, code {}", life.code),
            ];
            let fitting = told.into_iter().find(|told| told.width() <= pen.room());
            pen.put(&fitting.unwrap_or_else(|| format!("code {}, {left}", life.code)), tone);
        }
        (None, _) => {
            let up = row.up.map_or(String::new(), |up| format!("up {}", format::span(up)));
            pen.put(&up, Tone::Dim);
        }
    }
    if !row.is_defined() {
        pen.put("   no definition", Tone::Warn);
    }
}

/// The code of a workshop that stands: somebody waits for it, whatever is wrong.
fn code(pen: &mut Pen<'_>, row: &ClassRow<'_>) {
    if let Some(life) = row.life() {
        let word = if pen.room() < REASON { "" } else { "code " };
        pen.put(&format!("{word}{}   ", life.code), Tone::Text);
    }
}

/// How long a workshop still stands; it stands out near its end.
pub fn left(state: &State, row: &ClassRow<'_>, life: &Life) -> (String, Tone) {
    if state.is_unborn(row) {
        return ("its time has not begun".to_owned(), Tone::Dim);
    }
    let left = life.ends_at.duration_since(state.now);
    let soon = WARNINGS.first().and_then(|warning| SignedDuration::try_from(*warning).ok()).unwrap_or_default();
    match left {
        left if left.is_positive() && left > soon => (format!("{} left", format::until(left)), Tone::Dim),
        left if left.is_positive() => (format!("{} left", format::until(left)), Tone::Warn),
        _ => ("past its end".to_owned(), Tone::Bad),
    }
}

/// Which seat, and its reason.
fn wrong(pen: &mut Pen<'_>, seat: &SeatRow<'_>) {
    let reason = seat.cause().unwrap_or_else(|| seat.state.as_str().to_owned());
    let (_, tone) = sign(pen.glyphs(), seat);
    pen.put(&format!("{}: {reason}", seat.seat), tone);
}

/// `00:41 of about 00:59`, of the run under way.
pub fn elapsed(state: &State, row: &ClassRow<'_>) -> String {
    let Some(run) = row.running() else { return String::new() };
    let time = format::timer(state.lasted(run));
    match state.estimates.get(row.lab).and_then(|estimate| SignedDuration::try_from(*estimate).ok()) {
        Some(estimate) => format!("{time} of about {}", format::timer(estimate)),
        None => time,
    }
}

/// What it is to be, the fullest way of saying it first.
fn outline(class: &ClassDefinition) -> Vec<String> {
    vec![format!("{} on {}", class.template, class.site), class.template.to_string()]
}

fn outlined(workshop: &WorkshopDefinition) -> Vec<String> {
    let time = SignedDuration::try_from(workshop.ends_after).map(format::span).unwrap_or_default();
    let (image, site) = (&workshop.image, &workshop.site);
    vec![
        format!("{image} on {site}, for {time}"),
        format!("{image} on {site}"),
        format!("on {site}, for {time}"),
        format!("on {site}"),
    ]
}
