//! Help, as the table of commands has it.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::{frame, keys_beside};
use crate::{
    app::{
        State,
        commands::{Entry, Group},
    },
    tui::{
        pen::{Page, wrap},
        theme::Tone,
    },
};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, scroll: usize) {
    let room = usize::from(area.width).min(WIDE).saturating_sub(5);
    // Where there is little room, what a key does matters more than all the keys that do it.
    let keys = if room < NARROW { FEW } else { KEYS };
    let items = items(state, keys, room.saturating_sub(keys));
    let count: usize = items.iter().map(Vec::len).sum();
    let height = (count + 2).min(usize::from(area.height).saturating_sub(2));
    let inner = frame(page, area, WIDE, height, "help", Tone::Accent);
    let shown = usize::from(inner.height).saturating_sub(2);
    // The first item from which on all have room.
    let mut left = shown;
    let fits = items.iter().rev().take_while(|item| {
        let fits = item.len() <= left;
        left = left.saturating_sub(item.len());
        fits
    });
    let first = scroll.min(items.len() - fits.count());
    for (row, line) in items.iter().skip(first).flatten().take(shown).enumerate() {
        let mut pen = page.line(inner, row);
        match line {
            Line::Heading(text) => {
                pen.put(text, Tone::Title);
            }
            Line::Row { keys: by, help, here } => {
                let (key, text) = if *here { (Tone::Accent, Tone::Text) } else { (Tone::Dim, Tone::Dim) };
                pen.skip(1).put(by, key).skip(keys.saturating_sub(by.width())).put(help, text);
            }
            Line::Gap => {}
        }
    }
    let last = usize::from(inner.height).saturating_sub(1);
    let text = [("j and k scroll; bright is what works here".to_owned(), Tone::Dim)];
    let beside = if count > shown { &text[..] } else { &[] };
    keys_beside(page, inner, last, state, beside, &[]);
}

/// Columns of the popup where there are as many, and below which the keys get few.
const WIDE: usize = 76;
const NARROW: usize = 60;
/// The column of the keys.
const KEYS: usize = 24;
const FEW: usize = 8;

enum Line {
    Heading(&'static str),
    /// `here`: it does something on the screen behind.
    Row {
        keys: String,
        help: String,
        here: bool,
    },
    Gap,
}

/// What is told, each over as many lines as it takes, with so many columns for the keys and so many for what they do.
fn items(state: &State, keys: usize, room: usize) -> Vec<Vec<Line>> {
    let context = state.base_context();
    let mut items = Vec::new();
    for (group, heading) in Group::HELP {
        let entries: Vec<_> = state.commands.iter().filter(|entry| entry.group == group).collect();
        if entries.is_empty() {
            continue;
        }
        // Neighbours of one kind, as up and down, share a line.
        let rows = entries.chunk_by(|a, b| a.help == b.help);
        let here = |entries: &[&Entry]| entries.iter().any(|entry| entry.on.contains(&context));
        let rows = rows.map(|entries| {
            let (by, here) = (keys_of(entries, keys), here(entries));
            let mut told = wrap(entries[0].help, room);
            // A name that is longer than the column has a line to itself.
            let beside = if by.width() + 2 > keys || told.is_empty() { String::new() } else { told.remove(0) };
            let first = Line::Row { keys: by, help: beside, here };
            let rest = told.into_iter().map(move |help| Line::Row { keys: String::new(), help, here });
            std::iter::once(first).chain(rest).collect()
        });
        if !items.is_empty() {
            items.push(vec![Line::Gap]);
        }
        items.push(vec![Line::Heading(heading)]);
        items.extend(rows);
    }
    items
}

/// The first key of each, then the second of each: `j k   down up`. What has no key is called by its name.
fn keys_of(entries: &[&Entry], width: usize) -> String {
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
        if !told.is_empty() && told.width() + 3 + keys.width() > width - 2 {
            break;
        }
        told.push_str(if told.is_empty() { "" } else { "   " });
        told.push_str(&keys);
    }
    told
}
