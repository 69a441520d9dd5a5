//! The unattended screen: what it can do (nothing), what it shows, and whom it calls when.

use std::{collections::HashSet, sync::Arc, time::Duration};

use homeroom::{
    app::{
        Action, Effect, Key, Settings, State, action_for,
        commands::{Context, TABLE},
        kiosk::Rules,
        palette::Palette,
        update,
    },
    domain::{
        Change, LabName, Level, NodeName, Role, StepName, Vmid, alert::Hysteresis, cluster::Power, event::RunState,
    },
};
use jiff::{SignedDuration, Timestamp};
use ratatui::style::{Color, Modifier};

use super::{
    BAD, buffer, colour_of, colours, screen, style_of, text,
    world::{Script, before, cs100, definitions, filled_with, lab, now, settings, site, view},
};

/// An unattended screen on the sample world.
pub fn kiosk(columns: u16, rows: u16) -> State {
    filled_with(kiosk_settings(), columns, rows)
}

fn kiosk_settings() -> Settings {
    let rules = Rules {
        rotate: SignedDuration::from_secs(15),
        stale: SignedDuration::from_secs(60),
        bell: true,
        calls: Hysteresis::new(Duration::from_secs(30), Duration::from_secs(60)),
    };
    Settings { kiosk: Some(rules), now: now(), ..settings(true) }
}

/// One with a class that is well, and nothing wrong anywhere.
pub fn calm() -> State {
    let mut state = State::new(kiosk_settings());
    update(&mut state, Action::Resized(120, 40));
    update(&mut state, Action::DefinitionsLoaded(definitions()));
    update(&mut state, Action::EventsArrived(cs100()));
    seen(&mut state, 0);
    state
}

/// A look at a site on which all is well, so many seconds from now; and the moment.
pub fn seen(state: &mut State, after: i64) -> Vec<Effect> {
    seen_with(state, after, |_| {})
}

fn seen_with(
    state: &mut State,
    after: i64,
    change: impl FnOnce(&mut homeroom::domain::cluster::ClusterView),
) -> Vec<Effect> {
    let mut view = view(-after, 0.2, true);
    for guest in &mut view.guests {
        guest.uptime += u64::try_from(after).unwrap();
    }
    change(&mut view);
    update(state, Action::SiteSeen { site: site(), view: Arc::new(view) });
    tick(state, after)
}

fn tick(state: &mut State, after: i64) -> Vec<Effect> {
    update(state, Action::Tick(before(-after)))
}

/// What a screen that only looks may ask for.
fn is_harmless(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Refresh
            | Effect::LoadRuns { .. }
            | Effect::LoadTiming { .. }
            | Effect::LookBack(_)
            | Effect::Quit
            | Effect::Ring
            | Effect::Call(_)
    )
}

/// Every place keys can go to.
fn contexts() -> HashSet<Context> {
    TABLE.iter().flat_map(|entry| entry.on).copied().collect()
}

#[test]
fn no_command_of_the_table_that_changes_or_leaves_anything_is_there_anywhere() {
    let state = kiosk(120, 40);
    for entry in TABLE.iter().filter(|entry| entry.mutates || !entry.command.stays_on_screen()) {
        for context in contexts() {
            assert!(!state.commands.allows(context, entry.command), "{:?} in {context:?}", entry.command);
            for key in entry.keys.iter() {
                assert_ne!(state.commands.by_key(context, *key), Some(entry.command), "{key} in {context:?}");
            }
        }
        let said = state.palette_rows(&Palette::default()).iter().any(|row| row.name.starts_with(entry.command.name()));
        assert!(!said, "{} is in the palette", entry.command.name());
    }
}

#[test]
fn whatever_is_asked_for_on_whatever_screen_nothing_but_looking_comes_of_it() {
    let screens = [
        "",
        "1",
        "3",
        "4",
        "4<enter>",
        "j<enter>",
        "j<enter><enter>",
        "1<enter>",
        "jR",
        "?",
        "f",
        "/x",
        ":",
        ":d",
        ":s",
    ];
    for script in screens {
        let mut state = kiosk(120, 40);
        super::press(&mut state, script);
        for entry in TABLE {
            let asked = update(&mut state, Action::Do(entry.command));
            assert!(asked.iter().all(is_harmless), "{:?} after {script:?}: {asked:?}", entry.command);
            assert!(state.popup.is_none() || state.context() != Context::PlanPopup);
        }
        // Every key there is, and again: the second answers what the first may have asked.
        let printable = (' '..='~').map(Key::Char);
        let held = ('a'..='z').chain([']', '\\']).map(Key::Ctrl);
        let named = [
            Key::Enter,
            Key::Esc,
            Key::Tab,
            Key::BackTab,
            Key::Up,
            Key::Down,
            Key::Left,
            Key::Right,
            Key::F(1),
            Key::F(5),
        ];
        for key in printable.chain(held).chain(named) {
            for key in [key, key, Key::Enter] {
                let asked = action_for(&state, key).map(|action| update(&mut state, action)).unwrap_or_default();
                assert!(asked.iter().all(is_harmless), "{key} after {script:?}: {asked:?}");
            }
        }
    }
}

