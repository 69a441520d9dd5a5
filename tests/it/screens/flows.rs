//! What keys lead to: scripts typed into the state, and what they ask for.

use std::sync::Arc;

use homeroom::{
    app::{Action, Effect, Pane, Screen, State, commands::TABLE, palette::Palette, popup::Popup, shells::Way, update},
    domain::{
        Change, Clean, Level, RunId,
        event::{RunKind, RunState},
        plan::Verb,
        planning::Deed,
        progress::RunProgress,
        timing::Timing,
    },
};

use super::world::{self, Script, before, door, lab, now, opens, plan, press, seat, world};

fn answer(state: &mut State, verbs: &[(&str, Verb)]) {
    let plan = Ok(Arc::new(plan(verbs)));
    update(state, Action::PlanReady { lab: lab("cs101"), plan });
}

#[test]
fn deploying_asks_for_the_plan_first_and_for_a_yes_second() {
    let mut state = world(120, 40);
    assert_eq!(press(&mut state, "jd"), [Effect::MakePlan { lab: lab("cs101"), fix_drift: false }]);
    assert!(press(&mut state, "<enter>").is_empty(), "there is no plan to say yes to yet");
    answer(&mut state, &[]);
    let effects = press(&mut state, "<enter>");
    assert!(matches!(&effects[..], [Effect::Deploy { plan, .. }] if plan.lab == lab("cs101")));
    assert!(state.popup.is_none());
}

#[test]
fn escape_leaves_a_plan_and_a_late_plan_opens_nothing() {
    let mut state = world(120, 40);
    press(&mut state, "jd<esc>");
    answer(&mut state, &[]);
    assert!(state.popup.is_none());
    press(&mut state, "kd");
    answer(&mut state, &[]);
    assert!(press(&mut state, "<enter>").is_empty(), "that plan is of another lab");
}

#[test]
fn a_plan_that_does_nothing_is_not_carried_out() {
    let mut state = world(120, 40);
    press(&mut state, "jd");
    let mut nothing = plan(&[]);
    nothing.seats.iter_mut().for_each(|seat| seat.verb = Verb::Keep);
    update(&mut state, Action::PlanReady { lab: lab("cs101"), plan: Ok(Arc::new(nothing)) });
    assert!(press(&mut state, "<enter>").is_empty());
    assert!(state.popup.is_none());
}

#[test]
fn destroying_needs_the_name_to_the_letter() {
    let mut state = world(120, 40);
    assert!(press(&mut state, "xcs10<enter>").is_empty());
    assert!(state.popup.is_some());
    assert_eq!(press(&mut state, "0<enter>"), [Effect::Destroy { lab: lab("cs100"), seats: vec![] }]);
    assert!(press(&mut state, "jjx").is_empty(), "nothing of cs102 stands");
    assert!(state.popup.is_none() && state.toast.is_some());
}

#[test]
fn a_pasted_name_counts_and_what_is_pasted_elsewhere_does_nothing() {
    let mut state = world(120, 40);
    update(&mut state, Action::Paste(Clean::new("xcs100\n")));
    assert!(state.popup.is_none());
    press(&mut state, "x");
    update(&mut state, Action::Paste(Clean::new("cs100\n")));
    assert_eq!(press(&mut state, "<enter>"), [Effect::Destroy { lab: lab("cs100"), seats: vec![] }]);
}

#[test]
fn retry_is_for_what_failed() {
    let mut state = world(120, 40);
    assert!(press(&mut state, "r").is_empty(), "nothing failed in cs100");
    let again = Effect::RetryFailed { lab: lab("cs101"), seats: vec![seat("student-10")] };
    assert_eq!(press(&mut state, "jr"), std::slice::from_ref(&again));
    assert_eq!(press(&mut state, "<enter>r"), [again]);
}

