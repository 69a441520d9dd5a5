//! What a machine had before anything was written to it: the settings its template lent it, and its own cards.
//!
//! Noted once, before the first write. What a definition leaves open, or leaves open again, goes by it; so a card
//! keeps its MAC, and a change by somebody else is seen also where the definition says nothing. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Clean, Vmid};

/// Settings a definition may leave open, by Proxmox's keys; besides them the cards.
pub const OPEN: [&str; 12] = [
    "balloon",
    "bios",
    "ciuser",
    "cores",
    "cpu",
    "ipconfig0",
    "memory",
    "nameserver",
    "onboot",
    "protection",
    "searchdomain",
    "sockets",
];

/// What is known of a machine's beginnings. What is not in it is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lent {
    /// What it was cloned from, where no plan of this store says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<(Vmid, Clean)>,
    /// By Proxmox's keys; `None`: there was none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    settings: BTreeMap<String, Option<String>>,
    /// Cards that were added to it, as they were when it was first proven with them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    cards: BTreeMap<String, String>,
}

impl Lent {
    /// From the settings of a machine to which nothing was written yet.
    pub fn of(config: &BTreeMap<String, String>) -> Self {
        let mut lent = Self::default();
        for key in OPEN {
            lent.put(key, config.get(key).cloned());
        }
        lent.put_cards(config);
        lent
    }

    /// Of a machine that was cloned from this, if that is known, and of which nothing else is.
    pub fn from_template(template: Option<(Vmid, Clean)>) -> Self {
        Self { template, ..Self::default() }
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Notes what it had of one setting.
    pub fn put(&mut self, key: &str, value: Option<String>) {
        self.settings.insert(key.to_owned(), value);
    }

    /// Notes that these were all its cards.
    pub fn put_cards(&mut self, config: &BTreeMap<String, String>) {
        // One that is known to be absent tells that the others are known.
        self.put("net0", None);
        for (key, value) in config.iter().filter(|(key, _)| is_card(key)) {
            self.put(key, Some(value.clone()));
        }
    }

    /// Notes a card that was added to it.
    pub fn add_card(&mut self, key: &str, value: &str) {
        self.cards.insert(key.to_owned(), value.to_owned());
    }

    /// Whether it is known what it had of a setting.
    pub fn knows(&self, key: &str) -> bool {
        self.settings.contains_key(key)
    }

    /// Whether it is known which cards it had.
    pub fn knows_cards(&self) -> bool {
        self.knows("net0")
    }

    /// What it had of a setting, where that is known and it had any.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.settings.get(key)?.as_deref()
    }

    /// The cards it had.
    pub fn cards(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings
            .iter()
            .filter(|(key, _)| is_card(key))
            .filter_map(|(key, value)| Some((&**key, value.as_deref()?)))
    }

    /// A card as it was, its own or one added to it.
    pub fn card(&self, key: &str) -> Option<&str> {
        self.value(key).or_else(|| self.cards.get(key).map(String::as_str))
    }
}

/// Whether a key is a network card's: `net0`, `net1` …
pub fn is_card(key: &str) -> bool {
    key.strip_prefix("net").is_some_and(|n| n.parse::<u8>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_machine_had_not_is_told_from_what_nobody_knows() {
        let config = [("cores", "2"), ("net1", "virtio=BC:24:11:00:00:01,bridge=vmbr0"), ("tags", "lent")];
        let config = config.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let lent = Lent::of(&config);
        assert_eq!((lent.value("cores"), lent.value("onboot")), (Some("2"), None));
        assert!(lent.knows("onboot") && lent.knows_cards() && !lent.knows("tags"));
        assert_eq!(lent.cards().map(|(key, _)| key).collect::<Vec<_>>(), ["net1"]);
        assert!(!Lent::default().knows("cores") && !Lent::default().knows_cards());
        let text = serde_json::to_string(&lent).unwrap();
        assert_eq!(serde_json::from_str::<Lent>(&text).unwrap(), lent);
    }
}
