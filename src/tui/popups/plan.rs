//! The plan, before anything happens: seat by seat, why, what it takes, and what needs a yes of its own.

use jiff::SignedDuration;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::{frame, keys};
use crate::{
    app::{
        Command, State,
        popup::{PlanPopup, Planned},
    },
    domain::{
        Plan,
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
            let lines = wrap(why.as_str(), width);
            let inner = frame(page, area, width, lines.len() + 2, &title, Tone::Bad);
            for (row, line) in lines.iter().enumerate() {
                page.line(inner, row).put(line, Tone::Bad);
            }
            keys(page, inner, usize::from(inner.height) - 1, state, &[]);
        }
        Planned::Ready(plan) => ready(page, area, state, popup, plan, width, &title),
    }
}

fn ready(page: &mut Page<'_>, area: Rect, state: &State, popup: &PlanPopup, plan: &Plan, width: usize, title: &str) {
    let mut foot = foot(page, plan, popup.consent, width, state);
    let most = usize::from(area.height).saturating_sub(2);
    // Where there are few lines, seats come first; what needs a yes stands last and stays.
    let room = most.saturating_sub(3 + SEATS);
    foot.drain(..foot.len().saturating_sub(room.max(1)));
    let fixed = foot.len() + 3;
    let columns = Columns::fit(plan);
    let told: Vec<_> = plan.seats.iter().map(|seat| why(seat, &columns, width)).collect();
    let wanted: usize = told.iter().map(Why::height).sum();
    let lines = (wanted + fixed).min(most);
    let inner = frame(page, area, width, lines, title, Tone::Accent);
    let room = usize::from(inner.height).saturating_sub(fixed);
    // The totals stand in the frame, at the right of the title.
    let top = Rect { y: inner.y - 1, height: 1, ..inner };
    let beside = usize::from(top.width).saturating_sub(title.width() + 3);
    page.line(top, 0).right(&totals(plan, beside));
    let first = popup.scroll.min(last_first(&told, room));
    let (mut row, mut shown) = (0, 0);
    for (seat, why) in plan.seats.iter().zip(&told).skip(first) {
        if row + why.height() > room {
            break;
        }
        seat_lines(page, inner, row, seat, why, &columns, popup.consent, plan);
        row += why.height();
        shown += 1;
    }
    row = row.max(room.min(wanted));
    if shown < plan.seats.len() {
        let text = format!("{} to {} of {}; j and k scroll", first + 1, first + shown, plan.seats.len());
        page.line(inner, row).skip(2).put(&text, Tone::Dim);
    }
    row += 1;
    for (text, tone) in &foot {
        page.line(inner, row).put(text, *tone);
        row += 1;
    }
    let last = usize::from(inner.height).saturating_sub(1);
    if plan.is_empty() {
        keys(page, inner, last, state, &[]);
    } else {
        keys(page, inner, last, state, &[(Command::ConfirmDeploy, "deploy")]);
    }
}

