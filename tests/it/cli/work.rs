//! `plan`, `deploy`, `status`, `check`, `machines`, `nodes`, `roster`, `ssh`, `destroy`: a class's life from a shell.

use serde_json::Value;

use super::desk::{Desk, fields, object, one_object};

const BIO: &str = r#"kind = "class"
name = "bio"
site = "sim"
template = "ubuntu-22.04"
students = ["ada"]
teacher = true
[cloud_init]
user = "student"
password = "generate"
"#;

const STATUS: [&str; 10] =
    ["schema", "lab", "kind", "site", "state", "word", "held_by", "blind", "renewal", "machines"];
const MACHINE: [&str; 12] =
    ["seat", "role", "name", "site", "node", "vmid", "state", "word", "ip", "reason", "proven_at", "steps"];
const STEP: [&str; 5] = ["step", "state", "attempts", "seconds", "at"];
const EVENT: [&str; 10] = ["schema", "at", "seq", "run", "lab", "seat", "machine", "step", "level", "message"];
const SUMMARY: [&str; 6] = ["run", "state", "ready", "failed", "left_alone", "seconds"];

#[tokio::test]
async fn a_class_is_planned_deployed_proven_used_and_destroyed() {
    let desk = Desk::new().await;
    desk.apply(BIO).await;
    planned(&desk).await;
    deployed(&desk).await;
    ready(&desk).await;
    used(&desk).await;
    checked(&desk).await;
    destroyed(&desk).await;
}

async fn planned(desk: &Desk) {
    let table = desk.done(&["plan", "bio"]).await;
    assert!(table.starts_with("deploy bio on sim: 2 create\n"), "{table}");
    let plan = desk.json(&["plan", "bio", "--json"]).await;
    assert_eq!((&plan["lab"], &plan["create"], &plan["remove"]), (&"bio".into(), &2.into(), &0.into()));
    assert_eq!(plan["seats"][0]["seat"], "teacher");
    assert_eq!((desk.run(&["plan", "bio", "--detailed-exitcode"]).await.code), 2);
    assert_eq!((desk.run(&["plan", "boi", "--detailed-exitcode"]).await.code), 1);
    assert_eq!((desk.run(&["plan", "boi"]).await.code), 2);

    let status = desk.run(&["status", "bio", "--json"]).await;
    assert_eq!(status.code, 3);
    let status = one_object(&status.out);
    assert_eq!((&status["state"], &status["machines"][0]["state"]), (&"absent".into(), &"planned".into()));

    let unconfirmed = desk.run(&["deploy", "bio"]).await;
    assert_eq!(unconfirmed.err, "not done: `homeroom deploy bio --yes` does it\n");
    assert!(unconfirmed.code == 4 && unconfirmed.out.starts_with("deploy bio on sim: 2 create\n"), "{unconfirmed:?}");
}

async fn deployed(desk: &Desk) {
    let lines = desk.done(&["deploy", "bio", "--yes", "--json"]).await;
    let (events, summary) = lines.trim_end().rsplit_once('\n').unwrap();
    for (n, line) in events.lines().enumerate() {
        let event = object(line);
        assert_eq!(fields(&event), EVENT);
        assert_eq!((event["seq"].as_u64(), &event["lab"]), (Some(n as u64 + 1), &"bio".into()));
        is_time(&event["at"]);
    }
    let summary = object(summary);
    assert_eq!(fields(&summary), ["schema", "summary"]);
    assert_eq!(fields(&summary["summary"]), SUMMARY);
    let of = |name: &str| summary["summary"][name].clone();
    assert_eq!((of("state"), of("ready"), of("failed")), ("done".into(), 2.into(), 0.into()));
    assert!(of("seconds").as_f64() > Some(5.0), "{summary}");

    let again = desk.json(&["deploy", "bio", "--yes", "--json"]).await;
    assert_eq!(
        again["summary"],
        serde_json::json!({"run": null, "state": "done", "ready": 2, "failed": 0, "left_alone": 0, "seconds": 0})
    );
    assert_eq!(desk.done(&["deploy", "bio", "--yes"]).await, "bio: nothing to do, 2 machines stand as defined\n");
    assert_eq!(desk.done(&["deploy", "bio"]).await, "bio: nothing to do, 2 machines stand as defined\n");
    desk.done(&["plan", "bio", "--detailed-exitcode"]).await;
}

