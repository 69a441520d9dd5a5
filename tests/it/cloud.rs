//! Workshops in a simulated Compute Engine project, from definition to nothing, asserted by the project's own listing.
//!
//! Everything is real but the project: the store is on disk, requests go by HTTP and logins by SSH. A life is one
//! process: it can be cut off before and after any effect.

mod born;
mod changes;
mod ended;
mod follows;
mod joins;
mod keyless;
mod mortal;
mod notice;
mod rerun;
mod single;
mod storm;
mod trouble;
mod ways;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use homeroom::{
    config::{self, Settings, definition::parse},
    domain::{LabName, MachineState, SeatName, event::RunState, plan::Verb, readiness::LabState},
    port::Clock,
    service::{
        CloudSite, Homeroom, ServiceError,
        check::check,
        cloud::all_costing,
        definitions,
        deploy::{Outcome, Request, deploy},
        destroy::{Confirmation, destroy},
        ends::extend,
        instance::{Way, last_lines},
        plan::plan_deploy,
        roster::roster,
        status::{LabStatus, lab_status},
    },
    sim::gce::{Options, Project, start},
    wire::{self, Access},
};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use mortal::{Mortal, Thread};

/// How many times faster than real.
const SPEED: f64 = 300.0;
/// Wall time no life here takes.
const LONG: Duration = Duration::from_secs(120);
const ZONE: &str = "europe-west3-a";

const DEFINITION: &str = "kind = \"workshop\"\nname = \"intro\"\nsite = \"cloud\"\nseats = 2\nimage = \"workspace:1\"\n\
                          [gce]\ndns = \"ws-{code}.lab.example.com\"\n";

/// A project, a store beside it, and as many lives as a test wants.
struct Stage {
    project: Project,
    folder: TempDir,
    world: Runtime,
    /// By how many seconds the clock of whoever lives is ahead.
    ahead: AtomicI64,
}

/// The clock of a process that lives so many seconds later.
struct Later {
    clock: Arc<dyn Clock>,
    by: i64,
}

#[async_trait]
impl Clock for Later {
    fn now(&self) -> Timestamp {
        self.clock.now() + SignedDuration::from_secs(self.by)
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    async fn sleep(&self, modelled: Duration) {
        self.clock.sleep(modelled).await;
    }
}

impl Stage {
    fn new() -> Self {
        let world = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let options = Options { project: "lab-1".to_owned(), speed: SPEED, listen };
        let project = world.block_on(start(options)).unwrap();
        let stage = Self { project, folder: tempfile::tempdir().unwrap(), world, ahead: AtomicI64::new(0) };
        let config = format!(
            "[sites.cloud]\nkind = \"gce\"\nenvironment = \"dev\"\nproject = \"lab-1\"\n\
             zones = [\"europe-west3-a\", \"europe-west3-b\", \"europe-west3-c\"]\n\
             registry = \"europe-west3-docker.pkg.dev/lab-1/lab\"\nendpoint = \"{}\"\nssh_port = {}\n\
             [sites.cloud.prices]\ndate = \"2026-11-01\"\ncurrency = \"EUR\"\nmachines = {{ e2-standard-4 = 0.16 }}\n\
             disk_gb_month = 0.1\naddress = 0.004\n\
             [store]\npath = \"{}\"\n[clock]\nspeed = {SPEED:?}\n",
            stage.project.endpoint(),
            stage.project.ssh_port(),
            stage.folder.path().join("homeroom.db").display(),
        );
        std::fs::write(stage.config(), config).unwrap();
        stage.define(DEFINITION);
        stage
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    fn settings(&self) -> Settings {
        config::load(Some(&self.config())).unwrap().0
    }

    fn define(&self, toml: &str) {
        let definition = parse(toml, "intro.toml", std::path::Path::new("/"), Some(&self.settings())).unwrap();
        self.live(async |home| definitions::apply(&home, &definition).await.unwrap());
    }

    /// One process that lives to tell.
    fn live<T>(&self, work: impl AsyncFnOnce(Arc<Homeroom>) -> T) -> T {
        self.cut(None, work).0.expect("nobody killed it")
    }

    /// One process that dies at its n-th point, if it comes so far; and how many it has passed.
    fn cut<T>(&self, die_at: Option<u64>, work: impl AsyncFnOnce(Arc<Homeroom>) -> T) -> (Option<T>, u64) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let thread = Arc::new(Thread::new(die_at));
        let ended = runtime.block_on(async {
            let mut home = wire::homeroom(&self.settings(), Access::Full, &|_| ()).await.unwrap();
            for site in home.clouds.values_mut() {
                let CloudSite { name, environment, max_seats, cloud, dns, shell, zones, spot, .. } = &**site;
                let mortal =
                    Mortal { thread: thread.clone(), cloud: cloud.clone(), dns: dns.clone(), shell: shell.clone() };
                let mortal = Arc::new(mortal);
                *site = Arc::new(CloudSite {
                    name: name.clone(),
                    environment: environment.clone(),
                    max_seats: *max_seats,
                    cloud: mortal.clone(),
                    dns: mortal.clone(),
                    shell: mortal,
                    zones: zones.clone(),
                    spot: *spot,
                    registry: site.registry.clone(),
                    service_account: site.service_account.clone(),
                    ssh_port: site.ssh_port,
                    prices: site.prices.clone(),
                });
            }
            // A busy machine is slow to answer, and modelled time runs on meanwhile.
            let by = self.ahead.load(Ordering::Relaxed);
            home.clock = Arc::new(Later { clock: home.clock.clone(), by });
            home.tuning.ssh_within = Duration::from_secs(100 * 300);
            let home = Arc::new(home);
            let work = tokio::time::timeout(LONG, work(home));
            tokio::select! {
                done = work => Some(done.expect("it ends in time")),
                () = thread.died() => None,
            }
        });
        // As with a process: what was under way stops where it stands.
        runtime.shutdown_timeout(Duration::from_secs(10));
        (ended, thread.passed())
    }

