//! The configuration, as users meet it: what is read, and what bad input is told.

use std::path::Path;

use homeroom::config::{self, Credentials, Folders, Settings, SiteKind};

/// The configuration of these tests is always called so.
const FILE: &str = "/etc/homeroom/config.toml";

fn folders() -> Folders {
    Folders::under(Path::new("/home/ada"))
}

pub fn read(text: &str) -> Result<(Settings, Vec<String>), String> {
    config::parse(text, Path::new(FILE), &folders(), &|_| None)
        .map(|(settings, warnings)| (settings, warnings.iter().map(ToString::to_string).collect()))
        .map_err(|e| e.to_string())
}

/// The complaint, checked to be of lines a person can read at once.
pub fn complaint<T>(result: Result<T, String>) -> String {
    let text = result.err().unwrap_or_else(|| "nothing: it was taken".to_owned());
    assert!(text.lines().all(|line| !line.is_empty() && line.len() < 300), "too long: {text}");
    text
}

pub fn with_site(more: &str) -> String {
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
    // Of the two ways in, either is taken, and only one of them.
    let without = |key: &str| -> String {
        uncommented.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect()
    };
    assert!(complaint(read(&uncommented)).contains("login stands beside token"));
    let (settings, _) = read(&without("token = ")).expect("a login instead of a token is right");
    let campus = settings.site("campus").expect("there").proxmox().expect("proxmox");
    assert!(matches!(&campus.credentials, Credentials::Login(login) if login.user == "admin@pam"));
    let (settings, _) = read(&without("login = ")).expect("what the sample offers is right");
    let kinds: Vec<_> = settings.sites.values().map(|site| site.kind_name()).collect();
    assert_eq!(kinds, ["proxmox", "gce", "docker"]);
    let campus = settings.site("campus").expect("there").proxmox().expect("proxmox");
    assert!(campus.monitor_token.is_some() && campus.ca_file.is_some());
    assert_eq!(campus.node_ssh(&homeroom::domain::NodeName::new("pve1")).map(|at| at.host.as_str()), Some("10.0.0.11"));
}

#[test]
fn a_theme_of_ones_own_lies_beside_the_configuration_and_is_told_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("themes");
    std::fs::create_dir(&own).unwrap();
    let load = |ui: &str| {
        let file = folder.path().join("config.toml");
        let (settings, _) = config::parse(ui, &file, &folders(), &|_| None).map_err(|e| e.to_string())?;
        settings.ui.palette(false).map_err(|e| e.to_string())
    };
    let dark = config::Palette::DARK;
    assert_eq!(load(""), Ok(dark.clone()));
    assert_eq!(load("[ui]\ntheme = \"dark\""), Ok(dark.clone()));
    std::fs::write(own.join("mine.toml"), "base = \"light\"\nok = \"#102030\"\nbad = 9\n").unwrap();
    let mine = load("[ui]\ntheme = \"mine\"").unwrap();
    assert_eq!((mine.ok, mine.bad, mine.light), (config::Paint::Rgb(16, 32, 48), config::Paint::Ansi(9), true));
    let wrong = complaint(load("\n[ui]\ntheme = \"drak\""));
    assert!(wrong.contains("config.toml:3: ui.theme is \"drak\"; built in are auto, dark, light"), "{wrong}");
    assert!(wrong.ends_with("did you mean \"dark\"?"), "{wrong}");
    assert!(complaint(load("[ui]\ntheme = \"../x\"")).contains("a name of letters"));
    for (text, told) in [
        (
            "ok = \"green\"",
            "mine.toml:1: ok is \"green\"; it must be \"default\", \"#rrggbb\", or a number from 0 to 15",
        ),
        ("\nok = 16", "mine.toml:2: ok is 16; it must be"),
        ("okk = 1", "mine.toml:1: unknown key \"okk\" at the top level; did you mean \"ok\"?"),
        ("base = \"mine\"", "mine.toml:1: base is \"mine\"; it must be one of \"dark\""),
        ("ok = #", "mine.toml:1: not valid TOML"),
    ] {
        std::fs::write(own.join("mine.toml"), text).unwrap();
        let wrong = complaint(load("[ui]\ntheme = \"mine\""));
        assert!(wrong.contains(told), "{wrong}");
    }
}

