//! Into a standing workshop's instance and its containers: commands, files, terminals, what was printed.

use std::{path::Path, time::Duration};

use homeroom::{
    domain::SeatName,
    service::{
        ShellInput, ShellOutput, ShellSession, Tty,
        copy::{self, Direction, Transfer},
        exec::{self, Answer, End, Heard, Way},
        instance::last_lines,
        shell::{console, open},
    },
};

use super::{LONG, Stage, ZONE, intro};

fn seat(name: &str) -> SeatName {
    SeatName::new(name).unwrap()
}

fn exec(stage: &Stage, named: &[&str], command: &[&str], input: &[u8]) -> Vec<Answer> {
    let order = exec::Order {
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        input: input.into(),
        within: LONG,
        at_once: 10,
        way: Way::Auto,
    };
    let named: Vec<SeatName> = named.iter().map(|name| seat(name)).collect();
    stage.live(async move |home| {
        let mut running = exec::exec(&home, &intro(), &named, order).await.unwrap();
        let mut answers = Vec::new();
        while let Some(heard) = running.heard.recv().await {
            if let Heard::Ended(answer) = heard {
                answers.push(answer);
            }
        }
        answers.sort_by(|a: &Answer, b| a.seat.cmp(&b.seat));
        answers
    })
}

fn said(answers: &[Answer]) -> Vec<(&str, &str)> {
    answers.iter().map(|answer| (answer.seat.as_str(), answer.stdout.as_str())).collect()
}

fn copied(stage: &Stage, named: &str, direction: Direction, local: &Path, remote: &str) -> Result<u64, String> {
    let transfer = Transfer { direction, local: local.to_owned(), remote: remote.to_owned(), recursive: true };
    let order = copy::Order { transfers: vec![transfer], at_once: 4 };
    stage.live(async move |home| {
        let mut running = copy::copy(&home, &intro(), &[seat(named)], order).await.unwrap();
        let outcome = running.heard.recv().await.unwrap();
        match outcome.failure {
            None => Ok(outcome.copied.files),
            Some(End::Failed(why)) => Err(why.to_string()),
            Some(other) => Err(format!("{other:?}")),
        }
    })
}

/// Reads until this stands on the screen.
async fn until(session: &mut ShellSession, wanted: &str) -> String {
    let mut shown = String::new();
    let reading = async {
        while !shown.contains(wanted) {
            match session.output.recv().await {
                Some(ShellOutput::Bytes(bytes)) => shown.push_str(&String::from_utf8_lossy(&bytes)),
                other => panic!("{other:?} after {shown:?}"),
            }
        }
    };
    tokio::time::timeout(LONG, reading).await.unwrap();
    shown
}

#[test]
fn a_login_to_an_instance_that_is_stopped_elsewhere_or_gone_says_so_and_what_to_do() {
    let stage = Stage::new();
    stage.deploy();
    let end = |stage: &Stage| match &exec(stage, &["seat-01"], &["hostname"], b"")[0].end {
        End::Failed(why) => why.to_string(),
        other => format!("{other:?}"),
    };
    stage.stop();
    let why = end(&stage);
    assert!(why.contains("its instance is TERMINATED since ") && why.contains(" UTC; "), "{why}");
    assert!(why.ends_with("`homeroom deploy intro --yes` starts it again, with what its seats wrote"), "{why}");
    let here = stage.folder.path().join("here");
    std::fs::write(&here, "x").unwrap();
    let why = copied(&stage, "seat-01", Direction::Up, &here, "/tmp/").unwrap_err();
    assert!(why.contains("its instance is TERMINATED since "), "{why}");
    let calls: [&[&str]; 3] =
        [&["ssh", "intro/host", "--", "true"], &["ssh", "intro/seat-02", "--", "true"], &["logs", "intro/seat-01"]];
    for args in calls {
        let (said, code) = stage.says(args);
        assert!(said.contains("its instance is TERMINATED since ") && code == Some(1), "{args:?}: {code:?} {said}");
    }
    stage.start();
    let why = end(&stage);
    assert!(
        why.contains("its instance was started anew: it is at ") && why.contains("`homeroom check intro`"),
        "{why}"
    );
    stage.by_hand("DELETE", &format!("zones/{ZONE}/instances/intro-host"), serde_json::Value::Null);
    stage.until(|world| world.find(ZONE, "intro-host").is_none());
    let why = end(&stage);
    let next = "its instance is no longer in the project; `homeroom deploy intro --yes` makes another";
    assert!(why.contains(next), "{why}");
    stage.end();
}

