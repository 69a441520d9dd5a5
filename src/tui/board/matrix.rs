//! Seat by proof: how far each seat has come, and its reason in words.

use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use crate::{
    app::{Context, State, labs::ClassRow, seats::SeatRow},
    domain::{MachineState, StepName, StepState, progress::StepProgress},
    tui::{
        format,
        panes::{heading, heading_as, sign},
        pen::{Page, Pen},
        theme::Tone,
    },
};

/// A step, its title, and a short one.
type Titled = (StepName, &'static str, &'static str);

/// The columns with a step each; the address is told by itself.
const BEFORE: [Titled; 3] =
    [(StepName::Clone, "clone", "clo"), (StepName::Configure, "config", "cfg"), (StepName::Start, "start", "sta")];
const AFTER: [Titled; 4] = [
    (StepName::Agent, "agent", "agt"),
    (StepName::Exec, "exec", "exe"),
    (StepName::Verify, "verify", "ver"),
    (StepName::Ssh, "ssh", "ssh"),
];

/// `255.255.255.255`: set aside from the start, so that nothing moves when the first address is seen.
const ADDRESS: usize = 15;

/// Below this a sign stands for each proof, and where the machine lies is left to what explains its row.
const NARROW: usize = 76;

/// Widths that all rows share.
pub struct Columns {
    wide: bool,
    narrow: bool,
    gap: usize,
    seat: usize,
    node: usize,
    vmid: usize,
    address: usize,
    /// Each with its width.
    before: Vec<(Titled, usize)>,
    after: Vec<(Titled, usize)>,
}

impl Columns {
    pub fn fit(row: &ClassRow<'_>, width: usize, state: &State) -> Self {
        let wide = width >= 112;
        let gap = if wide { 2 } else { 1 };
        let progress = || row.seats.iter().filter_map(|seat| seat.progress);
        let seat = row.seats.iter().map(|seat| seat.seat.as_str().width()).max().unwrap_or(0);
        let node = row.seats.iter().filter_map(|seat| seat.node).map(|node| node.as_str().width()).max().unwrap_or(0);
        let vmid = progress().filter_map(|p| p.vmid).map(|vmid| vmid.to_string().len()).max().unwrap_or(0);
        let address = progress().filter_map(|p| p.ip).map(|ip| ip.to_string().len()).max().unwrap_or(0);
        // While nobody works on it nothing moves, and a reason needs the room more than a step that no seat has come to.
        let tight = !row.is_worked_on() && row.seats.iter().any(|seat| seat.reason.is_some());
        let come_to = |step: StepName| progress().filter_map(|p| p.step(step)).any(|s| s.state != StepState::Waiting);
        let ordered = state.ordered(Context::Board).map(|(column, _)| column);
        let cell = |(step, long, _): &Titled| match (wide, tight) {
            (false, _) => 4,
            (true, false) => 8,
            (true, true) => {
                let told = progress().filter_map(|p| p.step(*step)).map(longest).max().unwrap_or(0);
                told.max(long.width() + usize::from(ordered == Some(*long))) + 1
            }
        };
        let shown = |steps: &[Titled]| {
            let steps = steps.iter().filter(|(step, ..)| !tight || come_to(*step));
            steps.map(|titled| (*titled, cell(titled))).collect()
        };
        let address = match address {
            0 if tight && !come_to(StepName::Address) => 0,
            width if tight => width.clamp("address".len() + 1, if wide { 24 } else { ADDRESS }) + gap,
            width => width.clamp(ADDRESS, if wide { 24 } else { ADDRESS }) + gap,
        };
        Self {
            wide,
            narrow: width < NARROW,
            gap,
            seat: seat.clamp(4, if wide { 20 } else { 12 }) + gap,
            node: node.clamp(4, if wide { 12 } else { 6 }) + gap,
            vmid: vmid.clamp(4, 9) + gap,
            address,
            before: shown(&BEFORE),
            after: shown(&AFTER),
        }
    }

    fn title(&self, long: &'static str, short: &'static str) -> &'static str {
        if self.wide { long } else { short }
    }
}

