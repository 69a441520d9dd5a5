//! Plans in a cloud, rule by rule: what stands, what was written down, and what comes of both.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{net::IpAddr, time::Duration};

use jiff::Timestamp;

use super::*;
use crate::domain::{
    RunId, SiteName, StepState,
    cloud::{DiskView, RuleView, labels, lacking, mark, permissions},
    code::JoinCode,
    life::{Life, later},
    progress::StepProgress,
    workshop::Certificate,
};

const A: &str = "europe-west3-a";
const B: &str = "europe-west3-b";

struct Scene {
    workshop: WorkshopDefinition,
    view: CloudView,
    progress: Progress,
    zones: Vec<NodeName>,
    prices: Option<Prices>,
    sitting: BTreeMap<SeatName, Person>,
    names: Names,
    certificate: Option<Result<String, String>>,
    held: Option<Result<BTreeSet<String>, String>>,
    unfit: BTreeMap<NodeName, String>,
}

fn lab() -> LabName {
    LabName::new("intro").unwrap()
}

fn store() -> StoreId {
    StoreId::from_bytes([7; 8])
}

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn ip(last: u8) -> IpAddr {
    IpAddr::from([203, 0, 113, last])
}

/// Nothing is there yet.
fn scene() -> Scene {
    let prices = Prices {
        date: "2026-11-01".to_owned(),
        currency: "EUR".to_owned(),
        machines: BTreeMap::from([("e2-standard-4".to_owned(), 0.16)]),
        disk_gb_month: 0.1,
        address: 0.004,
        ..Prices::default()
    };
    let view =
        CloudView { at: now(), instances: Vec::new(), disks: Vec::new(), rules: Vec::new(), unseen: BTreeSet::new() };
    Scene {
        workshop: WorkshopDefinition::new(lab(), SiteName::new("cloud").unwrap(), 2, "workspace:1"),
        view,
        progress: Progress::new(lab()),
        zones: [A, B].map(NodeName::new).to_vec(),
        prices: Some(prices),
        sitting: BTreeMap::new(),
        names: Names::default(),
        certificate: None,
        held: None,
        unfit: BTreeMap::new(),
    }
}

/// Everything was made as defined, and proven.
fn standing() -> Scene {
    let mut scene = scene();
    scene.stand();
    scene
}

