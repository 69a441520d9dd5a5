//! The roll-call board of a class: a row per seat, a column per proof, and below it the row under the
//! cursor explained: what was tried, what came back, what to do next.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::{
    format,
    panes::{self, classes, empty, tone},
    pen::{Page, Pen, wrap},
    theme::Tone,
};
use crate::{
    app::{
        Command, Context, State,
        cursor::window,
        labs::{ClassRow, Phase},
        seats::SeatRow,
        state::Board,
    },
    domain::{MachineState, StepName, StepState, class::CloneMode, event::RunState, progress::StepProgress},
};

/// Lines below the matrix: a rule, who, two of reason, what next, the proofs.
const BELOW: u16 = 6;

/// The columns with a step each; the address is told by itself.
const BEFORE: [(StepName, &str, &str); 3] =
    [(StepName::Clone, "clone", "clo"), (StepName::Configure, "config", "cfg"), (StepName::Start, "start", "sta")];
const AFTER: [(StepName, &str, &str); 4] = [
    (StepName::Agent, "agent", "agt"),
    (StepName::Exec, "exec", "exe"),
    (StepName::Verify, "verify", "ver"),
    (StepName::Ssh, "ssh", "ssh"),
];

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, board: &Board) {
    let Some(row) = state.class(&board.lab) else {
        page.line(area, 0).skip(1).put(board.lab.as_str(), Tone::Title);
        return empty(page, area, &["is neither defined nor standing any more; esc goes back"]);
    };
    headline(page, area, state, &row);
    let keys = state.board_keys();
    let seats: Vec<_> = row.seats.iter().filter(|seat| keys.iter().any(|key| key == seat.seat.as_str())).collect();
    // Below the matrix its explanation, and what is left goes to the log of this class.
    let most = area.height - 1 - BELOW;
    let wanted = u16::try_from(seats.len().max(2) + 1).unwrap_or(most);
    let log = most.saturating_sub(wanted);
    let log = if log < 4 { 0 } else { log };
    let table = Rect { y: area.y + 1, height: most - log, ..area };
    let columns = Columns::fit(&row, usize::from(area.width));
    titles(page, table, &columns);
    let height = usize::from(table.height) - 1;
    let at = board.cursor.position(&keys).unwrap_or(0);
    let first = window(at, seats.len(), height);
    let body = Rect { y: table.y + 1, height: table.height - 1, ..table };
    if seats.is_empty() {
        empty(page, body, &["nothing matches"]);
    }
    let focused = state.context() == Context::Board;
    for (n, seat) in seats.iter().enumerate().skip(first).take(height) {
        if n == at {
            let style = page.look.theme.cursor_row();
            page.under(body, n - first, style);
        }
        let marker = if n == at { page.look.glyphs.cursor } else { " " };
        let mut pen = page.line(body, n - first);
        pen.put(marker, if focused { Tone::Accent } else { Tone::Border });
        matrix(&mut pen, seat, &columns, state);
    }
    let below = Rect { y: table.bottom(), height: BELOW, ..area };
    let hidden = seats.len().saturating_sub(height);
    let more = if hidden > 0 { format!("{} of {} seats shown", height, seats.len()) } else { String::new() };
    page.rule(below, 0, &more);
    if let Some(seat) = seats.get(at) {
        explain(page, below, state, &row, seat);
    }
    if log > 0 {
        let log = Rect { y: below.bottom(), height: log, ..area };
        page.rule(log, 0, &format!("log of {}", row.lab));
        panes::log::tail_of(page, Rect { y: log.y + 1, height: log.height - 1, ..log }, state, row.lab);
    }
}

