//! A workshop's life: since when it stands, until when, how far that may be put off, and what it has cost.
//!
//! Pure rules over times; who asks when is decided elsewhere.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Change, Clean, Event, code::JoinCode, event::RunKind};

/// How long before the end people are warned, the earliest first.
pub const WARNINGS: [Duration; 2] = [Duration::from_secs(15 * 60), Duration::from_secs(5 * 60)];

/// The life of a workshop that was deployed and is not wholly gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Life {
    /// By which it is joined.
    pub code: JoinCode,
    /// When the deploy began that first brought something of it to stand, or the latest that tried.
    pub born_at: Timestamp,
    pub ends_at: Timestamp,
    /// The last warning given before this end: so long before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warned: Option<Duration>,
    /// Why it could not be brought about, when that was last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hindered: Option<Clean>,
}

/// What came of asking for more time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extended {
    pub ends_at: Timestamp,
    /// Less than was asked for: `max_life` is reached.
    pub cut: bool,
}

impl Life {
    /// Time until the end; nothing once it is past.
    pub fn left(&self, now: Timestamp) -> Duration {
        Duration::try_from(self.ends_at.duration_since(now)).unwrap_or_default()
    }

    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.ends_at
    }

    /// The end no extension passes.
    pub fn ceiling(&self, max_life: Duration) -> Timestamp {
        later(self.born_at, max_life)
    }

    /// Whether an extension can still give it time.
    pub fn can_be_put_off(&self, max_life: Duration, now: Timestamp) -> bool {
        self.ceiling(max_life) > self.ends_at.max(now)
    }

    /// The end put off by so much, from now on where it is past; never beyond `max_life`, and never brought forward.
    pub fn extended(&self, by: Duration, max_life: Duration, now: Timestamp) -> Extended {
        let (wanted, ceiling) = (later(self.ends_at.max(now), by), self.ceiling(max_life));
        Extended { ends_at: wanted.min(ceiling).max(self.ends_at), cut: wanted > ceiling }
    }

    /// The warning to give now, if one is due that was not given: so long before the end. What was to last no longer
    /// than that anyway needs none.
    pub fn warning_due(&self, now: Timestamp) -> Option<Duration> {
        let left = self.left(now);
        let whole = Duration::try_from(self.ends_at.duration_since(self.born_at)).unwrap_or_default();
        let due = WARNINGS.into_iter().filter(|before| left <= *before && *before < whole).min()?;
        (!self.is_over(now) && self.warned.is_none_or(|given| due < given)).then_some(due)
    }

    /// What it has cost since it was born, at so much an hour.
    pub fn cost(&self, per_hour: f64, now: Timestamp) -> f64 {
        per_hour * now.duration_since(self.born_at).as_secs_f64().max(0.0) / 3600.0
    }
}

/// Takes in what an event says about a lab's life.
pub fn fold(life: &mut Option<Life>, event: &Event) {
    match (&event.change, life.as_mut()) {
        (Change::Opened { code, ends_at }, _) => {
            let (code, ends_at) = (code.clone(), *ends_at);
            *life = Some(Life { code, born_at: event.at, ends_at, warned: None, hindered: None });
        }
        (Change::EndsAt { ends_at }, Some(life)) => {
            (life.ends_at, life.warned, life.hindered) = (*ends_at, None, None);
        }
        (Change::EndWarned { left }, Some(life)) => life.warned = Some(*left),
        (Change::EndHindered { why }, Some(life)) => life.hindered = Some(why.clone()),
        (Change::RunStarted { kind: RunKind::Destroy | RunKind::Rollback, .. }, Some(life)) => life.hindered = None,
        (Change::Closed, _) => *life = None,
        _ => {}
    }
}

/// `4 h`, `1 h 30 min`, `5 min`; below a minute, in seconds.
pub fn plain(span: Duration) -> String {
    // Rounded up to the minute: what has 14:59 left has fifteen.
    let minutes = span.as_secs().div_ceil(60);
    match (minutes / 60, minutes % 60) {
        _ if span.as_secs() < 60 => format!("{} s", span.as_secs()),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes:02} min"),
    }
}

/// So much later, as far as there is time at all.
pub fn later(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const MINUTE: Duration = Duration::from_secs(60);

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + 60 * minutes).unwrap()
    }

    fn life(minutes: i64) -> Life {
        let code = JoinCode::read("K7M3QX").unwrap();
        Life { code, born_at: at(0), ends_at: at(minutes), warned: None, hindered: None }
    }

    #[test]
    fn an_extension_goes_up_to_the_ceiling_and_says_so() {
        let life = life(240);
        assert_eq!(life.extended(HOUR, 12 * HOUR, at(10)), Extended { ends_at: at(300), cut: false });
        assert_eq!(life.extended(9 * HOUR, 12 * HOUR, at(10)), Extended { ends_at: at(720), cut: true });
        // A ceiling that was lowered since brings no end forward.
        assert_eq!(life.extended(HOUR, HOUR, at(10)), Extended { ends_at: at(240), cut: true });
        // What is past its end gets its time from now on.
        assert_eq!(life.extended(HOUR, 12 * HOUR, at(250)), Extended { ends_at: at(310), cut: false });
        assert_eq!(life.extended(Duration::MAX, Duration::MAX, at(0)).ends_at, Timestamp::MAX);
        assert!(life.can_be_put_off(12 * HOUR, at(719)));
        assert!(!life.can_be_put_off(12 * HOUR, at(720)), "all it could be given is past");
        assert!(!life.can_be_put_off(4 * HOUR, at(10)));
    }

    #[test]
    fn each_warning_is_given_once_and_anew_after_an_extension() {
        let mut life = life(240);
        assert_eq!(life.warning_due(at(224)), None);
        assert_eq!(life.warning_due(at(225)), Some(15 * MINUTE));
        life.warned = Some(15 * MINUTE);
        assert_eq!(life.warning_due(at(230)), None);
        assert_eq!(life.warning_due(at(235)), Some(5 * MINUTE));
        life.warned = Some(5 * MINUTE);
        assert_eq!(life.warning_due(at(239)), None);
        assert!(!life.is_over(at(239)) && life.is_over(at(240)));
        life.warned = None;
        assert_eq!(life.warning_due(at(240)), None, "what is over is ended, not warned of");
        assert_eq!(life.warning_due(at(237)), Some(5 * MINUTE), "nobody looked before: one warning, the nearer one");
    }

    #[test]
    fn what_lasts_ten_minutes_is_not_warned_of_fifteen_before() {
        let life = life(10);
        assert_eq!(life.warning_due(at(1)), None);
        assert_eq!(life.warning_due(at(5)), Some(5 * MINUTE));
    }

    #[test]
    fn it_costs_by_the_hour() {
        let life = life(240);
        assert!((life.cost(0.5, at(90)) - 0.75).abs() < 1e-9);
        assert!(life.cost(0.5, at(-5)).abs() < 1e-9);
    }
}
