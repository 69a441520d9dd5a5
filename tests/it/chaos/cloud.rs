//! Stories of a workshop in a cloud: lives cut off between any two effects, lost and late requests, operations that
//! vanish, stock-outs, preemption; and after each, by the project's own listing, one instance or none.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use homeroom::{
    domain::{LabName, Level, event::RunState},
    service::{
        Homeroom, ServiceError,
        check::check,
        deploy::{Outcome, Request, deploy},
        destroy::{Confirmation, destroy},
    },
    sim::{
        Scenario,
        gce::{Fault, FaultKind, Request as Call, World},
    },
};
use serde_json::{Value, json};

use super::{came_of, weather::Dice};
use crate::hand::{CloudHabit, Disk, Habit, House, ZONES};

/// Stories told in every run of the tests; more with `HOMEROOM_CHAOS_SEEDS`.
const SEEDS: u64 = 300;
/// Stories within which each mistake must show.
const WITHIN: u64 = 150;
const NAME: &str = "intro-host";

const CALLS: [&str; 12] = [
    "POST projects/*/zones/*/instances",
    "POST projects/*/zones/*/instances",
    "POST projects/*/zones/*/operations/*/wait",
    "POST projects/*/zones/*/operations/*/wait",
    "DELETE projects/*/zones/*/instances/*",
    "DELETE projects/*/global/firewalls/*",
    "POST projects/*/global/firewalls",
    "POST projects/*/global/operations/*/wait",
    "GET projects/*/aggregated/instances",
    "GET projects/*/zones/*/instances/*/getGuestAttributes",
    "POST projects/*/managedZones/*/changes",
    "GET projects/*/zones/*/operations",
];

#[derive(Debug, Clone, Copy)]
enum Act {
    Deploy,
    Check,
    Destroy,
}

struct Story {
    house: House,
    dice: Dice,
    acts: Vec<String>,
    broken: Vec<String>,
    /// What others have in the project.
    others: Value,
    /// What is still to happen happens in a storm only.
    storm: Arc<AtomicBool>,
}

fn intro() -> LabName {
    LabName::new("intro").unwrap()
}

fn trouble(status: u16, reason: &str, message: &str) -> FaultKind {
    let body = json!({"error": {"code": status, "message": message,
                                "errors": [{"message": message, "domain": "global", "reason": reason}]}});
    FaultKind::Answer(status, body)
}

fn ended(code: &str, status: u16) -> FaultKind {
    let error = json!({"errors": [{"code": code, "message": format!("{code} in a story")}]});
    FaultKind::Operation(status, "SERVICE UNAVAILABLE".to_owned(), error)
}

fn faults(dice: &mut Dice) -> Vec<Fault> {
    let count = dice.from(0, 5);
    let one = |dice: &mut Dice| {
        let call = dice.pick(&CALLS).to_owned();
        let inserts = call.ends_with("zones/*/instances") && call.starts_with("POST");
        let what = match dice.from(0, 9) {
            0 | 1 => FaultKind::Lost,
            2 => FaultKind::Cut,
            3 => trouble(503, "backendError", "Backend Error"),
            4 => trouble(429, "rateLimitExceeded", "Rate Limit Exceeded"),
            5 if call.ends_with("/wait") => trouble(404, "notFound", "The resource was not found"),
            8 => trouble(401, "authError", "Request had invalid authentication credentials."),
            9 => trouble(403, "forbidden", "Forbidden"),
            6 if inserts => ended("ZONE_RESOURCE_POOL_EXHAUSTED", 503),
            7 if inserts => ended("INTERNAL_ERROR", 500),
            _ => trouble(500, "internalError", "Internal Error"),
        };
        Fault {
            call,
            after: u32::try_from(dice.from(0, 2)).unwrap(),
            times: u32::try_from(dice.from(1, 3)).unwrap(),
            what,
        }
    };
    (0..count).map(|_| one(dice)).collect()
}

