//! Who joins a workshop: a name as typed, and what two names are compared by.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Clean;

/// The longest name, in characters.
const LONGEST: usize = 40;

/// A person's name within one workshop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Person(Clean);

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAName {
    #[error("write your name")]
    Empty,
    #[error("a name has at most {LONGEST} characters")]
    Long,
    #[error("a name needs a letter or a digit")]
    NoLetter,
}

impl Person {
    /// A name as typed; spaces around it and between its words do not count.
    pub fn new(text: &str) -> Result<Self, NotAName> {
        // Far longer than any name: nobody reads on.
        let cleaned = Clean::new(text.chars().take(LONGEST * 8).collect::<String>());
        let name = cleaned.as_str().split_whitespace().collect::<Vec<_>>().join(" ");
        match name.chars().count() {
            0 => Err(NotAName::Empty),
            count if count > LONGEST => Err(NotAName::Long),
            _ if !name.chars().any(char::is_alphanumeric) => Err(NotAName::NoLetter),
            _ => Ok(Self(Clean::new(name))),
        }
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// What two names are compared by: case does not tell people apart.
    pub fn key(&self) -> String {
        self.as_str().to_lowercase()
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_is_the_same_however_it_was_typed() {
        let ada = Person::new("  Ada   Lovelace ").unwrap();
        assert_eq!(ada.as_str(), "Ada Lovelace");
        assert_eq!(ada.key(), Person::new("ada lovelace").unwrap().key());
        assert_eq!(Person::new("Zoë 王").unwrap().as_str(), "Zoë 王");
    }

    #[test]
    fn what_is_no_name_is_told() {
        assert_eq!(Person::new(" \u{1b}\t ").map(|p| p.to_string()), Err(NotAName::Empty));
        assert_eq!(Person::new(&"x".repeat(41)), Err(NotAName::Long));
        assert_eq!(Person::new(&"x".repeat(100_000)), Err(NotAName::Long));
        assert_eq!(Person::new("…!"), Err(NotAName::NoLetter));
    }
}
