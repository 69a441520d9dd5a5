//! The back door for tests and demonstrations: what another admin, another tool or bad luck does
//! to the cluster without asking the API.

use std::collections::BTreeMap;

use super::{Fault, Ms, Vm, World};

impl World {
    /// Adds a fault.
    pub fn inject(&mut self, fault: Fault) {
        self.faults.add(fault);
    }

    /// Switches a node off (its guests die with it) or on.
    pub fn set_node_online(&mut self, node: &str, online: bool) {
        if !online {
            let dead: Vec<u32> =
                self.guests.values().filter(|vm| vm.node == node && vm.run.is_some()).map(|vm| vm.vmid).collect();
            for vmid in dead {
                self.power_off(vmid);
                self.forget(vmid);
            }
            let running: Vec<String> = self
                .tasks
                .iter()
                .filter(|task| task.end.is_none() && task.upid.node == node)
                .map(|task| task.upid.to_string())
                .collect();
            for upid in running {
                self.kill_task(&upid);
            }
            self.end_copies(node);
        }
        if let Some(node) = self.nodes.get_mut(node) {
            node.online = online;
        }
    }

    /// Takes the majority away or gives it back.
    pub fn set_quorate(&mut self, quorate: bool) {
        self.quorate = quorate;
    }

    /// Another tool makes a guest with this number: stopped, without disks.
    pub fn take_vmid(&mut self, node: &str, vmid: u32, name: &str) {
        let birth = self.fresh();
        self.guests.insert(
            vmid,
            Vm {
                vmid,
                node: node.into(),
                config: BTreeMap::from([
                    ("name".to_owned(), name.to_owned()),
                    ("memory".to_owned(), "512".to_owned()),
                    ("cores".to_owned(), "1".to_owned()),
                ]),
                pending: BTreeMap::new(),
                lock: None,
                snapshots: Vec::new(),
                run: None,
                inside: None,
                image: String::new(),
                birth,
            },
        );
    }

    /// Somebody pulls a guest's plug.
    pub fn crash(&mut self, vmid: u32) {
        self.power_off(vmid);
        self.forget(vmid);
    }

    /// Somebody removes a guest and its volumes behind everyone's back.
    pub fn vanish(&mut self, vmid: u32) {
        self.power_off(vmid);
        self.guests.remove(&vmid);
        self.forget(vmid);
        for pool in self.pools.values_mut() {
            pool.vms.retain(|id| *id != vmid);
        }
        for storage in self.storages.values_mut() {
            storage.volumes.drop_guest(vmid);
        }
    }

    /// Writes into a configuration, as an editor on the node would. `None` removes the key.
    pub fn edit_config(&mut self, vmid: u32, key: &str, value: Option<&str>) {
        if let Some(vm) = self.guests.get_mut(&vmid) {
            match value {
                Some(value) => vm.config.insert(key.into(), value.into()),
                None => vm.config.remove(key),
            };
        }
    }

    /// Writes or lifts a configuration lock (`backup`, `clone`, …), as `qm unlock` would.
    pub fn set_lock(&mut self, vmid: u32, lock: Option<&str>) {
        if let Some(vm) = self.guests.get_mut(&vmid) {
            vm.lock = lock.map(str::to_owned);
        }
    }

    /// Makes a running guest's agent fall silent, or speak again.
    pub fn set_agent_silent(&mut self, vmid: u32, silent: bool) {
        if let Some(run) = self.guests.get_mut(&vmid).and_then(|vm| vm.run.as_mut()) {
            run.silent = silent;
        }
    }

    /// Lets somebody else hold a storage's lock for a while.
    pub fn hold_storage(&mut self, storage: &str, node: &str, ms: Ms) {
        if let Some(key) = self.storages.get(storage).map(|real| real.lock(node)) {
            self.hold_lock(key, ms);
        }
    }

    /// Unseals a template (or forgets a guest's own identity): its clones share a machine id.
    pub fn unseal(&mut self, vmid: u32) {
        let inside = self.guests.get(&vmid).map(|vm| self.installed(vm));
        if let Some(vm) = self.guests.get_mut(&vmid) {
            vm.inside = inside;
        }
    }

    /// The network gives a running guest this address, whoever has it already.
    pub fn give_address(&mut self, vmid: u32, address: std::net::Ipv4Addr) {
        if let Some(inside) = self.guests.get_mut(&vmid).and_then(|vm| vm.inside.as_mut()) {
            inside.address = Some((address, 8));
        }
    }

    /// Volumes of a guest on any storage, as `storage:name`.
    pub fn volumes_of(&self, vmid: u32) -> Vec<String> {
        self.storages
            .values()
            .flat_map(|storage| storage.volumes.of(vmid).map(|name| format!("{}:{name}", storage.id)))
            .collect()
    }
}

impl World {
    /// A running guest's QEMU hangs: no agent, no shutdown, and a stop takes its time.
    pub fn hang(&mut self, vmid: u32) {
        if let Some(run) = self.guests.get_mut(&vmid).and_then(|vm| vm.run.as_mut()) {
            run.hung = true;
        }
    }

    /// Adds a line to the access list, below the path too.
    pub fn grant(&mut self, path: &str, who: &str, role: &str) {
        self.access.acls.push(super::access::Acl {
            path: path.into(),
            who: who.into(),
            role: role.into(),
            propagate: true,
        });
    }

    /// Makes copies on a storage run at so many bytes per millisecond.
    pub fn set_bandwidth(&mut self, storage: &str, rate: f64) {
        for (key, pipe) in &mut self.pipes {
            if matches!(key, super::PipeKey::Storage(id, _) if id == storage) {
                *pipe = super::Pipe::new(rate, rate);
            }
        }
    }
}

impl World {
    /// A guest is on another node from now on, running or not.
    pub fn move_guest(&mut self, vmid: u32, target: &str) {
        let now = self.now;
        let Some(vm) = self.guests.get_mut(&vmid) else { return };
        let from = std::mem::replace(&mut vm.node, target.to_owned());
        let Some(run) = &vm.run else { return };
        let flow = super::Flow::Boot(vmid, run.id);
        let cpu = |node: &str| super::PipeKey::Cpu(node.to_owned());
        let left = self.pipes.get_mut(&cpu(&from)).and_then(|pipe| pipe.remove(now, flow));
        if let (Some(left), Some(pipe)) = (left, self.pipes.get_mut(&cpu(target))) {
            pipe.add(now, flow, left);
        }
    }
}