#[test]
fn keys_of_ones_own_are_refused_at_the_start_where_two_commands_would_share_one() {
    use homeroom::app::commands::Commands;
    let commands = |keys: &str| {
        let (settings, _) = read(&format!("[keys]\n{keys}"))?;
        homeroom::tui::rekeyed(&settings.ui, Commands::new(false)).map_err(|e| e.to_string())
    };
    assert!(commands("deploy = \"D\"\nrefresh = [\"f5\", \"ctrl-g\"]\nsave-log = []").is_ok());
    for (keys, told) in [
        (
            "deploy = \"s\"",
            ":2: keys.deploy: the key s is that of shell in the classes pane already; give shell another one",
        ),
        ("runs = \"X\"\ndeploy = \"X\"", "the key X is that of"),
        ("depoly = \"D\"", ":2: keys.depoly: there is no such command; did you mean \"deploy\"?"),
        ("deploy = \"dd\"", "\"dd\" is no key; one is a letter"),
        ("deploy = 3", ":2: keys.deploy is 3; it must be a key in quotes, or a list of them"),
        ("keep = \"x\"", "the key x is text where a filter is typed"),
        ("let-go = \"f1\"", "its key cannot be changed"),
    ] {
        let wrong = complaint(commands(keys));
        assert!(wrong.contains(told), "{wrong}");
    }
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
            "[sites.a]\nkind = \"gce\"\nzones = [\"europe-west3-a\"]".into(),
            r#":1: sites.a.project is missing; write project = "my-project", or set GCP_PROJECT"#,
        ),
        (
            "[sites.a]\nkind = \"gce\"\nproject = \"p\"\nzones = [\"Nowhere\"]".into(),
            r#":4: zones: "Nowhere" is no zone; one is called europe-west3-a, say"#,
        ),
        ("[sites.a\n".into(), ":1: not valid TOML: "),
    ];
    for (text, expected) in cases {
        let said = complaint(read(&text));
        let told = said.lines().any(|line| line.starts_with(&format!("{FILE}{expected}")));
        assert!(told, "{text}\n said {said}\n not  {expected}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once_each_with_its_line_and_nothing_that_only_follows_from_it() {
    let text = "[sites.campus]\nkind = \"proxmox\"\nenviroment = \"prud\"\napi = \"http://pve1:8006\"\nvmids = \"9999-9100\"\n\
                nodes.\"pve1.lan\" = { shh = \"10.0.0.1\" }\n[sites.other]\nkind = \"proxmax\"\nhots = 1\n\
                [store]\npth = \"x\"\n[clock]\nspeed = 20\n[ui]\nmouse = 3\n";
    let told = complaint(read(text));
    let lines: Vec<_> = told.lines().map(|line| line.split(':').nth(1).unwrap_or_default()).collect();
    assert_eq!(lines, ["1", "3", "3", "4", "5", "6", "8", "11", "15"], "{told}");
    for part in ["token is missing", "did you mean \"environment\"", "is \"prud\"", "https address", "ends before"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("speed") && !told.contains("hots"), "{told}");
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

#[test]
fn the_environment_fills_in_what_a_cloud_site_leaves_out_and_is_read_as_strictly() {
    let text = "[sites.a]\nkind = \"gce\"\nproject = \"p\"\n";
    let with = |name: &'static str, value: &'static str| {
        let env = move |asked: &str| (asked == name).then(|| value.to_owned());
        config::parse(text, Path::new(FILE), &folders(), &env).map(|(settings, _)| settings).map_err(|e| e.to_string())
    };
    let site = |settings: Settings| match settings.sites.into_values().next().unwrap().kind {
        config::SiteKind::Gce(site) => site,
        other => panic!("{other:?}"),
    };
    assert_eq!(site(with("NOTHING", "").unwrap()).zones, ["us-central1-a"]);
    assert_eq!(site(with("GCP_ZONE", "europe-west3-b, europe-west3-c").unwrap()).zones.len(), 2);
    assert!(site(with("GCP_USE_SPOT", "TRUE").unwrap()).spot && !site(with("GCP_USE_SPOT", "0").unwrap()).spot);
    for (name, value, words) in [
        ("GCP_ZONE", "Nowhere", "GCP_ZONE: \"Nowhere\" is no zone"),
        ("GCP_ZONE", "europe-west3-a,", "GCP_ZONE: \"\" is no zone"),
        ("GCP_USE_SPOT", "maybe", "GCP_USE_SPOT is \"maybe\"; it is true or false"),
    ] {
        let said = complaint(with(name, value));
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn what_a_cloud_leaves_out_is_taken_from_the_environment() {
    let read = |text: &str, env: &[(&str, &str)]| {
        let said = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        config::parse(text, Path::new(FILE), &folders(), &said).map(|(settings, _)| settings).map_err(|e| e.to_string())
    };
    let gce = |settings: Settings| match settings.sites.into_values().next().unwrap().kind {
        SiteKind::Gce(gce) => gce,
        other => panic!("{other:?}"),
    };
    let bare = "[sites.cloud]\nkind = \"gce\"\n";
    let all = [
        ("GCP_PROJECT", "lab-1"),
        ("GCP_ZONE", "europe-west3-a, europe-west3-b"),
        ("GCP_REGISTRY", "europe-west3-docker.pkg.dev/lab-1/lab"),
        ("GCP_USE_SPOT", "true"),
    ];
    let site = gce(read(bare, &all).unwrap());
    assert_eq!((site.project.as_str(), site.spot), ("lab-1", true));
    assert_eq!(site.zones, ["europe-west3-a", "europe-west3-b"]);
    assert_eq!(site.registry.as_deref(), Some("europe-west3-docker.pkg.dev/lab-1/lab"));
    let own = format!("{bare}project = \"mine\"\nzones = [\"us-central1-a\"]\nspot = false\n");
    let site = gce(read(&own, &all).unwrap());
    assert_eq!((site.project.as_str(), site.spot, site.zones), ("mine", false, vec!["us-central1-a".to_owned()]));
    let zone = ("GCP_ZONE", "europe-west3-a");
    let said = complaint(read(bare, &[zone, ("GCP_PROJECT", "")]));
    assert!(said.contains("sites.cloud.project is missing") && said.contains("or set GCP_PROJECT"), "{said}");
    let said = complaint(read(bare, &[zone, ("GCP_PROJECT", "lab-1"), ("GCP_USE_SPOT", "maybe")]));
    assert!(said.contains("GCP_USE_SPOT is \"maybe\"; it is true or false"), "{said}");
}
