//! The part of the log files that belongs to a run, for a report: lines of its time that do not name another run,
//! another lab or another seat. Of bounded size, however much was logged. Reads only; what may be read is the log's.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead as _, BufReader, ErrorKind},
    path::Path,
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::{
    domain::{Clean, SeatName},
    service::RunRow,
};

/// What is kept at most, in bytes: the newest.
const MOST: usize = 1024 * 1024;
/// A line is cut behind so many characters.
const LONGEST: usize = 2_000;
/// Before a run's first event and after its last, a process still says how it came to it and how it ended.
const AROUND: SignedDuration = SignedDuration::from_secs(10);

/// Which lines are wanted.
pub struct Wanted<'a> {
    pub run: &'a RunRow,
    /// Only what is not another seat's.
    pub seat: Option<&'a SeatName>,
    /// The end of the time of a run that has not ended.
    pub now: Timestamp,
}

/// The lines of the run in the log files of `folder`, oldest first. No log is no error.
///
/// # Errors
/// A file that is there and cannot be read.
pub fn excerpt(folder: &Path, wanted: &Wanted<'_>) -> io::Result<String> {
    let (from, to) = (wanted.run.started_at - AROUND, wanted.run.ended_at.unwrap_or(wanted.now) + AROUND);
    let mut kept = Kept::default();
    let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
    for date in day(from).series(jiff::Span::new().days(1)).take_while(|date| *date <= day(to)) {
        let mut file = match File::open(folder.join(format!("homeroom.{date}.log"))) {
            Ok(file) => BufReader::new(file),
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let mut line = Vec::new();
        // A line without a time of its own (a backtrace) belongs to the one above it.
        let mut belongs = false;
        while file.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            if let Some(at) = text.split_whitespace().next().and_then(|word| word.parse::<Timestamp>().ok()) {
                belongs = at >= from && at <= to && wanted.allows(&text);
            }
            if belongs {
                kept.push(Clean::new(text.trim_end()).as_str().chars().take(LONGEST).collect());
            }
            line.clear();
        }
    }
    Ok(kept.text())
}

impl Wanted<'_> {
    /// Whether no field of the line says that it is about something else.
    fn allows(&self, line: &str) -> bool {
        // Fields stand behind the words: the last of a name is the field.
        let field = |name: &str| {
            let value = line.split_whitespace().rev().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?;
            Some(value.trim_matches('"'))
        };
        let other = |name, own: &str| field(name).is_some_and(|value| value != own);
        !(other("run", &self.run.id.to_string())
            || other("lab", self.run.lab.as_str())
            || self.seat.is_some_and(|seat| other("seat", seat.as_str())))
    }
}

/// The newest lines that fit.
#[derive(Default)]
struct Kept {
    lines: VecDeque<String>,
    bytes: usize,
    left_out: usize,
}

impl Kept {
    fn push(&mut self, line: String) {
        self.bytes += line.len() + 1;
        self.lines.push_back(line);
        while self.bytes > MOST
            && let Some(first) = self.lines.pop_front()
        {
            self.bytes -= first.len() + 1;
            self.left_out += 1;
        }
    }

    fn text(self) -> String {
        let mut text = match self.left_out {
            0 => String::new(),
            lines => format!("… {lines} earlier lines are left out\n"),
        };
        for line in self.lines {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::{
        RunId,
        event::{RunKind, RunState},
    };

    fn run() -> RunRow {
        RunRow {
            id: RunId(7),
            lab: "bio".parse().unwrap(),
            kind: RunKind::Deploy,
            state: RunState::Done,
            owner: "ada@host".to_owned(),
            started_at: "2026-03-01T23:59:00Z".parse().unwrap(),
            ended_at: Some("2026-03-02T00:01:00Z".parse().unwrap()),
            away: std::time::Duration::ZERO,
        }
    }

    fn excerpt_of(days: &[(&str, &str)], seat: Option<&str>) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (day, text) in days {
            std::fs::write(folder.path().join(format!("homeroom.{day}.log")), text).unwrap();
        }
        let (run, seat) = (run(), seat.map(|seat| seat.parse().unwrap()));
        let wanted = Wanted { run: &run, seat: seat.as_ref(), now: Timestamp::UNIX_EPOCH };
        excerpt(folder.path(), &wanted).unwrap()
    }

    #[test]
    fn lines_of_the_runs_time_that_name_nothing_else_are_taken_across_midnight() {
        let before = "2026-03-01T23:50:00.1Z  INFO homeroom: too early\n\
                      2026-03-01T23:59:30.1Z  INFO homeroom: cloning run=7 lab=bio seat=\"ada\"\n\
                      2026-03-01T23:59:31.1Z  INFO homeroom: not ours run=8 lab=chem\n    its second line\n\
                      2026-03-01T23:59:32.1Z ERROR homeroom: fault\n   0: a backtrace\n";
        let after = "2026-03-02T00:00:10.1Z  WARN homeroom: says run=9 aloud run=7 lab=bio seat=\"eve\"\n\
                     2026-03-02T00:02:00.1Z  INFO homeroom: too late\n";
        let days = [("2026-03-01", before), ("2026-03-02", after)];
        let text = excerpt_of(&days, None);
        let words = ["cloning", "fault", "a backtrace", "aloud"];
        assert!(words.iter().all(|word| text.contains(word)) && text.lines().count() == 4, "{text}");
        let text = excerpt_of(&days, Some("ada"));
        assert!(text.contains("cloning") && !text.contains("aloud"), "{text}");
    }

    #[test]
    fn of_a_log_without_end_the_newest_lines_are_kept_and_it_is_said() {
        let word = "x".repeat(5_000);
        let lines: String =
            (0..2_000).map(|n| format!("2026-03-01T23:59:30Z INFO homeroom: number-{n} {word}\n")).collect();
        let text = excerpt_of(&[("2026-03-01", &lines)], None);
        assert!(text.len() < MOST + 100 && text.starts_with("… "), "{}", text.len());
        assert!(text.contains("number-1999 ") && !text.contains("number-10 "));
        assert!(text.lines().all(|line| line.chars().count() <= LONGEST));
    }

    #[test]
    fn no_log_is_an_empty_excerpt() {
        assert_eq!(excerpt_of(&[], None), "");
    }
}
