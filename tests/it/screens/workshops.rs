//! Workshops on the screen: what stands, what ended and why, what can be done from there.

use std::sync::Arc;

use homeroom::{
    app::{Action, Effect, Screen, State, doors::Door, shells::Way, update},
    domain::{
        Change, Clean, Level, NodeName, Role, RunId, SiteName, StepName, StoreId,
        cloud::{CloudView, InstanceState, InstanceView, labels},
        code::JoinCode,
        engine::{ContainerState, ContainerView, Ending, EngineView},
        event::RunState,
        label::Label,
        planning::Deed,
        price::Prices,
    },
};

use jiff::{SignedDuration, Timestamp};

use super::{
    BAD, OK, WARN, buffer, colour_of, colours, kiosk, screen,
    world::{self, Script, lab, now, opens, press, seat, site, world},
};

fn store() -> StoreId {
    StoreId::from_bytes([7; 8])
}

/// A container of rust-intro; with an ending where it has one.
fn container(row: &str, ending: Option<Ending>) -> ContainerView {
    let name = format!("rust-intro-{row}");
    let label = Label {
        store: store(),
        lab: lab("rust-intro"),
        seat: seat(row),
        run: RunId(20),
        name: name.clone(),
        made_of: String::new(),
    };
    ContainerView {
        id: format!("{row:0>12}"),
        name: Clean::from(name),
        image: "ghcr.io/lab/rust:1.95".into(),
        state: if ending.is_some() { ContainerState::Ended } else { ContainerState::Running },
        status: "Up 2 minutes".into(),
        labels: label.to_labels(),
        published: Vec::new(),
        networks: vec!["rust-intro-host".into()],
        limits: None,
        ending,
        out_of_memory: None,
    }
}

/// The sample world, with rust-intro standing: one seat has ended, in another something was killed.
pub fn standing(columns: u16, rows: u16) -> State {
    standing_on(world(columns, rows))
}

/// The same on a world of one's own.
fn standing_on(mut state: State) -> State {
    let site: SiteName = SiteName::new("campus").unwrap();
    let environment = Clean::from("staging");
    let price = (0.3, Clean::from("EUR"));
    update(&mut state, Action::EngineKnown { site: site.clone(), environment, store: store(), price });
    let people = [(seat("seat-01"), "Ada Lovelace".into()), (seat("seat-03"), "Grace".into())];
    update(&mut state, Action::PeopleSeated { lab: lab("rust-intro"), people: people.into() });
    let mut script = Script::new(20, "rust-intro", 130);
    let ends = now().checked_add(SignedDuration::from_mins(97)).unwrap();
    let opened = Change::Opened { code: JoinCode::read("K7MR4T").unwrap(), ends_at: ends };
    script.say(None, None, Level::Info, "joined by K7MR4T", opened);
    let names: Vec<String> =
        std::iter::once("host".to_owned()).chain((1..=10).map(|n| format!("seat-{n:02}"))).collect();
    for who in &names {
        let (role, steps) = match who.as_str() {
            "host" => (Role::Host, StepName::HOST.to_vec()),
            _ => (Role::Seat, StepName::SEAT.to_vec()),
        };
        let change = Change::SeatPlanned { role, site: site.clone(), steps: steps.clone() };
        script.say(Some(who), None, Level::Debug, "planned", change);
        script.steps(who, &steps.into_iter().zip([90, 610, 340, 120]).collect::<Vec<_>>());
        script.say(Some(who), None, Level::Success, "ready in 1.1 s", Change::SeatReady);
    }
    script.say(None, None, Level::Success, "11 ready", Change::RunEnded { state: RunState::Done });
    update(&mut state, Action::EventsArrived(script.events()));
    let killed = Ending { code: 137, at: None, out_of_memory: false, error: Clean::default() };
    let containers = names.iter().map(|row| container(row, (row == "seat-03").then(|| killed.clone())));
    let mut containers: Vec<_> = containers.collect();
    containers[5].out_of_memory = Some(now());
    update(&mut state, Action::EngineSeen { site, view: Arc::new(engine(containers)) });
    state
}

