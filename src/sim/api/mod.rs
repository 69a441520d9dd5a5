//! Proxmox VE's API on the world: finds the call, checks who asks, what they may and what they
//! sent, and lets the handler of the call act. Pure, like the world: HTTP and SSH are faces on it.

mod access;
mod accounts;
mod agent;
mod allocate;
mod answer;
mod around;
mod check;
mod clone;
mod cluster;
mod config;
mod copy;
mod create;
mod destroy;
mod dispatch;
mod download;
mod format;
mod login;
mod lxc;
mod migrate;
mod nodes;
mod permit;
mod pools;
mod power;
mod qemu;
mod quiet;
mod resize;
mod schema;
mod snapshot;
mod storages;
mod tasks;
mod template;

pub use answer::{Answer, Body, Fail, Fate};

use serde_json::{Map, Value};

use super::world::{CallId, FaultKind, Job, LockKey, Mode, Op, Purpose, Who, World};

/// Parameters by name; values as they came (form values are strings).
pub type Params = Map<String, Value>;

/// Who says they call.
#[derive(Clone)]
pub enum Caller {
    /// A shell on a node: root@pam without a password, as `qm` runs.
    Shell,
    /// The value of the `Authorization` header.
    Header(String),
    /// The ticket cookie, and the CSRF header when there was one.
    Ticket { ticket: String, csrf: Option<String> },
    /// Nobody.
    Nobody,
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Shell => "Shell",
            Self::Header(_) => "Header",
            Self::Ticket { .. } => "Ticket",
            Self::Nobody => "Nobody",
        })
    }
}

/// A call as it came in.
#[derive(Clone, Debug)]
pub struct Request {
    /// The node whose port (or shell) it came to.
    pub entry: String,
    /// GET, POST, PUT or DELETE.
    pub method: String,
    /// The decoded path behind `/api2/json`.
    pub path: String,
    /// Query and body.
    pub params: Params,
    /// Who calls.
    pub caller: Caller,
}

impl Request {
    /// A call as root in a shell of a node, as `qm` makes it.
    pub fn shell(node: &str, method: &str, path: &str, params: Params) -> Self {
        Self { entry: node.into(), method: method.into(), path: path.into(), params, caller: Caller::Shell }
    }
}

/// A call that may be made: who, where, with what.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who calls.
    pub who: Who,
    /// The node whose port it came to.
    pub entry: String,
    /// Checked parameters, those of the path included.
    pub params: Params,
    /// From a node's shell: no daemon in between.
    pub shell: bool,
}

