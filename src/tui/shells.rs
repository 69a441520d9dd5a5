//! Shells in the dashboard: a title line each, the cells below it, drawn one by one.

use std::collections::BTreeSet;

use ratatui::{
    layout::{Position, Rect},
    style::{Color, Modifier, Style},
};
use unicode_width::UnicodeWidthStr;

use super::{
    Depth, panes,
    pen::{Page, wrap},
    theme::{Tone, nearest},
};
use crate::{
    app::{
        State,
        doors::Door,
        shells::{Place, Shells, Tab, copying::Copying},
    },
    domain::Clean,
};

/// Draws the shells in sight, and the log below them.
pub fn draw(page: &mut Page<'_>, whole: Rect, state: &State) {
    let shells = &state.shells;
    for (at, place) in shells.places(state.size) {
        if let Some(tab) = shells.tabs.get(at) {
            let area = rect(place).intersection(whole);
            title(page, area, state, at, tab);
            let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
            match shells.copying.as_ref().filter(|_| at == shells.front) {
                Some(copying) => {
                    cells(page, body, copying.screen(), false);
                    picked(page, body, copying);
                }
                None => cells(page, body, tab.screen(), shells.typing && !shells.broadcast && at == shells.front),
            }
            if let Some(Err(why)) = tab.end.as_ref().filter(|_| tab.is_blank()) {
                reason(page, body, why);
            }
        }
    }
    if let Some(place) = shells.banner(state.size) {
        banner(page, rect(place).intersection(whole), state);
    }
    let log = shells.log(state.size.1);
    if log > 0 {
        let area = rect(shells.area(state.size));
        let area = Rect { y: area.bottom(), height: log, ..area }.intersection(whole);
        page.rule(area, 0, "log");
        let lines = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        panes::log::tail(page, lines, state, &state.log_view);
    }
}

/// What is said where keys are told while none counts.
const PAUSE: &str = "keys count after a pause ";

fn rect(place: Place) -> Rect {
    Rect { x: place.x, y: place.y, width: place.width, height: place.height }
}

/// Where keys go, in a line of its own that nothing is cut from: above all that it is everywhere, while it is.
fn banner(page: &mut Page<'_>, area: Rect, state: &State) {
    let shells = &state.shells;
    let (all, waits) = (shells.typed_into().count(), shells.outstanding());
    let meant = shells.meant();
    let count = if all < meant { format!("{all} of {meant}") } else { all.to_string() };
    let deaf: Vec<String> = shells.deaf().map(Door::name).collect();
    // Shells of more than one lab, or of a node beside it, are seldom meant together.
    let places: BTreeSet<&str> = shells.typed_into().map(|tab| tab.door.whose()).collect();
    let of = match places.len() {
        0 | 1 => String::new(),
        _ => format!(", on {}", places.into_iter().collect::<Vec<_>>().join(", ")),
    };
    let (told, keys, tone) = if waits > 0 {
        (format!(" {waits} more to open; until then no key goes anywhere"), "esc: without ", Tone::Warn)
    } else if shells.typing {
        (
            format!(" KEYS GO TO {}{count}{of}", if all < meant { "" } else { "ALL: " }),
            "ctrl-] gets them back ",
            Tone::Bad,
        )
    } else {
        let loud = all < meant || !of.is_empty() || shells.lost;
        let lost = if shells.lost { ", keys typed meanwhile are lost" } else { "" };
        let tone = if loud { Tone::Warn } else { Tone::Dim };
        let keys = if state.hushed { PAUSE } else { "enter types into all, b shows one " };
        (format!(" {count} shells{of}{lost}"), keys, tone)
    };
    let room = usize::from(area.width).saturating_sub(told.width() + keys.width() + 1);
    let not = if waits > 0 { String::new() } else { not_to(&deaf, room) };
    let mut pen = page.line(area, 0);
    pen.put(&told, tone).put(&not, tone);
    pen.right(&[(keys.to_owned(), tone)]);
    if waits == 0 && shells.typing {
        let style = page.style(Tone::Bad).add_modifier(Modifier::REVERSED);
        page.under(area, 0, style);
    }
}

/// Who is not typed into, as far as there is room to name them.
fn not_to(names: &[String], room: usize) -> String {
    let told = |named: usize| match names.len() - named {
        0 => format!(", not {}", names.join(", ")),
        _ if named == 0 => String::new(),
        more => format!(", not {} and {more} more", names[..named].join(", ")),
    };
    let named = (0..=names.len()).rev().find(|named| told(*named).width() <= room);
    if names.is_empty() { String::new() } else { named.map(told).unwrap_or_default() }
}

