//! What the machines of a lab have told they are, and which of them cannot both be right.
//!
//! Remembers and compares; the rule itself is `domain::readiness::duplicates`.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use super::{seat::Seat, site::Site};
use crate::{
    deploy::{
        recorder::Entry,
        step::{StepContext, StepError},
    },
    domain::{
        Change, Clean, Level, SeatName,
        readiness::{Identity, duplicates},
    },
};

/// Something a machine told that must be its own within the lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Address(IpAddr),
    MachineId(String),
    /// Each `TYPE BASE64`.
    HostKeys(Vec<String>),
}

/// What is known of one machine.
#[derive(Debug, Default)]
struct Known {
    ip: Option<IpAddr>,
    machine_id: Option<String>,
    host_keys: Vec<String>,
}

/// What is known of all machines of a lab.
#[derive(Debug, Default)]
pub struct Identities {
    seats: Mutex<BTreeMap<SeatName, Known>>,
    /// Seats that share something with another, and the sentence that says so.
    shared: Mutex<BTreeMap<SeatName, Clean>>,
}

impl Identities {
    /// Takes in what a seat's machine told; the seats that it made one of two.
    pub fn tell(&self, seat: &SeatName, told: Told) -> Vec<(SeatName, Clean)> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let own = seats.entry(seat.clone()).or_default();
        match told {
            Told::Address(ip) => own.ip = Some(ip),
            Told::MachineId(id) => own.machine_id = Some(id),
            Told::HostKeys(keys) => own.host_keys = keys,
        }
        let all: Vec<Identity<'_>> = seats
            .iter()
            .map(|(seat, known)| Identity {
                seat,
                ip: known.ip,
                machine_id: known.machine_id.as_deref(),
                host_keys: &known.host_keys,
            })
            .collect();
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let found = duplicates(&all).into_iter().map(|(seat, words)| (seat, Clean::new(words)));
        let new: Vec<_> = found.filter(|(seat, words)| shared.get(seat) != Some(words)).collect();
        shared.extend(new.iter().cloned());
        new
    }

    /// What the seat shares with another, in words.
    pub fn shared(&self, seat: &SeatName) -> Option<Clean> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).get(seat).cloned()
    }
}

/// Takes in what the seat's machine told. If another seat told the same, both have failed, by name.
pub async fn tell(site: &Site, seat: &Seat, context: &StepContext, told: Told) -> Result<(), StepError> {
    let mut own = None;
    for (name, words) in site.identities.tell(seat.name(), told) {
        if &name == seat.name() {
            own = Some(words);
        } else {
            context.recorder.write(Entry::seat(&name, Level::Error, words.as_str(), Change::SeatFailed)).await?;
        }
    }
    own.map_or(Ok(()), |words| Err(StepError::Fatal(words)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn whoever_tells_the_same_second_spoils_both_and_each_is_named_once() {
        let identities = Identities::default();
        let [ada, grace] = ["ada", "grace"].map(|seat| SeatName::new(seat).unwrap());
        let id = || Told::MachineId("f00d".to_owned());
        assert!(identities.tell(&ada, id()).is_empty());
        let found = identities.tell(&grace, id());
        assert_eq!(found.iter().map(|(seat, _)| seat).collect::<Vec<_>>(), [&ada, &grace]);
        assert!(found[0].1.as_str().contains("grace"), "{found:?}");
        assert!(identities.tell(&grace, id()).is_empty());
        assert!(identities.shared(&ada).unwrap().as_str().contains("machine-id"));
    }
}
