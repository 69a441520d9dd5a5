//! The whole program in terminals of several kinds: with a mouse, on the Linux console, and never cleared in between.

use std::io::Write as _;

use crate::{cli::desk::Desk, support::terminal::Terminal};

fn started(desk: &Desk, term: &str) -> Terminal {
    let mut terminal = Terminal::start_as(desk.in_terminal(), (120, 40), term);
    terminal.until("cs102");
    terminal.until("live");
    terminal
}

/// Where a text stands: column and row, from 1 as reports of the mouse count.
#[track_caller]
fn place(terminal: &Terminal, what: &str) -> (usize, usize) {
    let text = terminal.text();
    let found = text.lines().enumerate().find_map(|(row, line)| Some((line.find(what)?, row, line)));
    let (at, row, line) = found.unwrap_or_else(|| panic!("{what} is not on\n{text}"));
    (line[..at].chars().count() + 1, row + 1)
}

fn click(terminal: &mut Terminal, (column, row): (usize, usize)) {
    terminal.press(format!("\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mouse_chooses_opens_turns_and_drags() {
    let desk = Desk::new().await;
    let mut config = std::fs::OpenOptions::new().append(true).open(&desk.staged.config).unwrap();
    config.write_all(b"\n[ui]\nmouse = true\n").unwrap();
    let mut terminal = started(&desk, "xterm-256color");
    terminal.until_met("the mouse asked for", |terminal| terminal.raw.windows(8).any(|bytes| bytes == b"\x1b[?1002h"));
    let at = place(&terminal, "cs101");
    click(&mut terminal, at);
    terminal.until("▸cs101");
    // The wheel moves the row under the pointer's pane, and a second click opens.
    terminal.press(format!("\x1b[<64;{};{}M", at.0, at.1));
    terminal.until("▸cs100");
    click(&mut terminal, at);
    terminal.until("▸cs101");
    click(&mut terminal, at);
    terminal.until("student-10");
    terminal.press("\x1b\x1b[99~");
    terminal.until("2 classes");
    // The line between nodes and classes is held, drawn to the right and let go.
    let (before, row) = place(&terminal, "2 classes");
    let held = before - 2;
    terminal.press(format!("\x1b[<0;{held};{r}M\x1b[<32;{to};{r}M\x1b[<0;{to};{r}m", r = row + 3, to = held + 12));
    terminal.until_met("the line where it was drawn to", |terminal| {
        let text = terminal.text();
        text.contains("2 classes") && place(terminal, "2 classes").0 == before + 12
    });
    // A form is clicked through too, and what a key is named for is done by a click on its name.
    terminal.press("n");
    terminal.until("new class");
    // Rows make room for what is told of the first look.
    terminal.until("1 to be given");
    let storage = place(&terminal, "storage");
    click(&mut terminal, storage);
    terminal.until("▸ storage");
    // It has moved: what was told of the field before is told no more.
    let storage = place(&terminal, "storage");
    click(&mut terminal, storage);
    terminal.until("bulk");
    terminal.press("\x1b\x1b[99~");
    terminal.until_gone("bulk");
    let back = place(&terminal, "esc back");
    click(&mut terminal, back);
    terminal.until("2 classes");
    terminal.press("q");
    assert_eq!(terminal.assert_given_back(), 0);
}

/// Everything written between two moments holds no wish to clear the screen or a part of it.
#[track_caller]
fn assert_never_cleared(written: &[u8]) {
    for clearing in ["\x1b[2J", "\x1b[J", "\x1b[0J", "\x1b[1J", "\x1b[3J", "\x1b[K", "\x1b[0K", "\x1b[2K", "\x1bc"] {
        let found = written.windows(clearing.len()).position(|bytes| bytes == clearing.as_bytes());
        assert_eq!(found, None, "{}", clearing.escape_debug());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_screen_to_screen_nothing_is_cleared_and_every_frame_is_one_piece() {
    let desk = Desk::new().await;
    let mut terminal = started(&desk, "xterm-256color");
    let from = terminal.raw.len();
    for (keys, shown) in [
        ("j\r", "student-10"),
        ("\x1b\x1b[99~", "3 workshops"),
        ("?", "moving"),
        ("\x1b\x1b[99~", "3 workshops"),
        ("4\r", "following"),
        ("\x1b\x1b[99~", "3 workshops"),
        ("1\r", "peak"),
        ("\x1b\x1b[99~", "3 workshops"),
        ("2d", "create"),
        ("\x1b\x1b[99~", "3 workshops"),
        ("n", "new class"),
        ("\x1b\x1b[99~", "3 workshops"),
    ] {
        terminal.press(keys);
        terminal.until(shown);
    }
    let written = &terminal.raw[from..];
    assert_never_cleared(written);
    // A frame that has begun has ended before anything else is written.
    let mark = |mark: &[u8]| written.windows(mark.len()).filter(|bytes| *bytes == mark).count();
    assert_eq!(mark(b"\x1b[?2026h"), mark(b"\x1b[?2026l"));
    assert!(mark(b"\x1b[?2026h") >= 12);
    terminal.press("q");
    assert_eq!(terminal.assert_given_back(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_linux_console_gets_sixteen_colours_and_signs_it_has() {
    let desk = Desk::new().await;
    let mut terminal = started(&desk, "linux");
    for (keys, shown) in
        [("G\r", "cs102"), ("\x1b\x1b[99~", "3 workshops"), ("n", "new class"), ("\x1b\x1b[99~", "2 classes")]
    {
        terminal.press(keys);
        terminal.until(shown);
        assert!(terminal.text().is_ascii(), "{}", terminal.text());
    }
    terminal.press("1");
    // What its own keys send.
    terminal.press("\x1b[[A");
    terminal.until("moving");
    terminal.press("\x1b\x1b[99~");
    terminal.until_gone("moving");
    let written = String::from_utf8_lossy(&terminal.raw).into_owned();
    assert!(!written.contains("38;2;") && !written.contains("48;2;"));
    // Which colour follows its mark, in the notation the console understands.
    let colours: Vec<u8> = written
        .split("8;5;")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
        .collect();
    assert!(!colours.is_empty() && colours.iter().all(|colour| *colour < 16), "{colours:?}");
    terminal.press("q");
    assert_eq!(terminal.assert_given_back(), 0);
}
