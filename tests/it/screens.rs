//! Every screen as it is drawn, at two sizes, and with its colours; what no screen may do.

mod asking;
mod bars;
mod doors;
mod far;
mod flows;
mod kiosk;
mod lab_form;
mod large;
mod looks;
mod quiet;
mod shells;
mod small;
mod soak;
mod terminal;
mod views;
mod welcome;
mod workshops;
mod world;

use std::sync::Arc;

use homeroom::{
    app::{Action, Effect, State, update},
    domain::{
        Change, Definition, Level, Role, RunId, StepName, cluster::ClusterView, event::RunState, plan::Verb,
        progress::RunProgress, size::Size, timing::Timing,
    },
    tui::{Depth, Glyphs, Look, draw},
};
use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Buffer,
    style::{Color, Style},
};
use unicode_width::UnicodeWidthStr;
use world::{Script, empty, hostile_site, lab, now, plan, press, site, view, world};

/// Draws the state and gives what the terminal would hold.
fn buffer(state: &State, look: &Look) -> Buffer {
    let (columns, rows) = state.size;
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw(frame, state, look)).unwrap();
    terminal.backend().buffer().clone()
}

/// The text of a buffer, without what is blank at the ends.
fn text(buffer: &Buffer) -> String {
    let area = *buffer.area();
    let line = |y: u16| {
        let mut line = String::new();
        let mut x = 0;
        while x < area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += u16::try_from(symbol.width().max(1)).unwrap();
        }
        line.trim_end().to_owned() + "\n"
    };
    (0..area.height).map(line).collect()
}

fn colours() -> Look {
    Look::new(Depth::Indexed, Glyphs::UNICODE)
}

fn screen(state: &State) -> String {
    text(&buffer(state, &colours()))
}

/// The style of the first place where the text stands.
fn style_of(buffer: &Buffer, wanted: &str) -> Style {
    let lines = text(buffer);
    let (y, line) = lines.lines().enumerate().find(|(_, line)| line.contains(wanted)).expect(wanted);
    let x = line[..line.find(wanted).unwrap()].width();
    buffer[(u16::try_from(x).unwrap(), u16::try_from(y).unwrap())].style()
}

fn colour_of(buffer: &Buffer, wanted: &str) -> Color {
    style_of(buffer, wanted).fg.unwrap()
}

const OK: Color = Color::Indexed(114);
const BUSY: Color = Color::Indexed(75);
const WARN: Color = Color::Indexed(179);
const BAD: Color = Color::Indexed(203);
const ACCENT: Color = Color::Indexed(80);

/// Both sizes of a screen, as snapshots.
fn snapshots(name: &str, script: &str) {
    for (columns, rows) in [(80, 24), (120, 40)] {
        let mut state = world(columns, rows);
        press(&mut state, script);
        insta::assert_snapshot!(format!("{name}_{columns}x{rows}"), screen(&state));
    }
}

/// A state whose plan for cs101 has come in.
fn planned(columns: u16, rows: u16, verbs: &[(&str, Verb)]) -> State {
    let mut state = world(columns, rows);
    press(&mut state, "jd");
    let plan = Ok(Arc::new(plan(verbs)));
    update(&mut state, Action::PlanReady { lab: lab("cs101"), plan });
    state
}

#[test]
fn the_overview_shows_all_four_panes_or_one_under_tabs() {
    snapshots("overview", "");
}

#[test]
fn the_nodes_pane_has_the_whole_width_where_there_is_little() {
    snapshots("nodes", "1");
}

#[test]
fn the_workshops_pane_lists_what_is_defined() {
    snapshots("workshops", "3");
}

#[test]
fn the_board_tells_every_seat_and_explains_the_one_under_the_cursor() {
    snapshots("board", "j<enter>G");
}

/// The runs of cs101, or further in, run 12 in time.
fn runs(columns: u16, rows: u16, script: &str, ended: bool) -> State {
    let mut state = world(columns, rows);
    press(&mut state, "jR");
    let of = |name: &str| state.progress[&lab(name)].run.clone().unwrap();
    let earlier = |run| RunProgress { id: RunId(run), state: RunState::Interrupted, ..of("cs100") };
    let known = vec![of("cs101"), earlier(9), earlier(3)];
    update(&mut state, Action::RunsLoaded { lab: lab("cs101"), runs: Ok(known) });
    if press(&mut state, script) == [Effect::LoadTiming { run: RunId(12) }] {
        let timing = Ok(Arc::new(Timing::of(&world::timed(ended), None).unwrap()));
        update(&mut state, Action::TimingLoaded { run: RunId(12), timing });
    }
    state
}