pub fn titles(page: &mut Page<'_>, area: ratatui::layout::Rect, columns: &Columns, state: &State) {
    let mut pen = page.line(area, 0);
    let glyphs = pen.glyphs();
    let step = |(_, long, short): &Titled| heading_as(glyphs, state, Context::Board, long, columns.title(long, short));
    let heading = |name| heading(glyphs, state, Context::Board, name);
    pen.skip(1).col(&heading("seat"), columns.seat, Tone::Dim);
    if columns.narrow {
        pen.col("proofs", BEFORE.len() + AFTER.len() + 2, Tone::Dim).put(&heading("state"), Tone::Dim);
        return;
    }
    pen.col(&heading("node"), columns.node, Tone::Dim).col(&heading("vmid"), columns.vmid, Tone::Dim);
    for (titled, width) in &columns.before {
        pen.col(&step(titled), *width, Tone::Dim);
    }
    if columns.address > 0 {
        pen.col(&heading("address"), columns.address, Tone::Dim);
    }
    for (titled, width) in &columns.after {
        pen.col(&step(titled), *width, Tone::Dim);
    }
    pen.skip(2).put(&heading("state"), Tone::Dim);
}

pub fn row(pen: &mut Pen<'_>, seat: &SeatRow<'_>, columns: &Columns, state: &State) {
    let progress = seat.progress;
    let gap = columns.gap;
    pen.cell(seat.seat.as_str(), columns.seat, gap, Tone::Text);
    if columns.narrow {
        signs(pen, seat);
        return last(pen, seat, state);
    }
    pen.cell(seat.node.map_or("", |node| node.as_str()), columns.node, gap, Tone::Dim);
    let vmid = progress.and_then(|p| p.vmid).map(|vmid| vmid.to_string());
    pen.cell(&vmid.unwrap_or_default(), columns.vmid, gap, Tone::Dim);
    for ((step, ..), width) in &columns.before {
        cell(pen, seat, *step, (columns.wide, *width), state);
    }
    let (text, tone) = match progress.and_then(|p| p.ip) {
        Some(ip) => {
            let proven = progress.and_then(|p| p.step(StepName::Address)).is_some_and(|s| s.state == StepState::Ok);
            (ip.to_string(), if proven { Tone::Text } else { Tone::Dim })
        }
        None => told(pen, seat, StepName::Address, columns.wide, state),
    };
    if columns.address > 0 {
        pen.cell(&text, columns.address, gap, tone);
    }
    for ((step, ..), width) in &columns.after {
        cell(pen, seat, *step, (columns.wide, *width), state);
    }
    last(pen, seat, state);
}

/// A sign for each proof.
fn signs(pen: &mut Pen<'_>, seat: &SeatRow<'_>) {
    let address = [(StepName::Address, "", "")];
    for (step, ..) in BEFORE.iter().chain(&address).chain(&AFTER) {
        let glyphs = pen.glyphs();
        let state = seat.progress.and_then(|p| p.step(*step)).map_or(StepState::Waiting, |step| step.state);
        let (sign, tone) = match state {
            StepState::Waiting => (glyphs.dot, Tone::Border),
            StepState::Running if seat.cut.is_some() => (glyphs.stale, Tone::Warn),
            StepState::Running => (glyphs.working, Tone::Busy),
            StepState::Failed => (glyphs.failed, Tone::Bad),
            StepState::Skipped => (glyphs.skipped, Tone::Dim),
            StepState::Ok if seat.progress.and_then(|p| p.step(*step)).is_some_and(StepProgress::was_found) => {
                (glyphs.skipped, Tone::Dim)
            }
            StepState::Ok => (glyphs.done, Tone::Ok),
        };
        pen.col(sign, 1, tone);
    }
    pen.skip(1);
}

/// The last column: the sign of its state, and how it stands in words.
pub fn last(pen: &mut Pen<'_>, seat: &SeatRow<'_>, state: &State) {
    let (glyph, tone) = sign(pen.glyphs(), seat);
    pen.put(glyph, tone).skip(1);
    let ways = standing(seat, state);
    // The fullest way of saying it that fits, else the fullest as far as it goes.
    let room = pen.room();
    let fits = ways.iter().find(|way| way.width() <= room).or(ways.first());
    pen.put(fits.map_or("", String::as_str), tone);
}

fn cell(pen: &mut Pen<'_>, seat: &SeatRow<'_>, step: StepName, (wide, width): (bool, usize), state: &State) {
    let (text, tone) = told(pen, seat, step, wide, state);
    pen.cell(&text, width, 1, tone);
}

/// Columns of the longest that is said of a step nobody works on.
fn longest(step: &StepProgress) -> usize {
    let took = step.took.map_or(1, |took| format::took(took).width());
    took + if step.attempts > 1 { 3 } else { 0 }
}

