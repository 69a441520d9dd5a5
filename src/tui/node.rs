//! One node: its load, its storages, and every guest on it with the seat it is the machine of.

use jiff::SignedDuration;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::{
    chart, format,
    panes::{
        empty, heading, marker, marker_tone,
        nodes::{aged, gauge, share, sparkline},
    },
    pen::Page,
    theme::Tone,
};
use crate::{
    app::{Context, State, cursor::window, machines::NodeBoard},
    domain::{
        cluster::{GuestView, Power},
        size::Size,
    },
};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, board: &NodeBoard) {
    let site = state.sites.get(&board.site);
    let node = site.and_then(|site| site.view.as_deref()).and_then(|view| view.node(&board.node));
    let mut pen = page.line(area, 0);
    pen.skip(1).put(board.node.as_str(), Tone::Title);
    let Some(node) = node else {
        return empty(page, area, &["is no node of the site any more; esc goes back"]);
    };
    let (word, tone) = if node.online { ("online", Tone::Ok) } else { ("offline", Tone::Bad) };
    pen.skip(3).put(word, tone).skip(3).put(&format!("node of {}", board.site), Tone::Dim);
    let guests = state.guests_of(board);
    let filter = board.filter.value();
    let filter = if filter.is_empty() { String::new() } else { format!("/{filter}   ") };
    let seen = aged(state, &board.site).unwrap_or_default();
    pen.right(&[
        (filter, Tone::Warn),
        (format!("{}   ", format::count(guests.iter().filter(|g| !g.template).count(), "machine")), Tone::Text),
        (format!("up {} ", span(node.uptime)), Tone::Dim),
        (seen, Tone::Warn),
    ]);
    let mut line = 2;
    if node.online {
        let past = site.and_then(|site| site.past(&board.node));
        let mut pen = page.line(area, line);
        pen.skip(1).col("cpu", LABEL, Tone::Dim);
        gauge(&mut pen, node.cpu);
        pen.skip(2).col(
            &format!("of {}", format::count(usize::try_from(node.cpus).unwrap_or(0), "core")),
            TOLD,
            Tone::Dim,
        );
        sparkline(&mut pen, past, |(cpu, _)| cpu, 60);
        let mut pen = page.line(area, line + 1);
        pen.skip(1).col("memory", LABEL, Tone::Dim);
        gauge(&mut pen, share(node.memory_used, node.memory));
        pen.skip(2).col(&format::part(node.memory_used, node.memory), TOLD, Tone::Dim);
        sparkline(&mut pen, past, |(_, memory)| memory, 60);
        line += 2;
    }
    let storages = state.storages_of(board);
    for storage in storages.iter().take(usize::from(area.height / 4)) {
        let mut pen = page.line(area, line);
        pen.skip(1).cell(storage.storage.as_str(), LABEL, 1, Tone::Dim);
        if storage.available {
            gauge(&mut pen, share(storage.used, storage.total));
            pen.skip(2).col(&format::part(storage.used, storage.total), TOLD, Tone::Dim);
            pen.put(storage.kind.as_str(), Tone::Dim).put(if storage.shared { ", shared" } else { "" }, Tone::Dim);
        } else {
            pen.put("not available", Tone::Bad);
        }
        line += 1;
    }
    // Charts where the list keeps room enough, higher ones where there is plenty.
    let used = u16::try_from(line + 1).unwrap_or(0);
    let charts = match area.height.saturating_sub(used) {
        ..12 => 0,
        12..22 => chart::LEAST,
        _ => chart::LEAST + 2,
    };
    if charts > 0 {
        chart::draw(page, Rect { y: area.y + used, height: charts, ..area }, &board.past);
    }
    let top = used + if charts > 0 { charts + 1 } else { 0 };
    let list = Rect { y: area.y + top, height: area.height.saturating_sub(top), ..area };
    // Tasks have the lines the machines leave blank, below a heading, a rule and a free line; of many lines, some.
    let blank = usize::from(list.height).saturating_sub(guests.len() + 3);
    let tasks = match &board.past.seen {
        Some(Ok(seen)) if list.height > 24 => u16::try_from(seen.tasks.len().min(6)).unwrap_or(0),
        Some(Ok(seen)) => u16::try_from(seen.tasks.len().min(6).min(blank)).unwrap_or(0),
        _ => 0,
    };
    let below = if tasks > 0 { tasks + 1 } else { 0 };
    self::guests(page, Rect { height: list.height - below, ..list }, state, board, &guests);
    if let Some(Ok(seen)) = &board.past.seen
        && tasks > 0
    {
        let rule = Rect { y: list.bottom() - below, height: below, ..list };
        page.rule(rule, 0, chart::tasks_heading(state));
        chart::tasks(page, Rect { y: rule.y + 1, height: tasks, ..rule }, state, seen);
    }
}

