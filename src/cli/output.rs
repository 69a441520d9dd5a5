//! Answers: tables for people, one JSON object for programs. A reader that went away is no error.

use std::io::{IsTerminal, Write};

use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Map, Value};

use crate::domain::Level;

/// Where answers go, and in which form.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    pub json: bool,
    colour: bool,
}

impl Output {
    pub fn new(json: bool) -> Self {
        let colour =
            !json && std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Self { json, colour }
    }

    /// One line; false when whoever reads has gone (a closed pipe, a dead terminal). That ends no work:
    /// only what exists to be read need look.
    pub fn line(self, text: impl AsRef<str>) -> bool {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush()).is_ok()
    }

    /// Whether anybody can still read what is printed. A pipe without a reader is not.
    pub fn is_read(self) -> bool {
        let out = std::io::stdout();
        let mut asked = [PollFd::new(&out, PollFlags::empty())];
        let gone = PollFlags::ERR | PollFlags::HUP;
        poll(&mut asked, Some(&Timespec::default())).is_err() || !asked[0].revents().intersects(gone)
    }

    /// Says to people that an answer has no rows; programs see that it has none.
    pub fn nothing(self, words: &str) {
        if !self.json {
            eprintln!("{words}");
        }
    }

    /// A JSON object, with the schema's number first.
    pub fn object(self, value: Value) -> bool {
        let mut object = Map::new();
        object.insert("schema".to_owned(), 1.into());
        if let Value::Object(fields) = value {
            object.extend(fields);
        }
        self.line(Value::Object(object).to_string())
    }

    /// Rows in columns, two spaces apart, the last one ragged.
    pub fn table<const N: usize>(self, head: [&str; N], rows: &[[String; N]]) {
        let mut widths = head.map(unicode_width::UnicodeWidthStr::width);
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(unicode_width::UnicodeWidthStr::width(cell.as_str()));
            }
        }
        let line = |cells: &[&str]| {
            let mut text = String::new();
            for (n, (cell, width)) in cells.iter().zip(widths).enumerate() {
                text.push_str(cell);
                if n + 1 < cells.len() {
                    let pad = width - unicode_width::UnicodeWidthStr::width(*cell) + 2;
                    text.push_str(&" ".repeat(pad));
                }
            }
            text.truncate(text.trim_end().len());
            text
        };
        self.line(self.dim(&line(&head)));
        for row in rows {
            self.line(line(&row.each_ref().map(String::as_str)));
        }
    }

    /// Columns there are; 80 where nobody says.
    pub fn width(self) -> usize {
        let told = std::env::var("COLUMNS").ok().and_then(|text| text.parse::<usize>().ok());
        let seen = || rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
        told.or_else(seen).filter(|columns| *columns > 0).unwrap_or(80)
    }

    pub fn dim(self, text: &str) -> String {
        self.painted("2", text)
    }

    /// Text in the colour of a level.
    pub fn levelled(self, level: Level, text: &str) -> String {
        match level {
            Level::Debug => self.painted("2", text),
            Level::Info => text.to_owned(),
            Level::Success => self.painted("32", text),
            Level::Warning => self.painted("33", text),
            Level::Error => self.painted("31", text),
        }
    }

    fn painted(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// RFC 3339 in UTC, to the millisecond.
pub fn time(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// The second, where the reader is.
pub fn local_time(at: Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// How long ago, in steps that do not flicker.
pub fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d", seconds / 86_400),
    }
}
