//! Bad input through the real binary: the whole answer, what to do next in it, and nothing lost or changed by the attempt.

use crate::cli::desk::Desk;

const BIO: &str = r#"kind = "class"
name = "bio"
site = "sim"
template = "ubuntu-22.04"
count = 2
"#;

/// A definition that is not taken: the line or lines that say why.
async fn not_taken(desk: &Desk, from: &str, to: &str, complaint: &str) {
    assert!(BIO.contains(from));
    let file = desk.write("bio.toml", &BIO.replace(from, to));
    let before = desk.standing().await;
    let answer = desk.run(&["apply", "-f", &file]).await;
    assert_eq!(answer.refusal(), (2, format!("homeroom: {complaint}").as_str()));
    assert_eq!(desk.standing().await, before);
}

#[tokio::test]
async fn an_unknown_key_is_answered_with_the_nearest() {
    let desk = Desk::new().await;
    let top = "bio.toml:4: unknown key \"templat\" at the top level; did you mean \"template\"?";
    not_taken(&desk, "template =", "templat =", top).await;
    let nested = "bio.toml:7: unknown key \"memroy\" in [machine]; did you mean \"memory\"?";
    not_taken(&desk, "count = 2", "count = 2\n[machine]\nmemroy = \"4G\"", nested).await;
    let config = desk.altered("guest_via", "guest_vai");
    let answer = desk.run_under(&config, &["get"]).await;
    let complaint =
        "homeroom: DESK/sim/altered.toml:10: unknown key \"guest_vai\" in [sites.sim]; did you mean \"guest_via\"?";
    assert_eq!(answer.refusal(), (2, complaint));
}

#[tokio::test]
async fn bad_names_and_numbers_of_students_are_refused() {
    let desk = Desk::new().await;
    for (from, to, complaint) in [
        (
            "\"bio\"",
            "\"Bio 1\"",
            "bio.toml:2: name: lab name \"Bio 1\" must be a lower-case letter, then up to 30 of a-z, 0-9 or -",
        ),
        ("\"sim\"", "\"sin\"", "bio.toml:3: no site is called \"sin\"; did you mean \"sim\"?"),
        (
            "\"class\"",
            "\"clas\"",
            "bio.toml:1: kind is \"clas\"; it must be one of \"class\", \"workshop\"; did you mean \"class\"?",
        ),
        ("count = 2", "count = 0", "bio.toml:5: count makes 0 students; a lab has 1 to 50"),
        ("count = 2", "count = 51", "bio.toml:5: count makes 51 students; a lab has 1 to 50"),
        ("count = 2", "students = []", "bio.toml:5: students makes 0 students; a lab has 1 to 50"),
        (
            "count = 2",
            "students = [\"ada\", \"Ada\"]",
            "bio.toml:5: students: seat name \"Ada\" must be a lower-case letter, then up to 30 of a-z, 0-9 or -",
        ),
        (
            "count = 2",
            "students = [\"ada\", \"teacher\"]",
            "bio.toml:5: students holds \"teacher\", which is reserved for the teacher's seat; write teacher = true for one",
        ),
        (
            "count = 2",
            "students = [\"ada\", \"eve\", \"ada\"]",
            "bio.toml:5: students holds \"ada\" twice (first on line 5); every seat needs a name of its own",
        ),
        (
            "count = 2",
            "count = 2\nstudents = [\"ada\"]",
            "bio.toml:5: students and count exclude each other; keep the list of names or the number",
        ),
        ("count = 2", "", "bio.toml: students is missing; write students = [\"ada\", \"grace\"], or count = 10"),
        (
            "count = 2",
            "count = 2\n[placement]\nvmids = \"9100-99999\"",
            "bio.toml:7: placement.vmids is 9100-99999, which is not within 9100-9999, the VMIDs of site sim",
        ),
        (
            "count = 2",
            "count = 2\n[machine]\nmemory = \"4 bananas\"",
            "bio.toml:7: machine.memory: size \"4 bananas\" must be a number with K, M, G or T, such as \"4G\"",
        ),
    ] {
        not_taken(&desk, from, to, complaint).await;
    }
    let many = (0..51).map(|n| format!("\"s{n}\"")).collect::<Vec<_>>().join(", ");
    not_taken(
        &desk,
        "count = 2",
        &format!("students = [{many}]"),
        "bio.toml:5: students makes 51 students; a lab has 1 to 50",
    )
    .await;
}

/// A class that can be stored and not deployed: neither `plan` nor `deploy` changes anything.
async fn not_planned(desk: &Desk, from: &str, to: &str, complaint: &str) {
    assert!(BIO.contains(from));
    desk.apply(&BIO.replace(from, to)).await;
    unmoved(desk, complaint).await;
}

