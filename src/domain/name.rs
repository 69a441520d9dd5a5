//! Names: what may be called what, checked once where a name enters.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A name that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// Lab, seat and site names.
    #[error("{what} name {name:?} must be a lower-case letter, then up to 30 of a-z, 0-9 or -")]
    Shape { what: &'static str, name: String },
    #[error("VMID {0} is outside 100 to 999999999, the range Proxmox takes")]
    Vmid(u64),
}

/// `[a-z][a-z0-9-]{0,30}`
fn well_formed(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_lowercase())
        && name.len() <= 31
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Box<str>);

        impl $type {
            pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
                let name = name.into();
                if well_formed(&name) {
                    Ok(Self(name.into()))
                } else {
                    Err(NameError::Shape { what: $what, name })
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.into()
            }
        }
    };
}

name!(
    /// A class or a workshop, unique in a store.
    LabName,
    "lab"
);
name!(
    /// One person's place in a lab, unique in it.
    SeatName,
    "seat"
);
name!(
    /// A place machines live, as named in the configuration.
    SiteName,
    "site"
);

impl SeatName {
    /// The teacher's seat; no student may be called so.
    pub fn teacher() -> Self {
        Self("teacher".into())
    }

    /// The row of the machine that carries a workshop's seats; it is no person's place.
    pub fn host() -> Self {
        Self("host".into())
    }

    /// A workshop's n-th seat: `seat-01`.
    pub fn numbered(n: u32) -> Self {
        Self(format!("seat-{n:02}").into())
    }

    /// The number of a workshop's seat.
    pub fn number(&self) -> Option<u32> {
        self.0.strip_prefix("seat-")?.parse().ok()
    }

    /// The seat of the n-th counted student: `student-01`; wider numbers are never re-padded.
    pub fn student(n: u32) -> Self {
        Self(format!("student-{n:02}").into())
    }
}

/// A host of a Proxmox site, as Proxmox spells it (already cleaned of control characters).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeName(super::Clean);

impl NodeName {
    pub fn new(name: impl AsRef<str>) -> Self {
        Self(super::Clean::new(name))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A guest's number, unique in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Vmid(u32);

impl Vmid {
    /// Proxmox takes 100 to 999 999 999.
    pub fn new(id: u64) -> Result<Self, NameError> {
        match u32::try_from(id) {
            Ok(id @ 100..=999_999_999) => Ok(Self(id)),
            _ => Err(NameError::Vmid(id)),
        }
    }

    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Vmid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// An inclusive block of VMIDs, written `9100-9999`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VmidRange {
    pub first: Vmid,
    pub last: Vmid,
}

impl VmidRange {
    pub fn contains(self, id: Vmid) -> bool {
        self.first <= id && id <= self.last
    }

    /// How many numbers it holds.
    pub fn len(self) -> u32 {
        self.last.get() - self.first.get() + 1
    }

    /// Never: a range holds at least one number.
    pub fn is_empty(self) -> bool {
        false
    }

    pub fn iter(self) -> impl Iterator<Item = Vmid> {
        (self.first.get()..=self.last.get()).map(Vmid)
    }
}

impl FromStr for VmidRange {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("VMID range {text:?} must be FIRST-LAST, such as \"9100-9199\"");
        let (first, last) = text.split_once('-').ok_or_else(wrong)?;
        let number = |part: &str| part.trim().parse::<u64>().map_err(|_| wrong());
        let first = Vmid::new(number(first)?).map_err(|e| e.to_string())?;
        let last = Vmid::new(number(last)?).map_err(|e| e.to_string())?;
        if first > last {
            return Err(format!("VMID range {text:?} ends before it begins"));
        }
        Ok(Self { first, last })
    }
}

impl TryFrom<String> for VmidRange {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for VmidRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl From<VmidRange> for String {
    fn from(range: VmidRange) -> String {
        range.to_string()
    }
}

/// Identifies one store for ever: 16 hex digits, made when the store is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreId(String);

impl StoreId {
    /// From sixteen hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| Self(text.to_ascii_lowercase()))
    }

    /// From eight random bytes.
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes.iter().map(|b| format!("{b:02x}")).collect())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_one_rule() {
        assert!(LabName::new("cs101").is_ok());
        for bad in ["", "1cs", "CS101", "cs_101", &"a".repeat(32)] {
            assert!(LabName::new(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn counted_students_are_never_re_padded() {
        assert_eq!(SeatName::student(7).as_str(), "student-07");
        assert_eq!(SeatName::student(100).as_str(), "student-100");
    }

    #[test]
    fn a_range_that_ends_before_it_begins_is_refused() {
        assert!("9200-9100".parse::<VmidRange>().is_err());
        assert_eq!("9100-9199".parse::<VmidRange>().map(VmidRange::len), Ok(100));
    }
}
