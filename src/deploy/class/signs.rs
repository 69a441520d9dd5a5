//! Signs of life: a guest agent's answers in a row, whatever it was asked.
//!
//! Any answer proves what a ping proves, and each question costs a node half a second of CPU. Counts;
//! asks nothing.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::domain::Vmid;

/// Answers without a silence in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub answers: u32,
    /// When the first came, on the modelled clock.
    pub first: Duration,
    pub last: Duration,
}

impl Row {
    /// From the first answer to the last.
    pub fn spans(&self) -> Duration {
        self.last.saturating_sub(self.first)
    }
}

/// The rows of a run's machines.
#[derive(Debug, Default)]
pub struct Signs {
    rows: Mutex<HashMap<Vmid, Row>>,
    /// The shortest time a ping took.
    quickest: Mutex<Option<Duration>>,
    /// Questions other than pings that are not answered yet.
    open: Mutex<HashMap<Vmid, u32>>,
}

impl Signs {
    fn rows(&self) -> MutexGuard<'_, HashMap<Vmid, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The agent answered.
    pub fn heard(&self, vmid: Vmid, now: Duration) {
        let mut rows = self.rows();
        let row = rows.entry(vmid).or_insert(Row { answers: 0, first: now, last: now });
        row.answers += 1;
        row.last = now;
    }

    /// It did not, or the machine was started anew: whatever it said before proves nothing.
    pub fn broken(&self, vmid: Vmid) {
        self.rows().remove(&vmid);
    }

    /// Something longer than a ping is asked: its answer will count.
    pub fn asked(&self, vmid: Vmid) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner).entry(vmid).or_default() += 1;
    }

    /// It was answered, or not.
    pub fn settled(&self, vmid: Vmid) {
        if let Some(open) = self.open.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&vmid) {
            *open = open.saturating_sub(1);
        }
    }

    /// Answers that are still to come without anybody's asking again.
    pub fn open(&self, vmid: Vmid) -> u32 {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).get(&vmid).copied().unwrap_or_default()
    }

    /// A ping took this long to be answered.
    pub fn took(&self, time: Duration) {
        let mut quickest = self.quickest.lock().unwrap_or_else(PoisonError::into_inner);
        *quickest = Some(quickest.map_or(time, |quickest| quickest.min(time)));
    }

    /// What a ping takes at least: so much before its answer is wanted it may be put. Zero until one was.
    pub fn quickest(&self) -> Duration {
        self.quickest.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or_default()
    }

    pub fn row(&self, vmid: Vmid) -> Option<Row> {
        self.rows().get(&vmid).copied()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_asked_counts_as_open_until_it_is_answered_or_not() {
        let (signs, vmid) = (Signs::default(), Vmid::new(9101).unwrap());
        signs.asked(vmid);
        signs.asked(vmid);
        signs.settled(vmid);
        assert_eq!(signs.open(vmid), 1);
        signs.settled(vmid);
        signs.settled(vmid);
        assert_eq!(signs.open(vmid), 0);
    }

    #[test]
    fn a_silence_begins_the_row_anew() {
        let (signs, vmid) = (Signs::default(), Vmid::new(9101).unwrap());
        let seconds = Duration::from_secs;
        signs.heard(vmid, seconds(10));
        signs.heard(vmid, seconds(14));
        let row = signs.row(vmid).unwrap();
        assert_eq!((row.answers, row.spans()), (2, seconds(4)));
        signs.broken(vmid);
        assert_eq!(signs.row(vmid), None);
        signs.heard(vmid, seconds(20));
        assert_eq!(signs.row(vmid).unwrap().answers, 1);
    }
}
