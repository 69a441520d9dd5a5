//! The simulated cluster's own listing, read without any of homeroom's code: what stands there, whose it
//! says it is, what holds it locked, which disks belong to nobody.

use std::collections::{BTreeMap, BTreeSet};

use homeroom::sim::{Cluster, World};

/// One guest as the cluster itself knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub vmid: u32,
    pub name: String,
    pub node: String,
    pub running: bool,
    pub lock: Option<String>,
    pub config: BTreeMap<String, String>,
    /// Volumes that carry its number.
    pub volumes: Vec<String>,
    /// Counts makings: a machine made anew under its number has another.
    pub birth: u64,
}

impl Seen {
    /// A field of the mark in the description: `lab`, `seat`, `vmid`, …
    pub fn mark(&self, field: &str) -> Option<&str> {
        let text = self.config.get("description")?;
        let line = text.lines().find(|line| line.starts_with("homeroom/1 "))?;
        line.split(' ').find_map(|word| word.strip_prefix(field)?.strip_prefix('='))
    }

    /// Whether the mark says it is this seat's, under its own number.
    pub fn is(&self, lab: &str, seat: &str) -> bool {
        self.mark("lab") == Some(lab)
            && self.mark("seat") == Some(seat)
            && self.mark("vmid") == Some(&*self.vmid.to_string())
    }
}

/// Everything that stands, templates left out.
pub fn guests(cluster: &Cluster) -> Vec<Seen> {
    cluster.world(|world| world.guests.values().filter(|vm| !vm.template()).map(|vm| seen(world, vm.vmid)).collect())
}

fn seen(world: &World, vmid: u32) -> Seen {
    let vm = &world.guests[&vmid];
    Seen {
        vmid,
        name: vm.name(),
        node: vm.node.clone(),
        running: vm.run.is_some(),
        lock: vm.lock.clone(),
        config: vm.config.clone(),
        volumes: world.volumes_of(vmid),
        birth: vm.birth,
    }
}

/// Disks that carry a guest's number.
pub fn volumes(cluster: &Cluster, vmid: u32) -> Vec<String> {
    cluster.world(|world| world.volumes_of(vmid))
}

/// Disks whose guest is not there.
pub fn orphans(cluster: &Cluster) -> Vec<String> {
    cluster.world(|world| {
        let known: BTreeSet<u32> = world.guests.keys().copied().collect();
        let volumes = world.storages.values().flat_map(|storage| {
            storage.volumes.iter().map(move |(name, volume)| (volume.vmid, format!("{}:{name}", storage.id)))
        });
        // Number 0 is what belongs to no guest by nature: images and the like.
        volumes.filter(|(vmid, _)| *vmid != 0 && !known.contains(vmid)).map(|(_, name)| name).collect()
    })
}

/// Tasks of a kind in the order they began, as `(id field, began, ended, status)`; times in modelled ms.
pub fn tasks(cluster: &Cluster, kind: &str) -> Vec<(String, u64, Option<u64>, String)> {
    cluster.world(|world| {
        let of_kind = world.tasks.iter().filter(|task| task.upid.kind == kind);
        of_kind
            .map(|task| {
                let began = u64::try_from(task.upid.starttime - world.epoch).unwrap_or_default() * 1000;
                let end = task.end.as_ref();
                (task.upid.id.clone(), began, end.map(|end| end.0), end.map_or(String::new(), |end| end.1.clone()))
            })
            .collect()
    })
}
