//! The configuration and definitions, as users meet them: what is read, and what bad input is told.

use std::path::Path;

use homeroom::{
    config::{self, Folders, Settings, definition},
    domain::Definition,
};

/// As in `Wrong key` messages: the configuration of these tests is always called so.
const FILE: &str = "/etc/homeroom/config.toml";

fn folders() -> Folders {
    Folders::under(Path::new("/home/ada"))
}

fn read(text: &str) -> Result<(Settings, Vec<String>), String> {
    config::parse(text, Path::new(FILE), &folders(), &|_| None)
        .map(|(settings, warnings)| (settings, warnings.iter().map(ToString::to_string).collect()))
        .map_err(|e| e.to_string())
}

/// The complaint, checked to be one a person can read at once.
fn complaint<T>(result: Result<T, String>) -> String {
    let text = result.err().unwrap_or_else(|| "nothing: it was taken".to_owned());
    assert!(!text.contains('\n') && text.len() < 300, "too long: {text}");
    text
}

fn with_site(more: &str) -> String {
    format!(
        "[sites.campus]\nkind = \"proxmox\"\napi = [\"https://pve1:8006\"]\n\
         token = {{ id = \"homeroom@pve!lab\", secret = {{ env = \"PVE_SECRET\" }} }}\n{more}"
    )
}

#[test]
fn the_sample_says_exactly_the_defaults() {
    let (sample, warnings) = read(config::SAMPLE).expect("the sample is right");
    assert_eq!(warnings, Vec::<String>::new());
    let (bare, _) = read(&with_site("")).expect("four keys are enough");
    assert_eq!(sample, bare);
    let (nothing, _) = read("").expect("an empty file is right");
    assert_eq!(Settings { sites: Default::default(), ..sample }, nothing);
    let mut defaults = Settings::defaults(&folders());
    defaults.file = FILE.into();
    assert_eq!(nothing, defaults);
}

#[test]
fn every_key_commented_out_in_the_sample_is_taken_too() {
    let uncommented: String = config::SAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.starts_with("[sites.") || rest.split_once(" = ").is_some_and(|(key, _)| is_key(key)) => {
                rest
            }
            _ => line,
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let (settings, _) = read(&uncommented).expect("what the sample offers is right");
    let kinds: Vec<_> = settings.sites.values().map(|site| site.kind_name()).collect();
    assert_eq!(kinds, ["proxmox", "gce", "docker"]);
    let campus = settings.site("campus").expect("there").proxmox().expect("proxmox");
    assert!(campus.monitor_token.is_some() && campus.ca_file.is_some());
    assert_eq!(campus.node_ssh(&homeroom::domain::NodeName::new("pve1")).map(|at| at.host.as_str()), Some("10.0.0.11"));
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c))
}

#[test]
fn paths_begin_at_home_or_at_the_folder_of_the_file() {
    let (settings, _) =
        read(&with_site("ca_file = \"tls/ca.pem\"\nssh = { key = \"~/keys/node\" }\n[store]\npath = \"x.db\""))
            .expect("right");
    let campus = settings.sites.values().next().and_then(|site| site.proxmox()).expect("there");
    assert_eq!(campus.ca_file.as_deref(), Some(Path::new("/etc/homeroom/tls/ca.pem")));
    assert_eq!(campus.ssh.key, Path::new("/home/ada/keys/node"));
    assert_eq!((campus.ssh.user.as_str(), campus.ssh.port), ("root", 22));
    assert_eq!(settings.store.path, Path::new("/etc/homeroom/x.db"));
    assert_eq!(settings.store.known_hosts(), Path::new("/etc/homeroom/known_hosts"));
}

