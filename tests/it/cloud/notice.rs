//! A spot machine is taken away: the half minute of notice is told while it runs, and what to do about it.

use homeroom::domain::{MachineState, event::RunState, plan::Verb, readiness::LabState};
use homeroom::service::{cloud::all_costing, plan::plan_deploy};

use super::{DEFINITION, Stage, ZONE, intro};

fn spot() -> Stage {
    let stage = Stage::new();
    stage.define(&DEFINITION.replace("[gce]", "[gce]\nspot = true"));
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    stage
}

/// The project says that the machine goes, and its guest has seen it; it does not go while one looks.
fn noticed(stage: &Stage) {
    stage.project.world(|world| {
        let instance = world.find(ZONE, "intro-host").unwrap();
        assert_eq!(instance.status, "RUNNING");
        let now = world.epoch + i64::try_from(world.now() / 1000).unwrap();
        let id = instance.id;
        let instance = world.instances.get_mut(&id).unwrap();
        instance.preempted = true;
        instance.attributes.insert("homeroom/preempted".to_owned(), now.to_string());
    });
}

#[test]
fn the_notice_is_told_while_the_machine_still_runs() {
    let stage = spot();
    noticed(&stage);
    let status = stage.status();
    assert_ne!(status.state, LabState::Ready, "{status:#?}");
    assert!(status.machines.iter().all(|row| row.state == MachineState::Stale), "{status:#?}");
    let why = stage.reason();
    assert!(why.starts_with("it is being taken away: at "), "{why}");
    assert!(why.contains("within half a minute; `homeroom deploy intro --yes` starts it again"), "{why}");
    let plan = stage.live(async |home| plan_deploy(&home, &intro()).await.unwrap().plan);
    assert_eq!(plan.seats[0].verb, Verb::Prove);
    assert!(plan.seats[0].why.contains("is being taken away"), "{plan:#?}");
    stage.end();
}

#[test]
fn a_deploy_in_the_half_minute_waits_for_the_end_and_starts_the_machine_again() {
    let stage = spot();
    let before = stage.status().machines[0].ip;
    stage.project.world(|world| world.preempt(ZONE, "intro-host"));
    // Its guest asks the metadata server every few seconds, and tells.
    stage.until(|world| {
        let instance = world.find(ZONE, "intro-host").unwrap();
        instance.attributes.get("homeroom/preempted").is_some_and(|at| !at.is_empty())
    });
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    let after = stage.status();
    assert_eq!(after.state, LabState::Ready, "what was told before its start is over: {after:#?}");
    assert_ne!(after.machines[0].ip, before);
    assert_eq!(stage.ever_made(), 1);
    stage.end();
}

#[test]
fn afterwards_it_is_told_that_it_was_taken_away_and_not_just_stopped() {
    let stage = spot();
    stage.project.world(|world| world.preempt(ZONE, "intro-host"));
    stage.until(|world| world.find(ZONE, "intro-host").unwrap().status == "TERMINATED");
    let why = stage.reason();
    assert!(why.starts_with("its instance is TERMINATED: its spot machine was taken away at "), "{why}");
    assert!(why.contains("`homeroom deploy intro --yes` starts it again, with what its seats wrote"), "{why}");
    // A cloud that hides its operations is no reason not to look.
    stage.project.world(|world| world.denied.push("compute.zoneOperations.list".to_owned()));
    let why = stage.reason();
    assert!(why.starts_with("its instance is TERMINATED since "), "{why}");
    assert!(why.contains(" UTC; `homeroom deploy intro --yes`"), "{why}");
    stage.project.world(|world| world.denied.clear());
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    assert!(stage.live(async |home| all_costing(&home, None).await)[0].1.as_ref().unwrap().found.is_empty());
    stage.end();
}

#[test]
#[ignore = "needs curl"]
fn the_startup_script_tells_the_notice_it_reads_from_the_metadata_server() {
    let world = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let project = world.block_on(crate::docker::startup::project());
    project.world(|world| {
        let instance = world.instances.values_mut().next().unwrap();
        instance.body["scheduling"]["provisioningModel"] = "SPOT".into();
        instance.attributes.insert("homeroom/preempted".to_owned(), "1".to_owned());
    });
    let told = || {
        project.world(|world| {
            let instance = world.instances.values().next().unwrap();
            instance.attributes.get("homeroom/preempted").cloned().unwrap_or_default()
        })
    };
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/gce/startup.sh");
    let metadata = format!("{}/vm/{ZONE}/intro-host/computeMetadata/v1", project.endpoint());
    let mut ran = std::process::Command::new("bash")
        .arg(script)
        .env("PATH", "/usr/bin:/bin")
        // Nothing of this host's is touched: the engine it waits for is nowhere.
        .envs([("DOCKER_HOST", "unix:///nowhere"), ("HOMEROOM_METADATA", &metadata)])
        .envs([("HOMEROOM_FOLDER", folder.path()), ("HOMEROOM_RUN", &folder.path().join("run"))])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let until = |wanted: &dyn Fn(&str) -> bool| {
        let began = std::time::Instant::now();
        while !wanted(&told()) {
            assert!(began.elapsed() < super::LONG, "it never comes to that: {:?}", told());
            std::thread::yield_now();
        }
    };
    until(&str::is_empty);
    let watch = folder.path().join("run/watch");
    while !std::fs::read_to_string(&watch).is_ok_and(|text| text.ends_with('\n')) {
        std::thread::yield_now();
    }
    // Its parent may be gone by then: what it was begun with is.
    ran.kill().unwrap();
    ran.wait().unwrap();
    assert_eq!(told(), "");
    project.world(|world| world.preempt(ZONE, "intro-host"));
    until(&|text: &str| text.parse::<u64>().is_ok_and(|at| at > 1));
    world.block_on(project.shutdown());
}

#[test]
#[ignore = "needs curl"]
fn what_the_metadata_server_says_when_it_is_away_for_a_moment_is_no_part_of_a_value() {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut away = true;
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let asked = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).next().unwrap_or_default();
            let (status, body) = match asked.as_str() {
                line if line.contains("homeroom-none") => ("404 Not Found", "<html>no such value</html>"),
                _ if std::mem::take(&mut away) => ("503 Service Unavailable", "<html>Service Unavailable</html>"),
                line if line.contains("homeroom-seats-on") => ("200 OK", "join"),
                _ => ("403 Forbidden", "<html>no</html>"),
            };
            let length = body.len();
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        }
    });
    let script = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/gce/startup.sh")).unwrap();
    let function = |name: &str| {
        let (_, rest) = script.split_once(&format!("\n{name}() {{\n")).unwrap();
        format!("{name}() {{\n{}\n}}\n", rest.split_once("\n}\n").unwrap().0)
    };
    let asks = format!(
        "set -euo pipefail\nmetadata=http://{at}\n{}{}for it in seats-on none other; do if said=$(value $it); then echo \"$it=$said\"; \
         else echo \"$it is not known\"; fi; done",
        function("ask"),
        function("value")
    );
    let out = std::process::Command::new("bash").args(["-c", &asks]).output().unwrap();
    let said = String::from_utf8(out.stdout).unwrap();
    assert_eq!(said, "seats-on=join\nnone=\nother is not known\n");
}
