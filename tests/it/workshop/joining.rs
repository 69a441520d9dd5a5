//! Joining: a code and a name are a seat and its links, whoever asks and whatever dies in between.

use super::*;

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
