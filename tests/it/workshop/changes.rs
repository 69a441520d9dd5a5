//! Definitions that change under a workshop that stands, seats that are given again, and ends that meet with trouble.

use super::*;

fn proxy_file(house: &House, path: &str) -> Option<String> {
    let state = house.hall.state();
    let proxy = state.containers.iter().find(|kept| kept.spec.name == "intro-host").unwrap();
    proxy.files.get(path).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

fn token(joined: &Joined) -> String {
    let (_, link) = joined.links.all().next().unwrap();
    link.split_once("token=").unwrap().1.to_owned()
}

fn destroy_seat(house: &House, seat: &SeatName) {
    let home = house.homeroom();
    let seats = [seat.clone()];
    let gone = async { ended(destroy(&home, &intro(), &seats, &Confirmation::default()).await.unwrap()).await };
    assert_eq!(house.stage.live(None, gone).unwrap(), Some(RunState::Done));
}

#[test]
fn a_check_and_an_end_ask_the_engine_for_nothing_but_what_stands() {
    let house = house();
    deploy_once(&house);
    house.hall.state().no_images = true;
    assert!(refusal(&house).contains("invalid reference format"));
    let home = house.homeroom();
    let checked = async { ended(check(&home, &intro(), &[]).await.unwrap()).await };
    assert_eq!(house.stage.live(None, checked).unwrap(), Some(RunState::Done));
    drop(home);
    house.stage.rest(5 * HOUR);
    assert_eq!(look(&house), [RunState::Done]);
    assert!(house.hall.names().is_empty() && house.hall.state().networks.is_empty());
}

#[test]
fn what_stops_an_end_stands_in_the_log_once_and_with_the_workshop_until_it_comes() {
    let house = house();
    deploy_once(&house);
    house.stage.rest(5 * HOUR);
    house.hall.state().away = true;
    assert_eq!((look(&house), look(&house)), (vec![], vec![]));
    let told = house.disk.told();
    let told: Vec<_> = told.iter().filter(|event| matches!(event.change, Change::EndHindered { .. })).collect();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0].level, homeroom::domain::Level::Error);
    assert!(told[0].message.as_str().contains("could not be brought about: looking at the engine"), "{told:?}");
    let why = status(&house).life.unwrap().hindered.unwrap();
    assert!(why.as_str().contains("No such file or directory"), "{why}");
    house.hall.state().away = false;
    assert_eq!(look(&house), [RunState::Done]);
    assert!(house.hall.names().is_empty());
}

#[test]
fn a_proxy_whose_name_is_taken_from_it_speaks_plain_http_again() {
    let house = house();
    house.define(&format!("{DEFINITION}proxy = {{ port = 8443, name = \"ws.example.com\" }}\n"));
    deploy_once(&house);
    assert!(proxy_file(&house, "/Caddyfile").unwrap().contains("https://ws.example.com:8443"));
    let seats = house.hall.ids();
    house.define(&format!("{DEFINITION}proxy = {{ port = 8443 }}\n"));
    assert_eq!(deploy_once(&house), Some(RunState::Done), "something is to be done");
    let routes = proxy_file(&house, "/Caddyfile").unwrap();
    assert!(!routes.contains("https://") && routes.contains(":8443 {"), "{routes}");
    let after = house.hall.ids();
    assert!(seats.iter().filter(|(name, _)| name.contains("seat")).all(|(name, id)| after.get(name) == Some(id)));
    assert_eq!(deploy_once(&house), None);
}

