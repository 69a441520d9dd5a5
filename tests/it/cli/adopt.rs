//! `adopt`: a store is lost, another store's machines are taken over, and machines made by hand come in.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::desk::{Answer, Desk, one_object};
use crate::support::seen::{self, Seen};

/// The store's database goes; with its identity and its keys, all that was known goes.
fn lose_the_store(desk: &Desk, identity_too: bool) {
    for name in ["homeroom.db", "homeroom.db-wal", "homeroom.db-shm"] {
        let _ = std::fs::remove_file(desk.staged.folder.join(name));
    }
    if identity_too {
        std::fs::remove_file(desk.staged.folder.join("homeroom.db.id")).unwrap();
        std::fs::remove_dir_all(desk.staged.folder.join("keys")).unwrap();
    }
}

/// A class `duo` without a teacher.
async fn apply(desk: &Desk, template: &str, rest: &str) {
    let head =
        format!("kind = \"class\"\nname = \"duo\"\nsite = \"sim\"\ntemplate = \"{template}\"\nteacher = false\n");
    desk.apply(&format!("{head}{rest}\n")).await;
}

/// The machines of `cs100` as the cluster itself has them.
fn machines(desk: &Desk) -> Vec<Seen> {
    seen::guests(&desk.staged.cluster).into_iter().filter(|guest| guest.name.starts_with("cs100-")).collect()
}

fn state_of(answer: &Answer, seat: &str) -> Value {
    let status = one_object(&answer.out);
    status["machines"].as_array().unwrap().iter().find(|machine| machine["seat"] == seat).unwrap().clone()
}

#[tokio::test]
async fn a_lost_store_comes_back_from_the_marks_and_every_machine_proves_itself() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    let before = machines(&desk);
    let known = one_object(&desk.run(&["status", "cs100", "--json"]).await.out);
    lose_the_store(&desk, false);
    assert_eq!(desk.run(&["status", "cs100"]).await.code, 2, "nothing is known");

    let adopted = desk.json(&["adopt", "sim", "--json"]).await;
    let lab = &adopted["adopted"][0];
    assert_eq!((&lab["lab"], &lab["defined"]), (&json!("cs100"), &json!(true)));
    assert_eq!(lab["seats"], json!(["ada", "grace", "linus", "margaret"]));
    assert_eq!((&adopted["others"], &adopted["left"]), (&json!([]), &json!([])));
    assert_eq!(machines(&desk), before, "nothing was changed");

    let status = desk.run(&["status", "cs100", "--json"]).await;
    assert_eq!(status.code, 3);
    for machine in known["machines"].as_array().unwrap() {
        let now = state_of(&status, machine["seat"].as_str().unwrap());
        for field in ["name", "node", "vmid", "ip"] {
            assert_eq!(now[field], machine[field], "{field} of {now}");
        }
        assert_eq!((&now["state"], &now["reason"]), (&json!("stale"), &json!("adopted, not proven yet")));
    }
    // Not proven yet, and yet within reach: who it is is asked of its agent right there.
    assert_eq!(desk.done(&["ssh", "cs100/ada", "--", "hostname"]).await, "cs100-ada\n");
    let all = desk.done(&["exec", "cs100", "--", "echo here"]).await;
    assert_eq!(all, "4 of 4: exit 0: ada, grace, linus, margaret\n  here\n");
    desk.done(&["check", "cs100"]).await;
    assert_eq!(desk.json(&["status", "cs100", "--json"]).await["state"], "ready");
    assert_eq!(desk.done(&["plan", "cs100"]).await, "cs100: nothing to do, 4 machines stand as defined\n");
    assert_eq!(machines(&desk), before);
    let again = desk.run(&["adopt", "sim"]).await;
    assert_eq!((again.code, again.err.as_str()), (0, "sim has no marked machine that the store does not know\n"));
}

