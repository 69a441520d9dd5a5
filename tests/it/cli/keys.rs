//! Keys that are not what they should be: a guest that shows another host key, and a lab's own key nobody can open.

use std::{os::unix::fs::PermissionsExt as _, path::PathBuf};

use homeroom::{domain::RunId, service::own_key::can_leave};
use serde_json::json;

use super::desk::{Answer, Desk, object};
use crate::support::terminal::Terminal;

/// Another machine answers at the address of a seat's, as far as its host key tells.
fn replaced_behind_our_back(desk: &Desk, name: &str) {
    desk.staged.cluster.world(|world| {
        let vm = world.guests.values_mut().find(|vm| vm.config.get("name").is_some_and(|n| n == name)).unwrap();
        vm.inside.as_mut().unwrap().host_key = [42; 32];
    });
}

#[tokio::test]
async fn a_foreign_guest_is_refused_with_what_to_do_and_a_rebuilt_seat_asks_nothing() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    desk.write("notes", "mine\n");
    replaced_behind_our_back(&desk, "cs100-ada");

    let shows = |text: &str| {
        for part in
            ["another host key than the one on record: SHA256:", "another machine answers", "`homeroom check LAB/SEAT`"]
        {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    };
    let ssh = desk.run(&["ssh", "cs100/ada", "--", "true"]).await;
    assert_eq!(ssh.refusal().0, 1);
    shows(&ssh.err);
    let exec = desk.run(&["exec", "cs100", "--", "hostname"]).await;
    assert_eq!(exec.code, 3, "{exec:?}");
    assert!(exec.out.contains("exit 0: grace") || exec.out.contains("cs100-grace"), "the others answer: {exec:?}");
    assert!(!exec.out.contains("cs100-ada\n"), "nothing ran there: {exec:?}");
    shows(&exec.out);
    let cp = desk.run(&["cp", "notes", "cs100/ada:"]).await;
    assert_eq!(cp.code, 3, "{cp:?}");
    shows(&cp.out);

    // Made anew by us: its key is read before the first login, and nobody is asked anything.
    desk.done(&["rebuild", "cs100/ada", "--yes"]).await;
    assert_eq!(desk.done(&["ssh", "cs100/ada", "--", "hostname"]).await, "cs100-ada\n");
    desk.done(&["exec", "cs100", "--", "true"]).await;
    desk.done(&["cp", "notes", "cs100/ada:"]).await;
}

/// The record of the nodes' host keys, and what it is to be instead: each node is held to its neighbour's key, or nothing
/// is known of any.
fn nodes_known_as(desk: &Desk, change: impl FnOnce(Vec<(String, String)>) -> Vec<(String, String)>) {
    let path = desk.staged.folder.join("known_hosts");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let lines = change(lines.map(|(host, key)| (host.to_owned(), key.to_owned())).collect());
    assert!(lines.is_empty() || lines.len() == 3, "{lines:?}");
    std::fs::write(&path, lines.iter().map(|(host, key)| format!("{host} {key}\n")).collect::<String>()).unwrap();
}

fn neighbours((hosts, mut keys): (Vec<String>, Vec<String>)) -> Vec<(String, String)> {
    keys.rotate_left(1);
    hosts.into_iter().zip(keys).collect()
}

