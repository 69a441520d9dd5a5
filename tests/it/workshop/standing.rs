//! What is done to a workshop that stands, by hand or by homeroom: paused, cut off, limited otherwise, ended, started
//! and started anew.

use homeroom::{
    domain::{
        Clean,
        engine::{ContainerState, Ending},
        size::Size,
    },
    port::Clock,
    service::{
        check::{Deed, carry_out},
        deaths,
        plan::{Asked, plan_deploy_with},
        runs::resume,
    },
};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn seats(names: &[&str]) -> Vec<SeatName> {
    names.iter().map(|name| SeatName::new(*name).unwrap()).collect()
}

/// One process that does it and lives to tell; `None` where there was nothing to do.
fn done(house: &House, named: &[&str], deed: Deed) -> Result<Option<RunState>, String> {
    let home = house.homeroom();
    let named = seats(named);
    let asked = async { Ok(ended(carry_out(&home, &intro(), &named, deed).await?).await) };
    house.stage.live(None, asked).unwrap().map_err(|error: ServiceError| error.to_string())
}

fn row(house: &House, seat: &str) -> (MachineState, String) {
    let row = status(house).machines.into_iter().find(|row| row.seat.as_str() == seat).unwrap();
    (row.state, row.reason.map(|reason| reason.to_string()).unwrap_or_default())
}

fn ids(house: &House, names: &[&str]) -> Vec<String> {
    let ids = house.hall.ids();
    names.iter().map(|name| ids[*name].clone()).collect()
}

#[test]
fn what_is_dead_is_started_while_replacements_wait_for_a_yes() {
    let house = house();
    deploy_once(&house);
    house.define(&DEFINITION.replace("workspace:1", "workspace:2").replace("seats = 3", "seats = 2"));
    let before = ids(&house, &["intro-host", "intro-seat-01", "intro-seat-03"]);
    house.stage.rest(SECOND);
    for dead in ["intro-host", "intro-seat-01", "intro-seat-03"] {
        house.hall.end(dead);
    }
    let home = house.homeroom();
    let refused = house.stage.live(None, async { deployed(&home, &Request::default()).await }).unwrap();
    assert!(refused.unwrap_err().to_string().contains("--allow-replace"));
    drop(home);
    assert_eq!(done(&house, &["seat-01"], Deed::Start), Ok(Some(RunState::Done)));
    assert_eq!(row(&house, "seat-01").0, MachineState::Ready);
    assert_eq!(row(&house, "host").0, MachineState::Failed, "nobody asked for it");
    assert_eq!(done(&house, &[], Deed::Start), Ok(Some(RunState::Done)));
    assert_eq!(row(&house, "host").0, MachineState::Ready);
    assert_eq!(row(&house, "seat-03").0, MachineState::Ready, "it runs until somebody agrees to its removal");
    assert_eq!(ids(&house, &["intro-host", "intro-seat-01", "intro-seat-03"]), before);
    assert_eq!(done(&house, &[], Deed::Start), Ok(None), "all of it runs");
}

#[test]
fn what_is_started_and_proven_is_what_was_deployed_whatever_the_definition_says_since() {
    let house = house();
    deploy_once(&house);
    house.hall.state().images.insert("neko:1".to_owned());
    house.define(&format!("{DEFINITION}proxy = {{ port = 9090 }}\nbrowser = {{ image = \"neko:1\", port = 3003 }}\n"));
    house.stage.rest(SECOND);
    house.hall.end("intro-host");
    assert_eq!(done(&house, &[], Deed::Start), Ok(Some(RunState::Done)));
    assert_eq!(done(&house, &[], Deed::Check), Ok(Some(RunState::Done)));
    assert_eq!(house.hall.names(), names(), "nothing is made of what was asked for since");
}

#[test]
fn a_proxy_that_is_gone_is_made_anew_and_a_seat_that_is_gone_is_a_deploys_to_make() {
    let house = house();
    deploy_once(&house);
    house.stage.rest(SECOND);
    house.hall.state().containers.retain(|kept| kept.spec.name != "intro-host" && kept.spec.name != "intro-seat-02");
    assert_eq!(done(&house, &[], Deed::Start), Ok(Some(RunState::Done)));
    assert_eq!(house.hall.names(), ["intro-host", "intro-seat-01", "intro-seat-03"]);
    let told = house.disk.told();
    assert!(
        told.iter().any(|event| event.message.as_str().contains("seat-02 is no longer on the engine")),
        "{told:#?}"
    );
    assert!(done(&house, &["seat-02"], Deed::Start).unwrap_err().contains("has no containers to start"));
}