/// Class, site, template; at the right how many are ready, and the run.
fn headline(page: &mut Page<'_>, area: Rect, state: &State, row: &ClassRow<'_>) {
    let mut pen = page.line(area, 0);
    pen.skip(1).put(row.lab.as_str(), Tone::Title);
    let (word, tone) = classes::word(row);
    pen.skip(3).put(word, tone);
    if let Some(class) = row.definition {
        let clone = match class.clone {
            CloneMode::Auto => "",
            CloneMode::Linked => ", linked",
            CloneMode::Full => ", full",
        };
        pen.skip(3).put(&format!("{}{clone} on {}", class.template, class.site), Tone::Dim);
    } else {
        pen.skip(3).put("no definition any more", Tone::Warn);
    }
    let mut right = Vec::new();
    let text = state.typed_filter().value();
    if !text.is_empty() {
        right.push((format!("/{text}   "), Tone::Warn));
    }
    let failed = row.count(MachineState::Failed);
    if failed > 0 {
        right.push((format!("{failed} failed   "), Tone::Bad));
    }
    right.push((format!("{} of {} ready ", row.count(MachineState::Ready), row.seats.len()), Tone::Text));
    if let Some(run) = row.progress.and_then(|p| p.run.as_ref()).filter(|run| run.state != RunState::Running) {
        let word = run.state.as_str();
        right.push((format!("  run {} {word} ", run.id), Tone::Dim));
        if let Some(end) = run.ended_at {
            right.push((format!("in {} ", format::timer(state.modelled(run.started_at, end))), Tone::Dim));
        }
    }
    if let Some(run) = row.running() {
        right.push((format!("  run {} by {} ", run.id, run.owner), Tone::Dim));
        if row.phase != Phase::BrokenOff {
            right.push((format!("  {} ", classes::elapsed(state, row)), Tone::Text));
        }
    }
    pen.right(&right);
}

/// Widths that all rows share.
struct Columns {
    wide: bool,
    seat: usize,
    node: usize,
    vmid: usize,
    address: usize,
    cell: usize,
}

impl Columns {
    fn fit(row: &ClassRow<'_>, width: usize) -> Self {
        let wide = width >= 112;
        let gap = if wide { 2 } else { 1 };
        let progress = || row.seats.iter().filter_map(|seat| seat.progress);
        let seat = row.seats.iter().map(|seat| seat.seat.as_str().width()).max().unwrap_or(0);
        let node = progress().filter_map(|p| p.node.as_ref()).map(|node| node.as_str().width()).max().unwrap_or(0);
        let vmid = progress().filter_map(|p| p.vmid).map(|vmid| vmid.to_string().len()).max().unwrap_or(0);
        let address = progress().filter_map(|p| p.ip).map(|ip| ip.to_string().len()).max().unwrap_or(0);
        Self {
            wide,
            seat: seat.clamp(4, if wide { 20 } else { 12 }) + gap,
            node: node.clamp(4, if wide { 12 } else { 6 }) + gap,
            vmid: vmid.clamp(4, 9) + gap,
            address: address.clamp(10, if wide { 24 } else { 15 }) + gap,
            cell: if wide { 8 } else { 4 },
        }
    }

    fn title(&self, long: &'static str, short: &'static str) -> &'static str {
        if self.wide { long } else { short }
    }
}

fn titles(page: &mut Page<'_>, area: Rect, columns: &Columns) {
    let mut pen = page.line(area, 0);
    pen.skip(1).col("seat", columns.seat, Tone::Dim);
    pen.col("node", columns.node, Tone::Dim).col("vmid", columns.vmid, Tone::Dim);
    for (_, long, short) in BEFORE {
        pen.col(columns.title(long, short), columns.cell, Tone::Dim);
    }
    pen.col("address", columns.address, Tone::Dim);
    for (_, long, short) in AFTER {
        pen.col(columns.title(long, short), columns.cell, Tone::Dim);
    }
}