/// The tabs, or while one types into all of them, which one this is.
fn title(page: &mut Page<'_>, area: Rect, state: &State, at: usize, tab: &Tab) {
    if state.shells.broadcast {
        return tile(page, area, state, at, tab);
    }
    let shells = &state.shells;
    let back = tab.screen().scrollback();
    let told = match &shells.copying {
        Some(copying) if copying.count() == 1 => "1 line picked ".to_owned(),
        Some(copying) => format!("{} lines picked ", copying.count()),
        None if back == 1 => "1 line up ".to_owned(),
        None if back > 0 => format!("{back} lines up "),
        None => String::new(),
    };
    let keys = match &shells.copying {
        Some(_) => "y copies, v begins here ",
        None if shells.typing => "ctrl-] gets the keys back ",
        None if state.hushed => PAUSE,
        // There is no line below that would tell of keys.
        None if shells.zoomed && tab.end.is_some() => "enter opens it anew, z shows the rest ",
        None if shells.zoomed => "enter gives it the keys, z shows the rest ",
        None if tab.end.is_some() => "enter opens it anew ",
        None => "enter gives it the keys ",
    };
    let room = usize::from(area.width).saturating_sub(told.width() + keys.width() + 1);
    let line = Rect { width: u16::try_from(room).unwrap_or(area.width).min(area.width), ..area };
    strip(page, line, shells, at);
    let tone = if shells.typing { Tone::Busy } else { Tone::Dim };
    page.line(area, 0).right(&[(told, Tone::Warn), (keys.to_owned(), tone)]);
}

/// As many tabs as there is room for, the one in front among them.
fn strip(page: &mut Page<'_>, area: Rect, shells: &Shells, at: usize) {
    let common = shells.all_of().filter(|_| shells.tabs.len() > 1);
    let label = |(n, tab): (usize, &Tab)| {
        let mut name = if common.is_some() { tab.door.name() } else { tab.door.to_string() };
        let before = shells.tabs.iter().take(n).filter(|other| other.door == tab.door).count();
        if before > 0 {
            name = format!("{name} #{}", before + 1);
        }
        tab.end.as_ref().map_or_else(|| format!(" {name} "), |end| format!(" {name} {} ", ended(tab, end)))
    };
    let labels: Vec<String> = shells.tabs.iter().enumerate().map(label).collect();
    let head = common.map(|whose| format!(" {whose}:")).unwrap_or_default();
    let room = usize::from(area.width).saturating_sub(head.width() + 8);
    let (mut first, mut last) = (at, at + 1);
    let mut used = labels.get(at).map_or(0, |label| label.width());
    // Towards the right first: there are the ones opened last.
    loop {
        let right = labels.get(last).map(|label| label.width()).filter(|width| used + width <= room);
        if let Some(width) = right {
            (last, used) = (last + 1, used + width);
            continue;
        }
        let left = first.checked_sub(1).map(|before| labels[before].width()).filter(|width| used + width <= room);
        let Some(width) = left else { break };
        (first, used) = (first - 1, used + width);
    }
    let mut pen = page.line(area, 0);
    pen.put(&head, Tone::Dim);
    if first > 0 {
        pen.put(&format!(" +{first}"), Tone::Dim);
    }
    for (n, label) in labels.iter().enumerate().take(last).skip(first) {
        pen.put(label, if n == at { Tone::Accent } else { Tone::Dim });
    }
    if last < labels.len() {
        pen.put(&format!("+{} ", labels.len() - last), Tone::Dim);
    }
}

/// The title of one of those that are typed into together.
fn tile(page: &mut Page<'_>, area: Rect, state: &State, at: usize, tab: &Tab) {
    let shells = &state.shells;
    let loud = shells.typing && tab.end.is_none();
    let is_front = at == shells.front && !shells.typing;
    let whose = if shells.all_of().is_none() { format!("{}/", tab.door.whose()) } else { String::new() };
    let name = ending(&format!("{whose}{}", tab.door.name()), usize::from(area.width).saturating_sub(1), page);
    let end = tab.end.as_ref().map(|end| format!("  {}", ended(tab, end)));
    // Half of how it ended tells nothing: where there is no room for all of it there is a sign, and its last lines say.
    let (end, is_short) = match end {
        Some(end) if 1 + name.width() + end.width() > usize::from(area.width) => (None, true),
        end => (end, false),
    };
    let tone = match (loud, is_short) {
        (true, _) => Tone::Bad,
        (_, true) => Tone::Warn,
        _ => Tone::Title,
    };
    let sign = page.look.glyphs.failed;
    let mut pen = page.line(area, 0);
    match (is_front, is_short) {
        (true, _) => pen.put(">", Tone::Accent),
        (_, true) => pen.put(sign, Tone::Warn),
        _ => pen.put(" ", Tone::Accent),
    };
    pen.put(&name, tone).put(&end.unwrap_or_default(), Tone::Warn);
    if loud {
        let style = page.style(Tone::Bad).add_modifier(Modifier::REVERSED);
        page.under(area, 0, style);
    }
}

