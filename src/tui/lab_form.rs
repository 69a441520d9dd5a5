//! A definition being filled in: its fields, and beside them or in their place the text they make.

use ratatui::layout::Rect;

use super::{
    form,
    pen::{Page, wrap},
    theme::Tone,
};
use crate::app::{
    State,
    lab_form::{LabForm, fields::STUDENTS},
};

/// The widest field, so that complaints have room beside it; and where there is little.
const FIELD: usize = 34;
const FIELD_NARROW: usize = 28;

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State) {
    let Some(form) = &state.lab_form else { return };
    title(page, Rect { height: 1, ..area }, form);
    page.rule(area, 1, "");
    let body = Rect { y: area.y + 2, height: area.height.saturating_sub(2), ..area };
    if !LabForm::shows_both(area.width) {
        return if form.shows_text { text(page, body, form) } else { fields(page, body, form) };
    }
    let left = (area.width * 3 / 5).clamp(66, 100);
    fields(page, Rect { width: left, ..body }, form);
    let edge = page.look.glyphs.border.vertical_left;
    for row in 0..usize::from(body.height) {
        page.line(Rect { x: body.x + left, width: 1, ..body }, row).put(edge, Tone::Border);
    }
    text(page, Rect { x: body.x + left + 1, width: area.width - left - 1, ..body }, form);
}

/// What it is, and how it stands.
fn title(page: &mut Page<'_>, area: Rect, form: &LabForm) {
    let mut pen = page.line(area, 0);
    match &form.lab {
        Some(lab) => pen.skip(1).put(lab.as_str(), Tone::Title).skip(3).put(form.kind.word(), Tone::Dim),
        None => pen.skip(1).put(&format!("new {}", form.kind.word()), Tone::Title),
    };
    let glyphs = pen.glyphs();
    let awaited = form.form.awaited();
    let (stands, tone) = match form.wrong() - awaited {
        _ if form.saving => ("saving".to_owned(), Tone::Busy),
        0 if awaited > 0 => (format!("{awaited} to be given"), Tone::Dim),
        1 => (format!("{} 1 thing is wrong", glyphs.failed), Tone::Bad),
        n if n > 1 => (format!("{} {n} things are wrong", glyphs.failed), Tone::Bad),
        _ if !form.is_changed() && form.lab.is_some() => ("as it is stored".to_owned(), Tone::Dim),
        _ if form.checked => (format!("{} nothing is wrong; not saved yet", glyphs.done), Tone::Ok),
        _ => (String::new(), Tone::Dim),
    };
    pen.right(&[(format!("{stands} "), tone)]);
}

fn fields(page: &mut Page<'_>, area: Rect, form: &LabForm) {
    let mut below: Vec<(String, Tone)> = Vec::new();
    let width = usize::from(area.width).saturating_sub(3);
    for fault in form.faults.iter().take(2) {
        below.extend(wrap(fault.why.as_str(), width).into_iter().take(2).map(|line| (line, Tone::Bad)));
    }
    let kept = form.kept();
    if !kept.is_empty() {
        below.push((format!("kept as it is: {}", kept.join(", ")), Tone::Dim));
    }
    let told = u16::try_from(below.len()).unwrap_or(0).min(area.height / 3);
    let fields = Rect { height: area.height - told - u16::from(told > 0), ..area };
    let widest = if area.width < 76 { FIELD_NARROW } else { FIELD };
    form::draw(page, fields, &form.form, widest);
    let rest = Rect { y: area.bottom() - told, height: told, ..area };
    for (row, (line, tone)) in below.iter().enumerate() {
        page.line(rest, row).skip(2).put(line, *tone);
    }
}

/// The text, the lines of the field in front marked.
fn text(page: &mut Page<'_>, area: Rect, form: &LabForm) {
    let text = form.text();
    let front = form.form.front().map_or("", |field| field.key);
    let lines: Vec<&str> = text.lines().collect();
    let marked = marked(&lines, front);
    let height = usize::from(area.height);
    let first = crate::app::cursor::window(marked.unwrap_or(0), lines.len(), height);
    for (n, line) in lines.iter().enumerate().skip(first).take(height) {
        if marked == Some(n) {
            page.cursor_row(area, n - first);
        }
        let mut pen = page.line(area, n - first);
        pen.skip(1);
        match line.split_once(" = ") {
            _ if line.starts_with('[') => pen.put(line, Tone::Accent),
            _ if line.starts_with('#') => pen.put(line, Tone::Dim),
            Some((key, value)) => pen.put(key, Tone::Dim).put(" = ", Tone::Dim).put(value, Tone::Text),
            None => pen.put(line, Tone::Text),
        };
    }
}

/// The line a value stands on: its own, or that of the table written in one line around it.
fn marked(lines: &[&str], front: &str) -> Option<usize> {
    let mut table = String::new();
    for (n, line) in lines.iter().enumerate() {
        if line.starts_with('[') {
            table = line.trim_matches(['[', ']']).to_owned() + ".";
        } else if let Some((key, _)) = line.split_once(" = ") {
            let path = format!("{table}{}", key.trim());
            let path = if path == "count" { STUDENTS } else { path.as_str() };
            if front.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
                return Some(n);
            }
        }
    }
    None
}
