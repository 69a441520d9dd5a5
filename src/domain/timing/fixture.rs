//! Events of a run, for tests of what is told of its time.

use jiff::Timestamp;

use crate::domain::{Change, Event, LabName, Level, RunId, SeatName, StepName};

/// What befell a seat of run 7 of cs101, so many milliseconds after it began.
pub fn event(ms: i64, seat: Option<&str>, step: Option<StepName>, change: Change) -> Event {
    Event {
        at: Timestamp::from_millisecond(1_000_000 + ms).unwrap(),
        seq: 1,
        run: RunId(7),
        lab: LabName::new("cs101").unwrap(),
        seat: seat.map(|seat| SeatName::new(seat).unwrap()),
        machine: None,
        step,
        level: Level::Info,
        message: "line".into(),
        change,
    }
}
