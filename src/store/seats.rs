//! Lives, codes and who sits where.
//!
//! A seat is given in the writer's one transaction (`BEGIN IMMEDIATE`): no other process looks or writes in between,
//! and the table itself takes no seat and no person twice.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    error,
    read::{column, selected, time, word},
};
use crate::{
    domain::{Change, Clean, Event, LabName, SeatName, code::JoinCode, event::RunKind, life::Life, person::Person},
    port::{
        StoreError,
        store::{GivenCode, SeatTaken, Sitting},
    },
};

const JOINING: &str = "giving somebody a seat";
const LIVING: &str = "writing down a workshop's life";
const READING: &str = "reading who sits where";

/// Somebody wants a seat.
pub(super) struct Request {
    pub lab: LabName,
    pub code: JoinCode,
    pub person: Person,
    /// Seats to be had, the best first.
    pub offered: Vec<SeatName>,
    pub at: Timestamp,
}

/// To be called inside a transaction that writes.
pub(super) async fn take(conn: &mut SqliteConnection, request: &Request) -> Result<SeatTaken, StoreError> {
    let failed = || error::failed(JOINING);
    let Request { lab, code, person, offered, at } = request;
    let open: Option<i64> = sqlx::query_scalar("SELECT 1 FROM lives WHERE lab = $1 AND code = $2")
        .bind(lab.to_string())
        .bind(code.to_string())
        .fetch_optional(&mut *conn)
        .await
        .map_err(failed())?;
    if open.is_none() {
        return Ok(SeatTaken::Closed);
    }
    let rows = sqlx::query("SELECT seat, person FROM joins WHERE lab = $1")
        .bind(lab.to_string())
        .fetch_all(&mut *conn)
        .await
        .map_err(failed())?;
    let mut taken = Vec::with_capacity(rows.len());
    for row in &rows {
        let seat: SeatName = word(JOINING, column(row, JOINING, "seat")?)?;
        let whose: String = column(row, JOINING, "person")?;
        if whose == person.key() {
            return Ok(SeatTaken::Again(seat));
        }
        taken.push(seat);
    }
    let Some(seat) = offered.iter().find(|seat| !taken.contains(seat)) else { return Ok(SeatTaken::Full) };
    sqlx::query("INSERT INTO joins (lab, seat, person, name, joined_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(lab.to_string())
        .bind(seat.to_string())
        .bind(person.key())
        .bind(person.to_string())
        .bind(at.as_millisecond())
        .execute(conn)
        .await
        .map_err(failed())?;
    Ok(SeatTaken::First(seat.clone()))
}

pub(super) async fn sittings(conn: &mut SqliteConnection, lab: &LabName) -> Result<Vec<Sitting>, StoreError> {
    let rows = sqlx::query("SELECT seat, name, joined_at FROM joins WHERE lab = $1 ORDER BY seat")
        .bind(lab.to_string())
        .fetch_all(conn)
        .await
        .map_err(error::failed(READING))?;
    rows.iter()
        .map(|row| {
            let name: String = column(row, READING, "name")?;
            Ok(Sitting {
                seat: word(READING, column(row, READING, "seat")?)?,
                person: Person::new(&name).map_err(|e| error::unreadable(READING, "a name", e))?,
                joined_at: time(READING, column(row, READING, "joined_at")?)?,
            })
        })
        .collect()
}

/// How often each seat went, for those that did.
pub(super) async fn rounds(conn: &mut SqliteConnection, lab: &LabName) -> Result<BTreeMap<SeatName, u32>, StoreError> {
    let rows = sqlx::query("SELECT seat, round FROM rounds WHERE lab = $1")
        .bind(lab.to_string())
        .fetch_all(conn)
        .await
        .map_err(error::failed(READING))?;
    let one = |row: &SqliteRow| {
        let round: i64 = column(row, READING, "round")?;
        Ok((word(READING, column(row, READING, "seat")?)?, u32::try_from(round).unwrap_or(u32::MAX)))
    };
    rows.iter().map(one).collect()
}

pub(super) async fn given_code(conn: &mut SqliteConnection, code: &JoinCode) -> Result<Option<GivenCode>, StoreError> {
    let row = sqlx::query("SELECT lab, ended_at FROM codes WHERE code = $1")
        .bind(code.to_string())
        .fetch_optional(conn)
        .await
        .map_err(error::failed(READING))?;
    row.map(|row| {
        let ended_at: Option<i64> = column(&row, READING, "ended_at")?;
        let ended_at = ended_at.map(|at| time(READING, at)).transpose()?;
        Ok(GivenCode { lab: word(READING, column(&row, READING, "lab")?)?, ended_at })
    })
    .transpose()
}

/// The lives of one lab, or of all.
pub(super) async fn lives(
    conn: &mut SqliteConnection,
    lab: Option<&LabName>,
) -> Result<Vec<(LabName, Life)>, StoreError> {
    let rows = selected(lab, "SELECT lab, code, born_at, ends_at, warned, hindered FROM lives", " ORDER BY lab")
        .build()
        .fetch_all(conn)
        .await
        .map_err(error::failed(READING))?;
    rows.iter().map(life_of).collect()
}

fn life_of(row: &SqliteRow) -> Result<(LabName, Life), StoreError> {
    let warned: Option<i64> = row.try_get("warned").map_err(error::failed(READING))?;
    let hindered: Option<String> = row.try_get("hindered").map_err(error::failed(READING))?;
    let life = Life {
        code: word(READING, column(row, READING, "code")?)?,
        born_at: time(READING, column(row, READING, "born_at")?)?,
        ends_at: time(READING, column(row, READING, "ends_at")?)?,
        warned: warned.and_then(|ms| u64::try_from(ms).ok()).map(std::time::Duration::from_millis),
        hindered: hindered.map(Clean::new),
    };
    Ok((word(READING, column(row, READING, "lab")?)?, life))
}

/// Writes down what an event says about a lab's life, as `domain::life::fold` reads it.
pub(super) async fn live(conn: &mut SqliteConnection, event: &Event) -> Result<(), StoreError> {
    let failed = || error::failed(LIVING);
    let lab = event.lab.to_string();
    match &event.change {
        Change::Opened { code, ends_at } => {
            // A life that begins anew, for want of anything that stood, keeps its code.
            let given = "INSERT INTO codes (code, lab, given_at) SELECT $1, $2, $3 \
                         WHERE NOT EXISTS (SELECT 1 FROM lives WHERE lab = $2 AND code = $1)";
            sqlx::query(given)
                .bind(code.to_string())
                .bind(lab.clone())
                .bind(event.at.as_millisecond())
                .execute(&mut *conn)
                .await
                .map_err(failed())?;
            sqlx::query("INSERT OR REPLACE INTO lives (lab, code, born_at, ends_at) VALUES ($1, $2, $3, $4)")
                .bind(lab)
                .bind(code.to_string())
                .bind(event.at.as_millisecond())
                .bind(ends_at.as_millisecond())
                .execute(conn)
                .await
                .map_err(failed())?;
        }
        Change::EndsAt { ends_at } => {
            sqlx::query("UPDATE lives SET ends_at = $2, warned = NULL, hindered = NULL WHERE lab = $1")
                .bind(lab)
                .bind(ends_at.as_millisecond())
                .execute(conn)
                .await
                .map_err(failed())?;
        }
        Change::EndWarned { left } => {
            sqlx::query("UPDATE lives SET warned = $2 WHERE lab = $1")
                .bind(lab)
                .bind(i64::try_from(left.as_millis()).unwrap_or(i64::MAX))
                .execute(conn)
                .await
                .map_err(failed())?;
        }
        Change::EndHindered { why } => {
            sqlx::query("UPDATE lives SET hindered = $2 WHERE lab = $1")
                .bind(lab)
                .bind(why.to_string())
                .execute(conn)
                .await
                .map_err(failed())?;
        }
        Change::RunStarted { kind: RunKind::Destroy | RunKind::Rollback, .. } => {
            sqlx::query("UPDATE lives SET hindered = NULL WHERE lab = $1")
                .bind(lab)
                .execute(conn)
                .await
                .map_err(failed())?;
        }
        Change::Closed => close(conn, &event.lab, event.at).await?,
        _ => {}
    }
    Ok(())
}

/// A seat went: nobody sits on it. With the last machine the lab's life is over.
pub(super) async fn left(
    conn: &mut SqliteConnection,
    lab: &LabName,
    gone: &[SeatName],
    at: Timestamp,
) -> Result<(), StoreError> {
    if gone.is_empty() {
        return Ok(());
    }
    for seat in gone {
        sqlx::query("DELETE FROM joins WHERE lab = $1 AND seat = $2")
            .bind(lab.to_string())
            .bind(seat.to_string())
            .execute(&mut *conn)
            .await
            .map_err(error::failed(LIVING))?;
        let next = "INSERT INTO rounds (lab, seat, round) VALUES ($1, $2, 1) \
                    ON CONFLICT (lab, seat) DO UPDATE SET round = round + 1";
        sqlx::query(next)
            .bind(lab.to_string())
            .bind(seat.to_string())
            .execute(&mut *conn)
            .await
            .map_err(error::failed(LIVING))?;
    }
    let machines: i64 = sqlx::query_scalar("SELECT count(*) FROM machines WHERE lab = $1")
        .bind(lab.to_string())
        .fetch_one(&mut *conn)
        .await
        .map_err(error::failed(LIVING))?;
    if machines == 0 { close(conn, lab, at).await } else { Ok(()) }
}

/// Ends a lab's life: its code opens nothing any more, and nobody sits in it.
pub(super) async fn close(conn: &mut SqliteConnection, lab: &LabName, at: Timestamp) -> Result<(), StoreError> {
    let failed = || error::failed(LIVING);
    sqlx::query("UPDATE codes SET ended_at = $2 WHERE lab = $1 AND ended_at IS NULL")
        .bind(lab.to_string())
        .bind(at.as_millisecond())
        .execute(&mut *conn)
        .await
        .map_err(failed())?;
    for sql in [
        "DELETE FROM lives WHERE lab = $1",
        "DELETE FROM joins WHERE lab = $1",
        // The next life has a code of its own, and with it other tokens.
        "DELETE FROM rounds WHERE lab = $1",
    ] {
        sqlx::query(sql).bind(lab.to_string()).execute(&mut *conn).await.map_err(failed())?;
    }
    Ok(())
}