#[test]
fn a_check_is_of_the_class_or_on_its_board_of_the_seat() {
    let mut state = world(120, 40);
    assert_eq!(press(&mut state, "c"), [Effect::Carry { lab: lab("cs100"), seats: vec![], deed: Deed::Check }]);
    let one = Effect::Carry { lab: lab("cs100"), seats: vec![seat("student-01")], deed: Deed::Check };
    assert_eq!(press(&mut state, "<enter>jc"), [one]);
    assert!(press(&mut state, "<esc>jjc").is_empty(), "nothing of cs102 stands");
}

#[test]
fn a_shell_needs_an_address() {
    let mut state = world(120, 40);
    let shell = opens(&state, 1, door("cs101", "teacher"), Way::Whole);
    assert_eq!(press(&mut state, "j<enter>s"), [shell]);
    assert!(press(&mut state, "<esc>Gs").is_empty());
    assert!(state.toast.as_ref().is_some_and(|toast| toast.text.as_str().contains("no address yet")));
}

#[test]
fn a_run_is_stopped_after_asking() {
    let mut state = world(120, 40);
    assert!(press(&mut state, "jC").is_empty());
    assert_eq!(press(&mut state, "<enter>"), [Effect::CancelRun { lab: lab("cs101"), run: RunId(12) }]);
    assert!(press(&mut state, "kC").is_empty());
    assert!(state.popup.is_none(), "no run of cs100 is under way");
}

#[test]
fn leaving_asks_only_while_a_run_of_this_program_is_under_way() {
    let mut state = world(120, 40);
    assert!(press(&mut state, "q").is_empty());
    assert!(matches!(state.popup, Some(Popup::Quit)));
    assert_eq!(press(&mut state, "<esc>q<enter>"), [Effect::Quit]);
    let mut state = world(120, 40);
    let mut script = Script::new(12, "cs101", 0);
    (0..200).for_each(|_| script.say(None, None, Level::Debug, "goes on", Change::Note));
    script.say(None, None, Level::Info, "ends", Change::RunEnded { state: RunState::Done });
    update(&mut state, Action::EventsArrived(script.events()));
    assert_eq!(press(&mut state, "q"), [Effect::Quit]);
}

#[test]
fn a_run_that_goes_on_is_read_again_once_per_answer() {
    let mut state = world(120, 40);
    assert_eq!(press(&mut state, "jR"), [Effect::LoadRuns { lab: lab("cs101") }]);
    assert!(press(&mut state, "<enter>").is_empty(), "there is no run to open yet");
    let run = state.progress[&lab("cs101")].run.clone().unwrap();
    update(&mut state, Action::RunsLoaded { lab: lab("cs101"), runs: Ok(vec![run]) });
    let ask = [Effect::LoadTiming { run: RunId(12) }];
    assert_eq!(press(&mut state, "<enter>"), ask);
    let events = world::cs101();
    let answer = |state: &mut State| {
        let timing = Ok(Arc::new(Timing::of(&world::cs101(), None).unwrap()));
        update(state, Action::TimingLoaded { run: RunId(12), timing })
    };
    let reread = Effect::LoadRuns { lab: lab("cs101") };
    let arrived = update(&mut state, Action::EventsArrived(events.clone()));
    assert_eq!(arrived, std::slice::from_ref(&reread), "an answer is on its way; the list behind it is read again");
    assert_eq!(answer(&mut state), ask, "and comes too late for these");
    assert!(answer(&mut state).is_empty());
    assert_eq!(update(&mut state, Action::EventsArrived(events)), [reread, ask[0].clone()]);
    assert!(update(&mut state, Action::EventsArrived(world::cs100())).is_empty(), "another run's");
    press(&mut state, "<esc><esc>");
    assert!(matches!(state.screen(), Screen::Overview));
}

