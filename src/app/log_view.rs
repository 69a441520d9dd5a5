//! What a reader sees of the log: which lines, and where in them. A board has a view of its own, so that
//! looking at one seat narrows nothing elsewhere.
//!
//! The numbers of the lines it shows are kept, not searched for: a frame costs the lines on it, whatever
//! the log holds.

use std::collections::VecDeque;

use tui_input::Input;

use super::log::{Log, LogLine};
use crate::domain::{LabName, Level, SeatName};

/// What the person at the screen narrowed the log to.
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

/// What a view is about, whatever its filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scope {
    #[default]
    Everything,
    Lab(LabName),
    Seat(LabName, SeatName),
}

impl Scope {
    fn takes(&self, line: &LogLine) -> bool {
        match self {
            Self::Everything => true,
            Self::Lab(lab) => line.lab.as_ref() == Some(lab),
            Self::Seat(lab, seat) => line.lab.as_ref() == Some(lab) && line.seat.as_ref() == Some(seat),
        }
    }
}

/// A reader's place in the log.
#[derive(Debug, Default)]
pub struct LogView {
    scope: Scope,
    filter: LogFilter,
    /// `/`: text anywhere in a line.
    pub(super) text: Input,
    /// The line under the cursor; absent while the newest line is followed.
    at: Option<u64>,
    /// The numbers of the lines shown, rising.
    shown: VecDeque<u64>,
}

impl LogView {
    /// A view of what is kept.
    pub fn new(scope: Scope, log: &Log) -> Self {
        let mut view = Self { scope, ..Self::default() };
        view.read_again(log);
        view
    }

    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    pub fn filter(&self) -> &LogFilter {
        &self.filter
    }

    /// The text typed behind `/`.
    pub fn text(&self) -> &str {
        self.text.value()
    }

    fn takes(&self, line: &LogLine, text: &str) -> bool {
        let part = |wanted: &str, name: Option<&str>| wanted.is_empty() || name.is_some_and(|n| n.contains(wanted));
        line.level >= self.filter.level
            && self.scope.takes(line)
            && part(&self.filter.lab, line.lab.as_ref().map(LabName::as_str))
            && part(&self.filter.seat, line.seat.as_ref().map(SeatName::as_str))
            && (text.is_empty() || line.contains(text))
    }

    /// Takes in the newest line of the log; `oldest` is the number of the oldest still kept.
    pub(super) fn arrived(&mut self, line: &LogLine, oldest: u64) {
        while self.shown.front().is_some_and(|id| *id < oldest) {
            self.shown.pop_front();
        }
        if self.takes(line, &self.text.value().to_lowercase()) {
            self.shown.push_back(line.id);
        }
    }

    /// Looks through the whole log, after the filter or the text changed.
    pub(super) fn read_again(&mut self, log: &Log) {
        let text = self.text.value().to_lowercase();
        self.shown = log.iter().filter(|line| self.takes(line, &text)).map(|line| line.id).collect();
    }

    /// Another filter; the newest line is followed again.
    pub(super) fn narrow(&mut self, filter: LogFilter, log: &Log) {
        self.filter = filter;
        self.at = None;
        self.read_again(log);
    }

    /// How many lines are shown.
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// Shown lines from the `first` on, at most `n`, oldest first.
    pub fn lines<'a>(&self, log: &'a Log, first: usize, n: usize) -> Vec<&'a LogLine> {
        self.shown.iter().skip(first).take(n).filter_map(|id| log.line(*id)).collect()
    }

    /// The newest shown lines, at most `n`, oldest first.
    pub fn tail<'a>(&self, log: &'a Log, n: usize) -> Vec<&'a LogLine> {
        self.lines(log, self.shown.len().saturating_sub(n), n)
    }

    /// Whether the newest line is followed.
    pub fn follows(&self) -> bool {
        self.at.is_none()
    }

    /// Follows the newest line.
    pub fn follow(&mut self) {
        self.at = None;
    }

    /// Where the cursor stands among the shown lines.
    pub fn position(&self) -> Option<usize> {
        let last = self.shown.len().checked_sub(1)?;
        Some(self.at.map_or(last, |at| self.shown.partition_point(|id| *id < at).min(last)))
    }

    /// The line under the cursor.
    pub fn current<'a>(&self, log: &'a Log) -> Option<&'a LogLine> {
        log.line(*self.shown.get(self.position()?)?)
    }

    /// Moves the cursor; at the newest line it follows again.
    pub(super) fn step(&mut self, delta: isize) {
        let Some(at) = self.position() else { return };
        let to = at.saturating_add_signed(delta);
        self.at = if to + 1 >= self.shown.len() { None } else { self.shown.get(to).copied() };
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::Clean;

    fn say(log: &mut Log, view: &mut LogView, level: Level, text: &str) {
        log.notice(Timestamp::UNIX_EPOCH, None, level, text.into());
        let (oldest, newest) = (log.oldest(), log.oldest() + log.len() as u64 - 1);
        view.arrived(log.line(newest).unwrap(), oldest);
    }

    fn filled(n: usize) -> (Log, LogView) {
        let mut log = Log::default();
        for i in 0..n {
            log.notice(Timestamp::UNIX_EPOCH, None, Level::Info, Clean::from(format!("line {i}")));
        }
        let view = LogView::new(Scope::Everything, &log);
        (log, view)
    }

    #[test]
    fn a_paused_log_stays_on_its_line_while_lines_arrive() {
        let (mut log, mut view) = filled(5);
        view.step(-2);
        say(&mut log, &mut view, Level::Info, "new");
        assert_eq!(view.position(), Some(2));
        assert!(!view.follows());
        view.step(100);
        assert!(view.follows());
    }

    #[test]
    fn the_filter_knows_level_and_text() {
        let (mut log, mut view) = filled(3);
        say(&mut log, &mut view, Level::Debug, "hidden");
        assert_eq!(view.len(), 3);
        view.text = Input::new("LINE 1".into());
        view.read_again(&log);
        assert_eq!(view.len(), 1);
        view.narrow(LogFilter { level: Level::Error, ..LogFilter::default() }, &log);
        assert!(view.tail(&log, 10).is_empty());
    }

    #[test]
    fn a_view_of_one_lab_shows_nothing_of_another() {
        let mut log = Log::default();
        let (one, ten) = ("cs1".parse().unwrap(), "cs10".parse().unwrap());
        log.notice(Timestamp::UNIX_EPOCH, Some(one), Level::Info, "of cs1".into());
        log.notice(Timestamp::UNIX_EPOCH, Some(ten), Level::Info, "of cs10".into());
        let view = LogView::new(Scope::Lab("cs1".parse().unwrap()), &log);
        assert_eq!(view.tail(&log, 9).len(), 1);
    }

    #[test]
    fn only_the_newest_lines_are_kept_and_views_forget_the_others() {
        let (mut log, mut view) = filled(Log::KEPT);
        view.step(isize::MIN / 2);
        for n in 0..5 {
            say(&mut log, &mut view, Level::Info, &format!("more {n}"));
        }
        assert_eq!((log.len(), view.len(), log.oldest()), (Log::KEPT, Log::KEPT, 5));
        assert_eq!(view.current(&log).unwrap().message.as_str(), "line 5");
        assert!(log.line(4).is_none());
    }
}