/// A look at the engine that shows these.
fn engine(containers: Vec<ContainerView>) -> EngineView {
    EngineView {
        host: NodeName::new("hall"),
        version: "20.10.24".into(),
        cpus: 8,
        memory: 32 << 30,
        architecture: "x86_64".into(),
        free: None,
        unlimited: Vec::new(),
        at: now(),
        containers,
        networks: Vec::new(),
    }
}

#[test]
fn where_nothing_is_wrong_the_seats_of_workshops_are_counted_too() {
    let mut state = standing(120, 40);
    state.progress.remove(&lab("cs101"));
    let names = std::iter::once("host".to_owned()).chain((1..=10).map(|n| format!("seat-{n:02}")));
    let view = engine(names.map(|row| container(&row, None)).collect());
    update(&mut state, Action::EngineSeen { site: site(), view: Arc::new(view) });
    let mut view = world::view(0, 0.5, true);
    view.nodes.iter_mut().for_each(|node| node.online = true);
    update(&mut state, Action::SiteSeen { site: site(), view: Arc::new(view) });
    update(&mut state, Action::Tick(now()));
    let shown = screen(&state);
    assert!(shown.contains("nothing is wrong, 15 seats ready"), "{shown}");
}

#[test]
fn an_unattended_screen_shows_a_workshop_in_its_turn_and_stays_on_it_while_it_is_red() {
    let boards = |state: &mut State, seconds: std::ops::Range<i64>| {
        let mut boards: Vec<String> = Vec::new();
        for after in seconds {
            kiosk::seen(state, after);
            let board = match state.screen() {
                Screen::Board(board) => board.lab.to_string(),
                _ => "overview".to_owned(),
            };
            if boards.last() != Some(&board) {
                boards.push(board);
            }
        }
        boards
    };
    let mut state = standing_on(kiosk::calm());
    let all = |state: &mut State, spare: &str| {
        let names = std::iter::once("host".to_owned()).chain((1..=10).map(|n| format!("seat-{n:02}")));
        let view = engine(names.filter(|name| name != spare).map(|row| container(&row, None)).collect());
        update(state, Action::EngineSeen { site: site(), view: Arc::new(view) });
    };
    all(&mut state, "");
    assert_eq!(boards(&mut state, 1..60), ["overview", "cs100", "rust-intro", "overview"]);
    let shown = screen(&state);
    assert!(shown.contains("all well, 15 seats ready") && shown.contains("board 1 of 3"), "{shown}");
    // Its end could not be carried out: it is shown at once, and stays.
    let mut script = Script::new(21, "rust-intro", 0);
    let why = "the engine does not answer".into();
    script.say(None, None, Level::Error, "it could not be ended", Change::EndHindered { why });
    update(&mut state, Action::EventsArrived(script.events()));
    assert_eq!(boards(&mut state, 60..120), ["rust-intro"]);
    let shown = screen(&state);
    let told = "RED  rust-intro is past its end and could not be ended: the engine does not answer";
    assert!(shown.contains(told) && shown.contains("stays here while it is red"), "{shown}");
}

#[test]
fn a_workshop_has_a_board_with_its_ports_and_every_end_told_in_words() {
    for (columns, rows) in [(80, 24), (120, 40)] {
        let mut state = standing(columns, rows);
        press(&mut state, "3j<enter>jjj");
        insta::assert_snapshot!(format!("workshop_{columns}x{rows}"), screen(&state));
    }
    let mut state = standing(120, 40);
    press(&mut state, "3j<enter>");
    let drawn = buffer(&state, &colours());
    assert_eq!(colour_of(&drawn, "its container does not run"), BAD);
    assert_eq!(colour_of(&drawn, "out of memory at"), BAD);
    assert_eq!(colour_of(&drawn, "ready, proven"), OK);
}

