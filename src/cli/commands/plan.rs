//! `plan`: what deploy would do, as people read it and as programs do.

use serde_json::{Value, json};

use super::Context;
use crate::{
    cli::{
        exit::{CliError, Exit},
        output::Output,
    },
    domain::{
        Plan,
        event::RunKind,
        plan::{Consent, SeatPlan, Verb},
        size::Size,
    },
    service::plan::{Asked, plan_deploy_with},
};

/// What `--detailed-exitcode` ends with where something would change, as Terraform's does.
const WOULD_CHANGE: u8 = 2;

/// `detailed`: the exit code tells whether something would change, so that no error may end in the same. Drift is
/// left as it is unless that is asked for, so by itself it changes nothing.
pub async fn plan(context: &Context, name: &str, detailed: bool, asked: Asked) -> Result<Exit, CliError> {
    let planned = match context.lab(name).await {
        Ok(lab) => plan_deploy_with(&context.home, &lab, asked, None).await.map_err(CliError::from),
        Err(error) => Err(error),
    };
    let planned = match planned {
        Err(error) if detailed => return Err(CliError::Unplanned(Box::new(error))),
        planned => planned?,
    };
    show(context.out, &planned.plan);
    Ok(match detailed {
        true if !planned.plan.is_empty() => Exit::Command(WOULD_CHANGE),
        true if planned.plan.count(Verb::Leave) > 0 => Exit::NotReady,
        _ => Exit::Done,
    })
}

/// Prints a plan.
pub fn show(out: Output, plan: &Plan) {
    if out.json {
        out.object(to_json(plan));
        return;
    }
    let counts = plan.counts().into_iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>();
    let left = plan.count(Verb::Leave);
    let drifted = plan.drifted().count();
    if plan.is_empty() && left > 0 {
        out.line(format!(
            "{} {} on {}: nothing can be done, {left} left alone",
            plan.kind.as_str(),
            plan.lab,
            plan.site
        ));
    } else if plan.is_empty() && plan.kind == RunKind::Deploy && drifted > 0 {
        let of = plan.seats.len();
        out.line(format!("{}: nothing to do, {drifted} of {of} machines were changed by someone else", plan.lab));
    } else if plan.is_empty() && plan.kind == RunKind::Deploy {
        let stand = match plan.seats.len() {
            1 => "1 machine stands".to_owned(),
            n => format!("{n} machines stand"),
        };
        out.line(format!("{}: nothing to do, {stand} as defined", plan.lab));
    } else if plan.is_empty() && plan.kind.removes() {
        out.line(format!("{}: nothing to do, it has no machines", plan.lab));
    } else if plan.is_empty() {
        out.line(format!("{}: nothing to do", plan.lab));
    } else {
        out.line(format!("{} {} on {}: {}", plan.kind.as_str(), plan.lab, plan.site, counts.join(", ")));
    }
    let tells = |seat: &&SeatPlan| seat.verb.acts() || seat.verb == Verb::Leave || !seat.changes.is_empty();
    let shown: Vec<_> = plan.seats.iter().filter(tells).collect();
    if !shown.is_empty() {
        let rows = shown.iter().map(|seat| row(seat));
        if plan.workshop.is_some() {
            // Its rows have no numbers, and are cloned from nothing.
            let rows: Vec<_> = rows.map(|[seat, verb, node, _, _, why]| [seat, verb, node, why]).collect();
            out.table(["  SEAT", "DO", "NODE", "WHY"], &rows);
        } else {
            out.table(["  SEAT", "DO", "NODE", "VMID", "FROM", "WHY"], &rows.collect::<Vec<_>>());
        }
    }
    for seat in &shown {
        for change in &seat.changes {
            let by = match (change.drift, plan.fixes_drift || plan.kind != RunKind::Deploy, &change.was) {
                (true, false, _) => "  (changed by someone else; left so)".to_owned(),
                (true, true, _) => "  (changed by someone else)".to_owned(),
                (false, _, Some(was)) => format!("  (someone else had changed it from {was} to {})", change.from),
                (false, _, None) => String::new(),
            };
            let (from, to) = change.shown();
            out.line(format!("    {} {}: {from} -> {to}{by}", seat.seat, change.field));
        }
    }
    if drifted > 0 && plan.kind == RunKind::Deploy && !plan.fixes_drift {
        let of = if drifted == 1 { "1 machine".to_owned() } else { format!("{drifted} machines") };
        out.line(format!("  {of} changed by someone else: `homeroom deploy {} --fix-drift` puts that right", plan.lab));
    }
    for (node, why) in &plan.skipped_nodes {
        out.line(format!("  {node} skipped: {why}"));
    }
    for note in &plan.notes {
        out.line(format!("  note: {note}"));
    }
    let cost = cost(plan);
    if plan.kind.makes() && !plan.is_empty() && !cost.trim().is_empty() {
        out.line(format!("  {cost}"));
    }
}

