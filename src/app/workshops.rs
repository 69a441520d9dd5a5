//! Workshops as the screens show them: their rows held against the latest look at their engine.

use jiff::SignedDuration;

use super::{
    engines::Engine,
    labs::{ClassRow, stands},
    seats::SeatRow,
    state::State,
};
use crate::domain::{
    Clean, Definition, LabName, MachineState, Progress, Role, SeatName,
    cloud::Past,
    engine::ContainerState,
    hosting::Hosting,
    planning::{stands_in, stands_on, unborn},
    progress::SeatProgress,
    readiness::{Phase, Stand, lab_state},
    seating::Judge,
    workshop::WorkshopDefinition,
};

impl State {
    /// Every workshop, by name.
    pub fn workshops(&self) -> Vec<ClassRow<'_>> {
        self.defined_workshops().map(|workshop| self.workshop_row(workshop)).collect()
    }

    /// Who sits on a seat, as typed on joining.
    pub fn sitting(&self, lab: &LabName, seat: &SeatName) -> Option<&Clean> {
        self.people.get(lab)?.get(seat)
    }

    /// Whether nothing of a workshop ever stood, as far as the latest look shows: its time has not begun.
    pub fn is_unborn(&self, row: &ClassRow<'_>) -> bool {
        let (Some(progress), Some(workshop)) = (row.progress, row.workshop) else { return false };
        let Some(engine) = self.engines.get(&workshop.site).filter(|engine| engine.lost.is_none()) else {
            return false;
        };
        let stands = match (&engine.view, &engine.cloud) {
            (Some(view), _) => stands_on(&engine.store, row.lab, view),
            (None, Some(view)) => stands_in(&engine.store, row.lab, view),
            (None, None) => true,
        };
        !row.is_worked_on() && unborn(progress, stands)
    }

    /// What a workshop has cost so far, where its site has a price: `1.20 EUR`.
    pub fn cost(&self, row: &ClassRow<'_>) -> Option<String> {
        if self.is_unborn(row) {
            return None;
        }
        let (life, engine) = (row.life()?, self.engines.get(&row.workshop?.site)?);
        let (cost, currency) = match (&engine.prices, row.progress) {
            (Some((prices, spot)), Some(progress)) => {
                let hosting = self.hosting(row.workshop?, engine, progress);
                let host = progress.seat(&SeatName::host());
                (hosting.cost((prices, *spot), life, host, &Past::default())?, prices.currency.clone())
            }
            _ => {
                let (per_hour, currency) = engine.price(row.workshop?)?;
                (life.cost(per_hour, self.now), currency)
            }
        };
        Some(format!("{cost:.2} {currency}").trim_end().to_owned())
    }

    /// Whether a workshop's definition says that its disk is to outlive its instance.
    pub(super) fn defined_keeps_disk(&self, lab: &LabName) -> bool {
        self.defined_workshops().any(|workshop| workshop.name == *lab && workshop.gce.keep_disk)
    }

    pub(super) fn workshop(&self, lab: &LabName) -> Option<ClassRow<'_>> {
        self.defined_workshops().find(|workshop| &workshop.name == lab).map(|workshop| self.workshop_row(workshop))
    }

    fn defined_workshops(&self) -> impl Iterator<Item = &WorkshopDefinition> {
        self.definitions.iter().filter_map(|definition| match definition {
            Definition::Workshop(workshop) => Some(workshop),
            Definition::Class(_) => None,
        })
    }

    fn workshop_row<'a>(&'a self, workshop: &'a WorkshopDefinition) -> ClassRow<'a> {
        let progress = self.progress.get(&workshop.name);
        let seats = self.workshop_seats(workshop, progress);
        let phase = self.workshop_phase(workshop, progress, &seats);
        let up = progress.and_then(|progress| {
            let proven = progress.seats.iter().filter(|row| row.role == Role::Host).find_map(|row| row.proven_at);
            proven.map(|at| self.now.duration_since(at).max(SignedDuration::ZERO))
        });
        let up = up.filter(|_| seats.iter().any(|seat| seat.state == MachineState::Ready));
        ClassRow { lab: &workshop.name, definition: None, workshop: Some(workshop), progress, seats, phase, up }
    }

    /// What its rows are judged by. An engine that does not answer shows nothing any more.
    fn judge<'a>(&self, workshop: &'a WorkshopDefinition, engine: &'a Engine, progress: &'a Progress) -> Judge<'a> {
        Judge {
            workshop,
            store: &engine.store,
            view: engine.view.as_deref().filter(|_| engine.lost.is_none()),
            hand: self.hand(progress),
            now: self.now,
            max_age: self.settings.proof_max_age,
        }
    }

    /// The same in a cloud.
    fn hosting<'a>(&self, workshop: &'a WorkshopDefinition, engine: &'a Engine, progress: &'a Progress) -> Hosting<'a> {
        Hosting {
            workshop,
            store: &engine.store,
            view: engine.cloud.as_deref().filter(|_| engine.lost.is_none()),
            address: progress.seat(&SeatName::host()).and_then(|row| row.ip),
            hand: self.hand(progress),
            now: self.now,
            max_age: self.settings.proof_max_age,
        }
    }

    /// The host, then the seats by number, then what stands without being defined.
    fn workshop_seats<'a>(
        &'a self,
        workshop: &'a WorkshopDefinition,
        progress: Option<&'a Progress>,
    ) -> Vec<SeatRow<'a>> {
        let defined = workshop.rows();
        let Some(progress) = progress else {
            return defined.into_iter().map(|(seat, role)| SeatRow::planned(seat, role)).collect();
        };
        let hand = self.hand(progress);
        let engine = self.engines.get(&workshop.site);
        let row = |row: &'a SeatProgress| {
            let stand = match engine {
                Some(engine) if engine.is_cloud => seen(self.hosting(workshop, engine, progress).state(row), engine),
                Some(engine) => seen(self.judge(workshop, engine, progress).state(row), engine),
                None if self.kiosk.is_some() => {
                    Stand::so(MachineState::Unknown, "its engine is not looked at from here")
                }
                None => Stand::so(MachineState::Unknown, "its site is not in the configuration"),
            };
            let view = engine.and_then(|engine| engine.view.as_deref());
            let container = view.and_then(|view| view.container(&row.name));
            let down = container.is_some_and(|container| container.state != ContainerState::Running);
            SeatRow { down, ..SeatRow::standing_so(row, stand, hand, self.now) }
        };
        let more: Vec<_> = progress.seats.iter().filter(|s| !defined.iter().any(|(seat, _)| seat == &s.seat)).collect();
        let known = |(seat, role)| match progress.seat(&seat) {
            Some(found) => row(found),
            None => SeatRow::planned(seat, role),
        };
        defined.into_iter().map(known).chain(more.into_iter().map(row)).collect()
    }

    fn workshop_phase(
        &self,
        workshop: &WorkshopDefinition,
        progress: Option<&Progress>,
        seats: &[SeatRow<'_>],
    ) -> Phase {
        let Some(progress) = progress else { return Phase::ABSENT };
        let defined = match self.engines.get(&workshop.site) {
            Some(engine) if !engine.is_cloud => self.judge(workshop, engine, progress).defined(progress),
            _ => workshop.rows(),
        };
        let (hand, stands) = (self.hand(progress), stands(seats));
        let whole = lab_state(&defined, hand, stands.iter().map(|(row, stand)| (*row, stand)));
        Phase::of(whole, hand, stands.iter().map(|(_, stand)| stand))
    }
}

/// What nobody can see now is neither ready nor gone.
fn seen(stand: Stand, engine: &Engine) -> Stand {
    let what = if engine.is_cloud { "cloud" } else { "engine" };
    match (&engine.lost, engine.was_seen()) {
        (Some(_), _) => stand.unseen(format!("its {what} does not answer")),
        (None, false) => stand.unseen(format!("its {what} has not been seen yet")),
        (None, true) => stand,
    }
}
