//! A deed on machines that stand: which, and what is done to them.

use ratatui::layout::Rect;

use super::{
    ask::{list, machines, named},
    frame, keys,
};
use crate::{
    app::{Command, State, popup::DeedPopup},
    domain::planning::Deed,
    tui::{pen::Page, theme::Tone},
};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, popup: &DeedPopup) {
    let machines = machines(state, &popup.targets);
    let listed = machines.len().min(usize::from(area.height).saturating_sub(8)).min(16);
    let lines = listed + usize::from(machines.len() > listed) + 4;
    let width = usize::from(area.width).saturating_sub(6).min(72);
    let whom = named(&popup.targets);
    // A workshop is started, and never shut down: it ends.
    let runs_on = popup.targets.iter().any(|target| state.class(&target.lab).is_some_and(|row| row.workshop.is_some()));
    let (title, tone) = match popup.deed {
        None if runs_on => (format!("{whom}: start or restart?"), Tone::Accent),
        None => (format!("{whom}: start, shut down or restart?"), Tone::Accent),
        Some(Deed::Check) => (format!("check {whom}?"), Tone::Accent),
        Some(Deed::Start) => (format!("start {whom}?"), Tone::Accent),
        Some(Deed::Stop) => (format!("shut down {whom}?"), Tone::Warn),
        Some(Deed::Restart) => (format!("restart {whom}?"), Tone::Warn),
    };
    let inner = frame(page, area, width, lines, &title, tone);
    list(page, inner, &machines, listed);
    let told = match popup.deed {
        None if runs_on => "Restarting ends what people have open there; what they wrote stays.",
        Some(Deed::Restart) if runs_on => "Ended, started and proven again; what was written stays.",
        None => "Shutting down and restarting end what people have open there.",
        Some(Deed::Check) => "The roll call again; it changes nothing.",
        Some(Deed::Start) => "What is off is started and proven; what runs is left alone.",
        Some(Deed::Stop) => "The guests are told to shut down. The machines stay.",
        Some(Deed::Restart) => "Shut down, started and proven again.",
    };
    page.line(inner, lines - 3).put(told, Tone::Text);
    let commands: &[_] = match popup.deed {
        None if runs_on => &[(Command::Start, "start"), (Command::Restart, "restart")],
        None => &[(Command::Start, "start"), (Command::Stop, "shut down"), (Command::Restart, "restart")],
        Some(Deed::Check) => &[(Command::ConfirmDeed, "check")],
        Some(Deed::Start) => &[(Command::ConfirmDeed, "start")],
        Some(Deed::Stop) => &[(Command::ConfirmDeed, "shut down")],
        Some(Deed::Restart) => &[(Command::ConfirmDeed, "restart")],
    };
    keys(page, inner, usize::from(inner.height).saturating_sub(1), state, commands);
}
