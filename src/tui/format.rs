//! Numbers and times as text. Ages step, so that a screen on which nothing happens stays still.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// `14:02:11`
pub fn clock(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
}

/// `13:58`, and with its day when that is not `now`'s.
pub fn moment(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let shape = if at.date() == now.date() { "%H:%M" } else { "%b %d %H:%M" };
    at.strftime(shape).to_string()
}

/// Rounded down to what is worth telling: 10 s below a minute, a minute below ten, then ten.
fn stepped(seconds: i64) -> i64 {
    match seconds {
        ..60 => seconds / 10 * 10,
        60..600 => seconds / 60 * 60,
        600..86_400 => seconds / 600 * 600,
        _ => seconds / 3_600 * 3_600,
    }
}

/// How old something is: `just now`, `40s ago`, `3m ago`, `2h 10m ago`.
pub fn ago(age: SignedDuration) -> String {
    if age.as_secs() < 10 { "just now".into() } else { format!("{} ago", span(age)) }
}

/// A length of time in steps: `0s`, `40s`, `3m`, `2h 10m`, `3d 4h`.
pub fn span(time: SignedDuration) -> String {
    let seconds = stepped(time.as_secs().max(0));
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "m"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// How long it is until something, to the minute and rounded up: `4h`, `3h 59m`, `2d 4h`.
pub fn until(time: SignedDuration) -> String {
    let minutes = (time.as_secs().max(0) + 59) / 60;
    match minutes {
        ..60 => format!("{minutes}m"),
        60..1_440 => two(minutes / 60, "h", minutes % 60, "m"),
        _ => two(minutes / 1_440, "d", minutes % 1_440 / 60, "h"),
    }
}

fn two(big: i64, unit: &str, small: i64, part: &str) -> String {
    if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit} {small}{part}") }
}

/// A running timer: `00:41`, `1:02:03`.
pub fn timer(time: SignedDuration) -> String {
    let seconds = time.as_secs().max(0);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes:02}:{seconds:02}") }
}

/// How long something took, in at most five characters: `0.4s`, `12s`, `2m10`, `1h05`.
pub fn took(time: Duration) -> String {
    // As the command line rounds it.
    let whole = time.as_secs_f64().round() as u64;
    let seconds = if time < Duration::from_millis(9_950) { time.as_secs() } else { whole.max(10) };
    match seconds {
        // A whole number of seconds was not measured any finer.
        ..10 if time.subsec_nanos() == 0 && seconds > 0 => format!("{seconds}s"),
        ..10 if time < Duration::from_millis(50) => "<0.1s".to_owned(),
        ..10 => format!("{:.1}s", time.as_secs_f64()),
        10..100 => format!("{seconds}s"),
        100..3_600 => format!("{}m{:02}", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}", seconds / 3_600, seconds / 60 % 60),
    }
}

/// Who began a run, for those who read about it: `mara@jump (process 4711)` without the process.
pub fn owner(owner: &str) -> &str {
    owner.split_once(" (process ").map_or(owner, |(who, _)| who)
}

/// `1 core`, `2 cores`.
pub fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// `61%`
pub fn percent(share: f64) -> String {
    format!("{:.0}%", (share * 100.0).clamp(0.0, 999.0))
}

/// `1.2 of 2.0 TiB`, both in the unit of the whole.
pub fn part(used: u64, total: u64) -> String {
    let (unit, name) = match total {
        n if n >= 1 << 40 => (1u64 << 40, "TiB"),
        n if n >= 1 << 30 => (1 << 30, "GiB"),
        _ => (1 << 20, "MiB"),
    };
    let digits = usize::from(total / unit < 100);
    let value = |bytes: u64| bytes as f64 / unit as f64;
    format!("{:.digits$} of {:.digits$} {name}", value(used), value(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_step_so_that_a_still_screen_stays_still() {
        let age = |seconds| ago(SignedDuration::from_secs(seconds));
        assert_eq!([age(3), age(19), age(59)], ["just now", "10s ago", "50s ago"]);
        assert_eq!([age(179), age(1_190), age(8_000)], ["2m ago", "10m ago", "2h 10m ago"]);
        assert_eq!(age(100_000), "1d 3h ago");
    }

    #[test]
    fn what_something_took_fits_five_characters() {
        for (ms, text) in [(0, "<0.1s"), (412, "0.4s"), (12_900, "13s"), (130_000, "2m10"), (3_900_000, "1h05")] {
            assert_eq!(took(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn both_parts_of_a_storage_share_a_unit() {
        assert_eq!(part(1 << 40, 2 << 40), "1.0 of 2.0 TiB");
        assert_eq!(part(3 << 30, 400 << 30), "3 of 400 GiB");
    }
}