impl Story {
    fn begin(seed: u64, habit: CloudHabit) -> Self {
        let mut dice = Dice::new(seed);
        let mut scenario = Scenario::default_world().unwrap();
        scenario.nodes.truncate(1);
        scenario.guests.clear();
        let house = House::new(&scenario, seed, Habit::Good, Disk::new(false)).with_cloud(habit);
        let spot = dice.chance(40);
        let dns = if dice.chance(60) { "dns = \"ws-{code}.lab.example.com\"\n" } else { "" };
        house.define(&format!(
            "kind = \"workshop\"\nname = \"intro\"\nsite = \"cloud\"\nseats = 2\nimage = \"workspace:1\"\n\
             [gce]\nspot = {spot}\n{dns}"
        ));
        house.stage.project(|world| {
            // Nothing of it is ours, though the names are.
            let token = world.token();
            let make = |world: &mut World, path: &str, body: Value| {
                let path = format!("compute/v1/projects/lab-1/{path}");
                let authorization = Some(format!("Bearer {token}"));
                let body = body.to_string().into_bytes();
                let _ = world.submit(&Call { method: "POST".to_owned(), path, body, authorization, ..Call::default() });
            };
            let zone = ZONES[2];
            let disk = json!({"boot": true, "autoDelete": true, "initializeParams": {
                "sourceImage": "projects/cos-cloud/global/images/family/cos-stable", "diskSizeGb": "10"}});
            let body = json!({"name": NAME, "machineType": format!("zones/{zone}/machineTypes/e2-small"),
                              "labels": {"owner": "somebody"}, "disks": [disk],
                              "networkInterfaces": [{"network": "global/networks/default"}]});
            make(world, &format!("zones/{zone}/instances"), body);
            let rule = json!({"name": "somebody-s", "allowed": [{"IPProtocol": "tcp", "ports": ["22"]}]});
            make(world, "global/firewalls", rule);
        });
        house.stage.rest(Duration::from_secs(60));
        let others = others(&house);
        assert_eq!(others["instances"].as_array().unwrap().len(), 1, "somebody has a machine there: {others}");
        Self {
            house,
            dice,
            acts: vec![format!("spot {spot}, {dns:?}")],
            broken: Vec::new(),
            others,
            storm: Arc::default(),
        }
    }

    fn weather(&mut self) {
        self.storm.store(true, Ordering::Relaxed);
        let faults = faults(&mut self.dice);
        self.acts.extend(faults.iter().map(|fault| format!("{fault:?}")));
        let empty = self.dice.chance(35);
        let (silent, hasty) = (self.dice.chance(15), self.dice.chance(30));
        self.acts.push(format!("a silent zone: {silent}, hasty waits: {hasty}"));
        self.house.stage.project(|world| {
            world.faults.extend(faults);
            world.silent.extend(silent.then(|| ZONES[0].to_owned()));
            world.physics.wait = if hasty { 0 } else { 120_000 };
            for zone in ZONES.iter().take(2).filter(|_| empty) {
                world.zones.get_mut(*zone).unwrap().exhausted = Some(Vec::new());
            }
        });
        if self.dice.chance(40) {
            let late = (u32::try_from(self.dice.from(0, 1)).unwrap(), self.dice.seconds(1, 900));
            self.acts.push(format!("late {late:?}, empty {empty}"));
            self.house.cloud.as_ref().unwrap().late.lock().unwrap().push(late);
        }
        if self.dice.chance(30) {
            let after = self.dice.seconds(1, 200);
            let kind = self.dice.from(0, 2);
            self.acts.push(format!("after {after:?}: {}", ["preempted", "deleted", "a seat ends"][kind as usize]));
            let storm = self.storm.clone();
            self.house.stage.at_project(after, move |world| {
                if !storm.load(Ordering::Relaxed) {
                    return;
                }
                let own = |it: &&homeroom::sim::gce::Instance| it.name == NAME && it.body["labels"]["homeroom"] == "1";
                let Some((id, zone)) = world.instances.values().find(own).map(|it| (it.id, it.zone.clone())) else {
                    return;
                };
                match kind {
                    0 => world.preempt(&zone, NAME),
                    1 if world.instances[&id].status == "RUNNING" => {
                        world.instances.remove(&id);
                        world.disks.retain(|_, disk| disk.user != Some(id));
                    }
                    1 => {}
                    _ => world.instances.get_mut(&id).unwrap().inside.end("intro-seat-01"),
                }
            });
        }
    }

