//! A Compute Engine project as a state machine: requests and time go in, answers and what is due come out.
//!
//! Knows no clock, socket or thread of its own.

use std::{collections::BTreeMap, net::Ipv4Addr};

use serde_json::{Value, json};

use super::{
    answer::{Answer, Outcome},
    dns::Managed,
    inside::Inside,
};

/// Modelled milliseconds since the project began.
pub type Ms = u64;

/// Exchanges kept.
const KEPT: usize = 2_000;

/// How long things take, in modelled milliseconds. Of the order of what Compute Engine takes.
#[derive(Debug, Clone)]
pub struct Physics {
    /// From an insert to STAGING, and from there to RUNNING.
    pub provision: Ms,
    pub stage: Ms,
    /// From RUNNING to the guest agent's first words, and to SSH.
    pub boot: Ms,
    /// From SSH to Docker.
    pub docker: Ms,
    /// What pulling the images takes.
    pub pull: Ms,
    /// What starting one seat takes.
    pub seat: Ms,
    /// A removal, a stop.
    pub remove: Ms,
    /// A firewall rule or another small change.
    pub small: Ms,
    /// `wait` answers so late at the latest, whatever the operation has come to; it may as well answer at once.
    pub wait: Ms,
}

impl Default for Physics {
    fn default() -> Self {
        Self {
            provision: 2_000,
            stage: 6_000,
            boot: 12_000,
            docker: 4_000,
            pull: 20_000,
            seat: 400,
            remove: 25_000,
            small: 3_000,
            wait: 120_000,
        }
    }
}

/// A zone and how it is stocked.
#[derive(Debug, Clone)]
pub struct Zone {
    pub region: String,
    /// Out of everything; the zones it says have some.
    pub exhausted: Option<Vec<String>>,
}

/// An instance.
#[derive(Debug, Clone)]
pub struct Instance {
    pub id: u64,
    pub zone: String,
    pub name: String,
    /// As it is shown, but for what changes by itself.
    pub body: Value,
    pub status: &'static str,
    /// Which of its starts this is, from 1.
    pub run: u64,
    pub address: Option<Ipv4Addr>,
    pub vcpus: u64,
    /// When the server ends it by itself.
    pub ends_at: Option<Ms>,
    pub host_key: [u8; 32],
    /// What goes on inside.
    pub inside: Inside,
    pub serial: String,
    /// `namespace/key`.
    pub attributes: BTreeMap<String, String>,
    pub preempted: bool,
}

/// A disk.
#[derive(Debug, Clone)]
pub struct Disk {
    pub id: u64,
    pub zone: String,
    pub name: String,
    pub body: Value,
    /// The instance it is attached to.
    pub user: Option<u64>,
    pub auto_delete: bool,
}

/// A long-running call.
#[derive(Debug, Clone)]
pub struct Operation {
    pub body: Value,
    pub done: bool,
}

/// Something that happens at its time.
#[derive(Debug, Clone)]
pub(super) enum Due {
    Begin(String),
    End(String),
    Fails(String, super::operations::Failure),
    Staging(u64),
    Running(u64, String),
    Refused {
        instance: u64,
        operation: String,
        error: Value,
        status: u16,
        message: String,
    },
    Booted(u64, u64),
    Docker(u64, u64),
    Pulled(u64, u64),
    Seats(u64, u64),
    Stopped(u64, &'static str, String),
    Gone(u64, String),
    /// The guest has seen that it is about to be taken away.
    Noticed(u64, u64),
    Preempt(u64, u64),
    Expire(u64, u64),
    Deed(Effect, String),
    Change(String, String),
}

/// A small change that takes effect when its operation ends.
#[derive(Debug, Clone)]
pub(super) enum Effect {
    Firewall(String, Value),
    NoFirewall(String),
    NoDisk(u64),
}

/// What goes wrong with a call.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Method and path, `*` for one segment: `POST projects/*/zones/*/instances`.
    pub call: String,
    /// How many calls it strikes; those before it are let pass.
    pub after: u32,
    pub times: u32,
    pub what: FaultKind,
}

/// How.
#[derive(Debug, Clone)]
pub enum FaultKind {
    /// Answered with this, and nothing done.
    Answer(u16, Value),
    /// Done, and the answer lost.
    Lost,
    /// The connection breaks before anything is done.
    Cut,
    /// The operation ends with this: status, message, `error`.
    Operation(u16, String, Value),
}

/// One call.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub method: String,
    /// Without the leading slash: `compute/v1/projects/…`.
    pub path: String,
    pub query: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The project the call counts against: `x-goog-user-project`.
    pub pays: Option<String>,
    /// Whether `Metadata-Flavor: Google` was sent.
    pub flavored: bool,
    pub form: bool,
}

