//! What a report tells of a workshop in a cloud: its instance as the project lists it, the end of its serial port, what
//! its startup script did, what containers printed. No token, and nothing of its metadata but what says what it is.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Homeroom, WITHIN};
use crate::{
    domain::{Clean, LabName, MachineState, Role, progress::SeatProgress},
    service::{ServiceError, instance::last_lines},
};

/// Lines of the serial port, which has the startup script's, and of a container.
const SERIAL: u32 = 400;
const PRINTED: u32 = 60;
/// Containers asked at most, those that are not ready.
const ASKED: usize = 10;

/// What there is, by row; and what the site is.
pub(super) async fn look(home: &Homeroom, lab: &LabName, seats: &[&SeatProgress]) -> (BTreeMap<String, Value>, Value) {
    let mut versions = json!({"homeroom": env!("CARGO_PKG_VERSION")});
    let mut rows = BTreeMap::new();
    let (workshop, site) = match home.in_cloud(lab).await {
        Ok(Some(found)) => found,
        Ok(None) => return (rows, versions),
        Err(error) => {
            versions["error"] = json!(error.to_string());
            return (rows, versions);
        }
    };
    versions["site"] = json!(site.name);
    versions["project"] = json!(site.cloud.project());
    versions["zones"] = json!(site.zones);
    let instances = match tokio::time::timeout(WITHIN, site.cloud.view()).await {
        Ok(Ok(view)) => {
            if let Some(why) = view.blind() {
                versions["unseen"] = json!(why);
            }
            let own = view.own(home.store.id(), lab).map(|it| {
                json!({"name": it.name, "zone": it.zone, "status": it.status, "machine_type": it.machine_type,
                       "spot": it.spot, "address": it.address, "created": it.created, "started": it.started,
                       "ends": it.ends, "disk_gb": it.disk_gb, "labels": it.labels,
                       "made_of": it.metadata.get(crate::domain::planning::MADE_OF)})
            });
            own.collect()
        }
        Ok(Err(error)) => json!({ "error": error.to_string() }),
        Err(_) => json!({ "error": "no answer in time" }),
    };
    let asked =
        seats.iter().filter(|row| row.role == Role::Host || row.state != MachineState::Ready || seats.len() == 1);
    for row in asked.take(ASKED + 1) {
        let lines = if row.role == Role::Host { SERIAL } else { PRINTED };
        let printed = match tokio::time::timeout(WITHIN * 3, last_lines(home, lab, &row.seat, lines)).await {
            Ok(printed) => told(printed),
            Err(_) => json!({ "error": "no answer in time" }),
        };
        let value = match row.role {
            Role::Host => json!({"instances": instances, "serial": printed, "seats": workshop.seats}),
            _ => json!({ "printed": printed }),
        };
        rows.insert(row.seat.to_string(), value);
    }
    (rows, versions)
}

fn told(printed: Result<Vec<Clean>, ServiceError>) -> Value {
    match printed {
        Ok(lines) => json!(lines),
        Err(error) => json!({ "error": error.to_string() }),
    }
}
