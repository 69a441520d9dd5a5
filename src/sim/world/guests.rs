//! Starting, booting and stopping guests, and what can be asked of one that runs.

use std::net::Ipv4Addr;

use super::fault::digest;
use super::{FaultKind, Flow, LockKey, Ms, PipeKey, Run, Vm, World};
use crate::sim::guest::{self, Inside};

/// A guest that has an address and runs, for those who connect to it.
#[derive(Clone, Debug)]
pub struct GuestFacts {
    /// Its number.
    pub vmid: u32,
    /// The node it runs on.
    pub node: String,
    /// Its own idea of its name.
    pub hostname: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Does its SSH server listen yet?
    pub listening: bool,
    /// The seed of its ed25519 host key.
    pub host_key_seed: [u8; 32],
    /// Users with their keys and passwords.
    pub users: Vec<GuestLogin>,
}

/// A user of a guest.
#[derive(Clone)]
pub struct GuestLogin {
    /// Login name.
    pub name: String,
    /// Lines of `authorized_keys`.
    pub keys: Vec<String>,
    /// The password, when one is set.
    pub password: Option<String>,
}

impl std::fmt::Debug for GuestLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuestLogin").field("name", &self.name).finish_non_exhaustive()
    }
}

impl World {
    /// Begins to run a guest with the configuration of its file; pending changes take hold.
    pub(crate) fn power_on(&mut self, vmid: u32) {
        let fault = self.start_faults.remove(&vmid);
        let pid = self.fresh_pid();
        let id = self.fresh();
        let now = self.now;
        let Some(vm) = self.guests.get_mut(&vmid) else { return };
        apply_pending(vm);
        vm.run = Some(Run {
            pid,
            id,
            since: now,
            age: 0,
            up: None,
            config: vm.config.clone(),
            hung: matches!(fault, Some(FaultKind::Hang)),
            silent: matches!(fault, Some(FaultKind::AgentNever)),
            paused: false,
        });
        let node = vm.node.clone();
        let boot = self.physics.boot;
        if let Some(cpu) = self.pipes.get_mut(&PipeKey::Cpu(node)) {
            cpu.add(now, Flow::Boot(vmid, id), boot);
        }
    }

    pub(super) fn booted(&mut self, vmid: u32, run: u64) {
        let now = self.now;
        let Some(vm) = self.guests.get(&vmid) else { return };
        let fresh = self.installed(vm);
        let Some(vm) = self.guests.get_mut(&vmid) else { return };
        let Some(state) = vm.run.as_mut().filter(|state| state.id == run && !state.hung) else { return };
        state.up = Some(now);
        let other = vm.inside.as_ref().is_some_and(|inside| inside.birth != fresh.birth);
        let key = fresh.host_key;
        let birth = fresh.birth;
        let inside = vm.inside.get_or_insert(fresh);
        inside.boot(&state.config);
        if other && inside.cloud_init {
            // cloud-init sees another instance and makes it a host key; the machine id it leaves alone
            (inside.host_key, inside.birth) = (key, birth);
        }
    }

    /// What a first boot makes of a guest's disk.
    pub(super) fn installed(&self, vm: &Vm) -> Inside {
        let (vmid, birth) = (vm.vmid.to_string(), vm.birth.to_string());
        let made = |what: &str| digest(self.seed, &[what, &vmid, &birth]);
        let mut inside = Inside::new(&vm.image, made("machine-id"), made("host-key"));
        inside.birth = vm.birth;
        inside
    }

    /// Takes the power away: what was pending takes hold.
    pub(crate) fn power_off(&mut self, vmid: u32) {
        let now = self.now;
        let Some(vm) = self.guests.get_mut(&vmid) else { return };
        let Some(run) = vm.run.take() else { return };
        if let Some(inside) = vm.inside.as_mut() {
            inside.halt();
        }
        let node = vm.node.clone();
        apply_pending(vm);
        if let Some(cpu) = self.pipes.get_mut(&PipeKey::Cpu(node)) {
            cpu.remove(now, Flow::Boot(vmid, run.id));
        }
    }