/// Columns before the bars, and behind them.
const LABEL: usize = 13;
const TOLD: usize = 18;

fn guests(page: &mut Page<'_>, area: Rect, state: &State, board: &NodeBoard, guests: &[&GuestView]) {
    let name = |guest: &GuestView| guest.name.as_ref().map_or("", |name| name.as_str()).to_owned();
    let widest = guests.iter().map(|guest| name(guest).width()).max().unwrap_or(0).clamp(8, 26) + 2;
    let wide = area.width >= 100;
    let mut pen = page.line(area, 0);
    let glyphs = pen.glyphs();
    let heading = |name| heading(glyphs, state, Context::Node, name);
    pen.skip(1).col(&heading("vmid"), 8, Tone::Dim).col(&heading("machine"), widest, Tone::Dim);
    pen.col(&heading("state"), 10, Tone::Dim).num(&heading("cpu"), 5, Tone::Dim);
    pen.num(&heading("memory"), 17, Tone::Dim).num(&heading("up"), 9, Tone::Dim).skip(3);
    let seat = heading("seat");
    pen.put(if wide { &seat } else { "lab" }, Tone::Dim);
    let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    if guests.is_empty() {
        let narrowed = !board.filter.value().is_empty();
        return empty(page, body, &[if narrowed { "nothing matches" } else { "nothing lives here" }]);
    }
    let keys: Vec<_> = guests.iter().map(|guest| guest.vmid.to_string()).collect();
    let at = board.cursor.position(&keys).unwrap_or(0);
    let height = usize::from(body.height);
    let first = window(at, guests.len(), height);
    let focused = state.context() == Context::Node;
    for (n, guest) in guests.iter().enumerate().skip(first).take(height) {
        if n == at {
            page.cursor_row(body, n - first);
        }
        let marked = board.marks.has(&keys[n]);
        let marker = marker(&page.look.glyphs, n == at, marked);
        page.row_spot(body, n - first, 1, None, &keys[n]);
        let mut pen = page.line(body, n - first);
        pen.put(marker, marker_tone(focused, marked));
        pen.cell(&guest.vmid.to_string(), 8, 1, Tone::Text).cell(&name(guest), widest, 2, Tone::Text);
        let (word, tone) = word(guest);
        pen.cell(word, 10, 1, tone);
        if guest.power == Power::Running {
            pen.num(&format::percent(guest.cpu), 5, Tone::Text);
            pen.num(&format::part(guest.memory_used, guest.memory), 17, Tone::Dim);
            pen.num(&span(guest.uptime), 9, Tone::Dim);
        } else {
            pen.skip(31);
        }
        if let Some((lab, seat)) = state.seat_of(&board.site, guest) {
            // Where there is little room, the machine's name tells the seat.
            let told = if wide { format!("{lab}/{seat}") } else { lab.to_string() };
            pen.skip(3).put(&told, Tone::Text);
        }
    }
}

/// How a guest is, in a word.
pub fn word(guest: &GuestView) -> (&'static str, Tone) {
    match guest.power {
        _ if guest.template => ("template", Tone::Dim),
        Power::Running => ("running", Tone::Ok),
        Power::Stopped => ("stopped", Tone::Dim),
        Power::Unknown => ("no data", Tone::Warn),
    }
}

/// Seconds as a length of time in steps.
pub fn span(seconds: u64) -> String {
    format::span(SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)))
}

/// Bytes, in the unit that suits them.
pub fn size(bytes: u64) -> String {
    Size(bytes).human()
}
