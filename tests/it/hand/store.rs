//! A store in memory: strict about numbers, atomic, and able to run out of disk.
//!
//! It outlives its processes; a lab's lock dies with the process that holds it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use homeroom::{
    domain::{
        Change, Clean, Definition, Event, LabName, Plan, Progress, Role, RunId, SeatName, SiteName, StepName,
        StepState, StoreId,
        code::JoinCode,
        event::{RunKind, RunState},
        life::{self, Life},
        person::Person,
        progress::{RunProgress, SeatProgress},
    },
    port::{
        Store, StoreError,
        store::{EventFilter, GivenCode, LabLock, RunRow, SeatTaken, Sitting, StoredDefinition, StoredEvent},
    },
};
use jiff::Timestamp;

use super::stage::Stage;

/// What lies on the disk.
#[derive(Default)]
struct Tables {
    definitions: BTreeMap<LabName, StoredDefinition>,
    runs: Vec<(RunRow, Plan)>,
    /// The number of the last run.
    counted: i64,
    cancelled: BTreeSet<RunId>,
    events: Vec<StoredEvent>,
    machines: BTreeMap<LabName, Vec<SeatProgress>>,
    lives: BTreeMap<LabName, Life>,
    codes: BTreeMap<JoinCode, GivenCode>,
    joins: BTreeMap<LabName, Vec<Sitting>>,
    rounds: BTreeMap<LabName, BTreeMap<SeatName, u32>>,
    learned: BTreeMap<(SiteName, String), f64>,
    version: i64,
    appends: u64,
}

/// The disk, and who holds which lab.
pub struct Disk {
    /// Who the store is, and who it is once it was lost with its identity.
    ids: [StoreId; 2],
    lost: AtomicBool,
    tables: Mutex<Tables>,
    locks: Arc<Mutex<BTreeMap<LabName, String>>>,
    /// Appends (counted from 1) that find the disk full.
    pub full: Mutex<Range<u64>>,
    /// Says that intents are kept, and keeps only what was made: a mistake the suite must notice.
    pub forgets_intents: bool,
}

impl Disk {
    pub fn new(forgets_intents: bool) -> Arc<Self> {
        Arc::new(Self {
            ids: [StoreId::from_bytes([7; 8]), StoreId::from_bytes([8; 8])],
            lost: AtomicBool::new(false),
            tables: Mutex::default(),
            locks: Arc::default(),
            full: Mutex::new(0..0),
            forgets_intents,
        })
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap()
    }

    /// All that was written down is lost; with `identity`, who the store is too.
    pub fn is_lost(&self, identity: bool) {
        *self.tables() = Tables::default();
        if identity {
            self.lost.store(true, Ordering::Relaxed);
        }
    }

    /// Everything that was written down, in order.
    pub fn told(&self) -> Vec<Event> {
        self.tables().events.iter().map(|stored| stored.event.clone()).collect()
    }
}

/// The store of one process.
pub struct Memory {
    pub stage: Arc<Stage>,
    pub disk: Arc<Disk>,
}

struct Held {
    lab: LabName,
    locks: Arc<Mutex<BTreeMap<LabName, String>>>,
}

impl LabLock for Held {
    fn lab(&self) -> &LabName {
        &self.lab
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.locks.lock().unwrap().remove(&self.lab);
    }
}

fn failed(why: &str) -> StoreError {
    StoreError::Failed { doing: "writing events", why: why.to_owned() }
}

impl Tables {
    fn progress(&self, lab: &LabName) -> Progress {
        let mut progress = Progress::new(lab.clone());
        progress.run = self.runs.iter().rev().find(|(row, _)| &row.lab == lab).map(|(row, _)| RunProgress {
            id: row.id,
            kind: row.kind,
            state: row.state,
            owner: Clean::new(&row.owner),
            started_at: row.started_at,
            ended_at: row.ended_at,
            away: row.away,
            seq: self.last_seq(row.id),
        });
        progress.seats = self.machines.get(lab).cloned().unwrap_or_default();
        progress.life = self.lives.get(lab).cloned();
        let order: Vec<SeatName> = match self.definitions.get(lab).map(|stored| &stored.definition) {
            Some(Definition::Class(class)) => class.seats().into_iter().map(|(seat, _)| seat).collect(),
            _ => Vec::new(),
        };
        let place = |seat: &SeatName| order.iter().position(|known| known == seat).unwrap_or(usize::MAX);
        progress.seats.sort_by_key(|row| (row.role != Role::Teacher, place(&row.seat)));
        progress
    }

