//! `doctor` as people run it: what it finds on good and broken sites, what it is told to trust, and what
//! classes come to with tokens of few rights.

use serde_json::Value;

use crate::support::lab::{Lab, Ran};

const DEFAULT: &str = include_str!("../../assets/scenarios/default.toml");

/// The default world with another full token, which may do what `acls` say.
fn world(acls: &[(&str, &str)], more: &str) -> String {
    let mut text = DEFAULT.replace("token = \"homeroom@pve!lab\"\nmonitor", "token = \"ada@pve!few\"\nmonitor");
    text += "\n[[users]]\nid = \"ada@pve\"\ntokens = [{ name = \"few\", privsep = true }]\n";
    for (path, role) in acls {
        for who in ["ada@pve", "ada@pve!few"] {
            text += &format!("\n[[acls]]\npath = \"{path}\"\nwho = \"{who}\"\nrole = \"{role}\"\n");
        }
    }
    text + more
}

fn findings(ran: &Ran) -> Vec<Value> {
    let object = ran.object();
    assert_eq!(object["schema"], 1);
    object["findings"].as_array().unwrap().clone()
}

fn of<'a>(findings: &'a [Value], check: &str, level: &str) -> Vec<&'a Value> {
    findings.iter().filter(|f| f["check"] == check && f["level"] == level).collect()
}

fn rewrite(lab: &Lab, change: impl Fn(&str) -> String) {
    let text = std::fs::read_to_string(&lab.config).unwrap();
    std::fs::write(&lab.config, change(&text)).unwrap();
}

