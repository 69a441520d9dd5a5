//! How the rows of a workshop stand: what the journal has proven, held against one look at its engine.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    MachineState, Progress, Role, SeatName, StoreId,
    engine::{ContainerState, ContainerView, EngineView},
    label::{Owner, owner},
    machine::machine_name,
    progress::SeatProgress,
    readiness::{Hand, Stand, current_state, is_in_hand},
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

    /// The containers of a row, and what each is to it.
    fn parts(&self, row: &SeatProgress) -> impl Iterator<Item = (String, &'static str)> {
        let lab = &self.workshop.name;
        let browser = self.workshop.browser.as_ref().filter(|_| row.role == Role::Seat);
        let own = match row.role {
            Role::Host => "its proxy",
            _ => "its container",
        };
        let browser = browser.map(|_| (browser_name(lab, &row.seat), "its browser"));
        std::iter::once((machine_name(lab, &row.seat), own)).chain(browser)
    }

    fn is_own(&self, container: &ContainerView) -> bool {
        let whose = owner(self.store, container.name.as_str(), &container.labels);
        matches!(whose, Owner::Ours(label) if label.lab == self.workshop.name)
    }

    fn contradiction(&self, row: &SeatProgress, view: &EngineView) -> Option<(MachineState, String)> {
        let network = self.workshop.attached(row.role);
        for (name, what) in self.parts(row) {
            let Some(container) = view.container(&name) else {
                return Some((MachineState::Gone, format!("{what} {name} is no longer on the engine")));
            };
            if !self.is_own(container) {
                return Some((MachineState::Gone, format!("{name} is another container now")));
            }
            // The run that was to start it was broken off: how far that came is told of the row.
            let in_hand = matches!(row.state, MachineState::Planned | MachineState::Working);
            if in_hand && container.state == ContainerState::Created {
                continue;
            }
            if let Some(why) = container.trouble(&network) {
                let start = format!("`homeroom start {}/{}`", self.workshop.name, row.seat);
                let next = match container.state {
                    ContainerState::Paused => format!("; {start} lets it go on"),
                    ContainerState::Running => format!("; {start} puts it back"),
                    _ => String::new(),
                };
                return Some((MachineState::Failed, format!("{what} {why}{next}")));
            }
            // Whoever checks the row after it has proven it again.
            if let Some(at) = container.out_of_memory.filter(|at| row.last_change() < Some(*at)) {
                return Some((MachineState::Failed, format!("{}; check proves it again", self.killed_in(at))));
            }
        }
        None
    }

    fn killed_in(&self, at: Timestamp) -> String {
        let (at, limit) = (at.strftime("%H:%M:%S UTC"), self.workshop.seat.memory.human());
        format!("out of memory at {at}: a program in it was killed (its limit is {limit})")
    }

    /// The last end of a container of a row, or of a program in it for want of memory, that neither a run nor a line of
    /// the journal has told: when it was, by the engine's clock, and what it was.
    pub fn untold_end(&self, row: &SeatProgress) -> Option<(Timestamp, String)> {
        let view = self.view?;
        if is_in_hand(row) {
            return None;
        }
        let told = row.last_change().max(row.ended_at);
        let ends = self.parts(row).filter_map(|(name, what)| {
            let container = view.container(&name).filter(|container| self.is_own(container))?;
            let ended = container.ending.as_ref().and_then(|ending| Some((ending.at?, ending)));
            let of_all = ended.map(|(at, ending)| (at, format!("{what} ended: {}", ending.words())));
            let of_one = container.out_of_memory.map(|at| (at, self.killed_in(at)));
            of_all.or(of_one)
        });
        ends.filter(|(at, _)| Some(*at) > told).max_by_key(|(at, _)| *at)
    }
}
