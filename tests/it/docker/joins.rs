//! Joining on the real engine: seats for people, tokens, a WebSocket through the proxy, TLS, and the end.

use std::{net::SocketAddr, process::Child};

use homeroom::{
    domain::{Change, Clean, Event, LabName, Level},
    port::Store,
    store::{Options, SqliteStore},
};

use super::*;

const SEAT: &str = "seat = { memory = \"64M\", cpus = 0.5, pids = 64 }\n";

impl Lab {
    /// The workshop `intro` with these lines.
    pub(super) fn apply(&self, lines: &str) {
        let file = self.folder.path().join("own.toml");
        let text = format!(
            "kind = \"workshop\"\nname = \"intro\"\nsite = \"local\"\nimage = \"homeroom-test/workspace:1\"\n{SEAT}{lines}"
        );
        std::fs::write(&file, text).unwrap();
        self.runs(&["apply", "-f", &file.display().to_string()], 0);
    }

    pub(super) fn code(&self) -> String {
        self.status()["code"].as_str().unwrap().to_owned()
    }

    pub(super) fn status(&self) -> Value {
        let said = self.command(&["status", "intro", "--json"]).output().unwrap();
        serde_json::from_slice(&said.stdout).unwrap()
    }

    fn joined(&self, code: &str, name: &str) -> Value {
        self.json(&["join", code, name, "--json"], 0)
    }

