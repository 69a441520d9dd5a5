//! `/metrics` in Prometheus' text format: how workshops stand, and what was asked of this server.
//!
//! Sites are looked at once in a while, however often it is asked.

use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::Shared;
use crate::{
    domain::{
        MachineState, Role,
        readiness::{Cut, LabState},
    },
    service::{
        ServiceError,
        runs::standing,
        status::{LabStatus, Marks, all_status},
    },
};

/// A look at the sites serves so long.
const FRESH: Duration = Duration::from_secs(5);
/// Runs counted: the store keeps no more of a lab.
const RUNS: u32 = 10_000;

/// What came of requests to join.
#[derive(Debug, Default)]
pub struct Counts {
    pub joined: AtomicU64,
    pub again: AtomicU64,
    pub refused: AtomicU64,
    pub unknown: AtomicU64,
    pub slowed: AtomicU64,
    pub failed: AtomicU64,
}

impl Counts {
    fn rows(&self) -> [(&'static str, u64); 6] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("joined", read(&self.joined)),
            ("again", read(&self.again)),
            ("refused", read(&self.refused)),
            ("unknown", read(&self.unknown)),
            ("slowed", read(&self.slowed)),
            ("failed", read(&self.failed)),
        ]
    }
}

/// Everything there is to count.
pub async fn metrics(shared: &Shared) -> Result<String, ServiceError> {
    let mut looked = shared.looked.lock().await;
    let labs = match looked.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
        Some((_, text)) => text.clone(),
        None => {
            let text = look(shared).await?;
            *looked = Some((Instant::now(), text.clone()));
            text
        }
    };
    let mut out = Text(labs);
    out.head("homeroom_join_requests_total", "counter", "Requests to join, by what came of them.");
    for (result, count) in shared.counts.rows() {
        out.row("homeroom_join_requests_total", &[("result", result)], count as f64);
    }
    Ok(out.0)
}

async fn look(shared: &Shared) -> Result<String, ServiceError> {
    let labs = all_status(&shared.home, None, Marks::Unread).await?;
    let workshops: Vec<&LabStatus> = labs.iter().filter(|lab| lab.kind == "workshop").collect();
    let mut out = Text(String::new());
    out.head("homeroom_seats", "gauge", "Seats of a workshop, by state.");
    for lab in &workshops {
        let seats = || lab.machines.iter().filter(|row| row.role == Role::Seat);
        // As every screen calls them.
        let cuts = [Cut::Interrupted, Cut::Cancelled].map(Cut::as_str);
        for word in MachineState::ALL.map(MachineState::as_str).into_iter().chain(cuts) {
            let count = seats().filter(|row| row.word() == word).count();
            out.of_lab("homeroom_seats", lab, &[("state", word)], count as f64);
        }
    }
    out.head("homeroom_joined", "gauge", "Seats of a workshop that somebody has.");
    for lab in &workshops {
        let joined = lab.machines.iter().filter(|row| row.person.is_some()).count();
        out.of_lab("homeroom_joined", lab, &[], joined as f64);
    }
    out.head("homeroom_healthy", "gauge", "1 where every seat of a workshop is proven.");
    for lab in &workshops {
        out.of_lab("homeroom_healthy", lab, &[], f64::from(u8::from(lab.state == LabState::Ready)));
    }
    out.head("homeroom_site_seen", "gauge", "1 where the site of a workshop answered.");
    for lab in &workshops {
        out.of_lab("homeroom_site_seen", lab, &[], f64::from(u8::from(lab.blind.is_none())));
    }
    out.head("homeroom_seconds_left", "gauge", "Seconds until a workshop ends; 0 once it is past its end.");
    for (lab, life) in workshops.iter().filter_map(|lab| Some((lab, lab.life.as_ref()?))) {
        out.of_lab("homeroom_seconds_left", lab, &[], life.left.as_secs_f64().round());
    }
    out.head("homeroom_cost", "gauge", "What a workshop has cost so far.");
    for (lab, life) in workshops.iter().filter_map(|lab| Some((lab, lab.life.as_ref()?))) {
        out.of_lab("homeroom_cost", lab, &[("currency", life.currency.as_str())], life.cost);
    }
    out.head("homeroom_runs", "gauge", "Runs kept in the store, by kind and state.");
    let mut counts = std::collections::BTreeMap::new();
    for run in shared.home.store.runs(None, RUNS).await? {
        // One whose process died is not under way, whatever was written down last.
        let state = standing(&shared.home, &run).await?.as_str();
        *counts.entry((run.kind.as_str(), state)).or_insert(0u32) += 1;
    }
    for ((kind, state), count) in counts {
        out.row("homeroom_runs", &[("kind", kind), ("state", state)], f64::from(count));
    }
    Ok(out.0)
}

struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn of_lab(&mut self, name: &str, lab: &LabStatus, more: &[(&str, &str)], value: f64) {
        let labels = [&[("lab", lab.lab.as_str()), ("site", lab.site.as_str())], more].concat();
        self.row(name, &labels, value);
    }

    fn row(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
        let _ = writeln!(self.0, "{name}{{{}}} {value}", labels.join(","));
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
