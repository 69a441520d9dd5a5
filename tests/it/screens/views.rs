//! Every screen there is, one after the other: its colours, hostile names on it, every size it may be drawn in,
//! and that nothing of it is told by colour alone.

use std::sync::Arc;

use homeroom::{
    app::{
        Action, Effect, State,
        closer::Whose,
        pointer::{Divider, Pointed, Spot},
        update,
        welcome::Tried,
    },
    domain::{
        Change, Clean, Level, RunId, StepName,
        hindsight::{Hindsight, Sample, Task},
        progress::RunProgress,
        timing::Timing,
    },
    tui::{Depth, Glyphs, Look},
};
use jiff::SignedDuration;
use ratatui::{
    buffer::Buffer,
    style::{Color, Modifier},
};

use super::{
    ACCENT, BAD, BUSY, OK, WARN, asking, buffer, colour_of, colours, kiosk, lab_form, screen, text, welcome, workshops,
    world::{Script, hostile_site, lab, now, plan, press, world},
};

/// Every screen and every popup: its name, and the keys that lead there from the overview.
const VIEWS: [(&str, &str); 25] = [
    ("overview", ""),
    ("nodes", "1"),
    ("workshops", "3"),
    ("log", "4<enter>kk"),
    ("log_narrowed", "4/lock<enter>"),
    ("board", "j<enter>G"),
    ("board_marked", "j<enter><space><space>joo"),
    ("board_narrowed", "j<enter>/st 0<enter>"),
    ("seat_log", "j<enter>jl"),
    ("machine", "j<enter>j<enter>"),
    ("node", "1<enter>jj"),
    ("runs", "jR"),
    ("run", "jR<enter>"),
    ("plan", "jd"),
    ("destroy", "xcs10"),
    ("destroy_many", "ax"),
    ("power", "<enter><space><space>p"),
    ("check_many", "<enter><space><space>c"),
    ("cancel", "jC"),
    ("quit", "q"),
    ("help", "?"),
    ("log_filter", "f"),
    ("palette", ":de"),
    ("jump", "J1"),
    ("copy", "<enter>y"),
];

/// An hour as a site remembers it.
fn hour() -> Hindsight {
    let at = |minutes: i64| now().checked_sub(SignedDuration::from_mins(minutes)).unwrap();
    let samples = (0..60_i64).rev().map(|n| Sample {
        at: at(n),
        cpu: 0.5 + 0.45 * ((n as f64) / 6.0).sin(),
        memory: 0.3 + 0.005 * (60 - n) as f64,
        net_in: 12_000.0 + 900.0 * n as f64,
        net_out: 4_000.0,
    });
    let task = |kind: &str, minutes, end: Option<&str>| Task {
        kind: kind.into(),
        id: "9101".into(),
        user: "homeroom@pve!lab".into(),
        started_at: at(minutes),
        ended_at: end.map(|_| at(minutes - 1)),
        end: end.map(Clean::new),
    };
    Hindsight {
        samples: samples.collect(),
        tasks: vec![task("qmstart", 2, None), task("qmclone", 9, Some("OK")), task("qmstop", 30, Some("got timeout"))],
    }
}

/// Types keys and answers what they ask for, as the program would.
/// The board of a node with its last hour.
pub fn with_past(columns: u16, rows: u16) -> State {
    let mut state = world(columns, rows);
    lead(&mut state, "1<enter>", &hour());
    state
}

fn lead(state: &mut State, keys: &str, hindsight: &Hindsight) {
    let effects = homeroom::app::Key::script(keys).into_iter().fold(Vec::new(), |_, key| {
        let effects = match homeroom::app::action_for(state, key) {
            Some(action) => update(state, action),
            None => Vec::new(),
        };
        for effect in &effects {
            answer(state, effect, hindsight);
        }
        effects
    });
    drop(effects);
}

fn answer(state: &mut State, effect: &Effect, hindsight: &Hindsight) {
    let action = match effect {
        Effect::MakePlan { lab, .. } => Action::PlanReady { lab: lab.clone(), plan: Ok(Arc::new(plan(&[]))) },
        Effect::LoadRuns { lab } => {
            let of = |name: &str| state.progress[&super::world::lab(name)].run.clone().unwrap();
            let runs = vec![of("cs101"), RunProgress { id: RunId(9), ..of("cs100") }];
            Action::RunsLoaded { lab: lab.clone(), runs: Ok(runs) }
        }
        Effect::LoadTiming { run } => {
            let timing = Timing::of(&super::world::timed(false), None).unwrap();
            Action::TimingLoaded { run: *run, timing: Ok(Arc::new(timing)) }
        }
        Effect::LookBack(whose) => Action::PastSeen { whose: whose.clone(), seen: Ok(Arc::new(hindsight.clone())) },
        _ => return,
    };
    update(state, action);
}