/// `11 create   0 change   0 remove`
fn totals(plan: &Plan, room: usize) -> Vec<(String, Tone)> {
    let count = |verbs: &[Verb]| verbs.iter().map(|verb| plan.count(*verb)).sum::<usize>();
    let told = [
        (count(&[Verb::Create]), "create", Tone::Ok),
        (count(&[Verb::Resume]), "go on", Tone::Busy),
        (count(&[Verb::Prove]), "prove", Tone::Busy),
        (count(&[Verb::Update, Verb::Restart, Verb::Replace]), "change", Tone::Warn),
        (count(&[Verb::Remove]), "remove", Tone::Bad),
        (count(&[Verb::Keep, Verb::Leave]), "keep", Tone::Dim),
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
    match verb {
        Verb::Create => ("+", Tone::Ok),
        Verb::Resume => (">", Tone::Busy),
        Verb::Prove => ("?", Tone::Busy),
        Verb::Update => ("~", Tone::Warn),
        Verb::Restart | Verb::Halt => ("!", Tone::Warn),
        Verb::Replace => ("!", Tone::Bad),
        Verb::Remove => ("-", Tone::Bad),
        Verb::Keep | Verb::Leave => ("=", Tone::Dim),
    }
}

/// `linked on fast`, `full on bulk`, or the verb where nothing is cloned.
fn source(seat: &SeatPlan) -> String {
    match &seat.source {
        Some(source) => {
            let how = if source.linked { "linked" } else { "full" };
            format!("{how} on {}", source.storage.as_ref().unwrap_or(&source.limit_storage))
        }
        None => seat.verb.as_str().to_owned(),
    }
}

/// The first seat of the last page.
fn last_first(told: &[Why], room: usize) -> usize {
    let mut used = 0;
    let fits = told.iter().rev().take_while(|why| {
        used += why.height();
        used <= room
    });
    told.len() - fits.count()
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

fn why(seat: &SeatPlan, columns: &Columns, width: usize) -> Why {
    let text = told(seat);
    if text.width() + columns.all() <= width { Why::Behind(text) } else { Why::Below(wrap(&text, width - INDENT)) }
}

/// What changes of a machine, and apart from that what somebody else changed: put right, or left as it is.
fn told(seat: &SeatPlan) -> String {
    let settled = matches!(seat.verb, Verb::Keep | Verb::Prove);
    let list = |drift: bool| {
        let of = seat.changes.iter().filter(|change| change.drift == drift);
        let told = of.map(|c| match drift && settled {
            true => format!("{} is {}, not {}", c.field, c.from, c.to),
            false => format!("{} {} to {}", c.field, c.from, c.to),
        });
        told.collect::<Vec<_>>().join(", ")
    };
    let (own, drift) = (list(false), list(true));
    match (own.is_empty(), drift.is_empty()) {
        (true, true) => seat.why.clone(),
        (false, true) => own,
        (true, false) => format!("changed by someone else: {drift}"),
        (false, false) => format!("{own}; changed by someone else: {drift}"),
    }
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

/// What stands under the seats.
fn foot(page: &Page<'_>, plan: &Plan, consent: Consent, width: usize, state: &State) -> Vec<(String, Tone)> {
    let mut lines = Vec::new();
    let (drifted, left) = (plan.drifted().count(), plan.count(Verb::Leave));
    if plan.is_empty() && left > 0 {
        let machines = format::count(left, "machine");
        lines.push((format!("nothing can be done; {machines} left alone"), Tone::Warn));
    } else if plan.is_empty() && drifted > 0 {
        lines.push(("nothing to do: the definition is as it was deployed".to_owned(), Tone::Text));
    } else if plan.is_empty() {
        lines.push(("it stands as defined; there is nothing to do".to_owned(), Tone::Ok));
    } else {
        let mut takes = Vec::new();
        if let Some(time) = plan.estimate.and_then(|time| SignedDuration::try_from(time).ok()) {
            takes.push(format!("about {}", format::timer(time)));
        }
        takes.extend(plan.room.iter().map(|(storage, bytes)| format!("{} on {storage}", Size(*bytes).human())));
        let memory: Vec<_> =
            plan.memory_after.iter().map(|(node, share)| format!("{node} {}", format::percent(*share))).collect();
        if !memory.is_empty() {
            takes.push(format!("memory after: {}", memory.join(", ")));
        }
        lines.extend(wrap(&takes.join("; "), width).into_iter().map(|line| (line, Tone::Text)));
    }
    for (node, why) in &plan.skipped_nodes {
        lines.push((format!("{node} takes none: {why}"), Tone::Warn));
    }
    for note in &plan.notes {
        lines.extend(wrap(note, width).into_iter().map(|line| (line, Tone::Warn)));
    }
    lines.extend(fix(page, plan, consent, state));
    lines.extend(yeses(page, plan, consent, state));
    lines
}

/// Whether what somebody else changed is put right, and the key that turns it.
fn fix(page: &Page<'_>, plan: &Plan, consent: Consent, state: &State) -> Option<(String, Tone)> {
    let n = plan.drifted().count();
    let key = key_of(Command::FixDrift, state)?;
    let glyphs = &page.look.glyphs;
    let machines = if n == 1 { "1 machine was".to_owned() } else { format!("{n} machines were") };
    match (consent.fix_drift, n) {
        (true, _) => {
            let text = format!("{} what someone else changed is put right ({key} takes that back)", glyphs.done);
            Some((text, Tone::Warn))
        }
        (false, 0) => None,
        (false, _) => {
            Some((format!("{} {machines} changed by someone else: {key} puts that right", glyphs.stale), Tone::Warn))
        }
    }
}

/// The key of a command of this popup.
fn key_of(command: Command, state: &State) -> Option<String> {
    let context = state.context();
    let entry = state.commands.iter().find(|e| e.command == command && e.on.contains(&context))?;
    entry.keys.first().map(ToString::to_string)
}

/// One line for each kind of step that needs a yes of its own.
fn yeses(page: &Page<'_>, plan: &Plan, consent: Consent, state: &State) -> Vec<(String, Tone)> {
    let kinds = [
        (Verb::Restart, consent.restart, Command::AllowRestart, "be restarted"),
        (Verb::Replace, consent.replace, Command::AllowReplace, "be replaced"),
        (Verb::Remove, consent.remove, Command::AllowRemove, "be removed"),
    ];
    kinds
        .into_iter()
        .filter(|(verb, ..)| plan.count(*verb) > 0)
        .filter_map(|(verb, given, command, what)| {
            let key = key_of(command, state)?;
            let n = plan.count(verb);
            let machines = if n == 1 { "1 machine".to_owned() } else { format!("{n} machines") };
            let lost = match (verb, n) {
                (Verb::Restart, _) => "",
                (_, 1) => ", with everything on it",
                _ => ", with everything on them",
            };
            Some(if given {
                (format!("{} {machines} may {what}{lost} ({key} takes that back)", page.look.glyphs.done), Tone::Warn)
            } else {
                (
                    format!("{} {machines} would have to {what}{lost}: {key} allows it", page.look.glyphs.failed),
                    Tone::Bad,
                )
            })
        })
        .collect()
}
