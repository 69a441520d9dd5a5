//! How long a deploy takes on the hand-moved clock, beside the least it could take.
//!
//! `cargo bench --bench deploy`. Modelled seconds, so that this computer's own speed does not count. `bound.rs` says
//! what the least is; the engine cannot see it. `HOMEROOM_BENCH_MACHINES=20` measures that many alone,
//! `HOMEROOM_BENCH_CASE=linked` the cases whose names have that in them, and `HOMEROOM_BENCH_STEPS=1` shows where the
//! time went, `HOMEROOM_BENCH_JOURNAL=1` every request with its millisecond.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench may fall over")]

mod bound;
#[path = "../../tests/it/hand/mod.rs"]
mod hand;
mod measure;

use bound::bound;
use hand::Disk;
use measure::CASES;

const SIZES: [u32; 5] = [1, 11, 20, 50, 200];

fn main() {
    println!(
        "{:<17} {:>8} | {:>7} {:>6} {:>5} | {:>9} {:>6} {:>5} | {:>6} {:>8} {:>7} {:>7} {:>7} {:>6}",
        "scenario",
        "machines",
        "seconds",
        "bound",
        "ratio",
        "no settle",
        "bound",
        "ratio",
        "polls",
        "/node/s",
        "reads",
        "writes",
        "asks",
        "plans",
    );
    let only: Option<u32> = std::env::var("HOMEROOM_BENCH_MACHINES").ok().and_then(|text| text.parse().ok());
    let like = std::env::var("HOMEROOM_BENCH_CASE").unwrap_or_default();
    let steps_too = std::env::var("HOMEROOM_BENCH_STEPS").is_ok();
    let journal_too = std::env::var("HOMEROOM_BENCH_JOURNAL").is_ok();
    for case in CASES.iter().filter(|case| case.name.contains(&like)) {
        let scenario = case.scenario();
        for machines in SIZES.into_iter().filter(|size| only.is_none_or(|only| only == *size)) {
            let least = bound(case, &scenario, machines);
            let settled = case.measure(&scenario, machines, true);
            let unsettled = case.measure(&scenario, machines, false);
            let (calls, each) = (settled.calls, |count: u64| count as f64 / f64::from(machines));
            println!(
                "{:<17} {machines:>8} | {:>7.1} {:>6.1} {:>5.2} | {:>9.1} {:>6.1} {:>5.2} | {:>6} {:>8.2} {:>7.2} {:>7.2} {:>7.2} {:>6}",
                case.name,
                settled.seconds,
                least.settled,
                settled.seconds / least.settled,
                unsettled.seconds,
                least.unsettled,
                unsettled.seconds / least.unsettled,
                calls.polls,
                calls.polls as f64 / f64::from(case.nodes) / settled.seconds,
                each(calls.reads),
                each(calls.writes),
                each(calls.asks),
                calls.plans,
            );
            if steps_too {
                steps(&settled.house.disk);
            }
            if journal_too {
                settled.house.stage.journal().iter().for_each(|line| println!("    {line}"));
            }
        }
    }
    println!(
        "\npolls: lists of tasks and tasks that left them, in all, and for each node and second; reads, writes, asks: for \
         each machine; plans: what was read of templates to make the plans, in all"
    );
}

/// Where the time went: for each step when the first began and the last ended, and how long it took on average.
fn steps(disk: &Disk) {
    use homeroom::domain::Change;
    use std::collections::BTreeMap;
    let told = disk.told();
    let start = told.first().unwrap().at;
    let since = |at: jiff::Timestamp| at.duration_since(start).as_secs_f64();
    let mut table: BTreeMap<String, (f64, f64, f64, u32, u32)> = BTreeMap::new();
    for event in &told {
        let Some(step) = event.step else { continue };
        let row = table.entry(format!("{step:?}")).or_insert((f64::MAX, 0.0, 0.0, 0, 0));
        match &event.change {
            Change::StepStarted { .. } => row.0 = row.0.min(since(event.at)),
            Change::StepRetry { .. } => row.4 += 1,
            Change::StepDone { took } => {
                row.1 = row.1.max(since(event.at));
                row.2 += took.as_secs_f64();
                row.3 += 1;
            }
            _ => {}
        }
    }
    for (step, (first, last, sum, count, retries)) in table {
        let mean = sum / f64::from(count.max(1));
        println!("    {step:<10} first begins {first:6.1}, last ends {last:6.1}, mean {mean:6.1}, retries {retries}");
    }
}
