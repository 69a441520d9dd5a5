//! A form: labels, fields on a ground of their own, choices between arrows, and under the one in front what belongs
//! there or what is wrong with it. A secret is never shown, not even for its length.

use ratatui::layout::Rect;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{pen::Page, theme::Tone};
use crate::app::form::{Field, Form, Kind};

/// Draws as much of the form as fits, around the field in front; lines used.
pub fn draw<K: Copy + PartialEq>(page: &mut Page<'_>, area: Rect, form: &Form<K>) -> usize {
    let label = form.fields.iter().map(|field| field.label.width()).max().unwrap_or(0) + 2;
    // The field in front has a line below it for its hint.
    let room = usize::from(area.height).saturating_sub(1);
    let first = crate::app::cursor::window(form.at, form.fields.len(), room);
    let mut row = 0;
    for (n, field) in form.fields.iter().enumerate().skip(first).take(room) {
        let front = n == form.at;
        line(page, area, row, field, label, front);
        row += 1;
        if front {
            let (text, tone) = match &field.wrong {
                Some(wrong) => (wrong.as_str(), Tone::Bad),
                None => (field.hint, Tone::Dim),
            };
            page.line(area, row).skip(label + 3).put(text, tone);
            row += 1;
        }
    }
    row
}

fn line<K>(page: &mut Page<'_>, area: Rect, row: usize, field: &Field<K>, label: usize, front: bool) {
    let ground = page.look.theme.field();
    let unicode = page.look.glyphs.unicode;
    let marker = if front { page.look.glyphs.cursor } else { " " };
    let mut pen = page.line(area, row);
    pen.put(marker, Tone::Accent).skip(1);
    pen.col(field.label, label, if front { Tone::Accent } else { Tone::Dim });
    let width = pen.room().saturating_sub(8).min(60);
    let start = pen.position();
    let value = field.input.value();
    let (text, cursor) = match &field.kind {
        Kind::Secret if value.is_empty() => (String::new(), 0),
        Kind::Secret => ("(typed, not shown)".to_owned(), 18),
        Kind::Choice { of, free } => {
            let (left, right) = if unicode { ("‹ ", " ›") } else { ("< ", " >") };
            let arrows = front && of.len() > 1;
            let text = if arrows { format!("{left}{value}{right}") } else { value.to_owned() };
            let cursor = if *free { field.input.visual_cursor() + if arrows { 2 } else { 0 } } else { 0 };
            (text, cursor)
        }
        Kind::Text => scrolled(value, field.input.visual_scroll(width.saturating_sub(2)), field.input.visual_cursor()),
    };
    pen.skip(1).col(&text, width.saturating_sub(1), Tone::Text);
    if field.wrong.is_some() && !front {
        pen.skip(1).put("wrong", Tone::Bad);
    }
    let field_width = u16::try_from(width).unwrap_or(u16::MAX);
    page.under(Rect { x: start.x, y: start.y, width: field_width, height: 1 }, 0, ground);
    let typed_in = !matches!(field.kind, Kind::Choice { free: false, .. });
    if front && typed_in {
        let at = u16::try_from(cursor.min(width.saturating_sub(2))).unwrap_or(0);
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