    fn deploy(&self) -> Option<RunState> {
        self.live(async |home| ended(deploy(&home, &intro(), &Request::default()).await.unwrap()).await)
    }

    fn destroy(&self) -> Option<RunState> {
        self.live(async |home| ended(destroy(&home, &intro(), &[], &Confirmation::default()).await.unwrap()).await)
    }

    fn status(&self) -> LabStatus {
        self.live(async |home| lab_status(&home, &intro()).await.unwrap())
    }

    fn reason(&self) -> String {
        self.status().machines[0].reason.clone().map(|reason| reason.to_string()).unwrap_or_default()
    }

    fn listing(&self) -> Vec<String> {
        self.project.world(|world| world.listing())
    }

    /// Instances that ever came to be.
    fn ever_made(&self) -> usize {
        self.project.world(|world| {
            let made = |it: &&homeroom::sim::gce::Operation| {
                let (kind, target) = (&it.body["operationType"], it.body["targetLink"].as_str().unwrap());
                kind == "insert" && target.contains("/instances/") && it.body.get("error").is_none()
            };
            world.operations.values().filter(made).count()
        })
    }

    fn nothing_is_left(&self, when: &str) {
        self.project.world(|world| {
            assert_eq!(world.listing(), [""; 0], "{when}");
            assert!(world.disks.is_empty() && world.firewalls.is_empty(), "{when}: {:?}", world.firewalls);
            assert!(world.dns["lab"].records.is_empty(), "{when}: {:?}", world.dns);
        });
    }

    /// Whether the workshop has a key of its own here.
    fn has_key(&self) -> bool {
        self.settings().store.keys().join("intro").exists()
    }

    /// Asks the project for something behind homeroom's back, as somebody does in its console.
    fn by_hand(&self, method: &str, path: &str, body: serde_json::Value) {
        self.project.world(|world| {
            let call = homeroom::sim::gce::Request {
                method: method.to_owned(),
                path: format!("compute/v1/projects/lab-1/{path}"),
                authorization: Some(format!("Bearer {}", world.token())),
                body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
                ..Default::default()
            };
            let _ = world.submit(&call);
        });
    }

    /// Somebody stops the instance in the console; back when it stands still.
    fn stop(&self) {
        self.by_hand("POST", &format!("zones/{ZONE}/instances/intro-host/stop"), serde_json::Value::Null);
        self.until(|world| world.find(ZONE, "intro-host").unwrap().status == "TERMINATED");
    }

    /// The same with a start; back when its seats run.
    fn start(&self) {
        self.by_hand("POST", &format!("zones/{ZONE}/instances/intro-host/start"), serde_json::Value::Null);
        self.until(|world| {
            let instance = world.find(ZONE, "intro-host").unwrap();
            instance.status == "RUNNING" && instance.inside.state == "ready"
        });
    }

    /// What the program prints, on both streams, and its exit code.
    fn says(&self, args: &[&str]) -> (String, Option<i32>) {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_homeroom"));
        let ran = command.args(args).env("HOMEROOM_CONFIG", self.config()).output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        (text, ran.status.code())
    }

