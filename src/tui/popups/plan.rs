//! The plan, before anything happens: seat by seat, why, what it takes, and what needs a yes of its own.

mod foot;

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::{frame, keys, keys_beside};
use crate::{
    app::{
        Command, State,
        popup::{PlanPopup, Planned},
    },
    domain::{
        Clean, Plan,
        plan::{Consent, SeatPlan, Verb},
        size::Size,
    },
    tui::{
        format,
        pen::{Page, wrap},
        theme::Tone,
    },
};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, popup: &PlanPopup) {
    let width = usize::from(area.width).saturating_sub(6).min(140);
    let title = format!("deploy {}?", popup.lab);
    match &popup.plan {
        Planned::Asked => {
            let inner = frame(page, area, width.min(60), 3, &title, Tone::Accent);
            page.line(inner, 0).put("looking at the site and planning", Tone::Busy);
            keys(page, inner, 2, state, &[]);
        }
        Planned::Failed(why) => {
            let lines = reasons(why, width);
            let inner = frame(page, area, width, lines.len() + 2, &title, Tone::Bad);
            for (row, line) in lines.iter().enumerate() {
                page.line(inner, row).put(line, Tone::Bad);
            }
            keys(page, inner, usize::from(inner.height) - 1, state, &[]);
        }
        Planned::Ready(plan) => ready(page, area, state, popup, plan, width, &title),
    }
}

/// A reason a line, each further one below the one before.
fn reasons(why: &[Clean], width: usize) -> Vec<String> {
    // Below the first line stand the reasons, each with what to do.
    let of_line = |(n, line): (usize, &Clean)| {
        let indent = if n > 0 { INDENT } else { 0 };
        let lines = wrap(line.as_str().trim(), width.saturating_sub(indent + INDENT));
        let first = if n > 0 { "- " } else { "" };
        let put = move |(at, line): (usize, String)| match at {
            0 => format!("{first}{line}"),
            _ => format!("{}{line}", " ".repeat(indent)),
        };
        lines.into_iter().enumerate().map(put).collect::<Vec<_>>()
    };
    why.iter().enumerate().flat_map(of_line).collect()
}

fn ready(page: &mut Page<'_>, area: Rect, state: &State, popup: &PlanPopup, plan: &Plan, width: usize, title: &str) {
    let small = area.height < SMALL;
    let foot = foot::of(page, plan, popup.consent, state, small);
    let most = usize::from(area.height).saturating_sub(2);
    let columns = Columns::fit(plan);
    let mut rows: Vec<_> =
        plan.seats.iter().map(|seat| Row::Seat(seat, why(seat, &columns, width, small, plan.fixes_drift))).collect();
    let below = if small {
        let (stays, scrolls) = foot.small(width);
        rows.extend(scrolls.into_iter().map(|(text, tone)| Row::Text(wrap(&text, width), tone)));
        stays
    } else {
        // What needs a yes stands last and stays.
        let mut lines = foot.lines(width);
        let room = most.saturating_sub(3 + SEATS);
        lines.drain(..lines.len().saturating_sub(room.max(1)));
        lines
    };
    // Besides: the keys, and where there is room, how far it is scrolled and a free line.
    let fixed = below.len() + if small { 1 } else { 3 };
    let wanted: usize = rows.iter().map(Row::height).sum();
    let lines = (wanted + fixed).min(most);
    let inner = frame(page, area, width, lines, title, Tone::Accent);
    let room = usize::from(inner.height).saturating_sub(fixed);
    // The totals stand in the frame, at the right of the title.
    let top = Rect { y: inner.y - 1, height: 1, ..inner };
    let beside = usize::from(top.width).saturating_sub(title.width() + 3);
    page.line(top, 0).right(&totals(plan, beside));
    let first = popup.scroll.min(last_first(&rows, room));
    let seen = Rect { height: u16::try_from(room).unwrap_or(0), ..inner };
    let (mut row, mut shown) = (0, 0);
    for what in rows.iter().skip(first) {
        // One that is higher than all there is loses its end, and is not left out.
        if row + what.height() > room && (shown > 0 || room == 0) {
            break;
        }
        match what {
            Row::Seat(seat, why) => seat_lines(page, seen, row, seat, why, &columns, popup.consent, plan),
            Row::Text(lines, tone) => {
                lines.iter().enumerate().for_each(|(n, line)| _ = page.line(seen, row + n).put(line, *tone));
            }
        }
        row += what.height();
        shown += 1;
    }
    row = room.min(wanted);
    let (from, to, all) = (first + 1, first + shown, rows.len());
    if !small {
        if shown < all {
            let text = format!("{from} to {to} of {all}; j and k scroll");
            page.line(inner, row).skip(2).put(&text, Tone::Dim);
        }
        row += 1;
    }
    for (text, tone) in &below {
        page.line(inner, row).put(text, *tone);
        row += 1;
    }
    let last = usize::from(inner.height).saturating_sub(1);
    let scrolls = [("j k".to_owned(), Tone::Accent), (format!(" {from}-{to}/{all}"), Tone::Dim)];
    let beside = if small && shown < all { &scrolls[..] } else { &[] };
    // Nothing is agreed to that nobody sees.
    let agree = [(Command::ConfirmDeploy, "deploy")];
    let commands = if plan.is_empty() || shown == 0 { &[][..] } else { &agree };
    keys_beside(page, inner, last, state, beside, commands);
}

