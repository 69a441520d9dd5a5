//! The store itself: `port::Store` on one SQLite file.

use std::{collections::BTreeMap, path::Path, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{
    ConnectOptions, Connection, Sqlite, SqliteConnection, SqlitePool,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::Mutex;

use super::{
    error,
    folder::Places,
    lock, read, schema, seats,
    writer::{Write, Writer, Written},
};
use crate::{
    domain::{
        Definition, Event, LabName, Plan, Progress, RunId, SeatName, SiteName, StoreId, code::JoinCode, event::RunKind,
        life::Life, person::Person, progress::SeatProgress,
    },
    port::{
        StoreError,
        store::{EventFilter, GivenCode, LabLock, RunRow, SeatTaken, Sitting, Store, StoredDefinition, StoredEvent},
    },
};

/// How long a statement waits for another process that writes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connections that read at the same time.
const READERS: u32 = 4;
/// What each connection keeps of the file, in KiB. All of it lies in the system's cache anyway, and there are up to six.
const CACHE_KIB: u32 = 512;

/// How a store is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// For a team of Unix users: folder 2770 with setgid, files 0660. Otherwise 0700 and 0600.
    pub shared: bool,
    /// Nothing is made or changed; writing is refused. For kiosks.
    pub read_only: bool,
}

/// The store on SQLite.
pub struct SqliteStore {
    id: StoreId,
    places: Places,
    /// Absent when read-only.
    writer: Option<Writer>,
    readers: SqlitePool,
    /// `PRAGMA data_version` counts the commits of other connections, so this one only asks.
    watcher: Mutex<SqliteConnection>,
}

impl SqliteStore {
    /// Opens the store in `path` (`~` is the home folder), made if missing, brought to the newest
    /// schema. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`StoreError::Unusable`]: no permission, not a store, a network file system, a newer schema.
    pub async fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        let places = Places::of(path.as_ref(), options.shared)?;
        places.refuse_network()?;
        if options.read_only { Self::open_to_read(places).await } else { Self::open_to_write(places).await }
    }

    async fn open_to_write(places: Places) -> Result<Self, StoreError> {
        let file = places.file.clone();
        let opening = |e: sqlx::Error| error::opening(&file, &e);
        // Two that open a new store at once would meet in making it; flock may block for long.
        let (places, guard) = tokio::task::spawn_blocking(move || {
            places.prepare_folders()?;
            let guard = lock::wait_for_store(&places)?;
            places.prepare_file()?;
            Ok::<_, StoreError>((places, guard))
        })
        .await
        .map_err(|e| error::unusable(&file, e.to_string()))??;
        let mut writer = connect(&file)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .connect()
            .await
            .map_err(opening)?;
        let id = schema::migrate(&mut writer, &file, places.kept_identity()).await?;
        places.keep_identity(&id)?;
        drop(guard);
        let reading = connect(&file).pragma("query_only", "ON");
        let watcher = reading.connect().await.map_err(opening)?;
        Ok(Self::new(id, places, Some(Writer::start(writer)), reading, watcher))
    }

    async fn open_to_read(places: Places) -> Result<Self, StoreError> {
        let file = places.file.clone();
        match places.file.try_exists() {
            Ok(true) => {}
            Ok(false) => {
                return Err(error::unusable(&file, "there is no store yet; `homeroom apply -f FILE` makes it"));
            }
            Err(e) => return Err(error::io(&file, "looking for it", &e)),
        }
        let reading = connect(&file).read_only(true);
        let mut watcher = reading.connect().await.map_err(|e| error::opening_to_read(&file, &e))?;
        let id = schema::inspect(&mut watcher, &file).await?;
        Ok(Self::new(id, places, None, reading, watcher))
    }

    fn new(
        id: StoreId,
        places: Places,
        writer: Option<Writer>,
        reading: SqliteConnectOptions,
        watcher: SqliteConnection,
    ) -> Self {
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(PATIENCE)
            .test_before_acquire(false)
            .connect_lazy_with(reading);
        Self { id, places, writer, readers, watcher: Mutex::new(watcher) }
    }

    /// The folder the store lies in; lab keys and the like belong beside it.
    pub fn folder(&self) -> &Path {
        self.places.folder()
    }

    async fn write(&self, write: Write) -> Result<Written, StoreError> {
        match &self.writer {
            Some(writer) => writer.write(write).await.map_err(|error| match error {
                StoreError::Failed { doing, why } if error::is_busy(&why) => {
                    let why = lock::who_writes(&self.places).unwrap_or(why);
                    StoreError::Failed { doing, why }
                }
                error => error,
            }),
            None => Err(StoreError::ReadOnly { doing: write.doing() }),
        }
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        self.readers.acquire().await.map_err(error::failed("opening a connection to read"))
    }

    /// Reads progress in one transaction, so that rows and position belong together.
    async fn read_progress(&self, lab: Option<&LabName>) -> Result<(Vec<Progress>, i64), StoreError> {
        let failed = error::failed("reading progress");
        let mut conn = self.reader().await?;
        let mut tx = conn.begin().await.map_err(&failed)?;
        let read = read::progress(&mut tx, lab).await?;
        tx.commit().await.map_err(&failed)?;
        Ok(read)
    }
}

fn connect(file: &Path) -> SqliteConnectOptions {
    let cache = format!("-{CACHE_KIB}");
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(PATIENCE).pragma("cache_size", cache);
    options.disable_statement_logging()
}

#[async_trait]
impl Store for SqliteStore {
    fn id(&self) -> &StoreId {
        &self.id
    }