#[test]
fn commands_files_and_terminals_reach_the_instance_and_every_container_on_it() {
    let stage = Stage::new();
    stage.deploy();
    let all = exec(&stage, &[], &["hostname"], b"");
    assert_eq!(said(&all), [("seat-01", "seat-01\n"), ("seat-02", "seat-02\n")]);
    assert_eq!(said(&exec(&stage, &["host"], &["hostname"], b"")), [("host", "intro-host\n")]);
    assert_eq!(said(&exec(&stage, &["seat-01"], &["echo", "it's", "a  b"], b"")), [("seat-01", "it's a  b\n")]);
    assert_eq!(said(&exec(&stage, &["seat-02"], &["cat"], b"typed\n")), [("seat-02", "typed\n")]);
    let failed = exec(&stage, &["seat-01"], &["exit 3"], b"");
    assert!(matches!(failed[0].end, End::Exit(3)), "{failed:?}");

    let here = stage.folder.path().join("here");
    std::fs::create_dir_all(here.join("notes")).unwrap();
    std::fs::write(here.join("notes/one"), "first\n").unwrap();
    std::fs::write(here.join("plain"), "plain\n").unwrap();
    for (named, file) in [("seat-01", "/tmp/plain"), ("host", "/tmp/plain")] {
        assert_eq!(copied(&stage, named, Direction::Up, &here.join("plain"), "/tmp/"), Ok(1), "{named}");
        assert_eq!(said(&exec(&stage, &[named], &["cat", file], b"")), [(named, "plain\n")]);
    }
    assert_eq!(copied(&stage, "seat-02", Direction::Up, &here.join("notes"), "/tmp"), Ok(1));
    let back = stage.folder.path().join("back");
    std::fs::create_dir_all(&back).unwrap();
    assert_eq!(copied(&stage, "seat-02", Direction::Down, &back, "/tmp/notes"), Ok(1));
    assert_eq!(std::fs::read_to_string(back.join("notes/one")).unwrap(), "first\n");
    let missing = copied(&stage, "seat-02", Direction::Down, &back, "/tmp/nowhere").unwrap_err();
    assert!(missing.contains("Could not find the file /tmp/nowhere in container intro-seat-02"), "{missing}");
    stage.project.world(|world| {
        let files = &world.find(super::ZONE, "intro-host").unwrap().inside.files;
        assert!(!files.keys().any(|file| file.starts_with("/home/homeroom/")), "{:?}", files.keys());
    });

    stage.live(async |home| {
        let mut session = open(&home, &intro(), &seat("seat-01"), &Tty::usual((80, 24))).await.unwrap();
        until(&mut session, "root@seat-01").await;
        session.input.send(ShellInput::Bytes(b"cat /tmp/plain\r".to_vec())).await.unwrap();
        until(&mut session, "plain\r\n").await;
    });
    stage.end();
}

#[test]
fn what_was_printed_is_read_also_where_nobody_can_log_in() {
    let stage = Stage::new();
    stage.deploy();
    let lines = stage.live(async |home| last_lines(&home, &intro(), &seat("seat-01"), 5).await.unwrap());
    assert_eq!(lines.iter().map(|line| line.as_str()).collect::<Vec<_>>(), ["listening"]);
    // Nobody gets in any more.
    stage.project.world(|world| world.firewalls.clear());
    let lines = stage.live(async |home| last_lines(&home, &intro(), &SeatName::host(), 50).await.unwrap());
    assert!(lines.iter().any(|line| line.as_str().contains("startup-script: homeroom: ready")), "{lines:?}");
    let project = stage.project.handle().clone();
    stage.live(async |home| {
        let mut session = console(&home, &intro(), &SeatName::host(), &Tty::usual((80, 50))).await.unwrap();
        until(&mut session, "homeroom: ready\r\n").await;
        project.world(|world| {
            world.instances.values_mut().for_each(|it| it.serial.push_str("kernel: something new\n"));
        });
        until(&mut session, "something new\r\n").await;
        session.input.send(ShellInput::Bytes(b"q".to_vec())).await.unwrap();
        let end = async {
            while let Some(said) = session.output.recv().await {
                if let ShellOutput::Exit(code) = said {
                    return code;
                }
            }
            -1
        };
        assert_eq!(tokio::time::timeout(Duration::from_secs(30), end).await.unwrap(), 0);
        let refused =
            console(&home, &intro(), &seat("seat-01"), &Tty::usual((80, 50))).await.map(drop).unwrap_err().to_string();
        assert!(refused.contains("`homeroom logs intro/seat-01`"), "{refused}");
    });
    stage.end();
}
