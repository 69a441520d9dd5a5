//! Labs as the screens show them: a definition, what the events add up to, and the state of the whole.

use jiff::SignedDuration;

use super::{fuzzy, seats::SeatRow, state::State};
use crate::domain::{
    Definition, LabName, MachineState, Progress, Role, SiteName,
    class::ClassDefinition,
    event::RunState,
    life::Life,
    progress::{RunProgress, SeatProgress},
    readiness::{Hand, LabState, Phase, Stand, lab_state},
    workshop::WorkshopDefinition,
};

/// One class, or one workshop.
#[derive(Debug)]
pub struct ClassRow<'a> {
    pub lab: &'a LabName,
    /// Absent when machines stand and their definition is gone, and for a workshop.
    pub definition: Option<&'a ClassDefinition>,
    /// For a workshop.
    pub workshop: Option<&'a WorkshopDefinition>,
    pub progress: Option<&'a Progress>,
    pub seats: Vec<SeatRow<'a>>,
    pub phase: Phase,
    /// How long the youngest of its machines has been running.
    pub up: Option<SignedDuration>,
}

impl<'a> ClassRow<'a> {
    /// Seats in this state; those whose run did not come to its end are counted apart.
    pub fn count(&self, state: MachineState) -> usize {
        self.seats.iter().filter(|seat| seat.state == state && seat.cut.is_none()).count()
    }

    /// How many seats are ready, and of how many; the host of a workshop is nobody's.
    pub fn ready(&self) -> (usize, usize) {
        let seats = || self.seats.iter().filter(|seat| seat.role != Role::Host);
        (seats().filter(|seat| seat.state == MachineState::Ready).count(), seats().count())
    }

    /// Seats whose run did not come to its end.
    pub fn cut_short(&self) -> usize {
        self.seats.iter().filter(|seat| seat.cut.is_some()).count()
    }

    /// The same in words, where there are any: a workshop's host is no seat.
    pub fn in_hand(&self) -> Option<String> {
        let (hosts, seats): (Vec<_>, Vec<_>) =
            self.seats.iter().filter(|seat| seat.cut.is_some()).partition(|seat| seat.role == Role::Host);
        let several = match seats.len() {
            0 => None,
            1 => Some("1 seat".to_owned()),
            n => Some(format!("{n} seats")),
        };
        let told: Vec<String> = hosts.first().map(|_| "the host".to_owned()).into_iter().chain(several).collect();
        (!told.is_empty()).then(|| told.join(" and "))
    }

    /// Whether a run works on it at this moment.
    pub fn is_worked_on(&self) -> bool {
        self.phase.is_worked_on()
    }

    pub fn site(&self) -> Option<&'a SiteName> {
        let defined = self.definition.map(|d| &d.site).or(self.workshop.map(|w| &w.site));
        defined.or_else(|| self.progress.and_then(|p| p.seats.first()).map(|s| &s.site))
    }

    /// The newest run.
    pub fn run(&self) -> Option<&'a RunProgress> {
        self.progress.and_then(|p| p.run.as_ref())
    }

    /// The run under way, if one is.
    pub fn running(&self) -> Option<&'a RunProgress> {
        self.run().filter(|_| self.is_worked_on())
    }

    /// Machines that are there, or may be.
    pub fn standing(&self) -> impl Iterator<Item = &SeatRow<'a>> {
        self.seats.iter().filter(|seat| seat.is_made())
    }

    /// Until when a workshop stands, and by which code it is joined.
    pub fn life(&self) -> Option<&'a Life> {
        self.progress?.life.as_ref()
    }

    /// Whether a definition says what it should be.
    pub fn is_defined(&self) -> bool {
        self.definition.is_some() || self.workshop.is_some()
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let site = self.site().map_or("", |site| site.as_str());
        fuzzy::narrows(text, &[self.lab.as_str()], &[self.phase.word(), site])
    }
}