#[test]
fn what_a_definition_has_no_more_is_named_and_goes_once_that_is_agreed_to() {
    let house = house();
    house.hall.state().images.insert("neko:1".to_owned());
    house.define(&format!("{DEFINITION}browser = {{ image = \"neko:1\", port = 3003 }}\n"));
    deploy_once(&house);
    assert_eq!(house.hall.names().len(), 7);
    let before = house.hall.ids();
    house.define(DEFINITION);
    let home = house.homeroom();
    let engine = home.engines.values().next().unwrap();
    let found = house.stage.live(None, async { strays::on(&home, engine).await.unwrap() }).unwrap();
    let named: Vec<String> = found.iter().map(strays::Found::what).collect();
    assert_eq!(named.len(), 3, "{named:?}");
    assert_eq!(named[0], "the container intro-seat-01-browser of intro is no longer in the definition");
    assert!(found[0].mend().contains("deploy intro --yes --allow-remove"), "{}", found[0].mend());
    let refused = house.stage.live(None, async { deployed(&home, &Request::default()).await }).unwrap();
    let words = refused.unwrap_err().to_string();
    assert!(
        words.contains("  reduce seat-02")
            && words.contains("intro-seat-02-browser goes")
            && words.contains("the seat stays"),
        "{words}"
    );
    assert!(words.contains("needs --allow-remove"), "{words}");
    assert_eq!(house.hall.names().len(), 7);
    let agreed = Request { consent: Consent { remove: true, ..Consent::default() }, ..Request::default() };
    let done = house.stage.live(None, async { deployed(&home, &agreed).await.unwrap() }).unwrap();
    drop(home);
    assert_eq!(done, Some(RunState::Done));
    assert_eq!(house.hall.names(), names());
    let after = house.hall.ids();
    assert!(after.iter().filter(|(name, _)| name.contains("seat")).all(|(name, id)| before.get(name) == Some(id)));
    assert_eq!(status(&house).state, LabState::Ready);
    assert_eq!(deploy_once(&house), None);
}

#[test]
fn a_change_of_limits_is_told_once_for_a_seat_of_two_containers() {
    let house = house();
    house.hall.state().images.insert("neko:1".to_owned());
    let browser = "browser = { image = \"neko:1\", port = 3003 }\n";
    house.define(&format!("{DEFINITION}{browser}"));
    deploy_once(&house);
    house.define(&format!("{DEFINITION}{browser}seat = {{ memory = \"2G\" }}\n"));
    let home = house.homeroom();
    let plan = house.stage.live(None, async { plan_deploy(&home, &intro()).await.unwrap() }).unwrap().plan;
    let seat = plan.seats.iter().find(|row| row.seat.as_str() == "seat-01").unwrap();
    assert_eq!((seat.verb, seat.changes.len()), (Verb::Replace, 1), "{:?}", seat.changes);
}

#[test]
fn whoever_has_a_seat_next_has_another_token_and_the_old_one_opens_nothing() {
    for seats_on in ["start", "join"] {
        let house = house();
        house.define(&format!("{DEFINITION}seats_on = \"{seats_on}\"\n"));
        deploy_once(&house);
        let code = status(&house).life.unwrap().code;
        let seat = come(&house, code.as_str(), "Ada");
        let old = token(&take(&house, code.as_str(), "Ada").unwrap());
        let other = come(&house, code.as_str(), "Bob");
        let others = token(&take(&house, code.as_str(), "Bob").unwrap());
        assert!(proxy_file(&house, "/Caddyfile").unwrap().contains(&format!("token={old}\n")));
        destroy_seat(&house, &seat);
        if seats_on == "start" {
            deploy_once(&house);
        }
        assert_eq!(come(&house, code.as_str(), "Grace"), seat);
        let new = token(&take(&house, code.as_str(), "Grace").unwrap());
        assert_ne!(new, old);
        let routes = proxy_file(&house, "/Caddyfile").unwrap();
        assert!(routes.contains(&format!("token={new}\n")) && !routes.contains(&format!("token={old}\n")), "{routes}");
        assert!(routes.contains(&format!("token={others}\n")), "{other} keeps its own");
        assert_eq!(token(&take(&house, code.as_str(), "Bob").unwrap()), others);
        assert_eq!(status(&house).state, LabState::Ready, "{seats_on}");
    }
}

#[test]
fn the_plan_of_a_new_workshop_says_where_it_is_reached_how_long_it_stays_and_what_it_costs() {
    let house = house();
    let home = house.homeroom();
    let notes = || house.stage.live(None, async { plan_deploy(&home, &intro()).await.unwrap() }).unwrap().plan.notes;
    let told = notes();
    assert!(told.contains(&"it is reached on port 8080 of jump".to_owned()), "{told:?}");
    assert!(told.contains(&"it ends 4 h after it is deployed; extensions go up to 12 h".to_owned()), "{told:?}");
    assert!(told.contains(&"about 0.50 EUR/h, 2.00 EUR until it ends, 6.00 EUR at most".to_owned()), "{told:?}");
}

