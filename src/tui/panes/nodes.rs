//! Nodes with their load, storages with their room.

use jiff::SignedDuration;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::empty;
use crate::{
    app::{
        Context, Pane, State,
        cursor::window,
        sites::{NodeRow, Past},
    },
    domain::{SiteName, label::OURS, size::Size},
    tui::{
        format,
        pen::{Page, Pen},
        theme::Tone,
    },
};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State) {
    let rows = state.shown_nodes();
    if rows.is_empty() && state.sites.is_empty() && !state.engines.is_empty() {
        return engines(page, area, 0, state);
    }
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
    let tops = tops(&rows);
    let total = tops.last().zip(rows.last()).map_or(0, |(top, row)| top + height(row));
    let first = window(tops[at], total, usize::from(area.height));
    let columns = Columns::fit(&rows, usize::from(area.width));
    for ((row, top), n) in rows.iter().zip(&tops).zip(0..) {
        if *top < first {
            continue;
        }
        let line = top - first;
        if line >= usize::from(area.height) {
            break;
        }
        if focused && n == at {
            (line..line + height(row)).for_each(|line| page.cursor_row(area, line));
        }
        let marker = if focused && n == at { page.look.glyphs.cursor } else { " " };
        page.row_spot(area, line, height(row), Some(Pane::Nodes), &row.key());
        page.line(area, line).put(marker, Tone::Accent);
        let shown = Rect { x: area.x + 1, width: area.width - 1, ..area };
        match row {
            NodeRow::Node { .. } => node(page, shown, line, row, &columns, state),
            NodeRow::Storage { .. } => storage(page, shown, line, row, &columns),
        }
        let (NodeRow::Node { site, .. } | NodeRow::Storage { site, .. }) = row;
        if is_stale(state, site) {
            let lines = u16::try_from(height(row)).unwrap_or(1);
            let y = shown.y + u16::try_from(line).unwrap_or(0);
            page.pale(Rect { y, height: lines, ..shown }.intersection(shown));
        }
    }
    if first == 0 {
        engines(page, area, total + 1, state);
    }
}

/// The container engines, a line each, as far as there is room.
fn engines(page: &mut Page<'_>, area: Rect, from: usize, state: &State) {
    let room = usize::from(area.height).saturating_sub(from);
    let width = state.engines.keys().map(|name| name.as_str().width()).max().unwrap_or(0).clamp(4, 16) + 2;
    for (n, (name, engine)) in state.engines.iter().take(room).enumerate() {
        let mut pen = page.line(area, from + n);
        pen.skip(1).cell(name.as_str(), width, 2, Tone::Text);
        match (&engine.lost, &engine.view, &engine.cloud) {
            // First that it does not answer: there is seldom room for more.
            (Some(lost), _, _) => pen.put(&format!("no answer: {}", lost.why), Tone::Bad),
            (None, None, Some(cloud)) => {
                let instances = format::count(cloud.instances.len(), "instance");
                // It is looked at seldom, so that its age is no matter of course.
                let seen = format::ago(state.now.duration_since(cloud.at));
                pen.put(&format!("gce, {instances}, seen {seen}"), Tone::Dim)
            }
            (None, None, None) => pen.put("waiting for the first answer", Tone::Dim),
            (None, Some(view), _) => {
                let of_ours = view.containers.iter().filter(|container| container.labels.contains_key(OURS)).count();
                let (memory, cpus) = (Size(view.memory).human(), format::count(view.cpus as usize, "cpu"));
                let containers = format::count(of_ours, "container");
                // `20.10.24+dfsg1`: who packed it matters to nobody at a glance.
                let version = view.version.as_str().split('+').next().unwrap_or_default();
                pen.put(&format!("docker {version}, {cpus}, {memory}, {containers}"), Tone::Dim)
            }
        };
        if let Some(old) = aged(state, name).filter(|_| engine.lost.is_none()) {
            page.aged(Rect { y: area.y + u16::try_from(from + n).unwrap_or(0), height: 1, ..area }, &old);
        }
    }
}

/// From here on what was seen of a site, or of a cloud, is called old.
const OLD: SignedDuration = SignedDuration::from_secs(60);
const OLD_CLOUD: SignedDuration = SignedDuration::from_mins(10);