impl State {
    /// Every class: those defined and those that only stand, by name.
    pub fn classes(&self) -> Vec<ClassRow<'_>> {
        self.class_names().into_iter().map(|lab| self.class_row(lab)).collect()
    }

    /// A lab's definition. They are kept by name.
    pub fn definition(&self, lab: &LabName) -> Option<&Definition> {
        let at = self.definitions.binary_search_by(|definition| definition.name().cmp(lab)).ok()?;
        self.definitions.get(at)
    }

    pub(super) fn class_names(&self) -> Vec<&LabName> {
        let defined = self.definitions.iter().filter_map(|definition| match definition {
            Definition::Class(class) => Some(&class.name),
            Definition::Workshop(_) => None,
        });
        let workshop = |lab: &LabName| self.definition(lab).is_some_and(|definition| definition.kind() == "workshop");
        let progress = self.progress.values().map(|progress| (&progress.lab, progress.seats.is_empty()));
        let standing = progress.filter(|(lab, empty)| !empty && !workshop(lab)).map(|(lab, _)| lab);
        let mut names: Vec<&LabName> = defined.chain(standing).collect();
        names.sort();
        names.dedup();
        names
    }

    /// One class or workshop by name, if it is known.
    pub fn class(&self, lab: &LabName) -> Option<ClassRow<'_>> {
        let workshop = self.workshop(lab);
        let standing = || self.progress.get(lab).filter(|progress| !progress.seats.is_empty());
        let known = || self.definition(lab).map(Definition::name).or_else(|| standing().map(|progress| &progress.lab));
        workshop.or_else(|| known().map(|lab| self.class_row(lab)))
    }

    fn class_row<'a>(&'a self, lab: &'a LabName) -> ClassRow<'a> {
        let whole = self.definition(lab);
        let definition = match whole {
            Some(Definition::Class(class)) => Some(class),
            _ => None,
        };
        let progress = self.progress.get(lab);
        let seats = self.seat_rows(definition, progress);
        let phase = progress.map_or(Phase::ABSENT, |progress| {
            let (hand, stands) = (self.hand(progress), stands(&seats));
            let defined = definition.map(ClassDefinition::seats);
            let known: Vec<_> = seats.iter().map(|seat| (seat.seat.clone(), seat.role)).collect();
            let whole = lab_state(&defined.clone().unwrap_or(known), hand, stands.iter().map(|(row, s)| (*row, s)));
            // Its definition is gone: what stands is on its way out, or left over.
            let left_over = defined.is_none() && whole == LabState::Ready;
            let whole = if left_over { LabState::Partial } else { whole };
            Phase::of(whole, hand, stands.iter().map(|(_, stand)| stand))
        });
        ClassRow { lab, definition, workshop: None, progress, seats, phase, up: self.uptime(progress) }
    }

    /// Which run has a lab, and whether somebody carries it out.
    pub(super) fn hand<'a>(&self, progress: &'a Progress) -> Hand<'a> {
        Hand::of(progress, self.alive(progress))
    }

    /// Whether somebody works on the lab's newest run.
    pub(super) fn alive(&self, progress: &Progress) -> bool {
        let run = progress.run.as_ref().filter(|run| run.state == RunState::Running);
        run.is_some_and(|run| !self.orphaned.contains(&run.id))
    }

    /// The definition's seats in their order, then those that stand without being defined.
    fn seat_rows<'a>(&'a self, class: Option<&'a ClassDefinition>, progress: Option<&'a Progress>) -> Vec<SeatRow<'a>> {
        let defined = class.map(ClassDefinition::seats).unwrap_or_default();
        let Some(progress) = progress else {
            return defined.into_iter().map(|(seat, role)| SeatRow::planned(seat, role)).collect();
        };
        let (known, hand) = (progress.seats.as_slice(), self.hand(progress));
        let row =
            |row: &'a SeatProgress| SeatRow::known(row, self.sites.get(&row.site), hand, self.now, &self.settings);
        let more: Vec<_> = known.iter().filter(|s| !defined.iter().any(|(seat, _)| seat == &s.seat)).collect();
        defined
            .into_iter()
            .map(|(seat, role)| match known.iter().find(|s| s.seat == seat) {
                Some(known) => row(known),
                None => SeatRow::planned(seat, role),
            })
            .chain(more.into_iter().map(row))
            .collect()
    }

    fn uptime(&self, progress: Option<&Progress>) -> Option<SignedDuration> {
        let seconds = progress?.seats.iter().filter_map(|seat| {
            let guest = self.sites.get(&seat.site)?.guest(seat.vmid?)?;
            Some(guest.uptime).filter(|up| *up > 0)
        });
        seconds.min().map(|up| SignedDuration::from_secs(i64::try_from(up).unwrap_or(i64::MAX)))
    }
}

/// How the seats stand that the journal knows.
pub(super) fn stands<'a>(seats: &[SeatRow<'a>]) -> Vec<(&'a SeatProgress, Stand)> {
    let known = |seat: &SeatRow<'a>| Some((seat.progress?, seat.stand()));
    seats.iter().filter_map(known).collect()
}
