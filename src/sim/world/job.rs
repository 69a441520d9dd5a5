//! What takes modelled time: the worker of a task, or a call that has to wait. A job is a list
//! of small operations; the world runs it until something is not yet to be had.

use std::collections::VecDeque;

use serde_json::Value;

use super::{JobId, LockKey, Mode, Ms, PipeKey, World};
use crate::sim::api::Fail;

/// A step of code inside a job: changes the world, may add operations that come next.
pub type Deed = Box<dyn FnOnce(&mut World, JobId) -> Result<Vec<Op>, Fail> + Send>;
/// What a job does to clean up when it fails.
pub type Undo = Box<dyn FnOnce(&mut World) + Send>;

/// One operation.
pub enum Op {
    /// A line in the task's log.
    Log(String),
    /// Takes a lock; fails with Proxmox's words after `patience` milliseconds.
    Take { key: LockKey, mode: Mode, patience: Ms },
    /// Takes a lock; after `patience` milliseconds logs a warning and leaves out `skip` operations.
    TakeOr { key: LockKey, mode: Mode, patience: Ms, warning: String, skip: usize },
    /// Gives a lock back.
    Free(LockKey),
    /// Lets time pass.
    Pause(Ms),
    /// Moves units through a shared pipe; `total` is shown in progress lines when given.
    Flow { pipe: PipeKey, units: f64, total: Option<u64>, command: String },
    /// Runs code.
    Run(Deed),
}

impl Op {
    /// `Op::Run` from a closure.
    pub fn run(deed: impl FnOnce(&mut World, JobId) -> Result<Vec<Op>, Fail> + Send + 'static) -> Self {
        Self::Run(Box::new(deed))
    }

    /// Takes a config flock exclusively, waiting ten seconds as Proxmox does.
    pub fn config_lock(vmid: u32) -> Self {
        Self::Take { key: LockKey::Config(vmid), mode: Mode::Exclusive, patience: 10_000 }
    }
}

/// Whom the job works for.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// A task; its outcome goes to the task's log and list.
    Task(String),
    /// A call; its outcome is the answer.
    Call(u64),
    /// Nobody any more: a copy on this node whose worker was killed, and which goes on all the same.
    Nobody(String),
}

/// What the job waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Waiting {
    /// Nothing: it runs.
    No,
    /// A lock, until the deadline.
    Lock { key: LockKey, mode: Mode, until: Ms, or: Option<(String, usize)> },
    /// A moment.
    Until(Ms),
    /// Its share of a pipe.
    Flow { pipe: PipeKey, command: String, total: Option<u64>, units: f64 },
}

/// A job under way.
pub struct Job {
    /// Whom it works for.
    pub purpose: Purpose,
    /// What is still to be done.
    pub ops: VecDeque<Op>,
    /// Locks held now.
    pub held: Vec<LockKey>,
    /// How to clean up on failure, in order of doing.
    pub undo: Vec<Undo>,
    /// What stands before the reason when it fails (`clone failed: `).
    pub blame: String,
    /// Warnings so far.
    pub warnings: u32,
    /// What it waits for.
    pub waiting: Waiting,
    /// The answer of a call.
    pub answer: Option<Value>,
}

impl Job {
    /// A fresh job.
    pub fn new(purpose: Purpose, ops: Vec<Op>) -> Self {
        Self {
            purpose,
            ops: ops.into(),
            held: Vec::new(),
            undo: Vec::new(),
            blame: String::new(),
            warnings: 0,
            waiting: Waiting::No,
            answer: None,
        }
    }
}
