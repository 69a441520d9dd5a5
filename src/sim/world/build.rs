//! Makes a world from a scenario.

use std::collections::{BTreeMap, BinaryHeap, HashMap};

use super::access::{Acl, Token, User};
use super::container::Container;
use super::fault::{Faults, digest};
use super::storage::{Kind, Volume};
use super::vm::with_property;
use super::{Access, Node, Physics, Pipe, PipeKey, Pool, Run, Storage, Vm, Wake, World};
use crate::sim::SimError;
use crate::sim::scenario::{GuestSpec, PhysicsSpec, Scenario, StorageSpec};

/// Roles that come with Proxmox VE, as `role:privileges`.
const ROLES: &str = include_str!("../../../assets/pve-roles.txt");

const GIB: u64 = 1 << 30;
/// What runs when the world begins runs since yesterday.
const STANDING: u64 = 86_400_000;

impl World {
    /// A world at modelled time 0, which is `epoch` in unix seconds.
    ///
    /// # Errors
    /// When the scenario names something that is not there.
    pub fn build(scenario: &Scenario, seed: u64, epoch: i64) -> Result<Self, SimError> {
        let mut world = Self {
            now: 0,
            epoch,
            seed,
            name: scenario.name.clone(),
            version: full_version(&scenario.version),
            quorate: true,
            physics: physics(&scenario.physics),
            nodes: BTreeMap::new(),
            hosts: BTreeMap::new(),
            storages: BTreeMap::new(),
            guests: BTreeMap::new(),
            containers: BTreeMap::new(),
            pools: BTreeMap::new(),
            access: access(scenario, seed)?,
            tasks: Vec::new(),
            faults: Faults::new(scenario.faults.clone()),
            fingerprint: String::new(),
            tally: super::tally::Tally::default(),
            stats: BTreeMap::new(),
            task_at: HashMap::new(),
            locks: super::lock::Locks::default(),
            pipes: BTreeMap::new(),
            jobs: HashMap::new(),
            wakes: BinaryHeap::new(),
            answers: Vec::new(),
            fates: HashMap::new(),
            task_fault: None,
            start_faults: BTreeMap::new(),
            count: 0,
            pids: 1200,
        };
        if scenario.nodes.is_empty() {
            return Err(wrong("a cluster needs at least one node"));
        }
        for (at, spec) in scenario.nodes.iter().enumerate() {
            let ip = spec.ip.clone().unwrap_or_else(|| format!("192.0.2.{}", at + 1));
            let cpu = Pipe::new(spec.cores as f64, scenario.physics.boot_cores);
            world.pipes.insert(PipeKey::Cpu(spec.name.clone()), cpu);
            world.nodes.insert(
                spec.name.clone(),
                Node {
                    name: spec.name.clone(),
                    cores: spec.cores,
                    memory: spec.memory_gib * GIB,
                    ip,
                    online: spec.online,
                    bridges: spec.bridges.clone(),
                },
            );
        }
        for spec in &scenario.storages {
            world.add_storage(spec)?;
        }
        for spec in &scenario.pools {
            let pool = Pool { comment: spec.comment.clone(), vms: spec.vms.clone(), storages: Vec::new() };
            world.pools.insert(spec.id.clone(), pool);
        }
        for spec in &scenario.guests {
            world.add_guest(spec)?;
        }
        for spec in &scenario.containers {
            if !world.nodes.contains_key(&spec.node) {
                return Err(wrong(&format!("container {} is on the unknown node '{}'", spec.vmid, spec.node)));
            }
            if world.taken(spec.vmid) {
                return Err(wrong(&format!("the number {} is given twice", spec.vmid)));
            }
            world.containers.insert(spec.vmid, Container::new(spec, seed));
        }
        // everything the scenario lists has stood for a while: the cluster has heard of it
        world.hear_all();
        let names: Vec<String> = world.nodes.keys().cloned().collect();
        for (at, node) in names.iter().enumerate() {
            let first = world.physics.broadcast * (at as u64 + 1) / (names.len() as u64 + 1);
            world.at(first, Wake::Broadcast(node.clone()));
        }
        Ok(world)
    }