#[tokio::test]
async fn machines_that_only_their_marks_tell_of_are_named_by_a_destroy_and_never_doubled_by_a_deploy() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    let definition = desk.done(&["get", "cs100", "-o", "toml"]).await;
    lose_the_store(&desk, false);
    desk.apply(&definition).await;
    for guest in machines(&desk) {
        desk.staged.cluster.world(|world| world.edit_config(guest.vmid, "name", Some(&format!("pet-{}", guest.vmid))));
    }
    let before = seen::guests(&desk.staged.cluster);
    for words in [&["destroy", "cs100"][..], &["destroy", "cs100", "--yes"]] {
        let told = desk.run(words).await;
        assert_eq!(told.code, 3, "{told:?}");
        for part in ["4 left alone", "9101 on pve2", "`homeroom adopt sim` takes them back, then destroy again"] {
            assert!(told.out.contains(part), "{part}: {told:?}");
        }
    }
    let one = desk.run(&["destroy", "cs100/ada", "--yes", "--json"]).await;
    assert_eq!((one.code, &one_object(&one.out)["summary"]["left_alone"]), (3, &json!(1)), "{one:?}");
    // The cluster lists new names some seconds late: until then the old ones are what is in the way.
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        let deploy = desk.run(&["deploy", "cs100", "--yes"]).await;
        assert_eq!(deploy.code, 2, "{deploy:?}");
        if deploy.err.contains("carry our mark for cs100") {
            break;
        }
        assert!(deploy.err.contains("already there, not known to this store"), "{deploy:?}");
        assert!(Instant::now() < until, "{deploy:?}");
    }
    assert_eq!(seen::guests(&desk.staged.cluster), before, "nothing was touched");
    desk.done(&["adopt", "sim"]).await;
    desk.done(&["destroy", "cs100", "--yes"]).await;
    let left = seen::guests(&desk.staged.cluster);
    assert!(!left.iter().any(|guest| guest.mark("lab") == Some("cs100")), "{left:#?}");
}

#[tokio::test]
async fn a_lab_with_an_adopted_machine_too_many_is_not_ready() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    let definition = desk.done(&["get", "cs100", "-o", "toml"]).await;
    lose_the_store(&desk, false);
    let fewer = definition.replace(", \"margaret\"", "");
    assert_ne!(fewer, definition);
    desk.apply(&fewer).await;
    desk.done(&["adopt", "sim"]).await;
    desk.done(&["check", "cs100/ada", "cs100/grace", "cs100/linus"]).await;
    let status = desk.run(&["status", "cs100", "--json"]).await;
    assert_eq!((status.code, &one_object(&status.out)["state"]), (3, &json!("partial")), "{status:?}");
    let margaret = state_of(&status, "margaret");
    assert_eq!((&margaret["state"], &margaret["reason"]), (&json!("stale"), &json!("adopted, not proven yet")));
    desk.run(&["deploy", "cs100", "--yes", "--allow-remove"]).await;
    desk.done(&["status", "cs100"]).await;
}

#[tokio::test]
async fn what_single_machines_have_for_themselves_is_regained_and_no_mark_s_run_is_counted_again() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    lose_the_store(&desk, false);
    let all = machines(&desk);
    let number = |name: &str| all.iter().find(|guest| guest.name == name).unwrap().vmid;
    let (ada, grace) = (number("cs100-ada"), number("cs100-grace"));
    desk.staged.cluster.world(|world| {
        for guest in &all {
            world.edit_config(guest.vmid, "memory", Some("3072"));
        }
        world.edit_config(ada, "cores", Some("4"));
        world.edit_config(ada, "tags", Some("homeroom;loud"));
        world.edit_config(grace, "net0", Some("virtio=BC:24:11:00:00:77,bridge=vmbr0,tag=7"));
        world.edit_config(grace, "protection", Some("1"));
        let text = world.guests[&grace].config["description"].clone();
        let run = text.split(' ').find(|word| word.starts_with("run=")).unwrap().to_owned();
        world.edit_config(grace, "description", Some(&text.replace(&run, "run=41")));
    });
    let before = machines(&desk);
    let adopted = desk.json(&["adopt", "sim", "--json"]).await;
    let notes = adopted["notes"].to_string();
    assert!(notes.contains("only ada, grace of cs100"), "{adopted:#}");
    let text = desk.done(&["get", "cs100", "-o", "toml"]).await;
    for line in ["memory = \"3G\"", "[machines.ada]", "cores = 4", "[machines.grace]", "vlan = 7", "protection = true"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    let plan = desk.json(&["plan", "cs100", "--json"]).await;
    for seat in plan["seats"].as_array().unwrap() {
        assert_eq!((&seat["verb"], &seat["changes"]), (&json!("prove"), &json!([])), "{plan:#}");
    }
    let runs = desk.json(&["runs", "--json"]).await;
    assert_eq!(runs["runs"][0]["run"], json!(42), "the highest mark names run 41");
    assert_eq!(machines(&desk), before, "nothing was changed");
}

