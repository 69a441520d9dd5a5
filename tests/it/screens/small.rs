//! The smallest window homeroom draws in: what is agreed to is seen, and keys are never cut or written over.

use std::sync::Arc;

use homeroom::{
    app::{Action, State, update},
    domain::{Level, Role, plan::Verb},
};

use super::{
    kiosk, planned, screen,
    world::{before, lab, plan, press, world},
};

const SMALLEST: (u16, u16) = (40, 12);

fn led(mut state: State, keys: &str) -> State {
    press(&mut state, keys);
    state
}

/// The lines of the popup in front, without its frame.
fn inside(state: &State) -> Vec<String> {
    let shown = screen(state);
    let lines = shown.lines().skip_while(|line| !line.contains('┌')).skip(1).take_while(|line| !line.contains('└'));
    lines.map(|line| line.trim().trim_matches('│').trim().to_owned()).collect()
}

fn last_line(keys: &str) -> String {
    inside(&led(world(SMALLEST.0, SMALLEST.1), keys)).last().unwrap().clone()
}

#[test]
fn a_plan_shows_seats_beside_its_keys_where_there_are_few_lines() {
    let mut state = planned(SMALLEST.0, SMALLEST.1, &[]);
    let lines = inside(&state);
    assert_eq!(lines.iter().filter(|line| line.starts_with('+')).count(), 3, "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("about 00:59")), "{lines:#?}");
    assert_eq!(lines.last().unwrap(), "j k 1-3/13 enter deploy   esc back");
    // What else is to be known is below the seats.
    press(&mut state, &"j".repeat(30));
    let lines = inside(&state);
    assert!(lines.iter().any(|line| line == "pve3 takes none: offline"), "{lines:#?}");
    assert!(lines.last().unwrap().ends_with("enter deploy   esc back"), "{lines:#?}");
}

#[test]
fn a_plan_with_much_to_say_still_shows_what_will_happen() {
    let long = "cores 2 to 4, memory 4 GiB to 8 GiB, and a good deal more that nobody thought of before ".repeat(4);
    for (columns, rows) in [SMALLEST, (80, 12), (60, 17), (80, 24)] {
        let mut made = plan(&[
            ("student-01", Verb::Remove),
            ("student-02", Verb::Restart),
            ("student-03", Verb::Replace),
            ("student-04", Verb::Update),
        ]);
        made.seats.retain(|seat| seat.verb != Verb::Create);
        made.seats.iter_mut().for_each(|seat| seat.why.clone_from(&long));
        made.notes = vec![long.as_str().into(); 3];
        let mut state = planned(columns, rows, &[]);
        update(&mut state, Action::PlanReady { lab: lab("cs101"), plan: Ok(Arc::new(made)) });
        for sign in ["- student-01", "! student-02", "! student-03", "~ student-04"] {
            let lines = inside(&state);
            assert!(lines.first().unwrap().starts_with(sign), "{columns}x{rows}\n{lines:#?}");
            assert!(!lines[1].is_empty() && !lines[2].is_empty(), "{columns}x{rows}\n{lines:#?}");
            assert!(lines.last().unwrap().ends_with("esc back"), "{columns}x{rows}\n{lines:#?}");
            for key in ["r allows it", "x allows it"] {
                assert!(lines.iter().any(|line| line.ends_with(key)), "{columns}x{rows} {key}\n{lines:#?}");
            }
            press(&mut state, "j");
        }
    }
}

#[test]
fn the_key_that_allows_a_loss_is_read_whole_where_its_line_is_long() {
    let mut seats: Vec<_> = ["student-01", "student-02", "student-03"].map(|seat| (seat, Verb::Remove)).to_vec();
    seats.extend([("student-04", Verb::Remove), ("student-05", Verb::Remove)]);
    let mut made = plan(&seats);
    for seat in made.seats.iter_mut().filter(|seat| ["student-04", "student-05"].contains(&seat.seat.as_str())) {
        seat.role = Role::Seat;
    }
    let mut state = planned(80, 24, &[]);
    update(&mut state, Action::PlanReady { lab: lab("cs101"), plan: Ok(Arc::new(made)) });
    let told = inside(&state).join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("seats lose a part: x allows it"), "{told}");
}

#[test]
fn the_keys_of_a_popup_are_whole_and_a_text_beside_them_gives_way() {
    for (keys, wanted) in [
        ("?", "j and k scroll; bright is … esc back"),
        ("<enter>!", "up what was… enter run it   esc back"),
        ("p", "s start h shut down r restart esc"),
        ("f", "tab next field  enter keep  esc back"),
        (":", "1 of 46      enter do it   esc back"),
    ] {
        assert_eq!(last_line(keys), wanted, "{keys}");
    }
}

#[test]
fn a_kiosk_tells_its_keys_where_there_is_little_room() {
    let mut state = kiosk::kiosk(SMALLEST.0, SMALLEST.1);
    update(&mut state, Action::Tick(before(-1)));
    let shown = screen(&state);
    let line = shown.lines().last().unwrap();
    assert!(line.starts_with(" kiosk   ") && line.ends_with(" ? help   q leave"), "{line}");
}

#[test]
fn a_machine_tells_what_was_seen_of_it_where_there_is_little_room() {
    let shown = screen(&led(world(SMALLEST.0, SMALLEST.1), "<enter><enter>"));
    let lines: Vec<_> = shown.lines().collect();
    assert!(lines[3].starts_with(" address     10.1.0.10"), "{shown}");
    assert!(lines[4].starts_with(" state       running"), "{shown}");
    assert!(lines[5].starts_with(" proven "), "{shown}");
}

#[test]
fn a_form_tells_how_it_is_left_where_there_is_little_room() {
    let shown = screen(&led(world(SMALLEST.0, SMALLEST.1), "n"));
    assert!(shown.lines().last().unwrap().contains("esc"), "{shown}");
}

#[test]
fn the_level_and_whether_it_is_paused_are_told_of_a_log() {
    let mut state = led(world(SMALLEST.0, SMALLEST.1), "4<enter>k");
    assert!(screen(&state).contains("paused"), "{}", screen(&state));
    press(&mut state, "f<tab><tab>");
    let lines = inside(&state);
    assert!(lines.iter().any(|line| line.contains(&format!("[{}] and louder", Level::Info))), "{lines:#?}");
}
