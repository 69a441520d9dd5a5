//! How things look that carry a meaning: the row of the cursor, what is old, what is not going on.

use homeroom::{
    app::{Action, update},
    tui::{Depth, Glyphs, Look},
};
use jiff::SignedDuration;
use ratatui::style::{Color, Modifier};

use super::{
    buffer, screen, text,
    world::{now, press, world},
};

#[test]
fn the_row_of_the_cursor_is_one_bar_where_there_are_few_colours_or_none() {
    for depth in [Depth::None, Depth::Sixteen] {
        for (columns, rows) in [(120, 40), (80, 24), (40, 12)] {
            for (keys, whose) in [("j", "cs101"), ("j<enter>j", "student-01"), ("1", "pve1"), (":", "open")] {
                let mut state = world(columns, rows);
                press(&mut state, keys);
                let shown = &buffer(&state, &Look::new(depth, Glyphs::UNICODE));
                let turned =
                    |y: u16| (0..columns).filter(move |x| shown[(*x, y)].modifier.contains(Modifier::REVERSED));
                let bars: Vec<u16> = (1..rows).filter(|y| turned(*y).count() > 0).collect();
                assert!(!bars.is_empty(), "{keys} at {columns}x{rows}, {depth:?}\n{}", text(shown));
                for y in &bars {
                    let cells: Vec<u16> = turned(*y).collect();
                    assert!(cells.windows(2).all(|two| two[1] == two[0] + 1), "a bar without gaps");
                    assert!(cells.iter().all(|x| shown[(*x, *y)].fg == Color::Reset), "of one colour");
                }
                let line = text(shown).lines().nth(usize::from(bars[0])).unwrap().to_owned();
                assert!(keys == ":" || line.contains(whose), "{line}");
            }
        }
    }
}

#[test]
fn behind_a_popup_no_row_is_lit_but_that_of_the_popup() {
    let mut state = world(120, 40);
    press(&mut state, "jx");
    let shown = buffer(&state, &Look::new(Depth::None, Glyphs::UNICODE));
    assert!(shown.content().iter().all(|cell| !cell.modifier.contains(Modifier::REVERSED)), "{}", text(&shown));
}

#[test]
fn an_age_that_stands_on_a_reason_cuts_it_and_says_so() {
    let mut state = world(100, 30);
    update(&mut state, Action::Tick(now().checked_add(SignedDuration::from_secs(600)).unwrap()));
    let shown = screen(&state);
    let row = shown.lines().find(|line| line.contains("cs101") && line.contains("seen 10m")).unwrap();
    assert!(row.contains("… seen 10m ago"), "{row}");
    // Where it stands on nothing there is nothing to be cut.
    let mut state = world(200, 60);
    update(&mut state, Action::Tick(now().checked_add(SignedDuration::from_secs(600)).unwrap()));
    let shown = screen(&state);
    let row = shown.lines().find(|line| line.contains("cs100") && line.contains("seen 10m")).unwrap();
    assert!(!row.contains('…'), "{row}");
}

#[test]
fn what_does_not_go_on_has_no_sign_of_going_on() {
    let mut state = world(120, 40);
    state.progress.clear();
    update(&mut state, Action::Tick(now()));
    let shown = screen(&state);
    let line = shown.lines().find(|line| line.contains("nothing is running")).unwrap();
    assert!(line.starts_with(" · "), "{line}");
    let line = shown.lines().find(|line| line.contains("nothing ends by itself")).unwrap();
    assert!(line.starts_with(" · "), "{line}");
}

#[test]
fn a_chart_of_a_rate_says_what_its_height_stands_for() {
    for (columns, rows) in [(80, 24), (120, 40)] {
        let shown = screen(&super::views::with_past(columns, rows));
        assert!(shown.contains("net ") && shown.contains("top 100 kB/s"), "{shown}");
    }
}

#[test]
fn a_host_key_is_read_in_full_in_the_smallest_window() {
    use homeroom::{
        app::{bars::At, shells::Way},
        domain::answers::Bar,
    };
    let fingerprint = "SHA256:uNiVztksCsDhcc0u9e8BrqNoBuUFfQ3KZ1kfXcBJm3A";
    for (columns, rows) in [(40, 12), (60, 14), (80, 24)] {
        let mut state = world(columns, rows);
        press(&mut state, "j<enter>");
        let bar = Bar::Stranger {
            host: "student-01.lab.example.org".to_owned(),
            fingerprint: fingerprint.to_owned(),
            key: "ssh-ed25519 AAAA".to_owned(),
        };
        let then = super::world::opens(&state, 1, super::world::door("cs101", "teacher"), Way::Pane);
        update(&mut state, Action::Barred { at: At::Lab(super::lab("cs101")), bar, then });
        super::world::quiet(&mut state);
        let shown = screen(&state);
        let inside: String = shown.chars().filter(|c| !" │\n".contains(*c)).collect();
        for told in [fingerprint, "student-01.lab.example.org", "ssh_host_ed25519_key.pub", "trustit"] {
            assert!(inside.contains(told), "{told} at {columns}x{rows}\n{shown}");
        }
    }
}

#[test]
fn what_was_seen_long_ago_says_so_on_every_screen_that_shows_it() {
    for keys in ["", "1", "1<enter>", "j<enter>", "j<enter>j<enter>"] {
        for (columns, rows) in [(120, 40), (80, 24)] {
            let mut state = world(columns, rows);
            press(&mut state, keys);
            update(&mut state, Action::Tick(now().checked_add(SignedDuration::from_secs(190)).unwrap()));
            let shown = screen(&state);
            let (first, below) = shown.split_once('\n').unwrap();
            assert!(first.contains("3m old"), "{shown}");
            assert!(keys.starts_with('1') && columns < 100 && keys == "1" || below.contains("seen 3m ago"), "{shown}");
        }
    }
}

#[test]
fn a_site_that_does_not_answer_is_named_once() {
    let mut state = world(120, 40);
    let why =
        "nodes, storages and guests: cannot reach campus: connection refused; check that it is up, and its address";
    update(&mut state, Action::SiteLost { site: super::world::site(), why: why.into() });
    update(&mut state, Action::Tick(now().checked_add(SignedDuration::from_secs(90)).unwrap()));
    let shown = screen(&state);
    let line = shown.lines().find(|line| line.contains("does not answer")).unwrap();
    assert!(line.contains("campus does not answer, since 14:02: connection refused"), "{line}");
    assert_eq!(line.matches("campus").count(), 1, "{line}");
    let why = "nodes: campus does not accept the token: 401 no such token; check its id, secret and expiry";
    update(&mut state, Action::SiteLost { site: super::world::site(), why: why.into() });
    update(&mut state, Action::Tick(now().checked_add(SignedDuration::from_secs(91)).unwrap()));
    assert!(
        screen(&state).contains("✗ campus does not accept the token, since 14:02: 401 no such token"),
        "{}",
        screen(&state)
    );
}
