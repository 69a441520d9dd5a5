//! A workshop's time in a cloud: it begins with the first instance that stands.

use homeroom::service::ends;

use super::*;

const HOUR: i64 = 3600;

fn exhausted(stage: &Stage, is_so: bool) {
    stage.project.world(|world| {
        for zone in world.zones.values_mut() {
            zone.exhausted = is_so.then(Vec::new);
        }
    });
}

#[test]
fn the_time_of_a_workshop_begins_with_the_instance_that_first_stands() {
    let stage = Stage::new();
    exhausted(&stage, true);
    assert_eq!(stage.deploy(), Some(RunState::Failed));
    assert_eq!(stage.ever_made(), 0);
    let tried = stage.status().life.unwrap();
    stage.ahead.store(5 * HOUR, Ordering::SeqCst);
    let past = stage.live(async |home| ends::overdue(&home).await.unwrap().len());
    assert_eq!(past, 0, "what never stood is not past its end");
    exhausted(&stage, false);
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    let life = stage.status().life.unwrap();
    assert_eq!(life.code, tried.code, "it may be with people already");
    // A moment of the test's is minutes there.
    let minutes = life.ends_at.duration_since(life.born_at).as_mins();
    assert!((210..=240).contains(&minutes), "{life:?}");
    assert!(life.born_at.duration_since(tried.born_at).as_hours() >= 5, "{life:?}, after {tried:?}");
    // From then on no deploy gives it more.
    stage.ahead.store(6 * HOUR, Ordering::SeqCst);
    stage.define(&DEFINITION.replace("[gce]", "[gce]\nsource_ranges = [\"127.0.0.0/8\"]"));
    assert_eq!(stage.deploy(), Some(RunState::Done));
    assert_eq!(stage.status().life.unwrap().ends_at, life.ends_at);
    stage.end();
}
