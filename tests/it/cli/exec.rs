//! `exec`: one command on every seat, equal answers folded.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::desk::{Desk, fields, one_object};

/// A desk whose standing class has been proven, so that everybody knows the ways in.
async fn proven() -> Desk {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    desk
}

#[tokio::test]
async fn equal_answers_are_one_block_and_the_odd_one_is_held_against_them() {
    let desk = proven().await;
    assert_eq!(
        desk.done(&["exec", "cs100", "--", "printf 'one\\ntwo\\n'"]).await,
        "4 of 4: exit 0: ada, grace, linus, margaret\n  one\n  two\n"
    );
    desk.done(&["ssh", "cs100/linus", "--", "echo mine > /tmp/made"]).await;
    let odd = desk.run(&["exec", "cs100", "--", "echo first; cat /tmp/made 2>/dev/null || echo theirs; exit 0"]).await;
    assert_eq!((odd.code, odd.err.as_str()), (0, ""));
    assert_eq!(
        odd.out,
        "3 of 4: exit 0: ada, grace, margaret\n  first\n  theirs\n\
         1 of 4: exit 0: linus\n  against the 3:\n    first\n  - theirs\n  + mine\n"
    );
    let failed = desk.run(&["exec", "cs100", "--", "cat /tmp/made > /dev/null 2> /dev/null && exit 7"]).await;
    assert_eq!(failed.code, 3);
    assert_eq!(
        failed.out,
        "3 of 4: exit 1: ada, grace, margaret\n  (no output)\n1 of 4: exit 7: linus\n  (same output as the 3)\n"
    );
    let each = desk.done(&["exec", "cs100/ada", "cs100/linus", "cs100/ada", "--", "hostname"]).await;
    assert_eq!(each, "1 of 2: exit 0: ada\n  cs100-ada\n1 of 2: exit 0: linus\n  cs100-linus\n");
}

#[tokio::test]
async fn who_gives_one_up_is_told_what_all_others_answered() {
    let desk = proven().await;
    let marks = |name: &str| {
        desk.staged.cluster.world(|world| {
            let insides = world.guests.values().filter_map(|vm| vm.inside.as_ref());
            insides.filter(|inside| inside.files.contains_key(name)).count()
        })
    };
    for (mark, json) in [("/tmp/one", false), ("/tmp/two", true)] {
        let line = format!("test $(hostname) = cs100-grace && sleep 6000; touch {mark}; echo done");
        let mut words = vec!["exec", "cs100", "--", &line];
        if json {
            words.insert(1, "--json");
        }
        let mut exec = desk.command(&words);
        let child = exec.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while marks(mark) < 3 {
            assert!(Instant::now() < until, "three never answered");
            tokio::task::yield_now().await;
        }
        // Their answers are a few milliseconds on the way; this takes longer than that.
        desk.done(&["exec", "cs100", "--at-once", "1", "--", "hostname"]).await;
        kill_process(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap(), Signal::INT).unwrap();
        let output = child.wait_with_output().await.unwrap();
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(130), "{out}{err}");
        if json {
            let said = one_object(&out);
            assert_eq!(
                (&said["ok"], &said["failed"], &said["seats"][0]["stdout"]),
                (&json!(3), &json!(1), &json!("done\n"))
            );
            assert_eq!(said["seats"][1]["error"], json!("given up before it had answered"));
            assert_eq!(err, "");
        } else {
            assert!(out.starts_with("3 of 4: exit 0: ada, linus, margaret\n  done\n"), "{out}");
            assert!(out.contains("1 of 4: failed: grace\n  given up before it had answered\n"), "{out}");
            assert_eq!(err, "\nhomeroom: given up on grace; 3 of 4 had answered\n");
        }
    }
}

#[tokio::test]
async fn programs_get_every_seats_answer_and_its_block() {
    let desk = proven().await;
    let said = desk.run(&["exec", "cs100", "--json", "--", "sh", "-c", "echo out; echo err >&2; exit 3"]).await;
    assert_eq!((said.code, said.err.as_str()), (3, ""));
    let said = one_object(&said.out);
    assert_eq!(fields(&said), ["schema", "lab", "command", "ok", "failed", "blocks", "seats"]);
    assert_eq!((&said["ok"], &said["failed"]), (&json!(0), &json!(4)));
    assert_eq!(said["blocks"], json!([{"seats": ["ada", "grace", "linus", "margaret"], "code": 3, "error": null}]));
    let seat = &said["seats"][1];
    assert_eq!(fields(seat), ["seat", "via", "code", "error", "stdout", "stderr", "cut", "seconds"]);
    let of = |name: &str| seat[name].clone();
    assert_eq!(
        [of("seat"), of("via"), of("stdout"), of("stderr")],
        ["grace", "ssh", "out\n", "err\n"].map(Value::from)
    );
}