    fn stormy(&mut self, act: Act) {
        let die_at = self.dice.chance(65).then(|| {
            let most = self.dice.pick(&[10, 40, 120]);
            self.dice.from(1, most)
        });
        let end = self.play(act, die_at);
        self.acts.push(format!("{act:?} until {die_at:?}: {end}"));
        let pause = self.dice.seconds(0, 120);
        self.house.stage.rest(pause);
        self.look("in the storm", false);
    }

    fn play(&mut self, act: Act, die_at: Option<u64>) -> String {
        let home = self.house.homeroom();
        came_of(self.house.stage.live(die_at, carry_out(&home, act)), &act, &mut self.broken)
    }

    /// Everything works again.
    fn calm_down(&mut self) {
        self.storm.store(false, Ordering::Relaxed);
        self.house.cloud.as_ref().unwrap().late.lock().unwrap().clear();
        self.house.stage.project(|world| {
            world.faults.clear();
            world.silent.clear();
            world.zones.values_mut().for_each(|zone| zone.exhausted = None);
        });
    }

    /// Asks in calm weather until it is done, as a patient admin would.
    fn settle(&mut self, act: Act) {
        for _ in 0..4 {
            let told = self.house.disk.told().len();
            let end = self.play(act, None);
            self.acts.push(format!("{act:?} in calm weather: {end}"));
            if end == "nothing to do" || end == "Done" {
                return;
            }
            let said: Vec<String> = (self.house.disk.told().iter().skip(told))
                .filter(|event| event.level >= Level::Warning)
                .map(|event| format!("  {}", event.message))
                .collect();
            self.acts.extend(said);
            self.house.stage.rest(Duration::from_secs(30));
        }
        self.broken.push(format!("{act:?} does not come to an end in calm weather"));
    }

    fn look(&mut self, when: &str, gone: bool) {
        let found = others(&self.house);
        if found != self.others {
            self.broken.push(format!("{when}: what others have is {found}, and was {}", self.others));
        }
        let (own, disks, rules, records) = self.house.stage.project(|world| {
            let own = |labels: &Value| labels["homeroom"] == "1";
            let instances = world.instances.values().filter(|it| own(&it.body["labels"]));
            let instances: Vec<String> = instances.map(|it| format!("{}/{} {}", it.zone, it.name, it.status)).collect();
            let disks = world.disks.values().filter(|it| own(&it.body["labels"])).count();
            let rules: Vec<String> = world.firewalls.keys().filter(|name| *name == NAME).cloned().collect();
            let records: Vec<String> = world.dns["lab"].records.keys().map(|(name, _)| name.clone()).collect();
            (instances, disks, rules, records)
        });
        if own.len() > 1 {
            self.broken.push(format!("{when}: there are {own:?}"));
        }
        if gone && (!own.is_empty() || disks > 0 || !rules.is_empty() || !records.is_empty()) {
            self.broken.push(format!("{when}: left are {own:?}, {disks} disks, {rules:?}, {records:?}"));
        }
    }
}

/// What is not ours in the project: instances with their labels, rules.
fn others(house: &House) -> Value {
    house.stage.project(|world| {
        let foreign = world.instances.values().filter(|it| it.body["labels"]["owner"] == "somebody");
        let instances: Vec<Value> =
            foreign.map(|it| json!([it.id, it.zone, it.name, it.status, it.body["labels"]])).collect();
        let rules: Vec<&Value> =
            world.firewalls.iter().filter(|(name, _)| *name != NAME).map(|(_, rule)| rule).collect();
        json!({ "instances": instances, "rules": rules })
    })
}