    async fn put_definition(&self, definition: &Definition, at: Timestamp) -> Result<(), StoreError> {
        self.write(Write::PutDefinition { definition: Box::new(definition.clone()), at }).await.map(drop)
    }

    async fn definitions(&self) -> Result<Vec<StoredDefinition>, StoreError> {
        read::definitions(&mut *self.reader().await?).await
    }

    async fn definition(&self, lab: &LabName) -> Result<StoredDefinition, StoreError> {
        let found = read::definition(&mut *self.reader().await?, lab).await?;
        found.ok_or_else(|| StoreError::NoLab(lab.to_string()))
    }

    async fn delete_definition(&self, lab: &LabName) -> Result<(), StoreError> {
        self.write(Write::DeleteDefinition { lab: lab.clone() }).await.map(drop)
    }

    async fn lock_lab(&self, lab: &LabName, owner: &str) -> Result<Box<dyn LabLock>, StoreError> {
        if self.writer.is_none() {
            return Err(StoreError::ReadOnly { doing: "working on a lab" });
        }
        lock::take(&self.places, lab, owner).await
    }

    async fn lab_holder(&self, lab: &LabName) -> Result<Option<String>, StoreError> {
        lock::holder(&self.places, lab)
    }

    async fn begin_run(
        &self,
        lab: &LabName,
        kind: RunKind,
        owner: &str,
        plan: &Plan,
        at: Timestamp,
    ) -> Result<RunId, StoreError> {
        let write =
            Write::BeginRun { lab: lab.clone(), kind, owner: owner.to_owned(), plan: Box::new(plan.clone()), at };
        match self.write(write).await? {
            Written::Run(run) => Ok(run),
            Written::Done | Written::Seat(_) => {
                Err(StoreError::Failed { doing: "beginning a run", why: "it got no number".to_owned() })
            }
        }
    }

    async fn count_runs_from(&self, run: RunId) -> Result<(), StoreError> {
        self.write(Write::CountRunsFrom { run }).await.map(drop)
    }

    async fn resume_run(&self, run: RunId, owner: &str) -> Result<(), StoreError> {
        self.write(Write::ResumeRun { run, owner: owner.to_owned() }).await.map(drop)
    }

    async fn append(&self, events: &[Event], changed: &[SeatProgress], gone: &[SeatName]) -> Result<(), StoreError> {
        if events.is_empty() && changed.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let (events, changed, gone) = (events.to_vec(), changed.to_vec(), gone.to_vec());
        self.write(Write::Append { events, changed, gone }).await.map(drop)
    }

    async fn runs(&self, lab: Option<&LabName>, last: u32) -> Result<Vec<RunRow>, StoreError> {
        read::runs(&mut *self.reader().await?, lab, last).await
    }

    async fn run(&self, run: RunId) -> Result<(RunRow, Plan), StoreError> {
        read::run(&mut *self.reader().await?, run).await
    }

    async fn request_cancel(&self, run: RunId) -> Result<(), StoreError> {
        self.write(Write::RequestCancel { run }).await.map(drop)
    }

    async fn cancel_requested(&self, run: RunId) -> Result<bool, StoreError> {
        read::cancel_requested(&mut *self.reader().await?, run).await
    }

    async fn take_seat(
        &self,
        lab: &LabName,
        code: &JoinCode,
        person: &Person,
        offered: &[SeatName],
        at: Timestamp,
    ) -> Result<SeatTaken, StoreError> {
        let request = seats::Request {
            lab: lab.clone(),
            code: code.clone(),
            person: person.clone(),
            offered: offered.to_vec(),
            at,
        };
        match self.write(Write::TakeSeat(request)).await? {
            Written::Seat(taken) => Ok(taken),
            Written::Done | Written::Run(_) => Ok(SeatTaken::Closed),
        }
    }

    async fn rounds(&self, lab: &LabName) -> Result<BTreeMap<SeatName, u32>, StoreError> {
        seats::rounds(&mut *self.reader().await?, lab).await
    }

    async fn sittings(&self, lab: &LabName) -> Result<Vec<Sitting>, StoreError> {
        seats::sittings(&mut *self.reader().await?, lab).await
    }

    async fn given_code(&self, code: &JoinCode) -> Result<Option<GivenCode>, StoreError> {
        seats::given_code(&mut *self.reader().await?, code).await
    }

    async fn learn(&self, site: &SiteName, limits: &[(String, f64)], at: Timestamp) -> Result<(), StoreError> {
        self.write(Write::Learn { site: site.clone(), limits: limits.to_vec(), at }).await.map(drop)
    }

    async fn learned(&self, site: &SiteName) -> Result<Vec<(String, f64)>, StoreError> {
        read::learned(&mut *self.reader().await?, site).await
    }

    async fn events(&self, filter: &EventFilter) -> Result<Vec<StoredEvent>, StoreError> {
        read::events(&mut *self.reader().await?, filter).await
    }

    async fn progress(&self, lab: &LabName) -> Result<(Progress, i64), StoreError> {
        let (mut labs, position) = self.read_progress(Some(lab)).await?;
        Ok((labs.pop().unwrap_or_else(|| Progress::new(lab.clone())), position))
    }

    async fn all_progress(&self) -> Result<(Vec<Progress>, i64), StoreError> {
        self.read_progress(None).await
    }

    async fn lives(&self) -> Result<Vec<(LabName, Life)>, StoreError> {
        seats::lives(&mut *self.reader().await?, None).await
    }

    async fn version(&self) -> Result<i64, StoreError> {
        let mut watcher = self.watcher.lock().await;
        sqlx::query_scalar("PRAGMA data_version")
            .fetch_one(&mut *watcher)
            .await
            .map_err(error::failed("asking for changes"))
    }
}
