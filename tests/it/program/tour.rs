//! A class from its plan to its end, at the two sizes the dashboard is made for.

use super::demo::Demo;
use crate::support::terminal::Terminal;

/// Faster than the demo's own pace, slow enough that seats are seen on their way.
const SPEED: &str = "12";

#[test]
fn a_class_is_deployed_entered_and_destroyed_at_80x24() {
    tour(80, 24);
}

#[test]
fn a_class_is_deployed_entered_and_destroyed_at_120x40() {
    tour(120, 40);
}

fn tour(columns: u16, rows: u16) {
    let mut demo = Demo::start(SPEED, (columns, rows));
    let terminal = &mut demo.terminal;
    terminal.until_row("cs100", "4/4 ready");
    terminal.until_taken_over();
    four_panes(terminal);
    deploy(terminal);
    shell(terminal, (columns, rows));
    resizes(terminal, (columns, rows));
    filters(terminal);
    destroy(terminal);
    assert_eq!(demo.throw_away().len(), 1);
    demo.terminal.press("q");
    assert_eq!(demo.assert_gone_without_a_trace(), 0);
}

/// All at once where there is room, else one at a time.
fn four_panes(terminal: &mut Terminal) {
    let panes: [(&str, &[&str]); 4] = [
        ("3", &["workshops", "rust-intro"]),
        ("4", &["cs100", "4 ready"]),
        ("1", &["pve1", "pve2", "pve3", "fast", "bulk"]),
        ("2", &["cs100", "cs101", "cs102"]),
    ];
    for (key, words) in panes {
        terminal.press(key);
        for word in words {
            terminal.until(word);
        }
    }
}

fn deploy(terminal: &mut Terminal) {
    terminal.press("jd");
    terminal.until("deploy cs101?");
    terminal.until("11 create");
    for word in ["+ teacher", "+ student-01", "linked on fast", "about 00:", "396 MiB on fast"] {
        terminal.until(word);
    }
    terminal.press("j".repeat(30));
    terminal.until("+ student-10");
    terminal.press("\r");
    terminal.until_row("cs101", "deploying");
    terminal.press("\r");
    terminal.until("student-10");
    let mut counts = vec![0];
    terminal.until_met("11 of 11 ready", |terminal| {
        counts.extend(Some(ready_seats(terminal)).filter(|count| counts.last() != Some(count)));
        terminal.text().contains("11 of 11 ready")
    });
    assert!(counts.is_sorted() && counts.len() > 2, "seats become ready one by one: {counts:?}");
    assert_eq!(ready_seats(terminal), 11, "{}", terminal.text());
}

fn ready_seats(terminal: &Terminal) -> usize {
    terminal.text().lines().filter(|line| line.contains("● ready")).count()
}

fn shell(terminal: &mut Terminal, (columns, rows): (u16, u16)) {
    let board = board_of(terminal);
    terminal.press("jjs");
    terminal.until("cs101/student-02   exit leaves");
    terminal.until("@cs101-student-02:");
    let screen = terminal.shown.screen();
    assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
    terminal.press("hostname\r");
    terminal.until("hostname\ncs101-student-02\n");
    terminal.press("stty size\r");
    terminal.until(&format!("stty size\n{rows} {columns}\n"));
    arrives_verbatim(terminal);
    terminal.resize(columns + 20, rows + 6);
    size_follows(terminal, (columns + 20, rows + 6));
    terminal.press("exit 7\r");
    terminal.until("cs101/student-02: shell ended with exit status 7");
    terminal.until_taken_over();
    terminal.resize(columns, rows);
    terminal.until_met("the board as it was", |terminal| board_of(terminal) == board);
}

/// The size may come after the question, so it is asked until it has.
fn size_follows(terminal: &mut Terminal, (columns, rows): (u16, u16)) {
    let wanted = format!("\n{rows} {columns}\n");
    for question in 1.. {
        terminal.press(format!("stty size\recho question {question}\r"));
        terminal.until(&format!("\nquestion {question}\n"));
        if terminal.text().contains(&wanted) {
            return;
        }
        assert!(question < 100, "{wanted:?} was never said:\n{}", terminal.text());
    }
}

