//! Public keys as Proxmox keeps them: told apart by their substance, named by their comment and fingerprint. Pure.

use std::collections::{BTreeMap, BTreeSet};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use sha2::{Digest, Sha256};

use super::value::percent_decoded;
use crate::domain::LabName;

/// One line of a machine's `sshkeys`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    /// The key itself, in Base64.
    blob: String,
    comment: String,
}

/// Letters of a fingerprint that are shown: enough to tell two keys apart.
const SHOWN: usize = 12;

impl Key {
    /// `SHA256:…`, as `ssh-keygen -l` begins it.
    fn fingerprint(&self) -> String {
        let bytes = STANDARD.decode(&self.blob).unwrap_or_else(|_| self.blob.clone().into_bytes());
        let digest = STANDARD_NO_PAD.encode(Sha256::digest(bytes));
        format!("SHA256:{}…", digest.get(..SHOWN).unwrap_or(&digest))
    }

    /// Its comment, and where that does not say it, its fingerprint.
    fn label(&self, changes: bool) -> String {
        match (self.comment.is_empty(), changes) {
            (true, _) => self.fingerprint(),
            (false, true) => format!("{} {}", self.comment, self.fingerprint()),
            (false, false) => self.comment.clone(),
        }
    }
}

/// Text may come encoded, in lines or with spaces for line breaks.
fn keys(value: &str) -> Vec<Key> {
    let kind = |word: &str| ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"].iter().any(|kind| word.starts_with(kind));
    let text = percent_decoded(value);
    let mut keys: Vec<Key> = Vec::new();
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        if kind(word)
            && let Some(blob) = words.next()
        {
            let mut comment = Vec::new();
            while let Some(word) = words.next_if(|word| !kind(word)) {
                comment.push(word);
            }
            keys.push(Key { blob: blob.to_owned(), comment: comment.join(" ") });
        }
    }
    keys
}

/// The keys themselves, without comments.
pub(super) fn key_set(value: &str) -> BTreeSet<String> {
    keys(value).into_iter().map(|key| key.blob).collect()
}

/// What `value` lets in, by name; keys that `other` does not let in are told by their fingerprint too.
pub(super) fn shown(value: &str, other: &str) -> String {
    let others = key_set(other);
    let labels: Vec<String> = keys(value).iter().map(|key| key.label(!others.contains(&key.blob))).collect();
    if labels.is_empty() { "none".to_owned() } else { labels.join(", ") }
}

/// Whether a machine's keys let another key of the lab in instead of `ours`: one that was lost, or is kept elsewhere.
pub fn has_another_lab_key(sshkeys: &str, lab: &LabName, ours: &str) -> bool {
    let (ours, of_lab) = (key_set(ours), format!("homeroom {lab}"));
    let known = keys(sshkeys);
    let has_ours = known.iter().any(|key| ours.contains(&key.blob));
    !has_ours && known.iter().any(|key| key.comment == of_lab)
}

/// Whether one of a machine's keys is `ours`.
pub fn has_key(sshkeys: &str, ours: &str) -> bool {
    !key_set(sshkeys).is_disjoint(&key_set(ours))
}

/// Which of a lab's keys a machine's settings hold, while it is renewed: none of them is a difference.
pub fn key_it_has<'a>(config: &BTreeMap<String, String>, keys: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known = config.get("sshkeys")?;
    keys.into_iter().find(|key| has_key(known, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ mara";

    #[test]
    fn keys_of_one_comment_are_told_apart_and_those_that_stay_are_only_named() {
        let lab = "cs100".parse().unwrap();
        let (old, new) = ("ssh-ed25519 AAAAold homeroom cs100", "ssh-ed25519 AAAAnew homeroom cs100");
        let before = format!("{KEPT}%0A{}", old.replace(' ', "%20"));
        let after = format!("{KEPT}\n{new}");
        let (from, to) = (shown(&before, &after), shown(&after, &before));
        assert!(from.starts_with("mara, homeroom cs100 SHA256:") && to.starts_with("mara, homeroom cs100 SHA256:"));
        assert_ne!(from, to);
        assert_eq!(shown("", &after), "none");
        assert!(has_another_lab_key(&before, &lab, new) && !has_another_lab_key(&after, &lab, new));
        assert!(!has_another_lab_key(KEPT, &lab, new) && has_key(&after, new) && !has_key(&before, new));
    }

    #[test]
    fn a_key_without_a_comment_is_named_as_ssh_keygen_names_it() {
        let bare = KEPT.trim_end_matches(" mara");
        let hash = STANDARD_NO_PAD.encode(Sha256::digest(STANDARD.decode(bare.split(' ').nth(1).unwrap()).unwrap()));
        assert_eq!(shown(bare, bare), format!("SHA256:{}…", &hash[..12]));
    }
}