#[test]
fn the_filter_narrows_a_list_and_escape_takes_it_back() {
    let mut state = world(120, 40);
    press(&mut state, "/102");
    assert_eq!(state.shown_names(Pane::Classes).len(), 1);
    assert_eq!(press(&mut state, "<enter>d"), [Effect::MakePlan { lab: lab("cs102"), fix_drift: false }]);
    press(&mut state, "<esc><esc>");
    assert_eq!(state.shown_names(Pane::Classes).len(), 3);
    press(&mut state, "j<enter>/failed<enter>");
    assert_eq!(state.board_keys(), ["student-10"]);
    press(&mut state, "<esc>");
    assert_eq!(state.board_keys().len(), 11);
    press(&mut state, "<esc>");
    assert!(matches!(state.screen(), Screen::Overview));
}

#[test]
fn the_log_is_filtered_by_lab_seat_and_level() {
    let mut state = world(120, 40);
    press(&mut state, "fcs101<tab>student-10<tab><right><right><enter>");
    let lines = |state: &State| {
        let view = state.log_in_front();
        view.tail(&state.log, view.len()).into_iter().cloned().collect::<Vec<_>>()
    };
    let shown = lines(&state);
    assert!(!shown.is_empty());
    assert!(shown.iter().all(|line| line.level >= Level::Warning && line.seat == Some(seat("student-10"))));
    press(&mut state, "4F");
    assert!(lines(&state).len() > 20);
    press(&mut state, "2j<enter>jl");
    assert!(matches!(state.screen(), Screen::Log(Some(_))));
    assert!(lines(&state).iter().all(|line| line.seat == Some(seat("student-01"))));
    press(&mut state, "f<right><right><enter>");
    assert!(lines(&state).is_empty(), "nothing of it is a warning");
    press(&mut state, "<esc>");
    assert!(lines(&state).iter().all(|line| line.lab == Some(lab("cs101"))), "the board's own log");
    press(&mut state, "fstudent-10<enter>");
    assert!(lines(&state).iter().all(|line| line.seat == Some(seat("student-10"))));
    press(&mut state, "<esc>");
    assert!(lines(&state).len() > 20, "what a board shows narrows nothing elsewhere");
}

#[test]
fn the_log_is_paused_searched_and_saved() {
    let mut state = world(120, 40);
    press(&mut state, "4<space>");
    assert!(!state.log_in_front().follows());
    press(&mut state, "<space>");
    assert!(state.log_in_front().follows());
    press(&mut state, "sstudent-07<enter>n");
    let line = state.log_in_front().current(&state.log).unwrap();
    assert!(line.seat == Some(seat("student-07")), "{line:?}");
    press(&mut state, "snowhere<enter>n");
    assert!(state.toast.as_ref().is_some_and(|toast| toast.text.as_str().contains("nowhere")));
    press(&mut state, "<esc>/3.1 gib<enter>");
    let effects = press(&mut state, "e");
    let [Effect::SaveLog { name, lines }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(name, "homeroom-log-20261121-140211.txt");
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("2026-11-21T14:01:59Z error cs101/student-10 clone: storage fast has"), "{lines:?}");
}

#[test]
fn from_a_node_to_a_machine_and_back() {
    let mut state = world(120, 40);
    press(&mut state, "1<enter>");
    assert!(matches!(state.screen(), Screen::Node(board) if board.node.as_str() == "pve1"));
    press(&mut state, "j<enter>");
    assert!(matches!(state.screen(), Screen::Machine(board) if board.seat == seat("student-01")));
    assert_eq!(
        press(&mut state, "c"),
        [Effect::Carry { lab: lab("cs100"), seats: vec![seat("student-01")], deed: Deed::Check }]
    );
    assert_eq!(press(&mut state, "s"), [opens(&state, 1, door("cs100", "student-01"), Way::Whole)]);
    press(&mut state, "<esc><esc><esc>");
    assert!(matches!(state.screen(), Screen::Overview));
    press(&mut state, "G<enter>");
    assert!(matches!(state.screen(), Screen::Overview), "a storage has no board");
}

