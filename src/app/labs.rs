//! Labs as the screens show them: a definition, what the events add up to, and the state of the whole.

use jiff::SignedDuration;

use super::{
    seats::{SeatRow, guest},
    sites::Site,
    state::State,
};
use crate::domain::{
    Definition, LabName, MachineState, Progress, SiteName,
    class::ClassDefinition,
    event::{RunKind, RunState},
    progress::RunProgress,
    workshop::WorkshopDefinition,
};

/// How a lab stands as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabState {
    /// Defined, and nothing of it is there.
    Absent,
    Deploying,
    Checking,
    Destroying,
    Ready,
    Partial,
    Failed,
    Stopped,
    /// A run ended in the middle and nobody is working on it.
    BrokenOff,
}

impl LabState {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Absent => "defined",
            Self::Deploying => "deploying",
            Self::Checking => "checking",
            Self::Destroying => "destroying",
            Self::Ready => "ready",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::BrokenOff => "broken off",
        }
    }
}

/// One class.
#[derive(Debug)]
pub struct ClassRow<'a> {
    pub lab: &'a LabName,
    /// Absent when machines stand and their definition is gone.
    pub definition: Option<&'a ClassDefinition>,
    pub progress: Option<&'a Progress>,
    pub seats: Vec<SeatRow<'a>>,
    pub state: LabState,
    /// How long the youngest of its machines has been running.
    pub up: Option<SignedDuration>,
}

impl<'a> ClassRow<'a> {
    pub fn count(&self, state: MachineState) -> usize {
        self.seats.iter().filter(|seat| seat.state == state).count()
    }

    pub fn site(&self) -> Option<&'a SiteName> {
        self.definition.map(|d| &d.site).or_else(|| self.progress.and_then(|p| p.seats.first()).map(|s| &s.site))
    }

    /// The run under way, if one is.
    pub fn running(&self) -> Option<&'a RunProgress> {
        self.progress.and_then(|p| p.run.as_ref()).filter(|run| run.state == RunState::Running)
    }

    /// Machines that are there, or may be.
    pub fn standing(&self) -> impl Iterator<Item = &SeatRow<'a>> {
        self.seats.iter().filter(|seat| seat.progress.is_some_and(|p| p.vmid.is_some()))
    }

    fn matches(&self, text: &str) -> bool {
        self.lab.as_str().contains(text)
            || self.state.word().contains(text)
            || self.site().is_some_and(|site| site.as_str().contains(text))
    }
}

impl State {
    /// Every class: those defined and those that only stand, by name.
    pub fn classes(&self) -> Vec<ClassRow<'_>> {
        let defined = self.definitions.iter().filter_map(|definition| match definition {
            Definition::Class(class) => Some(&class.name),
            Definition::Workshop(_) => None,
        });
        let workshop = |lab: &LabName| self.definitions.iter().any(|d| d.name() == lab && d.kind() == "workshop");
        let standing =
            self.progress.values().filter(|p| !p.seats.is_empty() && !workshop(&p.lab)).map(|progress| &progress.lab);
        let mut names: Vec<&LabName> = defined.chain(standing).collect();
        names.sort();
        names.dedup();
        names.into_iter().map(|lab| self.class_row(lab)).collect()
    }

    /// The classes the filter of their pane lets through.
    pub fn shown_classes(&self) -> Vec<ClassRow<'_>> {
        let text = self.filter_text(super::Pane::Classes);
        self.classes().into_iter().filter(|row| row.matches(&text)).collect()
    }

    /// One class by name, if it is known.
    pub fn class(&self, lab: &LabName) -> Option<ClassRow<'_>> {
        self.classes().into_iter().find(|row| row.lab == lab)
    }

    /// Every workshop the filter lets through.
    pub fn shown_workshops(&self) -> Vec<&WorkshopDefinition> {
        let text = self.filter_text(super::Pane::Workshops);
        self.definitions
            .iter()
            .filter_map(|definition| match definition {
                Definition::Workshop(workshop) if workshop.name.as_str().contains(&text) => Some(workshop),
                _ => None,
            })
            .collect()
    }

    fn class_row<'a>(&'a self, lab: &'a LabName) -> ClassRow<'a> {
        let definition = self.definitions.iter().find_map(|definition| match definition {
            Definition::Class(class) if &class.name == lab => Some(class),
            _ => None,
        });
        let progress = self.progress.get(lab);
        let seats = self.seat_rows(definition, progress);
        let broken = progress.and_then(|p| p.run.as_ref()).is_some_and(|run| self.orphaned.contains(&run.id));
        let state = lab_state(&seats, progress, broken);
        let up = self.uptime(progress);
        ClassRow { lab, definition, progress, seats, state, up }
    }

    /// The definition's seats in their order, then those that stand without being defined.
    fn seat_rows<'a>(&'a self, class: Option<&'a ClassDefinition>, progress: Option<&'a Progress>) -> Vec<SeatRow<'a>> {
        let known = progress.map(|p| p.seats.as_slice()).unwrap_or_default();
        let site = |name: &SiteName| self.sites.get(name);
        let defined = class.map(ClassDefinition::seats).unwrap_or_default();
        let more: Vec<_> = known.iter().filter(|s| !defined.iter().any(|(seat, _)| seat == &s.seat)).collect();
        defined
            .into_iter()
            .map(|(seat, role)| match known.iter().find(|s| s.seat == seat) {
                Some(row) => SeatRow::known(row, site(&row.site)),
                None => SeatRow::planned(seat, role),
            })
            .chain(more.into_iter().map(|row| SeatRow::known(row, site(&row.site))))
            .collect()
    }

    fn uptime(&self, progress: Option<&Progress>) -> Option<SignedDuration> {
        let seconds = progress?.seats.iter().filter_map(|seat| {
            let view = self.sites.get(&seat.site).and_then(|site: &Site| site.view.as_deref())?;
            guest(seat, view).map(|guest| guest.uptime).filter(|up| *up > 0)
        });
        seconds.min().map(|up| SignedDuration::from_secs(i64::try_from(up).unwrap_or(i64::MAX)))
    }
}

fn lab_state(seats: &[SeatRow<'_>], progress: Option<&Progress>, broken: bool) -> LabState {
    let run = progress.and_then(|p| p.run.as_ref()).filter(|run| run.state == RunState::Running);
    if let Some(run) = run {
        return match run.kind {
            _ if broken => LabState::BrokenOff,
            RunKind::Deploy => LabState::Deploying,
            RunKind::Destroy => LabState::Destroying,
            RunKind::Check => LabState::Checking,
        };
    }
    let all = |state: MachineState| !seats.is_empty() && seats.iter().all(|seat| seat.state == state);
    let any = |state: MachineState| seats.iter().any(|seat| seat.state == state);
    if all(MachineState::Planned) || seats.is_empty() {
        LabState::Absent
    } else if all(MachineState::Ready) {
        LabState::Ready
    } else if all(MachineState::Stopped) {
        LabState::Stopped
    } else if any(MachineState::Failed) && !any(MachineState::Ready) {
        LabState::Failed
    } else {
        LabState::Partial
    }
}