async fn unmoved(desk: &Desk, complaint: &str) {
    let before = desk.standing().await;
    for words in [&["plan", "bio"][..], &["deploy", "bio", "--yes"], &["deploy", "bio", "--yes", "--json"]] {
        let answer = desk.run(words).await;
        assert_eq!(answer.refusal(), (2, format!("homeroom: bio cannot be planned:{complaint}").as_str()));
    }
    assert_eq!(desk.standing().await, before);
}

#[tokio::test]
async fn a_template_that_does_not_exist_is_answered_with_the_nearest() {
    let desk = Desk::new().await;
    let complaint = " site sim has no template ubuntu-22.4; did you mean ubuntu-22.04? it has debian-12 (9001), ubuntu-22.04 (9000)";
    not_planned(&desk, "ubuntu-22.04", "ubuntu-22.4", complaint).await;
}

#[tokio::test]
async fn a_range_of_vmids_without_room_is_told_with_what_is_free() {
    let desk = Desk::new().await;
    let small = "bio.toml:6: placement.vmids is 9200-9200: 1 numbers for 2 machines; widen it";
    not_taken(&desk, "count = 2", "count = 2\n[placement]\nvmids = \"9200-9200\"", small).await;
    desk.staged.cluster.world(|world| world.take_vmid("pve1", 9301, "somebody-elses"));
    not_planned(&desk, "count = 2", "count = 2\n[placement]\nvmids = \"9300-9301\"", " placement.vmids 9300-9301 has 1 VMID free and 2 are needed (1 of 2 taken); widen placement.vmids or remove machines in it").await;
}

#[tokio::test]
async fn a_storage_without_room_is_told_with_what_is_missing() {
    let desk = Desk::new().await;
    desk.staged.cluster.world(|world| {
        let bulk = world.storages.get_mut("bulk").unwrap();
        bulk.other = bulk.total - (4 << 30);
    });
    not_planned(
        &desk,
        "ubuntu-22.04",
        "debian-12",
        " storage bulk has 2 GiB left and 2 new machines need 16 GiB; \
        free space on bulk, or set another storage in the definition",
    )
    .await;
}

#[tokio::test]
async fn a_machine_with_more_cpus_than_any_node_is_told_before_anything_is_made() {
    let desk = Desk::new().await;
    not_planned(
        &desk,
        "count = 2",
        "count = 1\n[machine]\ncores = 9",
        " no node can take student-01 (on every node: 8 CPUs, the machine needs 9); \
        free what is short, or change storage, memory or placement in the definition",
    )
    .await;
}

#[tokio::test]
async fn a_bridge_that_the_node_does_not_have_is_told_before_anything_is_made() {
    let desk = Desk::new().await;
    not_planned(
        &desk,
        "count = 2",
        "count = 1\n[[machine.nic]]\nbridge = \"vmbr7\"\n[placement]\nnodes = [\"pve3\"]",
        " there is no bridge vmbr7 on pve3; make it there, keep the lab to other nodes with placement.nodes, \
        or allow SDN.Use on /sdn/zones/localnetwork/vmbr7 if it is only hidden",
    )
    .await;
}

#[tokio::test]
async fn what_is_not_text_is_refused_from_a_file_and_from_standard_input() {
    let desk = Desk::new().await;
    std::fs::write(desk.folder.path().join("binary.toml"), b"\xff\xfe").unwrap();
    let answer = desk.run(&["apply", "-f", "binary.toml"]).await;
    assert_eq!(answer.refusal(), (2, "homeroom: cannot read binary.toml: it is not UTF-8 text"));
    let mut command = desk.command(&["apply", "-f", "-"]);
    command.stdin(std::fs::File::open(desk.folder.path().join("binary.toml")).unwrap());
    let output = command.output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(words, "homeroom: cannot read standard input: it is not UTF-8 text\n");
}

/// A site that cannot be worked with under an altered configuration: what `plan` and `deploy` answer.
async fn unheard(desk: &Desk, from: &str, to: &str, complaint: &str) {
    let config = desk.altered(from, to);
    let before = desk.standing().await;
    for words in [&["plan", "cs101"][..], &["deploy", "cs101", "--yes"], &["destroy", "cs100", "--yes"]] {
        let answer = desk.run_under(&config, words).await;
        assert_eq!(answer.refusal(), (1, complaint), "{words:?}");
    }
    assert_eq!(desk.standing().await, before);
}

#[tokio::test]
async fn a_wrong_token_is_told_and_never_shown() {
    let desk = Desk::new().await;
    let secret = desk.staged.cluster.token().1.to_owned();
    std::fs::write(desk.staged.folder.join("wrong.secret"), secret.replace('4', "5")).unwrap();
    unheard(
        &desk,
        "token.secret",
        "wrong.secret",
        "homeroom: version of sim: sim does not accept the token: \
        Authentication failed!; check its id, secret and expiry",
    )
    .await;
}

