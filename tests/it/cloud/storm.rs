//! The real program, killed in the midst of what it does to a cloud, over real sockets.

use std::process::{Child, Command, Stdio};

use super::{Stage, intro};

fn program(stage: &Stage, verb: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeroom"));
    command.args([verb, intro().as_str(), "--yes"]).env("HOMEROOM_CONFIG", stage.config());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Starts the program and kills it as soon as the project has seen so many more calls; whether it lived that long.
fn killed(stage: &Stage, verb: &str, after: usize) -> bool {
    let calls = || stage.project.world(|world| world.calls.len());
    let until = calls() + after;
    let mut child = program(stage, verb);
    loop {
        if calls() >= until {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::yield_now();
    }
}

fn done(stage: &Stage, verb: &str) {
    let output = program(stage, verb).wait_with_output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{verb}: {}{}", said(&output.stdout), said(&output.stderr));
}

#[test]
#[ignore = "kills the program forty times: half a minute"]
fn a_program_that_is_killed_leaves_one_instance_and_after_a_destroy_none() {
    let stage = Stage::new();
    let (mut cut, mut before) = (0, stage.ever_made());
    for round in 0..10 {
        // Twice in a row, at another place each time; then it is left in peace.
        for after in [2 + 3 * round, 1 + 4 * round] {
            cut += usize::from(killed(&stage, "deploy", after));
            assert!(stage.listing().len() <= 1, "round {round}: {:?}", stage.listing());
        }
        if round % 2 == 0 {
            done(&stage, "deploy");
            assert_eq!(stage.listing().len(), 1, "round {round}");
            assert_eq!(stage.ever_made() - before, 1, "round {round}: one came of all of it");
        }
        for after in [1 + round, 3 + 2 * round] {
            cut += usize::from(killed(&stage, "destroy", after));
        }
        done(&stage, "destroy");
        stage.nothing_is_left(&format!("round {round}"));
        assert!(!stage.has_key(), "round {round}");
        before = stage.ever_made();
    }
    assert!(cut > 20, "only {cut} were killed before they were through");
    stage.end();
}