/// Whether what was seen of a site last says little of how it is now.
fn is_stale(state: &State, site: &SiteName) -> bool {
    state.sites.get(site).is_some_and(|site| {
        let old = site.view.as_ref().is_some_and(|view| state.now.duration_since(view.at) >= OLD);
        old || site.silent_for(state.now, state.settings.idle).is_some()
    })
}

/// How long ago a site was seen, once that is so long that what was seen says little: `seen 3m ago`.
pub fn aged(state: &State, site: &SiteName) -> Option<String> {
    let engine = state.engines.get(site);
    let seen = match (state.sites.get(site).and_then(|site| site.view.as_ref()), engine) {
        (Some(view), _) => view.at,
        (None, Some(engine)) => {
            engine.view.as_ref().map(|view| view.at).or(engine.cloud.as_ref().map(|view| view.at))?
        }
        (None, None) => return None,
    };
    let age = state.now.duration_since(seen);
    // A cloud is looked at seldom, on purpose.
    let old = if engine.is_some_and(|engine| engine.is_cloud) { age >= OLD_CLOUD } else { age >= OLD };
    (old || is_stale(state, site)).then(|| format!(" seen {} ", format::ago(age)))
}

/// Lines the whole list takes.
pub fn wanted(state: &State) -> usize {
    let rows = state.shown_nodes();
    let nodes = tops(&rows).last().zip(rows.last()).map_or(2, |(top, row)| top + height(row));
    nodes + if state.engines.is_empty() { 0 } else { state.engines.len() + 1 }
}

