//! The one connection that writes: short transactions, committed in groups.
//!
//! Callers queue; one task takes what waits, applies each within one transaction (each behind its own
//! savepoint, so that one refusal spoils nobody else's), commits, and only then answers. A caller that
//! gives up waiting changes nothing: what was queued is written.

use jiff::Timestamp;
use sqlx::{SqliteConnection, raw_sql};
use tokio::sync::{mpsc, oneshot};

use super::{error, seats};
use crate::{
    domain::{
        Change, Definition, Event, LabName, Level, Plan, RunId, SeatName, SiteName,
        event::{RunKind, RunState},
        progress::SeatProgress,
    },
    port::{StoreError, store::SeatTaken},
};

/// Writes that wait at most; further callers wait before they queue.
const QUEUE: usize = 64;

/// One thing to write.
pub(super) enum Write {
    PutDefinition { definition: Box<Definition>, at: Timestamp },
    DeleteDefinition { lab: LabName },
    BeginRun { lab: LabName, kind: RunKind, owner: String, plan: Box<Plan>, at: Timestamp },
    CountRunsFrom { run: RunId },
    ResumeRun { run: RunId, owner: String },
    Append { events: Vec<Event>, changed: Vec<SeatProgress>, gone: Vec<SeatName> },
    RequestCancel { run: RunId },
    TakeSeat(seats::Request),
    Learn { site: SiteName, limits: Vec<(String, f64)>, at: Timestamp },
}

impl Write {
    /// What is being done, for errors.
    pub fn doing(&self) -> &'static str {
        match self {
            Self::PutDefinition { .. } => "storing a definition",
            Self::DeleteDefinition { .. } => "deleting a definition",
            Self::BeginRun { .. } => "beginning a run",
            Self::CountRunsFrom { .. } => "numbering runs",
            Self::ResumeRun { .. } => "going on with a run",
            Self::Append { .. } => "writing events",
            Self::RequestCancel { .. } => "asking a run to stop",
            Self::TakeSeat(_) => "giving somebody a seat",
            Self::Learn { .. } => "keeping what was learned",
        }
    }
}

/// What came of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    Done,
    /// The run begun.
    Run(RunId),
    Seat(SeatTaken),
}

type Answer = Result<Written, StoreError>;
type Job = (Write, oneshot::Sender<Answer>);