#[tokio::test]
async fn another_stores_machines_are_taken_over_only_when_asked_and_given_a_new_key() {
    let desk = Desk::new().await;
    lose_the_store(&desk, true);
    let before = machines(&desk);
    let refused = desk.run(&["adopt", "sim"]).await;
    assert_eq!(refused.code, 4, "{}", refused.out);
    assert!(refused.err.contains("`homeroom adopt sim --take-over`"), "{}", refused.err);
    assert!(refused.out.contains("carries another store's mark, for cs100/ada"), "{}", refused.out);
    assert_eq!(machines(&desk), before, "nothing was written");

    let taken = desk.json(&["adopt", "sim", "--take-over", "--json"]).await;
    assert_eq!(taken["adopted"][0]["seats"], json!(["ada", "grace", "linus", "margaret"]));
    for (now, before) in machines(&desk).iter().zip(&before) {
        assert_ne!(now.mark("store"), before.mark("store"));
        assert!(now.is("cs100", now.name.strip_prefix("cs100-").unwrap()) && now.running, "{now:#?}");
        assert_eq!(now.birth, before.birth);
    }
    // The key went with the store: the machines do not know the new one.
    assert_eq!(desk.run(&["check", "cs100"]).await.code, 3);
    let keys = desk.json(&["adopt", "sim", "--rekey", "cs100", "--json"]).await;
    let rekeyed = keys["rekeyed"][0]["seats"].as_array().unwrap();
    assert!(rekeyed.len() == 4 && rekeyed.iter().all(|seat| seat["done"] == json!(true)), "{keys:#}");
    desk.done(&["check", "cs100"]).await;
    assert_eq!(desk.done(&["plan", "cs100"]).await, "cs100: nothing to do, 4 machines stand as defined\n");
    // Again, though nothing is lost: the old key lets nobody in any more.
    let file = desk.staged.folder.join("keys/cs100");
    let old = std::fs::read(&file).unwrap();
    desk.done(&["adopt", "sim", "--rekey", "cs100"]).await;
    assert_ne!(std::fs::read(&file).unwrap(), old);
    desk.done(&["check", "cs100"]).await;
}

