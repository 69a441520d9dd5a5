//! One key from any row to a shell: what `s`, `S` and `!` do on every screen and every kind of row. What cannot be
//! done says why; nothing is silent.

use std::sync::Arc;

use homeroom::{
    app::{Action, Command, Context, Effect, Screen, State, doors::Door, popup::Popup, shells::Way, update},
    domain::{NodeName, SiteName, Vmid, cluster::Power},
};

use super::{
    screen,
    world::{door, lab, opens, press, quiet, seat, site, view, world},
};

fn toast(state: &State) -> String {
    state.toast.as_ref().map(|toast| toast.text.to_string()).unwrap_or_default()
}

fn node(name: &str) -> Door {
    Door::Node { site: site(), node: NodeName::new(name) }
}

fn container(vmid: u64) -> Door {
    Door::Container { site: site(), vmid: Vmid::new(vmid).unwrap() }
}

/// A node with a machine of every kind: one of ours, one of nobody's lab, a template, containers on and off.
fn mixed() -> State {
    let mut state = world(120, 40);
    let mut seen = view(1, 0.3, false);
    let first = seen.guests[0].clone();
    let mut add = |vmid: u64, name: &str, change: fn(&mut homeroom::domain::cluster::GuestView)| {
        let mut guest = first.clone();
        (guest.vmid, guest.name) = (Vmid::new(vmid).unwrap(), Some(name.into()));
        change(&mut guest);
        seen.guests.push(guest);
    };
    add(500, "db", |_| {});
    add(501, "proxy", |guest| guest.container = true);
    add(502, "old", |guest| (guest.container, guest.power) = (true, Power::Stopped));
    add(9_000, "ubuntu-22.04", |guest| (guest.template, guest.power) = (true, Power::Stopped));
    update(&mut state, Action::SiteSeen { site: site(), view: Arc::new(seen) });
    state
}

#[test]
fn from_the_rows_of_a_nodes_board_s_leads_into_machines_and_containers_or_says_why_not() {
    let mut state = mixed();
    press(&mut state, "1<enter>g");
    assert!(matches!(state.screen(), Screen::Node(_)));
    // Nobody's machine: why, and what to do about it.
    for key in ["s", "S", "!"] {
        assert!(press(&mut state, key).is_empty());
        let told = toast(&state);
        assert!(told.contains("500 (db) is no seat of a lab") && told.contains("homeroom adopt"), "{key}: {told}");
    }
    // A container, through its node.
    assert_eq!(press(&mut state, "js"), [opens(&state, 1, container(501), Way::Whole)]);
    press(&mut state, "<esc>");
    assert_eq!(press(&mut state, "S"), [opens(&state, 2, container(501), Way::Pane)]);
    press(&mut state, "<esc>!");
    assert!(toast(&state).contains("homeroom exec") && toast(&state).contains("501"), "{}", toast(&state));
    assert!(press(&mut state, "js").is_empty());
    assert!(toast(&state).contains("does not run; on pve1: pct start 502"), "{}", toast(&state));
    // One of ours.
    assert_eq!(press(&mut state, "js"), [opens(&state, 3, door("cs100", "teacher"), Way::Whole)]);
    press(&mut state, "<esc>!");
    assert!(matches!(&state.popup, Some(Popup::Line(line)) if line.target.whom() == "cs100/teacher"));
    press(&mut state, "<esc>");
    // A template.
    assert!(press(&mut state, "Gs").is_empty());
    assert!(toast(&state).contains("is a template"), "{}", toast(&state));
    assert!(screen(&state).contains("s shell") == state.offers(Command::Shell));
}

#[test]
fn whom_a_command_for_many_leaves_out_is_told_before_anything_is_typed() {
    for size in [(80, 24), (120, 40)] {
        let mut state = mixed();
        update(&mut state, Action::Resized(size.0, size.1));
        // Marked, and hidden by a filter afterwards: the marks stay.
        press(&mut state, "1<enter>g<space><space><space><space>G<space>/ubuntu<enter>!");
        let shown = screen(&state);
        assert!(shown.contains("run a command") && shown.contains("left out: 500 (db), "), "{shown}");
        assert!(shown.contains("9000 (ubuntu-22.04): no seat"), "{shown}");
        let Some(Popup::Line(line)) = &state.popup else { panic!("no line") };
        assert!(line.target.seats.contains(&seat("teacher")), "{:?}", line.target);
        press(&mut state, "<esc>");

        assert!(press(&mut state, "B").is_empty(), "asks first");
        let shown = screen(&state);
        for told in [
            "can be opened. Left out:",
            "500: no seat of a lab",
            "502: container 502 (old) does not run",
            "9000: a template",
        ] {
            assert!(shown.contains(told), "{told}: {shown}");
        }
        let effects = press(&mut state, "<enter>");
        let opened: Vec<Door> = effects
            .into_iter()
            .map(|effect| match effect {
                Effect::OpenShell { door, .. } => door,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(opened.contains(&container(501)) && opened.contains(&door("cs100", "teacher")), "{opened:?}");
    }
    // Nobody is left out: nothing is asked.
    let mut state = world(120, 40);
    assert!(press(&mut state, "<enter>B").iter().all(|effect| matches!(effect, Effect::OpenShell { .. })));
    let mut state = mixed();
    let effects = press(&mut state, "1<enter>B");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::OpenShell { .. })), "{effects:?}");
    assert!(toast(&state).contains("mark machines first"), "{}", toast(&state));
}

