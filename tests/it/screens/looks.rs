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
