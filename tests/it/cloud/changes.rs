//! A definition that changes under a workshop that stands: what is put right where it stands, what means another
//! instance, what no deploy changes; and what of a definition cannot be had, told by the plan.

use std::sync::Arc;

use homeroom::{
    domain::{
        Plan, Role,
        event::RunState,
        plan::{SeatPlan, Verb},
    },
    service::{
        Homeroom, ServiceError,
        deploy::{Request, deploy},
        ends::extend,
        plan::plan_deploy,
    },
};
use serde_json::json;

use super::{DEFINITION, Stage, ZONE, intro};

fn planned(stage: &Stage) -> Result<Plan, ServiceError> {
    stage.live(async |home: Arc<Homeroom>| plan_deploy(&home, &intro()).await.map(|planned| planned.plan))
}

fn plan(stage: &Stage) -> Plan {
    planned(stage).unwrap()
}

fn refusal(stage: &Stage) -> String {
    planned(stage).unwrap_err().to_string()
}

fn host(plan: &Plan) -> &SeatPlan {
    plan.seats.iter().find(|row| row.role == Role::Host).unwrap()
}

/// `field: from -> to` of every change of the host.
fn changes(plan: &Plan) -> Vec<String> {
    host(plan).changes.iter().map(|it| format!("{}: {} -> {}", it.field, it.from, it.to)).collect()
}

/// Every name in DNS, and where it leads.
fn names(stage: &Stage) -> Vec<(String, String)> {
    stage.project.world(|world| {
        let addresses = world.dns["lab"].records.iter().filter(|((_, kind), _)| kind == "A");
        let name = |name: &str| name.trim_end_matches('.').to_owned();
        addresses.map(|((it, _), set)| (name(it), set["rrdatas"][0].as_str().unwrap().to_owned())).collect()
    })
}

fn ip(stage: &Stage) -> String {
    stage.status().machines[0].ip.unwrap().to_string()
}

#[test]
fn another_name_is_planned_published_and_the_old_one_taken_back_while_every_seat_stays() {
    let stage = Stage::new();
    stage.deploy();
    let code = stage.status().life.unwrap().code.as_str().to_ascii_lowercase();
    let somebodys = ("mail.lab.example.com.".to_owned(), "A".to_owned());
    stage.project.world(|world| {
        let set = json!({"name": somebodys.0, "type": "A", "ttl": 300, "rrdatas": ["203.0.113.9"]});
        world.dns.get_mut("lab").unwrap().records.insert(somebodys.clone(), set);
    });
    stage.define(&DEFINITION.replace("ws-{code}", "course-{code}"));
    let plan = plan(&stage);
    assert_eq!(host(&plan).verb, Verb::Update, "{plan:#?}");
    assert_eq!(
        changes(&plan),
        [format!("gce.dns: ws-{code}.lab.example.com -> course-{code}.lab.example.com")],
        "{plan:#?}"
    );
    assert_eq!(plan.count(Verb::Keep), 2, "the seats stay: {plan:#?}");
    let at = ip(&stage);
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    let mail = ("mail.lab.example.com".to_owned(), "203.0.113.9".to_owned());
    assert_eq!(names(&stage), [(format!("course-{code}.lab.example.com"), at), mail.clone()]);
    assert_eq!(stage.deploy(), None, "and that is all");

    stage.define(&DEFINITION.replace("dns = \"ws-{code}.lab.example.com\"\n", ""));
    let without = self::plan(&stage);
    assert_eq!(changes(&without), [format!("gce.dns: course-{code}.lab.example.com -> ")]);
    assert!(host(&without).why.contains("is taken out of DNS"), "{without:#?}");
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    assert_eq!(names(&stage), [mail]);
    assert_eq!(stage.deploy(), None);
    assert_eq!(stage.ever_made(), 1);
    stage.end();
}

#[test]
fn a_name_that_is_somebody_else_s_or_lies_in_no_zone_is_refused_by_the_plan() {
    let stage = Stage::new();
    stage.define(&DEFINITION.replace("ws-{code}.lab.example.com", "ws-{code}.elsewhere.org"));
    let why = refusal(&stage);
    assert!(why.contains("no managed zone of lab-1 holds ws-code.elsewhere.org"), "{why}");
    assert!(why.contains("change gce.dns"), "{why}");
    stage.project.world(|world| {
        let set = json!({"name": "mail.lab.example.com.", "type": "A", "ttl": 300, "rrdatas": ["203.0.113.9"]});
        let key = ("mail.lab.example.com.".to_owned(), "A".to_owned());
        world.dns.get_mut("lab").unwrap().records.insert(key, set);
    });
    stage.define(&DEFINITION.replace("ws-{code}", "mail"));
    let why = refusal(&stage);
    assert!(why.contains("mail.lab.example.com is published already, and not by intro"), "{why}");
    stage.project.world(|world| world.disabled.push("dns"));
    let why = refusal(&stage);
    assert!(why.contains("`gcloud services enable dns.googleapis.com`"), "{why}");
    stage.project.world(|world| {
        world.disabled.clear();
        world.denied.push("dns.managedZones.list".to_owned());
    });
    let why = refusal(&stage);
    assert!(why.contains("ask for a role with dns.managedZones.list"), "{why}");
    assert_eq!(stage.listing(), [""; 0]);
    stage.end();
}

