//! The log pane's lines: events of every run and notices, filtered by lab, seat, level and text.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use tui_input::Input;

use crate::domain::{Clean, Event, LabName, Level, RunId, SeatName, StepName};

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// Its number since the program started.
    pub id: u64,
    pub at: Timestamp,
    pub lab: Option<LabName>,
    pub seat: Option<SeatName>,
    pub step: Option<StepName>,
    pub level: Level,
    pub message: Clean,
}

/// What is shown of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter {
    /// Part of a lab's name; empty for all.
    pub lab: String,
    /// Part of a seat's name; empty for all.
    pub seat: String,
    /// This level and louder.
    pub level: Level,
}

impl Default for LogFilter {
    fn default() -> Self {
        Self { lab: String::new(), seat: String::new(), level: Level::Info }
    }
}

impl LogFilter {
    fn takes(&self, line: &LogLine, text: &str) -> bool {
        let part = |wanted: &str, name: Option<&str>| wanted.is_empty() || name.is_some_and(|n| n.contains(wanted));
        line.level >= self.level
            && part(&self.lab, line.lab.as_ref().map(LabName::as_str))
            && part(&self.seat, line.seat.as_ref().map(SeatName::as_str))
            && (text.is_empty() || line.contains(text))
    }
}

impl LogLine {
    /// Whether the text stands anywhere in the line, whatever its case. `text` is lower-case.
    fn contains(&self, text: &str) -> bool {
        let names = [self.lab.as_ref().map(LabName::as_str), self.seat.as_ref().map(SeatName::as_str)];
        self.message.as_str().to_lowercase().contains(text)
            || names.iter().flatten().any(|name| name.contains(text))
            || self.step.is_some_and(|step| step.as_str().contains(text))
    }
}

/// The lines kept, what is shown of them, and where the reader is.
#[derive(Debug, Default)]
pub struct Log {
    lines: VecDeque<LogLine>,
    next: u64,
    /// The last event of each run that was taken in.
    seen: BTreeMap<RunId, u64>,
    pub filter: LogFilter,
    /// `/`: text anywhere in a line.
    pub text: Input,
    /// The line under the cursor; absent while the newest line is followed.
    at: Option<u64>,
}

impl Log {
    /// Lines kept; older ones are in the store (`homeroom logs`).
    pub const KEPT: usize = 10_000;

    /// Takes in an event, unless it is known already.
    pub fn event(&mut self, event: &Event) {
        let seen = self.seen.entry(event.run).or_default();
        if event.seq <= *seen {
            return;
        }
        *seen = event.seq;
        self.push(LogLine {
            id: 0,
            at: event.at,
            lab: Some(event.lab.clone()),
            seat: event.seat.clone(),
            step: event.step,
            level: event.level,
            message: event.message.clone(),
        });
    }

    /// A line that belongs to no run.
    pub fn notice(&mut self, at: Timestamp, lab: Option<LabName>, level: Level, message: Clean) {
        self.push(LogLine { id: 0, at, lab, seat: None, step: None, level, message });
    }

    fn push(&mut self, mut line: LogLine) {
        if line.message.is_empty() {
            return;
        }
        line.id = self.next;
        self.next += 1;
        if self.lines.len() == Self::KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The lines the filter lets through, oldest first.
    pub fn shown(&self) -> Vec<&LogLine> {
        let text = self.text.value().to_lowercase();
        self.lines.iter().filter(|line| self.filter.takes(line, &text)).collect()
    }

    /// The newest lines the filter lets through, at most `n`, oldest first.
    pub fn tail(&self, n: usize) -> Vec<&LogLine> {
        let text = self.text.value().to_lowercase();
        let mut tail: Vec<_> = self.lines.iter().rev().filter(|line| self.filter.takes(line, &text)).take(n).collect();
        tail.reverse();
        tail
    }

    /// The newest lines of one lab at the filter's level, at most `n`, oldest first.
    pub fn tail_of(&self, lab: &LabName, n: usize) -> Vec<&LogLine> {
        let of = |line: &&LogLine| line.lab.as_ref() == Some(lab) && line.level >= self.filter.level;
        let mut tail: Vec<_> = self.lines.iter().rev().filter(of).take(n).collect();
        tail.reverse();
        tail
    }

    /// Every line kept, whatever the filter.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether the newest line is followed.
    pub fn follows(&self) -> bool {
        self.at.is_none()
    }

    /// Where the cursor stands among the shown lines.
    pub fn position(&self, shown: &[&LogLine]) -> Option<usize> {
        let last = shown.len().checked_sub(1)?;
        Some(self.at.map_or(last, |id| shown.partition_point(|line| line.id < id).min(last)))
    }

    /// Moves the cursor; at the newest line it follows again.
    pub fn step(&mut self, delta: isize) {
        let shown = self.shown();
        let Some(at) = self.position(&shown) else { return };
        let to = at.saturating_add_signed(delta);
        self.at = if to + 1 >= shown.len() { None } else { shown.get(to).map(|line| line.id) };
    }

    /// Follows the newest line.
    pub fn follow(&mut self) {
        self.at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(n: usize) -> Log {
        let mut log = Log::default();
        for i in 0..n {
            log.notice(Timestamp::UNIX_EPOCH, None, Level::Info, Clean::from(format!("line {i}")));
        }
        log
    }

    #[test]
    fn a_paused_log_stays_on_its_line_while_lines_arrive() {
        let mut log = log(5);
        log.step(-2);
        log.notice(Timestamp::UNIX_EPOCH, None, Level::Info, "new".into());
        let shown = log.shown();
        assert_eq!(log.position(&shown), Some(2));
        assert!(!log.follows());
        log.step(100);
        assert!(log.follows());
    }

    #[test]
    fn the_filter_knows_level_and_text() {
        let mut log = log(3);
        log.notice(Timestamp::UNIX_EPOCH, None, Level::Debug, "hidden".into());
        assert_eq!(log.shown().len(), 3);
        log.text = Input::new("LINE 1".into());
        assert_eq!(log.shown().len(), 1);
        log.filter.level = Level::Error;
        assert!(log.tail(10).is_empty());
    }

    #[test]
    fn only_the_newest_lines_are_kept() {
        assert_eq!(log(Log::KEPT + 5).len(), Log::KEPT);
    }
}
