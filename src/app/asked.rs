//! A command asked of seats from the dashboard: what is typed, what came back so far.

use std::collections::BTreeMap;

use tui_input::Input;
use unicode_width::UnicodeWidthChar as _;

use super::{State, rows::Target};
use crate::domain::{Clean, LabName, SeatName, told::Told};

/// Which command, for as long as the program runs.
pub type AskId = u64;

/// Lines typed before that are kept.
const KEPT: usize = 50;

/// The line being typed, and whom it is for.
#[derive(Debug)]
pub struct LinePopup {
    pub target: Target,
    /// Rows that were marked and are not among them, with why.
    pub left: Vec<String>,
    pub typed: Input,
    /// How far back in what was typed before; 0 is the new line.
    back: usize,
}

/// A command that was asked.
#[derive(Debug)]
pub struct Asked {
    pub id: AskId,
    pub target: Target,
    pub line: String,
    /// How many are to answer, and how many have.
    pub seats: usize,
    pub answered: usize,
    /// The answers so far, folded.
    pub told: Vec<Told>,
    /// What those said last that are still at it.
    pub said: BTreeMap<SeatName, Clean>,
    /// Nobody answers any more; why, if that is not because all have.
    pub over: Option<Option<Clean>>,
    /// The first row in sight: a line that does not fit takes several.
    pub scroll: usize,
}

/// A row of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row<'a> {
    /// Of an answer: the line or a part of it.
    Told(&'a Told, String),
    /// What one said last that is still at it.
    Said(&'a SeatName, &'a Clean),
}

/// Rows of the screen that show something else: its top and bottom, and what was asked.
const AROUND: u16 = 3;

/// How far in the rest of a line stands that does not fit.
const HANGING: usize = 4;

/// A line as rows of at most `width` columns, broken at a space where one is near; the rest stands further in.
fn broken(text: &str, width: usize) -> Vec<String> {
    let (width, mut rows, mut row, mut used) = (width.max(2 * HANGING), Vec::new(), String::new(), 0);
    // Where the row could be broken: after this many bytes, which are so many columns.
    let mut space: Option<(usize, usize)> = None;
    for letter in text.chars() {
        let wide = letter.width().unwrap_or(0);
        if used + wide > width {
            // A word that begins in the first half would leave most of the row empty.
            let (rest, before) = match space.filter(|(_, columns)| *columns > width / 2 && letter != ' ') {
                Some((at, columns)) => (row.split_off(at), columns),
                None => (String::new(), used),
            };
            rows.push(std::mem::replace(&mut row, format!("{:HANGING$}{rest}", "")));
            (used, space) = (HANGING + used - before, None);
            if letter == ' ' {
                continue;
            }
        }
        row.push(letter);
        used += wide;
        if letter == ' ' {
            space = Some((row.len(), used));
        }
    }
    rows.push(row);
    rows
}

/// The newest, and the lines typed before.
#[derive(Debug, Default)]
pub struct Asking {
    pub newest: Option<Asked>,
    lines: Vec<String>,
    last: AskId,
}

impl LinePopup {
    pub(super) fn new(target: Target, left: Vec<String>) -> Self {
        Self { target, left, typed: Input::default(), back: 0 }
    }
}

impl Asking {
    pub fn is_under_way(&self) -> bool {
        self.newest.as_ref().is_some_and(|asked| asked.over.is_none())
    }

    /// A line that was asked before, towards older ones with less than nothing.
    pub(super) fn recall(&self, popup: &mut LinePopup, delta: isize) {
        popup.back = popup.back.saturating_add_signed(delta.saturating_neg()).min(self.lines.len());
        let line = popup.back.checked_sub(1).and_then(|n| self.lines.iter().rev().nth(n));
        popup.typed = Input::new(line.cloned().unwrap_or_default());
    }

    pub(super) fn begin(&mut self, target: Target, line: String, seats: usize) -> AskId {
        self.lines.retain(|known| *known != line);
        self.lines.push(line.clone());
        let over = self.lines.len().saturating_sub(KEPT);
        self.lines.drain(..over);
        self.last += 1;
        let (told, said) = (Vec::new(), BTreeMap::new());
        self.newest =
            Some(Asked { id: self.last, target, line, seats, answered: 0, told, said, over: None, scroll: 0 });
        self.last
    }

    /// The one of this number, if it is still looked at.
    pub(super) fn of(&mut self, id: AskId) -> Option<&mut Asked> {
        self.newest.as_mut().filter(|asked| asked.id == id)
    }
}

impl Asked {
    pub fn is_empty(&self) -> bool {
        self.told.is_empty() && self.said.is_empty()
    }

    /// All rows on a screen of so many columns.
    fn rows(&self, columns: usize) -> impl Iterator<Item = Row<'_>> {
        // A free column on both sides.
        let width = columns.saturating_sub(2);
        let told = move |line| broken(&Told::plain(line), width).into_iter().map(move |row| Row::Told(line, row));
        self.told.iter().flat_map(told).chain(self.said.iter().map(|(seat, said)| Row::Said(seat, said)))
    }

    /// What is in sight where there is room for so many columns and rows. The last page is full.
    pub fn in_sight(&self, (columns, rows): (usize, usize)) -> impl Iterator<Item = Row<'_>> {
        let first = self.scroll.min(self.rows(columns).count().saturating_sub(rows));
        self.rows(columns).skip(first).take(rows)
    }

    /// Scrolls on a screen of so many columns and rows.
    pub(super) fn step(&mut self, delta: isize, (columns, rows): (u16, u16)) {
        let last = self.rows(columns.into()).count().saturating_sub(rows.saturating_sub(AROUND).into());
        self.scroll = self.scroll.saturating_add_signed(delta).min(last);
    }
}

impl Target {
    /// Whom it names, in a few words.
    pub fn whom(&self) -> String {
        match self.seats.as_slice() {
            [] => format!("every seat of {}", self.lab),
            [seat] => format!("{}/{seat}", self.lab),
            seats => format!("{} seats of {}", seats.len(), self.lab),
        }
    }
}

impl State {
    /// How many seats that is, of those that are known.
    pub(super) fn seats_of(&self, lab: &LabName, named: &[SeatName]) -> usize {
        let all = || self.class(lab).map_or(0, |row| row.seats.len());
        if named.is_empty() { all() } else { named.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_does_not_fit_goes_on_below_and_loses_nothing_but_the_space_it_breaks_at() {
        assert_eq!(broken("", 20), [""]);
        assert_eq!(broken("  short", 20), ["  short"]);
        assert_eq!(broken("  cannot connect: timed out", 20), ["  cannot connect: ", "    timed out"]);
        assert_eq!(broken("exactly twenty cols! and more", 20), ["exactly twenty cols!", "    and more"]);
        assert_eq!(
            broken(&"x".repeat(50), 20),
            ["x".repeat(20), format!("    {}", "x".repeat(16)), format!("    {}", "x".repeat(14))]
        );
        assert_eq!(broken("日本語日本語日本語", 9), ["日本語日", "    本語", "    日本", "    語"]);
        assert_eq!(broken("a very narrow one", 1).concat().replace(' ', ""), "averynarrowone");
    }
}
