//! A dashboard over an engine that is stopped under it and comes back.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use portable_pty::CommandBuilder;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{Lab, PATIENCE, alone};
use crate::support::terminal::Terminal;

/// A Docker engine of the test's own, which it may end and start again.
pub struct Engine {
    pub folder: TempDir,
    daemon: Child,
    /// Where its data lie.
    data: String,
    /// Where else it listens, and how.
    more: Vec<String>,
}

impl Engine {
    pub fn start(folder: TempDir, more: Vec<String>) -> Self {
        let data = folder.path().join("data").display().to_string();
        Self::with_data(folder, &data, more)
    }

    /// The same with its data in another place.
    pub fn with_data(folder: TempDir, data: &str, more: Vec<String>) -> Self {
        let daemon = daemon(folder.path(), data, &more);
        let engine = Self { folder, daemon, data: data.to_owned(), more };
        engine.answers();
        let made = Command::new("tests/docker-images.sh").arg(engine.socket()).status().unwrap();
        assert!(made.success(), "the images are made");
        engine
    }

    pub fn socket(&self) -> String {
        format!("unix://{}", self.folder.path().join("socket").display())
    }

    fn answers(&self) {
        let until = Instant::now() + PATIENCE;
        let asks = || Command::new("docker").args(["--host", &self.socket(), "version"]).output().unwrap();
        while !asks().status.success() {
            assert!(Instant::now() < until, "{}", std::fs::read_to_string(self.folder.path().join("log")).unwrap());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn stop(&mut self) {
        let pid = Pid::from_raw(self.daemon.id().cast_signed()).unwrap();
        let _ = kill_process(pid, Signal::TERM);
        self.daemon.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.daemon = daemon(self.folder.path(), &self.data, &self.more);
        self.answers();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

fn daemon(folder: &Path, data: &str, more: &[String]) -> Child {
    let at = |name: &str| folder.join(name).display().to_string();
    let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    Command::new("dockerd")
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .args(["--storage-driver", "vfs", "--bridge", "none", "--host", &format!("unix://{}", at("socket"))])
        .args(["--data-root", data, "--exec-root", &at("exec"), "--pidfile", &at("pid")])
        .args(more)
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "needs dockerd, and root to start it"]
fn a_dashboard_sees_a_seat_die_at_once_and_lives_through_the_engine_being_restarted() {
    let alone = alone();
    let mut engine = Engine::start(tempfile::tempdir().unwrap(), Vec::new());
    let lab = Lab::on(alone, engine.socket(), 2);
    lab.runs(&["deploy", "intro", "--yes"], 0);
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_homeroom"));
    command.env("HOMEROOM_CONFIG", lab.config());
    let mut terminal = Terminal::start(command, (120, 40));
    terminal.until("intro");
    terminal.press("3\r");
    terminal.until_row("seat-02", "ready");

    // The engine tells of it: nothing waits for the next look.
    lab.asked(&["kill", "intro-seat-02"]);
    terminal.until_row("seat-02", "Exited (137): killed");
    lab.asked(&["exec", "--detach", "intro-seat-01", "dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"]);
    terminal.until_row("seat-01", "out of memory");

    // Away: nobody knows how the seats are, and none is gone.
    engine.stop();
    terminal.until_row("seat-01", "its engine does not answer");
    terminal.until("no answer since");
    assert!(!terminal.text().contains("no longer on the engine"), "{}", terminal.text());

    // Back, with the seats as the restart has left them; a deploy starts the same containers again.
    engine.start_again();
    terminal.until_gone("its engine does not answer");
    terminal.until_row("seat-01", "does not run");
    let before = lab.containers();
    terminal.press("d");
    terminal.until("enter deploy");
    terminal.press("\r");
    for row in ["seat-01", "seat-02", "host"] {
        terminal.until_row(row, "ready, proven");
    }
    assert_eq!(seats(&lab.containers()), seats(&before));

    // A shell in it, inside the dashboard.
    terminal.press("jS");
    terminal.until("/ #");
    terminal.press("hostname | tr a-z A-Z\r");
    terminal.until("SEAT-01");
    terminal.press("exit\r");
    terminal.until("enter opens it anew");
    terminal.press("\x03");
    terminal.assert_given_back();
    lab.runs(&["destroy", "intro", "--yes"], 0);
    lab.nothing_is_left();
}

/// The proxy keeps nothing and is made anew; seats are not.
fn seats(containers: &[String]) -> Vec<String> {
    containers.iter().filter(|line| line.contains("-seat-")).cloned().collect()
}
