//! The example workspace, built from Debian's packages, as seats of a workshop: a terminal and files in a browser.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use super::{Lab, get, token};

/// Several times what building takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
#[ignore = "needs a Docker engine, mmdebstrap and a Debian mirror; takes a minute"]
fn the_example_workspace_is_built_without_a_registry_and_has_a_terminal_and_files() {
    let lab = Lab::new(1);
    let built = Command::new("assets/workspace/build.sh")
        .arg("homeroom-test/debian:1")
        .env("DOCKER_HOST", &lab.socket)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    lab.define(1, "homeroom-test/debian:1");
    lab.runs(&["deploy", "intro", "--yes"], 0);
    let said = lab.runs(&["exec", "intro", "--", "su - student -c 'id -un; echo hello > note.txt'"], 0);
    assert!(said.contains("student"), "{said}");

    let seats = lab.json(&["roster", "intro", "--json"], 0)["seats"].clone();
    let cookie = format!("homeroom={}", token(&seats[0]));
    let (status, answer) = get("/vm/1/files/note.txt", &cookie);
    assert!(status == 200 && answer.contains("hello"), "{answer}");
    assert_eq!(get("/vm/1/files/note.txt", "").0, 403);
    let (status, answer) = get("/vm/1/terminal/", &cookie);
    assert!(status == 200 && answer.contains("shellinabox"), "{answer}");

    // A session as the page opens one: what its shell prints first is its prompt.
    let until = Instant::now() + PATIENCE;
    let asked = loop {
        let (status, answer) = super::post("/vm/1/terminal/?", &cookie, "width=80&height=24&rooturl=%2F");
        if status == 200 && answer.contains("\"session\"") {
            break answer;
        }
        assert!(Instant::now() < until, "{status}: {answer}");
    };
    let session = asked.split("\"session\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    let mut shown = String::new();
    while !shown.contains("student@") {
        let body = format!("width=80&height=24&session={session}");
        shown.push_str(&super::post("/vm/1/terminal/?", &cookie, &body).1);
        assert!(Instant::now() < until, "{shown}");
    }
    lab.runs(&["destroy", "intro", "--yes"], 0);
    lab.nothing_is_left();
}