/// The queue in front of the writing connection. Its task ends when the last copy is gone.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Takes over the connection. Must be called inside a tokio runtime.
    pub fn start(conn: SqliteConnection) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        tokio::spawn(work(conn, queue));
        Self { jobs }
    }

    /// Queues a write and waits for its commit.
    pub async fn write(&self, write: Write) -> Answer {
        let doing = write.doing();
        let ended = || StoreError::Failed { doing, why: "the store was closed".to_owned() };
        let (answer, answered) = oneshot::channel();
        self.jobs.send((write, answer)).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

async fn work(mut conn: SqliteConnection, mut queue: mpsc::Receiver<Job>) {
    let mut group = Vec::new();
    while queue.recv_many(&mut group, QUEUE).await > 0 {
        let (writes, callers): (Vec<_>, Vec<_>) = group.drain(..).unzip();
        let answers = commit(&mut conn, &writes).await;
        for (caller, answer) in callers.into_iter().zip(answers) {
            // A caller that no longer waits loses only the answer.
            let _ = caller.send(answer);
        }
    }
}

/// Writes a group in one transaction; an answer for each.
async fn commit(conn: &mut SqliteConnection, writes: &[Write]) -> Vec<Answer> {
    match attempt(conn, writes).await {
        Ok(answers) => answers,
        Err(why) => {
            // After a full disk SQLite has rolled back by itself and refuses this one: as good.
            let _ = raw_sql("ROLLBACK").execute(&mut *conn).await;
            let failed = |write: &Write| Err(StoreError::Failed { doing: write.doing(), why: why.clone() });
            writes.iter().map(failed).collect()
        }
    }
}

/// The same, or why nothing of the group is written.
async fn attempt(conn: &mut SqliteConnection, writes: &[Write]) -> Result<Vec<Answer>, String> {
    statement(conn, "BEGIN IMMEDIATE").await?;
    let mut answers = Vec::with_capacity(writes.len());
    for write in writes {
        statement(conn, "SAVEPOINT one").await?;
        let answer = apply(conn, write).await;
        if let Err(error) = &answer {
            // Where SQLite has already rolled back everything, this error is the reason.
            statement(conn, "ROLLBACK TO one").await.map_err(|_| match error {
                StoreError::Failed { why, .. } => why.clone(),
                other => other.to_string(),
            })?;
        }
        statement(conn, "RELEASE one").await?;
        answers.push(answer);
    }
    statement(conn, "COMMIT").await?;
    Ok(answers)
}

async fn statement(conn: &mut SqliteConnection, sql: &'static str) -> Result<(), String> {
    raw_sql(sql).execute(conn).await.map(drop).map_err(|e| error::words(&e))
}

async fn apply(conn: &mut SqliteConnection, write: &Write) -> Answer {
    let failed = error::failed(write.doing());
    match write {
        Write::PutDefinition { definition, at } => put_definition(conn, definition, *at).await.map(|()| Written::Done),
        Write::DeleteDefinition { lab } => {
            seats::close(conn, lab, Timestamp::now()).await?;
            let done = sqlx::query("DELETE FROM definitions WHERE name = $1")
                .bind(lab.to_string())
                .execute(conn)
                .await
                .map_err(failed)?;
            if done.rows_affected() == 0 { Err(StoreError::NoLab(lab.to_string())) } else { Ok(Written::Done) }
        }
        Write::BeginRun { lab, kind, owner, plan, at } => {
            prune(conn, lab, *at).await?;
            sqlx::query_scalar(
                "INSERT INTO runs (lab, kind, state, owner, plan, started_at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
            )
            .bind(lab.to_string())
            .bind(kind.as_str())
            .bind(RunState::Running.as_str())
            .bind(owner.clone())
            .bind(json(write.doing(), plan)?)
            .bind(at.as_millisecond())
            .fetch_one(conn)
            .await
            .map(|id| Written::Run(RunId(id)))
            .map_err(failed)
        }
        Write::CountRunsFrom { run } => {
            // Has no row before the first run.
            let known = "INSERT INTO sqlite_sequence (name, seq)
                         SELECT 'runs', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'runs')";
            sqlx::query(known).execute(&mut *conn).await.map_err(&failed)?;
            sqlx::query("UPDATE sqlite_sequence SET seq = max(seq, $1) WHERE name = 'runs'")
                .bind(run.0)
                .execute(conn)
                .await
                .map(|_| Written::Done)
                .map_err(failed)
        }
        Write::ResumeRun { run, owner } => {
            let done = sqlx::query(
                "UPDATE runs SET state = $2, owner = $3, ended_at = NULL, cancel_requested = 0 WHERE id = $1",
            )
            .bind(run.0)
            .bind(RunState::Running.as_str())
            .bind(owner.clone())
            .execute(conn)
            .await
            .map_err(failed)?;
            if done.rows_affected() == 0 { Err(StoreError::NoRun(*run)) } else { Ok(Written::Done) }
        }
        Write::Append { events, changed, gone } => append(conn, events, changed, gone).await.map(|()| Written::Done),
        Write::RequestCancel { run } => {
            let done = sqlx::query("UPDATE runs SET cancel_requested = 1 WHERE id = $1")
                .bind(run.0)
                .execute(conn)
                .await
                .map_err(failed)?;
            if done.rows_affected() == 0 { Err(StoreError::NoRun(*run)) } else { Ok(Written::Done) }
        }
        Write::TakeSeat(request) => seats::take(conn, request).await.map(Written::Seat),
        Write::Learn { site, limits, at } => {
            for (key, value) in limits {
                sqlx::query(
                    "INSERT INTO learned (site, limit_key, value, learned_at) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (site, limit_key) DO UPDATE SET value = $3, learned_at = $4",
                )
                .bind(site.to_string())
                .bind(key)
                .bind(value)
                .bind(at.as_millisecond())
                .execute(&mut *conn)
                .await
                .map_err(&failed)?;
            }
            Ok(Written::Done)
        }
    }
}

/// Runs of a lab that are kept whatever their age.
const KEPT_RUNS: i64 = 100;
/// Runs younger than this are kept whatever their number, in milliseconds: ninety days.
const KEPT_FOR: i64 = 90 * 24 * 3_600_000;

/// Forgets what nobody asks for any more when a lab begins a run: events of its old runs, and the runs themselves but
/// for deploys, whose plans say what was deployed last.
async fn prune(conn: &mut SqliteConnection, lab: &LabName, now: Timestamp) -> Result<(), StoreError> {
    const DOING: &str = "forgetting old runs";
    const OLD: &str = "(SELECT id FROM runs WHERE lab = $1 AND started_at < $2 AND id NOT IN
                        (SELECT id FROM runs WHERE lab = $1 ORDER BY id DESC LIMIT $3))";
    for sql in [
        format!("DELETE FROM events WHERE run IN {OLD}"),
        format!("DELETE FROM runs WHERE kind NOT IN ('deploy', 'rebuild') AND id IN {OLD}"),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(lab.to_string())
            .bind(now.as_millisecond() - KEPT_FOR)
            .bind(KEPT_RUNS)
            .execute(&mut *conn)
            .await
            .map_err(error::failed(DOING))?;
    }
    Ok(())
}

