//! The schema and how it grows: numbered SQL files, each applied once, all inside one transaction.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use super::error;
use crate::{domain::StoreId, port::StoreError};

/// The migrations in order; the number of the last is the schema's.
const MIGRATIONS: [&str; 4] = [
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_learned.sql"),
    include_str!("migrations/0003_lives.sql"),
    include_str!("migrations/0004_rounds.sql"),
];

/// The newest schema this program knows.
pub const NEWEST: i64 = MIGRATIONS.len() as i64;

/// Written into the file's header so that another program's database is not taken for ours: "hmrm".
const APPLICATION: i64 = 0x686d_726d;

/// Brings a new or older store to the newest schema; its identity. A newer one is refused. A new store in the place
/// of one that was lost goes on under its identity (`kept`): the marks on the machines are its own.
pub(super) async fn migrate(
    conn: &mut SqliteConnection,
    path: &Path,
    kept: Option<StoreId>,
) -> Result<StoreId, StoreError> {
    let opening = |e: sqlx::Error| error::opening(path, &e);
    // Nothing to write: a process that stands still in the midst of a write keeps nobody from looking.
    if known(conn, path).await? == NEWEST {
        return identity(conn, path).await;
    }
    let mut tx = conn.begin_with("BEGIN IMMEDIATE").await.map_err(opening)?;
    let known = known(&mut tx, path).await?;
    if known == 0 {
        let id = match kept {
            Some(id) => id,
            None => {
                let mut bytes = [0; 8];
                getrandom::fill(&mut bytes)
                    .map_err(|e| error::unusable(path, format!("no random bytes for its id: {e}")))?;
                StoreId::from_bytes(bytes)
            }
        };
        sqlx::raw_sql(AssertSqlSafe(format!("PRAGMA application_id = {APPLICATION}")))
            .execute(&mut *tx)
            .await
            .map_err(opening)?;
        sqlx::raw_sql("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
            .execute(&mut *tx)
            .await
            .map_err(opening)?;
        put(&mut tx, "store", id.as_str()).await.map_err(opening)?;
    }
    for sql in MIGRATIONS.into_iter().skip(usize::try_from(known).unwrap_or(0)) {
        sqlx::raw_sql(sql).execute(&mut *tx).await.map_err(opening)?;
    }
    if known < NEWEST {
        put(&mut tx, "schema", &NEWEST.to_string()).await.map_err(opening)?;
    }
    let id = identity(&mut tx, path).await?;
    tx.commit().await.map_err(opening)?;
    Ok(id)
}

/// The identity of a store that is only read: its schema must be the one this program knows.
pub(super) async fn inspect(conn: &mut SqliteConnection, path: &Path) -> Result<StoreId, StoreError> {
    let known = known(conn, path).await?;
    if known == 0 {
        return Err(error::unusable(path, "it is empty; `homeroom apply -f FILE` fills it"));
    }
    if known < NEWEST {
        return Err(error::unusable(
            path,
            format!("its schema {known} is older than this homeroom's {NEWEST}; open it once without read-only"),
        ));
    }
    identity(conn, path).await
}

/// The schema of the store as it lies there; 0 for an empty file.
async fn known(conn: &mut SqliteConnection, path: &Path) -> Result<i64, StoreError> {
    let opening = |e: sqlx::Error| error::opening(path, &e);
    let application: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *conn).await.map_err(opening)?;
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_master").fetch_one(&mut *conn).await.map_err(opening)?;
    if tables == 0 {
        return Ok(0);
    }
    if application != APPLICATION {
        return Err(error::unusable(path, "it is another program's database; set [store] path to another file"));
    }
    let schema = get(conn, "schema").await.map_err(opening)?;
    let schema = schema
        .and_then(|text| text.parse::<i64>().ok())
        .ok_or_else(|| error::unusable(path, "it names no schema; put a backup in its place"))?;
    if schema > NEWEST {
        return Err(error::unusable(
            path,
            format!("its schema {schema} is newer than the {NEWEST} this homeroom knows; use a newer homeroom"),
        ));
    }
    Ok(schema)
}

async fn identity(conn: &mut SqliteConnection, path: &Path) -> Result<StoreId, StoreError> {
    let text = get(conn, "store").await.map_err(|e| error::opening(path, &e))?;
    text.and_then(|text| StoreId::parse(&text))
        .ok_or_else(|| error::unusable(path, "it carries no identity; put a backup in its place"))
}

async fn get(conn: &mut SqliteConnection, name: &str) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("SELECT value FROM meta WHERE name = $1").bind(name.to_owned()).fetch_optional(conn).await
}

async fn put(conn: &mut SqliteConnection, name: &str, value: &str) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(name.to_owned())
    .bind(value.to_owned())
    .execute(conn)
    .await
    .map(drop)
}