    fn last_seq(&self, run: RunId) -> u64 {
        self.events.iter().filter(|e| e.event.run == run).map(|e| e.event.seq).max().unwrap_or(0)
    }

    fn position(&self) -> i64 {
        self.events.last().map_or(0, |stored| stored.position)
    }

    fn append(&mut self, events: &[Event], changed: &[SeatProgress], gone: &[SeatName]) -> Result<(), StoreError> {
        let first = events.first().ok_or_else(|| failed("seats cannot change without an event"))?;
        for event in events {
            if self.events.iter().any(|known| known.event.run == event.run && known.event.seq == event.seq) {
                return Err(failed(&format!("event {} of run {} is already written", event.seq, event.run)));
            }
            if !self.runs.iter().any(|(row, _)| row.id == event.run) || event.lab != first.lab {
                return Err(failed("an event of no run, or of another lab"));
            }
        }
        for event in events {
            let position = self.position() + 1;
            self.events.push(StoredEvent { position, event: event.clone() });
            if let Change::RunEnded { state } = event.change
                && let Some((row, _)) = self.runs.iter_mut().find(|(row, _)| row.id == event.run)
            {
                (row.state, row.ended_at) = (state, Some(event.at));
            }
            let mut life = self.lives.remove(&event.lab);
            life::fold(&mut life, event);
            if let (Change::Opened { code, .. }, lab) = (&event.change, event.lab.clone()) {
                self.codes.insert(code.clone(), GivenCode { lab, ended_at: None });
            }
            self.lives.extend(life.map(|life| (event.lab.clone(), life)));
        }
        let machines = self.machines.entry(first.lab.clone()).or_default();
        machines.retain(|row| !gone.contains(&row.seat));
        for row in changed {
            match machines.iter_mut().find(|known| known.seat == row.seat) {
                Some(known) => known.clone_from(row),
                None => machines.push(row.clone()),
            }
        }
        if machines.is_empty() && !gone.is_empty() {
            self.lives.remove(&first.lab);
        }
        let sitting = self.joins.entry(first.lab.clone()).or_default();
        sitting.retain(|sitting| !gone.contains(&sitting.seat));
        let rounds = self.rounds.entry(first.lab.clone()).or_default();
        gone.iter().for_each(|seat| *rounds.entry(seat.clone()).or_default() += 1);
        if !self.lives.contains_key(&first.lab) {
            sitting.clear();
            rounds.clear();
            let ended = self.codes.values_mut().filter(|code| code.lab == first.lab && code.ended_at.is_none());
            ended.for_each(|code| code.ended_at = Some(first.at));
        }
        Ok(())
    }
}

/// The machine is there: what is written down of it before is the intent to make it.
fn is_made(row: &SeatProgress) -> bool {
    row.step(StepName::Clone).is_none_or(|step| step.state == StepState::Ok)
}

#[async_trait]
impl Store for Memory {
    fn id(&self) -> &StoreId {
        &self.disk.ids[usize::from(self.disk.lost.load(Ordering::Relaxed))]
    }

    async fn put_definition(&self, definition: &Definition, at: Timestamp) -> Result<(), StoreError> {
        let stored = StoredDefinition { definition: definition.clone(), applied_at: at };
        self.disk.tables().definitions.insert(definition.name().clone(), stored);
        Ok(())
    }

    async fn definitions(&self) -> Result<Vec<StoredDefinition>, StoreError> {
        Ok(self.disk.tables().definitions.values().cloned().collect())
    }

    async fn definition(&self, lab: &LabName) -> Result<StoredDefinition, StoreError> {
        let known = self.disk.tables().definitions.get(lab).cloned();
        known.ok_or_else(|| StoreError::NoLab(lab.to_string()))
    }