#[test]
fn a_paused_seat_is_told_as_paused_and_a_start_or_a_deploy_lets_it_go_on() {
    for by_deploy in [false, true] {
        let house = house();
        deploy_once(&house);
        house.stage.rest(SECOND);
        house.hall.by_hand("intro-seat-02", |view| view.state = ContainerState::Paused);
        let (state, why) = row(&house, "seat-02");
        assert_eq!(state, MachineState::Failed);
        assert_eq!(why, "its container is paused; `homeroom start intro/seat-02` lets it go on");
        let before = house.hall.ids();
        let run = if by_deploy { Ok(deploy_once(&house)) } else { done(&house, &["seat-02"], Deed::Start) };
        assert_eq!(run, Ok(Some(RunState::Done)));
        assert_eq!((row(&house, "seat-02").0, house.hall.ids()), (MachineState::Ready, before));
    }
}

#[test]
fn a_seat_off_its_network_is_not_ready_and_a_start_or_a_deploy_puts_it_back() {
    for (by_deploy, runs) in [(false, true), (true, true), (false, false)] {
        let house = house();
        deploy_once(&house);
        house.stage.rest(SECOND);
        house.hall.disconnect("intro-seat-02");
        if !runs {
            house.hall.end("intro-seat-02");
        }
        let (state, why) = row(&house, "seat-02");
        assert_eq!(state, MachineState::Failed);
        let off = "its container was taken off the workshop's network intro-host; `homeroom start intro/seat-02` puts it back";
        assert!(why == off || !runs, "{why}");
        assert_eq!(done(&house, &["seat-02"], Deed::Check), Ok(Some(RunState::Failed)));
        let run = if by_deploy { Ok(deploy_once(&house)) } else { done(&house, &["seat-02"], Deed::Start) };
        assert_eq!(run, Ok(Some(RunState::Done)));
        assert_eq!(row(&house, "seat-02").0, MachineState::Ready, "runs: {runs}");
    }
}

#[test]
fn a_restart_ends_and_starts_what_is_named_and_keeps_what_it_wrote() {
    let house = house();
    deploy_once(&house);
    let before = house.hall.ids();
    assert_eq!(done(&house, &["seat-01", "host"], Deed::Restart), Ok(Some(RunState::Done)));
    let told = house.disk.told();
    let ended: Vec<_> = told.iter().filter(|event| event.message.as_str() == "ended").collect();
    assert_eq!(ended.len(), 2, "{told:#?}");
    assert_eq!((status(&house).state, house.hall.ids()), (LabState::Ready, before));
    let why = done(&house, &[], Deed::Stop).unwrap_err();
    assert!(why.contains("it runs until its end"), "{why}");
}

#[test]
fn a_process_may_die_at_any_point_of_a_restart_and_resume_ends_nobody_twice() {
    let standing = || {
        let house = house();
        deploy_once(&house);
        house
    };
    let restart = |house: &House, die_at| {
        let home = house.homeroom();
        let asked = async { ended(carry_out(&home, &intro(), &[], Deed::Restart).await.unwrap()).await };
        house.stage.live(die_at, asked)
    };
    let points = {
        let house = standing();
        restart(&house, None).unwrap();
        house.stage.points()
    };
    assert!(points > 10, "only {points} places to die at");
    for point in 1..=points {
        let house = standing();
        let before = house.hall.ids();
        let _ = restart(&house, Some(point));
        house.stage.rest(SECOND);
        let home = house.homeroom();
        let goes_on = async {
            let (progress, _) = home.store.progress(&intro()).await.unwrap();
            match resume(&home, progress.run.unwrap().id).await {
                Ok(outcome) => ended(outcome).await,
                // It had come to its end, or was never begun.
                Err(_) => None,
            }
        };
        let run = house.stage.live(None, goes_on).unwrap();
        drop(home);
        assert!(matches!(run, None | Some(RunState::Done)), "cut off at {point}: {run:?}");
        assert_eq!(status(&house).state, LabState::Ready, "cut off at {point}");
        assert_eq!(house.hall.ids(), before, "cut off at {point}");
        let told = house.disk.told();
        let ended = |name: &str| {
            let of = |event: &&homeroom::domain::Event| event.seat.as_ref().is_some_and(|seat| seat.as_str() == name);
            told.iter().filter(of).filter(|event| event.message.as_str() == "ended").count()
        };
        assert!(["host", "seat-01", "seat-02", "seat-03"].iter().all(|name| ended(name) <= 1), "cut off at {point}");
    }
}