fn without_pins(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with("fingerprints")).map(|line| format!("{line}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_site_is_found_good_in_everything_that_is_looked_at() {
    let lab = Lab::start().await;
    let ran = lab.run(&["doctor", "--json"]).await.ends(0);
    let found = findings(&ran);
    for check in [
        "reachable",
        "certificate",
        "version",
        "quorum",
        "privileges",
        "template",
        "room",
        "vmids",
        "network",
        "ssh",
        "marks",
    ] {
        assert!(!of(&found, check, "ok").is_empty(), "{check}: {found:#?}");
    }
    assert!(found.iter().all(|f| f["level"] == "ok" && f["site"] == "sim"), "{found:#?}");
    let text = lab.run(&["doctor", "sim"]).await.ends(0).out;
    assert!(text.ends_with("\nall is well\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_trusted_only_when_told_and_a_changed_one_only_by_name() {
    let lab = Lab::start().await;
    let shown = lab.cluster.fingerprint().to_owned();
    rewrite(&lab, without_pins);
    std::fs::remove_file(lab.folder().join("known_hosts")).unwrap();

    let found = findings(&lab.run(&["doctor", "--json"]).await.ends(1));
    let [certificate] = of(&found, "certificate", "error").try_into().unwrap();
    assert!(certificate["what"].as_str().unwrap().contains(&shown), "{certificate}");
    assert!(certificate["mend"].as_str().unwrap().contains("pvenode cert info"), "{certificate}");
    assert!(of(&found, "privileges", "ok").is_empty(), "nothing was asked of it");

    // Nobody can be asked.
    let refused = lab.run(&["doctor", "--trust"]).await.ends(2);
    assert!(refused.err.contains(&shown) && refused.err.contains("--trust --yes"), "{}", refused.err);
    assert!(!lab.folder().join("certificates.toml").exists());

    lab.run(&["doctor", "--trust", &shown]).await.ends(1);
    let found = findings(&lab.run(&["doctor", "--json"]).await.ends(1));
    assert_eq!(of(&found, "certificate", "ok").len(), 1, "{found:#?}");
    let hosts = of(&found, "ssh", "error");
    assert_eq!(hosts.len(), 3);
    assert!(hosts.iter().all(|f| f["what"].as_str().unwrap().contains("SHA256:")), "{hosts:#?}");
    lab.run(&["doctor", "--trust", "--yes"]).await.ends(0);
    lab.run(&["doctor"]).await.ends(0);

    // Somebody else answers under the address.
    let file = lab.folder().join("certificates.toml");
    let other = ["AB"; 32].join(":");
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap().replace(&shown, &other)).unwrap();
    for told in [&["doctor", "--json"][..], &["doctor", "--trust", "--yes", "--json"][..]] {
        let found = findings(&lab.run(told).await.ends(1));
        let what = of(&found, "certificate", "error")[0]["what"].as_str().unwrap().to_owned();
        assert!(what.contains(&shown) && what.contains(&other), "{what}");
    }
    let nodes = lab.run(&["nodes"]).await.ends(1).err;
    assert!(nodes.contains(&shown) && nodes.contains(&other) && nodes.contains("doctor --trust"), "{nodes}");
    lab.run(&["doctor", "--trust", &shown]).await.ends(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ssh_host_key_nobody_trusts_ends_headless_commands_with_the_way_to_trust_it() {
    let lab = Lab::start().await;
    lab.run(&["check", "cs100"]).await.ends(0);
    std::fs::remove_file(lab.folder().join("known_hosts")).unwrap();
    for told in [&["ssh", "cs100/ada", "--", "true"][..], &["check", "cs100"][..], &["deploy", "cs101", "--yes"][..]] {
        let ran = lab.run(told).await;
        let said = format!("{}{}", ran.out, ran.err);
        assert!(said.contains("SHA256:") && said.contains("homeroom doctor --trust"), "{told:?}: {said}");
        ran.ends(2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_cannot_be_used_hides_no_other() {
    let lab = Lab::start().await;
    rewrite(&lab, |text| {
        let dead = "kind = \"proxmox\"\napi = [\"https://127.0.0.1:1\"]\n";
        format!(
            "[sites.dead]\n{dead}token = {{ id = \"a@pve!b\", secret = {{ file = \"{0}/token.secret\" }} }}\n\
             [sites.unset]\n{dead}token = {{ id = \"a@pve!b\", secret = {{ env = \"HOMEROOM_NEVER_SET\" }} }}\n{1}",
            lab.folder().display(),
            text.replace(&format!("speed = {:?}", crate::support::lab::SPEED), "speed = 1.0")
        )
    });
    let found = findings(&lab.run(&["doctor", "--json"]).await.ends(1));
    let site = |name: &str| found.iter().filter(|f| f["site"] == name).collect::<Vec<_>>();
    assert!(site("dead").iter().any(|f| f["check"] == "reachable" && f["level"] == "error"), "{found:#?}");
    let unset = site("unset");
    assert!(unset[0]["what"].as_str().unwrap().contains("HOMEROOM_NEVER_SET"), "{unset:#?}");
    assert!(site("sim").iter().any(|f| f["check"] == "privileges" && f["level"] == "ok"), "{found:#?}");
    lab.run(&["doctor", "sime"]).await.ends(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_named_as_one() {
    let lab = Lab::start().await;
    std::fs::write(lab.folder().join("token.secret"), "wrong").unwrap();
    let found = findings(&lab.run(&["doctor", "--json"]).await.ends(1));
    assert!(!of(&found, "credentials", "error").is_empty(), "{found:#?}");
}

/// A site whose token is given `acls`, and no lab but those a test defines.
async fn site_of(acls: &[(&str, &str)]) -> Lab {
    let lab = Lab::of(&looker(world(acls, ""))).await;
    for name in ["cs100", "cs101", "cs102"] {
        lab.run(&["delete", name]).await;
    }
    lab
}

const POOL: [(&str, &str); 5] = [
    ("/", "Looker"),
    ("/pool/lab", "Homeroom"),
    ("/vms/9000", "PVETemplateUser"),
    ("/storage/fast", "PVEDatastoreUser"),
    ("/sdn/zones/localnetwork/vmbr0", "PVESDNUser"),
];

fn looker(text: String) -> String {
    text.replace("[roles]\n", "[roles]\nLooker = [\"Sys.Audit\"]\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_one_pool_makes_a_whole_class_there_beside_guests_it_cannot_see() {
    let lab = site_of(&POOL).await;
    lab.class("cs200", &["ada", "grace"], "pool = \"lab\"\n").await;
    let found = findings(&lab.run(&["doctor", "--json"]).await.ends(0));
    assert!(!of(&found, "privileges", "ok").is_empty(), "{found:#?}");
    lab.deploy("cs200").await.ends(0);
    lab.cluster.world(|world| {
        let members = &world.pools["lab"].vms;
        assert_eq!(members.len(), 2, "{members:?}");
        assert!(members.iter().all(|id| *id >= 9104), "9100 to 9103 are others': {members:?}");
    });
    lab.destroy("cs200").await.ends(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_lacks_is_named_with_path_reason_and_the_command_that_grants_it() {
    let few: Vec<_> =
        POOL.into_iter().filter(|(path, _)| !path.starts_with("/sdn") && !path.contains("9000")).collect();
    let lab = site_of(&few).await;
    lab.class("cs200", &["ada"], "pool = \"lab\"\n[machine]\nstorage = \"fast\"\n").await;
    let found = findings(&lab.run(&["doctor", "--json"]).await.ends(1));
    let missing = of(&found, "template", "error");
    assert!(missing.iter().any(|f| f["mend"].as_str().unwrap().contains("VM.Audit")), "{found:#?}");

    let few: Vec<_> = POOL.into_iter().filter(|(path, _)| !path.starts_with("/sdn")).collect();
    let lab = site_of(&few).await;
    lab.class("cs200", &["ada"], "pool = \"lab\"\n").await;
    let found = findings(&lab.run(&["doctor", "--json"]).await.ends(1));
    let [sdn] = of(&found, "privileges", "error").try_into().unwrap();
    assert_eq!(sdn["what"], "ada@pve!few lacks SDN.Use on /sdn/zones/localnetwork/vmbr0 (for cs200)", "{found:#?}");
    assert_eq!(
        sdn["mend"],
        "pveum acl modify /sdn/zones/localnetwork/vmbr0 --users 'ada@pve' --tokens 'ada@pve!few' --roles PVESDNUser"
    );
    let ran = lab.deploy("cs200").await.ends(3);
    assert!(ran.out.contains("/sdn/zones/localnetwork/vmbr0, SDN.Use"), "{}", ran.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_on_all_machines_needs_no_pool() {
    let mut acls = POOL.to_vec();
    acls[1] = ("/vms", "Homeroom");
    acls[2] = ("/vms/9000", "Homeroom");
    let lab = site_of(&acls).await;
    lab.class("cs200", &["ada", "grace"], "").await;
    lab.run(&["doctor"]).await.ends(0);
    lab.deploy("cs200").await.ends(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_monitor_token_can_look_and_doctor_says_what_making_machines_takes() {
    let lab = Lab::of(&DEFAULT.replace("\ntoken = \"homeroom@pve!lab\"", "\ntoken = \"homeroom@pve!monitor\"")).await;
    lab.class("cs200", &["ada"], "").await;
    lab.run(&["nodes"]).await.ends(0);
    let found = findings(&lab.run(&["doctor", "--json"]).await.ends(1));
    let missing = of(&found, "privileges", "error");
    let vms = missing.iter().find(|f| f["what"].as_str().unwrap().contains(" on /vms (")).unwrap();
    for name in ["VM.Allocate", "VM.PowerMgmt", "VM.Config.Options"] {
        assert!(vms["what"].as_str().unwrap().contains(name), "{vms}");
    }
    assert!(vms["mend"].as_str().unwrap().contains("--tokens 'homeroom@pve!monitor'"), "{vms}");
}

/// The default world as Proxmox VE 8.4 is: other privileges for the guest agent.
fn eight() -> String {
    let agents = ["Audit", "FileRead", "FileWrite", "Unrestricted"].map(|name| format!("\"VM.GuestAgent.{name}\""));
    let text = DEFAULT.replace("version = \"9.2\"", "version = \"8.4\"").replace(&agents.join(", "), "\"VM.Monitor\"");
    assert!(text.contains("VM.Monitor"));
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_is_made_proven_and_removed_on_version_8_too() {
    let lab = Lab::of(&eight()).await;
    lab.class("cs200", &["ada", "grace"], "").await;
    lab.class("cs201", &["linus"], "[rollcall]\nvia = \"api\"\nssh = false\n").await;
    let found = findings(&lab.run(&["doctor", "--json"]).await.ends(0));
    assert!(of(&found, "version", "ok")[0]["what"].as_str().unwrap().starts_with("Proxmox VE 8.4"), "{found:#?}");
    for name in ["cs200", "cs201"] {
        lab.deploy(name).await.ends(0);
        lab.destroy(name).await.ends(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_the_agent_by_the_api_takes_other_privileges_on_8_than_on_9() {
    let nine = DEFAULT.replace("version = \"9.2\"", "version = \"9.2.11\"");
    let agents = ["Audit", "FileRead", "FileWrite", "Unrestricted"].map(|name| format!("\"VM.GuestAgent.{name}\", "));
    let nine = nine.replace(agents.concat().trim_end(), "");
    assert!(!nine.contains("VM.GuestAgent.Unrestricted"));
    for (text, wanted) in
        [(eight().replace("\"VM.Monitor\"", "\"VM.Audit\""), "VM.Monitor"), (nine, "VM.GuestAgent.Unrestricted")]
    {
        let lab = Lab::of(&text).await;
        lab.class("cs201", &["linus"], "[rollcall]\nvia = \"api\"\n").await;
        let found = findings(&lab.run(&["doctor", "--json"]).await.ends(1));
        let [missing] = of(&found, "privileges", "error").try_into().unwrap();
        assert!(missing["what"].as_str().unwrap().contains(wanted), "{missing}");
        assert!(missing["mend"].as_str().unwrap().starts_with("pveum role add HomeroomVms --privs VM."), "{missing}");
    }
}