fn matrix(pen: &mut Pen<'_>, seat: &SeatRow<'_>, columns: &Columns, state: &State) {
    let glyphs = pen.glyphs();
    let progress = seat.progress;
    pen.col(seat.seat.as_str(), columns.seat, Tone::Text);
    let node = progress.and_then(|p| p.node.as_ref());
    pen.col(node.map_or("", |node| node.as_str()), columns.node, Tone::Dim);
    let vmid = progress.and_then(|p| p.vmid).map(|vmid| vmid.to_string());
    pen.col(&vmid.unwrap_or_default(), columns.vmid, Tone::Dim);
    for (step, ..) in BEFORE {
        cell(pen, seat, step, columns, state);
    }
    match progress.and_then(|p| p.ip) {
        Some(ip) => {
            let proven = progress.and_then(|p| p.step(StepName::Address)).is_some_and(|s| s.state == StepState::Ok);
            pen.col(&ip.to_string(), columns.address, if proven { Tone::Text } else { Tone::Dim });
        }
        None => {
            let width = columns.address;
            let (text, tone) = told(pen, seat, StepName::Address, columns, state);
            pen.col(&text, width, tone);
        }
    }
    for (step, ..) in AFTER {
        cell(pen, seat, step, columns, state);
    }
    pen.put(glyphs.state(seat.state), tone(seat.state)).skip(1);
    let (text, tone) = standing(seat, state);
    pen.put(&text, tone);
}

fn cell(pen: &mut Pen<'_>, seat: &SeatRow<'_>, step: StepName, columns: &Columns, state: &State) {
    let (text, tone) = told(pen, seat, step, columns, state);
    // One column stays free between cells.
    pen.col(&text, columns.cell - 1, tone).skip(1);
}

/// What a cell says about its step.
fn told(pen: &Pen<'_>, seat: &SeatRow<'_>, step: StepName, columns: &Columns, state: &State) -> (String, Tone) {
    let glyphs = pen.glyphs();
    let Some(step) = seat.progress.and_then(|p| p.step(step)) else { return (String::new(), Tone::Dim) };
    match step.state {
        StepState::Waiting => (String::new(), Tone::Dim),
        StepState::Running if columns.wide => (format!("{} {}", glyphs.working, since(step, state)), Tone::Busy),
        StepState::Running => (glyphs.working.to_owned(), Tone::Busy),
        StepState::Failed => (glyphs.failed.to_owned(), Tone::Bad),
        StepState::Skipped => (glyphs.skipped.to_owned(), Tone::Dim),
        StepState::Ok if step.attempts > 1 && columns.wide => (format!("{} tries", step.attempts), Tone::Warn),
        StepState::Ok if step.attempts > 1 => (format!("{}{}", glyphs.times, step.attempts), Tone::Warn),
        StepState::Ok => match step.took {
            Some(took) if columns.wide => (format::took(took), Tone::Ok),
            _ => (glyphs.done.to_owned(), Tone::Ok),
        },
    }
}

/// `12s` since the step's latest attempt began.
fn since(step: &StepProgress, state: &State) -> String {
    // Whole seconds: it is drawn once a second.
    let whole = |at| std::time::Duration::from_secs(state.elapsed(at).unsigned_abs().as_secs());
    step.began_at.map_or(String::new(), |at| format::took(whole(at)))
}

/// The last column: how the seat stands, in words.
fn standing(seat: &SeatRow<'_>, state: &State) -> (String, Tone) {
    let tone = tone(seat.state);
    let progress = seat.progress;
    if seat.state == MachineState::Ready {
        return match progress.and_then(|p| p.proven_at) {
            Some(at) => (format!("ready, proven {}", format::ago(state.now.duration_since(at))), tone),
            None => ("ready".to_owned(), tone),
        };
    }
    if let Some(reason) = &seat.reason {
        return (reason.to_string(), tone);
    }
    match progress.and_then(|p| p.current()).filter(|_| seat.state == MachineState::Working) {
        Some(step) => (format!("{}, {}", step.step, since(step, state)), tone),
        None => (seat.state.to_string(), tone),
    }
}

/// The row under the cursor, told in full.
fn explain(page: &mut Page<'_>, area: Rect, state: &State, row: &ClassRow<'_>, seat: &SeatRow<'_>) {
    let dot = page.look.glyphs.dot;
    let mut pen = page.line(area, 1);
    pen.skip(1).put(seat.seat.as_str(), Tone::Title);
    if let Some(progress) = seat.progress {
        let node = progress.node.as_ref().map(|node| node.to_string());
        let vmid = progress.vmid.map(|vmid| format!("vmid {vmid}"));
        let ip = progress.ip.map(|ip| ip.to_string());
        for part in [Some(progress.name.clone()), node, vmid, ip].into_iter().flatten() {
            pen.put(&format!(" {dot} "), Tone::Border).put(&part, Tone::Dim);
        }
    }
    let width = usize::from(area.width).saturating_sub(4);
    let mut line = 2;
    for text in wrap(&happened(seat, state), width).iter().take(2) {
        page.line(area, line).skip(3).put(text, tone(seat.state));
        line += 1;
    }
    let mut pen = page.line(area, line);
    pen.skip(3);
    for (key, does) in next(state, row, seat) {
        pen.put(&key, Tone::Accent).put(" ", Tone::Text).put(does, Tone::Text).skip(3);
    }
    proofs(page, area, line + 1, seat);
}

