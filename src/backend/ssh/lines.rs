//! The connections to one machine that carry commands, and how many each of them takes: OpenSSH opens no more
//! than `MaxSessions` channels on one. Knows nothing of how connections are made.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The connections, each with what runs on it.
#[derive(Debug)]
pub(super) struct Lines<L> {
    held: Mutex<Held<L>>,
    freed: Notify,
}

#[derive(Debug)]
struct Held<L> {
    lines: Vec<Line<L>>,
    /// Commands at once on one connection: fewer once one was refused.
    most: usize,
    made: u64,
}

#[derive(Debug)]
struct Line<L> {
    number: u64,
    link: L,
    running: usize,
}

/// A command's place on a connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Place<'a, L> {
    pub(super) link: L,
    /// Whether the connection was made for this command.
    pub(super) fresh: bool,
    number: u64,
    lines: &'a Lines<L>,
}

impl<L: Clone> Lines<L> {
    /// `most` commands at once on a connection, until one refuses.
    pub(super) fn new(most: usize) -> Self {
        let held = Held { lines: Vec::new(), most, made: 0 };
        Self { held: Mutex::new(held), freed: Notify::new() }
    }

    fn held(&self) -> MutexGuard<'_, Held<L>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place on a connection that has one. Those that have ended are forgotten.
    pub(super) fn place(&self, ended: impl Fn(&L) -> bool) -> Option<Place<'_, L>> {
        let mut held = self.held();
        held.lines.retain(|line| !ended(&line.link));
        let most = held.most;
        let line = held.lines.iter_mut().find(|line| line.running < most)?;
        line.running += 1;
        Some(Place { link: line.link.clone(), fresh: false, number: line.number, lines: self })
    }

    /// A place on a connection made for it; others may join.
    pub(super) fn add(&self, link: L) -> Place<'_, L> {
        let mut held = self.held();
        held.made += 1;
        let number = held.made;
        held.lines.push(Line { number, link: link.clone(), running: 1 });
        Place { link, fresh: true, number, lines: self }
    }

    /// Waits until a place was given back; `None` at once where nothing runs that could.
    pub(super) async fn freed(&self) -> Option<()> {
        let freed = self.freed.notified();
        if self.held().lines.iter().all(|line| line.running == 0) {
            return None;
        }
        freed.await;
        Some(())
    }
}

impl<L> Place<'_, L> {
    /// The connection is of no use: nobody else is to ask on it.
    pub(super) fn give_up(&self) {
        let mut held = self.lines.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.lines.retain(|line| line.number != self.number);
    }

    /// The far side opened no channel for it. Tells whether another place may be better: not where nothing of
    /// ours but this command was on a connection made for it.
    pub(super) fn refused(&self) -> bool {
        let mut held = self.lines.held.lock().unwrap_or_else(PoisonError::into_inner);
        let others = held.lines.iter().find(|line| line.number == self.number).map_or(0, |line| line.running - 1);
        if others > 0 {
            held.most = held.most.min(others);
            return true;
        }
        drop(held);
        // Commands given up may still hold their places over there.
        self.give_up();
        !self.fresh
    }
}

impl<L> Drop for Place<'_, L> {
    fn drop(&mut self) {
        let mut held = self.lines.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = held.lines.iter_mut().find(|line| line.number == self.number) {
            line.running -= 1;
        }
        drop(held);
        self.lines.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(_: &u8) -> bool {
        false
    }

    #[test]
    fn a_connection_that_refused_takes_no_more_than_it_had_and_others_are_asked_for() {
        let lines = Lines::new(4);
        let first = lines.add(1);
        let second = lines.place(open).unwrap();
        let third = lines.place(open).unwrap();
        assert!(third.refused());
        drop(third);
        assert!(lines.place(open).is_none(), "two run there, and it took no third");
        let other = lines.add(2);
        let beside = lines.place(open).unwrap();
        assert_eq!(beside.link, 2);
        assert!(lines.place(open).is_none(), "what one connection takes, the next does too");
        drop(second);
        assert_eq!(lines.place(open).unwrap().link, 1);
        drop((first, other, beside));
    }

    #[test]
    fn one_that_takes_nothing_at_all_is_left_and_only_a_new_one_that_does_so_is_an_error() {
        let lines = Lines::new(4);
        drop(lines.add(1));
        let alone = lines.place(open).unwrap();
        assert!(alone.refused(), "others given up may hold its places");
        assert!(lines.place(open).is_none());
        let fresh = lines.add(2);
        assert!(!fresh.refused());
        drop((alone, fresh));
        assert!(lines.place(open).is_none());
    }

    #[tokio::test]
    async fn who_waits_for_a_place_hears_of_one_and_does_not_wait_for_nothing() {
        let lines = Lines::new(1);
        assert!(lines.freed().await.is_none());
        let place = lines.add(1);
        let (freed, ()) = tokio::join!(lines.freed(), async { drop(place) });
        assert!(freed.is_some());
        assert!(lines.place(|_| true).is_none(), "it ended meanwhile");
    }
}