async fn put_definition(conn: &mut SqliteConnection, definition: &Definition, at: Timestamp) -> Result<(), StoreError> {
    const DOING: &str = "storing a definition";
    sqlx::query(
        "INSERT INTO definitions (name, kind, site, body, applied_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name) DO UPDATE SET
             kind = excluded.kind, site = excluded.site, body = excluded.body, applied_at = excluded.applied_at",
    )
    .bind(definition.name().to_string())
    .bind(definition.kind())
    .bind(definition.site().to_string())
    .bind(json(DOING, definition)?)
    .bind(at.as_millisecond())
    .execute(conn)
    .await
    .map_err(error::failed(DOING))
    .map(drop)
}

const APPENDING: &str = "writing events";

async fn append(
    conn: &mut SqliteConnection,
    events: &[Event],
    changed: &[SeatProgress],
    gone: &[SeatName],
) -> Result<(), StoreError> {
    let Some(first) = events.first() else {
        return Err(StoreError::Failed { doing: APPENDING, why: "seats cannot change without an event".to_owned() });
    };
    for event in events {
        if event.lab != first.lab {
            return Err(StoreError::Failed { doing: APPENDING, why: "events of two labs in one".to_owned() });
        }
        put_event(conn, event).await?;
        seats::live(conn, event).await?;
        if let Change::RunEnded { state } = event.change {
            end_run(conn, event, state).await?;
        }
    }
    for seat in gone {
        sqlx::query("DELETE FROM machines WHERE lab = $1 AND seat = $2")
            .bind(first.lab.to_string())
            .bind(seat.to_string())
            .execute(&mut *conn)
            .await
            .map_err(error::failed(APPENDING))?;
    }
    for seat in changed {
        put_machine(conn, &first.lab, seat, first.at).await?;
    }
    seats::left(conn, &first.lab, gone, first.at).await
}

async fn put_event(conn: &mut SqliteConnection, event: &Event) -> Result<(), StoreError> {
    let done =
        sqlx::query("INSERT INTO events (run, seq, lab, seat, level, at, body) VALUES ($1, $2, $3, $4, $5, $6, $7)")
            .bind(event.run.0)
            .bind(i64::try_from(event.seq).unwrap_or(i64::MAX))
            .bind(event.lab.to_string())
            .bind(event.seat.as_ref().map(ToString::to_string))
            .bind(loudness(event.level))
            .bind(event.at.as_millisecond())
            .bind(json(APPENDING, event)?)
            .execute(conn)
            .await;
    match done {
        Ok(_) => Ok(()),
        Err(e) if error::is_duplicate(&e) => Err(StoreError::Failed {
            doing: APPENDING,
            why: format!(
                "event {} of run {} is already written: another process works on this run",
                event.seq, event.run
            ),
        }),
        Err(e) => Err(error::failed(APPENDING)(&e)),
    }
}

async fn end_run(conn: &mut SqliteConnection, event: &Event, state: RunState) -> Result<(), StoreError> {
    sqlx::query("UPDATE runs SET state = $2, ended_at = $3 WHERE id = $1")
        .bind(event.run.0)
        .bind(state.as_str())
        .bind(event.at.as_millisecond())
        .execute(conn)
        .await
        .map_err(error::failed(APPENDING))
        .map(drop)
}

async fn put_machine(
    conn: &mut SqliteConnection,
    lab: &LabName,
    seat: &SeatProgress,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO machines (lab, seat, site, node, vmid, state, body, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (lab, seat) DO UPDATE SET
             site = excluded.site, node = excluded.node, vmid = excluded.vmid, state = excluded.state,
             body = excluded.body, changed_at = excluded.changed_at",
    )
    .bind(lab.to_string())
    .bind(seat.seat.to_string())
    .bind(seat.site.to_string())
    .bind(seat.node.as_ref().map(ToString::to_string))
    .bind(seat.vmid.map(|vmid| i64::from(vmid.get())))
    .bind(seat.state.as_str())
    .bind(json(APPENDING, seat)?)
    .bind(at.as_millisecond())
    .execute(conn)
    .await
    .map_err(error::failed(APPENDING))
    .map(drop)
}

/// A level as stored: louder is larger.
pub(super) fn loudness(level: Level) -> i64 {
    match level {
        Level::Debug => 0,
        Level::Info => 1,
        Level::Success => 2,
        Level::Warning => 3,
        Level::Error => 4,
    }
}