    async fn delete_definition(&self, lab: &LabName) -> Result<(), StoreError> {
        self.disk.tables().definitions.remove(lab);
        Ok(())
    }

    async fn lock_lab(&self, lab: &LabName, owner: &str) -> Result<Box<dyn LabLock>, StoreError> {
        self.stage.point().await;
        let mut locks = self.disk.locks.lock().unwrap();
        if let Some(holder) = locks.get(lab) {
            return Err(StoreError::Held { lab: lab.clone(), holder: holder.clone() });
        }
        locks.insert(lab.clone(), owner.to_owned());
        Ok(Box::new(Held { lab: lab.clone(), locks: self.disk.locks.clone() }))
    }

    async fn lab_holder(&self, lab: &LabName) -> Result<Option<String>, StoreError> {
        Ok(self.disk.locks.lock().unwrap().get(lab).cloned())
    }

    async fn begin_run(
        &self,
        lab: &LabName,
        kind: RunKind,
        owner: &str,
        plan: &Plan,
        at: Timestamp,
    ) -> Result<RunId, StoreError> {
        self.stage.point().await;
        let id = {
            let mut tables = self.disk.tables();
            tables.counted += 1;
            let id = RunId(tables.counted);
            let row = RunRow {
                id,
                lab: lab.clone(),
                kind,
                state: RunState::Running,
                owner: owner.to_owned(),
                started_at: at,
                ended_at: None,
                away: std::time::Duration::ZERO,
            };
            tables.runs.push((row, plan.clone()));
            tables.version += 1;
            self.stage.changed();
            id
        };
        self.stage.point().await;
        Ok(id)
    }

    async fn count_runs_from(&self, run: RunId) -> Result<(), StoreError> {
        self.stage.point().await;
        self.stage.changed();
        let mut tables = self.disk.tables();
        tables.counted = tables.counted.max(run.0);
        Ok(())
    }

    async fn resume_run(&self, run: RunId, owner: &str) -> Result<(), StoreError> {
        let mut tables = self.disk.tables();
        tables.cancelled.remove(&run);
        let (row, _) = tables.runs.iter_mut().find(|(row, _)| row.id == run).ok_or(StoreError::NoRun(run))?;
        (row.state, row.owner, row.ended_at) = (RunState::Running, owner.to_owned(), None);
        Ok(())
    }

    async fn append(&self, events: &[Event], changed: &[SeatProgress], gone: &[SeatName]) -> Result<(), StoreError> {
        self.stage.point().await;
        let done = {
            let mut tables = self.disk.tables();
            tables.appends += 1;
            if self.disk.full.lock().unwrap().contains(&tables.appends) {
                Err(failed("database or disk is full"))
            } else {
                tables.version += 1;
                self.stage.changed();
                let kept = changed.iter().filter(|row| !self.disk.forgets_intents || is_made(row)).cloned();
                tables.append(events, &kept.collect::<Vec<_>>(), gone)
            }
        };
        self.stage.point().await;
        done
    }

    async fn runs(&self, lab: Option<&LabName>, last: u32) -> Result<Vec<RunRow>, StoreError> {
        let tables = self.disk.tables();
        let of_lab = tables.runs.iter().rev().filter(|(row, _)| lab.is_none_or(|lab| row.lab == *lab));
        Ok(of_lab.map(|(row, _)| row.clone()).take(last as usize).collect())
    }

    async fn run(&self, run: RunId) -> Result<(RunRow, Plan), StoreError> {
        self.disk.tables().runs.iter().find(|(row, _)| row.id == run).cloned().ok_or(StoreError::NoRun(run))
    }

    async fn request_cancel(&self, run: RunId) -> Result<(), StoreError> {
        self.disk.tables().cancelled.insert(run);
        Ok(())
    }

    async fn cancel_requested(&self, run: RunId) -> Result<bool, StoreError> {
        Ok(self.disk.tables().cancelled.contains(&run))
    }

