//! What the dashboard costs on a hundred nodes, ten thousand guests and two hundred classes, measured on the real program.
//!
//! `cargo bench --bench tui`, or sooner built and slower at work, `cargo bench --profile dev --bench tui`. The first frame after the start, a key to its frame, processor time while nothing happens,
//! memory. The simulated cluster runs in this process, the dashboard in a pseudo-terminal beside it. What is counted
//! rather than timed stands in `tests/it/screens/quiet.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench may fall over")]

#[path = "../tests/it/support/big.rs"]
mod big;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/it/support/terminal.rs"]
mod terminal;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/it/screens/world.rs"]
mod world;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use homeroom::{
    config,
    demo::Stage,
    domain::{Change, Definition, Level, Progress, Role, event::RunKind, event::RunState, progress::fold},
    wire::{self, Access},
};
use portable_pty::CommandBuilder;
use terminal::Terminal;
use world::{Script, class, lab, now, plan, ready};

const NODES: u32 = 100;
const GUESTS: u32 = 10_000;
const LABS: u64 = 200;
const SEATS: u64 = 10;
/// Looked at for so long while nothing happens.
const IDLE: Duration = Duration::from_secs(60);
const KEYS: usize = 200;
const STARTS: usize = 5;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("big.toml");
    fs::write(&scenario, big::scenario(NODES, GUESTS)).unwrap();
    let stage = Stage { scenario: Some(scenario), version: None, listen: ([127, 0, 0, 1], 0).into(), speed: 1.0 };
    let staged = runtime.block_on(stage.with_config(&folder.path().join("sim"), &|_| {})).unwrap();
    // The sample world's classes live on a site of this name.
    let text = fs::read_to_string(&staged.config).unwrap().replace("[sites.sim]", "[sites.campus]");
    let config = folder.path().join("config.toml");
    fs::write(&config, text).unwrap();
    runtime.block_on(fill(&config));
    println!("{} nodes, {} guests, {LABS} classes; {}", NODES + 3, GUESTS, profile());

    let mut starts: Vec<(Duration, Duration)> = (0..STARTS).map(|_| start(&config, folder.path()).1).collect();
    starts.sort();
    let (first, data) = starts[STARTS / 2];
    println!("first frame after start     {:>8} (aim 150 ms), with all its data {}", ms(first), ms(data));

    let (mut terminal, _) = start(&config, folder.path());
    let mut took: Vec<Duration> = (0..KEYS).map(|n| key(&mut terminal, if n % 50 < 25 { "j" } else { "k" })).collect();
    took.sort();
    println!("key to frame, p50           {:>8} (aim 10 ms), p99 {}", ms(took[KEYS / 2]), ms(took[KEYS * 99 / 100]));
    // The board of the last class, whose seats are known by the script above; that of a class the cluster had before
    // shows what it was taken on with.
    terminal.press("G\r");
    terminal.until("student-09");
    let mut took: Vec<Duration> = (0..KEYS).map(|n| key(&mut terminal, if n % 18 < 9 { "j" } else { "k" })).collect();
    took.sort();
    println!("the same on a board, p50    {:>8}, p99 {}", ms(took[KEYS / 2]), ms(took[KEYS * 99 / 100]));
    terminal.press("2");

    let (before, bytes) = (processor(&terminal), terminal.raw.len());
    // In pieces, for what is waited for in one has to come within a minute.
    for _ in 0..4 {
        let until = Instant::now() + IDLE / 4;
        terminal.until_met("a quarter of a minute", |_| Instant::now() >= until);
    }
    let used = processor(&terminal) - before;
    let share = used.as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    println!(
        "idle                        {share:>6.2} % of a core (aim 1 %), {} bytes a minute",
        terminal.raw.len() - bytes
    );
    println!("memory                      {:>5} MB (aim 80 MB)", terminal.memory() >> 20);
    terminal.press("q");
}

/// Two hundred classes, each with a deploy behind it.
async fn fill(config: &Path) {
    let (settings, _) = config::load(Some(config)).unwrap();
    let home = wire::homeroom(&settings, Access::Full, &|_| {}).await.unwrap();
    for n in 0..LABS {
        let name = format!("lab-{n:03}");
        home.store
            .put_definition(&Definition::Class(class(&name, "ubuntu-22.04", SEATS as u32 - 1, true)), now())
            .await
            .unwrap();
        let run = home.store.begin_run(&lab(&name), RunKind::Deploy, "mara@jump", &plan(&[]), now()).await.unwrap();
        let mut script = Script::new(run.0, &name, 11_600);
        for seat in 0..SEATS {
            let (who, role) = match seat {
                0 => ("teacher".to_owned(), Role::Teacher),
                n => (format!("student-{n:02}"), Role::Student),
            };
            script.plan(&who, role);
            let number = n * SEATS + seat;
            let node = format!("n{}", number % u64::from(NODES));
            ready(&mut script, &who, &node, 20_000 + number, &format!("10.9.{n}.{seat}"));
        }
        script.say(None, None, Level::Success, "ready", Change::RunEnded { state: RunState::Done });
        let events = script.events();
        let mut progress = Progress::new(lab(&name));
        events.iter().for_each(|event| fold(&mut progress, event));
        home.store.append(&events, &progress.seats, &[]).await.unwrap();
    }
}

/// A dashboard, when its first frame stood there, and when everything did.
fn start(config: &Path, home: &Path) -> (Terminal, (Duration, Duration)) {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_homeroom"));
    command.env_clear();
    command.env("HOME", home);
    command.env("HOMEROOM_CONFIG", PathBuf::from(config));
    command.env("LANG", "C.UTF-8");
    command.cwd("/");
    let began = Instant::now();
    let mut terminal = Terminal::start(command, (120, 40));
    terminal
        .until_met("a frame", |terminal| terminal.text().contains("homeroom") && terminal.text().contains("1 nodes"));
    let first = began.elapsed();
    terminal.until("103 nodes");
    terminal.until("lab-000");
    (terminal, (first, began.elapsed()))
}

/// From a key to the end of the frame it brought about. A frame of the clock in between counts as one.
fn key(terminal: &mut Terminal, key: &str) -> Duration {
    let before = terminal.raw.len();
    let began = Instant::now();
    terminal.press(key);
    terminal.until_met("a frame", |terminal| terminal.raw.len() > before);
    began.elapsed()
}

/// Processor time used so far, by all threads.
fn processor(terminal: &Terminal) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", terminal.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().map(|n| fields[*n].parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}

fn profile() -> &'static str {
    match cfg!(debug_assertions) {
        true => "dev profile: homeroom itself not optimised, what it is built on is",
        false => "optimised",
    }
}