#[tokio::test]
async fn a_command_is_fed_timed_cut_off_and_asked_of_the_agent() {
    let desk = proven().await;
    let file = desk.write("names", "bob\neve\n");
    assert_eq!(
        desk.done(&["exec", "cs100/ada", "cs100/grace", "--stdin", &file, "--", "wc", "-l"]).await,
        "2 of 2: exit 0: ada, grace\n  2\n"
    );
    let fed = desk.run_with(&["exec", "cs100/ada", "--stdin", "-", "--", "cat"], "a\x1b[31mred\x1b[0m\x07\n").await;
    assert_eq!((fed.code, fed.out.as_str()), (0, "1 of 1: exit 0: ada\n  ared\n"));

    let late = desk.run(&["exec", "cs100/ada", "--timeout", "1s", "--", "sleep 100000"]).await;
    assert_eq!((late.code, late.out.as_str()), (3, "1 of 1: no end within 1 s: ada\n"));
    let much = one_object(&desk.done(&["exec", "cs100/ada", "--json", "--", "head -c 1000000 /dev/zero"]).await);
    let of = |name: &str| much["seats"][0][name].clone();
    assert_eq!((of("cut"), of("stdout").as_str().map(str::len)), (json!(true), Some(256 << 10)));

    let agent = desk.run(&["exec", "cs100", "--via", "agent", "--json", "--", "whoami; exit 5"]).await;
    assert_eq!((agent.code, agent.err.as_str()), (3, ""));
    let agent = one_object(&agent.out);
    assert_eq!(agent["blocks"][0]["code"], 5);
    assert_eq!((&agent["seats"][0]["via"], &agent["seats"][0]["stdout"]), (&json!("agent"), &json!("root\n")));

    let late = desk.run(&["exec", "cs100", "--via", "agent", "--timeout", "1s", "--", "sleep 100000"]).await;
    let told = "4 of 4: no end within 1 s: ada, grace, linus, margaret\n  ! it may still be running there: a guest agent ends nothing it began\n";
    assert_eq!((late.code, late.out.as_str()), (3, told));

    // Somebody else's machine under the number that was ada's.
    desk.staged.cluster.world(|world| {
        world.guests.get_mut(&9100).unwrap().config.remove("description");
    });
    let left = desk.run(&["exec", "cs100/ada", "--via", "agent", "--", "touch /tmp/mine"]).await;
    assert_eq!(left.code, 3);
    assert!(left.out.contains("its machine does not carry this seat's mark: nothing was run there"), "{}", left.out);
}

#[tokio::test]
async fn what_cannot_be_run_is_told_before_anything_is() {
    let desk = proven().await;
    for (words, code, complaint) in [
        (&["cs100/eve"][..], 2, "homeroom: cs100 has no seat eve; it has ada, grace, linus, margaret"),
        (&["cs101"], 1, "homeroom: cs101 has no machines; `homeroom deploy cs101` makes them"),
        (&["nope"], 2, "homeroom: no lab is called nope; `homeroom get` lists them"),
        (
            &["cs100", "--stdin", "names", "--via", "agent"],
            2,
            "homeroom: --stdin goes by SSH only; leave --via agent out",
        ),
        (&["cs100", "--stdin", "gone"], 1, "homeroom: cannot read gone: No such file or directory"),
    ] {
        let words = [&["exec"], words, &["--", "true"]].concat();
        assert_eq!(desk.run(&words).await.refusal(), (code, complaint), "{words:?}");
    }
    desk.done(&["stop", "cs100/linus"]).await;
    let said = desk.run(&["exec", "cs100", "--", "true"]).await;
    assert_eq!(said.code, 3);
    let off = "is shut down, so there is nothing to log in to; `homeroom start cs100";
    assert_eq!(
        said.out,
        format!("3 of 4: exit 0: ada, grace, margaret\n  (no output)\n1 of 4: failed: linus\n  it {off}` starts it\n")
    );
    // Whichever command it is, and whether or not a guest agent is asked.
    let ssh = desk.run(&["ssh", "cs100/linus", "--", "true"]).await;
    assert_eq!(ssh.refusal(), (1, format!("homeroom: cs100/linus {off}/linus` starts it").as_str()));
    desk.write("names", "bob\n");
    let cp = desk.run(&["cp", "names", "cs100/linus:"]).await;
    assert_eq!((cp.code, cp.out.as_str()), (3, format!("linus: it {off}` starts it\n").as_str()));
    let agent = desk.run(&["exec", "cs100/linus", "--via", "agent", "--", "true"]).await;
    assert_eq!((agent.code, agent.out), (3, format!("1 of 1: failed: linus\n  it {off}` starts it\n")));
}

