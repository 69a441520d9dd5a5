//! A workshop's life: when it begins, how it is warned of its end, put off and brought about.

use super::*;

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
    let told = status(&house).life.unwrap();
    assert!(told.unborn && !told.over, "{told:?}");
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
    assert!(!life.unborn, "{life:?}");
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