#[test]
fn panes_are_reached_by_number_tab_and_arrows() {
    let mut state = world(120, 40);
    let mut seen = vec![state.focus];
    for key in ["<tab>", "<tab>", "<tab>", "<left>", "l", "4", "1", "<backtab>"] {
        press(&mut state, key);
        seen.push(state.focus);
    }
    use homeroom::app::Pane::{Classes, Log, Nodes, Workshops};
    assert_eq!(seen, [Classes, Workshops, Log, Nodes, Log, Nodes, Log, Nodes, Log]);
    press(&mut state, "2<enter>3");
    assert!(matches!(state.screen(), Screen::Overview), "a number leaves the board");
}

#[test]
fn the_cursor_stays_within_every_list() {
    for pane in ["1", "2", "3", "4", "2j<enter>"] {
        let mut state = world(80, 24);
        press(&mut state, &format!("{pane}kGjjg<pgup><pgdn><pgdn><c-d>GGk<end>j<home>k"));
    }
}

#[test]
fn the_palette_does_what_its_row_says_wherever_it_is_opened() {
    let mut state = world(120, 40);
    assert_eq!(press(&mut state, ":dep102<enter>"), [Effect::MakePlan { lab: lab("cs102"), fix_drift: false }]);
    press(&mut state, "<esc>");
    assert_eq!(state.target_lab(), Some(lab("cs102")), "the cursor is on what it is about");
    press(&mut state, ":show 101<enter>");
    assert!(matches!(state.screen(), Screen::Board(board) if board.lab == lab("cs101")));
    press(&mut state, "/student-10<enter>");
    assert_eq!(press(&mut state, ":runs 100<enter>"), [Effect::LoadRuns { lab: lab("cs100") }]);
    assert!(press(&mut state, ":nothing of this name<enter>").is_empty());
    press(&mut state, "<esc>:k8s<enter>");
    assert_eq!(state.focus, homeroom::app::Pane::Workshops);
    assert!(press(&mut state, ":destroy 100<enter>").is_empty());
    assert!(matches!(state.popup, Some(Popup::Destroy(_))), "with the same question before it");
}

#[test]
fn a_seat_is_rebuilt_only_once_its_labs_name_was_typed() {
    let mut state = world(120, 40);
    press(&mut state, ":show 100<enter>");
    assert!(press(&mut state, "b").is_empty());
    let Some(Popup::Destroy(popup)) = &state.popup else { panic!("{:?}", state.popup) };
    let target = popup.targets[0].clone();
    assert_eq!((popup.machines, target.seats.len()), (1, 1));
    assert!(press(&mut state, "cs1<enter>").is_empty(), "not its whole name");
    let effects = press(&mut state, "00<enter>");
    assert_eq!(effects, [Effect::Rebuild { lab: lab("cs100"), seats: target.seats, abandon: false }]);
}

#[test]
fn a_deploy_is_taken_back_with_its_machines_named_and_a_run_given_up_from_the_list_of_runs() {
    let mut state = world(120, 40);
    press(&mut state, ":runs 100<enter>");
    let of_kind = |id: i64, kind, run_state| RunProgress {
        id: RunId(id),
        kind,
        state: run_state,
        owner: "mara@desk".into(),
        started_at: before(90),
        ended_at: None,
        away: std::time::Duration::ZERO,
        seq: 1,
    };
    let runs = vec![
        of_kind(11, RunKind::Deploy, RunState::Interrupted),
        of_kind(10, RunKind::Check, RunState::Done),
        of_kind(9, RunKind::Deploy, RunState::Done),
    ];
    update(&mut state, Action::RunsLoaded { lab: lab("cs100"), runs: Ok(runs) });
    assert!(press(&mut state, "C").is_empty());
    assert_eq!(press(&mut state, "<enter>"), [Effect::CancelRun { lab: lab("cs100"), run: RunId(11) }]);
    assert!(press(&mut state, "ju").is_empty(), "a check makes no machines");
    assert_eq!(press(&mut state, "ju"), [Effect::SurveyRollback { lab: lab("cs100"), run: RunId(9) }]);
    let seat = state.class(&lab("cs100")).unwrap().standing().next().unwrap().seat.clone();
    update(&mut state, Action::RollbackSeen { lab: lab("cs100"), run: RunId(9), seats: Ok(vec![seat]) });
    assert!(matches!(&state.popup, Some(Popup::Destroy(popup)) if popup.machines == 1));
    let effects = press(&mut state, "cs100<enter>");
    assert_eq!(effects, [Effect::Rollback { lab: lab("cs100"), run: RunId(9) }]);
}