    /// Lets modelled time pass until the project is so.
    fn until(&self, is_so: impl Fn(&mut homeroom::sim::gce::World) -> bool) {
        let began = std::time::Instant::now();
        while !self.project.world(&is_so) {
            assert!(began.elapsed() < LONG, "it never comes to that");
            std::thread::yield_now();
        }
    }

    fn end(self) {
        self.world.shutdown_background();
    }
}

fn intro() -> LabName {
    LabName::new("intro").unwrap()
}

async fn ended(outcome: Outcome) -> Option<RunState> {
    match outcome {
        Outcome::Begun(run) => Some(run.ended.await.unwrap().unwrap_or(RunState::Interrupted)),
        Outcome::NothingToDo(_) => None,
    }
}

#[test]
fn a_workshop_is_planned_made_proven_named_and_removed_whole() {
    let stage = Stage::new();
    let plan = stage.live(async |home| plan_deploy(&home, &intro()).await.unwrap().plan);
    assert_eq!(plan.count(Verb::Create), 3);
    assert!(
        plan.seats[0].why.contains("e2-standard-4 with 50 GiB in europe-west3-a, then europe-west3-b"),
        "{plan:#?}"
    );
    let cost = plan.notes.iter().find(|note| note.contains("EUR an hour")).expect("the plan says what it costs");
    assert!(cost.contains("0.171 EUR") && cost.contains("prices of 2026-11-01"), "{cost}");

    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    assert_eq!(stage.listing(), [format!("{ZONE}/intro-host")]);
    let status = stage.status();
    assert_eq!(status.state, LabState::Ready, "{status:#?}");
    assert!(status.machines.iter().all(|row| row.state == MachineState::Ready), "{status:#?}");
    assert_eq!(status.machines[0].node.as_ref().unwrap().as_str(), ZONE);
    let life = status.life.expect("it has an end");
    assert_eq!(life.currency, "EUR");
    let address = status.machines[0].ip.expect("its address is known");
    let name = format!("ws-{}.lab.example.com", life.code.as_str().to_ascii_lowercase());
    stage.project.world(|world| {
        let instance = world.find(ZONE, "intro-host").unwrap();
        let record = &world.dns["lab"].records[&(format!("{name}."), "A".to_owned())];
        assert_eq!(record["rrdatas"][0], address.to_string());
        // Students have root in its containers: it acts as nobody who may do more than read images.
        let scopes = &instance.body["serviceAccounts"][0]["scopes"];
        assert_eq!(scopes[0], "https://www.googleapis.com/auth/devstorage.read_only", "{scopes}");
        // The image comes from the site's registry, and no token is in what the project's members may read.
        let metadata = instance.body["metadata"].to_string();
        assert!(metadata.contains("europe-west3-docker.pkg.dev/lab-1/lab/workspace:1"), "{metadata}");
        assert!(!metadata.contains("query token="), "{metadata}");
        let routes = String::from_utf8_lossy(&instance.inside.files["/var/lib/homeroom/Caddyfile"]).into_owned();
        assert_eq!(routes.matches("query token=").count(), 2, "{routes}");
        assert!(instance.body["labels"]["homeroom-ends"].as_str().unwrap().parse::<i64>().is_ok());
    });
    let links = stage.live(async |home| roster(&home, &intro()).await.unwrap());
    let link = links[0].link.as_ref().unwrap().expose_secret().to_owned();
    assert!(link.starts_with(&format!("http://{name}:8080/vm/1/terminal/?token=")), "{link}");

    assert_eq!(stage.deploy(), None, "nothing is left to do");
    let checked = stage.live(async |home| ended(check(&home, &intro(), &[]).await.unwrap()).await);
    assert_eq!(checked, Some(RunState::Done));
    let printed = stage.live(async |home| last_lines(&home, &intro(), &SeatName::host(), 40).await.unwrap());
    assert!(printed.iter().any(|line| line.as_str().contains("homeroom: ready")), "{printed:?}");
    let hostname = stage.live(async |home| {
        let way = Way::of(&home, &intro(), &SeatName::host()).await.unwrap().unwrap();
        way.shell.run(&way.target, &way.line("hostname"), LONG).await.unwrap().stdout
    });
    assert_eq!(hostname, "intro-host\n");

    assert!(stage.has_key(), "its key is a file here");
    assert_eq!(stage.destroy(), Some(RunState::Done));
    stage.nothing_is_left("after a destroy");
    assert!(!stage.has_key(), "its key is gone with it");
    assert_eq!(stage.status().state, LabState::Absent);
    assert_eq!(stage.destroy(), None);
    stage.end();
}

#[test]
fn a_process_may_die_at_any_effect_of_a_deploy_and_no_second_instance_comes_of_it() {
    let stage = Stage::new();
    let request = Request::default();
    let (_, points) = stage.cut(None, async |home| ended(deploy(&home, &intro(), &request).await.unwrap()).await);
    assert!(points > 10, "only {points} places to die at");
    stage.destroy();
    for point in 1..=points {
        let before = stage.ever_made();
        stage.cut(Some(point), async |home| ended(deploy(&home, &intro(), &Request::default()).await.unwrap()).await);
        let run = stage.deploy();
        // Nothing is left to do where only the run's own end was not written down.
        assert!(matches!(run, None | Some(RunState::Done)), "cut off at {point}, then {run:?}: {:#?}", stage.status());
        assert_eq!(stage.listing(), [format!("{ZONE}/intro-host")], "cut off at {point}");
        assert_eq!(stage.ever_made() - before, 1, "cut off at {point}");
        assert_eq!(stage.status().state, LabState::Ready, "cut off at {point}");
        // The proxy runs with every seat's token, and not just has them lying there.
        let routes = stage.project.world(|world| world.find(ZONE, "intro-host").unwrap().inside.routes.clone());
        assert_eq!(routes.matches("query token=").count(), 2, "cut off at {point}: {routes}");
        stage.destroy();
        stage.nothing_is_left(&format!("cut off at {point}"));
    }
    stage.end();
}

#[test]
fn a_process_may_die_at_any_effect_of_a_destroy_and_nothing_is_left_running() {
    let stage = Stage::new();
    stage.deploy();
    let gone =
        async |home: Arc<Homeroom>| ended(destroy(&home, &intro(), &[], &Confirmation::default()).await.unwrap()).await;
    let (_, points) = stage.cut(None, gone);
    assert!(points > 3, "only {points} places to die at");
    for point in 1..=points {
        stage.deploy();
        stage.cut(Some(point), gone);
        stage.destroy();
        stage.nothing_is_left(&format!("cut off at {point}"));
        assert_eq!(stage.status().state, LabState::Absent, "cut off at {point}");
    }
    stage.end();
}

#[test]
fn a_deploy_that_died_before_its_instance_was_made_is_removed_whole() {
    let stage = Stage::new();
    let request = Request::default();
    let (_, points) = stage.cut(None, async |home| ended(deploy(&home, &intro(), &request).await.unwrap()).await);
    stage.destroy();
    for point in 1..=points.min(8) {
        stage.cut(Some(point), async |home| ended(deploy(&home, &intro(), &Request::default()).await.unwrap()).await);
        stage.destroy();
        stage.nothing_is_left(&format!("cut off at {point}"));
    }
    stage.end();
}

#[test]
fn an_exhausted_zone_is_left_for_the_one_that_has_room() {
    let stage = Stage::new();
    stage.project.world(|world| {
        let elsewhere = Some(vec!["europe-west3-c".to_owned()]);
        world.zones.get_mut(ZONE).unwrap().exhausted = elsewhere;
    });
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    assert_eq!(stage.listing(), ["europe-west3-c/intro-host"]);
    assert_eq!(stage.status().machines[0].node.as_ref().unwrap().as_str(), "europe-west3-c");
    stage.destroy();
    stage.project.world(|world| {
        for zone in world.zones.values_mut() {
            zone.exhausted = Some(vec!["us-central1-f".to_owned()]);
        }
    });
    assert_eq!(stage.deploy(), Some(RunState::Failed));
    let why = stage.reason();
    assert!(why.contains("none of europe-west3-a, europe-west3-b, europe-west3-c has room"), "{why}");
    assert!(why.contains("it is said to be had in us-central1-f"), "{why}");
    stage.destroy();
    stage.nothing_is_left("after a stock-out");
    stage.end();
}

#[test]
fn what_the_project_lacks_is_named() {
    let stage = Stage::new();
    stage.project.world(|world| world.cpus = 2);
    assert_eq!(stage.deploy(), Some(RunState::Failed));
    let why = stage.reason();
    assert!(why.contains("ask for more of compute.googleapis.com/cpus (limit 2) in europe-west3"), "{why}");
    stage.project.world(|world| {
        world.cpus = 32;
        world.denied.push("compute.instances.create".to_owned());
    });
    assert_eq!(stage.deploy(), Some(RunState::Failed));
    let why = stage.reason();
    assert!(why.contains("ask for a role with compute.instances.create"), "{why}");
    stage.project.world(|world| {
        world.denied.clear();
        world.disabled.push("compute");
    });
    let refused: Result<_, ServiceError> = stage.live(async |home| plan_deploy(&home, &intro()).await.map(drop));
    let why = refused.unwrap_err().to_string();
    assert!(why.contains("`gcloud services enable compute.googleapis.com`"), "{why}");
    stage.end();
}

#[test]
fn an_image_that_cannot_be_pulled_is_told_in_the_script_s_words() {
    let stage = Stage::new();
    stage.project.world(|world| world.images.push("caddy:2".to_owned()));
    assert_eq!(stage.deploy(), Some(RunState::Failed));
    let why = stage.reason();
    assert!(why.contains("cannot pull europe-west3-docker.pkg.dev/lab-1/lab/workspace:1: manifest unknown"), "{why}");
    stage.destroy();
    stage.nothing_is_left("after a failed pull");
    stage.end();
}

#[test]
fn a_preempted_machine_is_red_and_comes_back_at_another_address_that_its_name_follows() {
    let stage = Stage::new();
    let spot = DEFINITION.replace("[gce]", "[gce]\nspot = true");
    stage.define(&spot);
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    let before = stage.status().machines[0].ip;
    stage.project.world(|world| world.preempt(ZONE, "intro-host"));
    stage.until(|world| world.find(ZONE, "intro-host").unwrap().status == "TERMINATED");
    let red = stage.status();
    assert_eq!(red.machines[0].state, MachineState::Stopped, "{red:#?}");
    assert!(stage.reason().contains("its spot machine was taken away at"), "{}", stage.reason());
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    let after = stage.status();
    assert_eq!(after.state, LabState::Ready);
    assert_ne!(after.machines[0].ip, before);
    assert_eq!(stage.ever_made(), 1, "it is the same one");
    stage.project.world(|world| {
        let address = after.machines[0].ip.unwrap().to_string();
        assert!(world.dns["lab"].records.values().any(|set| set["rrdatas"][0] == address));
    });
    stage.destroy();
    stage.nothing_is_left("after a preemption");
    stage.end();
}

#[test]
fn what_the_server_has_deleted_leaves_no_name_and_no_rule_behind() {
    let stage = Stage::new();
    stage.deploy();
    stage.project.world(|world| {
        let id = world.find(ZONE, "intro-host").unwrap().id;
        world.instances.remove(&id);
        world.disks.clear();
    });
    let status = stage.status();
    assert!(status.machines.iter().all(|row| row.state == MachineState::Gone), "{status:#?}");
    assert_eq!(status.address, None, "nobody is reached where nothing stands");
    // It is not as if it had never been.
    let (said, code) = stage.says(&["status"]);
    assert!(said.contains(" gone ") && said.contains("its instance is no longer in the project"), "{said}");
    assert_eq!(code, Some(0));
    let (said, _) = stage.says(&["status", "intro"]);
    assert!(said.starts_with("intro  workshop on cloud  gone  0 of 2 ready\n"), "{said}");
    let code = status.life.as_ref().unwrap().code.as_str().to_owned();
    let (said, exit) = stage.says(&["join", &code, "Ada"]);
    assert!(said.contains("its instance is no longer in the project") && exit == Some(1), "{exit:?} {said}");
    stage.destroy();
    stage.nothing_is_left("after the server deleted it");
    stage.end();
}

#[test]
fn a_kept_disk_is_listed_as_costing_money() {
    let stage = Stage::new();
    stage.define(&DEFINITION.replace("[gce]", "[gce]\nkeep_disk = true"));
    stage.deploy();
    let costing = |stage: &Stage| {
        let found = stage.live(async |home| all_costing(&home, None).await);
        found.into_iter().flat_map(|(_, left)| left.unwrap().found).map(|it| it.words("EUR")).collect::<Vec<_>>()
    };
    assert_eq!(costing(&stage), [""; 0]);
    stage.destroy();
    let words = costing(&stage).join("\n");
    assert!(words.starts_with("the disk intro-host-"), "{words}");
    assert!(words.contains(" in europe-west3-a of intro: kept, as gce.keep_disk of its definition says"), "{words}");
    assert!(words.contains("it costs 0.16 EUR a day"), "{words}");
    stage.end();
}

/// When the workshop ends by its instance's label, in seconds since 1970.
fn end_told(stage: &Stage) -> i64 {
    stage.project.world(|world| {
        let labels = &world.find(ZONE, "intro-host").unwrap().body["labels"];
        labels["homeroom-ends"].as_str().unwrap().parse().unwrap()
    })
}

#[test]
fn an_extension_is_written_on_the_instance_too() {
    let stage = Stage::new();
    stage.deploy();
    let before = end_told(&stage);
    stage.live(async |home| extend(&home, &intro(), Duration::from_secs(3600)).await.unwrap());
    assert_eq!(end_told(&stage) - before, 3600);
    stage.end();
}
