//! Lists, tasks and other small answers read into the port's words. Pure.

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::Value;

use super::fields::{Fields, kind, rows};
use crate::{
    domain::{
        Clean, NodeName, Vmid,
        hindsight::{Sample, Task},
    },
    port::cluster::{TaskRow, TaskState, Upid},
};

pub(super) fn version(data: &Value) -> Result<Clean, String> {
    Fields::of(data)?.text("version").ok_or_else(|| "it names no version".to_owned())
}

pub(super) fn upid(data: &Value) -> Result<Upid, String> {
    match data.as_str() {
        Some(text) if text.starts_with("UPID:") => Ok(Upid(Clean::new(text))),
        _ => Err(format!("expected a task's id, got {}", kind(data))),
    }
}

/// `/cluster/status`: each node's address.
pub(super) fn node_addresses(data: &Value) -> Result<Vec<(NodeName, Option<IpAddr>)>, String> {
    let nodes = rows(data)?.into_iter().filter(|row| row.raw("type").as_deref() == Some("node"));
    Ok(nodes
        .filter_map(|row| {
            let ip = row.raw("ip").and_then(|ip| ip.parse().ok());
            Some((NodeName::new(row.raw("name")?), ip))
        })
        .collect())
}

pub(super) fn has_feature(data: &Value) -> Result<bool, String> {
    Ok(Fields::of(data)?.flag("hasFeature"))
}

pub(super) fn active_tasks(data: &Value) -> Result<Vec<TaskRow>, String> {
    task_rows(data, false)
}

pub(super) fn ended_tasks(data: &Value) -> Result<Vec<TaskRow>, String> {
    task_rows(data, true)
}

fn task_rows(data: &Value, ended: bool) -> Result<Vec<TaskRow>, String> {
    let wanted = rows(data)?.into_iter().filter(|row| row.number("endtime").is_some() == ended);
    Ok(wanted
        .filter_map(|row| {
            Some(TaskRow {
                upid: Upid(row.text("upid")?),
                kind: row.text("type")?,
                id: row.text("id").unwrap_or_default(),
                user: row.text("user").unwrap_or_default(),
                started_at: Timestamp::from_second(i64::try_from(row.number("starttime")?).ok()?).ok()?,
            })
        })
        .collect())
}

/// `rrddata` of a node or a machine: rows in which nothing was measured are left out.
pub(super) fn samples(data: &Value) -> Result<Vec<Sample>, String> {
    let measured = rows(data)?.into_iter().filter(|row| row.get("cpu").is_some_and(|cpu| !cpu.is_null()));
    let sample = |row: Fields<'_>| {
        let (used, all) = match row.get("memtotal") {
            Some(_) => (row.share("memused"), row.share("memtotal")),
            None => (row.share("mem"), row.share("maxmem")),
        };
        Some(Sample {
            at: Timestamp::from_second(i64::try_from(row.number("time")?).ok()?).ok()?,
            cpu: row.share("cpu").clamp(0.0, 1.0),
            memory: if all > 0.0 { (used / all).clamp(0.0, 1.0) } else { 0.0 },
            net_in: row.share("netin").max(0.0),
            net_out: row.share("netout").max(0.0),
        })
    };
    let mut samples: Vec<_> = measured.filter_map(sample).collect();
    samples.sort_by_key(|sample| sample.at);
    Ok(samples)
}

/// A node's tasks as a person reads them, the newest first.
pub(super) fn tasks(data: &Value) -> Result<Vec<Task>, String> {
    let time = |row: Fields<'_>, key: &str| Timestamp::from_second(i64::try_from(row.number(key)?).ok()?).ok();
    let task = |row: Fields<'_>| {
        Some(Task {
            kind: row.text("type")?,
            id: row.text("id").unwrap_or_default(),
            user: row.text("user").unwrap_or_default(),
            started_at: time(row, "starttime")?,
            ended_at: time(row, "endtime"),
            end: row.text("status").filter(|end| end.as_str() != "RUNNING"),
        })
    };
    let mut tasks: Vec<_> = rows(data)?.into_iter().filter_map(task).collect();
    tasks.sort_by_key(|task| std::cmp::Reverse(task.started_at));
    Ok(tasks)
}

pub(super) fn task(data: &Value) -> Result<TaskState, String> {
    let fields = Fields::of(data)?;
    if fields.raw("status").ok_or("it does not say how the task stands")? == "running" {
        return Ok(TaskState::Running);
    }
    let end = fields.text("exitstatus").unwrap_or_else(|| Clean::new("ended without a word"));
    let warnings = end.as_str().strip_prefix("WARNINGS: ").and_then(|n| n.trim().parse().ok());
    Ok(match (end.as_str(), warnings) {
        ("OK", _) => TaskState::Ok { warnings: 0 },
        (_, Some(warnings)) => TaskState::Ok { warnings },
        // The log has no last word, or is gone: nobody knows how it went.
        ("unexpected status" | "unknown" | "ended without a word", _) => TaskState::Died(end),
        (words, _) if words.starts_with("unable to open file") => TaskState::Died(end),
        _ => TaskState::Failed(end),
    })
}

pub(super) fn task_log(data: &Value) -> Result<Vec<Clean>, String> {
    let mut rows = rows(data)?;
    rows.sort_by_key(|row| row.number("n"));
    let lines: Vec<Clean> = rows.into_iter().map(|row| row.text("t").unwrap_or_default()).collect();
    // What stands for an empty log.
    Ok(if lines.iter().map(Clean::as_str).eq(["no content"]) { Vec::new() } else { lines })
}

pub(super) fn pools(data: &Value) -> Result<Vec<Clean>, String> {
    Ok(rows(data)?.into_iter().filter_map(|row| row.text("poolid")).collect())
}

/// The VMIDs in the pool of `GET /pools?poolid=…`.
pub(super) fn pool_members(data: &Value) -> Result<Vec<Vmid>, String> {
    let pools = rows(data)?;
    let members = pools.into_iter().filter_map(|pool| rows(pool.get("members")?).ok()).flatten();
    Ok(members.filter_map(Fields::vmid).collect())
}

/// The volumes of one guest, should the storage list others too.
pub(super) fn volumes(vmid: Vmid, data: &Value) -> Result<Vec<Clean>, String> {
    let own = |row: &Fields<'_>| row.number("vmid").is_none_or(|id| id == u64::from(vmid.get()));
    Ok(rows(data)?.into_iter().filter(own).filter_map(|row| row.text("volid")).collect())
}
