//! A simulated cluster in this process, and the real program beside it as a child process.
//!
//! What the program did is judged by the cluster's own listing ([`super::seen`]); its journal is read only
//! to know when it has come somewhere.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use homeroom::{
    demo::Stage,
    domain::{Change, Event, LabName, StepName},
    service::{EventFilter, Homeroom},
    sim::{Cluster, Fault},
};
use serde_json::Value;
use sqlx::{ConnectOptions, Connection, Executor, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::seen::{self, Seen};

/// How many times faster than real the cluster runs, unless a test says otherwise.
pub const SPEED: f64 = 50.0;
/// Wall time after which a thing waited for will not come any more.
const PATIENCE: Duration = Duration::from_secs(60);
/// Wall time between two looks at a condition.
const LOOK: Duration = Duration::from_millis(5);

/// The version of Proxmox VE that the tests are to run on, by `HOMEROOM_TEST_PVE`: the newest where it is unset.
pub fn pve_version() -> Option<String> {
    std::env::var("HOMEROOM_TEST_PVE").ok().filter(|version| !version.is_empty())
}

/// A simulated cluster with a homeroom configuration for it in a folder of its own.
pub struct Lab {
    pub cluster: Cluster,
    pub config: PathBuf,
    /// The store, opened by this process too.
    pub home: Homeroom,
    /// What stood before any test did anything.
    pub before: Vec<Seen>,
    /// What the program writes into its log file.
    pub log: &'static str,
    /// More environment for the program.
    pub env: Vec<(&'static str, &'static str)>,
    folder: TempDir,
}

/// What the program ended with.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Its JSON objects, one a line.
    pub fn objects(&self) -> Vec<Value> {
        let read = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line:?}: {self:#?}"));
        self.out.lines().map(read).collect()
    }

    /// Its last JSON object.
    pub fn object(&self) -> Value {
        self.objects().pop().unwrap_or_else(|| panic!("nothing was printed: {self:#?}"))
    }

    /// Fails the test unless it ended with `code`.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        let last: Vec<&str> = self.out.lines().rev().take(12).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        assert_eq!(self.code, code, "{}\n{}", last.join("\n"), self.err);
        self
    }
}

impl Lab {
    pub async fn start() -> Self {
        Self::at(SPEED).await
    }

    pub async fn at(speed: f64) -> Self {
        Self::on(None, speed).await
    }

    /// On another world than the default one, whose definitions are not there then.
    pub async fn of(scenario: &str) -> Self {
        Self::on(Some(scenario), SPEED).await
    }

    /// On any world at any speed.
    pub async fn on(scenario: Option<&str>, speed: f64) -> Self {
        // a test that brings its own world may say there which version it is: any but the default's words
        let says = |text: &str| text.contains("\nversion = ") && !text.contains("\nversion = \"9.2\"\n");
        let version = pve_version().filter(|_| !scenario.is_some_and(says));
        Self::staged(scenario, version, speed).await
    }

    /// The default world on a version of Proxmox VE.
    pub async fn of_version(version: &str) -> Self {
        Self::staged(None, Some(version.to_owned()), SPEED).await
    }

