//! The engine: a graph of steps, carried out in parallel up to what the hardware takes, every
//! intent written down before its effect.
//!
//! `step` says what a step is, `recorder` is the only writer of progress, `schedule` carries a graph
//! out, `limits` and `tasks` keep load off the site. `class` is the catalogue for classes, `workshop`
//! the one for workshops.
//! Nothing here knows a screen, a file or a wire format.

mod account;
pub mod class;
pub mod limits;
mod reason;
pub mod recorder;
pub mod schedule;
pub mod step;
pub mod tasks;
pub mod workshop;

pub use recorder::Recorder;
pub use schedule::{Ended, Graph, carry_out};
pub use step::{Action, Check, Step, StepContext, StepError, Subject};

use std::time::Duration;

use crate::domain::retry::Retry;

/// What the engine may be told to do differently; every wait is modelled time.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuning {
    /// Clones at once on a storage that all nodes share, to begin with.
    pub clones_per_shared_storage: usize,
    /// Clones at once on a storage of one node, to begin with.
    pub clones_per_local_storage: usize,
    /// Full copies at once on any storage, to begin with: they share its bandwidth, and more of them end together, not
    /// sooner.
    pub copies_per_storage: usize,
    /// Removals at once on a site.
    pub removals: usize,
    /// Machines booting at once on a node; absent: as many as its CPUs bear.
    pub boots_per_node: Option<usize>,
    /// Questions to guest agents at once through one node.
    pub asks_per_node: usize,
    /// From the end of a clone to the first write of its configuration.
    pub settle_after_clone: Duration,
    /// Waits where a lock was busy.
    pub locked: Retry,
    /// Waits where the site could not be reached.
    pub unreachable: Retry,
    /// Between looks at a node's running tasks.
    pub task_poll: Duration,
    /// A task that shows no progress for this long is given up on.
    pub task_stall: Duration,
    /// Between questions to a guest agent that has not answered yet.
    pub agent_poll: Duration,
    /// From a start to the first question, until a boot of this template has been seen.
    pub first_ask: Duration,
    /// From an address to a key login.
    pub ssh_within: Duration,
    /// Wall time one login may take.
    pub login_within: Duration,
    /// A guest is asked to shut down for this long before its plug is pulled.
    pub shutdown_within: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            clones_per_shared_storage: 2,
            clones_per_local_storage: 5,
            copies_per_storage: 2,
            removals: 2,
            boots_per_node: None,
            asks_per_node: 4,
            settle_after_clone: seconds(2),
            locked: Retry::locked(),
            unreachable: Retry { waits: [1, 2, 5, 10, 20, 30].map(seconds).to_vec(), jitter: seconds(1) },
            task_poll: seconds(1),
            task_stall: seconds(300),
            agent_poll: seconds(3),
            first_ask: seconds(8),
            ssh_within: seconds(120),
            login_within: seconds(20),
            shutdown_within: seconds(60),
        }
    }
}
