//! Popups: one question each, in a box in front of the screen.

mod ask;
mod bar;
mod copy;
mod deed;
mod help;
mod line;
mod lines;
mod log_filter;
pub mod opening;
mod options;
mod palette;
mod plan;
mod shells;

use ratatui::{
    layout::Rect,
    widgets::{Block, Widget},
};
use unicode_width::UnicodeWidthStr;

use super::{pen::Page, theme::Tone};
use crate::app::{Command, Context, State, popup::Popup};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, popup: &Popup) {
    match popup {
        Popup::Plan(plan) => plan::draw(page, area, state, plan),
        Popup::Destroy(destroy) => ask::destroy(page, area, state, destroy),
        Popup::Copy(copy) => copy::draw(page, area, state, copy),
        Popup::Deed(deed) => deed::draw(page, area, state, deed),
        Popup::Cancel { lab, run } => ask::cancel(page, area, state, lab, *run),
        Popup::Draft(draft) => ask::draft(page, area, state, draft),
        Popup::Options(open) => options::draw(page, area, state, open),
        Popup::Lines(open) => lines::draw(page, area, state, open),
        Popup::Unsaved => ask::unsaved(page, area, state),
        Popup::Quit => ask::quit(page, area, state),
        Popup::Renew { lab } => ask::renew(page, area, state, lab),
        Popup::Shells(popup) => shells::draw(page, area, state, popup),
        Popup::Line(popup) => line::draw(page, area, state, popup),
        Popup::Bar(question) => bar::draw(page, area, state, question),
        Popup::Help { scroll } => help::draw(page, area, state, *scroll),
        Popup::Palette(open) => palette::draw(page, area, state, open),
        Popup::LogFilter(filter) => log_filter::draw(page, area, state, filter),
    }
}

/// An emptied box in the middle, with room for `lines` of `width` columns; gives the inside.
fn frame(page: &mut Page<'_>, area: Rect, width: usize, lines: usize, title: &str, tone: Tone) -> Rect {
    let width = u16::try_from(width + 4).unwrap_or(u16::MAX).min(area.width);
    let height = u16::try_from(lines + 2).unwrap_or(u16::MAX).min(area.height);
    let frame = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    // A free column on both sides, so that nothing half hidden touches the frame.
    let around = Rect { x: frame.x.saturating_sub(1), width: frame.width + 2, ..frame };
    page.clear(around.intersection(area));
    let border = page.look.glyphs.border;
    Block::bordered().border_set(border).border_style(page.style(tone)).render(frame, page.buf);
    let line = Rect { x: frame.x + 2, width: width - 4, height: 1, ..frame };
    page.line(line, 0).put(&format!(" {title} "), tone);
    Rect { x: frame.x + 2, y: frame.y + 1, width: width - 4, height: height - 2 }
}

/// The keys of the popup, at the right of a line: those named, and the way back.
fn keys(page: &mut Page<'_>, area: Rect, row: usize, state: &State, commands: &[(Command, &str)]) {
    keys_of(page, area, row, state, state.context(), commands);
}

/// The same, of a place.
fn keys_of(page: &mut Page<'_>, area: Rect, row: usize, state: &State, context: Context, commands: &[(Command, &str)]) {
    let pieces = key_pieces(state, context, commands, usize::from(area.width));
    page.line(area, row).right(&pieces);
}

/// The keys, and at the left of them a text, which is cut where both do not fit.
fn keys_beside(
    page: &mut Page<'_>,
    area: Rect,
    row: usize,
    state: &State,
    text: &[(String, Tone)],
    commands: &[(Command, &str)],
) {
    let pieces = key_pieces(state, state.context(), commands, usize::from(area.width));
    let taken: usize = pieces.iter().map(|(piece, _)| piece.width()).sum();
    page.line(area, row).right(&pieces);
    let room = usize::from(area.width).saturating_sub(taken + 1);
    // A word or less would say nothing.
    if room >= LEAST {
        let mut pen = page.line(Rect { width: u16::try_from(room).unwrap_or(0), ..area }, row);
        text.iter().for_each(|(text, tone)| _ = pen.put(text, *tone));
    }
}

/// Less room than this beside the keys is left free.
const LEAST: usize = 6;

/// Keys and what they do, in `room` columns: closer together where there is little, and then without saying that
/// the last one goes back.
fn key_pieces(state: &State, context: Context, commands: &[(Command, &str)], room: usize) -> Vec<(String, Tone)> {
    let of = |command: Command| state.commands.iter().find(|e| e.command == command && e.on.contains(&context));
    let named = commands.iter().chain(&[(Command::Back, "back")]);
    let keys: Vec<_> =
        named.filter_map(|(command, does)| Some((of(*command)?.keys.first()?.to_string(), *command, *does))).collect();
    let told = |gap: usize, back: bool| -> Vec<(String, Tone)> {
        let mut pieces = Vec::new();
        for (n, (key, command, does)) in keys.iter().enumerate() {
            let gap = if n == 0 { String::new() } else { " ".repeat(gap) };
            pieces.push((format!("{gap}{key}"), Tone::Accent));
            if back || *command != Command::Back {
                pieces.push((format!(" {does}"), Tone::Dim));
            }
        }
        pieces
    };
    let fits = |pieces: &Vec<(String, Tone)>| pieces.iter().map(|(piece, _)| piece.width()).sum::<usize>() <= room;
    let ways = [(3, true), (2, true), (2, false)];
    ways.into_iter().map(|(gap, back)| told(gap, back)).find(fits).unwrap_or_else(|| told(1, false))
}

/// The widest a text field is drawn.
const FIELD: usize = 34;

/// A text field: ground of its own, and the terminal's cursor in it while it takes the keys.
fn field(page: &mut Page<'_>, area: Rect, row: usize, label: &str, input: &tui_input::Input, active: bool) {
    field_of(page, area, row, label, input, active, FIELD);
}

/// The same, up to `most` columns wide.
fn field_of(
    page: &mut Page<'_>,
    area: Rect,
    row: usize,
    label: &str,
    input: &tui_input::Input,
    active: bool,
    most: usize,
) {
    let room = usize::from(area.width).saturating_sub(label.width() + 2);
    // A free column at both ends, so that text does not touch the edge of the ground.
    let width = room.min(most).saturating_sub(2);
    let from = input.visual_scroll(width.saturating_sub(1));
    let mut used = 0;
    let text: String = input
        .value()
        .chars()
        .skip_while(|c| {
            used += unicode_width::UnicodeWidthChar::width(*c).unwrap_or(0);
            used <= from
        })
        .collect();
    let ground = page.look.theme.field();
    let mut pen = page.line(area, row);
    pen.put(label, if active { Tone::Accent } else { Tone::Dim }).skip(1);
    let start = pen.position();
    let size = u16::try_from(width + 2).unwrap_or(u16::MAX);
    pen.skip(1).col(&text, width, Tone::Text);
    page.under(
        Rect { x: start.x, y: start.y, width: size.min(area.right().saturating_sub(start.x)), height: 1 },
        0,
        ground,
    );
    if active {
        let at = u16::try_from(input.visual_cursor().saturating_sub(from)).unwrap_or(0);
        page.cursor = Some((start.x + 1 + at, start.y).into());
    }
}
