//! Workshops on a container engine by hand: what is made, what is left alone, and that a process may die
//! at any point without anything lost or doubled.

mod pair;

use std::{collections::BTreeMap, time::Duration};

use homeroom::{
    domain::{
        Change, LabName, MachineState, SeatName,
        event::RunState,
        plan::{Consent, Verb},
        readiness::LabState,
    },
    service::{
        Homeroom, ServiceError,
        check::check,
        deploy::{Outcome, Request, deploy},
        destroy::{Confirmation, destroy},
        ends,
        join::{JoinError, Joined, Made, join, make},
        plan::plan_deploy,
        roster::roster,
        status::{LabStatus, lab_status},
        strays,
    },
    sim::Scenario,
};
use secrecy::ExposeSecret;

mod changes;
mod standing;

use crate::hand::{Disk, Habit, House};

const DEFINITION: &str = r#"
kind = "workshop"
name = "intro"
site = "hall"
seats = 3
image = "workspace:1"
"#;

fn house() -> House {
    let house = House::new(&Scenario::default_world().unwrap(), 1, Habit::Good, Disk::new(false));
    house.define(DEFINITION);
    house.hall.state().images.extend(["workspace:1", "caddy:2"].map(str::to_owned));
    house
}

fn intro() -> LabName {
    LabName::new("intro").unwrap()
}

fn names() -> Vec<String> {
    ["intro-host", "intro-seat-01", "intro-seat-02", "intro-seat-03"].map(str::to_owned).to_vec()
}

async fn ended(outcome: Outcome) -> Option<RunState> {
    match outcome {
        Outcome::Begun(run) => Some(run.ended.await.unwrap().unwrap()),
        Outcome::NothingToDo(_) => None,
    }
}

async fn deployed(home: &std::sync::Arc<Homeroom>, request: &Request) -> Result<Option<RunState>, ServiceError> {
    Ok(ended(deploy(home, &intro(), request).await?).await)
}

/// One process that deploys and lives to tell.
fn deploy_once(house: &House) -> Option<RunState> {
    let home = house.homeroom();
    house.stage.live(None, async { deployed(&home, &Request::default()).await.unwrap() }).unwrap()
}

fn destroy_once(house: &House) -> Option<RunState> {
    let home = house.homeroom();
    let gone = async { ended(destroy(&home, &intro(), &[], &Confirmation::default()).await.unwrap()).await };
    house.stage.live(None, gone).unwrap()
}

fn status(house: &House) -> LabStatus {
    let home = house.homeroom();
    house.stage.live(None, async { lab_status(&home, &intro()).await.unwrap() }).unwrap()
}

fn refusal(house: &House) -> String {
    let home = house.homeroom();
    let planned = async { plan_deploy(&home, &intro()).await.map(drop) };
    house.stage.live(None, planned).unwrap().unwrap_err().to_string()
}

#[test]
fn every_seat_and_the_proxy_are_made_proven_and_kept() {
    let house = house();
    assert_eq!(deploy_once(&house), Some(RunState::Done));
    assert_eq!(house.hall.names(), names());
    let status = status(&house);
    assert_eq!(status.state, LabState::Ready);
    assert!(status.machines.iter().all(|row| row.state == MachineState::Ready), "{status:#?}");
    assert_eq!(status.machines[0].seat, SeatName::host());
    {
        let state = house.hall.state();
        let seat = state.containers.iter().find(|kept| kept.spec.name == "intro-seat-02").unwrap();
        assert_eq!(seat.spec.ports, [(3001, 3021), (3002, 3022)]);
        assert_eq!(seat.view.labels["homeroom.seat"], "seat-02");
    }
    assert_eq!(deploy_once(&house), None, "nothing is left to do");
    assert_eq!(destroy_once(&house), Some(RunState::Done));
    assert!(house.hall.names().is_empty() && house.hall.state().networks.is_empty());
    assert_eq!(destroy_once(&house), None);
}

