//! Report: what happened in a run, or to a seat, gathered for somebody who was not there: a summary for reading and
//! a bundle with every event, task log and answer. Secrets are left out here; whoever writes it cuts known ones too.

mod in_cloud;
mod on_engine;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::{
    Homeroom, ServiceError, Site,
    runs::{Standing, standing},
};
use crate::{
    domain::{
        Change, Event, LabName, Level, MachineState, NodeName, Plan, Progress, RunId, SeatName, StepName, StepState,
        Vmid,
        progress::{SeatProgress, fold},
        readiness::{Hand, Stand, current_state},
        timing::Timing,
    },
    port::{
        cluster::Upid,
        store::{EventFilter, RunRow},
    },
};

/// What is reported on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    Run(RunId),
    Seat(LabName, SeatName),
}

/// A report, ready to be written.
pub struct Report {
    pub summary: String,
    pub bundle: Value,
    /// The run it is about, or the one that touched the seat last.
    pub run: RunRow,
}

/// Questions at once.
const AT_ONCE: usize = 4;
/// For one question: wall time.
const WITHIN: Duration = Duration::from_secs(10);
/// Task logs read at most.
const TASKS: usize = 200;
/// Settings that are never handed on.
const LEFT_OUT: [&str; 3] = ["cipassword", "sshkeys", "args"];

/// Gathers everything about a run, or about a seat and the run that touched it last. `speed` is that of the modelled
/// world: what is told of how long things took is in its seconds.
pub async fn report(home: &Homeroom, about: &About, speed: f64) -> Result<Report, ServiceError> {
    let (run, only) = match about {
        About::Run(run) => (*run, None),
        About::Seat(lab, seat) => {
            let (progress, _) = home.store.progress(lab).await?;
            home.definition(lab).await?;
            let row = progress.seat(seat).ok_or_else(|| ServiceError::NoSeat {
                lab: lab.clone(),
                seat: seat.clone(),
                known: progress.seats.iter().map(|row| row.seat.to_string()).collect(),
            })?;
            (row.run, Some(seat))
        }
    };
    let (row, plan) = home.store.run(run).await?;
    let filter = EventFilter { run: Some(run), ..EventFilter::default() };
    let all: Vec<Event> = home.store.events(&filter).await?.into_iter().map(|stored| stored.event).collect();
    let mut folded = Progress::new(row.lab.clone());
    all.iter().for_each(|event| fold(&mut folded, event));
    let wanted = |seat: Option<&SeatName>| only.is_none_or(|only| seat.is_none_or(|seat| seat == only));
    let events: Vec<&Event> = all.iter().filter(|event| wanted(event.seat.as_ref())).collect();
    let seats: Vec<&SeatProgress> = folded.seats.iter().filter(|seat| wanted(Some(&seat.seat))).collect();
    let timing = Timing::of(&all, Some(&plan));
    let held_up = timing.as_ref().and_then(|timing| timing.held_up_by(speed));
    let (logs, guests, versions) = if home.clouds.contains_key(&plan.site) {
        let (machines, versions) = in_cloud::look(home, &row.lab, &seats).await;
        (BTreeMap::new(), machines, versions)
    } else if let Some(engine) = home.engines.get(&plan.site) {
        let (machines, versions) = on_engine::look(home, engine, &row.lab, &seats).await;
        (BTreeMap::new(), machines, versions)
    } else {
        let site = home.site(&plan.site)?;
        futures_util::join!(task_logs(site, &events), guests(site, &seats, only.is_some()), versions(site))
    };
    let standing = standing(home, &row).await?;
    let state = standing.as_str();
    let hand = Hand::of(&folded, standing == Standing::UnderWay);
    let mut summary = String::new();
    let held_up = held_up.map(|words| words.to_string());
    head(&mut summary, &row, speed, state, &versions, held_up.as_deref());
    for seat in &seats {
        // As the run left it: how old that is by now says nothing of the run.
        let stand = current_state(seat, None, hand, home.clock.now(), Duration::MAX);
        tell_seat(&mut summary, seat, &stand, timing.as_ref(), speed);
    }
    tell_trouble(&mut summary, &events);
    let bundle = json!({
        "versions": versions, "state": state, "held_up_by": held_up,
        "run": {"id": row.id, "lab": row.lab, "kind": row.kind, "owner": row.owner,
                "started_at": row.started_at, "ended_at": row.ended_at, "seconds": row.took(speed).map(|t| t.as_secs_f64())},
        "plan": on_paper(&plan, json!(plan)), "seats": on_paper(&plan, json!(seats)), "events": events, "task_logs": logs, "machines": guests,
    });
    Ok(Report { summary, bundle, run: row })
}