    /// Writes an end into the journal that was a second ago.
    pub(super) fn is_over(&self) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let path = self.folder.path().join("homeroom.db");
            let store = SqliteStore::open(path, Options::default()).await.unwrap();
            let lab = LabName::new("intro").unwrap();
            let run = store.progress(&lab).await.unwrap().0.run.unwrap();
            let now = jiff::Timestamp::now();
            let event = Event {
                at: now,
                seq: run.seq + 1,
                run: run.id,
                lab,
                seat: None,
                machine: None,
                step: None,
                level: Level::Info,
                message: Clean::new("an end for the test"),
                change: Change::EndsAt { ends_at: now - std::time::Duration::from_secs(1) },
            };
            store.append(&[event], &[], &[]).await.unwrap();
        });
    }

    pub(super) fn serve(&self) -> Serving {
        let mut child =
            self.command(&["serve", "--listen", "127.0.0.1:0", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        Serving { child, at: said["listening"].as_str().unwrap().parse().unwrap() }
    }

    pub(super) fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < PATIENCE, "{what}: {:?}", self.names());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

pub(super) struct Serving {
    pub child: Child,
    pub at: SocketAddr,
}

impl Serving {
    fn api(&self, code: &str, name: &str) -> (u16, Value) {
        let body = serde_json::json!({"code": code, "name": name}).to_string();
        let mut stream = TcpStream::connect(self.at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "POST /api/join HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bytes of an upgrade to a WebSocket and what follows: the status, and what was said by the other side.
fn web_socket(path: &str, cookie: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", PROXY)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    if status != 101 {
        return (status, Vec::new());
    }
    // The answer to the key of RFC 6455's own example.
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    let mut said = vec![0; 7];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(said, b"\x81\x05hello");
    // A masked text of five bytes, which comes back in a frame as it went.
    stream.write_all(b"\x81\x85\x01\x02\x03\x04\x73\x6d\x76\x6a\x65").unwrap();
    let mut echo = vec![0; 13];
    stream.read_exact(&mut echo).unwrap();
    (status, echo)
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_web_socket_goes_through_the_proxy_for_whoever_sits_there_and_for_nobody_else() {
    let lab = Lab::new(1);
    lab.apply(&format!(
        "seats = 2\nbrowser = {{ image = \"homeroom-test/browser:1\", port = 3003 }}\n\
         proxy = {{ image = \"homeroom-test/caddy:1\", port = {PROXY} }}\n"
    ));
    lab.runs(&["deploy", "intro", "--yes"], 0);
    assert_eq!(
        lab.names(),
        ["intro-host", "intro-seat-01", "intro-seat-01-browser", "intro-seat-02", "intro-seat-02-browser"]
    );
    let code = lab.code();
    let (ada, grace) = (lab.joined(&code, "Ada"), lab.joined(&code.to_lowercase(), "Grace"));
    assert_eq!((ada["seat"].as_str(), grace["seat"].as_str()), (Some("seat-01"), Some("seat-02")));
    let cookie = |row: &Value| format!("homeroom={}", token(row));
    let (status, echo) = web_socket("/vm/1/browser/ws", &cookie(&ada));
    assert_eq!((status, &echo[..2], &echo[8..]), (101, &b"\x82\x0b"[..], &b"\x73\x6d\x76\x6a\x65"[..]));
    assert_eq!(web_socket("/vm/1/browser/ws", &cookie(&grace)).0, 403);
    assert_eq!(web_socket("/vm/1/browser/ws", "").0, 403);
    assert_eq!(web_socket("/vm/2/browser/ws", &cookie(&grace)).0, 101);
    assert_eq!(get("/vm/2/terminal/", &cookie(&ada)).0, 403);
    assert_eq!(get("/vm/1/terminal/", &format!("other=1; {}", cookie(&ada))).0, 200);
    // A part of a token, or one with more behind it, is none.
    let part = &cookie(&ada)[..cookie(&ada).len() - 1];
    assert_eq!((get("/vm/1/terminal/", part).0, get("/vm/1/terminal/", &format!("{}x", cookie(&ada))).0), (403, 403));
    lab.runs(&["destroy", "intro", "--yes"], 0);
    lab.nothing_is_left();
}

#[test]
#[ignore = "needs a Docker engine"]
fn as_many_processes_as_like_may_join_at_once_and_no_seat_has_two() {
    let lab = Lab::new(3);
    lab.runs(&["deploy", "intro", "--yes"], 0);
    let code = lab.code();
    let serving = lab.serve();
    let children: Vec<_> = (0..8)
        .map(|n| {
            let mut join = lab.command(&["join", &code, &format!("person {n}"), "--json"]);
            join.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let asked: Vec<_> = (0..8).map(|n| serving.api(&code, &format!("person {n}"))).collect();
    let mut seats = std::collections::BTreeMap::new();
    for (n, child) in children.into_iter().enumerate() {
        let out = child.wait_with_output().unwrap();
        let from_server = &asked[n];
        match out.status.code() {
            Some(0) => {
                let said: Value = serde_json::from_slice(&out.stdout).unwrap();
                assert_eq!((from_server.0, &from_server.1["seat"]), (200, &said["seat"]), "person {n}");
                assert!(seats.insert(said["seat"].as_str().unwrap().to_owned(), n).is_none(), "{seats:?}");
            }
            Some(4) => {
                let words = String::from_utf8_lossy(&out.stderr).into_owned();
                assert!(words.contains("every seat of intro has somebody"), "{words}");
                assert_eq!((from_server.0, &from_server.1["error"]["kind"]), (409, &Value::from("full")));
            }
            other => panic!("{other:?}: {}", String::from_utf8_lossy(&out.stderr)),
        }
    }
    assert_eq!(seats.into_keys().collect::<Vec<_>>(), ["seat-01", "seat-02", "seat-03"]);
    let roster = lab.json(&["roster", "intro", "--json"], 0);
    assert!(roster["seats"].as_array().unwrap().iter().all(|row| row["name"].as_str().unwrap().starts_with("person")));
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_seat_is_made_as_somebody_comes_although_whoever_made_it_is_killed_and_the_end_comes_by_itself() {
    let lab = Lab::new(1);
    let proxy = format!("proxy = {{ image = \"homeroom-test/caddy:1\", port = {PROXY} }}\n");
    lab.apply(&format!("seats = 3\nseats_on = \"join\"\n{proxy}"));
    lab.runs(&["deploy", "intro", "--yes"], 0);
    assert_eq!((lab.names(), lab.status()["state"].as_str()), (vec!["intro-host".to_owned()], Some("ready")));
    let code = lab.code();
    let serving = lab.serve();
    let (status, ada) = serving.api(&code, "Ada");
    assert_eq!((status, ada["seat"].as_str(), ada["state"].as_str()), (200, Some("seat-01"), Some("ready")));
    let cookie = format!("homeroom={}", token(&ada));
    assert_eq!(get("/vm/1/terminal/", &cookie).0, 200);
    drop(serving);
    // Killed as it makes the second one: as soon as the engine shows it, or its run stands in the journal.
    let mut join = lab.command(&["join", &code, "Grace"]).stdout(Stdio::null()).spawn().unwrap();
    lab.until("a second container", || lab.names().len() > 1 + 1);
    join.kill().unwrap();
    join.wait().unwrap();
    let before = lab.containers();
    let grace = lab.joined(&code, "grace");
    assert_eq!((grace["seat"].as_str(), grace["again"].as_bool()), (Some("seat-02"), Some(true)));
    assert_eq!(lab.containers(), before, "nothing was made twice");
    assert_eq!(lab.names(), ["intro-host", "intro-seat-01", "intro-seat-02"]);

    // Past its end: told by `expire`, ended by a server that begins.
    assert_eq!(lab.runs(&["expire"], 0), "no workshop is past its end\n");
    lab.is_over();
    assert!(lab.runs(&["expire"], 4).contains("intro"));
    let said = lab.runs(&["status"], 0);
    assert!(said.contains("the workshop intro is past its end") && said.contains("4 things on the engine"), "{said}");
    let doctor = lab.runs(&["doctor"], 0);
    assert!(doctor.contains("is past its end") && doctor.contains("homeroom expire --yes"), "{doctor}");
    assert!(lab.runs(&["join", &code, "Mary"], 4).contains("intro ended at"));
    let serving = lab.serve();
    lab.until("the end", || lab.names().is_empty());
    lab.until("the network's end", || lab.networks().is_empty());
    assert_eq!(serving.api(&code, "Ada").0, 410);
}

#[test]
#[ignore = "needs a Docker engine"]
fn expire_ends_what_is_past_its_end_and_strangers_with_our_labels_are_told_of_and_left() {
    let lab = Lab::new(1);
    lab.runs(&["deploy", "intro", "--yes"], 0);
    lab.asked(&["commit", "intro-seat-01", "homeroom-test/copy:1"]);
    lab.asked(&["run", "--detach", "--name", "shop", "homeroom-test/copy:1"]);
    let said = lab.runs(&["status"], 0);
    assert!(said.contains("the container shop carries labels copied from another container"), "{said}");
    let extended = lab.json(&["extend", "intro", "30m", "--json"], 0);
    assert_eq!(extended["cut"], false);
    assert!(lab.runs(&["extend", "intro", "20h"], 0).contains("less than was asked for, since its max_life is 12 h"));
    assert!(lab.runs(&["extend", "intro", "1m"], 4).contains("max_life"));
    lab.is_over();
    assert!(lab.runs(&["deploy", "intro", "--yes"], 2).contains("its end was at"));
    lab.runs(&["expire", "--yes"], 0);
    assert_eq!((lab.names(), lab.networks()), (vec!["shop".to_owned()], Vec::new()));
    assert_eq!(lab.status()["code"], Value::Null);
}

#[test]
#[ignore = "needs a Docker engine"]
fn with_a_name_the_proxy_speaks_tls_by_its_own_authority_or_by_files() {
    let lab = Lab::new(1);
    let (files_of, root) = certificate("ws.example.org");
    std::fs::write(lab.folder.path().join("ws.pem"), files_of.0).unwrap();
    std::fs::write(lab.folder.path().join("ws.key"), files_of.1).unwrap();
    for (files, root) in [("", None), (", cert_file = \"ws.pem\", key_file = \"ws.key\"", Some(root))] {
        lab.apply(&format!(
            "seats = 1\nproxy = {{ image = \"homeroom-test/caddy:1\", port = {PROXY}, name = \"ws.example.org\"{files} }}\n"
        ));
        lab.runs(&["deploy", "intro", "--yes"], 0);
        let joined = lab.joined(&lab.code(), "Ada");
        let link = joined["link"].as_str().unwrap().to_owned();
        assert!(link.starts_with(&format!("https://ws.example.org:{PROXY}/vm/1/terminal/?token=")), "{link}");
        let root = root.unwrap_or_else(|| {
            let place = "intro-host:/tmp/.local/share/caddy/pki/authorities/local/root.crt";
            let to = lab.folder.path().join("root.crt");
            lab.asked(&["cp", place, &to.display().to_string()]);
            std::fs::read_to_string(to).unwrap()
        });
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (status, cookie) = runtime.block_on(async {
            let root = reqwest::Certificate::from_pem(root.as_bytes()).unwrap();
            let client = reqwest::Client::builder()
                .tls_certs_only([root])
                .resolve("ws.example.org", ([127, 0, 0, 1], PROXY).into())
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .build()
                .unwrap();
            let answer = client.get(&link).send().await.unwrap();
            let cookie = answer.headers().get("set-cookie").unwrap().to_str().unwrap().to_owned();
            let page = client.get(link.split('?').next().unwrap()).header("cookie", &cookie).send().await.unwrap();
            assert!(page.text().await.unwrap().contains("the terminal"));
            (answer.status().as_u16(), cookie)
        });
        assert!(status == 303 && cookie.contains("; Secure"), "{status} {cookie}");
        assert_eq!(lab.status()["state"], "ready");
    }

    // Renewed on disk: taken by whoever looks, with the seat left as it is.
    let seat = |lab: &Lab| lab.containers().into_iter().find(|line| line.contains("-seat-"));
    let before = seat(&lab);
    let (files, root) = certificate("ws.example.org");
    for (name, text) in [("ws.pem", files.0), ("ws.key", files.1)] {
        let file = lab.folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        // Long enough ago to be whole.
        let minute_ago = std::time::SystemTime::now() - Duration::from_secs(60);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(minute_ago).unwrap();
    }
    let plan = lab.runs(&["plan", "intro"], 0);
    assert!(
        plan.contains("certificate: the one it shows -> the one in its files now") && plan.contains("the seats stay"),
        "{plan}"
    );
    let _serving = lab.serve();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    lab.until("the new certificate", || {
        runtime.block_on(async {
            let client = reqwest::Client::builder()
                .tls_certs_only([reqwest::Certificate::from_pem(root.as_bytes()).unwrap()])
                .resolve("ws.example.org", ([127, 0, 0, 1], PROXY).into())
                .no_proxy()
                .build()
                .unwrap();
            let asked = client.get(format!("https://ws.example.org:{PROXY}/health")).send().await;
            asked.is_ok_and(|answer| answer.status() == 200)
        })
    });
    assert_eq!(seat(&lab), before);
    lab.until("its proof", || lab.status()["state"] == "ready");
}

/// A certificate with its key, and the authority's, all in PEM.
fn certificate(name: &str) -> ((String, String), String) {
    let mut authority = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let root = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    ((leaf.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem()), root.pem())
}
