//! `sim`: one line when it is ready, and there until it is told to go.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use super::desk::{answer, bare, fields, object};

#[tokio::test]
async fn sim_prints_one_line_and_stays_until_it_is_told_to_go() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("world");
    for (signal, written) in [(Signal::TERM, true), (Signal::INT, false)] {
        let mut command = bare(folder.path());
        command.args(["sim", "--speed", "20"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if written {
            command.arg("--write-config").arg(&at);
        }
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).await.unwrap();
        let said = object(&line);
        let names =
            ["schema", "api", "fingerprint", "token_id", "token_secret", "ssh", "ssh_user", "ssh_key", "config"];
        assert_eq!(fields(&said), names);
        assert_eq!((&said["token_id"], &said["ssh_user"]), (&"homeroom@pve!lab".into(), &"root".into()));
        assert!(said["api"].as_str().unwrap().starts_with("https://127.0.0.1:"));
        assert!(std::fs::exists(said["ssh_key"].as_str().unwrap()).unwrap(), "the nodes' key is there to use");
        if written {
            let mut nodes = bare(folder.path());
            nodes.args(["nodes", "--json", "--config"]).arg(said["config"].as_str().unwrap());
            let nodes = answer(nodes, "").await;
            assert_eq!((nodes.code, nodes.err.as_str()), (0, ""), "its configuration works as it is");
        } else {
            assert!(said["config"].is_null());
        }
        kill_process(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap(), signal).unwrap();
        assert_eq!(child.wait().await.unwrap().code(), Some(0));
        let mut rest = String::new();
        lines.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "", "one line and no more");
        let mut complaints = String::new();
        child.stderr.take().unwrap().read_to_string(&mut complaints).await.unwrap();
        assert_eq!(complaints, "");
    }
    let mut again = bare(folder.path());
    again.args(["sim", "--write-config"]).arg(&at);
    let again = answer(again, "").await.without(folder.path());
    let complaint = "homeroom: DESK/world holds the store of an earlier world; name another folder, or remove this one";
    assert_eq!(again.refusal(), (2, complaint));
}

#[tokio::test]
async fn a_simulated_cluster_that_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (words, complaint) in [
        (["--speed", "0"], "homeroom: --speed 0 is outside 0.01 to 1000"),
        (
            ["--scenario", "none.toml"],
            "homeroom: cannot read the scenario none.toml: No such file or directory (os error 2)",
        ),
    ] {
        let mut command = bare(folder.path());
        command.arg("sim").args(words).current_dir(folder.path());
        assert_eq!(answer(command, "").await.refusal(), (2, complaint));
    }
}