#[test]
fn a_process_may_die_at_any_point_of_a_deploy() {
    let points = {
        let house = house();
        deploy_once(&house);
        house.stage.points()
    };
    assert!(points > 20, "only {points} places to die at");
    for point in 1..=points {
        let house = house();
        let home = house.homeroom();
        let cut = house.stage.live(Some(point), async { deployed(&home, &Request::default()).await.unwrap() });
        drop(home);
        let before = house.hall.ids();
        let run = deploy_once(&house);
        // Nothing is left to do where only the run's own end was not written down.
        assert!(matches!(run, None | Some(RunState::Done)), "{cut:?} at {point}, then {run:?}");
        assert_eq!(house.hall.names(), names(), "cut off at {point}");
        assert_eq!(house.hall.state().networks.len(), 1, "cut off at {point}");
        let after = house.hall.ids();
        for (name, id) in before.iter().filter(|(name, _)| name.contains("seat")) {
            assert_eq!(after.get(name), Some(id), "{name} was made twice; cut off at {point}");
        }
        assert_eq!(status(&house).state, LabState::Ready, "cut off at {point}");
        destroy_once(&house);
        assert!(house.hall.names().is_empty() && house.hall.state().networks.is_empty(), "cut off at {point}");
    }
}

#[test]
fn a_process_may_die_at_any_point_of_a_destroy() {
    let points = {
        let house = house();
        deploy_once(&house);
        destroy_once(&house);
        house.stage.points()
    };
    for point in 1..=points {
        let house = house();
        deploy_once(&house);
        let home = house.homeroom();
        let gone = async { ended(destroy(&home, &intro(), &[], &Confirmation::default()).await.unwrap()).await };
        let _ = house.stage.live(Some(point), gone);
        drop(home);
        destroy_once(&house);
        assert!(house.hall.names().is_empty() && house.hall.state().networks.is_empty(), "cut off at {point}");
        assert_eq!(status(&house).state, LabState::Absent, "cut off at {point}");
    }
}

#[test]
fn what_is_somebody_elses_is_told_before_anything_is_made_and_never_touched() {
    let house = house();
    house.hall.strange("intro-seat-02", BTreeMap::new(), None);
    house.hall.strange("shop", BTreeMap::new(), Some(3031));
    let words = refusal(&house);
    assert!(words.contains("a container called intro-seat-02 already, and it is not ours"), "{words}");
    assert!(words.contains("port 3031 is taken by the container shop"), "{words}");
    destroy_once(&house);
    assert_eq!(house.hall.names(), ["intro-seat-02", "shop"]);
}

#[test]
fn copied_labels_do_not_make_a_container_ours() {
    let house = house();
    deploy_once(&house);
    let labels = {
        let state = house.hall.state();
        state.containers.iter().find(|kept| kept.spec.name == "intro-seat-01").unwrap().spec.labels.clone()
    };
    house.hall.strange("my-copy", labels, None);
    destroy_once(&house);
    assert_eq!(house.hall.names(), ["my-copy"]);
}

#[test]
fn a_seat_that_ended_is_red_with_the_engines_words_and_deploy_starts_it_again() {
    let house = house();
    deploy_once(&house);
    let ids = house.hall.ids();
    house.stage.rest(std::time::Duration::from_secs(1));
    house.hall.end("intro-seat-03");
    let red = status(&house);
    assert_eq!(red.state, LabState::Partial);
    let row = red.machines.iter().find(|row| row.seat.as_str() == "seat-03").unwrap();
    assert_eq!(row.state, MachineState::Failed);
    assert!(row.reason.as_ref().unwrap().as_str().contains("Exited (137)"), "{row:?}");
    let home = house.homeroom();
    let checked = async { ended(check(&home, &intro(), &[]).await.unwrap()).await };
    assert_eq!(house.stage.live(None, checked).unwrap(), Some(RunState::Failed));
    assert_eq!(deploy_once(&house), Some(RunState::Done));
    assert_eq!(house.hall.ids(), ids, "nobody's work is thrown away");
    assert_eq!(status(&house).state, LabState::Ready);
}

