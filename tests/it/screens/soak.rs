//! A day of an unattended screen in one test: a look every ten seconds, a fault now and then, every frame drawn.

use std::{sync::Arc, time::Duration};

use homeroom::{
    app::{Action, Effect, State, kiosk::Rules, update},
    domain::{
        alert::{Grade, Hysteresis},
        cluster::Power,
    },
};
use jiff::SignedDuration;

use super::{
    large::Screen,
    world::{before, cs100, definitions, now, settings, site, view},
};

/// A day of looks.
const LOOKS: i64 = 24 * 360;

fn kiosk() -> State {
    let rules = Rules {
        rotate: SignedDuration::from_secs(15),
        stale: SignedDuration::from_secs(60),
        bell: true,
        calls: Hysteresis::new(Duration::from_secs(30), Duration::from_secs(60)),
    };
    let mut state = State::new(homeroom::app::Settings { kiosk: Some(rules), now: now(), ..settings(true) });
    // A proof does not grow old on this day.
    state.settings.proof_max_age = Duration::from_secs(72 * 3600);
    update(&mut state, Action::Resized(80, 24));
    update(&mut state, Action::DefinitionsLoaded(definitions()));
    update(&mut state, Action::EventsArrived(cs100()));
    state
}

/// All that could grow, written out.
fn weight(state: &State) -> usize {
    format!("{:?}{:?}{:?}{:?}", state.sites, state.kiosk, state.progress, state.screen()).len()
}

#[test]
fn a_day_of_faults_calls_once_for_each_that_lasts_and_leaves_nothing_behind() {
    let mut state = kiosk();
    let mut screen = Screen::new(80, 24);
    let mut calls: Vec<bool> = Vec::new();
    let mut bells = 0;
    let mut weights = Vec::new();
    let mut expected = 0;
    for n in 1..=LOOKS {
        let after = n * 10;
        // Once every two hours something else, for three minutes; and every quarter of an hour a flicker of ten seconds.
        let (hour, within) = (n / 720, n % 720);
        let fault = (300..318).contains(&within);
        let flicker = n % 90 == 45 && !(280..360).contains(&within);
        expected += i64::from(within == 300);
        let mut seen = view(-after, 0.2, true);
        seen.guests.iter_mut().for_each(|guest| guest.uptime += u64::try_from(after).unwrap());
        let mut lost = None;
        match (fault, hour % 4) {
            (true, 0) => seen.nodes[2].online = false,
            (true, 1) => seen.guests[1].power = Power::Stopped,
            (true, 2) => lost = Some("pve1: connection refused"),
            (true, _) => seen.quorate = Some(false),
            (false, _) if flicker => seen.guests[2].power = Power::Stopped,
            _ => {}
        }
        let action = match lost {
            Some(why) => Action::SiteLost { site: site(), why: why.into() },
            None => Action::SiteSeen { site: site(), view: Arc::new(seen) },
        };
        let mut asked = update(&mut state, action);
        asked.extend(update(&mut state, Action::Tick(before(-after))));
        for effect in asked {
            match effect {
                Effect::Ring => bells += 1,
                Effect::Call(alert) => calls.push(alert.red),
                other => panic!("{other:?}"),
            }
        }
        screen.follow(&state);
        let grade = state.kiosk.as_ref().map(|kiosk| kiosk.grade());
        if within == 100 {
            assert_eq!(grade, Some(Grade::Calm), "after {after} s: {}", state.headline());
            weights.push(weight(&state));
        }
    }
    assert_eq!(i64::try_from(calls.len()).unwrap(), 2 * expected, "each once, and its end once: {calls:?}");
    assert!(calls.iter().enumerate().all(|(n, red)| *red == (n % 2 == 0)), "in turn: {calls:?}");
    assert_eq!(bells, calls.len());
    // The first hours fill what has a fixed room; after that nothing grows.
    let (early, late) = (weights[1], *weights.last().unwrap());
    assert!(late <= early + early / 20, "it grew: {weights:?}");
    assert!(state.log.len() < 500, "{} lines", state.log.len());
    let sent = screen.sent();
    println!("a day: {} frames, {} cells, {} bytes", sent.frames, sent.cells, sent.bytes);
    assert!(sent.frames <= 2 * usize::try_from(LOOKS).unwrap());
}
