//! Durations as people write them: `30s`, `5m`, `1h30m`, `500ms`.

use std::time::Duration;

use super::{ConfigError, reader::Node};

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads `1h30m`; `None` when it is none. Units must fall: `30m1h` is refused.
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0u64;
    let mut last = u64::MAX;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit_len = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
        if *millis >= last {
            return None;
        }
        last = *millis;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*millis)?)?;
        rest = tail.trim_start();
    }
    Some(Duration::from_millis(total))
}

/// Writes a duration so that `parse` reads it back, to the millisecond.
pub(super) fn print(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    // Days are read but not written: "36h" is plainer than "1d12h".
    for (name, millis) in &UNITS[1..] {
        if left >= *millis {
            text.push_str(&format!("{}{name}", left / millis));
            left %= millis;
        }
    }
    text
}

/// A duration between `least` and `most`.
pub(super) fn read(node: &Node<'_>, least: Duration, most: Duration) -> Result<Duration, ConfigError> {
    let wrong = || {
        node.refuse(format!("a time from {} to {}, such as \"30s\", \"5m\" or \"1h30m\"", print(least), print(most)))
    };
    if !node.is_string() {
        return Err(wrong());
    }
    parse(node.string()?).filter(|d| (least..=most).contains(d)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_come_back_as_written() {
        for text in ["0s", "30s", "500ms", "5m", "1h30m", "12h", "1m1s1ms"] {
            assert_eq!(parse(text).map(print).as_deref(), Some(text));
        }
        assert_eq!(parse("1d"), Some(Duration::from_secs(86_400)));
        assert_eq!(parse("1h 30m"), parse("90m"));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "30", "s", "-5s", "5 minutes", "30m1h", "1.5h", "5m5m", "99999999999999999999h"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
