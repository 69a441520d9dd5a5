//! The four panes: all at once where there is room, else one at a time under a line of tabs.

use ratatui::{
    layout::Rect,
    symbols::merge::MergeStrategy,
    widgets::{Block, Widget},
};

use super::{
    header, matters,
    panes::{classes, log, nodes, ordered, workshops},
    pen::Page,
    theme::Tone,
};
use crate::{
    app::{
        Pane, State,
        labs::ClassRow,
        pointer::{Divider, Spot},
        shown::Labs,
    },
    domain::MachineState,
};

/// Below this the tabs have room for their names alone.
const NARROW: u16 = 56;
/// Below this a list is not shortened for the log.
const LOW: u16 = 9;
/// From here on all four panes are shown at once.
const WIDE: u16 = 100;
const HIGH: u16 = 28;
/// From here on one pane leaves room for all that matters now.
const ROOMY: u16 = 20;

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, labs: &Labs<'_>) {
    let wide = area.width >= WIDE && area.height >= HIGH;
    // A kiosk has its banner.
    if state.kiosk.is_some() {
        return if wide { grid(page, area, state, labs) } else { tabs(page, area, state, labs) };
    }
    let room = if wide { HIGH + 6 } else { ROOMY };
    let lines = if area.height >= room { matters::LINES } else { 1 };
    let band = Rect { height: lines, ..area };
    if lines > 1 {
        matters::draw(page, band, state, labs)
    } else {
        matters::first(page, band, state, labs)
    }
    let below = Rect { y: area.y + lines, height: area.height - lines, ..area };
    if wide { grid(page, below, state, labs) } else { tabs(page, below, state, labs) }
}

/// ```text
/// ┌ 1 nodes ──┬ 2 classes ─────┐
/// │           │                │
/// │           ├ 3 workshops ───┤
/// ├ 4 log ────┴────────────────┤
/// └────────────────────────────┘
/// ```
fn grid(page: &mut Page<'_>, area: Rect, state: &State, labs: &Labs<'_>) {
    let left_width = match state.split.left {
        Some(column) => (column + 1).clamp(30, area.width - 40),
        None => (area.width * 39 / 100).clamp(50, 64),
    };
    // Lists are as high as what they hold, with a line of air; the log has the rest, and never less than a third.
    let lines = |n: usize| u16::try_from(n).unwrap_or(u16::MAX).min(area.height);
    let shops = labs.shown(state, Pane::Workshops).len();
    let shops = lines(shops) + if shops == 0 { 4 } else { 2 };
    let left = lines(nodes::wanted(state)) + 2;
    let right = (lines(labs.shown(state, Pane::Classes).len().max(3)) + 3).saturating_add(shops - 1);
    let top_height = match state.split.log {
        Some(row) => row.saturating_sub(area.y) + 1,
        None => left.max(right).min(area.height - (area.height / 3).max(8) + 1),
    };
    let top_height = top_height.clamp(14, area.height - 4);
    let shops_height = shops.clamp(4, top_height / 2);
    let nodes = Rect { width: left_width, height: top_height, ..area };
    let classes = Rect {
        x: area.x + left_width - 1,
        width: area.width - left_width + 1,
        height: top_height - shops_height + 1,
        ..area
    };
    let workshops = Rect { y: classes.bottom() - 1, height: shops_height, ..classes };
    let log = Rect { y: area.y + top_height - 1, height: area.height - top_height + 1, ..area };
    let places = [(Pane::Nodes, nodes), (Pane::Classes, classes), (Pane::Workshops, workshops), (Pane::Log, log)];
    // Borders overlap: the focused pane's are drawn last.
    for (pane, rect) in places.iter().filter(|(pane, _)| *pane != state.focus) {
        frame(page, *rect, state, *pane);
    }
    for (pane, rect) in places.iter().filter(|(pane, _)| *pane == state.focus) {
        frame(page, *rect, state, *pane);
    }
    for (pane, rect) in places {
        page.spots.add(rect, Spot::Pane(pane));
        title(page, rect, state, pane);
        let inner = Rect { x: rect.x + 1, y: rect.y + 1, width: rect.width - 2, height: rect.height - 2 };
        content(page, inner, state, labs, pane, true);
    }
    page.spots.add(Rect { x: classes.x, width: 1, height: top_height - 1, ..area }, Spot::Divider(Divider::Left));
    page.spots.add(Rect { height: 1, ..log }, Spot::Divider(Divider::Log));
}

fn frame(page: &mut Page<'_>, area: Rect, state: &State, pane: Pane) {
    let focused = state.focus == pane;
    let glyphs = &page.look.glyphs;
    let merge = if glyphs.unicode { MergeStrategy::Exact } else { MergeStrategy::Replace };
    let tone = if focused { Tone::Accent } else { Tone::Border };
    Block::bordered()
        .border_set(glyphs.border)
        .border_style(page.style(tone))
        .merge_borders(merge)
        .render(area, page.buf);
}