#[test]
fn before_it_stops_the_dashboard_hands_its_runs_over() {
    assert_eq!(press(&mut world::empty(), "<c-z>"), [Effect::Suspend]);
    // It has run 12 of cs101 in hand.
    let mut state = world(120, 40);
    assert_eq!(press(&mut state, "<c-z>"), [Effect::HandOver]);
    assert_eq!(update(&mut state, Action::HandedOver(Ok(()))), [Effect::Suspend]);
    assert!(state.own_runs.is_empty());
    // Where the site would stand still with it, it stays.
    state = world(120, 40);
    state.settings.hands_over = false;
    assert!(press(&mut state, "<c-z>").is_empty());
    assert!(state.toast.as_ref().is_some_and(|toast| toast.text.as_str().starts_with("run 12 of cs101")));
}

#[test]
fn the_palette_offers_nothing_that_would_do_nothing() {
    let state = world(120, 40);
    let names: Vec<_> = state.palette_rows(&Palette::default()).into_iter().map(|row| row.name).collect();
    assert!(!names.contains(&"retry cs101".to_owned()), "a run is under way: {names:?}");
    assert!(names.contains(&"deploy cs102".to_owned()) && !names.contains(&"destroy cs102".to_owned()));
    let state = world::read_only(120, 40);
    let rows = state.palette_rows(&Palette::default());
    let changes =
        |name: &str| ["deploy", "destroy", "check", "retry", "shell"].iter().any(|word| name.starts_with(word));
    assert!(!rows.is_empty() && !rows.iter().any(|row| changes(&row.name)), "{rows:?}");
}

#[test]
fn the_palette_finds_a_command_by_what_others_call_it_and_tells_where_it_is_given() {
    let mut state = world(120, 40);
    let found = |state: &State, typed: &str| {
        let rows = state.palette_rows(&Palette { typed: typed.into(), ..Palette::default() });
        rows.into_iter().map(|row| row.name).collect::<Vec<_>>()
    };
    assert_eq!(found(&state, "exit")[0], "quit");
    assert_eq!(found(&state, "sort")[0], "order");
    assert_eq!(found(&state, "clipboard"), ["copy-row"]);
    assert_eq!(found(&state, "check")[0], "check", "names come first");
    press(&mut state, ":export");
    assert!(super::screen(&state).contains("save-log is given in the log"));
    press(&mut state, "<esc>4");
    assert_eq!(found(&state, "export"), ["save-log"]);
}

#[test]
fn read_only_asks_for_nothing_that_changes_anything() {
    let keys: Vec<_> = TABLE.iter().flat_map(|entry| entry.keys.iter()).map(|key| key.to_string()).collect();
    for place in ["1", "2", "3", "4", "2j<enter>", "4<enter>", "1<enter>", "2j<enter><enter>"] {
        for key in &keys {
            let mut state = world::read_only(120, 40);
            let key = if key.chars().count() == 1 { key.clone() } else { format!("<{key}>") };
            for effect in press(&mut state, &format!("{place}{key}<enter>")) {
                assert!(
                    matches!(
                        effect,
                        Effect::Refresh
                            | Effect::LoadRuns { .. }
                            | Effect::LookBack(_)
                            | Effect::Copy(_)
                            | Effect::Suspend
                            | Effect::Quit
                    ),
                    "{key} asked for {effect:?}"
                );
            }
        }
    }
}

