//! `!`: one command on the marked rows, and what comes back.

use homeroom::{
    app::{Action, Context, Effect, Screen, State, update},
    domain::told::Told,
};

use super::{
    screen,
    world::{lab, press, read_only, seat, world},
};

/// What three seats answered, one of them something else.
pub fn answered(columns: u16, rows: u16) -> State {
    let mut state = world(columns, rows);
    let effects = press(&mut state, "<enter><space>jv!uname -r<enter>");
    let [Effect::Exec { id, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let told = vec![
        Told::Head { well: true, text: "2 of 3: exit 0: student-01, teacher".into() },
        Told::Text("6.1.0".into()),
        Told::Head { well: false, text: "1 of 3: exit 7: student-02".into() },
        Told::Missing("6.1.0".into()),
    ];
    let answered = vec![seat("student-01"), seat("student-02"), seat("teacher")];
    update(&mut state, Action::Told { id: *id, answered, seats: 3, told });
    update(&mut state, Action::Answered { id: *id, why: None });
    state
}

#[test]
fn a_line_is_run_on_the_marked_seats_and_their_answers_are_told_as_one() {
    let mut state = world(80, 24);
    press(&mut state, "<enter><space>jv!");
    assert_eq!(state.context(), Context::LinePopup);
    let shown = screen(&state);
    assert!(shown.contains("on 3 seats of cs100") && shown.contains("teacher, student-01, student-02"), "{shown}");
    assert!(press(&mut state, "<enter>").is_empty(), "nothing was typed");
    let effects = press(&mut state, "uname -r<enter>");
    let [Effect::Exec { id, lab: of, seats, line, so_far }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((of, line.as_str(), so_far.len()), (&lab("cs100"), "uname -r", 0));
    assert_eq!(*seats, [seat("teacher"), seat("student-01"), seat("student-02")]);
    let id = *id;

    update(&mut state, Action::Said { id, seat: seat("teacher"), line: "thinking".into() });
    let shown = screen(&state);
    assert!(shown.contains("3 seats of cs100  $ uname -r") && shown.contains("0 of 3 answered"), "{shown}");
    assert!(shown.contains("teacher thinking"), "{shown}");
    assert!(press(&mut state, "!").is_empty(), "one at a time");
    assert_eq!(press(&mut state, "C"), [Effect::GiveUpExec { id }]);

    let told = vec![
        Told::Head { well: true, text: "2 of 3: exit 0: student-01, teacher".into() },
        Told::Text("6.1.0".into()),
        Told::Head { well: false, text: "1 of 3: exit 7: student-02".into() },
        Told::Missing("6.1.0".into()),
    ];
    let answered = vec![seat("student-01"), seat("student-02"), seat("teacher")];
    update(&mut state, Action::Told { id, answered, seats: 3, told });
    update(&mut state, Action::Answered { id, why: None });
    let shown = screen(&state);
    assert!(shown.contains("3 of 3 answered") && shown.contains("  - 6.1.0") && !shown.contains("thinking"), "{shown}");

    // Again, on the same seats, with what was typed before.
    press(&mut state, "!<up>");
    let [Effect::Exec { line, seats, .. }] = &press(&mut state, "m<enter>")[..] else { panic!("nothing was asked") };
    assert_eq!((line.as_str(), seats.len()), ("uname -rm", 3));
    update(&mut state, Action::Told { id, answered: Vec::new(), seats: 9, told: Vec::new() });
    assert!(screen(&state).contains("0 of 3 answered"), "an older answer comes too late");

    press(&mut state, "<esc>");
    assert!(matches!(state.screen(), Screen::Board(_)));
    update(&mut state, Action::Answered { id: id + 1, why: Some("no machines".into()) });
    assert!(state.toast.as_ref().unwrap().text.as_str().contains("cs100: no machines"));
}

#[test]
fn a_class_is_asked_as_a_whole_and_only_one_at_a_time() {
    let mut state = world(120, 40);
    let [Effect::Exec { lab: of, seats, .. }] = &press(&mut state, "!id<enter>")[..] else {
        panic!("nothing was asked")
    };
    assert_eq!((of, seats.len()), (&lab("cs100"), 0));
    let mut state = world(120, 40);
    assert!(press(&mut state, "a!").is_empty() && state.popup.is_none());
    let told = state.toast.as_ref().unwrap().text.to_string();
    assert_eq!(told, "marked are cs100, cs101, cs102: one command is for the seats of one lab at a time");
    let mut state = read_only(120, 40);
    assert!(press(&mut state, "!").is_empty() && state.popup.is_none());
}

#[test]
fn a_long_reason_is_read_whole_and_scrolled_through_row_by_row() {
    let mut state = world(80, 24);
    let effects = press(&mut state, "!true<enter>");
    let [Effect::Exec { id, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let why = "[10.20.30.40]:22022 was not asked: there is no key to log in with as root: the key file \
               /home/mara/.ssh/lab_ed25519 does not exist; name one that is there";
    let mut told = Vec::new();
    for n in 1..=20 {
        told.push(Told::Head { well: false, text: format!("1 of 20: failed: student-{n:02}") });
        told.push(Told::Text(format!("{why} (number {n})").as_str().into()));
    }
    update(&mut state, Action::Told { id: *id, answered: vec![seat("teacher")], seats: 20, told });
    let shown = screen(&state);
    let words = |shown: &str| shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&shown).contains(&format!("{why} (number 1)")), "{shown}");
    assert!(!shown.contains('…'), "{shown}");
    press(&mut state, "G");
    let end = screen(&state);
    assert!(words(&end).contains(&format!("{why} (number 20)")), "{end}");
    press(&mut state, "k");
    assert_ne!(screen(&state), end, "one row up from the end is another screen at once");
    press(&mut state, "jgg");
    assert_eq!(screen(&state), shown);
}
