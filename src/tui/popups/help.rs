//! Help, as the table of commands has it.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::{frame, keys_beside};
use crate::{
    app::{
        State,
        commands::{Entry, Group},
    },
    tui::{pen::Page, theme::Tone},
};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, scroll: usize) {
    let lines = lines(state);
    let height = (lines.len() + 2).min(usize::from(area.height).saturating_sub(2));
    let inner = frame(page, area, 76, height, "help", Tone::Accent);
    let shown = usize::from(inner.height).saturating_sub(2);
    let first = scroll.min(lines.len().saturating_sub(shown));
    for (row, line) in lines.iter().skip(first).take(shown).enumerate() {
        let mut pen = page.line(inner, row);
        match line {
            Line::Heading(text) => {
                pen.put(text, Tone::Title);
            }
            Line::Row { keys, help, here } => {
                let (key, text) = if *here { (Tone::Accent, Tone::Text) } else { (Tone::Dim, Tone::Dim) };
                pen.skip(1).cell(keys, KEYS, 2, key).put(help, text);
            }
            Line::Gap => {}
        }
    }
    let last = usize::from(inner.height).saturating_sub(1);
    let text = [("j and k scroll; bright is what works here".to_owned(), Tone::Dim)];
    let beside = if lines.len() > shown { &text[..] } else { &[] };
    keys_beside(page, inner, last, state, beside, &[]);
}

/// The column of the keys.
const KEYS: usize = 24;

enum Line {
    Heading(&'static str),
    /// `here`: it does something on the screen behind.
    Row {
        keys: String,
        help: &'static str,
        here: bool,
    },
    Gap,
}

fn lines(state: &State) -> Vec<Line> {
    let context = state.base_context();
    let mut lines = Vec::new();
    for (group, heading) in Group::HELP {
        let entries: Vec<_> = state.commands.iter().filter(|entry| entry.group == group).collect();
        if entries.is_empty() {
            continue;
        }
        // Neighbours of one kind, as up and down, share a line.
        let rows = entries.chunk_by(|a, b| a.help == b.help);
        let here = |entries: &[&Entry]| entries.iter().any(|entry| entry.on.contains(&context));
        let rows = rows.map(|entries| Line::Row { keys: keys_of(entries), help: entries[0].help, here: here(entries) });
        if !lines.is_empty() {
            lines.push(Line::Gap);
        }
        lines.push(Line::Heading(heading));
        lines.extend(rows);
    }
    lines
}

/// The first key of each, then the second of each: `j k   down up`. What has no key is called by its name.
fn keys_of(entries: &[&Entry]) -> String {
    if let [entry] = entries
        && entry.keys.is_empty()
    {
        return format!(":{}", entry.command.name());
    }
    let most = entries.iter().map(|entry| entry.keys.len()).max().unwrap_or(0);
    let rank = |n: usize| entries.iter().filter_map(|entry| entry.keys.get(n)).map(ToString::to_string).collect();
    let mut told = String::new();
    for keys in (0..most).map(rank).map(|keys: Vec<_>| keys.join(" ")) {
        // Ways of saying the same that do not fit are not half told.
        if !told.is_empty() && told.width() + 3 + keys.width() > KEYS - 2 {
            break;
        }
        told.push_str(if told.is_empty() { "" } else { "   " });
        told.push_str(&keys);
    }
    told
}