/// What a program inside is sent: pasted text with its marks, a click, and bytes that mean something to terminals.
fn arrives_verbatim(terminal: &mut Terminal) {
    const BYTES: &[u8] =
        b"\x1b[200~two\rlines\n\x1b[201~\x1b[M !!\x1b[<0;10;20M\x00\x03\x11\x13\x1a\x1c\x7f\xc3\xa9\xff";
    terminal.press("showkey -a\r");
    terminal.until("Press any keys");
    let from = terminal.raw.len();
    terminal.press(BYTES);
    let came = |raw: &[u8]| -> Vec<u8> {
        let told = String::from_utf8_lossy(raw).into_owned();
        let bytes = told.split("0x").skip(1).map_while(|rest| u8::from_str_radix(rest.get(..2)?, 16).ok());
        bytes.collect()
    };
    terminal.until_met("every byte", |terminal| came(&terminal.raw[from..]).len() >= BYTES.len());
    assert_eq!(came(&terminal.raw[from..]).escape_ascii().to_string(), BYTES.escape_ascii().to_string());
    terminal.press("\x04");
    terminal.until("^D");
}

/// The seats and their proofs, without what changes with time.
fn board_of(terminal: &Terminal) -> Vec<String> {
    let text = terminal.text();
    let seats = text.lines().filter_map(|line| Some(line.split_once('●')?.0.replace('▸', " ")));
    seats.map(|line| line.trim_end().to_owned()).collect()
}

fn resizes(terminal: &mut Terminal, (columns, rows): (u16, u16)) {
    let board = board_of(terminal);
    terminal.resize(20, 5);
    terminal.until("40×12");
    terminal.resize(200 - columns, 64 - rows);
    terminal.until("11 of 11 ready");
    terminal.resize(columns, rows);
    terminal.until_met("the board as it was", |terminal| board_of(terminal) == board);
}

fn filters(terminal: &mut Terminal) {
    terminal.press("/student-07");
    terminal.until_met("one seat", |terminal| ready_seats(terminal) == 1);
    terminal.press("\x1b");
    terminal.until_met("all seats", |terminal| ready_seats(terminal) == 11);
    terminal.press("?");
    terminal.until("moving");
    terminal.until("show only rows that contain a text");
    terminal.press("\x1b");
    terminal.until_gone("moving");
    terminal.press("\x1b");
    terminal.until("cs102");
    terminal.press("/cs102");
    terminal.until_met("one class", |terminal| terminal.row("cs100").is_empty());
    terminal.press("\x1b");
    terminal.until_row("cs100", "4/4 ready");
    terminal.press("4f");
    terminal.until("parts of names");
    terminal.press("cs101\tstudent-03\r");
    terminal.until_met("one seat's lines", |terminal| {
        let log: Vec<String> = log_lines(terminal);
        !log.is_empty() && log.iter().all(|line| line.contains("cs101") && line.contains("student-03"))
    });
    terminal.press("2");
    terminal.until("cs102");
}

/// What stands in the log: lines that begin with a time.
fn log_lines(terminal: &Terminal) -> Vec<String> {
    let text = terminal.text();
    let of_log = |line: &&str| {
        let line = line.trim_start_matches(['│', ' ']);
        line.len() > 8 && line.as_bytes()[2] == b':' && line.as_bytes()[5] == b':'
    };
    text.lines().filter(of_log).map(str::to_owned).collect()
}

fn destroy(terminal: &mut Terminal) {
    terminal.press("x");
    terminal.until("destroy cs101?");
    terminal.until("type cs101 to go on");
    terminal.press("cs10\r");
    terminal.until("type cs101 to destroy");
    assert!(terminal.text().contains("destroy cs101?"), "{}", terminal.text());
    terminal.press("1\r");
    terminal.until_row("cs101", "0/11 defined");
    terminal.until_row("cs100", "4/4 ready");
}
