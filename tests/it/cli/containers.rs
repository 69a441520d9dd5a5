//! LXC containers: entered and given commands through their node.

use serde_json::json;

use super::desk::{Desk, one_object};

const WORLD: &str = include_str!("../../../assets/scenarios/containers.toml");

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_in_containers_by_pct_on_their_nodes() {
    let desk = Desk::on(Some(WORLD), 40.0).await;
    let one = desk.run_with(&["ssh", "sim/200", "--", "cat; hostname; exit 4"], "").await;
    assert_eq!((one.code, one.out.as_str(), one.err.as_str()), (4, "ct-web\n", ""));
    assert_eq!(desk.run_with(&["ssh", "sim/200", "--", "wc -c"], "seven b").await.out, "7\n");
    desk.done(&["ssh", "sim/201", "--", "sh", "-c", "echo mine > \"/tmp/it's here\""]).await;
    assert_eq!(desk.done(&["ssh", "sim/201", "--", "cat", "/tmp/it's here"]).await, "mine\n");
    let json = desk.json(&["ssh", "sim/200", "--json", "--", "whoami"]).await;
    assert_eq!((&json["site"], &json["vmid"], &json["stdout"]), (&json!("sim"), &json!(200), &json!("root\n")));

    let both = desk.done(&["exec", "sim/200", "sim/201", "--", "echo same"]).await;
    assert_eq!(both, "2 of 2: exit 0: ct-200, ct-201\n  same\n");
    let told = desk.run(&["exec", "sim/200", "sim/201", "--json", "--", "nothing-of-the-kind"]).await;
    let told_json = one_object(&told.out);
    assert_eq!((told.code, &told_json["site"], &told_json["failed"]), (3, &json!("sim"), &json!(2)));
    // One that is down is told apart, and holds up nobody.
    let some = desk.run(&["exec", "sim/200", "sim/202", "sim/201", "sim/200", "--", "echo same"]).await;
    assert_eq!(some.code, 3, "{some:?}");
    let down = "it does not run; `pct start` on pve2 starts it";
    assert_eq!(some.out, format!("2 of 3: exit 0: ct-200, ct-201\n  same\n1 of 3: failed: ct-202\n  {down}\n"));
    let machines = desk.done(&["machines"]).await;
    assert!(!machines.contains("ct-web"), "no machine of a lab: {machines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_container_that_runs_is_told_and_what_to_do_instead() {
    let desk = Desk::on(Some(WORLD), 40.0).await;
    for (words, code, complaint) in [
        (
            &["ssh", "sim/202", "--", "true"][..],
            1,
            "homeroom: container 202 on pve2 (ct-old) does not run; on pve2: pct start 202",
        ),
        (&["ssh", "sim/203", "--", "true"], 1, "homeroom: sim has no machine or container with the number 203"),
        (
            &["ssh", "nowhere/200", "--", "true"],
            1,
            "homeroom: no Proxmox site is called nowhere; the configuration has sim",
        ),
        (
            &["exec", "sim/200", "cs100/ada", "--", "true"],
            2,
            "homeroom: seats of one lab, or containers of one site, not both",
        ),
        (
            &["console", "sim/200"],
            2,
            "homeroom: a container has no serial port; `homeroom ssh sim/200` enters it through its node, network or not",
        ),
        (
            &["ssh", "sim/200"],
            2,
            "homeroom: a shell needs a terminal; for one command: homeroom ssh sim/200 -- COMMAND",
        ),
    ] {
        assert_eq!(desk.run(words).await.refusal(), (code, complaint), "{words:?}");
    }
    let machine = desk.run(&["ssh", "sim/9100", "--", "true"]).await;
    assert!(machine.err.contains("is a virtual machine: those are reached as seats"), "{}", machine.err);
    let adopted = desk.run(&["adopt", "sim", "cs100/eve=200"]).await;
    assert_ne!(adopted.code, 0, "{}", adopted.out);
}