async fn ready(desk: &Desk) {
    let status = desk.json(&["status", "bio", "--json"]).await;
    assert_eq!(fields(&status), STATUS);
    assert_eq!((&status["kind"], &status["state"]), (&"class".into(), &"ready".into()));
    let machines = status["machines"].as_array().unwrap();
    let roles: Vec<_> = machines.iter().map(|machine| (&machine["seat"], &machine["role"])).collect();
    assert_eq!(
        roles,
        [(&"teacher".into(), &"teacher".into()), (&"ada".into(), &"student".into())] as [(&Value, &Value); 2]
    );
    for machine in machines {
        assert_eq!(fields(machine), MACHINE);
        assert_eq!(machine["state"], "ready");
        assert!(machine["ip"].as_str().unwrap().starts_with("10."));
        is_time(&machine["proven_at"]);
        let steps = machine["steps"].as_array().unwrap();
        let names: Vec<_> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
        let order = "reserve clone configure start address agent exec verify ssh";
        assert_eq!(names.join(" "), order);
        for step in steps {
            assert_eq!((fields(step), &step["state"]), (STEP.to_vec(), &"ok".into()));
            assert!(step["attempts"].as_u64() >= Some(1) && step["seconds"].is_number(), "{step}");
            is_time(&step["at"]);
        }
    }
    let all = desk.json(&["status", "--json"]).await;
    assert_eq!(all["labs"][0]["lab"], "bio");
    let machines = desk.json(&["machines", "--json"]).await;
    assert_eq!(machines["machines"][0]["lab"], "bio");
    let table = desk.done(&["machines"]).await;
    assert!(table.starts_with("LAB    SEAT      NAME            NODE  VMID  STATE  ADDRESS"), "{table}");

    let nodes = desk.json(&["nodes", "--json"]).await;
    assert_eq!(fields(&nodes), ["schema", "nodes", "storages"]);
    let node =
        ["site", "node", "online", "cpu", "cpus", "memory_used", "memory", "uptime", "machines", "version", "at"];
    assert_eq!(fields(&nodes["nodes"][0]), node);
}

async fn used(desk: &Desk) {
    let roster = desk.json(&["roster", "bio", "--json"]).await;
    assert_eq!(fields(&roster["seats"][0]), ["seat", "role", "machine", "ip", "user", "password", "state"]);
    let (ip, password) = (roster["seats"][1]["ip"].as_str().unwrap(), roster["seats"][1]["password"].as_str().unwrap());
    let csv = desk.done(&["roster", "bio", "--csv"]).await;
    let lines: Vec<_> = csv.lines().collect();
    assert_eq!(lines[0], "seat,machine,address,user,password");
    assert_eq!(lines[2], format!("ada,bio-ada,{ip},student,{password}"));

    assert_eq!(desk.done(&["ssh", "bio/ada", "--", "hostname"]).await, "bio-ada\n");
    for (words, code, out) in [
        (&["exit 7"][..], 7, ""),
        (&["echo one; exit 3"], 3, "one\n"),
        (&["sh", "-c", "echo two; exit 4"], 4, "two\n"),
        (&["echo", "a  b"], 0, "a  b\n"),
    ] {
        let words = [&["ssh", "bio/ada", "--"], words].concat();
        let answer = desk.run(&words).await;
        assert_eq!((answer.code, answer.out.as_str()), (code, out), "{words:?}: {}", answer.err);
    }
    let unknown = desk.run(&["ssh", "bio/ada", "--", "no-such-program"]).await;
    assert_eq!(unknown.code, 127);
    assert!(unknown.err.contains("no-such-program"), "{}", unknown.err);
    let json = desk.run(&["ssh", "bio/ada", "--json", "--", "exit 7"]).await;
    let said = one_object(&json.out);
    assert_eq!(fields(&said), ["schema", "lab", "seat", "code", "stdout", "stderr"]);
    assert_eq!((json.code, &said["code"]), (7, &7.into()));

    for (what, complaint) in [
        ("bio/eve", "homeroom: bio has no seat eve; it has teacher, ada"),
        ("bio", "homeroom: name a seat: homeroom ssh bio/SEAT"),
        ("nope/ada", "homeroom: no lab is called nope; `homeroom get` lists them"),
    ] {
        assert_eq!(desk.run(&["ssh", what, "--", "true"]).await.refusal(), (2, complaint));
    }
    let absent = desk.run(&["ssh", "cs101/teacher", "--", "true"]).await;
    assert_eq!(absent.refusal(), (1, "homeroom: cs101/teacher has no machine; `homeroom deploy cs101` makes it"));
}

