//! Join codes: six characters that open a workshop to whoever was told them.
//!
//! They are read aloud and typed on phones: no two characters of the alphabet look alike, case does not matter, and
//! what looks like one of them is taken for it. Without vowels they spell nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What codes are made of. Left out for their looks: B G I L O S Z 0 1; for their sound: A E U.
const ALPHABET: &[u8; 24] = b"CDFHJKMNPQRTVWXY23456789";
/// Characters of a code.
const LENGTH: usize = 6;
/// Taken for another one: each looks like exactly one character of the alphabet.
const TWINS: [(char, char); 5] = [('B', '8'), ('G', '6'), ('S', '5'), ('Z', '2'), ('U', 'V')];

/// A workshop's join code, in capitals.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JoinCode(String);

impl JoinCode {
    /// A code from random bytes; `None` where too few of them fall on the alphabet evenly.
    pub fn from_random(bytes: &[u8]) -> Option<Self> {
        // 240 is the largest multiple of 24 a byte holds: beyond, some characters would be likelier.
        let even = bytes.iter().filter(|byte| **byte < 240);
        let text: String = even.map(|byte| char::from(ALPHABET[usize::from(byte % 24)])).take(LENGTH).collect();
        (text.len() == LENGTH).then_some(Self(text))
    }

    /// A code as somebody typed it: in any case, with spaces or dashes.
    pub fn read(text: &str) -> Option<Self> {
        let mut code = String::with_capacity(LENGTH);
        for typed in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            let typed = typed.to_ascii_uppercase();
            let meant = TWINS.iter().find(|(twin, _)| *twin == typed).map_or(typed, |(_, meant)| *meant);
            if code.len() == LENGTH || !meant.is_ascii() || !ALPHABET.contains(&(meant as u8)) {
                return None;
            }
            code.push(meant);
        }
        (code.len() == LENGTH).then_some(Self(code))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JoinCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<JoinCode> for String {
    fn from(code: JoinCode) -> Self {
        code.0
    }
}

impl TryFrom<String> for JoinCode {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::read(&text).ok_or_else(|| format!("{text:?} is no join code: those have six characters"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_however_it_was_typed() {
        let code = JoinCode::read("K7M3QX").unwrap();
        for typed in ["k7m3qx", " K7M 3QX ", "k7m-3qx"] {
            assert_eq!(JoinCode::read(typed), Some(code.clone()), "{typed}");
        }
        assert_eq!(JoinCode::read("ZSBGUC").unwrap().as_str(), "2586VC", "look-alikes");
        for wrong in ["", "K7M3Q", "K7M3QXX", "K7M3Q0", "K7M3Qé", "K7M3QI", "👩K7M3Q"] {
            assert_eq!(JoinCode::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_character_is_likelier_than_another() {
        let mut seen = std::collections::BTreeMap::<char, u32>::new();
        for byte in 0..=255u8 {
            if let Some(code) = JoinCode::from_random(&[byte; 6]) {
                *seen.entry(code.as_str().chars().next().unwrap()).or_default() += 1;
            }
        }
        assert_eq!(seen.len(), ALPHABET.len());
        assert!(seen.values().all(|count| *count == 10), "{seen:?}");
        assert_eq!(JoinCode::from_random(&[255; 32]), None);
    }

    proptest! {
        #[test]
        fn what_is_made_is_read_again(bytes in proptest::collection::vec(any::<u8>(), 32)) {
            if let Some(code) = JoinCode::from_random(&bytes) {
                prop_assert_eq!(JoinCode::read(code.as_str()), Some(code.clone()));
                prop_assert!(!code.as_str().contains(['0', 'O', '1', 'I', 'L', 'B', 'S', 'Z']));
            }
        }
    }
}