#[test]
fn a_seats_own_board_shows_what_its_container_is_made_of_and_what_it_printed() {
    for (columns, rows) in [(80, 24), (120, 40)] {
        let mut state = standing(columns, rows);
        press(&mut state, "3j<enter>jjj");
        let effects = press(&mut state, "<enter>");
        let (lab, seat) = (lab("rust-intro"), seat("seat-03"));
        assert_eq!(effects, [Effect::ReadOutput { lab: lab.clone(), seat: seat.clone() }]);
        let text = screen(&state);
        let row = |what: &str| text.lines().find(|line| line.starts_with(what)).unwrap_or_default().to_owned();
        assert!(row(" container ").contains("rust-intro-seat-03"), "{text}");
        assert!(row(" container ").contains("Exited (137): killed"), "{text}");
        assert!(row(" image ").contains("ghcr.io/lab/rust:1.95") && row(" ports ").contains("3031>3001"), "{text}");
        assert!(row(" memory ").contains("1G") && row(" sits there ").contains("Grace"), "{text}");
        assert!(!text.contains("vmid") && !text.contains("not on the site"), "{text}");

        let lines: Vec<Clean> = (1..=60).map(|n| Clean::from(format!("line {n} of it"))).collect();
        let read = |lines| Action::OutputRead { lab: lab.clone(), seat: seat.clone(), lines };
        update(&mut state, read(Ok(Arc::new(lines))));
        let text = screen(&state);
        assert!(text.contains("line 60 of it") && !text.contains("line 20 of it"), "{text}");
        assert!(text.contains("─ log ─"), "{text}");
        press(&mut state, "o");
        let text = screen(&state);
        assert!(text.contains("line 60 of it") && !text.contains("─ log ─") && !text.contains(" image "), "{text}");
        press(&mut state, "o");
        update(&mut state, read(Err("the engine is away".into())));
        assert!(screen(&state).contains("the engine is away"));
    }
}

#[test]
fn a_seat_whose_engine_is_away_is_unknown_and_not_gone_until_it_answers() {
    let mut state = standing(120, 40);
    press(&mut state, "3j<enter>");
    let site = SiteName::new("campus").unwrap();
    update(&mut state, Action::EngineLost { site: site.clone(), why: "connection refused".into() });
    let drawn = buffer(&state, &colours());
    let text = super::text(&drawn);
    assert!(text.contains("unknown") && !text.contains("no longer on the engine"), "{text}");
    assert_eq!(text.matches("its engine does not answer").count(), 11 + 1, "{text}");
    assert_eq!(colour_of(&drawn, "its engine does not answer"), WARN);
    let view = EngineView {
        host: NodeName::new("hall"),
        version: "20.10.24".into(),
        cpus: 8,
        memory: 32 << 30,
        architecture: "x86_64".into(),
        free: None,
        unlimited: Vec::new(),
        at: now(),
        containers: vec![container("host", None)],
        networks: Vec::new(),
    };
    update(&mut state, Action::EngineSeen { site, view: Arc::new(view) });
    let text = screen(&state);
    assert!(text.contains("its container rust-intro-seat-01 is no longer on the engine"), "{text}");
}

#[test]
fn a_workshop_is_worked_on_from_its_pane_and_its_board_as_a_class_is() {
    let mut state = standing(120, 40);
    let intro = || lab("rust-intro");
    assert_eq!(press(&mut state, "3jd"), [Effect::MakePlan { lab: intro(), fix_drift: false }]);
    press(&mut state, "<esc>");
    assert_eq!(press(&mut state, "c"), [Effect::Carry { lab: intro(), seats: Vec::new(), deed: Deed::Check }]);
    assert_eq!(
        press(&mut state, "r"),
        [Effect::RetryFailed { lab: intro(), seats: vec![seat("seat-03"), seat("seat-05")] }]
    );
    press(&mut state, "<enter>jjj");
    assert!(press(&mut state, "s").is_empty(), "it has ended");
    press(&mut state, "j");
    assert!(matches!(state.screen(), Screen::Board(board) if board.lab == intro()));
    assert_eq!(
        press(&mut state, "s"),
        [opens(&state, 1, Door::Seat { lab: intro(), seat: seat("seat-04") }, Way::Whole)]
    );
    press(&mut state, "<esc>");
    // A shell for every seat that runs, and none for the proxy.
    assert!(press(&mut state, "B").is_empty());
    assert!(screen(&state).contains("seat-03: no container that runs"), "{}", screen(&state));
    let opened = press(&mut state, "<enter>");
    assert_eq!(opened.len(), 9, "{opened:?}");
    press(&mut state, "<esc><esc><esc>3");
    assert_eq!(press(&mut state, "xrust-intro<enter>"), [Effect::Destroy { lab: intro(), seats: Vec::new() }]);

    // What is only defined can be deployed, and nothing else.
    press(&mut state, "k");
    assert_eq!(press(&mut state, "d"), [Effect::MakePlan { lab: lab("k8s-day2"), fix_drift: false }]);
    press(&mut state, "<esc>");
    assert!(press(&mut state, "x").is_empty());
    assert!(state.toast.take().is_some_and(|toast| toast.text.as_str().contains("nothing stands")));
}

