//! The least time a deploy can take on given hardware, by what the scenario says of it.
//!
//! Computed from the scenario alone; neither the engine nor the simulated cluster knows of it. Whatever is left
//! out here makes the bound smaller, so that no deploy can be faster than it: a test holds every case to that.

use homeroom::sim::{Scenario, scenario::PhysicsSpec};

use super::measure::Case;

/// Seconds a deploy of so many machines takes at the least.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// With the five seconds for which an agent has to go on answering.
    pub settled: f64,
    /// Without.
    pub unsettled: f64,
}

/// A task's own moments: its worker is started, the lock's file is written, the last write of a clone.
const TASK: f64 = 0.1;
/// The worker of a start is started.
const WORKER: f64 = 0.04;
/// From a clone's end until its configuration is written: given, as it is in every engine's configuration.
const AFTER_CLONE: f64 = 2.0;
/// Answers in a row without which no machine is taken for up.
const QUESTIONS: f64 = 3.0;
/// From the first answer to the last, where it has to settle.
const SETTLE: f64 = 5.0;
/// An agent's answer, once `qm` runs.
const ANSWER: f64 = 0.09;
/// A key login, once the guest's SSH server listens.
const LOGIN: f64 = 0.15;

/// The least time a deploy can take.
///
/// A run is as long as its most loaded resource is busy, plus the shortest way a machine has to go before it
/// first needs that resource, plus the shortest way after it last did: somebody must be first there, and somebody
/// last. And no run is shorter than one machine alone. In detail:
///
/// - **One machine**: clone, the pause behind it, start, boot at full speed, and what lies behind the boot. That
///   is the longer of two things, which happen side by side: cloud-init's end and a login (the guest has its
///   address by then); or the agent's first answer, which it gives as soon as it is up, address or not, and its last
///   one the settling later.
/// - **Storage**: the allocation lock is held for the disk, and a quarter as long for the cloud-init drive, by one
///   clone at a time: `k` clones hold it `k` times as long. The bytes to copy pass at the storage's bandwidth, however
///   they share it: `k` copies have not ended before the bytes of `k` have passed, which begin to flow once the first
///   disk is allocated. Locks and copies may overlap, so the larger counts. Storages of nodes' own work side by
///   side, and at best equally much.
/// - **Processors, boots**: a boot is so many core-seconds and uses at most `boot_cores` at once. Machines come from
///   the storage one by one, so however the boots are ordered, the rate of all work at any moment is at most
///   `boot_cores` for each machine started by then, and at most all the cores. Its integral must reach the work of
///   all boots before the last of them can end; behind that end lies what lies behind every boot. The same holds
///   for the node with the most machines, which is at least the average: at best it got the first ones.
/// - **Processors, questions**: every question starts a `qm` on the machine's node, of so many core-seconds. None can
///   be answered before its guest is up, and a `qm` waits for nobody: it lasts what it takes and asks. So until just
///   before the first guest can be up, what is worked is boots alone, at the rate above; from then on questions may fill
///   any idle core. All boots and questions must be worked off, and the last question answered.
pub fn bound(case: &Case, scenario: &Scenario, machines: u32) -> Bound {
    Bound { settled: least(case, scenario, machines, SETTLE), unsettled: least(case, scenario, machines, 0.0) }
}

fn least(case: &Case, scenario: &Scenario, machines: u32, settle: f64) -> f64 {
    let physics = &scenario.physics;
    let clones = Clones::new(case, scenario);
    let nodes = scenario.nodes.len() as u32;
    let cores = scenario.nodes.iter().map(|node| node.cores as f64).fold(0.0, f64::max);
    let to_boot = AFTER_CLONE + WORKER + physics.start_seconds;
    let behind = behind_boot(physics, settle);

    // One machine alone is the first of these sums with one machine, too.
    let mut least = clones.ended(machines - 1) + to_boot + physics.boot_seconds + behind;
    let begins = |place: u32| clones.ended(place) + to_boot;
    // Where storages are nodes' own, a node's machines come one after the other from its own.
    let of_one_node = |place: u32| if case.local { begins(place * nodes) } else { begins(place) };
    let fullest = machines.div_ceil(nodes);
    for (count, cores, begins) in [
        (machines, cores * f64::from(nodes), &begins as &dyn Fn(u32) -> f64),
        (fullest, cores, &of_one_node as &dyn Fn(u32) -> f64),
    ] {
        let starts: Vec<f64> = (0..count).map(begins).collect();
        let boots = Work { starts: &starts, each: physics.boot_cores, cores };
        let boot = physics.boot_seconds * physics.boot_cores;
        let question = physics.qm_seconds * physics.boot_cores;
        let first_asked = starts.first().copied().unwrap_or_default() + physics.boot_seconds - physics.qm_seconds;
        least = least
            .max(boots.done(f64::from(count) * boot, f64::INFINITY) + behind)
            .max(boots.done(f64::from(count) * (boot + QUESTIONS * question), first_asked) + ANSWER);
    }
    least
}

/// From the end of a boot to ready.
fn behind_boot(physics: &PhysicsSpec, settle: f64) -> f64 {
    (physics.cloud_init_seconds.max(physics.address_seconds) + LOGIN).max(ANSWER + settle)
}

/// What clones need of their storage, in seconds of it.
struct Clones {
    lock: f64,
    copy: f64,
    /// Until the first byte can flow.
    first_byte: f64,
    /// Storages that share the clones.
    storages: u32,
}

impl Clones {
    fn new(case: &Case, scenario: &Scenario) -> Self {
        let known = "the case's storage and template are in its scenario";
        let storage = scenario.storages.iter().find(|storage| storage.id == case.storage).expect(known);
        let is_template = |guest: &&homeroom::sim::scenario::GuestSpec| guest.template && guest.name == case.template;
        let template = scenario.guests.iter().find(is_template).expect(known);
        let copied = if case.clone == "full" { template.used_mib as f64 } else { 0.0 };
        Self {
            lock: storage.allocate_seconds * 1.25,
            copy: copied / storage.bandwidth_mib,
            first_byte: if copied > 0.0 { storage.allocate_seconds } else { 0.0 },
            storages: if case.local { scenario.nodes.len() as u32 } else { 1 },
        }
    }

    /// When at the earliest so many clones and one more have ended.
    fn ended(&self, place: u32) -> f64 {
        let turns = f64::from(place / self.storages + 1);
        // One clone does both, one after the other; more of them overlap.
        let alone = self.lock + self.copy;
        (turns * self.lock).max(self.first_byte + turns * self.copy).max(alone) + TASK
    }
}

/// Work that comes in piece by piece, on so many cores.
struct Work<'a> {
    /// When each piece comes in, in order.
    starts: &'a [f64],
    /// Cores a piece can use at once.
    each: f64,
    cores: f64,
}

impl Work<'_> {
    /// When so many core-seconds are worked off at the earliest. From `free` on there is work for every core.
    fn done(&self, work: f64, free: f64) -> f64 {
        let mut left = work;
        let mut now = self.starts.first().copied().unwrap_or_default();
        let mut turns: Vec<f64> = self.starts.iter().copied().chain([free]).filter(|at| *at > now).collect();
        turns.sort_by(f64::total_cmp);
        for turn in turns.into_iter().chain([f64::INFINITY]) {
            let begun = self.starts.iter().filter(|start| **start <= now).count();
            let rate = if now >= free { self.cores } else { self.cores.min(self.each * begun as f64) };
            if left <= rate * (turn - now) {
                return now + left / rate;
            }
            left -= rate * (turn - now);
            now = turn;
        }
        now
    }
}