#[test]
fn limits_that_somebody_changed_are_told_and_put_right_only_where_that_is_asked_for() {
    let house = house();
    deploy_once(&house);
    let is = |house: &House| {
        let state = house.hall.state();
        let seat = state.containers.iter().find(|kept| kept.spec.name == "intro-seat-02").unwrap();
        seat.view.limits.clone().unwrap()
    };
    let made = is(&house);
    house.hall.by_hand("intro-seat-02", |view| view.limits.as_mut().unwrap().memory = Size(200 << 20));
    assert_eq!(deploy_once(&house), None, "drift alone is no reason to do anything");
    let home = house.homeroom();
    let plan = house.stage.live(None, async { plan_deploy(&home, &intro()).await.unwrap().plan }).unwrap();
    let seat = plan.drifted().next().unwrap();
    assert_eq!((seat.seat.as_str(), seat.verb), ("seat-02", Verb::Keep));
    let change = &seat.changes[0];
    assert_eq!((change.field.as_str(), change.from.as_str(), change.to.as_str()), ("memory", "200M", "1G"));
    let fix = Asked { fix_drift: true, ..Asked::default() };
    let plan =
        house.stage.live(None, async { plan_deploy_with(&home, &intro(), fix, None).await.unwrap().plan }).unwrap();
    assert!(plan.fixes_drift && plan.count(Verb::Update) == 1, "{plan:#?}");
    drop(home);
    assert_eq!(done(&house, &["seat-02"], Deed::Check), Ok(Some(RunState::Done)));
    let told = house.disk.told();
    let note = "seat-02 was changed by someone else: memory is 200M, not 1G; `homeroom deploy intro --fix-drift` puts that right";
    assert!(told.iter().any(|event| event.message.as_str() == note), "{told:#?}");
    let before = house.hall.ids();
    let home = house.homeroom();
    let request = Request { consent: Consent { fix_drift: true, ..Consent::default() }, ..Request::default() };
    let run = house.stage.live(None, async { deployed(&home, &request).await.unwrap() }).unwrap();
    drop(home);
    assert_eq!(run, Some(RunState::Done));
    assert_eq!((is(&house), house.hall.ids()), (made, before));
    assert_eq!(deploy_once(&house), None);
}

#[test]
fn a_death_is_told_once_whoever_sees_it_and_one_that_a_run_brought_about_is_not() {
    let house = house();
    deploy_once(&house);
    let site = homeroom::domain::SiteName::new("hall").unwrap();
    let look = |house: &House| {
        let home = house.homeroom();
        let seen = async {
            let view = home.engines[&site].containers.view().await.unwrap();
            deaths::tell(&home, &site, &view).await.unwrap();
        };
        house.stage.live(None, seen).unwrap();
    };
    let told = |house: &House| -> Vec<(String, String)> {
        let told = house.disk.told().into_iter();
        let ends = told.filter(|event| matches!(event.change, Change::ContainerEnded { .. }));
        ends.map(|event| (event.seat.unwrap().to_string(), event.message.to_string())).collect()
    };
    house.stage.rest(SECOND);
    look(&house);
    assert!(told(&house).is_empty());
    house.hall.end("intro-seat-03");
    let now = house.stage.now();
    let killed = Ending { code: 137, at: Some(now), out_of_memory: false, error: Clean::default() };
    house.hall.by_hand("intro-seat-03", |view| view.ending = Some(killed));
    look(&house);
    look(&house);
    let once = [("seat-03".to_owned(), "its container ended: Exited (137): killed".to_owned())];
    assert_eq!(told(&house), once);
    assert_eq!(row(&house, "seat-03").0, MachineState::Failed);
    // Started, and ended as asked: that is no news.
    house.stage.rest(SECOND);
    assert_eq!(done(&house, &[], Deed::Start), Ok(Some(RunState::Done)));
    assert_eq!(done(&house, &[], Deed::Restart), Ok(Some(RunState::Done)));
    look(&house);
    assert_eq!(told(&house), once);
    // And once more, for want of memory.
    house.stage.rest(SECOND);
    let now = house.stage.now();
    house.hall.by_hand("intro-seat-03", |view| view.out_of_memory = Some(now));
    look(&house);
    look(&house);
    let told = told(&house);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].1.starts_with("out of memory at ") && told[1].1.contains("its limit is 1 GiB"), "{told:?}");
}
