//! Workshops in a real Docker engine, asserted by the engine's own client.
//!
//! `.ci/run` starts an engine, makes the images and names its socket in `HOMEROOM_TEST_DOCKER`. The seats'
//! ports are fixed, so one test has the engine at a time.

mod browser;
mod changes;
mod compose;
mod inside;
mod joins;
mod kills;
mod netns;
mod remote;
mod restart;
mod room;
mod standing;
pub mod startup;
mod visit;
mod workspace;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
const PROXY: u16 = 8089;

static ENGINE: Mutex<()> = Mutex::new(());

/// One test with the engine at a time.
fn alone() -> MutexGuard<'static, ()> {
    ENGINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One homeroom with its own store, on the engine.
struct Lab {
    folder: TempDir,
    socket: String,
    _alone: MutexGuard<'static, ()>,
}

impl Lab {
    fn new(seats: u32) -> Self {
        let alone = alone();
        let socket = std::env::var("HOMEROOM_TEST_DOCKER").expect("HOMEROOM_TEST_DOCKER names an engine");
        Self::on(alone, socket, seats)
    }

    /// The same on an engine of the test's own.
    fn on(alone: MutexGuard<'static, ()>, socket: String, seats: u32) -> Self {
        let site = format!("host = \"{socket}\"\n");
        Self::at(alone, socket, &site, seats)
    }

    /// The same where homeroom reaches the engine otherwise than Docker's own client.
    fn at(alone: MutexGuard<'static, ()>, socket: String, site: &str, seats: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lab = Self { folder, socket, _alone: alone };
        lab.configure(site);
        lab.sweep();
        lab.define(seats, "homeroom-test/workspace:1");
        lab
    }

    fn configure(&self, site: &str) {
        let store = self.folder.path().join("homeroom.db").display().to_string();
        let config =
            format!("[sites.local]\nkind = \"docker\"\nenvironment = \"dev\"\n{site}[store]\npath = \"{store}\"\n");
        std::fs::write(self.config(), config).unwrap();
    }

    fn define(&self, seats: u32, image: &str) {
        let file = self.folder.path().join("intro.toml");
        let text = format!(
            "kind = \"workshop\"\nname = \"intro\"\nsite = \"local\"\nseats = {seats}\nimage = \"{image}\"\n\
             proxy = {{ image = \"homeroom-test/caddy:1\", port = {PROXY} }}\n\
             seat = {{ memory = \"64M\", cpus = 0.5, pids = 64 }}\n"
        );
        std::fs::write(&file, text).unwrap();
        self.runs(&["apply", "-f", &file.display().to_string()], 0);
    }

    fn config(&self) -> std::path::PathBuf {
        self.folder.path().join("config.toml")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_homeroom"));
        command.args(args).env("HOMEROOM_CONFIG", self.config()).stdin(Stdio::null());
        command
    }

    /// Runs the program to its end, which must be this; what it printed.
    fn runs(&self, args: &[&str], code: i32) -> String {
        let Output { status, stdout, stderr } = self.command(args).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(status.code(), Some(code), "{args:?}: {said}");
        said
    }

    /// The same, and what it printed as JSON.
    fn json(&self, args: &[&str], code: i32) -> Value {
        serde_json::from_str(&self.runs(args, code)).unwrap()
    }

    /// Docker's own client; Debian's knows this engine.
    fn docker(&self, args: &[&str]) -> (bool, String) {
        let client = if std::path::Path::new("/usr/bin/docker").exists() { "/usr/bin/docker" } else { "docker" };
        let ran = Command::new(client).args(["--host", &self.socket]).args(args).output().unwrap();
        let text = String::from_utf8_lossy(&ran.stdout).trim().to_owned();
        (ran.status.success(), if ran.status.success() { text } else { String::from_utf8_lossy(&ran.stderr).into() })
    }

    fn asked(&self, args: &[&str]) -> String {
        let (well, text) = self.docker(args);
        assert!(well, "docker {args:?}: {text}");
        text
    }