#[test]
fn a_refusal_is_told_and_stays_in_the_log() {
    let mut state = world(120, 40);
    let why = Clean::from("held by run 12 of mara since 14:01");
    update(&mut state, Action::RunRefused { lab: lab("cs101"), why: why.clone() });
    assert!(state.toast.as_ref().is_some_and(|toast| toast.text.as_str().ends_with(why.as_str())));
    assert!(state.log_view.tail(&state.log, 1)[0].message == why);
    update(&mut state, Action::Tick(now().checked_add(jiff::SignedDuration::from_secs(20)).unwrap()));
    assert!(state.toast.is_none());
}

#[test]
fn a_run_nobody_works_on_is_called_interrupted() {
    let mut state = world(120, 40);
    update(&mut state, Action::RunOrphaned { lab: lab("cs101"), run: RunId(12) });
    assert_eq!(state.class(&lab("cs101")).unwrap().phase.word(), "interrupted");
    assert_eq!(state.running(), 0);
    assert_eq!(press(&mut state, "jd"), [Effect::MakePlan { lab: lab("cs101"), fix_drift: false }]);
}

#[test]
fn nothing_is_drawn_anew_when_nothing_happened() {
    let mut state = world(120, 40);
    let before = state.revision();
    update(&mut state, Action::EventsArrived(Vec::new()));
    update(&mut state, Action::Tick(now()));
    assert_eq!(state.revision(), before);
}

#[test]
fn every_command_is_told_in_help_or_in_its_popup() {
    for entry in TABLE {
        let told =
            !entry.help.is_empty() || entry.keys.iter().all(|key| matches!(key.to_string().as_str(), "esc" | "^c"));
        assert!(told, "{:?}", entry.command);
    }
}

#[test]
fn marked_seats_are_acted_on_together_after_one_question() {
    let mut state = world(120, 40);
    press(&mut state, "<enter><space>jv");
    assert_eq!(state.marks().map(homeroom::app::marks::Marks::len), Some(3));
    assert!(press(&mut state, "c").is_empty(), "it asks first");
    let three = vec![seat("teacher"), seat("student-01"), seat("student-02")];
    let carry = |deed| Effect::Carry { lab: lab("cs100"), seats: three.clone(), deed };
    assert_eq!(press(&mut state, "<enter>"), [carry(Deed::Check)]);
    assert_eq!(state.marks().map(homeroom::app::marks::Marks::len), Some(0), "the marks have served");
    press(&mut state, "gg<space><space><space>");
    assert_eq!(press(&mut state, "pr"), [carry(Deed::Restart)]);
    press(&mut state, "g<space><space><space>x");
    assert_eq!(press(&mut state, "cs100<enter>"), [Effect::Destroy { lab: lab("cs100"), seats: three }]);
}

#[test]
fn marked_classes_are_destroyed_by_typing_how_many_machines_go() {
    let mut state = world(120, 40);
    press(&mut state, "ax");
    let screen = super::screen(&state);
    assert!(screen.contains("destroy 2 labs?"), "nothing of the third stands\n{screen}");
    assert!(press(&mut state, "cs100<enter>").is_empty());
    let labs = ["cs100", "cs101"].map(|name| Effect::Destroy { lab: lab(name), seats: vec![] });
    assert_eq!(press(&mut state, "<c-u>15<enter>"), labs);
}

#[test]
fn escape_takes_marks_back_before_it_leaves_and_a_filter_takes_none_back() {
    let mut state = world(120, 40);
    press(&mut state, "<enter>a/student<enter>");
    assert_eq!(state.target_seats().len(), 5, "what a filter hides stays marked");
    press(&mut state, "<esc>");
    assert!(state.marks().is_some_and(homeroom::app::marks::Marks::is_empty));
    assert_eq!(state.target_seats(), [(lab("cs100"), seat("student-01"))], "without marks, the row of the cursor");
    press(&mut state, "<esc><esc>");
    assert!(matches!(state.screen(), Screen::Overview));
}