#[test]
fn another_image_replaces_seats_only_where_that_was_asked_for_and_never_the_network() {
    let house = house();
    deploy_once(&house);
    let ids = house.hall.ids();
    house.define(&DEFINITION.replace("workspace:1", "workspace:2"));
    house.hall.state().registry.insert("workspace:2".to_owned());
    let home = house.homeroom();
    let plan = house.stage.live(None, async { plan_deploy(&home, &intro()).await.unwrap().plan }).unwrap();
    assert_eq!((plan.count(Verb::Replace), plan.count(Verb::Create)), (3, 0));
    assert!(plan.notes.iter().any(|note| note.contains("workspace:2 is not on the engine")), "{:?}", plan.notes);
    let refused = house.stage.live(None, async { deployed(&home, &Request::default()).await.unwrap_err() }).unwrap();
    assert!(refused.to_string().contains("--allow-replace"), "{refused}");
    assert_eq!(house.hall.ids(), ids);
    let consent = Consent { replace: true, ..Consent::default() };
    let request = Request { consent, ..Request::default() };
    let run = house.stage.live(None, async { deployed(&home, &request).await.unwrap() }).unwrap();
    assert_eq!(run, Some(RunState::Done), "{:?}", house.disk.told());
    assert_eq!(house.hall.names(), names());
    assert!(house.hall.state().containers.iter().all(|kept| kept.spec.image != "workspace:1"));
    assert_eq!(house.hall.state().networks.len(), 1);
}

#[test]
fn fewer_seats_are_removed_only_where_that_was_asked_for_and_the_proxy_learns_of_it() {
    let house = house();
    deploy_once(&house);
    house.define(&DEFINITION.replace("seats = 3", "seats = 2"));
    let home = house.homeroom();
    let refused = house.stage.live(None, async { deployed(&home, &Request::default()).await.unwrap_err() }).unwrap();
    assert!(refused.to_string().contains("--allow-remove"), "{refused}");
    let consent = Consent { remove: true, ..Consent::default() };
    let request = Request { consent, ..Request::default() };
    let run = house.stage.live(None, async { deployed(&home, &request).await.unwrap() }).unwrap();
    assert_eq!(run, Some(RunState::Done));
    assert_eq!(house.hall.names(), names()[..3]);
    let state = house.hall.state();
    let proxy = state.containers.iter().find(|kept| kept.spec.name == "intro-host").unwrap();
    assert!(!String::from_utf8_lossy(&proxy.files["/Caddyfile"]).contains("/vm/3/"));
}

#[test]
fn an_image_nobody_has_is_said_before_a_container_exists() {
    let house = house();
    house.hall.state().images.remove("workspace:1");
    assert_eq!(deploy_once(&house), Some(RunState::Failed));
    assert!(house.hall.names().is_empty(), "{:?}", house.hall.names());
    let row = &status(&house).machines[0];
    assert!(row.reason.as_ref().unwrap().as_str().contains("pull access denied for workspace:1"), "{row:?}");
    let told = house.disk.told();
    let ready: Vec<_> = told.iter().filter(|event| event.change == Change::SeatReady).collect();
    assert!(ready.is_empty(), "green on nothing: {ready:#?}");
    assert_eq!(told.last().unwrap().message.as_str(), "4 failed");
}

#[test]
fn what_a_seat_that_does_not_go_stands_on_is_not_told_as_gone() {
    let house = house();
    deploy_once(&house);
    house.hall.state().stuck.insert("intro-seat-02".to_owned());
    assert_eq!(destroy_once(&house), Some(RunState::Failed));
    assert_eq!(house.hall.names(), ["intro-host", "intro-seat-02"]);
    let told = house.disk.told();
    let gone: Vec<_> = told.iter().filter(|event| event.change == Change::SeatGone).collect();
    let mut seats: Vec<String> = gone.iter().map(|event| event.seat.as_ref().unwrap().to_string()).collect();
    seats.sort();
    assert_eq!(seats, ["seat-01", "seat-03"]);
    house.hall.state().stuck.clear();
    assert_eq!(destroy_once(&house), Some(RunState::Done));
    assert!(house.hall.names().is_empty() && house.hall.state().networks.is_empty());
    assert_eq!(status(&house).state, LabState::Absent);
}

