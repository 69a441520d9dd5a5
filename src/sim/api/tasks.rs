//! Calls about tasks: lists, status, log, stop.

use serde_json::{Value, json};

use super::{Call, Fail, Reply, permit};
use crate::sim::world::{Task, Upid, Who, World};

fn sees(world: &World, who: &Who, task: &Task, path: &str) -> bool {
    world.may(who, path, "Sys.Audit") || mine(who, task)
}

/// A token's own tasks; a user's own and those of its tokens.
fn mine(who: &Who, task: &Task) -> bool {
    match who.token {
        Some(_) => task.upid.user == who.id(),
        None => task.upid.owner() == who.user,
    }
}

fn row(task: &Task) -> Value {
    let upid = &task.upid;
    let mut row = json!({
        "upid": upid.to_string(), "node": upid.node, "pid": upid.pid, "pstart": upid.pstart,
        "starttime": upid.starttime, "type": upid.kind, "id": upid.id,
    });
    match &task.end {
        None => {
            row["user"] = json!(upid.user);
            row["status"] = json!("RUNNING");
            row["saved"] = json!("0");
        }
        Some((_, status)) => {
            row["user"] = json!(upid.owner());
            if let Some(token) = upid.token() {
                row["tokenid"] = json!(token);
            }
            row["endtime"] = json!(task.endtime);
            row["status"] = json!(status);
        }
    }
    row
}

/// GET /nodes/{node}/tasks
pub fn list(world: &World, call: &Call) -> Result<Reply, Fail> {
    let node = call.node();
    let source = call.text("source").unwrap_or_else(|| "archive".into());
    let path = format!("/nodes/{node}");
    let wanted = |task: &&Task| {
        let running = task.end.is_none();
        let listed = match source.as_str() {
            "active" => running,
            "all" => true,
            _ => !running,
        };
        let status = task.end.as_ref().map(|(_, status)| status.as_str());
        let by = |name: &str, test: &dyn Fn(&str) -> bool| call.text(name).is_none_or(|value| test(&value));
        listed
            && task.upid.node == node
            && sees(world, &call.who, task, &path)
            && by("vmid", &|vmid| task.upid.id == vmid)
            && by("typefilter", &|kind| task.upid.kind == kind)
            && by("userfilter", &|user| task.upid.user.contains(user))
            && by("since", &|since| since.parse().is_ok_and(|since: i64| task.upid.starttime >= since))
            && by("until", &|until| until.parse().is_ok_and(|until: i64| task.upid.starttime <= until))
            && (call.flag("errors") != Some(true) || status.is_some_and(|status| status != "OK"))
            && by("statusfilter", &|all| all.split([',', ';', ' ']).any(|one| kind_of(status) == one))
    };
    let mut rows: Vec<&Task> = world.tasks.iter().rev().filter(wanted).collect();
    rows.sort_by_key(|task| std::cmp::Reverse((task.end.is_none(), task.endtime.max(task.upid.starttime))));
    let total = rows.len();
    let start = call.number("start").unwrap_or(0) as usize;
    let limit = call.number("limit").unwrap_or(50) as usize;
    let rows: Vec<Value> = rows.into_iter().skip(start).take(limit).map(row).collect();
    if total == 0 { Ok(Reply::Data(Value::Array(rows))) } else { Ok(Reply::Listed(Value::Array(rows), total)) }
}

fn kind_of(status: Option<&str>) -> &'static str {
    match status {
        Some("OK") => "ok",
        Some(text) if text.starts_with("WARNINGS") => "warning",
        Some("unexpected status") | None => "unknown",
        Some(_) => "error",
    }
}

/// GET /cluster/tasks: per node what runs and the recent rest, 25 rows.
pub fn cluster(world: &World, call: &Call) -> Result<Reply, Fail> {
    let all = world.may(&call.who, "/", "Sys.Audit");
    let mut rows: Vec<Value> = Vec::new();
    for node in world.nodes.values().filter(|node| node.online) {
        let mut newest = true;
        let mut own: Vec<&Task> = world.tasks.iter().rev().filter(|task| task.upid.node == node.name).collect();
        own.sort_by_key(|task| task.end.is_some());
        let running = own.iter().filter(|task| task.end.is_none()).count();
        for task in own.into_iter().take(running.max(25)) {
            // without Sys.Audit a token is compared with the bare user and sees nothing
            if !all && (call.who.token.is_some() || task.upid.owner() != call.who.user) {
                continue;
            }
            let mut row = row(task);
            if let Some(map) = row.as_object_mut() {
                map.remove("pid");
                map.remove("pstart");
                if task.end.is_none() {
                    map.remove("status");
                } else {
                    // the one that ended last was not read back from the file yet
                    map.insert("saved".into(), if newest { json!(1) } else { json!("1") });
                    newest = false;
                }
            }
            rows.push(row);
        }
    }
    Ok(Reply::Data(Value::Array(rows)))
}

fn find<'a>(world: &'a World, call: &Call) -> Result<&'a Task, Fail> {
    let text = call.need("upid");
    Upid::parse(&text).ok_or_else(|| Fail::param("upid", "unable to parse worker upid"))?;
    let task = world.task(&text).ok_or_else(|| Fail::param("upid", "no such task"))?;
    let node = call.node();
    if !mine(&call.who, task) {
        permit::privileges(world, &call.who, &format!("/nodes/{node}"), &["Sys.Audit"], false)?;
    }
    Ok(task)
}

/// May a task be looked at?
pub fn index(world: &World, call: &Call) -> Result<(), Fail> {
    find(world, call).map(drop)
}

/// GET /nodes/{node}/tasks/{upid}/status
pub fn status(world: &World, call: &Call) -> Result<Reply, Fail> {
    let task = find(world, call)?;
    let upid = &task.upid;
    let mut data = json!({
        "upid": upid.to_string(), "node": upid.node, "pid": upid.pid, "pstart": upid.pstart,
        "starttime": upid.starttime, "type": upid.kind, "id": upid.id, "user": upid.owner(),
        "status": if task.end.is_some() { "stopped" } else { "running" },
    });
    if let Some(token) = upid.token() {
        data["tokenid"] = json!(token);
    }
    if let Some((_, status)) = &task.end {
        data["exitstatus"] = json!(status);
    }
    Ok(Reply::Data(data))
}

/// GET /nodes/{node}/tasks/{upid}/log
pub fn log(world: &World, call: &Call) -> Result<Reply, Fail> {
    let lines = world.task_lines(find(world, call)?);
    let start = call.number("start").unwrap_or(0) as usize;
    let limit = match call.number("limit").unwrap_or(50) {
        0 => usize::MAX,
        limit => limit as usize,
    };
    let total = lines.len();
    if total == 0 {
        return Ok(Reply::Listed(json!([{ "n": 1, "t": "no content" }]), 1));
    }
    let rows =
        lines.iter().enumerate().skip(start).take(limit).map(|(at, text)| json!({ "n": at + 1, "t": text })).collect();
    Ok(Reply::Listed(rows, total))
}

/// DELETE /nodes/{node}/tasks/{upid}
pub fn stop(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let text = call.need("upid");
    Upid::parse(&text).ok_or_else(|| Fail::param("upid", "unable to parse worker upid"))?;
    let task = world.task(&text).ok_or_else(|| Fail::param("upid", "no such task"))?;
    if !mine(&call.who, task) {
        permit::privileges(world, &call.who, &format!("/nodes/{}", call.node()), &["Sys.Modify"], false)?;
    }
    let wait = if task.end.is_none() { 1000 } else { 0 };
    world.interrupt_task(&text);
    Ok(Reply::Late(wait, Value::Null))
}
