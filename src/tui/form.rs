//! A form: labels, fields on a ground of their own, choices between arrows, beside each what is wrong with it, and under
//! the one in front what belongs there. A secret is never shown, not even for its length.

use ratatui::layout::Rect;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{
    pen::{Page, cut, wrap},
    theme::Tone,
};
use crate::app::{
    cursor::window,
    form::{Field, Form, Kind},
    pointer::Spot,
};

/// Less is no room for a complaint beside a field.
const BESIDE: usize = 14;
/// Lines of a complaint below its field.
const TOLD: usize = 3;

/// What stands on a line.
enum Row {
    Blank,
    Heading(&'static str),
    /// The field of this place.
    Field(usize),
    /// Below the field in front.
    Told(String, Tone),
}

/// Draws as much of the form as fits, around the field in front, with fields up to `widest` columns; lines used.
pub fn draw<K: Copy + PartialEq>(page: &mut Page<'_>, area: Rect, form: &Form<K>, widest: usize) -> usize {
    let label = form.fields.iter().map(|field| field.label.width()).max().unwrap_or(0) + 2;
    let rows = rows(form, usize::from(area.width).saturating_sub(label + 4));
    let front = rows.iter().position(|row| matches!(row, Row::Field(n) if *n == form.at)).unwrap_or(0);
    // What is told of the field in front is seen along with it.
    let last = rows.iter().rposition(|row| matches!(row, Row::Told(..))).unwrap_or(front);
    let height = usize::from(area.height);
    let first = window(front, rows.len(), height).max((last + 1).saturating_sub(height)).min(front);
    for (n, row) in rows.iter().skip(first).take(height).enumerate() {
        match row {
            Row::Blank => {}
            Row::Heading(heading) => _ = page.line(area, n).skip(2).put(heading, Tone::Title),
            Row::Told(text, tone) => _ = page.line(area, n).skip(label + 3).put(text, *tone),
            Row::Field(at) => {
                let field = &form.fields[*at];
                line(page, area, n, field, (label, widest), *at == form.at, wrong(form, field));
                let y = area.y + u16::try_from(n).unwrap_or(0);
                page.spots.add(Rect { y, height: 1, ..area }, Spot::Field(*at));
            }
        }
    }
    // That it goes on is told at the free end of the last line.
    let below = rows.iter().skip(first + height).filter(|row| matches!(row, Row::Field(_))).count();
    if below > 0 && height > 0 {
        page.line(area, height - 1).right(&[(format!(" {below} more below "), Tone::Dim)]);
    }
    rows.len().min(height)
}

fn rows<K: Copy + PartialEq>(form: &Form<K>, width: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut group = "";
    for (n, field) in form.fields.iter().enumerate() {
        if field.group != group {
            group = field.group;
            rows.extend((!rows.is_empty()).then_some(Row::Blank));
            rows.push(Row::Heading(group));
        }
        rows.push(Row::Field(n));
        if n == form.at {
            let (text, tone) = match (&field.wrong, &field.doubt) {
                (Some(told), _) => (told.as_str(), wrong(form, field)),
                (None, Some(doubt)) => (doubt.as_str(), Tone::Warn),
                (None, None) => (field.hint, Tone::Dim),
            };
            rows.extend(wrap(text, width).into_iter().take(TOLD).map(|line| Row::Told(line, tone)));
        }
    }
    rows
}

/// In which tone it is said what is wrong with a field: what nobody has typed yet is no mistake.
fn wrong<K: Copy + PartialEq>(form: &Form<K>, field: &Field<K>) -> Tone {
    if form.is_awaited(field) { Tone::Dim } else { Tone::Bad }
}

fn line<K>(
    page: &mut Page<'_>,
    area: Rect,
    row: usize,
    field: &Field<K>,
    (label, widest): (usize, usize),
    front: bool,
    wrong: Tone,
) {
    let ground = page.look.theme.field();
    let (unicode, more) = (page.look.glyphs.unicode, page.look.glyphs.more);
    let marker = if front { page.look.glyphs.cursor } else { " " };
    let mut pen = page.line(area, row);
    pen.put(marker, Tone::Accent).skip(1);
    pen.col(field.label, label, if front { Tone::Accent } else { Tone::Dim });
    let width = pen.room().saturating_sub(8).min(widest);
    let start = pen.position();
    let value = field.input.value();
    let inside = width.saturating_sub(2);
    let (text, cursor) = match &field.kind {
        Kind::Secret if value.is_empty() => (String::new(), 0),
        Kind::Secret => ("(typed, not shown)".to_owned(), 18),
        Kind::Choice { of, free: false, .. } => {
            let (left, right) = if unicode { ("‹ ", " ›") } else { ("< ", " >") };
            let arrows = front && of.len() > 1;
            (if arrows { format!("{left}{value}{right}") } else { value.to_owned() }, 0)
        }
        Kind::Choice { .. } | Kind::Text => {
            // A list to choose from has its sign at the end.
            let room = if field.kind == Kind::Text { inside } else { inside.saturating_sub(2) };
            let from = if front { field.input.visual_scroll(room.saturating_sub(1)) } else { 0 };
            let (text, cursor) = scrolled(value, from, field.input.visual_cursor());
            (cut(&text, room, more), cursor)
        }
    };
    if value.is_empty() && (!front || field.takes_text()) {
        pen.skip(1).col(field.empty, inside, Tone::Dim);
    } else {
        pen.skip(1).col(&text, inside, Tone::Text);
    }
    let told = field.wrong.as_ref().map(|told| (told, wrong));
    let told = told.or(field.doubt.as_ref().map(|doubt| (doubt, Tone::Warn))).filter(|_| !front);
    if let Some((text, tone)) = told {
        pen.skip(2);
        let (text, room) = (text.as_str(), pen.room());
        // In full, in short, as much as fits; at the least that there is something.
        let short = text.split_once(": ").map_or(text, |(short, _)| short);
        let text = match () {
            () if text.width() <= room => text,
            () if short.width() <= room => short,
            () if room >= BESIDE => text,
            () => pen.glyphs().failed,
        };
        pen.put(text, tone);
    }
    let place = Rect { x: start.x, y: start.y, width: u16::try_from(width).unwrap_or(u16::MAX), height: 1 };
    if matches!(field.kind, Kind::Choice { free: true, .. }) {
        page.line(place, 0).right(&[((if unicode { "▾ " } else { "v " }).to_owned(), Tone::Dim)]);
    }
    page.under(place, 0, ground);
    if front && field.takes_text() {
        let at = u16::try_from(cursor.min(inside)).unwrap_or(0);
        page.cursor = Some((start.x + 1 + at, start.y).into());
    }
}

/// The part of a long text around its cursor, and where in it that is.
fn scrolled(value: &str, from: usize, cursor: usize) -> (String, usize) {
    let mut passed = 0;
    let text = value
        .chars()
        .skip_while(|c| {
            passed += c.width().unwrap_or(0);
            passed <= from
        })
        .collect();
    (text, cursor.saturating_sub(from))
}