#[test]
fn the_way_back_from_marks_is_told_wherever_rows_are_marked() {
    for columns in [60, 80, 120, 200] {
        for keys in ["a", "<enter>a", "j<enter>a", "1<enter>a", "3a"] {
            let mut state = world(columns, 30);
            press(&mut state, keys);
            let shown = super::screen(&state);
            assert!(shown.contains("esc unmark all"), "{columns} {keys}\n{shown}");
        }
    }
}

#[test]
fn a_list_is_ordered_by_each_of_its_columns_and_turned_round() {
    let mut state = world(120, 40);
    press(&mut state, "j<enter>");
    let first = |state: &State| state.board_keys()[0].clone();
    assert_eq!(first(&state), "teacher");
    press(&mut state, "O");
    assert_eq!(first(&state), "student-10", "the order it has by itself, turned round");
    press(&mut state, "oo");
    assert!(super::screen(&state).contains("vmid▲"), "{}", super::screen(&state));
    assert_eq!((first(&state).as_str(), state.board_keys()[10].as_str()), ("teacher", "student-09"));
    press(&mut state, "o");
    assert!(super::screen(&state).contains("clone▼"), "{}", super::screen(&state));
    let (slowest, never) = (first(&state), state.board_keys()[10].clone());
    press(&mut state, "O");
    assert_ne!(first(&state), slowest);
    assert_eq!(state.board_keys()[10], never, "what never came to it is last, whichever way round");
    press(&mut state, "ooooooo");
    assert!(super::screen(&state).contains("ssh▼"), "{}", super::screen(&state));
    press(&mut state, "o");
    assert!(super::screen(&state).contains("state▼"), "{}", super::screen(&state));
    assert_eq!(first(&state), "student-10", "what failed comes first");
    press(&mut state, "o");
    assert_eq!(first(&state), "teacher", "round again");
    press(&mut state, "<esc>1o");
    assert!(super::screen(&state).contains("by cpu▼"));
}

#[test]
fn any_lab_is_three_keys_away_from_anywhere() {
    let mut state = world(120, 40);
    press(&mut state, "1<enter>J2A");
    let board = |state: &State| match state.screen() {
        Screen::Board(board) => board.lab.to_string(),
        screen => format!("{screen:?}"),
    };
    assert_eq!(board(&state), "cs102");
    press(&mut state, "JB");
    assert_eq!(board(&state), "cs101");
    press(&mut state, "Jcs100<enter>");
    assert_eq!(board(&state), "cs100");
    press(&mut state, "JZ");
    assert!(state.popup.is_some(), "no lab has that letter");
}

#[test]
fn every_list_is_narrowed_by_a_few_letters() {
    let mut state = world(120, 40);
    press(&mut state, "1/p2<enter>");
    assert_eq!(state.shown_nodes().len(), 1, "pve2");
    press(&mut state, "<esc><enter>/xteach<enter>");
    assert_eq!(state.row_keys(), Vec::<String>::new());
    press(&mut state, "<esc>/c1teach<enter>");
    assert_eq!(state.row_keys(), ["9001"], "cs100-teacher\n{}", super::screen(&state));
    press(&mut state, "<esc><esc>2/c1 proof<esc>/c2<enter>");
    assert_eq!(state.row_keys(), ["cs102"]);
}

#[test]
fn machines_that_only_the_site_knows_of_are_named_where_there_is_nothing_to_destroy() {
    let mut state = world::empty();
    update(&mut state, Action::DefinitionsLoaded(world::definitions()));
    let toast = |state: &State| state.toast.as_ref().map(|toast| toast.text.to_string()).unwrap_or_default();
    assert!(press(&mut state, "x").is_empty());
    assert_eq!(toast(&state), "cs100: nothing stands, so there is nothing to destroy");
    update(&mut state, Action::SiteSeen { site: world::site(), view: Arc::new(world::view(1, 0.2, true)) });
    assert!(press(&mut state, "x").is_empty());
    assert_eq!(toast(&state), "cs100: 5 machines of its names stand and are not known here: homeroom adopt campus");
}
