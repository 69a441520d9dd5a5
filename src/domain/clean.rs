//! Text from outside, stripped of what could move a terminal.
//!
//! The only way foreign text gets in: the constructor removes control characters,
//! escape sequences and bidirectional overrides, so that whoever prints it later need not think.

use std::{error::Error, fmt};

use serde::{Deserialize, Serialize};

/// Text without control characters. Line breaks and tabs become single spaces.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Clean(Box<str>);

impl Clean {
    /// An error with what caused it, each cause that says something new: `client error (Connect): permission denied`.
    pub fn with_causes(error: &dyn Error) -> Self {
        let mut words = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            let text = next.to_string();
            if !words.contains(&text) {
                words = format!("{words}: {text}");
            }
            cause = next.source();
        }
        Self::new(words)
    }

    /// Longest text kept, in characters; what is cut is marked with an ellipsis.
    pub const MAX: usize = 4_000;

    /// Strips `raw` of escape sequences, control and bidirectional characters.
    pub fn new(raw: impl AsRef<str>) -> Self {
        Self::bounded(raw, Self::MAX)
    }

    /// As [`Clean::new`], keeping up to `max` characters: for values that are compared, such as a list of SSH keys.
    pub fn bounded(raw: impl AsRef<str>, max: usize) -> Self {
        let raw = raw.as_ref();
        // Nearly all text is plain, and stands as it is.
        if raw.len() <= max && raw.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Self(raw.trim_end().into());
        }
        let mut text = String::new();
        let mut kept = 0;
        for c in anstream::adapter::strip_str(raw).flat_map(str::chars) {
            if kept == max {
                text.push('…');
                break;
            }
            match c {
                '\n' | '\r' | '\t' if text.ends_with(' ') => continue,
                '\n' | '\r' | '\t' => text.push(' '),
                c if c.is_control() || is_bidi(c) => continue,
                c => text.push(c),
            }
            kept += 1;
        }
        text.truncate(text.trim_end().len());
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Characters that reorder or hide what follows them.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

impl fmt::Display for Clean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Clean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<&str> for Clean {
    fn from(raw: &str) -> Self {
        Self::new(raw)
    }
}

impl From<String> for Clean {
    fn from(raw: String) -> Self {
        Self::new(raw)
    }
}

impl<'de> Deserialize<'de> for Clean {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(String::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_escape_sequences_do_not_get_in() {
        assert_eq!(Clean::new("a\x1b[31mred\x1b[0m\x07b").as_str(), "aredb");
        assert_eq!(Clean::new("one\r\ntwo\tthree\n").as_str(), "one two three");
        assert_eq!(Clean::new("safe\u{202e}evil").as_str(), "safeevil");
    }

    #[test]
    fn a_very_long_text_is_cut_and_says_so() {
        let text = Clean::new("x".repeat(10_000));
        assert_eq!(text.as_str().chars().count(), Clean::MAX + 1);
        assert!(text.as_str().ends_with('…'));
    }
}