async fn carry_out(home: &Arc<Homeroom>, act: Act) -> Result<Option<RunState>, ServiceError> {
    let outcome = match act {
        Act::Deploy => deploy(home, &intro(), &Request::default()).await?,
        Act::Check => check(home, &intro(), &[]).await?,
        Act::Destroy => destroy(home, &intro(), &[], &Confirmation::default()).await?,
    };
    let Outcome::Begun(handle) = outcome else { return Ok(None) };
    Ok(Some(handle.ended.await.unwrap().unwrap_or(RunState::Interrupted)))
}

/// Tells the story of a seed: promises not kept, what was done, every request.
fn tell(seed: u64, habit: CloudHabit) -> (Vec<String>, Vec<String>, Vec<String>) {
    let mut story = Story::begin(seed, habit);
    for n in 0..story.dice.from(1, 4) {
        story.weather();
        let act = match story.dice.from(0, 9) {
            _ if n == 0 => Act::Deploy,
            0..=5 => Act::Deploy,
            6 => Act::Check,
            _ => Act::Destroy,
        };
        story.stormy(act);
    }
    story.calm_down();
    if story.dice.chance(60) {
        story.settle(Act::Deploy);
        let own = story.house.stage.project(|world| {
            world.instances.values().filter(|it| it.body["labels"]["homeroom"] == "1" && it.status == "RUNNING").count()
        });
        if own != 1 {
            story.broken.push(format!("after the deploy {own} instances of ours run"));
        }
        story.look("after the deploy", false);
        if story.dice.chance(50) {
            story.weather();
            story.stormy(Act::Destroy);
            story.calm_down();
        }
    }
    story.settle(Act::Destroy);
    // Whatever is still on its way has arrived by now.
    story.house.stage.rest(Duration::from_secs(1800));
    story.look("half an hour after the destroy", true);
    (story.broken, story.acts, story.house.stage.journal())
}

#[test]
fn whatever_happens_a_workshop_in_a_cloud_has_one_instance_and_nothing_is_left_after_a_destroy() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("HOMEROOM_CHAOS_FIRST").unwrap_or(0);
    let seeds = first..first + number("HOMEROOM_CHAOS_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(seeds.start);
    let failures: Vec<String> = thread::scope(|scope| {
        let teller = || {
            let mut failures = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    return failures;
                }
                let (broken, acts, _) = tell(seed, CloudHabit::Good);
                if !broken.is_empty() {
                    failures.push(format!("seed {seed}:\n  {}\n    {}", broken.join("\n  "), acts.join("\n    ")));
                }
            }
        };
        let tellers: Vec<_> =
            (0..thread::available_parallelism().map_or(1, usize::from)).map(|_| scope.spawn(teller)).collect();
        tellers.into_iter().flat_map(|teller| teller.join().unwrap()).collect()
    });
    let many = failures.len();
    let few: Vec<String> = failures.into_iter().take(5).collect();
    assert!(few.is_empty(), "{many} of {} stories end badly:\n{}", seeds.end - seeds.start, few.join("\n"));
}

#[test]
fn a_story_of_a_cloud_told_twice_is_the_same_request_for_request() {
    for seed in [3, 11, 42] {
        let (first, second) = (tell(seed, CloudHabit::Good).2, tell(seed, CloudHabit::Good).2);
        // Tokens and ids of a life may differ; what is asked, and when, may not.
        assert_eq!(first, second, "seed {seed}");
    }
}

fn is_noticed(habit: CloudHabit) -> bool {
    (0..WITHIN).any(|seed| !tell(seed, habit).0.is_empty())
}

#[test]
fn an_engine_that_sends_no_request_ids_is_noticed() {
    assert!(is_noticed(CloudHabit::DropsTheRequestId));
}

#[test]
fn an_engine_that_takes_a_name_that_is_taken_for_its_own_success_is_noticed() {
    assert!(is_noticed(CloudHabit::TrustsAlreadyExists));
}

#[test]
fn an_engine_that_does_not_look_at_labels_is_noticed() {
    assert!(is_noticed(CloudHabit::SkipsTheLabels));
}
