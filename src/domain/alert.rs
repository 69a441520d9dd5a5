//! When a screen nobody sits at calls for somebody: red that lasts, and its end.
//!
//! Knows nothing of what makes things red, nor of who is called.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Clean;

/// How bad it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    #[default]
    Calm,
    /// Worth a look, and nobody is called for it.
    Watch,
    /// Somebody has to act.
    Red,
}

/// A call, or its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    pub at: Timestamp,
    /// `false`: what somebody was called for is over.
    pub red: bool,
    /// The worst of it, in words.
    pub headline: Clean,
    /// All that is wrong, the worst first.
    pub wrong: Vec<Clean>,
}

/// Calls once when it has been red for long enough, and once when it has not been for long enough. Red that comes
/// and goes faster calls nobody, and ends no call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hysteresis {
    after: SignedDuration,
    clear: SignedDuration,
    called: bool,
    /// Since when it has been otherwise than what was called.
    otherwise: Option<Timestamp>,
}

impl Hysteresis {
    /// Red has to last for `after`, and its absence for `clear`.
    pub fn new(after: Duration, clear: Duration) -> Self {
        let signed = |time| SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        Self { after: signed(after), clear: signed(clear), called: false, otherwise: None }
    }

    /// Whether somebody is called for at this moment.
    pub fn is_called(&self) -> bool {
        self.called
    }

    /// Takes in how it is now; `Some` in the moment that turns a call on or off.
    pub fn take(&mut self, red: bool, now: Timestamp) -> Option<bool> {
        if red == self.called {
            self.otherwise = None;
            return None;
        }
        // A clock that was set back begins the wait anew.
        let since = self.otherwise.map_or(now, |since| since.min(now));
        self.otherwise = Some(since);
        let wait = if red { self.after } else { self.clear };
        if now.duration_since(since) < wait {
            return None;
        }
        self.called = red;
        self.otherwise = None;
        Some(red)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is called while red is as written, a letter every ten seconds.
    fn calls(pattern: &str) -> Vec<(usize, bool)> {
        let mut hysteresis = Hysteresis::new(Duration::from_secs(20), Duration::from_secs(40));
        let at = |n: usize| Timestamp::from_second(1_000 + 10 * n as i64).unwrap_or_default();
        let letters = pattern.chars().enumerate();
        letters.filter_map(|(n, c)| hysteresis.take(c == 'r', at(n)).map(|red| (n, red))).collect()
    }

    #[test]
    fn what_lasts_calls_once_and_its_end_once() {
        assert_eq!(calls("..rrrrrrr......."), [(4, true), (13, false)]);
    }

    #[test]
    fn what_comes_and_goes_calls_nobody_and_ends_no_call() {
        assert_eq!(calls("r.rr.r.rr.r"), []);
        assert_eq!(calls("rrr.r..r...r....r"), [(2, true)]);
    }

    #[test]
    fn without_a_wait_every_turn_calls() {
        let mut hysteresis = Hysteresis::new(Duration::ZERO, Duration::ZERO);
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!([hysteresis.take(true, now), hysteresis.take(true, now)], [Some(true), None]);
        assert_eq!([hysteresis.take(false, now), hysteresis.take(false, now)], [Some(false), None]);
    }
}