    /// Why the agent of a guest cannot be asked, in Proxmox's words; the flag says that this takes
    /// three seconds to find out.
    pub fn agent_trouble(&self, vm: &Vm) -> Option<(String, bool)> {
        let configured = Vm::agent(vm.effective());
        if configured.is_none() {
            return Some(("No QEMU guest agent configured".into(), false));
        }
        let Some(run) = &vm.run else {
            return Some((format!("VM {} is not running", vm.vmid), false));
        };
        let answers =
            run.up.is_some() && !run.hung && !run.silent && configured == Some(true) && guest::has_agent(&vm.image);
        (!answers).then(|| ("QEMU guest agent is not running".into(), true))
    }

    /// The guest's address, once it has one.
    pub fn address(&self, vm: &Vm) -> Option<(Ipv4Addr, u8)> {
        (self.since_up(vm)? >= self.physics.address).then_some(())?;
        vm.inside.as_ref()?.address
    }

    /// Is cloud-init through?
    pub fn cloud_init_done(&self, vm: &Vm) -> bool {
        self.since_up(vm).is_some_and(|ms| ms >= self.physics.cloud_init)
    }

    /// Milliseconds since the operating system was up.
    pub fn since_up(&self, vm: &Vm) -> Option<Ms> {
        let run = vm.run.as_ref()?;
        Some(self.now.saturating_sub(run.up?) + run.age)
    }

    /// The running guest that owns an address.
    pub fn guest_at(&self, address: Ipv4Addr) -> Option<GuestFacts> {
        let vm = self
            .guests
            .values()
            .find(|vm| self.online(&vm.node) && self.address(vm).is_some_and(|(own, _)| own == address))?;
        self.guest_facts(vm.vmid)
    }

    /// Facts about a running guest with an address.
    pub fn guest_facts(&self, vmid: u32) -> Option<GuestFacts> {
        let vm = self.guests.get(&vmid)?;
        let (address, _) = self.address(vm)?;
        let inside = vm.inside.as_ref()?;
        let hung = vm.run.as_ref().is_none_or(|run| run.hung || run.paused);
        Some(GuestFacts {
            vmid,
            node: vm.node.clone(),
            hostname: inside.hostname.clone(),
            address,
            listening: !hung && self.cloud_init_done(vm),
            host_key_seed: inside.host_key,
            users: inside
                .users
                .values()
                .map(|user| GuestLogin {
                    name: user.name.clone(),
                    keys: user.keys.clone(),
                    password: user.password.clone(),
                })
                .collect(),
        })
    }

    /// The lock that guards a guest's configuration.
    pub fn config_free(&self, vmid: u32) -> bool {
        self.locks.free(&LockKey::Config(vmid))
    }
}

/// Moves pending changes into the configuration.
fn apply_pending(vm: &mut Vm) {
    for (key, value) in std::mem::take(&mut vm.pending) {
        match value {
            Some(value) => {
                vm.config.insert(key, value);
            }
            None => {
                vm.config.remove(&key);
            }
        }
    }
}

impl World {
    /// The running machine boots anew with the configuration it has.
    pub(crate) fn boot_again(&mut self, vmid: u32) {
        let id = self.fresh();
        let (now, boot) = (self.now, self.physics.boot);
        let Some(vm) = self.guests.get_mut(&vmid) else { return };
        let node = vm.node.clone();
        if let Some(inside) = vm.inside.as_mut() {
            inside.halt();
        }
        let Some(run) = vm.run.as_mut() else { return };
        let old = std::mem::replace(&mut run.id, id);
        (run.up, run.age, run.since) = (None, 0, now);
        if let Some(cpu) = self.pipes.get_mut(&PipeKey::Cpu(node)) {
            cpu.remove(now, Flow::Boot(vmid, old));
            cpu.add(now, Flow::Boot(vmid, id), boot);
        }
    }
}
