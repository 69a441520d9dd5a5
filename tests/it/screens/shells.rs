//! Shells inside the dashboard: what they print stays in its place, and who gets the keys is told.

use homeroom::app::{Action, Command, Effect, Screen, State, shells::Place, update};
use ratatui::layout::Position;

use super::{
    BAD, buffer, colours, screen, style_of, text,
    world::{lab, press, seat, world},
};

/// A board with a shell on the seat under its cursor, which has said this.
fn with_shell(said: &[u8]) -> State {
    let mut state = world(120, 40);
    let effects = press(&mut state, "j<enter>S");
    let [Effect::OpenShell { lab, seat }] = &effects[..] else { panic!("{effects:?}") };
    assert!(state.shells.is_awaited(lab, seat));
    update(&mut state, Action::TabOpened { lab: lab.clone(), seat: seat.clone() });
    update(&mut state, Action::ShellSaid { id: 1, bytes: said.to_vec() });
    state
}

#[test]
fn a_shell_stands_between_its_title_and_the_log_and_has_the_keys() {
    let mut state = with_shell(b"$ \x1b[1;31mred\x1b[0m \xe6\x97\xa5\xe6\x9c\xac\r\n$ ");
    let shown = screen(&state);
    assert!(shown.contains("cs101/teacher") && shown.contains("$ red 日本"), "{shown}");
    assert!(shown.contains("ctrl-] gets the keys back") && shown.contains("─ log ─"), "{shown}");
    assert_eq!(state.shells.tabs[0].size(), (120, 29));
    assert!(press(&mut state, "q").is_empty(), "a letter is the shell's");

    update(&mut state, Action::Do(Command::LetGo));
    assert!(screen(&state).contains("enter gives it the keys"));
    press(&mut state, "z");
    assert_eq!(state.shells.tabs[0].size(), (120, 39));
    press(&mut state, "z<esc>");
    assert!(matches!(state.screen(), Screen::Board(_)) && state.shells.tabs.len() == 1, "it lives on");
    press(&mut state, "T<enter>");
    assert!(state.shells.typing);
    update(&mut state, Action::TabEnded { id: 1, end: Ok(3) });
    assert!(!state.shells.typing && screen(&state).contains("ended 3"));
    press(&mut state, "x");
    assert!(state.shells.tabs.is_empty() && matches!(state.screen(), Screen::Board(_)));
}

#[test]
fn nothing_a_guest_prints_reaches_beyond_its_own_cells() {
    let hostile = "\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\x1b[6n\x1b[c\x1bP$qm\x1b\\\x1b[?1049h\x1b[2J\x1b[999;999Hlast\
                   \x1b[1;1H\x1b[41m\x1b[999Ared\u{202e}gnp\x1b[?1000h\x1b[?25l\x1b[8;1;1t\x1bc\x1b[44m\x1b[2Jblue\u{7}\u{8}";
    let (calm, wild) = (with_shell(b"calm"), with_shell(hostile.as_bytes()));
    let (calm_cells, cells) = (buffer(&calm, &colours()), buffer(&wild, &colours()));
    let Place { x, y, width, height } = wild.shells.area(wild.size);
    let within = |at: Position| (x..x + width).contains(&at.x) && (y + 1..y + height).contains(&at.y);
    for at in cells.area().positions() {
        assert!(!cells[at].symbol().chars().any(char::is_control), "{at}");
        if !within(at) {
            assert_eq!(cells[at], calm_cells[at], "{at}");
        }
    }
    assert!(text(&cells).contains("blue"));
}

#[test]
fn a_flood_is_held_in_the_same_memory_and_the_way_back_is_one_page_at_a_time() {
    let mut state = with_shell(b"");
    let line = [b'x'; 100].map(char::from).iter().collect::<String>() + "\r\n";
    for _ in 0..200 {
        update(&mut state, Action::ShellSaid { id: 1, bytes: line.repeat(160).into_bytes() });
    }
    update(&mut state, Action::ShellSaid { id: 1, bytes: b"newest".to_vec() });
    assert!(screen(&state).contains("newest"));
    update(&mut state, Action::Do(Command::LetGo));
    press(&mut state, "g");
    assert!(screen(&state).contains("2000 lines up") && !screen(&state).contains("newest"));
    press(&mut state, "G");
    assert!(screen(&state).contains("newest"));
    assert_eq!(press(&mut state, "y").len(), 1);
}

#[test]
fn shells_of_all_are_those_of_the_marked_seats_where_any_are_marked() {
    let mut state = world(120, 40);
    let effects = press(&mut state, "<enter><space>j<space>B");
    let seats: Vec<&str> = effects
        .iter()
        .map(|effect| match effect {
            Effect::OpenShell { lab: of, seat } if *of == lab("cs100") => seat.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seats, ["teacher", "student-02"]);
    // A filter that hides them takes no mark away; without any, what it lets through is meant.
    let mut state = world(120, 40);
    let effects = press(&mut state, "<enter><space>j<space>/student-01<enter>B");
    assert_eq!(effects.len(), 2, "{effects:?}");
    let mut state = world(120, 40);
    let effects = press(&mut state, "<enter>/student-01<enter>B");
    assert_eq!(effects, [Effect::OpenShell { lab: lab("cs100"), seat: seat("student-01") }]);
}

#[test]
fn typing_into_all_is_on_every_screen_and_cannot_be_overlooked() {
    let mut state = world(120, 40);
    let effects = press(&mut state, "j<enter>B");
    assert!(effects.len() > 2, "{effects:?}");
    for effect in effects {
        let Effect::OpenShell { lab: of, seat } = effect else { panic!("{effect:?}") };
        assert_eq!(of, lab("cs101"));
        update(&mut state, Action::TabOpened { lab: of, seat });
    }
    let count = state.shells.tabs.len();
    assert_eq!(state.shells.typed_into().count(), count);
    for n in 1..=count as u64 {
        update(&mut state, Action::ShellSaid { id: n, bytes: format!("I am {n}").into_bytes() });
    }
    let shown = screen(&state);
    assert_eq!(shown.matches("KEYS GO TO ALL").count(), count, "{shown}");
    assert!((1..=count).all(|n| shown.contains(&format!("I am {n}"))), "{shown}");
    assert_eq!(style_of(&buffer(&state, &colours()), "KEYS GO TO ALL").fg, Some(BAD));
    update(&mut state, Action::Do(Command::LetGo));
    assert!(!screen(&state).contains("KEYS GO TO ALL"));
    press(&mut state, "b");
    assert_eq!(state.shells.typed_into().count(), 1);
}