#[test]
fn links_lead_to_where_the_site_says_else_to_where_whoever_asks_came() {
    let house = house();
    deploy_once(&house);
    let code = status(&house).life.unwrap().code;
    let home = house.homeroom();
    let asked = |at: Option<&'static str>| {
        let joined = async { join(&home, code.as_str(), "Ada", at).await.unwrap() };
        let joined = house.stage.live(None, joined).unwrap();
        let link = joined.links.all().next().unwrap().1.to_owned();
        link.split_once("/vm/").unwrap().0.to_owned()
    };
    assert_eq!(asked(None), "http://jump:8080");
    assert_eq!(asked(Some("192.0.2.7")), "http://192.0.2.7:8080");
    assert_eq!(status(&house).address.as_deref(), Some("http://jump:8080"));
}

fn planned(house: &House) -> homeroom::domain::Plan {
    let home = house.homeroom();
    house.stage.live(None, async { plan_deploy(&home, &intro()).await.unwrap().plan }).unwrap()
}

#[test]
fn more_that_seats_are_to_have_is_made_beside_what_is_there_and_told_as_a_change() {
    let house = house();
    deploy_once(&house);
    let before = house.hall.ids();
    house.hall.state().images.insert("neko:1".to_owned());
    house.define(&format!("{DEFINITION}browser = {{ image = \"neko:1\", port = 3003 }}\n"));
    let plan = planned(&house);
    assert_eq!((plan.count(Verb::Update), plan.count(Verb::Resume)), (4, 0), "{:?}", plan.counts());
    assert_eq!(plan.seats[1].why, "intro-seat-01-browser is made beside what is there");
    assert_eq!(deploy_once(&house), Some(RunState::Done));
    let after = house.hall.ids();
    assert_eq!(after.len(), 7);
    assert!(before.iter().filter(|(name, _)| name.contains("seat")).all(|(name, id)| after.get(name) == Some(id)));
    assert_eq!(deploy_once(&house), None);

    // What somebody removed by hand is told as that, and not as begun.
    let id = after["intro-seat-02"].clone();
    house.hall.state().containers.retain(|kept| kept.view.id != id && kept.spec.name != "intro-seat-02-browser");
    let plan = planned(&house);
    let row = plan.seats.iter().find(|row| row.seat.as_str() == "seat-02").unwrap();
    assert_eq!(row.verb, Verb::Create);
    assert!(row.why.starts_with("no longer on the engine; workspace:1 on ports 3021"), "{}", row.why);
}

#[test]
fn whoever_sits_on_a_seat_that_is_to_go_or_to_be_replaced_is_named_before_it_does() {
    let house = house();
    deploy_once(&house);
    let code = status(&house).life.unwrap().code;
    for name in ["Ada", "Bob", "Cyd"] {
        take(&house, code.as_str(), name).unwrap();
    }
    house.define(&DEFINITION.replace("seats = 3", "seats = 2"));
    let home = house.homeroom();
    let refused = house.stage.live(None, async { deployed(&home, &Request::default()).await.unwrap_err() }).unwrap();
    let words = refused.to_string();
    let named = "no longer in the definition; Cyd sits there and loses what is in it";
    assert!(words.contains(named) && !words.contains("Ada"), "{words}");
    house.define(&DEFINITION.replace("workspace:1", "workspace:2"));
    let plan = planned(&house);
    assert_eq!(plan.seats[1].reason(), "made of something else; Ada sits there and loses what is in it");
}

