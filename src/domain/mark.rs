//! The mark: how a machine on the site is known to be ours.
//!
//! It stands in the VM's description, set by the clone call itself. It carries its own VMID: a clone
//! made by hand copies the text but not the number, so the copy proves nothing.

use serde::{Deserialize, Serialize};

use super::{LabName, RunId, SeatName, StoreId, Vmid};

/// The tag every machine of ours carries.
pub const TAG: &str = "homeroom";

/// What the description says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub store: StoreId,
    pub lab: LabName,
    pub seat: SeatName,
    pub run: RunId,
    pub vmid: Vmid,
}

/// What a guest's description proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// Made by this store for this seat.
    Ours(Mark),
    /// Made by homeroom from another store.
    OtherStore(Mark),
    /// Carries a mark of another VMID (a copy), or is a template, or has none.
    Foreign,
}

/// How a mark begins.
pub(super) const HEAD: &str = "homeroom/1";

impl Mark {
    /// The line for the description.
    pub fn text(&self) -> String {
        format!("{HEAD} store={} lab={} seat={} run={} vmid={}", self.store, self.lab, self.seat, self.run, self.vmid)
    }

    /// Finds the mark in a description; anything else in it is left alone.
    pub fn parse(description: &str) -> Option<Self> {
        let line = description.lines().find(|line| line.trim().starts_with(HEAD))?;
        let field = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        Some(Self {
            store: StoreId::parse(field("store")?)?,
            lab: LabName::new(field("lab")?).ok()?,
            seat: SeatName::new(field("seat")?).ok()?,
            run: RunId(field("run")?.parse().ok()?),
            vmid: Vmid::new(field("vmid")?.parse().ok()?).ok()?,
        })
    }
}

/// Reads a guest's own words about whose it is.
pub fn ownership(store: &StoreId, vmid: Vmid, is_template: bool, description: &str) -> Ownership {
    match Mark::parse(description) {
        Some(mark) if mark.vmid == vmid && !is_template => {
            if &mark.store == store {
                Ownership::Ours(mark)
            } else {
                Ownership::OtherStore(mark)
            }
        }
        _ => Ownership::Foreign,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn mark() -> Mark {
        Mark {
            store: StoreId::from_bytes([7; 8]),
            lab: LabName::new("cs101").unwrap(),
            seat: SeatName::new("ada").unwrap(),
            run: RunId(12),
            vmid: Vmid::new(9101).unwrap(),
        }
    }

    #[test]
    fn a_mark_is_found_among_other_words() {
        let text = format!("the admin's note\n{}\nmore", mark().text());
        assert_eq!(Mark::parse(&text), Some(mark()));
    }

    #[test]
    fn a_copied_mark_proves_nothing() {
        let text = mark().text();
        let store = StoreId::from_bytes([7; 8]);
        assert_eq!(ownership(&store, mark().vmid, false, &text), Ownership::Ours(mark()));
        assert_eq!(ownership(&store, Vmid::new(9102).unwrap(), false, &text), Ownership::Foreign);
        assert_eq!(ownership(&store, mark().vmid, true, &text), Ownership::Foreign);
        let other = StoreId::from_bytes([8; 8]);
        assert_eq!(ownership(&other, mark().vmid, false, &text), Ownership::OtherStore(mark()));
    }
}
