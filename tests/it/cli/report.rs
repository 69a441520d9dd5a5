//! `report`: what it holds, and what it must not.

use std::{fs, os::unix::fs::PermissionsExt};

use homeroom::sim::{Fault, FaultKind};
use serde_json::Value;

use super::desk::Desk;

const BIO: &str = "kind = \"class\"\nname = \"bio\"\nsite = \"sim\"\ntemplate = \"ubuntu-22.04\"\n\
    students = [\"ada\", \"grace\"]\n[cloud_init]\nuser = \"student\"\npassword = \"generate\"\n";

#[tokio::test]
async fn a_report_tells_what_happened_and_no_secret() {
    let desk = Desk::new().await;
    desk.apply(BIO).await;
    let (_, token) = desk.staged.cluster.token();
    let token = token.to_owned();
    // A site that says a secret aloud.
    let plan = desk.json(&["plan", "bio", "--json"]).await;
    let ada = plan["seats"].as_array().unwrap().iter().find(|seat| seat["seat"] == "ada").unwrap()["vmid"].to_string();
    let reason = format!("the copy failed near {token}");
    desk.staged.cluster.inject(Fault::every("POST /nodes/*/qemu/*/clone", FaultKind::Task { reason }).on(ada));
    assert_eq!(desk.run(&["deploy", "bio", "--yes"]).await.code, 3);

    let said = desk.json(&["report", "2", "--json"]).await;
    assert_eq!(said["report"], "homeroom-report-run-2");
    let folder = desk.folder.path().join("homeroom-report-run-2");
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let (summary, bundle, log) = (read("summary.txt"), read("bundle.json"), read("log.txt"));
    assert!(summary.starts_with("run 2 of bio: deploy, failed"), "{summary}");
    assert!(summary.contains("\nseconds are the simulated cluster's: 40 in one"), "{summary}");
    assert!(summary.contains("bio-ada") && summary.contains("the copy failed near ‹secret›"), "{summary}");
    let value: Value = serde_json::from_str(&bundle).unwrap();
    assert_eq!((&value["run"]["id"], &value["state"]), (&2.into(), &"failed".into()));
    assert!(value["versions"]["proxmox"].is_string() && value["events"].as_array().unwrap().len() > 20);
    let logs = value["task_logs"].as_object().unwrap();
    assert!(logs.keys().any(|upid| upid.contains(":qmclone:")) && logs.values().any(|log| log.is_array()), "{logs:#?}");
    assert_eq!(value["machines"]["grace"]["power"]["running"], true);
    assert!(log.contains("the copy failed near ‹secret›") && log.contains("run=2"), "{log}");
    assert!(!log.contains("run=1 "), "another run's lines: {log}");

    let roster = desk.json(&["roster", "bio", "--json"]).await;
    let mut secrets: Vec<String> = (roster["seats"].as_array().unwrap().iter())
        .map(|seat| seat["password"].as_str().unwrap().to_owned())
        .collect();
    secrets.push(token);
    secrets.push(desk.staged.cluster.monitor_token().1.to_owned());
    for key in fs::read_dir(desk.staged.folder.join("keys")).unwrap() {
        let text = fs::read_to_string(key.unwrap().path()).unwrap_or_default();
        secrets.extend(text.lines().filter(|line| line.len() > 20 && !line.starts_with("--")).map(str::to_owned));
    }
    assert!(secrets.len() > 5);
    for secret in secrets {
        assert!([&summary, &bundle, &log].iter().all(|text| !text.contains(&secret)), "{secret}");
    }
    assert!(value["machines"]["grace"]["config"].get("cipassword").is_none(), "not even its mask");

    let again = desk.run(&["report", "2"]).await;
    assert!(again.code == 1 && again.err.contains("homeroom-report-run-2"), "nothing is overwritten: {again:?}");
    let seat = desk.done(&["report", "bio/grace", "--output", "grace"]).await;
    assert!(seat.contains("bio-grace") && !seat.contains("bio-ada"), "{seat}");
    let log = fs::read_to_string(desk.folder.path().join("grace/log.txt")).unwrap();
    assert!(log.contains("seat=\"grace\"") && !log.contains("seat=\"ada\""), "{log}");
    let agent = fs::read_to_string(desk.folder.path().join("grace/bundle.json")).unwrap();
    let agent: Value = serde_json::from_str(&agent).unwrap();
    assert!(agent["machines"]["grace"]["agent"]["interfaces"].is_array(), "{agent:#}");
    desk.done(&["restart", "bio/grace"]).await;
    let told = desk.done(&["report", "3", "--output", "restart"]).await;
    let at = |step: &str| told.find(&format!("\n  {step} ")).unwrap_or_else(|| panic!("{step}: {told}"));
    assert!(at("stop") < at("start") && at("start") < at("address") && at("address") < at("ssh"), "{told}");
    for (what, code) in [("99", 2), ("bio", 2), ("bio/eve", 2), ("nope/ada", 2)] {
        assert_eq!(desk.run(&["report", what]).await.code, code, "{what}");
    }
}