#[test]
fn nobody_is_given_a_seat_of_a_machine_that_does_not_answer_or_one_that_is_seen_to_be_dead_first() {
    let house = house();
    deploy_once(&house);
    let code = status(&house).life.unwrap().code;
    house.hall.state().away = true;
    let away = take(&house, code.as_str(), "Ada").err().unwrap();
    let JoinError::Away { why, .. } = &away else { panic!("{away}") };
    assert!(why.contains("No such file or directory"), "{why}");
    assert!(away.to_string().contains("the machine of intro does not answer right now"), "{away}");
    house.hall.state().away = false;
    // Nobody has checked it since: the engine knows.
    house.stage.rest(Duration::from_secs(1));
    house.hall.end("intro-seat-01");
    let ada = take(&house, code.as_str(), "Ada").unwrap();
    assert_eq!((ada.seat.as_str(), ada.again), ("seat-02", false), "none was taken meanwhile");
    let home = house.homeroom();
    let stands = |seat: &str| {
        let seat = SeatName::new(seat).unwrap();
        house
            .stage
            .live(None, async { homeroom::service::join::stands(&home, &intro(), &seat).await.unwrap() })
            .unwrap()
    };
    assert_eq!((stands("seat-01"), stands("seat-02")), (MachineState::Failed, MachineState::Ready));
    house.hall.end("intro-host");
    assert_eq!(stands("seat-02"), MachineState::Failed, "nothing leads there");
}

#[test]
fn what_another_store_made_is_told_once_and_is_not_to_be_removed_unasked() {
    let house = house();
    for (seat, name) in [("host", "intro-host"), ("seat-01", "intro-seat-01"), ("seat-02", "intro-seat-02")] {
        let label = homeroom::domain::label::Label {
            store: homeroom::domain::StoreId::from_bytes([9; 8]),
            lab: intro(),
            seat: SeatName::new(seat).unwrap(),
            run: homeroom::domain::RunId(1),
            name: name.to_owned(),
            made_of: String::new(),
        };
        house.hall.strange(name, label.to_labels(), None);
    }
    let words = refusal(&house);
    let told = "the engine has containers called intro-host, intro-seat-01, intro-seat-02 already, and homeroom made \
                them from another store (0909090909090909); ask whoever has that store before anything is done to it";
    assert!(words.contains(told), "{words}");
    assert!(!words.contains("remove") && words.lines().count() == 1, "{words}");
}

#[test]
fn a_taken_port_is_explained_as_what_needs_it() {
    let house = house();
    house.define(&format!("{DEFINITION}proxy = {{ port = 8443, name = \"ws.example.com\" }}\n"));
    house.hall.strange("shop", BTreeMap::new(), Some(3009));
    let words = refusal(&house);
    assert!(words.contains("port 3009 is taken by the container shop; stop that, or leave proxy.name out"), "{words}");
    house.hall.strange("inn", BTreeMap::new(), Some(8443));
    house.hall.strange("ale", BTreeMap::new(), Some(3011));
    let words = refusal(&house);
    assert!(
        words.contains("port 8443 is taken by the container inn; stop that, or set proxy.port to another"),
        "{words}"
    );
    assert!(words.contains("port 3011 is taken by the container ale; stop that, or use another engine"), "{words}");
    house.hall.strange("oak", BTreeMap::new(), Some(3021));
    let words = refusal(&house);
    assert!(words.contains("the container ale, port 3021 is taken by the container oak; stop that"), "{words}");
}

#[test]
fn whoever_keeps_a_network_from_going_is_named() {
    let house = house();
    deploy_once(&house);
    house.hall.strange_on("guest", "intro-host");
    assert_eq!(destroy_once(&house), Some(RunState::Failed));
    let told = house.disk.told();
    let named =
        |event: &&homeroom::domain::Event| event.message.as_str().contains("on it is still guest, which is not ours");
    assert!(told.iter().any(|event| named(&event)), "{told:#?}");
    assert_eq!(house.hall.names(), ["guest"]);
}

#[test]
fn the_proxy_takes_no_port_but_the_one_it_is_given() {
    let house = house();
    house.define(&format!("{DEFINITION}proxy = {{ port = 8443, name = \"ws.example.com\" }}\n"));
    deploy_once(&house);
    assert!(proxy_file(&house, "/Caddyfile").unwrap().contains("\t\tprotocols h1 h2\n"), "HTTP/3 wants a UDP port");
}

