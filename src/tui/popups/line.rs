//! The line of a command for seats, while it is typed.

use ratatui::layout::Rect;

use super::{field_of, frame, keys_beside};
use crate::{
    app::{Command, State, asked::LinePopup},
    tui::{
        pen::{Page, wrap},
        theme::Tone,
    },
};

const WIDTH: usize = 72;
/// Lines told at most of who is left out.
const LEFT: usize = 3;

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, popup: &LinePopup) {
    let left = match popup.left.as_slice() {
        [] => Vec::new(),
        left => wrap(&format!("left out: {}", left.join("; ")), WIDTH.min(usize::from(area.width).saturating_sub(4))),
    };
    let shown = left.len().min(LEFT);
    let inner = frame(page, area, WIDTH, 7 + shown, "run a command", Tone::Accent);
    page.line(inner, 0).put("on ", Tone::Text).put(&popup.target.whom(), Tone::Title);
    let names: Vec<_> = popup.target.seats.iter().map(|seat| seat.as_str()).collect();
    if names.len() > 1 {
        page.line(inner, 1).skip(3).put(&names.join(", "), Tone::Dim);
    }
    for (n, line) in left.iter().take(shown).enumerate() {
        page.line(inner, 2 + n).put(line, Tone::Warn);
    }
    page.line(inner, 2 + shown).put("a line for the shell there; equal answers are told as one", Tone::Dim);
    field_of(page, inner, 4 + shown, "$", &popup.typed, true, usize::from(inner.width));
    let before = [("up".to_owned(), Tone::Accent), (" what was typed before".to_owned(), Tone::Dim)];
    keys_beside(page, inner, 6 + shown, state, &before, &[(Command::RunLine, "run it")]);
}