/// `11 create   0 change   0 remove`
fn totals(plan: &Plan, room: usize) -> Vec<(String, Tone)> {
    let count = |verbs: &[Verb]| verbs.iter().map(|verb| plan.count(*verb)).sum::<usize>();
    let starts = plan.seats.iter().filter(|seat| seat.word() == "start").count();
    // What of a seat goes is no seat that goes.
    let reduced = plan.reduced();
    let told = [
        (count(&[Verb::Create]), "create", Tone::Ok),
        (count(&[Verb::Resume]), "go on", Tone::Busy),
        (starts, "start", Tone::Busy),
        (count(&[Verb::Prove]) - starts, "prove", Tone::Busy),
        (count(&[Verb::Update, Verb::Restart, Verb::Replace]) + reduced, "change", Tone::Warn),
        (plan.removals(), "remove", Tone::Bad),
        (count(&[Verb::Remove]) - plan.removals() - reduced, "forget", Tone::Dim),
        (count(&[Verb::Keep]), "keep", Tone::Dim),
        (count(&[Verb::Leave]), "left alone", Tone::Warn),
    ];
    let always = |word: &str| matches!(word, "create" | "change" | "remove");
    let shown = |all: bool| -> Vec<(String, Tone)> {
        told.iter()
            .filter(|(n, word, _)| *n > 0 || all && always(word))
            .map(|(n, word, tone)| (format!(" {n} {word} "), if *n > 0 { *tone } else { Tone::Dim }))
            .collect()
    };
    let width = |told: &[(String, Tone)]| told.iter().map(|(text, _)| text.width()).sum::<usize>();
    // That nothing is removed is worth saying, where there is room.
    let all = shown(true);
    if width(&all) <= room { all } else { shown(false) }
}

/// Lines for seats, whatever else there is to say.
const SEATS: usize = 3;
/// Below so many lines only what the deploy takes and what needs a yes stand still; the rest scrolls with the seats.
const SMALL: u16 = 18;
/// Columns of one width.
const SIGN: usize = 2;
const VMID: usize = 6;
const CORES: usize = 10;
const MEMORY: usize = 9;

struct Columns {
    seat: usize,
    node: usize,
    source: usize,
    /// Somebody's cores or memory are said.
    size: bool,
}

impl Columns {
    /// All of them together.
    fn all(&self) -> usize {
        let size = if self.size { CORES + MEMORY } else { 0 };
        SIGN + self.seat + self.node + VMID + self.source + size
    }

    fn fit(plan: &Plan) -> Self {
        let longest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
        Self {
            seat: longest(&mut plan.seats.iter().map(|s| s.seat.as_str().width())).clamp(4, 16) + 2,
            node: longest(&mut plan.seats.iter().map(|s| s.node.as_str().width())).clamp(4, 10) + 2,
            source: longest(&mut plan.seats.iter().map(|s| source(s).width())).clamp(0, 22) + 2,
            size: plan.seats.iter().any(|s| s.spec.machine.cores.is_some() || s.spec.machine.memory.is_some()),
        }
    }
}

/// The sign and tone of a verb.
fn sign(verb: Verb) -> (&'static str, Tone) {
    let tone = match verb {
        Verb::Create => Tone::Ok,
        Verb::Resume | Verb::Prove => Tone::Busy,
        Verb::Update | Verb::Restart | Verb::Halt => Tone::Warn,
        Verb::Replace | Verb::Remove => Tone::Bad,
        Verb::Keep | Verb::Leave => Tone::Dim,
    };
    (verb.sign(), tone)
}

/// `linked on fast`, `full on bulk`, or the verb where nothing is cloned.
fn source(seat: &SeatPlan) -> String {
    match &seat.source {
        Some(source) => {
            let how = if source.linked { "linked" } else { "full" };
            format!("{how} on {}", source.storage.as_ref().unwrap_or(&source.limit_storage))
        }
        None => seat.word().to_owned(),
    }
}