    async fn take_seat(
        &self,
        lab: &LabName,
        code: &JoinCode,
        person: &Person,
        offered: &[SeatName],
        at: Timestamp,
    ) -> Result<SeatTaken, StoreError> {
        self.stage.point().await;
        let mut tables = self.disk.tables();
        if tables.lives.get(lab).is_none_or(|life| life.code != *code) {
            return Ok(SeatTaken::Closed);
        }
        tables.version += 1;
        self.stage.changed();
        let sitting = tables.joins.entry(lab.clone()).or_default();
        if let Some(own) = sitting.iter().find(|sitting| sitting.person.key() == person.key()) {
            return Ok(SeatTaken::Again(own.seat.clone()));
        }
        let free = offered.iter().find(|seat| !sitting.iter().any(|sitting| sitting.seat == **seat));
        Ok(match free {
            None => SeatTaken::Full,
            Some(seat) => {
                sitting.push(Sitting { seat: seat.clone(), person: person.clone(), joined_at: at });
                SeatTaken::First(seat.clone())
            }
        })
    }

    async fn sittings(&self, lab: &LabName) -> Result<Vec<Sitting>, StoreError> {
        let mut sitting = self.disk.tables().joins.get(lab).cloned().unwrap_or_default();
        sitting.sort_by(|a, b| a.seat.cmp(&b.seat));
        Ok(sitting)
    }

    async fn rounds(&self, lab: &LabName) -> Result<BTreeMap<SeatName, u32>, StoreError> {
        Ok(self.disk.tables().rounds.get(lab).cloned().unwrap_or_default())
    }

    async fn given_code(&self, code: &JoinCode) -> Result<Option<GivenCode>, StoreError> {
        Ok(self.disk.tables().codes.get(code).cloned())
    }

    async fn learn(&self, site: &SiteName, limits: &[(String, f64)], _: Timestamp) -> Result<(), StoreError> {
        let mut tables = self.disk.tables();
        tables.learned.extend(limits.iter().map(|(key, value)| ((site.clone(), key.clone()), *value)));
        Ok(())
    }

    async fn learned(&self, site: &SiteName) -> Result<Vec<(String, f64)>, StoreError> {
        let tables = self.disk.tables();
        let own = tables.learned.iter().filter(|((of, _), _)| of == site);
        Ok(own.map(|((_, key), value)| (key.clone(), *value)).collect())
    }

    async fn events(&self, filter: &EventFilter) -> Result<Vec<StoredEvent>, StoreError> {
        let tables = self.disk.tables();
        let mut found: Vec<StoredEvent> = tables
            .events
            .iter()
            .filter(|stored| {
                let event = &stored.event;
                stored.position > filter.after.unwrap_or(0)
                    && filter.lab.as_ref().is_none_or(|lab| event.lab == *lab)
                    && filter.run.is_none_or(|run| event.run == run)
                    && filter.seat.as_ref().is_none_or(|seat| event.seat.as_ref() == Some(seat))
                    && filter.level.is_none_or(|level| event.level >= level)
            })
            .cloned()
            .collect();
        if let Some(last) = filter.last {
            found.drain(..found.len().saturating_sub(last as usize));
        }
        Ok(found)
    }

    async fn progress(&self, lab: &LabName) -> Result<(Progress, i64), StoreError> {
        let tables = self.disk.tables();
        Ok((tables.progress(lab), tables.position()))
    }

    async fn all_progress(&self) -> Result<(Vec<Progress>, i64), StoreError> {
        let tables = self.disk.tables();
        let labs: BTreeSet<&LabName> =
            tables.machines.keys().chain(tables.runs.iter().map(|(row, _)| &row.lab)).collect();
        Ok((labs.into_iter().map(|lab| tables.progress(lab)).collect(), tables.position()))
    }

    async fn lives(&self) -> Result<Vec<(LabName, Life)>, StoreError> {
        let (all, _) = self.all_progress().await?;
        Ok(all.into_iter().filter_map(|progress| Some((progress.lab, progress.life?))).collect())
    }

    async fn version(&self) -> Result<i64, StoreError> {
        Ok(self.disk.tables().version)
    }
}
