//! Reading: rows back into the words of the domain. Nothing here writes.

use std::time::Duration;

use futures_util::TryStreamExt;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, sqlite::SqliteRow};

use super::{error, writer::loudness};
use crate::{
    domain::{
        Clean, Definition, LabName, Plan, Progress, Role, RunId, SeatName, SiteName,
        progress::{RunProgress, SeatProgress},
    },
    port::{
        StoreError,
        store::{EventFilter, RunRow, StoredDefinition, StoredEvent},
    },
};

/// The columns of a run as listed, without its plan. `away`: how long nobody carried it out, between what was written
/// down last before it went on and its going on.
macro_rules! columns {
    () => {
        "id, lab, kind, state, owner, started_at, ended_at,
         (SELECT coalesce(sum(again.at - before.at), 0) FROM events again
          JOIN events before ON before.run = again.run AND before.seq = again.seq - 1
          WHERE again.run = runs.id AND again.seat IS NULL AND again.body LIKE '%\"what\":\"run-started\"%') AS away"
    };
}
const LISTED: &str = concat!("SELECT ", columns!(), " FROM runs");

const DEFINITIONS: &str = "reading definitions";
const RUNS: &str = "reading runs";
const EVENTS: &str = "reading events";
const PROGRESS: &str = "reading progress";

pub(super) async fn definitions(conn: &mut SqliteConnection) -> Result<Vec<StoredDefinition>, StoreError> {
    let rows = sqlx::query("SELECT name, body, applied_at FROM definitions ORDER BY name").fetch_all(conn).await;
    rows.map_err(error::failed(DEFINITIONS))?.iter().map(definition_of).collect()
}

pub(super) async fn definition(
    conn: &mut SqliteConnection,
    lab: &LabName,
) -> Result<Option<StoredDefinition>, StoreError> {
    let row = sqlx::query("SELECT name, body, applied_at FROM definitions WHERE name = $1")
        .bind(lab.to_string())
        .fetch_optional(conn)
        .await;
    row.map_err(error::failed(DEFINITIONS))?.as_ref().map(definition_of).transpose()
}

fn definition_of(row: &SqliteRow) -> Result<StoredDefinition, StoreError> {
    let name: String = column(row, DEFINITIONS, "name")?;
    Ok(StoredDefinition {
        definition: body(row, DEFINITIONS, "body", &format!("the definition of {name}"))?,
        applied_at: time(DEFINITIONS, column(row, DEFINITIONS, "applied_at")?)?,
    })
}

pub(super) async fn runs(
    conn: &mut SqliteConnection,
    lab: Option<&LabName>,
    last: u32,
) -> Result<Vec<RunRow>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new(LISTED);
    if let Some(lab) = lab {
        query.push(" WHERE lab = ").push_bind(lab.to_string());
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(last));
    let rows = query.build().fetch_all(conn).await.map_err(error::failed(RUNS))?;
    rows.iter().map(run_of).collect()
}

pub(super) async fn run(conn: &mut SqliteConnection, run: RunId) -> Result<(RunRow, Plan), StoreError> {
    let row = sqlx::query(concat!("SELECT plan, ", columns!(), " FROM runs WHERE id = $1"))
        .bind(run.0)
        .fetch_optional(conn)
        .await;
    let row = row.map_err(error::failed(RUNS))?.ok_or(StoreError::NoRun(run))?;
    Ok((run_of(&row)?, body(&row, RUNS, "plan", &format!("the plan of run {run}"))?))
}

pub(super) async fn cancel_requested(conn: &mut SqliteConnection, run: RunId) -> Result<bool, StoreError> {
    let asked: Option<i64> = sqlx::query_scalar("SELECT cancel_requested FROM runs WHERE id = $1")
        .bind(run.0)
        .fetch_optional(conn)
        .await
        .map_err(error::failed(RUNS))?;
    asked.map(|asked| asked != 0).ok_or(StoreError::NoRun(run))
}

fn run_of(row: &SqliteRow) -> Result<RunRow, StoreError> {
    let ended_at: Option<i64> = column(row, RUNS, "ended_at")?;
    let away: i64 = column(row, RUNS, "away")?;
    Ok(RunRow {
        id: RunId(column(row, RUNS, "id")?),
        lab: word(RUNS, column(row, RUNS, "lab")?)?,
        kind: word(RUNS, column(row, RUNS, "kind")?)?,
        state: word(RUNS, column(row, RUNS, "state")?)?,
        owner: column(row, RUNS, "owner")?,
        started_at: time(RUNS, column(row, RUNS, "started_at")?)?,
        ended_at: ended_at.map(|at| time(RUNS, at)).transpose()?,
        away: Duration::from_millis(u64::try_from(away).unwrap_or(0)),
    })
}

pub(super) async fn events(conn: &mut SqliteConnection, filter: &EventFilter) -> Result<Vec<StoredEvent>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT position, body FROM events WHERE position > ");
    query.push_bind(filter.after.unwrap_or(0));
    if let Some(lab) = &filter.lab {
        query.push(" AND lab = ").push_bind(lab.to_string());
    }
    if let Some(run) = filter.run {
        query.push(" AND run = ").push_bind(run.0);
    }
    if let Some(seat) = &filter.seat {
        query.push(" AND seat = ").push_bind(seat.to_string());
    }
    if let Some(level) = filter.level {
        query.push(" AND level >= ").push_bind(loudness(level));
    }
    match filter.last {
        Some(last) => query.push(" ORDER BY position DESC LIMIT ").push_bind(i64::from(last)),
        None => query.push(" ORDER BY position"),
    };
    let rows = query.build().fetch_all(conn).await.map_err(error::failed(EVENTS))?;
    let mut events: Vec<StoredEvent> = rows.iter().map(event_of).collect::<Result<_, _>>()?;
    events.sort_by_key(|event| event.position);
    Ok(events)
}

