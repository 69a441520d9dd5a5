//! What a hundred nodes, ten thousand guests and two hundred classes cost: counted, not timed. What is asked of the
//! cluster meanwhile is counted in `load`.

use std::sync::Arc;

use homeroom::{
    app::{Action, State, update},
    domain::{Change, Event, Level, Role, StepName},
};

use super::{
    large::{LABS, Screen, look, world},
    press,
    world::{Script, before, site},
};

fn tick(state: &mut State, after: i64) {
    update(state, Action::Tick(before(-after)));
}

fn seen(state: &mut State, after: i64) {
    update(state, Action::SiteSeen { site: site(), view: Arc::new(look(after)) });
}

#[test]
fn in_a_minute_in_which_nothing_happens_only_the_clock_is_written() {
    for (columns, rows, keys) in [(120, 40, ""), (80, 24, "<enter>")] {
        let mut state = world(columns, rows);
        press(&mut state, keys);
        let mut screen = Screen::new(columns, rows);
        screen.follow(&state);
        let first = screen.sent();
        assert!(first.frames == 1 && first.cells > 500, "{} cells", first.cells);
        for after in 1..=60 {
            if after % 10 == 0 {
                seen(&mut state, after);
                screen.follow(&state);
            }
            tick(&mut state, after);
            screen.follow(&state);
        }
        let sent = screen.sent();
        println!(
            "idle minute, {columns}x{rows} {keys:?}: {} frames, {} cells, {} bytes",
            sent.frames, sent.cells, sent.bytes
        );
        assert!(sent.frames <= 66, "{} frames", sent.frames);
        // The board tells how old a proof is, in steps of ten minutes.
        let clock: Vec<_> = sent.places.iter().filter(|(_, y)| *y == 0).collect();
        let elsewhere = sent.places.len() - clock.len();
        assert_eq!(elsewhere, 0, "{:?}", sent.places);
        let (first, last) = (clock.first().unwrap().0, clock.last().unwrap().0);
        assert!(last - first < 8, "hh:mm:ss and nothing else: {clock:?}");
        assert!(sent.cells <= 60 * 2 + 10, "{} cells", sent.cells);
        // A look that shows nothing new is a frame of no bytes at all.
        assert!(sent.bytes <= 60 * 60, "{} bytes", sent.bytes);
    }
}

/// A second of a class of fifty on its way: some forty events.
fn second(script: &mut Script, at: u64) -> Vec<Event> {
    let already = script.copy().len();
    for n in 0..10 {
        let who = format!("student-{:02}", (at * 10 + n) % 50 + 1);
        for step in [StepName::Clone, StepName::Configure] {
            script.start(&who, step);
            script.done(&who, step, 400, "done");
        }
    }
    script.after(1_000);
    script.copy().split_off(already)
}

#[test]
fn a_busy_second_is_a_few_frames_and_not_the_whole_screen_again() {
    for keys in ["", "/lab-000<enter><enter>"] {
        let mut state = world(120, 40);
        let mut script = Script::new(9_000, "lab-000", 0);
        (1..=50).for_each(|n| script.plan(&format!("student-{n:02}"), Role::Student));
        update(&mut state, Action::EventsArrived(script.copy()));
        press(&mut state, keys);
        let mut screen = Screen::new(120, 40);
        screen.follow(&state);
        screen.sent();
        let mut most = (0, 0, 0);
        for at in 1..=6_u64 {
            let after = i64::try_from(at).unwrap();
            tick(&mut state, after);
            screen.follow(&state);
            if at % 2 == 0 {
                seen(&mut state, after);
                screen.follow(&state);
            }
            // The store is looked at every 150 ms: at most seven batches a second.
            for batch in second(&mut script, at).chunks(6) {
                update(&mut state, Action::EventsArrived(batch.to_vec()));
                screen.follow(&state);
            }
            let sent = screen.sent();
            most = (most.0.max(sent.frames), most.1.max(sent.cells), most.2.max(sent.bytes));
        }
        println!("busy second {keys:?}: at most {} frames, {} cells, {} bytes", most.0, most.1, most.2);
        assert!(most.0 <= 9, "{} frames", most.0);
        assert!(most.1 <= 7 * 120 * 24, "{} cells", most.1);
        assert!(most.2 <= 64 << 10, "{} bytes", most.2);
    }
}

#[test]
fn a_key_is_one_frame_and_as_many_cells_as_it_changes() {
    let mut state = world(120, 40);
    assert_eq!(state.classes().len() as u64, LABS);
    let mut screen = Screen::new(120, 40);
    screen.follow(&state);
    screen.sent();
    let two_rows = 2 * 120;
    for (key, most) in [
        ("j", two_rows),
        ("j", two_rows),
        ("k", two_rows),
        ("G", 120 * 40),
        ("g", 120 * 40),
        ("1", 3 * 120 * 2),
        ("2", 3 * 120 * 2),
        ("<enter>", 120 * 40),
        ("j", 120 * 12),
        ("<esc>", 120 * 40),
        ("?", 120 * 40),
        ("<esc>", 120 * 40),
        ("<f12>", 0),
    ] {
        press(&mut state, key);
        screen.follow(&state);
        let sent = screen.sent();
        println!("key {key}: {} frames, {} cells, {} bytes", sent.frames, sent.cells, sent.bytes);
        assert!(sent.frames <= 1, "{key}: {} frames", sent.frames);
        assert!(sent.cells <= most, "{key}: {} cells", sent.cells);
        assert!(sent.bytes <= most * 8 + 64, "{key}: {} bytes", sent.bytes);
    }
}

#[test]
fn a_notice_changes_its_lines_and_no_more() {
    let mut state = world(120, 40);
    let mut screen = Screen::new(120, 40);
    screen.follow(&state);
    screen.sent();
    let mut script = Script::new(9_001, "lab-001", 0);
    script.say(None, None, Level::Info, "a line", Change::Note);
    update(&mut state, Action::EventsArrived(script.events()));
    screen.follow(&state);
    let sent = screen.sent();
    assert!(sent.frames == 1 && sent.cells <= 120 * 30, "{} cells", sent.cells);
    // Told again: nothing.
    update(&mut state, Action::EventsArrived(Vec::new()));
    screen.follow(&state);
    assert_eq!(screen.sent().frames, 0);
}