#[tokio::test]
async fn a_machine_made_by_hand_comes_in_by_name_or_number_and_keeps_its_words() {
    let desk = Desk::new().await;
    lose_the_store(&desk, false);
    let ada = machines(&desk).into_iter().find(|guest| guest.name == "cs100-ada").unwrap().vmid;
    desk.staged.cluster.world(|world| {
        let config = &mut world.guests.get_mut(&ada).unwrap().config;
        config.insert("description".into(), "Ada's machine\nbackup: weekly".into());
        config.insert("tags".into(), "blue".into());
        config.insert("name".into(), "web1".into());
    });
    let left = desk.json(&["adopt", "sim", "--json"]).await;
    assert_eq!(left["adopted"][0]["seats"], json!(["grace", "linus", "margaret"]));
    let number = ada.to_string();
    for (words, code, complaint) in [
        (["adopt", "sim", "web=1"], 2, "no seat is named"),
        (["adopt", "sim", "cs100/ada"], 2, "no machine is named"),
        (["adopt", "sim", "cs100/ada=web9"], 1, "no machine of the site is called web9"),
        (["adopt", "sim", "cs100/ada=ubuntu-22.04"], 4, "ubuntu-22.04 is a template"),
    ] {
        let answer = desk.run(&words).await;
        assert!(answer.code == code && answer.err.contains(complaint), "{answer:?}");
    }
    let other = desk.run(&["adopt", "sim", &format!("web/eve={}", machines(&desk)[0].vmid)]).await;
    assert!(other.code == 1 && other.out.contains("is cs100/grace already"), "{other:?}");

    let taken = desk.json(&["adopt", "sim", &format!("web/ada={number}"), "--json"]).await;
    assert_eq!(taken["adopted"], json!([{"lab": "web", "defined": true, "seats": ["ada"]}]));
    let guest = seen::guests(&desk.staged.cluster).into_iter().find(|guest| guest.vmid == ada).unwrap();
    assert!(guest.is("web", "ada") && guest.running, "{guest:#?}");
    assert!(guest.config["description"].starts_with("Ada's machine\nbackup: weekly\nhomeroom/1 "), "{guest:#?}");
    assert_eq!((guest.config["tags"].as_str(), guest.name.as_str()), ("blue;homeroom", "web1"));
    let status = desk.run(&["status", "web", "--json"]).await;
    assert_eq!(state_of(&status, "ada")["vmid"], json!(ada));
}

#[tokio::test]
async fn a_machine_of_ours_that_lost_its_mark_is_called_that_and_not_another_stores() {
    let desk = Desk::new().await;
    let ada = machines(&desk).into_iter().find(|guest| guest.name == "cs100-ada").unwrap().vmid;
    desk.staged.cluster.world(|world| drop(world.guests.get_mut(&ada).unwrap().config.remove("description")));
    let report = desk.json(&["adopt", "sim", "--json"]).await;
    let left = report["left"][0].as_str().unwrap();
    assert!(left.contains("is named like cs100/ada and carries no mark of its own"), "{left}");
    assert_eq!(report["others"], json!([]));
    let back = desk.done(&["adopt", "sim", "cs100/ada=cs100-ada"]).await;
    assert!(back.contains("1 adopted (ada)") && !back.contains("left alone:"), "{back}");
    assert!(!back.contains("--rekey"), "homeroom made it, and its key is in it: {back}");
    let guest = seen::guests(&desk.staged.cluster).into_iter().find(|guest| guest.vmid == ada).unwrap();
    assert!(guest.is("cs100", "ada"), "its mark is back: {guest:#?}");
}

#[tokio::test]
async fn a_mark_put_back_forgets_nothing_of_the_machine() {
    let desk = Desk::new().await;
    apply(&desk, "ubuntu-22.04", "students = [\"ada\"]\n[machine]\nmemory = \"3G\"").await;
    desk.done(&["deploy", "duo", "--yes"]).await;
    let ada = || seen::guests(&desk.staged.cluster).into_iter().find(|guest| guest.name == "duo-ada").unwrap();
    let vmid = ada().vmid;
    desk.staged.cluster.world(|world| world.edit_config(vmid, "description", None));
    desk.done(&["adopt", "sim", "duo/ada=duo-ada"]).await;
    assert!(ada().is("duo", "ada"));
    desk.staged.cluster.world(|world| world.edit_config(vmid, "memory", Some("4096")));
    let plan = desk.json(&["plan", "duo", "--json"]).await;
    let change = &plan["seats"][0]["changes"][0];
    assert_eq!((&change["field"], &change["drift"]), (&json!("memory"), &json!(true)), "{plan:#}");
    apply(&desk, "ubuntu-22.04", "students = [\"ada\"]").await;
    let plan = desk.json(&["plan", "duo", "--json"]).await;
    let change = &plan["seats"][0]["changes"][0];
    assert_eq!((&change["to"], change.get("drift")), (&json!("2 GiB"), None), "{plan:#}");
    // What it was cloned from is known too.
    apply(&desk, "debian-12", "students = [\"ada\"]").await;
    let plan = desk.json(&["plan", "duo", "--json"]).await;
    assert_eq!(plan["seats"][0]["verb"], json!("replace"), "{plan:#}");
}

