//! `status` and `machines`: what stands, what is proven, and since when.

use serde_json::{Value, json};

use super::Context;
use crate::{
    cli::{
        exit::{CliError, Exit},
        output::{age, local_time, time},
    },
    domain::{MachineState, Role, SiteName, StepState, progress::StepProgress, readiness::LabState},
    service::{
        ServiceError,
        cloud::{Costing, Left, all_costing},
        ends::plain,
        status::{LabStatus, LifeStatus, MachineStatus, Marks, all_status, lab_status},
        strays::{Found, strays},
    },
};

/// `status [LAB]`. A lab that is not ready ends in exit code 3.
pub async fn status(context: &Context, name: Option<&str>) -> Result<Exit, CliError> {
    let Some(name) = name else { return overview(context).await };
    let status = lab_status(&context.home, &context.lab(name).await?).await?;
    if context.out.json {
        context.out.object(lab_json(&status));
    } else {
        show(context, &status);
    }
    Ok(if status.state == LabState::Ready { Exit::Done } else { Exit::NotReady })
}

fn show(context: &Context, status: &LabStatus) {
    let out = context.out;
    let (ready, all) = ready(status);
    out.line(format!(
        "{}  {} on {}  {}  {ready} of {all} ready",
        status.lab,
        status.kind,
        status.site,
        status.phase.word()
    ));
    if let Some(life) = &status.life {
        out.line(life_line(life));
    }
    if let Some(holder) = &status.held_by {
        out.line(format!("at work: {holder}"));
    }
    if let Some(why) = &status.blind {
        out.line(format!("the site cannot be seen, so what was ready last is unknown: {why}"));
    }
    if let Some(address) = &status.address {
        out.line(format!("reached at {address}/"));
    }
    if let Some((_, words)) = &status.renewal {
        out.line(words);
    }
    let now = context.home.clock.now();
    let mut rows: Vec<_> = status.machines.iter().map(|m| row(m, now)).collect();
    // What befell the machine that carries all seats is told once.
    let host = status.machines.iter().find(|machine| machine.role == Role::Host);
    if let Some(why) = host.and_then(|host| host.reason.as_ref()) {
        let same = status
            .machines
            .iter()
            .zip(&mut rows)
            .filter(|(m, _)| m.role == Role::Seat && m.reason.as_ref() == Some(why));
        for (_, row) in same {
            row[6] = "as its host".to_owned();
        }
    }
    // The seats of a workshop have no numbers, and people.
    let (number, rows) = match status.kind {
        "workshop" => {
            let base = status.address.as_deref();
            ("WHO", rows.into_iter().zip(&status.machines).map(|(row, m)| with_person(row, m, base)).collect())
        }
        _ => ("VMID", rows),
    };
    out.table(["SEAT", "STATE", "NODE", number, "ADDRESS", "PROVEN", "REASON"], &rows);
}

/// How many seats are ready, and of how many; what carries a workshop's seats is none.
fn ready(status: &LabStatus) -> (usize, usize) {
    let seats = || status.machines.iter().filter(|machine| machine.role != Role::Host);
    (seats().filter(|machine| machine.state == MachineState::Ready).count(), seats().count())
}

/// `base`: where the workshop is reached; a seat is behind its number.
fn with_person(row: [String; 7], machine: &MachineStatus, base: Option<&str>) -> [String; 7] {
    let [seat, state, node, _, ip, proven, reason] = row;
    let address = match (base, machine.seat.number()) {
        (Some(_), Some(number)) => format!("/vm/{number}/"),
        (Some(base), None) => base.to_owned(),
        (None, _) => ip,
    };
    let who = machine.person.as_ref().map(ToString::to_string).unwrap_or_default();
    [seat, state, node, who, address, proven, reason]
}

fn life_line(life: &LifeStatus) -> String {
    let end = match life.over {
        _ if life.unborn => "its time begins with the first thing of it that stands".to_owned(),
        true => format!("past its end since {}", local_time(life.ends_at)),
        false => format!("ends at {} (in {})", local_time(life.ends_at), plain(life.left)),
    };
    let end = match &life.hindered {
        Some(why) => format!("{end}, and could not be ended: {why}"),
        None => end,
    };
    let cost = match life.cost > 0.0 {
        true => format!("  cost so far {:.2} {}", life.cost, life.currency),
        false => String::new(),
    };
    format!("code {}  {end}{}", life.code, cost.trim_end())
}

