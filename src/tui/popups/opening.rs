//! A shell that is being opened: that keys are kept for it, and how to give it up.

use ratatui::layout::Rect;

use super::{frame, keys_of};
use crate::{
    app::{Command, Context, State, shells::Opening},
    tui::{format, pen::Page, theme::Tone},
};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, opening: &Opening) {
    let inner = frame(page, area, 52, 4, &format!("opening {}", opening.door.kind()), Tone::Busy);
    let waited = state.now.duration_since(opening.since);
    let mut pen = page.line(inner, 0);
    pen.put("on ", Tone::Text).put(&opening.door.to_string(), Tone::Title);
    if waited.as_secs() > 0 {
        pen.right(&[(format::span(waited), Tone::Dim)]);
    }
    let told = match opening.held() {
        0 => "What is typed now is for it.".to_owned(),
        1 => "What is typed now is for it: 1 key so far.".to_owned(),
        n => format!("What is typed now is for it: {n} keys so far."),
    };
    page.line(inner, 1).put(&told, Tone::Dim);
    keys_of(page, inner, 3, state, Context::Opening, &[(Command::GiveUpShell, "give up")]);
}