#[test]
fn a_name_that_is_an_alias_of_somebody_s_is_refused_by_the_plan() {
    let stage = Stage::new();
    let alias =
        json!({"name": "taken.lab.example.com.", "type": "CNAME", "ttl": 60, "rrdatas": ["elsewhere.example.org."]});
    stage.project.world(|world| {
        let key = ("taken.lab.example.com.".to_owned(), "CNAME".to_owned());
        world.dns.get_mut("lab").unwrap().records.insert(key, alias);
    });
    stage.define(&DEFINITION.replace("ws-{code}", "taken"));
    let (said, code) = stage.says(&["plan", "intro"]);
    assert!(said.contains("taken.lab.example.com is published already, and not by intro"), "{code:?} {said}");
    stage.end();
}

#[test]
fn a_zone_or_a_machine_type_that_does_not_exist_is_told_by_the_plan() {
    let stage = Stage::new();
    stage.define(&DEFINITION.replace("[gce]", "[gce]\nmachine_type = \"e2-enormous\""));
    let why = refusal(&stage);
    assert!(why.contains("europe-west3-a has no machines of type e2-enormous"), "{why}");
    assert!(why.contains("`gcloud compute machine-types list --zones europe-west3-a`"), "{why}");
    stage.define(DEFINITION);
    let config = std::fs::read_to_string(stage.config()).unwrap();
    let zones = "[\"europe-west3-a\", \"europe-west3-b\", \"europe-west3-c\"]";
    std::fs::write(stage.config(), config.replace(zones, "[\"europe-west33-a\", \"europe-west3-b\"]")).unwrap();
    let plan = plan(&stage);
    let note = plan.notes.iter().find(|note| note.contains("europe-west33-a")).expect("it is told");
    assert!(note.contains("there is no zone europe-west33-a") && note.contains("passed over"), "{note}");
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    assert_eq!(stage.listing(), ["europe-west3-b/intro-host"]);
    stage.destroy();
    std::fs::write(stage.config(), config.replace(zones, "[\"europe-west33-a\"]")).unwrap();
    let why = refusal(&stage);
    assert!(why.contains("there is no zone europe-west33-a") && why.contains("mend zones of the site"), "{why}");
    stage.end();
}

#[test]
fn what_an_instance_is_made_of_means_another_one_and_is_refused_without_its_flag() {
    let stage = Stage::new();
    stage.deploy();
    for (line, change) in [
        ("machine_type = \"e2-standard-8\"", "machine_type: e2-standard-4 -> e2-standard-8"),
        ("disk = \"80G\"", "disk: 50G -> 80G"),
        ("spot = true", "spot: false -> true"),
    ] {
        stage.define(&DEFINITION.replace("[gce]", &format!("[gce]\n{line}")));
        let plan = plan(&stage);
        assert_eq!(changes(&plan), [change]);
        assert_eq!(plan.count(Verb::Replace), 3, "{plan:#?}");
    }
    let refused = stage.live(async |home| deploy(&home, &intro(), &Request::default()).await.map(drop));
    assert!(matches!(refused, Err(ServiceError::Refused(_))), "{refused:?}");
    assert_eq!(stage.ever_made(), 1);
    stage.end();
}