#[test]
fn every_seat_has_a_link_of_its_own_that_the_proxy_knows() {
    let house = house();
    deploy_once(&house);
    let home = house.homeroom();
    let rows = house.stage.live(None, async { roster(&home, &intro()).await.unwrap() }).unwrap();
    let links: Vec<_> = rows.iter().map(|row| row.link.as_ref().unwrap().expose_secret().to_owned()).collect();
    assert_eq!(links.len(), 3);
    let state = house.hall.state();
    let proxy = state.containers.iter().find(|kept| kept.spec.name == "intro-host").unwrap();
    let config = String::from_utf8_lossy(&proxy.files["/Caddyfile"]).into_owned();
    for (number, link) in (1..).zip(&links) {
        assert!(link.contains(&format!("http://jump:8080/vm/{number}/terminal/?token=")), "{link}");
        let token = link.split_once("token=").unwrap().1;
        assert_eq!(config.matches(&format!("query token={token}\n")).count(), 1, "{config}");
    }
    assert!(!house.disk.told().iter().any(|event| event.message.as_str().contains("secret-of")));
}

#[test]
fn the_time_of_a_workshop_begins_with_the_deploy_that_first_makes_something() {
    let house = house();
    house.hall.state().images.remove("workspace:1");
    assert_eq!(deploy_once(&house), Some(RunState::Failed));
    let tried = status(&house).life.unwrap();
    house.stage.rest(5 * HOUR);
    // What never stood is not past its end.
    let past = |house: &House| {
        let home = house.homeroom();
        house.stage.live(None, async { ends::overdue(&home).await.unwrap().len() }).unwrap()
    };
    assert_eq!((past(&house), look(&house)), (0, Vec::new()));
    house.hall.state().away = true;
    assert_eq!(past(&house), 1, "nobody can see that there is nothing");
    house.hall.state().away = false;
    house.hall.state().images.insert("workspace:1".to_owned());
    let notes = |house: &House| {
        let home = house.homeroom();
        let plan = house.stage.live(None, async { plan_deploy(&home, &intro()).await.unwrap().plan }).unwrap();
        plan.notes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert!(notes(&house).contains("it ends 4 h after it is deployed"), "{}", notes(&house));
    assert_eq!(deploy_once(&house), Some(RunState::Done));
    let life = status(&house).life.unwrap();
    assert_eq!(life.code, tried.code);
    assert_eq!(life.ends_at.duration_since(life.born_at).as_hours(), 4);
    assert!(life.born_at.duration_since(tried.born_at).as_hours() >= 5, "{life:?}");
    house.hall.state().containers.retain(|kept| kept.spec.name != "intro-seat-02");
    let end = life.ends_at.strftime("it ends at %Y-%m-%d %H:%M UTC").to_string();
    assert!(notes(&house).contains(&end), "{}", notes(&house));
    house.stage.rest(HOUR);
    house.hall.state().containers.clear();
    house.hall.state().networks.clear();
    assert_eq!(deploy_once(&house), Some(RunState::Done));
    assert_eq!(status(&house).life.unwrap().ends_at, life.ends_at, "it stood before");
}

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// One look of a process that watches over ends, with the runs it began carried out.
fn look(house: &House) -> Vec<RunState> {
    let home = house.homeroom();
    let looked = async {
        let mut states = Vec::new();
        for run in ends::look(&home).await {
            states.push(run.ended.await.unwrap().unwrap());
        }
        states
    };
    house.stage.live(None, looked).unwrap()
}

fn extend(house: &House, by: Duration) -> Result<ends::Extension, String> {
    let home = house.homeroom();
    house.stage.live(None, async { ends::extend(&home, &intro(), by).await }).unwrap().map_err(|e| e.to_string())
}

fn warnings(house: &House) -> Vec<String> {
    let told = house.disk.told();
    let warned = told.iter().filter(|event| matches!(event.change, Change::EndWarned { .. }));
    warned.map(|event| event.message.to_string()).collect()
}

#[test]
fn a_workshop_has_a_code_and_an_end_from_its_first_deploy_until_it_is_gone() {
    let house = house();
    assert_eq!(status(&house).life, None);
    deploy_once(&house);
    let life = status(&house).life.unwrap();
    assert_eq!(life.ends_at.duration_since(life.born_at).as_hours(), 4);
    house.stage.rest(HOUR);
    house.define(&DEFINITION.replace("seats = 3", "seats = 4"));
    assert_eq!(deploy_once(&house), Some(RunState::Done));
    let later = status(&house).life.unwrap();
    assert_eq!((later.code, later.ends_at), (life.code.clone(), life.ends_at), "a deploy puts nothing off");
    destroy_once(&house);
    assert_eq!(status(&house).life, None);
    deploy_once(&house);
    assert_ne!(status(&house).life.unwrap().code, life.code, "no code is given twice");
}

#[test]
fn the_end_is_warned_of_twice_and_then_comes_and_only_what_is_ours_goes() {
    let house = house();
    deploy_once(&house);
    house.hall.strange("shop", BTreeMap::new(), Some(9000));
    assert_eq!((look(&house), warnings(&house).len()), (vec![], 0));
    house.stage.rest(3 * HOUR + 44 * MINUTE);
    look(&house);
    assert_eq!(warnings(&house).len(), 0);
    house.stage.rest(2 * MINUTE);
    look(&house);
    look(&house);
    assert_eq!(warnings(&house).len(), 1);
    assert!(warnings(&house)[0].starts_with("ends in 14 min"), "{:?}", warnings(&house));
    house.stage.rest(10 * MINUTE);
    look(&house);
    assert_eq!(warnings(&house).len(), 2);
    assert_eq!(house.hall.names().len(), 5);
    house.stage.rest(5 * MINUTE);
    let words = refusal(&house);
    assert!(words.contains("its end was at"), "{words}");
    assert_eq!(look(&house), [RunState::Done]);
    assert_eq!(house.hall.names(), ["shop"]);
    assert_eq!(status(&house).life, None);
    assert_eq!(look(&house), []);
}

#[test]
fn a_process_may_die_at_any_point_of_putting_an_end_off() {
    let points = {
        let house = house();
        deploy_once(&house);
        extend(&house, HOUR).unwrap();
        house.stage.points()
    };
    assert!(points > 0);
    for point in 1..=points {
        let house = house();
        deploy_once(&house);
        let end = status(&house).life.unwrap().ends_at;
        let home = house.homeroom();
        let _ = house.stage.live(Some(point), async { ends::extend(&home, &intro(), HOUR).await });
        drop(home);
        // Put off, or not: never half, and never in the way of the next.
        let cut = status(&house).life.unwrap().ends_at;
        assert!(cut == end || cut == end + HOUR, "cut off at {point}: {end} became {cut}");
        assert_eq!(extend(&house, HOUR).unwrap().ends_at, cut + HOUR, "cut off at {point}");
        assert_eq!(status(&house).state, LabState::Ready, "cut off at {point}");
    }
}

#[test]
fn an_end_is_put_off_up_to_the_ceiling_and_warned_of_anew() {
    let house = house();
    assert!(extend(&house, HOUR).unwrap_err().contains("does not stand"));
    deploy_once(&house);
    let before = status(&house).life.unwrap();
    house.stage.rest(3 * HOUR + 50 * MINUTE);
    look(&house);
    let extension = extend(&house, HOUR).unwrap();
    assert!(!extension.cut && extension.ends_at.duration_since(before.ends_at).as_hours() == 1);
    house.stage.rest(55 * MINUTE);
    look(&house);
    assert_eq!(warnings(&house).len(), 2, "once before each end");
    let extension = extend(&house, 9 * HOUR).unwrap();
    assert!(extension.cut && extension.ends_at.duration_since(before.born_at).as_hours() == 12);
    let words = extend(&house, MINUTE).unwrap_err();
    assert!(words.contains("max_life, 12 h after"), "{words}");
    assert_eq!(status(&house).life.unwrap().ends_at, extension.ends_at);
    house.stage.rest(8 * HOUR);
    assert_eq!(look(&house), [RunState::Done]);
}

#[test]
fn an_extension_is_offered_only_where_it_can_be_given() {
    for (max_life, offered) in [("12h", true), ("4h", false)] {
        let house = house();
        house.define(&format!("{DEFINITION}max_life = \"{max_life}\"\n"));
        deploy_once(&house);
        house.stage.rest(4 * HOUR - 10 * MINUTE);
        look(&house);
        assert_eq!(warnings(&house)[0].contains("homeroom extend"), offered, "{:?}", warnings(&house));
        house.stage.rest(11 * MINUTE);
        assert_eq!(refusal(&house).contains("homeroom extend intro 1h"), offered, "{}", refusal(&house));
        let home = house.homeroom();
        let engine = home.engines.values().next().unwrap();
        let found = house.stage.live(None, async { strays::on(&home, engine).await.unwrap() }).unwrap();
        assert_eq!(found[0].mend().contains("homeroom extend intro 1h"), offered, "{}", found[0].mend());
        drop(home);
        let asked = extend(&house, HOUR);
        assert_eq!(asked.is_ok(), offered, "{asked:?}");
    }
    // Also where the ceiling lies behind.
    let house = house();
    house.define(&format!("{DEFINITION}max_life = \"5h\"\n"));
    deploy_once(&house);
    house.stage.rest(6 * HOUR);
    assert!(extend(&house, HOUR).unwrap_err().contains("which no extension passes"));
}

#[test]
fn who_sits_where_is_told_while_the_engine_is_away() {
    let house = house();
    deploy_once(&house);
    let code = status(&house).life.unwrap().code;
    let seat = come(&house, code.as_str(), "Ada");
    let rows = |house: &House| {
        let home = house.homeroom();
        let told = house.stage.live(None, async { roster(&home, &intro()).await.unwrap() }).unwrap();
        let told = told.into_iter().map(|row| {
            let link = row.link.map(|link| link.expose_secret().to_owned());
            (row.seat, row.person.map(|person| person.to_string()), link)
        });
        told.collect::<Vec<_>>()
    };
    let before = rows(&house);
    assert_eq!(before[0].1.as_deref().zip(Some(&before[0].0)), Some(("Ada", &seat)));
    house.hall.state().away = true;
    assert_eq!(rows(&house), before);
    let states = status(&house).machines;
    assert!(states.iter().all(|row| row.state == MachineState::Unknown), "{states:#?}");
}

#[test]
fn an_end_comes_although_whoever_brings_it_about_dies_at_any_point() {
    let points = {
        let house = house();
        deploy_once(&house);
        house.stage.rest(5 * HOUR);
        look(&house);
        house.stage.points()
    };
    for point in 1..=points {
        let house = house();
        deploy_once(&house);
        house.stage.rest(5 * HOUR);
        let home = house.homeroom();
        let looked = async {
            for run in ends::look(&home).await {
                let _ = run.ended.await;
            }
        };
        let _ = house.stage.live(Some(point), looked);
        drop(home);
        look(&house);
        assert!(house.hall.names().is_empty() && house.hall.state().networks.is_empty(), "cut off at {point}");
        assert_eq!(status(&house).life, None, "cut off at {point}");
    }
}

#[test]
fn an_end_that_failed_is_not_brought_about_again_at_once() {
    let house = house();
    deploy_once(&house);
    house.stage.rest(5 * HOUR);
    // The network does not go while somebody else's container is on it.
    house.hall.strange_on("guest", "intro-host");
    assert_eq!(look(&house), [RunState::Failed]);
    assert_eq!(look(&house), []);
    house.hall.state().containers.retain(|kept| kept.view.name.as_str() != "guest");
    house.stage.rest(6 * MINUTE);
    assert_eq!(look(&house), [RunState::Done]);
}

fn take(house: &House, code: &str, name: &str) -> Result<Joined, JoinError> {
    let home = house.homeroom();
    house.stage.live(None, async { join(&home, code, name, None).await }).unwrap()
}

/// Joins, and has the seat made where that is to be done.
fn come(house: &House, code: &str, name: &str) -> SeatName {
    let home = house.homeroom();
    let came = async {
        let joined = join(&home, code, name, None).await.unwrap();
        if joined.made_on_joining
            && let Made::Begun(run) = make(&home, &joined.lab, &joined.seat).await.unwrap()
        {
            assert_eq!(run.ended.await.unwrap().unwrap(), RunState::Done);
        }
        joined.seat
    };
    house.stage.live(None, came).unwrap()
}

#[test]
fn a_code_and_a_name_are_a_seat_and_its_links_and_the_same_ones_on_return() {
    let house = house();
    assert!(matches!(take(&house, "K7M3QX", "Ada"), Err(JoinError::Unknown)));
    deploy_once(&house);
    let code = status(&house).life.unwrap().code;
    let ada = take(&house, &code.as_str().to_lowercase(), " Ada ").unwrap();
    assert_eq!((ada.seat.as_str(), ada.again), ("seat-01", false));
    let links: Vec<_> = ada.links.all().map(|(_, link)| link.to_owned()).collect();
    assert!(links[0].starts_with("http://jump:8080/vm/1/terminal/?token="), "{links:?}");
    assert!(links[1].starts_with("http://jump:8080/vm/1/files/?token="), "{links:?}");
    assert_eq!(take(&house, code.as_str(), "Grace").unwrap().seat.as_str(), "seat-02");
    let back = take(&house, code.as_str(), "ADA").unwrap();
    assert_eq!((back.seat.as_str(), back.again), ("seat-01", true));
    assert_eq!(back.links.all().next().unwrap().1, links[0]);
    assert_eq!(take(&house, code.as_str(), "Mary").unwrap().seat.as_str(), "seat-03");
    assert!(matches!(take(&house, code.as_str(), "Joan"), Err(JoinError::Full { .. })));
    assert!(matches!(take(&house, code.as_str(), "  "), Err(JoinError::NotAName(_))));
    let home = house.homeroom();
    let rows = house.stage.live(None, async { roster(&home, &intro()).await.unwrap() }).unwrap();
    let names: Vec<_> = rows.iter().map(|row| row.person.as_ref().unwrap().as_str()).collect();
    assert_eq!(names, ["Ada", "Grace", "Mary"]);
    drop(home);
    house.stage.rest(5 * HOUR);
    assert!(matches!(take(&house, code.as_str(), "Ada"), Err(JoinError::Ended { .. })));
    look(&house);
    assert!(matches!(take(&house, code.as_str(), "Ada"), Err(JoinError::Ended { .. })));
}

#[test]
fn a_seat_that_does_not_run_is_given_last() {
    let house = house();
    deploy_once(&house);
    house.hall.end("intro-seat-01");
    let home = house.homeroom();
    house.stage.live(None, async { ended(check(&home, &intro(), &[]).await.unwrap()).await }).unwrap();
    drop(home);
    let code = status(&house).life.unwrap().code;
    let seats: Vec<_> = ["a", "b", "c"].iter().map(|name| take(&house, code.as_str(), name).unwrap().seat).collect();
    assert_eq!(seats.iter().map(SeatName::as_str).collect::<Vec<_>>(), ["seat-02", "seat-03", "seat-01"]);
}

#[test]
fn no_token_of_a_workshop_opens_the_next_one() {
    let house = house();
    deploy_once(&house);
    let before = take(&house, status(&house).life.unwrap().code.as_str(), "Ada").unwrap();
    destroy_once(&house);
    deploy_once(&house);
    let after = take(&house, status(&house).life.unwrap().code.as_str(), "Ada").unwrap();
    assert!(!after.again && before.seat == after.seat);
    assert_ne!(before.links.all().next().unwrap().1, after.links.all().next().unwrap().1);
    let state = house.hall.state();
    let proxy = state.containers.iter().find(|kept| kept.spec.name == "intro-host").unwrap();
    let config = String::from_utf8_lossy(&proxy.files["/Caddyfile"]).into_owned();
    let token = |joined: &Joined| joined.links.all().next().unwrap().1.split_once("token=").unwrap().1.to_owned();
    assert!(config.contains(&token(&after)) && !config.contains(&token(&before)), "{config}");
}

fn on_joining(house: &House) {
    house.define(&format!("{DEFINITION}seats_on = \"join\"\n"));
}

#[test]
fn where_seats_are_made_as_people_come_a_deploy_makes_none_and_each_comes_once() {
    let house = house();
    on_joining(&house);
    assert_eq!(deploy_once(&house), Some(RunState::Done));
    assert_eq!(house.hall.names(), ["intro-host"]);
    assert_eq!((status(&house).state, deploy_once(&house)), (LabState::Ready, None));
    let code = status(&house).life.unwrap().code;
    assert_eq!(come(&house, code.as_str(), "Ada").as_str(), "seat-01");
    assert_eq!(house.hall.names(), ["intro-host", "intro-seat-01"]);
    let ids = house.hall.ids();
    assert_eq!(come(&house, code.as_str(), "Ada").as_str(), "seat-01");
    assert_eq!(come(&house, code.as_str(), "Grace").as_str(), "seat-02");
    assert_eq!(house.hall.ids()["intro-seat-01"], ids["intro-seat-01"]);
    assert_eq!((status(&house).state, deploy_once(&house)), (LabState::Ready, None));
    // Whoever destroys a seat frees it.
    let home = house.homeroom();
    let seat = [SeatName::numbered(1)];
    let gone = async { ended(destroy(&home, &intro(), &seat, &Confirmation::default()).await.unwrap()).await };
    house.stage.live(None, gone).unwrap();
    drop(home);
    assert_eq!(deploy_once(&house), None, "nobody sits there");
    assert_eq!(come(&house, code.as_str(), "Mary").as_str(), "seat-01");
}

#[test]
fn whoever_makes_a_joined_seat_may_die_at_any_point_and_the_next_deploy_makes_it_once() {
    let ready = || {
        let house = house();
        on_joining(&house);
        deploy_once(&house);
        let code = status(&house).life.unwrap().code;
        (house, code)
    };
    let points = {
        let (house, code) = ready();
        come(&house, code.as_str(), "Ada");
        house.stage.points()
    };
    assert!(points > 10, "only {points} places to die at");
    for point in 1..=points {
        let (house, code) = ready();
        let home = house.homeroom();
        let came = async {
            let joined = join(&home, code.as_str(), "Ada", None).await.unwrap();
            if let Made::Begun(run) = make(&home, &joined.lab, &joined.seat).await.unwrap() {
                let _ = run.ended.await;
            }
        };
        let _ = house.stage.live(Some(point), came);
        drop(home);
        let before = house.hall.ids();
        assert_eq!(come(&house, code.as_str(), "Ada").as_str(), "seat-01", "cut off at {point}");
        assert_eq!(house.hall.names(), ["intro-host", "intro-seat-01"], "cut off at {point}");
        if let Some(id) = before.get("intro-seat-01") {
            assert_eq!(&house.hall.ids()["intro-seat-01"], id, "made twice, cut off at {point}");
        }
        assert_eq!(status(&house).state, LabState::Ready, "cut off at {point}");
    }
}

#[test]
fn a_name_gives_the_proxy_tls_and_a_health_of_its_own() {
    let house = house();
    let proxy = "proxy = { port = 8443, name = \"ws.example.org\" }\n";
    house.define(&format!("{DEFINITION}{proxy}"));
    assert_eq!(deploy_once(&house), Some(RunState::Done));
    {
        let state = house.hall.state();
        let kept = state.containers.iter().find(|kept| kept.spec.name == "intro-host").unwrap();
        let config = String::from_utf8_lossy(&kept.files["/Caddyfile"]).into_owned();
        assert!(config.contains("https://ws.example.org:8443 {\n\ttls internal\n"), "{config}");
        assert!(config.contains("SameSite=Lax; Secure"), "{config}");
    }
    let code = status(&house).life.unwrap().code;
    let joined = take(&house, code.as_str(), "Ada").unwrap();
    assert!(joined.links.all().next().unwrap().1.starts_with("https://ws.example.org:8443/vm/1/terminal/"));
}