/// The same workshop in a cloud, where the look shows its instance alone.
fn in_cloud(state: &mut State, instance: Option<InstanceState>) {
    in_cloud_told(state, instance, None);
}

/// The same; it was told that it is taken away.
fn in_cloud_told(state: &mut State, instance: Option<InstanceState>, preempted: Option<Timestamp>) {
    let site = SiteName::new("campus").unwrap();
    let instance = instance.map(|power| InstanceView {
        id: "1".to_owned(),
        name: "rust-intro-host".to_owned(),
        zone: NodeName::new("europe-west3-a"),
        state: power,
        status: if power == InstanceState::Running { "RUNNING".into() } else { "TERMINATED".into() },
        machine_type: "e2-standard-4".to_owned(),
        labels: labels(&store(), &lab("rust-intro"), RunId(20), "rust-intro-host"),
        metadata: Default::default(),
        address: None,
        created: None,
        started: None,
        stopped: None,
        rests: Vec::new(),
        ends: None,
        spot: true,
        preempted,
        disk_gb: 50,
        keeps_disk: false,
    });
    let view = CloudView {
        at: now(),
        instances: instance.into_iter().collect(),
        disks: Vec::new(),
        rules: Vec::new(),
        unseen: Default::default(),
    };
    update(state, Action::CloudSeen { site, view: Arc::new(view) });
}

#[test]
fn a_workshop_in_a_cloud_is_as_its_last_roll_call_left_it_while_its_instance_runs() {
    let mut state = standing(120, 40);
    let site = SiteName::new("campus").unwrap();
    let prices = Prices {
        date: "2026-11-01".to_owned(),
        currency: "EUR".to_owned(),
        machines: [("e2-standard-4".to_owned(), 0.5)].into(),
        // What stands there is a spot machine, whatever the definition says.
        spot: [("e2-standard-4".to_owned(), 0.2)].into(),
        ..Prices::default()
    };
    state.engines.clear();
    let known = Action::CloudKnown { site, environment: "dev".into(), store: store(), prices: Some((prices, false)) };
    update(&mut state, known);
    press(&mut state, "3j<enter>");
    let text = screen(&state);
    assert!(text.contains("its cloud has not been seen yet") && text.contains("connecting"), "{text}");
    in_cloud(&mut state, Some(InstanceState::Running));
    let text = screen(&state);
    assert!(text.contains("10 of 10 ready") && text.contains("EUR") && !text.contains("connecting"), "{text}");
    in_cloud(&mut state, Some(InstanceState::Stopped));
    let text = screen(&state);
    assert!(text.contains("its instance is TERMINATED; `homeroom deploy rust-intro --yes` starts it again"), "{text}");
    in_cloud(&mut state, None);
    assert!(screen(&state).contains("its instance is no longer in the project"), "{}", screen(&state));
    press(&mut state, "<esc>1");
    assert!(screen(&state).contains("gce, 0 instances, seen just now"), "{}", screen(&state));
}

#[test]
fn a_spot_machine_that_is_being_taken_away_is_told_on_the_dashboard_and_on_the_wall() {
    for mut state in [standing(120, 40), standing_on(super::kiosk::kiosk(160, 40))] {
        let site = SiteName::new("campus").unwrap();
        state.engines.clear();
        let known = Action::CloudKnown { site, environment: "dev".into(), store: store(), prices: None };
        update(&mut state, known);
        in_cloud(&mut state, Some(InstanceState::Running));
        assert!(!screen(&state).contains("taken away"), "{}", screen(&state));
        for _ in 0..2 {
            in_cloud_told(&mut state, Some(InstanceState::Running), Some(now()));
        }
        let told = state.log.iter().filter(|line| line.message.as_str().contains("is being taken away")).count();
        assert_eq!(told, 1, "once");
        if state.settings.kiosk.is_none() {
            press(&mut state, "3j<enter>");
        } else {
            press(&mut state, "");
        }
        let text = screen(&state);
        assert!(text.contains("being taken away"), "{text}");
    }
}

