//! The state of the simulated cluster and its laws of time. Pure: a request and the time go in,
//! answers and the next moment something happens come out. No I/O, no clock, no threads.

pub mod access;
pub mod build;
pub mod container;
mod control;
pub mod edit;
pub mod fault;
pub mod guests;
pub mod job;
pub mod lock;
pub mod pipe;
mod run;
pub mod stats;
pub mod storage;
pub mod tally;
pub mod task;
pub mod vm;
pub mod volumes;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

pub use access::{Access, Who};
pub use fault::{Fault, FaultKind};
pub use job::{Job, Op, Purpose, Waiting};
pub use lock::{LockKey, Mode};
pub use pipe::{Flow, Pipe, PipeKey};
pub use storage::Storage;
pub use task::{Task, Upid};
pub use vm::{Run, Snapshot, Vm};

use crate::sim::api::{Answer, Fate};

/// Modelled milliseconds since the world began.
pub type Ms = u64;
/// A job's number.
pub type JobId = u64;
/// A call's number: the answer carries it.
pub type CallId = u64;

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Processor cores.
    pub cores: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// The address the cluster has written down for it.
    pub ip: String,
    /// Reachable and alive?
    pub online: bool,
    /// Bridges.
    pub bridges: Vec<String>,
}

/// A pool.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// Free text.
    pub comment: String,
    /// Guests in it.
    pub vms: Vec<u32>,
    /// Storages in it.
    pub storages: Vec<String>,
}

/// How long things take, in modelled milliseconds or units per millisecond.
#[derive(Clone, Debug)]
pub struct Physics {
    /// From POST to the UPID.
    pub spawn: Ms,
    /// A start task, without the boot.
    pub start: Ms,
    /// Core-milliseconds of a boot up to the agent.
    pub boot: f64,
    /// Cores a boot can use.
    pub boot_cores: f64,
    /// From the agent's first answer to an address.
    pub address: Ms,
    /// From the agent's first answer to the end of cloud-init.
    pub cloud_init: Ms,
    /// A shutdown through the agent.
    pub shutdown: Ms,
    /// An agent call that is answered.
    pub agent: Ms,
    /// Core-milliseconds `qm` burns before it does anything.
    pub qm: f64,
    /// Between two broadcasts of a node's statistics.
    pub broadcast: Ms,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    Job(JobId),
    Lock(JobId),
    Broadcast(String),
    Free(LockKey),
    Kill(String),
}

/// The cluster.
pub struct World {
    now: Ms,
    /// Unix seconds when the modelled time was 0.
    pub epoch: i64,
    /// What chance is drawn from.
    pub seed: u64,
    /// The cluster's name.
    pub name: String,
    /// Proxmox VE's version, such as `9.2.11`.
    pub version: String,
    /// Does the cluster have a majority?
    pub quorate: bool,
    /// How long things take.
    pub physics: Physics,
    /// Nodes by name.
    pub nodes: BTreeMap<String, Node>,
    /// Names the nodes can look up that are no members: what comes of a call there, and after how long.
    pub hosts: BTreeMap<String, (u16, String, Ms)>,
    /// Storages by id.
    pub storages: BTreeMap<String, Storage>,
    /// Guests by number.
    pub guests: BTreeMap<u32, Vm>,
    /// LXC containers by number.
    pub containers: BTreeMap<u32, container::Container>,
    /// Pools by id.
    pub pools: BTreeMap<String, Pool>,
    /// Users, tokens, roles and access lists.
    pub access: Access,
    /// Tasks in order of their start.
    pub tasks: Vec<Task>,
    /// What goes wrong on purpose.
    pub faults: fault::Faults,
    /// The certificate's fingerprint, shown in node lists.
    pub fingerprint: String,
    /// What was asked so far.
    pub tally: tally::Tally,
    stats: BTreeMap<u32, stats::Stat>,
    task_at: HashMap<String, usize>,
    locks: lock::Locks,
    pipes: BTreeMap<PipeKey, Pipe>,
    jobs: HashMap<JobId, Job>,
    wakes: BinaryHeap<Reverse<(Ms, u64, Wake)>>,
    answers: Vec<(CallId, Answer)>,
    fates: HashMap<CallId, Fate>,
    task_fault: Option<FaultKind>,
    start_faults: BTreeMap<u32, FaultKind>,
    count: u64,
    pids: u32,
}

