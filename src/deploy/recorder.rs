//! The recorder: the one place where events get their number and progress is folded.
//!
//! Whoever writes an intent waits for its commit before acting. Entries that arrive together are
//! committed together.

use std::sync::{Arc, OnceLock, RwLock};

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    domain::{
        Change, Clean, Event, LabName, Level, MachineState, Progress, RunId, SeatName, StepName, machine::machine_name,
        progress::fold,
    },
    port::{Clock, Store, StoreError},
};

/// An event before the recorder numbers it.
#[derive(Debug, Clone)]
pub struct Entry {
    pub seat: Option<SeatName>,
    pub step: Option<StepName>,
    pub level: Level,
    pub message: Clean,
    pub change: Change,
}

impl Entry {
    /// About the run as a whole.
    pub fn run(level: Level, message: impl AsRef<str>, change: Change) -> Self {
        Self { seat: None, step: None, level, message: Clean::new(message), change }
    }

    /// About a seat.
    pub fn seat(seat: &SeatName, level: Level, message: impl AsRef<str>, change: Change) -> Self {
        Self { seat: Some(seat.clone()), ..Self::run(level, message, change) }
    }

    /// About one step of a seat, or of the lab when `seat` is absent.
    pub fn step(
        seat: Option<&SeatName>,
        step: StepName,
        level: Level,
        message: impl AsRef<str>,
        change: Change,
    ) -> Self {
        Self { seat: seat.cloned(), step: Some(step), ..Self::run(level, message, change) }
    }
}

/// The journal did not take an entry; without it nothing may be done.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the journal cannot be written, so nothing more is done: {0}")]
pub struct JournalLost(pub String);

type Request = (Entry, oneshot::Sender<Result<(), JournalLost>>);

/// A handle to the run's one writer.
#[derive(Clone)]
pub struct Recorder {
    run: RunId,
    requests: mpsc::Sender<Request>,
    progress: Arc<RwLock<Progress>>,
    lost: Arc<OnceLock<JournalLost>>,
}

/// Entries that may wait for the writer; more than that, and their senders wait.
const QUEUE: usize = 256;
/// Entries committed together at most.
const BATCH: usize = 64;

impl Recorder {
    /// Starts the writer of `run`, whose lab stands as `progress` says. It ends when the last handle is dropped.
    pub fn start(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        run: RunId,
        progress: Progress,
    ) -> (Self, JoinHandle<()>) {
        let (requests, inbox) = mpsc::channel(QUEUE);
        let lab = progress.lab.clone();
        let seq = progress.run.as_ref().filter(|known| known.id == run).map_or(0, |known| known.seq);
        let progress = Arc::new(RwLock::new(progress));
        let lost = Arc::default();
        let writer = Writer { store, clock, run, lab, seq, progress: progress.clone(), lost: Arc::clone(&lost) };
        (Self { run, requests, progress, lost }, tokio::spawn(writer.work(inbox)))
    }

    pub fn run(&self) -> RunId {
        self.run
    }

    /// Writes an entry and waits until it is on disk.
    pub async fn write(&self, entry: Entry) -> Result<(), JournalLost> {
        let (done, answer) = oneshot::channel();
        let ended = || JournalLost("its writer has ended".to_owned());
        self.requests.send((entry, done)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// Why the journal missed something of this run, if it did.
    pub fn lost(&self) -> Option<JournalLost> {
        self.lost.get().cloned()
    }

    /// How the lab stands, as of the last commit.
    pub fn progress(&self) -> Progress {
        match self.progress.read() {
            Ok(progress) => progress.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        }
    }
}

/// The same line in the program's own log file.
fn trace(event: &Event) {
    let (run, lab, message) = (event.run, &event.lab, &event.message);
    let seat = event.seat.as_ref().map(SeatName::as_str);
    let step = event.step.map(StepName::as_str);
    match event.level {
        Level::Debug => tracing::debug!(%run, %lab, seat, step, "{message}"),
        Level::Info | Level::Success => tracing::info!(%run, %lab, seat, step, "{message}"),
        Level::Warning => tracing::warn!(%run, %lab, seat, step, "{message}"),
        Level::Error => tracing::error!(%run, %lab, seat, step, "{message}"),
    }
}

struct Writer {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    run: RunId,
    lab: LabName,
    seq: u64,
    progress: Arc<RwLock<Progress>>,
    /// The first failure.
    lost: Arc<OnceLock<JournalLost>>,
}

impl Writer {
    async fn work(mut self, mut inbox: mpsc::Receiver<Request>) {
        let mut batch = Vec::with_capacity(BATCH);
        while inbox.recv_many(&mut batch, BATCH).await > 0 {
            let (entries, answers): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
            let outcome = self.commit(entries).await.map_err(|e| JournalLost(e.to_string()));
            if let Err(lost) = &outcome {
                self.lost.get_or_init(|| lost.clone());
            }
            for answer in answers {
                // A worker that no longer waits has nothing to learn.
                let _ = answer.send(outcome.clone());
            }
        }
    }

    /// Numbers, folds and stores entries; on failure nothing has changed.
    async fn commit(&mut self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let mut progress = match self.progress.read() {
            Ok(progress) => progress.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        };
        let before = progress.clone();
        let at = self.clock.now();
        let events: Vec<Event> =
            entries.into_iter().zip(self.seq + 1..).map(|(entry, seq)| self.event(entry, seq, at)).collect();
        for event in &events {
            fold(&mut progress, event);
        }
        let changed: Vec<_> =
            progress.seats.iter().filter(|seat| before.seat(&seat.seat) != Some(seat)).cloned().collect();
        let gone: Vec<_> = before
            .seats
            .iter()
            .filter(|seat| seat.state != MachineState::Gone && progress.seat(&seat.seat).is_none())
            .map(|seat| seat.seat.clone())
            .collect();
        self.store.append(&events, &changed, &gone).await?;
        events.iter().for_each(trace);
        self.seq += events.len() as u64;
        match self.progress.write() {
            Ok(mut shared) => *shared = progress,
            Err(poisoned) => *poisoned.into_inner() = progress,
        }
        Ok(())
    }

    fn event(&self, entry: Entry, seq: u64, at: Timestamp) -> Event {
        let machine = entry.seat.as_ref().map(|seat| Clean::new(machine_name(&self.lab, seat)));
        Event {
            at,
            seq,
            run: self.run,
            lab: self.lab.clone(),
            seat: entry.seat,
            machine,
            step: entry.step,
            level: entry.level,
            message: entry.message,
            change: entry.change,
        }
    }
}
