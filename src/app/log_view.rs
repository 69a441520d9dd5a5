//! What a reader sees of the log: which lines, and where in them. A board has a view of its own, so that
//! looking at one seat narrows nothing elsewhere.
//!
//! The numbers of the lines it shows are kept, not searched for: a frame costs the lines on it, whatever
//! the log holds.

use std::collections::{BTreeMap, VecDeque};

use tui_input::Input;

use super::log::{Log, LogLine};
use crate::domain::{LabName, Level, RunId, SeatName};

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
    Run(LabName, RunId),
}

impl Scope {
    fn takes(&self, line: &LogLine) -> bool {
        match self {
            Self::Everything => true,
            Self::Lab(lab) => line.lab.as_ref() == Some(lab),
            Self::Run(lab, run) => line.lab.as_ref() == Some(lab) && line.run == Some(*run),
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
    /// What is looked for; the lines around it stay.
    pub(super) search: Input,
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

    /// The text that is looked for.
    pub fn sought(&self) -> &str {
        self.search.value()
    }

    /// Moves to a line with the sought text: upwards, from the newest to older ones, or back down; round the end
    /// when there is none. `here`: the line under the cursor counts too. Whether there is one.
    pub(super) fn seek(&mut self, log: &Log, up: bool, here: bool) -> bool {
        let text = self.search.value().to_lowercase();
        let Some(at) = self.position().filter(|_| !text.is_empty()) else { return false };
        let all = self.shown.len();
        let found = (usize::from(!here)..=all)
            .map(|n| if up { (at + all - n) % all } else { (at + n) % all })
            .find(|n| self.shown.get(*n).and_then(|id| log.line(*id)).is_some_and(|line| line.contains(&text)));
        if let Some(found) = found {
            self.at = self.shown.get(found).copied();
        }
        found.is_some()
    }

    /// Stays at the newest line, or follows again.
    pub(super) fn pause(&mut self) {
        self.at = if self.at.is_some() { None } else { self.shown.back().copied() };
    }

    /// The shown lines that fill `height` rows: the first, and how many. A line takes as many rows as `rows`
    /// says. While the newest is followed it is the last one; else the cursor's is among them, near the middle.
    pub fn page(&self, log: &Log, height: usize, rows: impl Fn(&LogLine) -> usize) -> (usize, usize) {
        let cost = |n: usize| self.shown.get(n).and_then(|id| log.line(*id)).map_or(1, |line| rows(line).max(1));
        let Some(at) = self.position() else { return (0, 0) };
        let (mut first, mut used) = (at, cost(at));
        let half = if self.follows() { height } else { height / 2 };
        while first > 0 && used + cost(first - 1) <= half {
            first -= 1;
            used += cost(first);
        }
        let mut end = at + 1;
        while end < self.shown.len() && used + cost(end) <= height {
            used += cost(end);
            end += 1;
        }
        while first > 0 && used + cost(first - 1) <= height {
            first -= 1;
            used += cost(first);
        }
        (first, end - first)
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

    /// The lines have other numbers now; the one under the cursor stays it.
    pub(super) fn renumbered(&mut self, numbers: &BTreeMap<u64, u64>, log: &Log) {
        self.at = self.at.and_then(|id| numbers.get(&id).copied());
        self.read_again(log);
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

    /// How many lines shown are newer than the one under the cursor.
    pub fn newer(&self) -> usize {
        self.position().map_or(0, |at| self.shown.len() - 1 - at)
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
    fn what_is_sought_is_found_upwards_and_back_down_and_round_the_end() {
        let (log, mut view) = filled(30);
        view.search = Input::new("LINE 2".into());
        let at = |view: &LogView| view.current(&log).unwrap().message.to_string();
        assert!(view.seek(&log, true, true));
        assert_eq!(at(&view), "line 29");
        assert!(view.seek(&log, true, false));
        assert_eq!(at(&view), "line 28");
        assert!(view.seek(&log, false, false) && view.seek(&log, false, false));
        assert_eq!(at(&view), "line 2");
        view.search = Input::new("nowhere".into());
        assert!(!view.seek(&log, true, true));
        assert_eq!(at(&view), "line 2");
    }

    #[test]
    fn a_page_is_filled_whatever_its_lines_take_and_holds_the_cursor() {
        let (log, mut view) = filled(30);
        assert_eq!(view.page(&log, 10, |_| 1), (20, 10));
        assert_eq!(view.page(&log, 10, |line| if line.id == 29 { 7 } else { 3 }), (28, 2));
        assert_eq!(view.page(&log, 4, |_| 9), (29, 1), "one that is too long is shown as far as it goes");
        for up in 1..40 {
            view.step(-1);
            let (first, n) = view.page(&log, 10, |line| 1 + line.id as usize % 3);
            let at = view.position().unwrap();
            assert!(first <= at && at < first + n, "{up} up: {at} is not in {first} + {n}");
        }
        assert_eq!(view.page(&log, 10, |_| 1), (0, 10));
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
