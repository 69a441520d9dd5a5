//! What nodes tell each other every ten seconds. Lists show guests as of the last broadcast:
//! a new guest has no name and no status until its node has spoken.

use super::fault::dice;
use super::{Ms, PipeKey, Vm, Wake, World};

/// A guest as of the last broadcast of its node.
#[derive(Clone, Debug)]
pub struct Stat {
    /// Its name.
    pub name: String,
    /// `running` or `stopped`.
    pub status: &'static str,
    /// A template?
    pub template: bool,
    /// Seconds since the start.
    pub uptime: u64,
    /// Share of its processors in use.
    pub cpu: f64,
    /// Bytes of memory in use.
    pub mem: u64,
    /// Bytes of memory.
    pub maxmem: u64,
    /// Processors.
    pub maxcpu: u64,
    /// Bytes of the boot disk.
    pub maxdisk: u64,
    /// Bytes received, sent, read, written.
    pub traffic: [u64; 4],
    /// When it was said.
    pub at: Ms,
}

impl World {
    /// A node says how its guests are, and will again in ten seconds.
    pub(super) fn broadcast(&mut self, node: &str) {
        let next = self.now + self.physics.broadcast;
        self.at(next, Wake::Broadcast(node.to_owned()));
        if !self.online(node) {
            return;
        }
        let fresh: Vec<(u32, Stat)> =
            self.guests.values().filter(|vm| vm.node == node).map(|vm| (vm.vmid, self.measure(vm))).collect();
        self.stats.extend(fresh);
    }

    /// Every node has just spoken.
    pub(super) fn hear_all(&mut self) {
        let fresh: Vec<(u32, Stat)> =
            self.guests.values().filter(|vm| self.online(&vm.node)).map(|vm| (vm.vmid, self.measure(vm))).collect();
        self.stats.extend(fresh);
    }

    /// The guest as its node would describe it now.
    pub fn measure(&self, vm: &Vm) -> Stat {
        let config = vm.effective();
        let uptime = vm.run.as_ref().map_or(0, |run| (self.now - run.since + run.age) / 1000);
        let maxmem = Vm::memory(config);
        let tick = (self.now / self.physics.broadcast.max(1)).to_string();
        let noise = dice(self.seed, &["cpu", &vm.vmid.to_string(), &tick]);
        let (cpu, mem) = match &vm.run {
            None => (0.0, 0),
            Some(run) if run.up.is_none() => (0.6 + 0.4 * noise, maxmem / 3),
            Some(_) => (0.01 + 0.05 * noise * noise, maxmem / 4 + (maxmem / 8) * uptime.min(600) / 600),
        };
        Stat {
            name: vm.name(),
            status: if vm.run.is_some() { "running" } else { "stopped" },
            template: vm.template(),
            uptime,
            cpu,
            mem,
            maxmem,
            maxcpu: Vm::cpus(config),
            maxdisk: Vm::disk_size(config),
            traffic: if vm.run.is_some() {
                [360 + uptime * 900, 446 + uptime * 310, 90_000_000 + uptime * 4096, uptime * 20_480]
            } else {
                [0; 4]
            },
            at: self.now,
        }
    }

    /// What the cluster last heard of a guest; nothing for a new one, or one whose node is silent.
    pub fn heard(&self, vm: &Vm) -> Option<&Stat> {
        let stat = self.stats.get(&vm.vmid)?;
        (self.online(&vm.node) && self.now.saturating_sub(stat.at) < 300_000).then_some(stat)
    }

    /// Forgets what was heard of a guest.
    pub(crate) fn forget(&mut self, vmid: u32) {
        self.stats.remove(&vmid);
    }

    /// Share of a node's processors in use, and its bytes of memory in use.
    pub fn node_load(&self, node: &str) -> (f64, u64) {
        let Some(real) = self.nodes.get(node) else { return (0.0, 0) };
        let mut cores = 0.0;
        let mut memory = 2u64 << 30;
        for vm in self.guests.values().filter(|vm| vm.node == node && vm.run.is_some()) {
            let stat = self.measure(vm);
            memory += stat.mem + (96 << 20);
            if vm.run.as_ref().is_some_and(|run| run.up.is_some()) {
                cores += stat.cpu * stat.maxcpu as f64;
            }
        }
        let busy = self.pipes.get(&PipeKey::Cpu(node.to_owned())).map_or(0.0, super::Pipe::load);
        let tick = (self.now / self.physics.broadcast.max(1)).to_string();
        let noise = 0.02 * dice(self.seed, &["node", node, &tick]);
        ((cores / real.cores.max(1) as f64 + busy + noise).min(1.0), memory.min(real.memory))
    }
}