#[tokio::test]
async fn a_definition_made_out_of_machines_says_what_it_could_not_tell_and_knows_what_is_changed_since() {
    let desk = Desk::new().await;
    apply(
        &desk,
        "ubuntu-22.04",
        "students = [\"ada\", \"grace\"]\n[machine]\nmemory = \"3G\"\n[cloud_init]\npassword = \"generate\"",
    )
    .await;
    desk.done(&["deploy", "duo", "--yes"]).await;
    let roster = desk.done(&["roster", "duo", "--csv"]).await;
    let keys = desk.staged.folder.join("keys");
    let kept = desk.folder.path().join("kept");
    lose_the_store(&desk, false);
    // The secret that passwords are made from is there still: they are the same.
    desk.done(&["adopt", "sim"]).await;
    let text = desk.done(&["get", "duo", "-o", "toml"]).await;
    assert!(text.contains("password = \"generate\""), "{text}");
    let passwords = |roster: &str| {
        let rows = roster.lines().map(|line| line.split(',').nth(3).unwrap_or_default().to_owned());
        rows.collect::<Vec<_>>()
    };
    assert_eq!(passwords(&desk.done(&["roster", "duo", "--csv"]).await), passwords(&roster));

    lose_the_store(&desk, false);
    std::fs::create_dir_all(&kept).unwrap();
    for entry in std::fs::read_dir(&keys).unwrap().flatten() {
        if entry.file_name().to_string_lossy().contains("duo") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    let told = desk.done(&["adopt", "sim"]).await;
    let text = desk.done(&["get", "duo", "-o", "toml"]).await;
    for place in [&told, &text] {
        assert!(place.contains("every seat of duo has a password that cannot be read back"), "{place}");
        assert!(place.contains("[rollcall]"), "{place}");
    }
    assert!(text.starts_with("# ") && !text.contains("password = \"generate\"\n"), "{text}");
    assert!(text.contains("template = \"ubuntu-22.04\""), "{text}");

    // The lab's key went with the store: told apart, and what to do.
    let plan = desk.done(&["plan", "duo"]).await;
    assert!(plan.contains("`homeroom adopt sim --rekey duo`"), "{plan}");
    assert!(plan.matches("homeroom duo SHA256:").count() >= 4, "{plan}");
    let check = desk.run(&["check", "duo"]).await;
    assert!(check.code == 3 && check.out.contains("`homeroom adopt sim --rekey duo`"), "{check:?}");
    desk.done(&["adopt", "sim", "--rekey", "duo"]).await;
    // What the roll call came to was of the key that is no more.
    let ada = state_of(&desk.run(&["status", "duo", "--json"]).await, "ada");
    let words = json!("was given the lab's new key, not proven since");
    assert_eq!((&ada["state"], &ada["reason"]), (&json!("stale"), &words), "{ada:#}");
    desk.done(&["check", "duo"]).await;
    assert_eq!(desk.done(&["plan", "duo"]).await, "duo: nothing to do, 2 machines stand as defined\n");

    // From here on it is known who changes what.
    let ada = seen::guests(&desk.staged.cluster).into_iter().find(|guest| guest.name == "duo-ada").unwrap().vmid;
    desk.staged.cluster.world(|world| world.edit_config(ada, "onboot", Some("1")));
    let plan = desk.done(&["plan", "duo"]).await;
    assert!(plan.contains("ada onboot: on -> off") && plan.contains("someone else"), "{plan}");
    let text = text.replace("memory = \"3G\"\n", "");
    let file = desk.folder.path().join("duo.toml");
    std::fs::write(&file, &text).unwrap();
    desk.done(&["apply", "-f", file.to_str().unwrap()]).await;
    let plan = desk.done(&["plan", "duo"]).await;
    assert!(plan.contains("grace memory: 3 GiB -> 2 GiB\n"), "{plan}");
    assert!(!desk.done(&["get", "duo", "-o", "toml"]).await.starts_with('#'), "it was read");
}
