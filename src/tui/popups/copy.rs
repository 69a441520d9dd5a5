//! What to copy: each text on offer, and what it reads.

use ratatui::layout::Rect;

use super::{frame, keys};
use crate::{
    app::{Command, State, copying::CopyPopup},
    tui::{pen::Page, theme::Tone},
};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, popup: &CopyPopup) {
    let inner = frame(page, area, 70, popup.offers.len() + 2, "copy", Tone::Accent);
    for (n, offer) in popup.offers.iter().enumerate() {
        if n == popup.at {
            page.cursor_row(inner, n);
        }
        let marker = if n == popup.at { page.look.glyphs.cursor } else { " " };
        let lines = offer.text.lines().count();
        let more = if lines > 1 { format!("  {lines} lines") } else { String::new() };
        let mut pen = page.line(inner, n);
        pen.put(marker, Tone::Accent).cell(offer.what, 18, 2, Tone::Dim);
        pen.put(offer.text.lines().next().unwrap_or_default(), Tone::Text).put(&more, Tone::Dim);
    }
    keys(page, inner, usize::from(inner.height).saturating_sub(1), state, &[(Command::ConfirmCopy, "copy")]);
}
