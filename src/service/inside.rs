//! Into the containers of a workshop: a terminal, one command, what they print. Only into those that carry the
//! labels of this store.

use std::{collections::BTreeSet, sync::Arc};

use super::{EngineSite, Homeroom, ServiceError};
use crate::{
    domain::{
        Clean, LabName, SeatName, StoreId,
        engine::{ContainerState, ContainerView, EngineView},
        label::{Owner, owner},
        machine::machine_name,
        workshop::{SeatsOn, WorkshopDefinition},
    },
    port::shell::{ShellSession, Tty},
};

/// The login shell: bash where there is one.
const LOGIN: &str = "if command -v bash >/dev/null 2>&1; then exec bash -l; else exec sh -l; fi";

/// The containers of one workshop at one moment.
pub struct Inside {
    pub engine: Arc<EngineSite>,
    pub workshop: WorkshopDefinition,
    view: EngineView,
    store: StoreId,
    /// Seats that the journal knows of.
    begun: BTreeSet<SeatName>,
}

impl Inside {
    /// Looks at the engine of a workshop; `None` for a class, and for a workshop in a cloud.
    pub async fn of(home: &Homeroom, lab: &LabName) -> Result<Option<Self>, ServiceError> {
        // In a cloud its instance is logged in to.
        if home.in_cloud(lab).await?.is_some() {
            return Ok(None);
        }
        let Some((workshop, engine)) = home.workshop(lab).await? else { return Ok(None) };
        let view = engine.containers.view().await?;
        let (progress, _) = home.store.progress(lab).await?;
        let begun = progress.seats.into_iter().map(|row| row.seat).collect();
        Ok(Some(Self { engine, workshop, view, store: home.store.id().clone(), begun }))
    }

    /// The rows named, each once, or all of them: the host's proxy first.
    pub fn rows(&self, named: &[SeatName]) -> Result<Vec<SeatName>, ServiceError> {
        let defined: Vec<SeatName> = self.workshop.rows().into_iter().map(|(seat, _)| seat).collect();
        let mut rows: Vec<SeatName> = Vec::new();
        for seat in named {
            if !defined.contains(seat) && self.own(seat).is_none() {
                return Err(ServiceError::NoSeat {
                    lab: self.workshop.name.clone(),
                    seat: seat.clone(),
                    known: defined.iter().map(ToString::to_string).collect(),
                });
            }
            if !rows.contains(seat) {
                rows.push(seat.clone());
            }
        }
        Ok(if named.is_empty() { defined } else { rows })
    }

    /// The container of a row, whether it runs or not.
    pub fn container(&self, seat: &SeatName) -> Result<&ContainerView, ServiceError> {
        self.rows(std::slice::from_ref(seat))?;
        self.own(seat).ok_or_else(|| {
            let lab = &self.workshop.name;
            ServiceError::NotNow(match self.is_nobodys(seat) {
                true => format!("{lab}/{seat} is nobody's yet: its container is made as somebody joins"),
                false => format!("{lab}/{seat} has no container; `homeroom deploy {lab}` makes it"),
            })
        })
    }

    /// Whether a seat is not there because nobody has come for it.
    pub fn is_nobodys(&self, seat: &SeatName) -> bool {
        self.workshop.seats_on == SeatsOn::Join
            && *seat != SeatName::host()
            && !self.begun.contains(seat)
            && self.own(seat).is_none()
    }

    /// The container of a row, which must run.
    pub fn running(&self, seat: &SeatName) -> Result<&ContainerView, ServiceError> {
        let container = self.container(seat)?;
        match container.state {
            ContainerState::Running => Ok(container),
            _ => {
                let lab = &self.workshop.name;
                Err(ServiceError::NotNow(format!(
                    "{lab}/{seat} does not run: {}; `homeroom deploy {lab}` starts it, `homeroom logs {lab}/{seat}` \
                     shows what it printed",
                    container.why_down()
                )))
            }
        }
    }

    fn own(&self, seat: &SeatName) -> Option<&ContainerView> {
        let name = machine_name(&self.workshop.name, seat);
        self.view.container(&name).filter(|container| {
            let whose = owner(&self.store, &name, &container.labels);
            matches!(whose, Owner::Ours(label) if label.lab == self.workshop.name && &label.seat == seat)
        })
    }

    /// Opens a terminal: a login shell, or a line for one.
    pub async fn open(&self, seat: &SeatName, tty: &Tty, line: Option<&str>) -> Result<ShellSession, ServiceError> {
        let id = &self.running(seat)?.id;
        Ok(self.engine.containers.exec(id, &by_shell(line.unwrap_or(LOGIN)), Some(tty)).await?)
    }
}

/// Kept of what a container printed, for a board.
const LINES: u32 = 200;

/// The last lines the container of a seat printed, oldest first; of a host in a cloud, what its serial port did.
pub async fn last_lines(home: &Homeroom, lab: &LabName, seat: &SeatName) -> Result<Vec<Clean>, ServiceError> {
    if home.in_cloud(lab).await?.is_some() {
        return super::instance::last_lines(home, lab, seat, LINES).await;
    }
    let Some(inside) = Inside::of(home, lab).await? else {
        return Err(ServiceError::NotNow(format!("{lab} is no workshop on a container engine")));
    };
    let id = &inside.container(seat)?.id;
    Ok(inside.engine.containers.last_lines(id, LINES).await?)
}

/// A command as its words for a container: one word is a line for its shell.
pub fn words(command: &[String]) -> Vec<String> {
    match command {
        [line] => by_shell(line),
        words => words.to_vec(),
    }
}

fn by_shell(line: &str) -> Vec<String> {
    ["sh", "-c", line].map(str::to_owned).to_vec()
}