    fn add_storage(&mut self, spec: &StorageSpec) -> Result<(), SimError> {
        let kind = Kind::parse(&spec.kind)
            .ok_or_else(|| wrong(&format!("storage '{}' has the unknown type '{}'", spec.id, spec.kind)))?;
        let bandwidth = spec.bandwidth_mib * f64::from(1 << 20) / 1000.0;
        let storage = Storage {
            id: spec.id.clone(),
            kind,
            mount: spec.path.clone().unwrap_or_else(|| match (kind, spec.id.as_str()) {
                (Kind::Dir, "local") => "/var/lib/vz".into(),
                (_, id) => format!("/mnt/pve/{id}"),
            }),
            shared: spec.shared,
            content: spec.content.clone(),
            total: spec.size_gib * GIB,
            other: spec.used_gib * GIB,
            bandwidth,
            allocate: (spec.allocate_seconds * 1000.0) as u64,
            volumes: super::volumes::Volumes::default(),
            files: spec.files.iter().map(|(name, mib)| (name.clone(), mib << 20)).collect(),
        };
        let nodes: Vec<String> = self.nodes.keys().cloned().collect();
        for node in &nodes {
            self.pipes.entry(storage.pipe(node)).or_insert_with(|| Pipe::new(bandwidth, bandwidth));
        }
        self.storages.insert(spec.id.clone(), storage);
        Ok(())
    }

    fn add_guest(&mut self, spec: &GuestSpec) -> Result<(), SimError> {
        if !self.nodes.contains_key(&spec.node) {
            return Err(wrong(&format!("guest {} lies on the unknown node '{}'", spec.vmid, spec.node)));
        }
        let mut config = spec.config.clone();
        config.insert("name".into(), spec.name.clone());
        let number = spec.vmid.to_string();
        for (key, value) in [("cores", "2"), ("memory", "2048"), ("ostype", "l26"), ("scsihw", "virtio-scsi-single")] {
            config.entry(key.into()).or_insert_with(|| value.into());
        }
        config.entry("smbios1".into()).or_insert_with(|| format!("uuid={}", uuid(self.seed, &["smbios", &number])));
        config.entry("vmgenid".into()).or_insert_with(|| uuid(self.seed, &["genid", &number]));
        config.entry("meta".into()).or_insert_with(|| format!("creation-qemu=10.0.13,ctime={}", self.epoch - 86_400));
        for value in config.iter_mut().filter(|(key, _)| key.starts_with("net")).map(|(_, value)| value) {
            if let Some(rest) = value.strip_prefix("virtio,") {
                *value = format!("virtio={},{rest}", self.mac(&number));
            }
        }
        if let Some(storage) = &spec.storage {
            self.add_disks(spec, storage, &mut config)?;
        }
        if spec.template {
            config.insert("template".into(), "1".into());
        }
        let birth = self.fresh();
        let image = spec.image.clone().unwrap_or_default();
        let mut vm = Vm {
            vmid: spec.vmid,
            node: spec.node.clone(),
            config,
            pending: BTreeMap::new(),
            lock: None,
            snapshots: Vec::new(),
            run: None,
            inside: None,
            image: image.clone(),
            birth,
        };
        if spec.running || !spec.sealed {
            vm.inside = Some(self.installed(&vm));
        }
        if spec.running {
            if let Some(inside) = vm.inside.as_mut() {
                inside.boot(&vm.config);
            }
            let (pid, id) = (self.fresh_pid(), self.fresh());
            vm.run = Some(Run {
                pid,
                id,
                since: 0,
                age: STANDING,
                up: Some(0),
                config: vm.config.clone(),
                hung: false,
                silent: false,
                paused: false,
            });
        }
        self.guests.insert(spec.vmid, vm);
        Ok(())
    }

    fn add_disks(
        &mut self,
        spec: &GuestSpec,
        storage: &str,
        config: &mut BTreeMap<String, String>,
    ) -> Result<(), SimError> {
        let base = match spec.linked_to {
            Some(template) => Some(self.base_of(template, storage).ok_or_else(|| {
                wrong(&format!("guest {} is linked to {template}, which has no base on '{storage}'", spec.vmid))
            })?),
            None => None,
        };
        let ctime = self.epoch - 86_400;
        let real = self
            .storages
            .get_mut(storage)
            .ok_or_else(|| wrong(&format!("guest {} uses the unknown storage '{storage}'", spec.vmid)))?;
        let files = if real.kind.files() { "qcow2" } else { "raw" };
        let format = spec.format.as_deref().filter(|_| base.is_none()).unwrap_or(files);
        let node = (!real.shared).then(|| spec.node.clone());
        let size = spec.disk_gib * GIB;
        let name = match &base {
            Some(base) => real.overlay(base, spec.vmid),
            None if spec.template => real.name(spec.vmid, &format!("base-{}-disk-0", spec.vmid), format),
            None => real.new_disk(spec.vmid, format),
        };
        let used = if base.is_some() { spec.used_mib << 17 } else { spec.used_mib << 20 };
        let volume = Volume { vmid: spec.vmid, size, used, format: format.into(), base, node: node.clone(), ctime };
        real.volumes.insert(name.clone(), volume);
        config.insert("scsi0".into(), format!("{storage}:{name},size={}G", spec.disk_gib));
        config.entry("boot".into()).or_insert_with(|| "order=scsi0".into());
        if spec.cloud_init {
            let name = real.name(spec.vmid, &format!("vm-{}-cloudinit", spec.vmid), files);
            let volume =
                Volume { vmid: spec.vmid, size: 4 << 20, used: 4 << 20, format: files.into(), base: None, node, ctime };
            real.volumes.insert(name.clone(), volume);
            let drive = with_property(&format!("{storage}:{name},media=cdrom"), "size", "4M");
            config.insert("ide2".into(), drive);
        }
        Ok(())
    }