#[test]
fn the_worst_stands_in_the_banner_and_its_board_stays() {
    let mut state = kiosk(120, 40);
    for after in [0, 16, 40, 100] {
        seen_with(&mut state, after, |view| view.nodes[2].online = true);
        let shown = screen(&state);
        assert!(shown.contains("RED  1 seat failed: cs101 student-10: "), "{shown}");
        assert!(shown.contains("cs101   deploying"), "its board\n{shown}");
        assert!(shown.contains("student-10 · cs101-student-10"), "explained\n{shown}");
    }
    let shown = buffer(&state, &colours());
    assert_eq!(colour_of(&shown, "RED"), BAD);
    assert!(style_of(&shown, "RED").add_modifier.contains(Modifier::REVERSED));
    for (columns, rows) in [(80, 24), (120, 40)] {
        let mut state = kiosk(columns, rows);
        tick(&mut state, 1);
        insta::assert_snapshot!(format!("kiosk_red_{columns}x{rows}"), screen(&state));
    }
}

#[test]
fn while_all_is_well_boards_take_turns_without_a_cursor() {
    let mut state = calm();
    let shown = screen(&state);
    assert!(shown.contains("all well, 5 seats ready") && shown.contains("board 1 of 2"), "{shown}");
    assert!(!shown.contains('▸'), "{shown}");
    insta::assert_snapshot!("kiosk_calm", shown);
    let mut boards = Vec::new();
    for after in 1..=61 {
        let asked = seen(&mut state, after);
        assert!(asked.is_empty(), "{asked:?}");
        let board = if screen(&state).contains("cs100   ready") { "cs100" } else { "overview" };
        if boards.last() != Some(&board) {
            boards.push(board);
        }
    }
    assert_eq!(boards, ["overview", "cs100", "overview", "cs100", "overview"]);
}

#[test]
fn red_that_lasts_rings_once_and_calls_and_so_does_its_end() {
    let mut state = calm();
    let off = |view: &mut homeroom::domain::cluster::ClusterView| {
        view.guests[1].power = Power::Stopped;
        view.guests[1].uptime = 0;
    };
    // It flickers, and nobody is called.
    for after in [10, 30, 50] {
        assert!(seen_with(&mut state, after, off).is_empty());
        assert!(seen(&mut state, after + 10).is_empty());
    }
    // It lasts.
    let mut asked = Vec::new();
    for after in (100..=400).step_by(10) {
        asked.extend(seen_with(&mut state, after, off).into_iter().map(|effect| (after, effect)));
    }
    let [(at, Effect::Ring), (130, Effect::Call(alert))] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((*at, alert.red, alert.at), (130, true, before(-130)));
    assert!(alert.headline.as_str().starts_with("1 seat went off: cs100 student-01: stopped since"), "{alert:?}");
    assert_eq!(alert.wrong, std::slice::from_ref(&alert.headline));
    assert!(screen(&state).contains("called"));
    // Over, not quite, over.
    asked.clear();
    for after in (410..=600).step_by(10) {
        let wrong = (430..450).contains(&after);
        let seen = if wrong { seen_with(&mut state, after, off) } else { seen(&mut state, after) };
        asked.extend(seen.into_iter().map(|effect| (after, effect)));
    }
    let [(510, Effect::Ring), (510, Effect::Call(alert))] = asked.as_slice() else { panic!("{asked:?}") };
    assert!(!alert.red && alert.wrong.is_empty(), "{alert:?}");
    assert_eq!(alert.headline.as_str(), "all well, 5 seats ready");
}

#[test]
fn what_was_switched_off_on_purpose_is_not_red() {
    let mut state = calm();
    let mut script = Script::new(20, "cs100", 0);
    for who in ["teacher", "student-01", "student-02", "student-03", "student-04"] {
        script.say(Some(who), None, Level::Info, "shut down, as asked", Change::SeatStopped);
    }
    script.say(None, None, Level::Success, "off", Change::RunEnded { state: RunState::Done });
    update(&mut state, Action::EventsArrived(script.events()));
    let asked = (20..200).flat_map(|after| {
        seen_with(&mut state, after, |view| view.guests.iter_mut().for_each(|guest| guest.power = Power::Stopped))
    });
    assert_eq!(asked.count(), 0);
    let shown = screen(&state);
    assert!(shown.contains("all well, 0 seats ready") && shown.contains("board 1 of 1"), "{shown}");
}