/// As much of a name's end as there is room for: there the seats of a class differ.
fn ending(name: &str, room: usize, page: &Page<'_>) -> String {
    let more = page.look.glyphs.more;
    let cut = |from: usize| format!("{more}{}", name.chars().skip(from).collect::<String>());
    let cuts = (1..=name.chars().count()).map(cut).find(|cut| cut.width() <= room);
    if name.width() <= room { name.to_owned() } else { cuts.unwrap_or_default() }
}

fn ended(tab: &Tab, end: &Result<i32, Clean>) -> String {
    match end {
        Ok(code) => format!("ended {code}"),
        Err(_) if tab.is_blank() => "not open".to_owned(),
        Err(_) => "lost".to_owned(),
    }
}

/// Why a shell was not opened, in place of what it would show.
fn reason(page: &mut Page<'_>, area: Rect, why: &Clean) {
    let lines = wrap(why.as_str(), usize::from(area.width.saturating_sub(2)));
    for (n, line) in lines.iter().take(area.height.into()).enumerate() {
        page.line(area, n).skip(1).put(line, Tone::Warn);
    }
}

/// The lines picked out to be copied, and the cursor among them.
fn picked(page: &mut Page<'_>, area: Rect, copying: &Copying) {
    for row in (0..area.height).filter(|row| copying.picks(*row)) {
        let style = Style::new().add_modifier(Modifier::REVERSED);
        page.under(area, usize::from(row), style);
    }
    if copying.row() < area.height {
        page.cursor = Some(Position { x: area.x, y: area.y + copying.row() });
    }
}

/// The cells of a terminal; whatever a cell holds stays in it.
fn cells(page: &mut Page<'_>, area: Rect, screen: &vt100::Screen, cursor: bool) {
    let colours = page.look.theme.depth();
    let (rows, columns) = screen.size();
    for row in 0..rows.min(area.height) {
        for column in 0..columns.min(area.width) {
            let Some(cell) = screen.cell(row, column) else { continue };
            let Some(drawn) = page.buf.cell_mut(Position { x: area.x + column, y: area.y + row }) else { continue };
            drawn.reset();
            if cell.is_wide_continuation() {
                continue;
            }
            let text = cell.contents();
            let fits = !cell.is_wide() || column + 1 < columns.min(area.width);
            if !text.is_empty() && fits {
                if text.is_ascii() {
                    drawn.set_symbol(text);
                } else {
                    let clean = Clean::new(text);
                    drawn.set_symbol(if clean.is_empty() { " " } else { clean.as_str() });
                }
            }
            drawn.set_style(style(cell, colours));
        }
    }
    if cursor && !screen.hide_cursor() && screen.scrollback() == 0 {
        let (row, column) = screen.cursor_position();
        if row < area.height && column < area.width {
            page.cursor = Some(Position { x: area.x + column, y: area.y + row });
        }
    }
}

fn style(cell: &vt100::Cell, depth: Depth) -> Style {
    let mut style = Style::reset();
    if depth != Depth::None {
        style = style.fg(colour(cell.fgcolor(), depth)).bg(colour(cell.bgcolor(), depth));
    }
    for (on, modifier) in [
        (cell.bold(), Modifier::BOLD),
        (cell.dim(), Modifier::DIM),
        (cell.italic(), Modifier::ITALIC),
        (cell.underline(), Modifier::UNDERLINED),
        (cell.inverse(), Modifier::REVERSED),
    ] {
        if on {
            style = style.add_modifier(modifier);
        }
    }
    style
}

/// A colour as far as the terminal has it.
fn colour(colour: vt100::Color, depth: Depth) -> Color {
    match (colour, depth) {
        (vt100::Color::Idx(n), Depth::Indexed | Depth::True) => Color::Indexed(n),
        (vt100::Color::Idx(n @ 0..=15), _) => Color::Indexed(n),
        (vt100::Color::Rgb(r, g, b), Depth::Indexed) => Color::Indexed(nearest(r, g, b)),
        (vt100::Color::Rgb(r, g, b), Depth::True) => Color::Rgb(r, g, b),
        _ => Color::Reset,
    }
}
