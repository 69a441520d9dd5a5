//! A command asked of seats from the dashboard: what is typed, what came back so far.

use std::collections::BTreeMap;

use tui_input::Input;

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
    /// The first line in sight.
    pub scroll: usize,
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
    /// Lines to be shown, of which the last few are those still at it.
    pub fn len(&self) -> usize {
        self.told.len() + self.said.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn step(&mut self, delta: isize) {
        self.scroll = self.scroll.saturating_add_signed(delta).min(self.len().saturating_sub(1));
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