    fn base_of(&self, template: u32, storage: &str) -> Option<String> {
        let volumes = &self.storages.get(storage)?.volumes;
        volumes
            .iter()
            .find(|(name, volume)| volume.vmid == template && super::storage::leaf(name).starts_with("base-"))
            .map(|(name, _)| name.clone())
    }

    /// A hardware address nobody had before.
    pub(crate) fn mac(&mut self, what: &str) -> String {
        let count = self.fresh().to_string();
        let bytes = digest(self.seed, &["mac", what, &count]);
        format!("BC:24:11:{:02X}:{:02X}:{:02X}", bytes[0], bytes[1], bytes[2])
    }
}

/// A uuid that depends on nothing but the arguments.
pub(crate) fn uuid(seed: u64, parts: &[&str]) -> String {
    let bytes = digest(seed, parts);
    let hex: String = bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

fn wrong(what: &str) -> SimError {
    SimError::World(what.into())
}

fn full_version(version: &str) -> String {
    match version {
        "9.2" => "9.2.11".into(),
        "8.4" => "8.4.21".into(),
        other if other.matches('.').count() == 1 => format!("{other}.1"),
        other => other.into(),
    }
}

fn physics(spec: &PhysicsSpec) -> Physics {
    let ms = |seconds: f64| (seconds * 1000.0) as u64;
    Physics {
        spawn: 25,
        start: ms(spec.start_seconds),
        boot: spec.boot_seconds * 1000.0 * spec.boot_cores,
        boot_cores: spec.boot_cores,
        address: ms(spec.address_seconds),
        cloud_init: ms(spec.cloud_init_seconds),
        shutdown: ms(spec.shutdown_seconds),
        agent: 90,
        qm: spec.qm_seconds * 1000.0 * spec.boot_cores,
        broadcast: ms(spec.broadcast_seconds).max(1),
    }
}

fn access(scenario: &Scenario, seed: u64) -> Result<Access, SimError> {
    let eight = scenario.version.starts_with("8.");
    let mut access = Access::default();
    for line in ROLES.lines() {
        if let Some((role, list)) = line.split_once(':') {
            let names = list.split(',').filter(|name| !name.is_empty());
            let set = if eight { names.filter_map(in_eight).collect() } else { names.map(str::to_owned).collect() };
            access.roles.insert(role.into(), (set, true));
        }
    }
    let known = access.all();
    for (role, list) in &scenario.roles {
        if let Some(unknown) = list.iter().find(|name| !known.contains(*name)) {
            let version = &scenario.version;
            return Err(wrong(&format!(
                "role '{role}' has the privilege '{unknown}', which Proxmox VE {version} lacks"
            )));
        }
        access.roles.insert(role.clone(), (list.iter().cloned().collect(), false));
    }
    access.users.insert("root@pam".into(), User::default());
    for spec in &scenario.users {
        let tokens = spec
            .tokens
            .iter()
            .map(|token| {
                let secret = token.secret.clone().unwrap_or_else(|| uuid(seed, &["token", &spec.id, &token.name]));
                (token.name.clone(), Token { secret, privsep: token.privsep, comment: String::new() })
            })
            .collect();
        let user = User { password: spec.password.clone(), comment: String::new(), tokens };
        access.users.insert(spec.id.clone(), user);
    }
    access.acls = scenario
        .acls
        .iter()
        .map(|acl| Acl {
            path: acl.path.clone(),
            who: acl.who.clone(),
            role: acl.role.clone(),
            propagate: acl.propagate,
        })
        .collect();
    Ok(access)
}

/// What a privilege of Proxmox VE 9 is called in 8; nothing for what 8 lacks.
pub fn in_eight(name: &str) -> Option<String> {
    match name {
        "VM.GuestAgent.Unrestricted" => Some("VM.Monitor".into()),
        "VM.Replicate" => None,
        _ if name.starts_with("VM.GuestAgent.") => None,
        _ => Some(name.into()),
    }
}