#[test]
fn the_runs_of_a_lab_are_listed_and_one_is_told_in_time() {
    for (columns, rows) in [(80, 24), (120, 40)] {
        insta::assert_snapshot!(format!("runs_{columns}x{rows}"), screen(&runs(columns, rows, "", true)));
        insta::assert_snapshot!(format!("run_{columns}x{rows}"), screen(&runs(columns, rows, "<enter>", true)));
    }
    let mut state = runs(120, 40, "<enter>", false);
    press(&mut state, "j");
    insta::assert_snapshot!("run_going", screen(&state));
    let shown = buffer(&state, &colours());
    assert_eq!(colour_of(&shown, "▐address─"), OK);
    assert_eq!(colour_of(&shown, "running"), BUSY);
    let ascii = Look::new(Depth::None, Glyphs::ASCII);
    assert!(text(&buffer(&state, &ascii)).is_ascii());
    for (columns, rows) in [(40, 12), (41, 13), (60, 14), (99, 60), (300, 100)] {
        for script in ["", "<enter>", "<enter>G"] {
            screen(&runs(columns, rows, script, false));
        }
    }
}

#[test]
fn the_log_has_a_screen_of_its_own() {
    snapshots("log", "4<enter>kk");
}

#[test]
fn the_log_is_wrapped_searched_and_told_by_age() {
    snapshots("log_search", "4<enter>wtsLOCK<enter>");
    let mut state = world(120, 40);
    press(&mut state, "4<enter>sgot time<enter>");
    let shown = buffer(&state, &colours());
    assert_eq!(colour_of(&shown, "got timeout"), ACCENT);
    assert_eq!(colour_of(&shown, "out,"), WARN, "only what is looked for");
}

#[test]
fn a_node_tells_what_lives_on_it_and_a_machine_what_was_wanted() {
    snapshots("node", "1<enter>jj");
    snapshots("machine", "j<enter>G<up><up><up><enter>");
    let mut state = world(120, 40);
    let mut definitions = world::definitions();
    for definition in &mut definitions {
        if let Definition::Class(class) = definition {
            class.machine.memory = Some(Size::gib(6));
        }
    }
    update(&mut state, Action::DefinitionsLoaded(definitions));
    press(&mut state, "j<enter>G<up><up><up><enter>");
    let shown = buffer(&state, &colours());
    assert_eq!(colour_of(&shown, "4 GiB"), WARN, "what differs stands out");
    assert_eq!(colour_of(&shown, "6 GiB"), Color::Reset);
}

#[test]
fn help_is_the_table_of_commands() {
    snapshots("help", "?");
}

#[test]
fn the_log_filter_has_three_fields() {
    snapshots("log_filter", "fcs101<tab>student-10");
}

#[test]
fn the_palette_finds_commands_and_labs_by_a_few_letters() {
    snapshots("palette", ":dep");
}

#[test]
fn destroying_names_every_machine_and_wants_the_name() {
    snapshots("destroy", "xcs10");
}

#[test]
fn a_plan_is_shown_before_anything_happens() {
    for (columns, rows) in [(80, 24), (120, 40)] {
        insta::assert_snapshot!(format!("plan_{columns}x{rows}"), screen(&planned(columns, rows, &[])));
    }
}

#[test]
fn a_plan_that_takes_something_away_asks_for_a_yes_of_its_own() {
    let verbs = [("student-03", Verb::Remove), ("student-04", Verb::Restart), ("teacher", Verb::Keep)];
    let mut state = planned(120, 40, &verbs);
    insta::assert_snapshot!("plan_with_removal", screen(&state));
    let shown = buffer(&state, &colours());
    assert_eq!(colour_of(&shown, "1 machine would have to be removed"), BAD);
    assert!(press(&mut state, "<enter>").is_empty(), "not without the yes");
    let effects = press(&mut state, "xr<enter>");
    assert!(
        matches!(&effects[..], [Effect::Deploy { consent, .. }] if consent.remove && consent.restart && !consent.replace)
    );
}

#[test]
fn a_wide_screen_stays_calm() {
    insta::assert_snapshot!("overview_200x60", screen(&world(200, 60)));
}

