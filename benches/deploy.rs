//! How long a deploy takes on the hand-moved clock, beside the least it could take.
//!
//! `cargo bench --bench deploy`. Modelled seconds, so that this computer's own speed does not count.
//! The bound is computed here, from the scenario alone; the engine cannot see it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench may fall over")]

#[path = "../tests/it/hand/mod.rs"]
mod hand;

use std::sync::Arc;

use hand::{Disk, Habit, House};
use homeroom::{
    domain::{Definition, LabName, class::ClassDefinition, event::RunState},
    service::deploy::{Outcome, Request, deploy},
    sim::{
        Scenario,
        scenario::{GuestSpec, PhysicsSpec},
    },
};

/// A cluster and a way of cloning on it.
struct Case {
    name: &'static str,
    template: &'static str,
    clone: &'static str,
    /// The storage the clones are written to.
    storage: &'static str,
    /// A template on every node.
    local: bool,
}

const CASES: [Case; 3] = [
    Case { name: "linked on shared", template: "ubuntu-22.04", clone: "linked", storage: "fast", local: false },
    Case { name: "full on shared", template: "debian-12", clone: "full", storage: "bulk", local: false },
    Case { name: "linked on local", template: "here", clone: "linked", storage: "local", local: true },
];
const SIZES: [u32; 5] = [1, 11, 20, 50, 200];
/// One class has at most so many seats: more machines are more classes, deployed at once.
const MOST: u32 = 50;

/// What every machine goes through one after the other, in seconds, however much hardware there is.
struct Single {
    clone: f64,
    settle_after_clone: f64,
    start: f64,
    boot: f64,
    proofs: f64,
    settle: f64,
}

impl Single {
    /// From the end of the clone to the first moment of the boot.
    fn before_boot(&self) -> f64 {
        self.settle_after_clone + self.start
    }

    /// From the end of the boot to ready. Settling runs beside the proofs.
    fn behind_boot(&self, settle: f64) -> f64 {
        self.proofs.max(self.settle + settle)
    }
}

/// The least time a deploy can take.
///
/// A run is as long as its most loaded resource is busy, plus the shortest way a machine has to go
/// before it first needs that resource and after it last did (somebody must be first and last there);
/// and never shorter than one machine alone. Busy times are work over capacity:
/// - storage: the allocation lock is held for the disk, and a quarter as long for the cloud-init
///   drive, one clone at a time; the copied bytes pass at the storage's bandwidth, shared by all of
///   them. The lock's time and the copies overlap with each other.
/// - processors: a boot is so many core-seconds and takes at most `boot_cores` at once; each question to
///   an agent burns `qm` core-seconds of the same cores. The storage hands machines over one by one, so in
///   the beginning there are fewer boots than cores: whatever the schedule, the work done by any moment is
///   at most that of all machines cloned by then, each at `boot_cores`, and at most that of all cores. This
///   holds of the cluster as a whole, and of the node with the most machines (which may at best have got the
///   first ones). Both count, and the boots alone (with the last machine's proofs behind them) as well as
///   boots and questions together.
///
/// Machines need the storage first and the processors last, so only what lies before the one and behind
/// the other may be added to it. No schedule can beat the largest of these sums.
fn bound(case: &Case, scenario: &Scenario, machines: u32) -> (f64, f64) {
    let physics = &scenario.physics;
    let storage = scenario.storages.iter().find(|storage| storage.id == case.storage).unwrap();
    let nodes = scenario.nodes.len() as u32;
    let cores = scenario.nodes.first().unwrap().cores as f64;
    let template = scenario.guests.iter().find(|guest| guest.template && guest.name == case.template).unwrap();
    let copied = if case.clone == "full" { template.used_mib as f64 } else { 0.0 };
    let single = single(physics, storage.allocate_seconds, copied / storage.bandwidth_mib);

    // Where each node has a storage of its own, each works through its share.
    let sharers = if case.local { nodes } else { 1 };
    // The first clone has no copy going on beside its own allocation; the last has to be copied.
    let first_copy = if copied > 0.0 { storage.allocate_seconds } else { 0.0 };
    let cloned = |place: u32| {
        let turns = f64::from(place / sharers + 1);
        let locked = turns * storage.allocate_seconds * 1.25;
        let copying = turns * copied / storage.bandwidth_mib;
        // Copies that share the bandwidth may all end together, but none before its own share has passed.
        locked.max(copying) + TASK + first_copy
    };
    let with = |settle: f64| {
        let behind = single.behind_boot(settle);
        let alone = single.clone + single.before_boot() + single.boot + behind;
        let storage_first = cloned(machines - 1) + single.before_boot() + single.boot + behind;
        let mut least = alone.max(storage_first);
        let begins = |place: u32| cloned(place) + single.before_boot();
        let per_node = machines.div_ceil(nodes);
        // The fullest node's machines, where storages are local, come from its own; else the first may all be its.
        let of_node = |place: u32| if case.local { begins(place * nodes) } else { begins(place) };
        for (count, capacity, begins) in [
            (machines, cores * f64::from(nodes), &begins as &dyn Fn(u32) -> f64),
            (per_node, cores, &of_node as &dyn Fn(u32) -> f64),
        ] {
            let starts: Vec<f64> = (0..count).map(begins).collect();
            let boot = physics.boot_seconds * physics.boot_cores;
            // Each question is a `qm` that takes `boot_cores` cores for its half second.
            let asks = QUESTIONS * physics.qm_seconds * physics.boot_cores;
            least = least.max(worked_off(&starts, physics.boot_cores, capacity, boot) + behind).max(worked_off(
                &starts,
                physics.boot_cores,
                capacity,
                boot + asks,
            ));
        }
        least
    };
    (with(SETTLE), with(0.0))
}

