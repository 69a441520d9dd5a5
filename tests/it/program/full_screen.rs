//! A full-screen program in a shell on a seat: what it does to the terminal is gone with it, and the dashboard stands
//! as it stood, cell by cell.

use vt100::{Color, MouseProtocolMode};

use super::demo::Demo;
use crate::support::terminal::Terminal;

const SIZE: (u16, u16) = (100, 30);
const OTHER: (u16, u16) = (120, 36);

/// A cell: what it shows, and how. Digits tell the time and are all one here.
type Cell = (String, Color, Color, [bool; 4]);

/// The whole screen.
fn cells(terminal: &Terminal) -> Vec<Vec<Cell>> {
    let screen = terminal.shown.screen();
    let (rows, columns) = screen.size();
    let cell = |row, column| {
        let cell = screen.cell(row, column).unwrap();
        // Cleared and written over with a space looks the same.
        let written = if cell.has_contents() { cell.contents() } else { " " };
        let shown: String = written.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        (shown, cell.fgcolor(), cell.bgcolor(), [cell.bold(), cell.italic(), cell.underline(), cell.inverse()])
    };
    (0..rows).map(|row| (0..columns).map(|column| cell(row, column)).collect()).collect()
}

/// The dashboard's own: no cursor, its own modes.
fn is_the_dashboards(terminal: &Terminal) -> bool {
    let screen = terminal.shown.screen();
    screen.alternate_screen()
        && screen.hide_cursor()
        && screen.bracketed_paste()
        && screen.mouse_protocol_mode() == MouseProtocolMode::None
}

/// The board of `cs100` once nothing on it moves but ages: each row of it as it may be compared.
fn board(terminal: &Terminal) -> Vec<Vec<Cell>> {
    let text = |row: &[Cell]| row.iter().map(|cell| cell.0.as_str()).collect::<String>();
    let rows = cells(terminal);
    // Below the rule the log goes on: what was done in between stands there.
    let below = rows.iter().position(|row| text(row).contains("─ log")).unwrap_or(rows.len());
    let told = rows.len() - 1;
    // The first line holds the clock, the last one what was told of the shell; how old a proof is goes on.
    let mut rows = rows[1..below.min(told)].to_vec();
    for row in &mut rows {
        let age = text(row).find("proven ").map(|at| text(row)[..at].chars().count());
        row.truncate(age.unwrap_or(row.len()));
    }
    rows
}

/// Which rows are otherwise.
fn differing(one: &[Vec<Cell>], other: &[Vec<Cell>]) -> Vec<usize> {
    (0..one.len().max(other.len())).filter(|at| one.get(*at) != other.get(*at)).collect()
}

fn back_as_it_was(terminal: &mut Terminal, before: &[Vec<Cell>]) {
    let mut last = Vec::new();
    terminal.until_met("the dashboard as it was", |terminal| {
        last = differing(before, &board(terminal));
        is_the_dashboards(terminal) && last.is_empty()
    });
}

fn has_colours(terminal: &Terminal, wanted: &[Color]) -> bool {
    let cells = cells(terminal);
    wanted.iter().all(|colour| cells.iter().flatten().any(|cell| cell.1 == *colour || cell.2 == *colour))
}

fn started() -> Demo {
    let mut demo = Demo::start("20", SIZE);
    demo.terminal.until_row("cs100", "4/4 ready");
    demo.terminal.press("\r");
    demo.terminal.until_row("4 of 4 ready", "done in");
    demo.terminal.until_taken_over();
    demo
}

#[test]
fn a_full_screen_program_leaves_nothing_behind_on_the_dashboard() {
    let mut demo = started();
    let terminal = &mut demo.terminal;
    let before = board(terminal);
    assert!(before.len() > 6 && is_the_dashboards(terminal));
    terminal.press("s");
    terminal.until("@cs100-ada:");
    terminal.press("htop\r");
    terminal.until(&format!("{}x{}", SIZE.0, SIZE.1));
    terminal.until_mouse(MouseProtocolMode::PressRelease);
    let screen = terminal.shown.screen();
    assert!(screen.alternate_screen() && screen.hide_cursor());
    assert!(has_colours(terminal, &[Color::Idx(46), Color::Idx(2), Color::Rgb(0, 90, 120)]), "{}", terminal.text());
    terminal.press("\x1b[<0;7;9M");
    terminal.until("clicked at 7,9");
    for size in [OTHER, SIZE] {
        terminal.resize(size.0, size.1);
        terminal.until(&format!("{}x{}", size.0, size.1));
    }
    terminal.press("q");
    terminal.until_mouse(MouseProtocolMode::None);
    terminal.until("~$ ");
    terminal.press("exit\r");
    terminal.until("cs100/ada: shell ended");
    back_as_it_was(terminal, &before);
    terminal.press("q");
    assert_eq!(demo.assert_gone_without_a_trace(), 0);
}

#[test]
fn the_same_program_in_a_pane_stays_in_its_pane_and_leaves_nothing_behind() {
    let mut demo = started();
    let terminal = &mut demo.terminal;
    let before = board(terminal);
    terminal.press("S");
    terminal.until("@cs100-ada:");
    terminal.press("htop\r");
    terminal.until("no click yet");
    terminal.until_mouse(MouseProtocolMode::PressRelease);
    // A terminal that did not say it knows true colour is given the nearest it has.
    assert!(has_colours(terminal, &[Color::Idx(46), Color::Idx(2)]), "{:?}", cells(terminal)[2..7].concat());
    // It has a pane, and no more than that.
    let size = |terminal: &Terminal| {
        let line = terminal.row("CPU[");
        line.split_whitespace().last().unwrap_or_default().to_owned()
    };
    let first = size(terminal);
    assert!(first.starts_with("100x") && first != "100x30", "{first}");
    terminal.resize(OTHER.0, OTHER.1);
    terminal.until("120x");
    terminal.resize(SIZE.0, SIZE.1);
    terminal.until(&first);
    terminal.press("q");
    terminal.until_mouse(MouseProtocolMode::None);
    terminal.until_gone("CPU[");
    terminal.press("exit\r");
    terminal.until("enter opens it anew");
    terminal.press("x");
    back_as_it_was(terminal, &before);
    terminal.press("q");
    assert_eq!(demo.assert_gone_without_a_trace(), 0);
}
