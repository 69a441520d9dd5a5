//! About how long a plan takes, from simple figures: good enough to say "about 25 s", never a promise.
//!
//! The busier of two decides: the storage, which makes machines one by one, or the node with the most to
//! boot, whose CPUs its machines share. What earlier runs on the site took is known better than any figure here.

use std::{collections::BTreeMap, time::Duration};

use crate::domain::{
    NodeName, StepName,
    class::{Order, Profile, RollCall, Rollout},
    cluster::ClusterView,
    paces::Paces,
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
/// The last of it, in which it waits for its address.
const ADDRESS: f64 = 2.0;
/// CPUs that a boot keeps busy.
const CPUS_OF_A_BOOT: f64 = 2.0;
/// Core-seconds of the questions to an agent.
const QUESTIONS: f64 = 3.0;
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
    paces: &Paces,
    rollcall: &RollCall,
    rollout: &Rollout,
) -> Option<Duration> {
    reckon(seats, view, paces, rollcall, rollout, WRITTEN)
}

/// The same if every disk is full to its last byte: for what must not take longer than was agreed to.
pub(super) fn at_worst(
    seats: &[SeatPlan],
    view: &ClusterView,
    rollcall: &RollCall,
    rollout: &Rollout,
) -> Option<Duration> {
    reckon(seats, view, &Paces::default(), rollcall, rollout, 1.0)
}

fn reckon(
    seats: &[SeatPlan],
    view: &ClusterView,
    paces: &Paces,
    rollcall: &RollCall,
    rollout: &Rollout,
    written: f64,
) -> Option<Duration> {
    let acting: Vec<Part> =
        seats.iter().filter(|seat| seat.verb.acts()).map(|seat| part(seat, paces, rollcall)).collect();
    if acting.is_empty() {
        return None;
    }
    let (clones, first_clone) = clone_time(seats, paces, written);
    let longest = |of: fn(&Part) -> f64| acting.iter().map(of).fold(0.0, f64::max);
    let sum = |of: fn(&Part) -> f64| acting.iter().map(of).sum::<f64>();
    let whole: fn(&Part) -> f64 = |part| part.stop + part.boot + part.proofs;
    let storage_first = clones + longest(whole);
    let node_last =
        first_clone + longest(|part| part.stop) + BEFORE_BOOT + boots(seats, view, paces) + longest(|p| p.proofs);
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

fn part(seat: &SeatPlan, paces: &Paces, rollcall: &RollCall) -> Part {
    let settle = if rollcall.profile == Profile::Strict { STRICT_SETTLE } else { rollcall.settle.as_secs_f64() };
    let has = |step: StepName| seat.steps.contains(&step);
    Part {
        stop: if has(StepName::Stop) || has(StepName::Destroy) { STOP } else { 0.0 },
        boot: if starts(seat) { BEFORE_BOOT + boot(seat, paces) } else { 0.0 },
        proofs: if has(StepName::Agent) { settle.max(PROOFS) } else { 0.0 },
    }
}

/// A machine's boot, until it has an address.
fn boot(seat: &SeatPlan, paces: &Paces) -> f64 {
    seat.source.as_ref().and_then(|source| paces.boot(source.template)).unwrap_or(BOOT)
}

/// How long the node with the most to boot is at it.
fn boots(seats: &[SeatPlan], view: &ClusterView, paces: &Paces) -> f64 {
    let mut on: BTreeMap<&NodeName, f64> = BTreeMap::new();
    let cpus = |node: &NodeName| view.node(node).map(|node| node.cpus).filter(|cpus| *cpus > 0).unwrap_or(CPUS);
    for seat in seats.iter().filter(|seat| starts(seat)) {
        let reckoned =
            ((boot(seat, paces) - ADDRESS).max(0.0) * CPUS_OF_A_BOOT + QUESTIONS) / f64::from(cpus(&seat.node));
        *on.entry(&seat.node).or_default() += reckoned;
    }
    // Where a node has been seen with its hands full, that is what each boot there takes.
    let counted = |node: &NodeName| seats.iter().filter(|seat| starts(seat) && seat.node == *node).count() as f64;
    let seen = |node: &NodeName| Some(paces.boots(node)? * counted(node));
    on.iter().map(|(node, reckoned)| seen(node).unwrap_or(*reckoned)).fold(0.0, f64::max)
}

/// How long the storage with the most to do is at the clones, and at the first of them.
fn clone_time(seats: &[SeatPlan], paces: &Paces, written: f64) -> (f64, f64) {
    let mut storages: BTreeMap<(&str, Option<&NodeName>), (f64, f64)> = BTreeMap::new();
    for source in seats.iter().filter(|seat| seat.verb.acts()).filter_map(|seat| seat.source.as_ref()) {
        let own = (!source.storage_shared).then_some(&source.node);
        let copied = if source.linked { 0.0 } else { source.bytes as f64 * written / COPY_RATE };
        let time = paces.cloning(source).unwrap_or(LINKED[usize::from(!source.storage_shared)] + copied);
        let (all, first) = storages.entry((&source.limit_storage, own)).or_default();
        *all += time;
        *first = time;
    }
    storages.values().fold((0.0, 0.0), |(all, first), (a, f)| (f64::max(all, *a), f64::max(first, *f)))
}
