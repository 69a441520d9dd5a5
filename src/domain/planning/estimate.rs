//! About how long a plan takes, from simple figures: good enough to say "about 25 s", never a promise.
//!
//! The busier of two decides: the storage, which makes machines one by one, or the node with the most to
//! boot, whose CPUs its machines share.

use std::{collections::BTreeMap, time::Duration};

use crate::domain::{
    NodeName, StepName,
    class::{Order, Profile, RollCall, Rollout},
    cluster::ClusterView,
    plan::{SeatPlan, Verb},
};

/// A linked clone holds a shared storage's lock so long, and one of a node's own.
const LINKED: [f64; 2] = [0.5, 0.15];
/// Bytes a second that a storage copies, shared by all clones on it.
const COPY_RATE: f64 = 200e6;
/// Of a template's disk, what is written and has to be copied: the rest is zeros.
const WRITTEN: f64 = 0.25;
/// From a clone's end to the boot: its settling, its settings, the start.
const BEFORE_BOOT: f64 = 3.5;
/// A boot with all the CPU it can use, until the guest has an address.
const BOOT: f64 = 14.0;
/// Core-seconds of a boot and of the questions to its agent.
const BOOT_CORES: f64 = 27.0;
/// A node whose CPUs are not known has so many.
const CPUS: u32 = 8;
/// Commands, comparison and a key login.
const PROOFS: f64 = 2.0;
/// A guest shuts down, or is removed.
const STOP: f64 = 5.0;
/// From the first answer to stable, in the strict profile.
const STRICT_SETTLE: f64 = 30.0;

/// `None` where there is nothing to do.
pub(super) fn estimate(
    seats: &[SeatPlan],
    view: &ClusterView,
    rollcall: &RollCall,
    rollout: &Rollout,
) -> Option<Duration> {
    reckon(seats, view, rollcall, rollout, WRITTEN)
}

/// The same if every disk is full to its last byte: for what must not take longer than was agreed to.
pub(super) fn at_worst(
    seats: &[SeatPlan],
    view: &ClusterView,
    rollcall: &RollCall,
    rollout: &Rollout,
) -> Option<Duration> {
    reckon(seats, view, rollcall, rollout, 1.0)
}

fn reckon(
    seats: &[SeatPlan],
    view: &ClusterView,
    rollcall: &RollCall,
    rollout: &Rollout,
    written: f64,
) -> Option<Duration> {
    let acting: Vec<Part> = seats.iter().filter(|seat| seat.verb.acts()).map(|seat| part(seat, rollcall)).collect();
    if acting.is_empty() {
        return None;
    }
    let (clones, first_clone) = clone_time(seats, written);
    let longest = |of: fn(&Part) -> f64| acting.iter().map(of).fold(0.0, f64::max);
    let sum = |of: fn(&Part) -> f64| acting.iter().map(of).sum::<f64>();
    let whole: fn(&Part) -> f64 = |part| part.stop + part.boot + part.proofs;
    let storage_first = clones + longest(whole);
    let node_last = first_clone + longest(|part| part.stop) + BEFORE_BOOT + boots(seats, view) + longest(|p| p.proofs);
    let together = storage_first.max(node_last);
    let seconds = match rollout.order {
        Order::Sequential => clones + sum(whole),
        _ if rollcall.profile == Profile::Strict => clones + longest(|part| part.boot) + sum(|p| p.stop + p.proofs),
        Order::Staggered => together.max(rollout.delay.as_secs_f64() * (acting.len() - 1) as f64 + longest(whole)),
        Order::Parallel => together,
    };
    Some(Duration::from_secs(seconds.max(1.0).ceil() as u64))
}

/// One machine's seconds behind its clone.
struct Part {
    stop: f64,
    boot: f64,
    proofs: f64,
}

fn starts(seat: &SeatPlan) -> bool {
    seat.verb != Verb::Remove && seat.steps.contains(&StepName::Start)
}

fn part(seat: &SeatPlan, rollcall: &RollCall) -> Part {
    let settle = if rollcall.profile == Profile::Strict { STRICT_SETTLE } else { rollcall.settle.as_secs_f64() };
    let has = |step: StepName| seat.steps.contains(&step);
    Part {
        stop: if has(StepName::Stop) || has(StepName::Destroy) { STOP } else { 0.0 },
        boot: if starts(seat) { BEFORE_BOOT + BOOT } else { 0.0 },
        proofs: if has(StepName::Agent) { settle.max(PROOFS) } else { 0.0 },
    }
}

/// How long the node with the most boots is at them.
fn boots(seats: &[SeatPlan], view: &ClusterView) -> f64 {
    let mut on: BTreeMap<&NodeName, u32> = BTreeMap::new();
    for seat in seats.iter().filter(|seat| starts(seat)) {
        *on.entry(&seat.node).or_default() += 1;
    }
    let cpus = |node: &NodeName| view.node(node).map(|node| node.cpus).filter(|cpus| *cpus > 0).unwrap_or(CPUS);
    on.iter().map(|(node, count)| f64::from(*count) * BOOT_CORES / f64::from(cpus(node))).fold(0.0, f64::max)
}

/// How long the storage with the most to do is at the clones, and at the first of them.
fn clone_time(seats: &[SeatPlan], written: f64) -> (f64, f64) {
    let mut storages: BTreeMap<(&str, Option<&NodeName>), (f64, f64)> = BTreeMap::new();
    for source in seats.iter().filter(|seat| seat.verb.acts()).filter_map(|seat| seat.source.as_ref()) {
        let own = (!source.storage_shared).then_some(&source.node);
        let copied = if source.linked { 0.0 } else { source.bytes as f64 * written / COPY_RATE };
        let time = LINKED[usize::from(!source.storage_shared)] + copied;
        let (all, first) = storages.entry((&source.limit_storage, own)).or_default();
        *all += time;
        *first = time;
    }
    storages.values().fold((0.0, 0.0), |(all, first), (a, f)| (f64::max(all, *a), f64::max(first, *f)))
}
