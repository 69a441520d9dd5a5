//! How the rows of a workshop in a cloud stand: what the journal has proven, held against one look at the project.
//!
//! The look shows the instance alone. A seat is as its last roll call left it, as long as its instance runs on.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use jiff::Timestamp;

use super::{
    Clean, LabName, MachineState, Progress, SeatName, StoreId,
    cloud::{CloudView, InstanceState, InstanceView},
    progress::SeatProgress,
    readiness::{LabState, current_state, sum_up, worked_on},
    workshop::WorkshopDefinition,
};

/// What a row is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Hosting<'a> {
    pub workshop: &'a WorkshopDefinition,
    pub store: &'a StoreId,
    /// One look at the project, where it could be taken.
    pub view: Option<&'a CloudView>,
    /// Where its last roll call found it.
    pub address: Option<IpAddr>,
    /// A run works on the workshop at this moment.
    pub alive: bool,
    pub now: Timestamp,
    /// A proof counts for this long.
    pub max_age: Duration,
}

impl Hosting<'_> {
    fn lab(&self) -> &LabName {
        &self.workshop.name
    }

    /// The workshop's instance.
    pub fn instance(&self) -> Option<&InstanceView> {
        self.view?.own(self.store, self.lab()).next()
    }

    /// How a row stands now, and why.
    pub fn state(&self, row: &SeatProgress) -> (MachineState, Option<Clean>) {
        let stored = current_state(row, None, self.alive, self.now, self.max_age);
        if matches!(stored.0, MachineState::Planned | MachineState::Working) {
            return stored;
        }
        // A look from before the last thing that happened to the row says nothing about it.
        let Some(_) = self.view.filter(|view| row.last_change() < Some(view.at)) else { return stored };
        match self.contradiction() {
            Some(_) if stored.0 == MachineState::Failed => stored,
            Some((state, reason)) => (state, Some(Clean::new(reason))),
            None => stored,
        }
    }

    /// How the workshop stands as a whole.
    pub fn whole(&self, progress: &Progress) -> LabState {
        if let Some(state) = worked_on(progress, self.alive) {
            return state;
        }
        let states: BTreeMap<&SeatName, MachineState> =
            progress.seats.iter().map(|row| (&row.seat, self.state(row).0)).collect();
        sum_up(&self.workshop.rows(), &states)
    }

    fn contradiction(&self) -> Option<(MachineState, String)> {
        let Some(instance) = self.instance() else {
            return Some((MachineState::Gone, "its instance is no longer in the project".to_owned()));
        };
        match instance.state {
            InstanceState::Running => {}
            InstanceState::Coming => {
                return Some((MachineState::Stale, format!("its instance is {}", instance.status)));
            }
            InstanceState::Unknown => {
                return Some((MachineState::Unknown, format!("its instance is {}", instance.status)));
            }
            InstanceState::Going | InstanceState::Stopped => {
                let spot = if instance.spot { ": a spot machine, which may be taken away" } else { "" };
                return Some((MachineState::Stopped, format!("its instance is {}{spot}", instance.status)));
            }
        }
        match (self.address, instance.address) {
            (Some(known), Some(now)) if known != now => Some((
                MachineState::Stale,
                format!("its instance was started anew: it is at {now}, no longer at {known}"),
            )),
            _ => None,
        }
    }
}
