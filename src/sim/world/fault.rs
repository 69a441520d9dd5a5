//! What goes wrong on purpose. Whether a fault strikes is a function of the seed, the subject, the
//! call and the attempt, never of who came first.

use std::collections::BTreeMap;

use serde::Deserialize;
use sha2::{Digest, Sha256};

/// What happens to a call.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FaultKind {
    /// Answers with this status and reason; nothing is done.
    Status { status: u16, reason: String },
    /// Does it, then cuts the connection without an answer.
    Lost,
    /// Cuts the connection before anything is done.
    Cut,
    /// Does it and sends only half of the answer's body.
    Truncate,
    /// Answers only after so many modelled seconds.
    Slow { seconds: f64 },
    /// Does it and never answers, keeping the connection open.
    Stall,
    /// The task that the call starts fails with these words.
    Task { reason: String },
    /// The task's worker is killed after so many modelled seconds: no clean-up, `unexpected status`.
    Kill { seconds: f64 },
    /// Somebody else holds a storage's lock for so many modelled seconds from the call on.
    StorageLock { storage: String, seconds: f64 },
    /// Somebody else holds the lock on the file of users and permissions for so many modelled seconds from the call on.
    AccessLock { seconds: f64 },
    /// Somebody else holds the subject's config flock for so many modelled seconds.
    ConfigLock { seconds: f64 },
    /// The guest agent does not come up in the run this start begins.
    AgentNever,
    /// QEMU hangs in the run this start begins.
    Hang,
}

/// A fault and when it strikes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// `METHOD /path`, where `*` stands for one part of the path: `POST /nodes/*/qemu/*/clone`.
    pub call: String,
    /// The vmid (of a clone: the new one) or the guest's name (of a clone: the new one); absent: every subject.
    #[serde(default)]
    pub subject: Option<String>,
    /// Which attempts on one subject, counted from 1; empty: every attempt.
    #[serde(default)]
    pub attempts: Vec<u32>,
    /// How likely it strikes, 0 to 1.
    #[serde(default = "always")]
    pub chance: f64,
    /// What happens.
    pub what: FaultKind,
}

fn always() -> f64 {
    1.0
}

impl Fault {
    /// A fault that strikes the first attempt on every subject.
    pub fn first(call: &str, what: FaultKind) -> Self {
        Self { call: call.into(), subject: None, attempts: vec![1], chance: 1.0, what }
    }

    /// A fault that strikes every time.
    pub fn every(call: &str, what: FaultKind) -> Self {
        Self { call: call.into(), subject: None, attempts: Vec::new(), chance: 1.0, what }
    }

    /// Only on this subject.
    #[must_use]
    pub fn on(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        let Some((wanted, pattern)) = self.call.split_once(' ') else {
            return false;
        };
        if wanted != "*" && wanted != method {
            return false;
        }
        let mut parts = path.trim_matches('/').split('/');
        for part in pattern.trim().trim_matches('/').split('/') {
            if part == "**" {
                return true;
            }
            match parts.next() {
                Some(real) if part == "*" || part == real => {}
                _ => return false,
            }
        }
        parts.next().is_none()
    }
}

/// The faults of a world and what was counted for them.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Vec<Fault>,
    seen: BTreeMap<(usize, String), u32>,
}

impl Faults {
    /// The faults of a scenario.
    pub fn new(rules: Vec<Fault>) -> Self {
        Self { rules, seen: BTreeMap::new() }
    }

    /// Adds one at run time.
    pub fn add(&mut self, fault: Fault) {
        self.rules.push(fault);
    }

    /// Takes all of them away.
    pub fn clear(&mut self) {
        self.rules.clear();
        self.seen.clear();
    }

    /// What strikes this call. Every matching rule counts the attempt.
    pub fn strike(&mut self, seed: u64, method: &str, path: &str, subjects: &[String]) -> Vec<FaultKind> {
        let key = subjects.first().cloned().unwrap_or_default();
        let mut struck = Vec::new();
        for (at, rule) in self.rules.iter().enumerate() {
            if !rule.matches(method, path) {
                continue;
            }
            if rule.subject.as_ref().is_some_and(|wanted| !subjects.contains(wanted)) {
                continue;
            }
            let count = self.seen.entry((at, key.clone())).or_default();
            *count += 1;
            let turn = rule.attempts.is_empty() || rule.attempts.contains(count);
            if turn && dice(seed, &[&rule.call, &key, &count.to_string()]) < rule.chance {
                struck.push(rule.what.clone());
            }
        }
        struck
    }
}

/// A number from 0 to 1 that depends on nothing but its arguments.
pub fn dice(seed: u64, parts: &[&str]) -> f64 {
    let bytes = digest(seed, parts);
    let number = u64::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]]);
    (number >> 11) as f64 / (1u64 << 53) as f64
}

/// Thirty-two bytes that depend on nothing but the arguments.
pub fn digest(seed: u64, parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_counts_attempts_for_each_subject_alone() {
        let mut faults = Faults::new(vec![Fault::first("POST /nodes/*/qemu/*/clone", FaultKind::Lost)]);
        let path = "/nodes/pve1/qemu/9000/clone";
        let mut hit = |subject: &str| !faults.strike(1, "POST", path, &[subject.to_owned()]).is_empty();
        assert!(hit("101"));
        assert!(hit("102"));
        assert!(!hit("101"));
    }

    #[test]
    fn a_call_that_is_not_meant_is_left_alone() {
        let fault = Fault::every("GET /nodes/*/qemu/*/config", FaultKind::Cut);
        assert!(fault.matches("GET", "/nodes/pve1/qemu/101/config"));
        assert!(!fault.matches("PUT", "/nodes/pve1/qemu/101/config"));
        assert!(!fault.matches("GET", "/nodes/pve1/qemu/101"));
    }
}