    /// `NAME ID` of every container of ours, sorted.
    fn containers(&self) -> Vec<String> {
        let ours = "label=homeroom";
        let text = self.asked(&["ps", "--all", "--no-trunc", "--filter", ours, "--format", "{{.Names}} {{.ID}}"]);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    fn networks(&self) -> Vec<String> {
        let text = self.asked(&["network", "ls", "--filter", "label=homeroom", "--format", "{{.Name}}"]);
        text.lines().map(str::to_owned).collect()
    }

    fn names(&self) -> Vec<String> {
        self.containers().iter().filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect()
    }

    fn nothing_is_left(&self) {
        assert_eq!((self.containers(), self.networks()), (Vec::new(), Vec::new()));
    }

    /// Clears away what a test that failed left.
    fn sweep(&self) {
        for name in self.names().iter().map(String::as_str).chain(["shop"]) {
            self.docker(&["rm", "--force", name]);
        }
        for name in self.networks() {
            self.docker(&["network", "rm", &name]);
        }
    }

    fn state_of(&self, seat: &str) -> (String, String) {
        let status = Command::output(&mut self.command(&["status", "intro", "--json"])).unwrap();
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        let rows = status["machines"].as_array().unwrap();
        let row = rows.iter().find(|row| row["seat"] == seat).unwrap();
        (row["state"].as_str().unwrap().to_owned(), row["reason"].as_str().unwrap_or_default().to_owned())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.sweep();
    }
}

/// A request to the proxy; its status, its headers and its text.
fn get(path: &str, cookie: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", PROXY)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    let text = String::from_utf8_lossy(&text).into_owned();
    (text.split(' ').nth(1).unwrap().parse().unwrap(), text)
}

/// A form sent to the proxy; its status and its text.
fn post(path: &str, cookie: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", PROXY)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    let text = String::from_utf8_lossy(&text).into_owned();
    (text.split(' ').nth(1).unwrap().parse().unwrap(), text)
}

fn token(row: &Value) -> String {
    row["link"].as_str().unwrap().split_once("token=").unwrap().1.to_owned()
}

#[test]
#[ignore = "needs a Docker engine"]
fn four_seats_answer_behind_caddy_each_to_its_own_token_and_destroy_leaves_nothing() {
    let lab = Lab::new(4);
    lab.runs(&["deploy", "intro", "--yes"], 0);
    assert_eq!(lab.names(), ["intro-host", "intro-seat-01", "intro-seat-02", "intro-seat-03", "intro-seat-04"]);
    assert_eq!(lab.networks(), ["intro-host"]);
    assert_eq!(lab.json(&["status", "intro", "--json"], 0)["state"], "ready");

    // Limits and ports, as the engine has them.
    let limits = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}";
    assert_eq!(lab.asked(&["inspect", "intro-seat-02", "--format", limits]), "67108864 500000000 64");
    assert_eq!(lab.asked(&["port", "intro-seat-02", "3001"]), "127.0.0.1:3021");
    assert_eq!(lab.asked(&["port", "intro-seat-02", "3002"]), "127.0.0.1:3022");

    // Seats do not reach each other; what is asked with does reach its own.
    let address = "{{(index .NetworkSettings.Networks \"intro-host\").IPAddress}}";
    let second = lab.asked(&["inspect", "intro-seat-02", "--format", address]);
    let reach = |seat: &str, to: &str| {
        let ask = format!("echo | nc -w 3 {to} 3001");
        lab.docker(&["exec", seat, "sh", "-c", &ask]).0
    };
    assert!(reach("intro-seat-02", &second));
    assert!(!reach("intro-seat-01", &second));

    // Tokens: none, a stranger's, one's own; then the cookie.
    let seats = lab.json(&["roster", "intro", "--json"], 0)["seats"].clone();
    let (first, other) = (token(&seats[0]), token(&seats[1]));
    assert_ne!(first, other);
    assert_eq!(get("/health", "").0, 200);
    assert_eq!(get("/vm/1/terminal/", "").0, 403);
    assert_eq!(get(&format!("/vm/2/terminal/?token={first}"), "").0, 403);
    let (status, answer) = get(&format!("/vm/1/terminal/?token={first}"), "");
    assert_eq!(status, 303, "{answer}");
    assert!(answer.contains("HttpOnly") && answer.contains("Path=/vm/1/"), "{answer}");
    let (status, answer) = get("/vm/1/terminal/", &format!("homeroom={first}"));
    assert!(status == 200 && answer.contains("the terminal"), "{answer}");
    let (status, answer) = get("/vm/1/files/", &format!("homeroom={first}"));
    assert!(status == 200 && answer.contains("the files"), "{answer}");
    assert_eq!(get("/vm/2/terminal/", &format!("homeroom={first}")).0, 403);

    // A killed seat turns red by itself, and only it; deploy starts the same container again.
    let before = lab.containers();
    lab.asked(&["kill", "intro-seat-03"]);
    let (state, reason) = lab.state_of("seat-03");
    assert!(state == "failed" && reason.contains("Exited (137)"), "{state}: {reason}");
    assert_eq!(lab.state_of("seat-02").0, "ready");
    lab.runs(&["check", "intro"], 3);
    lab.runs(&["deploy", "intro", "--yes"], 0);
    assert_eq!(lab.containers(), before);
    assert_eq!(lab.state_of("seat-03").0, "ready");