/// What a cell says about its step.
pub fn told(pen: &Pen<'_>, seat: &SeatRow<'_>, step: StepName, wide: bool, state: &State) -> (String, Tone) {
    let glyphs = pen.glyphs();
    let Some(step) = seat.progress.and_then(|p| p.step(step)) else { return (String::new(), Tone::Dim) };
    let times = |n: u32| format!("{}{n}", glyphs.times);
    match step.state {
        StepState::Waiting => (String::new(), Tone::Dim),
        StepState::Running if seat.cut.is_some() => (glyphs.stale.to_owned(), Tone::Warn),
        StepState::Running if step.again.is_some() => (times(step.attempts), Tone::Warn),
        StepState::Running if wide => (format!("{} {}", glyphs.working, since(step, state)), Tone::Busy),
        StepState::Running => (glyphs.working.to_owned(), Tone::Busy),
        StepState::Failed => (glyphs.failed.to_owned(), Tone::Bad),
        StepState::Skipped => (glyphs.skipped.to_owned(), Tone::Dim),
        StepState::Ok if step.was_found() => (glyphs.skipped.to_owned(), Tone::Dim),
        StepState::Ok => {
            let (tries, tone) =
                if step.attempts > 1 { (times(step.attempts), Tone::Warn) } else { (String::new(), Tone::Ok) };
            // What took no time to speak of is only seen to be done.
            let took = step.took.filter(|took| wide && *took >= Duration::from_millis(50)).map(format::took);
            let text = match (took, tries.is_empty()) {
                (Some(took), true) => took,
                (Some(took), false) => format!("{took} {tries}"),
                (None, true) => glyphs.done.to_owned(),
                (None, false) => tries,
            };
            (text, tone)
        }
    }
}

/// `12s` since the step's latest attempt began.
pub fn since(step: &StepProgress, state: &State) -> String {
    // Whole seconds: it is drawn once a second.
    let whole = |at| Duration::from_secs(state.elapsed(at).unsigned_abs().as_secs());
    step.began_at.map_or(String::new(), |at| format::took(whole(at)).replace("<0.1s", "0s"))
}

/// The step that waits for its next attempt.
pub fn retrying<'a>(seat: &SeatRow<'a>) -> Option<&'a StepProgress> {
    let steps = seat.progress.filter(|_| seat.state == MachineState::Working)?;
    steps.steps.iter().find(|step| step.again.is_some())
}

/// `clone again in 2 s (try 2 of 5)`, between two attempts.
pub fn again(step: &StepProgress, state: &State) -> Option<String> {
    let again = step.again?;
    let gone = step.at.map_or(0, |at| state.elapsed(at).as_secs());
    let left = i64::try_from(again.wait.as_secs()).unwrap_or(i64::MAX).saturating_sub(gone).max(0);
    let of = if again.of > 0 { format!(" of {}", again.of) } else { String::new() };
    // Once its time has come it may still wait for room.
    let when = if left > 0 { format!("in {left} s") } else { "soon".to_owned() };
    Some(format!("{} again {when} (try {}{of})", step.step, step.attempts + 1))
}

/// The last column: how the seat stands, in words; the fullest way first.
pub fn standing(seat: &SeatRow<'_>, state: &State) -> Vec<String> {
    let progress = seat.progress;
    if seat.state == MachineState::Ready {
        let age = progress.and_then(|p| p.proven_at).map(|at| format::ago(state.now.duration_since(at)));
        let aged = age.map(|age| [format!("ready, proven {age}"), format!("ready, {age}")]);
        return aged.into_iter().flatten().chain(["ready".to_owned()]).collect();
    }
    if seat.queued {
        return vec!["waiting for its turn".to_owned(), "waiting".to_owned()];
    }
    let working = progress.and_then(|p| p.current()).filter(|_| seat.state == MachineState::Working);
    if let Some(again) = retrying(seat).and_then(|step| again(step, state)) {
        let short = again.split(" (").next().unwrap_or_default().to_owned();
        return vec![again, short];
    }
    if let Some(reason) = seat.reason.as_ref().filter(|_| working.is_none()) {
        let at = progress.and_then(|p| p.current()).map(|step| format!("{} at {}", seat.word(), step.step));
        let short = match seat.state {
            MachineState::Unknown => reason.as_str().split(": ").next().map(str::to_owned),
            _ => seat.cut.map(|_| at.unwrap_or_else(|| seat.word().to_owned())),
        };
        return std::iter::once(reason.to_string()).chain(seat.cause()).chain(short).collect();
    }
    match working {
        Some(step) => vec![format!("{}, {}", step.step, since(step, state)), step.step.to_string()],
        None => vec![seat.word().to_owned()],
    }
}