#[tokio::test]
async fn the_way_to_seats_that_were_adopted_is_refused_by_a_node_with_another_key_until_somebody_takes_it() {
    let desk = Desk::new().await;
    desk.write("notes", "mine\n");
    nodes_known_as(&desk, |lines| neighbours(lines.into_iter().unzip()));
    let mut takes = std::collections::BTreeSet::new();
    for (words, code) in [
        (&["ssh", "cs100/ada", "--", "hostname"][..], 1),
        (&["exec", "cs100", "--", "hostname"], 3),
        (&["cp", "notes", "cs100:"], 3),
        (&["check", "cs100"], 1),
    ] {
        let answer = desk.run(words).await;
        let said = format!("{}{}", answer.out, answer.err);
        assert_eq!(answer.code, code, "{words:?}: {said}");
        assert!(said.contains("shows another host key than the one on record: SHA256:"), "{words:?}: {said}");
        assert!(!said.contains("cs100-"), "nothing ran: {said}");
        let told = said.split("`homeroom doctor --trust ").skip(1).filter_map(|rest| rest.split('`').next());
        takes.extend(told.map(str::to_owned));
    }
    assert_eq!(takes.len(), 3, "each node's own: {takes:?}");
    let words: Vec<&str> = ["doctor", "--trust"].into_iter().chain(takes.iter().map(String::as_str)).collect();
    desk.run(&words).await;
    assert_eq!(desk.done(&["ssh", "cs100/ada", "--", "hostname"]).await, "cs100-ada\n");
    desk.done(&["exec", "cs100", "--", "true"]).await;
    desk.done(&["cp", "notes", "cs100:"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_dashboard_a_shell_and_a_command_on_adopted_seats_ask_about_their_nodes_keys() {
    let desk = Desk::new().await;
    nodes_known_as(&desk, |_| Vec::new());
    let mut terminal = Terminal::start(desk.in_terminal(), (80, 24));
    terminal.until("cs102");
    terminal.until("live");
    terminal.press("\r");
    terminal.until("▸ada");
    terminal.press("S");
    terminal.until("trust it");
    terminal.press("y");
    terminal.until("student@cs100-ada:~$");
    terminal.press("\x1d");
    terminal.until("enter gives it the keys");
    terminal.press("\x1b");
    terminal.until("T 1 shell");
    // The next seats are on other nodes: each is asked about, and those that wait for one answer after all.
    terminal.press("\x1b");
    terminal.until("2 classes");
    terminal.press("!");
    terminal.until("every seat of cs100");
    terminal.press("hostname\r");
    for _ in 0..2 {
        terminal.until("trust it");
        terminal.press("y");
        terminal.until_gone("trust this host key?");
    }
    terminal.until("4 of 4 answered");
    for seat in ["ada", "grace", "linus", "margaret"] {
        terminal.until(&format!("cs100-{seat}"));
    }
}

/// `cs100` with a key that is encrypted, and the configuration that opens it.
async fn locked_desk() -> (Desk, PathBuf) {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    let secret = desk.folder.path().join("passphrase");
    std::fs::write(&secret, "open sesame\n").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let opens = desk.altered("[store]\n", &format!("[store]\nkey_passphrase = {{ file = {:?} }}\n", secret));
    well(&desk.run_under(&opens, &["adopt", "sim", "--rekey", "cs100"]).await);
    (desk, opens)
}

#[track_caller]
fn well(answer: &Answer) {
    assert_eq!((answer.code, answer.err.as_str()), (0, ""), "{}", answer.out);
}

#[tokio::test]
async fn headless_a_locked_lab_key_says_where_its_passphrase_goes() {
    let (desk, opens) = locked_desk().await;
    let told = "keys/cs100 is the lab's own key and encrypted with a passphrase; give it as `key_passphrase` under \
                `[store]` in the configuration, or load the key into ssh-agent";
    desk.write("notes", "mine\n");
    for (words, code) in [
        (&["ssh", "cs100/ada", "--", "true"][..], 1),
        (&["exec", "cs100", "--", "true"], 3),
        (&["cp", "notes", "cs100/ada:"], 3),
    ] {
        let answer = desk.run(words).await;
        let said = format!("{}{}", answer.out, answer.err);
        assert!(answer.code == code && said.contains(told), "{words:?}: {answer:?}");
        well(&desk.run_under(&opens, words).await);
    }
}

#[tokio::test]
async fn a_run_that_could_not_open_the_labs_key_is_not_begun_and_not_detached() {
    let (desk, opens) = locked_desk().await;
    let toml = desk.done(&["get", "cs100", "-o", "toml"]).await;
    assert!(toml.contains("\"margaret\""), "{toml}");
    desk.apply(&toml.replace("\"margaret\"", "\"margaret\", \"rosa\"")).await;
    let before = desk.standing().await;
    for words in [
        &["deploy", "cs100", "--yes", "--detach"][..],
        &["deploy", "cs100", "--yes"],
        &["check", "cs100"],
        &["restart", "cs100/ada"],
    ] {
        let answer = desk.run(words).await;
        let (code, complaint) = answer.refusal();
        assert_eq!(code, 1, "{words:?}: {complaint}");
        for part in ["nothing was begun on cs100", "keys/cs100", "`key_passphrase` under `[store]`"] {
            assert!(complaint.contains(part), "{words:?}: {complaint}");
        }
    }
    // One that is configured and wrong is met before anything begins, by whoever would log in.
    let mistaken = desk.folder.path().join("mistaken");
    std::fs::write(&mistaken, "open barley\n").unwrap();
    std::fs::set_permissions(&mistaken, std::fs::Permissions::from_mode(0o600)).unwrap();
    let right = std::fs::read_to_string(&opens).unwrap();
    let mistaken = desk.altered("[store]\n", &format!("[store]\nkey_passphrase = {{ file = {:?} }}\n", mistaken));
    for words in [
        &["deploy", "cs100", "--yes"][..],
        &["check", "cs100"],
        &["exec", "cs100", "--", "true"],
        &["ssh", "cs100/ada", "--", "true"],
        &["cp", "gone", "cs100/ada:"],
    ] {
        let answer = desk.run_under(&mistaken, words).await;
        let (code, complaint) = answer.refusal();
        let told = "which the `key_passphrase` under `[store]` in the configuration does not open; correct it there";
        assert!(code == 1 && complaint.contains("nothing was begun on cs100"), "{words:?}: {complaint}");
        assert!(complaint.ends_with(told), "{words:?}: {complaint}");
    }
    assert_eq!(desk.standing().await, before);
    std::fs::write(&opens, right).unwrap();
    let begun = desk.run_under(&opens, &["deploy", "cs100", "--yes", "--detach", "--json"]).await;
    well(&begun);
    let run = object(begun.out.trim_end())["run"].to_string();
    let lines = desk.run(&["logs", "--run", &run, "--follow", "--json"]).await.out;
    assert_eq!(object(lines.lines().last().unwrap())["message"], json!("1 ready"), "{lines}");
    // A dashboard that has it open by what was typed in gives such a run to nobody who could not.
    let run: i64 = run.parse().unwrap();
    let bound = can_leave(&desk.staged.home, RunId(run)).await.unwrap_err().to_string();
    assert!(bound.contains("no other process can log in with cs100's own key"), "{bound}");
    // Nothing logs in for a removal.
    desk.done(&["destroy", "cs100", "--yes"]).await;
    can_leave(&desk.staged.home, RunId(run + 1)).await.unwrap();
}

#[tokio::test]
async fn a_labs_key_is_renewed_and_the_old_one_opens_nothing_any_more() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    let (old, private) = (desk.done(&["key", "cs100"]).await, desk.done(&["key", "cs100", "--private"]).await);
    assert_eq!(desk.done(&["key", "cs100", "--renew"]).await, "cs100: 4 of 4 machines have the new key\n");
    assert_ne!(desk.done(&["key", "cs100"]).await, old);
    assert_eq!(desk.done(&["ssh", "cs100/ada", "--", "hostname"]).await, "cs100-ada\n");
    let file = desk.staged.folder.join("keys/cs100");
    let new = std::fs::read(&file).unwrap();
    std::fs::write(&file, private).unwrap();
    let refused = desk.run(&["ssh", "cs100/ada", "--", "hostname"]).await;
    assert!(refused.code == 1 && refused.err.contains("is not let in"), "{refused:?}");
    std::fs::write(&file, new).unwrap();
    // One that is off is named, and has its turn with the next.
    desk.done(&["stop", "cs100/linus"]).await;
    let some = desk.run(&["key", "cs100", "--renew", "--json"]).await;
    assert_eq!(some.code, 3, "{some:?}");
    assert_eq!(object(some.out.trim())["seats"][2]["done"], json!(false));
    let public = desk.run(&["key", "cs100"]).await.out;
    desk.done(&["start", "cs100/linus"]).await;
    desk.done(&["key", "cs100", "--renew"]).await;
    assert_eq!(desk.done(&["key", "cs100"]).await, public, "the same new one goes on to who has not got it");
    desk.done(&["exec", "cs100", "--", "true"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_dashboard_a_key_is_renewed_after_a_word_and_who_has_not_got_it_is_named() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    let public = desk.done(&["key", "cs100"]).await;
    let mut terminal = Terminal::start(desk.in_terminal(), (80, 24));
    terminal.until("cs102");
    terminal.until("live");
    terminal.press(":renew-ssh-key\r");
    terminal.until("a new SSH key for cs100?");
    terminal.until("take the old one until they are.");
    terminal.press("\x1b");
    terminal.until_gone("a new SSH key");
    assert_eq!(desk.done(&["key", "cs100"]).await, public, "nothing without a yes");

    terminal.press(":renew-ssh-key\r");
    terminal.until("a new SSH key for cs100?");
    terminal.press("\r");
    terminal.until("cs100: 4 of 4 machines have the new key");
    let second = desk.done(&["key", "cs100"]).await;
    assert_ne!(second, public);
    desk.done(&["exec", "cs100", "--", "true"]).await;

    desk.staged.cluster.world(|world| world.set_agent_silent(9103, true));
    terminal.press(":renew-ssh-key\r");
    terminal.until("a new SSH key for cs100?");
    terminal.press("\r");
    terminal.until("cs100: 3 of 4 machines have the new key; margaret not: ");
    // The whole of it is in the log.
    terminal.press("4\r");
    terminal.until("following");
    let words = |terminal: &Terminal| terminal.text().split_whitespace().collect::<Vec<_>>().join(" ");
    terminal.until_met("why, and how to go on", |terminal| words(terminal).contains("`:renew-ssh-key` goes on"));
    desk.done(&["exec", "cs100", "--", "true"]).await;
    terminal.press("q");
}

#[tokio::test]
async fn a_machine_that_cannot_be_given_a_new_key_is_entered_by_the_old_one_until_it_can() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    let silent = |is: bool| desk.staged.cluster.world(|world| world.set_agent_silent(9103, is));
    let old = desk.staged.folder.join("keys/cs100.old");
    // A site that does not answer: nothing is made anew.
    let public = desk.done(&["key", "cs100"]).await;
    let api = desk.staged.cluster.api().to_owned();
    let text = std::fs::read_to_string(&desk.staged.config).unwrap();
    let line = text.lines().find(|line| line.starts_with("api = ")).unwrap_or_else(|| panic!("{api}"));
    let away = desk.altered(line, "api = [\"https://127.0.0.1:9\"]");
    assert_eq!(desk.run_under(&away, &["key", "cs100", "--renew"]).await.code, 1);
    assert_eq!((desk.done(&["key", "cs100"]).await, old.exists()), (public, false));

    silent(true);
    let some = desk.run(&["key", "cs100", "--renew"]).await;
    assert_eq!(some.code, 3, "{some:?}");
    assert!(some.out.contains("cs100: 3 of 4 machines have the new key\n  cs100/margaret has not: "), "{some:?}");
    let again = "`homeroom key cs100 --renew` again goes on with it\n";
    assert!(some.out.ends_with(&format!("\nthe old key still logs in there; {again}")) && old.exists(), "{some:?}");
    // One that never had it is not said to let it in.
    let keys = desk.staged.cluster.world(|world| {
        let keys = world.guests[&9103].config["sshkeys"].clone();
        world.edit_config(9103, "sshkeys", None);
        keys
    });
    let some = desk.run(&["key", "cs100", "--renew"]).await;
    assert!(some.out.ends_with(&format!("\n{again}")), "{some:?}");
    desk.staged.cluster.world(|world| world.edit_config(9103, "sshkeys", Some(&keys)));
    desk.done(&["exec", "cs100", "--", "true"]).await;
    silent(false);
    let check = desk.run(&["check", "cs100/margaret"]).await;
    assert!(check.code == 0 && check.out.contains("not finished for margaret: "), "{check:?}");
    desk.done(&["key", "cs100", "--renew"]).await;
    assert!(!old.exists());
    desk.done(&["check", "cs100"]).await;
}