/// When machines that begin at `starts`, each with `work` core-seconds and at most `each` cores, can be through
/// with it on `capacity` cores at the earliest.
fn worked_off(starts: &[f64], each: f64, capacity: f64, work: f64) -> f64 {
    let mut left = work * starts.len() as f64;
    for (at, start) in starts.iter().enumerate() {
        let rate = capacity.min(each * (at + 1) as f64);
        let until = starts.get(at + 1).copied().unwrap_or(f64::INFINITY);
        if left <= rate * (until - start) {
            return start + left / rate;
        }
        left -= rate * (until - start);
    }
    f64::INFINITY
}

/// A task's own moments: its worker starts, the lock's file is written, the last write of a clone.
const TASK: f64 = 0.1;
/// Questions that no machine can be proven without: its address, one command that tells everything
/// else, and a last sign of life at the end of the settling. That makes three answers in a row.
const QUESTIONS: f64 = 3.0;
/// From the first answer to the last.
const SETTLE: f64 = 5.0;
/// An agent's answer, once `qm` runs.
const ANSWER: f64 = 0.09;
/// A key login.
const LOGIN: f64 = 0.15;

fn single(physics: &PhysicsSpec, allocate: f64, copy: f64) -> Single {
    // The address is told at the earliest when it is there; `qm` may have begun before. The command's own `qm`
    // follows, and can say that cloud-init is through no sooner than it is.
    let address = physics.address_seconds + ANSWER;
    let command = (address + physics.qm_seconds).max(physics.cloud_init_seconds) + ANSWER;
    Single {
        clone: allocate * 1.25 + copy + TASK,
        // Proxmox needs these two seconds to put a clone's configuration away.
        settle_after_clone: 2.0,
        start: physics.start_seconds + 0.04,
        boot: physics.boot_seconds,
        proofs: command + LOGIN,
        settle: address,
    }
}

fn scenario(case: &Case) -> Scenario {
    let mut scenario = Scenario::default_world().unwrap();
    scenario.guests.retain(|guest| guest.template);
    // Two hundred machines of 2 GiB fit.
    scenario.nodes.iter_mut().for_each(|node| node.memory_gib = 256);
    if case.local {
        let pattern = scenario.guests.first().unwrap().clone();
        for (at, node) in scenario.nodes.iter().enumerate() {
            scenario.guests.push(GuestSpec {
                vmid: 9010 + at as u32,
                name: case.template.to_owned(),
                node: node.name.clone(),
                storage: Some("local".to_owned()),
                ..pattern.clone()
            });
        }
    }
    scenario
}

