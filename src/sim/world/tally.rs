//! What was asked of the cluster, call by call, for tests that count. Nothing in the world reads it.

use std::collections::BTreeMap;

/// Calls by what they ask, and those whose parameters were refused.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    calls: BTreeMap<String, u64>,
    refused: Vec<String>,
}

/// Refused calls kept in words.
const KEPT: usize = 100;

impl Tally {
    /// A call that was found: `GET /cluster/resources`.
    pub fn called(&mut self, method: &str, template: &str) {
        *self.calls.entry(format!("{method} {template}")).or_default() += 1;
    }

    /// A call that was refused for what it is or what it sends, not for who sends it or how things stand.
    pub fn refused(&mut self, words: String) {
        if self.refused.len() < KEPT {
            self.refused.push(words);
        }
    }

    /// How often a call was made.
    pub fn of(&self, call: &str) -> u64 {
        self.calls.get(call).copied().unwrap_or(0)
    }

    /// All calls made.
    pub fn all(&self) -> u64 {
        self.calls.values().sum()
    }

    /// Every kind of call and how often it was made.
    pub fn calls(&self) -> &BTreeMap<String, u64> {
        &self.calls
    }

    /// What was refused as Proxmox would never have taken it.
    pub fn refusals(&self) -> &[String] {
        &self.refused
    }
}