fn json<T: serde::Serialize>(doing: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Failed { doing, why: e.to_string() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use sqlx::{AssertSqlSafe, Connection};

    use super::*;
    use crate::domain::{Clean, Plan, SiteName, class};

    fn note(run: RunId, seq: u64) -> Write {
        let event = Event {
            at: Timestamp::UNIX_EPOCH,
            seq,
            run,
            lab: LabName::new("cs101").unwrap(),
            seat: None,
            machine: None,
            step: None,
            level: Level::Info,
            message: Clean::new("x".repeat(2000)),
            change: Change::Note,
        };
        Write::Append { events: vec![event], changed: Vec::new(), gone: Vec::new() }
    }

    async fn kept(conn: &mut SqliteConnection) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(conn).await.unwrap()
    }

    #[tokio::test]
    async fn a_full_disk_is_said_in_words_loses_nothing_committed_and_ends_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("homeroom.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut conn = SqliteConnection::connect_with(&options).await.unwrap();
        super::super::schema::migrate(&mut conn, &path, None).await.unwrap();
        let lab = LabName::new("cs101").unwrap();
        let plan = Plan {
            kind: RunKind::Deploy,
            lab: lab.clone(),
            site: SiteName::new("sim").unwrap(),
            seats: Vec::new(),
            skipped_nodes: Vec::new(),
            memory_after: Vec::new(),
            estimate: None,
            room: Vec::new(),
            rollcall: class::RollCall::default(),
            order: class::Order::Parallel,
            stagger: std::time::Duration::ZERO,
            pool: None,
            fixes_drift: false,
            rebuilds: None,
            workshop: None,
            notes: Vec::new(),
        };
        let begin = Write::BeginRun {
            lab,
            kind: RunKind::Deploy,
            owner: "ada".into(),
            plan: Box::new(plan),
            at: Timestamp::UNIX_EPOCH,
        };
        let Written::Run(run) = commit(&mut conn, &[begin]).await.remove(0).unwrap() else {
            panic!("no run was begun")
        };
        raw_sql("PRAGMA max_page_count = 40").execute(&mut conn).await.unwrap();

        let mut seq = 0;
        let error = loop {
            seq += 1;
            match commit(&mut conn, &[note(run, 2 * seq), note(run, 2 * seq + 1)]).await.remove(0) {
                Ok(_) => assert!(seq < 1000, "the disk never fills"),
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("full") && error.contains("make room"), "{error}");
        let before = kept(&mut conn).await;
        assert!(before > 2, "{before}");

        raw_sql("PRAGMA max_page_count = 4000").execute(&mut conn).await.unwrap();
        for answer in commit(&mut conn, &[note(run, 9001), note(run, 9002)]).await {
            answer.unwrap();
        }
        assert_eq!(kept(&mut conn).await, before + 2);
    }

    #[tokio::test]
    async fn old_runs_are_forgotten_but_for_the_newest_and_what_was_deployed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("homeroom.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut conn = SqliteConnection::connect_with(&options).await.unwrap();
        super::super::schema::migrate(&mut conn, &path, None).await.unwrap();
        let lab = LabName::new("cs101").unwrap();
        let insert = |kind: &str, at: i64| {
            format!(
                "INSERT INTO runs (lab, kind, state, owner, plan, started_at) VALUES ('cs101', '{kind}', 'done', '', '{{}}', {at})"
            )
        };
        let mut sql = vec![insert("deploy", 0)];
        sql.extend((1..=120).map(|n| insert("check", n)));
        for text in sql {
            raw_sql(AssertSqlSafe(text)).execute(&mut conn).await.unwrap();
        }
        for run in [1, 2, 121] {
            commit(&mut conn, &[note(RunId(run), 1)]).await.remove(0).unwrap();
        }
        let count = async |conn: &mut SqliteConnection, what: &'static str| -> i64 {
            sqlx::query_scalar(what).fetch_one(conn).await.unwrap()
        };
        prune(&mut conn, &lab, Timestamp::from_millisecond(KEPT_FOR).unwrap()).await.unwrap();
        assert_eq!(count(&mut conn, "SELECT count(*) FROM runs").await, 121, "none of them is old");
        prune(&mut conn, &lab, Timestamp::from_millisecond(KEPT_FOR + 1_000).unwrap()).await.unwrap();
        assert_eq!(count(&mut conn, "SELECT count(*) FROM runs").await, 101);
        assert_eq!(count(&mut conn, "SELECT count(*) FROM runs WHERE kind = 'deploy'").await, 1);
        assert_eq!(count(&mut conn, "SELECT count(*) FROM events").await, 1);
    }

    #[test]
    fn louder_levels_are_stored_as_larger_numbers() {
        let stored: Vec<i64> = Level::ALL.into_iter().map(loudness).collect();
        assert_eq!(stored, [0, 1, 2, 3, 4]);
    }
}
