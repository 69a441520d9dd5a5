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
mod joining;
mod life;
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

fn on_joining(house: &House) {
    house.define(&format!("{DEFINITION}seats_on = \"join\"\n"));
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
