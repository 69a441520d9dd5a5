//! How the rows of a workshop stand: what the journal has proven, held against one look at its engine.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    MachineState, Progress, Role, SeatName, StoreId,
    engine::{ContainerState, EngineView},
    label::{Owner, owner},
    machine::machine_name,
    progress::SeatProgress,
    readiness::{Hand, Stand, current_state},
    workshop::{SeatsOn, WorkshopDefinition, browser_name},
};

/// What a row is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    pub workshop: &'a WorkshopDefinition,
    pub store: &'a StoreId,
    /// One look at the engine, where it could be taken.
    pub view: Option<&'a EngineView>,
    /// Which run has the workshop, and whether it lives.
    pub hand: Hand<'a>,
    pub now: Timestamp,
    /// A proof counts for this long.
    pub max_age: Duration,
}

impl Judge<'_> {
    /// How a row stands now, and why.
    pub fn state(&self, row: &SeatProgress) -> Stand {
        let stored = current_state(row, None, self.hand, self.now, self.max_age);
        if matches!(stored.state, MachineState::Planned | MachineState::Working) {
            return stored;
        }
        // A look from before the last thing that happened to the row says nothing about it.
        let Some(view) = self.view.filter(|view| row.last_change() < Some(view.at)) else { return stored };
        match self.contradiction(row, view) {
            Some(_) if stored.state == MachineState::Failed => stored,
            Some((state, reason)) => Stand::so(state, reason),
            None => stored,
        }
    }

    /// The rows it should have. Where seats are made as people come, those nobody joined are not missing.
    pub fn defined(&self, progress: &Progress) -> Vec<(SeatName, Role)> {
        let on_joining = self.workshop.seats_on == SeatsOn::Join;
        let mut rows = self.workshop.rows();
        rows.retain(|(seat, role)| *role == Role::Host || !on_joining || progress.seat(seat).is_some());
        rows
    }

    fn contradiction(&self, row: &SeatProgress, view: &EngineView) -> Option<(MachineState, String)> {
        let lab = &self.workshop.name;
        let name = machine_name(lab, &row.seat);
        let browser = self.workshop.browser.as_ref().filter(|_| row.role == Role::Seat);
        let whose = match row.role {
            Role::Host => "its proxy",
            _ => "its container",
        };
        let names = [Some((name, whose)), browser.map(|_| (browser_name(lab, &row.seat), "its browser"))];
        for (name, what) in names.into_iter().flatten() {
            let Some(container) = view.container(&name) else {
                return Some((MachineState::Gone, format!("{what} {name} is no longer on the engine")));
            };
            if !matches!(owner(self.store, &name, &container.labels), Owner::Ours(label) if &label.lab == lab) {
                return Some((MachineState::Gone, format!("{name} is another container now")));
            }
            // The run that was to start it was broken off: how far that came is told of the row.
            let in_hand = matches!(row.state, MachineState::Planned | MachineState::Working);
            if in_hand && container.state == ContainerState::Created {
                continue;
            }
            if container.state != ContainerState::Running {
                return Some((MachineState::Failed, format!("{what} does not run: {}", container.why_down())));
            }
            // Whoever checks the row after it has proven it again.
            if let Some(at) = container.out_of_memory.filter(|at| row.last_change() < Some(*at)) {
                let (at, limit) = (at.strftime("%H:%M:%S UTC"), self.workshop.seat.memory.human());
                let words = format!(
                    "out of memory at {at}: a program in it was killed (its limit is {limit}); check proves it again"
                );
                return Some((MachineState::Failed, words));
            }
        }
        None
    }
}
