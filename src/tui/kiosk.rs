//! What an unattended screen has besides: the worst in one line, to be read from afar, and at the bottom where
//! in the round it is.

use ratatui::{
    layout::Rect,
    style::{Modifier, Style},
};
use unicode_width::UnicodeWidthStr;

use super::{draw::Look, pen::Page, theme::Tone};
use crate::{
    app::{State, kiosk::Kiosk},
    domain::alert::Grade,
};

/// The banner: the worst, in the colour of the worst; on red the whole line is reversed.
pub fn banner(page: &mut Page<'_>, area: Rect, state: &State, kiosk: &Kiosk) {
    let (word, tone) = match kiosk.grade() {
        Grade::Calm => ("", Tone::Ok),
        Grade::Watch => ("WATCH  ", Tone::Warn),
        Grade::Red => ("RED  ", Tone::Bad),
    };
    let mut pen = page.line(area, 0);
    // How much more is as bad is never cut off.
    let more = kiosk.wrong().iter().filter(|wrong| wrong.grade == kiosk.grade()).count().saturating_sub(1);
    let more = if more > 0 { format!("   and {more} more ") } else { String::new() };
    let room = pen.room().saturating_sub(1 + word.width() + more.width());
    pen.skip(1).put(word, tone).col(state.headline().as_str(), room, tone).right(&[(more, tone)]);
    let style = match kiosk.grade() {
        Grade::Red => page.style(tone).add_modifier(Modifier::REVERSED | Modifier::BOLD),
        Grade::Watch | Grade::Calm => Style::new().add_modifier(Modifier::BOLD),
    };
    page.under(area, 0, style);
}

/// The bottom line while boards take turns.
pub fn bottom(page: &mut Page<'_>, area: Rect, kiosk: &Kiosk) {
    let (at, of) = kiosk.place();
    let turns = match (kiosk.grade(), of) {
        (Grade::Red, 1) => "stays here while it is red".to_owned(),
        (Grade::Red, of) => format!("board {at} of {of} that are red"),
        (_, of) => format!("board {at} of {of}"),
    };
    let keys = [("?", " help   "), ("q", " leave ")];
    let keys: Vec<_> = keys
        .iter()
        .flat_map(|(key, does)| [((*key).to_owned(), Tone::Accent), ((*does).to_owned(), Tone::Dim)])
        .collect();
    let taken: usize = keys.iter().map(|(text, _)| text.width()).sum();
    let mut pen = page.line(area, 0);
    pen.skip(1).put("kiosk", Tone::Accent).skip(3);
    // The keys win.
    let room = pen.room().saturating_sub(taken + 1);
    pen.col(&turns, room.min(turns.width()), Tone::Dim).skip(3.min(room.saturating_sub(turns.width()) + 1));
    if kiosk.is_called() && pen.room() > taken + 8 {
        pen.put("called", Tone::Bad);
    }
    pen.right(&keys);
}

/// The same signs and colours without a cursor: nobody moves it.
pub fn without_cursor(look: &Look) -> Look {
    let mut look = look.clone();
    look.glyphs.cursor = " ";
    look.theme = look.theme.without_cursor();
    look
}