#[test]
fn an_empty_program_says_what_it_waits_for_and_what_to_do() {
    let mut state = empty();
    update(&mut state, Action::Resized(120, 30));
    update(&mut state, Action::DefinitionsLoaded(Vec::new()));
    insta::assert_snapshot!("empty", screen(&state));
    update(&mut state, Action::SiteLost { site: "campus".parse().unwrap(), why: "401 no such token 'x'".into() });
    update(&mut state, Action::Tick(now()));
    insta::assert_snapshot!("site_lost", screen(&state));
}

#[test]
fn ascii_draws_nothing_but_ascii() {
    let look = Look::new(Depth::None, Glyphs::ASCII);
    for script in ["", "j<enter>G", "x", "?", "f", ":c", "1<enter>", "j<enter><enter>"] {
        let mut state = world(120, 40);
        press(&mut state, script);
        let shown = buffer(&state, &look);
        assert!(text(&shown).is_ascii(), "{}", text(&shown));
        assert!(shown.content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    }
    insta::assert_snapshot!("ascii", text(&buffer(&world(120, 40), &look)));
}

/// Nothing is told by colour alone: with every colour taken away, in either set of signs, no two states look alike.
#[test]
fn without_any_colour_every_state_still_looks_different() {
    use homeroom::domain::MachineState as M;
    for glyphs in [Glyphs::UNICODE, Glyphs::ASCII] {
        let states = [M::Planned, M::Working, M::Ready, M::Stale, M::Failed, M::Stopped, M::Unknown];
        let signs: Vec<_> = states.iter().map(|state| glyphs.state(*state)).collect();
        for (n, sign) in signs.iter().enumerate() {
            assert!(!signs[n + 1..].contains(sign), "{sign} means two things");
        }
        let marks = [glyphs.cursor, glyphs.marked, glyphs.cursor_marked, " "];
        assert!((0..4).all(|n| !marks[n + 1..].contains(&marks[n])), "{marks:?}");
        let bare = |state: &State| text(&buffer(state, &Look::new(Depth::None, glyphs.clone())));
        let mut state = world(120, 40);
        let overview = bare(&state);
        for word in ["ready", "deploying", "defined", "offline", "1 failed", "81%", "prod"] {
            assert!(overview.contains(word), "{word}\n{overview}");
        }
        press(&mut state, "j<enter>G<space>");
        let board = bare(&state);
        for told in [glyphs.ready, glyphs.working, glyphs.failed, glyphs.marked, "marked", "clone failed", "waiting"] {
            assert!(board.contains(told), "{told}\n{board}");
        }
        // The levels of the log by their signs.
        press(&mut state, "<esc><esc>4<enter>");
        let log = bare(&state);
        assert!(log.contains("ok  ") && log.contains("!!  ") && log.contains("xx  "), "{log}");
    }
}

#[test]
fn every_theme_draws_every_screen_at_every_depth() {
    use homeroom::{
        config::{Palette, THEMES},
        tui::Theme,
    };
    for (name, _) in THEMES {
        for depth in [Depth::None, Depth::Sixteen, Depth::Indexed, Depth::True] {
            let look = Look {
                theme: Theme::of(depth, Palette::built_in(name).unwrap()),
                glyphs: Glyphs::UNICODE,
                mouse: false,
            };
            let mut state = world(120, 40);
            let plain = text(&buffer(&state, &colours()));
            let shown = buffer(&state, &look);
            assert_eq!(text(&shown), plain, "a theme changes no letter");
            let is_rgb = |colour: Color| matches!(colour, Color::Rgb(..));
            let any = shown.content().iter().any(|cell| is_rgb(cell.fg));
            assert_eq!(any, depth == Depth::True, "{name} at {depth:?}");
            press(&mut state, "j<enter>");
            let board = buffer(&state, &look);
            assert!(depth == Depth::None || colour_of(&board, "● ready") != colour_of(&board, "✗"), "{name}");
        }
    }
}

#[test]
fn colours_carry_their_meaning() {
    let mut state = world(120, 40);
    let overview = buffer(&state, &colours());
    assert_eq!(colour_of(&overview, "●●●●●"), OK);
    assert_eq!(colour_of(&overview, "◐◐"), BUSY);
    assert_eq!(colour_of(&overview, "✗"), BAD);
    assert_eq!(colour_of(&overview, "prod"), WARN);
    assert_eq!(colour_of(&overview, "81%"), WARN);
    assert_eq!(colour_of(&overview, "offline"), BAD);
    assert_eq!(colour_of(&overview, "classes"), ACCENT);
    assert_eq!(colour_of(&overview, "live"), OK);
    press(&mut state, "j<enter>G");
    let board = buffer(&state, &colours());
    assert_eq!(colour_of(&board, "×2"), WARN);
    assert_eq!(colour_of(&board, "● ready"), OK);
    assert_eq!(colour_of(&board, "◐ agent"), BUSY);
    assert_eq!(colour_of(&board, "clone failed"), BAD);
    assert_eq!(style_of(&board, "student-10  pve1").bg, Some(Color::Indexed(236)), "the row of the cursor");
    let destroy = planned(120, 40, &[]);
    assert_eq!(colour_of(&buffer(&destroy, &colours()), "+ teacher"), OK);
}

#[test]
fn data_that_is_old_looks_old() {
    let mut state = world(120, 40);
    let later = now().checked_add(jiff::SignedDuration::from_secs(95)).unwrap();
    update(&mut state, Action::Tick(later));
    let shown = buffer(&state, &colours());
    assert_eq!(colour_of(&shown, "1m old"), BAD);
}

#[test]
fn a_tiny_terminal_shows_one_clear_line() {
    for (columns, rows, wanted) in [(20, 5, "needs 40×12"), (39, 24, "homeroom needs 40×12; this is 39×24")] {
        let shown = screen(&world(columns, rows));
        assert_eq!(shown.trim(), wanted);
    }
    for (columns, rows) in [(1, 1), (2, 2), (40, 12), (41, 13), (60, 14), (99, 60), (100, 28), (300, 100)] {
        for script in [
            "",
            "1",
            "3",
            "4",
            "j<enter>",
            "jd",
            "x",
            "?",
            "f",
            "/a",
            "4<enter>",
            ":",
            ":zz",
            "1<enter>G",
            "j<enter><enter>",
        ] {
            let mut state = world(columns, rows);
            press(&mut state, script);
            screen(&state);
        }
    }
}

#[test]
fn on_a_still_world_only_the_clock_moves() {
    let mut state = world(120, 40);
    press(&mut state, "jj");
    let mut quiet = world(120, 40);
    quiet.progress.remove(&lab("cs101"));
    let before = buffer(&quiet, &colours());
    let later = now().checked_add(jiff::SignedDuration::from_secs(7)).unwrap();
    update(&mut quiet, Action::Tick(later));
    let after = buffer(&quiet, &colours());
    let changed = before.diff(&after);
    assert!(changed.len() <= 2, "{} cells changed", changed.len());
    assert!(changed.iter().all(|(_, y, _)| *y == 0));
}

#[test]
fn hostile_names_and_messages_cannot_break_the_layout() {
    let nasty = [
        "日本語日本語日本語日本語日本語日本語",
        "e\u{301}\u{301}\u{301}\u{301}e\u{301}",
        "👩‍🚀👩‍🚀👩‍🚀",
        "\u{202e}evil\x1b[31m\r\n",
        &"x".repeat(10_000),
    ];
    for text in nasty {
        let mut script = Script::new(30, "cs102", 20);
        script.plan("student-01", Role::Student);
        script.reserve("student-01", text, 9_300);
        script.start("student-01", StepName::Clone);
        script.say(Some("student-01"), None, Level::Error, text, Change::SeatFailed);
        for keys in ["", "1", "1<enter>", "jj<enter>", "jj<enter><enter>", "4", "4<enter>", "jjx", "1/e"] {
            for (columns, rows) in [(80, 24), (120, 40)] {
                let mut state = world(columns, rows);
                update(&mut state, Action::EventsArrived(script.copy()));
                hostile_site(&mut state, text);
                press(&mut state, keys);
                let shown = buffer(&state, &colours());
                assert_frame(&shown, columns, rows, keys);
            }
        }
    }
}

/// Every line is as wide as the screen, and the frame of the overview stands where it should.
fn assert_frame(shown: &Buffer, columns: u16, rows: u16, keys: &str) {
    for cell in shown.content() {
        assert!(!cell.symbol().chars().any(char::is_control));
    }
    if columns >= 100 && (keys.is_empty() || keys == "1" || keys == "4") {
        for y in 5..rows - 2 {
            let edge = shown[(columns - 1, y)].symbol();
            assert!(["│", "┤", "┐", "┘"].contains(&edge), "line {y} after {keys:?}: {edge:?}\n{}", text(shown));
        }
    }
}

#[test]
fn what_a_stopped_run_had_in_hand_is_interrupted_and_not_failed() {
    let mut state = world(120, 40);
    let mut script = Script::new(12, "cs101", 0);
    (0..600).for_each(|_| script.say(None, None, Level::Debug, "goes on", Change::Note));
    script.say(None, None, Level::Warning, "stopped", Change::RunEnded { state: RunState::Interrupted });
    update(&mut state, Action::EventsArrived(script.events()));
    let overview = buffer(&state, &colours());
    assert!(text(&overview).contains("✗ 1 failed"), "only what failed by itself\n{}", text(&overview));
    assert_eq!(colour_of(&overview, "interrupted"), WARN);
    press(&mut state, "j<enter>/interrupted<enter>");
    assert_eq!(state.board_keys(), ["student-07", "student-08"]);
    let board = text(&buffer(&state, &colours()));
    assert!(board.contains("deploy interrupted at agent; deploy goes on from there"), "{board}");
    assert!(board.contains("◍ interrupted at agent"), "said where there is little room\n{board}");
    assert!(board.contains("d plans a deploy that goes on from there"), "{board}");
}

#[test]
fn a_seat_whose_site_is_silent_is_unknown_everywhere_until_it_answers() {
    let mut state = world(120, 40);
    let after = |seconds| now().checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap();
    let row = |state: &State| screen(state).lines().find(|line| line.contains("cs100")).unwrap().to_owned();
    update(&mut state, Action::Tick(after(20)));
    assert!(row(&state).contains("●●●●●") && row(&state).contains("ready"), "one slow look\n{}", screen(&state));
    update(&mut state, Action::Tick(after(32)));
    let drawn = screen(&state);
    assert!(row(&state).contains("?????") && row(&state).contains("0/5  unknown"), "{drawn}");
    assert!(drawn.contains("0 of 16 seats ready"), "{drawn}");
    let told = "5 seats unknown in cs100: teacher: not seen for 30 s: its site does not answer";
    let wrong = state.wrong(&state.labs());
    assert!(wrong.iter().any(|wrong| wrong.text.as_str() == told), "{wrong:#?}");
    press(&mut state, "<enter>");
    assert!(screen(&state).contains("? not seen for 30 s"), "{}", screen(&state));
    press(&mut state, "<esc>");

    let again = ClusterView { at: after(33), ..view(0, 0.2, false) };
    update(&mut state, Action::SiteSeen { site: site(), view: Arc::new(again) });
    assert!(row(&state).contains("●●●●●"), "it answers again\n{}", screen(&state));
    // One that is known not to answer is not waited for any longer.
    update(&mut state, Action::SiteLost { site: site(), why: "connection refused".into() });
    update(&mut state, Action::Tick(after(47)));
    assert!(row(&state).contains("●●●●●"), "{}", screen(&state));
    update(&mut state, Action::Tick(after(48)));
    assert!(row(&state).contains("?????"), "{}", screen(&state));
}

#[test]
fn between_two_tries_a_seat_says_which_comes_next_and_when() {
    let mut state = world(120, 40);
    let mut script = Script::new(30, "cs102", 3);
    script.plan("student-01", Role::Student);
    script.start("student-01", StepName::Clone);
    let again = Change::StepRetry { wait: std::time::Duration::from_secs(5), of: 5 };
    let words = "got lock request timeout (try 1 of 5), again in 5 s";
    script.say(Some("student-01"), Some(StepName::Clone), Level::Warning, words, again);
    update(&mut state, Action::EventsArrived(script.events()));
    press(&mut state, "jj<enter>");
    let board = screen(&state);
    assert!(board.contains("clone again in 2 s"), "{board}");
    assert!(board.contains("clone: got lock request timeout; clone again in 2 s (try 2 of 5)"), "{board}");
}

#[test]
fn a_row_whose_site_was_not_seen_for_long_says_so_itself() {
    for (columns, rows) in [(80, 24), (120, 40)] {
        let mut state = world(columns, rows);
        assert!(!screen(&state).contains(" seen "), "{}", screen(&state));
        let later = now().checked_add(jiff::SignedDuration::from_secs(185)).unwrap();
        update(&mut state, Action::Tick(later));
        let shown = text(&buffer(&state, &colours()));
        let row = |name: &str| shown.lines().find(|line| line.contains(name)).unwrap().to_owned();
        assert!(row("cs100").contains("seen 3m ago"), "{shown}");
        assert!(!row("cs102").contains("seen"), "nothing of it stands\n{shown}");
    }
}