/// What is scrolled: a seat, or a text about all of them.
enum Row<'a> {
    Seat(&'a SeatPlan, Why),
    Text(Vec<String>, Tone),
}

impl Row<'_> {
    fn height(&self) -> usize {
        match self {
            Self::Seat(_, why) => why.height(),
            Self::Text(lines, _) => lines.len(),
        }
    }
}

/// The first row of the last page.
fn last_first(rows: &[Row<'_>], room: usize) -> usize {
    let mut used = 0;
    let fits = rows.iter().rev().take_while(|row| {
        used += row.height();
        used <= room
    });
    // The last one is shown, however high it is.
    rows.len() - fits.count().max(1).min(rows.len())
}

/// Why a seat is planned as it is: behind it where that fits, else below it.
enum Why {
    Behind(String),
    Below(Vec<String>),
}

impl Why {
    /// Lines the seat takes with it.
    fn height(&self) -> usize {
        match self {
            Self::Behind(_) => 1,
            Self::Below(lines) => 1 + lines.len(),
        }
    }
}

/// Where the text below a seat begins.
const INDENT: usize = 2;

fn why(seat: &SeatPlan, columns: &Columns, width: usize, small: bool, fixes_drift: bool) -> Why {
    let text = told(seat, fixes_drift);
    if text.width() + columns.all() <= width {
        return Why::Behind(text);
    }
    // Where a new machine goes and why matters less than that all of them are seen.
    let one = small && seat.verb == Verb::Create;
    Why::Below(if one { vec![text] } else { wrap(&text, width - INDENT) })
}

/// What changes of a machine, and apart from that what somebody else changed: put right, or left as it is.
fn told(seat: &SeatPlan, fixes_drift: bool) -> String {
    let list = |drift: bool| {
        let of = seat.changes.iter().filter(|change| change.drift == drift);
        let told = of.map(|c| match (c.shown(), drift && !fixes_drift, &c.was) {
            ((from, to), true, _) => format!("{} is {from}, not {to}", c.field),
            ((from, to), false, Some(was)) => {
                format!("{} {from} to {to} (someone else had changed {was})", c.field)
            }
            ((from, to), false, None) => format!("{} {from} to {to}", c.field),
        });
        told.collect::<Vec<_>>().join("; ")
    };
    let (mut own, drift) = (list(false), list(true));
    if !own.is_empty() && seat.is_started_too() {
        own.push_str("; it is off and is started");
    }
    let told = match (own.is_empty(), drift.is_empty()) {
        (true, true) => seat.why.clone(),
        (false, true) => own,
        (true, false) => format!("changed by someone else: {drift}"),
        (false, false) => format!("{own}; changed by someone else: {drift}"),
    };
    // First whose work goes: it is what somebody must not miss.
    seat.loss().map_or(told.clone(), |loss| format!("{loss}; {told}"))
}

#[expect(clippy::too_many_arguments, reason = "one line of a table, with all it depends on")]
fn seat_lines(
    page: &mut Page<'_>,
    area: Rect,
    row: usize,
    seat: &SeatPlan,
    why: &Why,
    columns: &Columns,
    consent: Consent,
    plan: &Plan,
) {
    let (sign, tone) = sign(seat.verb);
    let withheld = plan.refused(consent).iter().any(|refused| refused.seat == seat.seat);
    let mut pen = page.line(area, row);
    let named = if seat.verb.acts() { Tone::Text } else { Tone::Dim };
    pen.col(sign, SIGN, tone).cell(seat.seat.as_str(), columns.seat, 2, named);
    let number = seat.vmid.map(|id| id.to_string()).unwrap_or_default();
    pen.cell(seat.node.as_str(), columns.node, 2, Tone::Dim).col(&number, VMID, Tone::Dim);
    pen.cell(&source(seat), columns.source, 2, tone);
    if columns.size {
        let cores = seat
            .spec
            .machine
            .cores
            .map_or(String::new(), |n| format::count(usize::try_from(n).unwrap_or(usize::MAX), "core"));
        let memory = seat.spec.machine.memory.map_or(String::new(), Size::human);
        let told = if seat.source.is_some() { Tone::Text } else { Tone::Dim };
        pen.col(&cores, CORES, told).col(&memory, MEMORY, told);
    }
    let changed = seat.changes.iter().any(|change| change.drift);
    let tone = if withheld || changed { Tone::Warn } else { Tone::Dim };
    match why {
        Why::Behind(text) => _ = pen.put(text, tone),
        Why::Below(lines) => {
            for (n, line) in lines.iter().enumerate() {
                page.line(area, row + 1 + n).skip(INDENT).put(line, tone);
            }
        }
    }
}
