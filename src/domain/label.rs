//! Labels: how a container or network is known to be ours.
//!
//! They are set by the call that makes it. They carry its own name: an image made of a container of ours
//! lends its labels to whatever is started from it, but not the name, so such a copy proves nothing.

use std::collections::BTreeMap;

use super::{LabName, RunId, SeatName, StoreId};

/// What everything of ours carries, with the version of what the others say.
pub const OURS: &str = "homeroom";
/// The version of the labels.
const VERSION: &str = "1";
const STORE: &str = "homeroom.store";
const LAB: &str = "homeroom.lab";
const SEAT: &str = "homeroom.seat";
const RUN: &str = "homeroom.run";
/// The thing's own name.
pub const NAME: &str = "homeroom.name";
const MADE_OF: &str = "homeroom.made-of";

/// What the labels of a container or network say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub store: StoreId,
    pub lab: LabName,
    /// Whose it is: a seat's, or the host's.
    pub seat: SeatName,
    /// The run that made it.
    pub run: RunId,
    /// Its own name.
    pub name: String,
    /// What its definition came to when it was made.
    pub made_of: String,
}

/// What labels prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Made by this store.
    Ours(Label),
    /// Made by homeroom from another store.
    OtherStore(Label),
    /// Carries no labels of ours, or another's copied.
    Foreign,
}

impl Label {
    /// As they are set.
    pub fn to_labels(&self) -> BTreeMap<String, String> {
        [
            (OURS, VERSION.to_owned()),
            (STORE, self.store.to_string()),
            (LAB, self.lab.to_string()),
            (SEAT, self.seat.to_string()),
            (RUN, self.run.to_string()),
            (NAME, self.name.clone()),
            (MADE_OF, self.made_of.clone()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }

    fn read(labels: &BTreeMap<String, String>) -> Option<Self> {
        labels.get(OURS)?;
        Some(Self {
            store: StoreId::parse(labels.get(STORE)?)?,
            lab: LabName::new(labels.get(LAB)?.as_str()).ok()?,
            seat: SeatName::new(labels.get(SEAT)?.as_str()).ok()?,
            run: RunId(labels.get(RUN)?.parse().ok()?),
            name: labels.get(NAME)?.clone(),
            made_of: labels.get(MADE_OF).cloned().unwrap_or_default(),
        })
    }
}

/// Whose the thing called `name` with these labels is.
pub fn owner(store: &StoreId, name: &str, labels: &BTreeMap<String, String>) -> Owner {
    match Label::read(labels) {
        Some(label) if label.name == name && &label.store == store => Owner::Ours(label),
        Some(label) if label.name == name => Owner::OtherStore(label),
        _ => Owner::Foreign,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn label() -> Label {
        Label {
            store: StoreId::from_bytes([7; 8]),
            lab: LabName::new("rust-intro").unwrap(),
            seat: SeatName::new("seat-01").unwrap(),
            run: RunId(12),
            name: "rust-intro-seat-01".to_owned(),
            made_of: "workspace:latest".to_owned(),
        }
    }

    #[test]
    fn labels_say_whose_a_container_is() {
        let store = StoreId::from_bytes([7; 8]);
        let labels = label().to_labels();
        assert_eq!(owner(&store, "rust-intro-seat-01", &labels), Owner::Ours(label()));
        let other = StoreId::from_bytes([8; 8]);
        assert_eq!(owner(&other, "rust-intro-seat-01", &labels), Owner::OtherStore(label()));
    }

    #[test]
    fn copied_labels_prove_nothing() {
        let store = StoreId::from_bytes([7; 8]);
        assert_eq!(owner(&store, "my-copy", &label().to_labels()), Owner::Foreign);
        assert_eq!(owner(&store, "rust-intro-seat-01", &BTreeMap::new()), Owner::Foreign);
    }

    #[test]
    fn labels_that_say_too_little_prove_nothing() {
        let store = StoreId::from_bytes([7; 8]);
        for missing in [OURS, STORE, LAB, SEAT, RUN, NAME] {
            let mut labels = label().to_labels();
            labels.remove(missing);
            assert_eq!(owner(&store, "rust-intro-seat-01", &labels), Owner::Foreign, "without {missing}");
        }
    }
}
