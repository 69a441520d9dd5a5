//! How the rows of a workshop in a cloud stand: what the journal has proven, held against one look at the project.
//!
//! The look shows the instance alone. A seat is as its last roll call left it, as long as its instance runs on.

use std::{net::IpAddr, time::Duration};

use jiff::Timestamp;

use super::{
    LabName, MachineState, Role, StepName, StepState, StoreId,
    cloud::{CloudView, InstanceState, InstanceView, Past, doubled},
    life::Life,
    planning::InstanceShape,
    price::Prices,
    progress::{SeatProgress, StepProgress},
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
        match self.against() {
            // Of what failed while it ran, what has become of it since says more.
            Some((state @ (MachineState::Gone | MachineState::Stopped), reason))
                if stored.state == MachineState::Failed && stored.cut.is_none() && failed_running(row) =>
            {
                Stand::so(state, reason)
            }
            Some(_) if stored.state == MachineState::Failed => stored,
            Some((state, reason)) => Stand::so(state, reason),
            None => stored,
        }
    }

    /// What it has cost so far, as far as the table says: by the instance that stands and those before it, whatever the
    /// definition says by now. `past`: what the cloud remembers of one that is gone, where it was asked.
    pub fn cost(
        &self,
        (prices, spot): (&Prices, bool),
        life: &Life,
        host: Option<&SeatProgress>,
        past: &Past,
    ) -> Option<f64> {
        let own: Vec<&InstanceView> = self.view.iter().flat_map(|view| view.own(self.store, self.lab())).collect();
        // Those before have cost, too; and of several each costs.
        let before: Vec<Option<f64>> = host.iter().flat_map(|row| &row.used).map(|used| prices.paid(used)).collect();
        if !own.is_empty() {
            let now = own.into_iter().map(|instance| prices.spent(instance, life.born_at, self.now));
            return before.into_iter().chain(now).sum();
        }
        let last = host.and_then(|row| row.stood.as_ref());
        if last.is_some() || !before.is_empty() {
            let last = last.map(|stood| prices.paid(&stood.used(past, self.now)));
            return before.into_iter().chain(last).sum();
        }
        // Nothing was ever seen of it.
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

    /// What one look says against its instance, if it says anything.
    pub fn against(&self) -> Option<(MachineState, String)> {
        self.unclear().or_else(|| self.contradiction())
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
            let lab = self.lab();
            let why = format!(
                "its instance is no longer in the project; `homeroom deploy {lab} --yes` makes another, `homeroom destroy \
                 {lab}` takes its name and its firewall rule away"
            );
            return Some((MachineState::Gone, why));
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
                        format!(": its spot machine was taken away at {}; {}", minute(at, self.now), self.comes_back())
                    }
                    None => format!("; {}", self.comes_back()),
                };
                let since =
                    instance.stopped.filter(|_| instance.state == InstanceState::Stopped && preempted.is_none());
                let since = since.map(|at| format!(" since {}", minute(at, self.now))).unwrap_or_default();
                return Some((MachineState::Stopped, format!("its instance is {}{since}{why}", instance.status)));
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

/// Whether what failed of a row was a proof that takes an instance that runs.
fn failed_running(row: &SeatProgress) -> bool {
    use StepName::{Address, Dns, Engine, Health, Proxy, Ssh};
    let proof = |step: &StepProgress| matches!(step.step, Address | Ssh | Engine | Proxy | Health | Dns);
    row.role == Role::Host && row.current().is_some_and(|step| step.state == StepState::Failed && proof(step))
}

/// A time of the day, with its date where that is another.
fn minute(at: Timestamp, now: Timestamp) -> String {
    let date = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    let form = if date(at) == date(now) { "%H:%M UTC" } else { "%Y-%m-%d %H:%M UTC" };
    at.strftime(form).to_string()
}

/// A time of the day: what is told of here is a moment old.
fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S UTC").to_string()
}
