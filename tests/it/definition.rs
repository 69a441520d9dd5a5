//! Definitions, as users meet them: what is read and printed, and what bad input is told.

use std::{path::Path, time::Duration};

use homeroom::{
    config::{Settings, definition},
    domain::{
        Definition,
        class::{ClassDefinition, IpSource, Password, Profile, Students},
        size::Size,
        workshop::WorkshopDefinition,
    },
};

use super::config::{complaint, read, with_site};

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
            "[machine]\nsecure_boot = true\n[machines.student-02]\nfirmware = \"bios\"",
            ":8: student-02 would have secure_boot with firmware = \"bios\"; it needs firmware = \"uefi\"",
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
            "gce = { source_ranges = [\"203.0.113.0/24\", \"2001:db8::/32\"] }",
            r#":6: gce.source_ranges is "2001:db8::/32"; it must be a network of IPv4, such as "203.0.113.0/24": the instance has no other address"#,
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

/// A definition that must be right, as a class.
fn class(text: &str) -> ClassDefinition {
    match define(text, None).expect("this is right") {
        Definition::Class(class) => class,
        Definition::Workshop(_) => panic!("a class was written"),
    }
}

#[test]
fn a_definition_with_every_key_is_read_as_written() {
    let (settings, _) = read(&with_site("")).expect("right");
    let text = include_str!("../../config/examples/class.toml");
    let Definition::Class(class) = define(text, Some(&settings)).expect("the example is right") else {
        panic!("the example is a class");
    };
    assert_eq!(class.seats().len(), 3);
    let ada = &class.resolve()[1];
    assert_eq!((ada.machine.memory, ada.machine.cores), (Some(Size::gib(8)), Some(2)));
    assert_eq!(ada.address.as_ref().map(|a| a.ip.to_string()).as_deref(), Some("10.1.0.21"));
    assert_eq!(ada.cloud_init.password, Some(Password::Generate));
    assert_eq!(class.machine.nic.len(), 1);
    assert_eq!(class.rollcall.checks.len(), 2);
}

#[test]
fn the_workshop_example_says_the_defaults_and_its_commented_keys_are_taken() {
    let example = include_str!("../../config/examples/workshop.toml");
    let Definition::Workshop(workshop) = define(example, None).expect("the example is right") else {
        panic!("the example is a workshop");
    };
    let browser = workshop.browser.clone();
    assert_eq!(browser.as_ref().map(|b| (b.image.as_str(), b.port)), Some(("neko:latest", 3003)));
    let plain = WorkshopDefinition::new(workshop.name.clone(), workshop.site.clone(), 10, "workspace:latest");
    assert_eq!(workshop, WorkshopDefinition { browser, ..plain });

    let (_, gce) = example.split_once("# [gce]").expect("it is there");
    let Definition::Workshop(cloud) =
        define(&format!("{WORKSHOP}[gce]{}", gce.replace("\n# ", "\n")), None).expect("right")
    else {
        panic!("a workshop");
    };
    assert_eq!((cloud.gce.spot, cloud.gce.disk, cloud.gce.source_ranges.len()), (Some(true), Some(Size::gib(50)), 1));
}

#[test]
fn strict_means_three_pings_and_thirty_seconds_unless_said_otherwise() {
    let strict = |more: &str| class(&format!("{CLASS}[rollcall]\nprofile = \"strict\"\n{more}")).rollcall;
    let (plain, own) = (strict(""), strict("pings = 5\nsettle = \"5s\""));
    assert_eq!((plain.profile, plain.pings, plain.settle), (Profile::Strict, 3, Duration::from_secs(30)));
    assert_eq!((own.pings, own.settle), (5, Duration::from_secs(5)));
}

#[test]
fn a_template_is_a_name_or_a_number() {
    for (written, shown) in [("\"ubuntu-22.04\"", "ubuntu-22.04"), ("9000", "9000"), ("\"9000\"", "9000")] {
        assert_eq!(class(&CLASS.replace("\"ubuntu-22.04\"", written)).template.to_string(), shown);
    }
    assert_eq!(
        complaint(define(&CLASS.replace("\"ubuntu-22.04\"", "99"), None)),
        "cs101.toml:4: template: VMID 99 is outside 100 to 999999999, the range Proxmox takes"
    );
}

