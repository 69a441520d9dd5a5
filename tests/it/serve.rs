//! `homeroom serve` as whoever reaches its address meets it: pages, answers, bounds. No engine is needed: what is asked
//! of one stands with the Docker tests.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use homeroom::{
    domain::{
        Change, Clean, Definition, Event, LabName, Level, SiteName, code::JoinCode, event::RunKind,
        workshop::WorkshopDefinition,
    },
    port::Store,
    store::{Options, SqliteStore},
};
use jiff::Timestamp;
use serde_json::Value;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server of its own, with a store of its own; killed when dropped.
struct Server {
    child: Child,
    at: SocketAddr,
    folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            "[sites.local]\nkind = \"docker\"\nenvironment = \"dev\"\nhost = \"unix://{}\"\n[store]\npath = \"{}\"\n",
            path("nowhere"),
            path("homeroom.db")
        );
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_homeroom"))
            .args(["serve", "--listen", "127.0.0.1:0", "--json"])
            .args(more)
            .env("HOMEROOM_CONFIG", folder.path().join("config.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        Self { child, at: said["listening"].as_str().unwrap().parse().unwrap(), folder }
    }

    /// Sends these bytes and reads until the server has said all it will.
    fn send(&self, bytes: &str) -> Answer {
        let mut stream = TcpStream::connect(self.at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may answer, and close, before it has read everything.
        let _ = stream.write_all(bytes.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        ))
    }

    fn api(&self, code: &str, name: &str) -> Answer {
        let body = serde_json::json!({"code": code, "name": name}).to_string();
        self.ask("POST", "/api/join", "Content-Type: application/json\r\n", &body)
    }

    /// The same as a proxy in front passes it on.
    fn api_for(&self, who: &str) -> Answer {
        let headers = format!("Content-Type: application/json\r\nX-Forwarded-For: {who}\r\n");
        self.ask("POST", "/api/join", &headers, "{\"code\": \"K7M3QX\", \"name\": \"Ada\"}")
    }

    fn form(&self, body: &str) -> Answer {
        self.ask("POST", "/join", "Content-Type: application/x-www-form-urlencoded\r\n", body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[test]
fn the_page_needs_no_script_names_its_fields_and_brings_what_was_typed_back_with_what_is_wrong() {
    let server = Server::start();
    let page = server.ask("GET", "/?code=k7m%3Cq", "", "");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    for part in ["<html lang=\"en\">", "<label for=\"code\">", "<label for=\"name\">", "value=\"k7m&lt;q\"", "viewport"]
    {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    assert!(!page.body.contains("<script") && !page.body.contains("style=\""));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("style-src 'sha256-"), "{policy}");
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("cache-control"), Some("no-store"));

    let wrong = server.form("code=K7M3QX&name=Ada+%26+Co");
    assert_eq!(wrong.status, 404);
    assert!(wrong.body.contains("id=\"code-problem\" role=\"alert\">No workshop has this code"), "{}", wrong.body);
    assert!(wrong.body.contains("aria-describedby=\"code-problem code-hint\""), "{}", wrong.body);
    assert!(wrong.body.contains("value=\"Ada &amp; Co\""), "{}", wrong.body);
    let nameless = server.form("code=K7M3QX&name=+");
    assert_eq!(nameless.status, 422);
    assert!(nameless.body.contains("id=\"name-problem\" role=\"alert\">Write your name."), "{}", nameless.body);

    let head = server.ask("HEAD", "/", "", "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(server.ask("GET", "/nothing", "", "").status, 404);
    let delete = server.ask("DELETE", "/join", "", "");
    assert_eq!((delete.status, delete.header("allow")), (405, Some("GET, HEAD, POST")));
}

#[test]
fn programs_are_told_in_a_word_what_is_wrong_and_whoever_guesses_on_waits() {
    let server = Server::start();
    let bad = server.ask("POST", "/api/join", "Content-Type: text/plain\r\n", "{}");
    assert_eq!((bad.status, bad.json()["error"]["kind"].as_str().unwrap()), (415, "request"));
    let bad = server.ask("POST", "/api/join", "Content-Type: application/json; charset=utf-8\r\n", "{\"code\": 7}");
    assert_eq!(bad.status, 400);
    assert_eq!(server.api("K7M3QX", "…").json()["error"]["kind"], "name");
    for _ in 0..10 {
        let unknown = server.api("K7M3QX", "Ada");
        assert_eq!((unknown.status, unknown.json()["error"]["kind"].as_str().unwrap()), (404, "unknown"));
        assert_eq!(unknown.json()["schema"], 1);
    }
    let mut slowed = server.api("K7M3QX", "Ada");
    // On a machine that took its time one more try has come back.
    for _ in 0..10 {
        if slowed.status == 429 {
            break;
        }
        slowed = server.api("K7M3QX", "Ada");
    }
    assert_eq!((slowed.status, slowed.json()["error"]["kind"].as_str().unwrap()), (429, "slowed"));
    let wait: u64 = slowed.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    // On the page in words.
    assert!(server.form("code=K7M3QX&name=Ada").body.contains("Too many wrong codes came from here"));

    let metrics = server.ask("GET", "/metrics", "", "");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(metrics.body.contains("# TYPE homeroom_seats gauge"), "{}", metrics.body);
    let count = |result: &str| {
        let line = format!("homeroom_join_requests_total{{result=\"{result}\"}} ");
        let found = metrics.body.lines().find_map(|text| text.strip_prefix(&line)).unwrap();
        found.parse::<u64>().unwrap()
    };
    assert!(count("unknown") >= 10 && count("slowed") >= 2 && count("refused") == 1 && count("joined") == 0);
}

#[test]
fn however_many_guess_at_once_no_more_are_looked_at_than_one_address_has_to_spare() {
    let server = Server::start();
    let began = std::time::Instant::now();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..200).map(|_| scope.spawn(|| server.api("K7M3QX", "Ada").status)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let looked_at = statuses.iter().filter(|status| **status == 404).count() as u64;
    assert!(statuses.iter().all(|status| matches!(status, 404 | 429)), "{statuses:?}");
    // One comes back every ten seconds.
    let most = 10 + began.elapsed().as_secs() / 10;
    assert!((10..=most).contains(&looked_at), "{looked_at} of 200, and {most} at most");
}

#[test]
fn a_proxy_that_is_trusted_says_who_guesses_and_nobody_else_does() {
    let slowed = |server: &Server, who: &str| (0..20).any(|_| server.api_for(who).status == 429);
    let server = Server::start_with(&["--trust-proxy", "127.0.0.1"]);
    assert!(slowed(&server, "192.0.2.1"));
    assert_eq!(server.api_for("192.0.2.2").status, 404);
    // Whoever guesses writes something in front of what the proxy adds.
    assert_eq!(server.api_for("192.0.2.9, 192.0.2.1").status, 429);
    assert_eq!(server.api_for("192.0.2.1, 192.0.2.3").status, 404);

    let server = Server::start();
    assert!((0..20).any(|n| server.api_for(&format!("192.0.2.{n}")).status == 429));
}

#[test]
fn what_is_too_large_or_too_much_is_refused_and_the_next_one_is_served() {
    let server = Server::start();
    let large = "x".repeat(10_000);
    assert_eq!(server.form(&format!("code={large}")).status, 413);
    // A body that only says that it is large is refused unread.
    let promised = server.send(
        "POST /join HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: 999999999\r\n\r\ncode=",
    );
    assert!(matches!(promised.status, 408 | 413), "{}", promised.status);
    let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    assert_eq!(server.ask("GET", "/", &many, "").status, 431);
    let long = format!("X: {}\r\n", "y".repeat(40_000));
    assert_eq!(server.ask("GET", "/", &long, "").status, 431);
    assert_eq!(server.send("nonsense\r\n\r\n").status, 400);
    // Those who begin and say nothing more hold nobody up.
    let _idle: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(server.at).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
            stream
        })
        .collect();
    let health = server.ask("GET", "/health", "", "");
    assert_eq!((health.status, health.json()["status"].as_str().unwrap()), (200, "ok"));
}

#[test]
fn it_ends_when_it_is_asked_to_and_an_idle_connection_does_not_keep_it() {
    let mut server = Server::start();
    let mut idle = TcpStream::connect(server.at).unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).unwrap();
    let pid = rustix::process::Pid::from_child(&server.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(TcpStream::connect(server.at).is_err());
}

/// The workshop `intro`, whose deploy was broken off after its code was given, on an engine that is not there.
async fn broken_off(server: &Server) {
    let lab = LabName::new("intro").unwrap();
    let site = SiteName::new("local").unwrap();
    let options = Options { shared: false, read_only: false };
    let store = SqliteStore::open(server.folder.path().join("homeroom.db"), options).await.unwrap();
    let workshop = WorkshopDefinition::new(lab.clone(), site.clone(), 2, "workspace:1");
    store.put_definition(&Definition::Workshop(workshop), Timestamp::now()).await.unwrap();
    let run =
        store.begin_run(&lab, RunKind::Deploy, "ada", &super::store::plan("intro"), Timestamp::now()).await.unwrap();
    let code = JoinCode::read("K7M3QX").unwrap();
    let ends_at = Timestamp::now() + Duration::from_secs(3600);
    let started = Change::RunStarted { kind: RunKind::Deploy, site, owner: Clean::new("ada") };
    let events: Vec<Event> = [started, Change::Opened { code, ends_at }]
        .into_iter()
        .zip(1..)
        .map(|(change, seq)| Event {
            at: Timestamp::now(),
            seq,
            run,
            lab: lab.clone(),
            seat: None,
            machine: None,
            step: None,
            level: Level::Info,
            message: Clean::new("so"),
            change,
        })
        .collect();
    store.append(&events, &[], &[]).await.unwrap();
}

#[tokio::test]
async fn whose_machine_does_not_answer_is_told_so_and_a_run_that_was_broken_off_is_not_counted_as_running() {
    let server = Server::start();
    broken_off(&server).await;
    let away = server.api("K7M3QX", "Ada");
    assert_eq!((away.status, away.json()["error"]["kind"].as_str().unwrap()), (503, "away"), "{}", away.body);
    assert!(
        away.json()["error"]["message"].as_str().unwrap().contains("the machine of intro does not answer right now")
    );
    assert!(away.header("retry-after").is_some());
    let page = server.form("code=K7M3QX&name=Ada");
    assert_eq!(page.status, 503);
    // It is neither field's fault, and nothing of the inside is told.
    assert!(
        page.body.contains("role=\"alert\">The machine of intro does not answer right now; try again"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("aria-invalid=\"") && !page.body.contains("nowhere"), "{}", page.body);

    let metrics = server.ask("GET", "/metrics", "", "").body;
    assert!(metrics.contains("homeroom_runs{kind=\"deploy\",state=\"interrupted\"} 1"), "{metrics}");
    assert!(!metrics.contains("state=\"running\"}"), "{metrics}");
}