    async fn staged(scenario: Option<&str>, version: Option<String>, speed: f64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let scenario = scenario.map(|text| {
            let file = folder.path().join("scenario.toml");
            std::fs::write(&file, text).unwrap();
            file
        });
        let stage = Stage { scenario, version, listen: ([127, 0, 0, 1], 0).into(), speed };
        let staged = stage.with_config(folder.path(), &|_| {}).await.unwrap();
        let before = seen::guests(&staged.cluster);
        Self {
            cluster: staged.cluster,
            config: staged.config,
            home: staged.home,
            before,
            log: "homeroom=debug",
            env: Vec::new(),
            folder,
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A class of these students, without a teacher, on a template that can be cloned linked.
    pub async fn class(&self, name: &str, students: &[&str], more: &str) {
        let students = students.iter().map(|seat| format!("{seat:?}")).collect::<Vec<_>>().join(", ");
        self.apply(&format!(
            "kind = \"class\"\nname = \"{name}\"\nsite = \"sim\"\ntemplate = \"ubuntu-22.04\"\n\
             students = [{students}]\nteacher = false\n{}{more}\n",
            if more.contains("[cloud_init]") { "" } else { "cloud_init.user = \"student\"\n" }
        ))
        .await;
    }

    pub async fn apply(&self, definition: &str) {
        let file = self.folder().join("definition.toml");
        std::fs::write(&file, definition).unwrap();
        self.run(&["apply", "-f", &file.display().to_string()]).await.ends(0);
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_homeroom"));
        command.args(args).env("HOMEROOM_CONFIG", &self.config).env("HOMEROOM_LOG", self.log);
        command.envs(self.env.iter().copied());
        command.env_remove("SSH_AUTH_SOCK").stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs the program to its end.
    pub async fn run(&self, args: &[&str]) -> Ran {
        self.run_for(args, PATIENCE).await
    }

    /// The same, with another patience.
    pub async fn run_for(&self, args: &[&str], patience: Duration) -> Ran {
        let ended = tokio::time::timeout(patience, self.command(args).output()).await;
        Ran::of(&ended.unwrap_or_else(|_| panic!("{args:?} does not end")).unwrap())
    }

    /// A configuration for the same cluster with a store of its own: another admin's desk.
    pub fn other_desk(&self) -> PathBuf {
        let folder = self.folder().join("other");
        std::fs::create_dir_all(&folder).unwrap();
        let text = std::fs::read_to_string(&self.config).unwrap();
        let store = self.folder().join("homeroom.db").display().to_string();
        let text = text.replace(&store, &folder.join("homeroom.db").display().to_string());
        // Whose host keys are trusted is kept beside the store.
        std::fs::copy(self.folder().join("known_hosts"), folder.join("known_hosts")).unwrap();
        let config = folder.join("config.toml");
        std::fs::write(&config, text).unwrap();
        config
    }

    /// Starts the program; its output waits in pipes.
    pub fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits for a child's end.
    pub async fn end(&self, child: Child) -> Ran {
        let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
        Ran::of(&ended.expect("the child ends").unwrap())
    }

    pub async fn deploy(&self, lab: &str) -> Ran {
        self.run(&["deploy", lab, "--yes", "--json"]).await
    }

    pub async fn destroy(&self, lab: &str) -> Ran {
        self.run(&["destroy", lab, "--yes", "--json"]).await
    }

    /// `status --json` of a lab; its exit code is left aside.
    pub async fn status(&self, lab: &str) -> Value {
        self.run(&["status", lab, "--json"]).await.object()
    }

    /// Speaks to the store's database behind homeroom's back.
    pub async fn sql(&self, text: &str) {
        let options = SqliteConnectOptions::new().filename(self.folder().join("homeroom.db"));
        let mut connection = options.connect().await.unwrap();
        connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(text.to_owned()))).await.unwrap();
        connection.close().await.unwrap();
    }

    pub fn inject(&self, fault: Fault) {
        self.cluster.inject(fault);
    }

    /// From now on nothing goes wrong any more.
    pub fn heal(&self) {
        self.cluster.world(|world| world.faults.clear());
    }

    /// What stands now and did not before.
    pub fn made(&self) -> Vec<Seen> {
        let old = |vmid| self.before.iter().any(|guest| guest.vmid == vmid);
        seen::guests(&self.cluster).into_iter().filter(|guest| !old(guest.vmid)).collect()
    }

    /// The one machine of a seat, by the cluster's listing.
    #[track_caller]
    pub fn machine(&self, lab: &str, seat: &str) -> Seen {
        let mut of_seat: Vec<Seen> =
            seen::guests(&self.cluster).into_iter().filter(|guest| guest.is(lab, seat)).collect();
        assert_eq!(of_seat.len(), 1, "machines of {lab}/{seat}: {of_seat:#?}");
        of_seat.remove(0)
    }

    /// The promise, by the cluster's own listing: one running machine for each of these seats, marked as its
    /// own, named and tagged, unlocked; and beside them nothing that was not there before.
    #[track_caller]
    pub fn holds(&self, lab: &str, seats: &[&str]) {
        self.holds_but_for(lab, seats, &[]);
    }

    /// The same, but for disks that Proxmox failed to remove and homeroom told of by name: their numbers are not used
    /// again.
    #[track_caller]
    pub fn holds_but_for(&self, lab: &str, seats: &[&str], told: &[String]) {
        for seat in seats {
            let machine = self.machine(lab, seat);
            assert_eq!(machine.name, format!("{lab}-{seat}"));
            assert!(machine.running, "{machine:#?}");
            let tags = machine.config.get("tags").map_or("", String::as_str);
            assert!(tags.split(';').any(|tag| tag == "homeroom"), "{machine:#?}");
        }
        let made = self.made();
        assert_eq!(made.len(), seats.len(), "{:#?}", made.iter().map(|m| (m.vmid, &m.name)).collect::<Vec<_>>());
        self.is_tidy_but_for(told);
    }

    /// Nothing is locked, no disk is left without its machine, and what stood before stands untouched.
    #[track_caller]
    pub fn is_tidy(&self) {
        self.is_tidy_but_for(&[]);
    }

    /// The same, but for disks that Proxmox failed to remove and homeroom told of by name.
    pub fn is_tidy_but_for(&self, told: &[String]) {
        let now = seen::guests(&self.cluster);
        assert_eq!(now.iter().filter(|guest| guest.lock.is_some()).collect::<Vec<_>>(), Vec::<&Seen>::new());
        let mut orphans = seen::orphans(&self.cluster);
        orphans.retain(|disk| !told.iter().any(|line| line.contains(disk.as_str())));
        assert_eq!(orphans, Vec::<String>::new());
        for old in &self.before {
            assert_eq!(now.iter().find(|guest| guest.vmid == old.vmid), Some(old));
        }
    }

    /// Every seat of the lab is ready by homeroom's own words.
    pub async fn is_proven(&self, lab: &str) {
        let status = self.run(&["status", lab, "--json"]).await.ends(0).object();
        assert_eq!(status["state"], "ready", "{status:#}");
    }

    /// Waits for a condition; a test never waits for time to pass.
    pub async fn until(&self, what: &str, mut met: impl AsyncFnMut() -> bool) {
        let began = Instant::now();
        while !met().await {
            assert!(began.elapsed() < PATIENCE, "waited in vain until {what}; {:#?}", self.made());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits for a modelled moment, in milliseconds since the cluster began.
    pub async fn until_modelled(&self, at: u64) {
        self.until("that moment", async || self.cluster.now() >= at).await;
    }

    /// Everything in a lab's journal.
    pub async fn journal(&self, lab: &str) -> Vec<Event> {
        let lab = LabName::new(lab).unwrap();
        let filter = EventFilter { lab: Some(lab), ..EventFilter::default() };
        self.home.store.events(&filter).await.unwrap().into_iter().map(|stored| stored.event).collect()
    }

    /// Waits until the journal of a lab says this about a step.
    pub async fn until_written(&self, lab: &str, step: StepName, met: impl Fn(&Change) -> bool) {
        self.until_written_since(0, lab, step, &met).await;
    }

    /// The same, of the lines behind the first so many.
    pub async fn until_written_since(&self, since: usize, lab: &str, step: StepName, met: &dyn Fn(&Change) -> bool) {
        self.until(&format!("the journal says it of {step}"), async || {
            let events = self.journal(lab).await;
            events.iter().skip(since).any(|event| event.step == Some(step) && met(&event.change))
        })
        .await;
    }
}
