//! The line of a command for seats, while it is typed.

use ratatui::layout::Rect;

use super::{field_of, frame, keys_beside};
use crate::{
    app::{Command, State, asked::LinePopup},
    tui::{pen::Page, theme::Tone},
};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, popup: &LinePopup) {
    let inner = frame(page, area, 72, 7, "run a command", Tone::Accent);
    page.line(inner, 0).put("on ", Tone::Text).put(&popup.target.whom(), Tone::Title);
    let names: Vec<_> = popup.target.seats.iter().map(|seat| seat.as_str()).collect();
    if names.len() > 1 {
        page.line(inner, 1).skip(3).put(&names.join(", "), Tone::Dim);
    }
    page.line(inner, 2).put("a line for the shell there; equal answers are told as one", Tone::Dim);
    field_of(page, inner, 4, "$", &popup.typed, true, usize::from(inner.width));
    let before = [("up".to_owned(), Tone::Accent), (" what was typed before".to_owned(), Tone::Dim)];
    keys_beside(page, inner, 6, state, &before, &[(Command::RunLine, "run it")]);
}
