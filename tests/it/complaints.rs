//! What a plan says of an engine that cannot carry the workshop: each complaint by the program itself, before anything
//! is asked of the engine but what it is.

use std::{
    net::TcpListener,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::engine::{Facts, FakeEngine};

/// Longer than any other test holds a port.
const PATIENCE: Duration = Duration::from_secs(180);

/// A workshop whose proxy listens on this port.
fn definition(port: u16) -> String {
    format!(
        "kind = \"workshop\"\nname = \"intro\"\nsite = \"hall\"\nseats = 4\nimage = \"seat:1\"\nproxy = {{ port = {port} }}\n\
         seat = {{ memory = \"2G\", cpus = 2.0, pids = 64 }}\n"
    )
}

/// Exit code and words of `plan` and of `deploy --yes`, where that is expected to be refused; nothing was made.
#[track_caller]
fn said(facts: Facts, code: i32) -> String {
    let engine = FakeEngine::start(facts);
    let config = engine.config();
    let file = config.with_file_name("intro.toml");
    // One that is free: others of this computer may have the usual one for as long as they like.
    let port = TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    std::fs::write(&file, definition(port)).unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_homeroom"));
        let out = command.args(args).env("HOMEROOM_CONFIG", &config).stdin(Stdio::null()).output().unwrap();
        let words = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        (out.status.code(), words)
    };
    assert_eq!(run(&["apply", "-f", file.to_str().unwrap()]).0, Some(0));
    // Ports are this computer's own, and another test's workshop may have them for a while.
    let until = Instant::now() + PATIENCE;
    let (planned, words) = loop {
        let said = run(&["plan", "intro"]);
        if !said.1.contains("taken by a program") || Instant::now() > until {
            break said;
        }
        std::thread::sleep(Duration::from_millis(500));
    };
    assert_eq!(planned, Some(code), "{words}");
    if code != 0 {
        let (deployed, words) = run(&["deploy", "intro", "--yes"]);
        assert_eq!(deployed, Some(code), "{words}");
        assert_eq!(engine.orders(), [""; 0], "{words}");
    }
    words
}

fn info(key: &str, value: serde_json::Value) -> Facts {
    let mut facts = Facts::default();
    facts.info[key] = value;
    facts
}

#[test]
fn an_engine_that_will_do_is_told_what_would_be_made_on_it() {
    let words = said(Facts::default(), 0);
    assert!(words.contains("4 seats") || words.contains("seat-04"), "{words}");
    assert!(!words.contains("may use"), "{words}");
}

#[test]
fn an_image_for_other_processors_is_named_with_both() {
    let image = json!({"Id": "sha256:1", "Architecture": "arm64", "Config": {"Cmd": ["/start"]}});
    let words = said(Facts { image, ..Facts::default() }, 2);
    assert!(words.contains("the image seat:1 is built for arm64, and hall runs amd64"), "{words}");
}

#[test]
fn an_image_that_starts_nothing_is_told_but_not_of_the_proxy_which_is_told_what_to_start() {
    for config in [json!({}), json!({"Cmd": [], "Entrypoint": []}), json!({"Cmd": null})] {
        let image = json!({"Id": "sha256:1", "Architecture": "amd64", "Config": config});
        let words = said(Facts { image, ..Facts::default() }, 2);
        assert!(words.contains("the image seat:1 does not say what to start (no CMD, no ENTRYPOINT)"), "{words}");
        assert!(!words.contains("caddy:2 does not say"), "{words}");
    }
    let image = json!({"Id": "sha256:1", "Architecture": "amd64", "Config": {"Entrypoint": ["/start"]}});
    said(Facts { image, ..Facts::default() }, 0);
}

#[test]
fn more_cpus_than_the_host_has_are_refused() {
    let words = said(info("NCPU", json!(1)), 2);
    assert!(words.contains("a seat may use 2 CPUs, and hall has 1; lower seat.cpus"), "{words}");
}

#[test]
fn a_seat_that_wants_more_memory_than_the_host_has_is_refused_and_all_of_them_together_are_warned_of() {
    let words = said(info("MemTotal", json!(1_i64 << 30)), 2);
    assert!(words.contains("a seat may use 2 GiB of memory, and hall has 1 GiB; lower seat.memory"), "{words}");
    let words = said(info("MemTotal", json!(6_i64 << 30)), 0);
    assert!(words.contains("4 seats may use 8 GiB together, and hall has 6 GiB"), "{words}");
}

#[test]
fn a_disk_without_room_is_told_with_what_is_left_and_how_to_see_what_takes_it() {
    // Nothing can be written there.
    let words = said(info("DockerRootDir", json!("/proc")), 2);
    assert!(words.contains("the engine on hall has") && words.contains("left on its disk"), "{words}");
    assert!(words.contains("docker system df"), "{words}");
}

#[test]
fn limits_that_the_engine_cannot_hold_are_named() {
    for (key, what) in [("MemoryLimit", "memory"), ("CpuCfsQuota", "CPUs"), ("PidsLimit", "processes")] {
        let words = said(info(key, json!(false)), 2);
        assert!(words.contains(&format!("the engine on hall cannot limit {what} of a seat")), "{words}");
        assert!(words.contains("cgroup"), "{words}");
    }
}

#[test]
fn an_engine_that_is_too_old_is_told_by_its_protocol() {
    let words = said(Facts { api: "1.40", ..Facts::default() }, 1);
    assert!(words.contains("speaks API 1.40, and 1.41 is the oldest that will do (Docker 20.10)"), "{words}");
    said(Facts { api: "1.41", ..Facts::default() }, 0);
}

#[test]
fn several_complaints_are_told_at_once() {
    let mut facts = info("NCPU", json!(1));
    facts.image = json!({"Id": "sha256:1", "Architecture": "riscv64", "Config": {}});
    let words = said(facts, 2);
    assert!(words.contains("seat.cpus") && words.contains("riscv64"), "{words}");
}
