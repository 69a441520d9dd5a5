//! About how long a plan takes, from simple figures: good enough to say "about 25 s", never a promise.

use std::{collections::BTreeMap, time::Duration};

use crate::domain::{
    StepName,
    class::{Order, Profile, RollCall, Rollout},
    plan::{SeatPlan, Verb},
};

/// A linked clone, with its configuration.
const LINKED: Duration = Duration::from_secs(1);
/// Bytes a second that a storage copies, shared by all clones on it.
const COPY_RATE: u64 = 100_000_000;
/// From the start to the agent's first answer.
const BOOT: Duration = Duration::from_secs(20);
/// Commands, comparison and a key login.
const PROOFS: Duration = Duration::from_secs(2);
/// A guest shuts down, or is removed.
const STOP: Duration = Duration::from_secs(5);
/// Clones at once on a shared and on a local storage.
const AT_ONCE: [u64; 2] = [2, 5];
/// From the first answer to stable, in the strict profile.
const STRICT_SETTLE: Duration = Duration::from_secs(30);

/// `None` where there is nothing to do.
pub(super) fn estimate(seats: &[SeatPlan], rollcall: &RollCall, rollout: &Rollout) -> Option<Duration> {
    let acting: Vec<&SeatPlan> = seats.iter().filter(|seat| seat.verb.acts()).collect();
    let tails: Vec<Duration> = acting.iter().map(|seat| tail(seat, rollcall)).collect();
    let longest = tails.iter().max().copied()?;
    let clones = clone_time(&acting);
    let strict = rollcall.profile == Profile::Strict;
    Some(match rollout.order {
        Order::Sequential => clones + tails.iter().sum::<Duration>(),
        _ if strict => clones + tails.iter().sum::<Duration>(),
        Order::Staggered => clones.max(rollout.delay * (acting.len() as u32 - 1)) + longest,
        Order::Parallel => clones + longest,
    })
}

/// One machine's time behind its clone.
fn tail(seat: &SeatPlan, rollcall: &RollCall) -> Duration {
    let has = |step: StepName| seat.steps.contains(&step);
    let mut time = Duration::ZERO;
    if has(StepName::Stop) {
        time += STOP;
    }
    if has(StepName::Start) && seat.verb != Verb::Remove {
        time += BOOT;
    }
    if has(StepName::Agent) {
        let settle = if rollcall.profile == Profile::Strict { STRICT_SETTLE } else { rollcall.settle };
        time += settle.max(PROOFS);
    }
    time.max(Duration::from_secs(1))
}

/// The storage with the most to do.
fn clone_time(seats: &[&SeatPlan]) -> Duration {
    let mut linked: BTreeMap<(&str, bool), u64> = BTreeMap::new();
    let mut copied: BTreeMap<&str, u64> = BTreeMap::new();
    for source in seats.iter().filter_map(|seat| seat.source.as_ref()) {
        if source.linked {
            *linked.entry((&source.limit_storage, source.storage_shared)).or_default() += 1;
        } else {
            *copied.entry(&source.limit_storage).or_default() += source.bytes;
        }
    }
    let linked = linked.iter().map(|((_, shared), n)| LINKED * n.div_ceil(AT_ONCE[usize::from(!shared)]) as u32).max();
    let copied = copied.values().map(|bytes| Duration::from_secs(bytes.div_ceil(COPY_RATE))).max();
    linked.unwrap_or_default() + copied.unwrap_or_default()
}
