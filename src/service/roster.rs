//! The roster: what students need to get to their machines.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};

use super::{Homeroom, ServiceError};
use crate::domain::{
    LabName, MachineState, Role, SeatName, class::Password, machine::machine_name, workshop::WorkshopDefinition,
};

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
}

/// Everybody's machine, address and login.
pub async fn roster(home: &Homeroom, lab: &LabName) -> Result<Vec<RosterRow>, ServiceError> {
    if let Some((workshop, _)) = home.in_cloud(lab).await? {
        let (progress, _) = home.store.progress(lab).await?;
        let address = progress.seat(&SeatName::host()).and_then(|row| row.ip);
        let host = super::cloud::name(&workshop, &progress).or_else(|| address.map(|ip| ip.to_string()));
        return seats(home, &workshop, host.as_deref().unwrap_or("unknown")).await;
    }
    if let Some((workshop, engine)) = home.workshop(lab).await? {
        let host = engine.containers.view().await?.host;
        return seats(home, &workshop, host.as_str()).await;
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
            state: machine.map_or(MachineState::Planned, |machine| machine.state),
            seat: spec.seat,
            role: spec.role,
        });
    }
    Ok(rows)
}

/// Every seat of a workshop, with the link that opens it.
async fn seats(home: &Homeroom, workshop: &WorkshopDefinition, host: &str) -> Result<Vec<RosterRow>, ServiceError> {
    let lab = &workshop.name;
    let status = super::status::lab_status(home, lab).await?;
    let mut rows = Vec::new();
    for (seat, role) in workshop.rows().into_iter().filter(|(_, role)| *role == Role::Seat) {
        let state = status.machines.iter().find(|row| row.seat == seat).map_or(MachineState::Planned, |row| row.state);
        let token = home.keys.password(lab, &seat, &Password::Generate).await?;
        let (port, number) = (workshop.proxy.port, seat.number().unwrap_or_default());
        let link = format!("http://{host}:{port}/vm/{number}/terminal/?token={}", token.expose_secret());
        rows.push(RosterRow {
            machine: machine_name(lab, &seat),
            ip: None,
            user: String::new(),
            password: None,
            link: Some(SecretString::from(link)),
            state,
            seat,
            role,
        });
    }
    Ok(rows)
}
