//! The promises, checked through the cluster's own listing and not through homeroom's records.

use std::collections::BTreeMap;

use homeroom::{
    domain::{LabName, SeatName, mark::Mark},
    sim::{World, world::Vm},
};

/// A machine that is not ours, as it must stay.
#[derive(Debug, Clone, PartialEq)]
pub struct Portrait {
    node: String,
    config: BTreeMap<String, String>,
    lock: Option<String>,
    /// Which start of it runs.
    run: Option<u64>,
}

fn portrait(vm: &Vm) -> Portrait {
    Portrait {
        node: vm.node.clone(),
        config: vm.config.clone(),
        lock: vm.lock.clone(),
        run: vm.run.as_ref().map(|run| run.id),
    }
}

/// The machines that stood before ours.
pub fn portraits(world: &World) -> BTreeMap<u32, Portrait> {
    world.guests.values().map(|vm| (vm.vmid, portrait(vm))).collect()
}

/// The mark of a machine, if it is its own and not copied.
fn mark(vm: &Vm) -> Option<Mark> {
    let mark = Mark::parse(vm.config.get("description")?)?;
    (mark.vmid.get() == vm.vmid).then_some(mark)
}

/// Made by other tools or by hand while the story went on.
fn is_others(vm: &Vm) -> bool {
    vm.config.get("name").is_some_and(|name| name.starts_with("other-")) || vm.vmid < 9000
}

/// What holds whatever was asked for: others' machines are untouched, ours have a seat of their own.
pub fn always(world: &World, before: &BTreeMap<u32, Portrait>, lab: &LabName) -> Vec<String> {
    let mut broken = Vec::new();
    let mut seats: BTreeMap<SeatName, Vec<u32>> = BTreeMap::new();
    for (vmid, known) in before {
        match world.guests.get(vmid).map(portrait) {
            None => broken.push(format!("{vmid}, which is not ours, is gone")),
            Some(now) if !same(&now, known) => {
                broken.push(format!("{vmid}, which is not ours, was {known:?}, is {now:?}"))
            }
            Some(_) => {}
        }
    }
    for vm in world.guests.values().filter(|vm| !before.contains_key(&vm.vmid)) {
        if is_others(vm) {
            let touched = vm.run.is_some() || vm.lock.is_some() || vm.vmid >= 9000 && vm.config.len() > 3;
            if touched {
                broken.push(format!("{}, made by others, was touched: {:?}", vm.vmid, vm.config));
            }
            continue;
        }
        match mark(vm) {
            Some(mark) if mark.lab == *lab => seats.entry(mark.seat).or_default().push(vm.vmid),
            _ => broken.push(format!("{} ({}) is nobody's", vm.vmid, vm.name())),
        }
        if let Some(lock) = &vm.lock {
            broken.push(format!("{} ({}) stays locked: {lock}", vm.vmid, vm.name()));
        }
    }
    for (seat, machines) in seats.iter().filter(|(_, machines)| machines.len() > 1) {
        broken.push(format!("{seat} has {} machines: {machines:?}", machines.len()));
    }
    broken
}

/// A node that went down took the run with it; that is its own doing.
fn same(now: &Portrait, before: &Portrait) -> bool {
    let powered = now.run == before.run || now.run.is_none();
    powered && now.node == before.node && now.config == before.config && now.lock == before.lock
}

/// After a deploy in calm weather: one machine per seat, running, reachable, as defined.
pub fn deployed(world: &World, lab: &LabName, seats: &[SeatName], key: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for seat in seats {
        let own = |vm: &&Vm| mark(vm).is_some_and(|mark| mark.lab == *lab && mark.seat == *seat);
        let Some(vm) = world.guests.values().find(own) else {
            broken.push(format!("{seat} has no machine"));
            continue;
        };
        let who = format!("{seat} ({} on {})", vm.vmid, vm.node);
        // An agent that never comes is a lasting fault of that start: homeroom says so and restarts nothing.
        if vm.run.as_ref().is_some_and(|run| run.silent || run.hung) {
            continue;
        }
        if vm.config.get("tags").is_none_or(|tags| !tags.split(';').any(|tag| tag == "homeroom")) {
            broken.push(format!("{who} has no tag"));
        }
        if vm.config.get("name") != Some(&format!("{lab}-{seat}")) {
            broken.push(format!("{who} is called {}", vm.name()));
        }
        match world.guest_facts(vm.vmid) {
            Some(facts) if facts.listening => {
                let student = facts.users.iter().find(|user| user.name == "student");
                if student.is_none_or(|user| !user.keys.iter().any(|line| line.trim() == key.trim())) {
                    broken.push(format!("{who} does not let the lab's key in"));
                }
            }
            _ => broken.push(format!("{who} is not up: {:?}", vm.run)),
        }
        if !vm.pending.is_empty() {
            broken.push(format!("{who} has changes waiting: {:?}", vm.pending));
        }
    }
    broken
}

/// After a destroy: nothing of ours is left, machine or disk. `told`: what the journal says was left behind.
pub fn destroyed(world: &World, before: &BTreeMap<u32, Portrait>, told: &[String]) -> Vec<String> {
    let mut broken = Vec::new();
    for vm in world.guests.values().filter(|vm| !before.contains_key(&vm.vmid) && !is_others(vm)) {
        broken.push(format!("{} ({}) is still there", vm.vmid, vm.name()));
    }
    for storage in world.storages.values() {
        for (name, volume) in &storage.volumes {
            let id = format!("{}:{name}", storage.id);
            let left = !world.guests.contains_key(&volume.vmid) && volume.vmid >= 9000;
            if left && !told.iter().any(|line| line.contains(&id)) {
                broken.push(format!("the disk {id} is left behind and nobody said so"));
            }
        }
    }
    broken
}
