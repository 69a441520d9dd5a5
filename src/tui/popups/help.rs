//! Help, as the table of commands has it.

use ratatui::layout::Rect;

use super::{frame, keys};
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
    let inner = frame(page, area, 72, height, "help", Tone::Accent);
    let shown = usize::from(inner.height).saturating_sub(2);
    let first = scroll.min(lines.len().saturating_sub(shown));
    for (row, line) in lines.iter().skip(first).take(shown).enumerate() {
        let mut pen = page.line(inner, row);
        match line {
            Line::Heading(text) => {
                pen.put(text, Tone::Title);
            }
            Line::Entry(entry) => {
                let keys: Vec<_> = entry.keys.iter().map(|key| key.to_string()).collect();
                pen.skip(1).col(&keys.join(" "), 20, Tone::Accent).put(entry.help, Tone::Text);
            }
            Line::Gap => {}
        }
    }
    let last = usize::from(inner.height).saturating_sub(1);
    if lines.len() > shown {
        page.line(inner, last).put("j and k scroll", Tone::Dim);
    }
    keys(page, inner, last, state, &[]);
}

enum Line {
    Heading(&'static str),
    Entry(&'static Entry),
    Gap,
}

fn lines(state: &State) -> Vec<Line> {
    let mut lines = Vec::new();
    for (group, heading) in Group::HELP {
        if !lines.is_empty() {
            lines.push(Line::Gap);
        }
        lines.push(Line::Heading(heading));
        lines.extend(state.commands.iter().filter(|entry| entry.group == group).map(Line::Entry));
    }
    lines
}
