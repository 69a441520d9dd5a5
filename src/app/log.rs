//! The lines of the log: events of every run, and notices. What a reader sees of them is a `LogView`.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use unicode_width::UnicodeWidthStr;

use crate::domain::{Clean, Event, LabName, Level, RunId, SeatName, StepName};

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// Its number since the program started.
    pub id: u64,
    pub at: Timestamp,
    pub lab: Option<LabName>,
    pub seat: Option<SeatName>,
    /// Of what a run did.
    pub run: Option<RunId>,
    pub step: Option<StepName>,
    pub level: Level,
    pub message: Clean,
}

impl LogLine {
    /// The line as a file has it: `2026-11-21T14:01:59Z error cs101/student-10 clone: no room`.
    pub fn plain(&self) -> String {
        let named = match (&self.lab, &self.seat) {
            (Some(lab), Some(seat)) => format!(" {lab}/{seat}"),
            (Some(lab), None) => format!(" {lab}"),
            _ => String::new(),
        };
        let step = self.step.map_or(String::new(), |step| format!(" {step}"));
        let at = self.at.strftime("%Y-%m-%dT%H:%M:%SZ");
        format!("{at} {}{named}{step}: {}", self.level, self.message)
    }

    /// Whether the text stands anywhere in the line, whatever its case. `text` is lower-case.
    pub fn contains(&self, text: &str) -> bool {
        let names = [self.lab.as_ref().map(LabName::as_str), self.seat.as_ref().map(SeatName::as_str)];
        self.message.as_str().to_lowercase().contains(text)
            || names.iter().flatten().any(|name| name.contains(text))
            || self.step.is_some_and(|step| step.as_str().contains(text))
    }
}

/// The lines kept.
#[derive(Debug, Default)]
pub struct Log {
    lines: VecDeque<LogLine>,
    next: u64,
    /// The last event of each run that was taken in.
    seen: BTreeMap<RunId, u64>,
    widest: (usize, usize),
}

impl Log {
    /// Lines kept; older ones are in the store (`homeroom logs`).
    pub const KEPT: usize = 100_000;

    /// Takes in an event, unless it is known already or says nothing; gives its line.
    pub fn event(&mut self, event: &Event) -> Option<&LogLine> {
        let seen = self.seen.entry(event.run).or_default();
        if event.seq <= *seen {
            return None;
        }
        *seen = event.seq;
        self.push(LogLine {
            id: 0,
            at: event.at,
            lab: Some(event.lab.clone()),
            seat: event.seat.clone(),
            run: Some(event.run),
            step: event.step,
            level: event.level,
            message: event.message.clone(),
        })
    }

    /// A line that belongs to no run.
    pub fn notice(&mut self, at: Timestamp, lab: Option<LabName>, level: Level, message: Clean) -> Option<&LogLine> {
        self.push(LogLine { id: 0, at, lab, seat: None, run: None, step: None, level, message })
    }

    fn push(&mut self, mut line: LogLine) -> Option<&LogLine> {
        if line.message.is_empty() {
            return None;
        }
        line.id = self.next;
        self.next += 1;
        if self.lines.len() == Self::KEPT {
            self.lines.pop_front();
        }
        let wide = |name: Option<&str>| name.map_or(0, |name| name.width());
        self.widest.0 = self.widest.0.max(wide(line.lab.as_ref().map(LabName::as_str)));
        self.widest.1 = self.widest.1.max(wide(line.seat.as_ref().map(SeatName::as_str)));
        self.lines.push_back(line);
        self.lines.back()
    }

    /// Whether what happened at that time belongs above the newest line.
    pub(super) fn is_past(&self, at: Timestamp) -> bool {
        self.lines.back().is_some_and(|newest| at < newest.at)
    }

    /// Puts the lines in the order of their times, where something older was read later; the new number of each.
    pub(super) fn put_in_order(&mut self) -> BTreeMap<u64, u64> {
        let oldest = self.oldest();
        self.lines.make_contiguous().sort_by_key(|line| line.at);
        let renumbered = self.lines.iter_mut().zip(oldest..);
        renumbered.map(|(line, id)| (std::mem::replace(&mut line.id, id), id)).collect()
    }

    /// Every line kept, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &LogLine> {
        self.lines.iter()
    }

    /// The line of this number, if it is still kept.
    pub fn line(&self, id: u64) -> Option<&LogLine> {
        self.lines.get(usize::try_from(id.checked_sub(self.oldest())?).ok()?)
    }

    /// The number of the oldest line kept.
    pub fn oldest(&self) -> u64 {
        self.next - self.lines.len() as u64
    }

    /// The widest lab and seat named so far, in columns.
    pub fn widest(&self) -> (usize, usize) {
        self.widest
    }

    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}