fn event_of(row: &SqliteRow) -> Result<StoredEvent, StoreError> {
    let position: i64 = column(row, EVENTS, "position")?;
    Ok(StoredEvent { position, event: body(row, EVENTS, "body", &format!("event {position}"))? })
}

/// How labs stand and the position of their last event; to be called inside one transaction.
/// One lab (there even when nothing is known of it), or every lab that has machines or a run.
pub(super) async fn progress(
    conn: &mut SqliteConnection,
    lab: Option<&LabName>,
) -> Result<(Vec<Progress>, i64), StoreError> {
    let failed = || error::failed(PROGRESS);
    let position: Option<i64> = selected(lab, "SELECT max(position) FROM events", "")
        .build_query_scalar()
        .fetch_one(&mut *conn)
        .await
        .map_err(failed())?;
    let runs = selected(
        lab,
        concat!(
            "SELECT ",
            columns!(),
            ", (SELECT max(seq) FROM events WHERE events.run = runs.id) AS seq
             FROM runs WHERE id IN (SELECT max(id) FROM runs"
        ),
        " GROUP BY lab)",
    )
    .build()
    .fetch_all(&mut *conn)
    .await
    .map_err(failed())?;

    let mut labs: Vec<Progress> = lab.map(|lab| Progress::new(lab.clone())).into_iter().collect();
    for row in &runs {
        let (lab, run) = run_progress(row)?;
        of_lab(&mut labs, lab).run = Some(run);
    }
    // Row by row: as they are stored they are larger than what is kept of them.
    let mut machines = selected(lab, "SELECT lab, body FROM machines", " ORDER BY lab, rowid");
    let mut machines = machines.build().fetch(&mut *conn);
    while let Some(row) = machines.try_next().await.map_err(failed())? {
        let lab: LabName = word(PROGRESS, column(&row, PROGRESS, "lab")?)?;
        let mut seat: SeatProgress = body(&row, PROGRESS, "body", &format!("a machine of {lab}"))?;
        seat.steps.shrink_to_fit();
        of_lab(&mut labs, lab).seats.push(seat);
    }
    drop(machines);
    labs.iter_mut().for_each(|progress| progress.seats.shrink_to_fit());
    for (lab, life) in super::seats::lives(&mut *conn, lab).await? {
        of_lab(&mut labs, lab).life = Some(life);
    }
    for progress in &mut labs {
        let order = definition(conn, &progress.lab).await?;
        sort_seats(progress, order.map(|stored| stored.definition));
    }
    labs.sort_by(|a, b| a.lab.cmp(&b.lab));
    Ok((labs, position.unwrap_or(0)))
}

/// A query about one lab or all.
pub(super) fn selected(lab: Option<&LabName>, head: &'static str, tail: &'static str) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(head);
    if let Some(lab) = lab {
        query.push(" WHERE lab = ").push_bind(lab.to_string());
    }
    query.push(tail);
    query
}

fn of_lab(labs: &mut Vec<Progress>, lab: LabName) -> &mut Progress {
    let at = labs.iter().position(|progress| progress.lab == lab).unwrap_or_else(|| {
        labs.push(Progress::new(lab));
        labs.len() - 1
    });
    &mut labs[at]
}

fn run_progress(row: &SqliteRow) -> Result<(LabName, RunProgress), StoreError> {
    let run = run_of(row)?;
    let seq: Option<i64> = column(row, PROGRESS, "seq")?;
    let progress = RunProgress {
        id: run.id,
        kind: run.kind,
        state: run.state,
        owner: Clean::new(&run.owner),
        started_at: run.started_at,
        ended_at: run.ended_at,
        away: run.away,
        seq: seq.and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0),
    };
    Ok((run.lab, progress))
}

/// In the order of the definition; what it no longer names comes last, as it came.
fn sort_seats(progress: &mut Progress, definition: Option<Definition>) {
    let order: Vec<SeatName> = match definition {
        Some(Definition::Class(class)) => class.seats().into_iter().map(|(seat, _)| seat).collect(),
        _ => Vec::new(),
    };
    progress.seats.sort_by_key(|row| {
        let place = order.iter().position(|seat| *seat == row.seat).unwrap_or(usize::MAX);
        (row.role != Role::Teacher, place)
    });
}

pub(super) fn column<'r, T>(row: &'r SqliteRow, doing: &'static str, name: &str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
{
    row.try_get(name).map_err(error::failed(doing))
}

/// A JSON body.
fn body<T: DeserializeOwned>(row: &SqliteRow, doing: &'static str, name: &str, what: &str) -> Result<T, StoreError> {
    let text: &str = column(row, doing, name)?;
    serde_json::from_str(text).map_err(|e| error::unreadable(doing, what, e))
}

/// A name or a word such as `running`.
pub(super) fn word<T: DeserializeOwned>(doing: &'static str, text: String) -> Result<T, StoreError> {
    let what = format!("{text:?}");
    serde_json::from_value(serde_json::Value::String(text)).map_err(|e| error::unreadable(doing, &what, e))
}

pub(super) fn time(doing: &'static str, millisecond: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(millisecond).map_err(|e| error::unreadable(doing, "a time", e))
}

/// What runs have found out about a site's limits.
pub(super) async fn learned(conn: &mut SqliteConnection, site: &SiteName) -> Result<Vec<(String, f64)>, StoreError> {
    sqlx::query_as("SELECT limit_key, value FROM learned WHERE site = $1 ORDER BY limit_key")
        .bind(site.to_string())
        .fetch_all(conn)
        .await
        .map_err(error::failed("reading what was learned"))
}
