//! A sample world: a production site with a node down, one class standing, one in the middle of a
//! deploy with something gone wrong, one only defined, and two workshops.

use std::{sync::Arc, time::Duration};

use homeroom::{
    app::{Action, Effect, Key, Settings, State, action_for, doors::Door, shells::Way, update},
    domain::{
        Change, Clean, Definition, Event, LabName, Level, NodeName, Plan, Role, RunId, SeatName, SiteName, StepName,
        Vmid,
        class::{
            ClassDefinition, CloneMode, CloudInit, MachineSpec, Order, Placement, RollCall, Rollout, SeatSpec,
            Students, TemplateRef,
        },
        cluster::{ClusterView, GuestView, NodeView, Power, StorageView},
        event::{RunKind, RunState},
        plan::{CloneSource, SeatPlan, Verb},
        size::Size,
        workshop::WorkshopDefinition,
    },
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// 2026-11-21 14:02:11 UTC.
pub fn now() -> Timestamp {
    "2026-11-21T14:02:11Z".parse().unwrap()
}

pub fn before(seconds: i64) -> Timestamp {
    now().checked_sub(SignedDuration::from_secs(seconds)).unwrap()
}

pub fn lab(name: &str) -> LabName {
    LabName::new(name).unwrap()
}

pub fn seat(name: &str) -> SeatName {
    SeatName::new(name).unwrap()
}

/// A seat's door.
pub fn door(lab_name: &str, seat_name: &str) -> Door {
    Door::Seat { lab: lab(lab_name), seat: seat(seat_name) }
}

/// The wish for one, in the place that it would have alone.
pub fn opens(state: &State, id: u64, door: Door, way: Way) -> Effect {
    let place = state.shells.area(state.size);
    let size = if way == Way::Pane { (place.width, place.height - 1) } else { state.size };
    Effect::OpenShell { id, door, way, size }
}

pub fn site() -> SiteName {
    SiteName::new("campus").unwrap()
}

pub fn settings(read_only: bool) -> Settings {
    Settings {
        sites: vec![(site(), "prod".into())],
        read_only,
        kiosk: None,
        hands_over: true,
        zone: TimeZone::UTC,
        speed: 1.0,
        proof_max_age: Duration::from_secs(12 * 3_600),
        idle: Duration::from_secs(10),
        now: before(300),
    }
}

/// A program that has just started.
pub fn empty() -> State {
    let mut state = State::new(settings(false));
    update(&mut state, Action::Tick(now()));
    state
}

/// The sample world in a window of this size.
pub fn world(columns: u16, rows: u16) -> State {
    filled(false, columns, rows)
}

/// The same, in a program that may change nothing.
pub fn read_only(columns: u16, rows: u16) -> State {
    filled(true, columns, rows)
}

fn filled(read_only: bool, columns: u16, rows: u16) -> State {
    filled_with(settings(read_only), columns, rows)
}

/// The sample world under these settings.
pub fn filled_with(settings: Settings, columns: u16, rows: u16) -> State {
    let mut state = State::new(settings);
    update(&mut state, Action::Resized(columns, rows));
    update(&mut state, Action::DefinitionsLoaded(definitions()));
    for (n, cpu) in [0.2, 0.3, 0.45, 0.6, 0.8, 0.7, 0.6, 0.5, 0.4, 0.5].into_iter().enumerate() {
        update(&mut state, Action::SiteSeen { site: site(), view: Arc::new(view(250 - 10 * n as i64, cpu, true)) });
    }
    update(&mut state, Action::SiteSeen { site: site(), view: Arc::new(view(2, 0.61, false)) });
    update(&mut state, Action::EventsArrived(cs100()));
    update(&mut state, Action::EventsArrived(cs101()));
    update(&mut state, Action::RunStarted { lab: lab("cs101"), run: RunId(12) });
    update(&mut state, Action::Tick(now()));
    state
}

/// Types keys and gathers what they ask for.
pub fn press(state: &mut State, script: &str) -> Vec<Effect> {
    Key::script(script)
        .into_iter()
        .flat_map(|key| match action_for(state, key) {
            Some(action) => update(state, action),
            None => Vec::new(),
        })
        .collect()
}

/// A moment in which nobody presses a key.
pub fn quiet(state: &mut State) {
    let later = state.now.checked_add(jiff::SignedDuration::from_secs(1)).unwrap();
    update(state, homeroom::app::Action::Tick(later));
}

pub fn class(name: &str, template: &str, students: u32, teacher: bool) -> ClassDefinition {
    ClassDefinition {
        name: lab(name),
        site: site(),
        template: TemplateRef::Name(template.into()),
        clone: CloneMode::Auto,
        students: Students::Count(students),
        teacher,
        pool: None,
        machine: MachineSpec { cores: Some(2), memory: Some(Size::gib(4)), ..MachineSpec::default() },
        cloud_init: CloudInit::default(),
        machines: [].into(),
        placement: Placement::default(),
        rollout: Rollout::default(),
        rollcall: RollCall::default(),
    }
}

pub fn definitions() -> Vec<Definition> {
    let workshop = |name: &str, seats, image: &str, hours: u64| {
        let mut workshop = WorkshopDefinition::new(lab(name), site(), seats, image);
        workshop.ends_after = Duration::from_secs(hours * 3_600);
        Definition::Workshop(workshop)
    };
    vec![
        workshop("rust-intro", 10, "ghcr.io/lab/rust:1.95", 4),
        workshop("k8s-day2", 12, "ghcr.io/lab/k8s:2", 8),
        Definition::Class(class("cs102", "debian-12", 5, false)),
        Definition::Class(class("cs101", "ubuntu-22.04", 10, true)),
        Definition::Class(class("cs100", "ubuntu-22.04", 4, true)),
    ]
}

fn guest(vmid: u32, node: &str, name: &str, uptime: u64) -> GuestView {
    GuestView {
        vmid: Vmid::new(u64::from(vmid)).unwrap(),
        node: NodeName::new(node),
        name: Some(name.into()),
        power: Power::Running,
        template: false,
        lock: None,
        tags: vec!["homeroom".into()],
        pool: None,
        uptime,
        cpus: 2,
        cpu: 0.1,
        memory_used: 1 << 30,
        memory: 4 << 30,
        disk: 8 << 30,
        container: false,
    }
}

pub fn view(age: i64, cpu: f64, third: bool) -> ClusterView {
    let node = |name: &str, online, cpu, memory: f64| NodeView {
        node: NodeName::new(name),
        online,
        cpu,
        cpus: 8,
        memory_used: (memory * (64u64 << 30) as f64) as u64,
        memory: 64 << 30,
        uptime: 864_000,
    };
    let storage = |name: &str, node: &str, used: f64, total: f64| StorageView {
        storage: name.into(),
        node: NodeName::new(node),
        available: true,
        shared: true,
        kind: "rbd".into(),
        images: true,
        used: (used * (1u64 << 40) as f64) as u64,
        total: (total * (1u64 << 40) as f64) as u64,
    };
    let seats = ["teacher", "student-01", "student-02", "student-03", "student-04"];
    let mut guests: Vec<_> = seats
        .into_iter()
        .zip(9_001..)
        .map(|(seat, vmid)| guest(vmid, "pve1", &format!("cs100-{seat}"), 11_640))
        .collect();
    if !third {
        guests.extend((0..=8).map(|n| {
            let name = if n == 0 { "cs101-teacher".to_owned() } else { format!("cs101-student-{n:02}") };
            guest(9_100 + n, if n % 2 == 0 && n != 8 || n == 7 { "pve2" } else { "pve1" }, &name, 12)
        }));
    }
    ClusterView {
        at: before(age),
        version: "9.2.11".into(),
        quorate: Some(true),
        nodes: vec![node("pve1", true, cpu, 0.43), node("pve2", true, cpu * 0.3, 0.81), node("pve3", third, 0.05, 0.2)],
        storages: ["pve1", "pve2", "pve3"]
            .into_iter()
            .flat_map(|node| [storage("fast", node, 1.2, 2.0), storage("bulk", node, 3.1, 9.8)])
            .collect(),
        guests: guests.into(),
    }
}

/// A look at a site whose names are as given.
pub fn hostile_site(state: &mut State, text: &str) {
    let mut view = view(1, 0.9, true);
    view.nodes[0].node = NodeName::new(text);
    view.storages[0].storage = text.into();
    view.version = text.into();
    update(state, Action::SiteSeen { site: site(), view: Arc::new(view) });
}

/// Writes the events of one run.
pub struct Script {
    run: RunId,
    lab: LabName,
    at: Timestamp,
    events: Vec<Event>,
}

impl Script {
    pub fn new(run: i64, lab_name: &str, began: i64) -> Self {
        let mut script = Self { run: RunId(run), lab: lab(lab_name), at: before(began), events: Vec::new() };
        script.say(
            None,
            None,
            Level::Info,
            "deploy of 11 seats",
            Change::RunStarted { kind: RunKind::Deploy, site: site(), owner: "mara".into() },
        );
        script
    }

    pub fn after(&mut self, ms: i64) -> &mut Self {
        self.at = self.at.checked_add(SignedDuration::from_millis(ms)).unwrap();
        self
    }

    pub fn say(&mut self, who: Option<&str>, step: Option<StepName>, level: Level, text: &str, change: Change) {
        self.events.push(Event {
            at: self.at,
            seq: self.events.len() as u64 + 1,
            run: self.run,
            lab: self.lab.clone(),
            seat: who.map(seat),
            machine: who.map(|who| Clean::from(format!("{}-{who}", self.lab))),
            step,
            level,
            message: text.into(),
            change,
        });
    }

    pub fn plan(&mut self, who: &str, role: Role) {
        let steps = StepName::CLASS.to_vec();
        self.say(Some(who), None, Level::Debug, "planned", Change::SeatPlanned { role, site: site(), steps });
    }

    pub fn reserve(&mut self, who: &str, node: &str, vmid: u64) {
        self.start(who, StepName::Reserve);
        let change = Change::Reserved { node: NodeName::new(node), vmid: Vmid::new(vmid).unwrap() };
        self.say(Some(who), Some(StepName::Reserve), Level::Debug, "reserved", change);
        self.done(who, StepName::Reserve, 3, "set aside");
    }

    pub fn start(&mut self, who: &str, step: StepName) {
        self.attempt(who, step, 1);
    }

    pub fn attempt(&mut self, who: &str, step: StepName, attempt: u32) {
        self.say(Some(who), Some(step), Level::Debug, "begins", Change::StepStarted { attempt });
    }

    pub fn done(&mut self, who: &str, step: StepName, ms: u64, text: &str) {
        let took = Duration::from_millis(ms);
        self.say(Some(who), Some(step), Level::Info, text, Change::StepDone { took });
    }

    pub fn steps(&mut self, who: &str, steps: &[(StepName, u64)]) {
        for (step, ms) in steps {
            self.start(who, *step);
            self.done(who, *step, *ms, "done");
        }
    }

    pub fn address(&mut self, who: &str, ip: &str) {
        let change = Change::AddressSeen { ip: ip.parse().unwrap() };
        self.say(Some(who), Some(StepName::Address), Level::Info, &format!("address {ip}"), change);
        self.done(who, StepName::Address, 11_200, "settled");
    }

    pub fn copy(&self) -> Vec<Event> {
        self.events.clone()
    }

    pub fn events(self) -> Vec<Event> {
        self.events
    }
}

use StepName::{Address, Agent, Clone as Cloned, Configure, Exec, Resize, Ssh, Start, Verify};

const MADE: [(StepName, u64); 4] = [(Cloned, 412), (Configure, 210), (Resize, 90), (Start, 1_240)];
const PROVEN: [(StepName, u64); 4] = [(Agent, 9_800), (Exec, 640), (Verify, 310), (Ssh, 520)];

pub fn ready(script: &mut Script, who: &str, node: &str, vmid: u64, ip: &str) {
    script.reserve(who, node, vmid);
    script.steps(who, &MADE);
    script.start(who, Address);
    script.address(who, ip);
    script.steps(who, &PROVEN);
    script.say(Some(who), None, Level::Success, "ready in 24.8 s", Change::SeatReady);
}

pub fn cs100() -> Vec<Event> {
    let mut script = Script::new(7, "cs100", 11_600);
    let seats = ["teacher", "student-01", "student-02", "student-03", "student-04"];
    for (n, who) in seats.into_iter().enumerate() {
        let role = if n == 0 { Role::Teacher } else { Role::Student };
        script.plan(who, role);
        ready(&mut script, who, "pve1", 9_001 + n as u64, &format!("10.1.0.1{n}"));
    }
    script.say(None, None, Level::Success, "5 of 5 ready", Change::RunEnded { state: RunState::Done });
    script.events()
}

/// A run of four seats told to the moment: boots waited for one node, one configuration was tried twice, one clone failed.
pub fn timed(ended: bool) -> Vec<Event> {
    let mut script = Script::new(12, "cs101", 41);
    let whole = script.at;
    type Steps<'a> = &'a [(StepName, i64, i64)];
    let lines: [(&str, &str, Steps<'_>); 4] = [
        (
            "teacher",
            "pve2",
            &[(Cloned, 300, 2_100), (Configure, 2_100, 2_900), (Start, 2_900, 4_200), (Address, 4_200, 15_000)],
        ),
        (
            "student-01",
            "pve1",
            &[(Cloned, 300, 2_400), (Configure, 5_400, 6_000), (Start, 6_000, 7_500), (Address, 7_500, 18_400)],
        ),
        (
            "student-02",
            "pve1",
            &[(Cloned, 2_300, 4_400), (Configure, 4_400, 5_000), (Start, 13_000, 14_500), (Address, 14_500, 25_000)],
        ),
        ("student-03", "pve1", &[(Cloned, 4_400, 9_000)]),
    ];
    for (n, (who, node, steps)) in lines.into_iter().enumerate() {
        script.at = whole;
        script.plan(who, if n == 0 { Role::Teacher } else { Role::Student });
        script.after(200);
        script.reserve(who, node, 9_100 + n as u64);
        let mut last = 0;
        for (step, from, to) in steps {
            if *step == Configure && n == 1 {
                script.at = whole;
                script.after(2_400).start(who, *step);
                script.after(1_000);
                let wait = Change::StepRetry { wait: Duration::from_secs(2), of: 5 };
                script.say(Some(who), Some(*step), Level::Warning, "can't lock file", wait);
            }
            script.at = whole;
            script.after(*from);
            script.start(who, *step);
            script.at = whole;
            script.after(*to);
            last = *to;
            if n < 3 {
                script.done(who, *step, (*to - *from) as u64, "done");
            }
        }
        if n == 3 {
            let took = Duration::from_millis(4_600);
            script.say(Some(who), Some(Cloned), Level::Error, "storage fast is full", Change::StepFailed { took });
            script.say(Some(who), None, Level::Error, "storage fast is full", Change::SeatFailed);
            continue;
        }
        script.start(who, Agent);
        script.after(100).start(who, Exec);
        script.after(600);
        script.done(who, Exec, 600, "ran");
        script.at = whole;
        script.after(last + 5_000);
        if ended || n < 2 {
            script.done(who, Agent, 5_000, "settled");
            script.say(Some(who), None, Level::Success, "ready", Change::SeatReady);
        }
    }
    script.at = whole;
    script.after(30_000);
    if ended {
        script.say(None, None, Level::Error, "3 of 4 ready", Change::RunEnded { state: RunState::Failed });
    } else {
        script.plan("student-04", Role::Student);
    }
    script.events()
}

/// In the middle: seven ready, one proving, one waiting for its address, one not begun, one failed.
pub fn cs101() -> Vec<Event> {
    let mut script = Script::new(12, "cs101", 41);
    script.plan("teacher", Role::Teacher);
    (1..=10).for_each(|n| script.plan(&format!("student-{n:02}"), Role::Student));
    script.after(20_000);
    ready(&mut script, "teacher", "pve2", 9_100, "10.1.0.20");
    for n in 1..=6 {
        let node = if n % 2 == 0 { "pve2" } else { "pve1" };
        script.after(300);
        ready(&mut script, &format!("student-{n:02}"), node, 9_100 + n, &format!("10.1.0.{}", 20 + n));
    }
    script.after(200);
    script.reserve("student-07", "pve2", 9_107);
    script.steps("student-07", &[(Cloned, 430)]);
    script.start("student-07", Configure);
    let locked = "can't lock file '/var/lock/qemu-server/lock-9107.conf' - got timeout, again in 2 s";
    let wait = Change::StepRetry { wait: Duration::from_secs(2), of: 5 };
    script.say(Some("student-07"), Some(Configure), Level::Warning, locked, wait);
    script.attempt("student-07", Configure, 2);
    script.done("student-07", Configure, 2_300, "configured");
    script.steps("student-07", &[(Resize, 90), (Start, 1_310)]);
    script.start("student-07", Address);
    script.address("student-07", "10.1.0.27");
    script.after(800);
    script.start("student-07", Agent);
    script.reserve("student-08", "pve1", 9_108);
    script.steps("student-08", &MADE);
    script.start("student-08", Address);
    script.after(6_500);
    script.reserve("student-10", "pve1", 9_110);
    script.start("student-10", Cloned);
    let full = "storage fast has 3.1 GiB left, this clone needs 8 GiB; free space on fast, \
                or set storage = \"bulk\" for this seat";
    let took = Duration::from_millis(320);
    script.say(Some("student-10"), Some(Cloned), Level::Error, full, Change::StepFailed { took });
    script.say(Some("student-10"), None, Level::Error, full, Change::SeatFailed);
    script.events()
}

/// A plan for cs101: `verbs` by seat, the rest created.
pub fn plan(verbs: &[(&str, Verb)]) -> Plan {
    let definition = class("cs101", "ubuntu-22.04", 10, true);
    let seats = definition.seats().into_iter().enumerate().map(|(n, (who, role))| {
        let verb = verbs.iter().find(|(name, _)| *name == who.as_str()).map_or(Verb::Create, |(_, verb)| *verb);
        let node = NodeName::new(if n % 2 == 0 { "pve2" } else { "pve1" });
        let teacher = role == Role::Teacher;
        let machine = MachineSpec {
            cores: Some(if teacher { 4 } else { 2 }),
            memory: Some(Size::gib(if teacher { 8 } else { 4 })),
            ..MachineSpec::default()
        };
        SeatPlan {
            unlisted: false,
            name: format!("cs101-{who}"),
            spec: SeatSpec { seat: who.clone(), role, machine, cloud_init: CloudInit::default(), address: None },
            seat: who,
            role,
            verb,
            person: None,
            why: match verb {
                Verb::Create => format!("{node} scores 72: cpu 82 % free, memory 57 % free"),
                _ => "as defined".into(),
            },
            node: node.clone(),
            vmid: Some(Vmid::new(9_100 + n as u64).unwrap()),
            source: (verb == Verb::Create).then(|| CloneSource {
                template: Vmid::new(9_000).unwrap(),
                template_name: "ubuntu-22.04".into(),
                node,
                linked: true,
                full_fallback: false,
                storage: None,
                format: None,
                limit_storage: "fast".into(),
                storage_shared: true,
                bytes: 40 << 20,
                pool: None,
            }),
            changes: Vec::new(),
            steps: StepName::CLASS.to_vec(),
        }
    });
    Plan {
        kind: RunKind::Deploy,
        lab: lab("cs101"),
        site: site(),
        seats: seats.collect(),
        skipped_nodes: vec![(NodeName::new("pve3"), "offline".into())],
        memory_after: vec![(NodeName::new("pve1"), 0.79), (NodeName::new("pve2"), 0.88)],
        estimate: Some(Duration::from_secs(59)),
        room: vec![("fast".into(), 440 << 20)],
        rollcall: RollCall::default(),
        order: Order::Parallel,
        stagger: Duration::ZERO,
        pool: None,
        fixes_drift: false,
        rebuilds: None,
        workshop: None,
        notes: Vec::new(),
    }
}
