//! Questions about shells in the dashboard: whether one that runs is to be closed, and who gets none.

use ratatui::layout::Rect;

use super::{frame, keys};
use crate::{
    app::{Command, State, doors::Door, popup::ShellsPopup},
    tui::{
        pen::{Page, wrap},
        theme::Tone,
    },
};

const WIDTH: usize = 64;

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, popup: &ShellsPopup) {
    let width = WIDTH.min(usize::from(area.width).saturating_sub(4));
    match popup {
        ShellsPopup::End { door, .. } => {
            let (title, told, yes) = match door {
                Door::Console { .. } => (
                    "leave the console?",
                    format!("{door} is open still. Whoever is logged in there stays logged in."),
                    "leave it",
                ),
                door => (
                    "end the shell?",
                    format!("The shell on {door} runs still. What it runs is hung up with it."),
                    "end it",
                ),
            };
            let lines = wrap(&told, width);
            let inner = frame(page, area, WIDTH, lines.len() + 2, title, Tone::Warn);
            for (n, line) in lines.iter().enumerate() {
                page.line(inner, n).put(line, Tone::Text);
            }
            keys(page, inner, lines.len() + 1, state, &[(Command::ConfirmShells, yes)]);
        }
        ShellsPopup::Open { doors, left } => {
            let mut lines: Vec<String> = left.iter().flat_map(|left| wrap(left, width)).collect();
            let room = usize::from(area.height).saturating_sub(7);
            if lines.len() > room {
                let more = lines.len() + 1 - room;
                lines.truncate(room.saturating_sub(1));
                lines.push(format!("and {more} lines more"));
            }
            let inner = frame(page, area, WIDTH, lines.len() + 3, "open shells?", Tone::Warn);
            let count = match doors.len() {
                1 => "1 shell can be opened. Left out:".to_owned(),
                n => format!("{n} shells can be opened. Left out:"),
            };
            page.line(inner, 0).put(&count, Tone::Text);
            for (n, line) in lines.iter().enumerate() {
                page.line(inner, 1 + n).put(line, Tone::Warn);
            }
            keys(page, inner, lines.len() + 2, state, &[(Command::ConfirmShells, "open them")]);
        }
    }
}