/// What only machines of a Proxmox cluster have; of a workshop it would say nothing.
const OF_MACHINES: [&str; 14] = [
    "vmid",
    "source",
    "spec",
    "skipped_nodes",
    "memory_after",
    "estimate",
    "room",
    "rollcall",
    "order",
    "stagger",
    "pool",
    "fixes_drift",
    "host_keys",
    "upid",
];

/// A plan, or its rows, without what its kind of lab does not have.
fn on_paper(plan: &Plan, mut told: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                // What is there after all is told: an instance has host keys.
                let says = |value: &Value| !(value.is_null() || value.as_array().is_some_and(Vec::is_empty));
                fields.retain(|key, value| match key.as_str() {
                    "host_keys" => says(value),
                    key => !value.is_null() && !OF_MACHINES.contains(&key),
                });
                fields.values_mut().for_each(strip);
                // What only an instance has, where nothing of it is said.
                let says_nothing = |value: &Value| matches!(value, Value::Bool(false)) || !says(value);
                let none = |value: &Value| value.as_object().is_some_and(|it| it.values().all(says_nothing));
                fields.retain(|key, value| key != "gce" || !none(value));
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    if plan.workshop.is_some() {
        strip(&mut told);
    }
    told
}

fn head(out: &mut String, row: &RunRow, speed: f64, state: &str, versions: &Value, held_up: Option<&str>) {
    let took = row.took(speed).map(|took| format!(", {:.0} s", took.as_secs_f64())).unwrap_or_default();
    let away = match row.away.as_secs() {
        0 => String::new(),
        seconds => format!(" and {seconds} s of the wall's in which nobody carried it out"),
    };
    // Writing to a string does not fail.
    let _ = writeln!(out, "run {} of {}: {}, {state}{took}{away}", row.id, row.lab, row.kind.as_str());
    let _ = writeln!(out, "begun {} by {}", row.started_at, row.owner);
    let _ = writeln!(out, "homeroom {}; site {}", env!("CARGO_PKG_VERSION"), versions["site"]);
    if let Some(words) = held_up {
        let _ = writeln!(out, "held up by: {words}");
    }
    if speed != 1.0 {
        let _ = writeln!(out, "seconds are the simulated cluster's: {speed} in one of the wall's");
    }
}

fn tell_seat(out: &mut String, seat: &SeatProgress, stand: &Stand, timing: Option<&Timing>, speed: f64) {
    let vmid = seat.vmid.map(|vmid| format!("{vmid} ")).unwrap_or_default();
    let node = seat.node.as_ref().map(|node| format!("on {node}")).unwrap_or_default();
    let place = format!("{vmid}{node}");
    let place = if place.is_empty() { place } else { format!(" ({})", place.trim_end()) };
    let reason = stand.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let _ = writeln!(out, "\n{}{place} {}{reason}", seat.name, stand.word());
    let timed = timing.and_then(|timing| Some((timing, timing.seats.iter().find(|it| it.seat == seat.seat)?)));
    // What was only found done took no time, and what was not begun has nothing to tell.
    let told = seat.steps.iter().filter(|step| step.state != StepState::Waiting && !step.was_found());
    let mut told: Vec<_> = told.collect();
    // As they came: a restart begins with what ends a destroy.
    told.sort_by_key(|step| step.began_at.or(step.at));
    for step in told {
        let took = timed.map(|(timing, it)| timing.seconds(it, step.step, speed)).filter(|took| !took.is_zero());
        let took = took.map(|took| format!(" {:.1} s", took.as_secs_f64())).unwrap_or_default();
        let settled = timed.filter(|_| step.step == StepName::Agent).map(|(timing, it)| timing.settled(it, speed));
        let settled = settled.filter(|settled| !settled.is_zero());
        let settled = settled.map(|settled| format!(", settled {:.1} s", settled.as_secs_f64())).unwrap_or_default();
        let tries = if step.attempts > 1 { format!(", {} attempts", step.attempts) } else { String::new() };
        let _ = writeln!(out, "  {:<10} {}{took}{settled}{tries}", step.step.as_str(), step.state.as_str());
    }
}