#[test]
fn public_keys_are_read_from_their_files_beside_the_definition() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    let make = || ssh_key::PrivateKey::random(&mut rng(), ssh_key::Algorithm::Ed25519).expect("a key");
    let (ada, grace) = (make(), make());
    let public = |key: &ssh_key::PrivateKey| key.public_key().to_openssh().expect("printed");
    write("ada.pub", &format!("{} ada@laptop\r\n", public(&ada)));
    write("all.pub", &format!("# the staff\n{0} ada@laptop\n\n{1}\n", public(&ada), public(&grace)));
    write("id_ed25519", ada.to_openssh(ssh_key::LineEnding::LF).expect("printed").as_str());
    write("empty.pub", "\n");
    write("words.pub", "this is no key\n");
    let parse = |keys: &str| {
        let text = format!("{CLASS}[cloud_init]\nssh_keys = {keys}");
        definition::parse(&text, "cs101.toml", folder.path(), None).map_err(|e| e.to_string())
    };
    let Definition::Class(class) = parse("[\"ada.pub\", \"all.pub\"]").expect("right") else { panic!("a class") };
    let wanted = [format!("{} ada@laptop", public(&ada)), public(&grace)];
    assert_eq!(class.cloud_init.ssh_keys, wanted.map(|key| key.trim_end().to_owned()));

    let at = "cs101.toml:7: cloud_init.ssh_keys";
    for (keys, said) in [
        (
            "[\"id_ed25519\"]",
            format!("{at}: \"id_ed25519\" is a private key; name its public half, usually \"id_ed25519.pub\""),
        ),
        ("[\"empty.pub\"]", format!("{at}: \"empty.pub\" holds no key")),
        (
            "[\"words.pub\"]",
            format!("{at}: \"words.pub\": not an SSH public key; it must read like \"ssh-ed25519 AAAA… name\""),
        ),
        ("\"ada.pub\"", format!("{at} is a string; it must be a list in [ ]")),
    ] {
        assert_eq!(complaint(parse(keys)), said);
    }
}

fn rng() -> impl ssh_key::rand_core::CryptoRngCore {
    ssh_key::rand_core::OsRng
}

#[test]
fn every_usual_kind_of_public_key_is_known() {
    for key in include_str!("definition_keys.txt").lines() {
        let text = format!("{CLASS}[cloud_init]\nssh_keys = [\"{key}\"]");
        assert_eq!(class(&text).cloud_init.ssh_keys, [key]);
    }
}

#[test]
fn a_seat_may_have_an_address_of_its_own() {
    let class = class(&format!(
        "{CLASS}[cloud_init]\nip = \"10.1.0.20-10.1.0.22/24,gw=10.1.0.1\"\n\
         [machines.student-02.cloud_init]\nip = \"10.1.0.99/24\""
    ));
    let addresses: Vec<_> = class.resolve().iter().filter_map(|s| Some(s.address.as_ref()?.ip.to_string())).collect();
    assert_eq!(addresses, ["10.1.0.20", "10.1.0.99", "10.1.0.22"]);
    assert!(matches!(class.cloud_init.ip, Some(IpSource::Range { prefix: 24, .. })));
}

#[test]
fn a_count_stays_a_count_and_a_teacher_is_asked_for() {
    let class = class(CLASS);
    assert_eq!((class.students.clone(), class.teacher, class.seats().len()), (Students::Count(3), false, 3));
}

#[test]
fn a_password_lies_where_the_definition_says_seen_from_its_folder() {
    let password = |form: &str| class(&format!("{CLASS}[cloud_init]\npassword = {form}")).cloud_init.password;
    assert_eq!(password("\"generate\""), Some(Password::Generate));
    assert_eq!(password("{ env = \"PW\" }"), Some(Password::Env("PW".into())));
    assert_eq!(password("{ file = \"pw\" }"), Some(Password::File("/home/ada/labs/pw".into())));
    assert_eq!(password("{ command = \"pass show lab\" }"), Some(Password::Command("pass show lab".into())));
}