#[test]
fn what_is_wrong_in_the_configuration_is_named_with_file_line_and_key() {
    let cases = [
        (
            with_site("memory_overcomit = 2"),
            r#":5: unknown key "memory_overcomit" in [sites.campus]; did you mean "memory_overcommit"?"#,
        ),
        (with_site("[stor]"), r#":5: unknown key "stor" at the top level; did you mean "store"?"#),
        (with_site("[store]\nspeed = 2"), r#":6: unknown key "speed" in [store]; it belongs in [clock]"#),
        (with_site("[engine]\nxyz = 1"), r#":6: unknown key "xyz" in [engine]; the keys here are "#),
        (
            with_site("environment = \"production\""),
            r#":5: sites.campus.environment is "production"; it must be one of "dev", "staging", "prod"; did you mean "prod"?"#,
        ),
        (with_site("max_seats = 51"), ":5: sites.campus.max_seats is 51; it must be a whole number from 1 to 50"),
        (
            with_site("max_seats = \"many\""),
            r#":5: sites.campus.max_seats is "many"; it must be a whole number from 1 to 50"#,
        ),
        (
            with_site("vmids = \"9100\""),
            r#":5: sites.campus.vmids: VMID range "9100" must be FIRST-LAST, such as "9100-9199""#,
        ),
        (
            with_site("guest_via = \"jump\""),
            r#":5: sites.campus.guest_via is "jump"; it must be "direct", "node", "teacher" or "jump:HOST" with [user@]host[:port]"#,
        ),
        (
            with_site("fingerprints = [\"AB:CD\"]"),
            r#":5: sites.campus.fingerprints: "AB:CD" is no SHA-256 fingerprint: 32 pairs of hex digits, as `pvenode cert info` and the web interface show"#,
        ),
        (
            with_site("[engine]\ntask_stall = \"5 minutes\""),
            r#":6: engine.task_stall is "5 minutes"; it must be a time from 10s to 24h, such as "30s", "5m" or "1h30m""#,
        ),
        (
            with_site("[clock]\nspeed = 20"),
            ":6: clock.speed is 20, but site campus is not a simulated cluster on this host; leave the key out",
        ),
        (
            with_site("nodes.pve1 = { shh = \"10.0.0.11\" }"),
            r#":5: unknown key "shh" in [sites.campus.nodes.pve1]; did you mean "ssh"?"#,
        ),
        (
            with_site("nodes.pve1 = { ssh = \"10.0.0.11:port\" }"),
            r#":5: sites.campus.nodes.pve1.ssh: "10.0.0.11:port" is no host or host:port, such as "10.0.0.11" or "pve1:2222""#,
        ),
        (
            "[sites.Campus]\nkind = \"proxmox\"".into(),
            r#":1: site name "Campus" must be a lower-case letter, then up to 30 of a-z, 0-9 or -"#,
        ),
        (
            "[sites.a]\nkind = \"vmware\"".into(),
            r#":2: sites.a.kind is "vmware"; it must be one of "proxmox", "docker", "gce""#,
        ),
        (
            "[sites.a]\nkind = \"proxmox\"".into(),
            r#":1: sites.a.api is missing; write for example api = ["https://pve1:8006"]"#,
        ),
        (
            "[sites.a]\nkind = \"proxmox\"\napi = [\"http://pve1:8006\"]".into(),
            r#":3: sites.a.api is "http://pve1:8006"; it must be an https address, such as "https://pve1:8006""#,
        ),
        (
            "[sites.a]\nkind = \"gce\"\nzones = [\"x\"]".into(),
            r#":1: sites.a.project is missing; write project = "my-project", or set GCP_PROJECT"#,
        ),
        ("[sites.a\n".into(), ":1: not valid TOML: "),
    ];
    for (text, expected) in cases {
        let said = complaint(read(&text));
        assert!(said.starts_with(&format!("{FILE}{expected}")), "{text}\n said {said}\n not  {expected}");
    }
}

#[test]
fn a_simulated_cluster_on_this_host_may_run_fast() {
    let text = with_site("[clock]\nspeed = 20.0").replace("pve1:8006", "127.0.0.1:40001");
    assert_eq!(read(&text).expect("loopback").0.clock.speed, 20.0);
}

#[test]
fn no_complaint_or_warning_or_debug_shows_a_secret() {
    const SECRET: &str = "hunter2-hunter2";
    let token =
        |token: &str| format!("[sites.campus]\nkind = \"proxmox\"\napi = [\"https://pve1:8006\"]\ntoken = {token}\n");
    let (settings, warnings) =
        read(&token(&format!("{{ id = \"a@pve!b\", secret = \"{SECRET}\" }}"))).expect("allowed");
    assert_eq!(
        warnings,
        [format!(
            "{FILE}:4: sites.campus.token.secret is written out in this file; \
             {{ env = … }}, {{ file = … }} or {{ command = … }} keeps it out of backups and screens"
        )]
    );
    assert!(!format!("{settings:?}").contains(SECRET));
    let wrong = [
        token(&format!("\"a@pve!b={SECRET}\"")),
        token(&format!("{{ id = \"a@pve!b={SECRET}\", secret = {{ env = \"X\" }} }}")),
        token(&format!("{{ id = \"a@pve!b\", secret = [\"{SECRET}\"] }}")),
        token(&format!("{{ id = \"a@pve!b\", secret = {{ envv = \"{SECRET}\" }} }}")),
        token(&format!("{{ id = \"a@pve!b\", secret = {{ env = \"X\", file = \"{SECRET}\" }} }}")),
        token(&format!("{{ id = \"a@pve!b\", secret = \"{SECRET} }}")),
        token(&format!("{{ id = \"a@pve!b\", secret = {{ env = \"${SECRET}\" }} }}")),
        token("{ id = \"a@pve!b\", secret = { env = \"X\" } }")
            .replace("https://pve1", &format!("https://root:{SECRET}@pve1")),
    ];
    for text in wrong {
        let said = complaint(read(&text));
        assert!(!said.contains(SECRET), "{said}");
    }
}

#[test]
fn a_site_nobody_configured_is_answered_with_the_nearest() {
    let (settings, _) = read(&with_site("")).expect("right");
    let said = |name| settings.site(name).map(|_| ()).expect_err("unknown").to_string();
    assert_eq!(said("campsu"), "no site is called \"campsu\"; did you mean \"campus\"?");
    assert_eq!(said("moon"), "no site is called \"moon\"; configured are campus");
    let (none, _) = read("").expect("right");
    assert_eq!(
        none.only_site().map(|_| ()).expect_err("none").to_string(),
        format!("no site is configured yet; write one into {FILE}, or try `homeroom demo`")
    );
}

#[test]
fn a_missing_configuration_file_that_was_named_is_an_error() {
    let error = config::load(Some(Path::new("/nonexistent/homeroom.toml"))).map(|_| ()).expect_err("missing");
    assert_eq!(error.to_string(), "cannot read /nonexistent/homeroom.toml: no such file or directory");
}

fn define(text: &str, settings: Option<&Settings>) -> Result<Definition, String> {
    definition::parse(text, "cs101.toml", Path::new("/home/ada/labs"), settings).map_err(|e| e.to_string())
}

const HEAD: &str = "kind = \"class\"\nname = \"cs101\"\nsite = \"campus\"\ntemplate = \"ubuntu-22.04\"\n";
const CLASS: &str = "kind = \"class\"\nname = \"cs101\"\nsite = \"campus\"\ntemplate = \"ubuntu-22.04\"\ncount = 3\n";
const WORKSHOP: &str =
    "kind = \"workshop\"\nname = \"rust-intro\"\nsite = \"local\"\nseats = 10\nimage = \"workspace:latest\"\n";

#[test]
fn what_is_wrong_in_a_class_is_named_with_file_line_and_key() {
    let cases = [
        (HEAD, "count = 0", ":5: count makes 0 students; a lab has 1 to 50"),
        (HEAD, "count = 51", ":5: count makes 51 students; a lab has 1 to 50"),
        (HEAD, "count = -1", ":5: count is -1; it must be a whole number from 1 to 50"),
        (HEAD, "students = []", ":5: students makes 0 students; a lab has 1 to 50"),
        (
            HEAD,
            "students = [\"ada\", \"Grace\"]",
            r#":5: students: seat name "Grace" must be a lower-case letter, then up to 30 of a-z, 0-9 or -"#,
        ),
        (
            HEAD,
            "students = [\n  \"ada\",\n  \"grace\",\n  \"ada\",\n]",
            r#":8: students holds "ada" twice (first on line 6); every seat needs a name of its own"#,
        ),
        (
            HEAD,
            "students = [\"teacher\"]",
            r#":5: students holds "teacher", which is reserved for the teacher's seat; write teacher = true for one"#,
        ),
        (
            HEAD,
            "students = [\"ada\"]\ncount = 3",
            ":6: students and count exclude each other; keep the list of names or the number",
        ),
        (HEAD, "", ": students is missing; write students = [\"ada\", \"grace\"], or count = 10"),
        (CLASS, "memory = \"4G\"", r#":6: unknown key "memory" at the top level; it belongs in [machine]"#),
        (CLASS, "[machine]\nmemry = \"4G\"", r#":7: unknown key "memry" in [machine]; did you mean "memory"?"#),
        (
            CLASS,
            "[machine]\nteacher = true",
            r#":7: unknown key "teacher" in [machine]; it belongs at the top, before the first [table]"#,
        ),
        (
            CLASS,
            "[machine]\nmemory = \"lots\"",
            r#":7: machine.memory: size "lots" must be a number with K, M, G or T, such as "4G""#,
        ),
        (
            CLASS,
            "[machine]\nmemory = 4096",
            r#":7: machine.memory is 4096; it must be a size with its unit, such as "4G" or "512M""#,
        ),
        (
            CLASS,
            "[machine]\ncores = \"two\"",
            r#":7: machine.cores is "two"; it must be a whole number from 1 to 1024"#,
        ),
        (
            CLASS,
            "[machine]\nsecure_boot = true\nfirmware = \"bios\"",
            ":7: machine.secure_boot needs firmware = \"uefi\"",
        ),
        (
            CLASS,
            "[machine]\ntags = [\"a b\"]",
            r#":7: machine.tags is "a b"; it must be a tag: letters, digits, _, -, + and ., beginning with a letter, a digit or _"#,
        ),
        (
            CLASS,
            "[[machine.nic]]\nvlan = 4095",
            ":6: machine.nic.bridge is missing; write for example bridge = \"vmbr1\"",
        ),
        (
            CLASS,
            "[[machine.nic]]\nbridge = \"vmbr1\"\nvlan = 4095",
            ":8: machine.nic.vlan is 4095; it must be a whole number from 1 to 4094",
        ),
        (
            CLASS,
            "[machines.student-04]\ncores = 4",
            r#":6: machines.student-04 names no seat of this class: "student-04"; did you mean "student-01"?"#,
        ),
        (
            CLASS,
            "[machines.teacher]\ncores = 4",
            r#":6: machines.teacher names no seat of this class: "teacher"; write teacher = true to have one"#,
        ),
        (
            CLASS,
            "[machines.student-01.cloud_init]\nip = \"10.1.0.300/24\"",
            r#":7: machines.student-01.cloud_init.ip is "10.1.0.300/24"; it must be "dhcp" or a range such as "10.1.0.20-10.1.0.60/24,gw=10.1.0.1""#,
        ),
        (
            CLASS,
            "[cloud_init]\nip = \"10.1.0.20-10.1.0.21/24\"",
            ":6: cloud_init.ip holds 2 addresses for 3 machines; widen 10.1.0.20-10.1.0.21",
        ),
        (
            CLASS,
            "[cloud_init]\nip = \"10.1.0.60-10.1.0.20/24\"",
            ":7: cloud_init.ip: 10.1.0.60-10.1.0.20 is no range within one /24 network, lowest address first",
        ),
        (
            CLASS,
            "[cloud_init]\nip = \"10.1.0.0-10.1.0.20/24\"",
            ":7: cloud_init.ip: 10.1.0.0-10.1.0.20 holds the network's own address or its broadcast address; leave those out",
        ),
        (
            CLASS,
            "[cloud_init]\nip = \"10.1.0.20-10.1.0.60/24,gw=10.2.0.1\"",
            ":7: cloud_init.ip: the gateway 10.2.0.1 is not in the network of 10.1.0.20/24",
        ),
        (
            CLASS,
            "[cloud_init]\nip = \"10.1.0.20-10.1.0.60/24\"\n[machines.student-01.cloud_init]\nip = \"10.1.0.21/24\"",
            ":8: student-01 and student-02 would both have the address 10.1.0.21; give one another ip",
        ),
        (
            CLASS,
            "[cloud_init]\npassword = \"hunter2\"",
            r#":7: cloud_init.password may not be written out, because definitions are kept and shown; use "generate", { env = "NAME" }, { file = "PATH" } or { command = "COMMAND" }"#,
        ),
        (
            CLASS,
            "[cloud_init]\nssh_keys = [\"ssh-ed25519 AAAA\"]",
            r#":7: cloud_init.ssh_keys: not an SSH public key; it must read like "ssh-ed25519 AAAA… name""#,
        ),
        (
            CLASS,
            "[cloud_init]\nssh_keys = [\"missing.pub\"]",
            ":7: cloud_init.ssh_keys: cannot read /home/ada/labs/missing.pub: no such file or directory",
        ),
        (
            CLASS,
            "[cloud_init]\nssh_keys = [\"-----BEGIN OPENSSH PRIVATE KEY-----\"]",
            ":7: cloud_init.ssh_keys holds a private key; it is secret and stays with you: name the public half, the file that ends in .pub",
        ),
        (
            CLASS,
            "[placement]\npolicy = \"pin\"",
            r#":6: placement.policy is "pin", but placement.nodes names no node to pin to"#,
        ),
        (
            CLASS,
            "[placement]\nvmids = \"9100-9101\"",
            ":6: placement.vmids is 9100-9101: 2 numbers for 3 machines; widen it",
        ),
        (
            CLASS,
            "[rollcall]\nchecks = [\"true\"]",
            r#":7: rollcall.checks is "true"; it must be a list of a program and its arguments, such as ["uname", "-a"]"#,
        ),
        (
            CLASS,
            "[rollcall]\nprofile = \"stict\"",
            r#":7: rollcall.profile is "stict"; it must be one of "normal", "strict", "off"; did you mean "strict"?"#,
        ),
        (
            CLASS,
            "[rollcall]\ncidr = [\"10.1.0.0\"]",
            r#":7: rollcall.cidr is "10.1.0.0"; it must be a network, such as "10.1.0.0/24""#,
        ),
        ("", "kind = \"clas\"", r#":1: kind is "clas"; it must be one of "class", "workshop"; did you mean "class"?"#),
        ("", "name = \"cs101\"", ": kind is missing; write kind = \"class\" or kind = \"workshop\""),
        (
            "",
            "kind = \"class\"\nname = \"CS 101\"\nsite = \"campus\"",
            r#":2: name: lab name "CS 101" must be a lower-case letter, then up to 30 of a-z, 0-9 or -"#,
        ),
        ("", "kind = \"class\"\nname = \"a\nb\"", ":2: not valid TOML: "),
    ];
    for (head, more, expected) in cases {
        let said = complaint(define(&format!("{head}{more}"), None));
        assert!(said.starts_with(&format!("cs101.toml{expected}")), "{more}\n said {said}\n not  cs101.toml{expected}");
        assert!(!said.contains("hunter2"));
    }
}

#[test]
fn what_is_wrong_in_a_workshop_is_named_with_file_line_and_key() {
    let cases = [
        ("students = [\"ada\"]", r#":6: unknown key "students" at the top level; "#),
        (
            "ends_after = \"24h\"\nmax_life = \"12h\"",
            ":6: ends_after is 24h, later than max_life (12h), which nothing passes",
        ),
        ("ports = { terminal = 3002 }", ":6: ports.terminal and ports.files are both 3002; they must differ"),
        (
            "seats_on = \"joining\"",
            r#":6: seats_on is "joining"; it must be one of "start", "join"; did you mean "join"?"#,
        ),
        (
            "gce = { dns = \"ws_{code}.lab\" }",
            r#":6: gce.dns is "ws_{code}.lab"; it must be a host name, such as "ws-{code}.lab.example.com""#,
        ),
    ];
    for (more, expected) in cases {
        let said = complaint(define(&format!("{WORKSHOP}{more}"), None));
        assert!(said.starts_with(&format!("cs101.toml{expected}")), "{more}\n said {said}\n not  {expected}");
    }
    assert_eq!(
        complaint(define(&WORKSHOP.replace("10", "51"), None)),
        "cs101.toml:4: seats makes 51 seats; a lab has 1 to 50"
    );
}

#[test]
fn a_definition_must_fit_its_site() {
    let (mut settings, _) =
        read(&with_site("max_seats = 2\nvmids = \"9100-9199\"\n[sites.local]\nkind = \"docker\"")).expect("right");
    let mut said = |text: &str, seats: u32| {
        for site in settings.sites.values_mut() {
            site.max_seats = seats;
        }
        complaint(define(text, Some(&settings)))
    };
    assert_eq!(said(CLASS, 2), "cs101.toml:5: count makes 3 students; site campus takes 2 (max_seats)");
    assert_eq!(
        said(&CLASS.replace("campus", "campsu"), 50),
        "cs101.toml:3: no site is called \"campsu\"; did you mean \"campus\"?"
    );
    assert_eq!(
        said(&CLASS.replace("campus", "local"), 50),
        "cs101.toml:3: site local is a docker site; a class needs a proxmox site"
    );
    assert_eq!(
        said(&WORKSHOP.replace("local", "campus"), 50),
        "cs101.toml:3: site campus is a proxmox site; a workshop needs a docker or gce site"
    );
    assert_eq!(
        said(&format!("{CLASS}[placement]\nvmids = \"9190-9210\""), 50),
        "cs101.toml:7: placement.vmids is 9190-9210, which is not within 9100-9199, the VMIDs of site campus"
    );
    assert_eq!(
        said(&format!("{WORKSHOP}[gce]\nspot = true"), 50),
        "cs101.toml:6: [gce] needs a gce site; local is a docker site"
    );
}