#[tokio::test]
async fn a_site_that_does_not_answer_holds_up_nobody_whose_address_is_known() {
    let desk = proven().await;
    let text = std::fs::read_to_string(&desk.staged.config).unwrap();
    let api = text.lines().find(|line| line.starts_with("api = ")).unwrap();
    // Takes connections and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = desk.altered(api, &format!("api = [\"https://{}\"]", silent.local_addr().unwrap()));
    desk.write("names", "bob\n");
    let began = std::time::Instant::now();
    let said = desk.run_under(&config, &["exec", "cs100", "--timeout", "10s", "--", "true"]).await;
    assert_eq!(
        (said.code, said.out.as_str()),
        (0, "4 of 4: exit 0: ada, grace, linus, margaret\n  (no output)\n"),
        "{said:?}"
    );
    assert_eq!(desk.run_under(&config, &["ssh", "cs100/ada", "--", "hostname"]).await.out, "cs100-ada\n");
    assert_eq!(desk.run_under(&config, &["cp", "names", "cs100/ada:"]).await.code, 0);
    assert!(began.elapsed() < std::time::Duration::from_secs(15), "{:?}", began.elapsed());
    // What nobody knows without the site is part of a seat's time.
    let unknown = desk.altered("nodes.pve1 = ", "nodes.pve9 = ");
    let text = std::fs::read_to_string(&unknown).unwrap();
    std::fs::write(&unknown, text.replace(api, &format!("api = [\"https://{}\"]", silent.local_addr().unwrap())))
        .unwrap();
    let began = std::time::Instant::now();
    let said = desk.run_under(&unknown, &["exec", "cs100/ada", "--timeout", "1s", "--", "true"]).await;
    assert_eq!((said.code, said.out.as_str()), (3, "1 of 1: no end within 1 s: ada\n"), "{said:?}");
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_commands_streams_pass_through_byte_for_byte_and_end_with_their_reader() {
    let desk = proven().await;
    let sent: Vec<u8> = (0..5_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let mut child = desk
        .command(&["ssh", "cs100/ada", "--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, given) = (child.stdin.take().unwrap(), sent.clone());
    let feeding = tokio::spawn(async move { stdin.write_all(&given).await });
    let output = child.wait_with_output().await.unwrap();
    feeding.await.unwrap().unwrap();
    assert!(output.stdout == sent, "{} bytes, {:?}", output.stdout.len(), output.stderr);
    assert!(output.status.success() && output.stderr.is_empty());

    let both = desk.run(&["ssh", "cs100/ada", "--", "echo out; echo err >&2; exit 9"]).await;
    assert_eq!((both.code, both.out.as_str(), both.err.as_str()), (9, "out\n", "err\n"));
    // Whoever reads in a loop keeps the rest of what is there to read.
    let unread = desk.run_with(&["ssh", "-n", "cs100/ada", "--", "wc -c"], "not for it\n").await;
    assert_eq!((unread.code, unread.out.as_str()), (0, "0\n"));
    let json = desk.run_with(&["ssh", "cs100/ada", "--json", "--", "cat"], "a\nb\n").await;
    assert_eq!(one_object(&json.out)["stdout"], "a\nb\n");

    let mut child = desk
        .command(&["ssh", "-n", "cs100/ada", "--", "head -c 5000000 /dev/zero"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut few = [1; 10];
    child.stdout.take().unwrap().read_exact(&mut few).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice(), few), (Some(141), &b""[..], [0; 10]));
}

#[tokio::test]
async fn a_labs_own_key_is_there_for_other_programs() {
    let desk = Desk::new().await;
    let public = desk.done(&["key", "cs101"]).await;
    assert!(public.starts_with("ssh-ed25519 ") && public.ends_with(" homeroom cs101\n"), "{public}");
    assert_eq!(desk.done(&["key", "cs101"]).await, public);
    let private = desk.done(&["key", "cs101", "--private"]).await;
    assert!(private.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"), "no key");
    let json = desk.json(&["key", "cs101", "--json"]).await;
    assert_eq!(fields(&json), ["schema", "lab", "public", "file", "renewal"]);
    assert!(json["file"].as_str().unwrap().ends_with("/sim/keys/cs101"), "{}", json["file"]);
    assert!(std::fs::read_to_string(desk.staged.folder.join("keys/cs101")).unwrap() == private);
    let unknown = desk.run(&["key", "nope"]).await;
    assert_eq!(unknown.refusal(), (2, "homeroom: no lab is called nope; `homeroom get` lists them"));
}