#[test]
fn what_the_proxy_shows_changes_where_it_stands_and_every_seat_stays() {
    let stage = Stage::new();
    let folder = stage.folder.path().to_owned();
    let proven = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        std::fs::write(folder.join("ws.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("ws.key"), made.signing_key.serialize_pem()).unwrap();
        made.cert.pem()
    };
    let proxy = |rest: &str| DEFINITION.replace("[gce]", &format!("proxy = {{ port = 8443, {rest} }}\n[gce]"));
    let file = |name: &str| {
        stage.project.world(|world| {
            let files = &world.find(ZONE, "intro-host").unwrap().inside.files;
            String::from_utf8_lossy(&files[&format!("/var/lib/homeroom/{name}")]).into_owned()
        })
    };
    stage.define(&proxy("name = \"ws.example.org\""));
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    assert_eq!(stage.deploy(), None);
    let carried_out = |wanted: &[&str]| {
        let plan = plan(&stage);
        assert_eq!(changes(&plan), wanted);
        assert_eq!((plan.count(Verb::Update), plan.count(Verb::Keep)), (1, 2), "{plan:#?}");
        assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
        assert_eq!(stage.deploy(), None, "it is done");
    };
    stage.define(&proxy("name = \"lab.example.org\""));
    carried_out(&["proxy.name: ws.example.org -> lab.example.org"]);
    assert!(file("Caddyfile").contains("https://lab.example.org:8443 {\n\ttls internal"), "{}", file("Caddyfile"));

    let first = proven("lab.example.org");
    let files = format!("cert_file = \"{0}/ws.pem\", key_file = \"{0}/ws.key\"", folder.display());
    stage.define(&proxy(&format!("name = \"lab.example.org\", {files}")));
    let cert = folder.join("ws.pem").display().to_string();
    carried_out(&[&format!("proxy.cert:  -> {cert}"), "certificate:  -> the one in its files now"]);
    assert_eq!(file("cert.pem"), first);

    // Renewed where it lies, as certificates are.
    let second = proven("lab.example.org");
    carried_out(&["certificate: the one it shows -> the one in its files now"]);
    assert_eq!(file("cert.pem"), second);
    assert_eq!(file("key.pem"), std::fs::read_to_string(folder.join("ws.key")).unwrap());
    assert_eq!(stage.ever_made(), 1);
    stage.end();
}

#[test]
fn who_may_connect_changes_where_it_stands() {
    let stage = Stage::new();
    stage.deploy();
    stage.define(&DEFINITION.replace("[gce]", "[gce]\nsource_ranges = [\"127.0.0.0/8\", \"203.0.113.0/24\"]"));
    assert_eq!(changes(&plan(&stage)), ["gce.source_ranges: 0.0.0.0/0 -> 127.0.0.0/8,203.0.113.0/24"]);
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    let ranges = stage.project.world(|world| world.firewalls["intro-host"]["sourceRanges"].clone());
    assert_eq!(ranges, json!(["127.0.0.0/8", "203.0.113.0/24"]));
    assert_eq!(stage.deploy(), None);
    stage.end();
}

#[test]
fn a_disk_that_is_to_be_kept_by_now_is_kept_with_a_deploy_between_and_without() {
    let stage = Stage::new();
    let kept = DEFINITION.replace("[gce]", "[gce]\nkeep_disk = true");
    let disks = |stage: &Stage| stage.project.world(|world| world.disks.len());
    for deploys in [true, false] {
        stage.define(DEFINITION);
        stage.deploy();
        stage.define(&kept);
        if deploys {
            assert_eq!(changes(&plan(&stage)), ["gce.keep_disk: false -> true"]);
            assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
            let goes = stage
                .project
                .world(|world| world.find(ZONE, "intro-host").unwrap().body["disks"][0]["autoDelete"].clone());
            assert_eq!(goes, json!(false));
            assert_eq!(stage.deploy(), None);
        }
        assert_eq!(stage.destroy(), Some(RunState::Done));
        assert_eq!((stage.listing().len(), disks(&stage)), (0, 1), "with a deploy between: {deploys}");
        stage.project.world(|world| world.disks.clear());
    }
    stage.end();
}

#[test]
fn an_end_that_is_set_stays_and_the_plan_says_what_moves_it() {
    let stage = Stage::new();
    stage.deploy();
    let before = stage.status().life.unwrap().ends_at;
    stage.define(&DEFINITION.replace("seats = 2", "seats = 2\nends_after = \"8h\"\nmax_life = \"2d\""));
    let plan = plan(&stage);
    assert_eq!(plan.count(Verb::Keep), 3, "{plan:#?}");
    let told = plan.notes.join("\n");
    assert!(told.contains("whatever ends_after says") && told.contains("`homeroom extend intro 1h`"), "{told}");
    assert!(told.contains("the server itself ends its instance at"), "{told}");
    assert_eq!(stage.deploy(), None);
    assert_eq!(stage.status().life.unwrap().ends_at, before);
    // The server's own end comes first, whatever max_life says by now.
    let server = stage.project.world(|world| {
        let instance = world.find(ZONE, "intro-host").unwrap();
        world.epoch + i64::try_from(instance.ends_at.unwrap() / 1000).unwrap()
    });
    let day = std::time::Duration::from_secs(86_400);
    let extension = stage.live(async |home| extend(&home, &intro(), day).await.unwrap());
    assert!(extension.cut && (extension.ends_at.as_second() - server).abs() <= 1, "{extension:?}, {server}");
    let refused = stage.live(async |home| extend(&home, &intro(), day).await.unwrap_err().to_string());
    assert!(refused.contains("the server itself ends its instance then"), "{refused}");
    stage.end();
}