impl Scene {
    fn with<T>(&self, rule: impl FnOnce(&CloudInput<'_>) -> T) -> T {
        rule(&CloudInput {
            workshop: &self.workshop,
            view: &self.view,
            progress: &self.progress,
            store: &store(),
            zones: &self.zones,
            spot: false,
            max_seats: 50,
            registry: Some("europe-west3-docker.pkg.dev/lab-1/lab"),
            prices: self.prices.as_ref(),
            sitting: &self.sitting,
            names: &self.names,
            certificate: self.certificate.as_ref().map(|read| read.as_deref().map_err(String::as_str)),
            held: self.held.as_ref().map(|held| held.as_ref().map_err(String::as_str)),
            unfit: &self.unfit,
        })
    }

    fn deploy(&self) -> Plan {
        self.with(plan_cloud).unwrap()
    }

    fn refusal(&self) -> String {
        self.with(plan_cloud).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    fn instance(&mut self) -> &mut InstanceView {
        &mut self.view.instances[0]
    }

    fn row(&mut self, seat: &SeatName) -> &mut SeatProgress {
        self.progress.seats.iter_mut().find(|row| row.seat == *seat).unwrap()
    }

    fn stand(&mut self) {
        let shape = InstanceShape::of(&self.workshop, false);
        self.view.instances.push(InstanceView {
            id: "1".to_owned(),
            name: "intro-host".to_owned(),
            zone: NodeName::new(B),
            state: InstanceState::Running,
            status: "RUNNING".into(),
            machine_type: shape.machine_type.clone(),
            labels: labels(&store(), &lab(), RunId(1), "intro-host"),
            metadata: BTreeMap::from([(MADE_OF.to_owned(), shape.made_of(&self.workshop).text())]),
            address: Some(ip(5)),
            created: Some(now()),
            started: Some(now()),
            stopped: None,
            rests: Vec::new(),
            ends: None,
            spot: false,
            preempted: None,
            disk_gb: 50,
            keeps_disk: false,
        });
        self.view.rules.push(RuleView {
            name: "intro-host".to_owned(),
            description: mark(&store(), &lab()),
            ranges: vec!["0.0.0.0/0".to_owned()],
            ports: vec![22, 8080],
        });
        for (seat, role) in self.workshop.rows() {
            let chain = if role == Role::Host { &StepName::INSTANCE[..] } else { &StepName::INSTANCE_SEAT[..] };
            let done = chain.iter().filter(|step| **step != StepName::Dns).map(|step| StepProgress {
                step: *step,
                state: StepState::Ok,
                attempts: 1,
                began_at: None,
                at: Some(now()),
                took: None,
                upid: None,
                again: None,
                run: RunId(1),
            });
            let (name, site) = (machine_name(&lab(), &seat), SiteName::new("cloud").unwrap());
            self.progress.seats.push(SeatProgress {
                state: MachineState::Ready,
                proven_at: Some(now()),
                node: Some(NodeName::new(B)),
                ip: (role == Role::Host).then(|| ip(5)),
                proxy: (role == Role::Host).then(String::new),
                steps: done.collect(),
                ..SeatProgress::planned(seat, role, name, site, RunId(1))
            });
        }
        let code = JoinCode::read("K7M3QX").unwrap();
        let ends_at = later(now(), self.workshop.ends_after);
        self.progress.life = Some(Life { code, born_at: now(), ends_at, warned: None, hindered: None });
    }
}

fn verbs(plan: &Plan) -> Vec<(&str, Verb)> {
    plan.seats.iter().map(|row| (row.seat.as_str(), row.verb)).collect()
}

/// `field: from -> to` of the host.
fn changes(plan: &Plan) -> Vec<String> {
    plan.seats[0].changes.iter().map(|it| format!("{}: {} -> {}", it.field, it.from, it.to)).collect()
}

fn has_note(plan: &Plan, words: &str) -> bool {
    plan.notes.iter().any(|note| note.contains(words))
}

#[test]
fn a_first_deploy_makes_the_host_in_the_first_zone_and_then_its_seats() {
    let plan = scene().deploy();
    assert_eq!(verbs(&plan), [("host", Verb::Create), ("seat-01", Verb::Create), ("seat-02", Verb::Create)]);
    let host = &plan.seats[0];
    assert_eq!(host.why, format!("e2-standard-4 with 50 GiB in {A}, then {B}"));
    assert_eq!(host.node.as_str(), A);
    assert!(!host.steps.contains(&StepName::Dns), "no name is asked for: {:?}", host.steps);
    assert_eq!(plan.seats[1].steps, StepName::INSTANCE_SEAT);
    let mut named = scene();
    named.workshop.gce.dns = Some("ws-{code}.lab.example.com".to_owned());
    assert_eq!(named.deploy().seats[0].steps.last(), Some(&StepName::Dns));
}

#[test]
fn the_machine_follows_the_number_of_seats_unless_the_definition_names_one() {
    let mut scene = scene();
    for (seats, machine) in
        [(10, "e2-standard-4"), (11, "e2-standard-8"), (20, "e2-standard-8"), (21, "e2-standard-16")]
    {
        scene.workshop.seats = seats;
        assert_eq!(InstanceShape::of(&scene.workshop, false).machine_type, machine, "{seats} seats");
    }
    scene.workshop.gce.machine_type = Some("n2-highmem-4".to_owned());
    scene.workshop.gce.disk = Some(Size((80 << 30) + 1));
    let shape = InstanceShape::of(&scene.workshop, true);
    // A part of a GiB is a whole one.
    assert_eq!((shape.machine_type.as_str(), shape.spot, shape.disk_gb), ("n2-highmem-4", true, 81));
    scene.workshop.gce.spot = Some(false);
    assert!(!InstanceShape::of(&scene.workshop, true).spot, "the workshop's word goes before the site's");
}

#[test]
fn seats_that_are_made_on_joining_are_planned_once_somebody_sits_there() {
    let mut scene = scene();
    scene.workshop.seats_on = SeatsOn::Join;
    assert_eq!(verbs(&scene.deploy()), [("host", Verb::Create)]);
    scene.sitting.insert(SeatName::numbered(2), Person::new("Ada").unwrap());
    assert_eq!(verbs(&scene.deploy()), [("host", Verb::Create), ("seat-02", Verb::Create)]);
}

#[test]
fn what_stands_as_defined_is_left_alone() {
    let plan = standing().deploy();
    assert!(plan.is_empty(), "{:?}", verbs(&plan));
    assert!(plan.notes.is_empty(), "what is not done needs no words: {:?}", plan.notes);
    // A seat that did not answer is asked again, and nothing else.
    let mut failed = standing();
    failed.row(&SeatName::numbered(1)).state = MachineState::Failed;
    let plan = failed.deploy();
    assert_eq!(verbs(&plan), [("host", Verb::Keep), ("seat-01", Verb::Prove), ("seat-02", Verb::Keep)]);
}

#[test]
fn what_the_instance_is_made_of_means_another_one_with_all_its_seats() {
    let mut scene = standing();
    scene.workshop.image = "workspace:2".to_owned();
    let plan = scene.deploy();
    assert_eq!(plan.count(Verb::Replace), 3);
    assert_eq!(changes(&plan), ["image: workspace:1 -> workspace:2"]);
    assert_eq!(plan.seats[0].steps[0], StepName::Destroy);
    scene.sitting.insert(SeatName::numbered(2), Person::new("Ada").unwrap());
    let why = &scene.deploy().seats[2].why;
    assert_eq!(why, "its instance is replaced; Ada sits there and loses what is in it");
    // One seat less is another machine too: the one that is gone is told of, and is nobody's to remove by itself.
    let mut fewer = standing();
    fewer.workshop.seats = 1;
    let plan = fewer.deploy();
    assert_eq!(verbs(&plan), [("host", Verb::Replace), ("seat-01", Verb::Replace), ("seat-02", Verb::Remove)]);
}

#[test]
fn who_may_connect_and_what_becomes_of_the_disk_change_where_it_stands() {
    let mut scene = standing();
    scene.workshop.gce.source_ranges = vec!["203.0.113.0/24".to_owned()];
    scene.workshop.gce.keep_disk = true;
    let plan = scene.deploy();
    assert_eq!(verbs(&plan), [("host", Verb::Update), ("seat-01", Verb::Keep), ("seat-02", Verb::Keep)]);
    assert_eq!(changes(&plan), ["gce.source_ranges: 0.0.0.0/0 -> 203.0.113.0/24", "gce.keep_disk: false -> true"]);
    assert_eq!(plan.seats[0].why, "who may connect changes; its disk is to outlive it");
    // One that is stopped is started on the way.
    scene.instance().state = InstanceState::Stopped;
    let plan = scene.deploy();
    assert_eq!((plan.seats[0].verb, changes(&plan).len()), (Verb::Prove, 2));
}

#[test]
fn what_the_proxy_shows_is_held_against_what_it_was_given() {
    let mut scene = standing();
    scene.workshop.proxy.name = Some("ws.example.org".to_owned());
    let plan = scene.deploy();
    assert_eq!(changes(&plan), ["proxy.name:  -> ws.example.org"]);
    assert_eq!(plan.seats[0].why, "its proxy is called ws.example.org from now on");
    assert!(plan.seats[0].steps.contains(&StepName::Proxy));

    let host = SeatName::host();
    let files = |cert: &str| Certificate { cert_file: cert.into(), key_file: "/ws.key".into() };
    scene.workshop.proxy.certificate = Some(files("/ws.pem"));
    scene.certificate = Some(Ok("one".to_owned()));
    let shows = MadeOf::shown(&scene.workshop, Some("one")).text();
    scene.row(&host).proxy = Some(shows);
    assert!(scene.deploy().is_empty());
    // Renewed where it lies; and one that will not do takes nobody's place.
    scene.certificate = Some(Ok("two".to_owned()));
    let plan = scene.deploy();
    assert_eq!(changes(&plan), ["certificate: the one it shows -> the one in its files now"]);
    assert_eq!(plan.seats[0].why, "its proxy proves its name by another certificate");
    scene.certificate = Some(Err("no PEM".to_owned()));
    assert!(scene.deploy().is_empty());
    scene.workshop.proxy.certificate = Some(files("/other.pem"));
    assert!(scene.refusal().contains("no PEM"), "{}", scene.refusal());

    // Without files, without a name; and what nobody wrote down is no change.
    (scene.certificate, scene.workshop.proxy.certificate) = (None, None);
    assert_eq!(scene.deploy().seats[0].why, "its proxy proves its name by a certificate of its own making");
    scene.workshop.proxy.name = None;
    assert!(scene.deploy().seats[0].why.starts_with("its proxy speaks plain HTTP"));
    scene.row(&host).proxy = None;
    assert!(scene.deploy().is_empty());
}

#[test]
fn on_the_port_of_https_the_proxy_is_called_as_its_name_in_dns() {
    let mut scene = scene();
    scene.workshop.proxy.port = 443;
    scene.workshop.gce.dns = Some("ws-{code}.lab.example.com".to_owned());
    scene.stand();
    let name = "ws-k7m3qx.lab.example.com".to_owned();
    scene.names = Names { ours: vec![name.clone()], wanted: Some(name.clone()), problem: None };
    scene.row(&SeatName::host()).proxy = Some(format!("proxy.name={name}"));
    assert!(scene.deploy().is_empty());
    scene.workshop.gce.dns = Some("lab-{code}.lab.example.com".to_owned());
    scene.names.wanted = Some("lab-k7m3qx.lab.example.com".to_owned());
    let fields: Vec<String> = scene.deploy().seats[0].changes.iter().map(|it| it.field.clone()).collect();
    assert_eq!(fields, ["gce.dns", "proxy.name"]);
}

#[test]
fn an_instance_that_moved_stopped_or_is_taken_away_is_proven_anew_with_the_reason() {
    let host = |scene: &Scene| {
        let plan = scene.deploy();
        (plan.seats[0].verb, plan.seats[0].why.clone())
    };
    let mut scene = standing();
    scene.instance().address = Some(ip(9));
    assert_eq!(host(&scene), (Verb::Prove, "its address has changed".to_owned()));
    scene.instance().preempted = Some(now());
    assert!(host(&scene).1.contains("is being taken away"));
    (scene.instance().state, scene.instance().status) = (InstanceState::Stopped, "TERMINATED".into());
    assert_eq!(host(&scene).1, "its spot machine was taken away: it is TERMINATED");
    scene.instance().preempted = None;
    assert_eq!(host(&scene), (Verb::Prove, "its instance is TERMINATED".to_owned()));
    // Where it is gone, another is made, and all its seats with it.
    scene.view.instances.clear();
    assert_eq!(host(&scene).1, "its instance is no longer in the project: another is made");
    assert_eq!(scene.deploy().count(Verb::Resume), 3);
    let host_row = scene.row(&SeatName::host());
    (host_row.proven_at, host_row.state) = (None, MachineState::Failed);
    assert_eq!(host(&scene), (Verb::Resume, "begun before".to_owned()));
}

#[test]
fn what_stands_in_the_way_is_all_told_at_once() {
    let mut scene = standing();
    scene.workshop.seats = 51;
    let mut second = scene.instance().clone();
    second.zone = NodeName::new(A);
    scene.view.instances.push(second);
    scene.unfit = [A, B].map(|zone| (NodeName::new(zone), format!("there is no zone {zone}"))).into();
    let told = scene.refusal();
    for words in ["51 seats, and cloud takes 50", "intro has 2 instances in", "there is no zone europe-west3-b"] {
        assert!(told.contains(words), "{told}");
    }
    let mut taken = self::scene();
    taken.stand();
    taken.progress.seats.clear();
    taken.instance().labels = labels(&StoreId::from_bytes([8; 8]), &lab(), RunId(1), "intro-host");
    assert!(taken.refusal().contains("made by homeroom from another store"), "{}", taken.refusal());
    // One zone that will not do is passed over.
    let mut passed = self::scene();
    passed.unfit = BTreeMap::from([(NodeName::new(A), "there is no zone a".to_owned())]);
    assert!(has_note(&passed.deploy(), "there is no zone a: it is passed over"));
}

#[test]
fn the_notes_say_what_it_costs_who_gets_in_and_what_the_account_may_not_do() {
    let mut scene = scene();
    let plan = scene.deploy();
    assert!(has_note(&plan, "about 0.171 EUR an hour"), "{:?}", plan.notes);
    assert!(has_note(&plan, "0.68 EUR until it ends, 2.05 EUR at most; prices of 2026-11-01"), "{:?}", plan.notes);
    assert!(has_note(&plan, "everybody may connect to it"));
    scene.workshop.gce.spot = Some(true);
    scene.workshop.gce.keep_disk = true;
    let plan = scene.deploy();
    assert!(has_note(&plan, "the price table of 2026-11-01 has no spot e2-standard-4"), "{:?}", plan.notes);
    assert!(has_note(&plan, "a spot machine may be taken away") && has_note(&plan, "its disk outlives it"));
    scene.prices = None;
    assert!(has_note(&scene.deploy(), "the site's configuration has no prices"));

    let all = || permissions(true).into_iter().map(str::to_owned).collect::<BTreeSet<String>>();
    scene.held = Some(Ok(all()));
    assert!(!has_note(&scene.deploy(), "the account"));
    let mut some = all();
    some.remove("compute.instances.delete");
    some.remove("dns.changes.create");
    scene.held = Some(Ok(some));
    assert!(has_note(&scene.deploy(), "the account lacks compute.instances.delete on the project"));
    scene.workshop.gce.dns = Some("ws.lab.example.com".to_owned());
    assert!(has_note(&scene.deploy(), "lacks compute.instances.delete, dns.changes.create on the project"));
    scene.held = Some(Ok(BTreeSet::new()));
    let more = format!("and {} more (`homeroom doctor` names them)", lacking(true, &BTreeSet::new()).len() - 5);
    assert!(has_note(&scene.deploy(), &more), "{:?}", scene.deploy().notes);
    scene.held = Some(Err("no answer".to_owned()));
    assert!(has_note(&scene.deploy(), "what the account may do is not known before it is tried: no answer"));
}

#[test]
fn an_end_that_is_set_and_the_server_s_own_are_told_where_the_definition_says_another() {
    let mut scene = standing();
    scene.workshop.ends_after = Duration::from_secs(8 * 3600);
    assert!(has_note(&scene.deploy(), "whatever ends_after says"));
    let mut put_off = standing();
    put_off.progress.life.as_mut().unwrap().ends_at = later(now(), Duration::from_secs(5 * 3600));
    assert!(has_note(&put_off.deploy(), "later than ends_after says: it was put off"));
    scene.workshop.max_life = Duration::from_secs(48 * 3600);
    scene.instance().ends = Some(later(now(), Duration::from_secs(12 * 3600)));
    assert!(has_note(&scene.deploy(), "the server itself ends its instance at"));
}

#[test]
fn a_destroy_takes_all_of_it_and_no_seat_alone() {
    let all = |scene: &Scene| scene.with(|input| plan_cloud_destroy(input, &[])).unwrap();
    assert!(all(&scene()).is_empty());
    let scene = standing();
    let plan = all(&scene);
    assert_eq!(plan.count(Verb::Remove), 3);
    assert!(plan.seats[0].why.contains("its disk, its name and its firewall rule"));
    let alone = scene.with(|input| plan_cloud_destroy(input, &[SeatName::numbered(1)])).unwrap_err();
    assert!(alone[0].to_string().contains("goes with it"), "{}", alone[0]);

    // A rule or a disk that is left is enough; a disk that is to be kept is not.
    let mut left = self::scene();
    left.view.rules = standing().view.rules;
    assert_eq!(all(&left).count(Verb::Remove), 1);
    let mut left = self::scene();
    left.view.disks.push(DiskView {
        name: "intro-host-1".to_owned(),
        zone: NodeName::new(A),
        gb: 50,
        labels: labels(&store(), &lab(), RunId(1), "intro-host-1"),
        attached: false,
    });
    assert_eq!(all(&left).count(Verb::Remove), 1);
    left.workshop.gce.keep_disk = true;
    assert!(all(&left).is_empty());
}

#[test]
fn a_check_asks_what_stands_again_and_takes_its_name_along() {
    let check = |scene: &Scene, seats: &[SeatName]| scene.with(|input| plan_cloud_check(input, seats));
    assert!(check(&scene(), &[]).unwrap_err()[0].to_string().contains("no instance to check"));
    let mut scene = standing();
    let plan = check(&scene, &[]).unwrap();
    assert_eq!(plan.count(Verb::Prove), 3);
    assert!(!plan.seats[0].steps.contains(&StepName::Dns));
    assert!(!plan.seats[0].steps.contains(&StepName::Create), "a check makes nothing: {:?}", plan.seats[0].steps);
    assert_eq!(check(&scene, &[SeatName::numbered(2)]).unwrap().seats.len(), 1);
    scene.workshop.gce.dns = Some("ws.lab.example.com".to_owned());
    assert_eq!(check(&scene, &[]).unwrap().seats[0].steps.last(), Some(&StepName::Dns));
}