fn row(machine: &MachineStatus, now: jiff::Timestamp) -> [String; 7] {
    [
        machine.seat.to_string(),
        machine.word().to_owned(),
        machine.node.as_ref().map(ToString::to_string).unwrap_or_default(),
        machine.vmid.map(|id| id.to_string()).unwrap_or_default(),
        machine.ip.map(|ip| ip.to_string()).unwrap_or_default(),
        machine.proven_at.map(|at| format!("{} ago", age(at, now))).unwrap_or_default(),
        machine.reason.as_ref().map(ToString::to_string).unwrap_or_default(),
    ]
}

async fn overview(context: &Context) -> Result<Exit, CliError> {
    let labs = all_status(&context.home, context.site.as_ref(), Marks::Read).await?;
    // An engine that does not answer is told of at its labs.
    let strays: Vec<Found> = strays(&context.home, context.site.as_ref())
        .await?
        .into_iter()
        .flat_map(|(_, found)| found)
        .flatten()
        .collect();
    let costing = all_costing(&context.home, context.site.as_ref()).await;
    let unseen: Vec<(SiteName, String)> = costing.iter().filter_map(unseen).collect();
    let costing: Vec<(SiteName, Costing)> = costing
        .into_iter()
        .flat_map(|(site, left)| left.into_iter().flat_map(|it| it.found).map(move |it| (site.clone(), it)))
        .collect();
    let currency = |site: &SiteName| {
        let prices = context.home.clouds.get(site).and_then(|cloud| cloud.prices.as_ref());
        prices.map(|prices| prices.currency.clone()).unwrap_or_default()
    };
    if context.out.json {
        let costing = costing.iter().map(|(site, it)| costing_json(site, it, &currency(site)));
        context.out.object(json!({
            "labs": labs.iter().map(lab_json).collect::<Vec<_>>(),
            "strays": strays.iter().map(stray_json).chain(costing).collect::<Vec<_>>(),
            "unseen": unseen.iter().map(|(site, why)| json!({"site": site, "why": why})).collect::<Vec<_>>(),
        }));
        return Ok(Exit::Done);
    }
    for found in &strays {
        eprintln!("on {}: {}; {}", found.site, found.what(), found.mend());
    }
    for (site, it) in &costing {
        eprintln!("on {site}: {}; {}", it.words(&currency(site)), it.mend);
    }
    for (site, why) in &unseen {
        eprintln!("on {site}: {why}");
    }
    for (_, words) in labs.iter().filter_map(|status| status.renewal.as_ref()) {
        eprintln!("{words}");
    }
    if labs.is_empty() {
        context.out.nothing("no lab is defined; `homeroom apply -f FILE` stores one");
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = labs
        .iter()
        .map(|status| {
            let (ready, all) = ready(status);
            let of = |state| status.machines.iter().find(|machine| machine.state == state);
            let worst = [
                MachineState::Failed,
                MachineState::Unknown,
                MachineState::Gone,
                MachineState::Stopped,
                MachineState::Stale,
            ]
            .into_iter()
            .find_map(of);
            [
                status.lab.to_string(),
                status.kind.to_owned(),
                status.site.to_string(),
                status.phase.word().to_owned(),
                format!("{ready}/{all}"),
                worst
                    // Of what is not seen, why not says more.
                    .filter(|m| m.state != MachineState::Unknown || status.blind.is_none())
                    .map(|m| {
                        format!(
                            "{} {}: {}",
                            m.seat,
                            m.word(),
                            m.reason.as_ref().map(ToString::to_string).unwrap_or_default()
                        )
                    })
                    .or_else(|| status.blind.clone())
                    .unwrap_or_default(),
            ]
        })
        .collect();
    context.out.table(["LAB", "KIND", "SITE", "STATE", "READY", "WORST"], &rows);
    Ok(Exit::Done)
}

/// Why not all that may cost money in a project is known.
fn unseen((site, left): &(SiteName, Result<Left, ServiceError>)) -> Option<(SiteName, String)> {
    let why = match left {
        Ok(left) => left.unseen.clone()?,
        Err(error) => format!("what homeroom made there, and what it costs, is not known: {error}"),
    };
    Some((site.clone(), why))
}

fn costing_json(site: &SiteName, it: &Costing, currency: &str) -> Value {
    json!({"site": site, "kind": it.what, "name": it.name, "lab": it.lab, "what": it.words(currency), "mend": it.mend,
           "zone": it.zone, "per_hour": it.per_hour, "currency": currency})
}

fn stray_json(found: &Found) -> Value {
    json!({"site": found.site, "kind": found.stray.what, "name": found.stray.name, "lab": found.stray.lab,
           "things": found.stray.things, "what": found.what(), "mend": found.mend()})
}

/// `machines`: every machine of every lab, one a line.
pub async fn machines(context: &Context) -> Result<Exit, CliError> {
    let labs = all_status(&context.home, context.site.as_ref(), Marks::Read).await?;
    let made = |machine: &&MachineStatus| machine.vmid.is_some() || machine.steps.iter().any(|step| step.attempts > 0);
    if context.out.json {
        let machines: Vec<_> = labs
            .iter()
            .flat_map(|status| {
                status.machines.iter().filter(made).map(|machine| {
                    let mut value = machine_json(machine);
                    value["lab"] = json!(status.lab);
                    value
                })
            })
            .collect();
        context.out.object(json!({ "machines": machines }));
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = labs
        .iter()
        .flat_map(|status| {
            status.machines.iter().filter(made).map(|m| {
                [
                    status.lab.to_string(),
                    m.seat.to_string(),
                    m.name.clone(),
                    m.node.as_ref().map(ToString::to_string).unwrap_or_default(),
                    m.vmid.map(|id| id.to_string()).unwrap_or_default(),
                    m.word().to_owned(),
                    m.ip.map(|ip| ip.to_string()).unwrap_or_default(),
                    m.reason.as_ref().map(ToString::to_string).unwrap_or_default(),
                ]
            })
        })
        .collect();
    if rows.is_empty() {
        context.out.nothing("no lab has machines; `homeroom deploy LAB --yes` makes them");
        return Ok(Exit::Done);
    }
    context.out.table(["LAB", "SEAT", "NAME", "NODE", "VMID", "STATE", "ADDRESS", "REASON"], &rows);
    Ok(Exit::Done)
}

fn lab_json(status: &LabStatus) -> Value {
    let mut value = json!({
        "lab": status.lab, "kind": status.kind, "site": status.site, "state": status.state, "word": status.phase.word(),
        "held_by": status.held_by, "blind": status.blind,
        "renewal": status.renewal.as_ref().map(|(seats, _)| json!({"seats": seats})),
        "machines": status.machines.iter().map(machine_json).collect::<Vec<_>>(),
    });
    if status.kind == "workshop" {
        put_life(&mut value, status.life.as_ref());
        value["address"] = json!(status.address);
    }
    value
}

/// What only a workshop has; null before its first deploy.
pub(super) fn put_life(value: &mut Value, life: Option<&LifeStatus>) {
    value["code"] = json!(life.map(|life| &life.code));
    value["ends_at"] = json!(life.map(|life| time(life.ends_at)));
    value["seconds_left"] = json!(life.map(|life| life.left.as_secs()));
    value["end_hindered"] = json!(life.and_then(|life| life.hindered.as_ref()));
    value["cost"] = json!(life.map(|life| json!({"amount": cents(life.cost), "currency": life.currency})));
}

/// Its end, and what it has cost, as they stand in a table.
pub(super) fn end_and_cost(life: &LifeStatus) -> [String; 2] {
    let end = match life.over {
        _ if life.unborn => "not begun".to_owned(),
        true => format!("since {}", local_time(life.ends_at)),
        false => format!("in {}", plain(life.left)),
    };
    let cost = if life.cost > 0.0 { format!("{:.2} {}", life.cost, life.currency) } else { String::new() };
    [end, cost.trim_end().to_owned()]
}

fn cents(amount: f64) -> f64 {
    (amount * 100.0).round() / 100.0
}

fn machine_json(machine: &MachineStatus) -> Value {
    let mut value = json!({
        "seat": machine.seat, "role": machine.role, "name": machine.name, "site": machine.site,
        "node": machine.node, "vmid": machine.vmid, "state": machine.state, "word": machine.word(), "ip": machine.ip,
        "reason": machine.reason, "proven_at": machine.proven_at.map(time),
        "steps": machine.steps.iter().map(step_json).collect::<Vec<_>>(),
    });
    if let Some(person) = &machine.person {
        value["person"] = json!(person);
    }
    value
}

pub fn step_json(step: &StepProgress) -> Value {
    let state = if step.was_found() { StepState::Skipped } else { step.state };
    json!({
        "step": step.step, "state": state, "attempts": step.attempts,
        "seconds": step.took.map(|took| (took.as_secs_f64() * 100.0).round() / 100.0),
        "at": step.at.map(time),
    })
}