#[tokio::test]
async fn a_missing_privilege_is_named() {
    let desk = Desk::new().await;
    desk.staged.cluster.world(|world| {
        world.access.roles.get_mut("Homeroom").unwrap().0.remove("VM.Clone");
    });
    let before = desk.standing().await;
    let said = "homeroom: cs102 cannot be planned: the token lacks VM.Clone on /vms/9001; \
                `homeroom doctor sim` says how to grant it";
    for words in [&["plan", "cs102"][..], &["deploy", "cs102", "--yes"]] {
        assert_eq!(desk.run(words).await.refusal(), (2, said), "{words:?}");
    }
    assert_eq!(desk.standing().await, before);
}

#[tokio::test]
async fn a_wrong_fingerprint_ends_before_anything_is_sent() {
    let desk = Desk::new().await;
    let real = desk.staged.cluster.fingerprint().to_owned();
    let wrong = format!("{}{}", if real.starts_with('0') { '1' } else { '0' }, &real[1..]);
    let apis: Vec<_> = desk.staged.cluster.nodes().iter().map(|node| node.api.clone()).collect();
    let complaint = format!(
        "homeroom: version of sim: sim is not trusted: its certificate has the fingerprint {real}, not the trusted \
         {wrong}; if the certificate was renewed, compare with `pvenode cert info` on the node and change \
         `fingerprints`; if not, something sits between you and the cluster ({})",
        apis.join(", ")
    );
    unheard(&desk, &real, &wrong, &complaint).await;
}

#[tokio::test]
async fn a_site_that_does_not_answer_is_told_with_its_addresses() {
    let desk = Desk::new().await;
    // Bound and let go again: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = std::fs::read_to_string(&desk.staged.config).unwrap();
    let api = text.lines().find(|line| line.starts_with("api = ")).unwrap();
    unheard(
        &desk,
        api,
        &format!("api = \"https://127.0.0.1:{port}\""),
        &format!(
            "homeroom: version of sim: cannot reach sim: https://127.0.0.1:{port}: \
        Connection refused; check that it is up, and its address"
        ),
    )
    .await;
}

#[tokio::test]
async fn seats_of_a_node_that_is_offline_are_unknown_and_left_alone() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    desk.staged.cluster.world(|world| world.set_node_online("pve2", false));
    let before = desk.standing().await;
    let status = desk.run(&["status", "cs100"]).await;
    let grace = status.out.lines().find(|line| line.starts_with("grace")).unwrap();
    assert!(grace.contains("unknown  pve2  9101") && grace.contains("pve2 offline since "), "{grace}");
    for (words, why) in [
        (&["deploy", "cs100", "--yes"][..], "left alone: pve2 is offline since "),
        (&["check", "cs100/grace"], "pve2 is offline"),
    ] {
        let answer = desk.run(words).await;
        assert_eq!((answer.code, answer.err.as_str()), (3, ""), "{}", answer.out);
        let first = format!("{} cs100 on sim: nothing can be done, 1 left alone\n", words[0]);
        assert!(answer.out.starts_with(&first) && answer.out.contains(why), "{}", answer.out);
    }
    let status = desk.run(&["status", "cs100"]).await;
    assert!(status.out.contains("pve2 offline since "), "{}", status.out);
    let elsewhere = desk.done(&["plan", "cs101"]).await;
    assert!(elsewhere.contains("\n  pve2 skipped: offline since "), "{elsewhere}");
    assert_eq!(desk.standing().await, before);
}

#[tokio::test]
async fn a_start_of_what_was_changed_and_not_deployed_names_the_deploy_that_brings_it_about() {
    let desk = Desk::new().await;
    let bio = |more: &str| {
        format!(
            "kind = \"class\"\nname = \"bio\"\nsite = \"sim\"\ntemplate = \"ubuntu-22.04\"\nstudents = [\"ada\"]\n\
             [machine]\n{more}"
        )
    };
    desk.apply(&bio("cores = 2\n")).await;
    desk.done(&["deploy", "bio", "--yes"]).await;
    desk.done(&["stop", "bio"]).await;
    desk.apply(&bio("cores = 3\n")).await;
    let started = desk.done(&["start", "bio"]).await;
    let said = "ada is proven as it was deployed; cores changed in the definition since: \
                `homeroom deploy bio --yes --allow-restart` brings it about";
    assert!(started.contains(said), "{started}");
    assert!(started.contains("1 ready, 0 failed"), "{started}");
}