/// What has to be added to `--yes` for a plan to be carried out as it is.
pub fn flags(plan: &Plan) -> String {
    let refused = plan.refused(Consent::default());
    let needs = |verb: Verb| refused.iter().any(|seat| seat.verb == verb);
    [
        (plan.fixes_drift, "--fix-drift"),
        (needs(Verb::Restart), "--allow-restart"),
        (needs(Verb::Replace), "--allow-replace"),
        (needs(Verb::Remove), "--allow-remove"),
        (plan.rebuilds.as_ref().is_some_and(|asked| asked.abandon), "--abandon-old"),
    ]
    .into_iter()
    .filter(|(needed, _)| *needed)
    .map(|(_, flag)| format!(" {flag}"))
    .collect()
}

fn row(seat: &SeatPlan) -> [String; 6] {
    let from = seat.source.as_ref().map_or_else(String::new, |source| {
        format!(
            "{} {} on {}",
            if source.linked { "linked" } else { "full" },
            source.template_name,
            source.limit_storage
        )
    });
    [
        format!("{} {}", seat.verb.sign(), seat.seat),
        seat.word().to_owned(),
        seat.node.to_string(),
        seat.vmid.map(|id| id.to_string()).unwrap_or_default(),
        from,
        seat.reason(),
    ]
}

/// Time, room and memory: `about 25 s, 0.4 GiB on fast; memory after: pve1 79 %`.
fn cost(plan: &Plan) -> String {
    let mut parts = Vec::new();
    if let Some(estimate) = plan.estimate {
        parts.push(format!("about {} s", estimate.as_secs()));
    }
    parts.extend(plan.room.iter().map(|(storage, bytes)| format!("{} on {storage}", Size(*bytes).human())));
    let memory: Vec<_> =
        plan.memory_after.iter().map(|(node, share)| format!("{node} {:.0} %", share * 100.0)).collect();
    if memory.is_empty() {
        parts.join(", ")
    } else {
        format!("{}; memory after: {}", parts.join(", "), memory.join(", "))
    }
}

pub fn to_json(plan: &Plan) -> Value {
    let seats: Vec<_> = plan
        .seats
        .iter()
        .map(|seat| {
            json!({
                "seat": seat.seat, "role": seat.role, "verb": seat.verb, "word": seat.word(), "name": seat.name,
                "node": seat.node, "vmid": seat.vmid, "why": seat.why, "person": seat.person,
                "clone": seat.source.as_ref().map(|s| if s.linked { "linked" } else { "full" }),
                "template": seat.source.as_ref().map(|s| s.template),
                "storage": seat.source.as_ref().map(|s| s.limit_storage.clone()),
                "changes": seat.changes, "steps": seat.steps,
            })
        })
        .collect();
    let count = |verbs: &[Verb]| verbs.iter().map(|verb| plan.count(*verb)).sum::<usize>();
    let mut value = json!({
        "lab": plan.lab, "site": plan.site, "kind": plan.kind, "drifted": plan.drifted().count(),
        "create": count(&[Verb::Create, Verb::Resume]),
        // What of a seat goes is no seat that goes.
        "change": count(&[Verb::Update, Verb::Restart, Verb::Replace]) + plan.reduced(),
        "remove": plan.removals(),
        "prove": count(&[Verb::Prove]),
        "seats": seats,
        "skipped_nodes": plan.skipped_nodes.iter().map(|(node, why)| json!({"node": node, "why": why})).collect::<Vec<_>>(),
        "notes": plan.notes,
        "estimate_seconds": plan.estimate.map(|e| e.as_secs()),
        "room": plan.room.iter().map(|(storage, bytes)| json!({"storage": storage, "bytes": bytes})).collect::<Vec<_>>(),
    });
    if let Some(workshop) = &plan.workshop {
        value["workshop"] = json!({
            "port": workshop.proxy.port, "name": workshop.proxy.name,
            "ends_after_seconds": workshop.ends_after.as_secs(), "max_life_seconds": workshop.max_life.as_secs(),
        });
    }
    value
}