fn tell_trouble(out: &mut String, events: &[&Event]) {
    let loud: Vec<_> = events.iter().filter(|event| event.level >= Level::Warning).collect();
    if loud.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nwarnings and errors");
    for event in loud {
        let seat = event.seat.as_ref().map(SeatName::as_str).unwrap_or_default();
        let step = event.step.map(|step| step.as_str()).unwrap_or_default();
        let _ = writeln!(out, "  {} {seat} {step} {}: {}", event.at, event.level, event.message);
    }
}

/// The logs of the tasks that the events name, as far as their nodes still have them.
async fn task_logs(site: &Site, events: &[&Event]) -> BTreeMap<String, Value> {
    let tasks: BTreeSet<String> = events
        .iter()
        .filter_map(|event| match &event.change {
            Change::TaskStarted { upid } => Some(upid.to_string()),
            _ => None,
        })
        .take(TASKS)
        .collect();
    let read = tasks.into_iter().map(|upid| async move {
        let asked = tokio::time::timeout(WITHIN, site.cluster.task_log(&Upid(upid.as_str().into()), 0)).await;
        let value = match asked {
            Ok(Ok(lines)) => json!(lines),
            Ok(Err(error)) => json!({ "error": error.to_string() }),
            Err(_) => json!({ "error": "no answer in time" }),
        };
        (upid, value)
    });
    stream::iter(read).buffered(AT_ONCE).collect().await
}

/// Settings, power and the agent's words of machines; agents are asked only of machines that are not ready, or of all.
async fn guests(site: &Site, seats: &[&SeatProgress], all: bool) -> BTreeMap<String, Value> {
    let machines: Vec<(String, NodeName, Vmid, bool)> = seats
        .iter()
        .filter_map(|row| {
            let ask = all || row.state != MachineState::Ready;
            Some((row.seat.to_string(), row.node.clone()?, row.vmid?, ask))
        })
        .collect();
    let read = machines.into_iter().map(|(seat, node, vmid, ask)| async move {
        let config = match tokio::time::timeout(WITHIN, site.cluster.config(&node, vmid)).await {
            Ok(Ok(config)) => {
                let shown = config.values.iter().filter(|(key, _)| !LEFT_OUT.contains(&key.as_str()));
                json!(shown.map(|(key, value)| (key.clone(), value.to_string())).collect::<BTreeMap<_, _>>())
            }
            Ok(Err(error)) => json!({ "error": error.to_string() }),
            Err(_) => json!({ "error": "no answer in time" }),
        };
        let power = match tokio::time::timeout(WITHIN, site.cluster.status(&node, vmid)).await {
            Ok(Ok(status)) => json!({"running": status.running, "uptime": status.uptime, "lock": status.lock}),
            _ => Value::Null,
        };
        let agent = if ask { agent(site, &node, vmid).await } else { Value::Null };
        (seat, json!({"node": node, "vmid": vmid, "config": config, "power": power, "agent": agent}))
    });
    stream::iter(read).buffered(AT_ONCE).collect().await
}

async fn agent(site: &Site, node: &NodeName, vmid: Vmid) -> Value {
    match tokio::time::timeout(WITHIN, site.agent_by_api.interfaces(node, vmid)).await {
        Ok(Ok(cards)) => {
            let cards: Vec<_> = cards
                .iter()
                .map(|card| json!({"name": card.name, "mac": card.mac, "addresses": card.addresses}))
                .collect();
            json!({ "interfaces": cards })
        }
        Ok(Err(error)) => json!({ "error": error.to_string() }),
        Err(_) => json!({ "error": "no answer in time" }),
    }
}

async fn versions(site: &Site) -> Value {
    let mut value = json!({"homeroom": env!("CARGO_PKG_VERSION"), "site": site.name});
    match tokio::time::timeout(WITHIN, site.cluster.view()).await {
        Ok(Ok(view)) => {
            value["proxmox"] = json!(view.version);
            value["quorate"] = json!(view.quorate);
            value["nodes"] = json!(view.nodes);
            value["storages"] = json!(view.storages);
        }
        Ok(Err(error)) => value["error"] = json!(error.to_string()),
        Err(_) => value["error"] = json!("no answer in time"),
    }
    value
}