/// The first line of each row: nodes close together, then a line of air, then the storages.
fn tops(rows: &[NodeRow<'_>]) -> Vec<usize> {
    rows.iter()
        .scan((0, false), |(top, storage), row| {
            let gap = usize::from(!*storage && *top > 0 && is_storage(row));
            *storage = is_storage(row);
            let this = *top + gap;
            *top = this + height(row);
            Some(this)
        })
        .collect()
}

fn is_storage(row: &NodeRow<'_>) -> bool {
    matches!(row, NodeRow::Storage { .. })
}

fn height(row: &NodeRow<'_>) -> usize {
    match row {
        NodeRow::Storage { .. } => 1,
        NodeRow::Node { node, machines: 0, .. } if !node.online => 1,
        NodeRow::Node { .. } => 2,
    }
}

/// Looks back that are drawn.
const SPARK: usize = 20;
/// What stands before a node's bars.
const GAUGE: usize = "cpu ".len();

/// Widths that all rows share: bars stand under bars.
struct Columns {
    /// A node's name, or a storage's with the gap behind it; `GAUGE` follows for a node.
    name: usize,
    /// The storage's own name, where nodes' names stand behind it.
    storage: usize,
    /// How many machines a node has stands under its name, and not in the place of its memory's past.
    under: bool,
}

/// From here on all of it has room side by side.
const ROOMY: usize = 46;

impl Columns {
    fn fit(rows: &[NodeRow<'_>], room: usize) -> Self {
        let width = |wanted: &dyn Fn(&NodeRow<'_>) -> usize| rows.iter().map(wanted).max().unwrap_or(0);
        let own = |row: &NodeRow<'_>| if is_storage(row) { row.name().width().min(12) } else { 0 };
        let storage = width(&own);
        let local = |row: &NodeRow<'_>| match row {
            NodeRow::Storage { node: Some(node), .. } => 1 + node.as_str().width().min(8),
            _ => 0,
        };
        let storages = storage + width(&local) + 2;
        let nodes = width(&|row| if is_storage(row) { 0 } else { row.name().width() }).clamp(4, 12) + 2;
        // Under a node's name stands how many machines it has.
        let machines = width(&|row| machines(row).width()) + 1;
        let under = room >= ROOMY;
        let nodes = if under { nodes.max(machines) } else { nodes };
        Self { name: nodes.max(storages.saturating_sub(GAUGE)), storage, under }
    }
}

fn node(page: &mut Page<'_>, area: Rect, line: usize, row: &NodeRow<'_>, columns: &Columns, state: &State) {
    let NodeRow::Node { node, machines, offline_since, past, .. } = row else { return };
    let mut pen = page.line(area, line);
    pen.cell(node.node.as_str(), columns.name, 1, Tone::Title);
    if !node.online {
        let since = offline_since.map(|at| format::moment(at, state.now, &state.settings.zone));
        pen.put("offline", Tone::Bad).put(&since.map_or(String::new(), |at| format!(" since {at}")), Tone::Dim);
        if *machines > 0 {
            let mut pen = page.line(area, line + 1);
            match columns.under {
                true => pen.cell(&self::machines(row), columns.name, 1, Tone::Dim),
                false => pen.skip(columns.name).put(&self::machines(row), Tone::Dim).skip(1),
            };
            pen.put("out of sight", Tone::Dim);
        }
        return;
    }
    pen.put("cpu ", Tone::Dim);
    gauge(&mut pen, node.cpu);
    pen.skip(2);
    sparkline(&mut pen, *past, |(cpu, _)| cpu, SPARK);
    let mut pen = page.line(area, line + 1);
    let machines = self::machines(row);
    let (under, beside) = if columns.under { (machines.as_str(), "") } else { ("", machines.as_str()) };
    pen.cell(under, columns.name, 1, Tone::Dim).put("mem ", Tone::Dim);
    gauge(&mut pen, share(node.memory_used, node.memory));
    pen.skip(2);
    match columns.under {
        true => sparkline(&mut pen, *past, |(_, memory)| memory, SPARK),
        false => _ = pen.put(beside, Tone::Dim),
    }
}

/// How many machines a node has.
fn machines(row: &NodeRow<'_>) -> String {
    match row {
        NodeRow::Node { node, machines: 0, .. } if !node.online => String::new(),
        NodeRow::Node { machines, .. } => format::count(*machines, "machine"),
        NodeRow::Storage { .. } => String::new(),
    }
}

fn storage(page: &mut Page<'_>, area: Rect, line: usize, row: &NodeRow<'_>, columns: &Columns) {
    let NodeRow::Storage { name, node, used, total, available, .. } = row else { return };
    let mut pen = page.line(area, line);
    let whole = columns.name + GAUGE;
    match node {
        Some(node) => {
            pen.cell(name.as_str(), columns.storage + 1, 1, Tone::Title);
            pen.cell(node.as_str(), whole - columns.storage - 1, 1, Tone::Dim);
        }
        None => _ = pen.cell(name.as_str(), whole, 1, Tone::Title),
    }
    if *available {
        gauge(&mut pen, share(*used, *total));
        pen.skip(2).put(&format::part(*used, *total), Tone::Dim);
    } else {
        pen.put("not available", Tone::Bad);
    }
}

pub fn share(used: u64, total: u64) -> f64 {
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

pub fn gauge(pen: &mut Pen<'_>, share: f64) {
    let tone = load(share);
    bar(pen, share, tone);
    pen.num(&format::percent(share), 5, if tone == Tone::Busy { Tone::Text } else { tone });
}

/// Ten cells, to half a cell.
fn bar(pen: &mut Pen<'_>, share: f64, tone: Tone) {
    let halves = ((share * 20.0).round() as usize).min(20);
    // Something is never shown as nothing.
    let halves = if share > 0.0 { halves.max(1) } else { 0 };
    let glyphs = pen.glyphs();
    let (full, half) = (halves / 2, halves % 2);
    pen.put(&glyphs.full.repeat(full), tone).put(&glyphs.half.repeat(half), tone);
    pen.put(&glyphs.empty.repeat(10 - full - half), Tone::Border);
}

/// The last looks that fit, the newest at the right.
pub fn sparkline(pen: &mut Pen<'_>, past: Option<&Past>, of: impl Fn((f64, f64)) -> f64, most: usize) {
    let room = pen.room().saturating_sub(1).min(most);
    let glyphs = pen.glyphs();
    let Some(past) = past else { return };
    let cells = past.iter().skip(past.len().saturating_sub(room));
    let level = |look: &(f64, f64)| glyphs.spark[((of(*look) * 8.0) as usize).min(7)];
    pen.put(&cells.map(level).collect::<String>(), Tone::Dim);
}

/// Why nothing is seen, in full.
fn reason(page: &mut Page<'_>, area: Rect, why: &str) {
    let width = usize::from(area.width).saturating_sub(3);
    for (row, line) in crate::tui::pen::wrap(why, width).iter().enumerate() {
        page.line(area, row + 1).skip(2).put(line, Tone::Bad);
    }
}