impl World {
    /// Modelled milliseconds since the beginning.
    pub fn now(&self) -> Ms {
        self.now
    }

    /// Does it behave as Proxmox VE 8 does?
    pub fn is_eight(&self) -> bool {
        self.version.starts_with("8.")
    }

    /// Modelled unix seconds.
    pub fn unix(&self) -> i64 {
        self.epoch + (self.now / 1000) as i64
    }

    /// Lets time pass up to `now`; whatever was due happens, each thing at its own moment.
    pub fn advance(&mut self, now: Ms) {
        while let Some(at) = self.next_wake().filter(|at| *at <= now) {
            self.now = self.now.max(at);
            let ended: Vec<Flow> = self
                .pipes
                .values_mut()
                .filter(|p| p.next_end().is_some_and(|end| end <= at))
                .flat_map(|pipe| pipe.finished(at))
                .collect();
            for flow in ended {
                self.flow_ended(flow);
            }
            while let Some(Reverse((due, _, _))) = self.wakes.peek() {
                if *due > at {
                    break;
                }
                if let Some(Reverse((_, _, wake))) = self.wakes.pop() {
                    self.wake(wake);
                }
            }
        }
        self.now = self.now.max(now);
    }

    /// The next moment something happens by itself.
    pub fn next_wake(&self) -> Option<Ms> {
        let timer = self.wakes.peek().map(|Reverse((at, _, _))| *at);
        let pipe = self.pipes.values().filter_map(Pipe::next_end).min();
        match (timer, pipe) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Answers that are ready.
    pub fn take_answers(&mut self) -> Vec<(CallId, Answer)> {
        std::mem::take(&mut self.answers)
    }

    /// A number nobody had before.
    pub(crate) fn fresh(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    pub(crate) fn fresh_pid(&mut self) -> u32 {
        // a process table is dense, but not without gaps
        self.pids += 1 + (self.pids % 3);
        self.pids
    }

    fn at(&mut self, when: Ms, wake: Wake) {
        let order = self.fresh();
        self.wakes.push(Reverse((when.max(self.now), order, wake)));
    }

    fn wake(&mut self, wake: Wake) {
        match wake {
            Wake::Job(job) => self.resume(job),
            Wake::Lock(job) => self.lock_deadline(job),
            Wake::Broadcast(node) => self.broadcast(&node),
            Wake::Free(key) => {
                for job in self.locks.leave(&key, 0) {
                    self.lock_granted(job, &key);
                }
            }
            Wake::Kill(upid) => self.kill_task(&upid),
        }
    }

    /// Is the node there and alive?
    pub fn online(&self, node: &str) -> bool {
        self.nodes.get(node).is_some_and(|node| node.online)
    }

    /// The pool a guest is in.
    pub fn pool_of(&self, vmid: u32) -> Option<&str> {
        self.pools.iter().find(|(_, pool)| pool.vms.contains(&vmid)).map(|(id, _)| id.as_str())
    }

    /// The task with this UPID.
    pub fn task(&self, upid: &str) -> Option<&Task> {
        self.tasks.get(*self.task_at.get(upid)?)
    }

    pub(crate) fn task_mut(&mut self, upid: &str) -> Option<&mut Task> {
        self.tasks.get_mut(*self.task_at.get(upid)?)
    }

    /// Lets somebody else hold a lock for a while.
    pub(crate) fn hold_lock(&mut self, key: LockKey, ms: Ms) {
        // whoever holds it already goes on holding it: nobody queues behind himself
        if self.locks.free(&key) && self.locks.take(&key, Mode::Exclusive, 0) {
            let until = self.now + ms;
            self.at(until, Wake::Free(key));
        }
    }
}