async fn checked(desk: &Desk) {
    let lines = desk.done(&["check", "bio/ada", "--json"]).await;
    let summary = object(lines.lines().last().unwrap());
    assert_eq!((&summary["summary"]["state"], &summary["summary"]["ready"]), (&"done".into(), &1.into()));
    let unknown = desk.run(&["check", "bio/eve"]).await;
    assert_eq!(unknown.refusal(), (2, "homeroom: bio has no seat eve; it has teacher, ada"));
    let absent = desk.run(&["check", "cs101"]).await;
    let complaint =
        "homeroom: cs101 cannot be planned: cs101 has no machines to check; `homeroom deploy cs101` makes them";
    assert_eq!(absent.refusal(), (2, complaint));
    let mixed = desk.run(&["check", "bio/ada", "cs100/ada"]).await;
    assert_eq!(mixed.refusal(), (2, "homeroom: one lab at a time: every LAB/SEAT must be of the same lab"));
}

async fn destroyed(desk: &Desk) {
    let unconfirmed = desk.run(&["destroy", "bio/ada"]).await;
    assert_eq!(
        (unconfirmed.code, unconfirmed.err.as_str()),
        (4, "not done: `homeroom destroy bio/ada --yes` does it\n")
    );
    assert!(unconfirmed.out.starts_with("destroy bio on sim: 1 remove\n"), "{}", unconfirmed.out);
    let mistyped = desk.run(&["destroy", "bio", "--yes", "--confirm", "boi"]).await;
    let complaint = "homeroom: refused: --confirm says \"boi\", and the lab is bio; nothing was removed";
    assert_eq!(mistyped.refusal(), (4, complaint));
    let unknown = desk.run(&["destroy", "bio/eve", "--yes"]).await;
    assert_eq!(unknown.refusal(), (2, "homeroom: bio has no seat eve; it has teacher, ada"));

    desk.done(&["destroy", "bio/ada", "--yes"]).await;
    let left = one_object(&desk.run(&["status", "bio", "--json"]).await.out);
    let states: Vec<_> = left["machines"].as_array().unwrap().iter().map(|machine| &machine["state"]).collect();
    assert_eq!(states, ["ready", "planned"]);

    let production = desk.altered("environment = \"dev\"", "environment = \"prod\"");
    let refused = desk.run_under(&production, &["destroy", "bio", "--yes"]).await;
    let complaint = "homeroom: refused: bio is on the prod site sim; add --confirm bio to destroy there";
    assert_eq!(refused.refusal(), (4, complaint));
    let done = desk.run_under(&production, &["destroy", "bio", "--yes", "--confirm", "bio", "--json"]).await;
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    let summary = object(done.out.lines().last().unwrap());
    assert_eq!((fields(&summary["summary"]), &summary["summary"]["state"]), (SUMMARY.to_vec(), &"done".into()));
    assert_eq!(desk.done(&["destroy", "bio", "--yes"]).await, "bio: nothing to do, it has no machines\n");
    assert_eq!(desk.done(&["delete", "bio"]).await, "bio deleted\n");
}

/// RFC 3339, in UTC.
fn is_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("a time: {value}"));
    assert!(text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok(), "{text}");
}
