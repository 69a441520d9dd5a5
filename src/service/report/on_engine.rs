//! What a report tells of a workshop on a container engine: the engine, the containers as it lists them, what those
//! that are not ready printed. No token: those are in a file inside the proxy, which is not read.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Homeroom, WITHIN};
use crate::{
    domain::{
        Clean, LabName, MachineState, Role,
        engine::{ContainerView, EngineView},
        label::{Label, Owner, owner},
        progress::SeatProgress,
    },
    service::EngineSite,
};

/// Lines of a container.
const PRINTED: u32 = 60;
/// Containers asked at most: the proxy's, and those of seats that are not ready.
const ASKED: usize = 10;

/// What there is, by row; and what the site is.
pub(super) async fn look(
    home: &Homeroom,
    engine: &EngineSite,
    lab: &LabName,
    seats: &[&SeatProgress],
) -> (BTreeMap<String, Value>, Value) {
    let address = engine.containers.address();
    let mut versions = json!({"homeroom": env!("CARGO_PKG_VERSION"), "site": engine.name, "engine": address});
    let view = match tokio::time::timeout(WITHIN, engine.containers.view()).await {
        Ok(Ok(view)) => view,
        Ok(Err(error)) => {
            versions["error"] = json!(error.to_string());
            return (BTreeMap::new(), versions);
        }
        Err(_) => {
            versions["error"] = json!("no answer in time");
            return (BTreeMap::new(), versions);
        }
    };
    versions["docker"] = json!(view.version);
    versions["host"] = json!({"name": view.host, "cpus": view.cpus, "memory": view.memory, "free": view.free});
    let (mut rows, mut asked) = (BTreeMap::new(), 0);
    for row in seats {
        let ask = row.role == Role::Host || row.state != MachineState::Ready || seats.len() == 1;
        let mut containers = Vec::new();
        for (container, label) in own(home, &view, lab, row) {
            let mut told = json!({"name": container.name, "id": container.id, "image": container.image,
                "state": format!("{:?}", container.state).to_lowercase(), "status": container.status,
                "published": container.published, "made_of": label.made_of, "run": label.run,
                "ended": container.ending.as_ref().map(crate::domain::engine::Ending::words),
                "out_of_memory": container.out_of_memory});
            if ask && asked <= ASKED {
                asked += 1;
                told["printed"] = printed(engine, container).await;
            }
            containers.push(told);
        }
        rows.insert(row.seat.to_string(), json!({ "containers": containers }));
    }
    (rows, versions)
}

/// What carries a row's labels.
fn own<'a>(
    home: &Homeroom,
    view: &'a EngineView,
    lab: &LabName,
    row: &SeatProgress,
) -> Vec<(&'a ContainerView, Label)> {
    let label = |container: &'a ContainerView| match owner(home.store.id(), container.name.as_str(), &container.labels)
    {
        Owner::Ours(label) if label.lab == *lab && label.seat == row.seat => Some((container, label)),
        _ => None,
    };
    view.containers.iter().filter_map(label).collect()
}

async fn printed(engine: &EngineSite, container: &ContainerView) -> Value {
    match tokio::time::timeout(WITHIN, engine.containers.last_lines(&container.id, PRINTED)).await {
        Ok(Ok(lines)) => json!(lines.iter().map(Clean::as_str).collect::<Vec<_>>()),
        Ok(Err(error)) => json!({ "error": error.to_string() }),
        Err(_) => json!({ "error": "no answer in time" }),
    }
}