impl Request {
    pub fn query(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// How a call ends on the wire.
#[derive(Debug, Clone)]
pub enum Fate {
    Answered(Outcome),
    /// The connection breaks off without an answer.
    Broken,
}

/// The project.
pub struct World {
    pub project: String,
    /// Unix seconds when it began.
    pub epoch: i64,
    pub zones: BTreeMap<String, Zone>,
    pub instances: BTreeMap<u64, Instance>,
    pub disks: BTreeMap<u64, Disk>,
    pub firewalls: BTreeMap<String, Value>,
    pub operations: BTreeMap<String, Operation>,
    pub dns: BTreeMap<String, Managed>,
    pub physics: Physics,
    /// CPUs a region may have at once.
    pub cpus: u64,
    /// Images that pull; every image where empty.
    pub images: Vec<String>,
    /// So many pulls more are broken off.
    pub broken_pulls: u32,
    pub faults: Vec<Fault>,
    /// Services that are not switched on: `compute`, `dns`, `cloudresourcemanager`.
    pub disabled: Vec<&'static str>,
    /// Zones that lists over all zones get no answer from.
    pub silent: Vec<String>,
    /// Permissions the caller lacks.
    pub denied: Vec<String>,
    /// Every call, `METHOD path`.
    pub calls: Vec<String>,
    /// The newest calls on compute and DNS whole: method, path, query, sent, status, answered.
    pub exchanges: std::collections::VecDeque<Value>,
    pub(super) requests: BTreeMap<String, String>,
    /// Operations that are to come to nothing.
    pub(super) doomed: BTreeMap<String, super::operations::Failure>,
    /// When each token that was issued ends.
    pub(super) tokens: BTreeMap<String, Ms>,
    /// Those of them that are a person's: their calls count against gcloud's own project, unless they name another.
    pub(super) personal: std::collections::BTreeSet<String>,
    /// How long a token lasts that is issued now.
    pub token_life: Ms,
    /// The most that one page of a list of Cloud DNS holds.
    pub dns_page: usize,
    /// The network the instances' public addresses are of: its first three bytes.
    pub network: [u8; 3],
    pub(super) now: Ms,
    timeline: BTreeMap<(Ms, u64), Due>,
    pub(super) ids: u64,
}

impl World {
    /// A project with zones of three regions, the default network and a DNS zone `lab.example.com.`.
    pub fn new(project: &str, epoch: i64, network: [u8; 3]) -> Self {
        let zones =
            ["europe-west3-a", "europe-west3-b", "europe-west3-c", "europe-west4-a", "us-central1-a", "us-central1-f"];
        let zone = |name: &&str| {
            let region = name.rsplit_once('-').map_or("", |(region, _)| region).to_owned();
            ((*name).to_owned(), Zone { region, exhausted: None })
        };
        Self {
            project: project.to_owned(),
            epoch,
            zones: zones.iter().map(zone).collect(),
            instances: BTreeMap::new(),
            disks: BTreeMap::new(),
            firewalls: BTreeMap::new(),
            operations: BTreeMap::new(),
            dns: BTreeMap::from([("lab".to_owned(), Managed::new("lab.example.com."))]),
            physics: Physics::default(),
            cpus: 32,
            images: Vec::new(),
            broken_pulls: 0,
            faults: Vec::new(),
            disabled: Vec::new(),
            silent: Vec::new(),
            denied: Vec::new(),
            calls: Vec::new(),
            exchanges: Default::default(),
            requests: BTreeMap::new(),
            doomed: BTreeMap::new(),
            tokens: BTreeMap::new(),
            personal: Default::default(),
            token_life: 3_599_000,
            dns_page: 100,
            network,
            now: 0,
            timeline: BTreeMap::new(),
            ids: 1_000_000_000_000_000_000,
        }
    }

    pub fn now(&self) -> Ms {
        self.now
    }

    /// A modelled time as the API writes it.
    pub(super) fn stamp(&self, at: Ms) -> String {
        let ms = self.epoch * 1000 + i64::try_from(at).unwrap_or(i64::MAX / 2);
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(-8));
        let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default().to_zoned(zone);
        time.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
    }

    pub(super) fn id(&mut self) -> u64 {
        self.ids += 7_919;
        self.ids
    }

    pub(super) fn after(&mut self, wait: Ms, due: Due) {
        let order = self.id();
        self.timeline.insert((self.now + wait, order), due);
    }

    /// Ends every token that was issued, before its time.
    pub fn end_tokens(&mut self) {
        self.tokens.clear();
    }

    /// When the next thing happens by itself.
    pub fn next_wake(&self) -> Option<Ms> {
        self.timeline.first_key_value().map(|((at, _), _)| *at)
    }

    /// Lets time pass up to `until`; what is due happens in order.
    pub fn advance(&mut self, until: Ms) {
        while let Some(((at, order), _)) = self.timeline.first_key_value().map(|(key, due)| (*key, due)) {
            if at > until {
                break;
            }
            self.now = self.now.max(at);
            if let Some(due) = self.timeline.remove(&(at, order)) {
                self.happens(due);
            }
        }
        self.now = self.now.max(until);
    }

    /// Makes a call.
    pub fn submit(&mut self, request: &Request) -> Fate {
        self.calls.push(format!("{} {}", request.method, request.path));
        let fate = self.answered(request);
        if let Fate::Answered(Outcome::Now(answer)) = &fate {
            self.keep(request, answer);
        }
        fate
    }

    pub(super) fn keep(&mut self, request: &Request, answer: &Answer) {
        let super::answer::Body::Json(body) = &answer.body else { return };
        let is_api = |path: &str| {
            path.starts_with("compute/") || path.starts_with("dns/") || path.ends_with(super::route::TEST_PERMISSIONS)
        };
        if !is_api(&request.path) {
            return;
        }
        let sent: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        self.exchanges.push_back(json!({
            "method": request.method, "path": request.path, "query": request.query, "sent": sent,
            "status": answer.status, "answered": body,
        }));
        if self.exchanges.len() > KEPT {
            self.exchanges.pop_front();
        }
    }

    fn answered(&mut self, request: &Request) -> Fate {
        match self.struck(request) {
            Some(FaultKind::Answer(status, body)) => {
                let answer = Answer { status, body: super::answer::Body::Json(body) };
                Fate::Answered(Outcome::Now(answer))
            }
            Some(FaultKind::Cut) => Fate::Broken,
            Some(FaultKind::Lost) => {
                let _ = super::route::route(self, request, None);
                Fate::Broken
            }
            Some(FaultKind::Operation(status, message, error)) => {
                Fate::Answered(super::route::route(self, request, Some((status, message, error))))
            }
            None => Fate::Answered(super::route::route(self, request, None)),
        }
    }

    fn struck(&mut self, request: &Request) -> Option<FaultKind> {
        let path = request.path.split_once("/v1/").map_or(request.path.as_str(), |(_, rest)| rest);
        let call: Vec<&str> = std::iter::once(request.method.as_str()).chain(path.split('/')).collect();
        let fits = |pattern: &str| {
            let pattern: Vec<&str> = pattern.split([' ', '/']).collect();
            pattern.len() == call.len() && pattern.iter().zip(&call).all(|(wanted, is)| *wanted == "*" || wanted == is)
        };
        for fault in self.faults.iter_mut().filter(|fault| fits(&fault.call)) {
            if fault.after > 0 {
                fault.after -= 1;
            } else if fault.times > 0 {
                fault.times -= 1;
                return Some(fault.what.clone());
            }
        }
        None
    }

    pub fn find(&self, zone: &str, name: &str) -> Option<&Instance> {
        self.instances.values().find(|it| it.zone == zone && it.name == name)
    }

    pub(super) fn find_mut(&mut self, zone: &str, name: &str) -> Option<&mut Instance> {
        self.instances.values_mut().find(|it| it.zone == zone && it.name == name)
    }

    /// `ZONE/NAME` of every instance there is.
    pub fn listing(&self) -> Vec<String> {
        self.instances.values().map(|it| format!("{}/{}", it.zone, it.name)).collect()
    }

    /// Preempts a spot instance: its notice comes now, its end half a minute later.
    pub fn preempt(&mut self, zone: &str, name: &str) {
        let running = self.find_mut(zone, name).filter(|it| it.status == "RUNNING" && !it.preempted);
        let Some(instance) = running else { return };
        instance.preempted = true;
        instance.serial.push_str("systemd-logind: System is powering down (preempted).\n");
        let (id, run) = (instance.id, instance.run);
        self.after(super::inside::ASKS_EVERY, Due::Noticed(id, run));
        self.after(30_000, Due::Preempt(id, run));
    }

    /// The time of a running instance is up.
    pub fn expire(&mut self, zone: &str, name: &str) {
        if let Some(instance) = self.find(zone, name) {
            let (id, run) = (instance.id, instance.run);
            self.after(0, Due::Expire(id, run));
        }
    }

    /// Whether a TCP connection from this host gets through to an instance's port.
    pub fn admits(&self, instance: &Instance, port: u16) -> bool {
        let tags: Vec<&str> =
            instance.body["tags"]["items"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        self.firewalls.values().any(|rule| super::firewalls::admits(rule, &tags, port))
    }

    /// The link of a resource of the project's.
    pub(super) fn link(&self, path: &str) -> String {
        format!("https://www.googleapis.com/compute/v1/projects/{}/{path}", self.project)
    }

    /// The name errors have for a resource of the project's.
    pub(super) fn named(&self, path: &str) -> String {
        format!("projects/{}/{path}", self.project)
    }
}
