//! Shells inside the dashboard: what they print stays in its place, and who gets the keys is told.

use std::time::Duration;

use homeroom::app::{
    Action, Command, Context, Effect, Screen, State,
    doors::Door,
    shells::{Place, TabId, Way},
    update,
};
use ratatui::{layout::Position, style::Modifier};

use super::{
    BAD, buffer, colours, screen, style_of, text,
    world::{door, lab, opens, press, quiet, world},
};

/// A board with a shell on the seat under its cursor, which has said this.
fn with_shell(said: &[u8]) -> State {
    let mut state = world(120, 40);
    let effects = press(&mut state, "j<enter>S");
    let [Effect::OpenShell { id, .. }] = effects[..] else { panic!("{effects:?}") };
    assert_eq!(state.shells.awaited(id), Some(Way::Pane));
    update(&mut state, Action::TabOpened { id });
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
    assert!(!screen(&state).contains("enter opens it anew"));
    press(&mut state, "x");
    assert_eq!(state.shells.tabs.len(), 1, "it may have been meant for the shell");
    quiet(&mut state);
    assert!(screen(&state).contains("enter opens it anew"));
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
            Effect::OpenShell { door: Door::Seat { lab: of, seat }, .. } if *of == lab("cs100") => seat.as_str(),
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
    let [Effect::OpenShell { door: only, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(*only, door("cs100", "student-01"));
}

#[test]
fn a_shell_that_runs_is_not_closed_before_somebody_says_so() {
    let mut state = with_shell(b"$ make all\r\n");
    update(&mut state, Action::Do(Command::LetGo));
    press(&mut state, "x");
    let shown = screen(&state);
    assert!(shown.contains("end the shell?") && shown.contains("cs101/teacher runs still"), "{shown}");
    press(&mut state, "x<esc>");
    assert_eq!((state.shells.tabs.len(), state.context()), (1, Context::Shells));
    press(&mut state, "x<enter>");
    assert!(state.shells.tabs.is_empty() && matches!(state.screen(), Screen::Board(_)));
}

#[test]
fn shells_that_are_open_elsewhere_are_told_on_every_screen_with_the_key_to_them() {
    for (size, below) in [((80, 24), 0), ((120, 40), 1)] {
        let mut state = with_shell(b"$ ");
        update(&mut state, Action::Resized(size.0, size.1));
        update(&mut state, Action::Do(Command::LetGo));
        assert!(!screen(&state).contains("1 shell "), "{below}");
        press(&mut state, "<esc>");
        for keys in ["", "<esc>", "1", "4"] {
            press(&mut state, keys);
            let shown = screen(&state);
            assert!(shown.lines().next().unwrap().contains("T 1 shell "), "{keys}: {shown}");
        }
        press(&mut state, "T");
        assert_eq!(state.context(), Context::Shells);
        update(&mut state, Action::TabEnded { id: 1, end: Ok(0) });
        press(&mut state, "<esc>");
        assert!(!screen(&state).contains(" shell   "));
    }
}

#[test]
fn each_shell_is_opened_in_the_size_it_is_shown_in() {
    for size in [(80, 24), (120, 40)] {
        let mut state = world(size.0, size.1);
        let effects = press(&mut state, "<enter>B");
        assert!(effects.len() > 2, "{effects:?}");
        let mut asked = Vec::new();
        for effect in &effects {
            let Effect::OpenShell { id, size, .. } = effect else { panic!("{effect:?}") };
            asked.push((*id, *size));
        }
        assert!(asked.iter().all(|(_, (columns, rows))| *columns < size.0 && *rows < size.1), "{asked:?}");
        for (id, opened) in asked.iter().rev() {
            update(&mut state, Action::TabOpened { id: *id });
            let tab = state.shells.tabs.iter().find(|tab| tab.id == *id).unwrap();
            assert_eq!(tab.size(), *opened, "nobody is resized when the next one opens");
        }
        for (id, opened) in &asked {
            let tab = state.shells.tabs.iter().find(|tab| tab.id == *id).unwrap();
            assert_eq!(tab.size(), *opened);
        }
        let mut alone = world(size.0, size.1);
        let [Effect::OpenShell { size: opened, .. }] = press(&mut alone, "<enter>S")[..] else { panic!("one") };
        update(&mut alone, Action::TabOpened { id: 1 });
        assert_eq!(alone.shells.tabs[0].size(), opened);
    }
}

#[test]
fn typing_into_all_is_on_every_screen_and_cannot_be_overlooked() {
    let mut state = world(120, 40);
    let effects = press(&mut state, "j<enter>B<enter>");
    assert!(effects.len() > 2, "{effects:?}");
    for effect in effects {
        let Effect::OpenShell { id, door, .. } = effect else { panic!("{effect:?}") };
        assert_eq!(door.lab(), Some(&lab("cs101")));
        update(&mut state, Action::TabOpened { id });
    }
    let count = state.shells.tabs.len();
    assert_eq!(state.shells.typed_into().count(), count);
    for n in 1..=count as u64 {
        update(&mut state, Action::ShellSaid { id: n, bytes: format!("I am {n}").into_bytes() });
    }
    let shown = screen(&state);
    assert!(shown.contains(&format!("KEYS GO TO ALL: {count}")), "{shown}");
    assert!((1..=count).all(|n| shown.contains(&format!("I am {n}"))), "{shown}");
    let drawn = buffer(&state, &colours());
    for (at, place) in state.shells.places(state.size) {
        let name = state.shells.tabs[at].door.name();
        let style = drawn[Position { x: place.x + 1, y: place.y }].style();
        assert_eq!((style.fg, style.add_modifier.contains(Modifier::REVERSED)), (Some(BAD), true), "{name}");
    }
    assert_eq!(style_of(&drawn, "KEYS GO TO ALL").fg, Some(BAD));
    update(&mut state, Action::Do(Command::LetGo));
    assert!(!screen(&state).contains("KEYS GO TO ALL"));
    press(&mut state, "b");
    assert_eq!(state.shells.typed_into().count(), 1);
}

/// The shells that are asked for, and nothing else.
fn asked_for(effects: Vec<Effect>) -> Vec<(TabId, Door)> {
    let of = |effect| match effect {
        Effect::OpenShell { id, door, .. } => (id, door),
        other => panic!("{other:?}"),
    };
    effects.into_iter().map(of).collect()
}

#[test]
fn a_shell_that_did_not_open_stays_among_those_typed_into_with_the_reason_and_is_counted() {
    let mut state = world(120, 40);
    let effects = press(&mut state, "j<enter>B<enter>");
    let asked = asked_for(effects);
    let count = asked.len();
    let (bad, good) = asked.split_first().unwrap();
    let why = "student is not let in: the lab's own key was refused".into();
    update(&mut state, Action::NotOpened { id: bad.0, door: bad.1.clone(), why });
    for (id, _) in good {
        update(&mut state, Action::TabOpened { id: *id });
    }
    assert!(!state.shells.typing, "it is to be seen before anybody types");
    quiet(&mut state);
    let shown = screen(&state);
    assert!(shown.contains(&format!(" {} of {count} shells, not {}", count - 1, bad.1.name())), "{shown}");
    press(&mut state, "<enter>");
    let shown = screen(&state);
    assert!(shown.contains(&format!("KEYS GO TO {} of {count}", count - 1)), "{shown}");
    assert!(shown.contains(&format!("{}  not open", bad.1.name())), "{shown}");
    assert!(shown.contains("student is not let in:"), "{shown}");
    assert_eq!(state.shells.typed_into().count(), count - 1);
    // Nor is one forgotten that somebody closes.
    update(&mut state, Action::Do(Command::LetGo));
    press(&mut state, "lx<enter><enter>");
    let shown = screen(&state);
    assert!(shown.contains(&format!("KEYS GO TO {} of {count}, not {}, ", count - 2, bad.1.name())), "{shown}");
}

#[test]
fn how_a_shell_ended_is_told_in_full_or_by_a_sign_in_the_smallest_tile() {
    let mut state = world(80, 24);
    let effects = press(&mut state, "j<enter>");
    assert!(effects.is_empty() || state.shells.tabs.is_empty());
    let effects = press(&mut state, "B<enter>");
    let asked = asked_for(effects);
    let (bad, good) = asked.split_last().unwrap();
    update(&mut state, Action::NotOpened { id: bad.0, door: bad.1.clone(), why: "no route to host".into() });
    for (id, _) in good {
        update(&mut state, Action::TabOpened { id: *id });
    }
    quiet(&mut state);
    press(&mut state, "<enter>");
    for width in [60, 80, 120, 200] {
        update(&mut state, Action::Resized(width, 24));
        let shown = screen(&state);
        let title = shown.lines().find(|line| line.contains(&bad.1.name()) && !line.contains("KEYS")).unwrap();
        let in_full = title.contains(&format!(" {}  not open", bad.1.name()));
        assert!(in_full || title.contains(&format!("✗{}", bad.1.name())), "{width}: {title}");
        assert!(!title.contains('…'), "{width}: {title}");
    }
}

#[test]
fn a_line_begun_for_a_shell_that_was_lost_is_no_command_and_goes_to_no_other_shell() {
    let mut state = with_shell(b"$ ");
    update(&mut state, Action::Do(Command::LetGo));
    press(&mut state, "<esc>jS");
    update(&mut state, Action::TabOpened { id: 2 });
    assert_eq!(state.context(), Context::Typing);
    update(&mut state, Action::TabEnded { id: 2, end: Err("reset by peer".into()) });
    // "bash" would show all shells, turn to another, and type into all of them.
    press(&mut state, "bash<enter>");
    assert_eq!((state.context(), state.shells.front), (Context::Hushed, 1));
    assert!(!state.shells.broadcast && !state.shells.typing && state.shells.tabs.len() == 2);
    assert!(screen(&state).contains("reset by peer"), "why stays to be read");
    // The key that takes the keys back from a shell does so here as well.
    update(&mut state, Action::Do(Command::LetGo));
    assert_eq!(state.context(), Context::Shells);
    press(&mut state, "x");
    assert_eq!(state.shells.tabs.len(), 1);
}

#[test]
fn shells_of_a_lab_and_of_a_node_typed_into_together_are_told_by_where_they_are() {
    let mut state = world(120, 40);
    press(&mut state, "1S");
    update(&mut state, Action::TabOpened { id: 1 });
    update(&mut state, Action::Do(Command::LetGo));
    press(&mut state, "<esc>2j<enter>S");
    update(&mut state, Action::TabOpened { id: 2 });
    update(&mut state, Action::Do(Command::LetGo));
    press(&mut state, "b<enter>");
    let shown = screen(&state);
    assert!(shown.contains("KEYS GO TO ALL: 2, on campus, cs101"), "{shown}");
}

/// The whole warning, in red and reversed, and where the keys come back from it.
fn is_told_in_full(state: &mut State, size: (u16, u16), zoomed: bool) {
    update(state, Action::Resized(size.0, size.1));
    state.shells.zoomed = zoomed;
    let shown = screen(state);
    let line = shown.lines().find(|line| line.contains("KEYS GO TO ALL")).unwrap_or_else(|| panic!("{shown}"));
    assert!(line.contains("KEYS GO TO ALL: 8") && line.contains("ctrl-] gets them back"), "{line}");
}

#[test]
fn that_keys_go_everywhere_can_be_read_in_full_on_every_screen_and_tiles_stand_in_the_order_of_the_seats() {
    let mut state = world(80, 24);
    let effects = press(&mut state, "j<enter>B<enter>");
    let mut asked: Vec<(u64, String)> = effects
        .iter()
        .map(|effect| match effect {
            Effect::OpenShell { id, door, .. } => (*id, door.name()),
            other => panic!("{other:?}"),
        })
        .collect();
    let seats: Vec<String> = asked.iter().map(|(_, seat)| seat.clone()).collect();
    assert!(seats.len() == 8 && seats[1..].is_sorted(), "{seats:?}");
    let shown = screen(&state);
    assert!(shown.contains("8 more to open; until then no key goes anywhere"), "{shown}");
    // They open in whatever order.
    asked.reverse();
    for (id, _) in &asked {
        update(&mut state, Action::TabOpened { id: *id });
    }
    for size in [(80, 24), (60, 14), (120, 40), (200, 60)] {
        is_told_in_full(&mut state, size, false);
        is_told_in_full(&mut state, size, true);
    }
    let places = state.shells.places(state.size);
    let names: Vec<String> = places.iter().map(|(at, _)| state.shells.tabs[*at].door.name()).collect();
    assert_eq!(names, seats);
}

#[test]
fn what_is_typed_before_a_shell_is_open_is_for_the_shell_and_escape_gives_it_up() {
    let mut state = world(80, 24);
    let effects = press(&mut state, "j<enter>S");
    assert_eq!(effects, [opens(&state, 1, door("cs101", "teacher"), Way::Pane)]);
    // Nothing of this is a command of ours, whatever it would be on the board.
    assert!(press(&mut state, "xq<enter>").is_empty());
    assert_eq!(state.context(), Context::Opening);
    let shown = screen(&state);
    assert!(shown.contains("opening a shell") && shown.contains("on cs101/teacher"), "{shown}");
    assert!(shown.contains("3 keys so far") && shown.contains("esc give up"), "{shown}");
    let typed = update(&mut state, Action::TabOpened { id: 1 });
    assert_eq!(typed, [Effect::Answer { id: 1, bytes: b"xq\r".to_vec() }]);
    assert_eq!(state.context(), Context::Typing);

    // One that is given up comes to nobody, even if it opens later, and is not told of when it fails.
    update(&mut state, Action::Do(Command::LetGo));
    let effects = press(&mut state, "<esc>js");
    assert_eq!(effects, [opens(&state, 2, door("cs101", "student-01"), Way::Whole)]);
    press(&mut state, "ls<esc>");
    assert_eq!(state.context(), Context::Board);
    assert_eq!(state.shells.awaited(2), None);
    let why = "timed out".into();
    update(&mut state, Action::NotOpened { id: 2, door: door("cs101", "student-01"), why });
    assert!(state.toast.as_ref().unwrap().text.as_str().contains("given up"));
    // One that fails gives the keys back.
    press(&mut state, "s");
    let why = "no route to host".into();
    update(&mut state, Action::NotOpened { id: 3, door: door("cs101", "student-01"), why });
    // What was being typed for it does not become a deploy.
    assert!(press(&mut state, "d<enter>").is_empty());
    assert_eq!((state.context(), state.popup.is_none()), (Context::Hushed, true));
    quiet(&mut state);
    assert_eq!(state.context(), Context::Board);
    assert!(state.toast.as_ref().unwrap().text.as_str().contains("a shell on student-01: no route to host"));
}

#[test]
fn of_many_tabs_the_one_in_front_is_always_named() {
    let mut state = world(80, 24);
    press(&mut state, "j<enter>");
    for n in 0..8 {
        press(&mut state, "S");
        update(&mut state, Action::TabOpened { id: n + 1 });
        update(&mut state, Action::Do(Command::LetGo));
        press(&mut state, "<esc>j");
    }
    press(&mut state, "T");
    assert_eq!(state.shells.tabs.len(), 8);
    for _ in 0..8 {
        press(&mut state, "l");
        let name = state.shells.front().unwrap().door.name();
        let shown = screen(&state);
        let title = shown.lines().nth(1).unwrap();
        assert!(title.contains(&name) && title.contains("enter gives it the keys"), "{name}: {title}");
    }
    // One more on the same machine.
    assert!(matches!(&press(&mut state, "S")[..], [Effect::OpenShell { id: 9, .. }]));
    update(&mut state, Action::TabOpened { id: 9 });
    assert!(screen(&state).contains(" #2 "), "two of the same are told apart");
}

/// How long this thread has worked: others on the same processor do not count.
fn worked() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(told.split_whitespace().next().unwrap().parse().unwrap())
}

/// A key has to wait for what was read before it: as much as is taken in at once. Then it is drawn. The reducer and the
/// drawing, without the terminal: what a key takes while a guest prints as fast as it is read.
#[test]
fn from_key_to_paint_it_takes_no_time_worth_noticing_while_a_guest_floods_its_pane() {
    /// Pieces taken in at once, and the size of each: what `tabs` and the SSH session hold.
    const PIECES: usize = 8;
    const PIECE: usize = 16 << 10;
    let mut state = with_shell(b"");
    update(&mut state, Action::Resized(120, 40));
    let hostile = "\x1b[31;44mcolour \x1b]0;title\x07\x1b[6n\x1b[12;40Hflood \x1b[1;7mmore\x1b[m\r\n";
    let piece: Vec<u8> = hostile.bytes().cycle().take(PIECE).collect();
    let (mut took, mut flooding) = (Vec::new(), Duration::ZERO);
    for _ in 0..60 {
        let pressed = worked();
        for _ in 0..PIECES {
            update(&mut state, Action::ShellSaid { id: 1, bytes: piece.clone() });
        }
        flooding += worked() - pressed;
        let command = if state.shells.typing { Command::LetGo } else { Command::TypeIn };
        update(&mut state, Action::Do(command));
        let drawn = text(&buffer(&state, &colours()));
        took.push(worked() - pressed);
        let told = if state.shells.typing { "ctrl-] gets the keys back" } else { "enter gives it the keys" };
        assert!(drawn.contains(told), "{drawn}");
    }
    took.sort();
    let (half, most) = (took[took.len() / 2], took[took.len() - 1]);
    let rate = (60 * PIECES * PIECE) as f64 / flooding.as_secs_f64() / 1e6;
    println!("from key to paint {half:?} (half of all), {most:?} at the most, while {rate:.0} MB/s come in");
    assert!(half < Duration::from_millis(50), "{half:?}");
    // What it holds does not grow with what came: the screen and so many lines above it.
    update(&mut state, Action::Do(Command::LetGo));
    press(&mut state, "g");
    assert!(state.shells.tabs[0].screen().scrollback() <= 2000);
}