#[test]
fn from_the_nodes_pane_s_leads_onto_the_node_itself() {
    let mut state = world(120, 40);
    assert_eq!(press(&mut state, "1s"), [opens(&state, 1, node("pve1"), Way::Whole)]);
    press(&mut state, "<esc>");
    assert_eq!(press(&mut state, "jS"), [opens(&state, 2, node("pve2"), Way::Pane)]);
    press(&mut state, "<esc>!");
    assert!(toast(&state).contains("s opens a shell on the node itself"), "{}", toast(&state));
    assert!(press(&mut state, "js").is_empty());
    assert!(toast(&state).contains("pve3 does not answer"), "{}", toast(&state));
    assert!(press(&mut state, "Gs").is_empty());
    assert!(toast(&state).contains("a storage has no shell"), "{}", toast(&state));
    // A node on which nothing lives yet is entered from its own board as well.
    press(&mut state, "gj<enter>");
    let Screen::Node(board) = state.screen() else { panic!("no board") };
    assert_eq!(board.node.as_str(), "pve2");
    let mut seen = view(1, 0.3, true);
    seen.guests.clear();
    update(&mut state, Action::SiteSeen { site: site(), view: Arc::new(seen) });
    assert_eq!(press(&mut state, "s"), [opens(&state, 3, node("pve2"), Way::Whole)]);
}

#[test]
fn from_a_row_of_labs_s_opens_the_board_and_asks_which() {
    for (keys, name) in [("2", "cs100"), ("2j", "cs101")] {
        for key in ["s", "S"] {
            let mut state = world(120, 40);
            assert!(press(&mut state, &format!("{keys}{key}")).is_empty());
            assert!(matches!(state.screen(), Screen::Board(board) if board.lab == lab(name)));
            assert!(toast(&state).contains(&format!("{key} opens a shell on the one under the cursor")));
        }
    }
    let mut state = world(120, 40);
    press(&mut state, "3s");
    assert!(matches!(state.screen(), Screen::Board(_)), "a workshop's too");
}

#[test]
fn from_a_machines_board_its_log_and_its_runs_s_leads_to_the_same_seat() {
    let mut state = world(120, 40);
    press(&mut state, "<enter>j<enter>");
    assert_eq!(press(&mut state, "s"), [opens(&state, 1, door("cs100", "student-01"), Way::Whole)]);
    press(&mut state, "<esc>l");
    assert!(matches!(state.screen(), Screen::Log(Some(_))));
    assert_eq!(press(&mut state, "S"), [opens(&state, 2, door("cs100", "student-01"), Way::Pane)]);
    press(&mut state, "<esc>!");
    assert!(matches!(&state.popup, Some(Popup::Line(line)) if line.target.seats == [seat("student-01")]));
}

#[test]
fn the_serial_console_is_a_command_of_every_seat_with_a_machine() {
    let mut state = world(120, 40);
    let effects = press(&mut state, "<enter>j:console<enter>");
    let console = Door::Console { lab: lab("cs100"), seat: seat("student-01") };
    assert_eq!(effects, [opens(&state, 1, console, Way::Pane)]);
    assert!(screen(&state).contains("opening the serial console"));
    update(&mut state, Action::TabOpened { id: 1 });
    assert!(toast(&state).contains("enter brings up its login"));
    update(&mut state, Action::Do(Command::LetGo));
    press(&mut state, "<esc>");
    // Not of one that is only defined.
    press(&mut state, "<esc>jj<enter>");
    assert!(update(&mut state, Action::Do(Command::Console)).is_empty());
    assert!(toast(&state).contains("not made yet"), "{}", toast(&state));
}

#[test]
fn on_no_screen_are_the_keys_silent() {
    let places = [
        "1",
        "1G",
        "2",
        "2jj",
        "3",
        "3j",
        "4",
        "4<enter>",
        "1<enter>",
        "2<enter>",
        "2<enter><enter>",
        "2jj<enter>",
        "2R",
    ];
    for place in places {
        for key in ["s", "S", "!"] {
            let mut state = world(120, 40);
            press(&mut state, place);
            let before = state.context();
            let effects = press(&mut state, key);
            let spoke = state.toast.is_some() || state.popup.is_some() || state.typing.is_some();
            let moved = state.context() != before;
            assert!(!effects.is_empty() || spoke || moved, "{key} on {place} is silent");
        }
    }
}

#[test]
fn a_site_asks_about_host_keys_of_its_nodes_as_a_lab_does() {
    use homeroom::{app::bars::At, domain::answers::Bar};
    let mut state = world(120, 40);
    let effects = press(&mut state, "1s");
    let bar = Bar::Stranger { host: "pve1".into(), fingerprint: "SHA256:abc".into(), key: "ssh-ed25519 AAAA".into() };
    let at = At::Site(SiteName::new("campus").unwrap());
    update(&mut state, Action::Barred { at: at.clone(), bar: bar.clone(), then: effects[0].clone() });
    // The question is answered while the shell is waited for.
    assert_eq!(state.context(), Context::Opening, "who is typing ahead answers nothing");
    quiet(&mut state);
    assert_eq!(state.context(), Context::TrustPopup);
    let lifted = press(&mut state, "y");
    assert_eq!(lifted, [Effect::Lift { at: at.clone(), bar: bar.clone(), passphrase: None, then: effects.clone() }]);
    assert_eq!(state.context(), Context::Opening);
    // Left unanswered, nobody waits any longer.
    update(&mut state, Action::Barred { at, bar, then: effects[0].clone() });
    quiet(&mut state);
    press(&mut state, "<esc>");
    assert_eq!((state.context(), state.shells.awaited(1)), (Context::Nodes, None));
}