fn class(case: &Case, name: &str, seats: u32) -> ClassDefinition {
    let toml = format!(
        "kind = \"class\"\nname = \"{name}\"\nsite = \"sim\"\ntemplate = \"{}\"\nclone = \"{}\"\ncount = {seats}\n\
         teacher = false\n[cloud_init]\nuser = \"student\"\n",
        case.template, case.clone
    );
    let parsed = homeroom::config::definition::parse(&toml, "bench", std::path::Path::new("/"), None).unwrap();
    let Definition::Class(class) = parsed else { panic!("no class") };
    class
}

/// Modelled seconds of the deploy, and what was asked.
fn measure(case: &Case, scenario: &Scenario, machines: u32, settle: bool) -> (f64, hand::Calls) {
    let house = House::new(scenario, 7, Habit::Good, Disk::new(false));
    let mut labs = Vec::new();
    let mut left = machines;
    while left > 0 {
        let name = format!("c{}", labs.len());
        let mut class = class(case, &name, left.min(MOST));
        if !settle {
            class.rollcall.settle = std::time::Duration::ZERO;
        }
        // Classes deployed at once take their numbers from ranges of their own.
        let first = 9100 + 60 * labs.len();
        class.placement.vmids = format!("{first}-{}", first + 59).parse().ok();
        house.put(&Definition::Class(class));
        labs.push(LabName::new(name).unwrap());
        left -= left.min(MOST);
    }
    let home = house.homeroom();
    let began = house.stage.now_ms();
    let ends = house.stage.live(None, async {
        let mut runs = Vec::new();
        for lab in &labs {
            match deploy(&home, lab, &Request::default()).await.unwrap() {
                Outcome::Begun(handle) => runs.push(handle.ended),
                Outcome::NothingToDo(_) => panic!("nothing to do"),
            }
        }
        let mut ends = Vec::new();
        for run in runs {
            ends.push(run.await.unwrap().unwrap());
        }
        ends
    });
    if ends.as_ref().is_ok_and(|ends| ends.iter().any(|end| *end != RunState::Done)) {
        for event in house.disk.told().iter().filter(|event| event.level == homeroom::domain::Level::Error).take(3) {
            println!("  {:?} {:?}: {}", event.seat, event.step, event.message);
        }
    }
    if std::env::var("HOMEROOM_BENCH_STEPS").is_ok() {
        steps(&house.disk);
    }
    ((house.stage.now_ms() - began) as f64 / 1000.0, house.stage.calls())
}

/// Where the time went: for each step when the first began and the last ended, and how long it took on average.
fn steps(disk: &Arc<Disk>) {
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

fn main() {
    println!(
        "{:<17} {:>8} {:>9} {:>8} {:>6} {:>9} {:>8} {:>6} {:>7} {:>7} {:>7} {:>7}",
        "scenario",
        "machines",
        "seconds",
        "bound",
        "ratio",
        "no settle",
        "bound",
        "ratio",
        "polls",
        "reads",
        "writes",
        "asks"
    );
    let only: Option<u32> = std::env::var("HOMEROOM_BENCH_MACHINES").ok().and_then(|text| text.parse().ok());
    for case in &CASES {
        let scenario = scenario(case);
        for machines in SIZES.into_iter().filter(|size| only.is_none_or(|only| only == *size)) {
            let (bound_with, bound_without) = bound(case, &scenario, machines);
            let (with, calls) = measure(case, &scenario, machines, true);
            let (without, _) = measure(case, &scenario, machines, false);
            let each = |count: u64| count as f64 / f64::from(machines);
            println!(
                "{:<17} {machines:>8} {with:>9.1} {bound_with:>8.1} {:>6.2} {without:>9.1} {bound_without:>8.1} {:>6.2} {:>7.1} {:>7.1} {:>7.1} {:>7.1}",
                case.name,
                with / bound_with,
                without / bound_without,
                each(calls.polls),
                each(calls.reads),
                each(calls.writes),
                each(calls.asks),
            );
        }
    }
}
