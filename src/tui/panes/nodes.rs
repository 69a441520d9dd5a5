//! Nodes with their load, storages with their room.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::empty;
use crate::{
    app::{Context, State, cursor::window, sites::NodeRow},
    tui::{
        format,
        pen::{Page, Pen},
        theme::Tone,
    },
};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State) {
    let rows = state.shown_nodes();
    if rows.is_empty() {
        let lost = state.sites.iter().find_map(|(name, site)| site.lost.as_ref().map(|lost| (name, lost)));
        return match lost {
            Some((name, lost)) => reason(page, area, &format!("{name}: {}", lost.why)),
            None if !state.filter_text(crate::app::Pane::Nodes).is_empty() => empty(page, area, &["nothing matches"]),
            None => empty(page, area, &["waiting for the first answer"]),
        };
    }
    let keys: Vec<_> = rows.iter().map(NodeRow::key).collect();
    let at = state.nodes.cursor.position(&keys).unwrap_or(0);
    let focused = state.context() == Context::Nodes;
    // The window is counted in lines, and a node takes two.
    let tops: Vec<usize> = rows
        .iter()
        .scan((0, false), |(top, storage), row| {
            let gap = usize::from(!*storage && *top > 0 && is_storage(row));
            *storage = is_storage(row);
            let this = *top + gap;
            *top = this + height(row);
            Some(this)
        })
        .collect();
    let total = tops.last().zip(rows.last()).map_or(0, |(top, row)| top + height(row));
    let first = window(tops[at], total, usize::from(area.height));
    let name = rows.iter().map(|row| row.name().width()).max().unwrap_or(0).clamp(4, 12);
    for ((row, top), n) in rows.iter().zip(&tops).zip(0..) {
        if *top < first {
            continue;
        }
        let line = top - first;
        if focused && n == at {
            let style = page.look.theme.cursor_row();
            (line..line + height(row)).for_each(|line| page.under(area, line, style));
        }
        let marker = if focused && n == at { page.look.glyphs.cursor } else { " " };
        page.line(area, line).put(marker, Tone::Accent);
        let shown = Rect { x: area.x + 1, width: area.width - 1, ..area };
        match row {
            NodeRow::Node { .. } => node(page, shown, line, row, name, state),
            NodeRow::Storage { .. } => storage(page, shown, line, row, name),
        }
    }
}

fn is_storage(row: &NodeRow<'_>) -> bool {
    matches!(row, NodeRow::Storage { .. })
}

fn height(row: &NodeRow<'_>) -> usize {
    if is_storage(row) { 1 } else { 2 }
}

fn node(page: &mut Page<'_>, area: Rect, line: usize, row: &NodeRow<'_>, name: usize, state: &State) {
    let NodeRow::Node { node, machines, offline_since, cpu, .. } = row else { return };
    let indent = name + 2;
    let mut pen = page.line(area, line);
    pen.col(node.node.as_str(), indent, Tone::Title);
    if !node.online {
        let since = offline_since.map(|at| format::moment(at, state.now, &state.settings.zone));
        pen.put("offline", Tone::Bad).put(&since.map_or(String::new(), |at| format!(" since {at}")), Tone::Dim);
        let out_of_sight = if *machines > 0 { format!("{machines} machines out of sight") } else { String::new() };
        page.line(area, line + 1).skip(indent).put(&out_of_sight, Tone::Dim);
        return;
    }
    pen.put("cpu ", Tone::Dim);
    gauge(&mut pen, node.cpu);
    pen.skip(2);
    sparkline(&mut pen, cpu);
    let mut pen = page.line(area, line + 1);
    pen.skip(indent).put("mem ", Tone::Dim);
    gauge(&mut pen, share(node.memory_used, node.memory));
    pen.skip(2).put(&format!("{machines} machine{}", if *machines == 1 { "" } else { "s" }), Tone::Dim);
}

fn storage(page: &mut Page<'_>, area: Rect, line: usize, row: &NodeRow<'_>, name: usize) {
    let NodeRow::Storage { name: storage, node, used, total, available, .. } = row else { return };
    let mut pen = page.line(area, line);
    pen.col(storage.as_str(), name + 2, Tone::Title);
    if !available {
        pen.put("not available", Tone::Bad);
    } else {
        let full = share(*used, *total);
        pen.skip(4);
        bar(&mut pen, full, load(full));
        pen.skip(2).put(&format::part(*used, *total), Tone::Dim);
    }
    if let Some(node) = node {
        pen.skip(2).put(node.as_str(), Tone::Dim);
    }
}

fn share(used: u64, total: u64) -> f64 {
    if total == 0 { 0.0 } else { used as f64 / total as f64 }
}

/// The tone of a load: quiet until it matters.
fn load(share: f64) -> Tone {
    match share {
        share if share >= 0.9 => Tone::Bad,
        share if share >= 0.75 => Tone::Warn,
        _ => Tone::Busy,
    }
}

fn gauge(pen: &mut Pen<'_>, share: f64) {
    let tone = load(share);
    bar(pen, share, tone);
    pen.num(&format::percent(share), 5, if tone == Tone::Busy { Tone::Text } else { tone });
}

/// Ten cells.
fn bar(pen: &mut Pen<'_>, share: f64, tone: Tone) {
    let full = ((share * 10.0).round() as usize).min(10);
    let glyphs = pen.glyphs();
    pen.put(&glyphs.full.repeat(full), tone).put(&glyphs.empty.repeat(10 - full), Tone::Border);
}

/// The last looks that fit, the newest at the right.
fn sparkline(pen: &mut Pen<'_>, history: &[f64]) {
    let room = pen.room().saturating_sub(1).min(20);
    let glyphs = pen.glyphs();
    let cells = &history[history.len().saturating_sub(room)..];
    let level = |share: &f64| glyphs.spark[((share * 8.0) as usize).min(7)];
    pen.put(&cells.iter().map(level).collect::<String>(), Tone::Dim);
}

/// Why nothing is seen, in full.
fn reason(page: &mut Page<'_>, area: Rect, why: &str) {
    let width = usize::from(area.width).saturating_sub(3);
    for (row, line) in crate::tui::pen::wrap(why, width).iter().enumerate() {
        page.line(area, row + 1).skip(2).put(line, Tone::Bad);
    }
}
