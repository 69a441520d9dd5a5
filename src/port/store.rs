//! What must survive: definitions, machines, runs and their events, and who works on which lab.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use thiserror::Error;

use crate::domain::{
    Definition, Event, LabName, Level, Plan, Progress, RunId, SeatName, SiteName, StoreId,
    code::JoinCode,
    event::{RunKind, RunState},
    life::Life,
    person::Person,
    progress::SeatProgress,
};

#[derive(Debug, Error)]
pub enum StoreError {
    /// The file, folder or lock could not be used.
    #[error("store {path}: {why}")]
    Unusable { path: String, why: String },
    /// A statement failed; in the database's words.
    #[error("store: {doing}: {why}")]
    Failed { doing: &'static str, why: String },
    #[error("the store was opened read-only: {doing} is not possible")]
    ReadOnly { doing: &'static str },
    #[error("no lab is called {0}; `homeroom get` lists them")]
    NoLab(String),
    #[error("there is no run {0}; `homeroom runs` lists them")]
    NoRun(RunId),
    /// Another process works on the lab.
    #[error("{lab} is held by {holder}")]
    Held { lab: LabName, holder: String },
}

/// A stored definition.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDefinition {
    pub definition: Definition,
    pub applied_at: Timestamp,
}

/// A run as listed.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    pub id: RunId,
    pub lab: LabName,
    pub kind: RunKind,
    pub state: RunState,
    /// Who started it, on which host, as which process.
    pub owner: String,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// How long nobody carried it out, between its beginning and its end.
    pub away: Duration,
}

impl RunRow {
    /// How long it took, once it has ended, where modelled time passes `speed` times as fast as the wall's: in the
    /// time in which its steps are measured. Time in which nobody carried it out is left out.
    pub fn took(&self, speed: f64) -> Option<Duration> {
        let wall = Duration::try_from(self.ended_at?.duration_since(self.started_at)).ok()?;
        Duration::try_from_secs_f64(wall.saturating_sub(self.away).as_secs_f64() * speed).ok()
    }
}

/// Which events to read; all conditions hold together.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    pub lab: Option<LabName>,
    pub run: Option<RunId>,
    pub seat: Option<SeatName>,
    /// This loud or louder.
    pub level: Option<Level>,
    /// Behind this position in the store (see `StoredEvent::position`).
    pub after: Option<i64>,
    /// The newest so many, in order; all when absent.
    pub last: Option<u32>,
}

/// An event with its position in the store, growing over all runs.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    pub position: i64,
    pub event: Event,
}

/// Somebody on a seat of a workshop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sitting {
    pub seat: SeatName,
    /// As typed when the seat was taken.
    pub person: Person,
    pub joined_at: Timestamp,
}

/// What came of asking for a seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeatTaken {
    /// Nobody had it.
    First(SeatName),
    /// The person's own, from before.
    Again(SeatName),
    /// Every seat offered has somebody.
    Full,
    /// The workshop is no longer joined by this code.
    Closed,
}

/// What a code once opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenCode {
    pub lab: LabName,
    /// Since when it opens nothing any more.
    pub ended_at: Option<Timestamp>,
}

/// The right to work on a lab; given up when dropped, or by the kernel when the process dies.
pub trait LabLock: Send + Sync {
    fn lab(&self) -> &LabName;
}

#[async_trait]
pub trait Store: Send + Sync {
    /// Identifies this store in marks.
    fn id(&self) -> &StoreId;

    async fn put_definition(&self, definition: &Definition, at: Timestamp) -> Result<(), StoreError>;
    async fn definitions(&self) -> Result<Vec<StoredDefinition>, StoreError>;
    async fn definition(&self, lab: &LabName) -> Result<StoredDefinition, StoreError>;
    /// Forgets a definition; refused by the caller while machines of the lab exist.
    async fn delete_definition(&self, lab: &LabName) -> Result<(), StoreError>;

    /// Takes the lab's OS lock, or says who holds it. `owner` is written for others to read.
    async fn lock_lab(&self, lab: &LabName, owner: &str) -> Result<Box<dyn LabLock>, StoreError>;
    /// Who holds the lab's lock now, if anyone.
    async fn lab_holder(&self, lab: &LabName) -> Result<Option<String>, StoreError>;

    /// Writes down a new run with its plan; its number.
    async fn begin_run(
        &self,
        lab: &LabName,
        kind: RunKind,
        owner: &str,
        plan: &Plan,
        at: Timestamp,
    ) -> Result<RunId, StoreError>;
    /// Numbers later runs above this one: marks that stand name it.
    async fn count_runs_from(&self, run: RunId) -> Result<(), StoreError>;
    /// A run that was broken off or interrupted is under way again, carried out by `owner`; a wish to cancel it is
    /// forgotten.
    async fn resume_run(&self, run: RunId, owner: &str) -> Result<(), StoreError>;
    /// Commits events, and with them the changed seats and those gone, in one durable transaction.
    /// A `RunEnded` among them ends the run's row too.
    async fn append(&self, events: &[Event], changed: &[SeatProgress], gone: &[SeatName]) -> Result<(), StoreError>;
    async fn runs(&self, lab: Option<&LabName>, last: u32) -> Result<Vec<RunRow>, StoreError>;
    async fn run(&self, run: RunId) -> Result<(RunRow, Plan), StoreError>;
    /// Asks the process that carries out a run to wind it down.
    async fn request_cancel(&self, run: RunId) -> Result<(), StoreError>;
    async fn cancel_requested(&self, run: RunId) -> Result<bool, StoreError>;

    /// Seats somebody: on the seat the person has, else on the first of `offered` that nobody has. Decided in one
    /// transaction that no other process writes beside.
    async fn take_seat(
        &self,
        lab: &LabName,
        code: &JoinCode,
        person: &Person,
        offered: &[SeatName],
        at: Timestamp,
    ) -> Result<SeatTaken, StoreError>;
    /// Who sits where, by seat.
    async fn sittings(&self, lab: &LabName) -> Result<Vec<Sitting>, StoreError>;
    /// How often each seat of a standing workshop went, for those that did.
    async fn rounds(&self, lab: &LabName) -> Result<BTreeMap<SeatName, u32>, StoreError>;
    /// What a code opens or opened; `None` for one never given.
    async fn given_code(&self, code: &JoinCode) -> Result<Option<GivenCode>, StoreError>;

    /// Keeps what a run found out about how much a site bears at once, by the limit's name.
    async fn learn(&self, site: &SiteName, limits: &[(String, f64)], at: Timestamp) -> Result<(), StoreError>;
    /// What runs have found out about a site.
    async fn learned(&self, site: &SiteName) -> Result<Vec<(String, f64)>, StoreError>;

    async fn events(&self, filter: &EventFilter) -> Result<Vec<StoredEvent>, StoreError>;
    /// What the events of a lab have added up to, and the position of the last of them, read together.
    async fn progress(&self, lab: &LabName) -> Result<(Progress, i64), StoreError>;
    /// Every lab that has machines or a run.
    async fn all_progress(&self) -> Result<(Vec<Progress>, i64), StoreError>;
    /// Every workshop that was deployed and has not ended, by name.
    async fn lives(&self) -> Result<Vec<(LabName, Life)>, StoreError>;

    /// A number that changes whenever another connection commits (`PRAGMA data_version`), or this one.
    async fn version(&self) -> Result<i64, StoreError>;
}
