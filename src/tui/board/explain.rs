//! The row under the cursor, told in full: what was tried, what came back in its own words, what to do next.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::matrix::{again, retrying, since};
use crate::{
    app::{Command, State, kiosk::Kiosk, labs::ClassRow, seats::SeatRow},
    domain::{MachineState, StepName, StepState, progress::StepProgress},
    tui::{
        format,
        panes::sign,
        pen::{Page, wrap},
        theme::Tone,
    },
};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, row: &ClassRow<'_>, seat: &SeatRow<'_>) {
    // Where there are few lines, its reason alone: the row says whose it is.
    if area.height < 5 {
        let (_, tone) = sign(&page.look.glyphs, seat);
        let room = usize::from(area.width).saturating_sub(2);
        for (n, text) in wrap(&happened(seat, state), room).iter().take(2).enumerate() {
            page.line(area, 1 + n).skip(1).put(text, tone);
        }
        return;
    }
    let dot = page.look.glyphs.dot;
    let mut pen = page.line(area, 1);
    pen.skip(1).put(seat.seat.as_str(), Tone::Title);
    if let Some(progress) = seat.progress {
        let node = seat.node.map(ToString::to_string);
        let vmid = progress.vmid.map(|vmid| format!("vmid {vmid}"));
        let ip = progress.ip.map(|ip| ip.to_string());
        for part in [Some(progress.name.clone()), node, vmid, ip].into_iter().flatten() {
            pen.put(&format!(" {dot} "), Tone::Border).put(&part, Tone::Dim);
        }
    }
    let width = usize::from(area.width).saturating_sub(4);
    let mut line = 2;
    let (_, tone) = sign(&page.look.glyphs, seat);
    for text in wrap(&happened(seat, state), width).iter().take(2) {
        page.line(area, line).skip(3).put(text, tone);
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
        _ if seat.queued => "waiting for its turn: as many as the node and the storage take are at work".into(),
        (MachineState::Ready, ..) => {
            let at = seat.progress.and_then(|p| p.proven_at);
            let at = at.map_or(String::new(), |at| format!(" at {}", format::clock(at, &state.settings.zone)));
            format!("every proof was seen{at}")
        }
        (MachineState::Failed, _, Some(reason)) if seat.cut.is_some() => reason,
        (MachineState::Failed, Some(step), Some(reason)) => {
            // Proxmox's own words may begin so too.
            let said = format!("{} failed: ", step.step);
            let reason = reason.strip_prefix(&said).unwrap_or(&reason);
            format!("{}{} failed: {reason}", step.step, tries(step))
        }
        (MachineState::Working, step, Some(reason)) if retrying(seat).or(step).is_some() => {
            let Some(step) = retrying(seat).or(step) else { return reason };
            // What came back, then what is done about it.
            let told = reason.split(" (try ").next().unwrap_or(&reason);
            let again = again(step, state).unwrap_or_else(|| format!("try {} is under way", step.attempts));
            format!("{}: {told}; {again}", step.step)
        }
        (MachineState::Working, Some(step), None) => {
            format!("{}{} for {}", step.step, tries(step), since(step, state))
        }
        (_, _, Some(reason)) => reason,
        (MachineState::Planned, ..) if !seat.is_made() => "not made yet".into(),
        (MachineState::Planned, ..) => "waiting for its turn".into(),
        _ => seat.word().to_owned(),
    }
}

/// What to do next, with the key that does it; only keys that exist.
fn next(state: &State, row: &ClassRow<'_>, seat: &SeatRow<'_>) -> Vec<(String, &'static str)> {
    // Nobody sits at a screen whose boards take turns.
    if state.kiosk.as_ref().is_some_and(Kiosk::rotates) {
        return Vec::new();
    }
    let key = |command: Command| {
        state.commands.iter().find(|e| e.command == command).and_then(|e| e.keys.first()).map(|key| key.to_string())
    };
    let mut next = Vec::new();
    let mut offer = |command: Command, does: &'static str| next.extend(key(command).map(|key| (key, does)));
    match seat.state {
        _ if row.is_worked_on() => {}
        MachineState::Failed if seat.cut.is_some() && row.run().is_some_and(|run| run.kind.removes()) => {
            offer(Command::Destroy, "asks for a destroy that goes on from there");
        }
        MachineState::Failed if seat.cut.is_some() => offer(Command::Deploy, "plans a deploy that goes on from there"),
        MachineState::Failed => offer(Command::Retry, "tries it again"),
        MachineState::Stale => offer(Command::Check, "repeats its roll call"),
        MachineState::Planned | MachineState::Stopped => offer(Command::Deploy, "plans a deploy"),
        _ => {}
    }
    if seat.can_be_entered() {
        offer(Command::Shell, "opens a shell");
    }
    if seat.progress.is_some() {
        offer(Command::SeatLog, "shows its log");
    }
    next
}

/// Every step it has gone through, with its time; over as many lines as there are.
fn proofs(page: &mut Page<'_>, area: Rect, mut line: usize, seat: &SeatRow<'_>) {
    let Some(progress) = seat.progress else { return };
    let glyphs = page.look.glyphs.clone();
    let mut pen = page.line(area, line);
    pen.skip(3);
    for step in progress.steps.iter().filter(|step| step.state != StepState::Waiting) {
        let (text, tone) = match step.state {
            // Setting a number aside takes no time worth a word.
            StepState::Ok if step.step == StepName::Reserve || step.was_found() => continue,
            StepState::Ok => (step.took.map_or(glyphs.done.to_owned(), format::took), Tone::Ok),
            StepState::Running if seat.cut.is_some() => (glyphs.stale.to_owned(), Tone::Warn),
            StepState::Running => (glyphs.working.to_owned(), Tone::Busy),
            StepState::Failed => (glyphs.failed.to_owned(), Tone::Bad),
            _ => (glyphs.skipped.to_owned(), Tone::Dim),
        };
        if pen.room() < step.step.as_str().width() + 1 + text.width() {
            line += 1;
            pen = page.line(area, line);
            pen.skip(3);
        }
        pen.put(step.step.as_str(), Tone::Dim).put(" ", Tone::Text).put(&text, tone).skip(2);
    }
}
