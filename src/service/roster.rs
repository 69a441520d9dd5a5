//! The roster: what students need to get to their machines.

use std::net::IpAddr;

use secrecy::SecretString;

use super::{
    Homeroom, ServiceError,
    join::{links, place},
};
use crate::domain::{Definition, LabName, MachineState, Role, SeatName, person::Person, workshop::WorkshopDefinition};

/// One line of the roster.
pub struct RosterRow {
    pub seat: SeatName,
    pub role: Role,
    pub machine: String,
    pub ip: Option<IpAddr>,
    pub user: String,
    /// Where the definition gives one. Printed on request only.
    pub password: Option<SecretString>,
    /// What opens a workshop's seat in a browser; whoever has it has the seat.
    pub link: Option<SecretString>,
    pub state: MachineState,
    /// Who sits on a workshop's seat.
    pub person: Option<Person>,
}

/// Everybody's machine, address and login.
pub async fn roster(home: &Homeroom, lab: &LabName) -> Result<Vec<RosterRow>, ServiceError> {
    if let Definition::Workshop(workshop) = home.definition(lab).await?.definition {
        return seats(home, &workshop).await;
    }
    let (class, site) = home.class(lab).await?;
    let status = super::status::lab_status(home, lab).await?;
    let mut rows = Vec::new();
    for spec in class.resolve() {
        let machine = status.machines.iter().find(|machine| machine.seat == spec.seat);
        let password = match &spec.cloud_init.password {
            Some(from) => Some(home.keys.password(lab, &spec.seat, from).await?),
            None => None,
        };
        rows.push(RosterRow {
            machine: crate::domain::machine::machine_name(lab, &spec.seat),
            ip: machine.and_then(|machine| machine.ip),
            user: spec.cloud_init.user.clone().unwrap_or_else(|| site.rules.user.clone()),
            password,
            link: None,
            person: None,
            state: machine.map_or(MachineState::Planned, |machine| machine.state),
            seat: spec.seat,
            role: spec.role,
        });
    }
    Ok(rows)
}

/// Every seat of a workshop, with who sits there and the link that opens it.
async fn seats(home: &Homeroom, workshop: &WorkshopDefinition) -> Result<Vec<RosterRow>, ServiceError> {
    let lab = &workshop.name;
    let status = super::status::lab_status(home, lab).await?;
    let host = match place(home, workshop, None).await {
        Ok(host) => Some(host),
        // Who sits where is in the store.
        Err(_) => last_place(home, lab).await?,
    };
    let mut rows = Vec::new();
    for row in status.machines.into_iter().filter(|row| row.role == Role::Seat) {
        // Before the first deploy there is nothing to open.
        let link = match status.life.as_ref().zip(host.as_ref()) {
            Some((life, host)) => links(home, workshop, host, &row.seat, &life.code).await?.first().cloned(),
            None => None,
        };
        rows.push(RosterRow {
            machine: row.name,
            ip: None,
            user: String::new(),
            password: None,
            link,
            state: row.state,
            seat: row.seat,
            role: row.role,
            person: row.person,
        });
    }
    Ok(rows)
}

/// The engine's host as the newest run found it.
async fn last_place(home: &Homeroom, lab: &LabName) -> Result<Option<String>, ServiceError> {
    let Some(run) = home.store.progress(lab).await?.0.run else { return Ok(None) };
    let (_, plan) = home.store.run(run.id).await?;
    Ok(plan.seats.first().map(|row| row.node.to_string()))
}