fn view(keys: &str, columns: u16, rows: u16) -> State {
    let mut state = world(columns, rows);
    lead(&mut state, keys, &hour());
    state
}

/// A screen in a window of so many columns and rows.
type Made = Box<dyn Fn(u16, u16) -> State>;

/// Those, and the screens that keys alone do not lead to.
fn every() -> Vec<(&'static str, Made)> {
    let mut every: Vec<(&'static str, Made)> = Vec::new();
    for (name, keys) in VIEWS {
        every.push((name, Box::new(move |columns, rows| view(keys, columns, rows))));
    }
    let mut add = |name, made: fn(u16, u16) -> State| every.push((name, Box::new(made)));
    add("workshop", |columns, rows| led(workshops::standing(columns, rows), "3j<enter>jjj"));
    add("workshops_standing", |columns, rows| led(workshops::standing(columns, rows), "3"));
    add("answers", asking::answered);
    add("run_line", |columns, rows| led(world(columns, rows), "<enter><space>jv!uname"));
    add("welcome", welcome::first);
    add("welcome_form", |columns, rows| led(welcome::first(columns, rows), welcome::TYPED));
    add("welcome_tried", |columns, rows| {
        let mut state = welcome::first(columns, rows);
        let site = welcome::site(&press(&mut state, &format!("{}<enter>", welcome::TYPED)));
        let tried = Tried { stranger: None, findings: welcome::findings() };
        update(&mut state, Action::SiteTried { site, tried });
        state
    });
    add("kiosk", |columns, rows| {
        let mut state = kiosk::kiosk(columns, rows);
        update(&mut state, Action::Tick(super::world::before(-1)));
        state
    });
    const TYPED: &str = "nbio<pgdn>two<tab><tab><tab>4G<pgup><tab><tab>";
    fn form(keys: &str, columns: u16, rows: u16) -> State {
        let mut state = lab_form::furnished(columns, rows);
        lab_form::press(&mut state, TYPED);
        lab_form::press(&mut state, keys);
        state
    }
    add("form", |columns, rows| form("", columns, rows));
    add("form_choices", |columns, rows| form("<enter>", columns, rows));
    add("form_text", |columns, rows| form("<c-t>", columns, rows));
    add("form_unsaved", |columns, rows| form("<esc>", columns, rows));
    every
}

fn led(mut state: State, keys: &str) -> State {
    press(&mut state, keys);
    state
}

/// A letter for the meaning of each cell's colour; bold ones large, and the row of the cursor behind a bar.
fn meanings(shown: &Buffer) -> String {
    let area = *shown.area();
    let mut lines = String::new();
    for y in 0..area.height {
        let mut line = String::new();
        let mut ground = false;
        for x in 0..area.width {
            let cell = &shown[(x, y)];
            ground |= cell.bg != Color::Reset;
            let letter = match cell.fg {
                _ if cell.symbol() == " " => ' ',
                OK => 'o',
                BUSY => 'b',
                WARN => 'w',
                BAD => 'x',
                ACCENT => 'a',
                Color::Indexed(245) => 'd',
                Color::Indexed(240) => '-',
                Color::Reset => 't',
                _ => '?',
            };
            line.push(if cell.modifier.contains(Modifier::BOLD) { letter.to_ascii_uppercase() } else { letter });
        }
        lines.push_str(if ground { "|" } else { " " });
        lines.push_str(line.trim_end());
        lines.push('\n');
    }
    lines
}

#[test]
fn every_screen_has_its_colours_at_both_sizes() {
    for (name, made) in every() {
        for (columns, rows) in [(80, 24), (120, 40)] {
            let shown = buffer(&made(columns, rows), &colours());
            let meant = meanings(&shown);
            assert!(!meant.contains('?'), "{name} has a colour without a meaning\n{meant}");
            insta::assert_snapshot!(format!("colours_{name}_{columns}x{rows}"), meant);
        }
    }
}

#[test]
fn screens_that_have_no_snapshot_elsewhere_have_one_here() {
    let here = [
        "board_marked",
        "board_narrowed",
        "machine",
        "node",
        "destroy_many",
        "power",
        "check_many",
        "jump",
        "copy",
        "workshops_standing",
        "answers",
        "run_line",
        "form",
        "form_choices",
        "form_text",
        "form_unsaved",
    ];
    for (name, made) in every().into_iter().filter(|(name, _)| here.contains(name)) {
        for (columns, rows) in [(80, 24), (120, 40)] {
            insta::assert_snapshot!(format!("view_{name}_{columns}x{rows}"), screen(&made(columns, rows)));
        }
    }
}

#[test]
fn hostile_text_from_outside_breaks_no_screen() {
    let long = "x".repeat(10_000);
    let nasty = [
        "日本語日本語日本語日本語日本語日本語日本語日本語",
        "e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}e\u{301}",
        "👩‍🚀👩‍🚀👩‍🚀 🏳️‍🌈 \u{200b}\u{feff}",
        "\u{202e}evil\x1b[31m\x1b]0;title\x07\r\n\t\x00\x08\u{9b}31m",
        "שלום עולם مرحبا بالعالم \u{2067}x\u{2069}",
        &long,
    ];
    for text in nasty {
        let mut hindsight = hour();
        for task in &mut hindsight.tasks {
            (task.kind, task.id, task.user) = (text.into(), text.into(), text.into());
            task.end = task.end.as_ref().map(|_| text.into());
        }
        let mut script = Script::new(30, "cs101", 20);
        script.reserve("student-01", text, 9_101);
        script.start("student-01", StepName::Clone);
        script.say(Some("student-01"), Some(StepName::Clone), Level::Error, text, Change::SeatFailed);
        for (name, keys) in VIEWS {
            for (columns, rows) in [(40, 12), (80, 24), (120, 40)] {
                let mut state = world(columns, rows);
                update(&mut state, Action::EventsArrived(script.copy()));
                update(&mut state, Action::Notice { level: Level::Error, text: text.into() });
                hostile_site(&mut state, text);
                lead(&mut state, keys, &hindsight);
                let shown = buffer(&state, &colours());
                for cell in shown.content() {
                    let symbol = cell.symbol();
                    let bad = |c: char| {
                        c.is_control()
                            || ('\u{202a}'..='\u{202e}').contains(&c)
                            || ('\u{2066}'..='\u{2069}').contains(&c)
                    };
                    assert!(!symbol.chars().any(bad), "{name} at {columns}x{rows}: {symbol:?}");
                }
                // The first line and the keys are where they always are.
                let lines = text_lines(&shown);
                assert!(lines[0].starts_with(" homeroom"), "{name} at {columns}x{rows}: {}", lines[0]);
            }
        }
    }
}

fn text_lines(shown: &Buffer) -> Vec<String> {
    text(shown).lines().map(str::to_owned).collect()
}

#[test]
fn every_screen_is_drawn_in_every_size_and_says_so_where_it_is_too_small() {
    let sizes =
        [(1, 1), (2, 2), (39, 12), (40, 11), (40, 12), (59, 14), (61, 15), (79, 24), (99, 60), (100, 28), (300, 100)];
    for (name, made) in every() {
        for (columns, rows) in sizes {
            let shown = screen(&made(columns, rows));
            if columns >= 39 && (columns < 40 || rows < 12) {
                assert!(shown.contains("needs 40×12"), "{name} at {columns}x{rows}: {shown}");
            }
        }
    }
    // From one size to another and back, the same is shown.
    let mut state = view("j<enter>G", 120, 40);
    let before = screen(&state);
    for (columns, rows) in sizes {
        update(&mut state, Action::Resized(columns, rows));
        screen(&state);
    }
    update(&mut state, Action::Resized(120, 40));
    assert_eq!(screen(&state), before);
}

#[test]
fn the_smallest_screen_tells_what_is_wrong_and_how_every_seat_stands() {
    for (name, keys) in
        VIEWS.into_iter().filter(|(name, _)| ["overview", "nodes", "log", "board", "plan"].contains(name))
    {
        insta::assert_snapshot!(format!("smallest_{name}"), screen(&view(keys, 40, 12)));
    }
    let overview = screen(&view("", 40, 12));
    assert!(overview.contains("✗ 1 failed") && overview.contains("student-10"), "{overview}");
    let board = screen(&view("j<enter>G", 40, 12));
    assert!(board.contains("student-10") && board.contains("✗") && board.contains("3.1 GiB"), "{board}");
}

#[test]
fn every_screen_is_whole_in_ascii_without_a_colour() {
    let look = Look::new(Depth::None, Glyphs::ASCII);
    for (name, made) in every() {
        let shown = buffer(&made(120, 40), &look);
        assert!(text(&shown).is_ascii(), "{name}\n{}", text(&shown));
        assert!(shown.content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset), "{name}");
    }
}