#[test]
fn a_seat_that_was_never_ready_stays_wrong_though_a_roll_call_found_it_off() {
    let mut state = calm();
    let mut deploy = Script::new(20, "cs101", 60);
    deploy.plan("ada", Role::Student);
    deploy.reserve("ada", "pve1", 9300);
    deploy.start("ada", StepName::Start);
    deploy.say(Some("ada"), Some(StepName::Start), Level::Error, "start failed", Change::SeatFailed);
    deploy.say(None, None, Level::Error, "1 failed", Change::RunEnded { state: RunState::Failed });
    let mut check = Script::new(21, "cs101", 0);
    check.plan("ada", Role::Student);
    check.say(Some("ada"), None, Level::Warning, "was off when its roll call was due", Change::SeatStopped);
    check.say(None, None, Level::Success, "off", Change::RunEnded { state: RunState::Done });
    for script in [deploy, check] {
        update(&mut state, Action::EventsArrived(script.events()));
    }
    seen_with(&mut state, 20, |view| {
        let mut ada = view.guests[1].clone();
        (ada.vmid, ada.node, ada.name) = (Vmid::new(9300).unwrap(), NodeName::new("pve1"), Some("cs101-ada".into()));
        (ada.power, ada.uptime) = (Power::Stopped, 0);
        view.guests.push(ada);
    });
    let shown = screen(&state);
    assert!(shown.contains("1 seat went off: cs101 ada: was off when its roll call was due"), "{shown}");
}

#[test]
fn old_data_is_red_in_words_and_the_age_stays_in_sight() {
    let mut state = calm();
    let mut asked: Vec<Effect> = Vec::new();
    for after in 1..=95 {
        if after == 46 {
            // It is not known yet why, and what follows from it comes second.
            let shown = screen(&state);
            assert!(
                shown.contains("WATCH  campus has not been seen for 40 s") && shown.contains("and 1 more"),
                "{shown}"
            );
        }
        if after == 47 {
            let why = "pve1: connection refused".into();
            update(&mut state, Action::SiteLost { site: site(), why });
        }
        asked.extend(tick(&mut state, after));
    }
    let shown = screen(&state);
    assert!(shown.contains("RED  campus does not answer, since 14:02: pve1: connection refused"), "{shown}");
    assert!(shown.contains("no answer since 14:02"), "{shown}");
    assert!(matches!(asked.as_slice(), [Effect::Ring, Effect::Call(alert)] if alert.red), "{asked:?}");
    // It answers again.
    for after in 96..=160 {
        asked.extend(seen(&mut state, after));
    }
    assert!(matches!(asked[2..], [Effect::Ring, Effect::Call(ref alert)] if !alert.red), "{asked:?}");
    // A store that cannot be read is no less.
    update(&mut state, Action::StoreLost { why: "disk I/O error".into() });
    tick(&mut state, 161);
    assert!(screen(&state).contains("RED  the store cannot be read: disk I/O error"));
    update(&mut state, Action::StoreSeen);
    tick(&mut state, 162);
    assert!(!screen(&state).contains("RED"));
}

#[test]
fn whoever_presses_a_key_has_the_screen_for_a_minute() {
    let mut state = calm();
    super::press(&mut state, "4<enter>/zzz<enter>?");
    for after in 1..=59 {
        seen(&mut state, after);
        assert_eq!(state.context(), Context::HelpPopup);
    }
    seen(&mut state, 61);
    let shown = screen(&state);
    assert_eq!(state.context(), Context::Classes);
    assert!(shown.contains("board 1 of 2") && !shown.contains("zzz"), "{shown}");
}

#[test]
fn with_several_red_boards_those_take_turns() {
    let mut state = kiosk(120, 40);
    let mut script = Script::new(30, "cs102", 20);
    script.plan("student-01", Role::Student);
    script.reserve("student-01", "pve1", 9_300);
    script.start("student-01", StepName::Clone);
    script.say(Some("student-01"), None, Level::Error, "no room", Change::SeatFailed);
    update(&mut state, Action::EventsArrived(script.events()));
    let mut boards: Vec<LabName> = Vec::new();
    for after in 1..=60 {
        seen_with(&mut state, after, |view| view.nodes[2].online = true);
        let shown = screen(&state);
        let board = ["cs101", "cs102"].into_iter().find(|lab| shown.contains(&format!("{lab}   "))).expect("a red one");
        if boards.last() != Some(&lab(board)) {
            boards.push(lab(board));
        }
    }
    assert!(boards.len() >= 4 && boards.windows(2).all(|two| two[0] != two[1]), "{boards:?}");
    assert!(screen(&state).contains("and 1 more"));
    assert_eq!(colour_of(&buffer(&state, &colours()), "of 2 that are red"), Color::Indexed(245));
}

#[test]
fn a_still_world_is_still_on_an_unattended_screen_too() {
    let mut state = calm();
    seen(&mut state, 1);
    let first = buffer(&state, &colours());
    let at: Timestamp = now();
    assert_eq!(state.now.duration_since(at).as_secs(), 1);
    tick(&mut state, 8);
    let after = buffer(&state, &colours());
    let changed = first.diff(&after);
    assert!(changed.len() <= 2 && changed.iter().all(|(_, y, _)| *y == 0), "{}", text(&after));
}
