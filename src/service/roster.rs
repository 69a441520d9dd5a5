//! The roster: what students need to get to their machines.

use std::net::IpAddr;

use secrecy::SecretString;

use super::{Homeroom, ServiceError};
use crate::domain::{LabName, MachineState, Role, SeatName};

/// One line of the roster.
pub struct RosterRow {
    pub seat: SeatName,
    pub role: Role,
    pub machine: String,
    pub ip: Option<IpAddr>,
    pub user: String,
    /// Where the definition gives one. Printed on request only.
    pub password: Option<SecretString>,
    pub state: MachineState,
}

/// Everybody's machine, address and login.
pub async fn roster(home: &Homeroom, lab: &LabName) -> Result<Vec<RosterRow>, ServiceError> {
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
            state: machine.map_or(MachineState::Planned, |machine| machine.state),
            seat: spec.seat,
            role: spec.role,
        });
    }
    Ok(rows)
}