#[test]
fn a_board_looks_back_an_hour_when_it_is_opened_and_again_a_minute_later() {
    let mut state = world(120, 40);
    let effects = press(&mut state, "1<enter>");
    let [Effect::LookBack(whose)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((whose.node.as_str(), whose.vmid), ("pve1", None));
    assert!(screen(&state).contains("reading the last hour"));
    let whose = whose.clone();
    let seen = |whose: &Whose| Action::PastSeen { whose: whose.clone(), seen: Ok(Arc::new(hour())) };
    update(&mut state, seen(&Whose { vmid: Some(homeroom::domain::Vmid::new(9_001).unwrap()), ..whose.clone() }));
    assert!(screen(&state).contains("reading the last hour"), "that is not what was asked for");
    update(&mut state, seen(&whose));
    let shown = buffer(&state, &colours());
    assert!(text(&shown).contains("peak 95%"), "{}", text(&shown));
    assert_eq!(colour_of(&shown, "got timeout"), BAD);
    let look = |state: &mut State| {
        let site = state.sites.values().next().unwrap().view.clone().unwrap();
        update(state, Action::SiteSeen { site: "campus".parse().unwrap(), view: site })
    };
    assert!(look(&mut state).is_empty(), "a site measures no oftener");
    let later = now().checked_add(SignedDuration::from_secs(61)).unwrap();
    update(&mut state, Action::Tick(later));
    assert_eq!(look(&mut state), [Effect::LookBack(whose)]);
    press(&mut state, "<esc>");
    assert!(look(&mut state).is_empty(), "nobody looks at it any more");
}

#[test]
fn addresses_and_commands_are_copied_of_one_row_or_of_all_that_are_marked() {
    let mut state = world(120, 40);
    assert_eq!(press(&mut state, "<enter>yy"), [Effect::Copy("10.1.0.10".into())]);
    assert_eq!(press(&mut state, "yjj<enter>"), [Effect::Copy("homeroom ssh cs100/teacher".into())]);
    let three = Effect::Copy("10.1.0.10\n10.1.0.11\n10.1.0.12".into());
    assert_eq!(press(&mut state, "<space><space><space>y<enter>"), [three]);
    assert!(press(&mut state, "y<esc>").is_empty());
    press(&mut state, "<esc><esc>4");
    let effects = press(&mut state, "y<enter>");
    assert!(matches!(&effects[..], [Effect::Copy(text)] if text.starts_with("storage fast has")), "{effects:?}");
}

#[test]
fn the_mouse_chooses_opens_scrolls_and_drags() {
    let mut state = world(120, 40);
    let row = |key: &str| Action::Pointed(Pointed::Click(Spot::Row(Some(homeroom::app::Pane::Classes), key.into())));
    update(&mut state, row("cs101"));
    assert_eq!(state.target_lab(), Some(lab("cs101")));
    update(&mut state, row("cs101"));
    assert!(matches!(state.screen(), homeroom::app::Screen::Board(_)), "a second click opens");
    update(&mut state, Action::Pointed(Pointed::Wheel(None, 1)));
    assert_eq!(state.target_seat().unwrap().1.as_str(), "student-03");
    press(&mut state, "<esc>");
    let narrow = screen(&state);
    update(&mut state, Action::Pointed(Pointed::Drag(Divider::Left, 70, 5)));
    assert_ne!(screen(&state), narrow);
    for (column, row) in [(0, 0), (119, 39), (500, 500)] {
        update(&mut state, Action::Pointed(Pointed::Drag(Divider::Left, column, row)));
        update(&mut state, Action::Pointed(Pointed::Drag(Divider::Log, column, row)));
        screen(&state);
    }
    press(&mut state, "x");
    assert!(update(&mut state, row("cs100")).is_empty());
    assert!(state.popup.is_some(), "a question is answered by keys");
}