impl Call {
    /// A parameter as text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.params.get(name).map(plain)
    }

    /// A parameter as text, empty when absent.
    pub fn need(&self, name: &str) -> String {
        self.text(name).unwrap_or_default()
    }

    /// A boolean parameter.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.text(name).map(|text| text == "1")
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// The guest the path names.
    pub fn vmid(&self) -> u32 {
        self.text("vmid").and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The node the path names, else the one that was asked.
    pub fn node(&self) -> String {
        self.text("node").unwrap_or_else(|| self.entry.clone())
    }

    /// A list parameter: `,`, `;`, spaces.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.text(name)
            .unwrap_or_default()
            .split([',', ';', ' ', '\0'])
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

/// A parameter's value as text.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "1".into(),
        Value::Bool(false) => "0".into(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// What a handler makes of a call.
pub enum Reply {
    /// An answer at once.
    Data(Value),
    /// A list with its length before limits.
    Listed(Value, usize),
    /// Work in the daemon; the answer is null unless an operation sets it.
    Work(Vec<Op>),
    /// The answer once this much time has passed.
    Late(u64, Value),
}

impl World {
    /// Takes a call. Its answer comes out of [`World::take_answers`], at once or later.
    pub fn submit(&mut self, call: CallId, request: Request) {
        let subjects = subjects(&request);
        let struck = self.faults.strike(self.seed, &request.method, &request.path, &subjects);
        let mut delay = 0;
        for fault in struck {
            match fault {
                FaultKind::Status { status, reason } => {
                    let fail = Fail { status, message: reason, errors: None };
                    self.deliver(call, fail.answer());
                    return;
                }
                FaultKind::Cut => {
                    let answer = Answer { fate: Fate::Cut, ..Answer::data(Value::Null) };
                    self.deliver(call, answer);
                    return;
                }
                FaultKind::Lost => self.set_fate(call, Fate::Cut),
                FaultKind::Truncate => self.set_fate(call, Fate::Half),
                FaultKind::Stall => self.set_fate(call, Fate::Stall),
                FaultKind::Slow { seconds } => delay += (seconds * 1000.0) as u64,
                FaultKind::Task { .. } | FaultKind::Kill { .. } => self.set_task_fault(fault),
                FaultKind::StorageLock { storage, seconds } => {
                    self.hold_storage(&storage, &request.entry, (seconds * 1000.0) as u64);
                }
                FaultKind::AccessLock { seconds } => self.hold_lock(LockKey::UserCfg, (seconds * 1000.0) as u64),
                FaultKind::ConfigLock { seconds } => {
                    if let Some(vmid) = subjects.first().and_then(|text| text.parse().ok()) {
                        self.hold_lock(LockKey::Config(vmid), (seconds * 1000.0) as u64);
                    }
                }
                FaultKind::AgentNever | FaultKind::Hang => {
                    if let Some(vmid) = subjects.first().and_then(|text| text.parse().ok()) {
                        self.set_start_fault(vmid, fault);
                    }
                }
            }
        }
        if delay > 0 {
            let ops = vec![
                Op::Pause(delay),
                Op::run(move |world, job| {
                    world.retire(job);
                    world.handle(call, request);
                    Ok(Vec::new())
                }),
            ];
            self.start_job(Job::new(Purpose::Call(call), ops));
            return;
        }
        self.handle(call, request);
        self.clear_task_fault();
    }

    fn handle(&mut self, call: CallId, request: Request) {
        let routed = self.route(&request);
        match &routed {
            Ok((route, _)) => self.tally.called(&request.method, route.template),
            Err((fail, _)) if matches!(fail.status, 400 | 501) => {
                let errors: Vec<String> = fail.errors.iter().flatten().map(|(k, v)| format!("{k}: {v}")).collect();
                let (method, path, words) = (&request.method, &request.path, fail.message.trim());
                self.tally.refused(format!("{method} {path}: {} {words} {}", fail.status, errors.join("; ")));
            }
            Err(_) => {}
        }
        match routed {
            Ok((route, made)) => {
                let entry = schema::get().entry(route.template, &request.method);
                let protected = entry.is_some_and(|entry| entry.is_protected());
                match dispatch::run(self, &request.method, route.template, &made) {
                    Ok(reply) => self.reply(call, &made, protected, reply),
                    Err(fail) if fail.status == 401 => self.deliver_later(call, dispatch::LOGIN_DELAY, fail),
                    Err(fail) => self.deliver(call, Answer { daemon: protected, ..fail.answer() }),
                }
            }
            Err((fail, 0)) => self.deliver(call, fail.answer()),
            Err((fail, wait)) => self.deliver_later(call, wait, fail),
        }
    }

    fn reply(&mut self, call: CallId, made: &Call, protected: bool, reply: Reply) {
        match reply {
            Reply::Data(value) => self.deliver(call, Answer { daemon: protected, ..Answer::data(value) }),
            Reply::Listed(value, total) => {
                let answer = Answer { daemon: protected, ..Answer::listed(value, total) };
                self.deliver(call, answer);
            }
            Reply::Late(wait, value) => self.reply(
                call,
                made,
                protected,
                Reply::Work(vec![
                    Op::Pause(wait),
                    Op::run(move |world, job| {
                        world.set_answer(job, value);
                        Ok(Vec::new())
                    }),
                ]),
            ),
            Reply::Work(mut ops) => {
                if protected && !made.shell {
                    // the daemon's workers block: a fourth call waits for one of three
                    let key = LockKey::Worker(made.node());
                    ops.insert(0, Op::Take { key, mode: Mode::Exclusive, patience: 30_000 });
                }
                self.start_job(Job::new(Purpose::Call(call), ops));
            }
        }
    }

    fn deliver_later(&mut self, call: CallId, wait: u64, fail: Fail) {
        let ops = vec![Op::Pause(wait), Op::run(move |_, _| Err(fail))];
        self.start_job(Job::new(Purpose::Call(call), ops));
    }
}

/// What faults go by: the vmid (of a clone: the new one) first, then names.
fn subjects(request: &Request) -> Vec<String> {
    let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    let mut found = Vec::new();
    let text = |name: &str| request.params.get(name).map(plain);
    match parts[..] {
        [_, node, "qemu" | "lxc", vmid, ref rest @ ..] => {
            if rest == ["clone"] {
                found.extend(text("newid"));
                found.extend(text("name"));
            } else {
                found.push(vmid.to_owned());
            }
            found.push(node.to_owned());
        }
        [_, node, ..] => found.push(node.to_owned()),
        _ => {}
    }
    found
}
