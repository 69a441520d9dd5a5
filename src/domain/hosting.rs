//! How the rows of a workshop in a cloud stand: what the journal has proven, held against one look at the project.
//!
//! The look shows the instance alone. A seat is as its last roll call left it, as long as its instance runs on.

use std::{net::IpAddr, time::Duration};

use jiff::Timestamp;

use super::{
    LabName, MachineState, StoreId,
    cloud::{CloudView, InstanceState, InstanceView, doubled},
    life::Life,
    planning::InstanceShape,
    price::Prices,
    progress::SeatProgress,
    readiness::{Hand, Stand, current_state},
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
    /// Which run has the workshop, and whether it lives.
    pub hand: Hand<'a>,
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
    pub fn state(&self, row: &SeatProgress) -> Stand {
        let stored = current_state(row, None, self.hand, self.now, self.max_age);
        if matches!(stored.state, MachineState::Planned | MachineState::Working) {
            return stored;
        }
        // A look from before the last thing that happened to the row says nothing about it.
        let Some(_) = self.view.filter(|view| row.last_change() < Some(view.at)) else { return stored };
        match self.unclear().or_else(|| self.contradiction()) {
            Some(_) if stored.state == MachineState::Failed => stored,
            Some((state, reason)) => Stand::so(state, reason),
            None => stored,
        }
    }

    /// What it has cost so far, as far as the table says: by the instance that stands and those before it, whatever the
    /// definition says by now. What is gone has cost until it was last seen to work.
    pub fn cost(&self, (prices, spot): (&Prices, bool), life: &Life, host: Option<&SeatProgress>) -> Option<f64> {
        let own: Vec<&InstanceView> = self.view.iter().flat_map(|view| view.own(self.store, self.lab())).collect();
        if !own.is_empty() {
            // Of several each costs, and so did those before.
            let before = host.iter().flat_map(|row| &row.used).map(|used| prices.paid(used));
            let now = own.into_iter().map(|instance| prices.spent(instance, life.born_at, self.now));
            return before.chain(now).sum();
        }
        let is_gone = self.view.is_some_and(|view| view.blind().is_none());
        let until = host.and_then(SeatProgress::last_change).filter(|_| is_gone).unwrap_or(self.now);
        let shape = InstanceShape::of(self.workshop, spot);
        let hour = prices.running(&shape.machine_type, shape.spot, shape.disk_gb)?;
        Some(life.cost(hour.total(), until))
    }

    /// What to do about one that stops or has stopped.
    fn comes_back(&self) -> String {
        format!("`homeroom deploy {} --yes` starts it again, with what its seats wrote", self.lab())
    }

    /// What one look does not decide: two instances where there is one, or none where not everything could be seen.
    fn unclear(&self) -> Option<(MachineState, String)> {
        let view = self.view?;
        let own: Vec<&InstanceView> = view.own(self.store, self.lab()).collect();
        if own.is_empty() {
            return view.blind().map(|why| (MachineState::Unknown, format!("{why}: its instance may be there")));
        }
        doubled(self.lab(), &own).map(|why| (MachineState::Unknown, why))
    }

    fn contradiction(&self) -> Option<(MachineState, String)> {
        let Some(instance) = self.instance() else {
            return Some((MachineState::Gone, "its instance is no longer in the project".to_owned()));
        };
        match (instance.state, instance.preempted) {
            (InstanceState::Running, Some(at)) => {
                return Some((
                    MachineState::Stale,
                    format!(
                        "it is being taken away: at {} its spot machine was told to stop within half a minute; {}",
                        clock(at),
                        self.comes_back()
                    ),
                ));
            }
            (InstanceState::Running, None) => {}
            (InstanceState::Coming, _) => {
                return Some((MachineState::Stale, format!("its instance is {}", instance.status)));
            }
            (InstanceState::Unknown, _) => {
                return Some((MachineState::Unknown, format!("its instance is {}", instance.status)));
            }
            (InstanceState::Going | InstanceState::Stopped, preempted) => {
                let why = match preempted {
                    Some(at) => {
                        format!(": its spot machine was taken away at {}; {}", clock(at), self.comes_back())
                    }
                    None => format!("; {}", self.comes_back()),
                };
                return Some((MachineState::Stopped, format!("its instance is {}{why}", instance.status)));
            }
        }
        match (self.address, instance.address) {
            (Some(known), Some(now)) if known != now => Some((
                MachineState::Stale,
                format!(
                    "its instance was started anew: it is at {now}, no longer at {known}; `homeroom check {}` looks for it \
                     there, and takes its name along",
                    self.lab()
                ),
            )),
            _ => None,
        }
    }
}

/// A time of the day: what is told of here is a moment old.
fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S UTC").to_string()
}