    lab.runs(&["destroy", "intro", "--yes"], 0);
    lab.nothing_is_left();
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_deploy_killed_after_any_line_is_finished_by_the_next_with_nothing_doubled() {
    let lab = Lab::new(2);
    for lines in [1, 4, 6, 8, 10, 12, 14, 17] {
        let mut child = lab.command(&["deploy", "intro", "--yes", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut read = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..lines {
            if read.next().is_none() {
                break;
            }
        }
        // SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
        let before = lab.containers();
        lab.runs(&["deploy", "intro", "--yes"], 0);
        assert_eq!(lab.names(), ["intro-host", "intro-seat-01", "intro-seat-02"], "killed after {lines}");
        assert_eq!(lab.networks(), ["intro-host"], "killed after {lines}");
        let after = lab.containers();
        for seat in before.iter().filter(|line| line.contains("-seat-")) {
            assert!(after.contains(seat), "{seat} was made twice, killed after {lines}: {after:?}");
        }
        assert_eq!(lab.json(&["status", "intro", "--json"], 0)["state"], "ready", "killed after {lines}");

        // And a destroy, killed as it begins.
        let mut child = lab.command(&["destroy", "intro", "--yes", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut read = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..lines.min(5) {
            if read.next().is_none() {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lab.runs(&["destroy", "intro", "--yes"], 0);
        lab.nothing_is_left();
    }
}

#[test]
#[ignore = "needs a Docker engine"]
fn what_stands_in_the_way_is_said_before_half_a_workshop_exists() {
    let lab = Lab::new(2);
    // An engine may be without a network of its own to publish ports on.
    lab.asked(&["network", "create", "street"]);
    let shop = ["run", "--detach", "--name", "shop", "--network", "street", "--publish", "127.0.0.1:3021:80"];
    lab.asked(&[&shop[..], &["homeroom-test/workspace:1"]].concat());
    let said = lab.runs(&["deploy", "intro", "--yes"], 2);
    assert!(said.contains("port 3021 is taken by the container shop"), "{said}");
    lab.nothing_is_left();
    lab.asked(&["rm", "--force", "shop"]);
    lab.asked(&["network", "rm", "street"]);

    let port = std::net::TcpListener::bind(("127.0.0.1", 3012)).unwrap();
    let said = lab.runs(&["plan", "intro"], 2);
    assert!(said.contains("port 3012 is taken by a program on"), "{said}");
    drop(port);

    // No registry is to be had: the pull fails, in the engine's words, and nothing else was made.
    lab.define(2, "homeroom-test/nowhere:1");
    let said = lab.runs(&["plan", "intro"], 0);
    assert!(said.contains("homeroom-test/nowhere:1 is not on the engine: it is pulled first"), "{said}");
    let began = Instant::now();
    let said = lab.runs(&["deploy", "intro", "--yes"], 3);
    assert!(said.contains("pulling the image homeroom-test/nowhere:1"), "{said}");
    assert!(began.elapsed() < PATIENCE);
    lab.nothing_is_left();
    lab.runs(&["destroy", "intro", "--yes"], 0);

    // An image that starts nothing: its own last words are the reason.
    lab.asked(&["tag", "homeroom-test/workspace:1", "homeroom-test/broken:1"]);
    let change = "CMD [\"/bin/sh\", \"-c\", \"echo no editor is installed; exit 3\"]";
    let maker = lab.asked(&["create", "homeroom-test/workspace:1"]);
    lab.asked(&["commit", "--change", change, &maker, "homeroom-test/broken:1"]);
    lab.asked(&["rm", &maker]);
    lab.define(2, "homeroom-test/broken:1");
    let said = lab.runs(&["deploy", "intro", "--yes"], 3);
    assert!(said.contains("it said: no editor is installed"), "{said}");
    lab.runs(&["destroy", "intro", "--yes"], 0);
    lab.nothing_is_left();
}

#[test]
#[ignore = "needs a Docker engine"]
fn containers_of_others_are_left_alone_even_where_they_carry_copied_labels() {
    let lab = Lab::new(1);
    lab.runs(&["deploy", "intro", "--yes"], 0);
    // An image made of a seat lends its labels to what is started from it.
    lab.asked(&["commit", "intro-seat-01", "homeroom-test/copy:1"]);
    lab.asked(&["run", "--detach", "--name", "shop", "homeroom-test/copy:1"]);
    lab.runs(&["destroy", "intro", "--yes"], 0);
    assert_eq!(lab.names(), ["shop"]);
}
