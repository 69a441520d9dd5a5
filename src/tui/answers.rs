//! What seats answered to one command: blocks of equal answers, odd ones as differences, and who is still at it. What
//! does not fit on a row goes on below.

use ratatui::layout::Rect;

use super::{panes::empty, pen::Page, theme::Tone};
use crate::{
    app::{
        State,
        asked::{Asked, Row},
    },
    domain::told::Told,
};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State) {
    let Some(asked) = &state.asking.newest else { return };
    title(page, area, asked);
    let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    if asked.is_empty() {
        let why = match &asked.over {
            None => "nobody has said anything yet",
            Some(None) => "nobody was there to answer",
            Some(Some(why)) => why.as_str(),
        };
        return empty(page, body, &[why]);
    }
    let width = asked.said.keys().map(|seat| seat.as_str().len()).max().unwrap_or_default();
    for (n, row) in asked.in_sight((body.width.into(), body.height.into())).enumerate() {
        let mut pen = page.line(body, n);
        match row {
            Row::Told(line, text) => pen.skip(1).put(&text, tone(line)),
            Row::Said(seat, said) => {
                pen.skip(1).col(seat.as_str(), width + 1, Tone::Busy).put(said.as_str(), Tone::Dim)
            }
        };
    }
}

fn title(page: &mut Page<'_>, area: Rect, asked: &Asked) {
    let (text, tone) = match &asked.over {
        None => (format!("{} of {} answered ", asked.answered, asked.seats), Tone::Busy),
        Some(None) => (format!("{} of {} answered ", asked.answered, asked.seats), Tone::Text),
        Some(Some(_)) => (format!("{} of {} answered, given up ", asked.answered, asked.seats), Tone::Warn),
    };
    let mut pen = page.line(area, 0);
    pen.skip(1).put(&asked.target.whom(), Tone::Title).put("  $ ", Tone::Accent);
    let room = pen.room().saturating_sub(text.len() + 2);
    pen.col(&asked.line, room, Tone::Text).right(&[(text, tone)]);
}

fn tone(line: &Told) -> Tone {
    match line {
        Told::Head { well: true, .. } => Tone::Ok,
        Told::Head { well: false, .. } => Tone::Bad,
        Told::Text(_) | Told::Same(_) => Tone::Text,
        Told::Note(_) | Told::Skipped(_) => Tone::Dim,
        Told::Missing(_) => Tone::Bad,
        Told::Added(_) => Tone::Ok,
    }
}