#[test]
fn seats_that_a_broken_off_run_was_about_to_change_have_not_failed() {
    let browser = format!("{DEFINITION}browser = {{ image = \"neko:1\", port = 3003 }}\n");
    let standing = || {
        let house = house();
        house.hall.state().images.insert("neko:1".to_owned());
        deploy_once(&house);
        house.define(&browser);
        house
    };
    let points = {
        let house = standing();
        deploy_once(&house);
        house.stage.points()
    };
    assert!(points > 5, "only {points} places to die at");
    for point in 1..=points {
        let house = standing();
        let home = house.homeroom();
        let _ = house.stage.live(Some(point), async { deployed(&home, &Request::default()).await.unwrap() });
        drop(home);
        house.stage.rest(Duration::from_secs(1));
        let failed: Vec<_> =
            status(&house).machines.into_iter().filter(|row| row.state == MachineState::Failed).collect();
        assert!(failed.is_empty(), "cut off at {point}: {failed:#?}");
    }
}

#[test]
fn ports_of_another_workshop_are_told_as_its_own() {
    let house = house();
    deploy_once(&house);
    house.define(&DEFINITION.replace("intro", "other").replace("seats = 3", "seats = 1\nproxy = { port = 8081 }"));
    // The hall by hand has names and ports apart.
    let home = house.homeroom();
    let other = LabName::new("other").unwrap();
    let planned = async { plan_deploy(&home, &other).await.map(drop) };
    let words = house.stage.live(None, planned).unwrap().unwrap_err().to_string();
    assert!(words.contains("ports 3011, 3012 are taken by the workshop intro; use another engine"), "{words}");
    assert!(!words.contains("stop that"), "{words}");
}

#[test]
fn a_report_of_a_workshop_has_nothing_of_what_only_machines_of_a_cluster_have() {
    let house = house();
    deploy_once(&house);
    let home = house.homeroom();
    let run = homeroom::domain::RunId(1);
    let about = homeroom::service::report::About::Run(run);
    let report = async { homeroom::service::report::report(&home, &about, 1.0).await.unwrap().bundle };
    let bundle = house.stage.live(None, report).unwrap();
    for part in ["plan", "seats"] {
        let text = bundle[part].to_string();
        for field in ["vmid", "source", "spec", "rollcall", "host_keys", "upid", "memory_after"] {
            assert!(!text.contains(&format!("\"{field}\":")), "{part} has {field}: {text}");
        }
    }
    assert_eq!(bundle["plan"]["seats"].as_array().unwrap().len(), 4);
    assert_eq!(bundle["plan"]["workshop"]["seats"], 3);
}

#[test]
fn where_seats_are_made_as_people_come_a_command_runs_on_those_there_are() {
    let house = house();
    on_joining(&house);
    deploy_once(&house);
    let home = house.homeroom();
    let exec = |seats: &[&str]| {
        let seats: Vec<SeatName> = seats.iter().map(|seat| SeatName::new(*seat).unwrap()).collect();
        let order = homeroom::service::exec::Order {
            command: vec!["true".to_owned()],
            input: std::sync::Arc::from([]),
            within: Duration::from_secs(60),
            at_once: 4,
            way: homeroom::service::exec::Way::Auto,
        };
        let asked = async {
            let mut running = homeroom::service::exec::exec(&home, &intro(), &seats, order).await?;
            let mut words = Vec::new();
            while let Some(said) = running.heard.recv().await {
                words.push(format!("{said:?}"));
            }
            Ok::<_, ServiceError>((running.seats.len(), words.join("\n")))
        };
        house.stage.live(None, asked).unwrap()
    };
    let nobody = exec(&[]).unwrap_err().to_string();
    assert!(nobody.contains("nobody has a seat of intro yet"), "{nobody}");
    let (_, named) = exec(&["seat-02"]).unwrap();
    assert!(named.contains("intro/seat-02 is nobody's yet: its container is made as somebody joins"), "{named}");
    let (_, both) = exec(&["seat-02", "seat-03"]).unwrap();
    assert!(both.contains("each is nobody's yet") && !both.contains("SEAT"), "{both}");
    let code = status(&house).life.unwrap().code;
    come(&house, code.as_str(), "Ada");
    assert_eq!(exec(&[]).unwrap().0, 1, "the others are nobody's");
}