/// What was tried and what came back, in its own words.
fn happened(seat: &SeatRow<'_>, state: &State) -> String {
    let step = seat.progress.and_then(|p| p.current());
    let tries = |step: &StepProgress| match step.attempts {
        0 | 1 => String::new(),
        n => format!(" (try {n})"),
    };
    let reason = seat.reason.as_ref().map(|reason| reason.to_string());
    match (seat.state, step, reason) {
        (MachineState::Ready, ..) => {
            let at = seat.progress.and_then(|p| p.proven_at);
            let at = at.map_or(String::new(), |at| format!(" at {}", format::clock(at, &state.settings.zone)));
            format!("every proof was seen{at}")
        }
        (MachineState::Failed, Some(step), Some(reason)) => format!("{}{} failed: {reason}", step.step, tries(step)),
        (MachineState::Working, Some(step), Some(reason)) => format!("{}{}: {reason}", step.step, tries(step)),
        (MachineState::Working, Some(step), None) => {
            format!("{}{} since {}", step.step, tries(step), since(step, state))
        }
        (_, _, Some(reason)) => reason,
        (MachineState::Planned, ..) if seat.progress.is_none_or(|p| p.vmid.is_none()) => "not made yet".into(),
        (MachineState::Planned, ..) => "waiting for its turn".into(),
        (state, ..) => state.to_string(),
    }
}

/// What to do next, with the key that does it; only keys that exist.
fn next(state: &State, row: &ClassRow<'_>, seat: &SeatRow<'_>) -> Vec<(String, &'static str)> {
    let key = |command: Command| {
        state.commands.iter().find(|e| e.command == command).and_then(|e| e.keys.first()).map(|key| key.to_string())
    };
    let mut next = Vec::new();
    let mut offer = |command: Command, does: &'static str| next.extend(key(command).map(|key| (key, does)));
    let idle = row.running().is_none() || row.phase == Phase::BrokenOff;
    match seat.state {
        MachineState::Failed if idle => offer(Command::Retry, "tries it again"),
        MachineState::Stale if idle => offer(Command::Check, "repeats its roll call"),
        MachineState::Planned if idle => offer(Command::Deploy, "plans a deploy"),
        MachineState::Stopped if idle => offer(Command::Deploy, "plans a deploy"),
        _ => {}
    }
    if seat.progress.is_some_and(|p| p.ip.is_some()) {
        offer(Command::Shell, "opens a shell");
    }
    if seat.progress.is_some() {
        offer(Command::SeatLog, "shows its log");
    }
    next
}

/// Every step it has gone through, with its time.
fn proofs(page: &mut Page<'_>, area: Rect, line: usize, seat: &SeatRow<'_>) {
    let Some(progress) = seat.progress else { return };
    let glyphs = &page.look.glyphs;
    let mut pen = page.line(area, line);
    pen.skip(3);
    for step in progress.steps.iter().filter(|step| step.state != StepState::Waiting) {
        let (text, tone) = match step.state {
            StepState::Ok => (step.took.map_or(glyphs.done.to_owned(), format::took), Tone::Ok),
            StepState::Running => (glyphs.working.to_owned(), Tone::Busy),
            StepState::Failed => (glyphs.failed.to_owned(), Tone::Bad),
            _ => (glyphs.skipped.to_owned(), Tone::Dim),
        };
        pen.put(step.step.as_str(), Tone::Dim).put(" ", Tone::Text).put(&text, tone).skip(2);
    }
}
