//! What an unattended screen has besides: the worst in one line, to be read from afar, and at the bottom where
//! in the round it is.

use ratatui::{
    layout::Rect,
    style::{Modifier, Style},
};
use unicode_width::UnicodeWidthStr;

use super::{
    draw::Look,
    pen::{Page, wrap},
    theme::Tone,
};
use crate::{
    app::{State, kiosk::Kiosk},
    domain::alert::Grade,
};

/// Below this a banner has one line: the board needs the others.
const LOW: u16 = 10;

/// The banner: the worst, in the colour of the worst, in two lines where one does not do; on red it is reversed. Gives
/// what is left of the area.
pub fn banner(page: &mut Page<'_>, area: Rect, state: &State, kiosk: &Kiosk) -> Rect {
    let (word, tone) = match kiosk.grade() {
        Grade::Calm => ("", Tone::Ok),
        Grade::Watch => ("WATCH  ", Tone::Warn),
        Grade::Red => ("RED  ", Tone::Bad),
    };
    // How much more is as bad is never cut off.
    let more = kiosk.wrong().iter().filter(|wrong| wrong.grade == kiosk.grade()).count().saturating_sub(1);
    let more = if more > 0 { format!("   and {more} more ") } else { String::new() };
    let room = usize::from(area.width).saturating_sub(1 + word.width() + more.width());
    let told = state.headline();
    let told = told.as_str();
    let first = match wrap(told, room).first() {
        Some(first) if area.height >= LOW && first.len() < told.len() => first.len(),
        _ => told.len(),
    };
    let (first, rest) = told.split_at(first);
    page.line(area, 0).skip(1).put(word, tone).col(first, room, tone).right(&[(more, tone)]);
    let high = if rest.is_empty() { 1 } else { 2 };
    if high > 1 {
        let before = 1 + word.width();
        page.line(area, 1).skip(before).col(rest.trim(), usize::from(area.width).saturating_sub(before + 1), tone);
    }
    let style = match kiosk.grade() {
        Grade::Red => page.style(tone).add_modifier(Modifier::REVERSED | Modifier::BOLD),
        Grade::Watch | Grade::Calm => Style::new().add_modifier(Modifier::BOLD),
    };
    (0..high).for_each(|line| page.under(area, line, style));
    let high = u16::try_from(high).unwrap_or(1);
    Rect { y: area.y + high, height: area.height - high, ..area }
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