#[test]
fn an_instance_that_nobody_looks_after_is_told_on_the_overview_and_clouds_alone_are_live_once_seen() {
    let mut state = standing(120, 40);
    let site = SiteName::new("campus").unwrap();
    state.engines.clear();
    state.sites.clear();
    let known = Action::CloudKnown { site, environment: "dev".into(), store: store(), prices: None };
    update(&mut state, known);
    assert!(screen(&state).contains("connecting"), "{}", screen(&state));
    in_cloud(&mut state, Some(InstanceState::Running));
    let text = screen(&state);
    assert!(!text.contains("connecting") && text.contains("live"), "{text}");
    assert!(!text.contains("runs up costs"), "{text}");
    // The store has forgotten it.
    state.progress.clear();
    let text = screen(&state);
    assert!(text.contains("rust-intro-host in europe-west3-a runs up costs: the store knows nothing of it"), "{text}");
}

#[test]
fn a_dead_container_is_red_on_the_wall_too_where_its_engine_may_be_looked_at_and_the_host_is_no_seat() {
    let mut state = standing_on(super::kiosk::kiosk(160, 40));
    update(&mut state, Action::Tick(now()));
    let text = screen(&state);
    let red = |state: &State| {
        let kiosk = state.kiosk.as_ref().unwrap();
        kiosk.wrong().iter().map(|wrong| wrong.text.to_string()).filter(|text| text.contains("rust-intro")).collect()
    };
    let told: Vec<String> = red(&state);
    assert!(
        told[0].starts_with("2 seats failed in rust-intro: seat-03: its container does not run"),
        "{told:?}\n{text}"
    );

    // The proxy alone: nobody sits there.
    let killed = Ending { code: 137, at: None, out_of_memory: false, error: Clean::default() };
    let rows = std::iter::once("host".to_owned()).chain((1..=10).map(|n| format!("seat-{n:02}")));
    let dead = rows.map(|row| container(&row, (row == "host").then(|| killed.clone()))).collect();
    update(&mut state, Action::EngineSeen { site: SiteName::new("campus").unwrap(), view: Arc::new(engine(dead)) });
    update(&mut state, Action::Tick(now() + SignedDuration::from_secs(1)));
    let told: Vec<String> = red(&state);
    assert!(told[0].starts_with("the host of rust-intro failed: its proxy does not run"), "{told:?}");

    // Where nobody may look at it, the store's word is all there is.
    state.engines.clear();
    update(&mut state, Action::Tick(now() + SignedDuration::from_secs(2)));
    assert_eq!(red(&state), Vec::<String>::new());
}

#[test]
fn the_code_of_a_workshop_stays_in_sight_whatever_is_wrong_and_its_end_is_put_off_from_the_palette() {
    let mut state = standing(160, 40);
    let text = screen(&state);
    assert!(text.contains("code K7MR4T   seat-03: its container"), "{text}");
    press(&mut state, "3j:");
    press(&mut state, "extend");
    let put_off = press(&mut state, "<enter>");
    assert_eq!(put_off, [Effect::Extend { lab: lab("rust-intro"), by: std::time::Duration::from_secs(3600) }]);
}

#[test]
fn each_reason_why_no_plan_can_be_made_stands_on_a_line_of_its_own() {
    let mut state = standing(120, 40);
    press(&mut state, "3jd");
    let why = [
        "rust-intro cannot be planned:",
        "  port 3011 is taken by a program on hall; stop that",
        "  a seat may use 9 CPUs",
    ];
    let plan = Err(why.iter().map(Clean::new).collect());
    update(&mut state, Action::PlanReady { lab: lab("rust-intro"), plan });
    let text = screen(&state);
    let row =
        |words: &str| text.lines().position(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}: {text}"));
    let first = row("rust-intro cannot be planned:");
    assert_eq!([row("- port 3011 is taken"), row("- a seat may use 9 CPUs")], [first + 1, first + 2], "{text}");
}