/// Over the upper border, once all borders stand.
fn title(page: &mut Page<'_>, area: Rect, state: &State, pane: Pane) {
    let number = Pane::ALL.iter().position(|p| *p == pane).unwrap_or(0) + 1;
    let title = if state.focus == pane { Tone::Accent } else { Tone::Title };
    let line = Rect { x: area.x + 1, width: area.width - 2, height: 1, ..area };
    let mut pen = page.line(line, 0);
    pen.put(&format!(" {number} "), Tone::Dim).put(&format!("{} ", pane.title()), title);
    let filter = state.filter_text(pane);
    if pane == Pane::Log {
        pen.right(&log::status(state, &state.log_view));
    } else {
        let order = ordered(pen.glyphs(), state, pane.context());
        let mut told = Vec::new();
        told.extend(header::age(state).filter(|_| pane == Pane::Nodes).map(|(age, tone)| (format!(" {age}"), tone)));
        told.extend((!filter.is_empty()).then(|| (format!(" /{filter} "), Tone::Warn)));
        told.extend(order.map(|order| (format!(" {order} "), Tone::Accent)));
        pen.right(&told);
    }
}

/// One line of tabs, the focused pane, and the log's last two lines.
fn tabs(page: &mut Page<'_>, area: Rect, state: &State, labs: &Labs<'_>) {
    let mut spots = Vec::new();
    let mut pen = page.line(area, 0);
    // Where there is little room, what is wrong is told and nothing is counted.
    let narrow = area.width < NARROW;
    pen.skip(usize::from(!narrow));
    for (n, pane) in Pane::ALL.into_iter().enumerate() {
        let (name, number) = if pane == state.focus { (Tone::Accent, Tone::Accent) } else { (Tone::Text, Tone::Dim) };
        let from = pen.position();
        pen.put(&format!("{} ", n + 1), number).put(pane.title(), name);
        let (count, mark, tone) = count(pen.glyphs(), state, labs, pane);
        pen.put(if narrow { "" } else { &count }, tone).put(&mark, tone);
        let width = pen.position().x - from.x;
        pen.skip(if narrow { 1 } else { 3 });
        spots.push((Rect { x: from.x, y: from.y, width, height: 1 }, Spot::Pane(pane)));
    }
    spots.into_iter().for_each(|(place, spot)| page.spots.add(place, spot));
    let shows_log = state.focus == Pane::Log;
    // A short list leaves its room to the log.
    let wanted = match state.focus {
        Pane::Nodes => nodes::wanted(state),
        Pane::Classes => labs.shown(state, Pane::Classes).len(),
        Pane::Workshops => labs.shown(state, Pane::Workshops).len(),
        Pane::Log => 0,
    };
    let room = area.height - 2;
    let wanted = u16::try_from(wanted + 1).unwrap_or(u16::MAX);
    // Where both have no room, the list is what the pane is for.
    let list = if room < LOW && wanted > room - 3 { room } else { wanted.clamp(room / 3, room - 3) };
    let tail = if shows_log { 0 } else { room - list };
    page.rule(area, 1, "");
    let rule = Rect { y: area.y + 1, height: 1, ..area };
    let filter = state.filter_text(state.focus);
    if !shows_log {
        let order = ordered(&page.look.glyphs, state, state.focus.context());
        let mut told = Vec::new();
        told.extend((!filter.is_empty()).then(|| (format!(" /{filter} "), Tone::Warn)));
        told.extend(order.map(|order| (format!(" {order} "), Tone::Accent)));
        page.line(rule, 0).right(&told);
    }
    if shows_log {
        page.line(rule, 0).right(&log::status(state, &state.log_view));
    }
    let body = Rect { y: area.y + 2, height: area.height - 2 - tail, ..area };
    content(page, body, state, labs, state.focus, false);
    if tail > 0 {
        let rule = Rect { y: body.bottom(), height: 1, ..area };
        page.rule(rule, 0, "log");
        log::tail(page, Rect { y: rule.y + 1, height: tail - 1, ..area }, state, &state.log_view);
    }
}

/// What a tab tells beside its name: how many, and what is wrong.
fn count(glyphs: &super::Glyphs, state: &State, labs: &Labs<'_>, pane: Pane) -> (String, String, Tone) {
    match pane {
        Pane::Nodes => {
            let nodes: Vec<_> = state.sites.values().filter_map(|s| s.view.as_deref()).flat_map(|v| &v.nodes).collect();
            let online = nodes.iter().filter(|node| node.online).count();
            let tone = if online < nodes.len() { Tone::Warn } else { Tone::Dim };
            (format!(" {online}/{}", nodes.len()), String::new(), tone)
        }
        Pane::Classes => failures(glyphs, &labs.classes),
        Pane::Workshops => failures(glyphs, &labs.workshops),
        Pane::Log => (String::new(), String::new(), Tone::Dim),
    }
}

/// How many labs, and how many of their seats failed.
fn failures(glyphs: &super::Glyphs, rows: &[ClassRow<'_>]) -> (String, String, Tone) {
    let failed: usize = rows.iter().map(|row| row.count(MachineState::Failed)).sum();
    let mark = if failed > 0 { format!(" {failed}{}", glyphs.failed) } else { String::new() };
    (format!(" {}", rows.len()), mark, if failed > 0 { Tone::Bad } else { Tone::Dim })
}

/// `beside`: the other panes are shown too.
fn content(page: &mut Page<'_>, area: Rect, state: &State, labs: &Labs<'_>, pane: Pane, beside: bool) {
    match pane {
        Pane::Nodes => nodes::draw(page, area, state),
        Pane::Classes => classes::draw(page, area, state, labs, beside),
        Pane::Workshops => workshops::draw(page, area, state, labs, beside),
        Pane::Log => log::draw(page, area, state),
    }
}
