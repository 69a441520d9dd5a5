//! kill -9 at each kind of point: right after every effect the engine itself tells of. What it then lists is the judge.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::{Lab, PROXY};

/// The engine's own account of what happens, from a moment on.
struct Account {
    client: Child,
    told: mpsc::Receiver<String>,
}

impl Account {
    fn of(lab: &Lab) -> Self {
        let since = jiff::Timestamp::now();
        let since = format!("{}.{:09}", since.as_second(), since.subsec_nanosecond());
        let client = if std::path::Path::new("/usr/bin/docker").exists() { "/usr/bin/docker" } else { "docker" };
        let mut client = Command::new(client)
            .args(["--host", &lab.socket, "events", "--since", &since, "--format", "{{.Type}} {{.Action}}"])
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let (tell, told) = mpsc::channel();
        let output = client.stdout.take().unwrap();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Self { client, told }
    }

    /// Kills the process as soon as the engine has told of so many things; whether it had not ended before, and what
    /// was told last.
    fn kills(&self, child: &mut Child, after: usize) -> (bool, String) {
        let mut seen = 0;
        let mut last = String::new();
        while seen < after {
            match self.told.recv_timeout(Duration::from_millis(50)) {
                Ok(line) => {
                    seen += 1;
                    last = line;
                }
                Err(_) if child.try_wait().unwrap().is_some() => return (false, last),
                Err(_) => {}
            }
        }
        let alive = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        (alive, last)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}

/// Runs a command again and again, killed a little later each time; `ready` makes what it begins with, `then` judges
/// what is there. Ends with the first that was quicker than its end. The kinds of points it was killed at.
fn killed_everywhere(lab: &Lab, args: &[&str], ready: impl Fn(), then: impl Fn(&str)) -> Vec<String> {
    let mut kinds = Vec::new();
    for after in 1.. {
        ready();
        let account = Account::of(lab);
        let mut child = lab.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let (alive, last) = account.kills(&mut child, after);
        drop(account);
        then(&format!("{args:?} killed after {after} effects, the last one {last}"));
        if !alive {
            break;
        }
        kinds.push(last);
    }
    kinds
}

fn has(kinds: &[String], wanted: &[&str]) {
    for kind in wanted {
        assert!(kinds.iter().any(|seen| seen == kind), "never killed after {kind}: {kinds:?}");
    }
}

#[test]
#[ignore = "needs a Docker engine; some twenty deploys"]
fn a_deploy_killed_after_any_effect_is_finished_by_the_next_and_no_seat_is_made_twice() {
    let lab = Lab::new(2);
    let kinds = killed_everywhere(
        &lab,
        &["deploy", "intro", "--yes"],
        || {
            lab.runs(&["destroy", "intro", "--yes"], 0);
            lab.nothing_is_left();
        },
        |when| {
            let before = lab.containers();
            lab.runs(&["deploy", "intro", "--yes"], 0);
            assert_eq!(lab.names(), ["intro-host", "intro-seat-01", "intro-seat-02"], "{when}");
            assert_eq!(lab.networks(), ["intro-host"], "{when}");
            let after = lab.containers();
            for seat in before.iter().filter(|line| line.contains("-seat-")) {
                assert!(after.contains(seat), "{seat} was made twice: {when}");
            }
            assert_eq!(lab.json(&["status", "intro", "--json"], 0)["state"], "ready", "{when}");
        },
    );
    has(&kinds, &["network create", "container create", "network connect", "container start"]);
}

#[test]
#[ignore = "needs a Docker engine; some ten deploys"]
fn a_destroy_and_an_expiry_killed_after_any_effect_are_finished_by_the_next() {
    let lab = Lab::new(2);
    let kinds = killed_everywhere(
        &lab,
        &["destroy", "intro", "--yes"],
        || drop(lab.runs(&["deploy", "intro", "--yes"], 0)),
        |when| {
            lab.runs(&["destroy", "intro", "--yes"], 0);
            assert_eq!((lab.containers(), lab.networks()), (Vec::new(), Vec::new()), "{when}");
        },
    );
    has(&kinds, &["container kill", "container destroy"]);
    let kinds = killed_everywhere(
        &lab,
        &["expire", "--yes"],
        || {
            lab.runs(&["deploy", "intro", "--yes"], 0);
            lab.is_over();
        },
        |when| {
            // By whoever looks next.
            lab.runs(&["expire", "--yes"], 0);
            assert_eq!((lab.containers(), lab.networks()), (Vec::new(), Vec::new()), "{when}");
            assert!(lab.runs(&["expire"], 0).contains("no workshop is past its end"), "{when}");
        },
    );
    has(&kinds, &["container kill", "container destroy"]);
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_join_killed_after_any_effect_gives_the_same_seat_made_once() {
    let lab = Lab::new(1);
    let proxy = format!("proxy = {{ image = \"homeroom-test/caddy:1\", port = {PROXY} }}\n");
    lab.apply(&format!("seats = 3\nseats_on = \"join\"\n{proxy}"));
    let mut n = 1;
    loop {
        lab.runs(&["deploy", "intro", "--yes"], 0);
        let code = lab.code();
        let account = Account::of(&lab);
        let mut join =
            lab.command(&["join", &code, "Ada"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let (alive, last) = account.kills(&mut join, n);
        let before = lab.containers();
        let again = lab.json(&["join", &code, "ada", "--json"], 0);
        assert_eq!((again["seat"].as_str(), again["state"].as_str()), (Some("seat-01"), Some("ready")), "after {last}");
        assert_eq!(lab.names(), ["intro-host", "intro-seat-01"], "after {last}");
        let after = lab.containers();
        assert!(before.iter().all(|line| after.contains(line)), "made twice after {last}: {before:?} {after:?}");
        lab.runs(&["destroy", "intro", "--yes"], 0);
        lab.nothing_is_left();
        if !alive {
            break;
        }
        n += 1;
    }
    assert!(n > 3, "killed at {n} points only");
}
