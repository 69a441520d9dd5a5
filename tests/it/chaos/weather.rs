//! What goes wrong in a story, drawn from its seed.

use std::time::Duration;

use homeroom::sim::{Fault, FaultKind, World};

use crate::hand::Stage;

/// Numbers from a seed (SplitMix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `least` to `most`, both included.
    pub fn from(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    /// True in so many of a hundred throws.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[(self.next() % choices.len() as u64) as usize].clone()
    }

    pub fn seconds(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.from(least * 1000, most * 1000))
    }
}

const CALLS: [&str; 14] = [
    "POST /nodes/*/qemu/*/clone",
    "POST /nodes/*/qemu/*/clone",
    "POST /nodes/*/qemu/*/clone",
    "PUT /nodes/*/qemu/*/config",
    "PUT /nodes/*/qemu/*/resize",
    "POST /nodes/*/qemu/*/status/start",
    "POST /nodes/*/qemu/*/status/stop",
    "DELETE /nodes/*/qemu/*",
    "GET /nodes/*/qemu/*/config",
    "GET /nodes/*/qemu/*/pending",
    "GET /nodes/*/tasks",
    "GET /nodes/*/tasks/*/status",
    "GET /cluster/resources",
    "PUT /pools",
];

fn status(status: u16, reason: &str) -> FaultKind {
    FaultKind::Status { status, reason: reason.to_owned() }
}

fn task(reason: &str) -> FaultKind {
    FaultKind::Task { reason: reason.to_owned() }
}

/// A handful of faults that strike calls.
pub fn faults(dice: &mut Dice) -> Vec<Fault> {
    let mut faults: Vec<Fault> = (0..dice.from(0, 5))
        .map(|_| {
            let call = dice.pick(&CALLS);
            let tasks = call.contains("clone") || call.contains("status/st") || call.contains("resize");
            let mut kinds = vec![
                FaultKind::Lost,
                FaultKind::Cut,
                FaultKind::Truncate,
                FaultKind::Stall,
                FaultKind::Slow { seconds: dice.from(1, 20) as f64 },
                status(500, "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout"),
                status(500, "got no worker upid - start worker failed"),
                status(500, "cluster not ready - no quorum?"),
                status(502, "Bad Gateway"),
                status(595, "No route to host"),
                status(596, "Connection timed out"),
                status(599, "Too many redirections"),
                FaultKind::ConfigLock { seconds: dice.from(1, 15) as f64 },
                FaultKind::StorageLock { storage: "fast".to_owned(), seconds: dice.from(1, 25) as f64 },
            ];
            if tasks {
                kinds.extend([
                    task("cfs-lock 'storage-fast' error: got lock request timeout"),
                    FaultKind::Kill { seconds: dice.from(1, 30) as f64 / 10.0 },
                    FaultKind::Kill { seconds: dice.from(1, 30) as f64 / 10.0 },
                ]);
            }
            if call.contains("start") {
                kinds.extend([FaultKind::AgentNever, FaultKind::Hang]);
            }
            if call.starts_with("DELETE") {
                kinds.extend([
                    FaultKind::Kill { seconds: dice.from(1, 40) as f64 / 100.0 },
                    FaultKind::AccessLock { seconds: dice.from(5, 20) as f64 },
                ]);
            }
            let attempts = dice.pick(&[vec![1], vec![1], vec![2], vec![1, 2], vec![1, 2, 3]]);
            let chance = dice.pick(&[1.0, 0.5, 0.3]);
            Fault { call: call.to_owned(), subject: None, attempts, chance, what: dice.pick(&kinds) }
        })
        .collect();
    faults.extend(ways_in(dice));
    faults
}

/// Faults of node SSH and of the guests' own.
fn ways_in(dice: &mut Dice) -> Vec<Fault> {
    let mut faults = Vec::new();
    for call in ["SSH /nodes/*/ssh", "SSH /nodes/*/qemu/*/ssh", "POST /nodes/*/qemu/*/agent/*"] {
        if dice.chance(10) {
            faults.push(Fault { chance: 0.3, ..Fault::every(call, FaultKind::Cut) });
        }
    }
    faults
}

/// Numbers that other tools take in our range, and where machines of theirs are copied to by hand.
pub const OTHERS: std::ops::Range<u32> = 9104..9130;
pub const COPIES: u32 = 8000;

/// Has the world move by itself during the next act.
pub fn events(dice: &mut Dice, stage: &Stage) {
    for _ in 0..dice.from(0, 2) {
        let latest = dice.pick(&[3, 60]);
        let when = dice.seconds(0, latest);
        let node = dice.pick(&["pve1", "pve2"]);
        match dice.from(0, 5) {
            0 => {
                let back = when + dice.seconds(5, 200);
                stage.at(when, move |world| world.set_node_online(node, false));
                stage.at(back, move |world| world.set_node_online(node, true));
            }
            1 => {
                let back = when + dice.seconds(5, 120);
                stage.at(when, |world| world.set_quorate(false));
                stage.at(back, |world| world.set_quorate(true));
            }
            2 | 3 => {
                let id = dice.from(OTHERS.start.into(), OTHERS.start as u64 + 4) as u32;
                stage.at(when, move |world| take(world, node, id));
            }
            4 => {
                let nth = dice.from(0, 3) as usize;
                stage.at(when, move |world| copy_by_hand(world, nth));
            }
            _ => {
                let nth = dice.from(0, 3) as usize;
                stage.at(when, move |world| kill_a_worker(world, nth));
            }
        }
    }
}

/// Another tool makes a machine where there is none.
fn take(world: &mut World, node: &str, vmid: u32) {
    if !world.guests.contains_key(&vmid) {
        world.take_vmid(node, vmid, &format!("other-{vmid}"));
    }
}

/// Somebody clones one of our machines by hand: text and tag of it are copied.
fn copy_by_hand(world: &mut World, nth: usize) {
    let marked = |text: &String| text.starts_with("homeroom/1");
    let ours: Vec<u32> = world
        .guests
        .values()
        .filter(|vm| vm.vmid > COPIES + 100 && vm.config.get("description").is_some_and(marked))
        .map(|vm| vm.vmid)
        .collect();
    let Some(mut vm) = ours.get(nth).and_then(|id| world.guests.get(id)).cloned() else { return };
    let id = COPIES + vm.vmid % 100;
    (vm.vmid, vm.run, vm.inside, vm.lock) = (id, None, None, None);
    let name = format!("Copy-of-VM-{}", vm.name());
    vm.config.insert("name".to_owned(), name);
    vm.config.retain(|key, _| !key.starts_with("scsi0") && !key.starts_with("ide"));
    world.guests.entry(id).or_insert(vm);
}

/// `kill -9` of a task's worker.
fn kill_a_worker(world: &mut World, nth: usize) {
    let running: Vec<String> =
        world.tasks.iter().filter(|task| task.end.is_none()).map(|task| task.upid.to_string()).collect();
    if let Some(upid) = running.get(nth) {
        world.kill_task(upid);
    }
}
